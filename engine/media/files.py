"""Media files on this disk: their type, size and hash. Decodes no pixels."""

from __future__ import annotations

import hashlib
import mimetypes
import re
from pathlib import Path

import filetype
from PIL import Image

from ..base.errors import InvalidInput
from ..base.types import Kind, MediaFile, ResultFile
from ..base.words import tr

_HEAD = 8192  # bytes that show what a file is
_CHUNK = 1024 * 1024
_MEDIA = (Kind.IMAGE.value, Kind.VIDEO.value, Kind.AUDIO.value)

# Libraries write the left, the platforms' samples the right.
_USUAL = {"audio/x-wav": "audio/wav", "audio/x-flac": "audio/flac", "audio/x-aiff": "audio/aiff"}

# Names of a format that differ from the MIME type's second half; the first is the extension.
_SPELLINGS = {
    "image/jpeg": ("jpg", "jpeg", "jpe"),
    "image/apng": ("png", "apng"),
    "image/tiff": ("tif", "tiff"),
    "image/heic": ("heic", "heif"),
    "image/x-icon": ("ico",),
    "video/quicktime": ("mov",),
    "video/x-matroska": ("mkv",),
    "video/x-msvideo": ("avi",),
    "video/x-m4v": ("m4v", "mp4"),
    "video/x-ms-wmv": ("wmv",),
    "video/3gpp": ("3gp",),
    "video/mpeg": ("mpg", "mpeg"),
    "audio/mpeg": ("mp3", "mpeg"),
    "audio/mp4": ("m4a", "mp4"),
    "audio/ogg": ("ogg", "oga", "opus"),
    "audio/wav": ("wav", "wave", "vnd.wave"),
}

# Extensions that are at home with the bytes of one and the same container.
_SAME_CONTAINER = (
    {"jpg", "jpeg", "jpe", "jfif", "pjpeg", "pjp", "mpo", "jps"},
    {"png", "apng"},
    {"tif", "tiff", "dng", "nef", "arw", "pef", "srw", "rw2", "orf"},
    {"heic", "heif", "hif"},
    {"jpx", "jp2", "j2k", "jpf", "jpm"},
    {"mp4", "m4v", "m4a", "m4b", "m4r", "f4v"},
    {"mov", "qt"},
    {"3gp", "3g2"},
    {"mkv", "mka"},
    {"webm", "weba"},
    {"ogg", "oga", "ogv", "ogx", "opus", "spx"},
    {"wmv", "wma", "asf"},
    {"mpg", "mpeg", "mpe", "m2v", "vob"},
    {"mp3", "mp2", "mpga"},
    {"aiff", "aif", "aifc"},
    {"midi", "mid", "kar"},
)


def describe(path: str | Path, name: str | None = None) -> MediaFile:
    """The media file at `path`, hashed; people and platforms see `name` in place of its own.

    The extension of the name is that of the bytes: platforms and loaders go by it.
    Images have width and height as a viewer shows them (EXIF orientation applied), None where
    Pillow does not know the format. nodes/_media reads the sizes of video and audio.
    Raises InvalidInput where it cannot be read or is no image, video or audio.
    """
    path = Path(path)
    shown = name or path.name
    try:
        mime = _media_mime(path, shown)
        width, height = _image_size(path, mime, shown)
        sha256, size = sha256_of(path)
    except OSError as error:
        raise _refused(shown, error.strerror or str(error)) from error
    return MediaFile(path, _true_name(shown, mime), mime, sha256, size, width, height)


def sniff(head: bytes) -> str:
    """The MIME type that a file's first bytes show, "" where they show none."""
    mime = filetype.guess_mime(head)
    if mime is None:
        return "video/mp4" if head[4:8] == b"ftyp" else ""
    return _USUAL.get(mime, str(mime))


def is_text(head: bytes) -> bool:
    """Whether `head` is text: UTF-8 (its last character may be cut off), no control characters."""
    if re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", head):
        return False
    return len(head.decode("utf-8", "ignore").encode()) >= len(head) - 3


def spellings(mime: str) -> tuple[str, ...]:
    """Names of the format (extensions or words) other than the MIME type's second half."""
    return _SPELLINGS.get(mime, ())


def extension(mime: str) -> str:
    """The usual file name extension of `mime`, without the dot."""
    return _SPELLINGS.get(mime, (mime.rpartition("/")[2].removeprefix("x-"),))[0]


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
    mime = sniff(head) or _mime_of_name(shown, head)
    if mime.partition("/")[0] not in _MEDIA:
        raise _refused(shown, tr("it is no image, video or audio file"))
    return mime


def _mime_of_name(name: str, head: bytes) -> str:
    # A web server's error page saved as clip.mp4 must not pass for a video.
    if is_text(head):
        return ""
    return _mime_of_extension(name)


def _mime_of_extension(name: str) -> str:
    mime = mimetypes.guess_type(name)[0] or ""
    return _USUAL.get(mime, mime)


def _true_name(name: str, mime: str) -> str:
    """`name` with the extension of `mime`, unless it has one of that container."""
    stem, _, last = name.rpartition(".")
    usual = extension(mime)
    if not usual.isalnum() or _mime_of_extension(name) == mime:
        return name
    if last.lower() in _extensions_beside(usual) | {*spellings(mime)} and stem:
        return name
    return f"{stem if stem and _is_extension(last.lower()) else name}.{usual}"


def _extensions_beside(usual: str) -> set[str]:
    return next((names for names in _SAME_CONTAINER if usual in names), {usual})


def _is_extension(word: str) -> bool:
    """Whether the last part of a name is that of a format, and not of its own: `v1.2`."""
    known = {kind.extension for kind in filetype.TYPES}.union(*_SAME_CONTAINER)
    return word in known or _mime_of_extension(f"a.{word}") != ""


def _image_size(path: Path, mime: str, shown: str) -> tuple[int | None, int | None]:
    if not mime.startswith("image/"):
        return None, None
    try:
        with Image.open(path) as image:
            width, height = image.size
            # EXIF orientations 5..8 are turned by 90 degrees.
            is_turned = image.getexif().get(0x0112, 1) >= 5
    except Image.DecompressionBombError as error:
        raise _refused(shown, str(error)) from error
    except (OSError, SyntaxError, ValueError, TypeError) as error:
        if _pillow_reads(mime):
            raise _refused(shown, tr("it is damaged")) from error
        return None, None
    return (height, width) if is_turned else (width, height)


def _pillow_reads(mime: str) -> bool:
    Image.init()
    return mime in Image.MIME.values()


def _refused(shown: str, reason: str) -> InvalidInput:
    return InvalidInput(
        tr("{name} cannot be used: {reason}.", name=shown, reason=reason),
        do=tr("Choose a readable image, video or audio file."),
    )
