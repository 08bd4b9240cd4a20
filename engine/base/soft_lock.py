"""A lock that is a file: for every disk, and for what is soon done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import SoftFileLock, Timeout


@contextmanager
def soft_lock(path: Path, patience: float) -> Iterator[None]:
    """Hold the lock file `path`. One that others hold for `patience` seconds is of a dead process.

    Goes on without a lock where no file can be made.
    """
    with ExitStack() as stack:
        lock = SoftFileLock(path, timeout=patience)
        with suppress(OSError):
            try:
                stack.enter_context(lock)
            except Timeout:
                path.unlink()
                stack.enter_context(lock)
        yield
