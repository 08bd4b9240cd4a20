"""What is under way, side by side: bars where a person watches, plain lines where a log does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Any

from ..engine.tasks.progress import DOT, ProgressText
from ._table import clean, pad, width

_EVERY = 0.1  # seconds between two looks
_FINE = 1000  # steps of a bar
_TAIL = 40  # letters of an answer on its way


def watch(works: Collection[Future[Any]], looks: Mapping[str, Callable[[], ProgressText]]) -> None:
    """Show every look, by its name, until all works have ended."""
    board = _Bars(list(looks)) if sys.stderr.isatty() else _Lines(list(looks))
    try:
        while True:
            going = wait(works, timeout=_EVERY).not_done
            for name, look in looks.items():
                board.show(name, look())
            if not going:
                return
    finally:
        board.close()


class _Bars:
    def __init__(self, names: Sequence[str]) -> None:
        from tqdm import tqdm

        widest = max(map(width, names))
        self._bars = {
            name: tqdm(
                total=_FINE,
                position=position,
                bar_format=f"{_named(name, widest)} |{{bar:20}}| {{desc}}",
                dynamic_ncols=True,
                leave=True,
                file=sys.stderr,
            )
            for position, name in enumerate(names)
        }

    def show(self, name: str, look: ProgressText) -> None:
        bar = self._bars[name]
        bar.n = round(look.share * _FINE)
        tail = [look.tail(_TAIL)] if look.answer else []
        bar.set_description_str(clean(DOT.join([*look.words, *tail])))

    def close(self) -> None:
        for bar in self._bars.values():
            bar.close()


class _Lines:
    def __init__(self, names: Sequence[str]) -> None:
        self._said: dict[str, str] = {}

    def show(self, name: str, look: ProgressText) -> None:
        line = clean(DOT.join(look.short))
        if line and self._said.get(name) != line:
            self._said[name] = line
            print(f"{name}: {line}", file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


def _named(name: str, widest: int) -> str:
    """`name` as part of a bar's format, where braces mean something."""
    return pad(clean(name), widest).replace("{", "{{").replace("}", "}}")
