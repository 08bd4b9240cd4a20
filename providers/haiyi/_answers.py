"""HaiYi's answers to a poll, read into TaskState. The body of generate/result is not documented."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from .._types import Json, Output, Status, Task, TaskState
from ._models import number

_WORDS = {
    **dict.fromkeys(("submitted", "pending", "queued", "queueing", "waiting", "created"), Status.QUEUED),
    **dict.fromkeys(("running", "processing", "in_progress", "generating", "started"), Status.RUNNING),
    **dict.fromkeys(("success", "succeeded", "succeed", "completed", "complete", "done", "finished"), Status.SUCCEEDED),
    **dict.fromkeys(("fail", "failed", "failure", "error"), Status.FAILED),
    **dict.fromkeys(("cancelled", "canceled", "cancel"), Status.CANCELLED),
}
_STATUS_KEYS = ("status", "task_status", "state")
_REASON_KEYS = ("message", "msg", "error", "fail_reason", "reason")
_PROGRESS_KEYS = ("progress", "total_progress", "percent")
_INNER_KEYS = ("data", "task", "result", "output")
_RESULT_KEY = re.compile(r"(?:.*_)?(?:urls?|images?|videos?|audios?|outputs?|results?|data|files?|music|speech)")
# What a result body may repeat of the request, or show beside the result.
_NOT_RESULTS = re.compile(
    r"parameters|params|inputs?|request|payload|model|.*(?:cover|thumb|preview|poster|avatar|logo|icon|callback|webhook).*"
)
_FILE_NAME = re.compile(r"[^\s/\\]+\.(?:png|jpe?g|webp|gif|bmp|mp4|mov|webm|mkv|mp3|wav|flac|ogg|m4a)", re.I)
_BAD_TITLES = ("", "unknown", "unknown node")


def generation(body: Json, task: Task, base_url: str) -> TaskState:
    """The state of a model's task, from any plausible shape of body."""
    word = _status_word(body)
    status = _WORDS.get(word.lower(), Status.RUNNING)
    outputs = tuple(_results(body, task, base_url)) if status is Status.SUCCEEDED else ()
    return TaskState(
        status=status,
        word=word,
        progress=1.0 if status is Status.SUCCEEDED else _progress(_find(body, _PROGRESS_KEYS)),
        outputs=outputs,
        message=reason(body),
        known=word.lower() in _WORDS,
    )


def workflow(data: Json, task: Task, base_url: str) -> TaskState:
    """The state of an app's or raw workflow's task."""
    data = data if isinstance(data, dict) else {}
    word = _status_word(data)
    status = _WORDS.get(word.lower(), Status.RUNNING)
    rows = [row for row in data.get("outputs") or [] if isinstance(row, dict)]
    errors = [_told(row) for row in rows if row.get("error_type") == "error"]
    warnings = [_told(row) for row in rows if row.get("error_type") == "warning"]
    outputs = tuple(output for row in rows for output in _made(row, base_url))
    progress = data.get("progress") if isinstance(data.get("progress"), dict) else {}
    return TaskState(
        status=status,
        word=word,
        progress=1.0 if status is Status.SUCCEEDED else _progress(progress),
        node=_node_title(progress),
        outputs=outputs,
        message="; ".join(errors) or reason(data),
        warnings=tuple(warnings + (errors if outputs else [])),
        known=word.lower() in _WORDS,
    )


def reason(body: Json) -> str:
    """The platform's words on what went wrong, "" where there are none."""
    for inner in _layers(body):
        for key in _REASON_KEYS:
            words = inner.get(key)
            if isinstance(words, dict):
                words = reason(words)
            if isinstance(words, str) and words.strip() and words.lower() not in ("success", "ok"):
                return words.strip()
    return ""


def _layers(body: Json) -> Iterator[Mapping[str, Any]]:
    """The objects that may speak of the task itself, innermost first."""
    if not isinstance(body, dict):
        return
    for key in _INNER_KEYS:
        yield from _layers(body.get(key))
    yield body


