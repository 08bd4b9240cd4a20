"""Encodes tensors, VIDEO and AUDIO as files for upload; blocking. `decode` is the reverse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ....engine.base.errors import InvalidInput
from ....engine.base.types import MediaFile
from ....engine.base.words import tr
from . import tensors
from .pictures import encode_cutouts, encode_images, encode_masks
from .sound import encode_audio, encode_mp3, entries
from .video import encode_video, probe

__all__ = [
    "encode",
    "encode_audio",
    "encode_cutouts",
    "encode_images",
    "encode_masks",
    "encode_mp3",
    "encode_video",
    "is_picture",
    "probe",
]


def encode(
    value: Any, folder: Path, formats: Sequence[str] = (), *, takes_masks: bool = True
) -> list[MediaFile]:
    """One file for each item of `value`: IMAGE, MASK, VIDEO, AUDIO or a list of such.

    formats      what the platform accepts; audio becomes MP3 if that is named and WAV is not
    takes_masks  whether a tensor may be a MASK too; otherwise [H,W,C] is one picture always

    Raises InvalidInput.
    """
    if isinstance(value, (list, tuple)) and value:
        every = (encode(item, folder, formats, takes_masks=takes_masks) for item in value)
        return [file for files in every for file in files]
    if is_picture(value):
        tensor = tensors.plain(value)
        if takes_masks and tensors.is_mask(tensor):
            return encode_masks(tensor, folder)
        return encode_images(tensors.as_images(tensor), folder)
    if isinstance(value, Mapping) and (audio := entries(value)):
        is_mp3 = "mp3" in formats and "wav" not in formats
        return (encode_mp3 if is_mp3 else encode_audio)(audio, folder)
    if hasattr(value, "save_to"):
        return [encode_video(value, folder)]
    raise InvalidInput(
        tr("A {kind} is not an image, mask, video or audio.", kind=type(value).__name__),
        do=tr("Link an IMAGE, MASK, VIDEO or AUDIO output."),
    )


def is_picture(value: Any) -> bool:
    """Whether `value` holds pictures or masks: a tensor, or what some packs use in its place."""
    return isinstance(value, (torch.Tensor, np.ndarray, Image.Image))
