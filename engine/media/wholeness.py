"""What the bytes of a video file show where no decoder helps: whether it was cut, its codec."""

from __future__ import annotations

import mmap
import re
import struct
from pathlib import Path
from typing import BinaryIO

_MATROSKA, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_HEAD = 4096  # bytes in which a Matroska file's segment begins
# An entry of mp4's sample descriptions, Matroska's CodecID, and an AVI's stream header.
_MP4_CODEC = re.compile(rb"stsd\0{4}\0{3}.{5}([\x20-\x7e]{4})", re.DOTALL)
_OTHER_CODEC = re.compile(rb"\x86[\x80-\xff](V_[\x20-\x7e]+)|vids([\x20-\x7e]{4})")


def is_truncated(path: Path) -> bool:
    """True if an mp4 or mov declares media data beyond the end of the file."""
    size, position = path.stat().st_size, 0
    with open(path, "rb") as stream:
        if stream.read(8)[4:] != b"ftyp":
            return False
        while position + 8 <= size:
            stream.seek(position)
            length, name, long = struct.unpack(">I4sQ", stream.read(16).ljust(16, b"\0"))
            length = long if length == 1 else length
            if name in (b"moov", b"moof", b"mdat") and position + length > size:
                return True
            if length < 8:  # 0: up to the end of the file
                return False
            position += length
    return False


def is_cut(path: Path) -> bool:
    """True if an mp4, Matroska or RIFF file says that it is longer than it is."""
    size = path.stat().st_size
    with open(path, "rb") as stream:
        head = stream.read(_HEAD)
    if head.startswith(b"RIFF"):
        return int.from_bytes(head[4:8], "little") + 8 > size
    if head.startswith(_MATROSKA):
        return _segment_end(head) > size
    return is_truncated(path)


def _segment_end(head: bytes) -> int:
    """Where a Matroska segment ends by its own word; 0 where it does not say."""
    at = head.find(_SEGMENT) + len(_SEGMENT)
    if at < len(_SEGMENT) or at + 8 > len(head) or not head[at]:
        return 0
    width = 9 - head[at].bit_length()
    length = int.from_bytes(head[at : at + width], "big") & ((1 << 7 * width) - 1)
    is_unknown = length == (1 << 7 * width) - 1
    return 0 if is_unknown else at + width + length


def codec_name(path: Path, index: int) -> str:
    """What the file calls the codec of its stream `index`, such as "vvc1"; "" where unknown."""
    with open(path, "rb") as stream, _mapped(stream) as data:
        names = [match[1] for match in _MP4_CODEC.finditer(data)][index : index + 1]
        other = _OTHER_CODEC.search(data[:_HEAD])
    if other and not names:
        names = [other[1] or other[2]]
    return b"".join(names).decode("ascii").strip()


def _mapped(stream: BinaryIO) -> mmap.mmap:
    return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
