"""The platforms' price lists, cached in the data folder for each address."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from ..base.errors import SkyportError
from ..base.types import Json, Model
from ..platforms.catalogue import realm_of
from ..platforms.provider import Provider
from ..settings import folders, json_file
from .drivers import TASK, PriceKey
from .price import Origin, Price
from .tariff import InvalidTariff, Tariff, price_of, read_tariff

LIFETIME, RETRY_AFTER = 86400.0, 3600.0  # seconds for which a list holds; and a failure to get one
_SANDBOX = "sandbox"
_not_kept: dict[Path, float] = {}  # by file, when a list was fetched that could not be written


class PriceList:
    """The price list of one platform at one address, as it was last fetched.

    now  seconds since the epoch
    """

    def __init__(
        self, provider: type[Provider], base_url: str, now: Callable[[], float] = time.time
    ) -> None:
        self._provider = provider
        realm = _SANDBOX if is_loopback(base_url) else realm_of(base_url, provider.default_base_url)
        name = f"{provider.name}.{realm}" if realm else provider.name
        self._path: Path = folders.home() / "prices" / f"{name}.json"
        self._now = now

    def price(self, key: PriceKey) -> Price | None:
        """What an order costs by the list; None where it does not say."""
        row = self._row(key)
        return price_of(_tariffs(row, self._provider.unit), key, Origin.LIST) if row else None

    def text(self, key: PriceKey) -> str:
        """The platform's own words about the price of the model, "" where it has none."""
        row = self._row(key)
        return str(row.get("text") or "") if row else ""

    @property
    def error(self) -> str:
        """Why the list could not be fetched the last time, "" if it could."""
        return str(self._cached().get("error") or "")

    def is_due(self) -> bool:
        """Whether the list is to be fetched: it is a day old, or a failure an hour."""
        if self._path in _not_kept and 0 <= self._now() - _not_kept[self._path] < RETRY_AFTER:
            return False
        asked = self._cached().get("asked")
        age = self._now() - asked if isinstance(asked, (int, float)) else LIFETIME
        return not 0 <= age < (RETRY_AFTER if self.error else LIFETIME)

    def refresh(self, provider: Provider, models: Sequence[Model]) -> None:
        """Fetch the list and keep it; after a failure the old one stays. Blocks.

        Raises InvalidInput where the data folder cannot be written.
        """
        rows, error = self._rows(), ""
        try:
            rows = provider.price_rows(models)
        except SkyportError as failure:
            error = str(failure)
        _not_kept[self._path] = self._now()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as failure:
            raise json_file.unusable(self._path.parent, failure) from failure
        json_file.write(self._path, {"asked": self._now(), "error": error, "rows": rows})
        _not_kept.pop(self._path, None)

    def _row(self, key: PriceKey) -> Mapping[str, Json] | None:
        rows = [row for row in self._rows() if row.get("model") == key.model]
        task = key.drivers.get(TASK) or ""
        named = [row for row in rows if str(row.get("task") or "").lower() == task]
        return next(iter([*named, *(row for row in rows if not row.get("task"))]), None)

    def _rows(self) -> list[dict[str, Json]]:
        rows = self._cached().get("rows")
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []

    def _cached(self) -> Mapping[str, Json]:
        """What the file holds; one that cannot be read is as good as none."""
        try:
            return json_file.read(self._path)
        except SkyportError:
            return {}


def is_same_address(one: str, other: str) -> bool:
    """Whether both are one address of a platform: the sandbox has another port each time."""
    return one == other or (is_loopback(one) and is_loopback(other))


def is_loopback(base_url: str) -> bool:
    """Whether an address is on this machine: the sandbox, whichever port it has."""
    return urlsplit(base_url).hostname in ("127.0.0.1", "localhost", "::1")


def _tariffs(row: Mapping[str, Json], unit: str) -> list[Tariff]:
    """The tariffs of a row; none where one of them cannot be read."""
    entries = row.get("prices")
    text = str(row.get("text") or "")
    try:
        listed = entries if isinstance(entries, list) else []
        return [read_tariff({**entry, "text": text}, unit) for entry in listed]
    except (InvalidTariff, TypeError):
        return []
