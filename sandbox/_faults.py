"""Faults on demand: scripted by a test (`Faults.add`) or by a marker in a request's text.

Both become twists, a dict of kind -> setting. sandbox/README.md has the table.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import count
from typing import Any

from ._other_files import OTHER_FILES
from ._pages import FORMS

Twists = dict[str, Any]

ANSWERS = ("status", "html", "bad_json", "redirect", "page")
_CONNECTION = ("delay", "cut_before", "cut_after", "cut_body", "short_body", "trickle")
_POLLS = ("result_url", "empty", "word", "missing", "busy", "spelling")
KINDS = frozenset((*ANSWERS, *_CONNECTION, *_POLLS))
PRIVATE_URL = "http://10.20.30.40/sandbox/result.png"
_MARKER = re.compile(r"\[\[([a-z_]+)(?::([^\]]*))?\]\]")
_FLAGS = (
    *("cut_before", "cut_after", "empty", "truncated", "html", "bad_json", "redirect"),
    *("at_once", "cleared", "noise", "bad_data"),
)
_WORDS = {
    "fail": "the sandbox was asked to fail",
    "warning": "a warning of the sandbox",
    "error": "a node error of the sandbox",
    "running": "processing",
    "success": "done",
    "failure": "failed",
}
_WINDOWS = {"missing": "5", "busy": "3", "late": "4"}  # what they are without a value
_NUMBERS = {
    "slow": (20, 0, 3600),
    "cancelled": (1, 0, 3600),
    "cut": (1, 1, 1000),
    "gone": (0, 1, 1000),  # 0 is for ever
}
_BALANCE = "Insufficient balance: please top up."
_WINDOW = re.compile(r"(?:(\d{1,5})(-))?(\d{0,5})(s?)", re.ASCII)
_STEPS = ("submit", "poll", "result")


@dataclass(frozen=True)
class Window:
    """The polls that go wrong, counted from 1, or the seconds in which they do.

    seconds  whether first and last are seconds at pace 1
    """

    first: float = 1
    last: float = math.inf
    seconds: bool = False

    @classmethod
    def read(cls, text: str) -> Window:
        """ "4" are the first four, "3-9" the third to the ninth, "3-" all from there on, "60s" the
        first minute."""
        found = _WINDOW.fullmatch(text)
        if not found or not (found[2] or found[3]):
            return cls(last=1)
        first, last = int(found[1] or 0), float(found[3] or math.inf)
        return cls(first if found[4] else max(first, 1), last, bool(found[4]))

    def holds(self, poll: int, age: float) -> bool:
        """poll: which one it is, from 1; age: seconds at pace 1."""
        return self.first <= (age if self.seconds else poll) <= self.last


@dataclass
class Fault:
    """One scripted fault for the next `left` matching requests, after the first `skip`."""

    match: str
    kind: str
    settings: Twists
    left: int
    skip: int = 0
    hits: int = 0

    def strikes(self, method: str, path: str) -> bool:
        """Whether this request gets it; counts the request."""
        if not self.left or not _fits(self.match, method, path):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.left -= 1
        self.hits += 1
        return True


class Faults:
    """The script: a request gets the oldest fault that matches, and a delay on top of it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(
        self, match: str, kind: str, *, times: int = 1, skip: int = 0, **settings: Any
    ) -> Fault:
        """The next `times` requests that match, after the first `skip`, go wrong by `kind`.

        match is "METHOD /path" or "/path" without the platform's prefix (or with it); `*` stands
        for anything. Raises ValueError for an unknown kind or form.
        """
        if kind not in KINDS:
            raise ValueError(f"Unknown kind of fault: {kind}. Known: {', '.join(sorted(KINDS))}.")
        if settings.get("form", "own") not in FORMS:
            raise ValueError(f"Unknown form of a page: {settings['form']}. Known: {FORMS}.")
        fault = Fault(match, kind, settings, times, skip)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, method: str, path: str) -> Twists:
        """The twists for this request; `path` is raw and has the platform's prefix."""
        twists: Twists = {}
        with self._lock:
            for fault in self._faults:
                if fault.kind not in twists and fault.strikes(method, path):
                    twists[fault.kind] = fault.settings
                    if fault.kind != "delay":
                        break
        return twists


