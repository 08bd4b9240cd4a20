"""Running requests for a node: wait, show progress, obey Interrupt, deliver what came."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import comfy.model_management as host
from comfy_execution.utils import get_executing_context

from ... import providers
from ...engine.base.errors import BadResult, SkyportError, TaskCancelled
from ...engine.base.types import Request, Result
from ...engine.base.words import tr
from ...engine.http.retry import retrying
from ...engine.ledger.ledger import Row, Source, fingerprint_of
from ...engine.platforms.provider import Provider
from ...engine.tasks import history
from ...engine.tasks.job import Job
from . import progress

T = TypeVar("T")
Ask = Callable[[], tuple[Provider, Sequence[Request]]]
Begin = Callable[[list[Job]], Coroutine[Any, Any, None]]  # appends the jobs as they begin

_LOOK_EVERY = 0.3  # seconds between looks at Interrupt; half a second is promised


async def run(node_id: str, ask: Ask, hand_over: Callable[[list[Result]], T]) -> T:
    """Runs the requests that `ask` makes, in a thread, side by side, and gives their results, in
    order, to `hand_over` in a thread.

    All until they are under way happens off ComfyUI's loop: the next node may block that at once.

    Only when that has returned do the results count as delivered; files that it cannot read
    (BadResult) are fetched again by the next queue. Raises ComfyUI's InterruptProcessingException
    when the user interrupts, and one SkyportError that names every item that failed; what the
    others brought is kept and reused by the next queue.
    """
    runner, into, source = providers.runner(), providers.results(), _source(node_id)

    async def begin(jobs: list[Job]) -> None:
        provider, requests = await runner.engine.blocking(ask)
        for one in _numbered(requests):
            jobs.append(await runner.begin(provider, one, into, source))

    return await _followed(node_id, begin, hand_over)


async def load(node_id: str, row: Row, hand_over: Callable[[list[Result]], T]) -> T:
    """Gives the result of a job of the past to `hand_over` in a thread, as `run` does.

    Waits for a task under way, and has files fetched again that are gone. Raises InvalidInput for a
    job that has no result.
    """
    runner = providers.runner()
    row = await interruptible(history.settled(runner, row))
    result = await in_thread(lambda: history.at_hand(row))
    if result is None:
        attach = partial(history.attach, runner, providers.connect, row, providers.results())

        async def begin(jobs: list[Job]) -> None:
            jobs.append(await attach())

        return await _followed(node_id, begin, hand_over, stops=False)
    handed = await in_thread(lambda: _deliver_kept(row, result, hand_over))
    title = f"{history.label(row)} {history.title(row)}"
    await progress.finished(node_id, title, [result])
    return handed


async def _followed(
    node_id: str,
    begin: Begin,
    hand_over: Callable[[list[Result]], T],
    stops: bool = True,
) -> T:
    """Waits for the jobs that `begin` starts or joins, and hands over what they bring.

    stops  Interrupt ends the tasks too, where their platform can; who only looks on must not
    """
    jobs: list[Job] = []
    beginning = providers.runner().engine.start(begin(jobs))
    try:
        await _unless_interrupted(beginning)
        await _settled(node_id, jobs)
    except BaseException as error:
        stopped = stops and isinstance(error, host.InterruptProcessingException)
        beginning.cancel()
        _leave(jobs, stopped)
        if stopped:
            progress.tell_stopped(node_id, jobs)
        raise
    results = _results(jobs)
    handed = await in_thread(lambda: _deliver(jobs, results, hand_over))
    await progress.finished(node_id, progress.name_of(jobs[0]), results)
    return handed


def _leave(jobs: list[Job], stop: bool) -> None:
    """Leave the jobs there are once the engine has heard that no more are to begin."""
    runner = providers.runner()

    def leave() -> None:
        for job in jobs:
            runner.leave(job, stop=stop)

    runner.engine.loop.call_soon_threadsafe(leave)


def _source(node_id: str) -> Source:
    """The node and the prompt that are being executed."""
    context = get_executing_context()
    return Source(node_id, (context.prompt_id if context else "") or "")


async def in_thread(call: Callable[[], T]) -> T:
    """A blocking call in the engine's threads: ComfyUI joins its own at the end of a prompt."""
    engine = providers.runner().engine
    return await asyncio.wrap_future(engine.start(engine.blocking(call)))


