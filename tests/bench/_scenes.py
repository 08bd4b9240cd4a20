"""Pictures and clips to measure with: the same ones every time, and like those people have."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

_GRAIN = 1.5 / 255  # what a sensor adds


def photo(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """[H,W,3] floats 0..1: shapes of all sizes, smooth, with a sensor's grain."""
    chance = torch.Generator().manual_seed(seed)
    total = torch.zeros(1, 3, height, width)
    for cells in (4, 16, 64, 256):
        coarse = torch.rand(1, 3, cells, cells, generator=chance)
        total += torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear") / cells
    total = (total - total.min()) / (total.max() - total.min())
    grain = torch.randn(1, 3, height, width, generator=chance) * _GRAIN
    return (total + grain).clamp(0, 1)[0].permute(1, 2, 0).contiguous()


def drawing(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """[H,W,3] floats 0..1: flat colours and sharp edges."""
    chance = np.random.default_rng(seed)
    canvas = np.ones((height, width, 3), np.uint8) * 255
    for _ in range(60):
        top, left = chance.integers(0, height), chance.integers(0, width)
        size = chance.integers(1, max(2, height // 4), 2)
        canvas[top : top + size[0], left : left + size[1]] = chance.integers(0, 256, 3)
    return torch.from_numpy(canvas).to(torch.float32) / 255


def clip(path: Path, height: int, width: int, frames: int, rate: int = 24) -> Path:
    """An H.264 mp4 of a photo that moves a little from frame to frame."""
    wide = (photo(height, width + 4 * frames) * 255).to(torch.uint8).numpy()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            shown = np.ascontiguousarray(wide[:, 4 * number : 4 * number + width])
            frame = av.VideoFrame.from_ndarray(shown, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
