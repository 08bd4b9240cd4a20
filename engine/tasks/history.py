"""Jobs of the past: found by their number or their platform's task id, and brought back."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from ..base.errors import InvalidInput, SkyportError
from ..base.types import Result
from ..base.words import tr
from ..http.retry import retrying
from ..ledger.ledger import UNDER_WAY, Ledger, Query, Row, State
from ..ledger.resilient import ResilientLedger
from ..ledger.sqlite_store import Store
from ..media.files import is_intact
from ..platforms.provider import Provider
from ..platforms.registry import provider_class
from .job import Job
from .public_view import state_of
from .runner import Runner

T = TypeVar("T")
Connect = Callable[[str], Provider]

LATEST = "latest"
FRUITFUL = (*UNDER_WAY, State.SUCCEEDED, State.DELIVERED)  # has a result, or will have one
_TOLD = 5  # jobs named in an error
_TITLE = 40  # letters of a title in a line
_ANY = 1_000_000
_SUBMITTING = 0.5  # seconds between looks at an order that is being submitted


# -- find ---------------------------------------------------------------------------------------


def find(keeper: ResilientLedger, name: str) -> Row:
    """The job of that name: "latest", our number, a `line`, or a platform's task id.

    A number of ours goes before a task id. Raises InvalidInput that lists the recent ones.
    """
    text = name.strip().removeprefix("#").partition(" - ")[0].strip()
    row = latest(keeper) if text == LATEST else _numbered(keeper, text) or _of_task(keeper, text)
    if row is None:
        raise InvalidInput(tr('There is no job "{name}".', name=text), do=_recent_ones(keeper))
    return row


def latest(keeper: ResilientLedger) -> Row | None:
    """The newest job that has a result or will have one."""
    return next(iter(rows(keeper, Query(states=FRUITFUL, limit=1))), None)


def rows(keeper: ResilientLedger, query: Query) -> list[Row]:
    """The jobs that `query` asks for, newest first. Raises SkyportError where that fails."""
    return read(keeper, lambda store: store.rows(query))


def read(keeper: ResilientLedger, ask: Callable[[Store], T]) -> T:
    """What the store on disk answers; that in memory where there is none."""
    try:
        return ask(keeper.disk or keeper.memory)
    except (sqlite3.Error, OSError) as error:
        raise SkyportError(
            tr("The ledger cannot be read: {error}.", error=error),
            do=tr("Look at the disk and the data folder."),
        ) from error


def _numbered(keeper: ResilientLedger, text: str) -> Row | None:
    if not (text.isascii() and text.isdigit() and len(text) < 19):  # as far as SQLite counts
        return None
    return read(keeper, lambda store: store.get(int(text)))


def _of_task(keeper: ResilientLedger, text: str) -> Row | None:
    query = Query(text=text, limit=_ANY)
    # What a full disk did not take is in memory, under numbers that mean nothing.
    found = [*rows(keeper, query), *keeper.memory.rows(query)] if text else []
    return next((row for row in found if row.task is not None and row.task.id == text), None)


def _recent_ones(keeper: ResilientLedger) -> str:
    recent = rows(keeper, Query(states=FRUITFUL, limit=_TOLD))
    if not recent:
        return tr("The ledger holds no job with a result yet.")
    told = "; ".join(map(line, recent))
    return tr("Recent jobs: {jobs}. `skyport jobs` lists all.", jobs=told)


# -- tell ---------------------------------------------------------------------------------------


def line(row: Row) -> str:
    """`412 - kling-v3 - HaiYi 24317 - 11-20 16:03`."""
    when = time.strftime("%m-%d %H:%M", time.localtime(row.created))
    task = row.task.id if row.task else ""
    return " - ".join([str(row.id), title(row)[:_TITLE], f"{label(row)} {task}".strip(), when])


def title(row: Row) -> str:
    """What people call the job, on one line."""
    text = "".join(char if char.isprintable() else " " for char in row.record.title)
    return " ".join(text.split()) or row.record.endpoint


def label(row: Row) -> str:
    """The platform's name for people."""
    try:
        return provider_class(row.record.platform).label
    except InvalidInput:
        return row.record.platform


# -- bring back ---------------------------------------------------------------------------------


async def settled(runner: Runner, row: Row) -> Row:
    """`row`, once it is known whether the platform has taken the order."""
    blocking = runner.engine.blocking
    while row.state is State.INTENT:
        await asyncio.sleep(_SUBMITTING)
        await blocking(runner.ledger.recover)
        carried = runner.is_running(row.record.fingerprint)
        found = await blocking(partial(runner.ledger.find, row.record.fingerprint))
        row = found or row
        if not carried and runner.ledger.is_own(row):
            break  # nobody sends it any more; its end could not be written
    return row


