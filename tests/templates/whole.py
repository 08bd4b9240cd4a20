"""A split prompt read as one graph: what is sent and what stays, put together again.

It knows the format that a split prompt has, and calls nothing of the code that splits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from templates.declared import KEEP, REMOTE_INPUT, RUN, Link, Prompt, as_link

_PART, _REFUSED, _NOTES = "skyport_cut", "skyport_trouble", "skyport_notes"

Node = tuple[str, str]  # ("", id) of a node here; (holder of its part, id) of one there


class Broken(Exception):
    """A link of a split prompt points to nowhere, or a value enters where nothing takes it."""


class Whole:
    """Both worlds of a prompt. Of one that was not split, all is here."""

    def __init__(self, prompt: Prompt, unknown: Collection[str] = ()) -> None:
        """`unknown` are nodes of which the editor queues no class and not all values."""
        self.prompt, self._unknown = prompt, unknown
        texts = {k: node["inputs"].get(_PART) for k, node in prompt.items()}
        held = {k: json.loads(text) for k, text in texts.items() if isinstance(text, str)}
        self.parts = {k: part for k, part in held.items() if "nodes" in part}
        # (the part that holds it, its output) of each Run in Cloud node that has a part
        self.values = {k: (part.get("holder", k), part["value"]) for k, part in held.items()}
        self._entering = {k: dict(self._values_entering(k)) for k in self.parts}
        self._digests: dict[tuple[Node, int], str] = {}

    @property
    def refusals(self) -> dict[str, str]:
        """Why Run in Cloud nodes are refused, by node."""
        inputs = {k: node["inputs"] for k, node in self.prompt.items()}
        return {k: str(one.get("value", "")) for k, one in inputs.items() if _REFUSED in one}

    @property
    def notes(self) -> dict[str, str]:
        """What the person is told of nodes, by node."""
        texts = [node["inputs"].get(_NOTES, "{}") for node in self.prompt.values()]
        return {k: str(text) for one in texts for k, text in json.loads(one).items()}

    def sent(self) -> set[Node]:
        return {
            (holder, node_id) for holder, part in self.parts.items() for node_id in part["nodes"]
        }

    def node(self, at: Node) -> Mapping[str, Any]:
        holder, node_id = at
        nodes = self.parts[holder]["nodes"] if holder else self.prompt
        if node_id not in nodes:
            raise Broken(f"a link to {node_id}, which is not {'in the part' if holder else 'here'}")
        return nodes[node_id]

    def sources(self, at: Node) -> dict[str, tuple[Node, int]]:
        """Where the linked inputs of a node take their values from, in whichever world."""
        holder, _ = at
        own = {
            name: ((holder, link[0]), link[1])
            for name, value in self.node(at)["inputs"].items()
            if (link := as_link(value)) is not None
        }
        entering = self._entering[holder].get(at[1], {}) if holder else {}
        return {name: self.origin(source) for name, source in {**own, **entering}.items()}

    def upstream(self, starts: set[Node]) -> set[Node]:
        """These nodes and all that they need, in both worlds."""
        stack, found = list(starts), set(starts)
        while stack:
            for source, _ in self.sources(stack.pop()).values():
                if source not in found:
                    found.add(source)
                    stack.append(source)
        return found

    def saved(self) -> set[Node]:
        """The nodes there whose outputs are brought back."""
        return {(holder, one[0]) for holder, part in self.parts.items() for one in part["saves"]}

    def digest(self, at: Node, index: int = 0) -> str:
        """Equal for outputs that are made in the same way of the same values."""
        key = (at, index)
        if key not in self._digests:
            self._digests[key] = "in a cycle"
            linked = {k: self.digest(*source) for k, source in self.sources(at).items()}
            node = self.node(at)
            inputs = {k: v for k, v in node["inputs"].items() if k not in linked}
            made_by = [at[1]] if at[1] in self._unknown else [node["class_type"], inputs]
            text = json.dumps([made_by, linked, index], sort_keys=True)
            self._digests[key] = hashlib.sha256(text.encode()).hexdigest()
        return self._digests[key]

    def remote_input_links(self, run: str) -> Iterator[tuple[str, Link]]:
        """(name of the entry, the value here) of each Remote Input before a Run in Cloud node."""
        link = as_link(self.prompt[run]["inputs"].get("value"))
        while link is not None:
            node = self.node(("", link[0]))
            if node["class_type"] != REMOTE_INPUT:
                raise Broken(f"{run} takes {link[0]}, which is no Remote Input")
            value = as_link(node["inputs"]["value"])
            if value is None:
                raise Broken(f"{link[0]} takes no value")
            yield node["inputs"]["target"], value
            link = as_link(node["inputs"].get("inputs"))

    def _values_entering(self, run: str) -> Iterator[tuple[str, dict[str, tuple[Node, int]]]]:
        """(node there, {input: the value here}) of what enters a part."""
        part = self.parts[run]
        taken: dict[str, dict[str, tuple[Node, int]]] = {}
        links = dict(self.remote_input_links(run)) if part["nodes"] else {}
        if links.keys() != part["entries"].keys():
            raise Broken(f"{run} is given {sorted(links)} and takes {sorted(part['entries'])}")
        for entry, targets in part["entries"].items():
            for target in targets:
                node_id, name = target.split(".", 1)
                if node_id not in part["nodes"] or name in part["nodes"][node_id]["inputs"]:
                    raise Broken(f"{target} is no free input of the part of {run}")
                taken.setdefault(node_id, {})[name] = (("", links[entry][0]), links[entry][1])
        yield from taken.items()

    def origin(self, source: tuple[Node, int]) -> tuple[Node, int]:
        """The node that makes a value, past those that only pass it on."""
        (holder, node_id), _ = source
        node = self.node((holder, node_id))
        if node["class_type"] not in (RUN, KEEP):
            return source
        if not holder and node_id in self.values and self.values[node_id][1] is not None:
            part, (maker, index) = self.values[node_id]
            return (part, maker), index
        link = as_link(node["inputs"].get("value"))
        if link is None:
            return source  # refused, or of no value
        return self.origin(((holder, link[0]), link[1]))
