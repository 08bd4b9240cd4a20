"""Progress of concurrent work: bars on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Any

from ..engine.tasks.progress import DOT, ProgressText
from ._table import clean, pad, width

_REFRESH_SECONDS = 0.1
_STEPS = 1000  # of a bar
_TAIL = 40  # characters shown of an answer that is being streamed


def watch(
    futures: Collection[Future[Any]],
    views: Mapping[str, Callable[[], ProgressText]],
    interrupts: Sequence[int] = (),
) -> None:
    """Show the progress of each view, by name, until all futures are done or an interrupt came."""
    board = _Bars(list(views)) if sys.stderr.isatty() else _Lines(list(views))
    try:
        while True:
            pending = wait(futures, timeout=_REFRESH_SECONDS).not_done
            for name, progress in views.items():
                board.show(name, progress())
            if not pending or interrupts:
                return
    finally:
        board.close()


class _Bars:
    def __init__(self, names: Sequence[str]) -> None:
        from tqdm import tqdm

        widest = max(map(width, names))
        self._bars = {
            name: tqdm(
                total=_STEPS,
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
        bar.n = round(progress.share * _STEPS)
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
    """`name` escaped for a bar's format, in which braces are syntax."""
    return pad(clean(name), widest).replace("{", "{{").replace("}", "}}")
