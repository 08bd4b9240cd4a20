"""Films and tunes: H.264 with AAC sound, MP3 or WAV."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw

from ._draw import DrawSpec, draw_image, font, is_for_documentation, picture, pictures, write

RATE = 24
SAMPLES = 24000
LONGEST = 640
MOST_SECONDS = 30.0
_NOTES = (0, 2, 4, 7, 9, 12, 14, 16)  # a scale in which any order of notes sounds well


def draw(spec: DrawSpec, path: Path) -> Path:
    """Draw `spec` at `path`; the bytes show the format."""
    if spec.kind == "image":
        return draw_image(spec, path)
    return _draw_video(spec, path) if spec.kind == "video" else _draw_audio(spec, path)


def _draw_video(spec: DrawSpec, path: Path) -> Path:
    """A slow zoom on the first input, fading into the second where there is one."""
    scenes = _scenes(spec)
    count = max(1, round(_seconds(spec) * RATE))
    with av.open(str(path), "w", format="mp4") as film:
        stream = film.add_stream("libx264", rate=RATE)
        stream.width, stream.height = scenes[0].size
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "26", "threads": "1"}
        audio = film.add_stream("aac", rate=SAMPLES, layout="mono") if spec.sound else None
        for image in _frames(spec, scenes, count):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")))
        film.mux(stream.encode(None))
        if audio:
            audio.options = {"aac_coder": "fast"}
            _encode_sound(film, audio, _tune(spec, count / RATE))
    return path


def _scenes(spec: DrawSpec) -> list[Image.Image]:
    """The pictures of the film, all of the same even size, without text."""
    inputs = pictures(spec.sources)
    width, height = spec.size or (inputs[0].size if inputs else (LONGEST, 360))
    scale = min(1.0, LONGEST / max(width, height))
    size = (max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2))
    wordless = DrawSpec("image", size=size, variant=spec.text + spec.variant)
    if is_for_documentation():
        wordless = replace(wordless, text="" if inputs else spec.text)
    return [picture(wordless, [i]) for i in inputs[:2]] or [picture(wordless, [])]


def _frames(spec: DrawSpec, scenes: list[Image.Image], count: int) -> Iterator[Image.Image]:
    """Every frame has its number; the picture below changes on every third only, to save time."""
    for number in range(count):
        if number % 3 == 0:
            view = _view(scenes, number / count)
            write(view, spec.text)
        image = view.copy()
        if not is_for_documentation():
            _count(image, f"{number + 1}/{count}")
        yield image


def _view(scenes: list[Image.Image], part: float) -> Image.Image:
    image = scenes[0]
    if len(scenes) > 1:
        image = Image.blend(image, scenes[1], min(1.0, max(0.0, part * 2 - 0.5)))
    dx, dy = image.width * 0.06 * part, image.height * 0.06 * part
    box = (dx, dy, image.width - dx, image.height - dy)
    return image.resize(image.size, Image.Resampling.BILINEAR, box)


def _count(image: Image.Image, text: str) -> None:
    size = max(10, min(image.size) // 14)
    pen = ImageDraw.Draw(image)
    spot = (image.width - pen.textlength(text, font(text, size)) - 4, image.height // 2)
    pen.text(spot, text, (255, 255, 0), font(text, size), stroke_width=1, stroke_fill=(0, 0, 0))


def _draw_audio(spec: DrawSpec, path: Path) -> Path:
    sound = _tune(spec, _seconds(spec))
    if spec.ending == "wav" or "libmp3lame" not in av.codecs_available:
        return _write_wav(sound, path)
    with av.open(str(path), "w", format="mp3") as file:
        audio = file.add_stream("libmp3lame", rate=SAMPLES, layout="mono")
        _encode_sound(file, audio, sound)
    return path


def _seconds(spec: DrawSpec) -> float:
    return min(max(0.1, spec.seconds), MOST_SECONDS)


def _tune(spec: DrawSpec, seconds: float) -> np.ndarray:
    """[1, samples] float32, a note every quarter of a second, chosen by the seed of the spec."""
    time = np.arange(round(seconds * SAMPLES)) / SAMPLES
    beat = (time * 4).astype(int)
    steps = np.array([_NOTES[byte % len(_NOTES)] for byte in spec.seed])
    pitch = 261.63 * 2 ** (steps[beat % len(steps)] / 12)
    fade = np.exp(-4 * (time * 4 - beat))
    tune: np.ndarray = 0.25 * fade * np.sin(2 * np.pi * pitch * time)
    return tune.astype(np.float32)[None]


def _encode_sound(file: av.container.OutputContainer, audio: av.AudioStream, sound: object) -> None:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), "fltp", "mono")
    frame.sample_rate = SAMPLES
    frame.pts = 0
    file.mux(audio.encode(frame))
    file.mux(audio.encode(None))


def _write_wav(sound: np.ndarray, path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLES)
        file.writeframes((sound.T * 32767).astype("<i2").tobytes())
    return path
