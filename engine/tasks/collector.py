"""Finishes tasks that nobody waits for: their process has died, or their node is gone."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable
from pathlib import Path

from ..base.errors import SkyportError
from ..ledger.ledger import Row, State
from ..ledger.resilient import ResilientLedger
from ..platforms.provider import Provider
from ..settings import settings
from .runner import Runner

_log = logging.getLogger(__name__)

INTERVAL = 30.0  # seconds
_MAX_PAUSE = 3600.0  # seconds
_DAY = 86400.0

Connect = Callable[[str], Provider]


# An unresolved task, or one with missing results, is looked at so many seconds after it became so.
LOOKS = (60.0, 120.0, 300.0, 900.0, 1800.0, *(3600.0 + 7200.0 * n for n in range(12)))


class Backoff:
    """When to try an unfinished task again: the pause doubles with each attempt."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._tries: dict[str, tuple[float, float]] = {}  # fingerprint: (next try, pause after it)
        self._looks: dict[str, float] = {}  # fingerprint: age of the task at its last look

    def permits(self, row: Row, now: float) -> bool:
        if row.state is State.UNRESOLVED or row.is_partial:
            return self._permits_look(row)
        due, pause = self._tries.get(row.record.fingerprint, (now, 2 * INTERVAL))
        if now < due:
            return False
        self._tries[row.record.fingerprint] = (now + pause, min(2 * pause, _MAX_PAUSE))
        return True

    def _permits_look(self, row: Row) -> bool:
        """Whether one of LOOKS has come since the last look, which a restart forgets."""
        age, last = self._clock() - row.ended, self._looks.get(row.record.fingerprint, 0.0)
        if last > age:  # it ran again since
            last = 0.0
        due = any(last < moment <= age for moment in LOOKS)
        if due:
            self._looks[row.record.fingerprint] = age
        return due and age < _DAY + 2 * _MAX_PAUSE


async def collect_forever(
    runner: Runner,
    ledger: ResilientLedger,
    connect: Connect,
    results: Callable[[], Path],
    prune: Callable[[float], object] | None = None,
) -> None:
    """Collect every INTERVAL seconds, and prune once a day. Runs on the engine's loop.

    prune  forgets what is so many seconds old; without it, `ledger.prune`
    """
    backoff, forget = Backoff(), prune or ledger.prune
    for cycle in itertools.count():
        try:
            if cycle % (_DAY // INTERVAL) == 0:
                await runner.engine.blocking(lambda: forget(settings.load().keep_days * _DAY))
            await collect(runner, ledger, connect, results(), backoff)
        except Exception:
            _log.exception("Skyport could not collect detached tasks")
        await asyncio.sleep(INTERVAL)


async def collect(
    runner: Runner,
    ledger: ResilientLedger,
    connect: Connect,
    into: Path,
    backoff: Backoff | None = None,
) -> int:
    """Resume every abandoned task whose platform is set up here; returns how many.

    One whose results have come in part too: only the missing ones are fetched. An order whose
    answer was lost is looked up where the platform can be asked.
    """
    blocking = runner.engine.blocking
    backoff = backoff or Backoff()
    await blocking(ledger.recover)
    resumed = 0
    for row in await blocking(ledger.abandoned):
        if runner.is_running(row.record.fingerprint):
            continue
        provider = await blocking(lambda row=row: _provider_for(connect, row))  # type: ignore[misc]
        if provider is None or not backoff.permits(row, asyncio.get_running_loop().time()):
            continue
        if await blocking(lambda row=row: ledger.adopt(row)):  # type: ignore[misc]
            await runner.resume(provider, row, into)
            resumed += 1
    return resumed


def _provider_for(connect: Connect, row: Row) -> Provider | None:
    """The platform of `row`, if its base URL is still the one the task was sent to; else None."""
    try:
        provider = connect(row.record.platform)
    except SkyportError:
        return None
    return provider if provider.http.base_url == row.record.base_url else None
