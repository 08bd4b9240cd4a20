"""What lies upstream of a Run in Cloud node in a ComfyUI prompt, up to what stays here."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from ..base.words import tr
from .api_format import Workflow, is_link, title_of

RUN, KEEP, ENTRY = "SkyportRunInCloud", "SkyportKeepLocal", "SkyportRemoteInput"
OURS = "Skyport"  # begins the class of every node of this pack
HERE = "this machine"
KEY = "skyport_cut"
TROUBLE = "skyport_trouble"

Link = tuple[str, int]


class Trouble(Exception):
    """Why a part cannot be cut, in words."""


@dataclass
class Subgraph:
    """What lies upstream of one value: nodes to send, and links to values made here."""

    value: Link | None
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    boundary: dict[str, Link] = field(default_factory=dict)  # `73.image` -> who makes it here


class Graph:
    """A prompt, and what a Run in Cloud node of one place finds upstream in it."""

    def __init__(self, prompt: Workflow) -> None:
        self.prompt = prompt

    def cloud(self, node_id: str) -> str:
        """Where an uncut Run in Cloud node sends its part; "" for any other node."""
        node = self.prompt[node_id]
        inputs = node["inputs"]
        where = inputs.get("where")
        if not is_uncut(node) or where == HERE or not isinstance(where, str):
            return ""
        chosen = {n: v for n, v in inputs.items() if n == "where" or n.startswith("where.")}
        return json.dumps(chosen, sort_keys=True)

    def part_of(self, node_id: str) -> Subgraph:
        """Raises Trouble."""
        value = self._source(node_id, "value", self.cloud(node_id))
        if self._stays(value[0]):
            return Subgraph(None)
        part = Subgraph(value)
        self._collect(part, self.cloud(node_id))
        return part

    def _collect(self, part: Subgraph, cloud: str) -> None:
        assert part.value is not None
        stack = [part.value[0]]
        while stack:
            node_id = stack.pop()
            if node_id in part.nodes:
                continue
            inputs = dict(self.prompt[node_id]["inputs"])
            for name, value in list(inputs.items()):
                if not is_link(value):
                    continue
                source = self._source(node_id, name, cloud)
                if self._stays(source[0]):
                    part.boundary[f"{node_id}.{name}"] = source
                    del inputs[name]
                else:
                    inputs[name] = list(source)
                    stack.append(source[0])
            part.nodes[node_id] = {**self.prompt[node_id], "inputs": inputs}
        _refuse_circle(part.nodes)

    def _source(self, node_id: str, name: str, cloud: str) -> Link:
        """What an input is linked to, past nodes that only pass a value on for `place`."""
        passed: set[str] = set()
        while True:
            value = self.prompt[node_id]["inputs"].get(name)
            if not is_link(value):
                raise Trouble(unlinked(node_id, self.prompt[node_id], name))
            if value[0] not in self.prompt:
                raise Trouble(_gone(node_id, self.prompt[node_id], name, value[0]))
            source: Link = (value[0], value[1])
            if not self._passes_on(source[0], cloud):
                return source
            if source[0] in passed:
                raise Trouble(_circle([*passed]))
            passed.add(source[0])
            node_id, name = source[0], "value"

    def _passes_on(self, node_id: str, cloud: str) -> bool:
        """Run in Cloud nodes of the same place, or of none, are part of what runs there."""
        return is_uncut(self.prompt[node_id]) and self.cloud(node_id) in ("", cloud)

    def _stays(self, node_id: str) -> bool:
        """Skyport's own nodes need this machine: its keys, and its files."""
        return str(self.prompt[node_id]["class_type"]).startswith(OURS)


def apart(target: str, node_ids: Container[str]) -> tuple[str, str]:
    """(node id, input) of `73.image`; both may hold dots of their own."""
    dots = [n for n, character in enumerate(target) if character == "."]
    dot = next((n for n in dots if target[:n] in node_ids), len(target))
    return target[:dot], target[dot + 1 :]


def is_node(node: Any) -> bool:
    """Whether it has the shape of a node in API format."""
    return (
        isinstance(node, dict)
        and isinstance(node.get("class_type"), str)
        and isinstance(node.get("inputs"), dict)
    )


def is_uncut(node: Mapping[str, Any]) -> bool:
    """Whether it is a Run in Cloud node as its user left it."""
    inputs = node["inputs"]
    return node["class_type"] == RUN and KEY not in inputs and TROUBLE not in inputs


def links_of(node: Mapping[str, Any]) -> Iterator[tuple[str, Link]]:
    """(input, link) of every linked input."""
    for name, value in node["inputs"].items():
        if is_link(value):
            yield name, (value[0], value[1])


def _refuse_circle(nodes: Workflow) -> None:
    left = {node_id: {link[0] for _, link in links_of(node)} for node_id, node in nodes.items()}
    if circle := circular(left):
        raise Trouble(_circle(circle))


def circular(needs: Mapping[str, set[str]]) -> list[str]:
    """Some that wait for each other for ever; nobody where all can be done one after another."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return list(dict.fromkeys(error.args[1]))
    return []


# -- words ---------------------------------------------------------------------------------------


def named(node_id: str, node: Mapping[str, Any]) -> str:
    """`KSampler (3)`"""
    return f"{title_of(node)} ({node_id})"


def unlinked(node_id: str, node: Mapping[str, Any], name: str) -> str:
    return tr(
        'Nothing is linked to "{name}" of {node}. Link it, or look whether what was linked there '
        "is muted.",
        name=name,
        node=named(node_id, node),
    )


def _gone(node_id: str, node: Mapping[str, Any], name: str, missing: str) -> str:
    return tr(
        '"{name}" of {node} is linked to node {missing}, which is not in the workflow.',
        name=name,
        node=named(node_id, node),
        missing=missing,
    )


def _circle(node_ids: Sequence[str]) -> str:
    return tr("These nodes wait for each other: {nodes}.", nodes=", ".join(node_ids))
