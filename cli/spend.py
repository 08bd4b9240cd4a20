"""`skyport spend`: what was spent, by day, platform, model or graph, and what the limits leave."""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .. import providers
from ..engine.base.words import tr
from ._rows import print_json
from ._table import table

if TYPE_CHECKING:
    from ..engine.base.types import Json
    from ..engine.spend.report import Report, Sum

_DAYS = 30
_KINDS = ("platform", "model", "graph")
_COLUMNS = ("name", "local", "unit", "tasks", "charged", "expected", "unknown")


def about() -> str:
    return tr("Show what was spent and what the limits leave.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by", choices=_KINDS, default=_KINDS[0], help=tr("what the tasks have in common")
    )
    parser.add_argument(
        "--days", type=_days, default=_DAYS, help=tr("so many days, today among them")
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help=tr("print everything as JSON"))
    form.add_argument("--csv", action="store_true", help=tr("print all sums as CSV"))


def run(args: argparse.Namespace) -> int:
    from ..engine.spend import report
    from ..engine.tasks import history

    found = history.read(
        providers.ledger(), lambda store: report.report(store, args.by, args.days, time.time())
    )
    if args.json:
        print_json(report.report_to_json(found, args.by))
    elif args.csv:
        _print_csv(found, args.by)
    else:
        _print_tables(found, args.by)
    return 0


def _days(text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text) <= 3660:
        return int(text)
    raise argparse.ArgumentTypeError(tr("it must be a whole number above 0"))


def _print_csv(found: Report, by: str) -> None:
    """A line for each sum; `of` says of what: today, month, day, or the kind that was asked for."""
    lines = csv.writer(sys.stdout, lineterminator="\n")
    lines.writerow(("of", *_COLUMNS))
    parts = (("today", found.today), ("month", found.month), ("day", found.days), (by, found.kinds))
    for of, sums in parts:
        lines.writerows((of, *(getattr(one, name) for name in _COLUMNS)) for one in sums)


def _print_tables(found: Report, by: str) -> None:
    kinds = {"platform": tr("platform"), "model": tr("model"), "graph": tr("graph")}
    periods = [
        *((tr("today"), one) for one in found.today),
        *((tr("this month"), one) for one in found.month),
    ]
    _print_sums(tr("period"), periods, tr("Nothing was ordered this month."))
    if found.kinds:
        print()
        _print_sums(kinds[by], [(one.name or "-", one) for one in found.kinds])
        print()
        _print_sums(tr("day"), [(one.name, one) for one in found.days])
    if found.limits:
        print()
        _print_limits(found.limits)


def _print_sums(head: str, sums: Sequence[tuple[str, Sum]], nothing: str = "") -> None:
    columns = [head, tr("tasks"), tr("charged"), tr("expected"), tr("unit"), tr("unknown price")]
    if not sums:
        print(nothing)
        return
    rows = [
        [
            _where(name, one.local),
            str(one.tasks),
            f"{one.charged:g}",
            f"{one.expected:g}",
            one.unit,
            str(one.unknown),
        ]
        for name, one in sums
    ]
    print(table(columns, rows))


def _where(name: str, local: bool) -> str:
    return tr("{name} (on this machine)", name=name) if local else name


def _print_limits(views: Iterable[dict[str, Json]]) -> None:
    columns = [tr("limit"), tr("platform"), tr("unit"), tr("most"), tr("used"), tr("left")]
    rows = [
        [
            _where(view["setting"], view["local"]),
            view["platform"] or (tr("each person") if view["person"] else tr("all")),
            tr("tasks") if view["counts"] == "tasks" else view["unit"],
            *(_number(view[name]) for name in ("most", "used", "left")),
        ]
        for view in views
    ]
    print(table(columns, rows))


def _number(value: float | None) -> str:
    """A limit for each queue has no sum of its own."""
    return "" if value is None else f"{value:g}"
