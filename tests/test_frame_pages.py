"""Pins: frames are written in huge pages only for as long as that is faster."""

from __future__ import annotations

import numpy as np
import pytest
import standin  # noqa: F401  (makes comfy_api importable)
import torch
from skyport.nodes._media.decode.pages import FrameMemory, HugePages


def recorded(*seconds: float, in_huge: bool) -> HugePages:
    pages = HugePages()
    for each in (1.0, 3.0, 1.0, 1.1):
        pages.record(each, in_huge=False)
    for each in seconds:
        pages.record(each, in_huge=in_huge)
    return pages


def test_no_huge_page_is_asked_for_before_small_ones_were_timed() -> None:
    pages = HugePages()
    for _ in range(3):
        pages.record(1.0, in_huge=False)
        assert not pages.are_wanted()


def test_huge_pages_are_asked_for_as_long_as_frames_are_faster_in_them() -> None:
    assert recorded(0.5, 0.5, 1.0, in_huge=True).are_wanted()


def test_the_first_frame_that_stalls_in_huge_pages_ends_them() -> None:
    assert not recorded(0.5, 1.2, 0.5, 0.5, in_huge=True).are_wanted()


def test_a_frame_that_stalls_in_small_pages_ends_nothing() -> None:
    assert recorded(9.0, in_huge=False).are_wanted()


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (3, 5, 7, 3), (2, 700, 900, 3)])
def test_every_frame_keeps_its_own_memory_in_pages_of_any_size(shape: tuple[int, ...]) -> None:
    memory = FrameMemory(shape)
    for index in range(shape[0]):
        memory.ask_for_huge_pages(index)
        memory.tensor[index] = index + 0.25
    assert memory.tensor.dtype == torch.float32
    assert memory.tensor.is_contiguous()
    assert [np.unique(frame).tolist() for frame in memory.tensor.numpy()] == [
        [index + 0.25] for index in range(shape[0])
    ]


def test_the_tensor_outlives_what_made_it() -> None:
    tensor = FrameMemory((2, 300, 300, 3)).tensor[1:].fill_(0.5)
    assert tensor.clone().sum() == tensor.numel() / 2
