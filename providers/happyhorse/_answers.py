"""HappyHorse's answers: an id, a status, a reason or a result, at every place the document shows.

`home` is the object of an answer that tells of the task itself; others are looked into after it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from ...engine.base.json_tree import share, unsigned
from ...engine.base.types import Json, Output, Status, Task, TaskState
from ...engine.base.words import tr
from ...engine.http.error_answers import code_of, http_status, speaks_of_money, words_of

_WORDS = {
    **dict.fromkeys(("success", "succeeded", "completed"), Status.SUCCEEDED),
    **dict.fromkeys(("failed", "failure", "error"), Status.FAILED),
    # In no document. The first only tell a user more; the last can never become a result.
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
_PLAIN = str.maketrans("-_", "+/")  # the base64 that is safe in a URL


def task_id(answer: Json, home: str) -> str:
    """The id that a submit was answered with, "" where there is none."""
    for path in _ID_PATHS[home]:
        found = _at(answer, path)
        if isinstance(found, (int, str)) and not isinstance(found, bool) and str(found):
            return str(found)
    return ""


def reason(answer: Json, home: str) -> str:
    """What an answer says in words, "" where it says nothing."""
    return _reason(list(_layers(answer, home)))


def is_refusal(answer: Json, home: str) -> bool:
    """Whether a submit that named no task was certainly refused: words alone may greet a task."""
    layers = list(_layers(answer, home))
    told = any(layer.get(key) for layer in layers for key in ("fail_reason", "error"))
    failed = _WORDS.get(_word(layers).lower()) is Status.FAILED
    is_code = http_status(code_of(answer)) != 200
    return told or failed or is_code or speaks_of_money(_reason(layers))


def state(answer: Json, task: Task, home: str) -> TaskState:
    """How the task is. Words in progress are not documented: what is no end is on its way."""
    layers = list(_layers(answer, home))
    word = _word(layers)
    status = _WORDS.get(word.lower(), Status.RUNNING)
    if status is Status.SUCCEEDED:
        return _success(word, *_outputs(layers, task))
    words = _reason(layers)
    return TaskState(
        status=status,
        word=word or words,  # what says nothing of a status may yet say why
        progress=_progress(layers),
        message=words,
        known=bool(word),
    )


def _success(word: str, outputs: list[Output], lost: int) -> TaskState:
    """`lost` results cannot be read. The others are paid for and go on; that some lack is told."""
    told = tr("{count} of the results in its answer cannot be read.", count=lost) if lost else ""
    return TaskState(
        status=Status.SUCCEEDED,
        word=word,
        progress=1.0,
        outputs=tuple(outputs),
        message="" if outputs else told,
        warnings=(told,) if told else (),
    )


def _layers(answer: Json, home: str) -> Iterator[Mapping[str, Any]]:
    """The objects that may tell of the task, its home first, and what lies inside of each."""
    for name in (home, *(other for other in _HOMES if other != home)):
        found = _at(answer, name)
        inner = [_at(found, one) for one in ("data", "output")] if name else []
        yield from (one for one in (found, *inner) if isinstance(one, dict))


def _at(tree: Json, path: str) -> Json:
    for name in filter(None, path.split(".")):
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def _word(layers: list[Mapping[str, Any]]) -> str:
    told = (layer.get(key) for layer in layers for key in _STATUS_KEYS)
    return next((word.strip() for word in told if isinstance(word, str) and word.strip()), "")


def _progress(layers: list[Mapping[str, Any]]) -> float | None:
    told = (share(layer.get("progress")) for layer in layers)
    return next((found for found in told if found is not None), None)


def _reason(layers: list[Mapping[str, Any]]) -> str:
    """The documented `fail_reason`; where there is none, words at any other usual place."""
    told = [words_of(layer.get("fail_reason")) for layer in layers]
    told += [words_of(layer) for layer in layers]
    return next((words for words in told if words and words.lower() not in _NO_REASON), "")


# -- results ------------------------------------------------------------------------------------


def _outputs(layers: list[Mapping[str, Any]], task: Task) -> tuple[list[Output], int]:
    """Those of the first place that holds any, and how many there could not be read.

    The same result may stand at several places.
    """
    sent = {unsigned(url) for url in task.sent}
    lost = 0
    for layer in layers:
        for path in _places(layer):
            values = path if isinstance(path, list) else [path]
            made = [one for one in map(_output, values) if one is not None]
            fresh = [one for one in made if unsigned(one.url) not in sent]
            broken = sum(map(_is_broken, values))
            if fresh:
                return fresh, broken
            lost = lost or broken
    return [], lost


def _places(layer: Mapping[str, Any]) -> Iterator[Json]:
    """What stands at each documented place of a result."""
    kind = "task_status" if "task_status" in layer else "status"
    yield from (layer.get(key) for key in _URL_KEYS[kind])
    yield _at(layer, "metadata.url")
    yield layer.get("results")
    yield layer.get("data")


def _output(value: Json) -> Output | None:
    """A result given as a URL, or as an object with `url` or `b64_json`."""
    told = value if isinstance(value, dict) else {"url": value}
    url, inline = told.get("url"), told.get("b64_json")
    if isinstance(url, str) and url.startswith(("http://", "https://")):
        return Output(url=url)
    if isinstance(url, str) and url.startswith("data:"):
        inline = url
    data = _decoded(inline) if isinstance(inline, str) else b""
    return Output(data=data) if data else None


def _is_broken(value: Json) -> bool:
    """Whether a result was meant, and none can be read."""
    is_meant = isinstance(value, dict) and ("url" in value or "b64_json" in value)
    return is_meant and _output(value) is None


def _decoded(text: str) -> bytes:
    """Bytes of base64, also behind `data:image/png;base64,`; none where it is no base64."""
    plain = "".join(text.rpartition(",")[2].split()).translate(_PLAIN).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
