"""What the sandbox answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ._faults import Twists
from ._files import Slice


@dataclass
class Answer:
    """The answer to a request; a body that is an iterator is streamed chunk by chunk.

    twists  how the sending goes wrong
    tree    the body before it was JSON; None for any other
    """

    status: int
    headers: dict[str, str]
    body: bytes | Slice | Iterator[bytes] = b""
    twists: Twists = field(default_factory=dict)
    tree: Any = None

    @classmethod
    def json(cls, tree: Any, status: int = 200) -> Answer:
        # A lone surrogate is no UTF-8; written as an escape it is JSON all the same.
        body = json.dumps(tree, ensure_ascii=False).encode("utf-8", "backslashreplace")
        return cls(status, {"Content-Type": "application/json; charset=utf-8"}, body, tree=tree)
