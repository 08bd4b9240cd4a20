"""Begins the orders of queued prompts at once: platforms work side by side, ComfyUI's queue not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from ... import providers
from ...engine.base.words import tr
from ...engine.settings import settings
from ...engine.tasks.job import Job
from . import begun_ahead, progress
from .known_values import KnownValues, surely_run
from .prompt_queue import State, next_waiting, running_nodes
from .queued_prompts import follow, holds_any_of, id_of

_log = logging.getLogger(__name__)
_classes: set[str] = set()  # of nodes that can begin ahead
_prompts: dict[str, _Prompt] = {}  # by id; this and what follows is used on the engine's loop
_beginning: asyncio.Future[None] | None = None


@dataclass
class _Prompt:
    """A queued prompt: what was seen of it last, and whether its orders are being begun."""

    state: State
    client: str = ""  # that queued it
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
        if holds_any_of(_classes, data["prompt"]) and _is_on() and (prompt_id := id_of(data)):
            providers.runner().engine.start(follow(prompt_id, _on_look))
    except Exception:
        _log.warning("Skyport begins nothing ahead for a queued prompt", exc_info=True)


def _is_on() -> bool:
    """Without reuse a node orders anew, and what was begun for it would be paid for in vain."""
    now = settings.load()
    return now.head_start and now.reuse_results


# -- what becomes of the prompts ----------------------------------------------------------------


def _on_look(states: Mapping[str, State]) -> None:
    for prompt_id, state in states.items():
        _prompts.setdefault(prompt_id, _Prompt(state)).state = state
    _end_those_over()
    _begin_those_waiting()
    _show_waiting()


def _end_those_over() -> None:
    """What is begun for a prompt at this moment is ended later: it must be known first."""
    over = [name for name, one in _prompts.items() if not (one.state.is_open or one.is_beginning)]
    for prompt_id in over:
        prompt, held = _prompts.pop(prompt_id), begun_ahead.held(prompt_id)
        is_stopped = prompt.state is not State.ENDED
        begun_ahead.end(prompt_id, stop=is_stopped)
        if is_stopped and prompt.client:
            _show_stopped(held, prompt.client)


def _show_waiting() -> None:
    """Says on a node how its orders get on; where several prompts have the node, for the first."""
    shown = set(running_nodes())
    for prompt_id, prompt in _prompts.items():
        if prompt.state is State.PENDING and prompt.client:
            for node_id, jobs in begun_ahead.held(prompt_id):
                if node_id not in shown and jobs:
                    shown.add(node_id)
                    progress.show_waiting(node_id, jobs, prompt.client)


def _show_stopped(held: Iterable[tuple[str, list[Job]]], client: str) -> None:
    for node_id, jobs in held:
        progress.show_stopped(node_id, jobs, client)
        going_on = [job for job in jobs if not (job.is_unsent or job.future.done())]
        labels = [job.provider.label for job in going_on if not job.provider.can_cancel()]
        for label in labels[:1]:
            text = tr("goes on at {platform}, may be charged", platform=label)
            progress.send_text(node_id, text, client)


# -- beginning ----------------------------------------------------------------------------------


def _begin_those_waiting() -> None:
    global _beginning
    if _beginning is None or _beginning.done():
        _beginning = asyncio.ensure_future(_begin_one_after_another())


async def _begin_one_after_another() -> None:
    """So that the tensors of one prompt only are in memory."""
    while item := next_waiting([name for name, one in _prompts.items() if not one.has_begun]):
        prompt = _prompts[item[1]]
        prompt.is_beginning = prompt.has_begun = True
        prompt.client = item[3].get("client_id") or ""
        try:
            await providers.runner().engine.blocking(partial(_begin_in_thread, *item[:5]))
        except Exception:
            _log.debug("Skyport begins nothing ahead for a prompt", exc_info=True)
        finally:
            prompt.is_beginning = False
            _end_those_over()


def _begin_in_thread(
    number: float, prompt_id: str, prompt: Any, extra_data: Mapping[str, Any], outputs: Any
) -> None:
    """As ComfyUI runs a prompt: on a loop of its own."""
    with torch.inference_mode(), begun_ahead.beginning(number):
        asyncio.run(_begin(KnownValues(prompt_id, prompt, extra_data), prompt, outputs))


async def _begin(known: KnownValues, prompt: Any, outputs: Iterable[str]) -> None:
    for node_id in surely_run(prompt, outputs):
        if _may_begin(known, prompt, node_id):
            try:
                await known.call(node_id, "begin_ahead")
            except Exception as error:
                _log.debug("Skyport does not begin node %s ahead: %s", node_id, error)


def _may_begin(known: KnownValues, prompt: Any, node_id: str) -> bool:
    is_ours = prompt[node_id]["class_type"] in _classes and known.are_all_of(node_id)
    return is_ours and not begun_ahead.was_delivered(prompt, node_id)
