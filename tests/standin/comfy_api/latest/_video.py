"""VIDEO values: a file, or frames and sound in memory."""

from __future__ import annotations

import enum
import io
import json
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
import torch


class VideoCodec(str, enum.Enum):
    AUTO = "auto"
    H264 = "h264"


class VideoContainer(str, enum.Enum):
    AUTO = "auto"
    MP4 = "mp4"


@dataclass
class VideoComponents:
    """images [B,H,W,C] float32 0..1, audio {waveform [1,C,T], sample_rate} or None."""

    images: Any
    frame_rate: Fraction
    audio: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class VideoInput:
    """Base of both kinds."""

    def get_components(self) -> VideoComponents:
        raise NotImplementedError

    def save_to(
        self, path: Any, format: Any = "auto", codec: Any = "auto", metadata: Any = None
    ) -> None:
        raise NotImplementedError

    def as_trimmed(self, start_time: float = 0, duration: float = 0) -> VideoInput | None:
        raise NotImplementedError

    def get_stream_source(self) -> str | io.BytesIO:
        """A path or bytes that PyAV opens; of a trimmed video the whole of it."""
        buffer = io.BytesIO()
        self.save_to(buffer)
        buffer.seek(0)
        return buffer

    def get_active_trim_window(self) -> tuple[float, float]:
        """(start, duration) in seconds, duration 0 up to the end."""
        return 0.0, 0.0

    def get_dimensions(self) -> tuple[int, int]:
        images = self.get_components().images
        return images.shape[2], images.shape[1]

    def get_frame_count(self) -> int:
        return int(self.get_components().images.shape[0])

    def get_frame_rate(self) -> Fraction:
        return self.get_components().frame_rate

    def get_duration(self) -> float:
        return float(self.get_frame_count() / self.get_frame_rate())

    def get_container_format(self) -> str:
        with av.open(self.get_stream_source()) as file:
            return file.format.name


class VideoFromFile(VideoInput):
    """A video on disk, or the bytes of one."""

    def __init__(
        self, file: str | io.BytesIO, *, start_time: float = 0, duration: float = 0
    ) -> None:
        self._file = file
        self._start = start_time
        self._length = duration

    def get_stream_source(self) -> str | io.BytesIO:
        if isinstance(self._file, io.BytesIO):
            self._file.seek(0)
        return self._file

    def get_active_trim_window(self) -> tuple[float, float]:
        return float(self._start), float(self._length)

    def get_dimensions(self) -> tuple[int, int]:
        with av.open(self.get_stream_source()) as file:
            return file.streams.video[0].width, file.streams.video[0].height

    def get_frame_rate(self) -> Fraction:
        with av.open(self.get_stream_source()) as file:
            return Fraction(file.streams.video[0].average_rate or 1)

    def get_duration(self) -> float:
        with av.open(self.get_stream_source()) as file:
            rest = float(file.duration / av.time_base) - self._start
        return min(self._length, rest) if self._length else rest

    def get_frame_count(self) -> int:
        with av.open(self.get_stream_source()) as file:
            stream = file.streams.video[0]
            if stream.frames and not self._start and not self._length:
                return int(stream.frames)
        return round(self.get_duration() * self.get_frame_rate())

    def as_trimmed(self, start_time: float = 0, duration: float = 0) -> VideoInput | None:
        return VideoFromFile(self._file, start_time=self._start + start_time, duration=duration)

    def get_components(self) -> VideoComponents:
        with av.open(self.get_stream_source()) as file:
            rate = Fraction(file.streams.video[0].average_rate or 1)
            images = self._images(file)
            audio = self._audio(file)
            return VideoComponents(images, rate, audio, dict(file.metadata))

    def save_to(
        self, path: Any, format: Any = "auto", codec: Any = "auto", metadata: Any = None
    ) -> None:
        """Copies the streams; a trimmed video is encoded again."""
        if self._start or self._length:
            VideoFromComponents(self.get_components()).save_to(path, format, codec, metadata)
            return
        with av.open(self.get_stream_source()) as source, _open(path) as target:
            _tag(target, metadata)
            streams = {
                one: target.add_stream_from_template(one)
                for one in source.streams
                if one.type in ("video", "audio")
            }
            for packet in source.demux(*streams):
                if packet.dts is not None:
                    packet.stream = streams[packet.stream]
                    target.mux(packet)

    def _images(self, file: Any) -> Any:
        file.seek(0)
        frames = []
        for frame in file.decode(video=0):
            if self._wants(frame):
                levels = torch.from_numpy(frame.to_ndarray(format="rgb24"))
                frames.append(levels.to(torch.float32) / 255.0)
        return torch.stack(frames) if frames else torch.zeros(0, 3, 0, 0)

    def _audio(self, file: Any) -> dict[str, Any] | None:
        if not file.streams.audio:
            return None
        file.seek(0)
        stream = file.streams.audio[0]
        resampler = av.AudioResampler(format="fltp")
        pieces = [
            piece.to_ndarray()
            for frame in file.decode(stream)
            if self._wants(frame)
            for piece in resampler.resample(frame)
        ]
        if not pieces:
            return None
        waveform = torch.from_numpy(np.concatenate(pieces, axis=1)).unsqueeze(0)
        return {"waveform": waveform, "sample_rate": int(stream.sample_rate)}

    def _wants(self, frame: Any) -> bool:
        end = self._start + self._length if self._length else math.inf
        return self._start <= (frame.time or 0.0) < end


