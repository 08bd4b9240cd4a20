"""What packs call of the executor: a node's inputs, its calls, and what they return."""

from __future__ import annotations

from typing import Any

from comfy_execution.graph import DynamicPrompt
from comfy_execution.graph_utils import is_link

from standin._calls import Call, call_each, prepare
from standin.executor import merge


def get_input_data(
    inputs: dict[str, Any],
    class_def: Any,
    unique_id: str,
    execution_list: Any,
    dynprompt: DynamicPrompt,
    extra_data: dict[str, Any],
) -> tuple[Any, Any, Call]:
    sources = [value[0] for value in inputs.values() if is_link(value)]
    outputs = {one: execution_list.get_cache(one, unique_id).outputs for one in sources}
    prompt = dynprompt.get_original_prompt()
    call = prepare(prompt, unique_id, class_def.node, outputs, extra_data)
    return call.values, {}, call


async def _async_map_node_over_list(
    prompt_id: str, unique_id: str, obj: Any, input_data_all: Any, func: str, v3_data: Call
) -> list[Any]:
    v3_data.prompt_id = prompt_id
    return await call_each(v3_data, func)


def get_output_from_returns(return_values: list[Any], obj: Any) -> tuple[Any, Any, bool]:
    made = merge(return_values, obj.node.schema().outputs)
    return made.outputs, made.ui, False
