"""What the ledger asks about the process that a row belongs to."""

from __future__ import annotations

from typing import Protocol


class Ownership(Protocol):
    """The id under which this process writes rows, and which other ids are of living processes."""

    @property
    def id(self) -> str:
        """The id of this process; never given to another one."""

    def is_alive(self, owner: str) -> bool:
        """Whether the process with the id `owner` may still send what it has recorded."""
