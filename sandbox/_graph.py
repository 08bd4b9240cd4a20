"""A workflow in API format as a graph: links, order, cycles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeGuard

Node = Mapping[str, Any]
Prompt = Mapping[str, Node]


def is_link(value: Any) -> TypeGuard[list[Any]]:
    """Whether an input's value is [node id, number of its output]."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and type(value[1]) is int
    )


def title(node: Node) -> str:
    """The title of a node, else its class."""
    meta = node.get("_meta")
    return str((meta.get("title") if isinstance(meta, dict) else None) or node["class_type"])


def sources(node: Node) -> Iterator[str]:
    """The ids of the nodes that `node` is linked to."""
    return (value[0] for value in node["inputs"].values() if is_link(value))


def in_order(prompt: Prompt, ends: Iterable[str], within: Iterable[str] | None = None) -> list[str]:
    """The ids of all that `ends` need, inputs before their users; only those `within`, if given.

    Depth first without recursion: a workflow may be deeper than Python's stack, or cyclic.
    """
    allowed = prompt.keys() if within is None else set(within)
    ordered: dict[str, None] = {}
    entered: set[str] = set()
    stack = [(end, False) for end in reversed(list(ends)) if end in allowed]
    while stack:
        current, inputs_done = stack.pop()
        if inputs_done:
            ordered.setdefault(current)
        elif current not in entered:
            entered.add(current)
            stack.append((current, True))
            stack += [(each, False) for each in sources(prompt[current]) if each in allowed]
    return list(ordered)


def rings(prompt: Prompt) -> set[str]:
    """The ids of nodes on a cycle or between two cycles."""
    needs = {node_id: set(sources(node)) for node_id, node in prompt.items()}
    ahead = _unsettled(needs)
    feeds: dict[str, set[str]] = {node_id: set() for node_id in ahead}
    for node_id in ahead:
        for source in needs[node_id] & ahead:
            feeds[source].add(node_id)
    return _unsettled(feeds)


def _unsettled(needs: Mapping[str, set[str]]) -> set[str]:
    """What is left after repeatedly removing all nodes without unmet needs."""
    waits = {node_id: len(needed) for node_id, needed in needs.items()}
    users: dict[str, list[str]] = {}
    for node_id, needed in needs.items():
        for each in needed:
            users.setdefault(each, []).append(node_id)
    free = [node_id for node_id, count in waits.items() if not count]
    while free:
        done = free.pop()
        del waits[done]
        for user in users.get(done, ()):
            waits[user] -= 1
            if not waits[user]:
                free.append(user)
    return set(waits)
