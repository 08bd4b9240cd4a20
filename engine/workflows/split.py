"""The split: which part of a ComfyUI prompt runs in a cloud, and what is left of it here.

A prompt in API format goes in and comes out. Each Run in Cloud node that names a cloud takes
everything upstream of its value along, up to the nodes that stay here (Keep Local, Skyport's own,
a Run in Cloud node for another cloud). It holds that part as JSON text in PART_INPUT, and the
values computed here reach it as a chain of Remote Input nodes at its `value`. Nodes that something
else here needs stay as well. Nothing is sent, read or executed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import split_texts
from .api_format import Workflow
from .extra_outputs import Extra, insert, outputs_to_bring, with_extra_outputs
from .graph import (
    MISSING_LINK,
    NOTES_INPUT,
    OWN_PREFIX,
    PART_INPUT,
    REFUSED_INPUT,
    REMOTE_INPUT,
    CannotSplit,
    Graph,
    Link,
    MissingLink,
    Subgraph,
    is_node,
    links_of,
    unlinked,
)
from .grouping import group_runs
from .part import LITERALS, MEDIA, VALUES, PartReference, RemotePart, digest_of

_LIGHT = (*VALUES, "COMBO", "")  # types of which no model is


@dataclass(frozen=True)
class Facts:
    """What the prompt itself does not say.

    is_output  whether a node of this class is an output node; None where it is not installed
    type_of    the type of a link's value, "" where that is unknown
    lacks      the required inputs that a node does not have
    wanted     the output nodes to run; None runs all
    runs_here  whether this machine has the class of a node, and the models that it names
    is_paid_apart  whether nodes of this class are billed by a provider of their own in a cloud,
                   which is named as `where` names it
    returns_text   whether texts and numbers come back from a cloud
    cannot_go      whether a node makes every part that it is in be refused
    """

    is_output: Callable[[str], bool | None]
    type_of: Callable[[Link], str]
    missing_inputs: Callable[[Mapping[str, Any]], Sequence[str]]
    targets: Collection[str] | None = None
    runs_here: Callable[[Mapping[str, Any]], bool] = lambda node: True
    is_paid_apart: Callable[[str, str], bool] = lambda class_type, where: False
    returns_text: Callable[[str], bool] = lambda where: False
    cannot_go: Callable[[str, Mapping[str, Any]], bool] = lambda node_id, node: False

    def can_return(self, link: Link, run: Mapping[str, Any]) -> bool:
        """Whether a Run in Cloud node can bring this output back."""
        kind = self.type_of(link)
        return kind in MEDIA or (kind in LITERALS and self.returns_text(run["inputs"]["where"]))


def split(prompt: Workflow, facts: Facts) -> Workflow:
    """`prompt` as it runs here; `prompt` itself where there is nothing to split.

    A Run in Cloud node where that is impossible becomes a `refused_node`. A prompt that was split
    before stays as it is.
    """
    if not all(is_node(node) for node in prompt.values()):
        return prompt  # ComfyUI refuses it in its own words
    graph = Graph(prompt)
    runs = _runs(graph)
    if not runs:
        return prompt
    # In the order of the prompt, which decides what sends a value that several could send.
    stuck = dict.fromkeys(k for k, node in prompt.items() if not facts.runs_here(node))
    costly = _costly_texts(graph, runs, facts)
    extended = with_extra_outputs(
        graph, runs, stuck, costly, lambda link, run: facts.can_return(link, prompt[run])
    )
    if extended is not prompt:
        graph = Graph(extended)
        runs = _runs(graph)
    splitter = PromptSplitter(graph, facts, runs, stuck)
    kept, extra = splitter.passing_outputs()
    if kept:
        graph = Graph(insert(graph.prompt, extra))
        splitter = PromptSplitter(graph, facts, _runs(graph), stuck, kept)
    return splitter.split()


def _runs(graph: Graph) -> list[str]:
    """The Run in Cloud nodes that name a cloud."""
    return [node_id for node_id in graph.prompt if graph.cloud(node_id)]


def _costly_texts(graph: Graph, runs: Sequence[str], facts: Facts) -> list[Link]:
    """The texts and numbers that this machine would need models, or a paid service, to make."""
    prompt = graph.prompt
    if not any(facts.returns_text(prompt[run]["inputs"]["where"]) for run in runs):
        return []
    links = [(k, link) for k, node in prompt.items() for _, link in links_of(node)]
    kinds = {link: facts.type_of(link) for link in {link for _, link in links}}
    heavy = [k for k, link in links if kinds[link] not in _LIGHT]
    heavy += [k for k, node in prompt.items() if facts.is_paid_apart(node["class_type"], "")]
    users: dict[str, list[str]] = {}
    for node_id, link in links:
        users.setdefault(link[0], []).append(node_id)
    behind = _reachable(heavy, users).union(heavy)
    return sorted(link for link, kind in kinds.items() if kind in LITERALS and link[0] in behind)


def refused_node(node: Mapping[str, Any], reason: str, kind: str = "1") -> dict[str, Any]:
    """A Run in Cloud node that ComfyUI's validation will refuse with `reason`."""
    # ComfyUI repeats a reason for each input that it knows; it does not know this `where`.
    return {**node, "inputs": {"value": reason, "where": "", REFUSED_INPUT: kind}}


