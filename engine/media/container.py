"""Video and audio files, opened and decoded with any release of PyAV. No torch here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from ..base.errors import BadResult
from ..base.words import tr
from .notes import note
from .wholeness import codec_name

# Tags in an odd encoding must not lose a result that was paid for. PyAV 19 reads any tag and no
# longer takes the argument.
_LENIENT: dict[str, Any] = (
    {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "ignore"}
)

_COVER = av.stream.Disposition.attached_pic


@contextmanager
def open_container(path: Path) -> Iterator[Any]:
    """The file as an open PyAV `InputContainer`. Raises BadResult where it cannot be read."""
    try:
        with open_raw(path) as container:
            yield container
    except (av.error.FFmpegError, OSError) as error:
        raise unreadable(path, error) from error


def open_raw(path: Path) -> Any:
    """Like `open_container`, but raises PyAV's own errors: FFmpegError, OSError."""
    return av.open(str(path.absolute()), **_LENIENT)


def video_stream(container: Any, path: Path) -> Any:
    """The first video stream that can be decoded and is no cover. Raises BadResult for none."""
    films = video_streams(container, path)
    for stream in films:
        # No codec context: FFmpeg has no decoder, and touching the stream's packets can crash.
        if stream.codec_context is not None:
            return stream
    codec = codec_name(path, films[0].index)
    if not codec:
        raise unreadable(path, tr("PyAV has no decoder for its video track"))
    raise unreadable(path, tr('PyAV has no decoder for its video, codec "{codec}"', codec=codec))


def video_streams(container: Any, path: Path) -> list[Any]:
    """The video streams, of any codec. Raises BadResult where there is none.

    The cover of a song is no video.
    """
    films = [stream for stream in container.streams.video if not stream.disposition & _COVER]
    if not films:
        raise unreadable(path, tr("it has no video track"))
    return films


def audio_stream(container: Any) -> Any:
    """The first audio stream that can be decoded, None where there is none."""
    return next((s for s in container.streams.audio if s.codec_context is not None), None)


@dataclass
class Losses:
    """What a decoder could not make of a stream's packets."""

    broken: int = 0  # packets
    empty: int = 0  # packets
    is_cut: bool = False  # reading ended before the file did
    behind: bool = False  # the last packets gave no frame

    def __bool__(self) -> bool:
        return bool(self.broken or self.empty or self.is_cut or self.behind)


def iter_frames(container: Any, stream: Any, losses: Losses | None = None) -> Iterator[Any]:
    """The frames of `stream` that can be decoded, as players show them.

    What cannot is counted in `losses`, or noted where that is None. Raises FFmpegError where not
    even the beginning can be read.
    """
    counted = Losses() if losses is None else losses
    last_packet = last_frame = -1
    for packet in _packets(container, stream, counted):
        last_packet = max(last_packet, _time(packet))
        for frame in _decoded(stream, packet, counted):
            last_frame = max(last_frame, _time(frame))
            yield frame
    counted.behind = stream.type == "video" and last_packet > last_frame
    if losses is None:
        note_losses(Path(container.name).name, counted)


def _time(item: Any) -> int:
    is_shown = item is not None and item.pts is not None and not getattr(item, "is_discard", False)
    return int(item.pts) if is_shown else -1


def note_losses(name: str, losses: Losses) -> None:
    """Notes what is missing of the file `name`, if anything is."""
    if losses.broken:
        note(tr("{name}: skipped {count} broken packets.", name=name, count=losses.broken))
    if losses.empty:
        note(tr("{name}: {count} packets hold no frame.", name=name, count=losses.empty))
    if losses.is_cut:
        note(tr("{name}: its end could not be read.", name=name))
    elif losses.behind:
        note(tr("{name}: its last frames cannot be decoded.", name=name))


def count_packets(container: Any, stream: Any) -> int:
    """How many packets of `stream` hold something, as far as the file can be read."""
    return sum(1 for packet in _packets(container, stream, Losses()) if packet and packet.size)


def _packets(container: Any, stream: Any, losses: Losses) -> Iterator[Any]:
    """The packets that hold something; last, the one at which a decoder gives what it still has.

    Raises FFmpegError where not even the beginning can be read.
    """
    end, has_begun = None, False
    try:
        for packet in container.demux(stream):
            has_begun = True
            if packet.size:
                yield packet
            elif packet.dts is None:
                end = packet
            elif stream.type == "video":  # an earlier picture once more, or a gap
                losses.empty += 1
    except av.error.FFmpegError:
        if not has_begun:
            raise
        losses.is_cut = True
    yield end


def _decoded(stream: Any, packet: Any, losses: Losses) -> Sequence[Any]:
    try:
        return list(stream.decode(packet))
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError:
        losses.broken += 1
        return ()


def first_frame(frames: Iterator[Any], path: Path) -> Any:
    """The first frame. Raises BadResult where there is none."""
    first = next(frames, None)
    if first is None:
        raise unreadable(path, tr("no frame could be decoded"))
    return first


def unreadable(path: Path, reason: Exception | str) -> BadResult:
    """The error for a result file that cannot be read; it says where the file is kept."""
    text = getattr(reason, "strerror", None) or str(reason)
    if path.exists():
        do = tr("The file is kept at {path}.", path=path)
    else:
        do = tr("The file is no longer at {path}.", path=path)
    return BadResult(
        tr("{name} cannot be read: {reason}.", name=path.name, reason=text.rstrip(".")), do=do
    )
