"""Reads the answers of every platform: where its document puts things, then anywhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..base.json_tree import find_key, lookup, parsed, plain_key, share
from ..base.shown_text import shorten
from ..base.types import Json, Output, Status, Task, TaskState
from ..http.error_answers import (
    code_in,
    http_status,
    is_about_credit,
    is_status_phrase,
    says_too_many,
)
from ..http.messages import INNER, layers, reason_in
from .result_addresses import Addresses

WORDS: Mapping[str, Status] = {
    **dict.fromkeys(
        ("pending", "queued", "queueing", "created", "submitted", "waiting", "not_start"),
        Status.QUEUED,
    ),
    **dict.fromkeys(
        ("running", "processing", "in_progress", "generating", "started", "starting"),
        Status.RUNNING,
    ),
    **dict.fromkeys(
        ("success", "succeed", "succeeded", "completed", "complete", "done", "finished"),
        Status.SUCCEEDED,
    ),
    **dict.fromkeys(("fail", "failed", "failure", "error", "rejected", "expired"), Status.FAILED),
    **dict.fromkeys(("cancelled", "canceled", "cancel"), Status.CANCELLED),
}
_STATUS_KEYS = ("status", "taskstatus", "state", "taskstate", "jobstatus")
_PROGRESS_KEYS = ("progress", "totalprogress", "percent", "percentage")
_ID_KEYS = ("taskid", "promptid", "jobid", "generationid", "taskids")
_REASON_CODES = ("errcode", "errorcode", "failcode")
_ECHO = re.compile(r"parameters|params|inputs?|request|payload|model")
_MAX_WORD = 100  # characters of a status word
_GENERAL_WORDS = ("error", "fail", "expired", "rejected")  # of a task, or of any request
_LOGIN_ENDED = re.compile(
    r"\b(token|key|session|login|signature)\b[^.;]{0,24}\bexpired", re.IGNORECASE
)
# Nothing but its id may stand between: "Task failed: image not found" says something else.
_NO_TASK = re.compile(
    r"\b(?:task|job|prompt)s?[ _-]?(?:id)?\b(?: with(?: the)? id)?[\s:=#'\"\[(]*[\w-]*['\")\]]*\s*"
    r"(?:is |was |has been |do(?:es)? )?(?:not[ _]exists?|not found|n.t exist|unknown|gone\b)"
    r"|(?:no such|unknown|invalid) (?:task|job|prompt)(?:[ _-]?id)?(?!\s*\w)"
    "|\u4efb\u52a1[^\uff0c\u3002,;:\uff1a]{0,40}(?:\u4e0d\u5b58\u5728|\u672a\u627e\u5230|\u627e\u4e0d\u5230)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class AnswerForm:
    """Where a platform's document puts things in the answers of one endpoint; paths are dotted.

    home         the object that describes the task, read before all others; "" is the whole body
    task_id      of the id in the answer to a submit
    results      of the results, best first
    words        its status words that mean something else than in WORDS, or are in no table
    not_results  keys that hold no result here, such as the cover of a video
    percent      whether a progress of 1 or 1.0 means one percent
    """

    home: str = ""
    task_id: tuple[str, ...] = ("task_id",)
    results: tuple[str, ...] = ()
    words: Mapping[str, Status] = field(default_factory=dict)
    not_results: frozenset[str] = frozenset()
    percent: bool = False

    # -- the answer to a submit ---------------------------------------------------------------

    def find_task_id(self, body: Json) -> str:
        """The task id in the answer to a submit, "" if there is none.

        A mere `id` in a refusal is that of the request, unless it is in the envelope's `data`.
        """
        refused = refusal(body)
        paths = ("data.id" if refused and path == "id" else path for path in self.task_id)
        candidates = [*(lookup(body, path) for path in paths), *_named_ids(body)]
        if not refused:
            candidates += _bare_ids(body)
        return next(filter(None, map(_id_text, candidates)), "")

    # -- the answer to a poll -----------------------------------------------------------------

    def state(self, body: Json, task: Task, base_url: str) -> TaskState:
        """The task's state. A strange word, or none, is settled by the address of a result."""
        word, status = self.status(body)
        outputs, unreadable = self.outputs(body, task, base_url)
        if status is None and outputs:
            status = Status.SUCCEEDED
        succeeded = status is Status.SUCCEEDED
        return TaskState(
            status=status or Status.RUNNING,
            word=word,
            progress=1.0 if succeeded else self.progress(body),
            outputs=outputs if succeeded else (),
            message=unreadable if succeeded else reason(body, self.home),
            known=status is not None,
        )

    def status(self, body: Json) -> tuple[str, Status | None]:
        """The platform's word and what it means, None for one that is in no table.

        An envelope's "success" or "error" is not the task's: a word inside it comes first.
        """
        found = [(word, self._meaning(word)) for word in _status_words(layers(body, self.home))]
        if not found:
            return "", None
        first = found[0]
        if first[1] not in (None, Status.SUCCEEDED, Status.FAILED):
            return first
        general = first[1] is None or first[0].strip().lower() in ("success", "error")
        inner = (one for one in found[1:] if one[1] is not None)
        return next(inner, first) if general else first

    def _meaning(self, word: str) -> Status | None:
        plain = re.sub(r"[\s-]+", "_", word.strip().lower())
        plain = plain.removeprefix("task_status_")
        return self.words.get(plain) or WORDS.get(plain)

    def progress(self, body: Json) -> float | None:
        """0..1, None if it is not reported."""
        return next(
            (value for value in self._shares(layers(body, self.home)) if value is not None), None
        )

    def _shares(self, objects: Iterator[Mapping[str, Any]]) -> Iterator[float | None]:
        for layer in objects:
            for key in _PROGRESS_KEYS:
                value = find_key(layer, key)
                if isinstance(value, dict):
                    yield from self._shares(iter([value]))
                else:
                    yield share(value, percent=self.percent)

    def addresses(self, task: Task, base_url: str) -> Addresses:
        """What reads addresses. Override where a bare file name has one."""
        return Addresses(base_url, task.sent, self.not_results)

    def outputs(self, body: Json, task: Task, base_url: str) -> tuple[tuple[Output, ...], str]:
        """The results, and words on those that cannot be read.

        Those at the first documented path that holds any; else every address in the body, without
        those that the request sent.
        """
        addresses = self.addresses(task, base_url)
        for path in self.results:
            if outputs := addresses.at(lookup(body, path)):
                return tuple(outputs), addresses.unreadable
        return tuple(addresses.anywhere(body)), addresses.unreadable


