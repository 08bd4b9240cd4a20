"""Reads media files into values as ComfyUI's loaders do: with FFmpeg, as floats where possible."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageOps, ImageSequence

from .kinds import Array, Film, Sound, batch, complement

_BYTES = ("yuvj420p", "yuvj422p", "yuvj444p", "rgb24", "rgba", "pal8")  # read as 8 bits a channel
_ALIGN = 32
_MASK = (64, 64)  # of a picture without alpha


def load_image(path: Path) -> tuple[Array, Array]:
    """(IMAGE, MASK) of a picture; the mask is the complement of its alpha."""
    with av.open(str(path)) as opened:
        frames = list(_frames(opened)) if opened.streams.video else []
    if not frames:
        return _by_pillow(path)
    image = batch([frame[..., :3] for frame in frames])
    if frames[0].shape[2] < 4:
        return image, np.zeros((len(frames), *_MASK), np.float32)
    return image, complement(batch([frame[..., 3] for frame in frames]))


def load_film(film: Film) -> tuple[Array, Sound | None, Fraction]:
    """Frames [B,H,W,C], sound and frame rate of a VIDEO."""
    if film.path is None:
        assert film.frames is not None
        return film.frames, film.sound, film.rate
    with av.open(str(film.path)) as opened:
        if not opened.streams.video:
            raise ValueError("No video stream in the file.")
        frames = batch([frame[..., :3] for frame in _frames(opened)])
        rate = opened.streams.video[0].average_rate
    return frames, _audio(film.path), Fraction(rate or 1)


def load_sound(path: Path) -> Sound:
    """AUDIO of the first audio stream in a file. Raises ValueError where there is none."""
    with av.open(str(path)) as opened:
        if not opened.streams.audio:
            raise ValueError("No audio stream found in the file.")
        stream = opened.streams.audio[0]
        parts = [_channels(frame, stream.channels) for frame in opened.decode(stream)]
        if not parts:
            raise ValueError("No audio frames decoded.")
        return Sound(_floats(np.concatenate(parts, 1))[None], stream.codec_context.sample_rate)


# -- pictures -----------------------------------------------------------------------------------


def _frames(opened: av.container.InputContainer) -> Iterator[Array]:
    """float32 [H,W,3 or 4] of the first video stream, upright."""
    layout = align = None
    for packet in opened.demux(opened.streams.video[0]):
        try:
            decoded = packet.decode()
        except av.InvalidDataError:
            continue
        for frame in decoded:
            layout = layout or _layout(frame.format)
            if layout.endswith("f32le") and frame.width % _ALIGN:
                align = align or _aligner(frame)
                yield _upright(_pixels(align, frame, layout), frame.rotation)
            else:
                yield _upright(frame.to_ndarray(format=layout), frame.rotation)


def _layout(pixels: av.VideoFormat) -> str:
    alpha = pixels.name == "pal8" or any(part.is_alpha for part in pixels.components)
    if pixels.name in _BYTES:
        return "rgba" if alpha else "rgb24"
    return "gbrapf32le" if alpha else "gbrpf32le"


def _upright(pixels: Array, rotation: float) -> Array:
    floats = pixels / np.float32(255) if pixels.dtype == np.uint8 else pixels
    turned: Array = np.rot90(floats, round(rotation // 90), (0, 1))
    return turned


def _pixels(align: av.filter.Graph, frame: av.VideoFrame, layout: str) -> Array:
    align.vpush(frame)
    wide: Array = align.vpull().to_ndarray(format=layout)
    return wide[: frame.height, : frame.width]


def _aligner(frame: av.VideoFrame) -> av.filter.Graph:
    """Pads frames to whole blocks with their own edge; FFmpeg would invent the last columns."""
    wide, tall = (-(-side // _ALIGN) * _ALIGN for side in (frame.width, frame.height))
    graph = av.filter.Graph()
    links = (
        graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base or Fraction(1, 25),
        ),
        graph.add("pad", f"{wide}:{tall}:0:0"),
        graph.add(
            "fillborders",
            f"left=0:right={wide - frame.width}:top=0:bottom={tall - frame.height}:mode=smear",
        ),
        graph.add("buffersink"),
    )
    graph.link_nodes(*links).configure()
    return graph


def _by_pillow(path: Path) -> tuple[Array, Array]:
    """Animated WebP, which FFmpeg does not read."""
    images: list[Array] = []
    masks: list[Array] = []
    with Image.open(path) as opened:
        for frame in ImageSequence.Iterator(opened):
            upright = ImageOps.exif_transpose(frame)
            image = _levels(upright.convert("RGB"))
            if images and image.shape != images[0].shape:
                continue
            images.append(image)
            alpha = "A" in upright.getbands()
            mask = complement(_levels(upright.getchannel("A"))) if alpha else None
            masks.append(np.zeros(_MASK, np.float32) if mask is None else mask)
    return batch(images), batch(masks)


def _levels(image: Image.Image) -> Array:
    levels: Array = np.asarray(image).astype(np.float32) / np.float32(255)
    return levels


# -- sound --------------------------------------------------------------------------------------


def _audio(path: Path) -> Sound | None:
    """The last audio stream of a film, as planar floats."""
    with av.open(str(path)) as opened:
        if not opened.streams.audio:
            return None
        stream = opened.streams.audio[-1]
        to_floats = av.AudioResampler(format="fltp")
        parts: list[Array] = []
        for frame in opened.decode(stream):
            for part in to_floats.resample(frame):
                early = int(-(part.pts or 0) * stream.time_base * stream.sample_rate)
                skip = 0 if parts else max(0, early)
                if skip < part.samples:
                    parts.append(part.to_ndarray()[:, skip:])
        return Sound(np.concatenate(parts, 1)[None], stream.sample_rate) if parts else None


def _channels(frame: av.AudioFrame, count: int) -> Array:
    """[C,T]; packed samples are deinterleaved."""
    samples: Array = frame.to_ndarray()
    return samples if len(samples) == count else samples.reshape(-1, count).T


def _floats(samples: Array) -> Array:
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    if samples.dtype not in (np.int16, np.int32):
        raise ValueError(f"Samples of type {samples.dtype} cannot be read.")
    floats: Array = samples.astype(np.float32) / np.float32(-float(np.iinfo(samples.dtype).min))
    return floats
