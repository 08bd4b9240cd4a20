"""The queue and the history of one ComfyUI: it runs one prompt at a time, by number."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ._tasks import CANCELLED, FAIL, PENDING, RUNNING, SUCCESS, Moment, Task, Tasks

_ENDED = (SUCCESS, FAIL)


@dataclass
class Entry:
    """One prompt.

    client   whom events tell of it
    stopped  when it was cancelled, on the sandbox's clock
    """

    id: str
    number: float
    prompt: Any
    extra: Any
    outputs: Sequence[str]
    task: Task
    client: str = ""
    stopped: float = math.inf


@dataclass(frozen=True)
class Seen:
    """An entry at one time; start and end are when it begins to run, and has run."""

    entry: Entry
    moment: Moment
    start: float
    end: float

    @property
    def status(self) -> str:
        return self.moment.status


@dataclass
class Queue:
    """What was sent and not forgotten. Safe to use from many threads.

    life  how often the server was started anew
    """

    tasks: Tasks
    life: int = 0
    _entries: list[Entry] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def add(self, entry: Entry) -> None:
        with self._lock:
            self._entries = [each for each in self._entries if each.id != entry.id] + [entry]

    def clear(self) -> None:
        """All is forgotten, as after a restart."""
        with self._lock:
            self._entries = []
            self.life += 1

    def seen(self) -> list[Seen]:
        """Every entry now, in the order in which they run."""
        found, free = [], -math.inf
        with self._lock:
            entries = list(self._entries)
        now = self.tasks.clock()
        waiting = sorted(entries, key=lambda each: each.number)
        while waiting:
            entry = _next(waiting, free)
            waiting.remove(entry)
            start = max(entry.task.began + entry.task.waits, free)
            end = start + entry.task.runs
            stopped = min(entry.stopped, entry.task.stops)
            if stopped < end:
                end = max(start, stopped)
            free = end if stopped > start else free
            found.append(Seen(entry, self._moment(entry, start, end, stopped, now), start, end))
        return found

    def get(self, id: str) -> Seen | None:
        """An entry that is in the queue or in the history."""
        return next((each for each in self.seen() if each.entry.id == id and _is_kept(each)), None)

    def running(self) -> list[Seen]:
        return [each for each in self.seen() if each.status == RUNNING]

    def pending(self) -> list[Seen]:
        return [each for each in self.seen() if each.status == PENDING]

    def history(self) -> list[Seen]:
        ended = (*_ENDED, CANCELLED)
        return [each for each in self.seen() if each.status in ended and _is_kept(each)]

    def cancel(self, id: str) -> bool:
        """Whether it was waiting or running."""
        with self._lock:
            found = self.get(id)
            if found is None or found.status not in (PENDING, RUNNING):
                return False
            found.entry.stopped = self.tasks.clock()
            return True

    def _moment(self, entry: Entry, start: float, end: float, stopped: float, now: float) -> Moment:
        if stopped <= now and (stopped < end or end < start + entry.task.runs):
            return Moment(CANCELLED)
        if now < start:
            return Moment(PENDING)
        own = replace(entry.task, began=start, waits=0.0, stops=math.inf)
        return self.tasks.moment(own)


def _next(waiting: Sequence[Entry], free: float) -> Entry:
    """Who runs when the server is free: of those that are there, the first by number."""
    there = [each for each in waiting if each.task.began + each.task.waits <= free]
    return there[0] if there else min(waiting, key=lambda each: each.task.began + each.task.waits)


def _is_kept(seen: Seen) -> bool:
    """One that is taken out of the queue before it runs leaves nothing in the history."""
    return seen.status != CANCELLED or min(seen.entry.stopped, seen.entry.task.stops) > seen.start
