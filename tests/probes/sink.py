"""The end of a test graph: says in its ui what value arrived."""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import folder_paths
import numpy as np
import torch
from comfy_api.latest import Input, InputImpl, io
from comfy_execution.utils import get_executing_context

from .sources import CATEGORY


def describe(value: Any) -> dict[str, Any]:
    """A value as JSON: its type, and what can be said of it.

    Hashes are of the file of a video, of 8 bit levels of pictures, of 16 bit levels of sound.
    """
    if isinstance(value, torch.Tensor):
        return {"type": "IMAGE" if value.ndim == 4 else "MASK", **_tensor(value, 255)}
    if isinstance(value, dict) and "waveform" in value:
        return {
            "type": "AUDIO",
            "sample_rate": value["sample_rate"],
            **_tensor(value["waveform"], 32767),
        }
    if hasattr(value, "get_components"):
        return _video(value)
    if isinstance(value, (list, tuple)):
        return {"type": "LIST", "items": [describe(one) for one in value]}
    if isinstance(value, dict):
        return {"type": "DICT", "items": {key: describe(one) for key, one in value.items()}}
    if isinstance(value, str):
        return {"type": "STRING", "value": value}
    if value is None or isinstance(value, (bool, int, float)):
        return {"type": type(value).__name__, "value": value}
    return {"type": type(value).__name__, "text": str(value)}


def _tensor(value: torch.Tensor, levels: int) -> dict[str, Any]:
    kind = torch.uint8 if levels == 255 else torch.int16
    exact = (value.float() * levels).round().clamp(-levels, levels).to(kind)
    return {
        "shape": list(value.shape),
        "dtype": str(value.dtype).removeprefix("torch."),
        "min": float(value.min()) if value.numel() else None,
        "max": float(value.max()) if value.numel() else None,
        "sha256": hashlib.sha256(exact.contiguous().numpy().tobytes()).hexdigest(),
    }


def _video(video: Any) -> dict[str, Any]:
    source = video.get_stream_source()
    fields: dict[str, Any] = {
        "type": "VIDEO",
        "size": list(video.get_dimensions()),
        "seconds": video.get_duration(),
        "frames": video.get_frame_count(),
        "rate": float(video.get_frame_rate()),
        "container": video.get_container_format(),
        "of_components": isinstance(video, InputImpl.VideoFromComponents),
    }
    if isinstance(source, str):
        fields["path"] = source
        fields["sha256"] = hashlib.sha256(Path(source).read_bytes()).hexdigest()
    return fields


class ProbeSink(io.ComfyNode):
    """`index` is the item's number where the value is one of a list."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeSink",
            category=CATEGORY,
            is_output_node=True,
            inputs=[io.AnyType.Input("value", optional=True)],
        )

    @classmethod
    def execute(cls, value=None):
        context = get_executing_context()
        fields = {**describe(value), "index": context.list_index if context else None}
        return io.NodeOutput(ui={"probe": [json.dumps(fields)]})


class ProbePass(io.ComfyNode):
    """An output node that passes its picture on, as savers of some packs do."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbePass",
            category=CATEGORY,
            is_output_node=True,
            inputs=[io.Image.Input("image")],
            outputs=[io.Image.Output("image")],
        )

    @classmethod
    def execute(cls, image):
        return io.NodeOutput(image, ui={"probe": [json.dumps(describe(image))]})


class ProbeSinkAll(io.ComfyNode):
    """Takes a whole list at once."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeSinkAll",
            category=CATEGORY,
            is_output_node=True,
            is_input_list=True,
            inputs=[io.AnyType.Input("value", optional=True)],
        )

    @classmethod
    def execute(cls, value=None):
        return io.NodeOutput(ui={"probe": [json.dumps(describe(value))]})


class ProbeArray(io.ComfyNode):
    """Keeps pictures, a mask or a sound as they are; its ui names the .npy file."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeArray",
            category=CATEGORY,
            is_output_node=True,
            inputs=[io.AnyType.Input("value")],
        )

    @classmethod
    def execute(cls, value):
        tensor = value["waveform"] if isinstance(value, dict) else value
        path = Path(folder_paths.get_output_directory()) / f"probe_{uuid.uuid4().hex}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, tensor.numpy())
        return io.NodeOutput(ui={"probe": [json.dumps(str(path))]})


class ProbeVideoFile(io.ComfyNode):
    """Makes a VIDEO a file, as SaveVideo does, where it is none yet."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeVideoFile",
            category=CATEGORY,
            inputs=[io.Video.Input("video")],
            outputs=[io.Video.Output("video")],
        )

    @classmethod
    def execute(cls, video: Input.Video):
        if not isinstance(video, InputImpl.VideoFromComponents):
            return io.NodeOutput(video)
        path = Path(folder_paths.get_temp_directory()) / f"probe_{uuid.uuid4().hex}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        video.save_to(str(path))
        return io.NodeOutput(InputImpl.VideoFromFile(str(path)))


class ProbeVideoParts(io.ComfyNode):
    """Decodes a VIDEO and makes it a file again, whole and trimmed."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeVideoParts",
            category=CATEGORY,
            inputs=[io.Video.Input("video")],
            outputs=[io.Image.Output("frames"), io.Audio.Output("audio"), io.String.Output("told")],
        )

    @classmethod
    def execute(cls, video: Input.Video):
        parts = video.get_components()
        cut = InputImpl.VideoFromFile(video.get_stream_source(), start_time=0.2, duration=0.2)
        again = Path(video.get_stream_source()).with_suffix(".again.mp4")
        video.save_to(str(again))
        fields = {
            "rate": float(parts.frame_rate),
            "trim": list(cut.get_active_trim_window()),
            "trimmed_seconds": cut.get_duration(),
            "trimmed_frames": len(cut.get_components().images),
            "again": describe(InputImpl.VideoFromFile(str(again))),
        }
        return io.NodeOutput(parts.images, parts.audio, json.dumps(fields))


NODES = [ProbeSink, ProbePass, ProbeSinkAll, ProbeArray, ProbeVideoFile, ProbeVideoParts]