async def ask(call: Callable[[], T]) -> T:
    """A free question to a platform, repeated as reads are."""
    return await interruptible(retrying(call, run_blocking=providers.runner().engine.blocking))


async def interruptible(work: Coroutine[Any, Any, T]) -> T:
    """The outcome of `work` on the engine's loop, given up when the user interrupts."""
    return await _unless_interrupted(providers.runner().engine.start(work))


async def _unless_interrupted(future: Future[T]) -> T:
    waiting = asyncio.wrap_future(future)
    while not waiting.done():
        check_interrupt()
        await asyncio.wait({waiting}, timeout=_LOOK_EVERY)
    return waiting.result()


def check_interrupt() -> None:
    """Raises ComfyUI's own exception after Interrupt, and leaves the flag for other nodes."""
    if host.processing_interrupted():
        raise host.InterruptProcessingException()


async def _settled(node_id: str, jobs: Sequence[Job]) -> None:
    """Returns when every job has ended, well or badly."""
    changed = _wakes_on_end(jobs)
    while not all(job.future.done() for job in jobs):
        check_interrupt()
        await progress.show(node_id, jobs)
        changed.clear()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(changed.wait(), _LOOK_EVERY)
    check_interrupt()


def _wakes_on_end(jobs: Sequence[Job]) -> asyncio.Event:
    """An event of this loop, set whenever a job ends; harmless when the loop is gone by then."""
    event, loop = asyncio.Event(), asyncio.get_running_loop()

    def wake(_: Any) -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(event.set)

    for job in jobs:
        job.future.add_done_callback(wake)
    return event


def _results(jobs: Sequence[Job]) -> list[Result]:
    """The results of all, or an error that names those that failed."""
    errors = {n: job.future.exception() for n, job in enumerate(jobs, 1) if job.future.exception()}
    if errors:
        raise _told(errors, len(jobs))
    return [job.future.result() for job in jobs]


def _deliver(
    jobs: Sequence[Job], results: list[Result], hand_over: Callable[[list[Result]], T]
) -> T:
    runner = providers.runner()
    try:
        handed = hand_over(results)
    except BadResult:
        for job in jobs:
            runner.mark_files_lost(job)
        raise
    for job in jobs:
        runner.record_delivered(job)
    return handed


def _deliver_kept(row: Row, result: Result, hand_over: Callable[[list[Result]], T]) -> T:
    ledger = providers.runner().ledger
    try:
        handed = hand_over([result])
    except BadResult:
        history.discard_files(ledger, row)
        raise
    history.record_delivered(ledger, row)
    return handed


def _told(errors: dict[int, BaseException | None], count: int) -> BaseException:
    first = next(error for error in errors.values() if error is not None)
    if isinstance(first, TaskCancelled) and host.processing_interrupted():
        return host.InterruptProcessingException()
    first = copy.copy(first)  # the job may be shared, and each node tells its own story of it
    if isinstance(first, SkyportError):
        trouble = providers.ledger().trouble if first.task_id else ""
        told = [first.do, _others(errors, count), trouble]
        first.do = " ".join(part for part in told if part)
    return first


def _others(errors: dict[int, BaseException | None], count: int) -> str:
    """What became of the other items of a batch."""
    if count == 1:
        return ""
    return tr(
        "Of {count} items these failed: {items}. The others are kept: queue again and only "
        "the failed ones are submitted anew.",
        count=count,
        items=", ".join(str(number) for number in errors),
    )


def _numbered(requests: Sequence[Request]) -> list[Request]:
    """Equal requests of one batch, told apart by their copy number."""
    seen: Counter[str] = Counter()
    numbered = []
    for request in requests:
        fingerprint = fingerprint_of(request, "")
        numbered.append(replace(request, copy=seen[fingerprint]))
        seen[fingerprint] += 1
    return numbered
