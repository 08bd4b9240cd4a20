"""Builds widgets and sockets from catalogue rows. Memory only: called all the time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from comfy_api.latest import io

from ...engine.base.types import Kind, MediaRule, Model, Param
from ...engine.base.words import tr
from ...engine.platforms.parameters import prompt_param, seed_param

CUSTOM = "custom"
_LEAVE_OUT = "(default)"  # end of the option of a closed list that leaves the field out
MOST_SEED = 2**31 - 1
_MOST_SLOTS = 10
_WHOLE = 2**31 - 1
_SOCKETS: dict[Kind, Any] = {Kind.IMAGE: io.Image, Kind.VIDEO: io.Video, Kind.AUDIO: io.Audio}


@dataclass(frozen=True)
class Socket:
    """A media socket on the node itself, which survives a change of model.

    id       the name of the models' media parameter that it feeds
    most     0 for a single medium; else the most slots of a growing list
    mask     it takes a MASK, which is sent as an image
    formats  the formats to encode in for a model whose own rules are unknown
    """

    id: str
    kind: Kind
    required: bool = True
    most: int = 0
    mask: bool = False
    formats: tuple[str, ...] = ()
    tooltip: str = ""


def node_schema(
    node: Any, inputs: Sequence[Any], outputs: Sequence[Any], *, is_output_node: bool = True
) -> io.Schema:
    """The schema of a node class that has `id`, `title` and `category`."""
    return io.Schema(
        node_id=node.id,
        display_name=node.title,
        category=node.category,
        inputs=list(inputs),
        outputs=list(outputs),
        hidden=[io.Hidden.unique_id, io.Hidden.prompt],
        is_output_node=is_output_node,
    )


def prompt_input() -> io.String.Input:
    return io.String.Input("prompt", multiline=True, default="")


def seed_input() -> io.Int.Input:
    """Sent to models that take a seed; for others it only makes a run distinct.

    Fixed unless the user chooses otherwise: with a seed that changes by itself, queueing again
    would submit a new task, and one left running would be paid for in vain.
    """
    return io.Int.Input(
        "seed",
        default=0,
        min=0,
        max=MOST_SEED,
        control_after_generate=io.ControlAfterGenerate.fixed,
    )


def media_input(id: str, kinds: Sequence[Any], *, optional: bool = False, tooltip: str = "") -> Any:
    """A socket that takes a tensor type or a STRING holding a URL."""
    return io.MultiType.Input(
        id, types=[*kinds, io.String], optional=optional, tooltip=tooltip or None
    )


def socket_input(socket: Socket) -> Any:
    """A media socket of the node itself: one medium, or a list that grows."""
    kinds = [io.Mask if socket.mask else _SOCKETS[socket.kind]]
    if not socket.most:
        return media_input(socket.id, kinds, optional=not socket.required, tooltip=socket.tooltip)
    template = io.Autogrow.TemplatePrefix(
        media_input(socket.kind.value, kinds, tooltip=socket.tooltip),
        prefix=socket.kind.value,
        min=1 if socket.required else 0,
        max=socket.most,
    )
    return io.Autogrow.Input(socket.id, template=template, tooltip=socket.tooltip or None)


def model_input(
    models: Iterable[Model], custom: Sequence[Any] = (), on_node: Collection[str] = ()
) -> io.DynamicCombo.Input:
    """The choice of a model with its parameters below it; always a node's last widget.

    Live models come first, so that a live one is the default. `custom` are the inputs of the option
    for a model that is not listed; without any there is no such option. `on_node` are the
    parameters on the node itself.
    """
    models = list(models)
    first = [model for model in models if _may_be_first(model, on_node)][:1]
    rest = [model for model in models if model not in first]
    options = [
        io.DynamicCombo.Option(model.id, nested_inputs(model, on_node)) for model in [*first, *rest]
    ]
    if custom:
        position = 0 if rest and not first else len(options)
        options.insert(position, io.DynamicCombo.Option(CUSTOM, list(custom)))
    return io.DynamicCombo.Input("model", options=options)


def _may_be_first(model: Model, on_node: Collection[str]) -> bool:
    """The editor cannot create a node whose first option has sockets but no widget."""
    nested = _nested(model, on_node)
    has_widget = any(param.media_kind is None for param in nested)
    return not model.retired and (has_widget or not nested)


def nested_inputs(model: Model, on_node: Collection[str] = ()) -> list[Any]:
    """Inputs of every parameter except the prompt, the seed and `on_node`."""
    return [item for param in _nested(model, on_node) for item in _inputs(param)]


def _nested(model: Model, on_node: Collection[str]) -> list[Param]:
    fixed = {id(param) for param in (prompt_param(model), seed_param(model))}
    return [p for p in model.params if id(p) not in fixed and p.name not in on_node]


def key_id(param: Param, key: str) -> str:
    """Id of the socket for one entry of a dict parameter."""
    return f"{input_id(param)}_{key}"


def input_id(param: Param) -> str:
    """A parameter's name as an input id: a dot would read as nesting, `model` is the choice."""
    return "model_" if param.name == "model" else param.name.replace(".", "_")