def at_hand(row: Row) -> Result | None:
    """Its result, if every file is on this disk as it came. Reads them whole."""
    result = row.result
    return result if result is not None and all(map(is_intact, result.files)) else None


async def fetch(runner: Runner, connect: Connect, row: Row, into: Path) -> Result | Job:
    """The result of `row` where it is at hand, counted as delivered; else the job that brings it.

    Raises what `attach` does.
    """
    blocking = runner.engine.blocking
    row = await settled(runner, row)
    result = await blocking(lambda: at_hand(row))
    if result is None:
        return await attach(runner, connect, row, into)
    await blocking(lambda: record_delivered(runner.ledger, row))
    return result


async def attach(runner: Runner, connect: Connect, row: Row, into: Path) -> Job:
    """A job that waits for the task of `row`, or fetches its files again where they are gone.

    Raises InvalidInput where no result can come of it, and whatever `connect` raises.
    """
    blocking = runner.engine.blocking
    if row.task is None or row.state not in FRUITFUL:
        raise InvalidInput(_fruitless(row), do=tr("Queue its graph again for a new one."))
    provider = await blocking(lambda: reach(connect, row))
    if row.state not in UNDER_WAY and not await blocking(lambda: discard_files(runner.ledger, row)):
        raise InvalidInput(
            tr(
                "The files of job {number} are gone, and a newer equal job took its place.",
                number=row.id,
            ),
            do=tr("Load the newer one."),
            platform=label(row),
            task_id=row.task.id,
        )
    return await runner.attach(provider, row, into)


def discard_files(ledger: Ledger, row: Row) -> bool:
    """Have the files of `row` fetched again. False where a newer equal job has taken its place."""
    newest = _is_newest(ledger, row)
    if newest:
        ledger.mark_files_lost(row.record.fingerprint)
    return newest


def record_delivered(ledger: Ledger, row: Row) -> None:
    """Somebody has the result of `row` in hand."""
    if _is_newest(ledger, row):
        ledger.record_delivered(row.record.fingerprint)


def _is_newest(ledger: Ledger, row: Row) -> bool:
    """Whether `row` is the one that the ledger means by its order."""
    newest = ledger.find(row.record.fingerprint)
    return newest is not None and newest.id == row.id


def reach(connect: Connect, row: Row) -> Provider:
    """The platform of `row`, at the place the task was sent to. Raises InvalidInput elsewhere."""
    provider = connect(row.record.platform)
    if provider.http.base_url != row.record.base_url:
        raise InvalidInput(
            tr(
                "Job {number} is at {place}; the platform is now reached at {address}.",
                number=row.id,
                place=row.record.base_url,
                address=provider.http.base_url,
            ),
            do=tr("Set the platform's address back to bring its result home."),
            platform=provider.label,
            task_id=row.task.id if row.task else "",
        )
    return provider


# -- stop ---------------------------------------------------------------------------------------


def to_cancel(connect: Connect, row: Row) -> Provider:
    """The platform that may stop the task of `row`. Raises InvalidInput where none is under way."""
    if row.task is None or row.state not in UNDER_WAY:
        raise InvalidInput(
            tr("Job {number} is not under way: {state}.", number=row.id, state=state_of(row.state)),
            platform=label(row),
            task_id=row.task.id if row.task else "",
        )
    return reach(connect, row)


async def cancel(runner: Runner, provider: Provider, row: Row, why: str) -> bool:
    """Ask the platform to stop the task of `row`; False where it cannot, and it runs on."""
    task, blocking = row.task, runner.engine.blocking
    assert task is not None
    if not await retrying(lambda: provider.cancel(task), run_blocking=blocking):
        return False
    await blocking(lambda: runner.ledger.record_end(row.record.fingerprint, State.CANCELLED, why))
    return True


def _fruitless(row: Row) -> str:
    told = {"job": line(row), "reason": row.error.strip() or tr("no reason is known")}
    if row.state is State.FAILED:
        return tr("Job {job} has failed and has no result: {reason}", **told)
    if row.state is State.CANCELLED:
        return tr("Job {job} was cancelled and has no result: {reason}", **told)
    return tr(
        "Job {job} was sent and never answered. It may have been charged, and only the platform's "
        "own page can tell.",
        job=told["job"],
    )
