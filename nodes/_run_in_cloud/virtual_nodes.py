"""Takes nodes out of a prompt that exist in the editor only, with links past them.

The script of their pack does that before a prompt is queued, where the pack is installed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...engine.workflows.api_format import Workflow
from ...engine.workflows.graph import Link, links_of

Saved = Mapping[str, Mapping[str, Any]]  # nodes of the editor's graph by their ids in the prompt

_PAIR = re.compile(r"(?:.*\W)?(get|set)node", re.IGNORECASE)  # GetNode, easy setNode


def linked_past(prompt: Workflow, saved: Saved, workflow: Mapping[str, Any]) -> Workflow:
    """`prompt` without them; `prompt` itself where there is none.

    saved     the nodes of the editor's graph
    workflow  that graph, which keeps the links that a pack adds while queueing
    """
    absent = {k: saved[k] for k, node in prompt.items() if _is_absent(node) and k in saved}
    if not absent:
        return prompt
    linked = _with_sent_links(prompt, absent, saved, workflow)
    named = _NamedLinks(linked, absent)
    left = {k: named.moved(node) if _is_node(node) else node for k, node in linked.items()}
    used = {link[0] for node in left.values() if _is_node(node) for _, link in links_of(node)}
    idle = {k for k in absent if k not in used and (k in named or _is_idle(left[k], absent[k]))}
    idle |= _senders(absent, workflow)
    return {k: node for k, node in left.items() if k not in idle}


class _NamedLinks:
    """Pairs of nodes that set a value under a name and get it elsewhere in the graph."""

    def __init__(self, prompt: Workflow, absent: Saved) -> None:
        kinds = {k: _PAIR.fullmatch(str(node.get("type"))) for k, node in absent.items()}
        self._kinds = {k: kind[1].lower() for k, kind in kinds.items() if kind}
        self._names = {k: _name_of(absent[k]) for k in self._kinds}
        self._set: dict[tuple[str, str], list[str]] = {}
        self._links: dict[str, Link] = {}
        for node_id, kind in self._kinds.items():
            if kind == "set":
                key = (_scope(node_id), self._names[node_id])
                self._set.setdefault(key, []).append(node_id)
                for _, link in links_of(prompt[node_id]):
                    self._links[node_id] = link

    def __contains__(self, node_id: str) -> bool:
        return node_id in self._kinds

    def moved(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """The node with its links past such pairs."""
        past = {name: list(self._source(link)) for name, link in links_of(node)}
        return {**node, "inputs": {**node["inputs"], **past}}

    def _source(self, link: Link) -> Link:
        passed: set[Link] = set()
        while link not in passed and (further := self._before(link[0])) is not None:
            passed.add(link)
            link = further
        return link

    def _before(self, node_id: str) -> Link | None:
        """What such a node takes its value from; None for other nodes, and where it is unclear."""
        if self._kinds.get(node_id) == "get":
            setters = next(self._setters(node_id), [])
            return self._links.get(setters[0]) if len(setters) == 1 else None
        return self._links.get(node_id)

    def _setters(self, node_id: str) -> Iterator[list[str]]:
        """Those of its name: in its own graph first, then in those around it."""
        scope, name = _scope(node_id), self._names[node_id]
        while name:
            if found := self._set.get((scope, name)):
                yield found
            if not scope:
                return
            scope = _scope(scope)


def _with_sent_links(
    prompt: Workflow, absent: Saved, saved: Saved, workflow: Mapping[str, Any]
) -> Workflow:
    """The prompt with the links of nodes that send their value to whatever takes its type."""
    left = dict(prompt)
    for link in _sent_links(workflow):
        target, source = str(link.get("downstream")), str(link.get("upstream"))
        name = _input_name(saved.get(target, {}), link.get("downstream_slot"))
        slot = link.get("upstream_slot")
        is_known = str(link.get("controller")) in absent and type(slot) is int
        if is_known and name and source in left and _is_node(left.get(target)):
            inputs = {name: [source, slot], **left[target]["inputs"]}
            left[target] = {**left[target], "inputs": inputs}
    return left


def _senders(absent: Saved, workflow: Mapping[str, Any]) -> set[str]:
    return {str(link.get("controller")) for link in _sent_links(workflow)} & absent.keys()


def _sent_links(workflow: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    extra = workflow.get("extra")
    links = extra.get("ue_links") if isinstance(extra, Mapping) else None
    return [one for one in links if isinstance(one, Mapping)] if isinstance(links, list) else []


def _input_name(node: Mapping[str, Any], slot: Any) -> str:
    inputs = node.get("inputs")
    is_there = isinstance(inputs, list) and type(slot) is int and 0 <= slot < len(inputs)
    one = inputs[slot] if isinstance(inputs, list) and is_there else None
    return str(one.get("name") or "") if isinstance(one, Mapping) else ""


def _is_idle(node: Mapping[str, Any], saved: Mapping[str, Any]) -> bool:
    """Whether it can do nothing in a run: it takes no value and has none."""
    return not dict(links_of(node)) and not saved.get("inputs") and not saved.get("widgets_values")


def _is_node(node: Any) -> bool:
    return isinstance(node, Mapping) and isinstance(node.get("inputs"), dict)


def _is_absent(node: Any) -> bool:
    """Whether its class is not installed here: the editor queues none then."""
    return _is_node(node) and node.get("class_type") is None


def _name_of(node: Mapping[str, Any]) -> str:
    values = node.get("widgets_values")
    return str(values[0]) if isinstance(values, list) and values else ""


def _scope(node_id: str) -> str:
    """The subgraph that a node is in: "12:5" of "12:5:7"."""
    return node_id.rpartition(":")[0]
