"""What a running node tells: the bar and one line of text, a few times a second at most."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial

from comfy_api.latest import ComfyAPI
from server import PromptServer

from ... import providers
from ...engine.base.errors import SkyportError, TaskCancelled
from ...engine.base.types import Result
from ...engine.base.words import tr
from ...engine.tasks.job import Job
from ...engine.tasks.progress import DOT, progress_text

_EVERY = 0.4  # seconds
_TAIL = 600  # letters of an answer on its way
_last: dict[str, tuple[float, str]] = {}


async def show(node_id: str, jobs: Sequence[Job]) -> None:
    """Bar and text for the jobs under way; silent when nothing changed or it spoke just now."""
    now = time.monotonic()
    spoke, said = _last.get(node_id, (0.0, ""))
    if now - spoke < _EVERY:
        return
    line = text_of(jobs, now)
    _last[node_id] = (now, line)
    if line != said:
        send_text(node_id, line)
        await _bar(node_id, sum(progress_text(job, now).share for job in jobs) / len(jobs))


async def finished(node_id: str, title: str, results: Sequence[Result]) -> None:
    """The last word on a run that ended well, and all that its user must know beside."""
    _last.pop(node_id, None)
    await _bar(node_id, 1.0)
    warnings = dict.fromkeys(warning for result in results for warning in result.warnings)
    trouble = providers.ledger().trouble
    lines = [_headline(title, results), *warnings, *([trouble] if trouble else [])]
    send_text(node_id, "\n".join(lines))


def tell_stopped(node_id: str, jobs: Sequence[Job]) -> None:
    """Has the node say of each interrupted job that it is cancelled, or why it could not be.

    Silent where the platform lets it go on, and where the node runs again by then.
    """
    spoke, client = _last.get(node_id), PromptServer.instance.client_id
    told: list[str] = []

    def tell(future: Future[Result], can_cancel: bool) -> None:
        error = future.exception()
        news = SkyportError if can_cancel else TaskCancelled
        if isinstance(error, news) and _last.get(node_id) is spoke:
            told.append(str(error))
            send_text(node_id, "\n".join(told), client)

    for job in jobs:
        job.future.add_done_callback(partial(tell, can_cancel=job.provider.can_cancel()))


def _headline(title: str, results: Sequence[Result]) -> str:
    parts = [title, tr("done")]
    if len(results) > 1:
        parts.append(tr("{count} items", count=len(results)))
    costs = [result.cost for result in results if result.cost is not None]
    if costs:
        parts.append(f"{sum(costs):g}")
    if all(result.reused for result in results):
        parts.append(tr("reused, no charge; change the seed for a new one"))
    return DOT.join(parts)


def text_of(jobs: Sequence[Job], now: float) -> str:
    """`HaiYi kling-v3 . running 42 % . KSampler . 0:37 of about 1:30 . queue 3/12 . 0.11`."""
    done = sum(job.future.done() for job in jobs)
    busy = next((job for job in jobs if not job.future.done()), jobs[0])
    parts = [name_of(busy)]
    if len(jobs) > 1:
        parts.append(tr("{done} of {count} done", done=done, count=len(jobs)))
    look = progress_text(busy, now)
    line = DOT.join([*parts, *look.words])
    return f"{line}\n{look.tail(_TAIL)}" if look.answer else line


def send_text(node_id: str, text: str, client: str | None = None) -> None:
    """Text below the node, to the client that queued. Some frontends insert it as HTML."""
    server = PromptServer.instance
    sid = client or server.client_id
    server.send_progress_text(html.escape(text, quote=False), node_id, sid=sid)


async def _bar(node_id: str, share: float) -> None:
    await ComfyAPI.Execution().set_progress(share, 1.0, node_id=node_id)


def name_of(job: Job) -> str:
    """`HaiYi kling-v3`"""
    return f"{job.provider.label} {job.request.title}".strip()
