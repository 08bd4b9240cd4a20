"""Writes values to media files, encoded as ComfyUI's savers do."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from .kinds import Array, Film, Sound
from .scale import eight_bits

_BT709, _SRGB, _LIMITED = 1, 13, 1  # FFmpeg's numbers: matrix and primaries, transfer, range
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def save_image(image: Array, path: Path) -> Path:
    """One picture [H,W,C] as PNG."""
    Image.fromarray(eight_bits(np.ascontiguousarray(image))).save(path, "PNG", compress_level=1)
    return path


def save_film(film: Film, path: Path) -> Path:
    """Frames as H.264 in MP4, with their sound as AAC."""
    assert film.frames is not None
    rate = Fraction(round(film.rate * 1000), 1000)
    with av.open(str(path), "w", format="mp4") as opened:
        stream = opened.add_stream("h264", rate=rate)
        stream.height, stream.width = film.frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        _set_color(stream.codec_context)
        audio = _add_audio(opened, film.sound)
        _encode_frames(opened, stream, film.frames)
        if audio and film.sound:
            most = math.ceil(film.sound.sample_rate / rate * len(film.frames))
            _encode_sound(opened, audio, film.sound.waveform[0, :, :most], film.sound.sample_rate)
    return path


def save_sound(waveform: Array, sample_rate: int, path: Path, quality: str = "") -> Path:
    """[C,T] as FLAC, or as MP3 where a quality is given."""
    kind, codec = ("mp3", "libmp3lame") if quality else ("flac", "flac")
    layout = "mono" if len(waveform) == 1 else "stereo"
    with av.open(str(path), "w", format=kind) as opened:
        audio = opened.add_stream(codec, rate=sample_rate, layout=layout)
        if quality == "V0":
            audio.codec_context.qscale = 1
        elif quality:
            audio.bit_rate = int(quality.rstrip("k")) * 1000
        packed = np.ascontiguousarray(waveform.T).reshape(1, -1)
        _encode(opened, audio, av.AudioFrame.from_ndarray(packed, "flt", layout), sample_rate)
    return path


def _set_color(target: av.VideoCodecContext | av.VideoFrame) -> None:
    # A frame of PyAV 16.0 has no primaries and no curve: the stream's are what the file tells.
    if hasattr(target, "color_primaries"):
        target.color_primaries = _BT709
        target.color_trc = _SRGB
    target.colorspace = _BT709
    target.color_range = _LIMITED


def _encode_frames(
    opened: av.container.OutputContainer, stream: av.VideoStream, frames: Iterable[Array]
) -> None:
    for image in frames:
        levels = np.clip(image[..., :3] * np.float32(255), 0, 255).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(levels), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=_BT709)
        _set_color(frame)
        opened.mux(stream.encode(frame))
    opened.mux(stream.encode(None))


def _add_audio(opened: av.container.OutputContainer, sound: Sound | None) -> av.AudioStream | None:
    if sound is None:
        return None
    layout = _LAYOUTS.get(sound.waveform.shape[1], "stereo")
    return opened.add_stream("aac", rate=sound.sample_rate, layout=layout)


def _encode_sound(
    opened: av.container.OutputContainer, audio: av.AudioStream, waveform: Array, rate: int
) -> None:
    planes = np.ascontiguousarray(waveform, np.float32)
    frame = av.AudioFrame.from_ndarray(planes, "fltp", _LAYOUTS.get(len(planes), "stereo"))
    _encode(opened, audio, frame, rate)


def _encode(
    opened: av.container.OutputContainer, audio: av.AudioStream, frame: av.AudioFrame, rate: int
) -> None:
    frame.sample_rate = rate
    frame.pts = 0
    opened.mux(audio.encode(frame))
    opened.mux(audio.encode(None))
