"""A job of the ledger as lines for a terminal. Nothing here shows a key or a URL's query."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..engine.base.words import say
from ..engine.ledger.ledger import Row
from ..engine.tasks.public_view import public, state_of

if TYPE_CHECKING:
    from ..engine.base.types import Result

_DAY = 86400.0


def cells_of(row: Row) -> list[str]:
    """Its line in the list: job, platform, title, task, state, age, cost, files."""
    from ..engine.tasks import history

    return [
        str(row.id),
        row.order.platform,
        history.title(row),
        row.task.id if row.task else "",
        state_of(row.state),
        _age(time.time() - row.created),
        _cost(row),
        str(len(row.result.files)) if row.result else "",
    ]


def _age(seconds: float) -> str:
    if seconds < 60:
        return say("{count} s", count=max(0, int(seconds)))
    if seconds < 3600:
        return say("{count} min", count=int(seconds // 60))
    if seconds < 2 * _DAY:
        return say("{count} h", count=int(seconds // 3600))
    return say("{count} days", count=int(seconds // _DAY))


def _cost(row: Row) -> str:
    return "" if row.cost is None else f"{row.cost:g}"


def day_of(moment: float) -> str:
    """2026-11-20, by local time."""
    return time.strftime("%Y-%m-%d", time.localtime(moment))


def facts_of(row: Row) -> Iterator[tuple[str, str]]:
    """(name, value) of all that is known, its request and texts aside."""
    from ..engine.tasks import history

    named = [
        (say("job"), str(row.id)),
        (say("platform"), f"{history.label(row)} ({row.order.place}, {row.order.endpoint})"),
        (say("title"), history.title(row)),
        (say("task"), row.task.id if row.task else ""),
        (say("state"), state_of(row.state)),
        (say("error"), public(row.error)),
        (say("cost"), _cost(row)),
        (say("created"), _moment(row.created)),
        (say("submitted"), _moment(row.submitted)),
        (say("ended"), _moment(row.ended)),
        (say("delivered"), _moment(row.delivered)),
        (say("node"), row.order.source.node_id),
        (say("prompt"), row.order.source.prompt_id),
        (say("fingerprint"), row.order.mark),
    ]
    yield from ((name, value) for name, value in named if value)
    yield from _facts_of_result(row.result)


def _facts_of_result(result: Result | None) -> Iterator[tuple[str, str]]:
    from ..engine.media.files import is_intact, size_text

    for warning in result.warnings if result else ():
        yield say("warning"), public(warning)
    for file in result.files if result else ():
        gone = "" if is_intact(file) else f", {say('gone or changed')}"
        yield (
            say("file"),
            f"{file.path} ({file.mime}, {size_text(file.size)}, SHA-256 {file.sha256}{gone})",
        )
        if file.url:
            yield say("address"), public(file.url)


def _moment(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when)) if when else ""


def print_json(tree: Any) -> None:
    """`tree` as JSON that the terminal can show."""
    plain = "utf" not in (sys.stdout.encoding or "").lower()
    print(json.dumps(tree, ensure_ascii=plain, indent=1))
