"""Running a batch: rows are read as they are needed, and every row is an order of the ledger."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..base.background import workers
from ..base.errors import (
    AuthRejected,
    InvalidInput,
    LimitReached,
    MissingKey,
    OutOfCredit,
    SkyportError,
    TaskCancelled,
)
from ..base.types import Json, Request, Result
from ..base.words import tr
from ..http.retry import retrying
from ..ledger.ledger import Ledger, Row, Source, State, fingerprint_of, is_new_order
from ..platforms.provider import Provider
from ..settings import settings
from ..spend.price import Price
from ..tasks.job import Job
from ..tasks.runner import Runner
from .columns import Columns
from .orders import Orders
from .output import Output
from .store import BatchStore, RowState, StoredRow
from .table import Table, TableRow

MOST_AT_ONCE = 1000  # rows under way where nobody says how many; it bounds the memory
_WORKERS = "batch"
_STOPS = (AuthRejected, OutOfCredit, MissingKey)  # what the next row would be told as well
_NOT_SENT = ("waiting", "preparing", "fetching", "uploading")  # stages of a job
_LOOK = 0.05  # seconds between looks at what is being sent
_NOT_CHARGED = (RowState.REFUSED, RowState.FAILED)


@dataclass(frozen=True)
class Plan:
    """What a batch does.

    copies         whether equal rows are orders of their own
    retry_failed   whether rows whose order has failed are ordered anew
    retry_unknown  whether those are that may have been charged already
    needs_price    whether a limit of cost holds, which an order of unknown price would pass by
    last_job       where several processes work on it: the last job of before, as what failed after
                   that is not ordered anew by one of the others
    """

    table: Table
    columns: Columns
    orders: Orders
    at_once: int = 8
    copies: bool = False
    retry_failed: bool = False
    retry_unknown: bool = False
    needs_price: bool = False
    last_job: int | None = None

    def id(self, base_url: str) -> str:
        """Equal for the same command on a table of the same content, TABLE-COMMAND-CONTENT.

        The first part is equal for whatever is done with the table at that path.
        """
        columns = [dict(self.columns.mapped), dict(self.columns.same), sorted(self.columns.ignored)]
        command = _short_hash([base_url, self.orders.identity, columns, self.copies])
        return f"{_short_hash(str(self.table.path))}-{command}-{self.table.digest()[:16]}"

    def request(self, row: TableRow) -> Request:
        """What the row orders. Raises InvalidInput."""
        if row.error:
            raise InvalidInput(row.error)
        return self.orders.request(self.columns.values(row), self.table.folder)


@dataclass
class Tally:
    """How far a batch is. Read from any thread."""

    total: int
    states: Counter[RowState] = field(default_factory=Counter)
    costs: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    under_way: int = 0

    def add(self, row: StoredRow) -> None:
        self.states[row.state] += 1

    @property
    def settled(self) -> int:
        return sum(self.states.values())


@dataclass(frozen=True)
class _ToOrder:
    """A row that is to be ordered, or whose order is looked at again."""

    row: TableRow
    request: Request
    stored: StoredRow


class _NotKept(Exception):
    """A result that has been paid for cannot be put where the results go."""

    def __init__(self, reason: SkyportError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class BatchRun:
    """One run of a batch. `run` is awaited on the engine's loop.

    price  of a request to a base URL, None where nobody knows
    """

    def __init__(
        self,
        plan: Plan,
        batch_id: str,
        provider: Provider,
        runner: Runner,
        store: BatchStore,
        output: Output,
        into: Path,
        tally: Tally,
        price: Callable[[Request, str], Price | None],
    ) -> None:
        self._plan = plan
        self._id = batch_id
        self._provider = provider
        self._runner = runner
        self._ledger: Ledger = runner.ledger
        self._store = store
        self._output = output
        self._into = into
        self._price = price
        self.tally = tally
        self.stopped_by: SkyportError | None = None
        self._is_stopping = False
        self._jobs: dict[int, Job] = {}
        self._one_ended = asyncio.Event()
        self._in_flight: Counter[str] = Counter()  # by fingerprint, from its row on
        self._retried: set[str] = set()

    def stop(self) -> None:
        """Begin no more rows. From any thread."""
        self._is_stopping = True

    async def leave(self, patience_s: float) -> None:
        """Stop what was not sent yet; wait so long for the task ids of what is being sent.

        What the platform works on goes on there.
        """
        self.stop()
        until = asyncio.get_running_loop().time() + patience_s
        for job in self._jobs.values():
            if job.snapshot.stage in _NOT_SENT:
                job.stop.set()
        while self._awaits_task_id() and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK)

    def _awaits_task_id(self) -> bool:
        snapshots = [job.snapshot for job in self._jobs.values()]
        return any(one.stage != "running" and not one.task_id for one in snapshots)

    async def run(self) -> None:
        """Every row once. Raises InvalidInput where the table or a folder cannot be used."""
        rows = self._plan.table.rows()
        pending: set[asyncio.Task[None]] = set()
        with workers(_WORKERS):
            try:
                while (one := await self._blocking(lambda: self._next(rows))) is not None:
                    self._in_flight[one.stored.mark] += 1
                    pending.add(asyncio.ensure_future(self._order(one)))
                    if len(pending) >= self._plan.at_once:
                        pending = await _one_of(pending)
                while pending:
                    pending = await _one_of(pending)
            finally:
                self._is_stopping = True
                await asyncio.gather(*pending, return_exceptions=True)

    async def _blocking(self, call: Callable[[], _ToOrder | None]) -> _ToOrder | None:
        return await self._runner.engine.blocking(call)

    # -- before a row is ordered ----------------------------------------------------------------

    def _next(self, rows: Iterator[TableRow]) -> _ToOrder | None:
        """The next row to order; those before it are settled without. None at the end."""
        for row in rows:
            if self._is_stopping:
                return None
            found = self._prepared(row)
            if found is not None:
                return found
        return None

    def _prepared(self, row: TableRow) -> _ToOrder | None:
        stored = StoredRow(row.number, row.line)
        try:
            request = self._plan.request(row)
            stored, request = self._identified(stored, request)
            if self._is_done(row, stored):
                return None
            known = self._ledger.find(stored.mark)
            if (ended := self._as_it_ended(stored, known)) is not None:
                self._settle(ended)
                return None
            self._check_price(request, known)
        except _NotKept as failure:  # the row stays as it is: its result has been paid for
            self.stopped_by = failure.reason
            self.stop()
            return None
        except SkyportError as error:
            self._settle(replace(stored, state=RowState.REFUSED, error=str(error)))
            return None
        self._store.write(self._id, stored)
        return _ToOrder(row, request, stored)

    def _identified(self, stored: StoredRow, request: Request) -> tuple[StoredRow, Request]:
        """The row with the fingerprints of its order; a copy is an order of its own."""
        base_url = self._provider.http.base_url
        base = fingerprint_of(request, base_url)
        mark = base
        if self._plan.copies:
            request = replace(
                request, copy=self._store.copies_before(self._id, base, stored.number)
            )
            mark = fingerprint_of(request, base_url)
        return replace(stored, base=base, mark=mark), request

    def _is_done(self, row: TableRow, stored: StoredRow) -> bool:
        """Whether the row has its result here; that of an equal row is made its own."""
        before = self._store.find(self._id, row.number)
        if before is not None and before.mark == stored.mark and self._is_here(before):
            self._record_delivered(stored.mark)
            self.tally.add(before)
            return True
        equal = self._store.find_done(stored.mark)
        try:
            result = equal and self._output.keep_again(row.number, row.name, equal.result)
        except SkyportError as error:
            raise _NotKept(error) from None
        if equal is None or result is None:
            return False
        self._settle(
            replace(equal, number=row.number, line=row.line, base=stored.base, result=result)
        )
        return True

    def _record_delivered(self, mark: str) -> None:
        """Of a process that ended after it had written down the row, and before this."""
        known = self._ledger.find(mark)
        if known is not None and known.state is State.SUCCEEDED:
            self._ledger.record_delivered(mark)

    def _is_here(self, row: StoredRow) -> bool:
        return row.state is RowState.DONE and self._output.has(row.result)

    def _as_it_ended(self, stored: StoredRow, known: Row | None) -> StoredRow | None:
        """The row as its order ended before, where it is not to be ordered anew."""
        if known is None or stored.mark in self._in_flight:
            return None
        if known.state is State.UNKNOWN and not known.can_be_looked_up:
            if self._is_unknown_retried(stored, known):
                self._ledger.record_told(stored.mark)
                return None
            return _with_job(replace(stored, state=RowState.UNKNOWN, error=_unknown_text()), known)
        is_failed = known.state in (State.FAILED, State.CANCELLED)
        if is_failed and not self._is_failed_retried(stored, known):
            return _with_job(replace(stored, state=RowState.FAILED, error=known.error), known)
        return None

    def _is_unknown_retried(self, stored: StoredRow, known: Row) -> bool:
        """Only what this command has listed before: nobody pays twice without having been told."""
        listed = self._store.find_equal(self._id, stored.mark, RowState.UNKNOWN)
        is_listed = listed is not None and listed.job == known.id
        return self._plan.retry_unknown and is_listed and self._is_first_retry(stored)

    def _is_failed_retried(self, stored: StoredRow, known: Row) -> bool:
        """Also an order that failed outside of all batches, or that only the account stopped.

        A table that was changed is another batch, and what failed there is left alone here too.
        """
        before = self._store.find(self._id, stored.number)
        if before is None or before.mark != stored.mark:
            before = self._store.find_equal(self._id, stored.mark)
        if before is None and not self._store.was_ordered(stored.mark):
            return True
        if before is not None and before.state is RowState.WAITING:
            return True
        is_of_before = self._plan.last_job is None or known.id <= self._plan.last_job
        return self._plan.retry_failed and is_of_before and self._is_first_retry(stored)

    def _is_first_retry(self, stored: StoredRow) -> bool:
        """Equal rows are one order: it is sent anew once."""
        is_first = stored.mark not in self._retried
        self._retried.add(stored.mark)
        return is_first

    def _check_price(self, request: Request, known: Row | None) -> None:
        """Raises InvalidInput for an order that a limit of cost could not hold."""
        if not self._plan.needs_price or not is_new_order(known, self._reuses()):
            return
        if self._price(request, self._provider.http.base_url) is None:
            raise InvalidInput(
                tr(
                    "Its price is not known, so that {option} could not hold it.",
                    option="--limit-cost",
                ),
                do=tr("Write the price into prices.json, or use {option}.", option="--limit-tasks"),
            )

    def _reuses(self) -> bool:
        return settings.load().reuse_results

    # -- the order of a row -----------------------------------------------------------------------

    async def _order(self, one: _ToOrder) -> None:
        number = one.row.number
        self.tally.under_way += 1
        try:
            job = await self._begin(one)
            self._jobs[number] = job
            result = await asyncio.wrap_future(job.future)
            kept = await self._kept(one, result)
            await self._runner.engine.blocking(lambda: self._deliver(one, job, result, kept))
        except Exception as error:
            failure = error
            await self._runner.engine.blocking(lambda: self._fail(one, failure))
        finally:
            self.tally.under_way -= 1
            self._jobs.pop(number, None)
            self._in_flight[one.stored.mark] -= 1
            if not self._in_flight[one.stored.mark]:
                del self._in_flight[one.stored.mark]
            self._one_ended.set()
            self._one_ended = asyncio.Event()

    async def _begin(self, one: _ToOrder) -> Job:
        """The job of the row, as soon as the limits have room for it. Raises LimitReached."""
        source = Source(prompt_id=queue_of(self._id))
        while True:
            try:
                return await self._runner.begin(self._provider, one.request, self._into, source)
            except LimitReached:
                # Less may be charged for those under way than was set aside for them.
                if not self._jobs or self._is_stopping:
                    raise
                await self._one_ended.wait()

    async def _kept(self, one: _ToOrder, result: Result) -> list[str]:
        """The names of the files where the results go. Not delivered before: an upload that has
        failed is gone on with by the same command, at no charge."""
        try:
            return await retrying(
                lambda: self._output.keep(one.row.number, one.row.name, result.files),
                run_blocking=self._runner.engine.blocking,
            )
        except InvalidInput as error:
            raise _NotKept(error) from None

    def _deliver(self, one: _ToOrder, job: Job, result: Result, kept: list[str]) -> None:
        known = self._ledger.find(job.fingerprint)
        row = replace(
            one.stored,
            state=RowState.OPEN if result.missing else RowState.DONE,
            error=" ".join(result.warnings) if result.missing else "",
            result=self._output.to_store(result, kept),
        )
        self._settle(_with_job(row, known))
        if result.cost is not None and not result.reused:
            self.tally.costs[result.unit] += result.cost
        self._runner.record_delivered(job)

    def _fail(self, one: _ToOrder, error: Exception) -> None:
        known = self._ledger.find(one.stored.mark)
        state = _state_after(known)
        if isinstance(error, _NotKept):  # those of the next rows could not be kept either
            error = error.reason
            self.stopped_by = error
            self._is_stopping = True
        elif isinstance(error, (*_STOPS, LimitReached)):
            self.stopped_by = error
            self._is_stopping = True
            state = RowState.WAITING if state in _NOT_CHARGED else state
        elif self._is_stopping and isinstance(error, TaskCancelled) and not error.task_id:
            state = RowState.WAITING
        self._settle(_with_job(replace(one.stored, state=state, error=str(error)), known))

    def _settle(self, row: StoredRow) -> None:
        self._store.write(self._id, row)
        self.tally.add(row)


def queue_of(batch_id: str) -> str:
    """The queue that the orders of a batch count in, for limits and lists.

    It is that of the command on its table, which goes on where rows were changed or added.
    """
    return f"batch-{batch_id.rpartition('-')[0]}"


def table_of(batch_id: str) -> str:
    """What stands for the table of a batch, by its path."""
    return batch_id.partition("-")[0]


def _short_hash(tree: Json) -> str:
    text = json.dumps(tree, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


async def _one_of(pending: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Those that go on once one has ended. Raises what one has raised."""
    done, going_on = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    for one in done:
        one.result()
    return going_on


def _state_after(known: Row | None) -> RowState:
    """The state of a row whose job has ended with an error, by what the ledger holds of it."""
    if known is None:
        return RowState.REFUSED
    if known.state is State.UNKNOWN:
        return RowState.UNKNOWN
    is_over = known.state in (State.FAILED, State.CANCELLED)
    return RowState.FAILED if is_over else RowState.OPEN


def _with_job(row: StoredRow, known: Row | None) -> StoredRow:
    if known is None:
        return row
    task = {"task": known.task.id} if known.task else {}
    result: Json = {**task, **row.result}
    return replace(row, job=known.id, cost=known.cost, unit=known.unit, result=result)


def _unknown_text() -> str:
    return tr(
        "It was sent and never answered, so it may have been charged: look at the platform. "
        "{option} orders it anew.",
        option="--retry-unknown",
    )
