"""What a benchmark tells: figures against a baseline, and the table of them."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

_HEADS = ("what", "Skyport", "baseline", "ratio", "target", "met")


@dataclass(frozen=True)
class Goal:
    """What a figure must come to: `limit` of `unit`, where "x" means the ratio to the baseline."""

    limit: float
    unit: str = "x"
    least: bool = False

    def __str__(self) -> str:
        return f"{'at least' if self.least else 'at most'} {_number(self.limit)} {self.unit}"


@dataclass(frozen=True)
class Figure:
    """One line of the table. `against` says what the baseline is, measured in the same run."""

    what: str
    ours: float
    baseline: float
    unit: str
    against: str
    goal: Goal | None = None

    @property
    def ratio(self) -> float:
        return self.ours / self.baseline if self.baseline else float("inf")

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached, None where there is none."""
        if self.goal is None:
            return None
        value = self.ratio if self.goal.unit == "x" else self.ours
        return value >= self.goal.limit if self.goal.least else value <= self.goal.limit

    def tree(self) -> dict[str, Any]:
        goal = None if self.goal is None else str(self.goal)
        return {**asdict(self), "ratio": self.ratio, "goal": goal, "met": self.met}


Entry = Figure | str  # a str says why something could not be measured, or how to read it


def machine() -> dict[str, Any]:
    """The machine, without a name: its processor, cores, memory, systems, and how busy it is."""
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1024**3),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": busy,
    }


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.exists() else []
    named = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())


def table(figures: Iterable[Figure]) -> list[str]:
    """A Markdown table, its columns as wide as they need to be."""
    rows = [_HEADS, *(_cells(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    lines = [_line(row, widths) for row in rows]
    return [lines[0], _line(["-" * width for width in widths], widths), *lines[1:]]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return f"| {' | '.join(c.ljust(w) for c, w in zip(cells, widths, strict=True))} |"


def _cells(figure: Figure) -> tuple[str, ...]:
    return (
        figure.what,
        f"{_number(figure.ours)} {figure.unit}",
        f"{_number(figure.baseline)} {figure.unit} ({figure.against})",
        f"{figure.ratio:.2f} x",
        str(figure.goal or ""),
        {True: "yes", False: "no", None: ""}[figure.met],
    )


def _number(value: float) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 3 if abs(value) < 0.1 else 2
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
