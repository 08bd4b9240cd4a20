"""How media formats are named: MIME types, and the extensions that people and platforms write."""

from __future__ import annotations

import mimetypes
import re

# Names of a format that differ from the MIME type's second half; the first is the extension.
_SPELLINGS = {
    "image/jpeg": ("jpg", "jpeg", "jpe"),
    "image/apng": ("png", "apng"),
    "image/tiff": ("tif", "tiff"),
    "image/heic": ("heic", "heif"),
    "image/x-icon": ("ico",),
    "image/vnd.radiance": ("hdr",),
    "image/vnd.adobe.photoshop": ("psd",),
    "image/vnd.ms-dds": ("dds",),
    "image/x-portable-anymap": ("pnm", "ppm", "pgm", "pbm", "pam", "pfm"),
    "video/quicktime": ("mov",),
    "video/x-matroska": ("mkv",),
    "video/x-msvideo": ("avi",),
    "video/x-m4v": ("m4v", "mp4"),
    "video/x-ms-wmv": ("wmv",),
    "video/3gpp": ("3gp",),
    "video/mpeg": ("mpg", "mpeg"),
    "video/mp2t": ("ts", "m2ts", "mts", "mpegts"),
    "video/ogg": ("ogv", "ogg"),
    "audio/mpeg": ("mp3", "mpeg"),
    "audio/mp4": ("m4a", "mp4"),
    "audio/ogg": ("ogg", "oga", "opus"),
    "audio/wav": ("wav", "wave", "vnd.wave"),
    "audio/amr-wb": ("awb", "amr"),
    "audio/basic": ("au", "snd"),
    "audio/aiff": ("aiff", "aif", "aifc"),
    "audio/midi": ("midi", "mid"),
    "audio/3gpp": ("3gp",),
    "audio/mp2t": ("ts",),
    "audio/x-matroska": ("mka",),
    "audio/x-ms-wma": ("wma",),
    "audio/x-msvideo": ("avi",),
    "audio/x-wavpack": ("wv",),
}

# Names under which a file may also go: the same bytes are known by several.
_ALSO = {
    "image/png": ("apng",),
    "image/jpeg": ("jfif", "mpo"),
    "image/jp2": ("j2k", "jpx", "jpf"),
    "image/jpx": ("jp2", "jpf"),
    "image/avif": ("avifs",),
    "video/mp4": ("m4v", "m4a", "m4b", "f4v", "3gp", "3g2"),
    "video/mpeg": ("mpe", "vob", "m2v"),
    "video/x-ms-wmv": ("asf",),
    "audio/mpeg": ("mp2", "mpga"),
    "audio/mp4": ("m4b", "mp4"),
    "audio/ogg": ("spx",),
    "audio/wav": ("rf64", "bwf"),
}

# Extensions that the standard library does not know everywhere.
_BY_EXTENSION = {
    "tga": "image/x-tga",
    "exr": "image/x-exr",
    "hdr": "image/vnd.radiance",
    "heic": "image/heic",
    "heif": "image/heic",
    "avif": "image/avif",
    "jxl": "image/jxl",
    "webp": "image/webp",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "mka": "audio/x-matroska",
    "amr": "audio/amr",
    "mkv": "video/x-matroska",
    "ogv": "video/ogg",
}


def spellings(mime: str) -> tuple[str, ...]:
    """Names of the format (extensions or words) other than the MIME type's second half."""
    return _SPELLINGS.get(mime, ())


def extension(mime: str) -> str:
    """The usual file name extension of `mime`, without the dot."""
    return _SPELLINGS.get(mime, (mime.rpartition("/")[2].removeprefix("x-"),))[0]


def mime_by_name(name: str) -> str:
    """The MIME type that a file name's extension stands for, "" where it is not known."""
    known = _BY_EXTENSION.get(_extension_in(name))
    return known or (mimetypes.guess_type(name)[0] or "").lower()


def name_by_type(name: str, mime: str) -> str:
    """`name` with an extension that is one of `mime`'s: platforms believe it more than the bytes.

    An extension of another format is replaced, one of no known format kept as part of the name.
    """
    written = _extension_in(name)
    words = re.split(r"[/.-]", mime)[1:]  # "x-canon-cr2" is called cr2
    if written in (*spellings(mime), *_ALSO.get(mime, ()), *words):
        return name
    stem = name[: -len(written) - 1] if written and _is_media_name(name) else name
    return f"{stem}.{extension(mime)}"


def _extension_in(name: str) -> str:
    stem, dot, written = name.rpartition(".")
    return written.lower() if stem and dot else ""


def _is_media_name(name: str) -> bool:
    if mime_by_name(name).partition("/")[0] in ("image", "video", "audio"):
        return True
    written = _extension_in(name)
    return any(written in names for names in (*_SPELLINGS.values(), *_ALSO.values()))
