"""The `skyport` command: one module per command, machinery with a leading underscore."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from ..engine.base.errors import SkyportError
from ..engine.base.words import tr, use_language
from ..engine.settings import settings
from . import clusters, demo, estimate, jobs, keys, models, run, sandbox, spend

_COMMANDS = {
    "demo": demo,
    "run": run,
    "estimate": estimate,
    "jobs": jobs,
    "spend": spend,
    "models": models,
    "clusters": clusters,
    "keys": keys,
    "sandbox": sandbox,
}
_FAILED = 1
_INTERRUPTED = 130  # the exit status of shells for Ctrl-C


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns 0 on success, 1 on failure.

    Raises SystemExit (2) where the command line itself is wrong.
    """
    _set_up_output()
    args = _arguments(argv)
    try:
        return int(args.run(args))
    except SkyportError as error:
        print(f"skyport: {error}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        print(tr("Stopped."), file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader has closed the pipe (`skyport models | head`): write nothing at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED


def _set_up_output() -> None:
    """Use the user's language; replace characters that the terminal cannot show."""
    with suppress(SkyportError):  # whatever needs the settings reports that they are broken
        use_language(settings.load().language)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        # Not repeated for `keys`: it may be a key.
        shown = "" if args.command == "keys" else " ".join(unknown)
        args.parser.error(tr("unknown arguments: {told}", told=shown or "..."))
    return args


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="skyport", description=tr("Four clouds for ComfyUI, from the command line.")
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar=tr("command"))
    for name, module in _COMMANDS.items():
        about = module.about()
        own = commands.add_parser(name, help=about, description=about)
        own.set_defaults(run=module.run, parser=own)
        module.add_arguments(own)
    return parser
