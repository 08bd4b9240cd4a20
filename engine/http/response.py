"""A platform's answer, its JSON, and the listener of a streamed one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..base.errors import BadResult, TransportError
from ..base.json_tree import parse
from ..base.shown_text import scrub, shorten, visible_text
from ..base.types import Json
from ..base.words import tr


@dataclass(frozen=True)
class Response:
    """A platform's answer, read completely; the key is removed if the platform quoted it."""

    label: str
    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "").split(";")[0].strip().lower()


@dataclass(frozen=True)
class StreamListener:
    """Receives the lines of an event stream.

    on_line   called with each line, in the thread that reads; returns True to stop reading
    patience  read timeout in seconds, longer than usual: such answers are slow to come
    """

    on_line: Callable[[str], bool]
    patience: float


class LineReader:
    """Splits a stream into the lines of its listener.

    clean      applied to the bytes of each line
    line_read  called whenever a line is complete
    """

    def __init__(
        self,
        listener: StreamListener,
        clean: Callable[[bytes], bytes],
        line_read: Callable[[], object],
    ) -> None:
        self._listener = listener
        self._clean = clean
        self._line_read = line_read
        self._rest: list[bytes] = []
        line_read()

    def feed(self, piece: bytes) -> bool:
        """Pass on the lines that `piece` completes; whether the listener has finished."""
        if b"\n" not in piece:
            self._rest.append(piece)
            return False
        *lines, rest = b"".join((*self._rest, piece)).split(b"\n")
        self._rest = [rest]
        self._line_read()
        return any(self._listener.on_line(self._text(line)) for line in lines)

    def _text(self, line: bytes) -> str:
        return self._clean(line).decode("utf-8", "replace").rstrip("\r")


def read_json(response: Response) -> Json:
    """The JSON in an answer that is not an error.

    Raises BadResult for HTML: it comes from a login page, a proxy or a wrong base URL, and asking
    again gives the same. Raises TransportError for broken, truncated or missing JSON: no answer,
    worth asking again. After a submit `retrying` turns both into OutcomeUnknown.
    """
    try:
        return parse(response.content)
    except ValueError:
        pass
    kind = shorten(response.content_type, 100) or tr("something of no stated type")
    body = visible_text(response.content, 200) or tr("an empty body")
    what = tr("Expected JSON, but got {type}: {seen}.", type=kind, seen=scrub(body))
    if "html" in kind or response.content.lstrip()[:1] == b"<":
        advice = tr(
            "A proxy or login page may have answered: check {name}_BASE_URL and your proxy.",
            name=response.label.upper(),
        )
        raise BadResult(what, do=advice, platform=response.label)
    raise TransportError(what, do=tr("Queue again later."), platform=response.label)
