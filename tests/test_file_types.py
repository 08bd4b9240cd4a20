"""Pins: a file is what its bytes say, whatever it is called, and goes up under a name to match."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest
from _clips import RATE, pictures, tone, write_clip, write_sound
from PIL import Image
from skyport.engine.base.errors import InvalidInput
from skyport.engine.base.types import Kind
from skyport.engine.media.file_type import FileType, detect
from skyport.engine.media.files import describe, sniff
from skyport.engine.media.formats import name_by_type
from skyport.sandbox._files import identify

CASES = Path(__file__).parent / "fixtures" / "media"
OCTETS = "application/octet-stream"


def kind_of(path: Path, content_type: str = OCTETS) -> FileType:
    found = detect(path, path.read_bytes()[:8192], content_type, "result")
    assert found is not None
    return found


def of(kind: str, subtype: str, extension: str) -> FileType:
    return FileType(Kind(kind), f"{kind}/{subtype}", extension)


def coded(path: Path, codec: str, rate: int = RATE, format: str | None = None) -> Path:
    """A second of sound, resampled to `rate`."""
    with av.open(str(path), "w", format=format) as container:
        voice = container.add_stream(codec, rate=rate, layout="mono")
        voice.bit_rate = 64000
        frame = av.AudioFrame.from_ndarray(tone(1, 1.0), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        container.mux(voice.encode(frame))
        container.mux(voice.encode(None))
    return path


# -- sound or video ---------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", [OCTETS, "video/mp4", "audio/mp4", "image/png", ""])
def test_an_mp4_of_sound_alone_is_sound_however_it_is_served(content_type: str) -> None:
    assert kind_of(CASES / "sound_only_isom.m4a", content_type) == of("audio", "mp4", "m4a")


@pytest.mark.parametrize(
    ("name", "codec", "expected"),
    [
        ("a.mp4", "aac", of("audio", "mp4", "m4a")),
        ("a.m4a", "aac", of("audio", "mp4", "m4a")),
        ("a.mov", "aac", of("audio", "mp4", "m4a")),
        ("a.mka", "aac", of("audio", "x-matroska", "mka")),
        ("a.webm", "libopus", of("audio", "webm", "webm")),
        ("a.ts", "aac", of("audio", "mp2t", "ts")),
        ("a.ts", "mp2", of("audio", "mp2t", "ts")),
        ("a.flv", "aac", of("audio", "x-flv", "flv")),
        ("a.wma", "wmav2", of("audio", "x-ms-wma", "wma")),
        ("a.ogg", "libopus", of("audio", "ogg", "ogg")),
        ("a.avi", "pcm_s16le", of("audio", "x-msvideo", "avi")),
    ],
)
def test_sound_alone_in_a_videos_container_is_sound(
    tmp_path: Path, name: str, codec: str, expected: FileType
) -> None:
    path = coded(tmp_path / name, codec, 48000)
    for content_type in (OCTETS, f"video/{expected.mime.partition('/')[2]}"):
        assert kind_of(path, content_type) == expected
    assert describe(path).mime == expected.mime


@pytest.mark.parametrize(
    ("name", "codec", "sound", "expected"),
    [
        ("a.mp4", "libx264", True, of("video", "mp4", "mp4")),
        ("a.mov", "libx264", True, of("video", "quicktime", "mov")),
        ("a.mkv", "libx264", True, of("video", "x-matroska", "mkv")),
        ("a.webm", "libvpx", False, of("video", "webm", "webm")),
        ("a.ts", "libx264", True, of("video", "mp2t", "ts")),
        ("a.flv", "libx264", True, of("video", "x-flv", "flv")),
        ("a.avi", "mpeg4", True, of("video", "x-msvideo", "avi")),
        ("a.wmv", "wmv2", True, of("video", "x-ms-wmv", "wmv")),
    ],
)
def test_a_container_with_pictures_is_video_also_where_it_is_served_as_sound(
    tmp_path: Path, name: str, codec: str, sound: bool, expected: FileType
) -> None:
    clip = pictures(5, 64, 48)
    path = write_clip(tmp_path / name, clip, codec, sound=tone(1, 0.5) if sound else None)
    for content_type in (OCTETS, f"audio/{expected.mime.partition('/')[2]}"):
        assert kind_of(path, content_type) == expected
    assert describe(path).mime == expected.mime


def test_transport_streams_with_time_codes_are_known_too(tmp_path: Path) -> None:
    plain = write_clip(tmp_path / "a.ts", pictures(5, 64, 48), sound=tone(1, 0.5)).read_bytes()
    packets = [plain[at : at + 188] for at in range(0, len(plain), 188)]
    path = tmp_path / "a.m2ts"
    path.write_bytes(b"".join(b"\0\0\0\0" + packet for packet in packets))
    assert kind_of(path) == of("video", "mp2t", "ts")


def test_a_streamed_matroska_of_unknown_length_is_read_up_to_its_tracks(tmp_path: Path) -> None:
    path = coded(tmp_path / "a.mka", "aac")
    data = path.read_bytes()
    at = data.index(b"\x18\x53\x80\x67") + 4
    path.write_bytes(data[:at] + b"\x01" + b"\xff" * 7 + data[at + 8 :])
    assert kind_of(path).kind is Kind.AUDIO


def test_where_the_tracks_are_cut_off_the_content_type_decides(tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    path.write_bytes((CASES / "sound_only_isom.m4a").read_bytes()[:5000])
    assert kind_of(path, "audio/mp4").kind is Kind.AUDIO
    assert kind_of(path, OCTETS).kind is Kind.VIDEO


@pytest.mark.parametrize("size", [0, 1, 7, 2**32 - 1])
def test_boxes_whose_sizes_lie_are_walked_to_an_end(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.mp4"
    head = b"\0\0\0\x18ftypisom\0\0\0\0isommp42"
    path.write_bytes(head + (struct.pack(">I", size) + b"moov") * 50)
    assert kind_of(path).mime == "video/mp4"


def ogg_page(packet: bytes, first: bool = True) -> bytes:
    return (
        b"OggS\0" + bytes([2 if first else 0]) + bytes(20) + b"\1" + bytes([len(packet)]) + packet
    )


@pytest.mark.parametrize(
    ("packets", "expected"),
    [
        ([b"\x80theora\3\2\1"], of("video", "ogg", "ogv")),
        ([b"\x01vorbis\0", b"\x80theora\3\2\1"], of("video", "ogg", "ogv")),
        ([b"fishead\0", b"OVP80\1"], of("video", "ogg", "ogv")),
        ([b"\x01vorbis\0"], of("audio", "ogg", "ogg")),
        ([b"OpusHead\1"], of("audio", "ogg", "ogg")),
        ([b"\x7fFLAC\1"], of("audio", "ogg", "ogg")),
    ],
)
def test_ogg_is_what_its_streams_are(
    tmp_path: Path, packets: list[bytes], expected: FileType
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"".join(map(ogg_page, packets)) + ogg_page(b"\x80theora", first=False))
    assert [kind_of(path, each) for each in (OCTETS, "audio/ogg", "video/ogg")] == [expected] * 3


# -- sound without a header -------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 24000, 32000, 44100, 48000])
def test_an_mp3_without_tags_is_known_at_every_rate(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.mp3"
    with av.open(str(path), "w", options={"id3v2_version": "0", "write_xing": "0"}) as container:
        voice = container.add_stream("libmp3lame", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(1, 1.0), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        container.mux(voice.encode(frame))
        container.mux(voice.encode(None))
    assert path.read_bytes()[0] == 0xFF
    assert kind_of(path) == of("audio", "mpeg", "mp3")


@pytest.mark.parametrize(
    ("codec", "name", "expected"),
    [("aac", "a.aac", of("audio", "aac", "aac")), ("mp2", "a.mp2", of("audio", "mpeg", "mp3"))],
)
def test_raw_frames_of_other_layers_are_told_apart(
    tmp_path: Path, codec: str, name: str, expected: FileType
) -> None:
    assert kind_of(coded(tmp_path / name, codec)) == expected


@pytest.mark.parametrize(
    ("codec", "name", "mime"),
    [("flac", "a.flac", "audio/flac"), ("aac", "a.aac", "audio/aac"), ("mp2", "a", "audio/mpeg")],
)
def test_a_tag_before_other_sound_does_not_make_it_mp3(
    tmp_path: Path, codec: str, name: str, mime: str
) -> None:
    path = coded(tmp_path / name, codec, format=None if "." in name else "mp2")
    tag = b"ID3\4\0\0" + bytes([0, 0, 0x78, 0]) + bytes(0x78 << 7)  # larger than the head
    path.write_bytes(tag + path.read_bytes())
    assert kind_of(path).mime == mime
    assert describe(path).mime == mime


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "audio/wav"),
        (b"BW64\xff\xff\xff\xffWAVEds64", "audio/wav"),
        (b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0", "audio/x-w64"),
        (b"FORM\0\0\0\x20AIFFCOMM", "audio/aiff"),
        (b"FORM\0\0\0\x20AIFCFVER", "audio/aiff"),
        (b"#!AMR\n\x3c\x08", "audio/amr"),
        (b"#!AMR-WB\n\x04\x10", "audio/amr-wb"),
        (b".snd\0\0\0\x18\xff\xff\xff\xff", "audio/basic"),
        (b"caff\0\1\0\0desc", "audio/x-caf"),
        (b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom", "audio/mp4"),
        (b"\0\0\0\x20ftypM4B \0\0\0\0M4A mp42isom", "audio/mp4"),
        (b"\0\0\0\x18ftypheix\0\0\0\0mif1heix", "image/heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "image/heic"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "image/avif"),
        (b"\0\0\0\x1cftypavis\0\0\0\0avismsf1mp41", "image/avif"),
        (b"\xff\x0a\xfa\x1f\x01\x91\x08\x06\x01\0", "image/jxl"),
        (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl ", "image/jxl"),
        (b"\x76\x2f\x31\x01\2\0\0\0channels", "image/x-exr"),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", "image/vnd.radiance"),
        (b"P6\n4 4\n255\n\0\1\2", "image/x-portable-anymap"),
        (b"P5 # by hand\n 4 4 255 \xff", "image/x-portable-anymap"),
        (b"Pf\n4 4\n-1.0\n\0\0\0\0", "image/x-portable-anymap"),
        (b"II\x2a\0\x08\0\0\0\x01\0", "image/tiff"),
        (b"\0\0\1\0\1\0\x10\x10", "image/x-icon"),
    ],
)
def test_a_format_is_known_by_its_first_bytes(head: bytes, mime: str) -> None:
    assert sniff(head) == mime


@pytest.mark.parametrize(
    "text",
    [
        b"BM is the best model for this prompt",
        b"MAC address of the machine",
        b"caffeine keeps the queue awake",
        b"DDS files are not supported",
        b"P.S. 4 4 255 nothing",
        b"Pf is no picture",
        b"GGGGGGGGG" * 100,
    ],
)
def test_a_text_that_begins_like_a_format_is_no_medium(text: bytes) -> None:
    assert sniff(text) == ""


def test_a_tga_without_its_ending_is_known_by_its_mark_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    Image.new("RGB", (5, 4), "teal").save(path, "TGA")
    assert kind_of(path) == of("image", "x-tga", "tga")


@pytest.mark.parametrize(
    ("name", "codec", "mime"),
    [("a.ts", "aac", "audio/mp2t"), ("a.mp4", "aac", "audio/mp4"), ("a.mp2", "mp2", "audio/mpeg")],
)
def test_the_sandbox_takes_sound_for_sound(
    tmp_path: Path, name: str, codec: str, mime: str
) -> None:
    assert identify(coded(tmp_path / name, codec), name).mime == mime


def test_the_sandbox_knows_a_video_without_a_header(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.ts", pictures(5, 64, 48))
    assert identify(path, "a.ts").mime == "video/mp2t"


# -- the name that goes up --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "name", "expected"),
    [
        ("PNG", "photo.jpg", "photo.png"),
        ("JPEG", "photo.png", "photo.jpg"),
        ("JPEG", "photo.JPEG", "photo.JPEG"),
        ("JPEG", "photo.jpg", "photo.jpg"),
        ("WEBP", "\u7ad9\u7acb.PNG", "\u7ad9\u7acb.webp"),
        ("PNG", "photo", "photo.png"),
        ("PNG", "v1.5", "v1.5.png"),
        ("PNG", "a.b.mp4", "a.b.png"),
        ("PNG", ".png", ".png.png"),
        ("TIFF", "scan.tiff", "scan.tiff"),
    ],
)
def test_a_picture_goes_up_under_the_extension_of_its_bytes(
    tmp_path: Path, format: str, name: str, expected: str
) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / name, format)
    file = describe(tmp_path / name)
    assert (file.name, file.upload_name) == (name, expected)


@pytest.mark.parametrize(
    ("name", "mime", "expected"),
    [
        ("clip.3gp", "video/mp4", "clip.3gp"),
        ("clip.m4v", "video/mp4", "clip.m4v"),
        ("clip.mov", "video/mp4", "clip.mp4"),
        ("clip.mp4", "video/quicktime", "clip.mov"),
        ("song.mp4", "audio/mp4", "song.mp4"),
        ("song.m4b", "audio/mp4", "song.m4b"),
        ("song.opus", "audio/ogg", "song.opus"),
        ("song.mp3", "audio/wav", "song.wav"),
        ("film.m2ts", "video/mp2t", "film.m2ts"),
        ("film.mp4", "video/mp2t", "film.ts"),
    ],
)
def test_names_of_one_format_stay_and_those_of_another_are_replaced(
    name: str, mime: str, expected: str
) -> None:
    assert name_by_type(name, mime) == expected


def test_a_picture_that_is_not_damaged_but_unknown_here_has_no_size(tmp_path: Path) -> None:
    (tmp_path / "a.jxl").write_bytes(b"\xff\x0a" + bytes(np.arange(40, dtype=np.uint8)))
    file = describe(tmp_path / "a.jxl")
    assert (file.mime, file.width, file.height) == ("image/jxl", None, None)


def test_what_is_cut_off_within_its_header_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.gif")
    (tmp_path / "a.gif").write_bytes((tmp_path / "a.gif").read_bytes()[:9])
    with pytest.raises(InvalidInput, match="it is damaged"):
        describe(tmp_path / "a.gif")


def test_lossless_sound_of_a_known_kind_is_described(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.bin.flac", tone(1, 0.2), "flac", "s16")
    assert describe(path, "song.mp3").upload_name == "song.flac"
