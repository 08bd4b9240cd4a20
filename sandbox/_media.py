"""Uploaded files that the platform has cleared before the end it stated."""

from __future__ import annotations

from typing import Any

from ._body import Refusal
from ._faults import texts, used_markers


class Media:
    """Addresses, or names, of uploads, and those whose file is gone."""

    def __init__(self) -> None:
        self.uploads: set[str] = set()
        self.cleared: set[str] = set()
        self._spent: set[str] = set()

    def clear(self) -> None:
        """Every file uploaded so far is gone."""
        self.cleared |= self.uploads

    def check(self, fields: Any) -> None:
        """Raises Refusal (400) for a request that names a file which is gone.

        The first request with a `[[cleared]]`, as it is written, makes those that it names so.
        """
        named = [text for text in texts(fields) if self._is_medium(text)]
        asked = used_markers(fields, "cleared") - self._spent
        if asked:
            self._spent |= asked
            self.cleared.update(named)
        gone = next((each for each in named if each in self.cleared), "")
        if gone:
            raise Refusal(400, f"Cannot fetch {gone}: NoSuchKey, the file is gone.")

    def _is_medium(self, text: str) -> bool:
        return text in self.uploads or text.startswith(("http://", "https://"))
