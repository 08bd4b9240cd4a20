"""Past jobs: find them by number or task id, load their results, cancel them."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from ..base.background import workers
from ..base.errors import InvalidInput, SkyportError
from ..base.types import Result
from ..base.words import tr
from ..http.retry import retrying
from ..ledger.graphs import Graphs
from ..ledger.ledger import ATTACHABLE, Ledger, Query, Row, State
from ..ledger.resilient import ResilientLedger
from ..media.files import is_intact
from ..platforms.provider import Provider
from ..platforms.registry import provider_class
from .job import Job
from .outcome import read_answer
from .public_view import state_of
from .results import part_on_disk, without_files
from .results import record_unreadable as record_files_unreadable
from .runner import Runner

T = TypeVar("T")
Connect = Callable[[str], Provider]

LATEST = "latest"
RETRIEVABLE = (*ATTACHABLE, State.SUCCEEDED, State.DELIVERED)  # has a result, or may get one
_MAX_LISTED = 5  # jobs listed in an error message
_MAX_TITLE = 40  # characters of a title in `line`
_NO_LIMIT = 1_000_000
_CHECK_INTERVAL = 0.5  # seconds between checks of an order that is being submitted


# -- find ---------------------------------------------------------------------------------------


def find(ledger: ResilientLedger, name: str) -> Row:
    """The job called `name`: "latest", a job number, a `line`, or a platform's task id.

    A job number wins over an equal task id. Raises InvalidInput, which lists recent jobs.
    """
    text = name.strip().removeprefix("#").partition(" - ")[0].strip()
    row = (
        latest(ledger) if text == LATEST else _by_number(ledger, text) or _by_task_id(ledger, text)
    )
    if row is None:
        raise InvalidInput(tr('There is no job "{name}".', name=text), do=_list_recent(ledger))
    return row


def latest(ledger: ResilientLedger) -> Row | None:
    """The newest job that has a result or may get one; None if there is none."""
    return next(iter(rows(ledger, Query(states=RETRIEVABLE, limit=1))), None)


def rows(ledger: ResilientLedger, query: Query) -> list[Row]:
    """The jobs that match `query`, newest first. Raises SkyportError if they cannot be read."""
    return read(ledger, lambda store: store.rows(query))


def read(ledger: ResilientLedger, call: Callable[[Graphs], T]) -> T:
    """The answer of the store on disk, or of the one in memory if there is none on disk.

    `call` only reads: it waits for no write.
    """
    try:
        return call((ledger.disk or ledger.memory).view)
    except (sqlite3.Error, OSError) as error:
        raise SkyportError(
            tr("The ledger cannot be read: {error}.", error=error),
            do=tr("Check the disk and the data folder."),
        ) from error


def _by_number(ledger: ResilientLedger, text: str) -> Row | None:
    if not (text.isascii() and text.isdigit() and len(text) < 19):  # fits an SQLite integer
        return None
    return read(ledger, lambda store: store.get(int(text)))


def _by_task_id(ledger: ResilientLedger, text: str) -> Row | None:
    query = Query(text=text, limit=_NO_LIMIT)
    # Rows that a full disk refused are in memory, where their numbers mean nothing.
    candidates = [*rows(ledger, query), *ledger.memory.rows(query)] if text else []
    return next((row for row in candidates if row.task is not None and row.task.id == text), None)


def _list_recent(ledger: ResilientLedger) -> str:
    recent = rows(ledger, Query(states=RETRIEVABLE, limit=_MAX_LISTED))
    if not recent:
        return tr("The ledger holds no job with a result yet.")
    jobs = "; ".join(map(line, recent))
    return tr("Recent jobs: {jobs}. `skyport jobs` lists all of them.", jobs=jobs)


# -- describe -----------------------------------------------------------------------------------


def line(row: Row) -> str:
    """`412 - kling-v3 - HaiYi 24317 - 11-20 16:03`."""
    when = time.strftime("%m-%d %H:%M", time.localtime(row.created))
    task = row.task.id if row.task else ""
    return " - ".join([str(row.id), title(row)[:_MAX_TITLE], f"{label(row)} {task}".strip(), when])


def title(row: Row) -> str:
    """The job's title on one line; its endpoint if it has none."""
    text = "".join(char if char.isprintable() else " " for char in row.record.title)
    return " ".join(text.split()) or row.record.endpoint


