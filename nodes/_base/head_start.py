"""Begins the orders of queued prompts at once: platforms work side by side, ComfyUI's queue not."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from ... import providers
from ...engine.settings import settings
from . import begun_ahead
from .known_values import KnownValues, surely_run
from .prompt_queue import next_waiting, was_interrupted
from .queued_prompts import State, id_of, states_of

_LOOK = 0.2  # seconds between two looks at ComfyUI's queue, while it holds prompts of ours
_VALIDATION = 120.0  # seconds after which a prompt that was never seen in the queue was refused
_log = logging.getLogger(__name__)
_classes: set[str] = set()  # of nodes that can begin ahead
_followed: dict[str, _Prompt] = {}  # by id; used on the engine's loop


@dataclass
class _Prompt:
    """A queued prompt: what was seen of it last, and whether its orders are being begun."""

    give_up: float  # `time.monotonic` after which ComfyUI has refused it
    state: State = State.GONE
    is_beginning: bool = False
    has_begun: bool = False


def watch(nodes: Iterable[Any]) -> None:
    """From now on, queued prompts with these nodes begin ahead where they can."""
    _classes.update(node.id for node in nodes if getattr(node, "begins_ahead", False))


def note(data: dict[str, Any]) -> None:
    """A request to queue a prompt, which gets an id; begins once ComfyUI has it in its queue.

    Never raises: whatever is wrong, its nodes report when they run.
    """
    try:
        if _holds_node_of_ours(data["prompt"]) and _is_on() and (prompt_id := id_of(data)):
            providers.runner().engine.start(_follow(prompt_id))
    except Exception:
        _log.warning("Skyport begins nothing ahead for a queued prompt", exc_info=True)


def _holds_node_of_ours(prompt: Mapping[str, Any]) -> bool:
    nodes = (node for node in prompt.values() if isinstance(node, dict))
    return any(str(node.get("class_type")) in _classes for node in nodes)


def _is_on() -> bool:
    """Without reuse a node orders anew, and what was begun for it would be paid for in vain."""
    return settings.load().head_start and settings.load().reuse_results


# -- what becomes of the prompts ----------------------------------------------------------------


async def _follow(prompt_id: str) -> None:
    """Follow the prompt until it is over; one loop serves all."""
    is_first = not _followed
    _followed[prompt_id] = _Prompt(time.monotonic() + _VALIDATION)
    beginning: asyncio.Future[None] | None = None
    while is_first and _followed:
        await asyncio.sleep(_LOOK)
        _look_quietly()
        if beginning is None or beginning.done():
            beginning = asyncio.ensure_future(_begin_waiting())
    if beginning is not None:
        await beginning


def _look_quietly() -> None:
    try:
        _look()
    except Exception:
        _log.warning("Skyport could not read ComfyUI's queue", exc_info=True)


def _look() -> None:
    for prompt_id, state in states_of(list(_followed)).items():
        prompt = _followed[prompt_id]
        if state in (State.PENDING, State.RUNNING):
            prompt.state = state
        elif prompt.is_beginning:
            continue
        elif state is State.ENDED or prompt.state is not State.GONE:
            del _followed[prompt_id]
            begun_ahead.end(prompt_id, stop=_is_stopped(prompt_id, state, prompt.state))
        elif time.monotonic() >= prompt.give_up:
            del _followed[prompt_id]


def _is_stopped(prompt_id: str, state: State, before: State) -> bool:
    """Whether a person has stopped the prompt: deleted it, or interrupted it."""
    if state is State.ENDED:
        return was_interrupted(prompt_id)
    return before is State.PENDING


# -- beginning ----------------------------------------------------------------------------------


async def _begin_waiting() -> None:
    """Begin the prompts one after another, so that the tensors of one only are in memory."""
    while item := next_waiting([name for name, one in _followed.items() if not one.has_begun]):
        prompt = _followed[item[1]]
        prompt.is_beginning = prompt.has_begun = True
        try:
            await providers.runner().engine.blocking(partial(_begin_in_thread, *item[:5]))
        except Exception:
            _log.debug("Skyport begins nothing ahead for a prompt", exc_info=True)
        finally:
            prompt.is_beginning = False


def _begin_in_thread(
    number: float, prompt_id: str, prompt: Any, extra_data: Mapping[str, Any], outputs: Any
) -> None:
    """As ComfyUI runs a prompt: on a loop of its own."""
    with torch.inference_mode(), begun_ahead.beginning(number):
        asyncio.run(_begin(KnownValues(prompt_id, prompt, extra_data), prompt, outputs))


async def _begin(known: KnownValues, prompt: Any, outputs: Iterable[str]) -> None:
    for node_id in surely_run(prompt, outputs):
        if prompt[node_id]["class_type"] in _classes and known.are_all_of(node_id):
            try:
                await known.call(node_id, "begin_ahead")
            except Exception as error:
                _log.debug("Skyport does not begin node %s ahead: %s", node_id, error)
