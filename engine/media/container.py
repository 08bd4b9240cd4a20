"""Video and sound files opened and decoded with PyAV, whatever its release. No torch here."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av

from ..base.errors import BadResult
from ..base.words import tr

_log = logging.getLogger("skyport")

# Tags in another encoding must not cost a result that was paid for. PyAV 19 reads any tag, and
# no longer takes the argument.
_LENIENT: dict[str, Any] = (
    {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "ignore"}
)


@contextmanager
def open_container(path: Path) -> Iterator[Any]:
    """The opened file, a PyAV `InputContainer`. Raises BadResult for one that cannot be read."""
    try:
        with open_raw(path) as container:
            yield container
    except (av.error.FFmpegError, OSError) as error:
        raise unreadable(path, error) from error


def open_raw(path: Path) -> Any:
    """`open_container` with PyAV's own errors: FFmpegError, OSError."""
    return av.open(str(path.absolute()), **_LENIENT)


def video_stream(container: Any, path: Path) -> Any:
    """The first picture track that can be decoded. Raises BadResult where there is none."""
    for stream in container.streams.video:
        # No codec context: FFmpeg has no decoder, and touching the stream's packets can crash.
        if stream.codec_context is not None:
            return stream
    raise unreadable(path, tr("it has no picture track"))


def audio_stream(container: Any) -> Any:
    """The first sound track that can be decoded, None where there is none."""
    return next((s for s in container.streams.audio if s.codec_context is not None), None)


def decoded(container: Any, stream: Any) -> Iterator[Any]:
    """Frames of `stream`; a packet that cannot be decoded is left out, as players do."""
    broken = 0
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            broken += 1
    if broken:
        _log.warning(
            tr(
                "{name}: {count} broken packets left out.",
                name=Path(container.name).name,
                count=broken,
            )
        )


def first_of(frames: Iterator[Any], path: Path) -> Any:
    """The first frame. Raises BadResult where there is none."""
    first = next(frames, None)
    if first is None:
        raise unreadable(path, tr("no frame could be decoded"))
    return first


def unreadable(path: Path, reason: Exception | str) -> BadResult:
    """The error of a result file that cannot be read; it says that the file is kept."""
    words = getattr(reason, "strerror", None) or str(reason)
    kept = tr("The file is kept at {path}.", path=path) if path.exists() else ""
    return BadResult(
        tr("{name} cannot be read: {reason}.", name=path.name, reason=words.rstrip(".")),
        do=kept or tr("The file is no longer at {path}.", path=path),
    )
