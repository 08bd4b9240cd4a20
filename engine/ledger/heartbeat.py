"""Lock files on disks without locks: a file names its process, which touches it now and then."""

from __future__ import annotations

import json
import os
import platform
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

LIMIT = 300.0  # seconds after which a process that has not touched its file counts as dead
_PAUSE = 15.0  # seconds between two touches


def begin(path: Path) -> Callable[[], None]:
    """Name this process in `path` and touch it until the returned function is called.

    Raises OSError.
    """
    path.write_text(json.dumps({"pid": os.getpid(), "machine": _machine()}), encoding="utf-8")
    ended = threading.Event()
    threading.Thread(target=_touch, args=(path, ended), name="skyport-alive", daemon=True).start()
    pid = os.getpid()

    def end() -> None:
        ended.set()
        if os.getpid() == pid:  # else it is the file of the process that has forked this one
            with suppress(OSError):
                path.unlink(missing_ok=True)

    return end


def is_beating(path: Path) -> bool | None:
    """Whether the process that `path` names is alive; None where it names none. Raises OSError."""
    try:
        named = json.loads(path.read_bytes())
        pid, machine = int(named["pid"]), named["machine"]
    except (ValueError, KeyError, TypeError):
        return None
    if machine == _machine() and not _exists(pid):
        return False
    return _age(path) < LIMIT


def _touch(path: Path, ended: threading.Event) -> None:
    while not ended.wait(_PAUSE):
        with suppress(OSError):
            os.utime(path)


def _age(path: Path) -> float:
    """Seconds since `path` was touched, by the clock of its disk."""
    with TemporaryFile(dir=path.parent) as now:
        now.write(b"\0")
        now.flush()
        return os.fstat(now.fileno()).st_mtime - path.stat().st_mtime


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


def _machine() -> str:
    """This machine and, in a container, its own numbers of processes."""
    space = ""
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return f"{platform.node()} {space}"
