"""What a result is: told by its bytes, then by its Content-Type, then by its name."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from ..base.types import Kind
from .files import extension, is_text, sniff

HEAD_BYTES = 8192  # how much of a file `told` wants to see

# Containers that hold pictures with sound or sound alone: there, the Content-Type knows better.
_EITHER = ("mp4", "webm", "x-matroska", "x-ms-asf", "ogg")
_MEDIA = ("image", "video", "audio")


@dataclass(frozen=True)
class Medium:
    """What a file is; `extension` is without its dot."""

    kind: Kind
    mime: str
    extension: str


def told(
    head: bytes, content_type: str = "", name: str = "", *, text: bool = False
) -> Medium | None:
    """The medium that begins with `head`, None when it is none.

    `text`: plain text counts too, when the Content-Type or the name says so. Pages, XML and JSON
    never do, whatever they are called: that is how hosts speak of errors.
    """
    said = content_type.split(";")[0].strip().lower()
    named = (mimetypes.guess_type(name)[0] or "").lower()
    mime = sniff(head)
    if mime:
        return _of(_rather(mime, said))
    if is_text(head):
        plain = text and "text/plain" in (said, named) and head.lstrip()[:1] not in (b"<", b"{")
        return Medium(Kind.TEXT, "text/plain", "txt") if plain else None
    return _of(said) or _of(named)


def name_in(url: str) -> str:
    """The file name in a URL: a query's `filename`, else the path's last part."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return dict(parse_qsl(parts.query)).get("filename") or parts.path.rsplit("/", 1)[-1]


def _rather(mime: str, said: str) -> str:
    container = mime.partition("/")[2]
    main = said.partition("/")[0]
    return f"{main}/{container}" if container in _EITHER and main in ("audio", "video") else mime


def _of(mime: str) -> Medium | None:
    main = mime.partition("/")[0]
    return Medium(Kind(main), mime, extension(mime)) if main in _MEDIA else None
