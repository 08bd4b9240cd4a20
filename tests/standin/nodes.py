"""Every node class by its id, in the form of V1, as ComfyUI's module of this name holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from comfy_api.latest import io


class _Class:
    """A class in the form of V1, which also stands for its instances."""

    FUNCTION = "execute"

    def __init__(self, node: type[io.ComfyNode]) -> None:
        self.node = node
        info = node.info()
        self.INPUT_TYPES = lambda: info["input"]
        self.RETURN_TYPES = info["output"]
        self.OUTPUT_NODE = info["output_node"]

    def __call__(self) -> _Class:
        return self


class _Classes(Mapping[str, Any]):
    def __init__(self, classes: Mapping[str, type[io.ComfyNode]]) -> None:
        self.classes = classes

    def __getitem__(self, name: str) -> Any:
        return _Class(self.classes[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.classes)

    def __len__(self) -> int:
        return len(self.classes)


NODE_CLASS_MAPPINGS = _Classes({})


def offer(classes: Mapping[str, type[io.ComfyNode]]) -> None:
    """The classes of the host now spoken to."""
    NODE_CLASS_MAPPINGS.classes = classes
