"""An answer read whole, its JSON, and who listens while it comes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..base.errors import BadResult, TransportError
from ..base.shown_text import scrub, visible_text
from ..base.types import Json
from ..base.words import tr


@dataclass(frozen=True)
class Response:
    """A platform's answer, read whole; without the key, even where the platform quoted it."""

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
    """Who listens to an event stream.

    hear      called with each line, in the thread that reads; True once it has heard enough
    patience  seconds without a byte that are no fault: such answers are long in coming
    """

    on_line: Callable[[str], bool]
    patience: float


def read_json(response: Response) -> Json:
    """The JSON in an answer that is not an error.

    Raises BadResult for a page: a login, a proxy or a wrong base URL speaks, and asking again
    brings the same. Raises TransportError for JSON that is broken, cut or missing: no answer, worth
    asking again. After a submit both mean OutcomeUnknown (`retrying` sees to it).
    """
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        pass
    kind = response.content_type or tr("something of no stated type")
    seen = visible_text(response.content, 200) or tr("an empty body")
    what = tr("Expected JSON, but {type} came: {seen}.", type=kind, seen=scrub(seen))
    if "html" in kind or response.content.lstrip()[:1] == b"<":
        advice = tr(
            "A proxy or login page may have answered: check {name}_BASE_URL and your proxy.",
            name=response.label.upper(),
        )
        raise BadResult(what, do=advice, platform=response.label)
    raise TransportError(what, do=tr("Queue again later."), platform=response.label)
