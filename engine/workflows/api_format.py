"""Remote ComfyUI workflows in API format: reading them, listing and setting their inputs."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Container, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from ..base.errors import InvalidInput
from ..base.types import Json
from ..base.words import tr

Workflow = dict[str, dict[str, Any]]

_SHOWN = 30  # inputs listed in an error text


def read_workflow(text: str) -> Workflow:
    """The workflow in `text`, to be run.

    Raises InvalidInput when it is not ComfyUI's API format, or no ComfyUI could run it.
    """
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            tr("The workflow is not JSON: {error}.", error=error), do=_how_to_export()
        ) from None
    workflow = check_workflow(tree)
    if cycle := find_cycle(sources_of(workflow)):
        raise InvalidInput(
            tr("These nodes wait for each other: {nodes}.", nodes=", ".join(cycle)),
            do=tr("Remove one of the links between them."),
        )
    return workflow


def check_workflow(tree: Json) -> Workflow:
    """`tree` if it is a workflow in API format, also when wrapped as {"prompt": ...}.

    Raises InvalidInput.
    """
    if isinstance(tree, dict) and isinstance(tree.get("prompt"), dict):
        tree = tree["prompt"]
    if isinstance(tree, dict) and isinstance(tree.get("nodes"), list):
        raise InvalidInput(
            tr("The workflow is in the editor's format; the platform runs the API format."),
            do=_how_to_export(),
        )
    if not isinstance(tree, dict) or not tree:
        raise InvalidInput(
            tr("The workflow holds no nodes in ComfyUI's API format."), do=_how_to_export()
        )
    for node_id, node in tree.items():
        _check_node(str(node_id), node, tree)
    return tree


def put_inputs(workflow: Workflow, values: Iterable[tuple[str, Json]]) -> Workflow:
    """A copy of `workflow` with each (target, value) set; a target reads `73.image`.

    A MediaFile value stands for a file still to be uploaded. Text for a number is parsed as one.
    Raises InvalidInput; for an unknown target it lists those that exist.
    """
    filled = copy.deepcopy(workflow)
    for target, value in values:
        node_id, name = parse_target(target, filled)
        inputs = filled.get(node_id, {}).get("inputs", {})
        if name not in inputs:
            raise InvalidInput(
                tr('The workflow has no input "{target}".', target=target),
                do=tr("It has: {targets}.", targets=_listed(workflow)),
            )
        inputs[name] = _converted(value, inputs[name], target)
    return filled


def targets(workflow: Workflow) -> list[str]:
    """Every input that holds a value of its own, as `73.image`: file inputs of loaders first."""
    ranked = [
        (not _is_loader(node), f"{node_id}.{name}")
        for node_id, node in workflow.items()
        for name, value in node["inputs"].items()
        if not is_link(value)
    ]
    return [target for _, target in sorted(ranked, key=lambda item: item[0])]


def parse_target(target: str, node_ids: Container[str]) -> tuple[str, str]:
    """(node id, input) of `73.image`; both may hold dots of their own."""
    dots = [n for n, character in enumerate(target) if character == "."]
    dot = next((n for n in dots if target[:n] in node_ids), len(target))
    return target[:dot], target[dot + 1 :]


def title_of(node: Mapping[str, Any]) -> str:
    """The title its author gave the node, else its class."""
    meta = node.get("_meta")
    title = meta.get("title") if isinstance(meta, Mapping) else ""
    return str(title or node.get("class_type") or "")


def is_link(value: Json) -> bool:
    """Whether an input's value is an output of another node: its id and the output's number."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], int)
    )


def sources_of(workflow: Workflow) -> dict[str, set[str]]:
    """The nodes that each node is linked to."""
    return {
        node_id: {value[0] for value in node["inputs"].values() if is_link(value)}
        for node_id, node in workflow.items()
    }


def find_cycle(dependencies: Mapping[str, set[str]]) -> list[str]:
    """The members of one dependency cycle; empty where there is none."""
    try:
        TopologicalSorter(dependencies).prepare()
    except CycleError as error:
        return list(dict.fromkeys(error.args[1]))
    return []


def _check_node(node_id: str, node: Json, workflow: Mapping[str, Any]) -> None:
    if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
        what = tr("Node {id} of the workflow has no class_type.", id=node_id)
        raise InvalidInput(what, do=_how_to_export())
    if not isinstance(node.get("inputs"), dict):
        what = tr("Node {id} of the workflow has no inputs.", id=node_id)
        raise InvalidInput(what, do=_how_to_export())
    for name, value in node["inputs"].items():
        if is_link(value) and str(value[0]) not in workflow:
            raise InvalidInput(
                tr(
                    "Input {name} of node {id} is linked to node {missing}, which is not in the "
                    "workflow.",
                    name=name,
                    id=node_id,
                    missing=value[0],
                ),
                do=_how_to_export(),
            )


def _is_loader(node: Mapping[str, Any]) -> bool:
    return "load" in str(node["class_type"]).lower()


def _converted(value: Json, present: Json, target: str) -> Json:
    """`value`; where it is text, as from a command line, converted to the type of `present`."""
    if not isinstance(value, str) or isinstance(present, (str, list, dict)) or present is None:
        return value
    try:
        return _parsed(present, value)
    except ValueError:
        kind = type(present).__name__
        raise InvalidInput(
            tr(
                '{target} takes a value of type {kind}, not "{value}".',
                target=target,
                kind=kind,
                value=value,
            )
        ) from None


def _parsed(present: Json, value: str) -> Json:
    if isinstance(present, bool):
        if value.lower() not in ("true", "false"):
            raise ValueError(value)
        return value.lower() == "true"
    number = int(value) if isinstance(present, int) and "." not in value else float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _listed(workflow: Workflow) -> str:
    names = [
        f"{target} ({workflow[parse_target(target, workflow)[0]]['class_type']})"
        for target in targets(workflow)
    ]
    more = [tr("and {count} more", count=len(names) - _SHOWN)] if len(names) > _SHOWN else []
    return ", ".join(names[:_SHOWN] + more) or tr("no input that can be set")


def _how_to_export() -> str:
    return tr("In ComfyUI, choose Workflow > Export (API) and use that file.")
