"""Which process a row of the ledger belongs to, and whether that process still lives."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

_BEING_MADE = 60.0  # seconds in which a lock file may be there and not locked yet


class Owner:
    """This process, as others see it: a lock that the system lets go however the process dies."""

    def __init__(self, folder: Path | None) -> None:
        self.id = uuid.uuid4().hex
        self._folder = folder
        self._lock: FileLock | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._sweep(folder)
            # The process holds it, not the thread that happens to be here.
            self._lock = FileLock(folder / f"{self.id}.lock", timeout=0, thread_local=False)
            self._lock.acquire()

    def is_alive(self, owner: str) -> bool:
        """Whether the process that called itself `owner` is still there."""
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
        """Let go, as the end of the process does."""
        if self._lock is not None:
            self._lock.release()

    def _sweep(self, folder: Path) -> None:
        """Remove what dead processes have left; `lives` does, for those it is asked about."""
        for path in folder.glob("*.lock"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _BEING_MADE:
                    self.is_alive(path.stem)
