"""Parts of SQL that several statements share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from .budget import MOST
from .ledger import ATTACHABLE, UNDER_WAY, Query, State


def states_before(state: State) -> Sequence[State]:
    """The states from which a task can get into `state`: an unresolved one can run again."""
    return ATTACHABLE if state is State.RUNNING else UNDER_WAY


def in_states(states: Sequence[State]) -> str:
    return f"IN ({', '.join(repr(state.value) for state in states)})"


def assigned(columns: Iterable[str]) -> str:
    """The assignments of an UPDATE that sets these columns."""
    return ", ".join(f"{name} = ?" for name in columns)


HAVE_RESULT = (State.SUCCEEDED, State.DELIVERED)
# Nothing may have replaced it: an equal order can be open only once.
IS_PARTIAL = (
    f"state {in_states(HAVE_RESULT)} AND success != '' AND NOT EXISTS "
    "(SELECT 1 FROM tasks AS newer WHERE newer.mark = tasks.mark AND newer.id > tasks.id)"
)
# The platform can be asked what became of it, and nothing has replaced it.
CAN_BE_LOOKED_UP = (
    "state = 'unknown' AND order_id != '' AND NOT EXISTS "
    "(SELECT 1 FROM tasks AS newer WHERE newer.mark = tasks.mark AND newer.id > tasks.id)"
)


# No platform charges as much, and a sum of such numbers is none.
BOUNDED_COST = f"CASE WHEN cost > {MOST} THEN {MOST} WHEN cost < -{MOST} THEN -{MOST} ELSE cost END"


def where_clause(query: Query, *extra: str) -> tuple[str, list[Any]]:
    conditions, values = [*extra], list[Any]()
    if query.before:
        conditions.append("id < ?")
        values.append(query.before)
    if query.states:
        conditions.append(f"state {in_states(query.states)}")
    if query.platform:
        conditions.append("platform = ?")
        values.append(query.platform)
    if query.text:
        condition, sought = _holds(query.text)
        conditions.append(condition)
        values += sought
    return (f"WHERE {' AND '.join(conditions)}" if conditions else ""), values


def _holds(text: str) -> tuple[str, list[Any]]:
    """The condition that a row is number `text`, or holds it in title, task id or request."""
    spellings = _spellings(text)
    found = "instr(lower(title || ' ' || task_id || ' ' || request), lower(?)) > 0"
    conditions, values = [found] * len(spellings), list[Any](spellings)
    number = text.removeprefix("#")
    if number.isascii() and number.isdigit() and len(number) < 19:  # fits an SQLite integer
        conditions.append("id = ?")
        values.append(int(number))
    return f"({' OR '.join(conditions)})", values


def _spellings(text: str) -> list[str]:
    """`text` as it is, and within the JSON of a request, also within a JSON text in that."""
    inner = (_in_json(text), json.dumps(text)[1:-1])
    return list(dict.fromkeys((text, *inner, *map(_in_json, inner))))


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
