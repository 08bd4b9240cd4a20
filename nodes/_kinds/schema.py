"""Builds widgets and sockets from catalogue rows. Memory only: called all the time."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from comfy_api.latest import io

from ...engine.base.types import Kind, MediaRule, Model, Param
from ...engine.base.words import tr
from ...engine.platforms.counts import is_count
from ...engine.platforms.parameters import (
    has_odd_default,
    is_free,
    json_list,
    prompt_param,
    seed_param,
)
from .platform_words import foreign_note, shown_name, translated
from .search_texts import search_texts

CUSTOM = "custom"
_SUGGESTED = "SKYPORT_SUGGESTED"  # the editor's widget for a text with suggested values
_LEAVE_OUT = "(default)"  # end of the option of a closed list that leaves the field out
NO_SEED = -1  # leaves the seed out where a model does not require one
MOST_SEED = 2**31 - 1
_MOST_SLOTS = 10
_WHOLE = 2**31 - 1
_MOST_RESULTS = 1000  # in the box of a count without a maximum; the setting decides what is sent
_MOST_DECIMALS = 10
# Parameters that few people set: the editor folds them where a model does without them.
_RARE = frozenset(
    [
        "background",
        "enable_upsample",
        "enhance_prompt",
        "moderation",
        "output_compression",
        "output_format",
        "prompt_extend",
        "response_format",
        "retry_times",
        "veo_fl_close",
        "watermark",
    ]
)
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
    node: Any,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    *,
    models: Iterable[Model] = (),
    is_output_node: bool = True,
) -> io.Schema:
    """The schema of a node class that has `id`, `title` and `category`, and offers `models`."""
    return io.Schema(
        node_id=node.id,
        display_name=node.title,
        category=node.category,
        inputs=list(inputs),
        outputs=list(outputs),
        hidden=[io.Hidden.unique_id, io.Hidden.prompt],
        is_output_node=is_output_node,
        **search_texts(node.id, models),
    )


def prompt_input() -> io.String.Input:
    return io.String.Input("prompt", multiline=True, default="")


def seed_input() -> io.Int.Input:
    """Sent to models that take a seed; for others it only makes a run distinct. -1 is not sent.

    Fixed unless the user chooses otherwise: with a seed that changes by itself, queueing again
    would submit a new task, and one left running would be paid for in vain.
    """
    return io.Int.Input(
        "seed",
        default=0,
        min=NO_SEED,
        max=MOST_SEED,
        control_after_generate=io.ControlAfterGenerate.fixed,
    )


def media_input(
    id: str,
    kinds: Sequence[Any],
    *,
    optional: bool = False,
    tooltip: str = "",
    name: str | None = None,
) -> Any:
    """A socket that takes a tensor type or a STRING holding a URL."""
    return io.MultiType.Input(
        id,
        types=[*kinds, io.String],
        optional=optional,
        tooltip=tooltip or None,
        display_name=name,
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
    models: Iterable[Model],
    custom: Sequence[Any] = (),
    on_node: Collection[str] = (),
    others: Iterable[Model] = (),
) -> io.DynamicCombo.Input:
    """The choice of a model with its parameters below it; always a node's last widget.

    Live models come first, so that a live one is the default. `custom` are the inputs of the option
    for a model that is not listed; without any there is no such option. `on_node` are the
    parameters on the node itself. `others` come last: models of types that no node is for.
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
    options += [io.DynamicCombo.Option(one.id, nested_inputs(one, on_node)) for one in others]
    return io.DynamicCombo.Input("model", options=options)


