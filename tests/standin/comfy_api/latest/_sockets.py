"""Socket types, and the inputs and outputs of nodes that have a fixed shape."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar


class FolderType(str, enum.Enum):
    input = "input"
    output = "output"
    temp = "temp"


class UploadType(str, enum.Enum):
    image = "image_upload"
    audio = "audio_upload"
    video = "video_upload"
    model = "file_upload"


class NumberDisplay(str, enum.Enum):
    number = "number"
    slider = "slider"
    gradient_slider = "gradientslider"


class ControlAfterGenerate(str, enum.Enum):
    fixed = "fixed"
    increment = "increment"
    decrement = "decrement"
    randomize = "randomize"


@dataclass(kw_only=True)
class Input:
    """One input of a node. Keywords only, after the id: stricter than the real one on purpose."""

    io_type: ClassVar[str] = ""
    wire: ClassVar[dict[str, str]] = {  # attribute -> its name in /object_info
        "display_name": "display_name",
        "tooltip": "tooltip",
        "lazy": "lazy",
        "raw_link": "rawLink",
        "advanced": "advanced",
    }

    id: str = field(kw_only=False)
    display_name: str | None = None
    optional: bool = False
    tooltip: str | None = None
    lazy: bool | None = None
    extra_dict: dict[str, Any] | None = None
    raw_link: bool | None = None
    advanced: bool | None = None

    def get_io_type(self) -> str:
        return self.io_type

    def as_dict(self) -> dict[str, Any]:
        """The options of this input as /object_info tells them."""
        fields = {name: getattr(self, attribute) for attribute, name in self.wire.items()}
        fields.update(self.extra_dict or {})
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(kw_only=True)
class WidgetInput(Input):
    wire: ClassVar[dict[str, str]] = {
        **Input.wire,
        "default": "default",
        "socketless": "socketless",
        "force_input": "forceInput",
        "widget_type": "widgetType",
    }

    default: Any = None
    widget_type: str | None = None
    socketless: bool | None = None
    force_input: bool | None = None


@dataclass(kw_only=True)
class BooleanInput(WidgetInput):
    wire: ClassVar[dict[str, str]] = {
        **WidgetInput.wire,
        "label_on": "label_on",
        "label_off": "label_off",
    }

    label_on: str | None = None
    label_off: str | None = None


@dataclass(kw_only=True)
class IntInput(WidgetInput):
    wire: ClassVar[dict[str, str]] = {
        **WidgetInput.wire,
        "min": "min",
        "max": "max",
        "step": "step",
        "control_after_generate": "control_after_generate",
        "display_mode": "display",
    }

    min: float | None = None
    max: float | None = None
    step: float | None = None
    control_after_generate: bool | ControlAfterGenerate | None = None
    display_mode: NumberDisplay | None = None


@dataclass(kw_only=True)
class FloatInput(WidgetInput):
    wire: ClassVar[dict[str, str]] = {
        **WidgetInput.wire,
        "min": "min",
        "max": "max",
        "step": "step",
        "round": "round",
        "display_mode": "display",
    }

    min: float | None = None
    max: float | None = None
    step: float | None = None
    round: float | None = None
    display_mode: NumberDisplay | None = None


@dataclass(kw_only=True)
class StringInput(WidgetInput):
    wire: ClassVar[dict[str, str]] = {
        **WidgetInput.wire,
        "multiline": "multiline",
        "placeholder": "placeholder",
        "dynamic_prompts": "dynamicPrompts",
    }

    multiline: bool = False
    placeholder: str | None = None
    dynamic_prompts: bool | None = None


@dataclass(kw_only=True)
class ComboInput(WidgetInput):
    wire: ClassVar[dict[str, str]] = {
        **WidgetInput.wire,
        "multiselect": "multiselect",
        "options": "options",
        "control_after_generate": "control_after_generate",
        "image_folder": "image_folder",
    }
    multiselect: ClassVar[bool] = False

    options: Sequence[Any] | type[enum.Enum] | None = field(default=None, kw_only=False)
    control_after_generate: bool | ControlAfterGenerate | None = None
    upload: UploadType | None = None
    image_folder: FolderType | None = None

    def __post_init__(self) -> None:
        if isinstance(self.options, type):
            self.options = [member.value for member in self.options]
        if isinstance(self.default, enum.Enum):
            self.default = self.default.value

    def as_dict(self) -> dict[str, Any]:
        return super().as_dict() | ({self.upload.value: True} if self.upload else {})


@dataclass
class Output:
    """One output of a node."""

    io_type: ClassVar[str] = ""

    id: str | None = None
    display_name: str | None = None
    tooltip: str | None = None
    is_output_list: bool = False

    def __post_init__(self) -> None:
        self.display_name = self.display_name or self.id


class ComfyType:
    """A socket type: `X.Input(...)` and `X.Output(...)` make sockets of it."""

    io_type: ClassVar[str] = ""
    Type: ClassVar[Any] = Any


def socket_type(io_type: str, takes: type = Input, gives: type = Output) -> Any:
    """The type `io_type`, with its own Input and Output classes."""
    body = {
        "io_type": io_type,
        "Input": type("Input", (takes,), {"io_type": io_type}),
        "Output": type("Output", (gives,), {"io_type": io_type}),
    }
    return type(io_type, (ComfyType,), body)


Boolean = socket_type("BOOLEAN", BooleanInput)
Int = socket_type("INT", IntInput)
Float = socket_type("FLOAT", FloatInput)
String = socket_type("STRING", StringInput)
Combo = socket_type("COMBO", ComboInput)
Image = socket_type("IMAGE")
Mask = socket_type("MASK")
Audio = socket_type("AUDIO")
Video = socket_type("VIDEO")
Latent = socket_type("LATENT")
Model = socket_type("MODEL")
Clip = socket_type("CLIP")
Vae = socket_type("VAE")
Conditioning = socket_type("CONDITIONING")
AnyType = socket_type("*")


def Custom(io_type: str) -> Any:  # noqa: N802  (ComfyUI's name)
    """A new socket type."""
    return socket_type(io_type)
