"""Video and audio files, opened and decoded with any release of PyAV. No torch here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import av

from ..base.errors import BadResult
from ..base.words import tr
from .notes import note

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
    """The first video stream that can be decoded. Raises BadResult where there is none.

    The cover of a song is no video.
    """
    for stream in container.streams.video:
        # No codec context: FFmpeg has no decoder, and touching the stream's packets can crash.
        if stream.codec_context is not None and not stream.disposition & _COVER:
            return stream
    raise unreadable(path, tr("it has no video track"))


def audio_stream(container: Any) -> Any:
    """The first audio stream that can be decoded, None where there is none."""
    return next((s for s in container.streams.audio if s.codec_context is not None), None)


def iter_frames(container: Any, stream: Any) -> Iterator[Any]:
    """The frames of `stream`; packets that cannot be decoded are skipped, with a note.

    A file whose end cannot be read ends there. Raises FFmpegError where not even its beginning can.
    """
    name, broken, has_begun = Path(container.name).name, 0, False
    for packet in _packets(container, stream, name):
        if not packet.size:  # an empty one would be taken for the end
            continue
        has_begun = True
        try:
            yield from packet.decode()
        except av.error.FFmpegError:
            broken += 1
    if has_begun:
        with suppress(av.error.FFmpegError):
            yield from stream.decode(None)
    if broken:
        note(tr("{name}: skipped {count} broken packets.", name=name, count=broken))


def _packets(container: Any, stream: Any, name: str) -> Iterator[Any]:
    has_begun = False
    try:
        for packet in container.demux(stream):
            yield packet
            has_begun = True
    except av.error.FFmpegError:
        if not has_begun:
            raise
        note(tr("{name}: its end could not be read.", name=name))


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