def _may_be_first(model: Model, on_node: Collection[str]) -> bool:
    """The editor cannot create a node whose first option has sockets but no widget."""
    nested = _nested(model, on_node)
    has_widget = any(param.media_kind is None for param in nested)
    return not (model.retired or model.unread) and (has_widget or not nested)


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
    if param.type.startswith("dict[") and not param.keys:
        return [_widget(param)]
    if param.type.startswith("dict["):
        return [
            media_input(
                key_id(param, key),
                [_SOCKETS[param.media_kind]],
                optional=not (required and param.required),
                tooltip=_tooltip(param, label),
                name=shown_name(label, key),
            )
            for key, required, label in param.keys
        ]
    kinds = [_SOCKETS[param.media_kind]]
    return [
        media_input(
            input_id(param),
            kinds,
            optional=not param.required,
            tooltip=_tooltip(param),
            name=shown_name(param.label, param.name),
        )
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


def _is_advanced(param: Param) -> bool:
    """Whether the editor may fold a parameter: it is rarely set, and the model does without it."""
    return not param.required and param.name in _RARE


def _widget(param: Param) -> Any:
    common: dict[str, Any] = {
        "advanced": _is_advanced(param) or None,
        "tooltip": _tooltip(param) or None,
        "display_name": shown_name(param.label, param.name),
    }
    if param.choices and not param.type.startswith("array["):
        return _choice(param, [str(choice.value) for choice in param.choices], common)
    if param.type == "boolean":
        if has_odd_default(param) or (param.default is None and not param.required):
            return _choice(param, ["true", "false"], common)
        is_on = str(param.default).lower() in ("true", "1")
        return io.Boolean.Input(input_id(param), default=is_on, **common)
    number = _number(param, common) if param.type in ("int", "float") else None
    return number or _text(param, common)


def _choice(param: Param, values: list[str], common: dict[str, Any]) -> io.Combo.Input:
    """A closed list. It also offers the default, and to leave the field out, where it has to."""
    listed = (str(choice.value) for choice in param.choices if choice.value == param.default)
    default = None if param.default is None else next(listed, str(param.default))
    if default is None and not param.required:
        default = leave_out_option(param)
    if default is not None and default not in values:
        values = [default, *values]
    return io.Combo.Input(input_id(param), options=values, default=default or values[0], **common)


def leave_out_option(param: Param) -> str:
    """The option of a closed list that omits the field, so that the platform decides."""
    if param.leaves and any(choice.value == param.leaves for choice in param.choices):
        return param.leaves
    return f"{param.leaves} {_LEAVE_OUT}".lstrip()


def _number(param: Param, common: dict[str, Any]) -> Any:
    """A number widget; None if only a text field can omit the parameter or hold its default.

    Its range takes the default in, wherever the platform put it.
    """
    default = _as_number(param.default)
    if default is None and (param.default is not None or not param.required):
        return None
    if default is not None and param.type == "int" and default != int(default):
        return None
    low = param.min if param.min is not None else -_WHOLE
    high = param.max if param.max is not None else _MOST_RESULTS if is_count(param) else _WHOLE
    start = default if default is not None else min(max(low, 0), high)
    low, high = min(low, start), max(high, start)
    if param.type == "int":
        return io.Int.Input(
            input_id(param), default=int(start), min=int(low), max=int(high), **common
        )
    return io.Float.Input(
        input_id(param),
        default=start,
        min=float(low),
        max=float(high),
        step=_step(param.min, param.max, default),
        **common,
    )


def _as_number(value: Any) -> float | None:
    try:
        found = None if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found is not None and math.isfinite(found) else None


def _step(low: float | None, high: float | None, default: float | None) -> float:
    """The step of a float: it reaches both limits and the default, and ten values between them.

    The editor rounds to the step: with 0.01 a range of 0.001 to 0.999 could not be set.
    """
    digits = [2, *(_decimals(value) for value in (low, high, default) if value is not None)]
    if low is not None and high is not None and high > low:
        digits.append(1 - math.floor(math.log10(high - low)))
    return float(f"1e-{min(max(digits), _MOST_DECIMALS)}")


def _decimals(value: float) -> int:
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _text(param: Param, common: dict[str, Any]) -> io.String.Input:
    # A free type is left out until it is set: its default is the platform's, in any form.
    default = "" if param.default is None or is_free(param) else _default_text(param)
    long = param.type in ("text", "array[string]") or "dict[" in param.type or is_free(param)
    # Without a placeholder the editor shows the dotted id in an empty field.
    common["placeholder"] = param.name
    if param.suggested and not long:
        common["extra_dict"] = {"widgetType": _SUGGESTED, "suggested": list(param.suggested)}
    return io.String.Input(input_id(param), default=default, multiline=long, **common)


def suggested_text(name: str, suggested: Sequence[str]) -> Any:
    """A text for which the editor offers these, beside any other."""
    about = {"widgetType": _SUGGESTED, "suggested": list(suggested)}
    return io.String.Input(name, default=(*suggested, "")[0], placeholder=name, extra_dict=about)


def _default_text(param: Param) -> str:
    """The default as a person would type it: a list as lines, or as JSON where lines cannot."""
    value = param.default
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (list, tuple)):
        return str(value)
    if param.type != "array[string]":
        return ", ".join(map(str, value))
    texts = [str(item) for item in value]
    joined = "\n".join(texts)
    is_plain = [line.strip() for line in joined.splitlines()] == texts and all(texts)
    if is_plain and json_list(param, joined) is None:
        return joined
    return json.dumps(texts, ensure_ascii=False)