# -- parts of an answer ---------------------------------------------------------------------------


def reason(body: Json, home: str = "") -> str:
    """Everything the platform says about a failure, "" if it says nothing."""
    words = reason_in(body, home)
    code = _reason_code(body, home)
    return f"{words} (code {code})".strip() if code and code not in words else words


def refusal(body: Json) -> bool:
    """Whether an answer without a task id says that the request was refused.

    A mere message is no refusal.
    """
    body = parsed(body)
    if not isinstance(body, dict):
        return False
    if body.get("success") is False or not is_success_code(body.get("code")):
        return True
    objects = list(layers(body))
    has_error = any(
        find_key(layer, key) for layer in objects for key in ("error", "errors", "failreason")
    )
    words = [WORDS.get(word.strip().lower()) for word in _status_words(iter(objects))]
    has_failed = any(word in (Status.FAILED, Status.CANCELLED) for word in words)
    return has_error or has_failed or is_about_credit(reason(body))


def is_success_code(code: Json) -> bool:
    """Whether the `code` of an envelope is that of an answer which is no error."""
    text = str(code).strip().lower()
    return code is None or bool(re.fullmatch(r"0*|2\d\d|success|succeed|succeeded|ok|true", text))


def error_code(body: Mapping[str, Json]) -> str:
    """The platform's own code of an error, "" if it gave none."""
    code = code_in(body)
    return "" if is_success_code(code) else code


def says_no_such_task(words: str) -> bool:
    """Whether the platform says that it does not know the task; not that an input is missing."""
    return bool(_NO_TASK.search(words))


def is_about_the_request(body: Json, word: str, task_id: str) -> bool:
    """Whether an error is about the poll that asked, such as "too many requests": a gateway or the
    platform itself words it like a task's failure, but for the task's id."""
    if word.strip().lower() not in _GENERAL_WORDS:
        return False
    if task_id in map(_id_text, (*_named_ids(body), *_bare_ids(body))):
        return False
    words, status = reason_in(body), http_status(code_in(body))
    is_passing = status in (401, 403, 408, 425, 429) or status >= 500
    ended = _LOGIN_ENDED.search(words)
    return is_passing or bool(ended) or says_too_many(words) or is_status_phrase(words)


def _status_words(objects: Iterator[Mapping[str, Any]]) -> Iterator[str]:
    for layer in objects:
        for key in _STATUS_KEYS:
            value = find_key(layer, key)
            if isinstance(value, int) and not isinstance(value, bool) and not 100 <= value < 600:
                yield str(value)
            elif isinstance(value, str) and value.strip():
                yield shorten(value, _MAX_WORD)


def _reason_code(body: Json, home: str) -> str:
    for layer in layers(body, home):
        inner = layer.get("error")
        for holder in (layer, inner if isinstance(inner, dict) else {}):
            for key in _REASON_CODES:
                value = find_key(holder, key)
                if isinstance(value, (int, str)) and not is_success_code(value):
                    return str(value)
    return ""


# -- ids ------------------------------------------------------------------------------------------


def _named_ids(tree: Json, depth: int = 6) -> Iterator[Json]:
    """The values of keys that name a task id, anywhere but in what the request sent."""
    tree = parsed(tree)
    if isinstance(tree, dict) and depth:
        yield from (value for key, value in tree.items() if plain_key(key) in _ID_KEYS)
        for key, value in tree.items():
            if not _ECHO.fullmatch(str(key).lower()):
                yield from _named_ids(value, depth - 1)
    elif isinstance(tree, list) and depth:
        for value in tree:
            yield from _named_ids(value, depth - 1)


def _bare_ids(body: Json) -> Iterator[Json]:
    """Values that may be an id in an answer that is no refusal: `id`, or all that `data` is."""
    for layer in layers(body):
        yield find_key(layer, "id")
        for key in INNER:
            value = layer.get(key)
            first = value[0] if isinstance(value, list) and value else value
            if isinstance(first, dict):
                yield find_key(first, "id")
            elif re.fullmatch(r"(?=.*\d)[\w-]{3,200}", str(first)) and not isinstance(first, list):
                yield first


def _id_text(value: Json) -> str:
    """`value` as an id, "" if it cannot be one."""
    if isinstance(value, list):
        return next(filter(None, map(_id_text, value)), "")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if value > 0 else ""
    text = value.strip() if isinstance(value, str) else ""
    is_id = 0 < len(text) <= 1000 and text.isprintable() and text not in ("0", "null", "None")
    return text if is_id else ""
