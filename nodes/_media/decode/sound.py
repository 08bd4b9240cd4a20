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
from ....engine.media.notes import collected
from .memory import NotDecoded


def has_audio(path: str | Path) -> bool:
    """True if an audio or video file has a sound track that can be decoded. Raises BadResult."""
    with open_container(Path(path)) as container:
        return audio_stream(container) is not None


def decode_audio(path: str | Path) -> dict[str, Any]:
    """AUDIO {"waveform": float32 [1,C,T], "sample_rate"} of an audio file or a video's sound track.

    Rate and channels stay as they are. Raises BadResult, also where there is no sound track, and
    NotDecoded where it is empty.
    """
    path = Path(path)
    with open_container(path) as container:
        stream = audio_stream(container)
        if stream is None:
            raise unreadable(path, tr("it has no sound track"))
        with collected() as damage:
            pieces, rate = _samples(iter_frames(container, stream))
    if damage and not pieces:
        raise unreadable(path, tr("no sound could be decoded"))
    if not pieces:
        raise NotDecoded(
            tr("The sound track of {name} is empty.", name=path.name),
            do=tr("The file is kept at {path}.", path=path),
        )
    waveform = torch.from_numpy(np.concatenate(pieces, axis=1))[None]
    return {"waveform": waveform, "sample_rate": rate}


def _samples(frames: Iterator[Any]) -> tuple[list[np.ndarray], int]:
    """float32 [C,T] pieces of any sample format, and their rate: that of the first frame."""
    first = next(frames, None)
    if first is None:
        return [], 0
    # Interleaved: PyAV crashes on the planes of more than eight channels.
    target = {"format": "flt", "layout": first.layout.name, "rate": first.sample_rate}
    resampler = av.AudioResampler(**target)
    shape, pieces = _shape_of(first), []
    for frame in chain([first], frames):
        if _shape_of(frame) != shape:  # changed mid-stream, which a resampler refuses
            pieces += _resampled(resampler, None)
            resampler, shape = av.AudioResampler(**target), _shape_of(frame)
        pieces += _resampled(resampler, frame)
    return pieces + _resampled(resampler, None), first.sample_rate


def _shape_of(frame: Any) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _resampled(resampler: av.AudioResampler, frame: Any) -> list[np.ndarray]:
    """What the resampler gives for `frame`; for None, the rest that it has kept."""
    out = resampler.resample(frame)
    return [each.to_ndarray().reshape(-1, each.layout.nb_channels).T for each in out]
