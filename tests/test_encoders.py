"""Pins each encoder against a decoder that is not ours: any shape, type and stride."""

from __future__ import annotations

import wave
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import standin  # noqa: F401  (makes comfy_api importable)
import torch
from _clips import pictures, tone, write_clip
from comfy_api.latest import InputImpl, Types
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skyport.engine.base.errors import InvalidInput
from skyport.nodes._media.encode import encode, encode_cutouts, encode_masks, encode_video

RUNS = [60, pytest.param(1_000, marks=pytest.mark.soak)]
FLOAT8 = [getattr(torch, name) for name in ("float8_e4m3fn", "float8_e5m2") if hasattr(torch, name)]
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64, *FLOAT8)
COLOURS = (*FLOATS, torch.uint8, torch.bool)
WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
NO_NUMPY = (torch.bfloat16, *FLOAT8)
STRIDES = ("as made", "axes swapped", "stepped", "expanded", "gradient", "sparse", "backwards")
SIDES = st.integers(1, 40)


def property_of(examples: int, *drawn: Any) -> Callable[[Callable[..., None]], None]:
    """Runs the decorated check that many times."""

    def run(check: Callable[..., None]) -> None:
        settings(max_examples=examples)(given(*drawn)(check))()

    return run


@st.composite
def made(draw: Any, shapes: Any, types: Sequence[torch.dtype], low: float, high: float) -> Any:
    """Values of any of the types, laid out in memory in any way; sometimes a numpy array."""
    shape, dtype = draw(shapes), draw(st.sampled_from(types))
    values = _random(draw(st.integers(0, 2**32 - 1)), shape, dtype, low, high)
    return _laid_out(values, draw(st.sampled_from(STRIDES)))


def _random(
    seed: int, shape: tuple[int, ...], dtype: torch.dtype, low: float, high: float
) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    if dtype == torch.bool:
        return torch.rand(shape, generator=generator) < 0.5
    if not dtype.is_floating_point:
        limits = torch.iinfo(dtype)
        whole = torch.randint(limits.min, limits.max, shape, generator=generator, dtype=torch.int64)
        return whole.to(dtype)
    floats = torch.rand(shape, generator=generator) * (high - low) + low
    if dtype not in FLOAT8:
        floats[torch.rand(shape, generator=generator) < 0.02] = torch.inf
        floats[torch.rand(shape, generator=generator) < 0.02] = -torch.inf
    return floats.to(dtype)


def _laid_out(values: torch.Tensor, strides: str) -> Any:
    axes = list(reversed(range(values.dim())))
    if strides == "axes swapped":
        return values.permute(axes).contiguous().permute(axes)
    if strides == "stepped":
        return torch.stack([values, values], dim=-1)[..., 0]
    if strides == "expanded":
        return values[:1].expand(values.shape)
    if strides == "gradient" and values.is_floating_point():
        return values.clone().requires_grad_()
    if strides == "sparse" and values.dtype in (torch.float32, torch.float64):
        return values.to_sparse()
    if strides == "backwards" and values.dtype not in NO_NUMPY:
        return np.flip(np.flip(values.numpy()).copy())
    return values


def numbers(value: Any) -> np.ndarray:
    """The values as float64: all types used here fit, but for the lowest bits of int64."""
    if isinstance(value, torch.Tensor):
        dense = value.detach().to_dense() if value.is_sparse else value.detach()
        return dense.to(torch.float64).numpy()
    return np.asarray(value).astype(np.float64)


def levels(value: Any) -> np.ndarray:
    """The colours in units of 1 / 255, before rounding."""
    is_bytes = str(value.dtype).endswith("uint8")
    return np.clip(numbers(value) * (1 if is_bytes else 255), 0, 255)


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture).astype(int)


def assert_nearest(got: np.ndarray, exact: np.ndarray) -> None:
    assert got.shape == exact.shape
    assert np.abs(got - exact).max() <= 0.5 + 1e-4


IMAGES = st.one_of(
    st.tuples(st.integers(1, 3), SIDES, SIDES, st.sampled_from((1, 3, 4))),
    st.tuples(SIDES, SIDES, st.sampled_from((1, 3, 4))),
    st.tuples(SIDES, SIDES),
    st.tuples(st.sampled_from((1, 2, 5)), SIDES, st.integers(5, 40)),
)


@pytest.mark.parametrize("examples", RUNS)
def test_pictures_arrive_at_the_nearest_level(examples: int, tmp_path: Path) -> None:
    @property_of(examples, made(IMAGES, COLOURS, -0.2, 1.2))
    def check(value: Any) -> None:
        shape = value.shape
        is_one = len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 3, 4))
        whole = levels(value)[None] if is_one else levels(value)
        files = encode(value, tmp_path, takes_masks=False)
        got = np.stack([read(file.path) for file in files])
        assert_nearest(got, whole.reshape(got.shape))
        assert [(file.width, file.height) for file in files] == [got.shape[2:0:-1]] * len(whole)


