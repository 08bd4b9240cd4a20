"""Which rows are old enough to forget: their age is counted in the ledger's own time."""

from __future__ import annotations

from collections.abc import Iterable

LONGEST_PAUSE = 7 * 86400.0  # seconds that count between two entries, however far apart they are


def cutoff(newest_first: Iterable[float], older_than_s: float) -> float | None:
    """The newest of the times of use, in seconds, that is `older_than_s` old; None if none is.

    Ages are counted back from the newest entry, not from the clock, and a pause counts a week at
    most: a clock that ran ahead, even while a few orders were written, makes no entry old.
    """
    age, later = 0.0, None
    for moment in newest_first:
        age += min(LONGEST_PAUSE, later - moment) if later is not None else 0.0
        if age >= older_than_s:
            return moment
        later = moment
    return None
