"""Pins: what a node sends is exactly what it was given, and an equal thing is an equal file."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import wave
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import standin  # noqa: F401  (makes comfy_api importable)
import torch
from _clips import RATE, pictures, tone, write_clip
from comfy_api.latest import InputImpl, Types
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from skyport.engine.base.errors import InvalidInput
from skyport.engine.base.types import Kind
from skyport.nodes._media.decode import decode_audio, decode_frames, decode_image
from skyport.nodes._media.encode import (
    encode,
    encode_audio,
    encode_images,
    encode_masks,
    encode_video,
    probe,
)

EVERY_STEP = torch.arange(256).reshape(1, 16, 16, 1) / 255


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def mode_of(path: Path) -> str:
    with Image.open(path) as image:
        return image.mode


def row_filters(path: Path, row: int) -> bytes:
    """The filter types of a PNG's rows of `row` bytes (PNG specification, 9.2: 2 is Up)."""
    data, packed, at = path.read_bytes(), b"", 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + size]
        at += size + 12
    return zlib.decompress(packed)[:: row + 1]


# -- pictures ---------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    levels=hnp.arrays(
        np.uint8,
        st.tuples(
            st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.sampled_from((1, 3, 4))
        ),
    )
)
def test_an_8_bit_picture_comes_back_exactly(
    levels: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    images = torch.from_numpy(levels.astype(np.float32)) / 255
    files = encode_images(images, tmp_path_factory.mktemp("sent"))
    shown = images.expand(*images.shape[:3], 3) if images.shape[-1] == 1 else images
    assert torch.equal(torch.cat([decode_image(file.path) for file in files]), shown)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_flat_drawing_is_not_searched_for_the_best_filter_of_each_row(
    tmp_path: Path, channels: int
) -> None:
    drawing = torch.ones(1, 64, 48, channels)
    drawing[:, 10:40, 5:30] = 0.2
    (file,) = encode_images(drawing, tmp_path)
    assert row_filters(file.path, 48 * channels)[1:] == bytes([2] * 63)
    sent = pixels_of(file.path).reshape(64, 48, channels)
    assert np.array_equal(sent, (drawing[0] * 255).round().numpy())


def test_a_picture_with_grain_has_the_best_filter_of_each_row(tmp_path: Path) -> None:
    ramp = torch.linspace(0, 1, 48).expand(1, 64, 48)[..., None]
    grain = torch.rand(1, 64, 48, 1, generator=torch.Generator().manual_seed(1)) / 20
    (file,) = encode_images(ramp.clone() * 0.9 + grain, tmp_path)
    assert len(set(row_filters(file.path, 48)[1:])) > 1


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_each_picture_of_a_batch_is_a_png_of_its_channels(
    tmp_path: Path, channels: int, mode: str
) -> None:
    files = encode_images(torch.rand(2, 5, 7, channels), tmp_path)
    assert [(file.mime, file.width, file.height) for file in files] == [("image/png", 7, 5)] * 2
    for file in files:
        assert mode_of(file.path) == mode
        assert file.path == tmp_path / f"{file.sha256[:16]}.png"
        assert file.name == file.path.name


def test_values_are_rounded_to_the_nearest_step_and_clamped(tmp_path: Path) -> None:
    row = torch.tensor([-1.0, 0.49 / 255, 0.51 / 255, 254.49 / 255, 254.51 / 255, 7.0, torch.inf])
    (file,) = encode_images(row.reshape(1, 1, 7, 1), tmp_path)
    assert pixels_of(file.path).tolist() == [[0, 0, 1, 254, 255, 255, 255]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_every_step_survives_each_float_type(tmp_path: Path, dtype: torch.dtype) -> None:
    (file,) = encode_images(EVERY_STEP.to(dtype), tmp_path)
    assert pixels_of(file.path).reshape(-1).tolist() == list(range(256))


def test_bfloat16_is_taken_at_the_precision_it_has(tmp_path: Path) -> None:
    (file,) = encode_images(EVERY_STEP.to(torch.bfloat16), tmp_path)
    assert np.abs(pixels_of(file.path).reshape(-1).astype(int) - np.arange(256)).max() <= 1


def test_a_view_with_other_strides_is_read_in_its_own_order(tmp_path: Path) -> None:
    levels = pictures(1, 6, 4)
    planes = torch.from_numpy(levels.transpose(0, 3, 1, 2).copy()).float().div(255)
    (file,) = encode_images(planes.permute(0, 2, 3, 1).requires_grad_(), tmp_path)
    assert np.array_equal(pixels_of(file.path), levels[0])


def test_the_tensor_itself_is_left_alone(tmp_path: Path) -> None:
    images = torch.rand(1, 4, 4, 3)
    before = images.clone()
    encode_images(images, tmp_path)
    assert torch.equal(images, before)


@pytest.mark.parametrize("shape", [(0, 4, 4, 3), (1, 0, 4, 3), (1, 4, 0, 3), (1, 4, 4, 2), (4, 4)])
def test_a_wrong_or_empty_shape_is_refused_by_name(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput) as caught:
        encode_images(torch.zeros(shape), tmp_path)
    assert str(list(shape)) in caught.value.what
    assert not list(tmp_path.iterdir())


def test_nan_is_refused_instead_of_sent_as_black(tmp_path: Path) -> None:
    images = torch.zeros(1, 2, 2, 3)
    images[0, 1, 1, 2] = torch.nan
    with pytest.raises(InvalidInput, match="NaN"):
        encode_images(images, tmp_path)


def test_integers_are_refused_instead_of_sent_as_white(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"torch\.int64"):
        encode_images(torch.full((1, 2, 2, 3), 128), tmp_path)


def test_masks_are_grey_pngs_one_each(tmp_path: Path) -> None:
    masks = torch.stack([torch.zeros(3, 5), torch.full((3, 5), 128 / 255)])
    dark, half = encode_masks(masks, tmp_path)
    assert (pixels_of(dark.path) == 0).all()
    assert (pixels_of(half.path) == 128).all()
    assert mode_of(half.path) == "L"
    assert encode_masks(masks[1], tmp_path) == [half]


# -- files ------------------------------------------------------------------------------------


def test_threads_that_send_the_same_picture_share_one_whole_file(tmp_path: Path) -> None:
    images = torch.rand(1, 64, 64, 3)
    with ThreadPoolExecutor(8) as pool:
        files = list(pool.map(lambda _: encode_images(images, tmp_path)[0], range(32)))
    assert len(set(files)) == 1
    assert list(tmp_path.iterdir()) == [files[0].path]
    assert torch.allclose(decode_image(files[0].path), images, atol=0.5 / 255 + 1e-6)


def test_a_file_already_there_is_not_written_again(tmp_path: Path) -> None:
    (file,) = encode_images(EVERY_STEP, tmp_path)
    os.utime(file.path, (1, 1))
    assert encode_images(EVERY_STEP, tmp_path) == [file]
    assert file.path.stat().st_mtime == 1


def test_a_file_cut_by_a_crash_is_written_anew(tmp_path: Path) -> None:
    (file,) = encode_images(EVERY_STEP, tmp_path)
    file.path.write_bytes(b"\x89PNG")
    encode_images(EVERY_STEP, tmp_path)
    assert file.path.stat().st_size == file.size


# -- sound ------------------------------------------------------------------------------------


def sound(waveform: torch.Tensor, rate: int = 8000) -> dict[str, Any]:
    return {"waveform": waveform, "sample_rate": rate}


def samples_of(path: Path) -> np.ndarray:
    with wave.open(str(path)) as stream:
        data = np.frombuffer(stream.readframes(stream.getnframes()), "<i2")
        return data.reshape(-1, stream.getnchannels()).T


def test_sound_becomes_a_16_bit_wav_with_its_duration(tmp_path: Path) -> None:
    (file,) = encode_audio(sound(torch.tensor([[[0.0, 0.5, -0.5], [1.0, -1.0, 0.25]]])), tmp_path)
    assert samples_of(file.path).tolist() == [[0, 16384, -16384], [32767, -32768, 8192]]
    assert (file.mime, file.duration) == ("audio/wav", 3 / 8000)


def test_each_sound_of_a_batch_is_a_file(tmp_path: Path) -> None:
    files = encode_audio(sound(torch.rand(3, 1, 50)), tmp_path)
    assert len({file.path for file in files}) == 3


def test_sound_beyond_full_scale_is_clipped_not_wrapped(tmp_path: Path) -> None:
    (file,) = encode_audio(sound(torch.tensor([[[1.7, -3.0]]])), tmp_path)
    assert samples_of(file.path).tolist() == [[32767, -32768]]


@pytest.mark.parametrize(
    ("dtype", "unit"), [(torch.int16, 1), (torch.int32, 65536), (torch.int64, 2**48)]
)
def test_integer_samples_are_taken_at_their_own_scale(
    tmp_path: Path, dtype: torch.dtype, unit: int
) -> None:
    whole = torch.tensor([[[0, 1, -1, 32767, -32768]]], dtype=torch.int64)
    (file,) = encode_audio(sound((whole * unit).to(dtype)), tmp_path)
    assert samples_of(file.path).tolist() == whole[0].tolist()


def test_16_bit_samples_survive_the_way_out_and_back(tmp_path: Path) -> None:
    whole = torch.randint(-32768, 32768, (1, 2, 999), dtype=torch.int16)
    (file,) = encode_audio(sound(whole.float() / 32768), tmp_path)
    back = decode_audio(file.path)
    assert back["sample_rate"] == 8000
    assert torch.equal(back["waveform"], whole.float() / 32768)


@pytest.mark.parametrize(
    ("audio", "expected"),
    [
        (sound(torch.zeros(1, 2, 0)), r"\[1, 2, 0\]"),
        (sound(torch.zeros(1, 1, 2, 5)), r"\[1, 1, 2, 5\]"),
        (sound(torch.zeros(1, 9, 5)), "9 channels"),
        (sound(torch.full((1, 1, 5), torch.nan)), "NaN"),
        (sound(torch.zeros(1, 1, 5), 0), "no sample rate"),
    ],
)
def test_sound_that_cannot_be_sent_is_refused(
    tmp_path: Path, audio: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InvalidInput, match=expected):
        encode_audio(audio, tmp_path)


# -- video ------------------------------------------------------------------------------------


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "mine.mp4", pictures(20, 64, 48), sound=tone(2, 2.0))


def in_memory(frames: int = 6, width: int = 64) -> Any:
    images = torch.from_numpy(pictures(frames, width, 48)).float() / 255
    audio = {"waveform": torch.from_numpy(tone(2, 1.0))[None], "sample_rate": RATE}
    return InputImpl.VideoFromComponents(Types.VideoComponents(images, Fraction(10), audio))


def test_a_transport_stream_behind_a_video_goes_up_as_it_is(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.ts", pictures(10, 64, 48), sound=tone(1, 1.0))
    file = encode_video(InputImpl.VideoFromFile(str(path)), tmp_path / "up")
    assert (file.path, file.mime, file.upload_name) == (path, "video/mp2t", "a.ts")
    assert (file.width, file.height, file.codec) == (64, 48, "h264")


def test_a_video_on_disk_is_sent_as_the_file_itself(tmp_path: Path, clip: Path) -> None:
    file = encode_video(InputImpl.VideoFromFile(str(clip)), tmp_path / "sent")
    assert file.path == clip
    assert (file.mime, file.width, file.height) == ("video/mp4", 64, 48)
    assert file.duration == pytest.approx(2, abs=0.1)
    assert not (tmp_path / "sent").exists()


def test_a_video_in_memory_bytes_is_sent_byte_for_byte(tmp_path: Path, clip: Path) -> None:
    video = InputImpl.VideoFromFile(io.BytesIO(clip.read_bytes()))
    file = encode_video(video, tmp_path / "sent")
    assert file.path.read_bytes() == clip.read_bytes()
    assert file.path.suffix == ".mp4"


def test_a_trimmed_video_is_sent_trimmed(tmp_path: Path, clip: Path) -> None:
    video = InputImpl.VideoFromFile(str(clip)).as_trimmed(0.5, 1.0)
    file = encode_video(video, tmp_path / "sent")
    assert file.path != clip
    assert file.duration == pytest.approx(1, abs=0.1)


def test_a_trimmed_video_is_known_by_its_source_and_its_window(tmp_path: Path, clip: Path) -> None:
    on_disk = InputImpl.VideoFromFile(str(clip))
    in_bytes = InputImpl.VideoFromFile(io.BytesIO(clip.read_bytes()))
    first = encode_video(on_disk.as_trimmed(0.5, 1.0), tmp_path / "a")
    again = encode_video(in_bytes.as_trimmed(0.5, 1.0), tmp_path / "b")
    other = encode_video(on_disk.as_trimmed(0.5, 0.5), tmp_path / "a")
    assert first.sha256 == again.sha256 != other.sha256
    assert first.path != other.path


def test_frames_become_one_mp4(tmp_path: Path) -> None:
    file = encode_video(in_memory(), tmp_path / "a")
    assert (file.mime, file.width, file.height) == ("video/mp4", 64, 48)
    assert decode_frames(file.path).shape == (6, 48, 64, 3)
    assert list((tmp_path / "a").iterdir()) == [file.path]


def test_equal_frames_are_known_as_equal_though_the_encoder_varies(tmp_path: Path) -> None:
    class Varying(InputImpl.VideoFromComponents):
        """x264 varies only now and then; this does each time."""

        def save_to(self, path: Any, **_: Any) -> None:
            super().save_to(path, metadata={"made": str(path)})

    parts = in_memory().get_components()
    first, again = (encode_video(Varying(parts), tmp_path / folder) for folder in "ab")
    assert first.path.read_bytes() != again.path.read_bytes()
    assert (first.sha256, first.name) == (again.sha256, again.name)


def test_frames_are_encoded_once_however_many_threads_ask(tmp_path: Path) -> None:
    saves = []

    class Counted(InputImpl.VideoFromComponents):
        def save_to(self, path: Any, *args: Any, **kwargs: Any) -> None:
            saves.append(path)
            super().save_to(path, *args, **kwargs)

    video = Counted(in_memory().get_components())
    with ThreadPoolExecutor(4) as pool:
        files = list(pool.map(lambda _: encode_video(video, tmp_path), range(8)))
    assert len(saves) == len(set(files)) == 1


def test_other_frames_rate_or_sound_are_another_video(tmp_path: Path) -> None:
    parts = in_memory().get_components()
    changes = [
        {},
        {"images": parts.images.flip(0)},
        {"frame_rate": Fraction(12)},
        {"audio": None},
        {"audio": {**parts.audio, "waveform": -parts.audio["waveform"]}},
    ]
    files = [
        encode_video(InputImpl.VideoFromComponents(replace(parts, **change)), tmp_path)
        for change in changes
    ]
    assert len({file.sha256 for file in files}) == len({file.path for file in files}) == 5


def test_a_video_that_cannot_be_saved_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="even width and height"):
        encode_video(in_memory(width=63), tmp_path / "sent")
    assert not list((tmp_path / "sent").glob("*"))


def test_a_broken_video_of_the_user_is_refused(tmp_path: Path, clip: Path) -> None:
    clip.write_bytes(clip.read_bytes()[:500])
    with pytest.raises(InvalidInput, match=r"mine\.mp4 cannot be used"):
        encode_video(InputImpl.VideoFromFile(str(clip)), tmp_path)


def test_probe_reads_the_length_of_sound_and_video(tmp_path: Path, clip: Path) -> None:
    (file,) = encode_audio(sound(torch.rand(1, 1, 4000)), tmp_path)
    assert probe(file.path).duration == pytest.approx(0.5)
    assert probe(file.path).width is None
    assert probe(clip, "Mein Film.mp4").name == "Mein Film.mp4"
    assert probe(clip).width == 64


# -- encode -----------------------------------------------------------------------------------


def test_encode_picks_by_what_the_value_is(tmp_path: Path, clip: Path) -> None:
    def kinds(value: Any) -> list[Kind]:
        return [file.kind for file in encode(value, tmp_path)]

    assert kinds(torch.rand(2, 4, 4, 3)) == [Kind.IMAGE] * 2
    assert kinds(torch.rand(3, 4, 4)) == [Kind.IMAGE] * 3
    assert kinds(sound(torch.rand(2, 1, 9))) == [Kind.AUDIO] * 2
    assert kinds(InputImpl.VideoFromFile(str(clip))) == [Kind.VIDEO]


@pytest.mark.parametrize("value", [None, "a.png", {"samples": 1}, 3])
def test_encode_refuses_everything_else(tmp_path: Path, value: Any) -> None:
    with pytest.raises(InvalidInput, match=type(value).__name__):
        encode(value, tmp_path)


HOST = """
import io, sys, torch
from comfy.cli_args import args
args.cpu = True
from fractions import Fraction
from pathlib import Path
from comfy_api.latest import InputImpl, Types
from skyport.nodes._media.decode import decode_audio, decode_frames, open_video
from skyport.nodes._media.encode import encode_video

clip, folder = Path(sys.argv[1]), Path(sys.argv[2])
whole = open_video(clip)
assert encode_video(whole, folder).path == clip
assert not folder.exists()
same = encode_video(InputImpl.VideoFromFile(io.BytesIO(clip.read_bytes())), folder)
assert same.path.read_bytes() == clip.read_bytes()
cut = encode_video(whole.as_trimmed(0.5, 1.0), folder)
assert 0.9 < cut.duration < 1.2, cut
parts = whole.get_components()
assert torch.equal(decode_audio(clip)["waveform"], parts.audio["waveform"])
frames = decode_frames(clip)
assert frames.shape == parts.images.shape
assert (frames - parts.images).abs().mean() < 0.02
made = Types.VideoComponents(images=frames, audio=parts.audio, frame_rate=Fraction(10))
files = [encode_video(InputImpl.VideoFromComponents(made), folder / n) for n in "ab"]
assert files[0].sha256 == files[1].sha256
assert (files[0].width, files[0].height) == (64, 48)
"""


@pytest.mark.host
@pytest.mark.skipif(not os.environ.get("COMFYUI_PATH"), reason="COMFYUI_PATH names no checkout")
def test_the_same_is_true_in_a_real_comfyui(tmp_path: Path, clip: Path) -> None:
    path = os.pathsep.join(
        filter(None, [os.environ["COMFYUI_PATH"], os.environ.get("PYTHONPATH", "")])
    )
    subprocess.run(
        [sys.executable, "-c", HOST, str(clip), str(tmp_path / "sent")],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
    )
