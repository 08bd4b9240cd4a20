"""Follows the prompts of requests to queue them through ComfyUI's queue, until they are over."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .prompt_queue import State, states_of

Listener = Callable[[Mapping[str, State]], None]

LOOK = 0.2  # seconds between two looks at ComfyUI's queue, while there is a prompt to follow
VALIDATION = 120.0  # seconds after which a prompt that was never seen in the queue was refused
_log = logging.getLogger(__name__)


def id_of(data: dict[str, Any]) -> str:
    """The id of the prompt in a request to queue it, which is given one where it has none.

    "" where it has one that ComfyUI refuses.
    """
    if data.get("prompt_id") is None:
        data["prompt_id"] = str(uuid.uuid4())
    found = data["prompt_id"]
    return found if isinstance(found, str) else ""


def holds_any_of(class_types: set[str], prompt: Mapping[str, Any]) -> bool:
    """Whether a node of the prompt is of one of these classes."""
    nodes = (node for node in prompt.values() if isinstance(node, dict))
    return any(str(node.get("class_type")) in class_types for node in nodes)


@dataclass
class _Prompt:
    """`refused_at` is the time after which one that is still GONE was refused."""

    refused_at: float
    state: State = State.GONE
    listeners: list[Listener] = field(default_factory=list)


class Follower:
    """Tells listeners what becomes of prompts. Used on the engine's loop only."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._prompts: dict[str, _Prompt] = {}

    async def follow(self, prompt_id: str, listener: Listener) -> None:
        """Have `listener` called at each look with the states of all its prompts, by id.

        A prompt that ComfyUI has not in its queue yet is left out; one that is not open is over,
        and told once: GONE where it was refused or deleted. One loop looks after all.
        """
        is_first = not self._prompts
        prompt = self._prompts.setdefault(prompt_id, _Prompt(0.0))
        prompt.refused_at = self._now() + VALIDATION
        prompt.listeners.append(listener)
        while is_first and self._prompts:
            await asyncio.sleep(LOOK)
            self.look()

    def look(self) -> None:
        """Look at the queue once; a queue that cannot be read is looked at no more."""
        try:
            states = states_of(list(self._prompts))
        except Exception:
            _log.warning("Skyport could not follow ComfyUI's queue", exc_info=True)
            self._prompts.clear()
            return
        for listener, seen in self._by_listener(states).items():
            try:
                listener(seen)
            except Exception:
                _log.warning("Skyport could not follow a queued prompt", exc_info=True)

    def _by_listener(self, states: Mapping[str, State]) -> dict[Listener, dict[str, State]]:
        found: dict[Listener, dict[str, State]] = {}
        for prompt_id, state in states.items():
            prompt = self._prompts[prompt_id]
            if self._is_known(prompt, state):
                for listener in prompt.listeners:
                    found.setdefault(listener, {})[prompt_id] = prompt.state
                if not prompt.state.is_open:
                    del self._prompts[prompt_id]
        return found

    def _is_known(self, prompt: _Prompt, state: State) -> bool:
        """Whether it is known what has become of the prompt; False before its validation ends."""
        if prompt.state is State.GONE and state is State.GONE:
            return self._now() >= prompt.refused_at
        has_run = prompt.state is State.RUNNING
        prompt.state = State.ENDED if state is State.GONE and has_run else state
        return True


_follower = Follower()
follow = _follower.follow
