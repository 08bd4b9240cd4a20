"""HappyHorse's answers: an id, a status, a reason or a result, wherever the document shows one.

`home` is the object in an answer that describes the task itself; others are searched after it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from ...engine.base.json_tree import share, without_signature
from ...engine.base.types import Json, Output, Status, Task, TaskState
from ...engine.base.words import tr
from ...engine.http.error_answers import code_in, http_status, is_about_credit, message_in

_WORDS = {
    **dict.fromkeys(("success", "succeeded", "completed"), Status.SUCCEEDED),
    **dict.fromkeys(("failed", "failure", "error"), Status.FAILED),
    # Not documented. The first only inform the user better; the last can never become a result.
    **dict.fromkeys(("queued", "pending", "submitted", "not_start", "waiting"), Status.QUEUED),
    **dict.fromkeys(("cancelled", "canceled"), Status.CANCELLED),
    **dict.fromkeys(("fail", "rejected", "expired"), Status.FAILED),
}
_ID_PATHS = {
    "": ("id", "task_id", "output.task_id", "data.task_id", "data.id"),
    "data": ("task_id", "data.task_id", "output.task_id", "id"),
    "output": ("output.task_id", "task_id", "data.task_id", "id"),
}
_HOMES = ("", "output", "data")
_STATUS_KEYS = ("status", "task_status")
_URL_KEYS = {
    "status": ("video_url", "media_url", "result_url"),
    "task_status": ("media_url", "video_url", "result_url"),
}
_NO_REASON = ("success", "ok")
_STANDARD_BASE64 = str.maketrans("-_", "+/")  # from the URL-safe alphabet


def task_id(answer: Json, home: str) -> str:
    """The task id in the answer to a submit, "" where there is none."""
    for path in _ID_PATHS[home]:
        value = _lookup(answer, path)
        if isinstance(value, (int, str)) and not isinstance(value, bool) and str(value):
            return str(value)
    return ""


def reason(answer: Json, home: str) -> str:
    """The reason or message in an answer, "" where there is none."""
    return _reason(list(_layers(answer, home)))


def is_refusal(answer: Json, home: str) -> bool:
    """Whether a submit without a task id was certainly refused; a mere message is no refusal."""
    layers = list(_layers(answer, home))
    has_error = any(layer.get(key) for layer in layers for key in ("fail_reason", "error"))
    has_failed = _WORDS.get(_word(layers).lower()) is Status.FAILED
    has_code = http_status(code_in(answer)) != 200
    return has_error or has_failed or has_code or is_about_credit(_reason(layers))


def state(answer: Json, task: Task, home: str) -> TaskState:
    """The task's state. Words for a running task are not documented: any other word means that."""
    layers = list(_layers(answer, home))
    word = _word(layers)
    status = _WORDS.get(word.lower(), Status.RUNNING)
    if status is Status.SUCCEEDED:
        return _success(word, *_outputs(layers, task))
    words = _reason(layers)
    return TaskState(
        status=status,
        word=word or words,  # an answer without a status may still say why
        progress=_progress(layers),
        message=words,
        known=bool(word),
    )


def _success(word: str, outputs: list[Output], lost: int) -> TaskState:
    """`lost` results could not be read: a warning says so, and the others, paid for, are kept."""
    loss = tr("{count} of the results in its answer cannot be read.", count=lost) if lost else ""
    return TaskState(
        status=Status.SUCCEEDED,
        word=word,
        progress=1.0,
        outputs=tuple(outputs),
        message="" if outputs else loss,
        warnings=(loss,) if loss else (),
    )


def _layers(answer: Json, home: str) -> Iterator[Mapping[str, Any]]:
    """The objects that may describe the task, its home first, each followed by those in it."""
    for name in (home, *(other for other in _HOMES if other != home)):
        outer = _lookup(answer, name)
        inner = [_lookup(outer, each) for each in ("data", "output")] if name else []
        yield from (each for each in (outer, *inner) if isinstance(each, dict))


def _lookup(tree: Json, path: str) -> Json:
    """The value at the dotted `path`, None where there is none."""
    for name in filter(None, path.split(".")):
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def _word(layers: list[Mapping[str, Any]]) -> str:
    words = (layer.get(key) for layer in layers for key in _STATUS_KEYS)
    return next((word.strip() for word in words if isinstance(word, str) and word.strip()), "")


def _progress(layers: list[Mapping[str, Any]]) -> float | None:
    shares = (share(layer.get("progress")) for layer in layers)
    return next((value for value in shares if value is not None), None)


def _reason(layers: list[Mapping[str, Any]]) -> str:
    """The documented `fail_reason`; where there is none, the text under any other usual key."""
    reasons = [message_in(layer.get("fail_reason")) for layer in layers]
    reasons += [message_in(layer) for layer in layers]
    return next((words for words in reasons if words and words.lower() not in _NO_REASON), "")


# -- results ------------------------------------------------------------------------------------


def _outputs(layers: list[Mapping[str, Any]], task: Task) -> tuple[list[Output], int]:
    """The results under the first key that holds any, and how many there could not be read.

    An answer may repeat the same result under several keys.
    """
    sent = {without_signature(url) for url in task.sent}
    lost = 0
    for layer in layers:
        for candidate in _candidates(layer):
            values = candidate if isinstance(candidate, list) else [candidate]
            outputs = [output for output in map(_output, values) if output is not None]
            fresh = [output for output in outputs if without_signature(output.url) not in sent]
            broken = sum(map(_is_broken, values))
            if fresh:
                return fresh, broken
            lost = lost or broken
    return [], lost


def _candidates(layer: Mapping[str, Any]) -> Iterator[Json]:
    """The value under each documented key of a result."""
    status_key = "task_status" if "task_status" in layer else "status"
    yield from (layer.get(key) for key in _URL_KEYS[status_key])
    yield _lookup(layer, "metadata.url")
    yield layer.get("results")
    yield layer.get("data")


def _output(value: Json) -> Output | None:
    """A result given as a URL, or as an object with `url` or `b64_json`."""
    result = value if isinstance(value, dict) else {"url": value}
    url, inline = result.get("url"), result.get("b64_json")
    if isinstance(url, str) and url.startswith(("http://", "https://")):
        return Output(url=url)
    if isinstance(url, str) and url.startswith("data:"):
        inline = url
    data = _decoded(inline) if isinstance(inline, str) else b""
    return Output(data=data) if data else None


def _is_broken(value: Json) -> bool:
    """Whether it is meant as a result and cannot be read."""
    is_result = isinstance(value, dict) and ("url" in value or "b64_json" in value)
    return is_result and _output(value) is None


def _decoded(text: str) -> bytes:
    """The bytes of base64, also after `data:image/png;base64,`; b"" where it is not base64."""
    encoded = "".join(text.rpartition(",")[2].split()).translate(_STANDARD_BASE64).rstrip("=")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
