"""Media files on this disk: what they are, and whether a platform takes them. Decodes no pixels."""

from __future__ import annotations

import hashlib
import mimetypes
import re
from dataclasses import fields
from pathlib import Path

import filetype
from PIL import Image

from ..base.errors import InvalidInput
from ..base.types import Kind, MediaFile, MediaRule, ResultFile
from ..base.words import say

_HEAD = 8192  # bytes that tell what a file is
_CHUNK = 1024 * 1024
_MEDIA = (Kind.IMAGE.value, Kind.VIDEO.value, Kind.AUDIO.value)

# Libraries write the left, the platforms' samples the right.
_PLAIN = {"audio/x-wav": "audio/wav", "audio/x-flac": "audio/flac", "audio/x-aiff": "audio/aiff"}

# How a format is written where that is not the mime's second half; the first is the extension.
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


def describe(path: str | Path, name: str | None = None) -> MediaFile:
    """The media file at `path`, hashed; `name` is what people and platforms see instead of its own.

    Images have width and height as a viewer shows them (EXIF orientation applied), None where
    Pillow does not know the format. Sizes of video and audio are read by nodes/_media.py.
    Raises InvalidInput for what cannot be read or is no image, video or audio.
    """
    path = Path(path)
    shown = name or path.name
    try:
        mime = _media_mime(path, shown)
        width, height = _image_size(path, mime, shown)
        sha256, size = sha256_of(path)
    except OSError as error:
        raise _refused(shown, error.strerror or str(error)) from error
    return MediaFile(path, shown, mime, sha256, size, width, height)


def sniff(head: bytes) -> str:
    """The mime type told by a file's first bytes, "" where they tell nothing."""
    found = filetype.guess_mime(head)
    if found is None:
        return "video/mp4" if head[4:8] == b"ftyp" else ""
    return _PLAIN.get(found, str(found))


def is_text(head: bytes) -> bool:
    """True when `head` reads as text: UTF-8 (its last character may be cut), no control bytes."""
    if re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", head):
        return False
    return len(head.decode("utf-8", "ignore").encode()) >= len(head) - 3


def extension(mime: str) -> str:
    """The usual file name extension of `mime`, without the dot."""
    return _SPELLINGS.get(mime, (mime.rpartition("/")[2].removeprefix("x-"),))[0]


def is_intact(file: ResultFile) -> bool:
    """Whether the result is still on this disk as it came."""
    try:
        return file.path.stat().st_size == file.size and sha256_of(file.path)[0] == file.sha256
    except OSError:
        return False


