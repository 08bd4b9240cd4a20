"""Pins: every picture arrives as its format means it, fits in free memory, or is told by name."""

from __future__ import annotations

import logging
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any
from zlib import compress, crc32

import numpy as np
import pytest
import standin  # noqa: F401  (makes comfy_api importable)
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps, ImageSequence
from skyport.engine.base.errors import BadResult, InvalidInput
from skyport.engine.media.files import describe
from skyport.engine.media.notes import collected
from skyport.nodes._media.decode import (
    FramesTooLarge,
    NotDecoded,
    batch_images,
    decode_image,
    thumbnail,
)

CASES = Path(__file__).parent / "fixtures" / "media"
RNG = np.random.default_rng(11)


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc32(name + data))


def png(
    path: Path, size: tuple[int, int], depth: int, colour: int, rows: bytes, *more: Any
) -> Path:
    """A PNG from its rows as they are stored; `more` are (name, data) of chunks before them."""
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *more, (b"IDAT", compress(rows)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))
    return path


def exif(orientation: int) -> Image.Exif:
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def plain(image: Image.Image) -> np.ndarray:
    """[H,W,C] floats the plain way: turned upright and converted whole."""
    image = ImageOps.exif_transpose(image)
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return np.asarray(image.convert(mode)).astype(np.float32) / np.float32(255)


def upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """[H,W,C] as EXIF's orientation means it: mirrored first where it is 2, 4, 5 or 7."""
    mirrored = stored[:, ::-1] if orientation in (2, 4, 5, 7) else stored
    quarters = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    return np.rot90(mirrored, quarters).copy()


# -- as Pillow reads it -----------------------------------------------------------------------

