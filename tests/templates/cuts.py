"""Where Run in Cloud nodes are put into a prompt: before its outputs, in its middle, nested."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from templates.declared import MEDIA, RUN, Classes, Link, Prompt, links_in

HAIYI = {"where": "HaiYi", "where.cluster": "auto"}
GPUGEEK = {"where": "GPUGeek", "where.workflow_id": "1"}


def cuts(prompt: Prompt, classes: Classes) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, the prompt with Run in Cloud nodes), each way once.

    A prompt that outputs no medium is cut before its outputs all the same: that is refused.
    """
    ends = _before_outputs(prompt, classes)
    yield "before every output", with_runs(prompt, ends, HAIYI)
    for end in ends if len(ends) > 1 else ():
        yield f"before the output of {end}", with_runs(prompt, [end], HAIYI)
    if (middle := _middle(prompt, classes, ends)) is None:
        return
    yield "in the middle", with_runs(prompt, [middle], HAIYI)
    inner = with_runs(prompt, [middle], HAIYI, "inner")
    yield "twice in one cloud", with_runs(inner, ends, HAIYI)
    yield "in two clouds", with_runs(inner, ends, GPUGEEK)


def with_runs(
    prompt: Prompt, links: Iterable[Link], where: dict[str, str], name: str = "run"
) -> dict[str, Any]:
    """The prompt with a Run in Cloud node behind each of these outputs."""
    runs = {link: f"{name}-{number}" for number, link in enumerate(links)}
    made: dict[str, Any] = {}
    for node_id, node in prompt.items():
        moved = {k: [runs[link], 0] for k, link in links_in(node["inputs"]) if link in runs}
        made[node_id] = {**node, "inputs": {**node["inputs"], **moved}}
    for (source, index), run in runs.items():
        node = {"class_type": RUN, "inputs": {**where, "value": [source, index]}}
        made[run] = {**node, "_meta": {"title": "Run in Cloud"}}
    return made


def _before_outputs(prompt: Prompt, classes: Classes) -> list[Link]:
    """The media that output nodes take; whatever they take where that is no medium."""
    taken = [
        (classes.input_type(node["class_type"], name), link)
        for node in prompt.values()
        if classes.is_output(node["class_type"])
        for name, link in links_in(node["inputs"])
    ]
    media = [link for kind, link in taken if set(kind.split(",")) & set(MEDIA)]
    return list(dict.fromkeys(media or [link for _, link in taken]))


def _middle(prompt: Prompt, classes: Classes, ends: Iterable[Link]) -> Link | None:
    """A medium between the first and the last node, if there is one that is no output's."""
    depths = _depths(prompt)
    media = {
        link
        for node in prompt.values()
        for _, link in links_in(node["inputs"])
        if link[0] in prompt
        and classes.output_type(prompt[link[0]]["class_type"], link[1]) in MEDIA
    }
    inside = sorted(media - set(ends), key=lambda link: (depths[link[0]], link))
    return inside[len(inside) // 2] if inside else None


def _depths(prompt: Prompt) -> dict[str, int]:
    depths: dict[str, int] = {}

    def depth(node_id: str) -> int:
        if node_id not in depths:
            depths[node_id] = 0  # a cycle ends here
            above = [link[0] for _, link in links_in(prompt[node_id]["inputs"])]
            depths[node_id] = 1 + max((depth(one) for one in above if one in prompt), default=0)
        return depths[node_id]

    for node_id in prompt:
        depth(node_id)
    return depths
