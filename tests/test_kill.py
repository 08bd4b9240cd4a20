"""Pins the ledger's promise: kill the process anywhere, nothing is lost and nothing is paid twice.

A child process brings home 20 requests from a sandbox that lives here, is killed with SIGKILL at
random moments and started again with the same requests, as often as it takes. Only a kill inside
the answer of a submit may cost a second task: it shows as `unknown`, and a person queued again.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _waiting import PATIENCE
from PIL import Image
from processes import KILLED, python_path
from skyport.engine.ledger.ledger import Query, Row, State
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.sqlite_store import Store
from skyport.engine.media.files import is_intact, sha256_of
from skyport.sandbox import Sandbox, start

REQUESTS = 20
SOONEST, LATEST = 0.02, 3.0  # seconds from the child's start of work to its end
AIMED = 0.3  # of all kills: short stages are hit too seldom by chance alone
STAGES = ("uploading", "submitting", "running", "downloading", "delivering")
GENERATE = "POST /openapi/v1/generate/image"
SLOW = {GENERATE: 0.12, "POST /openapi/v1/file/upload": 0.06, "GET /oss/*": 0.06}  # seconds
PARALLEL = 6


@dataclass
class Run:
    """One life of the child, and what it told."""

    process: subprocess.Popen[bytes]
    stages: dict[int, str] = field(default_factory=dict)
    got: dict[int, str] = field(default_factory=dict)
    warnings: int = 0
    errors: bytes = b""
    began: float = 0.0
    killed: bool = False
    _ready: threading.Event = field(default_factory=threading.Event)

    def end(self, until: Until) -> None:
        """Kill it as soon as `until` says so, unless it is through before."""
        assert self._ready.wait(PATIENCE), "the child never began"
        self.began = time.monotonic()
        while self.process.poll() is None and not until(self):
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.002)
            assert time.monotonic() < self.began + PATIENCE, "the child never came to an end"
        self.killed = self.process.poll() is None
        self.process.kill()

    def follow(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith(b"\n"):  # the last one may be cut
                self._hear(*line.decode().split())
        self._ready.set()

    def _hear(self, what: str, *words: str) -> None:
        if what == "ready":
            self._ready.set()
        elif what == "stage":
            self.stages[int(words[0])] = words[1]
        elif what == "got":
            self.got[int(words[0])] = words[1]
            self.warnings += int(words[2])

    @property
    def phases(self) -> set[str]:
        """What was under way at the end."""
        if not self.stages:
            return {"starting"}
        open_ones = {n: stage for n, stage in list(self.stages.items()) if n not in self.got}
        return {"delivering" if s == "done" else s for s in open_ones.values()} or {"leaving"}


Until = Callable[[Run], bool]
NEVER: Until = lambda run: False  # noqa: E731  a name for a value


@dataclass
class Tally:
    """All lives together."""

    requests: int = 0
    kills: int = 0
    runs: int = 0
    warnings: int = 0
    how: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, run: Run) -> None:
        self.runs += 1
        self.warnings += run.warnings
        self.how.update(run.got.values())
        if run.killed:
            self.kills += 1
            self.phases.update(run.phases)


class Theatre:
    """A sandbox, a data folder, and a child that dies again and again."""

    def __init__(self, box: Sandbox, folder: Path, seed: int) -> None:
        self.box = box
        self.folder = folder
        self.chance = random.Random(seed)
        self.tally = Tally()
        self.env = {
            **python_path(),
            "SKYPORT_HOME": str(folder / "home"),
            "SKYPORT_RESULTS_DIR": str(folder / "results"),
            "SKYPORT_MAX_PARALLEL": str(PARALLEL),
            "HAIYI_BASE_URL": box.base_url("haiyi"),
            "HAIYI_API_KEY": box.key("haiyi"),
        }

    def play(self, kills: int) -> Tally:
        """Rounds of 20 new requests, until there were so many kills and all is delivered."""
        began = time.monotonic()
        while self.tally.kills < kills:
            self._round(kills)
        self.tally.seconds = time.monotonic() - began
        return self.tally

    def _round(self, kills: int) -> None:
        plan = self.plan()
        while not self.live(plan, self._moment() if self.tally.kills < kills else NEVER):
            pass

    def _moment(self) -> Until:
        """A random moment, of any order of magnitude; or as soon as something is at some stage."""
        if self.chance.random() < AIMED:
            stage = self.chance.choice(STAGES)
            return lambda run: stage in run.phases
        seconds = math.exp(self.chance.uniform(math.log(SOONEST), math.log(LATEST)))
        return lambda run: time.monotonic() >= run.began + seconds

    def live(self, plan: Path, until: Until) -> bool:
        """One life of the child, to its own end (True) or until it is killed."""
        run = self._run(plan, until)
        through = run.process.returncode == 0
        assert through or run.killed, run.errors.decode()
        assert not through or set(run.got) == set(range(REQUESTS))
        self.tally.add(run)
        return through

    def _run(self, plan: Path, until: Until) -> Run:
        errors = self.folder / "errors.txt"
        with (
            errors.open("wb") as stderr,
            subprocess.Popen(
                [sys.executable, str(KILLED), "work", str(plan)],
                env=self.env,
                stdout=subprocess.PIPE,
                stderr=stderr,
            ) as process,
        ):
            run = Run(process)
            listener = threading.Thread(target=run.follow)
            listener.start()
            run.end(until)
            listener.join(PATIENCE)
        run.errors = errors.read_bytes()
        return run

    def plan(self) -> Path:
        first = self.tally.requests
        self.tally.requests += REQUESTS
        wanted = [self._wanted(number) for number in range(first, self.tally.requests)]
        path = self.folder / f"plan{first}.json"
        path.write_text(json.dumps(wanted), encoding="utf-8")
        return path

    def _wanted(self, number: int) -> dict[str, str]:
        """A request like no other; its picture is noise, so that it takes a while to upload."""
        noise = np.random.default_rng(number).integers(0, 256, (240, 320, 3), np.uint8)
        picture = self.folder / f"picture{number}.png"
        Image.fromarray(noise).save(picture)
        return {"prompt": f"wish {number}", "picture": str(picture)}

    def rows(self) -> Sequence[Row]:
        """The ledger as the next process finds it, oldest row first."""
        owner = Owner(self.folder / "home" / "owners")
        store = Store(self.folder / "home" / "ledger.db", owner)
        found = store.rows(Query(limit=-1))
        store.close()
        owner.close()
        return found[::-1]


@pytest.fixture
def theatre(tmp_path: Path) -> Iterator[Theatre]:
    with start(pace=0.2) as box:
        # Everything that takes no time on loopback takes some, so that a kill may fall into it.
        for match, seconds in SLOW.items():
            box.faults.add(match, "delay", times=10**6, seconds=seconds)
        yield Theatre(box, tmp_path, seed=5)


# -- what must be true at the end ---------------------------------------------------------------


def wish(tree: Mapping[str, Any]) -> str:
    """Which request a row or a task of the sandbox is about."""
    return str(tree["parameters"]["prompt"])


def grouped(rows: Sequence[Row]) -> Mapping[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[wish(row.record.request)].append(row)
    return groups


def all_delivered(theatre: Theatre, rows: Sequence[Row]) -> None:
    """Every request has one delivered task; its picture is here, byte for byte as it was drawn."""
    drawn = {str(task.id): task.made[0].file.path for task in theatre.box.tasks}
    groups = grouped(rows)
    assert len(groups) == theatre.tally.requests
    for group in groups.values():
        assert [row.state for row in group if row.task] == [State.DELIVERED]
        result = group[-1].result
        assert result is not None
        assert len(result.files) == 1
        assert is_intact(result.files[0])
        assert result.files[0].sha256 == sha256_of(drawn[result.task_id])[0]


def each_charge_is_explained(theatre: Theatre, rows: Sequence[Row]) -> int:
    """The number of tasks that no row names; for each, an `unknown` row waited for its answer."""
    known = {row.task.id for row in rows if row.task}
    orphans = [task for task in theatre.box.tasks if str(task.id) not in known]
    to_epoch = max(time.time() - time.monotonic() for _ in range(9))  # a pause between makes less
    groups = grouped(rows)
    charged: Counter[str] = Counter()
    for task in sorted(orphans, key=lambda task: task.began):
        about = wish(task.plan.fields)
        charged[about] += 1
        before = [row for row in groups[about] if row.created <= task.began + to_epoch]
        assert charged[about] <= sum(row.state is State.UNKNOWN for row in before)
    return len(orphans)


def audit(theatre: Theatre) -> str:
    """Everything that must be true; the table that tells it."""
    tally, rows = theatre.tally, theatre.rows()
    states = Counter(row.state for row in rows)
    charges = theatre.box.charges["haiyi"]
    all_delivered(theatre, rows)
    accepted = each_charge_is_explained(theatre, rows)
    assert set(states) <= {State.DELIVERED, State.UNKNOWN}
    assert charges == tally.requests + accepted
    assert accepted <= states[State.UNKNOWN]
    assert not list((theatre.folder / "results").rglob("*.part"))
    numbers = {
        "requests": tally.requests,
        "kills": tally.kills,
        "restarts": tally.runs - 1,
        "submits": len(theatre.box.log.of("POST", "/generate/image")),
        "unknown rows": states[State.UNKNOWN],
        "of these accepted": accepted,
        "charges": charges,
        "new": tally.how["new"],
        "attached": tally.how["attached"],
        "reused": tally.how["reused"],
        "told of a possible charge": tally.warnings,
        "seconds": round(tally.seconds),
    }
    phases = {f"kills while {phase}": count for phase, count in tally.phases.most_common()}
    return "\n".join(f"{name:>28} {number:>6}" for name, number in (numbers | phases).items())


def test_five_kills_lose_nothing_and_pay_nothing_twice(theatre: Theatre) -> None:
    theatre.play(kills=5)
    print(audit(theatre))
    assert theatre.tally.kills >= 5


def test_a_kill_inside_the_answer_of_a_submit_is_unknown_and_costs_only_by_a_new_queue(
    theatre: Theatre,
) -> None:
    box, answers = theatre.box, threading.Event()

    def all_wait_for_the_answer(run: Run) -> bool:
        return box.charges["haiyi"] == PARALLEL

    plan = theatre.plan()
    box.faults.clear()
    held = {"seconds": PATIENCE, "until": answers, "handled": True}
    box.faults.add(GENERATE, "delay", times=PARALLEL, **held)
    assert not theatre.live(plan, until=all_wait_for_the_answer)
    answers.set()
    assert [row.state for row in theatre.rows()] == [State.UNKNOWN] * PARALLEL
    assert theatre.live(plan, until=NEVER)  # the person queues again
    audit(theatre)
    assert theatre.box.charges["haiyi"] == REQUESTS + PARALLEL
    assert theatre.tally.warnings == PARALLEL


@pytest.mark.soak
def test_two_hundred_kills_lose_nothing_and_pay_nothing_twice(
    theatre: Theatre, capsys: pytest.CaptureFixture[str]
) -> None:
    theatre.play(kills=200)
    table = audit(theatre)
    with capsys.disabled():
        print(f"\n{table}")
    assert theatre.tally.kills >= 200
    assert set(STAGES) <= set(theatre.tally.phases), "some phase was never hit"
