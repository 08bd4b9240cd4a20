"""What kind of file a result is: by its bytes, else by its Content-Type, else by its name."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from ..base.types import Kind
from .files import extension, is_text, sniff

HEAD_BYTES = 8192  # how much of a file `detect` needs

# Containers of video with sound or of sound alone: the Content-Type knows better which it is.
_VIDEO_OR_AUDIO = ("mp4", "webm", "x-matroska", "x-ms-asf", "ogg")
_MEDIA = ("image", "video", "audio")


@dataclass(frozen=True)
class FileType:
    """The type of a file; `extension` is without its dot."""

    kind: Kind
    mime: str
    extension: str


def detect(
    head: bytes, content_type: str = "", name: str = "", *, text: bool = False
) -> FileType | None:
    """The type of a file that begins with `head`, None where it is no media file.

    `text`: plain text counts too where the Content-Type or the name says so. HTML, XML and JSON
    never do, whatever they are called: hosts send their errors that way.
    """
    declared = content_type.split(";")[0].strip().lower()
    by_name = (mimetypes.guess_type(name)[0] or "").lower()
    mime = sniff(head)
    if mime:
        return _media_type(_video_or_audio(mime, declared))
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


def _video_or_audio(mime: str, declared: str) -> str:
    """`mime`; for a container that may be either, as video or audio, whichever was declared."""
    container = mime.partition("/")[2]
    main = declared.partition("/")[0]
    is_declared = container in _VIDEO_OR_AUDIO and main in ("audio", "video")
    return f"{main}/{container}" if is_declared else mime


def _media_type(mime: str) -> FileType | None:
    main = mime.partition("/")[0]
    return FileType(Kind(main), mime, extension(mime)) if main in _MEDIA else None
