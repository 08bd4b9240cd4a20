"""Jobs of the ledger as text for a terminal, without keys and the queries of URLs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..engine.base.types import Amount
from ..engine.base.words import tr
from ..engine.ledger.ledger import Row
from ..engine.tasks.public_view import is_short, redact, state_of, without_keys

if TYPE_CHECKING:
    from ..engine.base.types import Result

_DAY = 86400.0


def cells_of(row: Row) -> list[str]:
    """The columns of the list: job, platform, title, task, state, age, cost, files."""
    from ..engine.tasks import history

    return [
        str(row.id),
        row.record.platform,
        history.title(row),
        row.task.id if row.task else "",
        state_of(row.state),
        _age(time.time() - row.created),
        _cost(row),
        _count(row.result) if row.result else "",
    ]


def _count(result: Result) -> str:
    """The number of files; `2/3` where one of three is missing."""
    count = len(result.files)
    return f"{count}/{count + len(result.missing)}" if result.missing else str(count)


def _age(seconds: float) -> str:
    if seconds < 60:
        return tr("{count} s", count=max(0, int(seconds)))
    if seconds < 3600:
        return tr("{count} min", count=int(seconds // 60))
    if seconds < 2 * _DAY:
        return tr("{count} h", count=int(seconds // 3600))
    return tr("{count} days", count=int(seconds // _DAY))


def _sent_to(row: Row) -> Iterator[str]:
    """The platform's address, where it has a single one, and the endpoint or server there."""
    if row.record.base_url.startswith(("http://", "https://")):
        yield row.record.base_url
    yield row.record.sent_to or row.record.endpoint


def _cost(row: Row) -> str:
    return "" if row.cost is None else str(Amount(row.cost, row.unit))


def day_of(moment: float) -> str:
    """2026-11-20, in local time."""
    return time.strftime("%Y-%m-%d", time.localtime(moment))


def facts_of(row: Row) -> Iterator[tuple[str, str]]:
    """(name, value) of everything but the request, the texts and the platform's answer."""
    from ..engine.tasks import history

    facts = [
        (tr("job"), str(row.id)),
        (tr("platform"), f"{history.label(row)} ({', '.join(_sent_to(row))})"),
        (tr("title"), history.title(row)),
        (tr("task"), row.task.id if row.task else ""),
        (tr("state"), state_of(row.state)),
        (tr("error"), redact(row.error)),
        (tr("cost"), _cost(row)),
        (tr("created"), _moment(row.created)),
        (tr("submitted"), _moment(row.submitted)),
        (tr("ended"), _moment(row.ended)),
        (tr("delivered"), _moment(row.delivered)),
        (tr("ordered by"), row.person),
        (tr("node"), row.record.source.node_id),
        (tr("prompt"), row.record.source.prompt_id),
        (tr("fingerprint"), row.record.fingerprint),
    ]
    yield from ((name, value) for name, value in facts if value)
    yield from _facts_of_result(row.result)


def _facts_of_result(result: Result | None) -> Iterator[tuple[str, str]]:
    from ..engine.media.files import is_intact, size_text

    for warning in result.warnings if result else ():
        yield tr("warning"), redact(warning)
    for name, value in result.details if result else ():
        if is_short(value):
            yield name, redact(value)
    for file in result.files if result else ():
        note = "" if is_intact(file) else f", {tr('gone or changed')}"
        yield (
            tr("file"),
            f"{file.path} ({file.mime}, {size_text(file.size)}, SHA-256 {file.sha256}{note})",
        )
        if file.url:
            yield tr("address"), redact(file.url)


def texts_of(row: Row) -> Iterator[tuple[str, str]]:
    """(name, text) of what takes more than a line: texts of the result, the last answer."""
    result = row.result
    for text in result.texts if result else ():
        yield tr("text"), text
    for name, value in result.details if result else ():
        if not is_short(value):
            yield name, redact(value)
    if row.answer:
        yield tr("the platform's last answer"), _indented(without_keys(row.answer))


def _indented(answer: str) -> str:
    try:
        return json.dumps(json.loads(answer), ensure_ascii=False, indent=1)
    except ValueError:  # it was too long to keep whole
        return answer


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else ""


def print_json(tree: Any) -> None:
    """Print `tree` as JSON, escaped where the terminal is not UTF-8."""
    ascii_only = "utf" not in (getattr(sys.stdout, "encoding", None) or "").lower()
    print(json.dumps(tree, ensure_ascii=ascii_only, indent=1))
