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


def watch(
    futures: Collection[Future[Any]], views: Mapping[str, Callable[[], ProgressText]]
) -> None:
    """Show every look, by its name, until all works have ended."""
    board = _Bars(list(views)) if sys.stderr.isatty() else _Lines(list(views))
    try:
        while True:
            pending = wait(futures, timeout=_EVERY).not_done
            for name, progress in views.items():
                board.show(name, progress())
            if not pending:
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
                bar_format=f"{_bar_name(name, widest)} |{{bar:20}}| {{desc}}",
                dynamic_ncols=True,
                leave=True,
                file=sys.stderr,
            )
            for position, name in enumerate(names)
        }

    def show(self, name: str, progress: ProgressText) -> None:
        bar = self._bars[name]
        bar.n = round(progress.share * _FINE)
        tail = [progress.tail(_TAIL)] if progress.answer else []
        bar.set_description_str(clean(DOT.join([*progress.words, *tail])))

    def close(self) -> None:
        for bar in self._bars.values():
            bar.close()


class _Lines:
    def __init__(self, names: Sequence[str]) -> None:
        self._shown: dict[str, str] = {}

    def show(self, name: str, progress: ProgressText) -> None:
        line = clean(DOT.join(progress.short))
        if line and self._shown.get(name) != line:
            self._shown[name] = line
            print(f"{name}: {line}", file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


def _bar_name(name: str, widest: int) -> str:
    """`name` as part of a bar's format, where braces mean something."""
    return pad(clean(name), widest).replace("{", "{{").replace("}", "}}")
