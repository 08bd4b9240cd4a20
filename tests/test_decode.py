"""Pins: a result reaches the graph as it was sent and in the memory it needs, or is refused."""

from __future__ import annotations

import shutil
import struct
import wave
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from zlib import compress, crc32

import av
import numpy as np
import pytest
import standin  # noqa: F401  (makes comfy_api importable)
import torch
from _clips import (
    RATE,
    declare_frames,
    pictures,
    tone,
    turned,
    with_codec,
    with_cover,
    write_clip,
    write_sound,
)
from PIL import Image
from skyport.engine.base.errors import BadResult
from skyport.engine.media import notes
from skyport.nodes._media.decode import (
    FramesTooLarge,
    batch_images,
    check_video,
    decode_audio,
    decode_frames,
    decode_image,
    frame_count,
    has_audio,
    open_video,
    thumbnail,
)
from skyport.nodes._media.decode.memory import free_memory
from skyport.nodes._media.encode import probe

MEDIA = Path(__file__).parent / "fixtures" / "media"
RNG = np.random.default_rng(7)


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def saved(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def deep_png(path: Path, levels: np.ndarray) -> Path:
    """A PNG of 16 bits a colour, which Pillow cannot write, of uint16 [H,W,3]."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc32(name + data))

    height, width = levels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


def reference_frames(path: Path) -> torch.Tensor:
    """The plain way: every frame an array, all stacked; FFmpeg's white is 255/256 for YUV."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    if frames[0].format.is_rgb:
        return torch.stack([torch.from_numpy(f.to_ndarray(format="rgb24")) for f in frames]) / 255
    alone = {} if int(av.__version__.split(".")[0]) < 17 else {"threads": 1}
    levels = np.stack([frame.to_ndarray(format="gbrpf32le", **alone) for frame in frames])
    return (torch.from_numpy(levels) * (65535 / 65280)).clamp(0, 1)


# -- pictures ---------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [3, 4])
def test_png_values_arrive_exactly_and_alpha_is_kept(tmp_path: Path, channels: int) -> None:
    levels = noise(9, 7, channels)
    image = decode_image(saved(tmp_path / "a.png", levels))
    assert image.shape == (1, 9, 7, channels)
    assert image.dtype == torch.float32
    assert torch.equal(image[0], torch.from_numpy(levels).float() / 255)


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    levels = noise(4, 4)
    image = decode_image(saved(tmp_path / "a.png", levels))
    assert torch.equal(image[0], torch.from_numpy(levels).float()[..., None].expand(4, 4, 3) / 255)


def test_16_bit_grey_keeps_its_steps(tmp_path: Path) -> None:
    levels = np.array([[0, 1, 257, 32768, 65535]], dtype=np.uint16)
    image = decode_image(saved(tmp_path / "a.png", levels))
    expected = torch.tensor(levels.astype(np.float64) / 65535).float()[0, :, None].expand(5, 3)
    assert torch.allclose(image[0, 0], expected, atol=1e-7)


def test_16_bit_colour_is_not_blown_out(tmp_path: Path) -> None:
    levels = np.array([[[0, 128 * 257, 65535]]], dtype=np.uint16)
    image = decode_image(deep_png(tmp_path / "a.png", levels))
    assert torch.equal(image[0, 0, 0], torch.tensor([0, 128, 255]) / 255)


def test_a_palette_with_a_transparent_entry_has_alpha(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "clear.png", transparency=0)
    image.save(tmp_path / "solid.png")
    assert decode_image(tmp_path / "clear.png").tolist() == [[[[1, 0, 0, 0], [0, 0, 1, 1]]]]
    assert decode_image(tmp_path / "solid.png").tolist() == [[[[1, 0, 0], [0, 0, 1]]]]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "F"])
def test_every_mode_of_a_picture_gives_red_green_blue(tmp_path: Path, mode: str) -> None:
    grey = Image.new("L", (4, 3), 255)
    picture = Image.new("F", (4, 3), 1.0) if mode == "F" else grey.convert(mode)
    if mode == "I;16":
        picture = Image.new("I;16", (4, 3), 65535)
    path = tmp_path / (
        "a.jpg" if mode in ("CMYK", "YCbCr") else "a.tif" if mode == "F" else "a.png"
    )
    picture.save(path)
    image = decode_image(path)
    assert image.shape == (1, 3, 4, 4 if mode in ("LA", "RGBA") else 3)
    assert (image > 0.99).all()


