"""IMAGE to files for upload, lossless: time and bytes against Pillow's PNG defaults."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from . import _scenes
from ._figures import Entry, Figure, Goal
from ._hosts import stand_in
from ._measure import MB, in_turns, timed

stand_in()

from skyport.nodes._media.encode import encode_images  # noqa: E402  imports what the stand-in brings

_TIME, _BYTES = {"photo": Goal(0.7), "drawing": Goal(1.0)}, Goal(1.15)
_BOTH_CORES = Goal(0.65)
_SIZES = {"1024 x 1024": (1024, 1024), "3840 x 2160": (2160, 3840)}
_PICTURES = {"photo": _scenes.photo, "drawing": _scenes.drawing}
_BATCH = 8


def figures(small: bool = False) -> Iterator[Entry]:
    sizes, rounds = ({"64 x 48": (48, 64)}, 1) if small else (_SIZES, 5)
    with tempfile.TemporaryDirectory() as folder:
        for size, shape in sizes.items():
            for name, picture in _PICTURES.items():
                images = picture(*shape)[None]
                yield from _compared(name, size, images, Path(folder), rounds)
        shape = next(iter(sizes.values()))
        yield _batched(torch.stack([_scenes.photo(*shape, n) for n in range(_BATCH)]), rounds)


def _compared(
    name: str, size: str, images: torch.Tensor, folder: Path, rounds: int
) -> Iterator[Figure]:
    ours, theirs = in_turns(
        rounds, partial(_ours, images), partial(timed, partial(_pillow, images))
    )
    what = f"encode {name}, {size}"
    yield Figure(f"{what}, time", ours * 1000, theirs * 1000, "ms", "Pillow", _TIME[name])
    mine = encode_images(images, folder)[0].size / MB
    yield Figure(f"{what}, size", mine, _pillow(images) / MB, "MB", "Pillow", _BYTES)


def _batched(images: torch.Tensor, rounds: int) -> Figure:
    def one_by_one() -> float:
        return sum(_ours(image[None]) for image in images)

    ours, theirs = in_turns(rounds, partial(_ours, images), one_by_one)
    what = f"encode a batch of {len(images)}, time"
    return Figure(what, ours * 1000, theirs * 1000, "ms", "one by one", _BOTH_CORES)


def _ours(images: torch.Tensor) -> float:
    """Into a new folder: a picture that is there already would not be encoded again."""
    return _in_a_new_folder(lambda folder: timed(lambda: encode_images(images, folder)))


def _pillow(images: torch.Tensor) -> int:
    """As ComfyUI's own nodes do it; the bytes written."""

    def write(folder: Path) -> float:
        for number, image in zip(count(), images, strict=False):
            steps = np.clip(255.0 * image.numpy(), 0, 255).astype(np.uint8)
            Image.fromarray(steps).save(folder / f"{number}.png")
        return sum(file.stat().st_size for file in folder.iterdir())

    return int(_in_a_new_folder(write))


def _in_a_new_folder(work: Callable[[Path], float]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return work(Path(folder))
