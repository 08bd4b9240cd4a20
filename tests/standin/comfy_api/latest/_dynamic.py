"""Inputs that take several types or grow, and how a prompt's flat keys become nested values."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ._sockets import AnyType, ComfyType, Input, Output, WidgetInput


class MultiType(ComfyType):
    """A socket that takes any of some types; made from a widget input it also has that widget."""

    io_type = "COMFY_MULTITYPED_V3"

    class Input(Input):
        def __init__(
            self, id: str | Input, types: Sequence[type[ComfyType]], **options: Any
        ) -> None:
            self.widget = copy.copy(id) if isinstance(id, Input) else None
            if self.widget is not None:
                for name in ("display_name", "tooltip", "lazy"):
                    options[name] = getattr(self.widget, name) or options.get(name)
                options["optional"] = self.widget.optional or options.get("optional", False)
                if isinstance(self.widget, WidgetInput):
                    self.widget.widget_type = self.widget.get_io_type()
            super().__init__(self.widget.id if self.widget else id, **options)
            self.types = types

        def get_io_type(self) -> str:
            names = [self.widget.get_io_type()] if self.widget else []
            return ",".join(dict.fromkeys([*names, *(one.io_type for one in self.types)]))

        def as_dict(self) -> dict[str, Any]:
            return (self.widget.as_dict() if self.widget else {}) | super().as_dict()


class MatchType(ComfyType):
    """Sockets that must carry one and the same type; only the browser checks it."""

    io_type = "COMFY_MATCHTYPE_V3"

    class Template:
        def __init__(self, template_id: str, allowed_types: Any = AnyType) -> None:
            self.template_id = template_id
            several = isinstance(allowed_types, (list, tuple))
            self.allowed_types = list(allowed_types) if several else [allowed_types]

        def as_dict(self) -> dict[str, Any]:
            names = ",".join(one.io_type for one in self.allowed_types)
            return {"template_id": self.template_id, "allowed_types": names}

    class Input(Input):
        io_type: ClassVar[str] = "COMFY_MATCHTYPE_V3"

        def __init__(self, id: str, template: MatchType.Template, **options: Any) -> None:
            super().__init__(id, **options)
            self.template = template

        def as_dict(self) -> dict[str, Any]:
            return super().as_dict() | {"template": self.template.as_dict()}

    class Output(Output):
        io_type: ClassVar[str] = "COMFY_MATCHTYPE_V3"

        def __init__(self, template: MatchType.Template, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.template = template


class DynamicInput(Input):
    """An input that brings others with it. Takes neither `raw_link` nor `advanced`."""

    def __init__(self, id: str, **options: Any) -> None:
        if refused := {"raw_link", "advanced", "default"} & options.keys():
            raise TypeError(f"unexpected keyword argument {refused.pop()!r}")
        super().__init__(id, **options)


class DynamicCombo(ComfyType):
    """A combo whose chosen option brings its own inputs. The first option is the default."""

    io_type = "COMFY_DYNAMICCOMBO_V3"

    @dataclass
    class Option:
        key: str
        inputs: list[Input]

        def as_dict(self) -> dict[str, Any]:
            return {"key": self.key, "inputs": describe_inputs(self.inputs)}

    class Input(DynamicInput):
        io_type: ClassVar[str] = "COMFY_DYNAMICCOMBO_V3"

        def __init__(self, id: str, options: list[DynamicCombo.Option], **more: Any) -> None:
            super().__init__(id, **more)
            self.options = options

        def as_dict(self) -> dict[str, Any]:
            return super().as_dict() | {"options": [one.as_dict() for one in self.options]}


class Autogrow(ComfyType):
    """A row of sockets that grows as it is filled."""

    io_type = "COMFY_AUTOGROW_V3"
    most = 100

    class _Template:
        def __init__(self, input: Input, names: list[str], min: int) -> None:
            assert not isinstance(input, DynamicInput), "an Autogrow cannot repeat a dynamic input"
            assert min >= 0
            self.input = copy.copy(input)
            if isinstance(self.input, WidgetInput):
                self.input.force_input = True
            self.names = names
            self.min = min

        def as_dict(self) -> dict[str, Any]:
            return {"input": describe_inputs([self.input]), "min": self.min}

    class TemplatePrefix(_Template):
        def __init__(self, input: Input, prefix: str, min: int = 1, max: int = 10) -> None:
            assert 1 <= max <= Autogrow.most
            super().__init__(input, [f"{prefix}{number}" for number in range(max)], min)
            self.prefix = prefix
            self.max = max

        def as_dict(self) -> dict[str, Any]:
            return super().as_dict() | {"prefix": self.prefix, "max": self.max}

    class TemplateNames(_Template):
        def __init__(self, input: Input, names: list[str], min: int = 1) -> None:
            super().__init__(input, names[: Autogrow.most], min)

        def as_dict(self) -> dict[str, Any]:
            return super().as_dict() | {"names": self.names}

    class Input(DynamicInput):
        io_type: ClassVar[str] = "COMFY_AUTOGROW_V3"

        def __init__(self, id: str, template: Autogrow._Template, **options: Any) -> None:
            super().__init__(id, **options)
            self.template = template

        def as_dict(self) -> dict[str, Any]:
            return super().as_dict() | {"template": self.template.as_dict()}


def describe_inputs(inputs: Sequence[Input]) -> dict[str, dict[str, Any]]:
    """Inputs as /object_info tells them: category -> id -> (type, options)."""
    fields: dict[str, dict[str, Any]] = {"required": {}}
    for one in inputs:
        category = "optional" if one.optional else "required"
        fields.setdefault(category, {})[one.id] = (one.get_io_type(), one.as_dict())
    return fields


@dataclass
class Flat:
    """A node's inputs as one prompt fills them.

    slots   dotted id -> (input, whether it must be there)
    paths   dotted id in the prompt -> dotted place in the nested value `execute` gets
    empty   ids of growing inputs that nobody filled: their value is {}
    """

    slots: dict[str, tuple[Input, bool]] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    empty: set[str] = field(default_factory=set)

    def nest(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """`values` by dotted id -> the keyword arguments of `execute`."""
        rest = dict(values)
        nested: dict[str, Any] = {}
        for name, path in self.paths.items():
            value = rest.pop(name, None)
            *folders, last = path.split(".")
            place = nested
            for folder in folders:
                place = place.setdefault(folder, {})
            place[last] = {} if value is None and name in self.empty else value
        return rest | nested


def flatten(inputs: Sequence[Input], live: Mapping[str, Any]) -> Flat:
    """Which slots the inputs have when a prompt holds the values `live`."""
    flat = Flat()
    _add(flat, inputs, live, "")
    return flat


def _add(flat: Flat, inputs: Sequence[Input], live: Mapping[str, Any], prefix: str) -> None:
    # The required ones first: an order that nodes can see in the dict they get.
    for one in sorted(inputs, key=lambda each: each.optional):
        name = prefix + one.id
        if isinstance(one, DynamicCombo.Input):
            _add_choice(flat, one, live, name)
        elif isinstance(one, Autogrow.Input):
            _add_growing(flat, one.template, live, name)
        else:
            flat.slots[name] = (one, not one.optional)
            if prefix:
                flat.paths[name] = name


def _add_choice(flat: Flat, one: Any, live: Mapping[str, Any], name: str) -> None:
    for option in one.options:
        if name in live and option.key == live[name]:
            _add(flat, option.inputs, live, f"{name}.")
            flat.slots[name] = (one, not one.optional)
            flat.paths[name] = f"{name}.{one.id}"
            return


def _add_growing(flat: Flat, template: Any, live: Mapping[str, Any], name: str) -> None:
    filled = False
    for number, slot in enumerate(template.names):
        dotted = f"{name}.{slot}"
        flat.slots[dotted] = (template.input, number < template.min and not template.input.optional)
        if dotted in live:
            flat.paths[dotted] = dotted
            filled = True
    if not filled:
        flat.paths[name] = name
        flat.empty.add(name)
