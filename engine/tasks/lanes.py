"""How many orders of a platform run side by side on each of its lanes, and which one is next."""

from __future__ import annotations

from functools import partial

from ..platforms.provider import Provider
from .job import Job
from .polling import ConcurrencyLimit


class Lanes:
    """The lanes of all platforms. Runs on the engine's loop; `count` may be called from any thread.

    A job enters the lane of its request, and after `prepare` that of the request as prepared, which
    it leaves when it is prepared anew.
    """

    def __init__(self) -> None:
        self._limits: dict[tuple[str, str], ConcurrencyLimit] = {}
        self._providers: dict[str, Provider] = {}  # the newest of each: it knows the limits of now

    async def enter(self, job: Job, lane: str) -> None:
        """Wait for room on `lane`, unless the job is on it. Raises what `lane_limit` raises."""
        provider = self._providers[job.provider.name] = job.provider
        provider.in_flight = partial(self.count, provider.name)
        if lane not in job.lanes:
            await self._limit(provider.name, lane).acquire(lambda: job.rank)
            job.lanes.append(lane)

    def join(self, job: Job, lane: str) -> None:
        """Count `job` on `lane`, which has room or not: its task runs there already."""
        if lane not in job.lanes:
            self._limit(job.provider.name, lane).take()
            job.lanes.append(lane)

    def leave(self, job: Job, keep: int = 0) -> None:
        """Leave all lanes but the first `keep`."""
        while len(job.lanes) > keep:
            self._limit(job.provider.name, job.lanes.pop()).release()

    def count(self, platform: str, lane: str) -> int:
        """The orders of this process that are on `lane` or wait for it."""
        limit = self._limits.get((platform, lane))
        return limit.count if limit else 0

    def _limit(self, platform: str, lane: str) -> ConcurrencyLimit:
        return self._limits.setdefault(
            (platform, lane),
            ConcurrencyLimit(lambda: self._providers[platform].lane_limit(lane)),
        )
