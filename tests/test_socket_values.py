"""Pins how many tasks a socket's value is, and that what cannot be sent is told by its input."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import standin  # noqa: F401  (makes comfy_api and folder_paths importable)
import torch
from _clips import pictures, tone, write_clip, write_sound
from comfy_api.latest import InputImpl, Types
from PIL import Image
from skyport.engine.base.errors import InvalidInput
from skyport.engine.base.types import Kind, MediaFile, Model, Param
from skyport.nodes._kinds import form_values
from skyport.nodes._kinds.remote_inputs import append_value, remote_values
from skyport.nodes._kinds.schema import Socket
from skyport.nodes._media.encode import encode, encode_video

IMAGE = Socket("first_frame", Kind.IMAGE)
MASK = Socket("mask", Kind.IMAGE, mask=True)


@pytest.fixture(autouse=True)
def temp_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(tmp_path / "temp")
    monkeypatch.setattr(form_values.folder_paths, "get_temp_directory", lambda: folder)


def tasks(socket: Socket, value: Any) -> list[MediaFile]:
    """The file of each task that the value makes."""
    return [one[socket.id] for one in form_values.socket_values([socket], {socket.id: value})]


def size_and_mode(file: MediaFile) -> tuple[int, int, str]:
    with Image.open(file.path) as picture:
        return (*picture.size, picture.mode)


def refusal(value: Any, socket: Socket = IMAGE) -> str:
    with pytest.raises(InvalidInput) as caught:
        tasks(socket, value)
    return str(caught.value)


# -- pictures -----------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(64, 48), (2, 3), (4, 1)])
def test_one_picture_without_its_batch_is_one_task(channels: int, size: tuple[int, int]) -> None:
    picture = torch.rand(*size, channels)
    (file,) = tasks(IMAGE, picture)
    assert [file] == tasks(IMAGE, picture[None])
    assert size_and_mode(file) == (*size[::-1], {1: "L", 3: "RGB", 4: "RGBA"}[channels])


def test_a_models_own_socket_knows_one_picture_too() -> None:
    model = Model("haiyi", "m", "t", params=(Param("image", "image"), Param("all", "array[image]")))
    picture = torch.rand(64, 48, 3)
    (task,) = form_values.parameters(model, "", 0, {"image": picture, "all": {"all0": picture}})
    assert task["image"] == task["all"][0]
    assert len(task["all"]) == 1


def test_planes_of_grey_are_pictures_as_comfyui_shows_them() -> None:
    assert [size_and_mode(file) for file in tasks(IMAGE, torch.rand(5, 20, 30))] == [
        (30, 20, "L")
    ] * 5
    assert len(tasks(IMAGE, torch.rand(1, 20, 30))) == len(tasks(IMAGE, torch.rand(20, 30))) == 1


@pytest.mark.parametrize("shape", [(3, 64, 48), (4, 64, 48), (2, 3, 64, 48)])
def test_channels_that_come_first_are_refused_with_the_way_out(shape: tuple[int, ...]) -> None:
    said = refusal(torch.rand(shape))
    assert f"Input first_frame: The tensor has shape {list(shape)}; [B,H,W,C] is needed" in said
    assert "Its channels come first" in said


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((1, 5, 16, 16, 3), "batch of videos"),
        ((16, 16, 2), "[16, 16, 2]"),
        ((1, 16, 16, 2), "[1, 16, 16, 2]"),
        ((0, 16, 16, 3), "[0, 16, 16, 3]"),
        ((), "[]"),
        ((7,), "[7]"),
    ],
)
def test_what_is_no_picture_is_refused_by_its_shape(shape: tuple[int, ...], said: str) -> None:
    assert said in refusal(torch.rand(shape))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.zeros(1, 4, 4, 3, dtype=torch.int64), "torch.int64"),
        (torch.zeros(1, 4, 4, 3, dtype=torch.int16), "torch.int16"),
        (torch.zeros(1, 4, 4, 3, dtype=torch.complex64), "torch.complex64"),
        (torch.rand(1, 4, 4, 3, device="meta"), "meta"),
        (np.zeros((4, 4, 3), np.uint16), "uint16"),
        (np.array([["a"]]), "U1"),
        (torch.zeros(1).expand(1, 20_000, 20_000, 1), "20000 x 20000"),
        (3, "int"),
        ({"samples": 1}, "dict"),
        ([], "list"),
        ([None], "NoneType"),
    ],
)
def test_what_holds_no_colours_is_refused_by_its_type(value: Any, said: str) -> None:
    text = refusal(value)
    assert text.startswith("Input first_frame: ")
    assert said in text


def test_bytes_and_yes_or_no_are_colours_of_their_own_scale() -> None:
    whole = torch.tensor([[[0, 1, 128], [254, 255, 7]]], dtype=torch.uint8)
    (file,) = tasks(IMAGE, whole)
    assert np.array_equal(np.asarray(Image.open(file.path)), whole.numpy())
    (file,) = tasks(IMAGE, torch.tensor([[True, False]]))
    assert np.asarray(Image.open(file.path)).tolist() == [[255, 0]]


def test_numpy_and_pillow_pictures_are_taken_as_they_are() -> None:
    levels = pictures(1, 9, 5)[0]
    (file,) = tasks(IMAGE, levels)
    assert tasks(IMAGE, Image.fromarray(levels)) == [file]
    assert tasks(IMAGE, [torch.from_numpy(levels)[None].float() / 255]) == [file]
    (file,) = tasks(IMAGE, Image.fromarray(levels).quantize(8))
    assert size_and_mode(file) == (9, 5, "RGB")
    assert len(form_values.media_items(Image.new("LA", (4, 5)))) == 1
    (file,) = tasks(IMAGE, Image.new("1", (4, 2), 1))
    assert np.asarray(Image.open(file.path)).tolist() == [[255] * 4] * 2


def test_a_pillow_picture_that_cannot_be_loaded_is_refused() -> None:
    whole = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(whole, "PNG")
    assert "cannot be read" in refusal(Image.open(io.BytesIO(whole.getvalue()[:2_000])))


def test_a_list_of_pictures_of_any_size_is_a_task_for_each() -> None:
    files = tasks(IMAGE, [torch.rand(1, 4, 6, 3), torch.rand(8, 5, 3), torch.rand(2, 7, 7, 4)])
    assert [(file.width, file.height) for file in files] == [(6, 4), (5, 8), (7, 7), (7, 7)]


# -- masks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 1, 20, 30), (2, 20, 30, 1), (2, 20, 30)])
def test_masks_with_a_dimension_too_many_are_masks(shape: tuple[int, ...]) -> None:
    masks = torch.rand(2, 20, 30)
    files = tasks(MASK, masks.reshape(shape))
    assert files == tasks(MASK, masks)
    assert [size_and_mode(file) for file in files] == [(30, 20, "RGBA")] * 2


def test_three_dimensions_are_a_batch_on_a_mask_socket() -> None:
    assert len(tasks(MASK, torch.rand(3, 64, 48))) == 3
    assert len(tasks(MASK, torch.rand(3, 64, 4))) == 3


def test_a_mask_like_one_picture_is_no_batch_of_its_rows() -> None:
    mask = torch.rand(64, 48)
    assert tasks(MASK, mask[..., None]) == tasks(MASK, mask)
    assert "Convert Image to Mask" in refusal(torch.rand(64, 48, 3), MASK)
    assert "Convert Image to Mask" in refusal(torch.rand(2, 64, 48, 3), MASK)


@pytest.mark.parametrize("kind", [torch.uint8, torch.bool, torch.float16, torch.bfloat16])
def test_a_mask_of_any_type_is_cut_at_its_half(kind: torch.dtype) -> None:
    mask = torch.tensor([[0.0, 1.0]])
    value = mask.mul(255).to(kind) if kind == torch.uint8 else mask.to(kind)
    assert tasks(MASK, value) == tasks(MASK, mask)


@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.int32, torch.int64])
@pytest.mark.parametrize("top", [1, 255])
def test_a_mask_of_whole_numbers_is_one_where_they_are_at_their_top(
    kind: torch.dtype, top: int
) -> None:
    assert tasks(MASK, torch.tensor([[0, top]]).to(kind)) == tasks(MASK, torch.tensor([[0.0, 1.0]]))


@pytest.mark.skipif(not hasattr(torch, "uint16"), reason="torch has no unsigned integers")
@pytest.mark.parametrize("kind", ["uint16", "uint32", "uint64"])
def test_a_mask_of_unsigned_numbers_is_one_like_any_other(kind: str) -> None:
    mask = torch.tensor([[0.0, 1.0]])
    for top in (1, 255):
        assert tasks(MASK, np.array([[0, top]], dtype=kind)) == tasks(MASK, mask)
    assert f"torch.{kind}" in refusal(np.array([[0, 7, 200]], dtype=kind), MASK)
    assert tasks(MASK, Image.new("I;16", (4, 2), 255)) == tasks(MASK, torch.ones(2, 4))


def test_a_mask_of_whole_numbers_without_a_scale_is_refused() -> None:
    assert "torch.int64" in refusal(torch.tensor([[0, 7, 200]]), MASK)
    assert "torch.int64" in refusal(torch.tensor([[-1, 1]]), MASK)


def test_infinity_in_a_mask_is_its_end_of_the_scale() -> None:
    assert tasks(MASK, torch.tensor([[-torch.inf, torch.inf]])) == tasks(
        MASK, torch.tensor([[0.0, 1.0]])
    )


# -- sockets for both ---------------------------------------------------------------------------


def test_a_socket_for_both_tells_one_picture_from_masks() -> None:
    assert len(form_values.media_items(torch.rand(64, 48, 3))) == 1
    assert len(form_values.media_items(torch.rand(64, 48, 4))) == 1
    assert len(form_values.media_items(torch.rand(64, 48, 1))) == 1
    assert len(form_values.media_items(torch.rand(5, 64, 48))) == 5
    assert len(form_values.media_items(torch.rand(5, 1, 64, 48))) == 5
    assert len(form_values.media_items(torch.rand(3, 64, 48))) == 3


def test_a_remote_input_that_cannot_be_sent_is_told_by_its_target() -> None:
    chain = append_value(None, "73.image", torch.rand(1, 2, 3, 4, 5))
    with pytest.raises(InvalidInput, match=r"Input 73\.image: The tensor has shape"):
        remote_values(chain)


# -- sound --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("audio", "said"),
    [
        ({"sample_rate": 44100}, "no waveform"),
        ({"waveform": None, "sample_rate": 44100}, "no waveform"),
        ({"waveform": [0.5], "sample_rate": 44100}, "list"),
        ({"waveform": torch.zeros(1, 1, 5)}, "no sample rate"),
        ({"waveform": torch.zeros(1, 1, 5), "sample_rate": None}, "no sample rate"),
        ({"waveform": torch.zeros(1, 1, 5), "sample_rate": -5}, "no sample rate"),
        ({"waveform": torch.zeros(1, 1, 5), "sample_rate": "fast"}, "sample rate is 'fast'"),
        ({"waveform": torch.zeros(1, 1, 5), "sample_rate": float("nan")}, "sample rate is nan"),
        ({"waveform": torch.zeros(1, 1, 5), "sample_rate": 2**40}, "sample rate is 1099511627776"),
        ({"waveform": torch.zeros(1, 1, 5, dtype=torch.bool), "sample_rate": 8000}, "torch.bool"),
        ({"waveform": torch.zeros(1, 1, 0), "sample_rate": 8000}, "[1, 1, 0]"),
        ({"waveform": torch.zeros(0), "sample_rate": 8000}, "[0]"),
        ({"waveform": torch.zeros(()), "sample_rate": 8000}, "[]"),
        ({"waveform": torch.zeros(1, 1, 1, 5), "sample_rate": 8000}, "[1, 1, 1, 5]"),
        ({"waveform": torch.zeros(5, 2), "sample_rate": 8000, "mp3": True}, "5 channels"),
    ],
)
def test_sound_that_is_none_is_told_with_what_came(audio: dict[str, Any], said: str) -> None:
    formats = ("mp3",) if audio.pop("mp3", False) else ()
    assert said in refusal(audio, Socket("audio", Kind.AUDIO, formats=formats))


def test_16_bit_samples_in_64_bits_are_refused_instead_of_sent_as_silence() -> None:
    waveform = torch.randint(-32768, 32768, (1, 2, 99))
    said = refusal({"waveform": waveform, "sample_rate": 8000}, Socket("audio", Kind.AUDIO))
    assert "torch.int64" in said
    assert str(int(waveform.abs().max())) in said


class Lazy(Mapping[str, Any]):
    """AUDIO of a pack that reads the sound only when it is asked for."""

    def __init__(self, audio: dict[str, Any] | Exception) -> None:
        self._audio = audio

    def __getitem__(self, name: str) -> Any:
        if isinstance(self._audio, Exception):
            raise self._audio
        return self._audio[name]

    def __iter__(self) -> Iterator[str]:
        return iter(("waveform", "sample_rate"))

    def __len__(self) -> int:
        return 2


SOUND = {"waveform": torch.zeros(1, 1, 99), "sample_rate": 8000}


@pytest.mark.parametrize("error", [Exception, OSError, KeyError, RuntimeError])
@pytest.mark.parametrize("most", [0, 3])
def test_sound_that_its_pack_cannot_read_is_told_by_its_input(
    error: type[Exception], most: int
) -> None:
    """Of a video without sound, for example."""
    value = Lazy(error("failed to extract\naudio"))
    said = refusal(value, Socket("audio", Kind.AUDIO, most=most))
    if error is not KeyError:  # which says that it is no sound
        assert said.startswith("Input audio: The audio cannot be used: failed to extract audio.")


def test_sound_that_is_read_late_is_sent_like_any() -> None:
    socket = Socket("audio", Kind.AUDIO)
    assert tasks(socket, Lazy(SOUND)) == tasks(socket, SOUND)
    assert tasks(Socket("audio", Kind.AUDIO, formats=("mp3",)), Lazy(SOUND))


def test_an_interrupt_while_sound_is_read_stays_one() -> None:
    class Interrupted(Exception):
        pass

    with pytest.raises(Interrupted):
        tasks(Socket("audio", Kind.AUDIO), Lazy(Interrupted()))


@pytest.mark.skipif(not hasattr(torch, "uint16"), reason="torch has no unsigned integers")
@pytest.mark.parametrize("kind", ["uint16", "uint32", "uint64"])
def test_samples_without_a_sign_have_their_silence_in_the_middle(kind: str) -> None:
    half = 1 << (8 * np.dtype(kind).itemsize - 1)
    levels = np.array([[[0, half // 2, half, half + half // 2]]], dtype=kind)
    (file,) = tasks(Socket("audio", Kind.AUDIO), {"waveform": levels, "sample_rate": 8000})
    with wave.open(str(file.path)) as sound:
        samples = np.frombuffer(sound.readframes(4), "<i2")
    assert samples.tolist() == [-32768, -16384, 0, 16384]


def test_silence_in_whole_numbers_is_sent_as_silence(tmp_path: Path) -> None:
    silent = {"waveform": torch.zeros(1, 1, 99, dtype=torch.int64), "sample_rate": 8000}
    assert len(encode(silent, tmp_path)) == 1


# -- video --------------------------------------------------------------------------------------


def video_of(images: Any, rate: Any = 10, audio: Any = None) -> Any:
    return InputImpl.VideoFromComponents(Types.VideoComponents(images, rate, audio))


def why_not(video: Any, folder: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        encode_video(video, folder)
    assert not list(folder.glob("*.mp4"))
    return str(caught.value)


FRAMES = torch.full((3, 16, 32, 3), 0.5)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (torch.rand(2, 16, 16, 4), "4 channels (RGBA)"),
        (torch.rand(0, 16, 16, 3), "[0, 16, 16, 3]"),
        (torch.zeros(0, 3, 0, 0), "[0, 3, 0, 0]"),
        (torch.rand(1, 2, 16, 16, 3), "[1, 2, 16, 16, 3]"),
        (torch.full((2, 16, 16, 3), torch.nan), "NaN"),
        (torch.zeros(2, 16, 16, 3, dtype=torch.int32), "torch.int32"),
        (None, "NoneType"),
        ([torch.rand(16, 16, 3)], "list"),
    ],
)
def test_frames_that_are_none_are_told_with_what_came(
    tmp_path: Path, images: Any, said: str
) -> None:
    text = why_not(video_of(images), tmp_path)
    assert said in text
    assert "even width" not in text


@pytest.mark.parametrize("rate", [0, None, -1, float("nan"), float("inf"), "fast", 1e-5, 2**80])
def test_a_frame_rate_that_is_none_is_told(tmp_path: Path, rate: Any) -> None:
    assert f"frame rate is {rate!r}" in why_not(video_of(FRAMES, rate), tmp_path)


@pytest.mark.parametrize(
    ("audio", "said"),
    [
        ({"waveform": None, "sample_rate": 8000}, "no waveform"),
        ({"waveform": torch.zeros(1, 1, 9)}, "no sample rate"),
        ({"waveform": torch.zeros(1, 3, 9), "sample_rate": 8000}, "3 channels"),
        ({"waveform": torch.zeros(1, 1, 9, dtype=torch.bool), "sample_rate": 8000}, "torch.bool"),
        ({"waveform": torch.zeros(1, 1, 0), "sample_rate": 8000}, "[1, 1, 0]"),
        ({"waveform": torch.zeros(1, 2, 9), "sample_rate": 192_000}, "no sample rate of 192000 Hz"),
        (torch.zeros(1, 1, 9), "Tensor"),
        ("a.wav", "str"),
    ],
)
def test_sound_of_frames_that_is_none_is_told(tmp_path: Path, audio: Any, said: str) -> None:
    text = why_not(video_of(FRAMES, audio=audio), tmp_path)
    assert said in text
    assert "even width" not in text


@pytest.mark.parametrize("size", [(15, 32), (16, 31)])
def test_odd_sizes_and_only_they_are_told_as_such(tmp_path: Path, size: tuple[int, int]) -> None:
    said = why_not(video_of(torch.rand(2, *size, 3)), tmp_path)
    assert f"even width and height, and it is {size[1]} x {size[0]}" in said
    strange = {"waveform": torch.zeros(1, 1, 99), "sample_rate": 1}
    assert "even width" not in why_not(video_of(FRAMES, audio=strange), tmp_path)


def test_one_frame_without_its_batch_is_a_video_of_one_frame(tmp_path: Path) -> None:
    one = encode_video(video_of(FRAMES[0]), tmp_path)
    assert one.sha256 == encode_video(video_of(FRAMES[:1]), tmp_path).sha256
    assert (one.width, one.height) == (32, 16)


def test_frames_and_sound_of_another_form_are_the_same_video(tmp_path: Path) -> None:
    """So that they are also the same order."""
    sound = torch.from_numpy(tone(1, 0.3))
    plain = video_of(FRAMES, Fraction(10), {"waveform": sound[None], "sample_rate": 44100})
    odd = video_of(
        FRAMES.to_sparse().requires_grad_(),
        Fraction(10),
        {"waveform": sound[0].clone().requires_grad_(), "sample_rate": 44100},
    )
    assert encode_video(plain, tmp_path).sha256 == encode_video(odd, tmp_path).sha256


@pytest.fixture
def unknown_codec(tmp_path: Path) -> Path:
    """A clip whose pictures claim a codec that nobody has."""
    clip = write_clip(tmp_path / "mine.mp4", pictures(20, 32, 16), sound=tone(1, 2.0))
    clip.write_bytes(clip.read_bytes().replace(b"avc1", b"zzzz"))
    return clip


def test_a_codec_without_a_decoder_goes_up_byte_for_byte(
    tmp_path: Path, unknown_codec: Path
) -> None:
    whole = unknown_codec.read_bytes()
    for source in (str(unknown_codec), io.BytesIO(whole)):
        file = encode_video(InputImpl.VideoFromFile(source), tmp_path / "sent")
        assert file.path.read_bytes() == whole
        assert (file.kind, file.width, file.codec) == (Kind.VIDEO, None, "")
        assert file.duration == pytest.approx(2, abs=0.1)


def test_a_codec_without_a_decoder_cannot_be_trimmed_and_says_so(
    tmp_path: Path, unknown_codec: Path
) -> None:
    video = InputImpl.VideoFromFile(str(unknown_codec), start_time=0.5)
    assert "cannot be decoded here" in why_not(video, tmp_path / "sent")


def test_sound_alone_has_no_pictures_trimmed_or_not(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "song.mp4", tone(1, 1.0), "aac", "fltp")
    for start in (0, 0.5):
        video = InputImpl.VideoFromFile(str(sound), start_time=start)
        assert "song.mp4 has no picture track" in why_not(video, tmp_path / "sent")


def test_bytes_that_are_no_video_are_told_as_such(tmp_path: Path) -> None:
    for data in (b"", b"junk" * 99):
        said = why_not(InputImpl.VideoFromFile(io.BytesIO(data)), tmp_path)
        assert said.startswith("The video cannot be used: it is ")


def test_a_trim_behind_the_end_says_where_the_end_is(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "mine.mp4", pictures(20, 32, 16))
    video = InputImpl.VideoFromFile(str(clip), start_time=2.5, duration=1)
    assert "starts at 2.5 s of a video of 2 s" in why_not(video, tmp_path / "sent")


def test_what_another_pack_raises_is_told_and_an_interrupt_is_not(tmp_path: Path) -> None:
    class Strange(InputImpl.VideoFromComponents):
        def save_to(self, *_: Any, **__: Any) -> None:
            raise self.error

    class Interrupted(Exception):
        pass

    video = Strange(Types.VideoComponents(FRAMES, Fraction(10)))
    video.error = IndexError("list index out of range")
    assert "cannot be saved: list index out of range" in why_not(video, tmp_path)
    video.error = Exception("failed to\nextract")
    assert "cannot be saved: failed to extract." in why_not(video, tmp_path)
    video.error = Interrupted()
    with pytest.raises(Interrupted):
        encode_video(video, tmp_path)
