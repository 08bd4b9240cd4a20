"""The files a HappyHorse body names or holds: had where they are on this machine, and measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection, HTTPException
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import av
from PIL import Image

from ._body import Body, Refusal
from ._files import Slice, StoredFile, identify
from ._happyhorse_rows import Medium, Reading, data_in
from ._log import LoggedRequest
from ._platform import Request, World

MB = 1024 * 1024
_HERE = ("127.0.0.1", "localhost")
_PATIENCE = 5.0  # seconds for a file on this machine
_MOST_MB = 100  # of a file whose row names no limit
_PADDING = 0.1  # seconds by which encoders of sound overrun


@dataclass(frozen=True)
class _Measures:
    width: int = 0
    height: int = 0
    seconds: float = 0.0
    clear: bool = False


def check_media(reading: Reading, world: World) -> tuple[Path, ...]:
    """The files on this machine, masks left out. Raises Refusal (400) for one out of limits.

    A file elsewhere on the web is never fetched, and so taken unseen.
    """
    found: dict[str, StoredFile | None] = {}
    sides: dict[str, tuple[int, int]] = {}
    sources = []
    for medium in reading.media:
        limits = {"mb": _MOST_MB, **reading.row.limits.get(medium.role, {})}
        if file := _found(medium, limits["mb"] * MB, world, found):
            measures = _check(medium, file, limits)
            sides.setdefault(medium.role, (measures.width, measures.height))
            sources += [] if medium.role == "mask" else [file.path]
    if "mask" in sides and sides["mask"] != sides.get("image", sides["mask"]):
        raise Refusal(400, f"mask is {sides['mask']}, but the image is {sides['image']}.")
    return tuple(dict.fromkeys(sources))


def _found(
    medium: Medium, most: int, world: World, found: dict[str, StoredFile | None]
) -> StoredFile | None:
    if isinstance(medium.source, StoredFile):
        return medium.source
    if medium.source not in found:
        found[medium.source] = _file(medium, medium.source, most, world)
    return found[medium.source]


def _file(medium: Medium, url: str, most: int, world: World) -> StoredFile | None:
    data = data_in(url)
    if data is not None:
        return _inside(medium, data, world)
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in _HERE:
        return None
    try:
        if (parts.port or 80) == urlsplit(world.origin).port:
            return _hosted(parts, world)
        return _fetched(parts, most, world)
    except Refusal as refusal:
        raise Refusal(400, f"{medium.where}: {refusal.text}") from None


def _inside(medium: Medium, data: bytes, world: World) -> StoredFile:
    """The file of a data URL."""
    path = world.new_path()
    path.write_bytes(data)
    return identify(path, medium.where)


def _hosted(parts: SplitResult, world: World) -> StoredFile:
    """A file of this sandbox, asked for as anyone would without a key; nothing is logged."""
    name, _, rest = parts.path[1:].partition("/")
    if name not in world.platforms:
        raise Refusal(400, "nothing is hosted at this URL.")
    request = Request(
        method="GET",
        path=f"/{rest}",
        query=parts.query,
        headers=Message(),
        body=Body(BytesIO(), Message()),
        seen=LoggedRequest("GET", parts.path, parts.query),
        world=world,
        twists={},
    )
    answer = world.platforms[name].answer(request)
    if answer.status != 200 or not isinstance(answer.body, Slice):
        raise Refusal(400, f"the file cannot be fetched: {answer.status}.")
    return identify(answer.body.path, rest)


def _fetched(parts: SplitResult, most: int, world: World) -> StoredFile:
    """A file of another server on this machine, such as object storage under test."""
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    path = world.new_path()
    try:
        line = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=_PATIENCE)
        with closing(line):
            line.request("GET", target)
            answer = line.getresponse()
            if answer.status != 200:
                raise Refusal(400, f"the file cannot be fetched: {answer.status}.")
            path.write_bytes(answer.read(most + 1))
    except (OSError, HTTPException, ValueError) as broken:
        raise Refusal(400, f"the file cannot be fetched: {broken}.") from None
    return identify(path, parts.path.rpartition("/")[2])


def _check(medium: Medium, file: StoredFile, limits: Mapping[str, Any]) -> _Measures:
    kind = "image" if medium.role == "mask" else medium.role
    formats = limits.get("formats", (file.mime,))
    if file.kind != kind or file.mime not in formats:
        wanted = ", ".join(formats) if limits.get("formats") else kind
        raise Refusal(400, f"{medium.where} must be {wanted}, but the file is {file.mime}.")
    if file.size > limits["mb"] * MB:
        raise Refusal(400, f"{medium.where}: the file is larger than {limits['mb']} MB.")
    measures = _measures(medium, file, kind)
    _within(medium, measures, limits)
    if medium.role == "mask" and not measures.clear:
        raise Refusal(400, f"{medium.where}: a mask must have an alpha channel.")
    return measures


def _within(medium: Medium, measures: _Measures, limits: Mapping[str, Any]) -> None:
    short, long = sorted((measures.width, measures.height))
    least, most = limits.get("least_side", 0), limits.get("most_side", math.inf)
    if medium.role != "audio" and not (least <= short and long <= most):
        measured = f"{measures.width} x {measures.height}"
        raise Refusal(400, f"{medium.where}: {measured} is outside of {least} to {most} pixels.")
    least, most = limits.get("least_seconds", 0), limits.get("most_seconds", math.inf)
    if not least - _PADDING <= measures.seconds <= most + _PADDING:
        measured = f"{measures.seconds:.2f} s"
        raise Refusal(400, f"{medium.where}: {measured} is outside of {least} to {most} seconds.")


def _measures(medium: Medium, file: StoredFile, kind: str) -> _Measures:
    try:
        return _of_image(file.path) if kind == "image" else _of_film(file.path)
    except (av.FFmpegError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise Refusal(400, f"{medium.where}: the file cannot be read.") from None


def _of_image(path: Path) -> _Measures:
    with Image.open(path) as image:
        clear = "A" in image.getbands() or "transparency" in image.info
        return _Measures(image.width, image.height, clear=clear)


def _of_film(path: Path) -> _Measures:
    with av.open(str(path)) as film:
        seconds = (film.duration or 0) / av.time_base
        pictures = film.streams.video
        width, height = (pictures[0].width, pictures[0].height) if pictures else (0, 0)
        return _Measures(width, height, seconds)