class PromptSplitter:
    """Splits one prompt at its Run in Cloud nodes."""

    def __init__(
        self,
        graph: Graph,
        facts: Facts,
        runs: Sequence[str],
        stuck: Collection[str],
        kept: Collection[str] = (),
    ) -> None:
        """`stuck` are nodes that cannot run here, `kept` those that do although they are sent."""
        self.graph, self.facts, self.stuck, self.kept = graph, facts, stuck, kept
        self.prompt = graph.prompt
        self.refusals: dict[str, str] = {}
        self.dropped: set[str] = set()  # output nodes that cannot run here
        self._missing: dict[str, Sequence[str]] = {}  # inputs that nodes lack: parts share nodes
        self._unlinked: set[str] = set()  # the refused ones that lack a link
        self.parts = {run: part for run in runs if (part := self._subgraph(run)) is not None}
        self.needed = self._needed()

    def split(self) -> Workflow:
        removed = self._removed()
        left = {k: node for k, node in self.prompt.items() if k not in removed}
        for members in self._groups():
            left.update(self._split_group(members))
        for run, reason in self.refusals.items():
            if run in left:
                kind = MISSING_LINK if run in self._unlinked else "1"
                left[run] = refused_node(self.prompt[run], reason, kind)
        return left

    def passing_outputs(self) -> tuple[set[str], Extra]:
        """Output nodes that are sent because their value goes on, and what they need to run here.

        What they save is for the person at this machine.
        """
        kept: set[str] = set()
        extra: Extra = {}
        sent = self._sent(self.needed)
        for node_id, run in self._senders().items():
            if node_id in self.needed or not self._is_output(node_id):
                continue
            values = outputs_to_bring(self.graph, node_id, run, sent, self._can_return)
            if values is not None and self.facts.runs_here(self.prompt[node_id]):
                kept.add(node_id)
                extra |= values
        return kept, extra

    def _senders(self) -> dict[str, str]:
        """The nodes that are sent, each with a needed Run in Cloud node that sends it."""
        return {
            node_id: run
            for run, part in reversed(self.parts.items())
            if run in self.needed
            for node_id in part.nodes
        }

    def _can_return(self, link: Link, run: str) -> bool:
        return self.facts.can_return(link, self.prompt[run])

    def _subgraph(self, run: str) -> Subgraph | None:
        try:
            subgraph = self.graph.subgraph(run)
            self._check(subgraph, run)
        except CannotSplit as refusal:
            self.refusals[run] = str(refusal)
            if isinstance(refusal, MissingLink):
                self._unlinked.add(run)
            return None
        return subgraph

    def _check(self, part: Subgraph, run: str) -> None:
        """Raises CannotSplit where a value cannot be transferred, or a node lacks an input."""
        if part.value is None:
            return
        for node_id, node in part.nodes.items():
            if node_id not in self._missing:
                self._missing[node_id] = self.facts.missing_inputs(node)
            for name in self._missing[node_id]:
                if f"{node_id}.{name}" not in part.boundary:
                    raise MissingLink(unlinked(node_id, node, name))
        for target, link in part.boundary.items():
            kind = self.facts.type_of(link)
            if kind and kind not in VALUES:
                raise CannotSplit(split_texts.cannot_enter(self.prompt, target, link, kind))
        if not self._can_return(part.value, run):
            kind, where = self.facts.type_of(part.value), self.prompt[run]["inputs"]["where"]
            raise CannotSplit(split_texts.cannot_leave(self.prompt, part.value, kind, where))

    def _needed(self) -> set[str]:
        """The nodes that the output nodes here depend on, once everything is split."""
        sent = {node_id for part in self.parts.values() for node_id in part.nodes}
        outputs = {k for k in self.prompt.keys() - sent if self._is_output(k)}
        # A node of an unknown class stays: ComfyUI has to say that the class is missing.
        hidden = sent | self._upstream_of_refused()
        outputs |= {k for k in self.prompt.keys() - hidden if self._is_output(k) is None}
        outputs -= self._without_source(outputs)
        needed = self._with_sources(outputs.union(self.kept))
        while more := {k for k in sent - needed - self._sent(needed) if self._is_output(k)}:
            needed = self._with_sources(needed | more)
        return needed

    def _without_source(self, outputs: Collection[str]) -> set[str]:
        """Those of the output nodes that need here what only runs in the cloud; now `dropped`.

        Where nothing is sent without them, ComfyUI has to say what is missing.
        """
        hopeless = self._behind(self.stuck).intersection(outputs)
        if hopeless:
            sent = self._sent(self._with_sources(set(outputs) - hopeless))
            self.dropped = self._behind(sent.intersection(self.stuck)) & hopeless
        return self.dropped

    def _behind(self, node_ids: Collection[str]) -> set[str]:
        """What takes values of these nodes on this machine, but for Skyport's own nodes."""
        users: dict[str, list[str]] = {}
        for node_id, node in self.prompt.items():
            if not node["class_type"].startswith(OWN_PREFIX):
                for _, link in links_of(node):
                    users.setdefault(link[0], []).append(node_id)
        return _reachable(node_ids, users)

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
        users: dict[str, list[str]] = {}
        for node_id in unneeded:
            for source in self._local_sources(node_id):
                users.setdefault(source, []).append(node_id)
        return removed | _reachable(removed, users)

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
        runs = [run for run in self.prompt if run in self.parts and run in self.needed]
        sent = self._sent(runs) if len(runs) > 1 else ()
        bad = {k for k in sent if self.facts.cannot_go(k, self.prompt[k])}
        alone = {run: run for run in runs if bad & self.parts[run].nodes.keys()}  # is refused
        return group_runs(
            {run: self.parts[run].nodes for run in runs},
            {run: self.graph.cloud(run) + alone.get(run, "") for run in runs},
            {node_id: self._local_sources(node_id) for node_id in self.needed},
        )

    # -- what is left here ------------------------------------------------------------------

    def _split_group(self, members: Sequence[str]) -> Workflow:
        """The members after the split, and the chain of Remote Inputs that they share."""
        parts = [self.parts[run] for run in members]
        values = [part.value for part in parts if part.value is not None]
        if not values:
            nothing = RemotePart({}, {}, [], None)
            return {run: self._with_part(run, nothing.to_json(), None) for run in members}
        nodes = {k: v for part in parts for k, v in part.nodes.items()}
        boundary = {k: v for part in parts for k, v in part.boundary.items()}
        entries, chain, last = self._chain(members[0], dict(sorted(boundary.items())))
        saves = [(link, self.facts.type_of(link)) for link in sorted(set(values))]
        sent = {k: nodes[k] for k in self.prompt if k in nodes}
        notes = self._notes(sent, self.prompt[members[0]]["inputs"]["where"])
        whole = RemotePart(sent, entries, saves, parts[0].value).to_json()
        digest = digest_of(whole)
        for run, part in zip(members, parts, strict=True):
            reference = PartReference(members[0], digest, part.value)
            text = whole if run == members[0] else reference.to_json()
            chain[run] = self._with_part(run, text, last)
        if notes:
            chain[members[0]]["inputs"][NOTES_INPUT] = json.dumps(notes, ensure_ascii=False)
        return chain

    def _with_part(self, run: str, text: str, last: str | None) -> dict[str, Any]:
        node = self.prompt[run]
        inputs = {**node["inputs"], PART_INPUT: text}
        if self.parts[run].value is not None:
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

    def _notes(self, sent: Workflow, where: str) -> dict[str, str]:
        """What the person should know of a part, by the node that it is about."""
        notes: dict[str, str] = {}
        for node_id, node in sent.items():
            if self.facts.is_paid_apart(node["class_type"], where):
                notes[node_id] = split_texts.paid_apart(node_id, node)
            elif node_id not in self.needed and self._is_output(node_id):
                notes[node_id] = split_texts.runs_there_only(node_id, node)
        for node_id in sorted(self.dropped & self._behind(sent.keys() & set(self.stuck))):
            notes[node_id] = split_texts.dropped(node_id, self.prompt[node_id])
        return notes


def _reachable(starts: Collection[str], after: Mapping[str, Sequence[str]]) -> set[str]:
    """What is reached from the nodes, which are left out unless they are reached again."""
    stack = list(starts)
    reached: set[str] = set()
    while stack:
        more = [node_id for node_id in after.get(stack.pop(), ()) if node_id not in reached]
        reached.update(more)
        stack += more
    return reached
