"""A table of 10,000 rows ordered from the sandbox: rows a second, and memory against 1,000 rows.

The peak is that of the whole process of the command. One that kept its rows would show it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from batches import Batch, fast_sandbox
from skyport.sandbox import Sandbox

from ._figures import Entry, Figure, Goal

# Not ru_maxrss: a child begins with that of the process that starts it.
_COMMAND = """
import sys
from skyport.cli import main
code = main(sys.argv[1:])
status = open("/proc/self/status").read().split()
print(status[status.index("VmHWM:") + 1])
sys.exit(code)
"""
_STATUS = Path("/proc/self/status")
_PATIENCE = 3600.0  # seconds
_MB = 1024.0  # of the system's KB
FEW, MANY = 1000, 10_000


def figures(small: bool = False) -> Iterator[Entry]:
    if not _STATUS.exists():
        yield "rows: the peak of memory is read from /proc, which this system does not have"
        return
    few, many = (10, 40) if small else (FEW, MANY)
    with fast_sandbox() as box, tempfile.TemporaryDirectory() as folder:
        _, base = ordered(Path(folder, "few"), box, few)
        seconds, peak = ordered(Path(folder, "many"), box, many)
        again, _ = ordered(Path(folder, "many"), box, many)
    what = f"{many} rows"
    yield Figure(f"{what}, memory", peak / _MB, base / _MB, "MB", f"{few} rows", Goal(1.1, "x"))
    yield Figure(f"{what}, a second", many / seconds, many / again, "/s", "the second run")


def ordered(folder: Path, box: Sandbox, rows: int) -> tuple[float, float]:
    """(seconds, the peak of resident memory in KB) of one run of the command."""
    folder.mkdir(exist_ok=True)
    batch = Batch(folder, box, launch=("-c", _COMMAND))
    batch.write(rows)
    began = time.perf_counter()
    ended = batch.run(patience=_PATIENCE)
    assert ended.code == 0, ended.err
    return time.perf_counter() - began, float(ended.out.split()[-1])
