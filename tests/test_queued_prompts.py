"""Pins what a queued prompt's listeners are told of it, from ComfyUI's queue and history alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import standin  # noqa: F401  (makes ComfyUI's modules importable)
from _clock import StoppedClock
from server import PromptServer
from skyport.nodes._base.prompt_queue import State, next_waiting
from skyport.nodes._base.queued_prompts import VALIDATION, Follower, Listener
from standin.server import PromptQueue

Told = list[tuple[str, State]]


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> PromptQueue:
    queue = PromptQueue()
    monkeypatch.setattr(
        PromptServer, "instance", SimpleNamespace(prompt_queue=queue), raising=False
    )
    return queue


def item(name: str, number: int = 0) -> tuple[Any, ...]:
    return (number, name, {}, {}, [])


def entry(*messages: str) -> dict[str, Any]:
    return {"prompt": item("a"), "status": {"messages": [(name, {}) for name in messages]}}


def into(told: Told) -> Listener:
    def listen(states: Mapping[str, State]) -> None:
        told.extend(states.items())

    return listen


def follow(scene: Callable[[Follower], None], clock: StoppedClock, *listeners: Listener) -> None:
    """Plays the scene with one prompt, `a`, that is followed."""
    follower = Follower(clock)

    async def play() -> None:
        loops = [asyncio.ensure_future(follower.follow("a", one)) for one in listeners]
        await asyncio.sleep(0)
        scene(follower)
        for loop in loops:
            loop.cancel()

    asyncio.run(play())


def wait(queue: PromptQueue) -> None:
    queue.queue = [item("a")]


def run(queue: PromptQueue) -> None:
    queue.queue, queue.currently_running = [], {0: item("a")}


def vanish(queue: PromptQueue) -> None:
    queue.queue, queue.currently_running, queue.history = [], {}, {}


def end(queue: PromptQueue) -> None:
    vanish(queue)
    queue.history = {"a": entry("execution_start", "execution_success")}


def interrupt(queue: PromptQueue) -> None:
    vanish(queue)
    queue.history = {"a": entry("execution_start", "execution_interrupted")}


@pytest.mark.parametrize(
    ("steps", "last"),
    [
        ((wait, run, end), State.ENDED),
        ((wait, end), State.ENDED),
        ((end,), State.ENDED),
        ((wait, run, interrupt), State.INTERRUPTED),
        ((wait, vanish), State.GONE),
        ((wait, run, vanish), State.ENDED),
    ],
    ids=[
        "runs",
        "runs between two looks",
        "runs before the first look",
        "is interrupted",
        "is deleted",
        "runs, and the history is cleared",
    ],
)
def test_the_end_of_a_prompt_is_told_once(
    queue: PromptQueue, steps: tuple[Callable[[PromptQueue], None], ...], last: State
) -> None:
    told: Told = []

    def scene(follower: Follower) -> None:
        for step in (*steps, steps[-1]):
            step(queue)
            follower.look()

    follow(scene, StoppedClock(), into(told))
    assert told[-1] == ("a", last)
    assert [state.is_open for _, state in told] == [True] * (len(steps) - 1) + [False]


def test_a_prompt_that_is_never_queued_counts_as_refused_after_a_while(queue: PromptQueue) -> None:
    told: Told = []
    clock = StoppedClock()

    def scene(follower: Follower) -> None:
        clock.now += VALIDATION - 1
        follower.look()
        assert told == []
        clock.now += 1
        follower.look()
        follower.look()

    follow(scene, clock, into(told))
    assert told == [("a", State.GONE)]


def test_one_listener_that_fails_keeps_nothing_from_another(queue: PromptQueue) -> None:
    told: Told = []

    def fail(_: Mapping[str, State]) -> None:
        raise ValueError("broken")

    def scene(follower: Follower) -> None:
        end(queue)
        follower.look()

    follow(scene, StoppedClock(), fail, into(told))
    assert told == [("a", State.ENDED)]


def test_a_queue_that_cannot_be_read_is_complained_of_once(
    queue: PromptQueue, caplog: pytest.LogCaptureFixture
) -> None:
    del queue.history

    def scene(follower: Follower) -> None:
        follower.look()
        follower.look()

    follow(scene, StoppedClock(), into([]))
    assert len(caplog.records) == 1


def test_the_prompt_that_comfyui_runs_next_is_the_one_with_the_lowest_number(
    queue: PromptQueue,
) -> None:
    queue.queue = [item("b", 2), item("a", 1), item("at the front", -3)]
    assert next_waiting(["a", "b"])[1] == "a"
    assert next_waiting(["a", "b", "at the front"])[1] == "at the front"
    assert next_waiting(["else"]) is None
