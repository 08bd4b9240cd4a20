"""One timer for all calls that wait on a loop: it looks for Interrupt and shows their progress."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import comfy.model_management as host

from ...engine.tasks.job import Job
from . import progress

_INTERVAL = 0.3  # seconds between two looks; the user is promised half a second


def check_interrupt() -> None:
    """Raises ComfyUI's own exception after Interrupt; leaves the flag set for other nodes."""
    if host.processing_interrupted():
        raise host.InterruptProcessingException()


async def until_done(
    work: asyncio.Future[Any], node_id: str = "", jobs: Sequence[Job] = ()
) -> None:
    """Returns once `work` is done. Raises ComfyUI's own exception after Interrupt.

    jobs  what the node shows meanwhile
    """
    check_interrupt()
    with _watched(node_id, jobs) as look:
        await asyncio.wait({work, look}, return_when=asyncio.FIRST_COMPLETED)
    if not work.done():
        look.result()
        raise host.InterruptProcessingException()


class _Watch:
    """The calls that wait on one loop. A timer each would be thousands of looks a second."""

    def __init__(self) -> None:
        self.calls: dict[object, tuple[str, Sequence[Job]]] = {}
        self._look: asyncio.Task[None] | None = None

    def look(self) -> asyncio.Task[None]:
        """Ends after Interrupt."""
        if self._look is None or self._look.done():
            self._look = asyncio.ensure_future(self._until_interrupted())
        return self._look

    def end(self) -> None:
        if self._look is not None:
            self._look.cancel()

    async def _until_interrupted(self) -> None:
        while not host.processing_interrupted():
            nodes = {node_id: jobs for node_id, jobs in self.calls.values() if jobs}
            for node_id, jobs in nodes.items():
                await progress.show(node_id, jobs)
            await asyncio.sleep(_INTERVAL)


_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch] = WeakKeyDictionary()


@contextmanager
def _watched(node_id: str, jobs: Sequence[Job]) -> Iterator[asyncio.Task[None]]:
    loop, call = asyncio.get_running_loop(), object()
    watch = _watches.setdefault(loop, _Watch())
    watch.calls[call] = (node_id, jobs)
    try:
        yield watch.look()
    finally:
        del watch.calls[call]
        if not watch.calls:
            watch.end()
            _watches.pop(loop, None)
