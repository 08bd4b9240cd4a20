"""A table of 10,000 rows ordered from the sandbox: rows a second, and memory against 1,000 rows.

The peak is that of the whole process of the command. One that kept its rows would show it.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from batches import Batch, fast_sandbox
from skyport.sandbox import Sandbox

from ._figures import Entry, Figure, Goal

_MB = 1024.0  # of the system's KB
FEW, MANY = 1000, 10_000


def figures(small: bool = False) -> Iterator[Entry]:
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
    batch = Batch(folder, box)
    batch.write(rows)
    began = time.perf_counter()
    process = batch.start()
    assert process.stdout is not None
    assert process.stderr is not None
    errors = process.stderr.read()
    process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    process.stderr.close()
    assert process.returncode == 0, errors
    return time.perf_counter() - began, used.ru_maxrss
