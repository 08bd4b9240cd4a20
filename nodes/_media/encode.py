"""Encodes tensors, VIDEO and AUDIO as files for upload; blocking."""

from __future__ import annotations

import hashlib
import io
import os
import threading
import uuid
import wave
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from ...engine.base.errors import InvalidInput
from ...engine.base.types import Kind, MediaFile
from ...engine.base.words import tr
from ...engine.media.container import open_raw
from ...engine.media.files import describe, sha256_of
from ...engine.media.formats import extension
from . import mp3

# FFmpeg's encoder: as small as Pillow's default, from photos to drawings, in half the time.
_PNG = {"compression_level": "5", "pred": "mixed"}
_PNG_END = b"IEND\xaeB`\x82"
_PIXELS = {1: "gray", 3: "rgb24", 4: "rgba"}
_STRIP = 32  # rows that are floats at a time
_THREADS = min(4, os.cpu_count() or 1)
_MOST_CHANNELS = 8

# One at a time: an encoder uses all cores, and an in-memory video has one reader at a time.
_one_encoder = threading.Lock()


def encode(value: Any, folder: Path, formats: Sequence[str] = ()) -> list[MediaFile]:
    """One file for each item of `value`: IMAGE, MASK, VIDEO or AUDIO. Raises InvalidInput.

    formats  what the platform accepts; audio becomes MP3 if that is named and WAV is not
    """
    if isinstance(value, torch.Tensor):
        return encode_images(value, folder) if value.dim() == 4 else encode_masks(value, folder)
    if isinstance(value, Mapping) and "waveform" in value:
        is_mp3 = "mp3" in formats and "wav" not in formats
        return (encode_mp3 if is_mp3 else encode_audio)(value, folder)
    if hasattr(value, "save_to"):
        return [encode_video(value, folder)]
    raise InvalidInput(
        tr("A {kind} is not an image, mask, video or audio.", kind=type(value).__name__),
        do=tr("Link an IMAGE, MASK, VIDEO or AUDIO output."),
    )


def encode_images(images: torch.Tensor, folder: Path) -> list[MediaFile]:
    """Lossless PNGs of IMAGE [B,H,W,C], floats 0..1, C = 1 (grey), 3 (RGB) or 4 (RGBA).

    Values are rounded to the nearest of 256 steps and clamped, so an 8-bit picture comes back
    exactly. Raises InvalidInput for another shape, an empty batch, integers and NaN.
    """
    if images.dim() != 4 or images.shape[-1] not in (1, 3, 4) or images.numel() == 0:
        raise _wrong_shape(images, "[B,H,W,C]")
    with ThreadPoolExecutor(min(_THREADS, len(images))) as pool:
        return list(pool.map(lambda image: _encode_image(image, folder), images))


def encode_masks(masks: torch.Tensor, folder: Path) -> list[MediaFile]:
    """8-bit grey PNGs of MASK [B,H,W] or [H,W], floats 0..1. Raises as `encode_images`."""
    if masks.dim() not in (2, 3) or masks.numel() == 0:
        raise _wrong_shape(masks, "[B,H,W]")
    batch = masks if masks.dim() == 3 else masks[None]
    return encode_images(batch[..., None], folder)


def encode_cutouts(masks: torch.Tensor, folder: Path) -> list[MediaFile]:
    """RGBA PNGs of MASK [B,H,W] or [H,W]: transparent where it is 0.5 or more, opaque elsewhere.

    Platforms expect the region to repaint in this form. Raises as `encode_images`.
    """
    if masks.dim() not in (2, 3) or masks.numel() == 0:
        raise _wrong_shape(masks, "[B,H,W]")
    batch = masks if masks.dim() == 3 else masks[None]
    alpha = torch.where(batch >= 0.5, 0.0, 1.0) + 0 * batch  # NaN stays NaN, and is reported
    return encode_images(torch.stack([0 * alpha] * 3 + [alpha], dim=-1), folder)


