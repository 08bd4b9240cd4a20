"""Child processes that a test talks to by lines, kills, and never leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from _waiting import PATIENCE

KILLED = Path(__file__).with_name("killed.py")


def python_path() -> dict[str, str]:
    """The environment in which a child imports what this process imports."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


class Child:
    """`killed.py` at work; see there what it can be told to do."""

    def __init__(self, *words: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(KILLED), *map(str, words)],
            env=python_path(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        # A child that hangs must not hang the test.
        self._limit = threading.Timer(PATIENCE, self.process.kill)
        self._limit.start()

    def line(self) -> str:
        """The next line it tells, "" when it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()

    def go(self) -> None:
        """Let it go on from where it waits for a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def finish(self) -> int:
        """Let it come to its end; its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait()

    def kill(self) -> None:
        """SIGKILL; it is gone when this returns."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self._limit.cancel()
        self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


class Children:
    """All children of a test."""

    def __init__(self) -> None:
        self._all: list[Child] = []

    def start(self, *words: object) -> Child:
        child = Child(*words)
        self._all.append(child)
        return child

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._all:
            child.close()
