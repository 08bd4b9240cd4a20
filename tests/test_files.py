"""Pins: only media gets through, and a broken limit is told with its value before any charge."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skyport.engine.base.errors import InvalidInput
from skyport.engine.base.types import Kind, MediaFile, MediaRule
from skyport.engine.media.files import describe, size_text, sniff
from skyport.engine.media.formats import extension
from skyport.engine.media.limits import check

MB = 1024 * 1024


def photo(path: Path, size: tuple[int, int] = (40, 30), **options: object) -> Path:
    Image.new("RGB", size, "teal").save(path, **options)
    return path


def a_file(**changes: object) -> MediaFile:
    file = MediaFile(Path("photo.png"), "photo.png", "image/png", "0" * 64, 12 * MB, 800, 600)
    return replace(file, **changes)


# -- describe ---------------------------------------------------------------------------------


def test_a_picture_is_described_with_its_size_and_hash(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.png")
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    assert describe(path) == MediaFile(path, "a.png", "image/png", digest, len(data), 40, 30)


def test_a_file_larger_than_one_piece_is_hashed_whole(tmp_path: Path) -> None:
    path = tmp_path / "noise.bmp"
    noise = np.random.default_rng(1).integers(0, 256, (1100, 1000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    assert path.stat().st_size > 3 * MB
    assert describe(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_name_of_the_users_own_replaces_the_files(tmp_path: Path) -> None:
    assert describe(photo(tmp_path / "0f3a.png"), "\u7ad9\u7acb.png").name == "\u7ad9\u7acb.png"


def test_the_bytes_decide_not_the_name(tmp_path: Path) -> None:
    file = describe(photo(tmp_path / "wrong.png", format="JPEG"))
    assert (file.mime, file.kind) == ("image/jpeg", Kind.IMAGE)


@pytest.mark.parametrize(
    ("name", "format", "shown"),
    [
        ("photo.jpg", "PNG", "photo.png"),
        ("photo.PNG", "JPEG", "photo.jpg"),
        ("photo.jpeg", "WEBP", "photo.webp"),
        ("photo.webp", "PNG", "photo.png"),
        ("photo.gif", "BMP", "photo.bmp"),
        ("photo.mp4", "PNG", "photo.png"),
        ("photo", "PNG", "photo.png"),
        (".jpg", "PNG", ".jpg.png"),
        ("shot v1.2", "PNG", "shot v1.2.png"),
        ("a.b.jpg", "PNG", "a.b.png"),
        ("photo.JPEG", "JPEG", "photo.JPEG"),
        ("photo.jfif", "JPEG", "photo.jfif"),
        ("photo.tiff", "TIFF", "photo.tiff"),
        ("photo.png", "PNG", "photo.png"),
    ],
)
def test_the_extension_that_goes_up_is_that_of_the_bytes(
    tmp_path: Path, name: str, format: str, shown: str
) -> None:
    path = photo(tmp_path / "kept", format=format)
    assert describe(path, name).upload_name == shown
    assert describe(path, name).path == path


@pytest.mark.parametrize("name", ["a.mp4", "a.m4v", "a.m4a"])
def test_a_name_of_the_same_container_stays(tmp_path: Path, name: str) -> None:
    path = tmp_path / "kept"
    path.write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0isomiso2" + bytes(99))
    assert describe(path, name).upload_name == name
    assert describe(path, "a.mov").upload_name == "a.mp4"


def test_a_name_that_alone_says_what_a_file_is_stays(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(b"\xff\xfa\x90\xc4" + bytes(400))
    assert describe(path).upload_name == "song.mp3"


def test_a_phones_picture_on_its_side_has_the_size_a_viewer_shows(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = describe(photo(tmp_path / "phone.jpg", (40, 30), exif=exif))
    assert (file.width, file.height) == (30, 40)


def test_sound_that_its_bytes_do_not_tell_is_told_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(b"\xff\xfa\x90\xc4" + bytes(400))
    assert sniff(path.read_bytes()) == ""
    assert describe(path).mime == "audio/mpeg"


def test_an_mp4_of_an_unknown_brand_is_still_a_video() -> None:
    assert sniff(b"\0\0\0\x18ftypzzzz\0\0\0\0zzzzyyyy") == "video/mp4"


def test_wav_has_the_name_that_the_platforms_samples_use() -> None:
    assert sniff(b"RIFF\x24\0\0\0WAVEfmt ") == "audio/wav"


@pytest.mark.parametrize(
    ("mime", "expected"),
    [("image/jpeg", "jpg"), ("video/quicktime", "mov"), ("image/png", "png"), ("audio/wav", "wav")],
)
def test_each_type_has_its_usual_extension(mime: str, expected: str) -> None:
    assert extension(mime) == expected


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.txt", "a")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("clip.mp4", b"<html>502 Bad Gateway</html>", "it is no image, video or audio file"),
        ("photo.jpg", zipped(), "it is no image, video or audio file"),
        ("thing", bytes(range(256)), "it is no image, video or audio file"),
        ("photo.png", b"", "it is empty"),
        ("photo.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIH", "it is damaged"),
    ],
)
def test_what_is_no_media_is_refused_by_name(
    tmp_path: Path, name: str, data: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidInput, match=f"{name} cannot be used: {reason}"):
        describe(tmp_path / name)


def test_a_path_that_is_missing_or_a_folder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.png", tmp_path):
        with pytest.raises(InvalidInput, match=f"{path.name} cannot be used"):
            describe(path)


def test_the_command_line_needs_neither_torch_nor_pyav() -> None:
    code = (
        "import sys, skyport.engine.media.files\n"
        "assert not {'torch', 'av', 'comfy'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# -- check ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "rule", "expected"),
    [
        (
            a_file(size=int(12.4 * MB)),
            MediaRule(max_bytes=10 * MB),
            "end frame: photo.png is 12.4 MB; kling-v3 takes at most 10 MB.",
        ),
        (
            a_file(size=10 * MB + 1),
            MediaRule(max_bytes=10 * MB),
            "end frame: photo.png is 10485761 bytes; kling-v3 takes at most 10485760 bytes.",
        ),
        (
            a_file(),
            MediaRule(max_width=512),
            "end frame: photo.png is 800 pixels wide; kling-v3 takes at most 512.",
        ),
        (
            a_file(width=299),
            MediaRule(min_width=300),
            "end frame: photo.png is 299 pixels wide; kling-v3 takes at least 300.",
        ),
        (
            a_file(),
            MediaRule(max_height=599),
            "end frame: photo.png is 600 pixels high; kling-v3 takes at most 599.",
        ),
        (
            a_file(height=2),
            MediaRule(min_height=300),
            "end frame: photo.png is 2 pixels high; kling-v3 takes at least 300.",
        ),
        (
            a_file(duration=15.25),
            MediaRule(max_seconds=15),
            "end frame: photo.png lasts 15.25 seconds; kling-v3 takes at most 15.",
        ),
        (
            a_file(duration=1.5),
            MediaRule(min_seconds=2),
            "end frame: photo.png lasts 1.5 seconds; kling-v3 takes at least 2.",
        ),
        (
            a_file(),
            MediaRule(formats=("jpg", "webp")),
            "end frame: photo.png is image/png; kling-v3 takes jpg, webp.",
        ),
    ],
)
def test_a_broken_limit_is_told_with_the_real_value(
    file: MediaFile, rule: MediaRule, expected: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        check(file, rule, "end frame", "kling-v3")
    assert caught.value.what == expected
    assert caught.value.do


def test_a_file_exactly_at_its_limits_is_taken() -> None:
    rule = MediaRule(
        formats=("png",),
        max_bytes=12 * MB,
        min_width=800,
        max_width=800,
        min_height=600,
        max_height=600,
        min_seconds=5,
        max_seconds=5,
    )
    check(a_file(duration=5.03), rule, "image")
    with pytest.raises(InvalidInput):
        check(a_file(duration=5.2), rule, "image")


def test_what_is_not_known_is_not_judged() -> None:
    rule = MediaRule(min_width=300, min_height=300, max_seconds=1, notes="nice pictures only")
    check(a_file(width=None, height=None), rule, "image")
    check(a_file(size=10**12, width=9, height=9), MediaRule(), "image")


@pytest.mark.parametrize(
    ("mime", "formats"),
    [
        ("image/jpeg", ("JPEG", ".jpg", "image/jpg", "image/jpeg", "jpg ", "image/*", "image")),
        ("video/quicktime", ("mov", "MOV", "video/mov", "video/quicktime")),
        ("audio/mpeg", ("mp3", "audio/mp3", "audio/mpeg")),
        ("audio/wav", ("wav", "audio/x-wav", "*")),
        ("video/x-matroska", ("mkv", "video/x-matroska", "matroska")),
    ],
)
def test_a_format_is_known_in_every_usual_spelling(mime: str, formats: tuple[str, ...]) -> None:
    for each in formats:
        check(a_file(mime=mime), MediaRule(formats=(each,)), "x")


@pytest.mark.parametrize("wanted", ["audio/mp4", "video/*", "mp3", "png"])
def test_a_format_of_another_kind_is_no_match(wanted: str) -> None:
    with pytest.raises(InvalidInput):
        check(a_file(mime="image/gif"), MediaRule(formats=(wanted,)), "x")


@pytest.mark.parametrize(
    ("size", "expected"),
    [(999, "999 bytes"), (1536, "1.5 KB"), (10 * MB, "10 MB"), (3 * 1024**3 // 2, "1.5 GB")],
)
def test_sizes_are_told_as_people_read_them(size: int, expected: str) -> None:
    assert size_text(size) == expected
