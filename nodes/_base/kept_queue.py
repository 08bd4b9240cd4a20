"""Keeps the graphs of queued prompts with cloud nodes, and records which of them have ended."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ... import providers
from ...engine.base.background import LEDGER, workers
from ...engine.ledger.resilient import ResilientLedger
from ...engine.tasks import kept_graphs
from .prompt_queue import State, editor_workflow
from .queued_prompts import follow, holds_any_of, id_of

T = TypeVar("T")

_log = logging.getLogger(__name__)
_classes: set[str] = set()


def watch(class_types: Iterable[str]) -> None:
    """From now on, prompts with nodes of these classes are kept."""
    _classes.update(class_types)


def note(data: dict[str, Any]) -> None:
    """Keep the graph of a request to queue a prompt, in the background; it gets a prompt id.

    Never raises: a prompt is queued whether its graph is kept or not.
    """
    try:
        if holds_any_of(_classes, data["prompt"]) and (prompt_id := id_of(data)):
            providers.runner().engine.start(_keep(prompt_id, _text_of(data)))
    except Exception:
        _log.warning("Skyport could not keep a queued graph", exc_info=True)


def _text_of(data: Mapping[str, Any]) -> str:
    """The graph as JSON, before anybody changes it; of `extra_data`, the workflow only."""
    targets = data.get("partial_execution_targets")
    graph = {
        "prompt": data["prompt"],
        "workflow": editor_workflow(data.get("extra_data")),
        "targets": targets if isinstance(targets, list) else None,
    }
    return json.dumps(graph, separators=(",", ":"))


async def _keep(prompt_id: str, text: str) -> None:
    try:
        is_kept = await _with_ledger(lambda ledger: kept_graphs.keep(ledger, prompt_id, text))
    except Exception:
        _log.warning("Skyport could not keep a queued graph", exc_info=True)
    else:
        if is_kept:
            await follow(prompt_id, _close_those_over)


def _close_those_over(states: Mapping[str, State]) -> None:
    if over := [prompt_id for prompt_id, state in states.items() if not state.is_open]:
        providers.runner().engine.start(_close(over))


async def _close(prompt_ids: Sequence[str]) -> None:
    try:
        await _with_ledger(lambda ledger: ledger.close_prompts(prompt_ids))
    except Exception:
        _log.warning("Skyport could not record which prompts are over", exc_info=True)


async def _with_ledger(call: Callable[[ResilientLedger], T]) -> T:
    with workers(LEDGER):
        return await providers.runner().engine.blocking(lambda: call(providers.ledger()))
