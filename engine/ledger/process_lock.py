"""Which process a ledger row belongs to, and whether that process is still alive."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

_GRACE_PERIOD = 60.0  # seconds in which a new lock file may exist without being locked yet


class Owner:
    """The id of this process, with a lock file that the system unlocks however the process dies."""

    def __init__(self, folder: Path | None) -> None:
        self.id = uuid.uuid4().hex
        self._folder = folder
        self._lock: FileLock | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._sweep(folder)
            # Held by the process, not by the current thread.
            self._lock = FileLock(folder / f"{self.id}.lock", timeout=0, thread_local=False)
            self._lock.acquire()

    def is_alive(self, owner: str) -> bool:
        """Whether the process with the id `owner` is still alive."""
        if owner == self.id:
            return True
        if self._folder is None or not owner:
            return False
        path = self._folder / f"{owner}.lock"
        if not path.exists():
            return False
        try:
            with FileLock(path, timeout=0):
                pass
        except (Timeout, OSError):
            return True
        with suppress(OSError):
            path.unlink()
        return False

    def close(self) -> None:
        """Release the lock, as the end of the process does."""
        if self._lock is not None:
            self._lock.release()

    def _sweep(self, folder: Path) -> None:
        """Remove the lock files of dead processes, which `is_alive` does for each it checks."""
        for path in folder.glob("*.lock"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _GRACE_PERIOD:
                    self.is_alive(path.stem)
