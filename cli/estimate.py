"""`skyport estimate`: what a workflow will order from the platforms, and what it costs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import providers
from ..engine.base.errors import SkyportError
from ..engine.base.words import tr
from ._rows import print_json
from ._table import table
from .run import text_of

if TYPE_CHECKING:
    from ..engine.spend.estimate import Estimate, Item, Total
    from ..engine.spend.price import Price


def about() -> str:
    return tr("Estimate the tasks and the cost of a ComfyUI workflow.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("workflow", type=Path, help=tr("the workflow, exported in API format"))
    parser.add_argument("--json", action="store_true", help=tr("print everything as JSON"))


def run(args: argparse.Namespace) -> int:
    from ..engine.spend.orders import platforms_in
    from ..engine.workflows.api_format import read_workflow

    prompt = read_workflow(text_of(args.workflow))
    _fetch_prices(platforms_in(prompt))
    estimate = providers.estimator().estimate(prompt)
    if args.json:
        print_json(_to_json(estimate))
    else:
        _print(estimate)
    return 0


def _fetch_prices(platforms: Iterable[str]) -> None:
    """Fetch the price lists that are due; without a key or an answer there are none."""
    for platform in sorted(platforms):
        with suppress(SkyportError):
            providers.runner().engine.run(providers.refresh_prices(platform))


def _print(estimate: Estimate) -> None:
    if not estimate.items:
        print(_nothing_ordered(estimate))
        return
    head = [tr("node"), tr("platform"), tr("model"), tr("tasks"), tr("each"), tr("known from")]
    print(table(head, [_cells(item) for item in estimate.items]))
    print()
    for line in total_lines(estimate):
        print(line)
    print(tr("Reuse is not known here: what was ordered before costs nothing."), file=sys.stderr)


def total_lines(estimate: Estimate) -> Iterator[str]:
    """What each platform will charge, and what nobody knows the price of."""
    yield from map(_total_line, estimate.totals())
    if estimate.unknown:
        names = ", ".join(item.title for item in estimate.items if item.price is None)
        yield tr("Cost unknown: {names} (tasks: {count})", names=names, count=estimate.unknown)


def _nothing_ordered(estimate: Estimate) -> str:
    if estimate.subscribed:
        return tr("Your subscription at Comfy Cloud pays; how much is not known here.")
    if estimate.free:
        return tr("Free: your own server.")
    return tr("The workflow orders nothing from a platform.")


def _cells(item: Item) -> list[str]:
    tasks = tr("at least {count}", count=item.tasks) if item.at_least else str(item.tasks)
    label = tr("first asked: {platform}", platform=item.label) if item.first else item.label
    names = [f"{item.title} ({item.node_id})", label or "-", item.model or "-", tasks]
    if item.price is None:
        return [*names, tr("unknown"), item.text]
    price = item.price
    return [*names, _amount(price.lowest, price.highest, price.amount.unit), _origin(price)]


def _origin(price: Price) -> str:
    from ..engine.spend.price import Origin

    return {
        Origin.OWN: lambda: tr("your prices"),
        Origin.LIST: lambda: tr("the price list"),
        Origin.LEARNT: lambda: tr("{count} earlier tasks", count=price.tasks),
    }[price.origin]()


def _total_line(total: Total) -> str:
    from ..engine.platforms.registry import provider_class

    return tr(
        "{platform}: about {amount} (tasks: {tasks})",
        platform=provider_class(total.platform).label,
        tasks=total.tasks,
        amount=_amount(total.lowest, total.highest, total.unit),
    )


def _amount(lowest: float, highest: float, unit: str) -> str:
    span = f"{highest:g}" if lowest == highest else f"{lowest:g}-{highest:g}"
    return f"{span} {unit}".strip()


def _to_json(estimate: Estimate) -> dict[str, Any]:
    return {
        "tasks": estimate.tasks,
        "at_least": estimate.at_least,
        "unknown": estimate.unknown,
        "free": estimate.free,
        "subscribed": estimate.subscribed,
        "items": [{**asdict(item), "label": item.label} for item in estimate.items],
        "totals": [asdict(total) for total in estimate.totals()],
    }
