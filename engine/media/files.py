"""Media files on this disk: their type, size and hash. Decodes no pixels."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import BinaryIO

import filetype
from PIL import Image

from ..base.errors import InvalidInput
from ..base.shown_text import valid_unicode
from ..base.types import Kind, MediaFile, ResultFile
from ..base.words import tr
from .formats import mime_by_name, name_by_type
from .picture_file import NOT_A_PICTURE, NoDecoder, decodable, open_picture, shown_size
from .signatures import id3_size, is_bmp, mime_by_bytes
from .tracks import has_pictures

_HEAD = 8192  # bytes that show what a file is
_CHUNK = 1024 * 1024
_TGA_END = b"TRUEVISION-XFILE.\0"
_MEDIA = (Kind.IMAGE.value, Kind.VIDEO.value, Kind.AUDIO.value)

# Libraries write the left, the platforms' samples the right.
_USUAL = {"audio/x-wav": "audio/wav", "audio/x-flac": "audio/flac", "audio/x-aiff": "audio/aiff"}

# Containers of video with sound or of sound alone: the Content-Type knows better which it is.
_VIDEO_OR_AUDIO = ("mp4", "webm", "x-matroska", "x-ms-asf")

# The sound of a container that usually holds a video.
_SOUND_ALONE = {"video/quicktime": "audio/mp4", "video/x-m4v": "audio/mp4"}
_SOUND_ALONE |= {"video/x-ms-wmv": "audio/x-ms-wma"}


def describe(path: str | Path, name: str | None = None) -> MediaFile:
    """The media file at `path`, hashed; people and platforms see `name` in place of its own.

    Images have width and height as a viewer shows them (EXIF orientation applied), None where
    Pillow does not know the format. nodes/_media reads the sizes of video and audio.
    Raises InvalidInput where it cannot be read or is no image, video or audio.
    """
    path = Path(path)
    shown = name or path.name
    if valid_unicode(shown) != shown:
        reason = tr("its name is not valid UTF-8, so rename it")
        raise _refused(valid_unicode(shown), reason)
    try:
        mime = _media_mime(path, shown)
        width, height = _image_size(path, mime, shown)
        sha256, size = sha256_of(path)
    except OSError as error:
        raise _refused(shown, error.strerror or str(error)) from error
    upload_name = name_by_type(shown, mime)
    return MediaFile(
        path,
        shown,
        mime,
        sha256,
        size,
        width,
        height,
        corrected_name="" if upload_name == shown else upload_name,
    )


def sniff(head: bytes) -> str:
    """The MIME type that a file's first bytes show, "" where they show none."""
    if own := mime_by_bytes(head):
        return own
    mime = filetype.guess_mime(head)
    if mime is None:
        return "video/mp4" if head[4:8] == b"ftyp" else ""
    return "" if mime == "image/bmp" and not is_bmp(head) else _USUAL.get(mime, str(mime))


def sniff_file(path: Path, head: bytes, declared: str = "") -> str:
    """Like `sniff` for the file that begins with `head`, by its tracks too. Raises OSError.

    A container of sound alone is audio, one with a picture track is video; where the tracks cannot
    be read, it is what `declared`, a Content-Type, says.
    """
    with open(path, "rb") as stream:
        if size := id3_size(head):  # other sound than MP3 may follow
            stream.seek(size)
            behind = sniff(stream.read(_HEAD))
            return behind if behind.startswith("audio/") else "audio/mpeg"
        mime = sniff(head) or _mime_by_end(stream)
        pictures = has_pictures(stream, mime)
    if pictures is None:
        return _as_declared(mime, declared)
    if pictures:
        return mime.replace("audio/", "video/", 1)
    return _SOUND_ALONE.get(mime, mime.replace("video/", "audio/", 1))


def _as_declared(mime: str, declared: str) -> str:
    container, main = mime.partition("/")[2], declared.partition("/")[0]
    is_declared = container in _VIDEO_OR_AUDIO and main in ("audio", "video")
    return f"{main}/{container}" if is_declared else mime


def _mime_by_end(stream: BinaryIO) -> str:
    """The type of a file whose only mark stands at its end: a TGA picture."""
    stream.seek(-min(len(_TGA_END), stream.seek(0, 2)), 2)
    return "image/x-tga" if stream.read() == _TGA_END else ""


def is_medium(path: str | Path) -> bool:
    """Whether a file is an image, video or audio by its name, else by its bytes."""
    path = Path(path)
    if mime := mime_by_name(path.name):
        return mime.partition("/")[0] in _MEDIA
    try:
        return bool(_media_mime(path, path.name))
    except (InvalidInput, OSError):
        return False


def is_text(head: bytes) -> bool:
    """Whether `head` is text: UTF-8 (its last character may be cut off), no control characters."""
    if re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", head):
        return False
    return len(head.decode("utf-8", "ignore").encode()) >= len(head) - 3


def is_intact(file: ResultFile) -> bool:
    """Whether the result is still on this disk, unchanged."""
    try:
        return file.path.stat().st_size == file.size and sha256_of(file.path)[0] == file.sha256
    except OSError:
        return False


def sha256_of(path: str | Path) -> tuple[str, int]:
    """(SHA-256 in hex, size in bytes) of a file, read in chunks. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def size_text(size: int) -> str:
    """`size` in bytes for people to read: 12.4 MB (1 MB = 1024 * 1024 bytes)."""
    for unit, scale in (("GB", 1024**3), ("MB", 1024**2), ("KB", 1024)):
        if size >= scale:
            return f"{size / scale:.1f}".removesuffix(".0") + f" {unit}"
    return tr("{count} bytes", count=size)


# -- what a file is ---------------------------------------------------------------------------


def _media_mime(path: Path, shown: str) -> str:
    with open(path, "rb") as stream:
        head = stream.read(_HEAD)
    if not head:
        raise _refused(shown, tr("it is empty"))
    mime = sniff_file(path, head) or _mime_of_name(shown, head)
    if mime.partition("/")[0] not in _MEDIA:
        raise _refused(shown, tr("it is no image, video or audio file"))
    return mime


def _mime_of_name(name: str, head: bytes) -> str:
    # A web server's error page saved as clip.mp4 must not pass for a video.
    if is_text(head):
        return ""
    mime = mime_by_name(name)
    return _USUAL.get(mime, mime)


def _image_size(path: Path, mime: str, shown: str) -> tuple[int | None, int | None]:
    if not mime.startswith("image/"):
        return None, None
    try:
        with open_picture(path) as image:
            return shown_size(image)
    except Image.DecompressionBombError:
        raise _refused(shown, tr("it has more pixels than can be read here")) from None
    except NOT_A_PICTURE as error:
        if isinstance(error, NoDecoder) and not decodable(mime):
            return None, None
        raise _refused(shown, tr("it is damaged")) from error


def _refused(shown: str, reason: str) -> InvalidInput:
    return InvalidInput(
        tr("{name} cannot be used: {reason}.", name=shown, reason=reason),
        do=tr("Choose a readable image, video or audio file."),
    )
