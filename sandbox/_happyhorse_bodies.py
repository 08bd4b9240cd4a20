"""What HappyHorse answers: every documented place of an id and of a result, in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._tasks import CANCELLED, FAIL, PENDING, RUNNING, SUCCESS

# By where a task is polled. "output" is the nested form of the video rows; "metadata" and
# "results" hold the address at metadata.url and results[0].url.
ID_PLACES: Mapping[str, Sequence[str]] = {
    "image": ("task_id",),
    "video": ("id", "task_id", "output"),
    "grok": ("output",),
    "notevideo": ("output",),
}
RESULT_PLACES: Mapping[str, Sequence[str]] = {
    "image": ("data",),
    "video": ("video_url", "media_url", "result_url", "metadata", "results", "output"),
    "grok": ("media_url", "video_url", "result_url"),
    "notevideo": ("media_url", "video_url", "result_url"),
}
# The words in progress are in no document; those of the ends are, in whatever case.
WORDS: Mapping[str, Sequence[str]] = {
    PENDING: ("queued", "PENDING", "Submitted", "NOT_START"),
    RUNNING: ("processing", "in_progress", "RUNNING", "Generating"),
    SUCCESS: ("SUCCESS", "succeeded", "Completed", "success", "SUCCEEDED", "completed"),
    CANCELLED: ("cancelled", "CANCELED"),
    FAIL: ("failed", "FAILURE", "Error", "FAILED", "failure", "error"),
}


@dataclass(frozen=True)
class View:
    """A task as an answer tells it.

    kind     where it is polled: a key of RESULT_PLACES
    place    one of RESULT_PLACES[kind]
    results  objects with url or b64_json; none before the end
    """

    id: str
    number: int
    kind: str
    place: str
    word: str
    percent: int
    results: Sequence[Mapping[str, str]]
    reason: str


def submit_body(kind: str, id: str, place: str) -> Any:
    """The answer to a submit."""
    if kind == "image":
        return {"task_id": id}
    if place == "output":
        return {"output": {"task_id": id, "task_status": "queued"}}
    return {place: id, "status": "queued"}


def poll_body(view: View) -> Any:
    """The answer to a poll."""
    if view.kind == "image":
        return _image(view)
    url = view.results[0]["url"] if view.results else ""
    if view.kind != "video" or view.place == "output":
        place = "media_url" if view.place == "output" else view.place
        return {
            "output": {"task_id": view.id, "task_status": view.word, **_ending(view, place, url)}
        }
    return {"id": view.id, "status": view.word, **_progress(view), **_ending(view, view.place, url)}


def _image(view: View) -> Any:
    body = {"task_id": view.id, "status": view.word, "fail_reason": view.reason}
    ended = view.percent == 100 and not view.reason
    return {"data": {**body, "data": {"data": list(view.results)} if ended else None}}


def _ending(view: View, place: str, url: str) -> Mapping[str, Any]:
    reason = {"fail_reason": view.reason} if view.reason else {}
    if place == "metadata":
        return {**reason, "metadata": {"url": url} if url else None}
    if place == "results":
        return {**reason, "results": [{"url": url}] if url else []}
    return {**reason, place: url}


def _progress(view: View) -> Mapping[str, Any]:
    """A number or text; some models send none."""
    forms: Sequence[Mapping[str, Any]] = (
        {"progress": view.percent},
        {"progress": f"{view.percent}%"},
        {"progress": str(view.percent)},
        {},
    )
    return forms[view.number % len(forms)]
