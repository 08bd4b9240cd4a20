"""Extra Run in Cloud nodes for values that only a cloud can compute and that nodes here need too.

Other consumers of a value from a remote part compute it again on this machine. Where this machine
cannot (a class or a model is missing), or would have to load models for a text or number, a Run in
Cloud node is inserted between the two: the value then comes back with the part, in the same
submission.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from typing import Any

from .api_format import Workflow
from .graph import KEEP_LOCAL, OWN_PREFIX, RUN_IN_CLOUD, CannotSplit, Graph, Link, links_of

# (node, input) here -> (the output that it takes, a Run in Cloud node that sends that)
Extra = dict[tuple[str, str], tuple[Link, str]]
CanReturn = Callable[[Link, str], bool]  # whether a Run in Cloud node can bring that output back


def with_extra_outputs(
    graph: Graph,
    runs: Sequence[str],
    stuck: Collection[str],
    costly: Collection[Link],
    can_return: CanReturn,
) -> Workflow:
    """The prompt with its extra outputs; the same object where it needs none.

    runs    the Run in Cloud nodes that send something
    stuck   the nodes that cannot run here
    costly  outputs that are better brought back than made here again
    """
    sent = _sent(graph, runs) if stuck or costly else {}
    consumers = _consumers(graph.prompt) if sent else {}
    extra = dict(_costly_outputs(graph, sent, consumers, costly, stuck, can_return))
    extra |= _extra_outputs(graph, sent, consumers, stuck, can_return)
    return insert(graph.prompt, extra) if extra else graph.prompt


def outputs_to_bring(
    graph: Graph, node_id: str, run: str, sent: Container[str], can_return: CanReturn
) -> Extra | None:
    """What brings all values back that a node in the part of `run` takes from that part.

    None where one of them cannot be brought back.
    """
    extra: Extra = {}
    cloud = graph.cloud(run)
    for name, link in links_of(graph.prompt[node_id]):
        source = graph.source(node_id, name, cloud)
        if source[0] not in sent or graph.cloud(link[0]) == cloud:
            continue  # its value is here anyway
        if not can_return(source, run):
            return None
        extra[node_id, name] = (source, run)
    return extra


def _sent(graph: Graph, runs: Sequence[str]) -> dict[str, str]:
    """The nodes that are sent, each with a Run in Cloud node that sends it."""
    sent: dict[str, str] = {}
    for run in runs:
        if any(link[0] in sent for name, link in links_of(graph.prompt[run]) if name == "value"):
            continue  # everything upstream of it is in already
        try:
            sent.update(dict.fromkeys(graph.subgraph(run).nodes, run))
        except CannotSplit:
            continue  # the split reports it
    return sent


def _costly_outputs(
    graph: Graph,
    sent: Mapping[str, str],
    consumers: Mapping[str, Sequence[tuple[str, str, Link]]],
    costly: Collection[Link],
    stuck: Collection[str],
    can_return: CanReturn,
) -> Iterator[tuple[tuple[str, str], tuple[Link, str]]]:
    """As `_extra_outputs`, for the nodes here that take a costly output."""
    for source in costly:
        run = sent.get(source[0])
        if run is None or not can_return(source, run):
            continue
        for consumer, name, link in consumers.get(source[0], ()):
            class_type = graph.prompt[consumer]["class_type"]
            says_itself = class_type in (RUN_IN_CLOUD, KEEP_LOCAL)
            runs_here = consumer not in stuck or class_type.startswith(OWN_PREFIX)
            if link == source and consumer not in sent and runs_here and not says_itself:
                yield (consumer, name), (link, run)


def _extra_outputs(
    graph: Graph,
    sent: Mapping[str, str],
    consumers: Mapping[str, Sequence[tuple[str, str, Link]]],
    stuck: Collection[str],
    can_return: CanReturn,
) -> Iterator[tuple[tuple[str, str], tuple[Link, str]]]:
    """((node, input) here, (the output it consumes, a Run in Cloud node that sends that))."""
    stack = [(node_id, sent[node_id]) for node_id in stuck if node_id in sent]
    visited: set[str] = set()
    while stack:
        node_id, run = stack.pop()
        if node_id in visited:
            continue
        visited.add(node_id)
        for consumer, name, link in consumers.get(node_id, []):
            if consumer in sent:
                stack.append((consumer, sent[consumer]))
                continue
            class_type = graph.prompt[consumer]["class_type"]
            is_own = class_type.startswith(OWN_PREFIX)
            if class_type in (RUN_IN_CLOUD, KEEP_LOCAL):
                continue  # it says itself where it runs
            if can_return(link, run) and (is_own or consumer not in stuck):
                yield (consumer, name), (link, run)
            elif not is_own:
                stack.append((consumer, run))  # sent too: an extra output may follow behind it


def _consumers(prompt: Workflow) -> dict[str, list[tuple[str, str, Link]]]:
    """(node, input, link) of everything that is linked to a node, by that node's id."""
    consumers: dict[str, list[tuple[str, str, Link]]] = {}
    for node_id, node in prompt.items():
        for name, link in links_of(node):
            consumers.setdefault(link[0], []).append((node_id, name, link))
    return consumers


def insert(prompt: Workflow, extra: Extra) -> Workflow:
    """The prompt with a Run in Cloud node before each of these inputs."""
    extended = dict(prompt)
    for (consumer, name), (link, run) in extra.items():
        # No colon: the editor would look for a subgraph of that name.
        added = f"skyport-tap-{link[0].replace(':', '-')}-{link[1]}"
        extended[added] = _extra_output(prompt[run]["inputs"], link)
        inputs: dict[str, Any] = {**extended[consumer]["inputs"], name: [added, 0]}
        extended[consumer] = {**extended[consumer], "inputs": inputs}
    return extended


def _extra_output(inputs: Mapping[str, Any], link: Link) -> dict[str, Any]:
    return {"class_type": RUN_IN_CLOUD, "inputs": {**inputs, "value": list(link)}}
