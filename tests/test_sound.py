"""Pins: sound arrives sample for sample as FFmpeg decodes it, and what is damaged is told."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import standin  # noqa: F401  (makes comfy_api importable)
from _clips import write_sound
from PIL import Image
from skyport.engine.base.errors import BadResult
from skyport.engine.media.notes import collected
from skyport.nodes._media.decode import FramesTooLarge, NotDecoded, decode_audio, has_audio

CASES = Path(__file__).parent / "fixtures" / "media"
RATE = 48000
LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 6: "5.1", 8: "7.1", 16: "16 channels"}


def waves(channels: int, seconds: float = 0.25, rate: int = RATE) -> np.ndarray:
    time = np.arange(int(rate * seconds)) / rate
    pitches = [np.sin(time * 700 * (channel + 1)) * 0.5 for channel in range(channels)]
    return np.stack(pitches).astype(np.float32)


def packed(path: Path, codec: str, sound: np.ndarray, rate: int = RATE) -> Path:
    """`sound`, float32 [C,T], coded by `codec`, interleaved on its way to the encoder."""
    layout = LAYOUTS[len(sound)]
    with av.open(str(path), "w") as container:
        voice = container.add_stream(codec, rate=rate, layout=layout)
        samples = np.ascontiguousarray(sound.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="flt", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler(format=voice.format, layout=layout, rate=rate)
        for piece in resampler.resample(frame):
            container.mux(voice.encode(piece))
        container.mux(voice.encode(None))
    return path


def plain(path: Path) -> np.ndarray:
    """[C,T] of a file whose frames PyAV gives as arrays itself."""
    with av.open(str(path)) as container:
        pieces = []
        for frame in container.decode(audio=0):
            levels, channels = frame.to_ndarray(), frame.layout.nb_channels
            pieces.append(levels if frame.format.is_planar else levels.reshape(-1, channels).T)
    return np.concatenate(pieces, axis=1)


def heard(path: Path) -> np.ndarray:
    waveform: np.ndarray = decode_audio(path)["waveform"][0].numpy()
    return waveform


@pytest.mark.parametrize(
    ("codec", "step"),
    [
        ("pcm_u8", 1 / 128),
        ("pcm_s16le", 1 / 32768),
        ("pcm_s24be", 1 / 2**23),
        ("pcm_s32le", 1 / 2**24),
        ("pcm_f32le", 0),
        ("pcm_f64le", 0),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_sample_format_becomes_floats(
    tmp_path: Path, codec: str, step: float, channels: int
) -> None:
    sound = waves(channels)
    received = heard(packed(tmp_path / "a.mkv", codec, sound))
    assert received.shape == sound.shape
    assert np.abs(received - sound).max() <= step


@pytest.mark.parametrize(
    ("codec", "name"), [("libmp3lame", "a.mp3"), ("aac", "a.m4a"), ("libopus", "a.opus")]
)
def test_coded_sound_has_the_samples_that_ffmpeg_gives(
    tmp_path: Path, codec: str, name: str
) -> None:
    path = packed(tmp_path / name, codec, waves(2))
    assert np.abs(heard(path) - plain(path)).max() < 1e-6


@pytest.mark.parametrize("channels", [3, 4, 6, 8, 16])
def test_any_number_of_channels_arrives_in_order(tmp_path: Path, channels: int) -> None:
    sound = waves(channels)
    received = heard(packed(tmp_path / "a.wav", "pcm_f32le", sound))
    assert np.array_equal(received, sound)


def test_sound_alone_in_an_mp4_has_its_second_of_samples() -> None:
    audio = decode_audio(CASES / "sound_only_isom.m4a")
    assert audio["sample_rate"] == 44100
    assert audio["waveform"].shape[-1] == pytest.approx(44100, abs=1024)
    assert np.array_equal(audio["waveform"][0].numpy(), plain(CASES / "sound_only_isom.m4a"))


def test_a_rate_that_changes_on_the_way_keeps_the_time(tmp_path: Path) -> None:
    parts = [
        packed(tmp_path / f"{rate}.aac", "aac", waves(1, 0.5, rate), rate)
        for rate in (44100, 22050)
    ]
    path = tmp_path / "a.aac"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    audio = decode_audio(path)
    assert audio["sample_rate"] == 44100
    assert audio["waveform"].shape[-1] == pytest.approx(44100, abs=4096)


def test_a_torn_end_costs_no_more_than_its_last_frame_and_is_told(tmp_path: Path) -> None:
    whole = packed(tmp_path / "whole.aac", "aac", waves(1, 1.0))
    path = tmp_path / "a.aac"
    path.write_bytes(whole.read_bytes()[:-50])
    with collected() as notes:
        received = heard(path)
    expected = plain(whole)
    assert 0 < expected.shape[1] - received.shape[1] <= 2048
    assert np.array_equal(received, expected[:, : received.shape[1]])
    assert notes == ["a.aac: skipped 1 broken packets."]


def test_damage_in_the_middle_costs_no_more_than_what_it_hits(tmp_path: Path) -> None:
    data = bytearray(packed(tmp_path / "a.flac", "flac", waves(1, 2.0)).read_bytes())
    expected = plain(tmp_path / "a.flac").shape[1]
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(range(200))
    (tmp_path / "a.flac").write_bytes(data)
    received = heard(tmp_path / "a.flac").shape[1]
    assert expected - 3 * 4608 <= received <= expected


def test_sound_beyond_free_memory_is_refused_and_kept(tmp_path: Path) -> None:
    """Hours of silence are a few bytes of FLAC."""
    path = write_sound(tmp_path / "a.flac", np.zeros((2, 99_999), np.float32), "flac", "s16")
    needed = 2 * 2 * 99_999 * 4  # pieces, and the whole
    assert decode_audio(path, free_bytes=needed)["waveform"].shape == (1, 2, 99_999)
    with pytest.raises(FramesTooLarge, match=r"sound of a\.flac does not fit") as caught:
        decode_audio(path, free_bytes=needed // 2)
    assert str(path) in caught.value.do


def test_an_empty_sound_track_is_told_and_is_not_fetched_again(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(packed(path, "pcm_s16le", waves(1)).read_bytes()[:78])
    with av.open(str(path)) as container:
        assert container.streams.audio
    assert has_audio(path)
    with pytest.raises(NotDecoded, match=r"sound track of a\.wav is empty.*kept at"):
        decode_audio(path)


def test_a_song_with_a_cover_is_sound_and_no_video(tmp_path: Path) -> None:
    from skyport.nodes._media.decode import open_video

    song = packed(tmp_path / "song.mp3", "libmp3lame", waves(1)).read_bytes()
    Image.new("RGB", (16, 16), "teal").save(tmp_path / "cover.png")
    cover = b"\0image/png\0\3\0" + (tmp_path / "cover.png").read_bytes()
    apic = b"APIC" + len(cover).to_bytes(4, "big") + b"\0\0" + cover
    path = tmp_path / "a.mp3"
    size = bytes([0, 0, len(apic) >> 7, len(apic) & 0x7F])
    path.write_bytes(b"ID3\3\0\0" + size + apic + song)
    with av.open(str(path)) as container:
        assert container.streams.video
    assert heard(path).shape[1] == pytest.approx(RATE // 4, abs=3000)
    with pytest.raises(BadResult, match="no video track"):
        open_video(path)
