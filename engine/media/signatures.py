"""MIME types by a file's first bytes, where the `filetype` library does not know or mistakes it."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

_PREFIXES = {
    b"\0\0\0\x0cJXL \r\n\x87\n": "image/jxl",
    b"\xff\x0a": "image/jxl",
    b"\xff\x4f\xff\x51": "image/jp2",
    b"\x76\x2f\x31\x01": "image/x-exr",
    b"DDS ": "image/vnd.ms-dds",
    b"qoif": "image/qoi",
    b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb": "audio/x-w64",
    b"#!AMR\n": "audio/amr",
    b"#!AMR-WB\n": "audio/amr-wb",
    b".snd": "audio/basic",
    b"caff": "audio/x-caf",
    b"wvpk": "audio/x-wavpack",
    b"MAC ": "audio/x-ape",
}
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f\x80-\xff]")
_WAVES = (b"RIFF", b"RF64", b"BW64")
_NETPBM = re.compile(rb"P([1-6f]|F)\s+(#[^\n]*\n\s*)*\d+\s+|P7\n")

_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF = {b"avif", b"avis"}
_MP4_SOUND = {b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "}

_OGG_PICTURES = (b"\x80theora", b"OVP80", b"BBCD\0", b"\x01video\0")

_TS_SYNC = 0x47
_TS_SIZES = ((188, 0), (192, 4), (204, 0))  # plain, with time codes (m2ts), with check bytes

_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # bytes: the sizes that BMP versions have


def mime_by_bytes(head: bytes) -> str:
    """The MIME type of a file that begins with `head`, "" where these tables do not know it."""
    return next(filter(None, (recognise(head) for recognise in _RECOGNISERS)), "")


def is_bmp(head: bytes) -> bool:
    """Whether a file that begins with the letters BM is a picture and no text."""
    return len(head) >= 18 and struct.unpack_from("<I", head, 14)[0] in _BMP_HEADERS


def id3_size(head: bytes) -> int:
    """The bytes of an ID3v2 tag that begins here, 0 where there is none."""
    if head[:3] != b"ID3" or len(head) < 10 or max(head[6:10]) > 0x7F:
        return 0
    size = 0
    for seven_bits in head[6:10]:
        size = size << 7 | seven_bits
    return size + 10 + (10 if head[5] & 0x10 else 0)


def _by_prefix(head: bytes) -> str:
    if not _BINARY.search(head[:256]):  # a text may begin with the same letters
        return ""
    return next((mime for prefix, mime in _PREFIXES.items() if head.startswith(prefix)), "")


def _by_form(head: bytes) -> str:
    if head[:4] in _WAVES and head[8:12] == b"WAVE":
        return "audio/wav"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "audio/aiff"
    if head.startswith((b"#?RADIANCE\n", b"#?RGBE\n")):
        return "image/vnd.radiance"
    return "image/x-portable-anymap" if _NETPBM.match(head) else ""


def _by_brand(head: bytes) -> str:
    """ISO media files say in their first box what they are, and what else they can be read as."""
    if head[4:8] != b"ftyp":
        return ""
    length = min(int.from_bytes(head[:4], "big"), 256)
    major, others = head[8:12], {head[at : at + 4] for at in range(16, length - 3, 4)}
    if major in _AVIF or (major in _HEIF and others & _AVIF):
        return "image/avif"
    if major in _HEIF:
        return "image/heic"
    return "audio/mp4" if major in _MP4_SOUND else ""


def _by_ebml(head: bytes) -> str:
    if not head.startswith(b"\x1a\x45\xdf\xa3"):
        return ""
    if b"webm" in head[:80]:
        return "video/webm"
    return "video/x-matroska" if b"matroska" in head[:80] else ""


def _by_ogg_codecs(head: bytes) -> str:
    """Ogg names the codecs of all its streams in its first pages."""
    if not head.startswith(b"OggS"):
        return ""
    position = 0
    while head[position : position + 4] == b"OggS" and len(head) >= position + 27:
        if not head[position + 5] & 2:  # no first page of a stream: all have been named
            break
        lengths = head[position + 27 : position + 27 + head[position + 26]]
        position += 27 + len(lengths)
        if head.startswith(_OGG_PICTURES, position):
            return "video/ogg"
        position += sum(lengths)
    return "audio/ogg"


def _by_packets(head: bytes) -> str:
    """MPEG transport streams repeat a byte at the start of each packet, and have no header."""
    for size, offset in _TS_SIZES:
        syncs = head[offset : offset + 8 * size : size]
        if len(syncs) >= 3 and set(syncs) == {_TS_SYNC}:
            return "video/mp2t" if _BINARY.search(head[:size]) else ""
    return ""


def _by_frames(head: bytes) -> str:
    """Raw MPEG sound: a valid frame header, and another one where it says that it ends."""
    start = len(head) - len(head.lstrip(b"\0")) if head[:1] == b"\0" else 0
    for mime, size_of in (("audio/aac", _adts_size), ("audio/mpeg", _mpeg_size)):
        position, count = start, 0
        while (size := size_of(head[position : position + 6])) and count < 3:
            position, count = position + size, count + 1
        if count >= 2:
            return mime
    return ""


_KBITS = {  # by (MPEG-1?, layer), for the indices 1 to 14
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def _mpeg_size(header: bytes) -> int:
    """The bytes of the MPEG-1, -2 or -2.5 audio frame with this header (ISO 11172-3), 0 if none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    kbits, rate = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer == 4 or kbits in (0, 15) or rate == 3:
        return 0
    bits, hertz = _KBITS[version == 3, layer][kbits - 1] * 1000, _RATES[version][rate]
    padding = header[2] >> 1 & 1
    if layer == 1:
        return (12 * bits // hertz + padding) * 4
    return (72 if layer == 3 and version != 3 else 144) * bits // hertz + padding


def _adts_size(header: bytes) -> int:
    """The bytes of the AAC frame with this ADTS header (ISO 13818-7), 0 where it is none."""
    if len(header) < 6 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return 0
    size = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return size if size > 7 and header[2] >> 2 & 15 < 13 else 0


_RECOGNISERS: tuple[Callable[[bytes], str], ...] = (
    _by_form,
    _by_brand,
    _by_ebml,
    _by_ogg_codecs,
    _by_packets,
    _by_frames,
    _by_prefix,
)
