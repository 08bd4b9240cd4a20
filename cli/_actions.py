"""The actions of a command that has several, such as `skyport jobs show`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from ..engine.base.words import tr


def action(
    actions: Any, name: str, act: Callable[[argparse.Namespace], int], about: str
) -> argparse.ArgumentParser:
    """A new action among `actions`, which calls `act`."""
    own: argparse.ArgumentParser = actions.add_parser(name, help=about, description=about)
    own.set_defaults(act=act, parser=own)
    return own


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option --json. The command itself has its default, before and after the action."""
    help = tr("print everything as JSON")
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=help)
