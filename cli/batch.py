"""`skyport batch`: orders every row of a table; the same command goes on where it was stopped."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import providers
from ..engine.base.errors import InvalidInput, SkyportError
from ..engine.base.words import tr
from ..engine.settings import folders, settings
from . import _batch_orders, _batch_report
from .run import StoppedWaiting, counted_interrupts

if TYPE_CHECKING:
    from ..engine.batch.run import BatchRun, Plan, Tally
    from ..engine.batch.store import BatchStore, StoredRow
    from ..engine.ledger.budget import Limit
    from ..engine.platforms.provider import Provider
    from ._batch_cluster import ClusterRun

_GRACE = 5.0  # seconds for submits to yield their task ids
_LIMIT_COST, _LIMIT_TASKS = "--limit-cost", "--limit-tasks"


def about() -> str:
    return tr("Order every row of a table, or every file of a folder.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = f"{about()} {_promise()}"
    parser.add_argument(
        "rows",
        type=Path,
        metavar="ROWS",
        help=tr("a .csv or .jsonl file with a row for each order, or a folder of files"),
    )
    _batch_orders.add_arguments(parser)
    parser.add_argument(
        "--copies",
        action="store_true",
        help=tr("equal rows are orders of their own; otherwise they are one order, paid once"),
    )
    parser.add_argument(
        "--at-once",
        type=_count,
        help=tr("rows under way side by side; max_parallel in the settings holds as well"),
    )
    parser.add_argument(
        _LIMIT_COST,
        type=_cost,
        metavar="AMOUNT",
        help=tr("the most that the batch may cost in all, such as 5 or 5CNY"),
    )
    parser.add_argument(
        _LIMIT_TASKS, type=_count, metavar="N", help=tr("the most tasks it may order in all")
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help=tr("order rows anew whose task has failed")
    )
    parser.add_argument(
        "--retry-unknown",
        action="store_true",
        help=tr("order rows anew that were listed as unknown: they may be charged twice"),
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help=tr("check every row and estimate the cost; upload and order nothing"),
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help=tr("folder of the results"))
    parser.add_argument(
        "--results-url",
        type=_results_url,
        metavar="URL",
        help=tr("folder of the results, also s3://bucket/folder, in place of results_url"),
    )
    parser.add_argument(
        "--executor",
        choices=("local", "ray"),
        default="local",
        help=tr("ray: the machines of a Ray cluster, which share a ledger and the results' folder"),
    )
    parser.add_argument(
        "--address", default="auto", help=tr("of the Ray cluster; auto finds the one of here")
    )


def _promise() -> str:
    return tr(
        "However it is stopped, the same command goes on, and nothing is paid twice. A row that "
        "was changed is a new order; the others are not. Exit status 0 means that every row has "
        "its result."
    )


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1_000_000_000):
        raise argparse.ArgumentTypeError(tr("it must be a whole number above 0"))
    return int(text)


def _results_url(text: str) -> str:
    from ..engine.settings.invalid import InvalidSetting
    from ..engine.settings.results_url import results_url

    try:
        return results_url(text)
    except InvalidSetting as invalid:
        raise argparse.ArgumentTypeError(str(invalid)) from None


def _cost(text: str) -> tuple[float, str]:
    from ..engine.settings import caps
    from ..engine.settings.invalid import InvalidSetting

    try:
        [cap] = caps.costs(text, ())
    except (InvalidSetting, ValueError):
        raise argparse.ArgumentTypeError(tr("write it as {example}", example="5CNY")) from None
    if cap.platform:
        raise argparse.ArgumentTypeError(tr("write it as {example}", example="5CNY"))
    return cap.most, cap.unit


def run(args: argparse.Namespace) -> int:
    _batch_orders.settle_platform(args)
    plan = _plan(args)
    if args.executor == "ray":
        from ._batch_cluster import check

        check(plan)
    provider = _batch_orders.provider(args, plan.at_once)
    if args.dry_run:
        return _batch_report.dry_run(plan, provider, args.platform)
    return _Command(args, plan, provider).run()


def _plan(args: argparse.Namespace) -> Plan:
    from ..engine.batch.run import MOST_AT_ONCE, Plan
    from ..engine.batch.table import open_table

    table = open_table(args.rows)
    orders = _batch_orders.orders(args)
    is_free = providers.provider_class(args.platform).is_free
    return Plan(
        table,
        _batch_orders.columns(args).checked(table, orders),
        orders,
        at_once=args.at_once or int(min(settings.load().parallel_cap, MOST_AT_ONCE)),
        copies=args.copies,
        retry_failed=args.retry_failed,
        retry_unknown=args.retry_unknown,
        needs_price=args.limit_cost is not None and not is_free,
    )


class _Command:
    """One run of the command."""

    def __init__(self, args: argparse.Namespace, plan: Plan, provider: Provider) -> None:
        from ..engine.batch.output import Output
        from ..engine.batch.run import Tally, table_of

        self._args, self._plan, self._provider = args, plan, provider
        self._name = args.rows.absolute().name
        self._id = plan.id(provider.http.base_url)
        total = sum(1 for _ in plan.table.rows())
        if not total:
            raise InvalidInput(tr("{name} has no rows.", name=self._name))
        self._tally = Tally(total)
        self._store = providers.batch_store()
        folder, url = _destination(args, self._store, table_of(self._id))
        self._output = Output(folder, url)
        folders.check_writable(folder)
        if url:  # a bucket that cannot be written is found out before anything is paid for
            self._output.write_list(self._store.rows(self._id))

    def run(self) -> int:
        from ..engine.spend import limits

        with closing(self._store):
            try:
                with limits.also(_limits(self._args)):
                    stopped_by = self._run()
            finally:
                listed = self._output.write_list(self._store.rows(self._id))
            _batch_report.print_end(self._tally, self._failures(), self._store.sums(self._id))
        if stopped_by is not None:
            print(tr("Stopped: {reason}", reason=stopped_by), file=sys.stderr)
        print(listed)
        return 0 if _is_complete(self._tally) else 1

    def _run(self) -> SkyportError | None:
        """Why it was stopped, None if it came to its end."""
        if self._args.executor == "ray":
            return self._run_in_cluster()
        self._begin()
        batch = self._batch()
        self._wait(batch)
        return batch.stopped_by

    def _run_in_cluster(self) -> SkyportError | None:
        from ._batch_cluster import ClusterRun, order_of, visible

        self._begin()
        held = _limits(self._args)
        order = order_of(self._plan, self._id, self._provider, self._output, held)
        order = replace(order, comfyui=self._args.comfyui)
        batch = ClusterRun(order, self._tally, self._args.address)
        with closing(batch), visible(order):
            self._wait(batch)
        # Those of machines that have died are known there only.
        self._tally.states = Counter(self._store.sums(self._id).states)
        return batch.stopped_by

    def _begin(self) -> None:
        from ..engine.batch.store import StoredBatch

        self._store.begin(
            StoredBatch(
                self._id,
                self._name,
                self._args.platform,
                self._args.model or self._args.app or (self._args.workflow or Path()).name,
                self._tally.total,
                str(self._output.folder),
                providers.ledger().owner.id,
            )
        )

    def _batch(self) -> BatchRun:
        from ..engine.batch.run import BatchRun

        return BatchRun(
            self._plan,
            self._id,
            self._provider,
            providers.runner(),
            self._store,
            self._output,
            providers.results(),
            self._tally,
            providers.price_book().price,
        )

    def _wait(self, batch: BatchRun | ClusterRun) -> None:
        engine = providers.runner().engine
        with counted_interrupts() as interrupts:  # from before the first row is begun
            future = engine.start(batch.run())
            _batch_report.watch(future, self._name, self._tally, time.monotonic, interrupts)
            if interrupts and not future.done():
                print(_stopping_text(), file=sys.stderr)
                engine.run(batch.leave(_GRACE))
                raise StoppedWaiting
        future.result()

    def _failures(self) -> Iterator[StoredRow]:
        from ..engine.batch.store import RowState

        return self._store.rows(self._id, *(set(RowState) - {RowState.DONE, RowState.WAITING}))


def _destination(args: argparse.Namespace, store: BatchStore, table: str) -> tuple[Path, str]:
    """The folder of the results on this disk, and that in a bucket, "" for none.

    In the folder of all batches, each table has one by its name; where another table of that name
    has it, by what stands for its path as well.
    """
    name = args.rows.absolute().stem
    folder, url = _folders(args, name)
    if args.output is None and store.is_taken(str(folder), table):
        folder, url = _folders(args, f"{name}-{table}")
    return folder, url


def _folders(args: argparse.Namespace, name: str) -> tuple[Path, str]:
    from ..engine.settings.results_url import bucket_and_prefix

    url = args.results_url or ("" if args.output else settings.load().results_url)
    if url and bucket_and_prefix(url) is None:
        return (Path(url) / name).absolute(), ""
    if settings.load().sandbox:  # nothing leaves this machine
        url = ""
    in_bucket = f"{url}/{re.sub('[^A-Za-z0-9._-]', '_', name)}" if url else ""
    folder = args.output or providers.results() / "batches" / name
    return folder.absolute(), in_bucket


def _is_complete(tally: Tally) -> bool:
    from ..engine.batch.store import RowState

    return tally.states[RowState.DONE] == tally.total


def _limits(args: argparse.Namespace) -> list[Limit]:
    """What the options hold for the batch as one queue, over all its runs."""
    from ..engine.ledger.budget import Limit, Period

    found = []
    if args.limit_cost is not None:
        most, unit = args.limit_cost
        found.append(Limit(_LIMIT_COST, Period.QUEUE, most, "cost", unit=unit))
    if args.limit_tasks is not None:
        found.append(Limit(_LIMIT_TASKS, Period.QUEUE, args.limit_tasks, "tasks"))
    return found


def _stopping_text() -> str:
    return tr(
        "Stopping. What the platform works on goes on there; the same command goes on with it at "
        "no further charge."
    )
