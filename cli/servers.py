"""`skyport servers`: the ComfyUI servers of one's own. Their keys are never arguments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from ..engine.base.errors import SkyportError
from ..engine.base.words import tr
from ..engine.tasks.public_view import redact
from ..providers.comfyui import servers
from ._actions import action, add_json
from ._rows import print_json
from ._table import table
from .keys import ask_for_key


def about() -> str:
    return tr("List, add, test or remove ComfyUI servers of your own.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(act=_list, json=False)
    actions = parser.add_subparsers(dest="action", metavar=tr("action"))
    for each in (parser, action(actions, "list", _list, tr("list them; nothing is asked"))):
        add_json(each)
    _add_new(action(actions, "add", _add, tr("add one; its key is asked for")))
    test = action(actions, "test", _test, tr("ask one, or all of them, at no charge"))
    test.add_argument("name", nargs="?", help=tr("one server only"))
    add_json(test)
    remove = action(actions, "remove", _remove, tr("remove one and its key"))
    remove.add_argument("name", help=tr("the name of the server"))


def run(args: argparse.Namespace) -> int:
    return int(args.act(args))


def _add_new(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help=tr("the name of the server"))
    parser.add_argument("address", help=tr("such as http://192.168.1.20:8188"))
    parser.add_argument(
        "--header",  # argparse repeats what is none of its choices, and people write the key here
        metavar="|".join(servers.HEADERS),
        default="none",
        help=tr("how its key is sent; the key of basic is written as user:password"),
    )
    parser.add_argument(
        "--dialect", choices=servers.DIALECTS, default="auto", help=tr("its interface")
    )
    parser.add_argument(
        "--max-parallel",
        type=int,
        default=servers.MAX_PARALLEL,
        help=tr("tasks of ours that it holds at a time"),
    )
    add_json(parser)


# -- list and change ----------------------------------------------------------------------------


def _list(args: argparse.Namespace) -> int:
    found = [servers.to_json(server) for server in servers.listed()]
    if args.json:
        print_json(found)
        return 0
    if not found:
        print(tr("No server. Add one with `skyport servers add NAME ADDRESS`."), file=sys.stderr)
        return 0
    head = [tr("name"), tr("address"), tr("interface"), tr("key"), tr("at most")]
    print(table(head, [_cells(one) for one in found]))
    for text in _remarks(found):
        print(text, file=sys.stderr)
    return 0


def _cells(one: dict[str, Any]) -> list[str]:
    header, key = one["header"], one["key"]
    sent = f"{header} ...{key['last4']}" if key["set"] else f"{header} ({tr('not set')})"
    how = tr("none") if header == "none" else sent
    return [one["name"], one["address"], one["dialect"], how, str(one["max_parallel"])]


def _remarks(found: list[dict[str, Any]]) -> Iterator[str]:
    """What to know of each server: where it is set, what is unsafe or charged."""
    for one in found:
        for text in filter(None, (one["whence"], *one["warnings"])):
            yield f"{one['name']}: {text}"


def _add(args: argparse.Namespace) -> int:
    server = servers.Server(args.name, args.address, args.dialect, args.header, args.max_parallel)
    servers.check_new(server)  # before a key is asked for in vain
    key = None
    if args.header != "none":
        key = ask_for_key(tr("Key of {platform}: ", platform=server.name))
    view = servers.to_json(servers.add_new(server, key))
    if args.json:
        print_json(view)
        return 0
    print(tr("{name}: the server at {address} is stored.", **view))
    for text in _remarks([view]):
        print(text, file=sys.stderr)
    return 0


def _remove(args: argparse.Namespace) -> int:
    servers.remove_stored(args.name)
    print(tr("{name}: the server has been removed.", name=args.name))
    return 0


# -- test ---------------------------------------------------------------------------------------


def _test(args: argparse.Namespace) -> int:
    """Returns 1 where one of them does not answer as a ComfyUI, or where there is none."""
    chosen = [servers.require(args.name)] if args.name else servers.listed()
    if not chosen:
        raise servers.no_server()
    found = []
    for server in chosen:
        found.append(_outcome(server))
        if not args.json:
            print(f"{server.name}: {found[-1]['message']}", flush=True)
    if args.json:
        print_json(found)
    return 0 if all(one["ok"] for one in found) else 1


def _outcome(server: servers.Server) -> dict[str, Any]:
    outcome: dict[str, Any] = {"name": server.name, "address": server.address}
    try:
        seen = servers.test(server)
    except SkyportError as error:
        return {**outcome, "ok": False, "message": redact(str(error))}
    return {**outcome, "ok": True, "message": servers.described(seen.info), **seen.to_json()}
