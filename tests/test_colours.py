"""Pins: frames have the true colours of a clip, no farther from them than ComfyUI's own node's."""

from __future__ import annotations

import gc
from pathlib import Path

import av
import numpy as np
import pytest
import standin  # noqa: F401  (makes comfy_api importable)
from _clips import pictures, with_matrix, write_clip
from _true_colours import (
    MATRICES,
    SAMPLINGS,
    as_comfyui,
    frame_of,
    mean_error,
    pixel_format,
    planes,
    scene,
    true_colours,
    write_planes,
)
from skyport.nodes._media.decode import decode_frames, thumbnail
from skyport.nodes._media.decode.colours import FrameConverter

# What rounding to the file's levels costs, and what halving the chroma does to this scene.
_MOST = {("444", 8): 0.6, ("444", 10): 0.2, ("444", 12): 0.1}
_LOSSLESS = {
    "libx264": {"qp": "0", "preset": "ultrafast"},
    "libx265": {"x265-params": "lossless=1:log-level=none"},
    "libvpx-vp9": {"lossless": "1"},
    "ffv1": {},
}


def converted(frame: av.VideoFrame) -> np.ndarray:
    converter = FrameConverter(frame)
    target = np.empty(converter.shape, np.float32)
    converter.write(frame, target)
    return target


# -- colours ----------------------------------------------------------------------------------


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_frames_are_at_least_as_true_as_those_of_comfyui(
    tmp_path: Path, bits: int, sampling: str, full: bool, matrix: str
) -> None:
    rgb = scene(51, 97)
    levels = planes(rgb, matrix, full, bits, sampling)
    path = write_planes(tmp_path / "a.mkv", [levels], pixel_format(sampling, bits), matrix, full)
    ours = mean_error(decode_frames(path).numpy(), rgb)
    assert ours <= mean_error(as_comfyui(path), rgb) + 0.005
    assert ours < _MOST.get((sampling, bits), 5)


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize(
    ("codec", "bits", "name"),
    [
        ("libx264", 8, "a.mp4"),
        ("libx264", 10, "a.mp4"),
        ("libx264", 8, "a.ts"),
        ("libx265", 10, "a.ts"),
        ("libvpx-vp9", 8, "a.webm"),
    ],
)
def test_clips_of_usual_codecs_keep_their_true_colours(
    tmp_path: Path, codec: str, bits: int, name: str, full: bool
) -> None:
    rgb, pix_fmt = scene(48, 64), pixel_format("420", bits)
    levels = planes(rgb, "bt709", full, bits, "420")
    path = write_planes(
        tmp_path / name, [levels] * 2, pix_fmt, "bt709", full, codec, _LOSSLESS[codec]
    )
    ours = mean_error(decode_frames(path).numpy(), rgb)
    assert ours <= mean_error(as_comfyui(path), rgb) + 0.005
    assert ours < 5


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("bits", [8, 9, 10, 12, 14, 16])
def test_white_is_one_and_black_is_nought(bits: int, full: bool) -> None:
    rgb = np.zeros((4, 6, 3))
    rgb[:, 3:] = 1
    levels = planes(rgb, "bt709", full, bits, "444")
    frame = frame_of(levels, pixel_format("444", bits))
    frame.colorspace, frame.color_range = 1, 2 if full else 1
    assert np.abs(converted(frame) - rgb).max() < 1e-4


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("width", [1, 2, 3, 5, 8, 15, 17, 31, 33, 63, 65, 98, 127, 333])
def test_every_pixel_is_converted_by_the_formula_up_to_the_edges(width: int, bits: int) -> None:
    rgb = np.random.default_rng(width).random((7, width, 3))
    levels = planes(rgb, "bt709", False, bits, "444")
    frame = frame_of(levels, pixel_format("444", bits))
    frame.colorspace, frame.color_range = 1, 1
    assert np.abs(converted(frame) - true_colours(levels, "bt709", False, bits)).max() < 0.5 / 255


def test_ten_bits_arrive_as_more_than_256_shades() -> None:
    ramp = np.linspace(0, 1, 877)[None, :, None].repeat(3, -1)
    frame = frame_of(planes(ramp, "bt709", False, 10, "444"), "yuv444p10le")
    frame.colorspace, frame.color_range = 1, 1
    shades = converted(frame)
    assert len(np.unique(shades)) >= 877
    assert np.abs(shades - ramp).max() < 1e-3


