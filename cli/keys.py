"""`skyport keys`: store, list or remove keys. They are never printed and never arguments."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from contextlib import suppress

from .. import providers
from ..engine.base.errors import InvalidInput
from ..engine.base.words import tr
from ..engine.settings import keys
from ._rows import print_json
from ._table import table

_S3 = "s3"  # the bucket of media hosting: a pair of keys


def about() -> str:
    return tr("Store, list or remove the keys of the platforms.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    # argparse checks nothing here: it repeats what it refuses, which may be a key.
    parser.add_argument("action", metavar="set|list|remove", help=tr("what to do"))
    parser.add_argument(
        "platform", nargs="?", help=tr("whose key; comfyui:NAME is that of a server")
    )
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help=tr("print the list as JSON"))


def run(args: argparse.Namespace) -> int:
    if args.action not in _ACTIONS:
        args.parser.error(tr("the first word must be set, list or remove"))
    if args.rest:
        args.parser.error(
            tr("a key is never an argument, where others could see it: you will be prompted for it")
        )
    return _ACTIONS[args.action](args)


def _list(args: argparse.Namespace) -> int:
    pair = keys.s3()
    names = [*providers.names(), *_server_keys()]
    listing = {
        **keys.listing(names),
        _S3: pair[0] if pair else None,
        keys.LEDGER: keys.ledger_password(),
    }
    if args.json:
        print_json([_view(name, key) for name, key in listing.items()])
        return 0
    sources = {"environment": tr("environment"), "file": tr("keys.json")}
    rows = [
        [platform, key.masked() if key else tr("not set"), sources[key.source] if key else ""]
        for platform, key in listing.items()
    ]
    print(table([tr("platform"), tr("key"), tr("from")], rows))
    return 0


def _view(name: str, key: keys.Key | None) -> dict[str, str | None]:
    """`key` is masked, and null where none is set; `source` is "environment" or "file"."""
    return {
        "platform": name,
        "key": key.masked() if key else None,
        "source": key.source if key else None,
    }


def _set(args: argparse.Namespace) -> int:
    name = _platform_name(args)
    if name == _S3:
        access = ask_for_key(tr("Access key id of S3: "))
        key = keys.set_s3(access, ask_for_key(tr("Secret access key of S3: ")))
    else:
        key = keys.set_key(name, ask_for_key(tr("Key of {platform}: ", platform=_label(name))))
    print(tr("{platform}: the key {masked} is stored.", platform=_label(name), masked=key.masked()))
    for variable in _in_environment(name):
        print(tr("{variable} is set too and takes precedence.", variable=variable), file=sys.stderr)
    return 0


def _remove(args: argparse.Namespace) -> int:
    name = _platform_name(args)
    if keys.remove_s3() if name == _S3 else keys.remove(name):
        print(tr("{platform}: the key has been removed.", platform=_label(name)))
    else:
        print(tr("{platform}: no key was stored.", platform=_label(name)))
    for variable in _in_environment(name):
        print(tr("{variable} still sets one.", variable=variable))
    return 0


_ACTIONS = {"set": _set, "list": _list, "remove": _remove}


def _platform_name(args: argparse.Namespace) -> str:
    names = (*providers.names(), *_server_keys(), _S3, keys.LEDGER)
    if args.platform not in names:
        args.parser.error(tr("name one of these: {names}", names=", ".join(names)))
    return str(args.platform)


def _server_keys() -> list[str]:
    """The names of the keys of ComfyUI servers that send one."""
    from ..providers.comfyui import servers

    with suppress(InvalidInput):  # a broken servers.json is told by `skyport servers`
        return [server.key_name for server in servers.with_keys()]
    return []


def _label(name: str) -> str:
    platform, _, server = name.partition(":")
    if name == keys.LEDGER:
        return tr("the team's ledger")
    if name == _S3:
        return "S3"
    label = providers.provider_class(platform).label
    return f"{label} ({server})" if server else label


def ask_for_key(question: str) -> str:
    """The key, typed without echo; the next line of stdin where that is no terminal."""
    if not sys.stdin.isatty():
        return sys.stdin.readline()
    try:
        return getpass.getpass(question)
    except EOFError:
        return ""


def _in_environment(name: str) -> tuple[str, ...]:
    """The variables that are set and override the stored key."""
    if name == _S3:
        return keys.s3_variables()
    variable = keys.key_variable(name)
    return (variable,) if os.environ.get(variable, "").strip() else ()