def label(row: Row) -> str:
    """The platform's display name."""
    try:
        return provider_class(row.record.platform).label
    except InvalidInput:
        return row.record.platform


# -- load ---------------------------------------------------------------------------------------


async def wait_until_submitted(runner: Runner, row: Row) -> Row:
    """`row`, reread until it is known whether the platform has accepted the order."""
    blocking = runner.engine.blocking
    while row.state is State.INTENT:
        await asyncio.sleep(_CHECK_INTERVAL)
        await blocking(runner.ledger.recover)
        running = runner.is_running(row.record.fingerprint)
        newest = await blocking(partial(runner.ledger.find, row.record.fingerprint))
        row = newest or row
        if not running and runner.ledger.is_own(row):
            break  # nobody is sending it any more: its end could not be written
    return row


def local_result(row: Row) -> Result | None:
    """The result of `row` if it is whole and intact on this disk. Reads its files whole."""
    result = row.result
    if result is None or result.missing or not all(map(is_intact, result.files)):
        return None
    return result


async def local_or_job(runner: Runner, connect: Connect, row: Row, into: Path) -> Result | Job:
    """The result of `row` from this disk; else a job that fetches what it lacks.

    Where there can be none, what is intact of the result; if that is nothing, raises what `attach`
    raises.
    """
    blocking = runner.engine.blocking
    result = await blocking(lambda: local_result(row))
    if result is not None:
        return result
    try:
        return await attach(runner, connect, row, into)
    except SkyportError as error:
        failure = error
    result = await blocking(lambda: part_on_disk(row.result, str(failure)))
    if result is None:
        raise failure
    return result


async def fetch(runner: Runner, connect: Connect, row: Row, into: Path) -> Result | Job:
    """The result of `row` from this disk, recorded as delivered; else a job that downloads it.

    Raises what `attach` raises.
    """
    blocking = runner.engine.blocking
    row = await wait_until_submitted(runner, row)
    found = await local_or_job(runner, connect, row, into)
    if isinstance(found, Result):
        await blocking(lambda: record_delivered(runner.ledger, row))
    return found


async def attach(runner: Runner, connect: Connect, row: Row, into: Path) -> Job:
    """A job that waits for the task of `row`, or downloads its files again if they are gone.

    Raises InvalidInput if `row` cannot get a result, and whatever `connect` raises.
    """
    blocking = runner.engine.blocking
    if row.can_be_looked_up:
        return await runner.attach(await blocking(lambda: provider_for(connect, row)), row, into)
    if row.task is None or row.state not in RETRIEVABLE:
        if row.state is State.UNKNOWN:  # this error says so to a person, who may order it anew
            await blocking(lambda: runner.ledger.record_told(row.record.fingerprint))
        raise InvalidInput(_no_result_reason(row), do=_next_step(row))
    provider = await blocking(lambda: provider_for(connect, row))
    is_over = row.state not in ATTACHABLE
    if is_over and not await blocking(lambda: discard_files(runner.ledger, row)):
        raise InvalidInput(
            tr(
                "The files of job {number} are gone, and a newer equal job has replaced it.",
                number=row.id,
            ),
            do=tr("Load the newer job."),
            platform=label(row),
            task_id=row.task.id,
        )
    return await runner.attach(provider, row, into)


def discard_files(ledger: Ledger, row: Row) -> bool:
    """Mark the files of `row` as lost. False if a newer equal job has replaced it."""
    newest = _is_newest(ledger, row)
    if newest:
        ledger.mark_files_lost(row.record.fingerprint)
    return newest


def record_unreadable(
    ledger: Ledger, row: Row, result: Result, reasons: Mapping[Path, str]
) -> Result:
    """`result` of `row` without the files that cannot be decoded for these reasons."""
    if _is_newest(ledger, row):
        return record_files_unreadable(ledger, row.record.fingerprint, result, reasons)
    return without_files(result, reasons)


def record_delivered(ledger: Ledger, row: Row) -> None:
    """Record that the result of `row` was delivered."""
    if _is_newest(ledger, row):
        ledger.record_delivered(row.record.fingerprint)


