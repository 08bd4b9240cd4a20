"""Whether a server has what a workflow needs: its node classes and models, asked before anything
is sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ...engine.base import forks
from ...engine.base.errors import SkyportError
from ...engine.base.types import Json, Request
from ...engine.base.words import tr
from ...engine.tasks import learnt_widgets
from ...engine.workflows import object_info, preflight
from ...engine.workflows.preflight import Preflight
from ._servers import LABEL, Server

_KEPT_FOR = 600.0  # seconds
_SILENT_FOR = 60.0  # seconds after which one that did not answer is asked again
_MOST_SHOWN = 5  # servers beside the nearest one of which is told what they lack
T = TypeVar("T")

Ask = Callable[[Server], Json | None]  # a server's /object_info; None where it does not tell


@dataclass(frozen=True)
class Declared:
    """What a server declares, and when it was asked; an empty `info` judges nothing."""

    at: float
    info: Mapping[str, Any]
    packs: Mapping[str, str]


class NodeClasses:
    """What servers declare. However many tasks begin, each is asked once in ten minutes."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self._lock = forks.Lock()
        self._locks: dict[Server, forks.Lock] = {}
        self._kept: dict[Server, Declared] = {}

    def of(self, server: Server, ask: Ask, since: float | None = None) -> Declared:
        """What it declares, as asked at `since` or later: by default, lately."""
        with self._lock:
            lock = self._locks.setdefault(server, forks.Lock())
        with lock:
            kept = self._kept.get(server)
            if kept is None or kept.at < (self._lately(kept) if since is None else since):
                kept = self._kept[server] = _asked(server, ask, self.now())
            return kept

    def packs(self) -> dict[str, str]:
        """The packs of classes, as any of the servers tells them."""
        kept = list(self._kept.values())
        return {name: pack for one in kept for name, pack in one.packs.items()}

    def bills_apart(self, class_type: str) -> bool:
        """Whether any of the servers tells that nodes of this class are billed by a service."""
        kept = list(self._kept.values())
        return any(object_info.bills_apart(one.info.get(class_type)) for one in kept)

    def _lately(self, kept: Declared) -> float:
        return self.now() - (_KEPT_FOR if kept.info else _SILENT_FOR)


def _asked(server: Server, ask: Ask, now: float) -> Declared:
    answer: Json | None = None
    with suppress(SkyportError):
        answer = ask(server)
    info = answer if isinstance(answer, dict) else {}
    learnt_widgets.learn_quietly(info)
    return Declared(now, info, preflight.packs_of(info))


KNOWN = NodeClasses()


@dataclass(frozen=True)
class Fit:
    """What a server would make of a request: what it lacks, and the request as it fits there."""

    server: Server
    lacks: Preflight
    request: Request


class FitCheck:
    """Holds requests against what servers have. May be used from any thread."""

    def __init__(self, ask: Ask, known: NodeClasses = KNOWN) -> None:
        self._ask, self._known = ask, known

    def fitting(self, request: Request, servers: Sequence[Server]) -> dict[Server, Request]:
        """The servers that have all it needs, each with the request as it fits there.

        Raises InvalidInput where none has: with all that the nearest one lacks.
        """
        started = self._known.now()
        fits = _each(lambda server: self._fit(request, server, started), servers)
        found = {fit.server: fit.request for fit in fits if not fit.lacks.problems}
        if fits and not found:
            _refuse(fits)
        return found

    def ask_all(self, servers: Sequence[Server]) -> None:
        """Learn what the servers declare, unless that is known."""
        _each(lambda server: self._known.of(server, self._ask), servers)

    def _fit(self, request: Request, server: Server, started: float) -> Fit:
        """Asked anew before it is refused: something may have been installed there since."""
        declared = self._known.of(server, self._ask)
        fit = self._compare(request, server, declared)
        if fit.lacks.problems and declared.at < started:
            fit = self._compare(request, server, self._known.of(server, self._ask, started))
        return fit

    def _compare(self, request: Request, server: Server, declared: Declared) -> Fit:
        workflow = request.payload["prompt"]
        mapped, changes = preflight.map_models(workflow, declared.info)
        lacks = preflight.check(mapped, declared.info, self._known.packs())
        if not changes:
            return Fit(server, lacks, request)
        warnings = (*request.warnings, *preflight.mapping_warnings(changes, _name(server)))
        fitted = request.with_payload({**request.payload, "prompt": mapped})
        return Fit(server, lacks, replace(fitted, warnings=tuple(dict.fromkeys(warnings))))


def _each(call: Callable[[Server], T], servers: Sequence[Server]) -> list[T]:
    """`call` for each server, side by side."""
    if len(servers) < 2:
        return list(map(call, servers))
    with ThreadPoolExecutor(len(servers), "skyport-comfyui") as threads:
        return list(threads.map(call, servers))


def _refuse(fits: Sequence[Fit]) -> None:
    """Raises InvalidInput with what each server lacks, the one that lacks least first."""
    best, *others = sorted(fits, key=lambda fit: len(fit.lacks.problems))
    shown, rest = others[:_MOST_SHOWN], others[_MOST_SHOWN:]
    try:
        best.lacks.raise_if_lacking(_name(best.server))
    except SkyportError as error:
        texts = [error.what, *(fit.lacks.message(_name(fit.server)) for fit in shown)]
        error.what = "\n".join(texts)
        if rest:
            names = ", ".join(fit.server.name for fit in rest)
            error.do += " " + tr("No other server has it all either: {names}.", names=names)
        raise


def _name(server: Server) -> str:
    return f"{LABEL} ({server.name})"
