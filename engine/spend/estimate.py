"""What a prompt will cost: its tasks by node, their prices, and the sums by platform and unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from ..base.errors import SkyportError
from ..base.types import Request
from ..ledger.ledger import State, fingerprint_of, is_new_order
from ..ledger.resilient import ResilientLedger
from ..platforms import registry
from ..settings import settings
from ..workflows.api_format import Workflow
from .drivers import PriceKey, key_of_request
from .orders import NodeOrder, Surroundings, orders_in, own_servers_in
from .price import Price
from .price_book import PriceBook
from .ranking import CHEAPEST, FASTEST, by_duration, by_price

# The requests of a node whose inputs are all constants, by its id; None for any other node.
Requests = Callable[[str], Sequence[Request] | None]


@dataclass(frozen=True)
class Item:
    """What one node orders.

    tasks     to be paid for; at least so many where `at_least`
    reused    for which nothing is paid: an equal order is in the ledger, or in this prompt
    price     of each task, None where it is not known
    first     of several platforms, this one is asked first
    text      the platform's own words about it
    """

    node_id: str
    title: str
    platform: str
    model: str
    tasks: int
    at_least: bool = False
    reused: int = 0
    price: Price | None = None
    text: str = ""
    first: bool = False

    @property
    def kind(self) -> Item:
        """What it orders, without who and how much; a title stands for what nobody knows yet."""
        title = "" if self.platform else self.title
        return replace(self, node_id="", title=title, tasks=0, reused=0)

    def plus(self, other: Item) -> Item:
        return replace(self, tasks=self.tasks + other.tasks, reused=self.reused + other.reused)

    def times(self, runs: int) -> Item:
        return replace(self, tasks=self.tasks * runs + self.reused * (runs - 1))

    @property
    def label(self) -> str:
        """The platform's display name, "" where it is chosen as the node runs."""
        return registry.provider_class(self.platform).label if self.platform else ""


@dataclass(frozen=True)
class Total:
    """The known costs of one platform in one unit; `platform` "" adds platforms up."""

    platform: str
    unit: str
    tasks: int = 0
    amount: float = 0.0
    lowest: float = 0.0
    highest: float = 0.0

    def plus(self, item: Item, price: Price) -> Total:
        return replace(
            self,
            tasks=self.tasks + item.tasks,
            amount=_added(self.amount, price.amount.value, item.tasks),
            lowest=_added(self.lowest, price.lowest, item.tasks),
            highest=_added(self.highest, price.highest, item.tasks),
        )


@dataclass(frozen=True)
class Estimate:
    """What all nodes order.

    free        nodes that run on servers of one's own, at no cost: they are no items
    subscribed  those that run where a subscription of the person pays, nor are they
    """

    items: tuple[Item, ...]
    free: int = 0
    subscribed: int = 0

    @property
    def tasks(self) -> int:
        return sum(item.tasks for item in self.items)

    @property
    def reused(self) -> int:
        return sum(item.reused for item in self.items)

    @property
    def unknown(self) -> int:
        """The tasks whose price nobody knows."""
        return sum(item.tasks for item in self.items if item.price is None)

    @property
    def at_least(self) -> bool:
        return any(item.at_least for item in self.items)

    def totals(self) -> list[Total]:
        """By platform and unit: units are never added up."""
        return self._added(lambda item: item.platform)

    def sums(self) -> list[Total]:
        """By unit, over all platforms."""
        return self._added(lambda item: "")

    def plus(self, other: Estimate) -> Estimate:
        """Both, with what several nodes order alike as one item."""
        alike: dict[Item, Item] = {}
        for item in (*self.items, *other.items):
            known = alike.get(item.kind)
            alike[item.kind] = known.plus(item) if known else item
        free, subscribed = self.free + other.free, self.subscribed + other.subscribed
        return Estimate(tuple(alike.values()), free, subscribed)

    def times(self, runs: int) -> Estimate:
        """The estimate of so many runs, each after the first a new order: seeds change."""
        return replace(self, items=tuple(item.times(runs) for item in self.items))

    def _added(self, group: Callable[[Item], str]) -> list[Total]:
        totals: dict[tuple[str, str], Total] = {}
        for item in self.items:
            if item.price is not None and item.tasks:
                platform, unit = group(item), item.price.amount.unit
                key = platform, unit.casefold()
                totals[key] = totals.get(key, Total(platform, unit)).plus(item, item.price)
        return [totals[key] for key in sorted(totals)]


