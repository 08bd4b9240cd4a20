"""Progress of a running node: the bar and a line of text, updated a few times a second at most."""

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
from ...engine.base.types import Amount, Result
from ...engine.base.words import tr
from ...engine.tasks.job import Job
from ...engine.tasks.progress import DOT, progress_text
from ...engine.tasks.public_view import is_short

_INTERVAL = 0.4  # seconds
_MAX_DETAILS = 4  # tasks of a batch whose details are shown
_TAIL_LENGTH = 600  # characters of an answer that is still streaming
_last: dict[str, tuple[float, str]] = {}


class Allowance:
    """At most `rate` updates a second over all nodes; after a quiet second, as many at once.

    ComfyUI sends the state of all nodes of the prompt with each of them: a thousand nodes that
    each tell theirs would be hundreds of megabytes a second.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._left, self._counted_at = rate, 0.0

    def has_any(self, now: float) -> bool:
        grown = (now - self._counted_at) * self._rate
        self._left, self._counted_at = min(self._rate, self._left + grown), now
        return self._left >= 1

    def spend(self) -> None:
        self._left -= 1


_allowance = Allowance(20)


async def show(node_id: str, jobs: Sequence[Job]) -> None:
    """Updates bar and text for the jobs under way, unless nothing changed or it just did so."""
    now = time.monotonic()
    shown_at, last_line = _last.get(node_id, (0.0, ""))
    if now - shown_at < _INTERVAL or not _allowance.has_any(now):
        return
    line = text_of(jobs, now)
    _last[node_id] = (now, line)
    if line != last_line:
        _allowance.spend()
        send_text(node_id, line)
        await _bar(node_id, sum(progress_text(job, now).share for job in jobs) / len(jobs))


async def show_finished(
    node_id: str, title: str, results: Sequence[Result], notes: Sequence[str] = ()
) -> None:
    """Shows that a run has succeeded, with the warnings that its user must see.

    notes  what the files turned out to lack when they were decoded
    """
    _last.pop(node_id, None)
    await _bar(node_id, 1.0)
    warnings = dict.fromkeys(warning for result in results for warning in result.warnings)
    warnings |= dict.fromkeys(notes)
    lines = [_headline(title, results), *_details(results), *warnings, providers.ledger().trouble]
    send_text(node_id, "\n".join(filter(None, lines)))


def show_waiting(node_id: str, jobs: Sequence[Job], client: str) -> None:
    """Shows how jobs get on whose node waits for its turn in the queue, unless it just did so."""
    now = time.monotonic()
    shown_at, last_line = _last.get(node_id, (0.0, ""))
    if now - shown_at < _INTERVAL or not _allowance.has_any(now):
        return
    line = text_of(jobs, now)
    if line != last_line:
        _allowance.spend()
        _last[node_id] = (now, line)
        send_text(node_id, line, client)


def show_stopped(node_id: str, jobs: Sequence[Job], client: str | None = None) -> None:
    """Shows for each interrupted job that it was cancelled, or why it could not be.

    Shows nothing if the platform lets the task go on, or if the node is running again by then.
    """
    last, client = _last.get(node_id), client or PromptServer.instance.client_id
    messages: list[str] = []

    def show_error(future: Future[Result], can_cancel: bool) -> None:
        error = future.exception()
        relevant = SkyportError if can_cancel else TaskCancelled
        if isinstance(error, relevant) and _last.get(node_id) is last:
            messages.append(str(error))
            send_text(node_id, "\n".join(messages), client)

    for job in jobs:
        job.future.add_done_callback(partial(show_error, can_cancel=job.provider.can_cancel()))


def _headline(title: str, results: Sequence[Result]) -> str:
    parts = [title, tr("done")]
    if len(results) > 1:
        parts.append(tr("{count} items", count=len(results)))
    if costs := costs_of(results):
        parts.append(" + ".join(map(str, costs)))
    if all(result.reused for result in results):
        parts.append(tr("reused, no charge; change the seed for a new one"))
    return DOT.join(parts)


def costs_of(results: Sequence[Result]) -> list[Amount]:
    """What they cost, a sum a unit."""
    sums: dict[str, float] = {}
    for result in results:
        if result.cost is not None:
            sums[result.unit] = sums.get(result.unit, 0.0) + result.cost
    return [Amount(value, unit) for unit, value in sums.items()]


def _details(results: Sequence[Result]) -> list[str]:
    """`queued 1.2 s . ran 8.0 s . traceid 5f2c`, a line a task, the first few only."""
    lines = [
        DOT.join(f"{name} {value}" for name, value in result.details if is_short(value))
        for result in results
    ]
    return [*filter(None, lines)][:_MAX_DETAILS]


def text_of(jobs: Sequence[Job], now: float) -> str:
    """`HaiYi kling-v3 . running 42 % . KSampler . 0:37 of about 1:30 . queue 3/12 . 0.11 CNY`."""
    done = sum(job.future.done() for job in jobs)
    busy = next((job for job in jobs if not job.future.done()), jobs[0])
    parts = [name_of(busy)]
    if len(jobs) > 1:
        parts.append(tr("{done} of {count} done", done=done, count=len(jobs)))
    current = progress_text(busy, now)
    line = DOT.join([*parts, *current.words])
    return f"{line}\n{current.tail(_TAIL_LENGTH)}" if current.answer else line


def send_text(node_id: str, text: str, client: str | None = None) -> None:
    """Sends text below the node to the client that queued. Some frontends insert it as HTML."""
    server = PromptServer.instance
    sid = client or server.client_id
    server.send_progress_text(html.escape(text, quote=False), node_id, sid=sid)


async def _bar(node_id: str, share: float) -> None:
    await ComfyAPI.Execution().set_progress(share, 1.0, node_id=node_id)


def name_of(job: Job) -> str:
    """`HaiYi kling-v3`"""
    return f"{job.provider.label} {job.request.title}".strip()
