"""Whether a container holds pictures or sound alone: its track list, read without a decoder."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from typing import BinaryIO

_MOST_BOXES = 10_000  # of one level: a file whose header lies must not be walked for ever
_INSIDE_TRACK = (b"mdia", b"tref")
_ENDLESS = -1  # the size of a Matroska element that was written live

_SEGMENT, _TRACKS, _TRACK, _TRACK_TYPE = 0x18538067, 0x1654AE6B, 0xAE, 0x83
_VIDEO_TRACK = 1

_PICTURE_STREAMS = {0x01, 0x02, 0x10, 0x1B, 0x20, 0x24, 0x33, 0x42, 0xD1, 0xEA}  # ISO 13818-1
_ASF_VIDEO = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")
_ASF_SOUND = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")


def has_pictures(stream: BinaryIO, mime: str) -> bool | None:
    """Whether the container has a picture track; None where its header does not tell.

    mime  what `sniff` says of the file. A cover is no picture track. Moves the stream.
    """
    read = _READERS.get(mime.partition("/")[2])
    if read is None:
        return None
    with suppress(OSError, struct.error, IndexError, ValueError):
        return read(stream)
    return None


# -- mp4 and its relatives --------------------------------------------------------------------


def _iso(stream: BinaryIO) -> bool | None:
    tracks = [
        _IsoTrack(stream, *track[1:])
        for movie in _boxes(stream, 0, stream.seek(0, 2))
        if movie[0] == b"moov"
        for track in _boxes(stream, *movie[1:])
        if track[0] == b"trak"
    ]
    chapters = {number for track in tracks for number in track.chapters}
    kinds = {track.kind for track in tracks if track.number not in chapters}
    return b"vide" in kinds if kinds & {b"vide", b"soun"} else None


class _IsoTrack:
    """A track's number, its handler, and the tracks that hold its chapters' titles and pictures."""

    def __init__(self, stream: BinaryIO, start: int, end: int) -> None:
        self.number, self.kind = 0, b""
        self.chapters: tuple[int, ...] = ()
        for name, begin, stop in _boxes(stream, start, end, _INSIDE_TRACK):
            stream.seek(begin)
            data = stream.read(min(stop - begin, 1024))
            if name == b"tkhd":
                self.number = struct.unpack_from(">I", data, 20 if data[0] else 12)[0]
            elif name == b"hdlr":
                self.kind = data[8:12]
            elif name == b"chap":
                self.chapters = struct.unpack(f">{len(data) // 4}I", data[: len(data) // 4 * 4])


def _boxes(
    stream: BinaryIO, start: int, end: int, inside: Collection[bytes] = ()
) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end) of the boxes; of those that are `inside`, what they hold instead."""
    for _ in range(_MOST_BOXES):
        stream.seek(start)
        head = stream.read(16)
        if start + 8 > end or len(head) < 8:
            return
        size, name = struct.unpack_from(">I4s", head)
        begin = start + (16 if size == 1 else 8)
        size = struct.unpack_from(">Q", head, 8)[0] if size == 1 else size or end - start
        stop = min(start + size, end)
        if name in inside:
            yield from _boxes(stream, begin, stop, inside)
        else:
            yield name, begin, stop
        if stop < begin:
            return
        start += size


# -- Matroska and WebM ------------------------------------------------------------------------


def _matroska(stream: BinaryIO) -> bool | None:
    end = stream.seek(0, 2)
    for name, start, stop in _elements(stream, 0, end):
        if name == _TRACKS:
            kinds = [
                _number(stream, *inner[1:])
                for track in _elements(stream, start, stop)
                if track[0] == _TRACK
                for inner in _elements(stream, *track[1:])
                if inner[0] == _TRACK_TYPE
            ]
            return _VIDEO_TRACK in kinds if kinds else None
    return None


def _elements(stream: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(id, start, end) of the elements; a segment is entered rather than passed over."""
    position = start
    for _ in range(_MOST_BOXES):
        stream.seek(position)
        head = stream.read(16)
        if position >= end or len(head) < 2:
            return
        name, used = _variable(head, 0, keep_marker=True)
        size, used = _variable(head, used)
        begin = position + used
        if name == _SEGMENT:
            position = begin
            continue
        if size == _ENDLESS:
            return
        yield name, begin, min(begin + size, end)
        position = begin + size


def _variable(data: bytes, at: int, keep_marker: bool = False) -> tuple[int, int]:
    """A number of Matroska's variable length, and where it ends. Raises ValueError."""
    width = 9 - data[at].bit_length()
    if width > 8:
        raise ValueError
    value = int.from_bytes(data[at : at + width], "big")
    if keep_marker:
        return value, at + width
    value &= (1 << 7 * width) - 1
    return (_ENDLESS if value == (1 << 7 * width) - 1 else value), at + width


def _number(stream: BinaryIO, start: int, stop: int) -> int:
    stream.seek(start)
    return int.from_bytes(stream.read(min(stop - start, 8)), "big")


# -- others -----------------------------------------------------------------------------------


def _transport(stream: BinaryIO) -> bool | None:
    """MPEG-TS lists its streams in a table of its own packets (ISO 13818-1, 2.4.4)."""
    stream.seek(0)
    data = stream.read(1 << 20)
    size, offset = next((s, o) for s, o in ((188, 0), (192, 4), (204, 0)) if data[o + s] == 0x47)
    tables: set[int] = set()
    for at in range(offset, len(data) - 187, size):
        packet = data[at : at + 188]
        number = int.from_bytes(packet[1:3], "big") & 0x1FFF
        if not packet[1] & 0x40 or not packet[3] & 0x10 or (number and number not in tables):
            continue
        payload = packet[5 + packet[4] if packet[3] & 0x20 else 4 :]
        section = payload[1 + payload[0] :]
        length = (int.from_bytes(section[1:3], "big") & 0xFFF) + 3 - 4  # without its checksum
        if number == 0 and section[0] == 0:
            entries = range(8, length, 4)
            tables |= {int.from_bytes(section[e + 2 : e + 4], "big") & 0x1FFF for e in entries}
        elif section[0] == 2:
            return bool(_PICTURE_STREAMS & set(_stream_types(section[:length])))
    return None


def _stream_types(section: bytes) -> Iterator[int]:
    at = 12 + (int.from_bytes(section[10:12], "big") & 0xFFF)
    while at + 5 <= len(section):
        yield section[at]
        at += 5 + (int.from_bytes(section[at + 3 : at + 5], "big") & 0xFFF)


def _asf(stream: BinaryIO) -> bool | None:
    return _either(stream, _ASF_VIDEO, _ASF_SOUND)


def _avi(stream: BinaryIO) -> bool | None:
    return _either(stream, b"vids", b"auds")


def _either(stream: BinaryIO, pictures: bytes, sound: bytes) -> bool | None:
    """Whether the head names a stream of pictures; None where it names none at all."""
    stream.seek(0)
    head = stream.read(65536)
    return True if pictures in head else False if sound in head else None


def _flash(stream: BinaryIO) -> bool | None:
    stream.seek(4)
    flags = stream.read(1)[0]
    return bool(flags & 1) if flags & 5 else None


_READERS: dict[str, Callable[[BinaryIO], bool | None]] = {
    "mp4": _iso,
    "quicktime": _iso,
    "3gpp": _iso,
    "x-m4v": _iso,
    "webm": _matroska,
    "x-matroska": _matroska,
    "mp2t": _transport,
    "x-ms-wmv": _asf,
    "x-ms-asf": _asf,
    "x-msvideo": _avi,
    "x-flv": _flash,
}
