"""Values of a queued prompt that are known before it runs, found by ComfyUI's own functions."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import execution
from comfy_execution.graph import DynamicPrompt, get_input_info

import nodes as comfyui_nodes  # ComfyUI's own module, not this folder

from ...engine.workflows.api_format import Workflow, is_link
from ...engine.workflows.graph import KEEP_LOCAL, LOAD_ROWS, REMOTE_INPUT

# They give the same whenever they run, take no time worth mentioning, and do not look for Interrupt
# as they work: that would take it from the prompt that runs.
_PLAIN = {
    KEEP_LOCAL,
    LOAD_ROWS,
    REMOTE_INPUT,
    "LoadImage",
    "LoadImageMask",
    "LoadImageOutput",
    "LoadAudio",
    "LoadVideo",
    "PrimitiveBoolean",
    "PrimitiveFloat",
    "PrimitiveInt",
    "PrimitiveString",
    "PrimitiveStringMultiline",
}


def surely_run(prompt: Workflow, outputs: Iterable[str]) -> list[str]:
    """The nodes that the output nodes need, whatever a switch among them decides."""
    found: dict[str, None] = {}
    stack = [*outputs]
    while stack:
        node_id = stack.pop()
        if node_id in prompt and node_id not in found:
            found[node_id] = None
            stack += _sources(prompt[node_id])
    return list(found)


def _sources(node: Mapping[str, Any]) -> list[str]:
    """The nodes behind its links that are surely followed."""
    class_def = comfyui_nodes.NODE_CLASS_MAPPINGS[node["class_type"]]
    sources = []
    for name, value in node["inputs"].items():
        if is_link(value):
            options = get_input_info(class_def, name)[2] or {}
            if not options.get("lazy") and not options.get("rawLink"):
                sources.append(value[0])
    return sources


def content_of(prompt: Workflow, node_id: str) -> str:
    """A hash of what the node's outputs come from: equal where ComfyUI's cache takes two nodes for
    the same, whatever their ids, and also where only a file behind them has changed."""
    numbers, stack, nodes = {node_id: 0}, [node_id], []
    while stack:
        node = prompt[stack.pop()]
        inputs = []
        for name, value in sorted(node["inputs"].items()):
            if is_link(value) and value[0] in prompt:
                if value[0] not in numbers:
                    numbers[value[0]] = len(numbers)
                    stack.append(value[0])
                value = {"node": numbers[value[0]], "output": value[1]}
            inputs.append([name, value])
        nodes.append([node["class_type"], inputs])
    return hashlib.sha256(json.dumps(nodes, sort_keys=True, default=repr).encode()).hexdigest()


class KnownValues:
    """Calls nodes whose inputs are constants, or come from loaders of files; each of these once."""

    def __init__(self, prompt_id: str, prompt: Workflow, extra_data: Mapping[str, Any]) -> None:
        self._id = prompt_id
        self._prompt = prompt
        self._extra_data = dict(extra_data)
        self._dynamic = DynamicPrompt(prompt)
        self._outputs: dict[str, Any] = {}

    def are_all_of(self, node_id: str) -> bool:
        """Whether every input of the node is known."""
        seen, stack = {node_id}, [node_id]
        while stack:
            for value in self._prompt[stack.pop()]["inputs"].values():
                if is_link(value) and value[0] not in seen:
                    if self._prompt.get(value[0], {}).get("class_type") not in _PLAIN:
                        return False
                    seen.add(value[0])
                    stack.append(value[0])
        return True

    async def call(self, node_id: str, method: str) -> None:
        """Call a class method of the node with its inputs, as ComfyUI would `execute`."""
        await self._results(node_id, self._class(node_id), method)

    async def _results(self, node_id: str, node: Any, method: str) -> list[Any]:
        """A result for each item of its inputs. Interrupt, of another prompt, is not looked for."""
        inputs = self._prompt[node_id]["inputs"]
        for value in inputs.values():
            if is_link(value) and value[0] not in self._outputs:
                self._outputs[value[0]] = await self._evaluate(value[0])
        values, _, v3_data = execution.get_input_data(
            inputs, self._class(node_id), node_id, self, self._dynamic, self._extra_data
        )
        results = await execution._async_map_node_over_list(
            self._id, node_id, node, values, method, v3_data=v3_data
        )
        return [await one if isinstance(one, asyncio.Task) else one for one in results]

    async def _evaluate(self, node_id: str) -> Any:
        node = self._class(node_id)()
        results = await self._results(node_id, node, node.FUNCTION)
        return execution.get_output_from_returns(results, node)[0]

    def get_cache(self, source: str, _: str) -> Any:
        """What `get_input_data` asks a list of executions for."""
        return SimpleNamespace(outputs=self._outputs[source])

    def _class(self, node_id: str) -> Any:
        return comfyui_nodes.NODE_CLASS_MAPPINGS[self._prompt[node_id]["class_type"]]
