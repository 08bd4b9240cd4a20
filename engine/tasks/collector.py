"""Brings home what nobody waits for: tasks of a process that died, of a node that is gone."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from pathlib import Path

from ..base.errors import SkyportError
from ..ledger.ledger import Row
from ..ledger.resilient import ResilientLedger
from ..platforms.provider import Provider
from ..settings import settings
from .runner import Runner

_log = logging.getLogger(__name__)

LOOK_EVERY = 30.0  # seconds
_LONGEST = 3600.0  # seconds
_DAY = 86400.0

Connect = Callable[[str], Provider]


class Backoff:
    """When a task may be taken up again that was not brought home: half as often each time."""

    def __init__(self) -> None:
        self._tries: dict[str, tuple[float, float]] = {}  # mark: (next try, pause after that)

    def permits(self, row: Row, now: float) -> bool:
        due, pause = self._tries.get(row.record.fingerprint, (now, 2 * LOOK_EVERY))
        if now < due:
            return False
        self._tries[row.record.fingerprint] = (now + pause, min(2 * pause, _LONGEST))
        return True


async def collect_for_ever(
    runner: Runner, keeper: ResilientLedger, connect: Connect, results: Callable[[], Path]
) -> None:
    """Runs on the engine's loop as long as the process lives; between looks it does nothing."""
    backoff = Backoff()
    for look in itertools.count():
        try:
            if look % (_DAY // LOOK_EVERY) == 0:
                await runner.engine.blocking(lambda: keeper.prune(settings.load().keep_days * _DAY))
            await collect(runner, keeper, connect, results(), backoff)
        except Exception:
            _log.exception("Skyport could not look after detached tasks")
        await asyncio.sleep(LOOK_EVERY)


async def collect(
    runner: Runner,
    keeper: ResilientLedger,
    connect: Connect,
    into: Path,
    backoff: Backoff | None = None,
) -> int:
    """Take up every abandoned task that can be reached from here. The number taken up."""
    blocking = runner.engine.blocking
    backoff = backoff or Backoff()
    await blocking(keeper.recover)
    taken = 0
    for row in await blocking(keeper.abandoned):
        if runner.is_running(row.record.fingerprint):
            continue
        provider = await blocking(lambda row=row: _reach(connect, row))  # type: ignore[misc]
        if provider is None or not backoff.permits(row, asyncio.get_running_loop().time()):
            continue
        if await blocking(lambda row=row: keeper.adopt(row)):  # type: ignore[misc]
            await runner.resume(provider, row, into)
            taken += 1
    return taken


def _reach(connect: Connect, row: Row) -> Provider | None:
    """The platform of `row`, at the very place the task was sent to; None where it is not."""
    try:
        provider = connect(row.record.platform)
    except SkyportError:
        return None
    return provider if provider.http.base_url == row.record.base_url else None
