from typing import Any

from comfy_execution.graph import DynamicPrompt

def get_input_data(
    inputs: dict[str, Any],
    class_def: Any,
    unique_id: str,
    execution_list: Any = None,
    dynprompt: DynamicPrompt | None = None,
    extra_data: dict[str, Any] = ...,
) -> tuple[dict[str, Any], dict[str, bool], Any]: ...
async def _async_map_node_over_list(
    prompt_id: str,
    unique_id: str,
    obj: Any,
    input_data_all: dict[str, Any],
    func: str,
    v3_data: Any = None,
) -> list[Any]: ...
def get_output_from_returns(return_values: list[Any], obj: Any) -> tuple[Any, Any, bool]: ...
