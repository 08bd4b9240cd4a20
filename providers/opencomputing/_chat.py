"""An answer in words, as an event stream or at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...engine.base.errors import OutcomeUnknown, SkyportError, TransportError
from ...engine.base.json_tree import number
from ...engine.base.types import Json, Output, Status, TaskState
from ...engine.base.words import tr
from ...engine.http.client import STREAM, Http
from ...engine.http.error_answers import api_error, words_of
from ...engine.http.response import Response, StreamListener

_PATIENCE = 600.0  # seconds without a byte: a long answer that is not streamed says nothing before


def ask(
    http: Http,
    path: str,
    payload: Mapping[str, Any],
    on_line: Callable[[str], None],
    unwrap: Callable[[Response], Json],
) -> tuple[str, TaskState]:
    """The id and the text of the answer to `payload`; `hear` is told what there is of it so far.

    Raises OutcomeUnknown with all that came of an answer that broke off.
    """
    answer = Answer(on_line)
    try:
        response = http.post_json(path, payload, StreamListener(answer.line, _PATIENCE))
    except TransportError as error:
        if not answer.begun:
            raise
        cut = error.what
    else:
        if response.content_type != STREAM:
            _read_whole(answer, response, unwrap)
        answer.close(_has_an_end(response))
        cut = tr("the stream ended in the middle")
    if answer.error is not None or not answer.ended:
        raise _broken(http.label, answer, cut)
    return answer.id, answer.state()


class Answer:
    """What has come of an answer.

    begun  something of it was read; ended: it was said that nothing more comes
    error  what the platform said in its place, None where nothing
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_text = on_line
        self.id = ""
        self.text = ""
        self.thought = ""
        self.begun = self.ended = False
        self.error: Json = None
        self._unread = self._chosen = self._unmarked = False
        self._cost: float | None = None

    @property
    def text_so_far(self) -> str:
        """What is to be seen of it: its reasoning until the text begins."""
        return self.text or self.thought

    def line(self, line: str) -> bool:
        """Read one line of the stream; True once nothing more is to come."""
        data = _data(line)
        if data == "[DONE]":
            self.ended = True
            return True
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError):
            chunk = None
        if isinstance(chunk, dict):
            self.take(chunk)
        else:
            self._unread = self._unread or bool(data)
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
        if isinstance(usage, dict) and "credits" in usage:
            self._cost = number(usage["credits"])
        if self.text_so_far != before:
            self._on_text(self.text_so_far)

    def _add(self, choice: Mapping[str, Any], chunk: Mapping[str, Any]) -> None:
        """The top level repeats what a choice holds: it counts only where there never was one."""
        self._chosen = self._chosen or bool(choice)
        told = choice.get("delta") or choice.get("message")
        source = told if isinstance(told, dict) else {} if self._chosen else chunk
        self.text += _plain(source.get("content"))
        self.thought += _plain(source.get("reasoning_content") or chunk.get("reasoning_content"))

    def close(self, whole: bool) -> None:
        """Nothing more comes. A `whole` body without the mark of its end is kept, and doubted."""
        if whole and self.text and not self.ended:
            self.ended = self._unmarked = True

    def state(self) -> TaskState:
        return TaskState(
            Status.SUCCEEDED,
            "stop",
            progress=1.0,
            cost=self._cost,
            outputs=(Output(text=self.text),) if self.text else (),
            warnings=tuple(self._doubts()),
        )

    def _doubts(self) -> Iterator[str]:
        if self._unread:
            yield tr("A part of the answer could not be read; the text may have a gap.")
        if self._unmarked:
            yield tr("The answer came without the mark of its end; the text may stop too early.")


def _read_whole(answer: Answer, response: Response, unwrap: Callable[[Response], Json]) -> None:
    """The answer of a model, or of a gateway, that does not stream."""
    lines = [line.strip() for line in response.text.split("\n")]
    if any(line.startswith("data:") for line in lines):
        for line in lines:
            answer.line(line)
        return
    body = unwrap(response)
    answer.take(body if isinstance(body, dict) else {})
    answer.ended = True


def _has_an_end(response: Response) -> bool:
    """Whether the body came with a length or as chunks: else a cut looks like its end."""
    headers = response.headers
    return "Content-Length" in headers or "chunked" in headers.get("Transfer-Encoding", "").lower()


def _broken(label: str, answer: Answer, cut: str) -> SkyportError:
    """The error of an answer that did not come to its end."""
    if answer.error is not None:
        cut = words_of(answer.error) or json.dumps(answer.error, ensure_ascii=False)[:300]
        if not answer.begun:
            return api_error(label, 200, cut)
    what = tr("The answer broke off: {why}.", why=cut.rstrip("."))
    if answer.text_so_far:
        what = tr("{what} What had come: {text}", what=what, text=answer.text_so_far)
    return OutcomeUnknown(
        what,
        do=tr("It may have been charged. Queue again for a new answer, which is charged anew."),
        platform=label,
    )


def _data(line: str) -> str:
    """What a line of the stream says; an error may come without the name before it."""
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
    """Text, also where it comes as a list of parts."""
    if isinstance(value, list):
        return "".join(_plain(part.get("text")) for part in value if isinstance(part, dict))
    return value if isinstance(value, str) else ""