def sha256_of(path: str | Path) -> tuple[str, int]:
    """(SHA-256 in hex, size in bytes) of a file, read in pieces. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def size_text(size: int) -> str:
    """`size` bytes as people read it: 12.4 MB (1 MB = 1024 * 1024 bytes)."""
    for unit, scale in (("GB", 1024**3), ("MB", 1024**2), ("KB", 1024)):
        if size >= scale:
            return f"{size / scale:.1f}".removesuffix(".0") + f" {unit}"
    return say("{count} bytes", count=size)


# -- what a file is ---------------------------------------------------------------------------


def _media_mime(path: Path, shown: str) -> str:
    with open(path, "rb") as stream:
        head = stream.read(_HEAD)
    if not head:
        raise _refused(shown, say("it is empty"))
    mime = sniff(head) or _mime_of_name(shown, head)
    if mime.partition("/")[0] not in _MEDIA:
        raise _refused(shown, say("it is no image, video or audio file"))
    return mime


def _mime_of_name(name: str, head: bytes) -> str:
    # A web server's error page saved as clip.mp4 must not pass for a video.
    if is_text(head):
        return ""
    mime = mimetypes.guess_type(name)[0] or ""
    return _PLAIN.get(mime, mime)


def _image_size(path: Path, mime: str, shown: str) -> tuple[int | None, int | None]:
    if not mime.startswith("image/"):
        return None, None
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(0x0112, 1) >= 5  # EXIF orientation: 5..8 lie on their side
    except Image.DecompressionBombError as error:
        raise _refused(shown, str(error)) from error
    except (OSError, SyntaxError, ValueError, TypeError) as error:
        if _pillow_reads(mime):
            raise _refused(shown, say("it is broken")) from error
        return None, None
    return (height, width) if turned else (width, height)


def _pillow_reads(mime: str) -> bool:
    Image.init()
    return mime in Image.MIME.values()


def _refused(shown: str, reason: str) -> InvalidInput:
    return InvalidInput(
        say("{name} cannot be used: {reason}.", name=shown, reason=reason),
        do=say("Choose a readable image, video or audio file."),
    )


# -- what a platform takes --------------------------------------------------------------------


def check(file: MediaFile, rule: MediaRule, what: str, who: str = "") -> None:
    """Refuse `file` where it breaks `rule`; nothing is ever shrunk or converted.

    what  what the file is for, as people see it: "end frame"
    who   who sets the limit: a model's name
    What is unknown on either side is not judged. Raises InvalidInput: the limit, the real value.
    """
    judge = _Judge(file, what, who or say("the platform"))
    judge.format(rule.formats)
    judge.bytes(rule.max_bytes)
    judge.width(rule.min_width, rule.max_width)
    judge.height(rule.min_height, rule.max_height)
    judge.seconds(rule.min_seconds, rule.max_seconds)
    judge.codec(rule.codecs)


def advice(file: MediaFile, rule: MediaRule, what: str) -> list[str]:
    """What `file` breaks of what is only advised; one text each."""
    found = []
    for part in _parts(rule.advised) if rule.advised else []:
        try:
            check(file, part, what)
        except InvalidInput as broken:
            found.append(
                say("Only advice, so it is sent all the same: {broken}", broken=broken.what)
            )
    return found


def _parts(rule: MediaRule) -> list[MediaRule]:
    """A rule for each limit of `rule`."""
    told = {one.name: getattr(rule, one.name) for one in fields(rule)}
    return [MediaRule(**{name: limit}) for name, limit in told.items() if limit]


class _Judge:
    """Words and comparisons of `check`, one method a limit."""

    # A container counts whole audio frames, so a clip cut at 10 s says 10.03.
    _SLACK = 0.05

    def __init__(self, file: MediaFile, what: str, who: str) -> None:
        self.file = file
        self.words = {"what": what, "name": file.name, "who": who}

    def format(self, formats: tuple[str, ...]) -> None:
        if not formats or any(_is_format(self.file.mime, each) for each in formats):
            return
        raise InvalidInput(
            say(
                "{what}: {name} is {real}; {who} takes {formats}.",
                real=self.file.mime,
                formats=", ".join(formats),
                **self.words,
            ),
            do=say("Convert it first."),
        )

    def bytes(self, most: int | None) -> None:
        if most is None or self.file.size <= most:
            return
        real, limit = size_text(self.file.size), size_text(most)
        if real == limit:
            real, limit = (say("{count} bytes", count=n) for n in (self.file.size, most))
        raise InvalidInput(
            say(
                "{what}: {name} has {real}; {who} takes at most {limit}.",
                real=real,
                limit=limit,
                **self.words,
            ),
            do=say("Make it smaller first: fewer pixels, a shorter clip or stronger compression."),
        )

    def width(self, least: int | None, most: int | None) -> None:
        limit = _broken_limit(self.file.width, least, most)
        if limit is not None:
            raise InvalidInput(
                say(
                    "{what}: {name} is {real} pixels wide; {who} takes {limit}.",
                    real=self.file.width,
                    limit=limit,
                    **self.words,
                ),
                do=say("Resize it first."),
            )

    def height(self, least: int | None, most: int | None) -> None:
        limit = _broken_limit(self.file.height, least, most)
        if limit is not None:
            raise InvalidInput(
                say(
                    "{what}: {name} is {real} pixels high; {who} takes {limit}.",
                    real=self.file.height,
                    limit=limit,
                    **self.words,
                ),
                do=say("Resize it first."),
            )

    def seconds(self, least: float | None, most: float | None) -> None:
        limit = _broken_limit(self.file.duration, least, most, self._SLACK)
        if limit is not None:
            raise InvalidInput(
                say(
                    "{what}: {name} lasts {real} seconds; {who} takes {limit}.",
                    real=_number(self.file.duration),
                    limit=limit,
                    **self.words,
                ),
                do=say("Trim it or choose another one."),
            )

    def codec(self, codecs: tuple[str, ...]) -> None:
        if not codecs or not self.file.codec or self.file.codec in codecs:
            return
        raise InvalidInput(
            say(
                "{what}: {name} is encoded as {real}; {who} takes {codecs}.",
                real=self.file.codec,
                codecs=", ".join(codecs),
                **self.words,
            ),
            do=say("Convert it first."),
        )


def _broken_limit(
    real: float | None, least: float | None, most: float | None, slack: float = 0
) -> str | None:
    """The limit that `real` breaks, in words; None where it breaks none."""
    if real is None:
        return None
    if most is not None and real > most + slack:
        return say("at most {limit}", limit=_number(most))
    if least is not None and real < least - slack:
        return say("at least {limit}", limit=_number(least))
    return None


def _number(value: float | None) -> str:
    return f"{value or 0:.2f}".rstrip("0").rstrip(".")


def _is_format(mime: str, wanted: str) -> bool:
    """True where `wanted` ("jpg", ".JPG", "image/jpeg", "image/*") is a spelling of `mime`."""
    wanted = wanted.strip().lower().lstrip(".")
    kind, _, name = mime.partition("/")
    if wanted in (mime, kind, f"{kind}/*", "*"):
        return True
    family, slash, short = wanted.rpartition("/")
    known = (*_SPELLINGS.get(mime, ()), name.removeprefix("x-"))
    return (not slash or family == kind) and short.removeprefix("x-") in known
