"""Pins that a data folder which is full, read-only or broken loses nothing that is paid for.

The disks are real ones: a small one of its own that fills up, one that is mounted read-only, and a
process that may not write another byte.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from _waiting import PATIENCE
from filelock import FileLock
from processes import Children
from skyport.engine.base.errors import (
    ApiError,
    InputRejected,
    LimitReached,
    OutcomeUnknown,
    ServerFault,
    SkyportError,
    TaskFailed,
)
from skyport.engine.base.types import Result, Status, Task, TaskState
from skyport.engine.ledger.budget import Limit, Period
from skyport.engine.ledger.ledger import Query, Row, State, TaskRecord, record_of
from skyport.engine.ledger.migrations import VERSION
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.resilient import ResilientLedger
from skyport.engine.ledger.sqlite_store import Store
from skyport.engine.notices.dispatcher import Dispatcher
from skyport.engine.tasks import history
from virtual import Cloud, Play, order

REMEMBERED = "remembered only until this program exits"


@pytest.fixture
def keep() -> Iterator[Callable[[Path], ResilientLedger]]:
    """Opens the ledger of a data folder as a process of its own does."""
    opened: list[ResilientLedger] = []

    def keep(home: Path) -> ResilientLedger:
        opened.append(ResilientLedger(home))
        return opened[-1]

    yield keep
    for keeper in opened:
        end(keeper)


def end(keeper: ResilientLedger) -> None:
    """What the end of its process does."""
    if keeper.disk is not None:
        keeper.disk.close()
    keeper.memory.close()
    keeper.owner.close()


def kept(fingerprint: str = "a") -> TaskRecord:
    return TaskRecord(
        fingerprint, "cloud", "http://127.0.0.1:1", "make", "thing", {"prompt": fingerprint}
    )


def task(number: str = "1") -> Task:
    return Task("cloud", "make", number)


def known(keeper: ResilientLedger, fingerprint: str = "a") -> Row:
    row = keeper.find(fingerprint)
    assert row is not None
    return row


def mark_of(cloud: Cloud) -> str:
    return record_of(order(), cloud.http.base_url).fingerprint


# -- a disk of its own --------------------------------------------------------------------------


class SmallDisk:
    """One megabyte, mounted at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"
        path.mkdir()
        _mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path))

    def fill(self) -> None:
        with self._filler.open("wb", buffering=0) as filler:
            for size in (65536, 4096, 1):
                try:
                    while filler.write(b"x" * size) == size:
                        pass
                except OSError:
                    continue

    def make_room(self) -> None:
        self._filler.unlink()

    def write_protect(self) -> None:
        _mount("-o", "remount,ro", str(self.path))

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)


