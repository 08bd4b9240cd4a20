"""Small real media files for tests: written by PyAV and Pillow, broken by hand."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 44100


def pictures(count: int, width: int, height: int) -> np.ndarray:
    """Moving colour ramps, uint8 [N,H,W,3]; every frame differs."""
    y, x = np.mgrid[0:height, 0:width]
    ramps = np.stack([x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), x + y], -1)
    return np.stack([(ramps + 20 * n) % 256 for n in range(count)]).astype(np.uint8)


def write_clip(
    path: Path,
    frames: np.ndarray,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    sound: np.ndarray | None = None,
) -> Path:
    """A video at 10 frames a second; `sound` is float32 [C,T] at 44100 Hz, coded as AAC."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(10))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pix_fmt
        voice = _voice(container, sound)
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
        if voice is not None:
            _sing(container, voice, sound)
    return path


def write_sound(path: Path, sound: np.ndarray, codec: str, sample_format: str) -> Path:
    """An audio file of float32 [C,T] at 44100 Hz."""
    with av.open(str(path), "w") as container:
        voice = container.add_stream(codec, rate=RATE, layout=_layout(sound))
        voice.format = sample_format
        _sing(container, voice, sound)
    return path


def tone(channels: int, seconds: float) -> np.ndarray:
    """float32 [C,T], each channel at another pitch."""
    t = np.arange(int(RATE * seconds)) / RATE
    return np.stack([np.sin(t * 2765 * (c + 1)) * 0.5 for c in range(channels)]).astype(np.float32)


def turned(path: Path) -> Path:
    """Writes a quarter turn into the display matrix of an mp4, as phones do."""
    return with_matrix(path, 0, 1, -1, 0)


def with_matrix(path: Path, a: float, b: float, c: float, d: float) -> Path:
    """Writes (a b, c d) into the display matrix of an mp4 that has none."""
    data = bytearray(path.read_bytes())
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    a, b, c, d = (int(value * (1 << 16)) for value in (a, b, c, d))
    at = data.index(upright, data.index(b"tkhd"))
    data[at : at + len(upright)] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def with_cover(path: Path, picture: bytes) -> Path:
    """Writes a PNG as cover into an mp4 whose index is at its end: the file's first track."""
    data = path.read_bytes()
    at = data.rindex(b"moov") - 4
    cover = _box(b"covr", _box(b"data", struct.pack(">II", 14, 0) + picture))
    handler = _box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    tags = _box(b"udta", _box(b"meta", bytes(4) + handler + _box(b"ilst", cover)))
    path.write_bytes(data[:at] + _box(b"moov", tags + data[at + 8 :]))
    return path


def with_codec(path: Path, name: bytes) -> Path:
    """Calls the H.264 of an mp4 something else."""
    path.write_bytes(path.read_bytes().replace(b"avc1\0\0", name + b"\0\0"))
    return path


def declare_frames(path: Path, count: int) -> Path:
    """Lets an avi's headers claim `count` frames, whatever it holds."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"avih") + 8 + 16, count)
    struct.pack_into("<I", data, data.index(b"strh") + 8 + 32, count)
    path.write_bytes(data)
    return path


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, name) + content


def _voice(
    container: av.container.OutputContainer, sound: np.ndarray | None
) -> av.AudioStream | None:
    if sound is None:
        return None
    return container.add_stream("aac", rate=RATE, layout=_layout(sound))


def _sing(
    container: av.container.OutputContainer, voice: av.AudioStream, sound: np.ndarray
) -> None:
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(sound), format="fltp", layout=_layout(sound)
    )
    frame.sample_rate, frame.pts = RATE, 0
    resampler = av.AudioResampler(format=voice.format, layout=voice.layout, rate=RATE)
    for piece in resampler.resample(frame):
        container.mux(voice.encode(piece))
    container.mux(voice.encode(None))


def _layout(sound: np.ndarray) -> str:
    return {1: "mono", 2: "stereo", 6: "5.1"}[len(sound)]
