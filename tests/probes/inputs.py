"""Nodes that tell what `execute` was given by every kind of input."""

from __future__ import annotations

import json
from typing import Any

from comfy_api.latest import io

from .sink import describe
from .sources import CATEGORY

_seen_in_fingerprint: dict[int, Any] = {}


def _told(values: dict[str, Any]) -> io.NodeOutput:
    """Plain values as they are, the others described."""
    return io.NodeOutput(ui={"probe": [json.dumps(_plain(values))]})


def _plain(value: Any) -> Any:
    if isinstance(value, dict) and "waveform" not in value:
        return {key: _plain(one) for key, one in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return describe(value)


def _refs(minimum: int, name: str = "refs"):
    template = io.Autogrow.TemplatePrefix(io.Image.Input("ref"), prefix="ref", min=minimum, max=4)
    return io.Autogrow.Input(name, template=template)


class ProbeChoice(io.ComfyNode):
    """A DynamicCombo: numbers and combos, media, a growing row, and another DynamicCombo inside."""

    @classmethod
    def define_schema(cls):
        inner = io.DynamicCombo.Input(
            "size",
            options=[
                io.DynamicCombo.Option("preset", [io.Combo.Input("ratio", ["1:1", "16:9"])]),
                io.DynamicCombo.Option("free", [io.Int.Input("width", default=64, min=1, max=99)]),
            ],
        )
        return io.Schema(
            node_id="ProbeChoice",
            category=CATEGORY,
            is_output_node=True,
            inputs=[
                io.String.Input("prompt", default=""),
                io.DynamicCombo.Input(
                    "model",
                    options=[
                        io.DynamicCombo.Option(
                            "flux",
                            [
                                io.Int.Input("seconds", default=5, min=1, max=10),
                                io.Combo.Input("quality", ["low", "high"], optional=True),
                                io.Image.Input("image", optional=True),
                            ],
                        ),
                        io.DynamicCombo.Option("grow", [_refs(0)]),
                        io.DynamicCombo.Option("sized", [inner]),
                        io.DynamicCombo.Option("bare", []),
                    ],
                ),
            ],
        )

    @classmethod
    def execute(cls, prompt="", model=None):
        return _told({"prompt": prompt, "model": model})


class ProbeGrow(io.ComfyNode):
    """Two growing rows: one that needs an image, one of named optional texts."""

    @classmethod
    def define_schema(cls):
        names = io.Autogrow.TemplateNames(io.String.Input("line"), names=["first", "second"], min=0)
        return io.Schema(
            node_id="ProbeGrow",
            category=CATEGORY,
            is_output_node=True,
            inputs=[_refs(1), io.Autogrow.Input("lines", template=names)],
        )

    @classmethod
    def execute(cls, **values):
        return _told(values)


class ProbeMulti(io.ComfyNode):
    """Sockets of several types, one with a text widget, and one that must match its output."""

    @classmethod
    def define_schema(cls):
        match = io.MatchType.Template("T", [io.Image, io.Mask])
        media = [io.Image, io.Mask, io.Audio, io.Video]
        return io.Schema(
            node_id="ProbeMulti",
            category=CATEGORY,
            is_output_node=True,
            inputs=[
                io.MultiType.Input("media", [io.Image, io.Audio], optional=True),
                io.MultiType.Input(io.String.Input("url", default="", optional=True), media),
                io.MatchType.Input("same", template=match, optional=True),
                io.Custom("PROBE_THING").Input("thing", optional=True),
                io.Float.Input("number", default=0.5, min=0, max=1, optional=True),
                io.Boolean.Input("flag", default=False, optional=True),
            ],
            outputs=[io.MatchType.Output(template=match, id="same")],
        )

    @classmethod
    def execute(cls, **values):
        answer = _told(values)
        return io.NodeOutput(values.get("same"), ui=answer.ui)


class ProbeThing(io.ComfyNode):
    """Makes a value of a type of its own."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeThing",
            category=CATEGORY,
            outputs=[io.Custom("PROBE_THING").Output("thing")],
        )

    @classmethod
    def execute(cls):
        return io.NodeOutput({"a": [1, 2]})


class ProbeOwnCheck(io.ComfyNode):
    """validate_inputs that names `text` and `model`, and refuses a missing model by name."""

    @classmethod
    def define_schema(cls):
        option = io.DynamicCombo.Option("known", [io.Int.Input("steps", default=1, min=1, max=9)])
        return io.Schema(
            node_id="ProbeOwnCheck",
            category=CATEGORY,
            is_output_node=True,
            inputs=[
                io.Combo.Input("text", ["a", "b"]),
                io.Int.Input("number", default=1, min=1, max=3),
                io.DynamicCombo.Input("model", options=[option]),
            ],
        )

    @classmethod
    def validate_inputs(cls, text=None, model=None):
        return "that model is not known" if model is None else True

    @classmethod
    def execute(cls, text, number, model=None):
        return _told({"text": text, "number": number, "model": model})


class ProbeHidden(io.ComfyNode):
    """What `cls.hidden` holds, and whether `cls` can be written to."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeHidden",
            category=CATEGORY,
            is_output_node=True,
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
            inputs=[
                io.Int.Input("salt", default=0, optional=True),
                io.String.Input("note", optional=True),
                io.AnyType.Input("value", optional=True),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, salt=0, **rest):
        _seen_in_fingerprint[salt] = {
            "hidden": bool(cls.hidden and cls.hidden.unique_id),
            **_plain(rest),
        }
        return ""

    @classmethod
    def execute(cls, salt=0, **rest):
        try:
            cls.kept = 1
            writable = True
        except AttributeError:
            writable = False
        return _told(
            {
                "unique_id": cls.hidden.unique_id,
                "prompt": sorted(cls.hidden.prompt),
                "writable": writable,
                "rest": rest,
                "in_fingerprint": _seen_in_fingerprint.get(salt),
            }
        )


NODES = [ProbeChoice, ProbeGrow, ProbeMulti, ProbeThing, ProbeOwnCheck, ProbeHidden]
