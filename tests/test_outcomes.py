"""Pins the promise as a state machine: whatever comes, nothing is lost and nothing is paid twice.

A platform answers at random: by its document, late, strangely, through gateways, not at all.
People queue, interrupt, order anew; processes are killed; the collector works. However it went, no
order is charged more often than a person knew, and what the platform has made can be had.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from skyport.engine.base.errors import (
    ApiError,
    BadResult,
    InputRejected,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    ServerFault,
    SkyportError,
    TransportError,
)
from skyport.engine.base.types import Output, Report, Request, Status, Task, TaskState, no_report
from skyport.engine.ledger.ledger import ATTACHABLE, EVERYTHING, Row, State
from skyport.engine.tasks import history
from skyport.engine.tasks.job import Job
from test_collector import Process
from virtual import Cloud, ended, order

ORDERS = 3


@dataclass
class Made:
    """A task at the platform, charged. It needs so many polls until it ends as `end`."""

    order: int
    end: Status
    polls: int
    answered: bool  # whether its id got through


@dataclass
class World:
    """The platform's side, which survives every process."""

    tasks: dict[str, Made] = field(default_factory=dict)
    submits: list[str] = field(default_factory=list)  # what the next ones come to
    polls: list[str] = field(default_factory=list)
    ends: list[Status] = field(default_factory=list)

    def good(self, number: int) -> list[str]:
        """The tasks of an order that brought something, or still may."""
        return [
            id
            for id, made in self.tasks.items()
            if made.order == number and made.end is Status.SUCCEEDED
        ]


def own(kind: type[ApiError], words: str, status: int) -> ApiError:
    return kind(words, status=status, http=status, own_form=True, body={"message": words})


LOST: dict[str, Callable[[], Exception]] = {
    "cut": lambda: TransportError("the connection was cut"),
    "page 503": lambda: ServerFault("busy", status=503),
    "page 404": lambda: NotFound("not here", status=404),
    "own 500": lambda: own(ServerFault, "crashed", 500),
    "login page": lambda: BadResult("Expected JSON, but got text/html"),
    "bug": lambda: KeyError("data"),
}
REFUSED: dict[str, Callable[[], Exception]] = {
    "own 400": lambda: own(InputRejected, "no", 400),
    "own 429": lambda: own(RateLimited, "later", 429),
    "unsent": lambda: TransportError("refused", sent=False),
}
SILENT: dict[str, Callable[[], Exception]] = {
    **{name: LOST[name] for name in ("cut", "page 503", "page 404", "own 500", "bug")},
    "own error": lambda: own(InputRejected, "system busy", 200),
    "no such task": lambda: own(NotFound, "no such task", 404),
}
ANSWERS = ("late", "strange", "surrogate")


class Platform(Cloud):
    """A platform as one process reaches it."""

    def __init__(self, clock: Callable[[], float], world: World) -> None:
        super().__init__(clock, cancels=True)
        self.http.has_answered = True  # it is no wrong address
        self.world = world

    def submit(self, request: Request, report: Report = no_report) -> str | TaskState:
        how = self.world.submits.pop(0) if self.world.submits else "fine"
        if how in REFUSED:
            raise REFUSED[how]()
        end = self.world.ends.pop(0) if self.world.ends else Status.SUCCEEDED
        task_id = f"task-{len(self.world.tasks) + 1}"
        made = Made(request.seed, end, 2, answered=how not in LOST)
        self.world.tasks[task_id] = made
        if how in LOST:
            raise LOST[how]()
        return task_id

    def poll(self, task: Task) -> TaskState:
        how = self.world.polls.pop(0) if self.world.polls else "fine"
        if how in SILENT:
            raise SILENT[how]()
        made = self.world.tasks[task.id]
        if how == "strange":
            return TaskState(Status.RUNNING, "Frobnicating", known=False)
        made.polls -= 1
        if made.polls > 0:
            return TaskState(Status.RUNNING, "running", message="half \ud83d of it")
        if how == "late" and made.end is Status.SUCCEEDED:
            return TaskState(Status.SUCCEEDED, "success")
        outputs = (Output(text=f"made by {task.id} \ud83d"),)
        done = made.end is Status.SUCCEEDED
        return TaskState(made.end, made.end.value, outputs=outputs if done else ())

    def cancel(self, task: Task) -> bool:
        made = self.world.tasks[task.id]
        if made.polls <= 0:
            return False
        made.end, made.polls = Status.CANCELLED, 0
        return True


