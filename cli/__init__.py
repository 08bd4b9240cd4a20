"""The `skyport` command: one module per command, machinery with a leading underscore."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ..engine.base import install
from ..engine.base.errors import SkyportError
from ..engine.base.words import tr, use_language

_INTERRUPTED = 130  # the exit status of shells for Ctrl-C

try:
    from ..engine.settings import settings
    from . import (
        batch,
        clusters,
        demo,
        estimate,
        jobs,
        keys,
        ledger,
        models,
        notify,
        run,
        sandbox,
        servers,
        spend,
    )
except ImportError as error:
    sys.exit(f"skyport: {install.explain(error)}")
except KeyboardInterrupt:
    sys.exit(_INTERRUPTED)

_COMMANDS = {
    "demo": demo,
    "run": run,
    "batch": batch,
    "estimate": estimate,
    "jobs": jobs,
    "spend": spend,
    "models": models,
    "clusters": clusters,
    "keys": keys,
    "ledger": ledger,
    "servers": servers,
    "notify": notify,
    "sandbox": sandbox,
}
_FAILED = 1
_PIPE_CLOSED = 141  # and for a reader that has closed the pipe


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns 0 on success, 1 on failure, 130 after Ctrl-C, 141 where the
    reader of the output has closed it (`skyport jobs | head`).

    Raises SystemExit (2) where the command line itself is wrong.
    """
    _set_up_output()
    try:
        return _run(argv)
    except BrokenPipeError:
        _write_no_more()
        return _PIPE_CLOSED
    except KeyboardInterrupt as interrupt:
        if not isinstance(interrupt, run.StoppedWaiting):  # told already
            print(tr("Stopped."), file=sys.stderr)
        return _INTERRUPTED
    except (SkyportError, ImportError, OSError, UnicodeError, RecursionError) as error:
        print(f"skyport: {_words(error)}", file=sys.stderr)
        return _FAILED
    finally:
        try:
            sys.stdout.flush()
        except OSError:  # or Python says it again as it exits
            _write_no_more()


def _run(argv: Sequence[str] | None) -> int:
    try:
        args = _arguments(argv)
        return int(args.run(args))
    finally:
        sys.stdout.flush()  # raises what Python would hide as it exits


def _words(error: Exception) -> str:
    if isinstance(error, ImportError):
        return install.explain(error)
    if isinstance(error, RecursionError):
        return tr("A JSON file is nested too deeply.")
    if isinstance(error, UnicodeError):
        return tr("An argument or the name of a file is not valid UTF-8.")
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(str(part) for part in (error.filename, error.strerror) if part)
    return str(error)


def _write_no_more() -> None:
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _set_up_output() -> None:
    """Use the user's language; replace characters that the terminal cannot show."""
    with suppress(SkyportError):  # whatever needs the settings reports that they are broken
        use_language(settings.load().language)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        # Not repeated where it may be a key.
        shown = "" if args.command in ("keys", "servers", "notify") else " ".join(unknown)
        args.parser.error(tr("unknown arguments: {told}", told=shown or "..."))
    return args


class _Parser(argparse.ArgumentParser):
    def print_help(self, file: Any = None) -> None:
        print(self.format_help(), end="", file=file)  # argparse hides that it cannot be written


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="skyport",
        description=tr("Four clouds for ComfyUI, from the command line."),
        epilog=tr(
            "Exit status: 0 success, 1 failure, 2 wrong command line, 130 Ctrl-C, 141 closed pipe."
        ),
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"skyport {install.version()}",
        help=tr("show the version"),
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar=tr("command"))
    for name, module in _COMMANDS.items():
        about = module.about()
        own = commands.add_parser(name, help=about, description=about)
        own.set_defaults(run=module.run, parser=own)
        module.add_arguments(own)
    return parser