def _inputs(param: Param) -> list[Any]:
    if param.media_kind is None:
        return [_widget(param)]
    if param.type.startswith("array["):
        return [_growing_list(param, param.media_kind)]
    if param.type.startswith("dict["):
        return [
            media_input(
                key_id(param, key),
                [_SOCKETS[param.media_kind]],
                optional=not (required and param.required),
                tooltip=_tooltip(param, label),
            )
            for key, required, label in param.keys
        ]
    kinds = [_SOCKETS[param.media_kind]]
    return [
        media_input(input_id(param), kinds, optional=not param.required, tooltip=_tooltip(param))
    ]


def _growing_list(param: Param, kind: Kind) -> io.Autogrow.Input:
    most = min(param.max_items or _MOST_SLOTS, 100)
    template = io.Autogrow.TemplatePrefix(
        media_input(kind.value, [_SOCKETS[kind]], tooltip=_tooltip(param)),
        prefix=kind.value,
        min=1 if param.required else 0,
        max=most,
    )
    return io.Autogrow.Input(input_id(param), template=template, tooltip=_tooltip(param))


def _widget(param: Param) -> Any:
    common: dict[str, Any] = {"tooltip": _tooltip(param) or None}
    if param.choices:
        return _choice(param, [str(choice.value) for choice in param.choices], common)
    if param.type == "boolean":
        if param.default is None and not param.required:
            return _choice(param, ["true", "false"], common)
        return io.Boolean.Input(
            input_id(param), default=param.default in (True, "true", 1), **common
        )
    number = _number(param, common) if param.type in ("int", "float") else None
    return number or _text(param, common)


def _choice(param: Param, values: list[str], common: dict[str, Any]) -> io.Combo.Input:
    default = None if param.default is None else str(param.default)
    if default is None and not param.required:
        values = [leave_out_option(param), *values]
    known = default if default in values else values[0]
    return io.Combo.Input(input_id(param), options=values, default=known, **common)


def leave_out_option(param: Param) -> str:
    """The option of a closed list that omits the field, so that the platform decides."""
    return f"{param.leaves} {_LEAVE_OUT}".lstrip()


def _number(param: Param, common: dict[str, Any]) -> Any:
    """A number widget; None if only an empty text field can omit the parameter."""
    try:
        default = None if param.default is None else float(param.default)
    except (TypeError, ValueError):
        default = None
    if default is None and not param.required:
        return None
    low = param.min if param.min is not None else -_WHOLE
    high = param.max if param.max is not None else _WHOLE
    start = min(max(default if default is not None else max(low, 0), low), high)
    if param.type == "int":
        return io.Int.Input(
            input_id(param), default=int(start), min=int(low), max=int(high), **common
        )
    return io.Float.Input(
        input_id(param), default=start, min=float(low), max=float(high), step=0.01, **common
    )


def _text(param: Param, common: dict[str, Any]) -> io.String.Input:
    default = "" if param.default is None else str(param.default)
    long = param.type in ("text", "array[string]") or param.type.startswith("dict[")
    # Without a placeholder the editor shows the dotted id in an empty field.
    common["placeholder"] = param.name
    return io.String.Input(input_id(param), default=default, multiline=long, **common)


def _tooltip(param: Param, label: str = "") -> str:
    """The platform's own description of a parameter, its values and its limits."""
    labelled = [choice for choice in param.choices if choice.label not in ("", str(choice.value))]
    values = "; ".join(f"{choice.value}: {choice.label}" for choice in labelled)
    lines = [label or param.label, param.help, values, limits(param.media), _format_hint(param)]
    return "\n".join(line for line in lines if line)


def _format_hint(param: Param) -> str:
    if param.type == "array[string]":
        return tr("One entry per line.")
    if param.type == "array[number]":
        return tr("Numbers separated by commas.")
    return ""


def limits(rule: MediaRule) -> str:
    """A MediaRule in one line."""
    parts = []
    if rule.min_width or rule.min_height:
        parts.append(tr("at least {size} px", size=_sides(rule.min_width, rule.min_height)))
    if rule.max_width or rule.max_height:
        parts.append(tr("at most {size} px", size=_sides(rule.max_width, rule.max_height)))
    if rule.max_bytes is not None:
        parts.append(tr("at most {size} MB", size=f"{rule.max_bytes / 2**20:g}"))
    if rule.formats:
        parts.append(", ".join(rule.formats))
    return "; ".join([*parts, rule.notes] if rule.notes else parts)


def _sides(width: int | None, height: int | None) -> str:
    return f"{width or '...'} x {height or '...'}"
