"""Workflows of any folder, and how one ends where its own last nodes are not installed here."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from templates.declared import Link, Prompt, as_link

BY_NAME = re.compile(r"(?:.*\W)?([gs])etnode", re.IGNORECASE)  # a node sets what another gets

_SAVERS = {
    "IMAGE": ("SaveImage", "images", {"filename_prefix": "a"}),
    "AUDIO": ("SaveAudio", "audio", {"filename_prefix": "a"}),
    "VIDEO": ("SaveVideo", "video", {"filename_prefix": "a", "format": "auto", "codec": "auto"}),
}


def trees(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, object) of the JSON files below a folder, links to folders followed."""
    for root, _, names in sorted(os.walk(folder, followlinks=True)):
        for path in sorted(Path(root, name) for name in names if name.endswith(".json")):
            try:
                tree = json.loads(path.read_text("utf-8"))
            except (ValueError, RecursionError):
                continue
            if isinstance(tree, dict):
                yield str(path.relative_to(folder)), tree


def is_saved_workflow(tree: Mapping[str, Any]) -> bool:
    nodes = tree.get("nodes")
    return isinstance(nodes, list) and any(isinstance(n, dict) and "type" in n for n in nodes)


def is_export(tree: Mapping[str, Any]) -> bool:
    return any(isinstance(node, dict) and "class_type" in node for node in tree.values())


def missing_types(prompt: Prompt, workflow: Mapping[str, Any]) -> dict[str, str]:
    """The classes that are not installed here, by node."""
    graphs = [workflow, *(workflow.get("definitions") or {}).get("subgraphs", [])]
    saved = {str(node.get("id")): node for graph in reversed(graphs) for node in graph["nodes"]}
    absent = [k for k, node in prompt.items() if node.get("class_type") is None]
    return {k: _class_of(saved.get(k.rpartition(":")[2], {})) for k in absent}


def _class_of(node: Mapping[str, Any]) -> str:
    """Its class: the editor takes some letters out of a type that it does not know."""
    return str((node.get("properties") or {}).get("Node name for S&R") or node.get("type"))


def ended_here(prompt: Prompt, workflow: Mapping[str, Any]) -> dict[str, Any]:
    """The prompt with savers of ComfyUI in the place of last nodes that are not installed here."""
    saved = {str(node.get("id")): node for node in workflow["nodes"]}
    setters = {k for k, node in saved.items() if BY_NAME.fullmatch(str(node.get("type")))}
    left = dict(prompt)
    while last := _last(left) - setters:
        left = _with_savers(left, last, saved)
    return left


def _last(prompt: Prompt) -> set[str]:
    """The nodes that are not installed here and of which nothing takes a value."""
    links = [as_link(v) for node in prompt.values() for v in node["inputs"].values()]
    used = {link[0] for link in links if link}
    return {k for k, n in prompt.items() if n.get("class_type") is None and k not in used}


def _with_savers(prompt: Prompt, last: set[str], saved: Mapping[str, Any]) -> dict[str, Any]:
    left = {k: dict(node) for k, node in prompt.items() if k not in last}
    for node_id in last:
        for one in saved.get(node_id, {}).get("inputs") or []:
            link = as_link(prompt[node_id]["inputs"].get(one["name"]))
            if link and one.get("type") in _SAVERS:
                left[f"saver-{node_id}"] = _saver(one["type"], link)
    return left


def _saver(kind: str, link: Link) -> dict[str, Any]:
    class_type, name, inputs = _SAVERS[kind]
    return {"class_type": class_type, "inputs": {name: list(link), **inputs}}


def without_names(prompt: Prompt, workflow: Mapping[str, Any]) -> dict[str, Any]:
    """The prompt with a link in the place of each value that is set under a name and got by it.

    Only in the graph itself, where each name is set once.
    """
    saved = {str(node.get("id")): node for node in workflow["nodes"]}
    kinds = {k: BY_NAME.fullmatch(str(saved.get(k, {}).get("type"))) for k in prompt}
    pairs = {
        k: (kind[1].lower(), saved[k]["widgets_values"][0]) for k, kind in kinds.items() if kind
    }
    setters = {name: k for k, (kind, name) in pairs.items() if kind == "s"}

    def past(value: Any) -> Any:
        link = as_link(value)
        while link and link[0] in pairs:
            inputs = prompt[setters[pairs[link[0]][1]]]["inputs"]
            link = next(filter(None, map(as_link, inputs.values())))
        return list(link) if link else value

    return {
        k: {**node, "inputs": {name: past(value) for name, value in node["inputs"].items()}}
        for k, node in prompt.items()
        if k not in pairs
    }
