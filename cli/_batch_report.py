"""What `skyport batch` prints: progress, the rows without a result, the estimate of a dry run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from .. import providers
from ..engine.base.errors import SkyportError
from ..engine.base.types import Amount
from ..engine.base.words import tr
from ..engine.settings import settings
from . import _board

if TYPE_CHECKING:
    from ..engine.batch.check import DryRun
    from ..engine.batch.run import Plan, Tally
    from ..engine.batch.store import BatchSums, RowState, StoredRow
    from ..engine.batch.table import TableRow
    from ..engine.platforms.provider import Provider
    from ..engine.tasks.progress import ProgressText

_LISTED = 30  # rows without a result; results.jsonl has all of them
_LINES_EVERY = 5.0  # seconds between two lines in a log


def state_text(state: RowState) -> str:
    from ..engine.batch.store import RowState

    return {
        RowState.WAITING: lambda: tr("not begun"),
        RowState.RUNNING: lambda: tr("under way"),
        RowState.DONE: lambda: tr("done"),
        RowState.REFUSED: lambda: tr("not sent"),
        RowState.FAILED: lambda: tr("failed"),
        RowState.OPEN: lambda: tr("no result yet"),
        RowState.UNKNOWN: lambda: tr("outcome unknown"),
    }[state]()


# -- progress -----------------------------------------------------------------------------------


def watch(
    future: Future[Any],
    name: str,
    tally: Tally,
    now: Callable[[], float],
    interrupts: Sequence[int],
) -> None:
    """Show how far the batch is, until it ends or an interrupt came."""
    _board.watch([future], {name: _View(tally, now)}, interrupts)


class _View:
    """What the board shows; in a log, a line now and then."""

    def __init__(self, tally: Tally, now: Callable[[], float]) -> None:
        self._tally, self._now = tally, now
        self._short: tuple[str, ...] = ()
        self._since = 0.0

    def __call__(self) -> ProgressText:
        from ..engine.tasks.progress import ProgressText

        words = tuple(self._words())
        is_over = self._tally.settled >= self._tally.total
        if not self._short or is_over or self._now() - self._since > _LINES_EVERY:
            self._short, self._since = words, self._now()
        return ProgressText(self._tally.settled / self._tally.total, words, self._short)

    def _words(self) -> Iterable[str]:
        tally = self._tally
        yield f"{tally.settled}/{tally.total}"
        for state, count in list(tally.states.items()):
            yield f"{state_text(state)} {count}"
        if tally.under_way:
            yield f"{tr('under way')} {tally.under_way}"
        for unit, cost in list(tally.costs.items()):
            yield str(Amount(cost, unit))


# -- the end ------------------------------------------------------------------------------------


def print_end(tally: Tally, failures: Iterable[StoredRow], sums: BatchSums) -> None:
    counts = [f"{state_text(state)} {count}" for state, count in tally.states.items()]
    left = tally.total - tally.settled
    if left:
        counts.append(f"{tr('not begun')} {left}")
    costs = [str(Amount(cost, unit)) for unit, cost in sums.costs.items()]
    text = ", ".join([*counts, *costs])
    print(tr("{total} rows: {counts}", total=tally.total, counts=text), file=sys.stderr)
    if trouble := providers.ledger().trouble:
        print(tr("Warning: {text}", text=trouble), file=sys.stderr)
    shown = 0
    for row in islice(failures, _LISTED):
        shown += 1
        words = f"{state_text(row.state)}: {row.error}" if row.error else state_text(row.state)
        print(f"  {_row_text(row)}: {words}", file=sys.stderr)
    if shown == _LISTED:
        print(tr("  The list of results has all of them."), file=sys.stderr)


def _row_text(row: StoredRow | TableRow) -> str:
    from ..engine.batch.table import row_text

    return row_text(row.number, row.line)


# -- a dry run ----------------------------------------------------------------------------------


def dry_run(plan: Plan, provider: Provider, platform: str) -> int:
    """Check everything, send nothing. 0 where every row can be ordered."""
    from ..engine.batch.check import dry_run as check

    with suppress(SkyportError):
        providers.runner().engine.run(providers.refresh_prices(platform))
    found = check(
        plan,
        provider.http.base_url,
        providers.ledger(),
        providers.price_book().price,
        settings.load().reuse_results,
        lambda row, why: print(f"{_row_text(row)}: {why}"),
    )
    print(_summary(found))
    _print_ordered_there(found)
    if provider.is_free and found.first is not None:
        provider.prepare(found.first)  # whether a server has all that it needs
    return 1 if found.refused or not found.rows else 0


def _print_ordered_there(found: DryRun) -> None:
    """What the cloud nodes of a workflow order, which another ComfyUI runs once for each row."""
    prompt = found.first and found.first.payload.get("prompt")
    if found.first is None or found.first.platform != "comfyui" or not isinstance(prompt, dict):
        return
    from .estimate import total_lines

    for line in total_lines(providers.estimator().estimate(prompt).times(found.orders)):
        print(line)


def _summary(found: DryRun) -> str:
    lines = [
        tr(
            "{rows} rows: {orders} orders to be sent, {equal} that cost nothing more, {refused} "
            "that would be refused. Nothing was sent.",
            rows=found.rows,
            orders=found.orders,
            equal=found.equal,
            refused=found.refused,
        )
    ]
    for unit, (lowest, highest) in found.costs.items():
        span = f"{highest:g}" if lowest == highest else f"{lowest:g}-{highest:g}"
        lines.append(tr("About {amount}.", amount=f"{span} {unit}".strip()))
    if found.unknown:
        lines.append(tr("Cost unknown: {count} orders.", count=found.unknown))
    return "\n".join(lines)
