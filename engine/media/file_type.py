"""What kind of file a result is: by its bytes, else by its Content-Type, else by its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from ..base.types import Kind
from .files import is_text, sniff_file
from .formats import extension, mime_by_name

HEAD_BYTES = 8192  # how much of a file `detect` needs

_MEDIA = ("image", "video", "audio")


@dataclass(frozen=True)
class FileType:
    """The type of a file; `extension` is without its dot."""

    kind: Kind
    mime: str
    extension: str


def detect(
    path: Path, head: bytes, content_type: str = "", name: str = "", *, text: bool = False
) -> FileType | None:
    """The type of the file at `path` that begins with `head`, None where it is no media file.

    `text`: plain text counts too where the Content-Type or the name says so. HTML, XML and JSON
    never do, whatever they are called: hosts send their errors that way. Raises OSError.
    """
    declared = content_type.split(";")[0].strip().lower()
    by_name = mime_by_name(name)
    if mime := sniff_file(path, head, declared):
        return _media_type(mime)
    if is_text(head):
        is_plain = "text/plain" in (declared, by_name) and head.lstrip()[:1] not in (b"<", b"{")
        return FileType(Kind.TEXT, "text/plain", "txt") if text and is_plain else None
    return _media_type(declared) or _media_type(by_name)


def name_in(url: str) -> str:
    """The file name in a URL: the query's `filename`, else the last part of the path."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return dict(parse_qsl(parts.query)).get("filename") or parts.path.rsplit("/", 1)[-1]


def _media_type(mime: str) -> FileType | None:
    main = mime.partition("/")[0]
    return FileType(Kind(main), mime, extension(mime)) if main in _MEDIA else None
