"""How late the end of a task is noticed, against polling every 5 s as a platform's sample does.

The real task runner on virtual time: what is measured is when it asks, not how fast a network is.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.sqlite_store import Store
from skyport.engine.tasks.polling import POLLS_A_MINUTE, Forecast, Pace
from virtual import Play, order

from ._figures import Entry, Figure, Goal

SAMPLE_INTERVAL = 5.0  # `time.sleep(5)` before every poll, in HaiYi's "complete sample"
_KINDS = {3.0: Goal(0.3, "s"), 30.0: Goal(0.3, "s"), 300.0: Goal(1.5, "s")}
_UNKNOWN = Goal(0.6, "s")
_POLLS = Goal(POLLS_A_MINUTE, "a minute")
_TASKS = 200  # of each kind
_RESTARTS = 20


def figures(small: bool = False) -> Iterator[Entry]:
    for kind, goal in _KINDS.items():
        lengths = varied(kind, 5 if small else _TASKS)
        (lates, polls), late = ours(lengths), statistics.median(sample(lengths))
        what = f"tasks of {kind:.0f} s"
        yield Figure(
            f"{what}, noticed late", statistics.median(lates), late, "s", "every 5 s", goal
        )
        yield Figure(f"{what}, polls", polls, 60 / SAMPLE_INTERVAL, "a minute", "every 5 s", _POLLS)
        unknown = statistics.median(noticed_late(lasts) for lasts in lengths)
        yield Figure(
            f"{what}, noticed late without history", unknown, late, "s", "every 5 s", _UNKNOWN
        )
    yield _learnt(2 if small else _RESTARTS)


def noticed_late(lasts: float, *, usual: float | None = None, tells: bool = False) -> float:
    """Seconds from a task's end to the poll that sees it; `tells`: each poll tells its progress."""
    pace, forecast = Pace(0.0), Forecast(0.0, () if usual is None else (usual,))
    while True:
        now = pace.next_poll(forecast.expected_end(), forecast.spread)
        pace.record_poll(now)
        if now >= lasts:
            return now - lasts
        forecast.observe(now, now / lasts if tells else None)


def varied(kind: float, count: int, spread: float = 0.1) -> list[float]:
    """Lengths of tasks that take about `kind` seconds."""
    chance = random.Random(kind)
    return [kind * max(0.3, chance.gauss(1, spread)) for _ in range(count)]


def ours(lengths: Sequence[float]) -> tuple[list[float], float]:
    """The lateness of tasks run one after another, so that later ones profit from the earlier, and
    the most polls a minute of any of them, averaged over it or its first minute."""
    with Play() as play:
        cloud = play.cloud()
        for seed, lasts in enumerate(lengths):
            play.result(cloud, order({"lasts": lasts}, seed=seed), Path())
        polls = {task: cloud.times("poll", task) for task in map(str, range(1, len(lengths) + 1))}
        lates = [times[-1] - cloud.end(task) for task, times in polls.items()]
        began = {task: cloud.times("submit", task)[0] for task in polls}
        # The first poll belongs to no interval.
        return lates, max(
            (len(times) - 1) / max(1.0, (times[-1] - began[task]) / 60.0)
            for task, times in polls.items()
        )


def sample(lengths: Sequence[float]) -> list[float]:
    """The lateness of the same tasks with the sample's loop."""
    return [math.ceil(lasts / SAMPLE_INTERVAL) * SAMPLE_INTERVAL - lasts for lasts in lengths]


def _learnt(restarts: int, kind: float = 30.0) -> Figure:
    """The first task of a new process, with and without a ledger that knows its model."""
    with_ledger, without = (
        statistics.median(chain.from_iterable(map(first, range(restarts))))
        for first in (partial(_first, kind, 10), partial(_first, kind, 0))
    )
    what = f"first task of {kind:.0f} s after a restart, noticed late"
    return Figure(what, with_ledger, without, "s", "an empty ledger", Goal(0.75))


def _first(kind: float, known: int, seed: int) -> list[float]:
    plays: list[Play] = []
    ledger = Store(None, Owner(None), lambda: plays[-1].loop.time())
    lengths = [kind * random.Random(f"{seed} {n}").gauss(1, 0.01) for n in range(known + 1)]
    lates: list[float] = []
    for number, lasts in enumerate(lengths):
        with Play(ledger) as play:
            plays.append(play)
            cloud = play.cloud(lasts)
            play.result(cloud, order(seed=number), Path())
            lates = [cloud.times("poll")[-1] - cloud.end("1")]
    return lates