MASKS = st.one_of(
    st.tuples(st.integers(1, 3), SIDES, SIDES),
    st.tuples(SIDES, SIDES),
    st.tuples(st.integers(1, 3), st.just(1), SIDES, SIDES),
    st.tuples(st.integers(1, 3), st.integers(2, 40), SIDES, st.just(1)),
)


def as_batch(shape: Sequence[int]) -> tuple[int, int, int]:
    """[B,H,W] of a mask's shape."""
    if len(shape) == 4:
        return (shape[0], *shape[2:]) if shape[1] == 1 else tuple(shape[:3])
    return (1, *shape) if len(shape) == 2 else tuple(shape)


@pytest.mark.parametrize("examples", RUNS)
def test_masks_arrive_at_the_nearest_level(examples: int, tmp_path: Path) -> None:
    @property_of(examples, made(MASKS, COLOURS, -0.2, 1.2))
    def check(value: Any) -> None:
        files = encode_masks(value, tmp_path)
        got = np.stack([read(file.path) for file in files])
        assert_nearest(got, levels(value).reshape(as_batch(value.shape)))


@pytest.mark.parametrize("examples", RUNS)
def test_cutouts_are_clear_from_a_half_on(examples: int, tmp_path: Path) -> None:
    @property_of(examples, made(MASKS, COLOURS, -0.2, 1.2))
    def check(value: Any) -> None:
        is_bytes = str(value.dtype).endswith("uint8") and numbers(value).max() > 1
        half = 127.5 if is_bytes else 0.5
        alpha = np.where(numbers(value) >= half, 0, 255).reshape(as_batch(value.shape))
        got = np.stack([read(file.path) for file in encode_cutouts(value, tmp_path)])
        assert np.array_equal(got[..., 3], alpha)
        assert not got[..., :3].any()


# -- sound --------------------------------------------------------------------------------------

SOUNDS = st.one_of(
    st.tuples(st.integers(1, 2), st.integers(1, 8), st.integers(1, 90)),
    st.tuples(st.integers(1, 8), st.integers(1, 90)),
    st.tuples(st.integers(1, 90)),
)
SPELLED: tuple[Callable[[int], Any], ...] = (int, float, str, torch.tensor, np.int64)


def steps(value: Any) -> np.ndarray:
    """The samples in units of 1 / 32768, before rounding."""
    name = str(value.dtype)
    if name.endswith("uint8"):
        return (numbers(value) - 128) * 256
    bits = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}.get(name.removeprefix("torch."))
    return numbers(value) * 32768 / (2.0 ** (bits - 1) if bits else 1)


@pytest.mark.parametrize("examples", RUNS)
def test_sound_arrives_at_the_nearest_16_bit_sample(examples: int, tmp_path: Path) -> None:
    @property_of(
        examples,
        made(SOUNDS, (*FLOATS, *WHOLE), -1.1, 1.1),
        st.integers(1, 192_000),
        st.sampled_from(SPELLED),
    )
    def check(waveform: Any, rate: int, spelled: Callable[[int], Any]) -> None:
        shape = (1, 1, *waveform.shape)[-3:] if waveform.ndim < 3 else waveform.shape
        exact = np.clip(steps(waveform).reshape(shape), -32768, 32767)
        audio = {"waveform": waveform, "sample_rate": spelled(rate)}
        if 0 < np.abs(exact).max() < 0.5 and "int" in str(waveform.dtype):
            with pytest.raises(InvalidInput, match="silence"):
                encode(audio, tmp_path)
            return
        files = encode(audio, tmp_path)
        assert len(files) == shape[0]
        for file, samples in zip(files, exact, strict=True):
            with wave.open(str(file.path)) as sound:
                assert (sound.getframerate(), sound.getnchannels()) == (rate, shape[1])
                got = np.frombuffer(sound.readframes(10**6), "<i2").reshape(-1, shape[1]).T
            assert np.abs(got - samples).max() <= 0.5 + 1e-2
            assert file.duration == shape[2] / rate


def loudest(samples: np.ndarray, rate: int) -> float:
    """The strongest frequency in Hz."""
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples))


def sung(seconds: float, pitch: float, rate: int, kind: torch.dtype, shape: str) -> torch.Tensor:
    """A tone at half volume as [T], [C,T] or [1,C,T] of a type."""
    wave_form = torch.sin(torch.arange(round(seconds * rate)) / rate * 2 * torch.pi * pitch) * 0.5
    if not kind.is_floating_point:
        wave_form = wave_form.to(torch.float64) * torch.iinfo(kind).max
    return wave_form.to(kind).expand({"T": (-1,), "CT": (2, -1), "BCT": (1, 2, -1)}[shape])


