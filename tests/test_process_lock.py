"""Pins how a process is known to live: by a lock that its death opens, whatever it died of."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from processes import Children
from skyport.engine.ledger.process_lock import Owner

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
