"""Links, and the value that blocks what is linked to it."""

from __future__ import annotations

from typing import Any


class ExecutionBlocker:
    """As an output: nodes that take it do not run; with a message they also report an error."""

    def __init__(self, message: str | None) -> None:
        self.message = message


def is_link(value: Any) -> bool:
    """Whether a prompt's value is [node id, output number]."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], (int, float))
    )
