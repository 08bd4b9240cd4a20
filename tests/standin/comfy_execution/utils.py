"""Which node the running code belongs to."""

from __future__ import annotations

import contextvars
from typing import NamedTuple


class ExecutionContext(NamedTuple):
    prompt_id: str
    node_id: str
    list_index: int | None


_context: contextvars.ContextVar[ExecutionContext | None] = contextvars.ContextVar(
    "executing", default=None
)


def get_executing_context() -> ExecutionContext | None:
    """None in a thread that was not started with the node's context."""
    return _context.get()


class CurrentNodeContext:
    """Inside `with`, the running code belongs to that node."""

    def __init__(self, prompt_id: str, node_id: str, list_index: int | None = None) -> None:
        self._value = ExecutionContext(prompt_id, node_id, list_index)

    def __enter__(self) -> CurrentNodeContext:
        self._token = _context.set(self._value)
        return self

    def __exit__(self, *exc: object) -> None:
        _context.reset(self._token)