def _mount(*arguments: str) -> None:
    try:
        subprocess.run(["mount", *arguments], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a disk can be mounted by root only")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if not sys.platform.startswith("linux"):
        pytest.skip("a disk in memory can be mounted on Linux only")
    disk = SmallDisk(tmp_path / "disk")
    yield disk
    disk.close()


# -- all is well --------------------------------------------------------------------------------


def test_where_the_disk_takes_it_nothing_is_in_memory_only(
    keep: Callable[[Path], ResilientLedger], tmp_path: Path
) -> None:
    keeper = keep(tmp_path)
    with Play(keeper) as play:
        play.result(play.cloud(), order(), tmp_path)
    assert keeper.trouble == ""
    assert keeper.memory.rows(Query()) == []
    assert keeper.disk is not None
    assert [row.state for row in keeper.disk.rows(Query())] == [State.DELIVERED]


# -- full ---------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="Windows sets no such limit")
def test_the_answer_of_a_submit_is_not_lost_when_the_disk_is_full_by_then(tmp_path: Path) -> None:
    with Children() as children:
        report = json.loads(children.start("full", tmp_path, 1024).line())
    assert report["disk"] == ["intent", ""]
    assert report["here"] == ["submitted", "1"]
    assert REMEMBERED in report["trouble"]
    assert report["later"] == ["running", "1"]
    assert report["later_trouble"] == ""


def test_work_goes_on_while_the_disk_is_full_and_is_on_it_once_there_is_room(
    keep: Callable[[Path], ResilientLedger], disk: SmallDisk, tmp_path: Path
) -> None:
    keeper = keep(disk.path)
    with Play(keeper) as play:
        cloud = play.cloud()
        disk.fill()
        first = play.result(cloud, order(), tmp_path)
        assert "full" in keeper.trouble
        assert REMEMBERED in keeper.trouble
        again = play.result(cloud, order(), tmp_path)
        disk.make_room()
        play.result(cloud, order(seed=2), tmp_path)
    assert (first.reused, again.reused) == (False, True)
    assert cloud.counts["submit"] == 2
    assert keeper.trouble == ""
    assert keeper.memory.rows(Query()) == []
    end_of_it = known(keep(disk.path), mark_of(cloud))
    assert end_of_it.state is State.DELIVERED
    assert end_of_it.task == Task("cloud", "make", "1")


def test_limits_count_what_is_on_a_full_disk_and_what_is_not_there_any_more(
    keep: Callable[[Path], ResilientLedger], disk: SmallDisk
) -> None:
    keeper, limit = keep(disk.path), Limit("limit_tasks_per_day", Period.DAY, 3, "tasks")
    keeper.record_intent(kept("a"), limit)
    disk.fill()
    assert keeper.reserve([kept("b"), kept("c")], [limit], reuse=True) == ["b", "c"]
    keeper.record_intent(kept("b"), limit)
    keeper.release(["c"])
    keeper.record_intent(kept("d"), limit)
    for refused in (
        lambda: keeper.record_intent(kept("e"), limit),
        lambda: reserved(keeper, limit),
    ):
        with pytest.raises(LimitReached):
            refused()
    disk.make_room()
    with pytest.raises(LimitReached):
        reserved(keeper, limit)
    assert keeper.memory.rows(Query()) == []


def test_what_is_reserved_in_one_place_and_sent_in_the_other_stays_in_neither(
    keep: Callable[[Path], ResilientLedger], disk: SmallDisk
) -> None:
    keeper, limit = keep(disk.path), Limit("limit_tasks_per_day", Period.DAY, 4, "tasks")
    assert keeper.disk is not None
    keeper.reserve([kept("on disk")], [limit], reuse=True)
    disk.fill()
    keeper.record_intent(kept("on disk"), limit)
    keeper.reserve([kept("in memory")], [limit], reuse=True)
    disk.make_room()
    keeper.record_intent(kept("in memory"), limit)
    assert keeper.disk.reserved() == keeper.memory.reserved() == []
    assert sum(use.tasks for use in keeper.disk.used(limit, local=True)) == 2


def test_what_a_full_disk_does_not_release_is_released_once_there_is_room(
    keep: Callable[[Path], ResilientLedger], disk: SmallDisk
) -> None:
    keeper, limit = keep(disk.path), Limit("limit_tasks_per_day", Period.DAY, 2, "tasks")
    keeper.reserve([kept("a"), kept("b")], [limit], reuse=True)
    disk.fill()
    keeper.release(["a"])
    with pytest.raises(LimitReached):
        reserved(keeper, limit)
    disk.make_room()
    assert reserved(keeper, limit) == ["f"]
    assert keeper.disk is not None
    assert keeper.disk.reserved() == ["b", "f"]


def reserved(keeper: ResilientLedger, limit: Limit) -> list[str]:
    return keeper.reserve([kept("f")], [limit], reuse=True)


def test_a_task_begun_on_disk_is_followed_to_its_end_when_the_disk_fills_up(
    keep: Callable[[Path], ResilientLedger], disk: SmallDisk, tmp_path: Path
) -> None:
    keeper = keep(disk.path)
    keeper.record_accepted(kept(), task())
    disk.fill()
    keeper.record_progress("a", State.RUNNING, 0.5)
    keeper.record_result("a", Result("1", texts=("done",)))
    assert known(keeper).result == Result("1", texts=("done",), cost=0.5)
    keeper.record_delivered("a")
    assert known(keeper).state is State.DELIVERED
    disk.make_room()
    keeper.record_intent(kept("b"))
    assert keeper.disk is not None
    assert [(r.record.fingerprint, r.state) for r in keeper.disk.rows(Query())] == [
        ("b", State.INTENT),
        ("a", State.DELIVERED),
    ]


class Refusing(Cloud):
    """Fills the disk while it is asked, and then fails as the test says."""

    def submit(self, *about: object) -> str:
        self.disk.fill()
        self.failure.own_form = True
        raise self.failure

    disk: SmallDisk
    failure: ApiError


@pytest.mark.parametrize(
    ("failure", "raised", "state"),
    [
        (InputRejected("no", status=400), InputRejected, State.FAILED),
        (ServerFault("no", status=500), OutcomeUnknown, State.UNKNOWN),
    ],
    ids=["refused", "in doubt"],
)
def test_a_submit_that_fails_while_the_disk_fills_up_may_be_ordered_again(
    keep: Callable[[Path], ResilientLedger],
    disk: SmallDisk,
    tmp_path: Path,
    failure: ApiError,
    raised: type[SkyportError],
    state: State,
) -> None:
    keeper = keep(disk.path)
    with Play(keeper) as play:
        refusing = Refusing(play.loop.time)
        refusing.disk, refusing.failure = disk, failure
        with pytest.raises(raised):
            play.result(refusing, order(), tmp_path)
        row = known(keeper, mark_of(refusing))
        assert (row.state, row.told) == (state, state is State.UNKNOWN)
        assert keeper.disk is not None
        assert [row.state for row in keeper.disk.rows(Query())] == [State.INTENT]
        result = play.result(play.cloud(), order(), tmp_path)
        assert (result.texts, len(result.warnings)) == (("done",), int(row.told))


def test_a_person_is_told_of_an_order_in_doubt_once_even_if_the_disk_is_full_by_then(
    keep: Callable[[Path], ResilientLedger], disk: SmallDisk
) -> None:
    keeper = keep(disk.path)
    keeper.record_intent(kept())
    keeper.record_end("a", State.UNKNOWN, "no answer")
    disk.fill()
    keeper.record_told("a")
    assert known(keeper).told
    disk.make_room()
    keeper.record_intent(kept("b"))
    assert keeper.disk is not None
    assert [(row.state, row.told) for row in keeper.disk.rows(Query())] == [
        (State.INTENT, False),
        (State.UNKNOWN, True),
    ]


def test_an_order_that_cannot_be_set_apart_on_disk_is_not_taken_for_another_in_memory(
    keep: Callable[[Path], ResilientLedger], disk: SmallDisk
) -> None:
    keeper = keep(disk.path)
    for fingerprint in ("a", "b"):
        keeper.record_accepted(kept(fingerprint), task(fingerprint))
        keeper.record_unresolved(fingerprint, "", "no result", "{}")
    disk.fill()
    keeper.record_unresolved("b", "", "no result", "{}")
    with pytest.raises(SkyportError, match="cannot be written"):
        keeper.set_apart(1)
    assert [known(keeper, each).state for each in "ab"] == [State.UNRESOLVED] * 2


class Failing(Cloud):
    def poll(self, task: Task) -> TaskState:
        return TaskState(Status.FAILED, "failed", message="bad luck")


def test_a_task_that_failed_while_the_disk_was_full_is_not_waited_for_again(
    keep: Callable[[Path], ResilientLedger], disk: SmallDisk, tmp_path: Path
) -> None:
    keeper = keep(disk.path)
    with Play(keeper) as play:
        failing = Failing(play.loop.time)
        keeper.record_accepted(record_of(order(), failing.http.base_url), task())
        disk.fill()
        with pytest.raises(TaskFailed, match="bad luck"):
            play.result(failing, order(), tmp_path)
        cloud = play.cloud()
        play.result(cloud, order(), tmp_path)
        assert cloud.counts["submit"] == 1


def test_an_order_that_another_process_is_submitting_is_left_to_it_when_the_disk_is_full(
    keep: Callable[[Path], ResilientLedger], disk: SmallDisk
) -> None:
    other, keeper = keep(disk.path), keep(disk.path)
    other.record_intent(kept())
    disk.fill()
    keeper.record_end("a", State.FAILED, "not mine to say")
    assert known(keeper).owner == other.owner.id
    disk.make_room()
    other.record_accepted(kept(), task())
    assert known(keeper).state is State.SUBMITTED


def test_the_warning_is_logged_once_and_not_with_every_write(
    keep: Callable[[Path], ResilientLedger], disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = keep(disk.path)
    disk.fill()
    with caplog.at_level(logging.WARNING):
        for number in range(5):
            keeper.record_intent(kept(str(number)))
    assert len(caplog.records) == 1
    assert keeper.trouble in caplog.text


# -- read-only ----------------------------------------------------------------------------------


def test_a_folder_that_has_become_read_only_is_still_known(
    keep: Callable[[Path], ResilientLedger], disk: SmallDisk, tmp_path: Path
) -> None:
    known_before(keep(disk.path), tmp_path)
    disk.write_protect()
    nothing_is_paid_again(keep(disk.path), tmp_path)


def test_what_a_crash_left_beside_a_read_only_ledger_is_known_too(
    keep: Callable[[Path], ResilientLedger], disk: SmallDisk, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    keeper = ResilientLedger(home)
    with Play(keeper) as play:
        play.result(play.cloud(), order(), tmp_path)
    keeper.record_accepted(under_way(), task("running"))
    for part in ("", "-wal"):  # as a crash leaves them: what is new is in the second only
        shutil.copyfile(home / f"ledger.db{part}", disk.path / f"ledger.db{part}")
    end(keeper)
    disk.write_protect()
    nothing_is_paid_again(keep(disk.path), tmp_path)


def test_a_disk_that_is_full_from_the_start_is_still_known(
    keep: Callable[[Path], ResilientLedger], disk: SmallDisk, tmp_path: Path
) -> None:
    known_before(keep(disk.path), tmp_path)
    disk.fill()
    nothing_is_paid_again(keep(disk.path), tmp_path)


def under_way() -> TaskRecord:
    return record_of(order(title="under way", seed=5), "http://127.0.0.1:1")


def known_before(keeper: ResilientLedger, into: Path) -> None:
    """One order is delivered and one is under way, and the process ends."""
    with Play(keeper) as play:
        play.result(play.cloud(), order(), into)
    keeper.record_accepted(under_way(), task("running"))
    end(keeper)


class Later(Cloud):
    """Knows the task that was under way."""

    def poll(self, task: Task) -> TaskState:
        self.log.append(("poll", task.id, self.clock()))
        return TaskState(Status.SUCCEEDED, "success", 1.0, outputs=self.outputs)


def nothing_is_paid_again(keeper: ResilientLedger, into: Path) -> None:
    with Play(keeper) as play:
        cloud = Later(play.loop.time)
        assert play.result(cloud, order(), into).reused
        assert play.result(cloud, order(seed=5), into).task_id == "running"
        assert play.result(cloud, order(seed=5), into).reused
    assert cloud.counts["submit"] == 0
    assert REMEMBERED in keeper.trouble


def a_file_in_the_way(home: Path) -> None:
    (home / "owners").write_text("I was here first")


def a_folder_in_the_way(home: Path) -> None:
    (home / "ledger.db").mkdir()


@pytest.mark.parametrize("obstacle", [a_file_in_the_way, a_folder_in_the_way])
def test_a_ledger_that_cannot_be_opened_is_kept_in_memory_and_that_is_said(
    obstacle: Callable[[Path], None], keep: Callable[[Path], ResilientLedger], tmp_path: Path
) -> None:
    obstacle(tmp_path)
    works_in_memory(keep(tmp_path), tmp_path)


def test_a_folder_that_is_read_only_from_the_start_is_no_obstacle(
    keep: Callable[[Path], ResilientLedger], disk: SmallDisk, tmp_path: Path
) -> None:
    disk.write_protect()
    works_in_memory(keep(disk.path), tmp_path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing stops root")
def test_a_folder_without_the_right_to_write_is_no_obstacle(
    keep: Callable[[Path], ResilientLedger], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    works_in_memory(keep(home), tmp_path)


def works_in_memory(keeper: ResilientLedger, into: Path) -> None:
    """It says so, equal orders share a task all the same, and nothing is thrown."""
    assert keeper.disk is None
    assert REMEMBERED in keeper.trouble
    with Play(keeper) as play:
        cloud = play.cloud()
        play.result(cloud, order(), into)
        assert play.result(cloud, order(), into).reused
    assert cloud.counts["submit"] == 1
    keeper.record_accepted(kept(), task())
    keeper.recover()
    assert [row.record.fingerprint for row in keeper.abandoned()] == ["a"]
    assert keeper.adopt(known(keeper))
    assert keeper.prune(0) == 0
    assert REMEMBERED in keeper.trouble


# -- broken -------------------------------------------------------------------------------------


def garbage(path: Path) -> None:
    path.write_bytes(b"<html>your quota is used up</html>" * 500)


def damaged(path: Path) -> None:
    """A ledger with a good head whose other pages are lost."""
    keeper = ResilientLedger(path.parent)
    for number in range(50):
        keeper.record_accepted(kept(str(number)), task(str(number)))
    end(keeper)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))


BREAKAGES = [garbage, damaged]


@pytest.mark.parametrize("harm", BREAKAGES)
def test_a_broken_ledger_is_kept_for_people_and_a_new_one_begins_beside_it(
    harm: Callable[[Path], None], keep: Callable[[Path], ResilientLedger], tmp_path: Path
) -> None:
    harm(tmp_path / "ledger.db")
    broken = (tmp_path / "ledger.db").read_bytes()
    keeper = keep(tmp_path)
    aside = tmp_path / "ledger.broken-1.db"
    assert aside.read_bytes() == broken
    assert str(aside) in keeper.trouble
    assert "check your tasks on the platform" in keeper.trouble
    keeper.record_accepted(kept(), task())
    assert str(aside) in keeper.trouble  # a write that goes well does not take that back
    assert REMEMBERED not in keeper.trouble
    later = keep(tmp_path)
    assert known(later).task == task()
    assert later.trouble == ""


def test_what_sqlite_keeps_beside_a_broken_file_goes_with_it(
    keep: Callable[[Path], ResilientLedger], tmp_path: Path
) -> None:
    for part in ("", "-wal", "-shm"):
        garbage(tmp_path / f"ledger.db{part}")
    keep(tmp_path)
    names = {path.name for path in tmp_path.glob("ledger.broken-*")}
    assert names == {f"ledger.broken-1.db{part}" for part in ("", "-wal", "-shm")}


def test_a_ledger_set_aside_earlier_is_not_overwritten(
    keep: Callable[[Path], ResilientLedger], tmp_path: Path
) -> None:
    for _ in range(2):
        garbage(tmp_path / "ledger.db")
        end(ResilientLedger(tmp_path))
    assert sorted(path.name for path in tmp_path.glob("*broken*")) == [
        "ledger.broken-1.db",
        "ledger.broken-2.db",
    ]


def test_many_processes_that_find_it_broken_set_aside_one_file_and_share_the_new_one(
    keep: Callable[[Path], ResilientLedger], tmp_path: Path
) -> None:
    garbage(tmp_path / "ledger.db")
    with Children() as children:
        many = [children.start("open", tmp_path) for _ in range(5)]
        assert {one.line() for one in many} == {"ready"}
        for one in many:
            one.go()
        lines = [one.line() for one in many]
        assert {line.split()[0] for line in lines} == {"disk"}
        assert sum("was kept as" in line for line in lines) == 1
    assert len(list(tmp_path.glob("*broken*"))) == 1
    assert keep(tmp_path).trouble == ""


def test_who_finds_it_broken_while_another_sets_it_aside_waits_and_takes_the_new_one(
    keep: Callable[[Path], ResilientLedger], tmp_path: Path
) -> None:
    broken = tmp_path / "ledger.db"
    garbage(broken)
    with ThreadPoolExecutor(1) as pool:
        with FileLock(tmp_path / "ledger.lock"):  # the other one is at it
            opening = pool.submit(keep, tmp_path)
            wait([opening], 0.5)  # time in which it would set it aside as well
            assert not opening.done()
            assert broken.is_file()
            broken.rename(tmp_path / "ledger.broken-1.db")
            Store(broken, Owner(None)).close()
        keeper = opening.result(PATIENCE)
    assert keeper.disk is not None
    assert keeper.trouble == ""
    assert [path.name for path in tmp_path.glob("*broken*")] == ["ledger.broken-1.db"]


def test_a_page_that_breaks_while_we_run_costs_nothing_that_is_under_way(
    keep: Callable[[Path], ResilientLedger], tmp_path: Path
) -> None:
    keeper = keep(tmp_path)
    with Play(keeper) as play:
        cloud = play.cloud(lasts=100)

        async def scene() -> Result:
            job = await play.runner.begin(cloud, order(), tmp_path)
            while job.snapshot.stage != "running":
                await play.engine.blocking(lambda: None)
            garbage_inside(tmp_path / "ledger.db")
            return await play.carried(cloud, order(), tmp_path)

        assert play.run(scene()).texts == ("done",)
        assert play.result(cloud, order(), tmp_path).reused
    assert cloud.counts["submit"] == 1
    assert REMEMBERED in keeper.trouble


def garbage_inside(path: Path) -> None:
    """Every page but the head becomes unreadable for the processes that have it open."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    size = path.stat().st_size
    with path.open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"\xa5" * (size - 4096))


def test_a_newer_ledger_is_left_alone_and_that_is_said(
    keep: Callable[[Path], ResilientLedger], tmp_path: Path
) -> None:
    path = tmp_path / "ledger.db"
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    before = path.read_bytes()
    keeper = keep(tmp_path)
    assert keeper.disk is None
    assert "newer Skyport" in keeper.trouble
    assert path.read_bytes() == before
    assert list(tmp_path.glob("*broken*")) == []


# -- those who only look ------------------------------------------------------------------------


def test_the_editor_waits_for_no_write(
    keep: Callable[[Path], ResilientLedger], tmp_path: Path
) -> None:
    keeper = keep(tmp_path)
    keeper.record_accepted(kept(), task())
    assert keeper.disk is not None
    dispatcher = Dispatcher(keeper)
    dispatcher.look()

    def look() -> list[object]:
        page = history.rows(keeper, Query())
        one = keeper.peek("a")
        dispatcher.look()
        keeper.changes(), keeper.charges("cloud", 9), keeper.past_durations("cloud", "", "thing")
        return [
            len(page),
            one and one.state,
            history.read(keeper, lambda view: view.count(Query())),
        ]

    with ThreadPoolExecutor(1) as pool, keeper._lock, keeper.disk._transaction():
        assert pool.submit(look).result(PATIENCE) == [1, State.SUBMITTED, 1]
