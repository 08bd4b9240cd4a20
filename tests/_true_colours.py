"""Clips whose true colours are known: a scene coded by the formulas of ITU-T H.273, 8.3."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

# AVColorSpace, and the shares of red and blue in luma. FFmpeg takes untagged frames for BT.601.
MATRICES = {
    "untagged": (2, 0.299, 0.114),
    "smpte170m": (6, 0.299, 0.114),
    "bt470bg": (5, 0.299, 0.114),
    "bt709": (1, 0.2126, 0.0722),
    "bt2020nc": (9, 0.2627, 0.0593),
}
SAMPLINGS = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}  # columns and rows a chroma sample


def scene(height: int, width: int) -> np.ndarray:
    """float64 [H,W,3] 0..1: bright colours that change smoothly, black, white and grey."""
    y, x = np.mgrid[0:height, 0:width] / 64
    waves = np.stack(
        [np.sin(7 * x + 2 * y), np.sin(3 * y + 1 - 4 * x), np.cos(5 * x + 4 * y + 2)], -1
    )
    rgb = 0.5 + 0.5 * waves
    rgb[: height // 8, : width // 2] = 0
    rgb[: height // 8, width // 2 :] = 1
    return rgb


def pixel_format(sampling: str, bits: int) -> str:
    return f"yuv{sampling}p" + ("" if bits == 8 else f"{bits}le")


def planes(rgb: np.ndarray, matrix: str, full: bool, bits: int, sampling: str) -> list[np.ndarray]:
    """Y, Cb and Cr of `rgb`; each chroma sample is the mean of the pixels that it stands for."""
    columns, rows = SAMPLINGS[sampling]
    luma, blue, red = _yuv(rgb, matrix)
    y_scale, y_zero, c_scale, c_zero = _scales(full, bits)
    levels = [
        luma * y_scale + y_zero,
        _mean(blue, columns, rows) * c_scale + c_zero,
        _mean(red, columns, rows) * c_scale + c_zero,
    ]
    top = (1 << bits) - 1
    dtype = np.uint8 if bits == 8 else np.dtype("<u2")
    return [np.clip(np.floor(each + 0.5), 0, top).astype(dtype) for each in levels]


def true_colours(levels: list[np.ndarray], matrix: str, full: bool, bits: int) -> np.ndarray:
    """float64 [H,W,3] 0..1 that Y, Cb and Cr of one size stand for."""
    _, kr, kb = MATRICES[matrix]
    y_scale, y_zero, c_scale, c_zero = _scales(full, bits)
    luma, blue, red = (each.astype(float) for each in levels)
    luma = (luma - y_zero) / y_scale
    blue = luma + 2 * (1 - kb) * (blue - c_zero) / c_scale
    red = luma + 2 * (1 - kr) * (red - c_zero) / c_scale
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    return np.clip(np.stack([red, green, blue], -1), 0, 1)


def write_planes(
    path: Path,
    frames: list[list[np.ndarray]],
    pix_fmt: str,
    matrix: str = "untagged",
    full: bool = False,
    codec: str = "ffv1",
    options: dict[str, str] | None = None,
) -> Path:
    """A clip at 10 frames a second of these planes, tagged with the matrix and the range."""
    height, width = frames[0][0].shape
    colours, levels = MATRICES[matrix][0], 2 if full else 1
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(10), options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.colorspace, stream.codec_context.color_range = colours, levels
        for number, each in enumerate(frames):
            frame = frame_of(each, pix_fmt)
            frame.colorspace, frame.color_range = colours, levels
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def frame_of(levels: list[np.ndarray], pix_fmt: str) -> av.VideoFrame:
    """A frame of these planes."""
    frame = av.VideoFrame(levels[0].shape[1], levels[0].shape[0], pix_fmt)
    for plane, values in zip(frame.planes, levels, strict=True):
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        data = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
        rows[:, : data.shape[1]] = data
        plane.update(rows.tobytes())
    return frame


def as_comfyui(path: Path) -> np.ndarray:
    """float32 [N,H,W,3] as ComfyUI's Get Video Components makes them of a clip without alpha."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    if frames[0].format.name in ("yuvj420p", "yuvj422p", "yuvj444p", "rgb24"):
        return np.stack([f.to_ndarray(format="rgb24") for f in frames]).astype(np.float32) / 255
    return np.stack([f.to_ndarray(format="gbrpf32le") for f in frames])


def mean_error(frames: np.ndarray, rgb: np.ndarray) -> float:
    """The mean distance from the true colours, in 1/255."""
    return float(np.abs(frames - rgb).mean() * 255)


def _yuv(rgb: np.ndarray, matrix: str) -> tuple[np.ndarray, ...]:
    _, kr, kb = MATRICES[matrix]
    red, green, blue = np.moveaxis(rgb, -1, 0)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    return luma, (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))


def _scales(full: bool, bits: int) -> tuple[float, float, float, float]:
    """Of luma and chroma, each: what one stands for, and where nought is."""
    step = 1 << (bits - 8)
    top = (1 << bits) - 1
    return (top, 0, top, 128 * step) if full else (219 * step, 16 * step, 224 * step, 128 * step)


def _mean(chroma: np.ndarray, columns: int, rows: int) -> np.ndarray:
    height, width = chroma.shape
    padded = np.pad(chroma, ((0, -height % rows), (0, -width % columns)), "edge")
    return padded.reshape(len(padded) // rows, rows, -1, columns).mean((1, 3))
