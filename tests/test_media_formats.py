"""Pins what goes up where a platform wants it otherwise: sound as MP3, a mask as a cutout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import standin  # noqa: F401  makes ComfyUI's modules importable
import torch
from PIL import Image
from skyport.engine.base.errors import InvalidInput
from skyport.nodes._media import encode


def sine(seconds: float, rate: int, channels: int = 2, batch: int = 1) -> dict[str, Any]:
    time = torch.arange(round(seconds * rate)) / rate
    wave = torch.sin(2 * torch.pi * 440 * time) * 0.5
    return {"waveform": wave.expand(batch, channels, -1).clone(), "sample_rate": rate}


# -- sound --------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 22050, 44100, 96000])
def test_sound_of_any_rate_becomes_mp3_of_its_length(
    tmp_path: Path, rate: int, channels: int
) -> None:
    (file,) = encode.encode(sine(3.0, rate, channels), tmp_path, ("mp3",))
    assert (file.mime, file.path.suffix, file.duration) == ("audio/mpeg", ".mp3", 3.0)
    with av.open(str(file.path)) as container:
        assert container.format.name == "mp3"
        assert container.streams.audio[0].channels == channels
        assert abs(container.duration / av.time_base - 3.0) < 0.1


def test_mp3_keeps_the_pitch_and_the_loudness(tmp_path: Path) -> None:
    (file,) = encode.encode(sine(3.0, 22050), tmp_path, ("mp3",))
    with av.open(str(file.path)) as container:
        rate = container.streams.audio[0].rate
        samples = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    middle = samples[rate : 2 * rate]
    loudest = np.abs(np.fft.rfft(middle)).argmax() * rate / len(middle)
    assert abs(loudest - 440) < 2
    assert abs(np.abs(middle).max() - 0.5) < 0.05


def test_each_item_of_a_batch_is_a_file_and_equal_sound_an_equal_one(tmp_path: Path) -> None:
    audio = sine(2.0, 44100, batch=2)
    audio["waveform"][1] *= 0.5
    first, second = encode.encode(audio, tmp_path, ("mp3",))
    (again,) = encode.encode(sine(2.0, 44100), tmp_path, ("mp3",))
    assert first.sha256 == again.sha256 != second.sha256
    assert first.path == again.path != second.path


@pytest.mark.parametrize("formats", [(), ("wav",), ("mp3", "wav"), ("png",)])
def test_sound_stays_wav_where_nothing_else_is_wanted(
    tmp_path: Path, formats: tuple[str, ...]
) -> None:
    (file,) = encode.encode(sine(1.0, 44100), tmp_path, formats)
    assert file.mime == "audio/wav"


def test_more_channels_than_mp3_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="3 channels; at most 2"):
        encode.encode(sine(1.0, 44100, channels=3), tmp_path, ("mp3",))


# -- masks --------------------------------------------------------------------------------------


def cutout(mask: torch.Tensor, folder: Path) -> np.ndarray:
    (file,) = encode.encode_cutouts(mask, folder)
    assert (file.mime, file.width, file.height) == ("image/png", mask.shape[-1], mask.shape[-2])
    with Image.open(file.path) as picture:
        assert picture.mode == "RGBA"
        return np.asarray(picture)


def test_a_cutout_is_clear_where_the_mask_is_one_and_opaque_elsewhere(tmp_path: Path) -> None:
    mask = torch.zeros(1, 4, 6)
    mask[0, 1:3, 2:5] = 1
    alpha = cutout(mask, tmp_path)[..., 3]
    assert np.array_equal(alpha, 255 - 255 * mask[0].to(torch.uint8).numpy())


def test_the_soft_edge_of_a_mask_becomes_a_hard_one(tmp_path: Path) -> None:
    mask = torch.tensor([[0.0, 0.25, 0.49, 0.5, 0.75, 1.0]])
    assert cutout(mask, tmp_path)[0, :, 3].tolist() == [255, 255, 255, 0, 0, 0]


def test_each_mask_of_a_batch_is_a_cutout(tmp_path: Path) -> None:
    masks = torch.stack([torch.zeros(3, 3), torch.ones(3, 3)])
    assert len(encode.encode_cutouts(masks, tmp_path)) == 2


@pytest.mark.parametrize(
    "mask", [torch.zeros(1, 2, 2, 3), torch.zeros(0, 2, 2), torch.full((1, 2, 2), torch.nan)]
)
def test_what_is_no_mask_is_refused(tmp_path: Path, mask: torch.Tensor) -> None:
    with pytest.raises(InvalidInput):
        encode.encode_cutouts(mask, tmp_path)


def test_a_video_tells_its_codec(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert encode.probe(path).codec == "mpeg4"
