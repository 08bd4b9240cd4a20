"""What a ComfyUI's /object_info says of node classes, read for tests alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MEDIA = ("IMAGE", "MASK", "VIDEO", "AUDIO")
LITERALS = ("STRING", "INT", "FLOAT", "BOOLEAN", "COMBO")
OWN = "Skyport"  # begins the classes of this pack
RUN, KEEP, REMOTE_INPUT = "SkyportRunInCloud", "SkyportKeepLocal", "SkyportRemoteInput"

Prompt = Mapping[str, Mapping[str, Any]]
Link = tuple[str, int]


def as_link(value: Any) -> Link | None:
    """(node id, output) where an input's value is a link."""
    is_pair = isinstance(value, list) and len(value) == 2
    is_link = is_pair and isinstance(value[0], str) and type(value[1]) is int
    return (value[0], value[1]) if is_link else None


def links_in(inputs: Mapping[str, Any]) -> Iterator[tuple[str, Link]]:
    for name, value in inputs.items():
        if (link := as_link(value)) is not None:
            yield name, link


class Classes:
    """The declared classes."""

    def __init__(self, object_info: Mapping[str, Any]) -> None:
        self._info = object_info

    def __contains__(self, class_type: Any) -> bool:
        return class_type in self._info

    def is_output(self, class_type: str | None) -> bool:
        return bool(self._info.get(class_type or "", {}).get("output_node"))

    def output_type(self, class_type: str, index: int) -> str:
        """The type of an output; "" where it depends on what is linked, or is not declared."""
        kinds = self._info.get(class_type, {}).get("output", [])
        kind = kinds[index] if 0 <= index < len(kinds) else ""
        if isinstance(kind, list):
            return "COMBO"
        return "" if kind == "*" or "," in kind or kind.startswith("COMFY_") else kind

    def input_type(self, class_type: str, name: str) -> str:
        kind = self._spec(class_type, name)[0]
        return kind if isinstance(kind, str) else "COMBO"

    def is_upload(self, class_type: str, name: str) -> bool:
        """Whether the input names a file that a person uploads."""
        options = self._spec(class_type, name)[1]
        return any(key.endswith("_upload") and value for key, value in options.items())

    def _spec(self, class_type: str, name: str) -> tuple[Any, Mapping[str, Any]]:
        inputs = self._info.get(class_type, {}).get("input", {})
        spec = {**inputs.get("optional", {}), **inputs.get("required", {})}.get(name, [""])
        return spec[0], (spec[1] if len(spec) > 1 else {})
