"""A chat answer, as an event stream or as one body."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...engine.base.errors import OutcomeUnknown, SkyportError, TransportError
from ...engine.base.json_tree import number, parse
from ...engine.base.shown_text import valid_unicode
from ...engine.base.types import Json, Output, Status, TaskState
from ...engine.base.words import tr
from ...engine.http.client import STREAM, Http
from ...engine.http.error_answers import api_error
from ...engine.http.messages import message_in
from ...engine.http.response import Response, StreamListener
from ._answers import usage_details

_MAX_THOUGHT = 10_000  # characters of the reasoning that are kept
_FIRST_HALVES = "".join(map(chr, range(0xD800, 0xDC00)))  # of a surrogate pair
_READ_TIMEOUT = 600.0  # seconds without a byte: an answer that is not streamed may take that long


def ask(
    http: Http,
    path: str,
    payload: Mapping[str, Any],
    on_text: Callable[[str], None],
    unwrap: Callable[[Response], Json],
) -> tuple[str, TaskState]:
    """The id and the state of the answer to `payload`; `on_text` gets the text so far.

    Raises OutcomeUnknown, with everything received, where an answer broke off.
    """
    answer = Answer(on_text)
    try:
        response = http.post_json(path, payload, StreamListener(answer.line, _READ_TIMEOUT))
    except TransportError as error:
        if not answer.begun:
            raise
        reason = error.what
    else:
        if response.content_type != STREAM:
            _read_whole(answer, response, unwrap)
        answer.close(_is_delimited(response))
        reason = tr("the stream ended too early")
    if answer.error is not None or not answer.ended:
        raise _broken_off(http.label, answer, reason)
    return answer.id, answer.state()


class Answer:
    """An answer as far as it has arrived.

    begun  whether some of it was read
    ended  whether its end was announced
    error  the error that came in its place, None where there was none
    """

    def __init__(self, on_text: Callable[[str], None]) -> None:
        self._on_text = on_text
        self.id = ""
        self.text = ""
        self.thought = ""
        self.begun = self.ended = False
        self.error: Json = None
        self._has_unreadable = self._has_choices = self._lacks_end = False
        self._usage: Mapping[str, Any] = {}

    @property
    def text_so_far(self) -> str:
        """The text to show: the reasoning until the answer itself begins.

        A character beyond U+FFFF may come in two halves, one a chunk.
        """
        return valid_unicode((self.text or self.thought).rstrip(_FIRST_HALVES))

    def line(self, line: str) -> bool:
        """Read one line of the stream; True once nothing more will come."""
        data = _data(line)
        if data == "[DONE]":
            self.ended = True
            return True
        try:
            chunk = parse(data, keep_halves=True)
        except ValueError:
            chunk = None
        if isinstance(chunk, dict):
            self.take(chunk)
        else:
            self._has_unreadable = self._has_unreadable or bool(data)
        return self.error is not None

    def take(self, chunk: Mapping[str, Any]) -> None:
        """Add a chunk of the stream, or the whole answer."""
        if chunk.get("error"):
            self.error = chunk
            return
        self.begun = True
        self.id = self.id or _plain(chunk.get("id"))
        before = self.text_so_far
        choice = _first(chunk.get("choices"))
        self._add(choice, chunk)
        self.ended = self.ended or bool(choice.get("finish_reason")) or _is_last(chunk)
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            self._usage = usage
        if self.text_so_far != before:
            self._on_text(self.text_so_far)

    def _add(self, choice: Mapping[str, Any], chunk: Mapping[str, Any]) -> None:
        """Add a choice. The top level only repeats it, and counts where no chunk had one."""
        self._has_choices = self._has_choices or bool(choice)
        message = choice.get("delta") or choice.get("message")
        source = message if isinstance(message, dict) else {} if self._has_choices else chunk
        self.text += _plain(source.get("content"))
        self.thought += _plain(source.get("reasoning_content") or chunk.get("reasoning_content"))

    def close(self, whole: bool) -> None:
        """End the stream. A `whole` body without an end marker is kept, with a warning."""
        if whole and self.text and not self.ended:
            self.ended = self._lacks_end = True

    def state(self) -> TaskState:
        return TaskState(
            Status.SUCCEEDED,
            "stop",
            progress=1.0,
            cost=number(self._usage.get("credits")),
            outputs=(Output(text=valid_unicode(self.text)),) if self.text else (),
            warnings=tuple(self._warnings()),
            details=tuple(self._details()),
        )

    def _details(self) -> Iterator[tuple[str, str]]:
        """What was counted (tokens), and the reasoning."""
        yield from usage_details(self._usage)
        if self.thought:
            yield tr("reasoning"), valid_unicode(self.thought)[:_MAX_THOUGHT]

    def _warnings(self) -> Iterator[str]:
        if self._has_unreadable:
            yield tr("A part of the answer could not be read; the text may have a gap.")
        if self._lacks_end:
            yield tr("The answer came without its end marker; the text may be incomplete.")


def _read_whole(answer: Answer, response: Response, unwrap: Callable[[Response], Json]) -> None:
    """Read the answer of a model or a gateway that does not stream."""
    lines = [line.strip() for line in response.text.split("\n")]
    if any(line.startswith("data:") for line in lines):
        for line in lines:
            answer.line(line)
        return
    body = unwrap(response)
    answer.take(body if isinstance(body, dict) else {})
    answer.ended = True


def _is_delimited(response: Response) -> bool:
    """Whether the body has a length or chunks; otherwise a lost connection looks like its end."""
    headers = response.headers
    return "Content-Length" in headers or "chunked" in headers.get("Transfer-Encoding", "").lower()


def _broken_off(label: str, answer: Answer, reason: str) -> SkyportError:
    """The error for an answer that did not reach its end."""
    if answer.error is not None:
        reason = message_in(answer.error) or json.dumps(answer.error, ensure_ascii=False)[:300]
        if not answer.begun:
            error: dict[str, Any] = {"http": 200, "own_form": True, "body": answer.error}
            return api_error(label, 200, reason, **error)
    what = tr("The answer broke off: {why}.", why=reason.rstrip("."))
    if answer.text_so_far:
        what = tr("{what} Received so far: {text}", what=what, text=answer.text_so_far)
    return OutcomeUnknown(
        what,
        do=tr("It may have been charged. Queue again for a new answer, which is charged again."),
        platform=label,
    )


def _data(line: str) -> str:
    """The data in a line of the stream; an error may come without `data:` before it."""
    line = line.lstrip("\ufeff")
    if line.startswith("data:"):
        return line[len("data:") :].strip()
    return line.strip() if line.startswith("{") else ""


def _first(choices: Json) -> Mapping[str, Any]:
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, dict) else {}


def _is_last(chunk: Mapping[str, Any]) -> bool:
    return str(chunk.get("finish") or "0") == "1"


def _plain(value: Json) -> str:
    """`value` as text, also where it is a list of parts; "" for anything else."""
    if isinstance(value, list):
        return "".join(_plain(part.get("text")) for part in value if isinstance(part, dict))
    return value if isinstance(value, str) else ""
