"""The older progress bar, which works from any thread."""

from __future__ import annotations

from typing import Any

from comfy_execution.progress import report
from comfy_execution.utils import get_executing_context


class ProgressBar:
    def __init__(self, total: float, node_id: str | None = None) -> None:
        context = get_executing_context()
        self.node_id = node_id or (context.node_id if context else None)
        self.total = total
        self.current = 0.0

    def update_absolute(
        self, value: float, total: float | None = None, preview: Any = None
    ) -> None:
        self.total = self.total if total is None else total
        self.current = min(value, self.total)
        if self.node_id is not None:
            report(self.node_id, self.current, self.total, preview)

    def update(self, value: float) -> None:
        self.update_absolute(self.current + value)
