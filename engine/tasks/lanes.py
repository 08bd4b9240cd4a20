"""How many orders of a platform run side by side on each of its lanes, and which one is next."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
from collections.abc import Callable
from functools import partial

from ..base.errors import ApiError
from ..ledger.ledger import Ledger
from ..platforms.media_host import account
from ..platforms.provider import Provider
from ..settings import settings
from .job import Job
from .polling import ConcurrencyLimit
from .resume import ResumeCheck
from .room import Room

_REMEMBERED_FOR = 60.0  # seconds until what other processes have learnt is read again

_log = logging.getLogger(__name__)


class Lane:
    """One lane of a platform.

    scope  names it in the ledger: the platform, its address, the account and the lane
    taken  the jobs whose orders the platform has taken
    moved  when it last took one, or one of ours ended
    """

    def __init__(self, most: Callable[[], float], scope: str) -> None:
        self.scope = scope
        self.room = Room()
        self.taken: set[Job] = set()
        self.moved = _now()
        self.read = -math.inf  # when its room was read from the ledger
        self.reading = asyncio.Lock()
        self.slots = ConcurrencyLimit(lambda: min(most(), self.room.limit(_now(), len(self.taken))))


class Lanes:
    """The lanes of all platforms. Runs on the engine's loop; `count` may be called from any thread.

    A job enters the lane of its request, and after `prepare` that of the request as prepared, which
    it leaves when it is prepared anew.
    """

    def __init__(self, ledger: Ledger, resume: ResumeCheck) -> None:
        self._ledger = ledger
        self._in_thread = resume.in_thread
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._providers: dict[str, Provider] = {}  # the newest of each: it knows the limits of now
        self._turns = itertools.count()
        self._writes: set[asyncio.Future[None]] = set()  # the loop holds tasks weakly

    async def enter(self, job: Job, lane: str) -> None:
        """Wait for room on `lane`, unless the job is on it. Raises what `lane_limit` raises."""
        provider = self._providers[job.provider.name] = job.provider
        provider.in_flight = partial(self.count, provider.name)
        if lane in job.lanes:
            return
        if job.turn is None:
            job.turn = next(self._turns)
        of_lane = self._lane(job.provider, lane)
        await self._remember(of_lane)
        await of_lane.slots.acquire(lambda: (job.rank, job.turn))
        job.lanes.append(lane)

    def join(self, job: Job, lane: str) -> None:
        """Count `job` on `lane`, which has room or not: its task runs there already."""
        if lane not in job.lanes:
            self._lane(job.provider, lane).slots.take()
            job.lanes.append(lane)
        self._lane(job.provider, lane).taken.add(job)

    def leave(self, job: Job, keep: int = 0) -> None:
        """Leave all lanes but the first `keep`."""
        while len(job.lanes) > keep:
            lane = self._lane(job.provider, job.lanes.pop())
            if job in lane.taken:
                lane.taken.discard(job)
                lane.moved = _now()
            lane.slots.release()

    def count(self, platform: str, lane: str) -> int:
        """The orders of this process that are on `lane` or wait for it."""
        found = self._lanes.get((platform, lane))
        return found.slots.count if found else 0

    # -- what the platform takes ----------------------------------------------------------------

    def accepted(self, job: Job) -> None:
        """The platform has taken the order: there may be room for one more."""
        for name in job.lanes:
            lane = self._lane(job.provider, name)
            lane.taken.add(job)
            lane.moved = _now()
            if lane.room.accept(_now(), len(lane.taken)):
                self._record(lane)
            lane.slots.admit()

    def is_crowded(self, job: Job) -> bool:
        """Whether the platform holds orders of this process on the job's lane."""
        return bool(self._lane(job.provider, job.lanes[-1]).taken)

    async def may_wait(self, job: Job) -> bool:
        """Whether the platform, which has refused the order as too many, will have room for it.

        So where it holds orders of ours, or of another process that uses the same ledger and while
        that may last.
        """
        lane = self._lane(job.provider, job.lanes[-1])
        if self.is_crowded(job):
            return True
        if _now() - lane.moved > settings.load().patience_s:
            return False
        base_url = job.provider.http.base_url
        return await self._in_thread(lambda: self._ledger.is_any_under_way(base_url))

    async def wait_again(self, job: Job, refusal: ApiError, sent: float) -> None:
        """After `refusal` of an order that was sent at `sent`: wait for room, in its turn."""
        name = job.lanes[-1]
        lane = self._lane(job.provider, name)
        under_way = lane.slots.held
        taken = len(lane.taken)
        lane.room.refuse(_now(), sent, taken, under_way, refusal.retry_after)
        self._record(lane)
        job.lanes.pop()
        lane.slots.release()
        asyncio.get_running_loop().call_at(lane.room.closed_until, lane.slots.admit)
        await self.enter(job, name)

    # -- inside ---------------------------------------------------------------------------------

    def _lane(self, provider: Provider, name: str) -> Lane:
        key = provider.name, name
        if key not in self._lanes:
            self._providers.setdefault(provider.name, provider)
            self._lanes[key] = Lane(
                lambda: self._providers[provider.name].lane_limit(name), _scope(provider, name)
            )
        lane, scope = self._lanes[key], _scope(provider, name)
        if lane.scope != scope:  # another key, or another address: another account
            lane.scope, lane.room, lane.read = scope, Room(), -math.inf
        return lane

    async def _remember(self, lane: Lane) -> None:
        """Take over what this or another process has learnt of the lane before."""
        async with lane.reading:
            if _now() - lane.read < _REMEMBERED_FOR:
                return
            known = await self._in_thread(lambda: self._ledger.known_room(lane.scope))
            lane.read = _now()
            lane.room.most = lane.room.most if known is None else known

    def _record(self, lane: Lane) -> None:
        scope, most = lane.scope, lane.room.most
        if most is None:
            return
        writing = asyncio.ensure_future(
            self._in_thread(lambda: self._ledger.record_room(scope, most))
        )
        self._writes.add(writing)
        writing.add_done_callback(self._recorded)

    def _recorded(self, writing: asyncio.Future[None]) -> None:
        """Whatever becomes of it, the order goes on."""
        self._writes.discard(writing)
        if not writing.cancelled() and writing.exception() is not None:
            _log.debug("The room of a lane was not recorded: %s", writing.exception())


def _scope(provider: Provider, lane: str) -> str:
    base_url = provider.http.base_url
    key = account(*provider.http.key_for(base_url).values())
    return f"{provider.name} {base_url} {key} {lane}".strip()


def _now() -> float:
    return asyncio.get_running_loop().time()
