"""What a child process does that a test kills: it works off a plan as a ComfyUI queue would.

It tells each result and each error that a person is given, on stdout, before the ledger is.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import time
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, wait
from pathlib import Path
from typing import Any

from sequences import PICTURE, is_offered
from skyport import providers
from skyport.engine.base.errors import ApiError, SkyportError, TaskCancelled, TaskFailed
from skyport.engine.base.types import Json, Request, Result
from skyport.engine.http import retry
from skyport.engine.http.slow_answers import MinimumRate
from skyport.engine.ledger.ledger import ATTACHABLE, Query, Row, State
from skyport.engine.media.files import describe, is_intact
from skyport.engine.platforms.provider import Provider
from skyport.engine.settings.settings import results
from skyport.engine.tasks import collector, history, poller, polling, waiting
from skyport.engine.tasks.job import Job

SPEED = 50  # waits are so much shorter than in life
QUEUES = 4  # times that a person queues an order at most, in one life of the process
TIMES = 10  # a job is fetched at most
_LOOK = 0.02  # seconds between two looks at what is under way
_RATE = MinimumRate(seconds=4.0)  # more than a busy machine takes for an answer


def tell(*words: object) -> None:
    """One line, which has left this process when this returns."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def speed_up() -> None:
    """Shorten every wait of the engine."""
    waiting.RESULT_PAUSES = tuple(seconds / SPEED for seconds in waiting.RESULT_PAUSES)
    waiting.YOUNG /= SPEED
    waiting.MISSING_FOR /= SPEED
    waiting.UNCHANGED_FOR /= SPEED
    waiting.MAX_PAUSE /= SPEED
    poller.LOOK /= SPEED
    poller.DEAD_AFTER /= SPEED
    poller.POLLS_A_SECOND *= SPEED
    polling.POLLS_A_MINUTE *= SPEED
    polling._INTERVAL /= SPEED
    polling._LONGER_INTERVAL /= SPEED
    polling._MIN_GAIN /= SPEED
    retry.FIRST_PAUSE /= SPEED
    retry.MAX_PAUSE /= SPEED
    retry.MAX_RETRY_AFTER /= SPEED
    collector.INTERVAL /= SPEED
    collector.LOOKS = tuple(seconds / SPEED for seconds in collector.LOOKS)


def connect(platform: str) -> Provider:
    provider = providers.connect(platform)
    provider.http.rate = _RATE
    return provider


# -- queue ---------------------------------------------------------------------------------------


def queue(plan: str) -> None:
    """Queue each order of the plan, and again until it is over, QUEUES times at most.

    Tells `got NUMBER`, `told NUMBER ERROR`; `ready` before all.
    """
    wanted = json.loads(Path(plan).read_text(encoding="utf-8"))
    speed_up()
    tell("ready")
    providers.start_collector()
    under_way = [Queued(one) for one in wanted]
    while under_way:
        futures = [order.job.future for order in under_way]
        wait(futures, timeout=_LOOK, return_when=FIRST_COMPLETED)
        under_way = [order for order in under_way if not order.is_over()]


class Queued:
    """An order in the hands of a person, who may interrupt it the first time."""

    def __init__(self, one: Mapping[str, Any]) -> None:
        self._number = one["number"]
        self._platform, self._request = connect(one["platform"]), _request(one)
        self._patience: float = one["interrupt"] or math.inf
        self._times = 0
        self._queue()

    def _queue(self) -> None:
        self._times += 1
        self._interrupt = time.monotonic() + (self._patience if self._times == 1 else math.inf)
        self.job = providers.runner().start(self._platform, self._request, into=results())

    def is_over(self) -> bool:
        """Whether the person need not, or does not, queue it again; looks at it, or queues it."""
        if self.job.future.done():
            if _hand_over(self._number, self.job) or self._times == QUEUES:
                return True
        elif time.monotonic() >= self._interrupt:
            providers.runner().leave(self.job, stop=True)
        else:
            return False
        self._queue()
        return False


def _request(one: Mapping[str, Any]) -> Request:
    payload = _with_picture(one["payload"], one["picture"])
    return Request(one["platform"], one["endpoint"], payload, title="wish")


def _with_picture(tree: Json, path: str) -> Json:
    """`tree` with the picture at `path` wherever one goes."""
    if tree == PICTURE:
        return describe(path)
    if isinstance(tree, dict):
        return {key: _with_picture(value, path) for key, value in tree.items()}
    return [_with_picture(value, path) for value in tree] if isinstance(tree, list) else tree


def _hand_over(number: int, job: Job) -> bool:
    """Give a person what became of the order; whether they need not queue it again."""
    error = job.future.exception()
    if error is None:
        _look_at(job.future.result())
        tell("got", number)
        providers.runner().record_delivered(job)
        return True
    tell("told", number, type(error).__name__, json.dumps(str(error)))
    providers.runner().record_told(job)
    return _is_over(error)


def _look_at(result: Result) -> None:
    assert all(map(is_intact, result.files))
    assert result.files or result.texts


def _is_over(error: BaseException) -> bool:
    """Whether it is proved that the order, or its submit, was refused or has failed."""
    if isinstance(error, (TaskFailed, TaskCancelled)):
        return True
    return isinstance(error, ApiError) and not error.task_id


# -- fetch ---------------------------------------------------------------------------------------


def fetch_all() -> None:
    """Fetch what the ledger has open and the platform hands out, as `skyport jobs fetch` does.

    Tells `fetched ROW`, `unfetched ROW ERROR`; `ready` before all.
    """
    speed_up()
    tell("ready")
    open_ones = Query(states=(*ATTACHABLE, State.SUCCEEDED), limit=-1)
    engine = providers.runner().engine

    async def fetch(row: Row) -> None:
        for _ in range(TIMES):
            try:
                found = await history.fetch(providers.runner(), connect, row, results())
                result = (
                    await asyncio.wrap_future(found.future) if isinstance(found, Job) else found
                )
            except SkyportError as error:
                tell("unfetched", row.id, type(error).__name__, json.dumps(str(error)))
                continue
            _look_at(result)
            await engine.blocking(lambda: history.record_delivered(providers.ledger(), row))
            tell("fetched", row.id)
            return

    async def all_of_them() -> None:
        rows = history.rows(providers.ledger(), open_ones)
        offered = [row for row in rows if is_offered(json.dumps(row.record.request))]
        await asyncio.gather(*map(fetch, offered))

    engine.start(all_of_them()).result()
