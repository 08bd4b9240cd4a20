"""What kind of file a result is that is no medium, and which endings files may get here."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Collection
from pathlib import PurePosixPath

from ..base.types import Kind
from .file_type import FileType
from .files import is_text, sniff

_BINARY = "application/octet-stream"
_OTHER = "bin"  # the ending of whatever has none of the endings below

_MEDIA_ENDINGS = (
    "png apng jpg jpeg jpe jfif webp gif bmp dib tif tiff avif heic heif jxl jp2 ico tga ppm pgm "
    "exr hdr psd dds mp4 m4v mov webm mkv avi wmv flv 3gp 3g2 mpg mpeg ts m2ts mts ogv mp3 mp2 wav "
    "flac ogg oga opus m4a m4b aac amr aif aiff aifc au mid midi wma weba mka ac3"
)
# Nothing here is run by a double click, on any system.
_DATA_ENDINGS = (
    "glb gltf obj mtl stl ply fbx usdz usd usda usdc dae 3mf abc vrm splat ksplat spz sog bvh vox "
    "zip gz tar 7z json jsonl geojson txt csv tsv md srt vtt ass lrc yaml yml toml safetensors "
    "latent npy npz parquet onnx pdf cube"
)
_MEDIA = frozenset(_MEDIA_ENDINGS.split())
_DATA = frozenset(_DATA_ENDINGS.split())
_ZIPPED = frozenset(("zip", "usdz", "npz", "3mf"))
_TYPES = {  # what `mimetypes` does not know on every system
    "model/gltf-binary": "glb",
    "model/gltf+json": "gltf",
    "model/obj": "obj",
    "model/stl": "stl",
    "model/mtl": "mtl",
    "model/3mf": "3mf",
    "model/vnd.usdz+zip": "usdz",
    "model/vnd.collada+xml": "dae",
    "application/json": "json",
    "application/geo+json": "geojson",
    "application/zip": "zip",
    "application/x-zip-compressed": "zip",
    "application/gzip": "gz",
    "application/pdf": "pdf",
    "application/x-subrip": "srt",
    "application/x-npy": "npy",
    "text/csv": "csv",
    "text/vtt": "vtt",
    "text/markdown": "md",
}
_MAGIC = (
    (b"glTF", "glb"),
    (b"%PDF-", "pdf"),
    (b"\x93NUMPY", "npy"),
    (b"Kaydara FBX Binary", "fbx"),
    (b"PXR-USDC", "usdc"),
    (b"\x1f\x8b", "gz"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"PAR1", "parquet"),
)
_TEXT_MAGIC = ((b"ply\n", "ply"), (b"ply\r\n", "ply"), (b"WEBVTT", "vtt"))
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_SAFETENSORS = re.compile(rb'.{4}\x00{4}\{"', re.DOTALL)
_MIMES = {ending: mime for mime, ending in reversed(_TYPES.items())}
_PAGE = re.compile(
    rb"\s*(?:<!--.*?-->\s*)?<(?:!doctype\s+html|(?:html|head|body|title|h1|p)\b)", re.I
)
_XML_ERROR = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<(?:\w+:)?(?:error|fault)", re.I)
_JSON_ERROR = re.compile(
    rb'[\s{\[]*"(?:errors?|err\w*|code|messages?|msg|detail|status\w*|success|ok|trace_?id'
    rb'|request_?id|path|timestamp)"',
    re.I,
)
_SAYS_NOTHING = ("", _BINARY, "text/plain", "application/xml", "text/xml")


def safe_extension(extension: str) -> str:
    """`extension`, without its dot, if files may end so here; else `bin`."""
    plain = extension.lower()
    return plain if plain in _MEDIA or plain in _DATA else _OTHER


def data_type(head: bytes, content_type: str = "", name: str = "") -> FileType | None:
    """The type of a result that begins with `head` and is no medium; None where it is no result.

    By its bytes, else by its Content-Type, else by the ending of `name`, of the endings above only.
    None for nothing at all, pages, and texts that nothing says to be a file: errors are sent so.
    """
    if not head or _is_medium(sniff(head)):
        return None
    mime = content_type.split(";")[0].strip().lower()
    own = PurePosixPath(name.rpartition("\\")[2]).suffix[1:].lower()
    said = [each for each in (own, _ending_of(mime)) if each in _DATA]
    if is_text(head) and not _is_text_file(head, mime, own, said):
        return None
    ending = binary_ending(head, said) or _text_ending(head) or next(reversed(said), _OTHER)
    return FileType(Kind.FILE, _MIMES.get(ending, _BINARY), ending)


def binary_ending(head: bytes, said: Collection[str] = ()) -> str:
    """The ending that the first bytes of a file call for, "" if they show none.

    said  endings that others claim: they tell apart what is of one form, such as ZIP
    """
    if head.startswith(_ZIP):
        return next((each for each in said if each in _ZIPPED), "zip")
    if _SAFETENSORS.match(head):
        return "latent" if "latent" in said else "safetensors"
    return next((ending for magic, ending in _MAGIC if head.startswith(magic)), "")


def _text_ending(head: bytes) -> str:
    return next((ending for magic, ending in _TEXT_MAGIC if head.startswith(magic)), "")


def _ending_of(mime: str) -> str:
    ending = _TYPES.get(mime) or (mimetypes.guess_extension(mime) or "")[1:]
    return "" if mime == "text/plain" else ending


def _is_text_file(head: bytes, mime: str, own: str, said: Collection[str]) -> bool:
    """Whether a text is a file, and not an error that is sent in place of one.

    Pages never are; others must be said to be, and not in place of a medium.
    """
    if "html" in mime or _PAGE.match(head) or _XML_ERROR.match(head):
        return False
    if own in _DATA:
        return True
    is_for_medium = own in _MEDIA or (_is_medium(mime) and "svg" not in mime)
    is_said = bool(said or own or mime not in _SAYS_NOTHING)
    return is_said and not is_for_medium and not _JSON_ERROR.match(head)


def _is_medium(mime: str) -> bool:
    return mime.partition("/")[0] in ("image", "video", "audio")
