"""Runs requests for a node: waits, shows progress, obeys Interrupt, delivers the results."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import comfy.model_management as host

from ... import providers
from ...engine.base.errors import BadResult, SkyportError, TaskCancelled
from ...engine.base.types import Request, Result
from ...engine.base.words import tr
from ...engine.http.retry import retrying
from ...engine.ledger.ledger import Row, fingerprint_of
from ...engine.media import notes
from ...engine.platforms.provider import Provider
from ...engine.tasks import history
from ...engine.tasks.job import Job
from ...engine.tasks.progress import DOT
from ...engine.tasks.results import has_any_of
from .._media import sent_pictures
from . import begun_ahead, interrupts, node_outcomes, practice, progress, watch
from .node_outputs import Delivered

T = TypeVar("T")
MakeRequests = Callable[[], tuple[Provider, Sequence[Request]]]
Begin = Callable[[list[Job]], Coroutine[Any, Any, None]]  # appends each job as it starts


async def run(node_id: str, make_requests: MakeRequests, deliver: Callable[[list[Result]], T]) -> T:
    """Runs requests concurrently and passes their results, in order, to `deliver`.

    Both callbacks run in threads. The tasks are started off ComfyUI's loop, which the next node may
    block at once.

    Results count as delivered once `deliver` has returned; files that it cannot read (BadResult)
    are fetched again the next time the workflow is queued. Raises ComfyUI's
    InterruptProcessingException when the user interrupts, and a single SkyportError that names
    every failed item; the results of the others are kept for the next time.
    """
    call, engine = begun_ahead.current_call(node_id), providers.runner().engine

    async def begin(jobs: list[Job]) -> None:
        provider, requests = await engine.blocking(make_requests)
        await begin_orders(call, provider, number_copies(requests), jobs)

    await only_begin_ahead(call, begin)
    return await _follow(node_id, begin, noting_change(call, deliver))


async def only_begin_ahead(call: begun_ahead.Call, begin: Begin) -> None:
    """Where the node's orders are begun before it runs: `begin`, and Begun is raised."""
    if call.rank is not None:
        await asyncio.wrap_future(providers.runner().engine.start(begin([])))
        raise begun_ahead.Begun


async def begin_orders(
    call: begun_ahead.Call, provider: Provider, requests: Sequence[Request], jobs: list[Job]
) -> None:
    """Begins the orders of a node's call, or takes over what was begun ahead; to `jobs`."""
    practice.check(call.source.prompt_id)
    if call.rank is not None:
        await begun_ahead.begin(call, provider, requests)
        return
    orders = begun_ahead.orders_of(call, provider, requests)
    await providers.runner().begin_all(provider, orders, providers.results(), call.source, jobs)
    begun_ahead.hand_over(call)


def noting_change(
    call: begun_ahead.Call, deliver: Callable[[list[Result]], T]
) -> Callable[[list[Result]], T]:
    """`deliver`, which says so where the results are not for the inputs as they are now."""

    def deliver_and_note(results: list[Result]) -> T:
        if call.is_outdated:
            _run_again[call.source.node_id] += 1
            notes.note(
                tr("An input has changed since this was queued: the result is for the earlier one.")
            )
        if call.is_anew:
            notes.note(
                tr(
                    "Inputs have changed since this was queued: what is new was ordered now. What "
                    "had been begun and is not needed any more is in the list of jobs."
                )
            )
        return deliver(results)

    return deliver_and_note


async def load(node_id: str, row: Row, deliver: Callable[[list[Result]], T]) -> T:
    """Passes the result of an earlier job to `deliver` in a thread, as `run` does.

    Waits for a task that is still running, and fetches missing files again. Raises InvalidInput for
    a job that has no result.
    """
    runner = providers.runner()
    row = await interruptible(history.wait_until_submitted(runner, row))
    into = providers.results()
    found = await interruptible(history.local_or_job(runner, providers.connect, row, into))
    if isinstance(found, Job):

        async def begin(jobs: list[Job]) -> None:
            jobs.append(found)

        return await _follow(node_id, begin, deliver, watching=False)
    (output, result), said = await in_thread(
        lambda: _noting(lambda: _deliver_past(row, found, deliver))
    )
    title = f"{history.label(row)} {history.title(row)}"
    node_outcomes.note_orders({row.record.fingerprint: history.label(row)})
    await _show_finished(node_id, title, [result], said)
    return output


