"""What a running node tells: the bar and one line of text, a few times a second at most."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence

from comfy_api.latest import ComfyAPI
from server import PromptServer

from ..providers._job import Job, Sight
from ..providers._types import Result, TaskState
from ..providers._words import say

_DOT = " \u00b7 "
_EVERY = 0.4
_last: dict[str, tuple[float, str]] = {}


async def show(node_id: str, jobs: Sequence[Job]) -> None:
    """Bar and text for the jobs under way; says nothing when nothing changed or it spoke just now."""
    now = time.monotonic()
    spoke, said = _last.get(node_id, (0.0, ""))
    if now - spoke < _EVERY:
        return
    line = text_of(jobs, now)
    _last[node_id] = (now, line)
    if line != said:
        send_text(node_id, line)
        await ComfyAPI.Execution().set_progress(
            sum(map(_share, jobs)) / len(jobs), 1.0, node_id=node_id
        )


async def finished(node_id: str, jobs: Sequence[Job], results: Sequence[Result]) -> None:
    """The last word on a run that ended well."""
    _last.pop(node_id, None)
    await ComfyAPI.Execution().set_progress(1.0, 1.0, node_id=node_id)
    parts = [_name(jobs[0]), say("done")]
    if len(jobs) > 1:
        parts.append(say("{count} items", count=len(jobs)))
    costs = [result.cost for result in results if result.cost is not None]
    if costs:
        parts.append(f"{sum(costs):g}")
    if all(result.reused for result in results):
        parts.append(say("reused, no charge; change the seed for a new one"))
    warnings = [warning for result in results for warning in result.warnings]
    send_text(node_id, "\n".join([_DOT.join(parts), *warnings]))


def send_text(node_id: str, text: str) -> None:
    """Text below the node, to the client that queued. Some frontends insert it as HTML."""
    server = PromptServer.instance
    server.send_progress_text(html.escape(text, quote=False), node_id, sid=server.client_id)


def text_of(jobs: Sequence[Job], now: float) -> str:
    """`HaiYi kling-v3 . running 42 % . KSampler . 0:37 of about 1:30 . queue 3/12 . 0.11`."""
    done = sum(job.future.done() for job in jobs)
    busy = next((job for job in jobs if not job.future.done()), jobs[0])
    parts = [_name(busy)]
    if len(jobs) > 1:
        parts.append(say("{done} of {count} done", done=done, count=len(jobs)))
    return _DOT.join(parts + _parts(busy.sight, now))


def _name(job: Job) -> str:
    return f"{job.provider.label} {job.request.title}".strip()


def _parts(sight: Sight, now: float) -> list[str]:
    parts = [_stage(sight)]
    state = sight.state if sight.stage == "running" else None
    if state is not None and state.node:
        parts.append(state.node)
    if sight.stage == "running":
        parts.append(_time(now - sight.since, sight.usual))
    if state is not None:
        parts.extend(_queue_and_cost(state))
    if sight.attached:
        parts.append(say("attached to the task of an earlier run"))
    return parts


def _stage(sight: Sight) -> str:
    if sight.stage in ("uploading", "downloading") and sight.total:
        share = f"{100 * sight.moved // sight.total} %"
        up = sight.stage == "uploading"
        return say("uploading {share}", share=share) if up else say("downloading {share}", share=share)
    if sight.stage == "running" and sight.state is not None:
        return _running(sight.state)
    return _STAGES[sight.stage]()


_STAGES = {
    "waiting": lambda: say("waiting for a free slot"),
    "preparing": lambda: say("preparing"),
    "uploading": lambda: say("uploading"),
    "submitting": lambda: say("submitting"),
    "running": lambda: say("submitted"),
    "downloading": lambda: say("downloading"),
    "done": lambda: say("done"),
}


def _running(state: TaskState) -> str:
    word = say("queued") if state.status.value == "queued" else say("running")
    if not state.known:
        word = state.word
    return word if state.progress is None else f"{word} {state.progress * 100:.0f} %"


def _queue_and_cost(state: TaskState) -> list[str]:
    place, length = state.queue
    parts = []
    if place is not None:
        shown = f"{place}/{length}" if length is not None else str(place)
        parts.append(say("queue {place}", place=shown))
    if state.cost is not None:
        parts.append(f"{state.cost:g}")
    return parts


def _time(seconds: float, usual: float | None) -> str:
    if usual is None:
        return _clock(seconds)
    return say("{time} of about {usual}", time=_clock(seconds), usual=_clock(usual))


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _share(job: Job) -> float:
    """How much of a job is done, 0..1, for the bar."""
    if job.future.done():
        return 1.0
    sight = job.sight
    if sight.stage != "running" or sight.state is None:
        return 0.97 if sight.stage in ("downloading", "done") else 0.02
    progress = sight.state.progress
    if progress is None:
        passed = time.monotonic() - sight.since
        progress = min(0.9, passed / sight.usual) if sight.usual else 0.05
    return 0.05 + 0.9 * progress
