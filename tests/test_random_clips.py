"""Pins: clips of any codec, format, size, rate, range and matrix decode as PyAV does, cut or whole.

The reference is PyAV's plain path on one thread: a packet, its frames, each as an array.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import av
import numpy as np
import pytest
import standin  # noqa: F401  (makes comfy_api importable)
from _clips import with_matrix
from _true_colours import MATRICES, scene
from av.sidedata.sidedata import Type
from skyport.engine.base.errors import BadResult
from skyport.nodes._media.decode import decode_frames

# Codec, container, pixel formats, and what a side must be a multiple of.
_KINDS: list[tuple[str, str, tuple[str, ...], int]] = [
    ("ffv1", "mkv", ("yuv420p", "yuv422p10le", "yuv444p12le", "yuva420p", "bgr0", "gray"), 1),
    ("ffv1", "avi", ("yuv410p", "yuv411p", "yuv440p", "gbrp10le", "gray10le"), 8),
    ("libx264", "mp4", ("yuv420p", "yuv420p10le", "nv12"), 2),
    ("libx264", "mp4", ("yuv444p", "gray"), 1),
    ("libx264", "mkv", ("yuv422p", "yuv444p10le"), 2),
    ("libx264", "ts", ("yuv420p",), 2),
    ("libx265", "ts", ("yuv420p", "yuv422p12le"), 2),
    ("libvpx", "webm", ("yuv420p",), 1),
    ("libvpx-vp9", "webm", ("yuv420p", "yuv444p"), 1),
    ("mpeg4", "avi", ("yuv420p",), 1),
    ("mpeg2video", "ts", ("yuv420p", "yuv422p"), 2),
    ("mjpeg", "avi", ("yuvj420p", "yuvj444p"), 1),
    ("prores_ks", "mov", ("yuv422p10le",), 2),
    ("png", "mov", ("rgb24", "rgb48be", "pal8"), 1),
    ("qtrle", "mov", ("rgb24",), 1),
    ("gif", "gif", ("rgb8", "pal8"), 1),
    ("huffyuv", "avi", ("yuv422p",), 2),
    ("rawvideo", "avi", ("yuyv422", "bgr24"), 2),
]
_OPTIONS = {"libx265": {"x265-params": "log-level=none"}, "libvpx-vp9": {"cpu-used": "8"}}
_LEAST = {"libx265": 32, "mpeg4": 16, "mpeg2video": 16}  # pixels a side
_SHARES_MATRIX = int(av.__version__.split(".")[0]) >= 17  # before, it took any clip for BT.601
_SAME = 2e-3


@pytest.mark.parametrize("seed", range(15))
def test_a_random_clip_decodes_as_by_the_plain_path(tmp_path: Path, seed: int) -> None:
    assert fault(tmp_path, seed) == ""


@pytest.mark.soak
def test_500_random_clips_decode_as_by_the_plain_path(tmp_path: Path) -> None:
    wrong = {seed: text for seed in range(500) if (text := fault(tmp_path, seed))}
    assert not wrong, f"{len(wrong)} wrong of 500: {wrong}"


def fault(folder: Path, seed: int) -> str:
    """What is wrong with the frames of the clip number `seed`, "" where nothing is."""
    chance = Random(seed)
    path, what = random_clip(folder, chance)
    expected = list(plain_frames(path))
    try:
        frames = decode_frames(path).numpy()
    except BadResult as error:
        return f"{what}: {error}" if expected else ""
    if len(frames) != len(expected):
        return f"{what}: {len(frames)} frames of {len(expected)}"
    # Of a frame that was cut, a decoder leaves to chance what it had no data for.
    sure = len(frames) - ("cut" in what)
    pairs = zip(frames[:sure], expected[:sure], strict=True)
    farthest = max((np.abs(a - b).max() for a, b in pairs), default=0)
    return "" if farthest < _SAME else f"{what}: off by {farthest * 255:.2f}/255"


def random_clip(folder: Path, chance: Random) -> tuple[Path, str]:
    """A clip of a moving scene, and what is special about it."""
    codec, container, formats, multiple = chance.choice(_KINDS)
    pix_fmt, matrix = chance.choice(formats), chance.choice(list(MATRICES))
    full, count = chance.random() < 0.4, chance.randint(1, 12)
    least = max(_LEAST.get(codec, 1), multiple)
    width, height = (max(chance.randint(1, 150) // multiple * multiple, least) for _ in "wh")
    path = folder / f"a.{container}"
    tags = (MATRICES[matrix][0], 2 if full else 1)
    wide = (scene(height, width + 3 * count) * 255).astype(np.uint8)
    pictures = [np.ascontiguousarray(wide[:, 3 * n : 3 * n + width]) for n in range(count)]
    _write(path, codec, pix_fmt, pictures, tags, chance)
    what = f"{codec} {pix_fmt} {container} {width}x{height} {matrix} full={full} x{count}"
    if container == "mp4" and chance.random() < 0.5:
        way = chance.choice([(-1, 0, 0, 1), (0, 1, -1, 0), (0, 1, 1, 0), (1, 0, 0, -1)])
        with_matrix(path, *way)
        what += f" {way}"
    if chance.random() < 0.4:
        data = path.read_bytes()
        share = chance.uniform(0.3, 0.99)
        path.write_bytes(data[: int(len(data) * share)])
        what += f" cut at {share:.2f}"
    return path, what


def plain_frames(path: Path) -> Iterator[np.ndarray]:
    """float64 [H,W,3] of every frame, shown as its matrix says."""
    alone = {"threads": 1} if _SHARES_MATRIX else {}
    for frame in _decoded(path):
        plain = frame.format.is_rgb or frame.format.has_palette
        if plain and frame.format.components[0].bits <= 8:
            yield _shown(frame, frame.to_ndarray(format="rgb24", **alone) / 255)
            continue
        tags = {} if _SHARES_MATRIX or frame.format.is_rgb else _tags(frame)
        levels = frame.to_ndarray(format="gbrpf32le", **alone, **tags)
        yield _shown(frame, np.clip(levels * 65535 / _white(frame), 0, 1))


def _decoded(path: Path) -> Iterator[Any]:
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            for packet in container.demux(stream):
                try:
                    yield from packet.decode()
                except av.error.FFmpegError:
                    continue
    except (av.error.FFmpegError, IndexError, AttributeError):
        return


def _white(frame: Any) -> int:
    """FFmpeg leaves the low bits of white empty."""
    bits, name = frame.format.components[0].bits, frame.format.name
    if frame.color_range == 2 or frame.format.is_rgb or name.startswith(("yuvj", "gray")):
        return ((1 << bits) - 1) << (16 - bits)
    return 255 << 8


def _tags(frame: Any) -> dict[str, int]:
    matrix = {1: 1, 9: 9}.get(frame.colorspace, 5)
    full = frame.color_range == 2 or frame.format.name.startswith(("yuvj", "gray"))
    return {
        "src_colorspace": matrix,
        "dst_colorspace": 1 if matrix != 1 else 5,
        "src_color_range": 2 if full else 1,
    }


def _shown(frame: Any, pixels: np.ndarray) -> np.ndarray:
    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return pixels
    a, b, _, c, d = np.sign(np.frombuffer(data, np.int32)[:5])
    rows, columns = np.mgrid[0 : pixels.shape[0], 0 : pixels.shape[1]]
    x, y = a * columns + c * rows, b * columns + d * rows
    shown = np.empty((np.ptp(y) + 1, np.ptp(x) + 1, 3))
    shown[y - y.min(), x - x.min()] = pixels
    return shown


def _write(
    path: Path,
    codec: str,
    pix_fmt: str,
    pictures: list[np.ndarray],
    tags: tuple[int, int],
    chance: Random,
) -> None:
    rate = chance.choice([Fraction(24000, 1001), Fraction(25), Fraction(10), Fraction(60)])
    varies = chance.random() < 0.3 and path.suffix in (".mp4", ".mkv", ".webm")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=_OPTIONS.get(codec, {}))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.colorspace, stream.codec_context.color_range = tags
        time = 0
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = _in_format(frame, pix_fmt)
            frame.colorspace, frame.color_range = tags
            frame.pts, frame.time_base = time, 1 / rate
            time += chance.randint(1, 4) if varies else 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _in_format(frame: Any, pix_fmt: str) -> Any:
    if pix_fmt != "pal8":
        return frame.reformat(format=pix_fmt)
    shades = frame.to_ndarray(format="gray")
    table = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, axis=1)
    table[:, 0] = 255  # opaque
    table[:, 2] //= 2  # and not grey
    return av.VideoFrame.from_ndarray((shades, table), format="pal8")
