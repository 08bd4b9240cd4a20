"""Makes VIDEO a file for upload, and reads the headers of media files; blocking."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from ....engine.base.errors import InvalidInput
from ....engine.base.types import Kind, MediaFile
from ....engine.base.words import tr
from ....engine.media.container import open_raw
from ....engine.media.files import describe, sha256_of
from . import pictures, sound, stored, tensors
from .foreign import is_foreign, reason_of

_SOUND_CHANNELS = (1, 2, 6)  # that ComfyUI saves with frames
_AAC_RATES = (
    *(96000, 88200, 64000, 48000, 44100, 32000, 24000),
    *(22050, 16000, 12000, 11025, 8000, 7350),
)

# One at a time: an encoder uses all cores, and an in-memory video has one reader at a time.
_one_encoder = threading.Lock()


def encode_video(video: Any, folder: Path) -> MediaFile:
    """The file behind an untrimmed VIDEO where there is one; otherwise an mp4 saved from it.

    Neither copies nor decodes a file on disk. The sha256 of an mp4 saved here is not of its bytes
    but of what went into it (frames and sound, or file and trim): equal videos have equal ones.
    Raises InvalidInput.
    """
    try:
        file = _video_file(video, folder)
        has_pictures = file.width is not None or _has_pictures(file.path)
    except Exception as error:
        if not is_foreign(error):
            raise
        raise _unsavable(error, tr("Look at the node it comes from.")) from error
    if not has_pictures:
        raise _no_pictures(file.name)
    return file


def probe(path: str | Path, name: str | None = None) -> MediaFile:
    """`describe`, plus the duration and a video's stored width and height from its header.

    Width and height stay None where FFmpeg has no decoder for the pictures.
    """
    file = describe(path, name)
    if file.kind is Kind.IMAGE:
        return file
    try:
        with open_raw(file.path) as container:
            return _with_sizes(file, container)
    except av.error.FFmpegError as error:
        raise InvalidInput(
            tr("{name} cannot be used: {reason}.", name=file.name, reason=reason_of(error)),
            do=tr("Choose a readable image, video or audio file."),
        ) from error


def _with_sizes(file: MediaFile, container: av.container.InputContainer) -> MediaFile:
    seconds = container.duration / av.time_base if container.duration else None
    stream = _decodable(container)
    if file.kind is not Kind.VIDEO or stream is None:
        return replace(file, duration=seconds)
    return replace(
        file,
        width=stream.width,
        height=stream.height,
        duration=seconds,
        codec=stream.codec_context.name,
    )


def _decodable(container: av.container.InputContainer) -> Any:
    """The first picture track that can be decoded. The others have no codec context."""
    return next((one for one in container.streams.video if one.codec_context is not None), None)


def _has_pictures(path: Path) -> bool:
    with open_raw(path) as container:
        return bool(container.streams.video)


def _video_file(video: Any, folder: Path) -> MediaFile:
    if _is_in_memory(video):
        ready = _savable(video)
        return _save_once(ready, _key_of_frames(ready), folder)
    # The source is the whole file even while a trim is active.
    source = video.get_stream_source()
    window = getattr(video, "get_active_trim_window", lambda: (0.0, 0.0))()
    if any(window):
        _check_trim(source, window)
        return _save_once(video, _key_of_trim(source, window), folder)
    if isinstance(source, io.BytesIO):
        # Not remuxed: Matroska generates new ids each time, and an equal run would count as new.
        held = stored.store(
            folder, "", lambda path: path.write_bytes(source.getbuffer()), tr("The video")
        )
        return probe(held.path)
    return probe(source)


def _is_in_memory(video: Any) -> bool:
    from comfy_api.latest import InputImpl

    return isinstance(video, InputImpl.VideoFromComponents)


def _save_once(video: Any, key: str, folder: Path) -> MediaFile:
    """The mp4 of `video`, saved once and named by `key`.

    x264 gives other bytes for the same frames from one run to the next. Identified by its bytes,
    an equal task would count as new and be paid for again.
    """
    final = folder / f"{key[:16]}.mp4"
    with _one_encoder:
        if not final.is_file():
            with stored.draft(folder, ".mp4") as draft:
                _save(video, draft)
                stored.rename(draft, final)
    return replace(probe(final), sha256=key)


def _save(video: Any, path: Path) -> None:
    try:
        video.save_to(str(path))
    except Exception as error:
        if not is_foreign(error):
            raise
        raise _unsavable(error, _advice(video)) from error


# -- frames and sound ---------------------------------------------------------------------------


def _savable(video: Any) -> Any:
    """`video`, or one with its frames and sound in the form that ComfyUI saves.

    Raises InvalidInput where they have none.
    """
    parts = video.get_components()
    ready = {
        "images": _frames(parts.images),
        "frame_rate": _frame_rate(parts.frame_rate),
        "audio": _sound(parts.audio),
    }
    if all(value is getattr(parts, name) for name, value in ready.items()):
        return video
    depth = {"bit_depth": video.get_bit_depth()} if hasattr(video, "get_bit_depth") else {}
    from comfy_api.latest import InputImpl

    return InputImpl.VideoFromComponents(replace(parts, **ready), **depth)


def _frames(images: Any) -> torch.Tensor:
    frames = tensors.as_images(images)
    if frames.shape[-1] == 4:
        raise InvalidInput(
            tr("The video's frames have 4 channels (RGBA), and a video has no transparency."),
            do=tr("Take the alpha channel off, for example with Split Image with Alpha."),
        )
    if not frames.is_floating_point():
        frames = tensors.to_unit(frames)
    return frames if frames.shape[-1] == 3 else frames.expand(-1, -1, -1, 3)


def _frame_rate(given: Any) -> Any:
    try:
        exact = Fraction(given if isinstance(given, (int, float, str)) else float(given))
        is_usable = 0 < round(exact * 1000) < 2**31  # as ComfyUI rounds it
    except (ArithmeticError, RuntimeError, TypeError, ValueError):
        is_usable = False
    if not is_usable:
        raise InvalidInput(
            tr("The video's frame rate is {rate}.", rate=repr(given)[:40]),
            do=tr("Look at the node it comes from."),
        )
    return given if isinstance(given, (int, float, Fraction)) else exact


def _sound(audio: Any) -> Any:
    if not isinstance(audio, (torch.Tensor, np.ndarray)) and not audio:
        return audio
    if not isinstance(audio, Mapping):
        raise sound.unusable(tr("it is a {kind}", kind=type(audio).__name__))
    rate, samples = sound.sample_rate(audio), sound.samples_of(audio)
    if samples.shape[1] not in _SOUND_CHANNELS:
        raise sound.unusable(
            tr("it has {count} channels; a video has 1, 2 or 6", count=samples.shape[1])
        )
    if torch.isinf(samples).any():
        samples = samples.clamp(-1, 1)
    kept = audio["sample_rate"] if isinstance(audio["sample_rate"], (int, float)) else rate
    if samples is audio["waveform"] and kept is audio["sample_rate"]:
        return audio
    return {**audio, "waveform": samples, "sample_rate": kept}


def _key_of_frames(video: Any) -> str:
    parts = video.get_components()
    top = 2 ** video.get_bit_depth() - 1 if hasattr(video, "get_bit_depth") else 255
    head = (tuple(parts.images.shape), str(parts.frame_rate), top)
    digest = hashlib.sha256(repr(head).encode())
    for image in parts.images:
        levels = np.empty((len(image), image[0].numel()), dtype=np.int32)
        pictures.write_levels(image, top, levels)
        digest.update(levels.data)
    if parts.audio:
        digest.update(repr(parts.audio["sample_rate"]).encode())
        digest.update(parts.audio["waveform"].contiguous().numpy().data)
    return digest.hexdigest()


# -- a part of a file ---------------------------------------------------------------------------


def _key_of_trim(source: Any, window: tuple[float, float]) -> str:
    if isinstance(source, io.BytesIO):
        whole = hashlib.sha256(source.getbuffer()).hexdigest()
    else:
        whole, _ = sha256_of(source)
    return hashlib.sha256(f"{whole} {window}".encode()).hexdigest()


def _check_trim(source: Any, window: tuple[float, float]) -> None:
    """Raises InvalidInput for a trim that leaves nothing, or of pictures that cannot be decoded."""
    with av.open(source) if isinstance(source, io.BytesIO) else open_raw(Path(source)) as container:
        if not container.streams.video:
            is_held = isinstance(source, io.BytesIO)
            raise _no_pictures(tr("The video") if is_held else Path(source).name)
        stream = _decodable(container)
        seconds = _seconds(container, stream)
    if stream is None:
        raise InvalidInput(
            tr("The video cannot be trimmed: its pictures cannot be decoded here."),
            do=tr("Link it untrimmed, or convert it to H.264 first."),
        )
    start, duration = window
    if duration < 0 or (seconds is not None and start >= seconds):
        raise InvalidInput(
            tr(
                "The trim leaves nothing: it starts at {start} s of a video of {seconds} s.",
                start=f"{start:g}",
                seconds=f"{seconds or 0:g}",
            ),
            do=tr("Begin the trim earlier, and give it a duration above 0."),
        )


def _seconds(container: av.container.InputContainer, stream: Any) -> float | None:
    """Where the pictures end, None if unknown."""
    if stream is not None and stream.duration and stream.time_base:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    return container.duration / av.time_base if container.duration else None


# -- errors -------------------------------------------------------------------------------------


def _advice(video: Any) -> str:
    """What may be done about a video that could not be saved."""
    try:
        (width, height), rate = video.get_dimensions(), _rate_of_sound(video)
    except Exception as error:
        if not is_foreign(error):
            raise
        width = height = rate = 0
    if width % 2 or height % 2:
        return tr(
            "H.264 needs an even width and height, and it is {width} x {height}.",
            width=width,
            height=height,
        )
    if rate and rate not in _AAC_RATES:
        return tr(
            "AAC has no sample rate of {rate} Hz: resample the sound, for example to 48000 Hz.",
            rate=rate,
        )
    if not _is_in_memory(video):
        return tr("Change its trim, or try a Save Video node on it.")
    return tr("Try a Save Video node on it.")


def _rate_of_sound(video: Any) -> int:
    """In Hz, 0 for a video on disk or without sound."""
    audio = video.get_components().audio if _is_in_memory(video) else None
    return int(audio["sample_rate"]) if audio else 0


def _no_pictures(name: str) -> InvalidInput:
    return InvalidInput(
        tr("{name} has no picture track.", name=name), do=tr("Link a video with pictures.")
    )


def _unsavable(error: Exception, do: str) -> InvalidInput:
    return InvalidInput(tr("The video cannot be saved: {reason}.", reason=reason_of(error)), do=do)
