"""A batch over the machines of a Ray cluster: small groups of rows are its tasks.

Ray may run a group twice, where a machine has died. An order is sent once all the same: every
machine asks the one ledger, and what a group has brought already it does not order again.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from .. import providers
from ..engine.base import install
from ..engine.base.errors import InvalidInput, SkyportError
from ..engine.base.words import tr, use_language
from ..engine.batch.run import BatchRun, Plan, Tally
from ..engine.batch.table import GivenRows, TableRow
from ..engine.ledger.ledger import Query
from ..engine.settings import settings
from ..engine.spend import limits
from ..engine.tasks import history
from . import _batch_orders
from .run import counted_interrupts

if TYPE_CHECKING:
    from ..engine.batch.output import Output
    from ..engine.batch.store import BatchStore, RowState
    from ..engine.ledger.budget import Limit
    from ..engine.platforms.provider import Provider

_COPIES = "--copies"
_TURNS = 4  # how often a group fills the room that it has: the last ones should not take long
_MOST_RUNS = 6  # of a group, where machines die again and again
_GRACE = 5.0  # seconds for submits to yield their task ids
_LOOK = 0.2  # seconds between two looks whether a group was stopped


@dataclass(frozen=True)
class Order:
    """What each machine of the cluster is given, but for the rows.

    began  when the batch was first begun: a machine with another ledger does not know it
    person who has ordered it
    probe  a file in the folder of the results that all must see
    comfyui  the address of a running ComfyUI that the rows are queued on, None for a platform
    """

    batch: str
    platform: str
    base_url: str
    began: float
    person: str
    version: str
    plan: Plan
    output: Output
    probe: str
    limits: tuple[Limit, ...]
    comfyui: str | None = None


@dataclass
class Ended:
    """What became of a group.

    refusal  why nothing was ordered on that machine
    stop     why no more may be ordered anywhere
    """

    states: Counter[RowState] = field(default_factory=Counter)
    costs: dict[str, float] = field(default_factory=dict)
    refusal: str = ""
    stop: str = ""


class ClusterRun:
    """One run of a batch over the cluster at `address`. `run` is awaited on the engine's loop.

    Raises InvalidInput where there is no such cluster, and where the machines have no ledger or
    folder in common.
    """

    def __init__(self, order: Order, tally: Tally, address: str) -> None:
        self._order = order
        self._ray = _connected(address)
        self._rooms = _rooms(order.plan.at_once, self._ray.cluster_resources().get("CPU", 1))
        share = -(-tally.total // self._rooms)  # where there are few rows, all machines get some
        self._each = max(1, min(order.plan.at_once // self._rooms, share))
        self._size = max(1, min(self._each * _TURNS, -(-share // _TURNS)))
        self._pending: dict[asyncio.Task[None], Any] = {}
        self._is_stopping = False
        self.tally = tally
        self.stopped_by: SkyportError | None = None

    async def run(self) -> None:
        """Every row once."""
        order = replace(self._order, plan=replace(self._order.plan, at_once=self._each))
        shared = self._ray.put(replace(order, plan=replace(order.plan, table=_without_rows(order))))
        run_group = self._ray.remote(_run_group).options(
            max_retries=_MOST_RUNS - 1, scheduling_strategy="SPREAD"
        )
        rows = order.plan.table.rows()
        try:
            while (group := await _blocking(lambda: self._next(rows))) and not self._is_stopping:
                reference = run_group.remote(shared, group)
                self._pending[asyncio.ensure_future(self._wait(reference, len(group)))] = reference
                if len(self._pending) >= self._rooms:
                    await self._one()
            while self._pending:
                await self._one()
        finally:
            self._is_stopping = True
            await asyncio.gather(*self._pending, return_exceptions=True)

    async def leave(self, patience_s: float) -> None:
        """Stop what was not sent yet; each machine waits for the task ids of what is being sent."""
        self._is_stopping = True
        for reference in self._pending.values():
            self._ray.cancel(reference, force=False)
        if self._pending:
            await asyncio.wait(list(self._pending), timeout=2 * patience_s)

    def close(self) -> None:
        self._ray.shutdown()

    def _next(self, rows: Iterator[TableRow]) -> list[TableRow]:
        return list(islice(rows, self._size))

    async def _one(self) -> None:
        """One group ends. Raises what it has raised."""
        done, _ = await asyncio.wait(list(self._pending), return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            del self._pending[one]
            one.result()

    async def _wait(self, reference: Any, count: int) -> None:
        self.tally.under_way += count
        try:
            ended: Ended = await reference
        except (self._ray.exceptions.RayTaskError, self._ray.exceptions.TaskCancelledError):
            if not self._is_stopping:
                raise
            return
        except self._ray.exceptions.RayError as error:  # its machines have died
            self._stop(
                InvalidInput(tr("The cluster has lost it again and again: {error}", error=error))
            )
            return
        finally:
            self.tally.under_way -= count
        self._count(ended)

    def _count(self, ended: Ended) -> None:
        self.tally.states.update(ended.states)
        for unit, cost in ended.costs.items():
            self.tally.costs[unit] += cost
        if ended.refusal or ended.stop:
            self._stop(InvalidInput(ended.refusal or ended.stop))

    def _stop(self, reason: SkyportError) -> None:
        self._is_stopping = True
        self.stopped_by = self.stopped_by or reason


def check(plan: Plan) -> None:
    """Raises InvalidInput where several machines could not work on it."""
    if not settings.load().ledger_url:
        raise InvalidInput(
            tr("Machines of a cluster need a ledger in common, or they would pay twice."),
            do=tr("Set ledger_url on all of them: see docs/SCALE.md."),
        )
    if plan.copies:
        raise InvalidInput(
            tr(
                "{option} counts rows in their order, which a cluster does not keep.",
                option=_COPIES,
            ),
            do=tr("Give each row a seed of its own instead."),
        )


def order_of(
    plan: Plan, batch: str, provider: Provider, output: Output, held: Sequence[Limit]
) -> Order:
    """Of a batch that the record of batches has."""
    from ..engine.ledger.postgres_store import holder

    known = _stores().batch(batch)
    newest = history.rows(providers.ledger(), Query(limit=1))
    return Order(
        batch,
        provider.name,
        provider.http.base_url,
        known.created if known else 0.0,
        holder(),
        install.version(),
        replace(plan, last_job=newest[0].id if newest else 0),
        output,
        f".{uuid.uuid4().hex}",
        tuple(held),
    )


@contextmanager
def visible(order: Order) -> Iterator[None]:
    """In here the folder of the results has what the machines look for."""
    probe = order.output.folder / order.probe
    probe.parent.mkdir(parents=True, exist_ok=True)
    probe.touch()
    try:
        yield
    finally:
        probe.unlink(missing_ok=True)


def _connected(address: str) -> Any:
    try:
        import ray
    except ImportError:
        command = install.pip('"ray>=2.40"')
        raise InvalidInput(tr("Ray is not installed: {command}", command=command)) from None
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InvalidInput(
            tr("There is no Ray cluster at {address}: {error}", address=address, error=error),
            do=tr("Start one by `ray start --head`, and the others as it says."),
        ) from None
    return ray


def _rooms(at_once: int, cpus: float) -> int:
    """How many groups are under way side by side."""
    return max(1, min(at_once, int(cpus)))


def _without_rows(order: Order) -> GivenRows:
    table = order.plan.table
    return GivenRows(table.path, table.folder, table.columns)


async def _blocking(call: Any) -> Any:
    return await providers.runner().engine.blocking(call)


# -- on a machine of the cluster ------------------------------------------------------------------


def _run_group(order: Order, rows: list[TableRow]) -> Ended:
    """Orders the rows and waits for their results."""
    use_language(settings.load().language)
    providers.order_for(order.person)
    ended = Ended()
    try:
        batch = _batch(order, rows)
    except SkyportError as error:
        ended.refusal = str(error)
        return ended
    with limits.also(order.limits):
        _wait_for(batch)
    ended.states.update(batch.tally.states)
    ended.costs.update(batch.tally.costs)
    ended.stop = str(batch.stopped_by or "")
    return ended


def _batch(order: Order, rows: list[TableRow]) -> BatchRun:
    """Raises InvalidInput where this machine is not set up as the one of the command is."""
    provider = _batch_orders.provider(order, order.plan.at_once)
    _raise_if_other("Skyport", order.version, install.version())
    _raise_if_other(provider.label, order.base_url, provider.http.base_url)
    known = _stores().batch(order.batch)
    if known is None or known.created != order.began:
        raise InvalidInput(
            tr("A machine of the cluster has another ledger."),
            do=tr("Set ledger_url on all of them: see docs/SCALE.md."),
        )
    if not order.output.url and not (order.output.folder / order.probe).is_file():
        raise InvalidInput(
            tr("A machine of the cluster does not see {path}.", path=order.output.folder),
            do=tr(
                "Choose by --output a folder that all machines share under the same path, or by "
                "--results-url a bucket."
            ),
        )
    table = order.plan.table
    return BatchRun(
        replace(order.plan, table=GivenRows(table.path, table.folder, table.columns, rows)),
        order.batch,
        provider,
        providers.runner(),
        _stores(),
        order.output,
        providers.results(),
        Tally(len(rows)),
        providers.price_book().price,
    )


def _raise_if_other(name: str, wanted: str, found: str) -> None:
    if wanted != found:
        raise InvalidInput(
            tr(
                "A machine of the cluster has another {name}: {found} in place of {wanted}.",
                name=name,
                found=found,
                wanted=wanted,
            )
        )


@lru_cache(maxsize=1)
def _stores() -> BatchStore:
    """The one record of batches of this process, which Ray uses for many groups."""
    return providers.batch_store()


def _wait_for(batch: BatchRun) -> None:
    engine = providers.runner().engine
    with counted_interrupts() as interrupts:  # Ray cancels a group by one
        future = engine.start(batch.run())
        while not future.done() and not interrupts:
            futures.wait([future], timeout=_LOOK)
        if not future.done():
            engine.run(batch.leave(_GRACE))
            raise KeyboardInterrupt  # not StoppedWaiting: this process works on other groups yet
    future.result()