async def _follow(
    node_id: str,
    begin: Begin,
    deliver: Callable[[list[Result]], T],
    watching: bool = True,
) -> T:
    """Waits for the jobs that `begin` starts or joins, and delivers their results."""
    return await finish(node_id, await wait_for_jobs(node_id, begin, watching), deliver)


async def wait_for_jobs(node_id: str, begin: Begin, watching: bool = True) -> list[Job]:
    """The jobs that `begin` starts or joins, once all have ended, successfully or not.

    watching  the jobs run for this node: Interrupt cancels their tasks, if the platform can
    """
    jobs: list[Job] = []
    beginning = providers.runner().engine.start(begin(jobs))
    try:
        await _unless_interrupted(beginning)
        _keep_pictures(jobs)
        await _wait_for_all(node_id, jobs)
    except BaseException as error:
        stopped = watching and _is_interrupt(error, node_id)
        beginning.cancel()
        if watching:
            _leave(jobs, stopped)
        if stopped:
            progress.show_stopped(node_id, jobs)
        raise
    finally:
        node_outcomes.note_jobs(jobs)
    return jobs


def _is_interrupt(error: BaseException, node_id: str) -> bool:
    """Whether the user has interrupted: ComfyUI cancels the other nodes once one has seen it."""
    if isinstance(error, asyncio.CancelledError):
        return interrupts.was_interrupted(begun_ahead.current_call(node_id).source.prompt_id)
    return isinstance(error, host.InterruptProcessingException)


def _keep_pictures(jobs: Sequence[Job]) -> None:
    """Begins to keep small pictures of what the jobs send; nothing waits for that."""
    engine, requests = providers.runner().engine, [job.request for job in jobs]
    engine.start(engine.blocking(lambda: sent_pictures.keep(requests)))


async def finish(
    node_id: str,
    jobs: list[Job],
    deliver: Callable[[list[Result]], T],
    note: str = "",
) -> T:
    """Delivers the results of jobs that have ended; `note` is shown beside the platform's name.

    Raises a single SkyportError that names every failed item.
    """
    errors = {n: job.future.exception() for n, job in enumerate(jobs, 1) if job.future.exception()}
    if errors:
        raise await error_of(jobs, errors, len(jobs))
    found = [job.future.result() for job in jobs]
    (output, results), said = await in_thread(
        lambda: _noting(lambda: _deliver(jobs, found, deliver))
    )
    title = DOT.join(filter(None, (progress.name_of(jobs[0]), note)))
    await _show_finished(node_id, title, results, said)
    return output


async def _show_finished(
    node_id: str, title: str, results: Sequence[Result], said: Sequence[str]
) -> None:
    """`said`: what the person should know of files that were read in part"""
    await progress.show_finished(node_id, title, results, said)
    node_outcomes.note_results(results, [*said, providers.ledger().trouble])
    if any(result.missing for result in results):
        _run_again[node_id] += 1


async def error_of(
    jobs: Sequence[Job], errors: Mapping[int, BaseException | None], count: int
) -> BaseException:
    """One error for those of `count` items, by number; what its jobs say is recorded as told."""
    await in_thread(lambda: _record_told(jobs))
    return _combined_error(errors, count)


def _noting(call: Callable[[], T]) -> tuple[T, list[str]]:
    """What `call` returns, and what the person should know of files that were read in part."""
    with notes.collected() as texts:
        return call(), texts


def _leave(jobs: list[Job], stop: bool) -> None:
    """Leaves the jobs, once the engine has processed the order to begin no more."""
    runner = providers.runner()

    def leave() -> None:
        for job in jobs:
            runner.leave(job, stop=stop)

    runner.engine.loop.call_soon_threadsafe(leave)


async def in_thread(call: Callable[[], T]) -> T:
    """A blocking call in the engine's threads: ComfyUI joins its own at the end of a prompt."""
    return await asyncio.wrap_future(providers.runner().engine.submit(call))


async def query(call: Callable[[], T]) -> T:
    """Runs a free read-only call to a platform, with the usual retries."""
    return await interruptible(retrying(call, run_blocking=providers.runner().engine.blocking))


