"""Progress of a running node: the bar and a line of text, updated a few times a second at most."""

from __future__ import annotations

import html
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial

from comfy_api.latest import ComfyAPI
from server import PromptServer

from ... import providers
from ...engine.base.errors import SkyportError, TaskCancelled
from ...engine.base.types import Amount, Result
from ...engine.base.words import tr
from ...engine.tasks.job import Job
from ...engine.tasks.progress import DOT, progress_text, share_of
from ...engine.tasks.public_view import is_short

_INTERVAL = 0.4  # seconds
_MAX_DETAILS = 4  # tasks of a batch whose details are shown
_MAX_LINES = 20  # warnings or errors of a batch that are shown
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


@dataclass
class _Calls:
    """The executions of one node, one for each item of a list, which share its bar and text.

    open      those that have not finished
    jobs      what all of them have waited for
    stopping  jobs whose end is still to be shown
    """

    open: set[object] = field(default_factory=set)
    jobs: list[Job] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stopping: int = 0
    errors: list[str] = field(default_factory=list)


_calls: dict[str, _Calls] = {}
_call: ContextVar[tuple[_Calls, object] | None] = ContextVar("skyport_progress", default=None)


@contextmanager
def call_of(node_id: str | None) -> Iterator[None]:
    """What is shown inside is of one execution of the node."""
    key, call = node_id or "", object()
    calls = _calls.setdefault(key, _Calls())
    calls.open.add(call)
    token = _call.set((calls, call))
    try:
        yield
    finally:
        _call.reset(token)
        calls.open.discard(call)
        if not calls.open and _calls.get(key) is calls:
            del _calls[key]


def count_in(node_id: str, jobs: Sequence[Job]) -> None:
    """The node's bar and text are of these jobs too."""
    if calls := _calls.get(node_id):
        calls.jobs += jobs


def _calls_of(node_id: str) -> _Calls:
    return _calls.get(node_id) or _Calls()


async def show(node_id: str, jobs: Sequence[Job]) -> None:
    """Updates bar and text for the jobs under way, unless nothing changed or it just did so."""
    now = time.monotonic()
    shown_at, last_line = _last.get(node_id, (0.0, ""))
    if now - shown_at < _INTERVAL or not _allowance.has_any(now):
        return
    jobs = _calls_of(node_id).jobs or jobs
    line = text_of(jobs, now)
    _last[node_id] = (now, line)
    if line != last_line:
        _allowance.spend()
        send_text(node_id, line)
        await _bar(node_id, sum(share_of(job, now) for job in jobs) / len(jobs))


async def show_finished(
    node_id: str, title: str, results: Sequence[Result], notes: Sequence[str] = ()
) -> None:
    """Shows that a run has succeeded, with the warnings that its user must see.

    notes  what the files turned out to lack when they were decoded
    Where the node was called for each item of a list, the last one shows it for all.
    """
    calls, call = _call.get() or (_Calls(), None)
    calls.open.discard(call)
    calls.results += results
    calls.notes += notes
    if calls.open:
        return
    _last.pop(node_id, None)
    await _bar(node_id, 1.0)
    warnings = [warning for result in calls.results for warning in result.warnings]
    lines = [_headline(title, calls.results), *_details(calls.results)]
    lines += _first([*warnings, *calls.notes])
    send_text(node_id, "\n".join(filter(None, [*lines, providers.ledger().trouble])))


def _first(lines: Iterable[str]) -> list[str]:
    """The different ones of `lines`, and of a thousand how many more there are."""
    unique = list(dict.fromkeys(lines))
    more = len(unique) - _MAX_LINES
    rest = [tr("... and {count} more.", count=more)]
    return [*unique[:_MAX_LINES], *(rest if more > 0 else [])]


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
    calls = _calls_of(node_id)
    calls.stopping += len(jobs)

    def show_error(future: Future[Result], can_cancel: bool) -> None:
        error = future.exception()
        relevant = SkyportError if can_cancel else TaskCancelled
        calls.stopping -= 1
        if isinstance(error, relevant):
            calls.errors.append(str(error))
        is_due = not calls.stopping or _allowance.has_any(time.monotonic())
        if calls.errors and is_due and _last.get(node_id) is last:
            _allowance.spend()
            send_text(node_id, "\n".join(_first(calls.errors)), client)

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
