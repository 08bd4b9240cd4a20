"""ComfyUI's queue and history at one moment: what has become of prompts, which have been run."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any

from server import PromptServer

from ...engine.workflows.api_format import is_link


class State(enum.Enum):
    """PENDING waits, RUNNING runs, ENDED and INTERRUPTED are in the history; GONE is in none of
    these: never queued as it was refused, or deleted."""

    PENDING = "pending"
    RUNNING = "running"
    ENDED = "ended"
    INTERRUPTED = "interrupted"
    GONE = "gone"

    @property
    def is_open(self) -> bool:
        return self in (State.PENDING, State.RUNNING)


@dataclass(frozen=True)
class Prompt:
    """A prompt that has been started.

    nodes    classes of the nodes that its outputs need, by id
    cached   ids of those whose outputs ComfyUI still had; not known before the prompt has ended
    """

    id: str
    nodes: Mapping[str, str]
    cached: frozenset[str]
    has_ended: bool


def editor_workflow(extra_data: Any) -> dict[str, Any] | None:
    """The editor's graph, which comes with a prompt; None where it was queued without."""
    found = extra_data
    for name in ("extra_pnginfo", "workflow"):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def state_of(prompt_id: str) -> State:
    return states_of([prompt_id])[prompt_id]


def states_of(prompt_ids: Collection[str]) -> dict[str, State]:
    """The states of several prompts at one moment."""
    states = dict.fromkeys(prompt_ids, State.GONE)
    with _locked() as queue:
        if queue is not None:
            ended = {name: queue.history[name] for name in states if name in queue.history}
            states |= {name: _end_of(entry) for name, entry in ended.items()}
            running = queue.currently_running.values()
            open_ones = {item[1]: State.PENDING for item in queue.queue}
            open_ones |= {item[1]: State.RUNNING for item in running}
            states |= {name: open_ones[name] for name in states if name in open_ones}
    return states


def _end_of(entry: Mapping[str, Any]) -> State:
    is_interrupted = any(name == "execution_interrupted" for name, _ in _messages(entry))
    return State.INTERRUPTED if is_interrupted else State.ENDED


def running_workflow(prompt_id: str) -> str:
    """The id of the workflow that a running prompt was made of; "" where it was queued without."""
    _, running = _items()
    return next((_workflow(item) for item in running if item[1] == prompt_id), "")


def running() -> frozenset[str]:
    """The ids of the prompts that are running."""
    _, items = _items()
    return frozenset(item[1] for item in items)


def started(workflow: str) -> list[Prompt]:
    """The prompts made of a workflow that have been started, oldest first."""
    entries, running = _items()
    ended = [entry for entry in entries if _workflow(entry["prompt"]) == workflow]
    going = [item for item in running if _workflow(item) == workflow]
    return [_ended(entry) for entry in ended] + [
        Prompt(item[1], _needed(item[2], item[4]), frozenset(), False) for item in going
    ]


def extra_data_of(prompt_id: str) -> Mapping[str, Any]:
    """What came with a prompt that waits or runs; nothing for any other."""
    with _locked() as queue:
        items = () if queue is None else chain(queue.currently_running.values(), queue.queue)
        found = next((item[3] for item in items if item[1] == prompt_id), None)
    return found if isinstance(found, dict) else {}


def next_waiting(prompt_ids: Collection[str]) -> Any:
    """Of these prompts the item that ComfyUI runs next; None where none waits in its queue."""
    with _locked() as queue:
        items = [] if queue is None else queue.queue
        waiting = [item for item in items if item[1] in prompt_ids]
    return min(waiting, key=lambda item: item[0], default=None)


def running_nodes() -> set[str]:
    """The ids of all nodes of the prompts that are running."""
    return {node_id for item in _items()[1] for node_id in item[2]}


def _items() -> tuple[list[Any], list[Any]]:
    """ComfyUI's history, and the items that are running."""
    with _locked() as queue:
        if queue is None:
            return [], []
        return list(queue.history.values()), list(queue.currently_running.values())


@contextmanager
def _locked() -> Iterator[Any]:
    """ComfyUI's queue, which does not change in here; None where there is none."""
    queue = getattr(PromptServer.instance, "prompt_queue", None)
    with nullcontext() if queue is None else queue.mutex:
        yield queue


def _messages(entry: Mapping[str, Any]) -> Any:
    return (entry.get("status") or {}).get("messages") or []


def _workflow(item: Any) -> str:
    """An item is (number, id, prompt, extra data, outputs to execute, ...)."""
    found = (editor_workflow(item[3]) or {}).get("id")
    return found if isinstance(found, str) else ""


def _ended(entry: Mapping[str, Any]) -> Prompt:
    item = entry["prompt"]
    cached = [data["nodes"] for name, data in _messages(entry) if name == "execution_cached"]
    return Prompt(item[1], _needed(item[2], item[4]), frozenset().union(*cached), True)


def _needed(prompt: Mapping[str, Any], outputs: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    stack = list(outputs)
    while stack:
        node_id = stack.pop()
        if node_id in prompt and node_id not in found:
            found[node_id] = prompt[node_id]["class_type"]
            values = prompt[node_id]["inputs"].values()
            stack += [value[0] for value in values if is_link(value)]
    return found
