"""Values that only a cloud can make and that are wanted here too, such as those of a preview there.

What else takes a value of a part that is sent makes it here once more. Where this machine cannot
make it (a class or a model is missing), a Run in Cloud node is put in between: the value then comes
back with the part, in the same submission.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from .api_format import Workflow
from .graph import KEEP, OURS, RUN, Graph, Link, Trouble, links_of


def with_extra_outputs(
    graph: Graph, runs: Sequence[str], stuck: Collection[str], is_media: Callable[[Link], bool]
) -> Workflow:
    """The prompt with its taps; itself where none is needed.

    runs   the Run in Cloud nodes that send something
    stuck  the nodes that cannot run here
    """
    sent = _sent(graph, runs) if stuck else {}
    extra = dict(_extra_outputs(graph, sent, stuck, is_media)) if sent else {}
    return _insert(graph.prompt, extra) if extra else graph.prompt


def _sent(graph: Graph, runs: Sequence[str]) -> dict[str, str]:
    """The nodes that are sent, each with a Run in Cloud node that sends it."""
    found: dict[str, str] = {}
    for run in runs:
        if any(link[0] in found for name, link in links_of(graph.prompt[run]) if name == "value"):
            continue  # all upstream of it was seen
        try:
            found.update(dict.fromkeys(graph.part_of(run).nodes, run))
        except Trouble:
            continue  # the cut tells it
    return found


def _extra_outputs(
    graph: Graph,
    sent: Mapping[str, str],
    stuck: Collection[str],
    is_media: Callable[[Link], bool],
) -> Iterator[tuple[tuple[str, str], tuple[Link, str]]]:
    """((node, input) here, (the output it takes, a Run in Cloud node that sends that))."""
    takers = _takers(graph.prompt)
    stack = [(node_id, sent[node_id]) for node_id in stuck if node_id in sent]
    seen: set[str] = set()
    while stack:
        node_id, run = stack.pop()
        if node_id in seen:
            continue
        seen.add(node_id)
        for taker, name, link in takers.get(node_id, []):
            if taker in sent:
                stack.append((taker, sent[taker]))
            elif graph.prompt[taker]["class_type"] in (RUN, KEEP):
                continue  # says itself where it runs
            elif is_media(link):
                yield (taker, name), (link, run)
            elif not graph.prompt[taker]["class_type"].startswith(OURS):
                stack.append((taker, run))  # goes along: a tap may follow behind it


def _takers(prompt: Workflow) -> dict[str, list[tuple[str, str, Link]]]:
    found: dict[str, list[tuple[str, str, Link]]] = {}
    for node_id, node in prompt.items():
        for name, link in links_of(node):
            found.setdefault(link[0], []).append((node_id, name, link))
    return found


def _insert(prompt: Workflow, extra: Mapping[tuple[str, str], tuple[Link, str]]) -> Workflow:
    left = dict(prompt)
    for (taker, name), (link, run) in extra.items():
        # No colon: the editor would look for a subgraph of that name.
        added = f"skyport-tap-{link[0].replace(':', '-')}-{link[1]}"
        left[added] = _extra_output(prompt[run]["inputs"], link)
        inputs: dict[str, Any] = {**left[taker]["inputs"], name: [added, 0]}
        left[taker] = {**left[taker], "inputs": inputs}
    return left


def _extra_output(inputs: Mapping[str, Any], link: Link) -> dict[str, Any]:
    return {"class_type": RUN, "inputs": {**inputs, "value": list(link)}}
