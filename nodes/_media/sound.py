"""Decodes sound to AUDIO; blocking. Broken files raise BadResult."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from ...engine.base.words import tr
from ...engine.media.container import audio_stream, iter_frames, open_container, unreadable


def has_audio(path: str | Path) -> bool:
    """True if an audio or video file has a sound track that can be decoded. Raises BadResult."""
    with open_container(Path(path)) as container:
        return audio_stream(container) is not None


def decode_audio(path: str | Path) -> dict[str, Any]:
    """AUDIO {"waveform": float32 [1,C,T], "sample_rate"} of an audio file or a video's sound track.

    Rate and channels stay as they are. Raises BadResult, also where there is no sound.
    """
    path = Path(path)
    with open_container(path) as container:
        stream = audio_stream(container)
        if stream is None:
            raise unreadable(path, tr("it has no sound track"))
        pieces, rate = _planar(iter_frames(container, stream))
    if not pieces:
        raise unreadable(path, tr("no sound could be decoded"))
    waveform = torch.from_numpy(np.concatenate(pieces, axis=1))[None]
    return {"waveform": waveform, "sample_rate": rate}


def _planar(frames: Iterator[Any]) -> tuple[list[np.ndarray], int]:
    """float32 [C,T] pieces of any sample format, and their rate: that of the first frame."""
    first = next(frames, None)
    if first is None:
        return [], 0
    target = {"format": "fltp", "layout": first.layout.name, "rate": first.sample_rate}
    resampler = av.AudioResampler(**target)
    shape, pieces = _shape_of(first), []
    for frame in chain([first], frames):
        if _shape_of(frame) != shape:  # changed mid-stream, which a resampler refuses
            pieces += _drain_resampler(resampler)
            resampler, shape = av.AudioResampler(**target), _shape_of(frame)
        pieces += [out.to_ndarray() for out in resampler.resample(frame)]
    return pieces + _drain_resampler(resampler), first.sample_rate


def _shape_of(frame: Any) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _drain_resampler(resampler: av.AudioResampler) -> list[np.ndarray]:
    return [out.to_ndarray() for out in resampler.resample(None)]