def encode_mp3(audio: Mapping[str, Any], folder: Path) -> list[MediaFile]:
    """MP3s of AUDIO, one for each item of its batch; one or two channels. Raises InvalidInput.

    The sha256 is of the samples: other encoder versions give other bytes for the same sound.
    """
    rate = _rate(audio)
    batch = _batch_of_samples(audio["waveform"], max_channels=2)
    return [_encode_mp3(samples, rate, folder) for samples in batch]


def encode_audio(audio: Mapping[str, Any], folder: Path) -> list[MediaFile]:
    """16-bit PCM WAVs of AUDIO, {"waveform": [B,C,T], "sample_rate": int}, one for each B.

    Floats are clipped to -1..1; integer samples are taken at their own full scale.
    Up to 8 channels are kept. Raises InvalidInput.
    """
    rate = _rate(audio)
    batch = _batch_of_samples(audio["waveform"])
    return [_encode_wave(samples, rate, folder) for samples in batch]


def encode_video(video: Any, folder: Path) -> MediaFile:
    """The file behind an untrimmed VIDEO where there is one; otherwise an mp4 saved from it.

    Neither copies nor decodes a file on disk. The sha256 of an mp4 saved here is not of its bytes
    but of what went into it (frames and sound, or file and trim): equal videos have equal ones.
    Raises InvalidInput.
    """
    try:
        file = _video_file(video, folder)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise InvalidInput(
            tr("The video cannot be saved: {reason}.", reason=_reason(error)),
            do=tr("H.264 needs an even width and height. Try a Save Video node on it."),
        ) from error
    if file.width is None:
        raise InvalidInput(
            tr("{name} has no picture track.", name=file.name),
            do=tr("Link a video with pictures."),
        )
    return file


def probe(path: str | Path, name: str | None = None) -> MediaFile:
    """`describe`, plus the duration and a video's stored width and height from its header."""
    file = describe(path, name)
    if file.kind is Kind.IMAGE:
        return file
    try:
        with open_raw(file.path) as container:
            return _with_sizes(file, container)
    except av.error.FFmpegError as error:
        raise InvalidInput(
            tr("{name} cannot be used: {reason}.", name=file.name, reason=_reason(error)),
            do=tr("Choose a readable image, video or audio file."),
        ) from error


# -- pictures ---------------------------------------------------------------------------------


def _encode_image(image: torch.Tensor, folder: Path) -> MediaFile:
    """The PNG of one [H,W,C], named by its pixels, so that an equal image is encoded once."""
    frame, rows = _blank(image.shape)
    for top in range(0, len(rows), _STRIP):
        strip = _scaled(image[top : top + _STRIP], 255).to(torch.uint8).numpy()
        rows[top : top + _STRIP] = strip.reshape(len(strip), -1)
    digest = hashlib.sha256(f"{frame.format.name} {frame.width} {frame.height} ".encode())
    digest.update(np.ascontiguousarray(rows).data)
    final = folder / f"{digest.hexdigest()[:16]}.png"
    if not _is_whole(final):
        with _draft(folder, ".png") as draft:
            _write_png(frame, draft)
            _rename(draft, final)
    size = final.stat().st_size
    described = (digest.hexdigest(), size, frame.width, frame.height)
    return MediaFile(final, final.name, "image/png", *described)


def _is_whole(png: Path) -> bool:
    """True if the file is complete: a power cut may leave a name without its bytes."""
    try:
        return png.read_bytes()[-len(_PNG_END) :] == _PNG_END
    except FileNotFoundError:
        return False


def _blank(shape: torch.Size) -> tuple[av.VideoFrame, np.ndarray]:
    """A frame for a picture [H,W,C], and its bytes as [H,W * C]."""
    height, width, channels = shape
    frame = av.VideoFrame(width, height, _PIXELS[channels])
    frame.pts = 0
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8, height * plane.line_size)
    return frame, rows.reshape(height, plane.line_size)[:, : width * channels]


