"""HaiYi's answers to a poll, as TaskState. The body of generate/result is not documented."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from ...engine.base.json_tree import share
from ...engine.base.types import Json, Output, Status, Task, TaskState

_WORDS = {
    **dict.fromkeys(
        ("submitted", "pending", "queued", "queueing", "waiting", "created"), Status.QUEUED
    ),
    **dict.fromkeys(
        ("running", "processing", "in_progress", "generating", "started"), Status.RUNNING
    ),
    **dict.fromkeys(
        ("success", "succeeded", "succeed", "completed", "complete", "done", "finished"),
        Status.SUCCEEDED,
    ),
    **dict.fromkeys(("fail", "failed", "failure", "error"), Status.FAILED),
    **dict.fromkeys(("cancelled", "canceled", "cancel"), Status.CANCELLED),
}
_STATUS_KEYS = ("status", "task_status", "state")
_REASON_KEYS = ("message", "msg", "error", "fail_reason", "reason")
_PROGRESS_KEYS = ("progress", "total_progress", "percent")
_INNER_KEYS = ("data", "task", "result", "output")
_RESULT_KEY = re.compile(
    r"(?:.*_)?(?:urls?|images?|videos?|audios?|outputs?|results?|data|files?|music|speech)"
)
# Parts of the request that a result body may repeat, and pictures that are not the result.
_NOT_RESULTS = re.compile(
    r"parameters|params|inputs?|request|payload|model"
    r"|.*(?:cover|thumb|preview|poster|avatar|logo|icon|callback|webhook).*"
)
_FILE_NAME = re.compile(
    r"[^\n\r/\\]{1,250}\.(?:png|jpe?g|webp|gif|bmp|mp4|mov|webm|mkv|mp3|wav|flac|ogg|m4a)", re.I
)
# Names of files made from a user's own words contain spaces, also at the end of a URL.
_URL = re.compile(r"https?://(?:\S+|\S+/api/view\?[^\n\r]+)", re.I)
_BAD_TITLES = ("", "unknown", "unknown node")


def generation(body: Json, task: Task, base_url: str) -> TaskState:
    """The state of a hosted model's task, from any plausible shape of body."""
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
    """The state of the task of an app or a raw workflow."""
    data = data if isinstance(data, dict) else {}
    word = _status_word(data)
    status = _WORDS.get(word.lower(), Status.RUNNING)
    listed = data.get("outputs")
    rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    errors = [_message(row) for row in rows if row.get("error_type") == "error"]
    warnings = [_message(row) for row in rows if row.get("error_type") == "warning"]
    outputs = tuple(output for row in rows for output in _outputs(row, base_url))
    progress = data.get("progress")
    return TaskState(
        status=status,
        word=word,
        progress=1.0 if status is Status.SUCCEEDED else _progress(progress, percent=True),
        node=_node_title(progress),
        outputs=outputs,
        message="; ".join(errors) or reason(data) or "; ".join(warnings),
        warnings=tuple(warnings + (errors if outputs else [])),
        known=word.lower() in _WORDS,
    )


def task_id(body: Json) -> str:
    """The task id in the answer to a submit, "" where there is none."""
    value = _find(body, ("task_id",))
    return str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""


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
    """The objects that may describe the task itself, innermost first."""
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
    value = _find(body, _STATUS_KEYS)
    return "" if value is None else str(value)


def _progress(value: Json, *, percent: bool = False) -> float | None:
    """0..1, from an object that holds it, a percentage or (unless `percent`) a fraction."""
    if isinstance(value, dict):
        value = next(
            (value[key] for key in ("total_progress", *_PROGRESS_KEYS) if key in value), None
        )
    return share(value, percent=percent)


def _node_title(progress: Json) -> str:
    node = progress.get("curr_node") if isinstance(progress, dict) else None
    title = str(node.get("title") or "") if isinstance(node, dict) else ""
    return "" if title.lower() in _BAD_TITLES else title


# -- results of models --------------------------------------------------------------------------


def _results(body: Json, task: Task, base_url: str) -> Iterator[Output]:
    """Every media URL in the body once, without those that the request sent.

    A URL under an unusual key (a link to a page) counts only where no usual key holds one.
    """
    seen = {_unsigned(url) for url in task.sent}
    outputs: dict[bool, list[Output]] = {True: [], False: []}
    for text, named in _candidates(body, named=False):
        url = _url(text, base_url)
        if url and _unsigned(url) not in seen:
            seen.add(_unsigned(url))
            outputs[named].append(Output(url=url))
    yield from outputs[True] or outputs[False]


def _candidates(tree: Json, *, named: bool) -> Iterator[tuple[str, bool]]:
    """Texts that may be a result, and whether each is under a key that usually holds results."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if not _NOT_RESULTS.fullmatch(str(key).lower()):
                yield from _candidates(value, named=bool(_RESULT_KEY.fullmatch(str(key).lower())))
    elif isinstance(tree, list):
        for value in tree:
            yield from _candidates(value, named=named)
    elif isinstance(tree, str):
        yield from _candidates_in_text(tree.strip(), named=named)


def _candidates_in_text(text: str, *, named: bool) -> Iterator[tuple[str, bool]]:
    if text[:1] in ("[", "{"):
        try:
            yield from _candidates(json.loads(text), named=named)
        except (ValueError, RecursionError):
            return
    elif _is_url(text) or (named and (_FILE_NAME.fullmatch(text) or text.startswith("/api/view?"))):
        yield text, named


def _unsigned(url: str) -> str:
    """The part of a URL that stays the same when it is signed anew."""
    try:
        parts = urlsplit(url)
    except ValueError:  # the request may have sent any text that begins like a URL
        return url
    return url if parts.path in ("", "/", "/api/view") else f"{parts.netloc}{parts.path}"


# -- results of workflows -----------------------------------------------------------------------


def _outputs(row: Mapping[str, Any], base_url: str) -> Iterator[Output]:
    """An output node's results: media by URL or name, else text. Warnings are not results."""
    if row.get("error_type") in ("warning", "error"):
        return
    values = row.get("output")
    node: dict[str, Any] = {
        "node_id": str(row.get("id") or ""),
        "title": str(row.get("title") or ""),
    }
    for value in values if isinstance(values, list) else [values]:
        if not isinstance(value, str) or not value.strip():
            continue
        url = _url(value.strip(), base_url)
        yield Output(url=url, **node) if url else Output(text=value, **node)


def _message(row: Mapping[str, Any]) -> str:
    title = str(row.get("title") or "")
    words = str(row.get("output") or "").strip()
    return f"{title}: {words}" if title.lower() not in _BAD_TITLES else words


def _url(text: str, base_url: str) -> str:
    """`text`, a URL or a bare file name, as a URL; "" for any other text."""
    if _is_url(text):
        return text
    if text.startswith("/api/view?"):
        return base_url.rstrip("/") + text
    if _FILE_NAME.fullmatch(text):
        return f"{base_url.rstrip('/')}/api/view?type=output&filename={quote(text, safe='')}"
    return ""


def _is_url(text: str) -> bool:
    return bool(_URL.fullmatch(text))
