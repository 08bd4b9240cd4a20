"""Faults on demand: scripted by a test (`Faults.add`) or by a marker in a request's text.

Both become twists, a dict of kind -> setting. sandbox/README.md has the table.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

Twists = dict[str, Any]

ANSWERS = ("status", "html", "bad_json", "redirect")
_CONNECTION = ("delay", "cut_before", "cut_after", "cut_body", "short_body")
_POLLS = ("result_url", "empty", "word")
KINDS = frozenset((*ANSWERS, *_CONNECTION, *_POLLS))
PRIVATE_URL = "http://10.20.30.40/sandbox/result.png"
_MARKER = re.compile(r"\[\[([a-z_]+)(?::([^\]]*))?\]\]")
_FLAGS = ("cut_before", "cut_after", "empty", "truncated", "html", "bad_json", "redirect")
_WORDS = {
    "fail": "the sandbox was asked to fail",
    "warning": "a warning of the sandbox",
    "error": "a node error of the sandbox",
}


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
        for anything. Raises ValueError for an unknown kind.
        """
        if kind not in KINDS:
            raise ValueError(f"Unknown kind of fault: {kind}. Known: {', '.join(sorted(KINDS))}.")
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
    for text in _texts(tree):
        for name, value in _MARKER.findall(text):
            twists.update(_marker(name, value))
    return twists


def strip_markers(text: str) -> str:
    """`text` without its markers."""
    return _MARKER.sub("", text).strip()


def status_word(twists: Twists, status: Any, unknown: str = "sandbox-word") -> Any:
    """The status in the answer to a poll: `status`, or the word that a twist puts in its place."""
    return twists["word"].get("word", unknown) if "word" in twists else status


def _marker(name: str, value: str) -> Twists:
    if name in _FLAGS:
        return {name: {}}
    if name in _WORDS:
        return {name: value or _WORDS[name]}
    if name == "word":
        return {"word": {"word": value or "sandbox-word"}}
    if name == "private":
        return {"result_url": {"url": PRIVATE_URL}}
    if name == "balance":
        return {"status": {"status": 429, "body": "Insufficient balance: please top up."}}
    if name == "status":
        return {"status": {"status": _number(value, 500, 400, 599)}}
    if name == "slow":
        return {"slow": _number(value, 20, 0, 3600)}
    return {"cut": _number(value, 1, 1, 1000)} if name == "cut" else {}


def _number(text: str, otherwise: int, low: int, high: int) -> int:
    return min(max(int(text), low), high) if text.isascii() and text.isdigit() else otherwise


def _texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from _texts(value)
    elif isinstance(tree, (list, tuple)):
        for value in tree:
            yield from _texts(value)
