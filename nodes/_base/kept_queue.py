"""Keeps the graphs of queued prompts with cloud nodes, and records which of them have ended."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from ... import providers
from ...engine.base.background import LEDGER, workers
from ...engine.tasks import kept_graphs
from .queued_prompts import State, id_of, states_of

_LOOK = 0.5  # seconds between two looks at ComfyUI's queue, while it holds prompts of ours
_VALIDATION = 120.0  # seconds after which a prompt that was never seen in the queue was refused
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
        if _holds_cloud_node(data["prompt"]) and (prompt_id := id_of(data)):
            providers.runner().engine.start(_keep(prompt_id, _text_of(data)))
    except Exception:
        _log.warning("Skyport could not keep a queued graph", exc_info=True)


def _holds_cloud_node(prompt: Mapping[str, Any]) -> bool:
    nodes = (node for node in prompt.values() if isinstance(node, dict))
    return any(str(node.get("class_type")) in _classes for node in nodes)


def _text_of(data: Mapping[str, Any]) -> str:
    """The graph as JSON, before anybody changes it; of `extra_data`, the workflow only."""
    found: Any = data.get("extra_data")
    for name in ("extra_pnginfo", "workflow"):
        found = found.get(name) if isinstance(found, dict) else None
    targets = data.get("partial_execution_targets")
    graph = {
        "prompt": data["prompt"],
        "workflow": found if isinstance(found, dict) else None,
        "targets": targets if isinstance(targets, list) else None,
    }
    return json.dumps(graph, separators=(",", ":"))


async def _keep(prompt_id: str, text: str) -> None:
    runner = providers.runner()
    try:
        with workers(LEDGER):
            ledger = providers.ledger()
            if await runner.engine.blocking(lambda: kept_graphs.keep(ledger, prompt_id, text)):
                await _follow(prompt_id)
    except Exception:
        _log.warning("Skyport could not keep a queued graph", exc_info=True)


# -- what becomes of them -----------------------------------------------------------------------

_open: dict[str, float] = {}  # when each prompt was seen last, by id; used on the engine's loop


async def _follow(prompt_id: str) -> None:
    """Look after the prompt until it has ended; one look serves all."""
    is_first = not _open
    _open[prompt_id] = time.monotonic() + _VALIDATION
    while is_first and _open:
        await asyncio.sleep(_LOOK)
        if over := _over():
            await providers.runner().engine.blocking(
                partial(providers.ledger().close_prompts, over)
            )


def _over() -> list[str]:
    """The prompts that need not run any more, which are followed no longer."""
    now = time.monotonic()
    over = []
    for prompt_id, state in states_of(list(_open)).items():
        if state in (State.PENDING, State.RUNNING):
            _open[prompt_id] = 0.0  # from now on it is deleted where it is gone
        elif state is State.ENDED or now >= _open[prompt_id]:
            over.append(prompt_id)
            del _open[prompt_id]
    return over
