"""`skyport sandbox`: the imitated platforms, served on this machine until Ctrl-C."""

from __future__ import annotations

import argparse
import threading
from typing import TYPE_CHECKING

from ..engine.base.errors import InvalidInput
from ..engine.base.words import tr
from ..engine.settings import keys
from ._table import table

if TYPE_CHECKING:
    from ..sandbox import Sandbox

_CHECK_SECONDS = 0.5  # a wait without a timeout cannot be interrupted everywhere


def about() -> str:
    return tr("Imitate the platforms on this machine, without an account.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, default=0, help=tr("0 picks a free port"))
    parser.add_argument(
        "--pace", type=pace, default=1.0, help=tr("how long tasks take: 0.1 is ten times faster")
    )
    parser.add_argument(
        "--fast",
        action="store_true",
        help=tr("for thousands of tasks: every result of a kind is the same small file"),
    )


def run(args: argparse.Namespace) -> int:
    with _start(args.port, args.pace, args.fast) as sandbox:
        try:
            print(_banner(sandbox), flush=True)
            while not threading.Event().wait(_CHECK_SECONDS):
                pass
        except KeyboardInterrupt:
            print(tr("The sandbox has stopped."))
    return 0


def pace(text: str) -> float:
    """A number above 0, for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(tr("it must be a number above 0"))
    return number


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise argparse.ArgumentTypeError(tr("it must be a number from 0 to 65535"))
    return int(text)


def _start(port: int, pace: float, fast: bool) -> Sandbox:
    from ..sandbox import start

    try:
        return start(port, pace=pace, fast=fast)
    except OSError as error:
        raise InvalidInput(
            tr("Port {port} cannot be used: {reason}.", port=port, reason=error.strerror or error),
            do=tr("Use another port, or leave out --port."),
        ) from None


def _banner(sandbox: Sandbox) -> str:
    head = [tr("in a prompt"), tr("what goes wrong")]
    return "\n".join(
        [
            tr(
                "The sandbox is running at {address}. Press Ctrl-C to stop it.",
                address=sandbox.origin,
            ),
            "",
            tr("To use it, set these environment variables:"),
            *environment(sandbox),
            "",
            tr("A marker in any text of a request makes its task fail in a chosen way:"),
            table(head, markers()),
        ]
    )


def environment(sandbox: Sandbox) -> list[str]:
    """The variables that direct a client to it: `HAIYI_BASE_URL=...`, `HAIYI_API_KEY=...`."""
    return [
        line
        for name in sandbox.platforms
        for line in (
            f"{keys.url_variable(name)}={sandbox.base_url(name)}",
            f"{keys.key_variable(name)}={sandbox.key(name)}",
        )
    ]


def markers() -> list[tuple[str, str]]:
    """(marker, effect), the most likely failures first."""
    return [
        ("[[fail:reason]]", tr("the task fails, with that reason")),
        ("[[error:text]]", tr("one node of the workflow fails, the others go on")),
        ("[[warning:text]]", tr("the task warns and goes on")),
        ("[[balance]]", tr("the submit is refused: the balance is used up")),
        ("[[status:503]]", tr("the submit is refused with that HTTP status")),
        ("[[slow:60]]", tr("the task takes that many seconds at pace 1")),
        ("[[empty]]", tr("the task succeeds without results")),
        ("[[word:strange]]", tr("polls return an undocumented status")),
        ("[[truncated]]", tr("the result is a truncated file")),
        ("[[noise]]", tr("the result cannot be decoded")),
        ("[[file:glb]]", tr("the result is a file of that kind, no medium")),
        ("[[type:text/html]]", tr("the result comes with that Content-Type")),
        ("[[bad_data]]", tr("a result inside the answer cannot be decoded")),
        ("[[html]]", tr("the result is a web page")),
        ("[[cut:2]]", tr("the download breaks off that many times")),
        ("[[redirect]]", tr("the result's address leads to another host")),
        ("[[private]]", tr("the result is on a private address")),
        ("[[bad_json]]", tr("polls are answered with broken JSON")),
        ("[[cut_before]]", tr("the connection breaks before the submit is taken")),
        ("[[cut_after]]", tr("the connection breaks after the submit was taken")),
        ("[[gone]]", tr("the result's address answers 404")),
        ("[[only:2]]", tr("of several results only this one goes wrong")),
        ("[[gateway:503]]", tr("the submit was taken, but a gateway answers with that status")),
        ("[[polls:404:25]]", tr("so many polls are answered by a gateway with that status")),
        ("[[missing:5]]", tr("so many polls do not find the task")),
        ("[[busy:3]]", tr("so many polls find the system busy")),
        ("[[late:4]]", tr("so many polls report success without results")),
        ("[[at_once]]", tr("the submit is answered with the result itself")),
        ("[[cancelled:5]]", tr("somebody else cancels the task after that many seconds")),
        ("[[running:word]]", tr("the status of the running task is this word")),
        ("[[success:word]]", tr("the status of the finished task is this word")),
        ("[[failure:word]]", tr("the status of the failed task is this word")),
        ("[[spelling:id_camel]]", tr("answers are spelled in an undocumented way")),
        ("[[trickle:poll:10]]", tr("the answer arrives byte by byte, that many seconds apart")),
        ("[[cleared]]", tr("once, the uploaded files that a request names are gone")),
    ]
