"""`skyport demo`: the main job on the sandbox, then a table and a contact sheet."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ..engine.base.errors import InvalidInput
from ..engine.base.words import tr
from ._table import table
from .sandbox import pace

if TYPE_CHECKING:
    from ..demo._steps import Step, Trip
    from ..sandbox import Sandbox


def about() -> str:
    return tr("Try everything on this machine, without an account.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("skyport-output", "demo"),
        help=tr("folder of the results"),
    )
    parser.add_argument(
        "--comfyui",
        type=Path,
        metavar="PATH",
        help=tr("run the example workflows in this ComfyUI instead, through the real nodes"),
    )
    parser.add_argument("--prompt", help=tr("the prompt for the models"))
    parser.add_argument(
        "--pace", type=pace, default=1.0, help=tr("how long tasks take: 0.1 is ten times faster")
    )


def run(args: argparse.Namespace) -> int:
    from ..demo import _sheet

    steps = _run_to_end(args)
    print(_table_of(steps))
    print(tr("Results: {path}", path=args.output.absolute()))
    print(tr("Contact sheet: {path}", path=_sheet.draw(steps, args.output / "contact_sheet.png")))
    return 0 if all(step.state == "done" for step in steps) else 1


def _run_to_end(args: argparse.Namespace) -> Sequence[Step]:
    """The steps of the trip, once it has ended."""
    from .. import providers
    from ._board import watch

    with _trip(args) as trip:
        future = providers.runner().engine.start(trip.go())
        watch([future], {step.name: step.progress_text for step in trip.steps})
        future.result()
        return trip.steps


@contextmanager
def _trip(args: argparse.Namespace) -> Iterator[Trip]:
    from ..demo._sandboxed import sandboxed

    with sandboxed(args.pace) as sandbox:
        if args.comfyui is not None:
            with _examples(args, sandbox) as trip:
                yield trip
        else:
            from ..demo._main_job import MainJob

            prompt = args.prompt or tr("The harbour on a winter night, snow on every roof")
            yield MainJob(args.output, prompt)


@contextmanager
def _examples(args: argparse.Namespace, sandbox: Sandbox) -> Iterator[Trip]:
    from ..demo._examples import Examples
    from ..demo._host import ComfyUI

    if not (args.comfyui / "main.py").is_file():
        raise InvalidInput(tr("There is no ComfyUI in {path}.", path=args.comfyui))
    print(tr("Starting ComfyUI; this takes a moment."), file=sys.stderr, flush=True)
    with (
        TemporaryDirectory(prefix="skyport-comfyui-", ignore_cleanup_errors=True) as base,
        ComfyUI(args.comfyui, base=Path(base)) as host,
    ):
        yield Examples(args.output, host, sandbox)


def _table_of(steps: Sequence[Step]) -> str:
    head = [tr("step"), tr("model, app or cluster"), tr("task"), tr("seconds"), tr("result")]
    rows = [row for step in steps for row in _rows(step)]
    return table([*head, tr("size")], rows)


def _rows(step: Step) -> list[list[str]]:
    """One row per result; the columns of the step stand in the first only."""
    seconds = f"{step.seconds:.1f}" if step.state != "waiting" else ""
    first = [step.name, step.by, step.task, seconds]
    if not step.results:
        reason = step.error or tr("not done: what it needs is missing")
        return [[*first, reason, ""]]
    rows = [[result.where, result.size] for result in step.results]
    return [[*(first if row is rows[0] else [""] * 4), *row] for row in rows]
