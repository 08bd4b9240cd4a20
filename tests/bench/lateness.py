"""How late the end of a task is noticed, against polling every 5 s as a platform's sample does.

The real task runner on virtual time: what is measured is when it asks, not how fast a network is.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable
from pathlib import Path

from skyport.providers._pace import Forecast, Pace
from virtual import Play, order

SAMPLE_INTERVAL = 5.0  # `time.sleep(5)` before every poll, in HaiYi's "complete sample"
KINDS = (3.0, 30.0, 58.0, 240.0, 900.0)
TASKS = 200  # of each kind


def noticed_late(lasts: float, *, usual: float | None = None, tells: bool = False) -> float:
    """Seconds from a task's end to the poll that sees it; `tells`: each poll tells its progress."""
    pace, forecast = Pace(0.0), Forecast(0.0, usual)
    while True:
        now = pace.next_poll(forecast.end())
        pace.polled(now)
        if now >= lasts:
            return now - lasts
        forecast.saw(now, now / lasts if tells else None)


def ours(lengths: list[float]) -> list[float]:
    """The lateness of tasks run one after another, so that later ones profit from the earlier."""
    with Play() as play:
        cloud = play.cloud()
        for seed, lasts in enumerate(lengths):
            play.result(cloud, order({"lasts": lasts}, seed=seed), Path())
        return [cloud.times("poll", task)[-1] - cloud.end(task) for task in _ids(lengths)]


def sample(lengths: list[float]) -> list[float]:
    """The lateness of the same tasks with the sample's loop."""
    return [math.ceil(lasts / SAMPLE_INTERVAL) * SAMPLE_INTERVAL - lasts for lasts in lengths]


def compared(kind: float, spread: float = 0.1) -> tuple[float, float]:
    """(ours, the sample's) median lateness for tasks that take about `kind` seconds."""
    chance = random.Random(kind)
    lengths = [kind * max(0.3, chance.gauss(1, spread)) for _ in range(TASKS)]
    return statistics.median(ours(lengths)), statistics.median(sample(lengths))


def main(say: Callable[[str], object] = print) -> float:
    """Print the table; the ratio of the two medians over all tasks is returned."""
    say(f"{'task':>8} {'ours':>8} {'5 s':>8} {'ratio':>7}")
    rows = [(kind, *compared(kind)) for kind in KINDS]
    for kind, mine, theirs in rows:
        say(f"{kind:>6.0f} s {mine:>6.2f} s {theirs:>6.2f} s {theirs / mine:>6.1f}x")
    ratio = statistics.median(r[2] for r in rows) / statistics.median(r[1] for r in rows)
    say(f"The end of a task is noticed {ratio:.1f} times sooner than by asking every 5 s.")
    return ratio


def _ids(lengths: list[float]) -> list[str]:
    return [str(number) for number in range(1, len(lengths) + 1)]
