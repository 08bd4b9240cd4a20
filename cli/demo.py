"""`skyport demo`: the main job on the sandbox, with bars, a table of what was made and a contact sheet."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..providers._words import say
from ._sandboxed import pace
from ._table import table

if TYPE_CHECKING:
    from ..demo._steps import Step


def about() -> str:
    return say("Try everything on this machine, without an account.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("skyport-output", "demo"),
        help=say("folder of the results"),
    )
    parser.add_argument(
        "--comfyui",
        type=Path,
        metavar="PATH",
        help=say("run the example workflows in this ComfyUI instead, through the real nodes"),
    )
    parser.add_argument("--prompt", help=say("what to ask of the models"))
    parser.add_argument(
        "--pace", type=pace, default=1.0, help=say("how long tasks take: 0.1 is ten times faster")
    )


def run(args: argparse.Namespace) -> int:
    from ..demo import _sheet

    steps = _made(args)
    print(_table_of(steps, args.output))
    sheet = _sheet.draw(steps, args.output / "contact_sheet.png")
    print(say("Contact sheet: {path}", path=sheet))
    return _verdict(steps)
