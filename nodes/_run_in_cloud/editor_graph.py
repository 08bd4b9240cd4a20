"""Reads nodes that are not installed here from the editor's graph, which comes with a prompt.

The prompt lacks the class and the widgets of such nodes; the graph has them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from ...engine.workflows.api_format import Workflow, is_link
from ...engine.workflows.saved_values import AFTER_SEED, named
from ...engine.workflows.widget_names import Widgets
from .._base.prompt_queue import editor_workflow

Known = Callable[[str], Sequence[Widgets]]  # the widgets that a class may have

_AFTER_UPLOAD = "image"  # the upload button after a file name has none either
# Names of such widgets; the one after a seed may be named by its value.
_SOCKETLESS = ("control_after_generate", "control_before_generate", "upload", *AFTER_SEED)
_TAKEN_OUT = re.compile("[&<>\"'`=]")
_MAX_LEVELS = 100  # of subgraphs inside each other
_PLACEHOLDER = re.compile(r"UNKNOWN(_\d+)?")  # what the editor calls a widget it does not know


def workflow_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """The editor's graph, which comes with a prompt; empty over the API."""
    return editor_workflow(data.get("extra_data")) or {}


def nodes_in(data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The nodes of the editor's graph by their ids in the prompt."""
    graph = workflow_of(data)
    definitions = graph.get("definitions")
    subgraphs = _dicts(definitions.get("subgraphs")) if isinstance(definitions, dict) else []
    by_id = {str(one.get("id")): one for one in subgraphs}
    return dict(_nodes(graph, by_id, _with_containers(data["prompt"])))


def _nodes(
    graph: Mapping[str, Any], subgraphs: Mapping[str, Any], wanted: Set[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The nodes with a `wanted` id; inside a subgraph they have ids like "12:5" in a prompt.

    Only those: a few subgraphs that hold each other twice make more nodes than any memory holds.
    """
    stack = [("", graph)]
    seen: set[str] = set()
    while stack:
        prefix, graph = stack.pop()
        for node in _dicts(graph.get("nodes")):
            name = f"{prefix}{node.get('id')}"
            if name in wanted and name not in seen:
                seen.add(name)
                yield name, node
                if (kind := str(node.get("type"))) in subgraphs:
                    stack.append((f"{name}:", subgraphs[kind]))


def _with_containers(node_ids: Iterable[str]) -> set[str]:
    """The ids, and those of the subgraphs that the nodes are in."""
    found: set[str] = set()
    for node_id in node_ids:
        found.add(node_id)
        if node_id.count(":") <= _MAX_LEVELS:
            found.update(node_id[:end] for end, letter in enumerate(node_id) if letter == ":")
    return found


def complete(
    prompt: Workflow, graph: Mapping[str, Mapping[str, Any]], known: Known
) -> tuple[Workflow, set[str]]:
    """(prompt with missing classes and widgets added, nodes whose widgets cannot be named).

    Names are taken from the graph, else from what is known of the class.
    """
    left, nameless = dict(prompt), set()
    for node_id, node in prompt.items():
        if not _lacks_class(node) or not isinstance(graph.get(node_id, {}).get("type"), str):
            continue
        saved = {**graph[node_id], "type": _class_of(graph[node_id])}
        queued = {k: v for k, v in node["inputs"].items() if not _PLACEHOLDER.fullmatch(k)}
        values = _named_values(saved, known)
        if values is None and _names_all(node["inputs"]):
            values = {}
        if values is None:
            nameless.add(node_id)
        inputs = {**_as_queued(values or {}), **queued}
        left[node_id] = {**node, "class_type": saved["type"], "inputs": inputs}
    return (left, nameless) if left != prompt else (prompt, nameless)


def _class_of(saved: Mapping[str, Any]) -> str:
    """The class of a node: the editor takes some letters out of a type that it does not know."""
    properties = saved.get("properties")
    name = properties.get("Node name for S&R") if isinstance(properties, dict) else None
    is_whole = isinstance(name, str) and _TAKEN_OUT.sub("", name) == saved["type"]
    return str(name if is_whole else saved["type"])


def _names_all(inputs: Mapping[str, Any]) -> bool:
    """Whether the prompt itself has the values, none of them without a name."""
    has_values = any(not is_link(value) for value in inputs.values())
    return has_values and not any(map(_PLACEHOLDER.fullmatch, inputs))


def _as_queued(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as the editor queues them: a bare list would read as a link."""
    return {k: {"__value__": v} if isinstance(v, list) else v for k, v in values.items()}


def _lacks_class(node: Any) -> bool:
    return (
        isinstance(node, dict)
        and node.get("class_type") is None
        and isinstance(node.get("inputs"), dict)
    )


def _named_values(saved: Mapping[str, Any], known: Known) -> dict[str, Any] | None:
    """The values of a node by name; None where nothing names them."""
    before = saved.get("last_serialization")
    for node in (saved, before if isinstance(before, dict) else {}):
        if node and (values := _widgets(node)) is not None:
            return values
    return named(saved, known(saved["type"]))


def _widgets(node: Mapping[str, Any]) -> dict[str, Any] | None:
    """Values by the names that the node itself holds; None if those cannot be matched."""
    by_name = node.get("widgets_values_named")
    if isinstance(by_name, dict):
        return {name: value for name, value in by_name.items() if name not in _SOCKETLESS}
    values = node.get("widgets_values") or []
    if isinstance(values, dict):
        return dict(values)
    names = [
        one["widget"]["name"]
        for one in _dicts(node.get("inputs"))
        if isinstance(one.get("widget"), dict) and isinstance(one["widget"].get("name"), str)
    ]
    if not isinstance(values, list):
        return None
    kept = _with_sockets(values, len(names))
    return dict(zip(names, kept, strict=True)) if len(kept) == len(names) else None


def _with_sockets(values: list[Any], count: int) -> list[Any]:
    """The values without those of widgets that have no socket, if there are too many."""
    kept = list(values)
    if len(kept) > count and kept[-1] == _AFTER_UPLOAD:
        kept.pop()
    if len(kept) > count:
        pairs = zip([None, *kept], kept, strict=False)
        kept = [one for before, one in pairs if not _follows_seed(before, one)]
    return kept


def _follows_seed(before: Any, value: Any) -> bool:
    return isinstance(before, int) and isinstance(value, str) and value in AFTER_SEED


def _dicts(tree: Any) -> list[dict[str, Any]]:
    return [one for one in tree if isinstance(one, dict)] if isinstance(tree, list) else []
