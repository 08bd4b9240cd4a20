"""Values made from nothing, the same each time."""

from __future__ import annotations

import uuid
from fractions import Fraction
from pathlib import Path
from typing import Any

import folder_paths
import torch
from comfy_api.latest import InputImpl, Types, io

CATEGORY = "Probes"


def picture(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Levels 0..1 that are exact in 8 bits, so that a PNG gives them back unchanged."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, generator=generator).to(torch.float32) / 255.0


def tone(seconds: float, rate: int, channels: int) -> dict[str, Any]:
    """A sine of 440 Hz at half volume, each channel a little quieter than the one before."""
    time = torch.arange(int(seconds * rate)) / rate
    wave = torch.sin(2 * torch.pi * 440 * time) * 0.5
    waveform = torch.stack([wave / (number + 1) for number in range(channels)])
    return {"waveform": waveform.unsqueeze(0), "sample_rate": rate}


class ProbeImage(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeImage",
            category=CATEGORY,
            inputs=[
                io.Int.Input("seed", default=0, optional=True),
                io.Int.Input("width", default=16, optional=True, min=1),
                io.Int.Input("height", default=16, optional=True, min=1),
                io.Int.Input("batch", default=1, optional=True, min=1),
                io.Int.Input("channels", default=3, optional=True, min=1, max=4),
                io.Boolean.Input("batched", default=True, optional=True),
            ],
            outputs=[io.Image.Output("image")],
        )

    @classmethod
    def execute(cls, seed=0, width=16, height=16, batch=1, channels=3, batched=True):
        images = picture(seed, (batch, height, width, channels))
        return io.NodeOutput(images if batched else images[0])


class ProbeMask(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeMask",
            category=CATEGORY,
            inputs=[
                io.Int.Input("seed", default=0, optional=True),
                io.Int.Input("width", default=16, optional=True, min=1),
                io.Int.Input("height", default=16, optional=True, min=1),
                io.Int.Input("batch", default=1, optional=True, min=1),
            ],
            outputs=[io.Mask.Output("mask")],
        )

    @classmethod
    def execute(cls, seed=0, width=16, height=16, batch=1):
        return io.NodeOutput(picture(seed, (batch, height, width)))


class ProbeAudio(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeAudio",
            category=CATEGORY,
            inputs=[
                io.Float.Input("seconds", default=0.5, optional=True, min=0.01),
                io.Int.Input("rate", default=44100, optional=True),
                io.Int.Input("channels", default=2, optional=True, min=1, max=2),
            ],
            outputs=[io.Audio.Output("audio")],
        )

    @classmethod
    def execute(cls, seconds=0.5, rate=44100, channels=2):
        return io.NodeOutput(tone(seconds, rate, channels))


class ProbeVideo(io.ComfyNode):
    """A VIDEO backed by an MP4 file in the temp folder, or by frames in memory."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeVideo",
            category=CATEGORY,
            inputs=[
                io.Float.Input("seconds", default=0.5, optional=True, min=0.1),
                io.Boolean.Input("sound", default=True, optional=True),
                io.Int.Input("seed", default=0, optional=True),
                io.Int.Input("width", default=64, optional=True, min=16),
                io.Int.Input("height", default=48, optional=True, min=16),
                io.Boolean.Input("in_memory", default=False, optional=True),
            ],
            outputs=[io.Video.Output("video")],
        )

    @classmethod
    def execute(cls, seconds=0.5, sound=True, seed=0, width=64, height=48, in_memory=False):
        rate = Fraction(10)
        frames = picture(seed, (max(1, round(seconds * rate)), height, width, 3))
        parts = Types.VideoComponents(
            images=frames, frame_rate=rate, audio=tone(seconds, 44100, 2) if sound else None
        )
        video = InputImpl.VideoFromComponents(parts)
        if in_memory:
            return io.NodeOutput(video)
        path = Path(folder_paths.get_temp_directory()) / f"probe_{uuid.uuid4().hex}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        video.save_to(str(path))
        return io.NodeOutput(InputImpl.VideoFromFile(str(path)))


class ProbeText(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeText",
            category=CATEGORY,
            inputs=[io.String.Input("value", default="", optional=True, multiline=True)],
            outputs=[io.String.Output("text")],
        )

    @classmethod
    def execute(cls, value=""):
        return io.NodeOutput(value)


class ProbeList(io.ComfyNode):
    """The lines of a text as a list output; no lines at all give an empty list."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeList",
            category=CATEGORY,
            inputs=[io.String.Input("lines", default="a\nb\nc", optional=True, multiline=True)],
            outputs=[io.String.Output("items", is_output_list=True)],
        )

    @classmethod
    def execute(cls, lines=""):
        return io.NodeOutput(lines.splitlines())


class ProbeRepeat(io.ComfyNode):
    """A batch of the same picture `amount` times."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeRepeat",
            category=CATEGORY,
            inputs=[io.Image.Input("image"), io.Int.Input("amount", default=2, min=1)],
            outputs=[io.Image.Output("image")],
        )

    @classmethod
    def execute(cls, image, amount):
        return io.NodeOutput(image.repeat(amount, 1, 1, 1))


NODES = [ProbeRepeat, ProbeImage, ProbeMask, ProbeAudio, ProbeVideo, ProbeText, ProbeList]
