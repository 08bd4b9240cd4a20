"""Encodes audio as MP3, for platforms that accept nothing else."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

_RATES = (32000, 44100, 48000)  # these allow every bit rate
_BIT_RATE = 192_000
_PIECE = 1 << 16  # samples


def write(samples: np.ndarray, rate: int, path: Path) -> None:
    """Write float32 samples [C,T], C = 1 or 2, to `path`; resampled where MP3 lacks their rate."""
    layout = "mono" if samples.shape[0] == 1 else "stereo"
    with av.open(str(path), "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=_nearest_rate(rate))
        stream.layout, stream.bit_rate = layout, _BIT_RATE
        for start in range(0, samples.shape[1], _PIECE):
            piece = np.ascontiguousarray(samples[:, start : start + _PIECE])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _nearest_rate(rate: int) -> int:
    """The lowest MP3 rate that is at least `rate`, else the highest."""
    return next((allowed for allowed in _RATES if allowed >= rate), _RATES[-1])
