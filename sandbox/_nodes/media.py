"""Nodes that load and save pictures, films and sound, and split films."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from .._files import StoredFile
from .decode import load_film, load_image, load_sound
from .encode import save_film, save_image, save_sound
from .kinds import (
    AUDIO,
    COMBO,
    FLOAT,
    IMAGE,
    INT,
    MASK,
    MOST,
    VIDEO,
    Array,
    Film,
    NodeClass,
    Sound,
    file,
    linked,
    number,
    one_of,
    text,
    whole,
)
from .scale import resize

NewPath = Callable[[], Path]
_CHANNELS = ("alpha", "red", "green", "blue")


# -- loaders ------------------------------------------------------------------------------------


def _load_image(image: StoredFile) -> tuple[Array, Array]:
    return load_image(image.path)


def _load_mask(image: StoredFile, channel: str) -> Array:
    picture, mask = load_image(image.path)
    return mask if channel == "alpha" else picture[..., _CHANNELS.index(channel) - 1]


def _load_video(file: StoredFile) -> Film:
    return Film(path=file.path)


def _load_audio(audio: StoredFile) -> Sound:
    return load_sound(audio.path)


def _load_frames(
    video: StoredFile,
    force_rate: float = 0,
    custom_width: int = 0,
    custom_height: int = 0,
    frame_load_cap: int = 0,
    skip_first_frames: int = 0,
    select_every_nth: int = 1,
) -> tuple[Array, int, Sound | None, Any]:
    """VHS_LoadVideo: (frames, their count, sound, info)."""
    frames, sound, rate = load_film(Film(path=video.path))
    if force_rate:
        count = max(1, round(len(frames) * force_rate / float(rate)))
        frames = frames[(np.arange(count) * len(frames) // count)]
    frames = frames[skip_first_frames::select_every_nth][: frame_load_cap or None]
    if not len(frames):
        raise ValueError("No frames are left.")
    width, height = custom_width or frames.shape[2], custom_height or frames.shape[1]
    if (height, width) != frames.shape[1:3]:
        frames = resize(frames, width, height, "lanczos", "center")
    info = {"loaded_fps": (force_rate or float(rate)) / select_every_nth}
    return frames, len(frames), sound, {**info, "loaded_frame_count": len(frames)}


def _load_masked_frames(**inputs: Any) -> tuple[Array, Array, Sound | None, Any]:
    """VHS_LoadVideoFFmpeg: (frames, masks, sound, info)."""
    frames, _, sound, info = _load_frames(**inputs)
    return frames, np.zeros(frames.shape[:3], np.float32), sound, info


def _load_part(audio: StoredFile, start_time: float = 0, duration: float = 0) -> Sound:
    """VHS_LoadAudioUpload; a duration of 0 means to the end."""
    sound = load_sound(audio.path)
    first = round(start_time * sound.sample_rate)
    last = first + round(duration * sound.sample_rate) if duration else None
    return Sound(sound.waveform[:, :, first:last], sound.sample_rate)


# -- films --------------------------------------------------------------------------------------


def _create(images: Array, fps: float, audio: Sound | None = None, bit_depth: int = 8) -> Film:
    return Film(frames=images, sound=audio, rate=Fraction(fps))


def _components(video: Film) -> tuple[Array, Sound | None, float, int, str]:
    frames, sound, rate = load_film(video)
    return frames, sound, float(rate), 8, "sRGB"


# -- savers -------------------------------------------------------------------------------------


def _save_images(new_path: NewPath, images: Array, filename_prefix: str = "") -> Sequence[Path]:
    return [save_image(image, new_path()) for image in images]


def _save_video(
    new_path: NewPath, video: Film, filename_prefix: str, format: str
) -> Sequence[Path]:
    if video.path:
        return [Path(shutil.copyfile(video.path, new_path()))]
    assert video.frames is not None
    tall, wide = video.frames.shape[1:3]
    if tall % 2 or wide % 2:
        raise ValueError(f"H.264 takes even sides only, not {wide} x {tall}.")
    return [save_film(video, new_path())]


def _combine(
    new_path: NewPath, images: Array, frame_rate: float, audio: Sound | None = None, **_: Any
) -> Sequence[Path]:
    """VHS_VideoCombine, always as MP4."""
    film = Film(frames=_padded(images), sound=audio, rate=Fraction(frame_rate))
    return [save_film(film, new_path())]


def _padded(frames: Array) -> Array:
    """With even sides, which H.264 requires."""
    odd = [(0, side % 2) for side in frames.shape[1:3]]
    return np.pad(frames, ((0, 0), *odd, (0, 0)), mode="edge")


def _save_audio(
    new_path: NewPath, audio: Sound | None, filename_prefix: str = "", quality: str = ""
) -> Sequence[Path]:
    if audio is None:
        raise ValueError("There is no audio to save: the video has no audio track.")
    return [save_sound(one, audio.sample_rate, new_path(), quality) for one in audio.waveform]


_PREFIX = text("ComfyUI")
_PICTURES = linked(IMAGE)
_SOUND = linked(AUDIO, required=False)
_PICTURE_FILE = file("image")
_COUNT = whole(0, 1 << 53, 0, required=False)
_SECONDS = number(0, 1e7, 0, required=False)
_FRAMES = {
    "video": file("video"),
    "force_rate": number(0, 1000, 0, required=False),
    "custom_width": whole(0, MOST, 0, required=False),
    "custom_height": whole(0, MOST, 0, required=False),
    "frame_load_cap": _COUNT,
    "skip_first_frames": _COUNT,
    "select_every_nth": whole(1, 1 << 53, 1, required=False),
}

NODES = (
    NodeClass("LoadImage", {"image": _PICTURE_FILE}, (IMAGE, MASK), _load_image),
    NodeClass("LoadImageOutput", {"image": _PICTURE_FILE}, (IMAGE, MASK), _load_image),
    NodeClass(
        "LoadImageMask",
        {"image": _PICTURE_FILE, "channel": one_of(*_CHANNELS)},
        (MASK,),
        _load_mask,
    ),
    NodeClass("LoadVideo", {"file": file("video")}, (VIDEO,), _load_video),
    NodeClass("LoadAudio", {"audio": file("audio", "video")}, (AUDIO,), _load_audio),
    NodeClass("VHS_LoadVideo", _FRAMES, (IMAGE, INT, AUDIO, "VHS_VIDEOINFO"), _load_frames),
    NodeClass(
        "VHS_LoadVideoFFmpeg", _FRAMES, (IMAGE, MASK, AUDIO, "VHS_VIDEOINFO"), _load_masked_frames
    ),
    NodeClass(
        "VHS_LoadAudioUpload",
        {"audio": file("audio", "video"), "start_time": _SECONDS, "duration": _SECONDS},
        (AUDIO,),
        _load_part,
    ),
    NodeClass(
        "CreateVideo",
        {
            "images": _PICTURES,
            "fps": number(1, 120, 30),
            "audio": _SOUND,
            "bit_depth": whole(8, 10, 8, required=False),
        },
        (VIDEO,),
        _create,
    ),
    NodeClass(
        "GetVideoComponents",
        {"video": linked(VIDEO)},
        (IMAGE, AUDIO, FLOAT, INT, COMBO),
        _components,
    ),
    NodeClass(
        "SaveImage",
        {"images": _PICTURES, "filename_prefix": _PREFIX},
        (IMAGE,),
        _save_images,
        saves="image",
    ),
    NodeClass("PreviewImage", {"images": _PICTURES}, (IMAGE,), _save_images, saves="image"),
    NodeClass(
        "SaveVideo",
        {
            "video": linked(VIDEO),
            "filename_prefix": _PREFIX,
            "format": one_of("auto", "mp4"),
        },
        (VIDEO,),
        _save_video,
        saves="video",
    ),
    NodeClass(
        "VHS_VideoCombine",
        {
            "images": _PICTURES,
            "frame_rate": number(1, 1000, 8),
            "audio": _SOUND,
            "filename_prefix": text("AnimateDiff", required=False),
        },
        ("VHS_FILENAMES",),
        _combine,
        saves="video",
    ),
    NodeClass(
        "SaveAudio",
        {"audio": linked(AUDIO), "filename_prefix": _PREFIX},
        (AUDIO,),
        _save_audio,
        saves="audio",
    ),
    NodeClass(
        "SaveAudioMP3",
        {
            "audio": linked(AUDIO),
            "filename_prefix": _PREFIX,
            "quality": one_of("V0", "128k", "320k"),
        },
        (AUDIO,),
        _save_audio,
        saves="audio",
    ),
    NodeClass("PreviewAudio", {"audio": linked(AUDIO)}, (AUDIO,), _save_audio, saves="audio"),
)