def _write_png(frame: av.VideoFrame, path: Path) -> None:
    encoder = av.CodecContext.create("png", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = frame.width, frame.height
    encoder.pix_fmt, encoder.time_base = frame.format.name, Fraction(1)
    encoder.options, encoder.thread_count = _PNG, 1
    with path.open("wb") as stream:
        for packet in (*encoder.encode(frame), *encoder.encode(None)):
            stream.write(packet)


def _scaled(image: torch.Tensor, top: int) -> torch.Tensor:
    """Whole numbers 0..top, still as floats, nearest to the floats 0..1 of `image`."""
    if not image.is_floating_point():
        raise InvalidInput(
            tr("The image holds {kind}, not floats from 0 to 1.", kind=str(image.dtype)),
            do=tr("Divide it by its greatest value first."),
        )
    floats = image.detach().to("cpu", torch.float32)
    # A sum is quick, and NaN if any of its terms is.
    if torch.isnan(floats.sum()) and torch.isnan(floats).any():
        raise InvalidInput(
            tr("The image holds NaN (not a number) instead of colours."),
            do=tr("Look for the node that made it: often a VAE in half precision."),
        )
    return floats.mul(top).round_().clamp_(0, top)


def _wrong_shape(tensor: torch.Tensor, wanted: str) -> InvalidInput:
    return InvalidInput(
        tr(
            "The tensor has shape {shape}; {wanted} is needed, with nothing empty.",
            shape=list(tensor.shape),
            wanted=wanted,
        ),
        do=tr("Look at the node it comes from."),
    )


# -- sound ------------------------------------------------------------------------------------


def _encode_wave(samples: torch.Tensor, rate: int, folder: Path) -> MediaFile:
    channels, length = samples.shape
    # 32768, as FFmpeg reads it back: an int16 sample keeps its value on the round trip.
    steps = samples.mul(32768).round_().clamp_(-32768, 32767).to(torch.int16)
    frames = steps.t().contiguous().numpy().astype("<i2").tobytes()

    def write(path: Path) -> None:
        with wave.open(str(path), "wb") as sound:
            sound.setnchannels(channels)
            sound.setsampwidth(2)
            sound.setframerate(rate)
            sound.writeframes(frames)

    return replace(_store(folder, ".wav", write), duration=length / rate)


def _encode_mp3(samples: torch.Tensor, rate: int, folder: Path) -> MediaFile:
    floats = samples.clamp(-1, 1).contiguous().numpy()
    digest = hashlib.sha256(f"mp3 {rate} {floats.shape}".encode())
    digest.update(floats.data)
    file = _store(folder, ".mp3", lambda path: mp3.write(floats, rate, path))
    return replace(file, sha256=digest.hexdigest(), duration=floats.shape[1] / rate)


def _rate(audio: Mapping[str, Any]) -> int:
    rate = int(audio.get("sample_rate") or 0)
    if rate <= 0:
        raise _bad_audio(tr("it has no sample rate"))
    return rate


def _batch_of_samples(waveform: torch.Tensor, max_channels: int = _MOST_CHANNELS) -> torch.Tensor:
    if waveform.dim() == 2:
        waveform = waveform[None]
    if waveform.dim() != 3 or waveform.numel() == 0:
        raise _wrong_shape(waveform, "[B,C,T]")
    if waveform.shape[1] > max_channels:
        raise _bad_audio(
            tr(
                "it has {count} channels; at most {most} can be sent",
                count=waveform.shape[1],
                most=max_channels,
            )
        )
    samples = _full_scale(waveform.detach().cpu())
    if torch.isnan(samples).any():
        raise _bad_audio(tr("it holds NaN (not a number) instead of samples"))
    return samples


def _full_scale(waveform: torch.Tensor) -> torch.Tensor:
    # Some ComfyUI versions pass on a file's integer samples unchanged.
    if waveform.is_floating_point():
        return waveform.to(torch.float32)
    if waveform.dtype == torch.uint8:
        return (waveform.to(torch.float32) - 128) / 128
    return (waveform.to(torch.float64) / -float(torch.iinfo(waveform.dtype).min)).to(torch.float32)


def _bad_audio(reason: str) -> InvalidInput:
    return InvalidInput(
        tr("The audio cannot be used: {reason}.", reason=reason),
        do=tr("Look at the node it comes from."),
    )


# -- video ------------------------------------------------------------------------------------


def _video_file(video: Any, folder: Path) -> MediaFile:
    from comfy_api.latest import InputImpl

    if isinstance(video, InputImpl.VideoFromComponents):
        return _save_once(video, _key_of_frames(video), folder)
    # The source is the whole file even while a trim is active.
    source, window = video.get_stream_source(), video.get_active_trim_window()
    if any(window):
        return _save_once(video, _key_of_trim(source, window), folder)
    if isinstance(source, io.BytesIO):
        # Not remuxed: Matroska generates new ids each time, and an equal run would count as new.
        return probe(_store(folder, "", lambda path: path.write_bytes(source.getbuffer())).path)
    return probe(source)


def _save_once(video: Any, key: str, folder: Path) -> MediaFile:
    """The mp4 of `video`, saved once and named by `key`.

    x264 gives other bytes for the same frames from one run to the next. Identified by its bytes,
    an equal task would count as new and be paid for again.
    """
    final = folder / f"{key[:16]}.mp4"
    with _one_encoder:
        if not final.is_file():
            with _draft(folder, ".mp4") as draft:
                video.save_to(str(draft))
                _rename(draft, final)
    return replace(probe(final), sha256=key)


def _key_of_frames(video: Any) -> str:
    parts = video.get_components()
    top = 2 ** video.get_bit_depth() - 1 if hasattr(video, "get_bit_depth") else 255
    head = (tuple(parts.images.shape), str(parts.frame_rate), top)
    digest = hashlib.sha256(repr(head).encode())
    for image in parts.images:
        digest.update(_scaled(image, top).to(torch.int32).contiguous().numpy().data)
    if parts.audio:
        digest.update(repr(parts.audio["sample_rate"]).encode())
        digest.update(_batch_of_samples(parts.audio["waveform"]).contiguous().numpy().data)
    return digest.hexdigest()


def _key_of_trim(source: Any, window: tuple[float, float]) -> str:
    if isinstance(source, io.BytesIO):
        whole = hashlib.sha256(source.getbuffer()).hexdigest()
    else:
        whole, _ = sha256_of(source)
    return hashlib.sha256(f"{whole} {window}".encode()).hexdigest()


def _with_sizes(file: MediaFile, container: av.container.InputContainer) -> MediaFile:
    seconds = container.duration / av.time_base if container.duration else None
    if file.kind is not Kind.VIDEO or not container.streams.video:
        return replace(file, duration=seconds)
    stream = container.streams.video[0]
    return replace(
        file,
        width=stream.width,
        height=stream.height,
        duration=seconds,
        codec=stream.codec_context.name,
    )


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).rstrip(".")


# -- files ------------------------------------------------------------------------------------


def _store(folder: Path, suffix: str, write: Callable[[Path], Any]) -> MediaFile:
    """The file that `write` creates, stored in `folder` under a name derived from its content."""
    with _draft(folder, suffix) as draft:
        write(draft)
        return _rename_to_hash(describe(draft), folder)


@contextmanager
def _draft(folder: Path, suffix: str) -> Iterator[Path]:
    """A unique temporary path to write to, so that threads writing the same file do not clash."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{uuid.uuid4().hex}{suffix}"
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _rename_to_hash(draft: MediaFile, folder: Path) -> MediaFile:
    final = folder / f"{draft.sha256[:16]}.{extension(draft.mime)}"
    if not (final.is_file() and final.stat().st_size == draft.size):
        _rename(draft.path, final)
    return replace(draft, path=final, name=final.name, corrected_name="")


def _rename(draft: Path, final: Path) -> None:
    try:
        os.replace(draft, final)
    except PermissionError:
        # Windows: another thread wrote the same file, and it is open somewhere.
        if not final.is_file():
            raise