@pytest.mark.parametrize("pix_fmt", ["gray", "rgb24", "bgra", "gbrp", "pal8", "monob"])
def test_plain_bytes_are_divided_by_255_exactly(pix_fmt: str) -> None:
    shades = np.arange(256, dtype=np.uint8).reshape(8, 32)
    if pix_fmt == "monob":
        shades = np.where(shades % 2, 255, 0).astype(np.uint8)
    rgb = np.repeat(shades[..., None], 3, axis=2)
    if pix_fmt == "pal8":
        table = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, axis=1)
        frame = av.VideoFrame.from_ndarray((shades, table), format="pal8")
    else:
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pix_fmt)
    assert np.array_equal(converted(frame), rgb.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_deep_red_green_and_blue_keep_their_steps(bits: int) -> None:
    rgb = scene(16, 24)
    red, green, blue = np.moveaxis((rgb * ((1 << bits) - 1) + 0.5).astype("<u2"), -1, 0)
    frame = frame_of([green, blue, red], f"gbrp{bits}le")
    assert np.abs(converted(frame) - rgb).max() < 1 / (1 << bits)


@pytest.mark.parametrize("pix_fmt", ["rgb48le", "rgba64le", "rgb48be"])
def test_red_green_and_blue_have_no_matrix_to_convert_by(pix_fmt: str) -> None:
    rgb = scene(16, 24)
    levels = (rgb * 65535 + 0.5).astype("<u2")
    frame = av.VideoFrame.from_ndarray(levels, format="rgb48le").reformat(format=pix_fmt)
    frame.colorspace, frame.color_range = 1, 1
    assert np.abs(converted(frame) - rgb).max() < 1 / 255


@pytest.mark.parametrize("matrix", [*range(15), 99])
def test_a_matrix_that_nobody_knows_costs_no_frame(matrix: int) -> None:
    frame = frame_of(planes(scene(16, 24), "smpte170m", False, 8, "444"), "yuv444p")
    frame.colorspace, frame.color_range = matrix, 1
    assert np.isfinite(converted(frame)).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 5), (33, 17), (35, 130)])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "yuva420p", "rgb24", "gray"])
def test_frames_of_any_size_are_filled_to_their_edges(size: tuple[int, int], pix_fmt: str) -> None:
    grey = np.full((*size, 3), 128, np.uint8)
    frame = av.VideoFrame.from_ndarray(grey, format="rgb24").reformat(format=pix_fmt)
    assert np.abs(converted(frame) - 128 / 255).max() < 0.02


def test_a_preview_has_the_true_colours_too(tmp_path: Path) -> None:
    rgb = scene(48, 64)
    path = write_planes(
        tmp_path / "a.mkv", [planes(rgb, "bt709", False, 8, "444")], "yuv444p", "bt709"
    )
    assert np.abs(np.asarray(thumbnail(path)) / 255 - rgb).max() < 3 / 255


# -- orientation ------------------------------------------------------------------------------


@pytest.mark.parametrize("across", [1, -1])
@pytest.mark.parametrize("down", [1, -1])
@pytest.mark.parametrize("transposed", [False, True])
def test_turned_and_mirrored_clips_are_shown_as_their_matrix_says(
    tmp_path: Path, across: int, down: int, transposed: bool
) -> None:
    a, b, c, d = (0, down, across, 0) if transposed else (across, 0, 0, down)
    path = write_clip(tmp_path / "a.mp4", pictures(2, 48, 32), "libx264", "yuv444p")
    stored = decode_frames(path).numpy()
    shown = decode_frames(with_matrix(path, a, b, c, d)).numpy()
    rows, columns = np.mgrid[0:32, 0:48]
    x, y = a * columns + c * rows, b * columns + d * rows
    x, y = x - x.min(), y - y.min()
    expected = np.empty((2, y.max() + 1, x.max() + 1, 3), np.float32)
    expected[:, y, x] = stored
    assert np.array_equal(shown, expected)


@pytest.mark.parametrize("matrix", [(0, 0, 0, 0), (0.6, 0.5, -0.5, 0.6), (2, 0, 0, 3)])
def test_a_matrix_without_a_right_angle_counts_as_the_nearest(
    tmp_path: Path, matrix: tuple[float, float, float, float]
) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures(2, 48, 32))
    stored = decode_frames(path)
    assert np.array_equal(decode_frames(with_matrix(path, *matrix)), stored)


def test_converted_frames_are_freed_at_once(tmp_path: Path) -> None:
    """Without a collector: frames that waited for it took 3 MB each at 1080p."""
    path = with_matrix(write_clip(tmp_path / "a.mp4", pictures(40, 32, 32)), -1, 0, 0, 1)
    gc.collect()
    gc.disable()
    try:
        decode_frames(path)
        living = sum(type(each) is av.VideoFrame for each in gc.get_objects())
    finally:
        gc.enable()
    assert living <= 2
