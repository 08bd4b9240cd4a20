"""What a node can show below itself."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import av
import folder_paths
import numpy as np
from PIL import Image as PilImage
from PIL.PngImagePlugin import PngInfo

from ._sockets import FolderType


class SavedResult(dict):  # type: ignore[type-arg]
    """Names a file that GET /view can serve."""

    def __init__(self, filename: str, subfolder: str, type: FolderType) -> None:
        super().__init__(filename=filename, subfolder=subfolder, type=type.value)

    filename = property(lambda self: self["filename"])
    subfolder = property(lambda self: self["subfolder"])
    type = property(lambda self: FolderType(self["type"]))


class PreviewImage:
    """Each picture of a batch [B,H,W,C] as a PNG in the temp folder."""

    def __init__(self, image: Any, animated: bool = False, cls: Any = None, **_: Any) -> None:
        notes = _notes(cls)
        self.values = [_save_png(one, notes) for one in image]
        self.animated = animated

    def as_dict(self) -> dict[str, Any]:
        return {"images": self.values, "animated": (self.animated,)}


class PreviewMask(PreviewImage):
    """Masks [B,H,W] as grey pictures."""

    def __init__(self, mask: Any, animated: bool = False, cls: Any = None, **_: Any) -> None:
        height, width = mask.shape[-2:]
        grey = mask.reshape((-1, height, width, 1)).expand(-1, -1, -1, 3)
        super().__init__(grey, animated, cls)


class PreviewAudio:
    """Each sound of a batch as a FLAC file in the temp folder."""

    def __init__(self, audio: dict[str, Any], cls: Any = None, **_: Any) -> None:
        rate = audio["sample_rate"]
        self.values = [_save_flac(one, rate) for one in audio["waveform"].cpu()]

    def as_dict(self) -> dict[str, Any]:
        return {"audio": self.values}


class PreviewVideo:
    """Video files that are there already."""

    def __init__(self, values: list[SavedResult], **_: Any) -> None:
        self.values = values

    def as_dict(self) -> dict[str, Any]:
        return {"images": self.values, "animated": (True,)}


class PreviewText:
    def __init__(self, value: str, **_: Any) -> None:
        self.value = value

    def as_dict(self) -> dict[str, Any]:
        return {"text": (self.value,)}


def _notes(cls: Any) -> PngInfo:
    """The prompt goes into every saved picture: what stands in a widget is published with it."""
    notes = PngInfo()
    if cls is not None and cls.hidden is not None:
        if cls.hidden.prompt:
            notes.add_text("prompt", json.dumps(cls.hidden.prompt))
        for key, value in (cls.hidden.extra_pnginfo or {}).items():
            notes.add_text(key, json.dumps(value))
    return notes


def _save_png(pixels: Any, notes: PngInfo) -> SavedResult:
    result = SavedResult(f"preview_{uuid.uuid4().hex}.png", "", FolderType.temp)
    levels = np.clip(255.0 * pixels.cpu().numpy(), 0, 255).astype(np.uint8)
    PilImage.fromarray(levels).save(_path(result), pnginfo=notes, compress_level=1)
    return result


def _save_flac(waveform: Any, rate: int) -> SavedResult:
    result = SavedResult(f"preview_{uuid.uuid4().hex}.flac", "", FolderType.temp)
    layout = "mono" if waveform.shape[0] == 1 else "stereo"
    interleaved = waveform.movedim(0, 1).reshape(1, -1).float().numpy()
    with av.open(str(_path(result)), "w", format="flac") as file:
        stream = file.add_stream("flac", rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(interleaved, format="flt", layout=layout)
        frame.sample_rate = rate
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return result


def _path(result: SavedResult) -> Path:
    return Path(folder_paths.get_temp_directory()) / result.filename
