"""Pins how a process is known to live: by a lock that its death opens, whatever it died of."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from _waiting import PATIENCE
from processes import Children, python_path
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.resilient import ResilientLedger

fcntl: Any = pytest.importorskip("fcntl") if os.name == "posix" else None
LONG_AGO = time.time() - 3600


@pytest.fixture
def children() -> Iterator[Children]:
    with Children() as children:
        yield children


@pytest.fixture
def me(tmp_path: Path) -> Iterator[Owner]:
    owner = Owner(tmp_path)
    yield owner
    owner.close()


def locks(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.lock"))


def test_a_process_that_was_killed_is_seen_dead_at_once(
    me: Owner, children: Children, tmp_path: Path
) -> None:
    child = children.start("own", tmp_path)
    other = child.line()
    assert me.is_alive(other)
    assert me.is_alive(other)  # looking does no harm
    child.kill()
    assert not me.is_alive(other)
    assert locks(tmp_path) == [me.id]


def test_a_process_that_ended_well_is_dead_too(
    me: Owner, children: Children, tmp_path: Path
) -> None:
    child = children.start("own", tmp_path)
    other = child.line()
    child.finish()
    assert not me.is_alive(other)


def test_a_process_knows_that_it_lives_itself_and_of_nobody_else(me: Owner) -> None:
    assert me.is_alive(me.id)
    assert not me.is_alive("")
    assert not me.is_alive("0" * 32)


def test_the_thread_that_began_may_end_and_any_other_may_let_go(tmp_path: Path) -> None:
    begun: list[Owner] = []
    thread = threading.Thread(target=lambda: begun.append(Owner(tmp_path)))
    thread.start()
    thread.join()
    looking = Owner(tmp_path)
    assert looking.is_alive(begun[0].id)
    begun[0].close()
    assert not looking.is_alive(begun[0].id)
    looking.close()


def test_what_dead_processes_have_left_is_removed_and_what_lives_or_is_being_made_stays(
    me: Owner, children: Children, tmp_path: Path
) -> None:
    dead, living = children.start("own", tmp_path), children.start("own", tmp_path)
    lives = living.line()
    dead.line()
    dead.kill()
    (tmp_path / "being-made.lock").touch()
    for path in tmp_path.glob("*.lock"):
        if path.stem != "being-made":
            os.utime(path, (LONG_AGO, LONG_AGO))
    newest = Owner(tmp_path)
    assert locks(tmp_path) == sorted([me.id, lives, newest.id, "being-made"])
    newest.close()


def test_a_child_of_a_dead_process_does_not_keep_it_alive(
    me: Owner, children: Children, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        child = children.start("parent", tmp_path)
        other, grandchild = child.line().split()
        stack.callback(lambda: subprocess.run(["kill", "-9", grandchild], check=True))
        assert me.is_alive(other)
        child.kill()
        assert not me.is_alive(other)


def test_without_a_folder_a_process_is_alone() -> None:
    alone = Owner(None)
    assert alone.is_alive(alone.id)
    assert not alone.is_alive("0" * 32)
    alone.close()


# -- disks without locks ------------------------------------------------------------------------

# flock as Lustre, some NFS and some FUSE disks answer it.
WITHOUT_LOCKS = """
import errno, fcntl, os, sys
def refuse(*_):
    raise OSError(errno.{error}, os.strerror(errno.{error}))
fcntl.flock = refuse
"""
OWN = """
from pathlib import Path
from typing import Any
from skyport.engine.ledger.process_lock import Owner
owner = Owner(Path(sys.argv[1]))
print(owner.id, flush=True)
"""
POSIX = pytest.mark.skipif(os.name != "posix", reason="there is no flock here")
NO_LOCKS = ("ENOSYS", "ENOLCK", "ENOTSUP", "EINVAL")


def without_locks(monkeypatch: pytest.MonkeyPatch, error: str = "ENOSYS") -> None:
    def refuse(*_: object) -> None:
        raise OSError(getattr(errno, error), os.strerror(getattr(errno, error)))

    monkeypatch.setattr(fcntl, "flock", refuse)


def own_elsewhere(folder: Path, error: str, more: str) -> str:
    """The id that a process had on such a disk, once it is dead; `more` is what it did last."""
    code = WITHOUT_LOCKS.format(error=error) + OWN + more
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env=python_path(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return done.stdout.strip()


@POSIX
@pytest.mark.parametrize("error", NO_LOCKS)
def test_a_disk_without_locks_is_worked_with_and_a_dead_process_on_it_seen(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: str,
) -> None:
    without_locks(monkeypatch, error)
    me, other = Owner(tmp_path), Owner(tmp_path)
    assert me.is_alive(other.id)
    assert other.is_alive(me.id)
    assert "no file locks" in caplog.text
    assert "SKYPORT_HOME" in caplog.text
    killed = own_elsewhere(tmp_path, error, "os.kill(os.getpid(), 9)")
    assert (tmp_path / f"{killed}.lock").exists()
    assert not me.is_alive(killed)
    other.close()
    assert not me.is_alive(other.id)
    assert locks(tmp_path) == [me.id]
    me.close()


@POSIX
def test_a_process_on_another_machine_lives_as_long_as_it_touches_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch)
    me = Owner(tmp_path)
    path = tmp_path / "elsewhere.lock"
    path.write_text(json.dumps({"pid": 1, "machine": "another one"}))
    assert me.is_alive("elsewhere")
    os.utime(path, (LONG_AGO, LONG_AGO))
    assert not me.is_alive("elsewhere")
    assert locks(tmp_path) == [me.id]
    me.close()


@POSIX
def test_a_broken_ledger_is_moved_aside_without_locks_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch)
    (tmp_path / "ledger.db").write_bytes(b"no database" * 400)
    ledger = ResilientLedger(tmp_path)
    assert ledger.disk is not None
    assert (tmp_path / "ledger.broken-1.db").exists()
    assert not (tmp_path / "ledger.lock").exists()
    ledger.disk.close()
    ledger.owner.close()
