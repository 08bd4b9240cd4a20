"""Pins what is written about a task and when, and which requests count as the same order."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyport.engine.base.errors import InputRejected, NotFound, SkyportError, TransportError
from skyport.engine.base.types import (
    MediaFile,
    Report,
    Request,
    Result,
    Status,
    Task,
    TaskState,
    no_report,
)
from skyport.engine.ledger.ledger import Row, State, TaskRecord, fingerprint_of
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.sqlite_store import Store
from virtual import Cloud, Play, clip, order

BASE = "https://art.huya.info"


class Recording(Store):
    """Notes every call among those of a Cloud, in the order they were made."""

    def __init__(self) -> None:
        super().__init__(None, Owner(None))
        self.cloud: Cloud | None = None

    def note(self, what: str, about: str = "") -> None:
        if self.cloud is not None:
            self.cloud.log.append((what, about, 0.0))

    def record_intent(self, order: TaskRecord) -> Row | None:
        self.note("intend", order.title)
        return super().record_intent(order)

    def record_accepted(
        self, order: TaskRecord, task: Task, success: TaskState | None = None
    ) -> None:
        self.note("accepted", task.id)
        super().record_accepted(order, task, success)

    def record_success(self, fingerprint: str, task_id: str, state: TaskState) -> None:
        self.note("found", state.word)
        super().record_success(fingerprint, task_id, state)

    def record_unresolved(self, fingerprint: str, task_id: str, error: str, answer: str) -> None:
        self.note("unresolved", answer)
        super().record_unresolved(fingerprint, task_id, error, answer)

    def record_told(self, fingerprint: str) -> None:
        self.note("told")
        super().record_told(fingerprint)

    def record_result(self, fingerprint: str, result: Result) -> None:
        self.note("finished", result.task_id)
        super().record_result(fingerprint, result)

    def record_delivered(self, fingerprint: str) -> None:
        self.note("delivered")
        super().record_delivered(fingerprint)

    def record_end(self, fingerprint: str, state: State, error: str, task_id: str = "") -> None:
        self.note("ended", state.value)
        super().record_end(fingerprint, state, error, task_id)


def story(into: Path, how: Any = None, *, lasts: float = 0.5) -> list[tuple[str, str]]:
    """Everything that happened to one task, the ledger's part among the platform's."""
    ledger = Recording()
    with Play(ledger) as play:
        ledger.cloud = cloud = play.cloud(lasts=lasts)
        if how is not None:
            how(cloud)
        with suppress(SkyportError):
            play.result(cloud, order({"image": clip(into)}), into)
    return [(call, about) for call, about, _ in cloud.log]


# -- when things are written ----------------------------------------------------------------


def test_the_intent_is_written_before_the_submit_and_the_id_right_after(tmp_path: Path) -> None:
    assert story(tmp_path) == [
        ("prepare", "thing"),
        ("upload", "photo.png"),
        ("intend", "thing"),
        ("submit", "1"),
        ("accepted", "1"),
        ("poll", "1"),
        ("found", "success"),
        ("finished", "1"),
        ("delivered", ""),
    ]


def test_a_submit_made_again_is_one_intent(tmp_path: Path) -> None:
    def refused(cloud: Cloud) -> None:
        cloud.script["submit"] = [TransportError("refused", sent=False)]

    answer = story(tmp_path, refused)
    assert [call for call, _ in answer].count("intend") == 1
    assert [call for call, _ in answer].count("accepted") == 1


def test_a_refused_submit_is_written_off(tmp_path: Path) -> None:
    def refuse(cloud: Cloud) -> None:
        cloud.script["submit"] = [InputRejected("no", status=400)]

    assert story(tmp_path, refuse)[2:] == [
        ("intend", "thing"),
        ("submit", "1"),
        ("ended", "failed"),
    ]


def test_a_cut_submit_is_written_off_as_unknown_before_a_person_is_told(tmp_path: Path) -> None:
    def cut(cloud: Cloud) -> None:
        cloud.script["submit"] = [TransportError("cut")]

    assert story(tmp_path, cut)[-2:] == [("ended", "unknown"), ("told", "")]


class Died(Exception):
    """In place of the end of a process."""


class DiesOnceAccepted(Store):
    def record_accepted(self, *what: Any) -> None:
        super().record_accepted(*what)
        raise Died


class AtOnce(Cloud):
    """A platform that answers a submit with the result itself, and can never be asked again."""

    def submit(self, request: Request, report: Report = no_report) -> TaskState:
        super().submit(request, report)
        return TaskState(Status.SUCCEEDED, "success", 1.0, outputs=self.outputs)

    def poll(self, task: Task) -> TaskState:
        raise NotFound("no such task", status=404, own_form=True)


class Chat(AtOnce):
    """The same, by an endpoint that always does."""

    def answers_at_once(self, request: Request) -> bool:
        return True

    def answer(self, request: Request, on_text: Any) -> tuple[str, TaskState]:
        return "chat-1", self.submit(request)


@pytest.mark.parametrize("kind", [AtOnce, Chat])
def test_an_answer_that_is_the_result_is_written_together_with_its_id(
    kind: type[AtOnce], tmp_path: Path
) -> None:
    ledger = DiesOnceAccepted(None, Owner(None))
    with Play(ledger) as play:
        cloud = kind(play.loop.time)
        with pytest.raises(Died):
            play.result(cloud, order(), tmp_path)
        assert play.result(cloud, order(), tmp_path).texts == ("done",)
    assert cloud.counts["submit"] == 1


def test_what_may_come_yet_is_not_written_off(tmp_path: Path) -> None:
    def unreachable(cloud: Cloud) -> None:
        cloud.script["poll"] = [TransportError("no answer")] * 1000

    assert story(tmp_path, unreachable)[-1] == ("poll", "1")


def test_what_nothing_proves_is_not_written_off_either(tmp_path: Path) -> None:
    def empty(cloud: Cloud) -> None:
        said = TaskState(Status.SUCCEEDED, "success", answer="{}")
        cloud.poll = lambda task: said  # type: ignore[method-assign]

    assert story(tmp_path, empty)[-1] == ("unresolved", "{}")


# -- fingerprints ---------------------------------------------------------------------------

FILES = st.builds(
    MediaFile,
    path=st.sampled_from([Path("a.png"), Path("b.png")]),
    name=st.text(max_size=5),
    mime=st.just("image/png"),
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    size=st.integers(1, 9),
)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | FILES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


def renamed(tree: Any) -> Any:
    """The same content as another run would hold it: other file names, places and key order."""
    if isinstance(tree, MediaFile):
        return replace(tree, path=Path("elsewhere.png"), name=f"new {tree.name}", width=7)
    if isinstance(tree, dict):
        return {key: renamed(tree[key]) for key in reversed(tree)}
    return [renamed(item) for item in tree] if isinstance(tree, list) else tree


def fingerprint(payload: Any, base: str = BASE, **more: Any) -> str:
    return fingerprint_of(order({"in": payload}, **more), base)


@given(TREES)
def test_a_fingerprint_asks_what_files_hold_not_what_they_are_called(tree: Any) -> None:
    assert fingerprint(tree) == fingerprint(renamed(tree))
    assert fingerprint(tree) == fingerprint(tree, title="another name")


@given(TREES, FILES)
def test_other_bytes_another_seed_or_another_copy_are_another_order(
    tree: Any, file: MediaFile
) -> None:
    other = replace(file, sha256=file.sha256[::-1] + "0")
    marks = [
        fingerprint([tree, file]),
        fingerprint([tree, other]),
        fingerprint([tree, file], seed=1),
        fingerprint([tree, file], copy=1),
        fingerprint([tree, file], base="http://127.0.0.1:8000/haiyi"),
        fingerprint([file, tree, None]),
    ]
    assert len(set(marks)) == len(marks)


@pytest.mark.parametrize(
    ("one", "other"),
    [({"a": 1}, {"a": "1"}), ({"a": True}, {"a": 1}), ({"a": None}, {}), ([1, 2], [2, 1])],
)
def test_values_that_are_sent_differently_are_different(one: Any, other: Any) -> None:
    assert fingerprint(one) != fingerprint(other)