@dataclass
class Estimator:
    """Estimates prompts; blocks, and never asks the network.

    address   of a platform; raises InvalidInput where none is set
    is_ready  whether tasks can be sent to a platform
    """

    book: PriceBook
    ledger: ResilientLedger
    address: Callable[[str], str]
    is_ready: Callable[[str], bool] = lambda platform: True
    _seen: set[str] = field(default_factory=set)
    _prompt_id: str = ""

    def estimate(
        self,
        prompt: Workflow,
        around: Surroundings | None = None,
        requests: Requests = lambda node_id: None,
        prompt_id: str = "",
    ) -> Estimate:
        """The cost of `prompt`, in API format. Raises InvalidInput where prices.json is broken.

        prompt_id  under which it will be queued, where that is known
        """
        self._seen.clear()
        self._prompt_id = prompt_id
        around = around or Surroundings()
        own = own_servers_in(prompt, around)
        orders = orders_in(prompt, around)
        items = tuple(self._item(order, requests(order.node_id)) for order in orders)
        return Estimate(items, free=own.count(True), subscribed=own.count(False))

    def _item(self, order: NodeOrder, requests: Sequence[Request] | None) -> Item:
        ready = [key for key in order.choices if self.is_ready(key.platform)]
        order = self._first_asked(order, ready or order.choices, requests)
        model = order.key.model if order.key else ""
        item = Item(order.node_id, order.title, order.platform, model, order.tasks.count)
        item = replace(item, at_least=not order.tasks.exact, first=len(ready or order.choices) > 1)
        if not order.platform or order.key is None:
            return item
        base_url = self._base_url(order.platform)
        if not requests:
            price = self.book.price_of(order.key, base_url)
            return replace(item, price=price, text=self.book.text(order.key, base_url))
        reused = sum(self._is_paid(request, base_url) for request in requests)
        return replace(
            item,
            tasks=len(requests) - reused,
            at_least=False,
            reused=reused,
            price=self.book.price(requests[0], base_url),
            text=self.book.text(order.key, base_url),
        )

    def _first_asked(
        self, order: NodeOrder, choices: Sequence[PriceKey], requests: Sequence[Request] | None
    ) -> NodeOrder:
        """The order of a node over several platforms, to the one that it asks first."""
        if not choices:
            return order
        if requests:
            key = key_of_request(requests[0].platform, requests[0].payload)
        else:
            key = choices[self._ranked(order.ranking, choices)[0]]
        return replace(order, platform=key.platform, key=key)

    def _ranked(self, ranking: str, choices: Sequence[PriceKey]) -> Sequence[int]:
        if ranking == CHEAPEST:
            prices = [self.book.price_of(key, self._base_url(key.platform)) for key in choices]
            return by_price(prices)[0]
        if ranking == FASTEST:
            return by_duration([self._usual_duration(key) for key in choices])[0]
        return range(len(choices))

    def _usual_duration(self, key: PriceKey) -> float | None:
        """Of such tasks in seconds, whatever they were made of."""
        past = self.ledger.past_durations(key.platform, "", key.model.rpartition("/")[2])
        return median(past) if past else None

    def _is_paid(self, request: Request, base_url: str) -> bool:
        """Whether an equal order brings, or will bring, the result at no charge."""
        fingerprint = fingerprint_of(request, base_url)
        if fingerprint in self._seen:
            return True
        self._seen.add(fingerprint)
        row = self.ledger.peek(fingerprint)
        is_known = row is not None and row.state is not State.UNKNOWN  # that brings no result
        reuse = settings.load().reuse_results
        return is_known and not is_new_order(row, reuse, self._prompt_id)

    def _base_url(self, platform: str) -> str:
        try:
            return self.address(platform)
        except SkyportError:
            return ""


def _added(total: float, each: float, tasks: int) -> float:
    return round(total + each * tasks, 6)
