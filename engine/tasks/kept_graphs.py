"""The graphs that were queued, as the ledger keeps them: without keys, and found by a result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..base.errors import InvalidInput
from ..base.words import tr
from ..ledger.graphs import KeptPrompt
from ..ledger.ledger import Row
from ..ledger.resilient import ResilientLedger
from ..settings import settings
from ..workflows.api_format import Workflow
from . import history
from .keyless import keyless

MOST = 8 * 1024 * 1024  # characters of a graph's JSON


@dataclass(frozen=True)
class KeptGraph:
    """What was queued.

    prompt    in API format, as the editor or a script queued it
    workflow  the same as the editor saves it, None where it came over the API
    targets   the outputs that were to be run, None for all
    is_whole  whether nothing in it looked like a key, and so nothing was left out
    """

    prompt: Workflow
    workflow: Mapping[str, Any] | None
    targets: list[str] | None
    is_whole: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "prompt": self.prompt,
            "workflow": self.workflow,
            "targets": self.targets,
            "whole": self.is_whole,
        }


def keep(ledger: ResilientLedger, prompt_id: str, text: str) -> bool:
    """Keep a graph: the JSON text of its prompt, workflow and targets, ASCII only.

    False where the setting is off, or the text is longer than MOST.
    """
    if not settings.load().keep_graphs or len(text) > MOST:
        return False
    graph = json.loads(text)
    without = keyless(json.loads(text, parse_constant=_no_number))
    kept = {**without, "whole": without == graph}
    ledger.keep_graph(prompt_id, json.dumps(kept, separators=(",", ":")))
    return True


def _no_number(_: str) -> None:
    """NaN and the infinities, which JSON does not have: browsers refuse them."""


def graph_of(ledger: ResilientLedger, prompt_id: str) -> KeptGraph | None:
    """The graph of a prompt; None where it was not kept. Raises SkyportError."""
    text = history.read(ledger, lambda store: store.graph_of(prompt_id)) if prompt_id else None
    if text is None:
        return None
    tree = json.loads(text)
    return KeptGraph(tree["prompt"], tree["workflow"], tree["targets"], tree["whole"])


def is_kept(ledger: ResilientLedger, row: Row) -> bool:
    """Whether the graph that a job came from can be opened."""
    return history.read(ledger, lambda store: store.has_graph(row.record.source.prompt_id))


def has_seed(ledger: ResilientLedger, row: Row) -> bool:
    """Whether the node of a job has a seed in the graph that it came from."""
    source = row.record.source
    graph = graph_of(ledger, source.prompt_id)
    node = graph.prompt.get(source.node_id) if graph else None
    inputs = node.get("inputs") if isinstance(node, dict) else None
    return isinstance(inputs, dict) and isinstance(inputs.get("seed"), int)


def graph_of_job(ledger: ResilientLedger, row: Row) -> KeptGraph:
    """The graph that a job came from. Raises InvalidInput where it was not kept."""
    graph = graph_of(ledger, row.record.source.prompt_id)
    if graph is None:
        raise InvalidInput(
            tr("The graph of job {number} was not kept.", number=row.id),
            do=tr("It came from the command, from an older Skyport, or with keep_graphs off."),
        )
    return graph


def job_of_file(ledger: ResilientLedger, sha256: str) -> Row | None:
    """The newest job that brought a file with this hash, under whatever name it is kept."""
    return history.read(ledger, lambda store: store.job_of_file(sha256))


def left_prompts(ledger: ResilientLedger) -> list[KeptPrompt]:
    """The prompts whose ComfyUI ended before they had run, oldest first."""
    return history.read(ledger, lambda store: store.left_prompts())
