from typing import Any

from . import io as io

class ComfyExtension:
    async def get_node_list(self) -> list[type[io.ComfyNode]]: ...

class ComfyAPI:
    class Execution:
        async def set_progress(
            self, value: float, max_value: float, node_id: str | None = None
        ) -> None: ...

class InputImpl:
    class VideoFromFile:
        def __init__(self, file: Any, **options: Any) -> None: ...

    class VideoFromComponents:
        def __init__(self, components: Any, **options: Any) -> None: ...
