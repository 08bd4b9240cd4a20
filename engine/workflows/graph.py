"""What is upstream of a Run in Cloud node in a ComfyUI prompt, up to the nodes that stay here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..base.words import tr
from .api_format import Workflow, find_cycle, is_link, sources_of, title_of

RUN_IN_CLOUD = "SkyportRunInCloud"
KEEP_LOCAL = "SkyportKeepLocal"
REMOTE_INPUT = "SkyportRemoteInput"
LOAD_ROWS = "SkyportLoadRows"
ROW_COLUMNS = 8  # outputs of Load Rows that are columns; behind them is the number of rows
OWN_PREFIX = "Skyport"  # begins the class of every node of this pack
THIS_MACHINE = "this machine"  # the choice of `where` that sends nothing
PART_INPUT = "skyport_cut"  # holds the RemotePart that a Run in Cloud node sends
NOTES_INPUT = "skyport_notes"  # holds what the person should know of that part
REFUSED_INPUT = "skyport_trouble"  # marks a Run in Cloud node to be refused
MISSING_LINK = "link"  # its value where a link is missing

Link = tuple[str, int]


class CannotSplit(Exception):
    """A prompt cannot be split at a Run in Cloud node; the text says why."""


class MissingLink(CannotSplit):
    """An input has no link; extensions of the editor may add one when the prompt is queued."""


@dataclass
class Subgraph:
    """Everything upstream of one value: nodes to send, and links to values computed here."""

    value: Link | None
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    boundary: dict[str, Link] = field(default_factory=dict)  # `73.image` -> its source here


@dataclass(frozen=True)
class Member:
    """A node as it is sent to one cloud, and what it is linked to: nodes sent too, and values."""

    node: dict[str, Any]
    sources: list[str]
    boundary: dict[str, Link]


class Graph:
    """A prompt, and the subgraphs upstream of its Run in Cloud nodes."""

    def __init__(self, prompt: Workflow) -> None:
        self.prompt = prompt
        self._members: dict[tuple[str, str], Member] = {}  # by node and cloud: parts share them

    @cached_property
    def _has_cycle(self) -> bool:
        """Whether any nodes of the prompt wait for each other, sent or not."""
        return bool(find_cycle(sources_of(self.prompt)))

    def cloud(self, node_id: str) -> str:
        """Where an unsplit Run in Cloud node sends its part; "" for any other node."""
        node = self.prompt[node_id]
        inputs = node["inputs"]
        where = inputs.get("where")
        if not is_unsplit(node) or where == THIS_MACHINE or not isinstance(where, str):
            return ""
        choices = {n: v for n, v in inputs.items() if n == "where" or n.startswith("where.")}
        return json.dumps(choices, sort_keys=True)

    def subgraph(self, node_id: str) -> Subgraph:
        """What a Run in Cloud node sends. Raises CannotSplit."""
        value = self.source(node_id, "value", self.cloud(node_id))
        if self._stays_here(value[0]):
            return Subgraph(None)
        subgraph = Subgraph(value)
        self._collect(subgraph, self.cloud(node_id))
        return subgraph

    def _collect(self, subgraph: Subgraph, cloud: str) -> None:
        assert subgraph.value is not None
        stack = [subgraph.value[0]]
        while stack:
            node_id = stack.pop()
            if node_id in subgraph.nodes:
                continue
            member = self._member(node_id, cloud)
            subgraph.nodes[node_id] = member.node
            subgraph.boundary.update(member.boundary)
            stack += member.sources
        if self._has_cycle:
            _refuse_cycle(subgraph.nodes)

    def _member(self, node_id: str, cloud: str) -> Member:
        if (node_id, cloud) not in self._members:
            self._members[node_id, cloud] = self._read_member(node_id, cloud)
        return self._members[node_id, cloud]

    def _read_member(self, node_id: str, cloud: str) -> Member:
        inputs = dict(self.prompt[node_id]["inputs"])
        member = Member({**self.prompt[node_id], "inputs": inputs}, [], {})
        for name, _ in [*links_of(self.prompt[node_id])]:
            source = self.source(node_id, name, cloud)
            if self._stays_here(source[0]):
                member.boundary[f"{node_id}.{name}"] = source
                del inputs[name]
            else:
                inputs[name] = list(source)
                member.sources.append(source[0])
        return member

    def source(self, node_id: str, name: str, cloud: str) -> Link:
        """What an input is linked to, past nodes that only pass a value on to `cloud`.

        Raises CannotSplit.
        """
        passed: set[str] = set()
        while True:
            value = self.prompt[node_id]["inputs"].get(name)
            if not is_link(value):
                raise MissingLink(unlinked(node_id, self.prompt[node_id], name))
            if value[0] not in self.prompt:
                raise CannotSplit(_dangling(node_id, self.prompt[node_id], name, value[0]))
            source: Link = (value[0], value[1])
            if not self._passes_on(source[0], cloud):
                return source
            if source[0] in passed:
                raise CannotSplit(_cycle([*passed]))
            passed.add(source[0])
            node_id, name = source[0], "value"

    def _passes_on(self, node_id: str, cloud: str) -> bool:
        """Run in Cloud nodes for the same cloud, or for none, are part of what runs there."""
        return is_unsplit(self.prompt[node_id]) and self.cloud(node_id) in ("", cloud)

    def _stays_here(self, node_id: str) -> bool:
        """Skyport's own nodes need this machine: its keys and its files."""
        return str(self.prompt[node_id]["class_type"]).startswith(OWN_PREFIX)


def is_node(node: Any) -> bool:
    """Whether it has the shape of a node in API format."""
    return (
        isinstance(node, dict)
        and isinstance(node.get("class_type"), str)
        and isinstance(node.get("inputs"), dict)
    )


def is_unsplit(node: Mapping[str, Any]) -> bool:
    """Whether it is a Run in Cloud node as the user queued it."""
    inputs = node["inputs"]
    return (
        node["class_type"] == RUN_IN_CLOUD
        and PART_INPUT not in inputs
        and REFUSED_INPUT not in inputs
    )


def links_of(node: Mapping[str, Any]) -> Iterator[tuple[str, Link]]:
    """(input, link) of every linked input."""
    for name, value in node["inputs"].items():
        if is_link(value):
            yield name, (value[0], value[1])


def _refuse_cycle(nodes: Workflow) -> None:
    if cycle := find_cycle(sources_of(nodes)):
        raise CannotSplit(_cycle(cycle))


# -- messages ------------------------------------------------------------------------------------


def node_label(node_id: str, node: Mapping[str, Any]) -> str:
    """`KSampler (3)`"""
    return f"{title_of(node)} ({node_id})"


def unlinked(node_id: str, node: Mapping[str, Any], name: str) -> str:
    return tr(
        'Nothing is linked to "{name}" of {node}. Link it, or check whether the node that was '
        "linked to it is muted.",
        name=name,
        node=node_label(node_id, node),
    )


def _dangling(node_id: str, node: Mapping[str, Any], name: str, missing: str) -> str:
    return tr(
        '"{name}" of {node} is linked to node {missing}, which is not in the workflow.',
        name=name,
        node=node_label(node_id, node),
        missing=missing,
    )


def _cycle(node_ids: Sequence[str]) -> str:
    return tr("These nodes wait for each other: {nodes}.", nodes=", ".join(node_ids))