FORMATS = [
    *(("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")),
    *(("JPEG", mode) for mode in ("L", "RGB", "CMYK")),
    *(("TIFF", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")),
    *(("WEBP", mode) for mode in ("RGB", "RGBA")),
    *(("BMP", mode) for mode in ("1", "L", "P", "RGB")),
    *(("GIF", mode) for mode in ("L", "P")),
    *(("TGA", mode) for mode in ("L", "LA", "RGB", "RGBA")),
    *(("PPM", mode) for mode in ("1", "L", "RGB")),
]
WITH_EXIF = ("PNG", "JPEG", "TIFF", "WEBP")


@given(
    st.sampled_from(FORMATS),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 8),
    st.integers(0, 2**32 - 1),
)
def test_any_picture_arrives_as_a_plain_reading_of_it(
    tmp_path_factory: pytest.TempPathFactory,
    kind: tuple[str, str],
    width: int,
    height: int,
    orientation: int,
    seed: int,
) -> None:
    format, mode = kind
    path = tmp_path_factory.getbasetemp() / f"random.{format.lower()}"
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    image = Image.fromarray(levels).convert("RGB" if mode in ("CMYK", "P") else mode)
    image.convert(mode).save(path, format)
    with Image.open(path) as opened:
        expected = plain(opened)
    if orientation and format in WITH_EXIF:
        image.convert(mode).save(path, format, exif=exif(orientation))
        expected = upright(expected, orientation)
    decoded = decode_image(path)
    assert torch.equal(decoded[0], torch.from_numpy(expected))
    file = describe(path)
    assert (file.height, file.width) == decoded.shape[1:3]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
def test_each_of_the_eight_orientations_is_turned_upright(
    tmp_path: Path, name: str, orientation: int
) -> None:
    levels = noise(3, 5, 3)
    path = tmp_path / name
    Image.fromarray(levels).save(path, exif=exif(orientation), lossless=True)
    expected = torch.from_numpy(upright(levels, orientation)).float() / 255
    assert torch.equal(decode_image(path)[0], expected)
    file = describe(path)
    assert (file.width, file.height) == ((3, 5) if orientation >= 5 else (5, 3))
    assert thumbnail(path).size == (file.width, file.height)


def test_an_orientation_behind_the_pixels_of_a_png_counts(tmp_path: Path) -> None:
    levels = noise(3, 5, 3)
    rows = b"".join(b"\0" + row.tobytes() for row in levels)
    path = png(tmp_path / "a.png", (5, 3), 8, 2, rows)
    late = chunk(b"eXIf", exif(6).tobytes().removeprefix(b"Exif\0\0"))
    data = path.read_bytes()
    path.write_bytes(data[:-12] + late + data[-12:])
    assert decode_image(path).shape == (1, 5, 3, 3)
    assert (describe(path).width, describe(path).height) == (3, 5)


# -- one transparent colour -------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_grey_png_is_transparent_where_it_has_its_transparent_grey(
    tmp_path: Path, depth: int
) -> None:
    clear = {1: 1, 2: 2, 4: 7, 8: 77, 16: 0x1234}[depth]
    other = {1: 0, 2: 1, 4: 8, 8: 78, 16: 0x1235}[depth]
    if depth == 16:
        rows = b"\0" + struct.pack(">2H", clear, other)
    else:
        packed = clear << 8 - depth | (other << 8 - 2 * depth if depth < 8 else 0)
        rows = b"\0" + bytes([packed] if depth < 8 else [clear, other])
    path = png(tmp_path / "a.png", (2, 1), depth, 0, rows, (b"tRNS", struct.pack(">H", clear)))
    most = (1 << depth) - 1
    expected = [[clear / most] * 3 + [0.0], [other / most] * 3 + [1.0]]
    assert np.allclose(decode_image(path)[0, 0].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_colour_png_is_transparent_where_it_has_its_transparent_colour(
    tmp_path: Path, depth: int
) -> None:
    scale = 1 if depth == 8 else 257
    clear = [10 * scale, 20 * scale, 30 * scale]
    near = [clear[0], clear[1], clear[2] + 1]  # of 16 bits, the upper 8 are equal
    kind = ">3B" if depth == 8 else ">3H"
    rows = b"\0" + struct.pack(kind, *clear) + struct.pack(kind, *near)
    path = png(tmp_path / "a.png", (2, 1), depth, 2, rows, (b"tRNS", struct.pack(">3H", *clear)))
    image = decode_image(path)
    assert image.shape == (1, 1, 2, 4)
    assert image[0, 0, :, 3].tolist() == [0, 1]
    assert torch.equal(image[0, 0, 0, :3], torch.tensor([10, 20, 30]) / 255)


def test_what_is_no_number_in_a_picture_of_floats_is_black(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    levels = np.array([[np.nan, np.inf, -np.inf, 0.5]], np.float32)
    Image.fromarray(levels).save(path)
    assert decode_image(path)[0, 0, :, 0].tolist() == [0, 1, 0, 0.5]


def test_grey_with_alpha_of_16_bits_keeps_both(tmp_path: Path) -> None:
    rows = b"\0" + struct.pack(">4H", 128 * 257, 64 * 257, 65535, 0)
    image = decode_image(png(tmp_path / "a.png", (2, 1), 16, 4, rows))
    assert torch.equal(image[0, 0, 0], torch.tensor([128, 128, 128, 64]) / 255)
    assert image[0, 0, 1].tolist() == [1, 1, 1, 0]


# -- animations -------------------------------------------------------------------------------


def test_a_picture_for_programs_without_animations_is_no_frame() -> None:
    path = CASES / "apng_default_picture.png"
    frames = decode_image(path)
    with Image.open(path) as image:
        expected = [plain(each) for each in ImageSequence.Iterator(image)][1:]
    assert len(expected) == 4
    assert torch.equal(frames, torch.from_numpy(np.stack(expected)))


@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
def test_each_frame_of_a_gif_is_what_a_viewer_shows(tmp_path: Path, disposal: int) -> None:
    frames = []
    for number in range(4):
        frame = Image.new("RGBA", (12, 8), (0, 0, 0, 0))
        frame.paste(("red", "lime", "blue", "white")[number], (number, number, number + 5, 7))
        frames.append(frame)
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], disposal=disposal)
    with Image.open(path) as image:
        expected = [np.asarray(each.convert("RGBA")) for each in ImageSequence.Iterator(image)]
    decoded = decode_image(path)
    assert torch.equal(decoded, torch.from_numpy(np.stack(expected)).float() / 255)


