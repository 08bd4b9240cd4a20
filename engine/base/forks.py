"""What a process that is forked from this one must not share with it."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class ForkAware(Protocol):
    """Something that two processes must not use together: threads, connections, files."""

    def before_fork(self) -> None:
        """Called in the thread that forks, and in no particular order."""

    def after_fork(self, in_child: bool) -> None:
        """Called once in each of both processes. The child's only thread is the one that forked."""


_known: set[weakref.ref[ForkAware]] = set()
_forking: list[ForkAware] = []  # alive until the fork is over
_one_at_a_time = threading.Lock()


def watch(thing: ForkAware) -> None:
    """Call its methods at every fork, as long as something else refers to it."""
    _known.add(weakref.ref(thing, _known.discard))


class Lock:
    """A lock that a child never finds held.

    waits  whether a fork waits until nobody holds it: what it guards must not be cut in half, and
           must be short and never wait for another one of these
    """

    def __init__(self, waits: bool = False) -> None:
        self._lock = threading.RLock()
        self._waits = waits
        watch(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def before_fork(self) -> None:
        if self._waits:
            self._lock.acquire()

    def after_fork(self, in_child: bool) -> None:
        if self._waits:
            self._lock.release()
        elif in_child:
            self._lock = threading.RLock()


def _before() -> None:
    _one_at_a_time.acquire()
    for ref in list(_known):  # a copy in one step: other threads may go on adding
        if (thing := ref()) is not None:
            thing.before_fork()
            _forking.append(thing)


def _after(in_child: bool) -> None:
    try:
        for thing in _forking:
            thing.after_fork(in_child)
    finally:
        _forking.clear()
        _one_at_a_time.release()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_before,
        after_in_parent=lambda: _after(in_child=False),
        after_in_child=lambda: _after(in_child=True),
    )
