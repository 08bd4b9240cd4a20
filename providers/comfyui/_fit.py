"""Whether a server has what a workflow needs: its node classes and models, asked before anything
is sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from ...engine.base import forks
from ...engine.base.errors import SkyportError
from ...engine.base.types import Json, Request
from ...engine.base.words import tr
from ...engine.tasks import learnt_widgets
from ...engine.workflows import preflight
from ...engine.workflows.preflight import Preflight
from ._servers import LABEL, Server

_KEPT_FOR = 600.0  # seconds

ObjectInfo = dict[str, Any]
Asked = Callable[[Server], Json | None]


@dataclass(frozen=True)
class Fit:
    """What a server would make of a request: what it lacks, and the request as it fits there."""

    server: Server
    lacks: Preflight
    request: Request


class FitCheck:
    """Holds requests against what servers have. May be used from any thread.

    ask  a server's /object_info; None where it does not tell
    """

    def __init__(self, ask: Asked, now: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._now = ask, now
        self._lock = forks.Lock()
        self._kept: dict[Server, tuple[float, ObjectInfo]] = {}

    def fitting(self, request: Request, servers: Sequence[Server]) -> dict[Server, Request]:
        """The servers that have all it needs, each with the request as it fits there.

        Raises InvalidInput where none has: with all that the nearest one lacks.
        """
        if len(servers) == 1:
            fits = [self._fit(request, servers[0])]
        else:
            with ThreadPoolExecutor(max(len(servers), 1), "skyport-comfyui") as threads:
                fits = list(threads.map(lambda server: self._fit(request, server), servers))
        found = {fit.server: fit.request for fit in fits if not fit.lacks.problems}
        if fits and not found:
            _refuse(fits)
        return found

    def _fit(self, request: Request, server: Server) -> Fit:
        """Asked anew before it is refused: something may have been installed there since."""
        fit = self._compare(request, server, self._object_info(server))
        if fit.lacks.problems and (kept := self._kept.get(server)) and kept[0] < self._now():
            fit = self._compare(request, server, self._asked(server))
        return fit

    def _compare(self, request: Request, server: Server, info: ObjectInfo) -> Fit:
        workflow = request.payload["prompt"]
        mapped, changes = preflight.map_models(workflow, info)
        lacks = preflight.check(mapped, info, self._packs())
        if not changes:
            return Fit(server, lacks, request)
        warnings = (*request.warnings, *preflight.mapping_warnings(changes, _name(server)))
        fitted = request.with_payload({**request.payload, "prompt": mapped})
        return Fit(server, lacks, replace(fitted, warnings=tuple(dict.fromkeys(warnings))))

    def _object_info(self, server: Server) -> ObjectInfo:
        kept = self._kept.get(server)
        fresh = kept is not None and self._now() - kept[0] < _KEPT_FOR
        return kept[1] if kept and fresh else self._asked(server)

    def _asked(self, server: Server) -> ObjectInfo:
        """What it has; empty where it does not tell: then it judges the workflow itself."""
        answer: Json | None = None
        with suppress(SkyportError):
            answer = self._ask(server)
        info = answer if isinstance(answer, dict) else {}
        with self._lock:
            self._kept[server] = (self._now(), info)
        learnt_widgets.learn_quietly(info)
        return info

    def _packs(self) -> dict[str, str]:
        """The packs of classes, as any of the servers tells them."""
        with self._lock:
            kept = list(self._kept.values())
        return {name: pack for _, info in kept for name, pack in preflight.packs_of(info).items()}


def _refuse(fits: Sequence[Fit]) -> None:
    best, *others = sorted(fits, key=lambda fit: len(fit.lacks.problems))
    try:
        best.lacks.raise_if_lacking(_name(best.server))
    except SkyportError as error:
        if others:
            names = ", ".join(fit.server.name for fit in others)
            error.do += " " + tr("No other server has it all either: {names}.", names=names)
        raise


def _name(server: Server) -> str:
    return f"{LABEL} ({server.name})"
