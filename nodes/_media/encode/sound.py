"""Encodes AUDIO as WAV or MP3; blocking."""

from __future__ import annotations

import hashlib
import math
import wave
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import torch

from ....engine.base.errors import InvalidInput
from ....engine.base.types import MediaFile
from ....engine.base.words import tr
from . import mp3, stored, tensors
from .foreign import is_foreign, reason_of

_MOST_CHANNELS = 8
_MOST_RATE = 1_000_000  # Hz
_MOST_WAV_BYTES = 2**32 - 100  # its sizes have 32 bits


def encode_mp3(audio: Mapping[str, Any], folder: Path) -> list[MediaFile]:
    """MP3s of AUDIO, one for each item of its batch; one or two channels. Raises InvalidInput.

    The sha256 is of the samples: other encoder versions give other bytes for the same sound.
    """
    rate = sample_rate(audio)
    batch = samples_of(audio, max_channels=2)
    return [_encode_mp3(samples, rate, folder) for samples in batch]


def encode_audio(audio: Mapping[str, Any], folder: Path) -> list[MediaFile]:
    """16-bit PCM WAVs of AUDIO, {"waveform": [B,C,T], "sample_rate": int}, one for each B.

    Floats are clipped to -1..1; integer samples are taken at their own full scale.
    Up to 8 channels are kept. Raises InvalidInput.
    """
    rate = sample_rate(audio)
    batch = samples_of(audio)
    return [_encode_wave(samples, rate, folder) for samples in batch]


def entries(value: Mapping[str, Any]) -> dict[str, Any]:
    """Of AUDIO, its waveform and sample rate, as far as it has them; {} for another mapping.

    Some packs read a file only when these are asked for. Raises InvalidInput where that fails.
    """
    try:
        return {name: value[name] for name in ("waveform", "sample_rate") if name in value}
    except Exception as error:
        if not is_foreign(error):
            raise
        raise unusable(reason_of(error)) from error


def sample_rate(audio: Mapping[str, Any]) -> int:
    """The sample rate in Hz, however it is written. Raises InvalidInput."""
    given = audio.get("sample_rate")
    try:
        rate = 0.0 if given is None or isinstance(given, bool) else float(given)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise unusable(tr("its sample rate is {rate}", rate=repr(given)[:40])) from None
    if not math.isfinite(rate) or rate > _MOST_RATE:
        raise unusable(tr("its sample rate is {rate}", rate=given))
    if rate < 1:
        raise unusable(tr("it has no sample rate"))
    return int(rate)


def samples_of(audio: Mapping[str, Any], max_channels: int = _MOST_CHANNELS) -> torch.Tensor:
    """The waveform as float32 [B,C,T], also of [C,T] and [T]. Raises InvalidInput."""
    if audio.get("waveform") is None:
        raise unusable(tr("it has no waveform"))
    waveform = tensors.plain(audio["waveform"])
    if waveform.dim() in (1, 2):
        waveform = waveform.reshape(1, -1, waveform.shape[-1]) if waveform.numel() else waveform
    if waveform.dim() != 3 or waveform.numel() == 0:
        raise tensors.wrong_shape(waveform, "[B,C,T]")
    if waveform.shape[1] > max_channels:
        raise unusable(
            tr(
                "it has {count} channels; at most {most} can be sent",
                count=waveform.shape[1],
                most=max_channels,
            )
        )
    samples = _full_scale(waveform)
    if torch.isnan(samples).any():
        raise unusable(tr("it holds NaN (not a number) instead of samples"))
    return samples


def unusable(reason: str) -> InvalidInput:
    """The error for AUDIO that cannot be sent."""
    return InvalidInput(
        tr("The audio cannot be used: {reason}.", reason=reason),
        do=tr("Look at the node it comes from."),
    )


def _encode_wave(samples: torch.Tensor, rate: int, folder: Path) -> MediaFile:
    channels, length = samples.shape
    if 2 * samples.numel() > _MOST_WAV_BYTES:
        raise unusable(tr("it is too long for a WAV file: {seconds} s", seconds=length // rate))
    # 32768, as FFmpeg reads it back: an int16 sample keeps its value on the round trip.
    steps = samples.mul(32768).round_().clamp_(-32768, 32767).to(torch.int16)
    frames = steps.t().contiguous().numpy().astype("<i2").tobytes()

    def write(path: Path) -> None:
        with wave.open(str(path), "wb") as sound:
            sound.setnchannels(channels)
            sound.setsampwidth(2)
            sound.setframerate(rate)
            sound.writeframes(frames)

    return replace(stored.store(folder, ".wav", write), duration=length / rate)


def _encode_mp3(samples: torch.Tensor, rate: int, folder: Path) -> MediaFile:
    floats = samples.clamp(-1, 1).contiguous().numpy()
    digest = hashlib.sha256(f"mp3 {rate} {floats.shape}".encode())
    digest.update(floats.data)
    try:
        file = stored.store(folder, ".mp3", lambda path: mp3.write(floats, rate, path))
    except (av.error.FFmpegError, ValueError) as error:
        reason = tr("it cannot become an MP3 at {rate} Hz ({reason})", rate=rate, reason=error)
        raise unusable(reason) from error
    return replace(file, sha256=digest.hexdigest(), duration=floats.shape[1] / rate)


def _full_scale(waveform: torch.Tensor) -> torch.Tensor:
    # Some ComfyUI versions pass on a file's integer samples unchanged.
    if waveform.is_floating_point():
        return waveform.to(torch.float32)
    if waveform.dtype == torch.bool:
        raise unusable(tr("it holds {kind} instead of samples", kind=str(waveform.dtype)))
    half = 2.0 ** (8 * waveform.itemsize - 1)
    silence = 0 if waveform.dtype.is_signed else half
    floats = ((waveform.to(torch.float64) - silence) / half).to(torch.float32)
    if floats.any() and floats.abs().max() < 2**-16:
        raise unusable(_almost_silent(waveform))
    return floats


def _almost_silent(waveform: torch.Tensor) -> str:
    """Why integers that fill a sliver of their type are not sent: 16-bit samples in 64 bits."""
    peak = int(waveform.to(torch.float64).abs().max())
    kind = str(waveform.dtype)
    return tr("its {kind} samples reach {peak} only, which is silence", kind=kind, peak=peak)