class Orders(RuleBasedStateMachine):
    """Two processes on one data folder, three orders, and a person who is told things."""

    @initialize()
    def begin(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="skyport-outcomes-"))
        self.world = World()
        self.processes: dict[int, Process] = {}
        self.knew: Counter[int] = Counter()  # times a person was told, or asked for a new order
        self.texts: defaultdict[int, set[str]] = defaultdict(set)

    # -- what happens -----------------------------------------------------------------------

    @rule(how=st.sampled_from(["fine", *LOST, *REFUSED]))
    def the_next_submit(self, how: str) -> None:
        self.world.submits.append(how)

    @rule(how=st.sampled_from([*SILENT, *ANSWERS]), times=st.sampled_from([1, 3, 12, 400]))
    def the_next_polls(self, how: str, times: int) -> None:
        self.world.polls += [how] * times

    @rule(end=st.sampled_from([Status.FAILED, Status.CANCELLED, Status.SUCCEEDED]))
    def the_next_task_ends(self, end: Status) -> None:
        self.world.ends.append(end)

    @rule()
    def the_network_recovers(self) -> None:
        self.world.submits.clear()
        self.world.polls.clear()

    @rule(number=st.integers(0, ORDERS - 1), where=st.integers(0, 1))
    def queue(self, number: int, where: int) -> None:
        process = self.process(where)
        self.told(number, process, process.play.run(self.watched(process, number)))

    @rule(
        number=st.integers(0, ORDERS - 1),
        where=st.integers(0, 1),
        seconds=st.sampled_from([0.0, 0.5, 2.0, 30.0]),
    )
    def interrupt(self, number: int, where: int, seconds: float) -> None:
        process = self.process(where)
        job = process.play.run(self.begun(process, number))
        process.rests(seconds)
        process.play.runner.leave(job, stop=True)
        process.rests(1)
        # Its clock stands still from here on, and others wait while an order is being sent.
        while any(row.state is State.INTENT for row in self.own_rows(process)):
            process.rests(1)

    @rule(
        number=st.integers(0, ORDERS - 1),
        where=st.integers(0, 1),
        seconds=st.sampled_from([0.0, 0.5, 2.0, 30.0, 600.0]),
    )
    def kill(self, number: int, where: int, seconds: float) -> None:
        process = self.process(where)
        process.play.run(self.begun(process, number))
        process.rests(seconds)
        self.processes.pop(where).die()

    @rule(where=st.integers(0, 1))
    def collect(self, where: int) -> None:
        process = self.process(where)
        process.collects_for(150.0, self.connect(process))

    @rule(number=st.integers(0, ORDERS - 1), where=st.integers(0, 1))
    def order_anew(self, number: int, where: int) -> None:
        process = self.process(where)
        row = process.keeper.find(self.fingerprint(process, number))
        if row is not None and row.state in (State.UNRESOLVED, State.UNKNOWN):
            process.play.run(history.order_anew(process.play.runner, row))
            self.knew[number] += 1

    # -- what holds -------------------------------------------------------------------------

    @invariant()
    def nothing_is_charged_that_nobody_knew_of(self) -> None:
        for number in range(ORDERS if hasattr(self, "world") else 0):
            assert len(self.world.good(number)) <= 1 + self.knew[number], number

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.the_network_recovers()
            self.world.ends.clear()
            self.all_that_was_made_can_be_had()
            self.no_order_is_blocked()
            self.nothing_is_charged_that_nobody_knew_of()
        finally:
            for process in self.processes.values():
                process.die()
            shutil.rmtree(self.home, ignore_errors=True)

    def all_that_was_made_can_be_had(self) -> None:
        process = self.process(0)
        before = len(self.world.tasks)
        for row in process.keeper.disk.rows(EVERYTHING):  # type: ignore[union-attr]
            if row.state in ATTACHABLE and row.task and self.end(row.task) is Status.SUCCEEDED:
                job = process.play.run(
                    process.play.runner.attach(self.platform(process), row, process.into)
                )
                assert row.task.id in process.play.run(ended(job)).texts[0]
        assert len(self.world.tasks) == before
        known = {row.task.id for row in process.keeper.disk.rows(EVERYTHING) if row.task}  # type: ignore[union-attr]
        assert known >= {id for id, made in self.world.tasks.items() if made.answered}

    def no_order_is_blocked(self) -> None:
        process = self.process(0)
        for number in range(ORDERS):
            first = process.play.run(self.watched(process, number))
            self.told(number, process, first)
            if not isinstance(first.future.exception(), type(None)):
                second = process.play.run(self.watched(process, number))
                assert "made by" in second.future.result().texts[0]

    # -- parts ------------------------------------------------------------------------------

    def process(self, where: int) -> Process:
        if where not in self.processes:
            self.processes[where] = Process(self.home)
        return self.processes[where]

    def platform(self, process: Process) -> Platform:
        return Platform(process.play.loop.time, self.world)

    def connect(self, process: Process) -> Callable[[str], Platform]:
        return lambda name: self.platform(process)

    def own_rows(self, process: Process) -> list[Row]:
        return [row for row in process.keeper.disk.rows(EVERYTHING) if process.keeper.is_own(row)]  # type: ignore[union-attr]

    def end(self, task: Task) -> Status:
        return self.world.tasks[task.id].end

    async def begun(self, process: Process, number: int) -> Job:
        request = order(seed=number, title=f"order {number}")
        return await process.play.runner.begin(self.platform(process), request, process.into)

    async def watched(self, process: Process, number: int) -> Job:
        """The order, watched to its end as a node does."""
        job = await self.begun(process, number)
        waiting = asyncio.wrap_future(job.future)
        await asyncio.wait({waiting})
        waiting.exception()  # Python would print one that nobody has looked at, whenever it likes
        process.play.runner.record_told(job)
        return job

    def told(self, number: int, process: Process, job: Job) -> None:
        """What the person knows after a node has shown its result or its error."""
        error = job.future.exception()
        if error is None:
            process.play.runner.record_delivered(job)
        elif isinstance(error, OutcomeUnknown):
            self.knew[number] += 1
        else:
            assert isinstance(error, SkyportError), repr(error)

    def fingerprint(self, process: Process, number: int) -> str:
        from skyport.engine.ledger.ledger import fingerprint_of

        request = order(seed=number, title=f"order {number}")
        return fingerprint_of(request, self.platform(process).http.base_url)


TestOrders = Orders.TestCase
TestOrders.settings = settings(max_examples=60, stateful_step_count=15)