def _find(body: Json, keys: tuple[str, ...]) -> Json:
    for layer in _layers(body):
        for key in keys:
            if layer.get(key) not in (None, ""):
                return layer[key]
    return None


def _status_word(body: Json) -> str:
    found = _find(body, _STATUS_KEYS)
    return "" if found is None else str(found)


def _progress(value: Json) -> float | None:
    """0..1 from a percentage, a fraction, or an object that holds one."""
    if isinstance(value, dict):
        value = next((value[key] for key in ("total_progress", *_PROGRESS_KEYS) if key in value), None)
    if isinstance(value, str):
        value = value.strip().rstrip("%")
    amount = number(value)
    if amount is None or amount < 0:
        return None
    is_fraction = isinstance(value, float) and amount <= 1
    return min(1.0, amount if is_fraction else amount / 100)


def _node_title(progress: Mapping[str, Any]) -> str:
    node = progress.get("curr_node")
    title = str(node.get("title") or "") if isinstance(node, dict) else ""
    return "" if title.lower() in _BAD_TITLES else title


# -- results of models --------------------------------------------------------------------------


def _results(body: Json, task: Task, base_url: str) -> Iterator[Output]:
    """Every media URL of the body once, without those the task was given."""
    seen = {_path(url) for url in task.sent}
    for text in _candidates(body, named=False):
        url = _url(text, base_url)
        if url and _path(url) not in seen:
            seen.add(_path(url))
            yield Output(url=url)


def _candidates(tree: Json, *, named: bool) -> Iterator[str]:
    """Texts that may be a result: any URL, and file names below a key that usually holds results."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if not _NOT_RESULTS.fullmatch(str(key).lower()):
                yield from _candidates(value, named=bool(_RESULT_KEY.fullmatch(str(key).lower())))
    elif isinstance(tree, list):
        for value in tree:
            yield from _candidates(value, named=named)
    elif isinstance(tree, str):
        yield from _candidates_in_text(tree.strip(), named=named)


def _candidates_in_text(text: str, *, named: bool) -> Iterator[str]:
    if text[:1] in ("[", "{"):
        try:
            yield from _candidates(json.loads(text), named=named)
        except ValueError:
            return
    elif _is_url(text) or (named and (_FILE_NAME.fullmatch(text) or text.startswith("/api/view?"))):
        yield text


def _path(url: str) -> str:
    """What stays of a URL when it is signed anew."""
    parts = urlsplit(url)
    return url if parts.path in ("", "/", "/api/view") else f"{parts.netloc}{parts.path}"


# -- results of workflows -----------------------------------------------------------------------


def _made(row: Mapping[str, Any], base_url: str) -> Iterator[Output]:
    """What an output node made: media by URL or name, else text. Warnings and errors are not results."""
    if row.get("error_type") in ("warning", "error"):
        return
    values = row.get("output")
    about: dict[str, Any] = {"node_id": str(row.get("id") or ""), "title": str(row.get("title") or "")}
    for value in values if isinstance(values, list) else [values]:
        if not isinstance(value, str) or not value.strip():
            continue
        url = _url(value.strip(), base_url)
        yield Output(url=url, **about) if url else Output(text=value, **about)


def _told(row: Mapping[str, Any]) -> str:
    title = str(row.get("title") or "")
    words = str(row.get("output") or "").strip()
    return f"{title}: {words}" if title.lower() not in _BAD_TITLES else words


def _url(text: str, base_url: str) -> str:
    """`text` as a URL: as it is, on the platform's own host, or a bare file name's view; "" for other text."""
    if _is_url(text):
        return text
    if text.startswith("/api/view?"):
        return base_url.rstrip("/") + text
    if _FILE_NAME.fullmatch(text):
        return f"{base_url.rstrip('/')}/api/view?type=output&filename={quote(text, safe='')}"
    return ""


def _is_url(text: str) -> bool:
    return bool(re.fullmatch(r"https?://\S+", text))
