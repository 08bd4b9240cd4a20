"""HappyHorse's answers: where each "returned fields" table puts an id, a status and results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...engine.base.json_tree import number
from ...engine.base.types import Json, Task, TaskState
from ...engine.base.words import tr
from ...engine.http.error_answers import is_status_phrase
from ...engine.http.messages import layers
from ...engine.platforms.answers import AnswerForm

_OWN_KEYS = (
    *("id", "task_id", "output", "data", "results", "metadata", "progress"),
    *("fail_reason", "video_url", "media_url", "result_url", "task_status"),
)


def is_own_form(body: Mapping[str, Json]) -> bool:
    """The bodies of the document; errors, which it does not show, as such interfaces word them."""
    has_code = "code" in body and ("message" in body or "data" in body)
    return (
        has_code
        or isinstance(body.get("status"), str)
        or any(body.get(key) not in (None, "") for key in _OWN_KEYS)
        or bool(body.get("error") and not is_status_phrase(body["error"]))
    )


class _Form(AnswerForm):
    def state(self, body: Json, task: Task, base_url: str) -> TaskState:
        """With the seconds that are charged for: `usage.duration`."""
        state = super().state(body, task, base_url)
        usages = (layer.get("usage") for layer in layers(body, self.home))
        seconds = next((number(u.get("duration")) for u in usages if isinstance(u, dict)), None)
        if seconds is None:
            return state
        charged = tr("{seconds} s", seconds=f"{seconds:g}")
        return replace(state, details=((tr("charged for"), charged),))


FORMS = {
    "": _Form(
        task_id=("id", "task_id", "output.task_id"),
        results=(
            *("video_url", "media_url", "result_url", "metadata.url", "results"),
            *("output.media_url", "output.video_url", "output.result_url"),
        ),
    ),
    "data": _Form(home="data", task_id=("task_id", "data.task_id"), results=("data.data.data",)),
    "output": _Form(
        home="output",
        task_id=("output.task_id", "task_id", "id"),
        results=("output.media_url", "output.video_url", "output.result_url"),
    ),
}
