"""A file lock that the system releases however its process dies."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from ..base.soft_lock import soft_lock

# What disks without locks answer: Lustre, some NFS, FUSE and container volumes.
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
_BUSY = {errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK}


class NoLocks(OSError):
    """The disk has no such locks."""


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def acquire(file: int) -> bool:
    """Lock the open `file` until it is closed. False where another one holds it.

    Raises NoLocks, OSError.
    """
    try:
        _lock(file)
    except OSError as error:
        if error.errno in _BUSY:
            return False
        if error.errno in _NO_LOCKS:
            raise NoLocks(error.errno, os.strerror(error.errno)) from None
        raise
    return True


@contextmanager
def exclusive(path: Path, patience: float) -> Iterator[None]:
    """Wait up to `patience` seconds for the lock file `path`, and hold it. Raises OSError."""
    lock = (
        FileLock(path, timeout=patience) if _has_locks(path.parent) else soft_lock(path, patience)
    )
    with lock:
        yield


def _has_locks(folder: Path) -> bool:
    with tempfile.TemporaryFile(dir=folder) as probe:
        try:
            return acquire(probe.fileno())
        except NoLocks:
            return False