def _is_newest(ledger: Ledger, row: Row) -> bool:
    """Whether `row` is the newest one of its order."""
    newest = ledger.find(row.record.fingerprint)
    return newest is not None and newest.id == row.id


def provider_for(connect: Connect, row: Row) -> Provider:
    """The platform of `row`. Raises InvalidInput if its base URL has changed since the submit."""
    provider = connect(row.record.platform)
    if provider.http.base_url != row.record.base_url:
        raise InvalidInput(
            tr(
                "Job {number} was sent to {place}, but the platform's address is now {address}.",
                number=row.id,
                place=row.record.base_url,
                address=provider.http.base_url,
            ),
            do=tr("Change the platform's address back to get its result."),
            platform=provider.label,
            task_id=row.task.id if row.task else "",
        )
    return provider


# -- cancel -------------------------------------------------------------------------------------


def provider_to_cancel(connect: Connect, row: Row) -> Provider:
    """The platform that can cancel the task of `row`. Raises InvalidInput if it is not running."""
    if row.task is None or row.state not in ATTACHABLE:
        raise InvalidInput(
            tr(
                "Job {number} is not in progress: {state}.",
                number=row.id,
                state=state_of(row.state),
            ),
            platform=label(row),
            task_id=row.task.id if row.task else "",
        )
    return provider_for(connect, row)


async def cancel(runner: Runner, provider: Provider, row: Row, reason: str) -> bool:
    """Cancel the task of `row` on its platform. False if the platform cannot, and it runs on."""
    task, blocking = row.task, runner.engine.blocking
    assert task is not None
    fingerprint, cancelled = row.record.fingerprint, False
    cancel_task = partial(read_answer, provider, lambda: provider.cancel(task))
    runner.set_cancel_reason(fingerprint, reason)
    try:
        with workers(provider.name):
            cancelled = await retrying(cancel_task, run_blocking=blocking)
    finally:
        if not cancelled:
            runner.set_cancel_reason(fingerprint, "")
    if cancelled:
        end = partial(runner.ledger.record_end, fingerprint, State.CANCELLED, reason, task.id)
        await blocking(end)
    return cancelled


def raise_unless_blocked(runner: Runner, row: Row) -> None:
    """Raises InvalidInput if `row` does not keep its order from being sent again, or not yet."""
    if row.state not in (State.UNRESOLVED, State.UNKNOWN):
        raise InvalidInput(
            tr(
                "Job {number} need not be ordered anew: {state}.",
                number=row.id,
                state=state_of(row.state),
            ),
            do=tr("Queue its workflow again, or change the seed for another result."),
            platform=label(row),
        )
    if runner.is_running(row.record.fingerprint):
        raise InvalidInput(
            tr("The platform is being asked about job {number} right now.", number=row.id),
            do=tr("Order it anew once that has ended, in about a minute."),
            platform=label(row),
        )


async def order_anew(runner: Runner, row: Row) -> None:
    """Let the next equal order be a new one, which costs again. The job itself stays fetchable.

    Raises what `raise_unless_blocked` raises, also where the job has ended in the meantime.
    """
    raise_unless_blocked(runner, row)
    blocking = runner.engine.blocking
    if row.state is State.UNKNOWN and not row.can_be_looked_up:
        await blocking(lambda: runner.ledger.record_told(row.record.fingerprint))
    elif not await blocking(lambda: runner.ledger.set_apart(row.id)):
        newest = await blocking(lambda: runner.ledger.find(row.record.fingerprint))
        raise_unless_blocked(runner, newest or row)


def _no_result_reason(row: Row) -> str:
    values = {"job": line(row), "reason": row.error.strip() or tr("no reason is known")}
    if row.state is State.FAILED:
        return tr("Job {job} has failed and has no result: {reason}", **values)
    if row.state is State.CANCELLED:
        return tr("Job {job} was cancelled and has no result: {reason}", **values)
    return tr(
        "Job {job} was sent and never answered. It may have been charged: check your tasks on the "
        "platform.",
        job=values["job"],
    )


def _next_step(row: Row) -> str:
    if row.state is State.UNKNOWN:
        return tr("If it is not there, queue its workflow again: that costs again.")
    return tr("Queue its workflow again to start a new one.")
