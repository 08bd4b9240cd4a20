"""Each platform's models: built in, cached in the data folder, refreshed from the platform.

The cache holds rows in the platform's own words. It only grows: a model that was once offered may
be in somebody's workflow, so it stays, marked as retired.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, cast

from ..base.background import Engine, workers
from ..base.errors import BadResult, SkyportError
from ..base.types import Json, Model
from ..base.words import language, tr
from ..http.retry import retrying
from ..settings import folders
from ..settings.json_file import unusable
from .provider import Provider

_CONCURRENT = 4  # requests for model details at the same time
_STAT_INTERVAL = 1.0  # seconds; another process may have refreshed the cache file


@dataclass(frozen=True)
class Refreshed:
    """The outcome of a refresh. `unread`: models whose parameters could not be read, and why."""

    models: tuple[Model, ...]
    added: tuple[str, ...]
    retired: tuple[str, ...]
    unread: tuple[str, ...]


class Catalogue:
    """The models of one platform at one address: its own, the sandbox or another base URL."""

    def __init__(
        self,
        provider: type[Provider],
        realm: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider = provider
        self._realm = realm
        self._models: tuple[Model, ...] = ()
        self._by_task: dict[str | None, tuple[Model, ...]] = {}
        self._read_as: tuple[float | None, str] = (-1.0, "")  # when written, in which language
        self._clock = clock
        self._checked_at = -math.inf
        self._lock = threading.Lock()

    def models(self, task: str | None = None) -> tuple[Model, ...]:
        """All models, or those of one task; retired ones last. Never touches the network.

        Returns the same tuple until the models change.
        """
        with self._lock:
            is_due = self._clock() - self._checked_at > _STAT_INTERVAL
            if is_due or self._read_as[1] != language():
                self._checked_at = self._clock()
                self._load()
            if task not in self._by_task:
                matching = (model for model in self._models if task in (None, model.task))
                self._by_task[task] = tuple(matching)
            return self._by_task[task]

    def age(self) -> float | None:
        """Seconds since the last refresh, None where there was none."""
        mtime = _mtime(self._path)
        return None if mtime is None else max(0.0, time.time() - mtime)

    async def refresh(self, provider: Provider, engine: Engine) -> Refreshed:
        """Fetch the platform's models and cache them. After a SkyportError the old ones stay."""
        before = {key: row for key, (row, _) in self._known().items()}
        with workers(provider.name):
            listed = await retrying(provider.list_rows, run_blocking=engine.blocking)
            live, unread = await _completed(provider, engine, listed, before)
        if not live:
            raise BadResult(
                tr("The platform lists no models."),
                do=tr("The models known so far are kept."),
                platform=provider.label,
            )
        gone = [{**row, "retired": True} for key, row in before.items() if key not in live]
        _write(self._path, [*live.values(), *gone])
        with self._lock:
            self._load()
        return Refreshed(
            models=self.models(),
            added=tuple(f"{name} ({task})" for name, task in live if (name, task) not in before),
            retired=tuple(f"{row_id[0]} ({row_id[1]})" for row_id in before if row_id not in live),
            unread=tuple(unread),
        )

    @property
    def _path(self) -> Path:
        suffix = f".{self._realm}" if self._realm else ""
        return folders.home() / "catalogue" / f"{self._provider.name}{suffix}.json"

    def _load(self) -> None:
        read_as = (_mtime(self._path), language())  # our texts are in the rows, too
        if read_as == self._read_as:
            return
        self._read_as = read_as
        models = (model for _, model in self._known().values())
        self._models = tuple(sorted(models, key=lambda model: model.retired))
        self._by_task = {}

    def _known(self) -> dict[tuple[str, str], tuple[Json, Model]]:
        """Built-in rows, overlaid by the cached ones where the platform lists its models itself."""
        rows: dict[tuple[str, str], tuple[Json, Model]] = {}
        sources = [_read_all(self._provider, _cached(self._path)), built_in(self._provider)]
        for row, model in chain(*(sources if self._provider.lists_models() else reversed(sources))):
            rows.setdefault((model.id, model.task), (row, model))
        return rows


def built_in(provider: type[Provider]) -> list[tuple[Json, Model]]:
    """The rows of the platform's document, and what they say in the language in use."""
    return _built_in(cast(Any, provider), language())  # mypy takes no class for hashable


@lru_cache(maxsize=16)
def _built_in(provider: type[Provider], _language: str) -> list[tuple[Json, Model]]:
    return _read_all(provider, provider.built_in_rows())


def realm_of(base_url: str, default: str) -> str:
    """A short name for the address whose models these are; "" for the platform's own."""
    if base_url.rstrip("/") == default.rstrip("/"):
        return ""
    return hashlib.sha256(base_url.encode()).hexdigest()[:8]


async def _completed(
    provider: Provider, engine: Engine, listed: list[Json], before: dict[tuple[str, str], Json]
) -> tuple[dict[tuple[str, str], Json], list[str]]:
    """(rows with their parameters, failures); a row that cannot be read keeps its earlier ones."""
    semaphore = asyncio.Semaphore(_CONCURRENT)
    live: dict[tuple[str, str], Json] = {}
    unread: list[str] = []

    async def complete(row: Json) -> Json:
        async with semaphore:
            return await retrying(lambda: provider.complete_row(row), run_blocking=engine.blocking)

    outcomes = await asyncio.gather(*map(complete, listed), return_exceptions=True)
    for row, outcome in zip(listed, outcomes, strict=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, SkyportError):
            raise outcome
        model = _read(provider, row)
        if model is None:
            continue
        key = (model.id, model.task)
        if isinstance(outcome, SkyportError):
            unread.append(f"{model.id} ({model.task}): {outcome}")
            outcome = {**before.get(key, row), "retired": False}
        live[key] = outcome
    return live, unread


def _read_all(provider: type[Provider], rows: Iterable[Json]) -> list[tuple[Json, Model]]:
    """Each row with its model, without those that cannot be one."""
    return [(row, model) for row in rows if (model := _read(provider, row)) is not None]


def _read(provider: type[Provider] | Provider, row: Json) -> Model | None:
    try:
        return provider.read_row(row)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _cached(path: Path) -> list[Json]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return rows if isinstance(rows, list) else []


def _write(path: Path, rows: list[Any]) -> None:
    text = json.dumps(rows, ensure_ascii=False, indent=1)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # What UTF-8 cannot hold is written as JSON's own escape.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
        os.replace(temporary, path)
    except OSError as error:
        raise unusable(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _mtime(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None
