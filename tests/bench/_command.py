"""The command: which benchmarks there are, run in order, told as a table or as JSON."""

from __future__ import annotations

import argparse
import json
import pkgutil
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ._figures import Figure, machine, table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; 1 where a goal is missed."""
    asked = _parser().parse_args(arguments)
    results = [_run(name, asked.small) for name in asked.names or names()]
    figures = [figure for one in results for figure in one["figures"]]
    if asked.json:
        print(json.dumps({"machine": machine(), "benchmarks": [_tree(one) for one in results]}))
    else:
        print("\n".join(_page(results)))
    return int(any(figure.met is False for figure in figures))


def names() -> list[str]:
    """Every module here whose name has no leading underscore."""
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted(module.name for module in found if not module.name.startswith("_"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="How fast Skyport is, each figure against a baseline of the same run.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"only these: {', '.join(names())}"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--small", action="store_true", help="tiny inputs: whether they run, not how fast"
    )
    return parser


def _run(name: str, small: bool) -> dict[str, Any]:
    print(f"{name} ...", file=sys.stderr, flush=True)
    began = time.perf_counter()
    figures = list(import_module(f".{name}", __package__).figures(small))
    return {
        "name": name,
        "figures": [each for each in figures if isinstance(each, Figure)],
        "notes": [each for each in figures if isinstance(each, str)],
        "seconds": time.perf_counter() - began,
    }


def _tree(one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "figures": [figure.tree() for figure in one["figures"]]}


def _page(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield ", ".join(f"{name}: {value}" for name, value in machine().items())
    yield ""
    yield from table(figure for one in results for figure in one["figures"])
    for note in (note for one in results for note in one["notes"]):
        yield f"- {note}"
