"""The life of a task by the clock: pending, running node by node, success or failure."""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from ._faults import Twists
from ._files import StoredFile

PENDING, RUNNING, SUCCESS, FAIL = "pending", "running", "success", "fail"
CANCELLED = "cancelled"  # on the platform, by nobody who asked here
FIRST_IDS = {"generate": 24317, "app": 230, "workflow": 5021, "prompt": 763289064770885}
_WAITING = 0.5  # seconds a task stays pending at pace 1
_PATIENCE = 30.0  # seconds a poll waits for a drawing where a test moves the clock
_LOOK = 0.02  # seconds between looks at a clock that a test may move


class NodeFailed(Exception):
    """A node of a workflow cannot run; `words` say why."""

    def __init__(self, node_id: str, title: str, words: str) -> None:
        super().__init__(f"Node {node_id} ({title}): {words}")
        self.step = (node_id, title)
        self.words = words


@dataclass(frozen=True)
class Made:
    """One result of a task. address is its URL, or the name it is stored under."""

    file: StoredFile
    address: str
    node_id: str = ""
    title: str = ""


@dataclass(frozen=True)
class Plan:
    """What a task will do.

    kind     its queue at the platform: ids are counted per platform and kind
    fields   what was sent, as JSON shows it
    make     draws the results; called once, in a background thread
    seconds  how long it runs at pace 1
    steps    (node id, title) in the order they run
    """

    kind: str
    fields: Any
    make: Callable[[], Sequence[Made]]
    seconds: float = 1.5
    steps: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Moment:
    """A task at one time: its status, its progress (0..1), the node at work and its progress."""

    status: str
    part: float = 0.0
    step: tuple[str, str] = ("", "")
    step_part: float = 0.0


@dataclass(frozen=True)
class Task:
    """A task that was accepted and charged. `number` counts from 0 per platform and kind.

    stops   when it is cancelled on the platform, unless it has ended
    polls   counts the polls, from 1; endings those that found success
    """

    platform: str
    id: int
    number: int
    plan: Plan
    twists: Twists
    began: float
    waits: float
    runs: float
    drawing: Future[Sequence[Made]] = field(repr=False)
    stops: float = math.inf
    polls: Iterator[int] = field(default_factory=lambda: count(1), repr=False)
    endings: Iterator[int] = field(default_factory=lambda: count(1), repr=False)

    @property
    def due(self) -> float:
        """When it ends, on the sandbox's clock."""
        return self.began + self.waits + self.runs

    @property
    def reason(self) -> str:
        """Why it fails and at which node, "" when it does not."""
        error = self.drawing.done() and self.drawing.exception()
        own = self._failed or f"could not be drawn: {error}"
        return str(self.twists.get("fail") or (own if error else ""))

    @property
    def words(self) -> str:
        """Why it fails, without the node, which an answer names separately."""
        return self._failed.words if self._failed else self.reason

    @property
    def last_step(self) -> tuple[str, str]:
        """(node id, title) of the node at which it ended: the one that failed, else the last."""
        if self._failed:
            return self._failed.step
        return self.plan.steps[-1] if self.plan.steps else ("0", "Unknown Node")

    @property
    def _failed(self) -> NodeFailed | None:
        if not self.drawing.done() or "fail" in self.twists:
            return None
        error = self.drawing.exception()
        return error if isinstance(error, NodeFailed) else None

    @property
    def made(self) -> Sequence[Made]:
        """The results, once it has succeeded."""
        return self.drawing.result()

    def at(self, now: float, patience: float) -> Moment:
        """Its state at `now`; waits up to `patience` seconds for a drawing that is late."""
        ran = now - self.began - self.waits
        if self.stops <= now and self.stops < self.due:
            return Moment(CANCELLED)
        if ran < 0:
            return Moment(PENDING)
        if ran < self.runs or not self._drawn(patience):
            return self._running(min(ran / self.runs, 0.99) if self.runs else 0.99)
        return Moment(FAIL if self.reason else SUCCESS, 1.0)

    def _drawn(self, patience: float) -> bool:
        wait([self.drawing], patience)
        return self.drawing.done()

    def _running(self, part: float) -> Moment:
        steps = self.plan.steps or (("", ""),)
        position = part * len(steps)
        return Moment(RUNNING, part, steps[int(position)], position % 1)


def _drawn_now(make: Callable[[], Sequence[Made]]) -> Future[Sequence[Made]]:
    drawing: Future[Sequence[Made]] = Future()
    try:
        drawing.set_result(make())
    except Exception as error:
        drawing.set_exception(error)
    return drawing


def _digest(fields: Any) -> str:
    text = json.dumps(fields, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def result_urls(task: Task, twists: Twists) -> list[str]:
    """The URLs of the results of a finished task, changed as `twists` ask."""
    if "empty" in twists:
        return []
    if "result_url" in twists:
        return [twists["result_url"]["url"]]
    return [made.address for made in task.made]


class Tasks:
    """Every task of every platform. Safe to use from many threads."""

    def __init__(self, clock: Callable[[], float], pace: float, is_fast: bool = False) -> None:
        self._is_fast = is_fast
        self.clock = clock
        self.pace = pace
        # With real time a late drawing only means one more poll that says "running".
        self._patience = 0.0 if clock is time.monotonic else _PATIENCE
        self.charges: Counter[str] = Counter()
        self.orders: Counter[str] = Counter()
        self._tasks: dict[tuple[str, str, int], Task] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="skyport-sandbox-draw")

    def add(self, platform: str, plan: Plan, twists: Twists) -> Task:
        """Accept a task, charge for it, and begin to draw."""
        drawing = _drawn_now(plan.make) if self._is_fast else self._pool.submit(plan.make)
        order = _digest(plan.fields)
        is_over = "at_once" in twists
        waits = 0.0 if is_over else _WAITING * self.pace
        runs = 0.0 if is_over else twists.get("slow", plan.seconds) * self.pace
        began = self.clock()
        with self._lock:
            number = self._counts[platform, plan.kind]
            self._counts[platform, plan.kind] += 1
            self.charges[platform] += 1
            self.orders[order] += 1
            task = Task(
                platform,
                FIRST_IDS.get(plan.kind, 1) + number,
                number,
                plan,
                twists,
                began=began,
                waits=waits,
                runs=runs,
                drawing=drawing,
                stops=began + twists.get("cancelled", math.inf) * self.pace,
            )
            self._tasks[platform, plan.kind, task.id] = task
        return task

    def get(self, platform: str, kind: str, id: int) -> Task | None:
        with self._lock:
            return self._tasks.get((platform, kind, id))

    def moment(self, task: Task) -> Moment:
        return task.at(self.clock(), self._patience)

    def wait_until(self, moment: float) -> None:
        """Returns at `moment` on the sandbox's clock, or when the sandbox ends."""
        while (left := moment - self.clock()) > 0:
            if self._over.wait(min(left, _LOOK)):
                return

    def pause(self, seconds: float) -> None:
        """Returns so many real seconds later, or when the sandbox ends."""
        self._over.wait(seconds)

    def close(self) -> None:
        self._over.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __iter__(self) -> Iterator[Task]:
        with self._lock:
            return iter(list(self._tasks.values()))

    def __len__(self) -> int:
        with self._lock:
            return len(self._tasks)
