"""Result files of an earlier attempt, matched with what an answer names now. No I/O."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from ..base.types import MissingResult, Output, ResultFile
from ..platforms.result_addresses import identity, identity_on_host

Key = Callable[[str], str]


def match(outputs: Sequence[Output], kept: Sequence[ResultFile]) -> list[ResultFile | None]:
    """For each of `outputs` the file that it has brought before, or None. Each is given once.

    An address is known again after it was signed anew, or moved to another host; a file inside
    the answer by its content.
    """
    left = list(kept)
    found: list[ResultFile | None] = [None] * len(outputs)
    for is_same in (_has_url(identity), _has_content, _has_url(_unique_on_host(outputs, kept))):
        for number, output in enumerate(outputs):
            file = None if found[number] else next((f for f in left if is_same(output, f)), None)
            if file is not None:
                left.remove(file)
                found[number] = file
    return found


def _has_url(key: Key) -> Callable[[Output, ResultFile], bool]:
    def is_same(output: Output, file: ResultFile) -> bool:
        if not output.url or not file.url:
            return False
        return bool(key(output.url)) and key(output.url) == key(file.url)

    return is_same


def _has_content(output: Output, file: ResultFile) -> bool:
    if not output.data or len(output.data) != file.size:
        return False
    return hashlib.sha256(output.data).hexdigest() == file.sha256


def _unique_on_host(outputs: Sequence[Output], kept: Sequence[ResultFile]) -> Key:
    """The identity without the host; "" where it is not unique."""
    counts = [
        Counter(map(_on_host, filter(None, (o.url for o in each)))) for each in (outputs, kept)
    ]

    def key(url: str) -> str:
        on_host = _on_host(url)
        return on_host if all(count[on_host] <= 1 for count in counts) else ""

    return key


def _on_host(url: str) -> str:
    try:
        return identity_on_host(url)
    except ValueError:
        return url


def earlier_path(number: int, url: str, missing: Sequence[MissingResult]) -> str:
    """The path of the file that came for this result before and could not be decoded, or ""."""
    same = (
        one
        for one in missing
        if (identity(one.url) == identity(url) if url else one.number == number)
    )
    return next((one.path for one in same), "")


def names_before(path: Path, stem: str) -> list[Path]:
    """The names that a download to `stem` would have got before that of `path`."""
    number = re.fullmatch(rf"{re.escape(stem)}_(\d+)", path.stem)
    if number is None:
        return []
    others = [f"{stem}_{n}" for n in range(2, int(number[1]))]
    return [path.with_name(f"{name}{path.suffix}") for name in (stem, *others)]
