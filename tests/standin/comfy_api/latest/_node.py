"""Nodes: their schema, their base class and what they return."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from comfy_execution.graph_utils import ExecutionBlocker

from ._dynamic import Flat, MatchType, describe_inputs, flatten
from ._sockets import Input, Output


class Hidden(str, enum.Enum):
    """What a node can ask to know about its run."""

    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"
    extra_pnginfo = "EXTRA_PNGINFO"
    dynprompt = "DYNPROMPT"


@dataclass
class HiddenHolder:
    """What `cls.hidden` is inside `execute`; what was not asked for is None."""

    unique_id: str | None = None
    prompt: Any = None
    extra_pnginfo: Any = None
    dynprompt: Any = None


@dataclass
class Schema:
    """What a node says of itself."""

    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    hidden: list[Hidden] = field(default_factory=list)
    description: str = ""
    search_aliases: list[str] = field(default_factory=list)
    is_input_list: bool = False
    is_output_node: bool = False
    is_deprecated: bool = False
    is_experimental: bool = False
    is_dev_only: bool = False
    is_api_node: bool = False
    price_badge: Any = None
    not_idempotent: bool = False
    enable_expand: bool = False
    accept_all_inputs: bool = False
    essentials_category: str | None = None
    has_intermediate_output: bool = False

    def complete(self) -> Schema:
        """Itself, with what ComfyUI adds on its own: into the very list the node gave."""
        wanted = [Hidden.prompt, Hidden.extra_pnginfo] if self.is_output_node else []
        self.hidden += [one for one in wanted if one not in self.hidden]
        for number, output in enumerate(self.outputs):
            output.id = output.id or f"_{number}_{output.io_type}_"
        return self

    def check(self) -> None:
        """Raises ValueError where two inputs or two outputs share an id."""
        for kind, sockets in (("input", self.inputs), ("output", self.outputs)):
            ids = [one.id for one in sockets]
            if len(set(ids)) != len(ids):
                raise ValueError(f"{self.node_id}: an {kind} id is used twice: {ids}")


class _Locked(type):
    def __setattr__(cls, name: str, value: Any) -> None:
        raise AttributeError(f"{cls.__name__} is locked: {name} cannot be set")


class ComfyNode:
    """Base of all nodes. Never instantiated: everything is a class method."""

    hidden: ClassVar[HiddenHolder | None] = None
    module: ClassVar[str] = ""

    @classmethod
    def define_schema(cls) -> Schema:
        raise NotImplementedError

    @classmethod
    def execute(cls, **values: Any) -> Any:
        raise NotImplementedError

    # -- what the host asks -------------------------------------------------------------------

    @classmethod
    def schema(cls) -> Schema:
        """Asked anew each time, as in the real host: it must be fast and must not raise."""
        return cls.define_schema().complete()

    @classmethod
    def flat(cls, live: Mapping[str, Any]) -> Flat:
        return flatten(cls.schema().inputs, live)

    @classmethod
    def is_async(cls) -> bool:
        return inspect.iscoroutinefunction(cls.execute)

    @classmethod
    def override(cls, name: str) -> Any:
        """The node's own method `name`, None where it has none."""
        return getattr(cls, name, None)

    @classmethod
    def for_one_call(cls, hidden: HiddenHolder) -> type:
        """A throw-away subclass that holds `hidden` and cannot be written to."""
        return _Locked(cls.__name__, (cls,), {"hidden": hidden})

    @classmethod
    def info(cls) -> dict[str, Any]:
        """The node as GET /object_info tells it."""
        schema = cls.schema()
        inputs = describe_inputs(schema.inputs)
        if schema.hidden:
            inputs["hidden"] = {one.name: (one.value,) for one in schema.hidden}
        return {
            "input": inputs,
            "input_order": {category: list(ids) for category, ids in inputs.items()},
            "is_input_list": schema.is_input_list,
            **_outputs_info(schema.outputs),
            "name": schema.node_id,
            "display_name": schema.display_name,
            "description": schema.description,
            "python_module": cls.module,
            "category": schema.category,
            "output_node": schema.is_output_node,
            "deprecated": schema.is_deprecated,
            "experimental": schema.is_experimental,
            "dev_only": schema.is_dev_only,
            "api_node": schema.is_api_node,
            "price_badge": None,
            "search_aliases": schema.search_aliases or None,
            "essentials_category": schema.essentials_category,
            "has_intermediate_output": schema.has_intermediate_output,
        }


def _outputs_info(outputs: list[Output]) -> dict[str, Any]:
    matched = [
        one.template.template_id if isinstance(one, MatchType.Output) else None for one in outputs
    ]
    return {
        "output": [one.io_type for one in outputs],
        "output_is_list": [one.is_output_list for one in outputs],
        "output_name": [one.display_name or one.io_type for one in outputs],
        "output_tooltips": [one.tooltip for one in outputs],
        "output_matchtypes": matched if any(matched) else None,
    }


class NodeOutput:
    """What a node returns: its outputs in order, and what the browser shows."""

    def __init__(
        self,
        *args: Any,
        ui: Any = None,
        expand: dict[str, Any] | None = None,
        block_execution: str | None = None,
    ) -> None:
        self.args = args
        self.ui = ui
        self.expand = expand
        self.block_execution = block_execution

    @property
    def result(self) -> tuple[Any, ...] | None:
        return self.args or None

    def __getitem__(self, index: int) -> Any:
        return self.args[index]

    @classmethod
    def of(cls, returned: Any) -> NodeOutput:
        """Whatever `execute` returned, as a NodeOutput."""
        if returned is None:
            return cls()
        if isinstance(returned, cls):
            return returned
        if isinstance(returned, tuple):
            return cls(*returned)
        if isinstance(returned, dict):
            return cls(*returned.get("result", ()), ui=returned.get("ui"))
        if isinstance(returned, ExecutionBlocker):
            return cls(block_execution=returned.message)
        raise TypeError(f"a node cannot return {type(returned).__name__}")

    def ui_dict(self) -> dict[str, Any]:
        return self.ui if isinstance(self.ui, dict) else self.ui.as_dict()
