"""Which process a ledger row belongs to, and whether that process is still alive."""

from __future__ import annotations

import logging
import os
import time
import uuid
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from ..base import forks
from ..base.words import tr
from . import heartbeat, system_lock

_GRACE_PERIOD = 60.0  # seconds in which a new lock file may exist without being locked yet
_log = logging.getLogger(__name__)


class Owner:
    """The id of this process, with a lock file that the system unlocks however the process dies.

    Where the disk has no locks, the process touches the file now and then. A forked process gets
    an id and a file of its own when it first needs them.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._id = uuid.uuid4().hex
        self._held: weakref.finalize[[], Owner] | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._sweep(folder)
            self._hold(folder / f"{self._id}.lock")
        forks.watch(self)

    @property
    def id(self) -> str:
        if not self._id:
            self._id = uuid.uuid4().hex
            if self._folder is not None:
                with suppress(OSError):  # the ledger on the same disk tells
                    self._hold(self._folder / f"{self._id}.lock")
        return self._id

    def is_alive(self, owner: str) -> bool:
        """Whether the process with the id `owner` is still alive."""
        if owner == self._id:
            return bool(owner)
        if self._folder is None or not owner:
            return False
        path = self._folder / f"{owner}.lock"
        try:
            if _is_held(path):
                return True
        except FileNotFoundError:
            return False
        except OSError:
            return True
        with suppress(OSError):
            path.unlink()
        return False

    def close(self) -> None:
        """Release the lock, as the end of the process does."""
        if self._held is not None:
            self._held()

    def before_fork(self) -> None:
        pass

    def after_fork(self, in_child: bool) -> None:
        if in_child:
            self.close()
            self._id, self._held = "", None

    def _hold(self, path: Path) -> None:
        self._held = weakref.finalize(self, _held(path))
        self._held.atexit = False

    def _sweep(self, folder: Path) -> None:
        """Remove the lock files of dead processes, which `is_alive` does for each it checks."""
        for path in folder.glob("*.lock"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _GRACE_PERIOD:
                    self.is_alive(path.stem)


def _held(path: Path) -> Callable[[], None]:
    """Hold the lock file until the returned function is called. Raises OSError."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        system_lock.acquire(file)
    except system_lock.NoLocks as error:
        os.close(file)
        _warn(path.parent, error)
        return heartbeat.begin(path)
    return partial(os.close, file)  # in a forked process that leaves the lock to its parent


def _is_held(path: Path) -> bool:
    """Whether a process that lives holds the lock file. Raises OSError."""
    if (beats := heartbeat.is_beating(path)) is not None:
        return beats
    file = os.open(path, os.O_RDWR)
    try:
        return not system_lock.acquire(file)
    except system_lock.NoLocks:
        # Of a process that is about to name itself in the file, or of one on another machine.
        return time.time() - path.stat().st_mtime < heartbeat.LIMIT
    finally:
        os.close(file)


def _warn(folder: Path, error: OSError) -> None:
    _log.warning(
        "Skyport: %s",
        tr(
            "The disk of {folder} has no file locks ({error}): a Skyport on another machine that "
            "ends without notice is recognised only after {minutes} minutes. SKYPORT_HOME can name "
            "a folder on a local disk.",
            folder=folder,
            error=error.strerror,
            minutes=round(heartbeat.LIMIT / 60),
        ),
    )
