"""`skyport notify`: the services that notices go to. Their addresses are never arguments."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..engine.base.errors import InvalidInput
from ..engine.base.words import tr
from ..engine.notices import channels, dispatcher
from ..engine.notices.channels import Channel
from ._actions import action, add_json
from ._rows import print_json
from ._table import table
from .keys import ask_for_key


def about() -> str:
    return tr("List, add, test or remove services that notices are sent to.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(act=_list, json=False)
    actions = parser.add_subparsers(dest="action", metavar=tr("action"))
    show = action(actions, "list", _list, tr("list them; nothing is sent"))
    action(actions, "add", _add, tr("add one; its address is asked for"))
    test = action(actions, "test", _test, tr("send a test notice to one, or to all of them"))
    test.add_argument("number", nargs="?", help=tr("the number of one of them"))
    remove = action(actions, "remove", _remove, tr("remove one"))
    remove.add_argument("number", help=tr("its number in the list"))
    for each in (parser, show, test):
        add_json(each)


def run(args: argparse.Namespace) -> int:
    return int(args.act(args))


def _list(args: argparse.Namespace) -> int:
    found = channels.listed()
    if args.json:
        print_json([_to_json(number, one) for number, one in enumerate(found, 1)])
        return 0
    if not found:
        print(tr("No service. Add one with `skyport notify add`."), file=sys.stderr)
        return 0
    rows = [[str(number), one.masked(), one.source] for number, one in enumerate(found, 1)]
    print(table([tr("number"), tr("service"), tr("source")], rows))
    return 0


def _to_json(number: int, channel: Channel) -> dict[str, Any]:
    return {"number": number, "service": channel.masked(), "source": channel.source}


def _add(args: argparse.Namespace) -> int:
    channel = channels.add(ask_for_key(tr("Address of the service, such as ntfy://TOPIC: ")))
    print(tr("{service} is stored. `skyport notify test` tries it.", service=channel.masked()))
    return 0


def _remove(args: argparse.Namespace) -> int:
    channel = channels.require(args.number)
    channels.remove(channel)
    print(tr("{service} has been removed.", service=channel.masked()))
    return 0


def _test(args: argparse.Namespace) -> int:
    """Returns 1 where one of them did not take it. Raises InvalidInput where there is none."""
    found = [(number, one) for number, one in enumerate(channels.listed(), 1)]
    if args.number:
        wanted = channels.require(args.number)
        found = [(number, one) for number, one in found if one == wanted]
    if not found:
        raise InvalidInput(tr("No service. Add one with `skyport notify add`."))
    views = []
    for number, channel in found:
        answer = dispatcher.try_out(channel)
        view = {**_to_json(number, channel), "ok": answer.ok, "message": answer.message}
        views.append(view)
        if not args.json:
            print(f"{number} {channel.masked()}: {answer.message}", flush=True)
    if args.json:
        print_json(views)
    return 0 if all(view["ok"] for view in views) else 1