class VideoFromComponents(VideoInput):
    """Frames and sound in memory."""

    def __init__(self, components: VideoComponents, bit_depth: int = 8) -> None:
        self._components = components

    def get_components(self) -> VideoComponents:
        return self._components

    def as_trimmed(self, start_time: float = 0, duration: float = 0) -> VideoInput | None:
        whole = VideoFromFile(self.get_stream_source())  # type: ignore[arg-type]
        return whole.as_trimmed(start_time, duration)

    def save_to(
        self, path: Any, format: Any = "auto", codec: Any = "auto", metadata: Any = None
    ) -> None:
        """H.264 and AAC in an MP4."""
        parts = self._components
        rate = Fraction(round(parts.frame_rate * 1000), 1000)
        with _open(path) as file:
            _tag(file, metadata)
            video = file.add_stream("h264", rate=rate)
            video.height, video.width = parts.images.shape[1:3]
            video.pix_fmt = "yuv420p"
            sound = _sound_stream(file, parts.audio)
            for image in parts.images:
                levels = (image * 255).clamp(0, 255).byte().cpu().numpy()
                file.mux(video.encode(av.VideoFrame.from_ndarray(levels, format="rgb24")))
            file.mux(video.encode(None))
            if sound is not None:
                _encode_sound(file, sound, parts)


def _open(path: Any) -> Any:
    return av.open(path, "w", format="mp4", options={"movflags": "use_metadata_tags"})


def _tag(file: Any, metadata: dict[str, Any] | None) -> None:
    for key, value in (metadata or {}).items():
        file.metadata[key] = value if isinstance(value, str) else json.dumps(value)


def _sound_stream(file: Any, audio: dict[str, Any] | None) -> Any:
    if not audio:
        return None
    return file.add_stream(
        "aac", rate=int(audio["sample_rate"]), layout=_layout(audio["waveform"][0])
    )


def _encode_sound(file: Any, stream: Any, parts: VideoComponents) -> None:
    rate = int(parts.audio["sample_rate"])
    length = math.ceil(rate / parts.frame_rate * parts.images.shape[0])
    waveform = parts.audio["waveform"][0, :, :length].float().cpu().contiguous()
    frame = av.AudioFrame.from_ndarray(waveform.numpy(), format="fltp", layout=_layout(waveform))
    frame.sample_rate = rate
    frame.pts = 0
    file.mux(stream.encode(frame))
    file.mux(stream.encode(None))


def _layout(waveform: Any) -> str:
    return {1: "mono", 2: "stereo", 6: "5.1"}[waveform.shape[0]]
