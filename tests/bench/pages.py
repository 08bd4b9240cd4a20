"""A page of the list of jobs as the editor asks for it, of a long ledger and of a short one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ._figures import Entry, Figure, Goal
from ._hosts import KIND, NAME, stand_in
from ._measure import alone, in_turns, timed

_MANY, _FEW = 5000, 200
_TIMES = 15
_PROMISED = Goal(20, "ms")


def figures(small: bool = False) -> Iterator[Entry]:
    many, few = (2 * _FEW, _FEW) if small else (_MANY, _FEW)
    with tempfile.TemporaryDirectory() as folder:
        long, short = alone(both, Path(folder), many, few)
    for name, seconds in long.items():
        what = f"list of {many} jobs in {NAME}, {name}"
        against = f"of {few} jobs"
        yield Figure(what, seconds * 1000, short[name] * 1000, "ms", against, _PROMISED)


def both(folder: Path, many: int, few: int) -> tuple[dict[str, float], dict[str, float]]:
    """Of a long list and of a short one; to be called in a process of its own."""
    stand_in()
    return pages(folder / "long", many), pages(folder / "short", few)


def pages(base: Path, rows: int) -> dict[str, float]:
    """Seconds that a page takes, by what is asked for."""
    from _host_ledger import HostLedger
    from host import open_host

    os.environ["SKYPORT_HOME"] = str(base / "home")
    with open_host(KIND, base) as host, HostLedger(host) as ledger:
        ledger.add_many(rows)
        middle = ledger.newest() - rows // 2
        asked: dict[str, Mapping[str, Any]] = {
            "first page": {},
            "a later page": {"before": middle},
            "of one platform": {"platform": "haiyi", "before": middle},
        }
        each = (partial(host.route, "GET", "/skyport/jobs", params=one) for one in asked.values())
        seconds = in_turns(_TIMES, *(partial(timed, one) for one in each))
        return dict(zip(asked, seconds, strict=True))
