"""Decodes videos to VIDEO and IMAGE; previews of results. Blocking; raises BadResult."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ....engine.base.errors import BadResult
from ....engine.base.words import tr
from ....engine.media.container import (
    Losses,
    count_packets,
    first_frame,
    iter_frames,
    note_losses,
    open_container,
    unreadable,
    video_stream,
    video_streams,
)
from ....engine.media.files import sniff_file
from ....engine.media.notes import note
from ....engine.media.part_file import came_again
from ....engine.media.wholeness import is_cut, is_truncated
from .colours import FrameConverter
from .frame_batch import FrameBatch
from .pictures import first_pixels


def open_video(path: str | Path) -> Any:
    """A VIDEO backed by the file at `path`; nothing is decoded. Raises BadResult."""
    check_video(path)
    from comfy_api.latest import InputImpl

    return InputImpl.VideoFromFile(str(path))


def check_video(path: str | Path) -> None:
    """Raises BadResult if the file has no video track or is evidently truncated.

    A truncated one is taken once it has come a second time: the platform has no other. A codec
    that cannot be decoded here may still be played, saved or uploaded.
    """
    path = Path(path)
    with open_container(path) as container:
        video_streams(container, path)
    if not is_truncated(path):
        return
    if not came_again(path):
        raise unreadable(path, tr("its end is missing"))
    note(tr("{name}: its end is missing.", name=path.name))


def frame_count(path: str | Path) -> int:
    """Frames as the header declares them, else packets counted without decoding. Raises BadResult.

    May differ from what a decoder gives: headers err, and a packet can hold an invisible frame.
    """
    path = Path(path)
    with open_container(path) as container:
        stream = video_stream(container, path)
        return stream.frames or count_packets(container, stream)


def decode_frames(path: str | Path, *, free_bytes: int | None = None) -> torch.Tensor:
    """All frames of a video, upright, as one IMAGE [N,H,W,3] float32 0..1 filled in place.

    More than 8 bits a colour keep their steps. What cannot be decoded is left out and warned of.
    free_bytes  memory that may be used; None for what the machine has free
    Raises BadResult, and FramesTooLarge before the tensor is allocated.
    """
    path = Path(path)
    count = max(frame_count(path), 1)
    whole = _decoded(path, count, free_bytes)
    if whole is not None:
        return whole
    frames, losses = _decode(path, count, free_bytes, "SLICE")
    note_losses(path.name, losses)
    if is_cut(path):
        note(
            tr(
                "{name}: its end is missing; {count} frames are there.",
                name=path.name,
                count=len(frames),
            )
        )
    return frames


def _decoded(path: Path, count: int, free_bytes: int | None) -> torch.Tensor | None:
    """The frames; None where some fail: a decoder with a thread a frame loses others with them."""
    try:
        frames, losses = _decode(path, count, free_bytes, "AUTO")
    except BadResult:
        return None
    is_whole = not (losses or is_cut(path))
    return frames if is_whole else None


def _decode(
    path: Path, count: int, free_bytes: int | None, threads: str
) -> tuple[torch.Tensor, Losses]:
    losses = Losses()
    with open_container(path) as container:
        stream = video_stream(container, path)
        stream.thread_type = threads
        frames = iter_frames(container, stream, losses)
        first = first_frame(frames, path)
        if _is_transparent(stream, first):
            note(tr("{name}: `frames` are without its transparency.", name=path.name))
        with FrameBatch(count, FrameConverter(first), free_bytes) as batch:
            for frame in chain([first], frames):
                batch.add(frame)
            return batch.tensor(), losses


def _is_transparent(stream: Any, frame: Any) -> bool:
    """Whether it has an alpha plane, or VP8 and VP9's second picture, which FFmpeg passes over."""
    planes = frame.format.name.startswith(("yuva", "gbrap", "ya"))
    return bool(planes or stream.metadata.get("alpha_mode") == "1")


# -- previews ---------------------------------------------------------------------------------


def thumbnail(path: str | Path, side: int = 512) -> Image.Image:
    """An RGB preview of at most `side` pixels a side: of the image, or a video's first frame."""
    path = Path(path)
    small = Image.fromarray(_first_pixels(path))
    small.thumbnail((side, side))
    return small


def _first_pixels(path: Path) -> np.ndarray:
    if not _is_video(path):
        return first_pixels(path)
    with open_container(path) as container:
        frame = first_frame(iter_frames(container, video_stream(container, path)), path)
        return FrameConverter(frame).bytes_of(frame)


def _is_video(path: Path) -> bool:
    try:
        with open(path, "rb") as stream:
            return not sniff_file(path, stream.read(8192)).startswith("image/")
    except OSError as error:
        raise unreadable(path, error) from error