def test_a_picture_on_its_side_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    levels = noise(2, 5, 3)
    path = saved(tmp_path / "a.png", levels, exif=exif)
    expected = torch.from_numpy(np.rot90(levels, -1).copy()).float() / 255
    assert torch.equal(decode_image(path)[0], expected)


@pytest.mark.parametrize("name", ["a.webp", "a.png"])
def test_an_animation_is_one_batch_of_its_frames(tmp_path: Path, name: str) -> None:
    frames = [Image.fromarray(f) for f in pictures(5, 8, 6)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
    expected = torch.from_numpy(pictures(5, 8, 6)).float() / 255
    assert torch.equal(decode_image(tmp_path / name), expected)


def test_an_animation_with_a_transparent_frame_has_alpha_in_all(tmp_path: Path) -> None:
    solid, holed = Image.new("RGBA", (4, 4), "red"), Image.new("RGBA", (4, 4), "red")
    holed.putpixel((0, 0), (0, 0, 0, 0))
    holed.save(tmp_path / "a.gif", save_all=True, append_images=[solid])
    image = decode_image(tmp_path / "a.gif")
    assert image[:, 0, 0].tolist() == [[0, 0, 0, 0], [1, 0, 0, 1]]
    assert image[:, 1, 1].tolist() == [[1, 0, 0, 1], [1, 0, 0, 1]]


def test_pages_of_a_tiff_are_no_frames(tmp_path: Path) -> None:
    pages = [Image.fromarray(f) for f in pictures(3, 8, 6)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert decode_image(tmp_path / "a.tif").shape == (1, 6, 8, 3)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_a_cut_picture_is_refused_and_kept(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / name, noise(64, 64, 3))
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(BadResult, match=f"{name} cannot be read.*kept at .*{name}"):
        decode_image(path)
    assert path.exists()


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("<html>not found</html>")
    with pytest.raises(BadResult, match=r"a\.png"):
        decode_image(tmp_path / "a.png")
    with pytest.raises(BadResult, match="no longer"):
        decode_image(tmp_path / "gone.png")


def test_pictures_of_one_size_are_one_batch(tmp_path: Path) -> None:
    levels = noise(3, 4, 5, 3)
    paths = [saved(tmp_path / f"{n}.png", each) for n, each in enumerate(levels)]
    (batch,) = batch_images(paths)
    assert torch.equal(batch, torch.from_numpy(levels).float() / 255)


def test_other_sizes_and_channels_make_runs_in_order(tmp_path: Path) -> None:
    shapes = [(4, 5, 3), (4, 5, 3), (4, 6, 3), (4, 5, 3), (4, 5, 4), (4, 5, 4)]
    paths = [saved(tmp_path / f"{n}.png", noise(*shape)) for n, shape in enumerate(shapes)]
    batches = batch_images(paths)
    assert [tuple(b.shape) for b in batches] == [
        (2, 4, 5, 3),
        (1, 4, 6, 3),
        (1, 4, 5, 3),
        (2, 4, 5, 4),
    ]
    assert torch.equal(torch.cat([batches[0], batches[2]])[2], decode_image(paths[3])[0])
    assert batch_images([]) == []


# -- frames -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "codec", "pix_fmt", "name"),
    [
        ((64, 48), "libx264", "yuv420p", "a.mp4"),
        ((98, 50), "libx264", "yuv420p", "a.mp4"),
        ((33, 17), "libx264", "yuv444p", "a.mp4"),
        ((51, 35), "ffv1", "bgr0", "a.mkv"),
        ((37, 21), "mpeg4", "yuv420p", "a.avi"),
    ],
)
def test_frames_equal_a_plain_decode(
    tmp_path: Path, size: tuple[int, int], codec: str, pix_fmt: str, name: str
) -> None:
    path = write_clip(tmp_path / name, pictures(11, *size), codec, pix_fmt)
    frames = decode_frames(path)
    assert frames.shape == (11, size[1], size[0], 3)
    assert frames.dtype == torch.float32
    assert torch.allclose(frames, reference_frames(path), atol=1e-4)


def test_lossless_video_arrives_exactly(tmp_path: Path) -> None:
    levels = pictures(4, 40, 30)
    path = write_clip(tmp_path / "a.mkv", levels, "ffv1", "bgr0")
    assert torch.equal(decode_frames(path), torch.from_numpy(levels).float() / 255)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_video_of_photos_with_exif_is_turned_upright(tmp_path: Path, orientation: int) -> None:
    """Newer decoders hand the EXIF data over with each frame, which PyAV has no name for."""
    levels = np.zeros((16, 32, 3), np.uint8)
    levels[:8, :16] = 255
    exif, photo = Image.Exif(), BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(levels).save(photo, "JPEG", exif=exif, quality=95)
    path = tmp_path / "a.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuvj420p"
        for n in range(3):
            packet = av.Packet(photo.getvalue())
            packet.stream, packet.pts, packet.dts = stream, n, n
            packet.time_base, packet.is_keyframe = Fraction(1, 10), True
            container.mux(packet)
    with av.open(str(path)) as container:
        turned = getattr(next(container.decode(video=0)), "rotation", 0)  # older ones pass over it
    expected = np.rot90(levels, turned // 90) / 255
    assert np.abs(decode_frames(path).numpy() - expected).max() < 0.1


def test_a_phones_video_is_turned_upright(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures(3, 64, 48))
    flat = reference_frames(path)
    upright = decode_frames(turned(path))
    assert upright.shape == (3, 64, 48, 3)
    assert torch.allclose(upright, torch.rot90(flat, -1, (1, 2)), atol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 25])
def test_frames_are_counted_with_and_without_a_declared_count(tmp_path: Path, count: int) -> None:
    for name, codec in (("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.webm", "libvpx")):
        path = write_clip(tmp_path / name, pictures(count, 32, 32), codec)
        assert frame_count(path) == count, name
        assert len(decode_frames(path)) == count, name


@pytest.mark.parametrize("declared", [2, 9, 12, 15, 200])
def test_a_header_that_errs_about_the_count_costs_no_frame(tmp_path: Path, declared: int) -> None:
    path = write_clip(tmp_path / "a.avi", pictures(12, 32, 32), "mpeg4")
    expected = reference_frames(path)
    declare_frames(path, declared)
    assert frame_count(path) == declared
    assert torch.allclose(decode_frames(path), expected, atol=1e-4)


def test_frames_that_do_not_fit_are_refused_before_they_are_allocated(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.avi", pictures(3, 64, 48), "mpeg4")
    declare_frames(path, 2_000_000_000)
    with pytest.raises(FramesTooLarge) as caught:
        decode_frames(path)
    assert caught.value.needed == 2_000_000_000 * 64 * 48 * 12
    assert "2000000000 frames of 64 x 48 need 68664.6 GB" in str(caught.value)
    assert "fewer frames" in caught.value.do


def test_the_memory_that_may_be_taken_is_kept_to_the_byte(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures(5, 32, 32))
    needed = 5 * 32 * 32 * 3 * 4
    assert len(decode_frames(path, free_bytes=needed)) == 5
    with pytest.raises(FramesTooLarge):
        decode_frames(path, free_bytes=needed - 1)


def test_more_frames_than_declared_are_held_to_the_same_limit(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.avi", pictures(12, 32, 32), "mpeg4")
    declare_frames(path, 4)
    with pytest.raises(FramesTooLarge):
        decode_frames(path, free_bytes=5 * 32 * 32 * 3 * 4)


def test_free_memory_is_known_on_this_machine() -> None:
    assert (free_memory() or 0) > 1024**2


# -- video ------------------------------------------------------------------------------------


def test_a_video_is_backed_by_the_file(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures(5, 64, 48))
    video = open_video(path)
    assert video.get_stream_source() == str(path)
    assert video.get_dimensions() == (64, 48)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_a_video_that_lost_its_end_is_refused_and_kept(tmp_path: Path, share: float) -> None:
    whole = write_clip(tmp_path / "a.mp4", pictures(9, 64, 48), sound=tone(1, 0.9)).read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(BadResult, match=r"cut\.mp4 cannot be read.*kept at"):
        open_video(path)


def test_a_streamable_video_that_lost_its_end_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in pictures(9, 64, 48):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    check_video(path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(BadResult, match="its end is missing"):
        check_video(path)
    shutil.copy(path, tmp_path / "a_2.mp4")  # fetched again, and the platform has no other
    with notes.collected() as told:
        check_video(path)
    assert told == ["a.mp4: its end is missing."]
    assert len(decode_frames(path)) == 8


def test_bytes_behind_a_whole_video_do_no_harm(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures(5, 64, 48))
    path.write_bytes(path.read_bytes() + struct.pack(">I4s", 999999, b"junk") + b"tail")
    check_video(path)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.m4a", tone(1, 0.2), "aac", "fltp")
    with pytest.raises(BadResult, match="no video track"):
        open_video(path)
    with pytest.raises(BadResult, match="no video track"):
        decode_frames(path)


# -- files that differ ------------------------------------------------------------------------


def png() -> bytes:
    stream = BytesIO()
    Image.new("RGB", (16, 16), "red").save(stream, "PNG")
    return stream.getvalue()


def noted(path: Path) -> tuple[torch.Tensor, str]:
    """The frames, and what a person is told of them."""
    with notes.collected() as texts:
        frames = decode_frames(path)
    return frames, "\n".join(texts)


def test_a_cover_before_the_film_is_not_taken_for_it(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures(5, 64, 48), sound=tone(1, 0.5))
    expected = decode_frames(path)
    with_cover(path, png())
    with av.open(str(path)) as container:
        assert container.streams.video[0].width == 16
    assert torch.equal(decode_frames(path), expected)
    assert thumbnail(path).size == (64, 48)
    assert open_video(path).get_stream_source() == str(path)


def test_a_song_with_a_cover_is_no_video(tmp_path: Path) -> None:
    path = with_cover(write_sound(tmp_path / "a.m4a", tone(1, 0.2), "aac", "fltp"), png())
    for read in (open_video, decode_frames):
        with pytest.raises(BadResult, match="no video track"):
            read(path)
    assert has_audio(path)


def test_frames_of_an_unknown_codec_are_refused_by_its_name(tmp_path: Path) -> None:
    path = with_codec(write_clip(tmp_path / "a.mp4", pictures(5, 64, 48)), b"xq77")
    with pytest.raises(BadResult, match=r'a\.mp4.*PyAV has no decoder.*"xq77".*kept at'):
        decode_frames(path)
    assert open_video(path).get_stream_source() == str(path)


def test_a_sound_track_without_a_packet_leaves_the_frames(tmp_path: Path) -> None:
    path = shutil.copy(MEDIA / "empty_sound_track.mp4", tmp_path)
    frames, told = noted(Path(path))
    assert len(frames) == 10
    assert told == ""


def test_packets_that_repeat_a_picture_cost_no_other(tmp_path: Path) -> None:
    """Theora codes a picture that did not change as a packet of no bytes."""
    path = Path(shutil.copy(MEDIA / "repeated_pictures.ogv", tmp_path))
    frames, told = noted(path)
    assert len(frames) == 2
    assert frames[0, 24, 24, 2] < 0.2 < 0.8 < frames[1, 24, 24, 2]
    assert told == "repeated_pictures.ogv: 5 packets hold no frame."


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mkv", "libx264"), ("a.webm", "libvpx"), ("a.avi", "mpeg4"), ("a.mkv", "ffv1")],
)
def test_what_a_cut_file_still_holds_is_delivered_and_its_end_is_missed(
    tmp_path: Path, name: str, codec: str
) -> None:
    path = write_clip(tmp_path / name, pictures(20, 64, 48), codec)
    whole = decode_frames(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.7)])
    frames, told = noted(path)
    assert 1 <= len(frames) < 20
    assert torch.equal(frames[:-1], whole[: len(frames) - 1])
    assert f"{name}: its end is missing; {len(frames)} frames are there." in told


def test_every_frame_but_the_broken_ones_is_delivered(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mov", pictures(20, 64, 48), "prores_ks", "yuv422p10le")
    whole = decode_frames(path)
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = path.read_bytes()
    for number in (7, 18, 19):
        data = data.replace(packets[number], b"\xff" * len(packets[number]))
    path.write_bytes(data)
    frames, told = noted(path)
    assert torch.equal(frames[:7], whole[:7])
    assert torch.equal(frames[7:], whole[8:18])
    assert "a.mov: skipped 3 broken packets." in told


def test_a_whole_file_is_told_nothing_of(tmp_path: Path) -> None:
    for name, codec in (("a.mp4", "libx264"), ("a.webm", "libvpx"), ("a.ts", "libx264")):
        path = write_clip(tmp_path / name, pictures(9, 64, 48), codec, sound=None)
        assert noted(path)[1] == ""


def test_transparency_that_frames_cannot_have_is_told(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", pictures(3, 64, 48), "ffv1", "yuva420p")
    frames, told = noted(path)
    assert frames.shape == (3, 48, 64, 3)
    assert told == "a.mkv: `frames` are without its transparency."


def test_frames_that_change_their_size_take_that_of_the_first(tmp_path: Path) -> None:
    small, large = (
        write_clip(tmp_path / name, pictures(3, *size)).read_bytes()
        for name, size in (("small.ts", (64, 48)), ("large.ts", (128, 96)))
    )
    path = tmp_path / "a.ts"
    path.write_bytes(small + large)
    frames = decode_frames(path)
    assert frames.shape == (6, 48, 64, 3)
    assert (frames[0] - frames[3]).abs().mean() < 0.1


# -- sound ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec", "sample_format"),
    [
        ("a.flac", "flac", "s16"),
        ("a.wav", "pcm_s16le", "s16"),
        ("a.wav", "pcm_f32le", "flt"),
        ("a.wav", "pcm_s32le", "s32"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_lossless_sound_arrives_sample_for_sample(
    tmp_path: Path, name: str, codec: str, sample_format: str, channels: int
) -> None:
    sent = tone(channels, 0.3)
    audio = decode_audio(write_sound(tmp_path / name, sent, codec, sample_format))
    assert audio["sample_rate"] == RATE
    assert audio["waveform"].dtype == torch.float32
    assert audio["waveform"].shape == (1, *sent.shape)
    assert np.abs(audio["waveform"][0].numpy() - sent).max() <= 1 / 32768


@pytest.mark.parametrize(
    ("name", "codec", "sample_format"),
    [("a.mp3", "libmp3lame", "s16p"), ("a.m4a", "aac", "fltp")],
)
def test_coded_sound_keeps_its_channels_apart(
    tmp_path: Path, name: str, codec: str, sample_format: str
) -> None:
    sent = tone(2, 0.5)
    received = decode_audio(write_sound(tmp_path / name, sent, codec, sample_format))["waveform"][0]
    assert received.shape[0] == 2
    assert received.shape[1] == pytest.approx(sent.shape[1], abs=3000)
    middle = slice(8000, 14000)
    for own, other in ((0, 1), (1, 0)):
        strengths = [_strength(received[own, middle].numpy(), each[middle]) for each in sent]
        assert strengths[own] > 10 * strengths[other]


def _strength(samples: np.ndarray, sent: np.ndarray) -> float:
    """How much of `sent`'s pitch is in `heard`, whatever the delay."""
    loudest = int(np.abs(np.fft.rfft(sent)).argmax())
    return float(np.abs(np.fft.rfft(samples))[loudest - 2 : loudest + 3].max())


def test_8_bit_sound_is_centred(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(bytes([128, 0, 255, 192] * 100))
    waveform = decode_audio(tmp_path / "a.wav")["waveform"]
    assert waveform[0, 0, :4].tolist() == [0, -1, 127 / 128, 0.5]


def test_the_sound_of_a_video_is_decoded(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures(10, 32, 32), sound=tone(2, 1.0))
    assert has_audio(path)
    audio = decode_audio(path)
    assert audio["waveform"].shape[:2] == (1, 2)
    assert audio["waveform"].shape[2] == pytest.approx(RATE, abs=3000)


def test_a_silent_video_says_that_it_has_no_sound(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures(3, 32, 32))
    assert not has_audio(path)
    with pytest.raises(BadResult, match="no sound track"):
        decode_audio(path)


def test_tags_in_another_encoding_cost_no_sound(tmp_path: Path) -> None:
    """FFmpeg hands such bytes on as they are, and older PyAVs take them for UTF-8."""
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(np.arange(80, dtype="<i2").tobytes())
    title = "\u6d77\u827a\u6b4c".encode("gbk")
    listed = b"INFOINAM" + struct.pack("<I", len(title)) + title
    data = path.read_bytes() + b"LIST" + struct.pack("<I", len(listed)) + listed
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    assert decode_audio(path)["waveform"].shape == (1, 1, 80)
    assert probe(path).duration == pytest.approx(0.01)


def test_a_broken_sound_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"{}")
    for read in (decode_audio, has_audio):
        with pytest.raises(BadResult, match=r"a\.mp3 cannot be read"):
            read(tmp_path / "a.mp3")


# -- previews ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA", "L", "I;16", "CMYK"])
def test_a_preview_is_always_rgb_and_small(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new(mode, (900, 600)).save(path)
    small = thumbnail(path)
    assert (small.mode, small.size) == ("RGB", (512, 341))


def test_a_preview_of_a_video_is_its_first_frame(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", pictures(3, 40, 30), "ffv1", "bgr0")
    small = thumbnail(path)
    assert small.mode == "RGB"
    assert np.array_equal(np.asarray(small), pictures(1, 40, 30)[0])
