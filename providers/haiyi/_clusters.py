"""Which of HaiYi's clusters `auto` takes, by the section "Status of the GPU clusters"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...engine.base.types import Cluster

_NUMERALS = {
    "\u5355": 1,
    "\u4e00": 1,
    "\u53cc": 2,
    "\u4e24": 2,
    "\u4e8c": 2,
    "\u56db": 4,
    "\u516d": 6,
    "\u516b": 8,
}
_IN_WORDS = re.compile(rf"([{''.join(_NUMERALS)}]|(?<!\d)\d{{1,2}})\s*\u5361")
_IN_ENGLISH = re.compile(r"(?<![\w.])(\d{1,2})[\s-]*(?:gpus?|cards?)\b", re.I)
# "A800x2", "H20-x8", "8xH100"; in "RTX4090", "RTX50" and "x86" it is no number of cards.
_BEHIND = re.compile(r"(?<![rg]t)[x*\u00d7](1[0-6]|[1-9])(?![\w.])", re.I)
_BEFORE = re.compile(r"(?<![\w.])(\d{1,2})\s*[x*\u00d7](?=\s*[a-z])", re.I)


def cards(cluster: Cluster) -> int:
    """The GPUs of one of its nodes: by its label ("2" and the word for card), or its name ("x2").

    1 where neither says.
    """
    for text in (cluster.label, cluster.name):
        for pattern in (_IN_WORDS, _IN_ENGLISH, _BEHIND, _BEFORE):
            found = pattern.search(text)
            if found:
                return _NUMERALS.get(found[1]) or int(found[1]) or 1
    return 1


def smallest_free(clusters: Sequence[Cluster]) -> Cluster:
    """The cluster with the fewest cards a node that has room; of equals the one with most room.

    A node of several cards costs several times as much, and a workflow that needs one names it. If
    none has room the smallest kind it is, whatever waits: there the cluster with the most running
    nodes, as one of them is free first (how many tasks wait is not told). Of equals the first.
    """
    free = [cluster for cluster in clusters if cluster.room]
    if free:
        return min(free, key=lambda cluster: (cards(cluster), -cluster.room))
    return min(clusters, key=lambda cluster: (cards(cluster), -cluster.running))