def test_an_animation_that_came_damaged_twice_keeps_its_frames_and_says_so(tmp_path: Path) -> None:
    levels = noise(4, 32, 32, 3)
    frames = [Image.fromarray(each) for each in levels]
    path = tmp_path / "a.png"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(BadResult):
        decode_image(path)
    (tmp_path / "a_2.png").write_bytes(path.read_bytes())
    with collected() as notes:
        decoded = decode_image(path)
    assert torch.equal(decoded, torch.from_numpy(levels[:3]).float() / 255)
    assert notes == ["a.png is damaged: 3 of its 4 frames could be decoded."]


def test_further_pages_of_a_tiff_are_told(tmp_path: Path) -> None:
    pages = [Image.fromarray(each) for each in noise(3, 6, 8, 3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with collected() as notes:
        assert decode_image(tmp_path / "a.tif").shape == (1, 6, 8, 3)
    assert notes == ["a.tif has 3 pages; the first one is used."]


# -- cut off ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp"])
def test_a_picture_that_came_cut_off_twice_is_used_as_far_as_it_goes(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole, cut = tmp_path / f"whole_{name}", tmp_path / name
    Image.fromarray(noise(64, 64, 3)).save(whole)
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(BadResult, match=f"{name} cannot be read.*kept at"):
        decode_image(cut)
    again = tmp_path / f"{cut.stem}_2{cut.suffix}"
    again.write_bytes(cut.read_bytes())
    with collected() as notes, caplog.at_level(logging.ERROR):
        image = decode_image(again)
    rows = slice(32, 64) if name == "a.bmp" else slice(0, 16)  # a BMP begins at the bottom
    assert torch.equal(image[0, rows], decode_image(whole)[0, rows])
    assert f"{again.name} is cut off: about" in notes[0]
    assert len(notes) == 1


def test_a_progressive_jpeg_that_came_cut_off_twice_is_coarse(tmp_path: Path) -> None:
    slope = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    Image.fromarray(slope).save(tmp_path / "whole.jpg", progressive=True, quality=95)
    data = (tmp_path / "whole.jpg").read_bytes()
    for name in ("a.jpg", "a_2.jpg"):
        (tmp_path / name).write_bytes(data[: len(data) * 4 // 5])
    with collected() as notes:
        image = decode_image(tmp_path / "a_2.jpg")
    assert (image - decode_image(tmp_path / "whole.jpg")).abs().mean() < 0.1
    assert notes == ["a_2.jpg is cut off: it is coarser than it should be."]


def test_the_same_bytes_under_another_name_are_no_second_download(tmp_path: Path) -> None:
    Image.fromarray(noise(64, 64, 3)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()[:-600]
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(data)
    with pytest.raises(BadResult):
        decode_image(tmp_path / "a.png")


# -- what this machine cannot decode ----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "head", "format"),
    [
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), "HEIC"),
        ("a.jxl", b"\xff\x0a" + bytes(range(64)), "JXL"),
        ("a.exr", b"\x76\x2f\x31\x01\2\0\0\0" + bytes(64), "EXR"),
        ("a.hdr", b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 2\n" + bytes(16), "HDR"),
        ("a.psd", b"8BPS\0\1" + bytes(8), ""),
    ],
)
def test_a_format_without_a_decoder_is_told_by_its_name(
    tmp_path: Path, name: str, head: bytes, format: str
) -> None:
    path = tmp_path / name
    path.write_bytes(head)
    kind = NotDecoded if format else BadResult  # Pillow knows PSD, so that one is damaged
    with pytest.raises(kind, match=format or name) as caught:
        decode_image(path)
    assert str(path) in caught.value.do
    with pytest.raises(BadResult, match=name):
        thumbnail(path)


def test_a_picture_without_a_decoder_does_not_cost_the_others(tmp_path: Path) -> None:
    Image.fromarray(noise(4, 5, 3)).save(tmp_path / "a.png")
    (tmp_path / "b.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))
    with collected() as notes:
        (batch,) = batch_images([tmp_path / "a.png", tmp_path / "b.heic"])
    assert batch.shape == (1, 4, 5, 3)
    assert [text.partition(":")[0] for text in notes] == ["b.heic cannot be decoded"]


# -- memory -----------------------------------------------------------------------------------


def huge(path: Path, side: int = 100_000) -> Path:
    """A PNG of a few bytes whose header says that it is huge."""
    return png(path, (side, side), 8, 2, bytes(1000))


def test_a_picture_beyond_free_memory_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = huge(tmp_path / "a.png")
    with pytest.raises(FramesTooLarge) as caught:
        decode_image(path)
    assert caught.value.needed == 100_000**2 * 16
    assert "a.png is 100000 x 100000 pixels: decoding it needs 149 GB" in str(caught.value)
    assert f"kept at {path}" in caught.value.do
    with pytest.raises(BadResult, match="100000 x 100000"):
        thumbnail(path)


def test_the_memory_for_a_picture_is_kept_to_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(noise(40, 30, 3)).save(path)
    needed = 40 * 30 * (3 * 4 + 4)
    assert len(decode_image(path, free_bytes=needed)) == 1
    with pytest.raises(FramesTooLarge):
        decode_image(path, free_bytes=needed - 1)


def test_many_pictures_count_together(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.png" for n in range(5)]
    for path in paths:
        Image.fromarray(noise(40, 30, 3)).save(path)
    needed = 40 * 30 * (5 * 3 * 4 + 4)
    (batch,) = batch_images(paths, free_bytes=needed)
    assert len(batch) == 5
    with pytest.raises(FramesTooLarge, match="5 pictures of up to 30 x 40 pixels") as caught:
        batch_images(paths, free_bytes=needed - 1)
    assert str(tmp_path) in caught.value.do


def test_a_long_animation_counts_all_its_frames(tmp_path: Path) -> None:
    frames = [Image.fromarray(each) for each in noise(6, 16, 16, 3)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(FramesTooLarge, match="6 pictures"):
        decode_image(tmp_path / "a.png", free_bytes=6 * 16 * 16 * 3 * 4)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.ppm", "a.tga"])
def test_pillows_own_limit_does_not_count_where_memory_is_free(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(noise(1500, 1500, 3)).save(tmp_path / name)
    with Image.open(tmp_path / name) as opened:
        expected = plain(opened)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_100_000)
    assert torch.equal(decode_image(tmp_path / name)[0], torch.from_numpy(expected))
    assert (describe(tmp_path / name).width, describe(tmp_path / name).height) == (1500, 1500)
    assert thumbnail(tmp_path / name).size == (512, 512)
    assert Image.MAX_IMAGE_PIXELS == 1_100_000


def test_a_decoder_with_a_limit_of_its_own_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [Image.fromarray(each).convert("P") for each in noise(2, 40, 30, 3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], disposal=2)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(NotDecoded, match="more pixels than its decoder takes"):
        decode_image(tmp_path / "a.gif")


def test_a_large_picture_is_described_without_decoding_it(tmp_path: Path) -> None:
    file = describe(huge(tmp_path / "a.png"))
    assert (file.width, file.height) == (100_000, 100_000)


def test_a_huge_picture_with_a_damaged_header_is_damaged(tmp_path: Path) -> None:
    path = huge(tmp_path / "a.png")
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(InvalidInput, match="it is damaged"):
        describe(path)


@pytest.mark.parametrize("ending", ["png", "jpeg", "gif", "bmp"])
def test_the_usual_formats_are_opened_without_the_modules_of_all_others(
    tmp_path: Path, ending: str
) -> None:
    """Loading them took a sixth of the first result after a restart."""
    Image.new("RGB", (4, 4)).save(tmp_path / f"usual.{ending}")
    code = (
        "import sys; from pathlib import Path\n"
        "from skyport.engine.media.picture_file import open_picture\n"
        "open_picture(Path(sys.argv[1])).load()\n"
        "assert 'PIL.PcxImagePlugin' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / f"usual.{ending}")], check=True)


def test_a_rarer_format_is_opened_where_nothing_has_loaded_its_module(tmp_path: Path) -> None:
    Image.new("RGB", (4, 3)).save(tmp_path / "rare.tga")
    Image.new("RGB", (4, 3)).save(tmp_path / "rare.tiff")
    code = (
        "import sys; from pathlib import Path\n"
        "from skyport.engine.media.picture_file import open_picture\n"
        "assert open_picture(Path(sys.argv[1])).size == (4, 3)"
    )
    for ending in ("tga", "tiff"):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / f"rare.{ending}")], check=True)
