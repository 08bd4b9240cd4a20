"""ComfyUI's /object_info: the inputs of each node class there, in the forms of old and new servers.

It reads tolerantly: what it cannot read declares nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

ObjectInfo = Mapping[str, Any]

DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
AUTOGROW = "COMFY_AUTOGROW_V3"
MATCH_TYPE = "COMFY_MATCHTYPE_V3"
_OWN = "COMFY_"  # begins the types that stand for other types
_CATEGORIES = ("required", "optional")
_PACKS = "custom_nodes."
_PAID = ("partner/", "api node/")  # begin the categories of ComfyUI's partner nodes


@dataclass(frozen=True)
class Input:
    """One declared input. `choices` are those of a combo whose list is known here, else None."""

    name: str
    type: str
    options: Mapping[str, Any]
    is_required: bool = True
    choices: Sequence[Any] | None = None

    @property
    def is_upload(self) -> bool:
        """Whether it names a file of the input folder, which can be uploaded."""
        return any(key.endswith("_upload") and value for key, value in self.options.items())

    def nested(self, key: Any) -> list[Input]:
        """The inputs that a dynamic combo has while `key` is chosen, as `model.seconds`."""
        return self.branches.get(key, []) if isinstance(key, str) else []

    @cached_property
    def branches(self) -> dict[str, list[Input]]:
        """The inputs by each choice of a dynamic combo."""
        options = _list(self.options.get("options")) if self.type == DYNAMIC_COMBO else []
        return {
            str(one["key"]): [
                replace(each, name=f"{self.name}.{each.name}")
                for each in inputs_of(_dict(one.get("inputs")))
            ]
            for one in options
            if isinstance(one, dict) and "key" in one
        }


def declared_inputs(entry: Any) -> list[Input]:
    """The required and optional inputs of a class, in the order of its widgets."""
    return list(inputs_of(_dict(_dict(entry).get("input")), _dict(_dict(entry).get("input_order"))))


def inputs_of(tree: Mapping[str, Any], order: Mapping[str, Any] | None = None) -> Iterator[Input]:
    """The inputs in {"required": {name: spec}, "optional": ...}."""
    for category in _CATEGORIES:
        specs = _dict(tree.get(category))
        names = [name for name in _list((order or {}).get(category)) if isinstance(name, str)]
        for name in dict.fromkeys([*names, *map(str, specs)]):
            if name in specs:
                yield _input(name, specs[name], category == "required")


def pack_of(entry: Any) -> str:
    """The folder of the node pack that a class comes from; "" for ComfyUI's own."""
    module = _dict(entry).get("python_module")
    if not isinstance(module, str) or not module.startswith(_PACKS):
        return ""
    return module.removeprefix(_PACKS)


def bills_apart(entry: Any) -> bool:
    """Whether nodes of a class call a paid service with the account of ComfyUI's user."""
    about = _dict(entry)
    return about.get("api_node") is True or _text(about.get("category")).startswith(_PAID)


def is_object_info(tree: Any) -> bool:
    """Whether it looks like a server's /object_info."""
    return isinstance(tree, Mapping) and any(map(is_readable, tree.values()))


def is_readable(entry: Any) -> bool:
    """Whether an entry of /object_info declares the inputs of its class, be they none."""
    return isinstance(entry, Mapping) and isinstance(entry.get("input"), Mapping)


def output_types(object_info: ObjectInfo) -> frozenset[str]:
    """The types that some class makes: what takes them is a socket."""
    return frozenset(
        kind
        for entry in object_info.values()
        for kind in _list(_dict(entry).get("output"))
        if isinstance(kind, str)
    )


def is_compound(kind: str) -> bool:
    """Whether a type stands for several: a wildcard, a union, a match type."""
    return kind in ("", "*") or "," in kind or kind.startswith(_OWN)


def _input(name: str, spec: Any, is_required: bool) -> Input:
    parts = list(spec) if isinstance(spec, (list, tuple)) else [spec]
    options = _dict(parts[1]) if len(parts) > 1 else {}
    kind = parts[0] if parts else ""
    if isinstance(kind, (list, tuple)):
        return Input(name, "COMBO", options, is_required, _known(list(kind), options))
    kind = kind if isinstance(kind, str) else ""
    kind = _text(options.get("widgetType")) or kind
    choices = options.get("options") if kind == "COMBO" else None
    known = _known(choices, options) if isinstance(choices, list) else None
    return Input(name, kind, options, is_required, known)


def _known(choices: list[Any], options: Mapping[str, Any]) -> list[Any] | None:
    """The choices; None where the editor fetches them from elsewhere."""
    return None if options.get("remote") else choices


def _dict(tree: Any) -> dict[str, Any]:
    return dict(tree) if isinstance(tree, Mapping) else {}


def _list(tree: Any) -> list[Any]:
    return list(tree) if isinstance(tree, (list, tuple)) else []


def _text(tree: Any) -> str:
    return tree if isinstance(tree, str) else ""
