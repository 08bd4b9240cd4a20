"""OpenComputing's answers about tasks: those of its document, and those of its public server.

The server (github yumoqing/llmage) wraps answers as `{"status": "ok", "data": {...}}` and errors as
`{"status": "error", "data": {"message": ...}}`. Which of the two is deployed is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ...engine.base.json_tree import number
from ...engine.base.types import Json, Task, TaskState
from ...engine.http.messages import layers
from ...engine.platforms.answers import AnswerForm

CHAT, IMAGES, VIDEOS = "chat/completions", "image/generations", "video/generations"
_OWN_KEYS = ("taskid", "task_id", "error", "choices", "data", "video", "image")


def is_own_form(body: Mapping[str, Json]) -> bool:
    """A task, `{"error": ...}`, or either in the envelope of the public server."""
    has_key = any(body.get(key) not in (None, "") for key in _OWN_KEYS)
    return has_key or isinstance(body.get("status"), str)


def is_error(body: Json) -> bool:
    """Whether it is an error that describes no task."""
    if not isinstance(body, dict):
        return False
    is_envelope = str(body.get("status")).lower() == "error" and "taskid" not in body
    return is_envelope or bool(body.get("error") and not body.get("status"))


def inner(body: Json) -> Json:
    """The task in an envelope, or `body` itself."""
    wrapped = isinstance(body, dict) and str(body.get("status")).lower() == "ok"
    return body.get("data", body) if wrapped else body


class _Form(AnswerForm):
    def state(self, body: Json, task: Task, base_url: str) -> TaskState:
        """With the credits it cost, and what else is counted: seconds, tokens."""
        state = super().state(body, task, base_url)
        usages = (layer.get("usage") for layer in layers(body))
        usage = next((usage for usage in usages if isinstance(usage, dict)), {})
        return replace(
            state, cost=number(usage.get("credits")), details=tuple(usage_details(usage))
        )


# For a video, `image` is only the cover.
FORMS = {
    IMAGES: _Form(task_id=("taskid",), results=("image", "images")),
    VIDEOS: _Form(
        task_id=("taskid",),
        results=("video", "videos"),
        not_results=frozenset(("image", "images", "image_url")),
    ),
}


def usage_details(usage: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """(name, value) of what was counted: the platform's own names, without the model's."""
    for name, value in usage.items():
        count = None if isinstance(value, str) else number(value)
        if count is not None and name != "credits":
            yield str(name), f"{count:g}"