def _tooltip(param: Param, label: str = "") -> str:
    """The platform's own description of a parameter, its values and its limits."""
    own = [_named(param, label or param.label), translated(param.help), _values_hint(param)]
    lines = [
        *own,
        limits(param.media),
        _format_hint(param),
        _default_hint(param),
        foreign_note("\n".join(own)),
    ]
    return "\n".join(line for line in lines if line)


def _named(param: Param, label: str) -> str:
    """The platform's label, and in brackets the name that it gives the field."""
    shown = translated(label)
    return shown if shown.lower() in ("", param.name.lower()) else f"{shown} ({param.name})"


def _values_hint(param: Param) -> str:
    if param.type.startswith("array["):  # typed, not chosen from a list
        choices = param.choices
    else:
        choices = tuple(c for c in param.choices if c.label not in ("", str(c.value)))
    return "; ".join(
        f"{c.value}: {translated(c.label)}" if c.label else str(c.value) for c in choices
    )


def _format_hint(param: Param) -> str:
    if param.type == "array[string]":
        return tr("One entry per line, or a JSON list.")
    if param.type == "array[number]":
        return tr("Numbers separated by commas.")
    if param.type.startswith("dict[") and not param.keys:
        example = '{"start": "https://..."}' if param.media_kind else '{"start": 1}'
        return tr("A JSON object: {example}.", example=example)
    if is_free(param) and not param.choices:
        return tr("Left out while empty. JSON such as {example}, or text.", example='{"x": 1}')
    return ""


def _default_hint(param: Param) -> str:
    if param.default is None or param.media_kind is not None:
        return ""
    if is_free(param) and not param.choices:
        return tr("Default: {default}", default=json.dumps(param.default, ensure_ascii=False))
    if has_odd_default(param):
        return tr(
            "The platform's default, {default}, is outside of what it states; it is sent as it is.",
            default=_default_text(param),
        )
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
    if rule.min_seconds is not None or rule.max_seconds is not None:
        parts.append(_length(rule.min_seconds, rule.max_seconds))
    if rule.formats:
        parts.append(", ".join(rule.formats))
    return "; ".join([*parts, rule.notes] if rule.notes else parts)


def _length(least: float | None, most: float | None) -> str:
    if most is None:
        return tr("at least {count} s", count=f"{least:g}")
    if least is None:
        return tr("at most {count} s", count=f"{most:g}")
    return tr("{least} to {most} s", least=f"{least:g}", most=f"{most:g}")


def _sides(width: int | None, height: int | None) -> str:
    return f"{width or '...'} x {height or '...'}"
