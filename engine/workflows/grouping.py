"""Which Run in Cloud nodes share a submission: those of one cloud whose parts share nodes."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter


@dataclass
class _Group:
    """Run in Cloud nodes; a set of them is the bits of an int, by their order in the prompt.

    overlap   those of the same cloud with which this group shares nodes
    upstream  those whose values this group waits for
    """

    members: int
    overlap: int
    upstream: int

    def can_join(self, other: _Group) -> bool:
        """Whether they share nodes and neither waits, through nodes here, for the other."""
        shares = self.overlap & other.members
        waits = self.upstream & other.members or other.upstream & self.members
        return bool(shares) and not waits


def group_runs(
    parts: Mapping[str, Collection[str]],
    clouds: Mapping[str, str],
    sources: Mapping[str, Iterable[str]],
) -> list[list[str]]:
    """The Run in Cloud nodes by submission.

    parts    the nodes that each of them sends, in the order of the prompt
    clouds   where each of them sends its part
    sources  the nodes from which each node takes values on this machine
    """
    runs = [*parts]
    upstream = _upstream(runs, sources)
    if upstream is None:
        return [[run] for run in runs]
    overlap = _overlaps(parts, clouds)
    waiting = deque(
        _Group(1 << number, overlap[run], upstream.get(run, 0)) for number, run in enumerate(runs)
    )
    return [_names(runs, group.members) for group in _joined(waiting)]


def _joined(waiting: deque[_Group]) -> list[_Group]:
    # A group that finds no partner finds none later: joining others only adds dependencies.
    joined: list[_Group] = []
    while waiting:
        one = waiting.popleft()
        other = next((each for each in waiting if one.can_join(each)), None)
        if other is None:
            joined.append(one)
            continue
        waiting.remove(other)
        both = _Group(
            one.members | other.members,
            one.overlap | other.overlap,
            one.upstream | other.upstream,
        )
        for each in (*waiting, *joined):
            if each.upstream & both.members:
                each.upstream |= both.members | both.upstream
        waiting.append(both)
    return joined


def _overlaps(parts: Mapping[str, Collection[str]], clouds: Mapping[str, str]) -> dict[str, int]:
    holders: dict[tuple[str, str], int] = {}
    for number, (run, nodes) in enumerate(parts.items()):
        for node_id in nodes:
            key = (clouds[run], node_id)
            holders[key] = holders.get(key, 0) | 1 << number
    overlap = dict.fromkeys(parts, 0)
    for run, nodes in parts.items():
        for node_id in nodes:
            overlap[run] |= holders[clouds[run], node_id]
    return overlap


def _upstream(runs: Sequence[str], sources: Mapping[str, Iterable[str]]) -> dict[str, int] | None:
    """The Run in Cloud nodes upstream of each node; None where nodes wait for each other."""
    own = {run: 1 << number for number, run in enumerate(runs)}
    upstream: dict[str, int] = {}
    try:
        for node_id in TopologicalSorter(sources).static_order():
            upstream[node_id] = 0
            for source in sources.get(node_id, ()):
                upstream[node_id] |= upstream[source] | own.get(source, 0)
    except CycleError:
        return None
    return upstream


def _names(runs: Sequence[str], members: int) -> list[str]:
    return [run for number, run in enumerate(runs) if members >> number & 1]
