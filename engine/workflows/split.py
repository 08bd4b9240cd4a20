"""The split: which part of a ComfyUI prompt runs in a cloud, and what is left of it here.

A prompt in API format goes in and comes out. Each Run in Cloud node that names a cloud takes
everything upstream of its value along, up to the nodes that stay here (Keep Local, Skyport's own,
a Run in Cloud node for another cloud). It holds that part as JSON text in PART_INPUT, and the
values computed here reach it as a chain of Remote Input nodes at its `value`. Nodes that something
else here needs stay as well. Nothing is sent, read or executed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..base.words import tr
from .api_format import Workflow, is_link
from .extra_outputs import with_extra_outputs
from .graph import (
    PART_INPUT,
    REFUSED_INPUT,
    REMOTE_INPUT,
    CannotSplit,
    Graph,
    Link,
    Subgraph,
    find_cycle,
    is_node,
    links_of,
    node_label,
    parse_target,
    unlinked,
)

MEDIA = ("IMAGE", "MASK", "VIDEO", "AUDIO")
LITERALS = ("STRING", "INT", "FLOAT", "BOOLEAN")


@dataclass(frozen=True)
class Facts:
    """What the prompt itself does not say.

    is_output  whether a node of this class is an output node; None where it is not installed
    type_of    the type of a link's value, "" where that is unknown
    lacks      the required inputs that a node does not have
    wanted     the output nodes to run; None runs all
    runs_here  whether this machine has the class of a node, and the models that it names
    """

    is_output: Callable[[str], bool | None]
    type_of: Callable[[Link], str]
    missing_inputs: Callable[[Mapping[str, Any]], Sequence[str]]
    targets: Collection[str] | None = None
    runs_here: Callable[[Mapping[str, Any]], bool] = lambda node: True


@dataclass(frozen=True)
class RemotePart:
    """What one Run in Cloud node sends, as PART_INPUT holds it.

    nodes    the workflow, without the inputs that take a value computed here
    entries  by name of a Remote Input: the inputs (`73.image`) that take its value
    saves    each output to bring back, with its type
    value    the output that is this node's own; None where there is nothing to run: it passes on
    """

    nodes: Workflow
    entries: Mapping[str, Sequence[str]]
    saves: Sequence[tuple[Link, str]]
    value: Link | None

    def to_json(self) -> str:
        """The same text for equal parts."""
        payload = {
            "nodes": self.nodes,
            "entries": self.entries,
            "saves": [[*link, kind] for link, kind in self.saves],
            "value": self.value,
        }
        return json.dumps(payload, ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> RemotePart:
        """Raises ValueError for a text that `to_json` does not make: anyone can write a prompt."""
        try:
            payload = json.loads(text)
            saves = [((node_id, output), kind) for node_id, output, kind in payload["saves"]]
            value = tuple(payload["value"]) if payload["value"] else None
            part = cls(dict(payload["nodes"]), dict(payload["entries"]), saves, value)
            is_whole = part._is_whole()
        except (TypeError, KeyError, ValueError, RecursionError) as error:
            raise ValueError("no remote part") from error
        if not is_whole:
            raise ValueError("no remote part")
        return part

    def _is_whole(self) -> bool:
        """Whether its parts are what they should be, and its outputs are those of its nodes."""
        outputs = dict(self.saves)
        return (
            all(is_node(node) for node in self.nodes.values())
            and all(is_link(list(link)) and link[0] in self.nodes for link in outputs)
            and all(kind in MEDIA for kind in outputs.values())
            and all(isinstance(targets, list) for targets in self.entries.values())
            and (self.value is None or self.value in outputs)
        )


def split(prompt: Workflow, facts: Facts) -> Workflow:
    """`prompt` as it runs here; `prompt` itself where there is nothing to split.

    A Run in Cloud node where that is impossible becomes a `refused_node`. A prompt that was split
    before stays as it is.
    """
    if not all(is_node(node) for node in prompt.values()):
        return prompt  # ComfyUI refuses it in its own words
    runs = _runs(Graph(prompt))
    if not runs:
        return prompt
    stuck = [node_id for node_id, node in prompt.items() if not facts.runs_here(node)]
    graph = Graph(
        with_extra_outputs(Graph(prompt), runs, stuck, lambda link: facts.type_of(link) in MEDIA)
    )
    return PromptSplitter(graph, facts, _runs(graph)).split()


def _runs(graph: Graph) -> list[str]:
    """The Run in Cloud nodes that name a cloud."""
    return [node_id for node_id in graph.prompt if graph.cloud(node_id)]


def refused_node(node: Mapping[str, Any], reason: str, kind: str = "1") -> dict[str, Any]:
    """A Run in Cloud node that ComfyUI's validation will refuse with `reason`."""
    # ComfyUI repeats a reason for each input that it knows; it does not know this `where`.
    return {**node, "inputs": {"value": reason, "where": "", REFUSED_INPUT: kind}}


