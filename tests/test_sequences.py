"""Pins what people pay: random answers and faults of four platforms, and a process that is killed.

A child process works off orders whose own texts ask the sandbox for faults; it is killed with
SIGKILL at random moments and started again with the same plan. Counted are

untold  charges of an order beyond one, and one more for each time that a person was told that it
        may have been charged and queued it again
lost    tasks that were paid for, whose id or answer came, and whose result cannot be had
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from _waiting import PATIENCE
from orders import png
from processes import Child, Children
from sandboxes import environment, set_environment
from sequences import PLATFORMS, Wish, is_offered, moment, tag, wish
from skyport.engine.base.types import Task
from skyport.engine.ledger.ledger import Query, Row, State, TaskRecord
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.sqlite_store import Store
from skyport.engine.media.files import is_intact, sha256_of
from skyport.sandbox import Sandbox, start
from skyport.sandbox._tasks import CANCELLED, FAIL
from skyport.sandbox._tasks import Task as SandboxTask

PACE = 0.02
GPUGEEK_CANCELLED = 5
SOONEST, LATEST = 0.05, 6.0  # seconds from the child's start of work to its end
SLOW = {"POST *": 0.1, "GET *": 0.01}  # seconds from the handling of a request to its answer
SETTINGS = {
    "SKYPORT_MAX_PARALLEL": "12",
    "SKYPORT_PATIENCE_S": "1",
}


@dataclass
class Play:
    """A sandbox, a data folder, and a child that is killed again and again.

    wishes  the orders so far
    told    the errors that a person was given, by the number of the order
    got     how often a person was given the result
    """

    box: Sandbox
    folder: Path
    chance: random.Random
    wishes: list[Wish] = field(default_factory=list)
    told: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    got: Counter[int] = field(default_factory=Counter)
    kills: int = 0

    def round(self, count: int, kills: int) -> None:
        """So many new orders, and so many kills while they are under way."""
        first = len(self.wishes)
        new = [wish(number, self.chance) for number in range(first, first + count)]
        self.wishes += new
        plan = self._plan(new)
        for _ in range(kills):
            self._live("queue", plan, kill_after=moment(self.chance, SOONEST, LATEST))
        self._live("queue", plan)

    def fetch(self) -> None:
        self._live("fetch")

    def _plan(self, new: Sequence[Wish]) -> Path:
        picture = self.folder / "picture.png"
        picture.write_bytes(png())
        plan = self.folder / f"plan{len(self.wishes)}.json"
        wanted = [{**each.wanted, "picture": str(picture)} for each in new]
        plan.write_text(json.dumps(wanted), encoding="utf-8")
        return plan

    def _live(self, *words: object, kill_after: float | None = None) -> None:
        """One life of the child, to its own end or until it is killed."""
        with Children() as children:
            child = children.start(*words)
            assert child.line() == "ready"
            killer = threading.Timer(kill_after or PATIENCE, self._kill, (child,))
            killer.start()
            before = self.kills
            for line in iter(child.line, ""):
                self._take(*line.split(maxsplit=3))
            killer.cancel()
            assert child.process.wait() == 0 or self.kills > before
        assert kill_after or self.kills == before, "the child never came to an end"

    def _kill(self, child: Child) -> None:
        self.kills += child.process.poll() is None
        child.process.kill()

    def _take(self, what: str, number: str, error: str = "", *_: str) -> None:
        if what == "got":
            self.got[int(number)] += 1
        elif what == "told":
            self.told[int(number)].append(error)

    def know_addresses(self) -> None:
        """A page that says 404 is no proof of a wrong address: each has been ordered from."""
        with self._ledger() as store:
            for name in PLATFORMS:
                order = TaskRecord(name, name, self.box.base_url(name), "", "", {"prompt": tag(0)})
                store.record_accepted(order, Task(name, "", "of another day"))
                store.record_end(name, State.FAILED, "of another day")

    def rows(self) -> Sequence[Row]:
        """Those of these orders as the next process finds them, oldest row first."""
        with self._ledger() as store:
            store.recover()
            return store.rows(Query(limit=-1))[::-1][len(PLATFORMS) :]

    @contextmanager
    def _ledger(self) -> Iterator[Store]:
        home = self.folder / "home"
        owner = Owner(home / "owners")
        store = Store(home / "ledger.db", owner)
        yield store
        store.close()
        owner.close()


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    with start(pace=PACE) as box:
        box.platforms["happyhorse"].most_seconds = 0.5
        # What takes no time on loopback takes some, so that a kill may fall into it.
        for match, seconds in SLOW.items():
            box.faults.add(match, "delay", times=10**6, seconds=seconds, handled=True)
        folders = {"HOME": tmp_path / "home", "RESULTS_DIR": tmp_path / "results"}
        set_environment(
            monkeypatch,
            environment(box, *PLATFORMS)
            | SETTINGS
            | {f"SKYPORT_{name}": str(folder) for name, folder in folders.items()},
        )
        play = Play(box, tmp_path, random.Random(7))
        play.know_addresses()
        yield play


# -- what must be true at the end ----------------------------------------------------------------


@dataclass
class Account:
    """What became of one order.

    tasks  of the sandbox, but those that failed or were cancelled there
    """

    wish: Wish
    tasks: Sequence[SandboxTask]
    charges: int
    rows: Sequence[Row]
    told: int
    box: Sandbox

    @property
    def untold(self) -> int:
        return max(0, len(self.tasks) - 1 - self.told)

    @property
    def lost(self) -> int:
        return self._unexplained + len(self._undelivered)

    @property
    def cut_off(self) -> int:
        """Submits whose answer a kill kept away."""
        return sum(row.state is State.UNKNOWN and not row.error for row in self.rows)

    @property
    def _unexplained(self) -> int:
        """Tasks that no row names; an unknown row explains one whose answer did not come."""
        known = sum(row.task is not None for row in self.rows)
        unknown = sum(row.state is State.UNKNOWN and not row.task for row in self.rows)
        # Where its answer brings the id, only a kill can have kept it away.
        explained = self.cut_off if self.wish.is_answered else unknown
        return max(0, self.charges - known - explained - self._failed_at_once)

    @property
    def _failed_at_once(self) -> int:
        """Tasks that failed in the answer to their submit, which names no id then."""
        refused = sum(row.state is State.FAILED and not row.task for row in self.rows)
        return min(self.charges - len(self.tasks), refused)

    @property
    def _undelivered(self) -> Sequence[Row]:
        """The rows of tasks whose results the platform hands out, and we do not."""
        if not is_offered(self.wish.text):
            return ()
        return [row for row in self.rows if self._has_result(row) and not _is_here(row)]

    def _has_result(self, row: Row) -> bool:
        """Whether its answer was the result, or the platform has made one."""
        if row.task is None:
            return False
        if self.wish.kind.at_once or row.task.id == row.record.fingerprint[:12]:
            return True
        platform = self.box.platforms[row.record.platform]
        real = platform.aliases.get(row.task.id, row.task.id)
        return real in [platform.id_of(task) for task in self.tasks]

    @property
    def strange(self) -> int:
        """Files that no task of the order has made."""
        made = {sha256_of(one.file.path)[0] for task in self.tasks for one in task.made}
        files = [file for row in self.rows if row.result for file in row.result.files]
        return sum(file.sha256 not in made for file in files)


def _is_here(row: Row) -> bool:
    """Whether the result was handed over and its files are on this disk."""
    return (
        row.state is State.DELIVERED
        and row.result is not None
        and all(map(is_intact, row.result.files))
    )


def accounts(play: Play) -> list[Account]:
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in play.rows():
        rows[_tag(row.record.request)].append(row)
    tasks: dict[str, list[SandboxTask]] = defaultdict(list)
    for task in play.box.tasks:
        tasks[_tag(task.plan.fields)].append(task)
    return [
        _account(play, each, rows[tag(each.number)], tasks[tag(each.number)])
        for each in play.wishes
    ]


def _account(play: Play, wish: Wish, rows: Sequence[Row], tasks: Sequence[SandboxTask]) -> Account:
    good = [task for task in tasks if not has_failed(play.box, task)]
    told = play.told[wish.number].count("OutcomeUnknown")
    return Account(wish, good, len(tasks), rows, told, play.box)


def has_failed(box: Sandbox, task: SandboxTask) -> bool:
    """Whether it failed or was cancelled there."""
    gpugeek = box.platforms["gpugeek"]
    if task.platform == gpugeek.name and gpugeek.status_of(task) == GPUGEEK_CANCELLED:
        return True
    return box.tasks.moment(task).status in (FAIL, CANCELLED)


def _tag(tree: object) -> str:
    text = json.dumps(tree)
    at = text.index("wish ")
    return text[at : at + len(tag(0))]


def table(play: Play, found: Sequence[Account]) -> str:
    states = Counter(row.state.value for account in found for row in account.rows)
    errors = Counter(error for errors in play.told.values() for error in errors)
    numbers: Mapping[str, int] = {
        "orders": len(found),
        "kills": play.kills,
        "submits": sum(seen.method == "POST" for seen in play.box.log),
        "charges": sum(account.charges for account in found),
        "  failed or cancelled": sum(a.charges - len(a.tasks) for a in found),
        "unanswered by a kill": sum(a.cut_off for a in found),
        "results handed over": len(play.got),
        "told": errors["OutcomeUnknown"],
        "untold": sum(account.untold for account in found),
        "lost": sum(account.lost for account in found),
        "strange": sum(account.strange for account in found),
        **{f"  row {state}": count for state, count in states.most_common()},
        **{f"  error {name}": count for name, count in errors.most_common()},
    }
    return "\n".join(f"{name:>28} {number:>6}" for name, number in numbers.items())


def wrong(found: Sequence[Account]) -> list[str]:
    return [
        f"{account.wish.kind.platform} {account.wish.kind.endpoint}: {account.wish.text}; "
        f"untold {account.untold}, lost {account.lost}, strange {account.strange}, charges "
        f"{account.charges}, told {account.told}; rows "
        + "; ".join(f"{row.id} {row.state.value} {row.error!r}" for row in account.rows)
        for account in found
        if account.untold or account.lost or account.strange
    ]


def audit(play: Play) -> str:
    play.fetch()
    found = accounts(play)
    text = table(play, found)
    assert wrong(found) == [], "\n".join((text, *wrong(found)))
    return text


def test_random_answers_and_kills_charge_nobody_untold_and_lose_nothing(play: Play) -> None:
    play.round(24, kills=2)
    print(audit(play))


@pytest.mark.soak
def test_a_thousand_random_sequences_charge_nobody_untold_and_lose_nothing(
    play: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(10):
        play.round(100, kills=5)
    text = audit(play)
    with capsys.disabled():
        print(f"\n{text}")
