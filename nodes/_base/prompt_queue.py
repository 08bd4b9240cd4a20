"""Which prompts ComfyUI has run, in order, and for which workflow of the editor."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from server import PromptServer

from ...engine.workflows.api_format import is_link


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


def next_waiting(prompt_ids: Collection[str]) -> Any:
    """Of these prompts the item that ComfyUI runs next; None where none waits in its queue."""
    queue = getattr(PromptServer.instance, "prompt_queue", None)
    if queue is None:
        return None
    with queue.mutex:
        waiting = [item for item in queue.queue if item[1] in prompt_ids]
    return min(waiting, key=lambda item: item[0], default=None)


def was_interrupted(prompt_id: str) -> bool:
    """Whether a prompt that has ended was interrupted."""
    entry: Any = next((one for one in _items()[0] if one["prompt"][1] == prompt_id), {})
    messages = (entry.get("status") or {}).get("messages") or []
    return any(name == "execution_interrupted" for name, _ in messages)


def _items() -> tuple[list[Any], list[Any]]:
    """ComfyUI's history, and the items that are running."""
    queue = getattr(PromptServer.instance, "prompt_queue", None)
    if queue is None:
        return [], []
    with queue.mutex:
        return list(queue.history.values()), list(queue.currently_running.values())


def _workflow(item: Any) -> str:
    """An item is (number, id, prompt, extra data, outputs to execute, ...)."""
    found: Any = item[3]
    for name in ("extra_pnginfo", "workflow", "id"):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""


def _ended(entry: Mapping[str, Any]) -> Prompt:
    item, messages = entry["prompt"], (entry.get("status") or {}).get("messages") or []
    cached = [data["nodes"] for name, data in messages if name == "execution_cached"]
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
