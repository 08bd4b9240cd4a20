"""Which prompt a request to queue becomes, and what has become of it in ComfyUI's queue."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Iterable
from typing import Any

from server import PromptServer


class State(enum.Enum):
    """PENDING waits, RUNNING runs, ENDED is in the history; GONE is in none of these: never
    queued as it was refused, or deleted."""

    PENDING = "pending"
    RUNNING = "running"
    ENDED = "ended"
    GONE = "gone"


def id_of(data: dict[str, Any]) -> str:
    """The id of the prompt in a request to queue it, which is given one where it has none.

    "" where it has one that ComfyUI refuses.
    """
    if data.get("prompt_id") is None:
        data["prompt_id"] = str(uuid.uuid4())
    found = data["prompt_id"]
    return found if isinstance(found, str) else ""


def state_of(prompt_id: str) -> State:
    return states_of([prompt_id])[prompt_id]


def states_of(prompt_ids: Iterable[str]) -> dict[str, State]:
    """The states of several prompts at one moment."""
    queue = getattr(PromptServer.instance, "prompt_queue", None)
    if queue is None:
        return dict.fromkeys(prompt_ids, State.GONE)
    with queue.mutex:
        running = {item[1] for item in queue.currently_running.values()}
        pending = {item[1] for item in queue.queue}
        ended = {name for name in prompt_ids if name in queue.history}
    return {name: _state(name, running, pending, ended) for name in prompt_ids}


def _state(name: str, running: set[str], pending: set[str], ended: set[str]) -> State:
    if name in running:
        return State.RUNNING
    if name in pending:
        return State.PENDING
    return State.ENDED if name in ended else State.GONE
