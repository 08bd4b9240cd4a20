"""The orders that a prompt in API format places, read as data: no node class is needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from ..base.types import Json
from ..platforms import registry
from ..workflows.api_format import Workflow, is_link, title_of
from ..workflows.graph import (
    KEEP_LOCAL,
    OWN_PREFIX,
    REMOTE_INPUT,
    RUN_IN_CLOUD,
    CannotSplit,
    Graph,
    Link,
    Subgraph,
    is_node,
    links_of,
)
from .choices import ANY, choices_of
from .drivers import COUNT, WORKFLOW, PriceKey, driver_name, key_of_form
from .fan_out import ONE, SOME, FanOut, Number
from .ranking import AS_LISTED

_FREE = ("Upload", "Clusters")  # ends of the classes of a platform that order nothing
_NO_OUTPUT = (RUN_IN_CLOUD, KEEP_LOCAL, REMOTE_INPUT)
_MODEL, _CUSTOM = "model.", "custom"
_OTHER_TYPE = re.compile(r"(.*) \(([^()]+)\)")  # a model of a type that no node is for
_PICTURES = ("ToImage", "EditImage", "StyleTransfer")
_FRAMES = 1  # the output of a video node whose number of items nobody knows


@dataclass(frozen=True)
class NodeOrder:
    """What a node orders. `platform` "": one that is not known; `key` None: not known.

    choices  of a node over several platforms: the key of each, as listed, the first one above
    ranking  which of them it prefers
    """

    node_id: str
    title: str
    platform: str
    key: PriceKey | None
    tasks: Number
    choices: tuple[PriceKey, ...] = ()
    ranking: str = AS_LISTED


@dataclass(frozen=True)
class Surroundings:
    """What the prompt itself does not say.

    is_output  whether a node of this class is an output node; None where it is not installed
    frames     of the file that a loader names; None where that is not known
    targets    the output nodes to run; None runs all
    """

    is_output: Callable[[str], bool | None] = lambda class_type: None
    frames: Callable[[Mapping[str, Any]], int | None] = lambda node: None
    targets: frozenset[str] | None = None


def orders_in(prompt: Workflow, around: Surroundings) -> list[NodeOrder]:
    """The orders of the nodes that run, in the order of the prompt."""
    return _Reader(prompt, around).orders()


def own_servers_in(prompt: Workflow, around: Surroundings) -> list[bool]:
    """Whether it is free there, for each node that runs on servers of one's own: it is no order.

    Not so where a subscription of the person pays.
    """
    return _Reader(prompt, around).own_servers()


def platform_of(class_type: str) -> str:
    """The platform of a node of ours, "" for any other."""
    name = class_type.removeprefix(OWN_PREFIX).lower()
    is_ours = class_type.startswith(OWN_PREFIX)
    return next((one for one in registry.names() if is_ours and name.startswith(one)), "")


def platforms_in(prompt: Workflow) -> set[str]:
    """The platforms that the nodes of `prompt` may order from, but for those of Run in Cloud."""
    reader = _Reader(prompt, Surroundings())
    return {name for node in reader.prompt.values() for name in reader.platforms(node)}


class _Reader:
    def __init__(self, prompt: Workflow, around: Surroundings) -> None:
        self.prompt = {str(key): node for key, node in prompt.items() if is_node(node)}
        self.around = around
        self._graph = Graph(self.prompt)
        self.fan_out = FanOut(self.prompt, around.frames, self._results)

    def orders(self) -> list[NodeOrder]:
        return [order for order in self._all() if not _is_free(order.platform)]

    def own_servers(self) -> list[bool]:
        own = [order for order in self._all() if _is_free(order.platform)]
        return [
            registry.provider_class(one.platform).is_free_with(self._inputs(one)) for one in own
        ]

    def _all(self) -> list[NodeOrder]:
        running = self._running()
        return [order for key in self.prompt if key in running for order in self._of(key)]

    def _inputs(self, order: NodeOrder) -> dict[str, Json]:
        """The inputs of its node by the names that they have on the platform's own."""
        values = self._values(self.prompt[order.node_id])
        return {name.removeprefix("where."): value for name, value in values.items()}

    def _of(self, node_id: str) -> Iterator[NodeOrder]:
        node = self.prompt[node_id]
        kind, title = node["class_type"], title_of(node)
        if kind == RUN_IN_CLOUD:
            yield from self._run_in_cloud(node_id)
        elif kind.startswith(ANY):
            yield self._over_several(node_id)
        elif (platform := platform_of(kind)) and not kind.endswith(_FREE):
            yield NodeOrder(node_id, title, platform, self._key(node), self.fan_out.tasks(node_id))

    def _over_several(self, node_id: str) -> NodeOrder:
        node, tasks = self.prompt[node_id], self.fan_out.tasks(node_id)
        choices, ranking = self._choices(node), node["inputs"].get("order", AS_LISTED)
        key = choices[0] if choices else None
        platform = key.platform if key else ""
        return NodeOrder(node_id, title_of(node), platform, key, tasks, choices, ranking)

    def platforms(self, node: Mapping[str, Any]) -> set[str]:
        """The platforms that a node may order from."""
        one = platform_of(node["class_type"])
        return {one} if one else {key.platform for key in self._choices(node)}

    # -- which nodes run ----------------------------------------------------------------------

    def _outputs(self) -> set[str]:
        if self.around.targets is not None:
            return {node_id for node_id in self.around.targets if node_id in self.prompt}
        sources = {link[0] for node in self.prompt.values() for _, link in links_of(node)}
        return {key for key, node in self.prompt.items() if self._is_output(key, node, sources)}

    def _is_output(self, node_id: str, node: Mapping[str, Any], sources: set[str]) -> bool:
        kind = node["class_type"]
        known = self.around.is_output(kind)
        if known is not None:
            return known
        if kind.startswith(OWN_PREFIX):
            return kind not in _NO_OUTPUT and not kind.endswith("Upload")
        return node_id not in sources

    def _running(self) -> set[str]:
        """The nodes that run here. Of what runs in a cloud only what it takes from here."""
        found: set[str] = set()
        stack = [*self._outputs()]
        while stack:
            node_id = stack.pop()
            if node_id not in found and node_id in self.prompt:
                found.add(node_id)
                stack += self._sources(node_id)
        return found

    def _sources(self, node_id: str) -> list[str]:
        if not self._graph.cloud(node_id):
            return [link[0] for _, link in links_of(self.prompt[node_id])]
        part = self._part(node_id)
        return [link[0] for link in part.boundary.values()] if part else []

    def _part(self, node_id: str) -> Subgraph | None:
        """What a Run in Cloud node sends; None where it would be refused."""
        try:
            return self._graph.subgraph(node_id)
        except CannotSplit:
            return None

    # -- a node of a platform -----------------------------------------------------------------

    def _choices(self, node: Mapping[str, Any]) -> tuple[PriceKey, ...]:
        kind = node["class_type"]
        return choices_of(kind, self._values(node)) if kind.startswith(ANY) else ()

    def _key(self, node: Mapping[str, Any]) -> PriceKey | None:
        platform, values = platform_of(node["class_type"]), self._values(node)
        end = node["class_type"][len(OWN_PREFIX) + len(platform) :]
        task = registry.provider_class(platform).node_tasks.get(end, "")
        chosen = values.pop("model", None) or values.pop("workflow_id", None) or WORKFLOW
        if chosen == _CUSTOM:
            parts = (values.pop(name, "") for name in ("provider", "model_id"))
            chosen = "/".join(str(part).strip() for part in parts if part)
        elif other := _OTHER_TYPE.fullmatch(str(chosen)):
            chosen, task = other.groups()
        return None if is_link(chosen) else key_of_form(platform, str(chosen).strip(), values, task)

    def _values(self, node: Mapping[str, Any]) -> dict[str, Json]:
        """The inputs by their own names; what a constant node gives is in place of its link."""
        given = {name: self._constant(value) for name, value in node["inputs"].items()}
        own = {name.removeprefix(_MODEL): value for name, value in given.items()}
        return {**own, **dict(self._remote_values(node))}

    def _remote_values(self, node: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
        """The values that a chain of Remote Input nodes sets, by target."""
        seen: set[str] = set()
        while is_link(link := node["inputs"].get("inputs")) and link[0] not in seen:
            seen.add(link[0])
            node = self.prompt.get(link[0]) or {"inputs": {}}
            target = self._constant(node["inputs"].get("target"))
            if isinstance(target, str) and "." not in target:
                yield target, self._constant(node["inputs"].get("value"))

    def _constant(self, value: Json) -> Json:
        source = self.prompt.get(value[0]) if is_link(value) else None
        if source is not None and source["class_type"].startswith("Primitive"):
            return source["inputs"].get("value", value)
        return value

    def _results(self, node_id: str, output: int) -> Number:
        """What one task of a node gives at an output."""
        node = self.prompt[node_id]
        kind = node["class_type"]
        if kind.endswith("Upload"):
            return ONE  # an address for each file
        if not _generates(kind) or "model" not in node["inputs"]:
            return SOME
        if not kind.endswith(_PICTURES):
            return SOME if output == _FRAMES and "Video" in kind else ONE
        key = next(iter(self._choices(node)), None) if kind.startswith(ANY) else self._key(node)
        named = COUNT in map(driver_name, self._values(node))
        return replace(SOME, count=int(key.count or 1), exact=named) if key else SOME

    # -- Run in Cloud -------------------------------------------------------------------------

    def _run_in_cloud(self, node_id: str) -> Iterator[NodeOrder]:
        node = self.prompt[node_id]
        part = self._part(node_id) if self._graph.cloud(node_id) else None
        if part is None or part.value is None:
            return
        values = {name.removeprefix("where."): value for name, value in self._values(node).items()}
        where = values.pop("where")
        platform = next((name for name in registry.names() if _label(name) == where), "")
        number = str(values.get("workflow_id") or WORKFLOW).strip()
        key = key_of_form(platform, number, values) if platform else None
        entries = (self._entries(link) for link in part.boundary.values())
        tasks = reduce(Number.or_more, entries, ONE)
        yield NodeOrder(node_id, title_of(node), platform, key, tasks)

    def _entries(self, link: Link) -> Number:
        """The entries of a list that is computed here; the images of a batch are one."""
        kind = self.prompt[link[0]]["class_type"] if link[0] in self.prompt else ""
        makes_list = _generates(kind) and not kind.endswith(_PICTURES)
        return self.fan_out.tasks(link[0]) if makes_list else ONE


def _generates(class_type: str) -> bool:
    return bool(platform_of(class_type)) or class_type.startswith(ANY)


def _is_free(platform: str) -> bool:
    return bool(platform) and registry.provider_class(platform).is_free


def _label(platform: str) -> str:
    return registry.provider_class(platform).label
