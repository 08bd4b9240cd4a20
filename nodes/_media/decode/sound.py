"""Decodes sound to AUDIO; blocking. Broken files raise BadResult."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from ....engine.base.words import tr
from ....engine.media.container import audio_stream, iter_frames, open_container, unreadable
from ....engine.media.files import size_text
from ....engine.media.notes import collected
from .memory import FramesTooLarge, NotDecoded, free_memory


def has_audio(path: str | Path) -> bool:
    """True if an audio or video file has a sound track that can be decoded. Raises BadResult."""
    with open_container(Path(path)) as container:
        return audio_stream(container) is not None


def decode_audio(path: str | Path, *, free_bytes: int | None = None) -> dict[str, Any]:
    """AUDIO {"waveform": float32 [1,C,T], "sample_rate"} of an audio file or a video's sound track.

    Rate and channels stay as they are.
    free_bytes  memory that may be used; None for what the machine has free
    Raises BadResult, also where there is no sound track, NotDecoded where it is empty, and
    FramesTooLarge where it does not fit in memory.
    """
    path = Path(path)
    free = free_memory() if free_bytes is None else free_bytes
    with open_container(path) as container:
        stream = audio_stream(container)
        if stream is None:
            raise unreadable(path, tr("it has no sound track"))
        with collected() as damage:
            pieces = _Pieces(path, free)
            rate = _samples(iter_frames(container, stream), pieces)
    if damage and not pieces.arrays:
        raise unreadable(path, tr("no sound could be decoded"))
    if not pieces.arrays:
        raise NotDecoded(
            tr("The sound track of {name} is empty.", name=path.name),
            do=tr("The file is kept at {path}.", path=path),
        )
    waveform = torch.from_numpy(np.concatenate(pieces.arrays, axis=1))[None]
    return {"waveform": waveform, "sample_rate": rate}


class _Pieces:
    """float32 [C,T] arrays that are put together in the end, so that they are there twice."""

    def __init__(self, path: Path, free: int | None) -> None:
        self.arrays: list[np.ndarray] = []
        self._path, self._free, self._needed = path, free, 0

    def add(self, arrays: list[np.ndarray]) -> None:
        """Raises FramesTooLarge."""
        self.arrays += arrays
        self._needed += 2 * sum(array.nbytes for array in arrays)
        if self._free is not None and self._needed > self._free:
            raise self._too_large(self._needed, self._free)

    def _too_large(self, needed: int, free: int) -> FramesTooLarge:
        return FramesTooLarge(
            tr(
                "The sound of {name} does not fit in memory: {free} is free.",
                name=self._path.name,
                free=size_text(free),
            ),
            needed=needed,
            free=free,
            do=tr(
                "Nothing is lost, it is kept at {path}. Close other programs and queue again.",
                path=self._path,
            ),
        )


def _samples(frames: Iterator[Any], pieces: _Pieces) -> int:
    """Adds the samples, of any format, to `pieces`; their rate in Hz is that of the first frame."""
    first = next(frames, None)
    if first is None:
        return 0
    # Interleaved: PyAV crashes on the planes of more than eight channels.
    target = {"format": "flt", "layout": first.layout.name, "rate": first.sample_rate}
    resampler, shape = av.AudioResampler(**target), _shape_of(first)
    for frame in chain([first], frames):
        if _shape_of(frame) != shape:  # changed mid-stream, which a resampler refuses
            pieces.add(_resampled(resampler, None))
            resampler, shape = av.AudioResampler(**target), _shape_of(frame)
        pieces.add(_resampled(resampler, frame))
    pieces.add(_resampled(resampler, None))
    return int(first.sample_rate)


def _shape_of(frame: Any) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _resampled(resampler: av.AudioResampler, frame: Any) -> list[np.ndarray]:
    """What the resampler gives for `frame`; for None, the rest that it has kept."""
    out = resampler.resample(frame)
    return [each.to_ndarray().reshape(-1, each.layout.nb_channels).T for each in out]