def _fits(match: str, method: str, path: str) -> bool:
    bare = path[path.find("/", 1) :] if "/" in path[1:] else path
    wanted = match if " " in match else f"* {match}"
    return any(fnmatchcase(f"{method} {p}", wanted) for p in (path, bare))


def markers(tree: Any) -> Twists:
    """The twists asked for by `[[...]]` in any text of a request.

    Every value has the shape that `Faults` gives it, or is the marker's own word or number.
    """
    twists: Twists = {}
    for text in texts(tree):
        for name, value in _MARKER.findall(text):
            if name == "spelling" and name in twists:
                value = f"{twists[name]['name']},{value}"
            twists.update(_marker(name, value))
    return twists


def used_markers(tree: Any, name: str) -> set[str]:
    """The markers of this name, as they are written."""
    found = (marker for text in texts(tree) for marker in _MARKER.finditer(text))
    return {marker[0] for marker in found if marker[1] == name}


def strip_markers(text: str) -> str:
    """`text` without its markers."""
    return _MARKER.sub("", text).strip()


def paced(trickle: Twists, pace: float) -> Twists:
    """The setting of a fault for the one of a marker."""
    return {"seconds": trickle["seconds"] * pace, "head": trickle["head"]}


def status_word(twists: Twists, status: Any, unknown: str = "sandbox-word") -> Any:
    """The status in the answer to a poll: `status`, or the word that a twist puts in its place."""
    return twists["word"].get("word", unknown) if "word" in twists else status


def _marker(name: str, value: str) -> Twists:
    if name in _FLAGS:
        return {name: {}}
    if name in _WORDS:
        return {name: value or _WORDS[name]}
    if name in _WINDOWS:
        return {name: {"window": Window.read(value or _WINDOWS[name])}}
    if name in _NUMBERS:
        return {name: _number(value, *_NUMBERS[name])}
    kind, setting = _SETTINGS[name](value) if name in _SETTINGS else ("", {})
    return {kind: setting} if kind else {}


def _page(parts: list[str], polls: bool) -> Twists:
    """STATUS, for polls WINDOW, then in any order a form of FORMS and a Retry-After in seconds."""
    page: Twists = {"status": _number(parts[0], 503, 200, 599)}
    if polls:
        page["window"] = Window.read(parts[1] if len(parts) > 1 else "")
    for part in parts[2 if polls else 1 :]:
        if part in FORMS:
            page["form"] = part
        elif part.isascii() and part.isdigit():
            page["retry_after"] = int(part)
    return page


def _trickle(parts: list[str]) -> Twists:
    """Any of: a step, seconds a byte, "head" (the headers trickle), "once" (the first time)."""
    numbers = [int(part) for part in parts if part.isascii() and part.isdigit()]
    return {
        "step": next((part for part in parts if part in _STEPS), "poll"),
        "seconds": max([1, *numbers]),
        "head": "head" in parts,
        "once": "once" in parts,
    }


def _number(text: str, otherwise: int, low: int, high: int) -> int:
    return min(max(int(text), low), high) if text.isascii() and text.isdigit() else otherwise


# marker -> (kind of twist, its setting), from the marker's value
_SETTINGS: dict[str, Callable[[str], tuple[str, Twists]]] = {
    "word": lambda value: ("word", {"word": value or "sandbox-word"}),
    "private": lambda value: ("result_url", {"url": PRIVATE_URL}),
    "balance": lambda value: ("status", {"status": 429, "body": _BALANCE}),
    "status": lambda value: ("status", {"status": _number(value, 500, 400, 599)}),
    "gateway": lambda value: ("gateway", _page(value.split(":"), polls=False)),
    "polls": lambda value: ("polls", _page(value.split(":"), polls=True)),
    "spelling": lambda value: ("spelling", {"name": value}),
    "only": lambda value: ("only", {"number": _number(value, 1, 1, 1000), "results": count(1)}),
    "file": lambda value: ("file", {"ending": value if value in OTHER_FILES else "glb"}),
    "type": lambda value: ("type", {"mime": value or "text/html"}),
    "trickle": lambda value: ("trickle", _trickle(value.split(":"))),
}


def texts(tree: Any) -> Iterator[str]:
    """Every text of a request that is no name of a field."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from texts(value)
    elif isinstance(tree, (list, tuple)):
        for value in tree:
            yield from texts(value)
