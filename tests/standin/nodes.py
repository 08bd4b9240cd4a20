"""Every node class by its id, in the form of V1, as ComfyUI's module of this name holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from comfy_api.latest import io


class _Classes(Mapping[str, Any]):
    def __init__(self, classes: Mapping[str, type[io.ComfyNode]]) -> None:
        self.classes = classes

    def __getitem__(self, name: str) -> Any:
        info = self.classes[name].info()
        return SimpleNamespace(
            INPUT_TYPES=lambda: info["input"],
            RETURN_TYPES=info["output"],
            OUTPUT_NODE=info["output_node"],
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.classes)

    def __len__(self) -> int:
        return len(self.classes)


NODE_CLASS_MAPPINGS = _Classes({})


def offer(classes: Mapping[str, type[io.ComfyNode]]) -> None:
    """The classes of the host now spoken to."""
    NODE_CLASS_MAPPINGS.classes = classes