async def interruptible(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work` on the engine's loop; stops waiting when the user interrupts."""
    return await _unless_interrupted(providers.runner().engine.start(work))


async def _unless_interrupted(future: Future[T]) -> T:
    waiting = asyncio.wrap_future(future)
    await watch.until_done(waiting)
    return waiting.result()


async def _wait_for_all(node_id: str, jobs: Sequence[Job]) -> None:
    """Returns when every job has ended, successfully or not."""
    progress.count_in(node_id, jobs)
    await watch.until_done(_all_ended(jobs), node_id, jobs)
    watch.check_interrupt()


def _all_ended(jobs: Sequence[Job]) -> asyncio.Future[None]:
    """Done once every job has ended; harmless if the loop has closed by then."""
    loop, left = asyncio.get_running_loop(), len(jobs)
    ended: asyncio.Future[None] = loop.create_future()

    def note_one() -> None:
        nonlocal left
        left -= 1
        if left <= 0 and not ended.done():
            ended.set_result(None)

    def wake(_: Any) -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(note_one)

    for job in jobs:
        job.future.add_done_callback(wake)
    if not jobs:
        note_one()
    return ended


def _record_told(jobs: Sequence[Job]) -> None:
    """Records that the person sees on the node which of the orders may have been charged."""
    runner = providers.runner()
    for job in jobs:
        runner.record_told(job)


def _deliver(
    jobs: Sequence[Job], results: list[Result], deliver: Callable[[list[Result]], T]
) -> tuple[T, list[Result]]:
    """What `deliver` made of the results, and the results without what could not be decoded."""
    runner = providers.runner()
    try:
        output = deliver(results)
    except BadResult as error:
        for job in jobs:
            if not error.unreadable:
                runner.mark_files_lost(job)
            elif has_any_of(job.future.result(), error.unreadable):
                runner.record_unreadable(job, error.unreadable)
        raise
    reasons = _unreadable(output)
    for number, job in enumerate(jobs):
        if has_any_of(results[number], reasons):
            results[number] = runner.record_unreadable(job, reasons)
        runner.record_delivered(job)
    return output, results


def _deliver_past(
    row: Row, result: Result, deliver: Callable[[list[Result]], T]
) -> tuple[T, Result]:
    ledger = providers.runner().ledger
    try:
        output = deliver([result])
    except BadResult as error:
        if error.unreadable:
            history.record_unreadable(ledger, row, result, error.unreadable)
        else:
            history.discard_files(ledger, row)
        raise
    if reasons := _unreadable(output):
        result = history.record_unreadable(ledger, row, result, reasons)
    history.record_delivered(ledger, row)
    return output, result


def _unreadable(output: Any) -> Mapping[Path, str]:
    return output.unreadable if isinstance(output, Delivered) else {}


# -- run again although ComfyUI has its outputs -------------------------------------------------

_run_again: Counter[str] = Counter()


def times_to_run_again(node_id: str | None) -> int:
    """How often the node has delivered without all results, or those of earlier inputs.

    As part of its fingerprint it keeps ComfyUI from reusing such outputs: queued again, the node
    runs, and fetches what is missing or orders for its inputs as they are.
    """
    return _run_again[node_id or ""]


def _combined_error(errors: Mapping[int, BaseException | None], count: int) -> BaseException:
    first = next(error for error in errors.values() if error is not None)
    if isinstance(first, TaskCancelled) and host.processing_interrupted():
        return host.InterruptProcessingException()
    first = copy.copy(first)  # nodes may share the job, and each adds its own advice
    if isinstance(first, SkyportError):
        ledger_trouble = providers.ledger().trouble if first.task_id else ""
        parts = [first.do, _other_items(errors, count), ledger_trouble]
        first.do = " ".join(part for part in parts if part)
    return first


def _other_items(errors: Mapping[int, BaseException | None], count: int) -> str:
    """What happened to the other items of a batch."""
    if count == 1:
        return ""
    if len(errors) == count:
        return tr("All {count} items failed.", count=count)
    return tr(
        "Of {count} items, these failed: {items}. The others are kept: queue again to submit "
        "only the failed ones.",
        count=count,
        items=", ".join(str(number) for number in errors),
    )


def number_copies(requests: Sequence[Request]) -> list[Request]:
    """Numbers equal requests of one batch, so that each is a task of its own."""
    seen: Counter[str] = Counter()
    numbered = []
    for request in requests:
        fingerprint = fingerprint_of(request, "")
        numbered.append(replace(request, copy=seen[fingerprint]))
        seen[fingerprint] += 1
    return numbered