SUNG = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int16, torch.int32)


@pytest.mark.parametrize("examples", RUNS)
def test_an_mp3_has_the_pitch_and_the_loudness_of_the_sound(examples: int, tmp_path: Path) -> None:
    @property_of(
        examples,
        st.integers(300, 2_000),
        st.integers(8_000, 96_000),
        st.sampled_from(SUNG),
        st.sampled_from(("T", "CT", "BCT")),
    )
    def check(pitch: int, rate: int, kind: torch.dtype, shape: str) -> None:
        waveform = sung(0.5, pitch, rate, kind, shape)
        (file,) = encode({"waveform": waveform, "sample_rate": rate}, tmp_path, ("mp3",))
        with av.open(str(file.path)) as container:
            played = container.streams.audio[0].rate
            assert container.streams.audio[0].channels == (1 if shape == "T" else 2)
            got = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
        middle = got[played // 5 : played * 4 // 5]
        assert abs(loudest(middle, played) - pitch) < 5
        assert abs(np.abs(middle).max() - 0.5) < 0.07
        assert file.duration == round(rate / 2) / rate


# -- video --------------------------------------------------------------------------------------

FRAMES = st.tuples(
    st.integers(1, 4),
    st.sampled_from((16, 18, 32, 50)),
    st.sampled_from((16, 22, 34, 64)),
    st.sampled_from((0, 1, 3)),  # 0: no dimension of channels
)
RATES = st.sampled_from((Fraction(24), Fraction(30000, 1001), 12, 8.5, np.float64(25.0), "10"))


def flat(shape: Sequence[int], seed: int, kind: torch.dtype) -> torch.Tensor:
    """Frames of one colour each: H.264 gives such back almost unchanged."""
    count, height, width, channels = shape
    colours = torch.rand(
        (count, 1, 1, channels or 1), generator=torch.Generator().manual_seed(seed)
    )
    frames = colours.expand(count, height, width, channels or 1)
    frames = frames.mul(255).to(kind) if kind == torch.uint8 else frames.to(kind)
    return frames if channels else frames[..., 0]


@pytest.mark.parametrize("examples", RUNS)
def test_a_video_of_frames_has_their_colours_and_their_sound(examples: int, tmp_path: Path) -> None:
    @property_of(
        examples,
        FRAMES,
        st.integers(0, 2**32 - 1),
        st.sampled_from((torch.float16, torch.float32, torch.float64, torch.uint8)),
        RATES,
        st.sampled_from((None, "T", "CT", "BCT")),
        st.sampled_from(SUNG),
    )
    def check(
        shape: Any, seed: int, kind: torch.dtype, rate: Any, sound: str | None, sung_as: Any
    ) -> None:
        if not shape[-1] and shape[0] in (3, 4):
            shape = (2, *shape[1:])  # three planes could be one picture with its channels first
        images = flat(shape, seed, kind)
        audio = sound and {
            "waveform": sung(0.5, 440, 44100, sung_as, sound),
            "sample_rate": "44100",
        }
        parts = Types.VideoComponents(images, rate, audio)
        file = encode_video(InputImpl.VideoFromComponents(parts), tmp_path)
        expected = numbers(images) * (1 if kind == torch.uint8 else 255)
        with av.open(str(file.path)) as container:
            got = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
            assert bool(container.streams.audio) == bool(sound)
        assert (file.width, file.height) == (shape[2], shape[1])
        wanted = expected.reshape(*expected.shape[:3], -1)[:, 8, 8]
        assert np.abs(np.stack(got)[:, 8, 8] - wanted).max() < 12
        if sound:
            assert_sings(file.path, 440)


def assert_sings(path: Path, pitch: float) -> None:
    """That there is a sound, and of that pitch if it is long enough to tell."""
    with av.open(str(path)) as container:
        pieces = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    samples = np.concatenate(pieces)
    assert np.abs(samples).max() > 0.2
    if len(samples) > 8_000:
        assert abs(loudest(samples, 44100) - pitch) < 20


@pytest.mark.parametrize("examples", RUNS)
def test_a_trim_sends_its_part_or_says_that_it_is_empty(examples: int, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "mine.mp4", pictures(20, 32, 16), sound=tone(1, 2.0))

    @property_of(examples, st.integers(0, 30), st.integers(-2, 30))
    def check(start: int, count: int) -> None:
        video = InputImpl.VideoFromFile(str(clip), start_time=start / 10, duration=count / 10)
        if start >= 20 or count < 0:
            with pytest.raises(InvalidInput, match="trim leaves nothing"):
                encode_video(video, tmp_path / "sent")
            return
        file = encode_video(video, tmp_path / "sent")
        with av.open(str(file.path)) as container:
            frames = sum(1 for _ in container.decode(video=0))
        assert abs(frames - (min(count, 20 - start) if count else 20 - start)) <= 1
