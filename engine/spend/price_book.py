"""What an order costs: by the person's own prices, the platform's list, or earlier orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..base.types import Model, Request
from ..ledger.resilient import ResilientLedger
from ..platforms.provider import Provider
from .drivers import PriceKey, key_of_request, with_defaults
from .learnt import LearntPrices
from .own_prices import own_price
from .price import Price
from .price_list import PriceList


class PriceBook:
    """Looks prices up, from any thread and without the network.

    provider_class  the class of a platform
    models          its models, with the defaults of their parameters
    """

    def __init__(
        self,
        ledger: ResilientLedger,
        provider_class: Callable[[str], type[Provider]],
        models: Callable[[str], Sequence[Model]],
    ) -> None:
        self._learnt = LearntPrices(ledger)
        self._provider_class = provider_class
        self._models = models

    def price(self, request: Request, base_url: str) -> Price | None:
        """What `request` costs at the platform's address; None where nobody knows.

        Raises InvalidInput where the person's own prices cannot be read.
        """
        return self.price_of(key_of_request(request.platform, request.payload), base_url)

    def price_of(self, key: PriceKey, base_url: str) -> Price | None:
        """`price` of an order of that key."""
        models = self._models(key.platform)
        key = with_defaults(key, models)
        provider = self._provider_class(key.platform)
        return (
            own_price(key, self._unit)
            or PriceList(provider, base_url).price(key)
            or self._learnt.price(key, base_url, provider.unit, models)
        )

    def text(self, key: PriceKey, base_url: str) -> str:
        """The platform's own words about what the model costs, "" where it has none."""
        return PriceList(self._provider_class(key.platform), base_url).text(key)

    def _unit(self, platform: str) -> str:
        return self._provider_class(platform).unit