class PromptSplitter:
    """Splits one prompt at its Run in Cloud nodes."""

    def __init__(self, graph: Graph, facts: Facts, runs: Sequence[str]) -> None:
        self.graph, self.facts = graph, facts
        self.prompt = graph.prompt
        self.refusals: dict[str, str] = {}
        self.parts = {run: part for run in runs if (part := self._subgraph(run)) is not None}
        self.needed = self._needed()

    def split(self) -> Workflow:
        removed = self._removed()
        left = {k: node for k, node in self.prompt.items() if k not in removed}
        for members in self._groups():
            left.update(self._split_group(members))
        for run, reason in self.refusals.items():
            if run in left:
                left[run] = refused_node(self.prompt[run], reason)
        return left

    def _subgraph(self, run: str) -> Subgraph | None:
        try:
            subgraph = self.graph.subgraph(run)
            self._check(subgraph)
        except CannotSplit as refusal:
            self.refusals[run] = str(refusal)
            return None
        return subgraph

    def _check(self, part: Subgraph) -> None:
        """Raises CannotSplit where a value cannot be transferred, or a node lacks an input."""
        if part.value is None:
            return
        for node_id, node in part.nodes.items():
            for name in self.facts.missing_inputs(node):
                if f"{node_id}.{name}" not in part.boundary:
                    raise CannotSplit(unlinked(node_id, node, name))
        for target, link in part.boundary.items():
            kind = self.facts.type_of(link)
            if kind and kind not in (*MEDIA, *LITERALS):
                raise CannotSplit(self._cannot_enter(target, link, kind))
        kind = self.facts.type_of(part.value)
        if kind not in MEDIA:
            raise CannotSplit(self._cannot_leave(part.value, kind))

    def _needed(self) -> set[str]:
        """The nodes that the output nodes here depend on, once everything is split."""
        sent = {node_id for part in self.parts.values() for node_id in part.nodes}
        outputs = {k for k in self.prompt.keys() - sent if self._is_output(k)}
        # A node of an unknown class stays: ComfyUI has to say that the class is missing.
        hidden = sent | self._upstream_of_refused()
        outputs |= {k for k in self.prompt.keys() - hidden if self._is_output(k) is None}
        needed = self._with_sources(outputs)
        while more := {k for k in sent - needed - self._sent(needed) if self._is_output(k)}:
            needed = self._with_sources(needed | more)
        return needed

    def _is_output(self, node_id: str) -> bool | None:
        """Whether it is an output node that is to run; None where its class is not installed."""
        is_output = self.facts.is_output(self.prompt[node_id]["class_type"])
        is_wanted = self.facts.targets is None or node_id in self.facts.targets
        return is_output and is_wanted if is_output is not None else None

    def _sent(self, needed: Collection[str]) -> set[str]:
        """The nodes that the needed Run in Cloud nodes send."""
        return {k for run, part in self.parts.items() if run in needed for k in part.nodes}

    def _with_sources(self, node_ids: Collection[str]) -> set[str]:
        """The nodes, and everything here that they depend on."""
        stack = list(node_ids)
        visited: set[str] = set()
        while stack:
            node_id = stack.pop()
            if node_id not in visited and node_id in self.prompt:
                visited.add(node_id)
                stack += self._local_sources(node_id)
        return visited

    def _local_sources(self, node_id: str) -> list[str]:
        """The nodes from which a node takes values on this machine."""
        links = dict(links_of(self.prompt[node_id]))
        part = self.parts.get(node_id)
        if node_id in self.refusals or (part is not None and part.value is not None):
            links.pop("value", None)
        entering = part.boundary.values() if part else ()
        return [link[0] for link in (*links.values(), *entering)]

    def _removed(self) -> set[str]:
        """Nodes that are sent and not needed here, and unneeded nodes that depend on them."""
        unneeded = self.prompt.keys() - self.needed
        removed = {k for part in self.parts.values() for k in part.nodes} & unneeded
        removed |= {run for run, part in self.parts.items() if part.value} & unneeded
        removed |= self._upstream_of_refused() & unneeded
        while more := {k for k in unneeded - removed if removed & set(self._local_sources(k))}:
            removed |= more
        return removed

    def _upstream_of_refused(self) -> set[str]:
        """Everything upstream of the refused nodes: a class missing there is not reported first."""
        stack = list(self.refusals)
        upstream: set[str] = set()
        while stack:
            node = self.prompt.get(stack.pop())
            sources = {link[0] for _, link in links_of(node)} if node else set()
            stack += sources - upstream
            upstream |= sources
        return upstream

    # -- one submission for several nodes ---------------------------------------------------

    def _groups(self) -> list[list[str]]:
        """The Run in Cloud nodes that send a part; those that share nodes share a submission."""
        groups = [[run] for run in self.prompt if run in self.parts and run in self.needed]
        merged = True
        while merged:
            merged = False
            for one, other in _pairs(groups):
                candidate = [group for group in groups if group not in (one, other)]
                candidate.append([run for run in self.prompt if run in (*one, *other)])
                if self._overlap(one, other) and not self._has_cycle(candidate):
                    groups, merged = candidate, True
                    break
        return groups

    def _overlap(self, one: Sequence[str], other: Sequence[str]) -> bool:
        if self.graph.cloud(one[0]) != self.graph.cloud(other[0]):
            return False
        nodes = {node_id for run in one for node_id in self.parts[run].nodes}
        return any(node_id in nodes for run in other for node_id in self.parts[run].nodes)

    def _has_cycle(self, groups: Sequence[Sequence[str]]) -> bool:
        """Whether a group would depend, through nodes here, on its own results."""
        name_of = {run: group[0] for group in groups for run in group}
        dependencies: dict[str, set[str]] = {name: set() for name in name_of.values()}
        for node_id in self.needed:
            name = name_of.get(node_id, node_id)
            sources = {name_of.get(k, k) for k in self._local_sources(node_id)}
            dependencies.setdefault(name, set()).update(sources)
        return bool(find_cycle(dependencies))

    # -- what is left here ------------------------------------------------------------------

    def _split_group(self, members: Sequence[str]) -> Workflow:
        """The members after the split, and the chain of Remote Inputs that they share."""
        parts = [self.parts[run] for run in members]
        values = [part.value for part in parts if part.value is not None]
        if not values:
            nothing = RemotePart({}, {}, [], None)
            return {run: self._with_part(run, nothing, None) for run in members}
        nodes = {k: v for part in parts for k, v in part.nodes.items()}
        boundary = {k: v for part in parts for k, v in part.boundary.items()}
        entries, chain, last = self._chain(members[0], dict(sorted(boundary.items())))
        saves = [(link, self.facts.type_of(link)) for link in sorted(set(values))]
        sent = {k: nodes[k] for k in self.prompt if k in nodes}
        for run, part in zip(members, parts, strict=True):
            chain[run] = self._with_part(run, RemotePart(sent, entries, saves, part.value), last)
        return chain

    def _with_part(self, run: str, part: RemotePart, last: str | None) -> dict[str, Any]:
        node = self.prompt[run]
        inputs = {**node["inputs"], PART_INPUT: part.to_json()}
        if part.value is not None:
            del inputs["value"]
            if last is not None:
                inputs["value"] = [last, 0]
        return {**node, "inputs": inputs}

    def _chain(
        self, run: str, boundary: Mapping[str, Link]
    ) -> tuple[dict[str, list[str]], Workflow, str | None]:
        """(inputs by entry, Remote Input nodes, the last of them); one entry per value."""
        chain: Workflow = {}
        entries: dict[str, list[str]] = {}
        name_of: dict[Link, str] = {}
        last: str | None = None
        for target, link in boundary.items():
            if link in name_of:
                entries[name_of[link]].append(target)
                continue
            name_of[link], entries[target] = target, [target]
            inputs: dict[str, Any] = {"target": target, "value": list(link)}
            if last is not None:
                inputs["inputs"] = [last, 0]
            last = self._free_id(run, len(chain) + 1)
            chain[last] = {"class_type": REMOTE_INPUT, "inputs": inputs}
        return entries, chain, last

    def _free_id(self, run: str, number: int) -> str:
        # No colon: the editor would look for a subgraph of that name.
        name = f"skyport-{run.replace(':', '-')}-{number}"
        while name in self.prompt:
            name += "-"
        return name

    # -- messages ---------------------------------------------------------------------------

    def _cannot_enter(self, target: str, link: Link, kind: str) -> str:
        node_id, _ = parse_target(target, self.prompt)
        return tr(
            "{node} takes a {kind} that is made on this machine by {source}. A {kind} cannot go to "
            "a cloud. Remove {source}, so that what is before it runs there too, or move it behind "
            "a later node that makes an image, mask, video, audio, text or number.",
            node=node_label(node_id, self.prompt[node_id]),
            source=node_label(link[0], self.prompt[link[0]]),
            kind=kind,
        )

    def _cannot_leave(self, link: Link, kind: str) -> str:
        source = node_label(link[0], self.prompt[link[0]])
        if not kind:
            return tr(
                "What {source} makes is not known on this machine. Link a node to the output of "
                "Run in Cloud that takes an image, mask, video or audio.",
                source=source,
            )
        return tr(
            "{source} makes a {kind}. Run in Cloud brings back an image, mask, video or audio: put "
            "it behind a node that makes one.",
            source=source,
            kind=kind,
        )


def _pairs(groups: Sequence[list[str]]) -> Iterator[tuple[list[str], list[str]]]:
    for n, one in enumerate(groups):
        for other in groups[n + 1 :]:
            yield one, other
