"""From a node in a prompt to calls of its class: values, hidden facts, one call an item."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from comfy import model_management
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker, is_link
from comfy_execution.utils import CurrentNodeContext

NodeClass = type[io.ComfyNode]
Outputs = Mapping[str, "list[list[Any]]"]  # node id -> for each output the items it made


@dataclass
class Call:
    """One node about to be called. `values` holds a list of items for each input."""

    node_id: str
    node: NodeClass
    values: dict[str, list[Any]]
    flat: Any
    hidden: io.HiddenHolder
    prompt_id: str = ""

    def only(self, names: set[str]) -> Call:
        """The same with the inputs `names` alone."""
        stored = {name: items for name, items in self.values.items() if name in names}
        return Call(self.node_id, self.node, stored, self.flat, self.hidden, self.prompt_id)

    def items(self) -> Iterator[tuple[int | None, dict[str, Any]]]:
        """Index and flat values of each call; shorter lists repeat their last item."""
        if self.node.schema().is_input_list:
            yield 0, dict(self.values)
            return
        length = max((len(items) for items in self.values.values()), default=0)
        if length == 0:
            yield None, {}
        for index in range(length):
            yield (
                index,
                {name: items[min(index, len(items) - 1)] for name, items in self.values.items()},
            )


def prepare(
    prompt: Mapping[str, Any],
    node_id: str,
    node: NodeClass,
    outputs: Outputs | None = None,
    extra_data: Mapping[str, Any] | None = None,
) -> Call:
    """The call of one node. Without `outputs` only constants are known and links are None."""
    inputs = prompt[node_id]["inputs"]
    schema = node.schema()
    flat = node.flat(inputs)
    values: dict[str, list[Any]] = {}
    for name, value in inputs.items():
        if is_link(value):
            values[name] = _linked(value, outputs)
        elif name in flat.slots or schema.accept_all_inputs:
            values[name] = [value]
    return Call(node_id, node, values, flat, _hidden(schema, prompt, node_id, extra_data or {}))


def _linked(link: list[Any], outputs: Outputs | None) -> list[Any]:
    if outputs is None or link[0] not in outputs:
        return [None]
    return outputs[link[0]][link[1]]


def _hidden(
    schema: io.Schema, prompt: Any, node_id: str, extra_data: Mapping[str, Any]
) -> io.HiddenHolder:
    facts = {
        "unique_id": node_id,
        "prompt": prompt,
        "extra_pnginfo": extra_data.get("extra_pnginfo"),
        "dynprompt": prompt,
    }
    return io.HiddenHolder(**{one.name: facts[one.name] for one in schema.hidden})


async def call_each(
    call: Call,
    method: str,
    *,
    running: bool = False,
    blocked: Callable[[ExecutionBlocker], ExecutionBlocker] = lambda blocker: blocker,
) -> list[Any]:
    """What `method` returned for each item, or the task that will return it.

    running  look for an interrupt before each call
    blocked  told of each blocker; what it returns takes its place
    """
    results: list[Any] = []
    for index, values in call.items():
        if running:
            model_management.throw_exception_if_processing_interrupted()
        blocker = _blocker(values)
        if blocker is not None:
            results.append(blocked(blocker))
        else:
            results.append(await _start(call, method, index, values))
    return results


async def _start(call: Call, method: str, index: int | None, values: dict[str, Any]) -> Any:
    """A coroutine gets one turn; what it does not finish in it comes back as a task."""
    function = getattr(call.node.for_one_call(call.hidden), method)
    arguments = call.flat.nest(values)
    context = CurrentNodeContext(call.prompt_id, call.node_id, index)
    if not inspect.iscoroutinefunction(function):
        with context:
            return function(**arguments)

    async def in_context() -> Any:
        with context:
            return await function(**arguments)

    task = asyncio.create_task(in_context())
    await asyncio.sleep(0)
    return task.result() if task.done() else task


def _blocker(values: Mapping[str, Any]) -> ExecutionBlocker | None:
    for value in values.values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, ExecutionBlocker):
                return one
    return None


async def settled(results: list[Any]) -> list[Any]:
    """`results` with every task awaited."""
    return [await one if isinstance(one, asyncio.Task) else one for one in results]
