"""`skyport keys`: keep, list and forget the platforms' keys. No key is ever printed or an argument."""

from __future__ import annotations

import argparse
import getpass
import os
import sys

from ..providers import _keys, _platforms
from ..providers._words import say
from ._table import table


def about() -> str:
    return say("Keep, list or remove the keys of the platforms.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    # Nothing here is checked by argparse, which repeats what it refuses: that may be a key.
    parser.add_argument("action", metavar="set|list|remove", help=say("what to do"))
    parser.add_argument("platform", nargs="?", help=say("whose key"))
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    action = _ACTIONS.get(args.action)
    if action is None:
        args.parser.error(say("the first word must be set, list or remove"))
    if args.rest:
        args.parser.error(
            say("a key is never an argument: others can see those. Leave it out and you are asked for it.")
        )
    return action(args)


def _list(args: argparse.Namespace) -> int:
    sources = {"environment": say("environment"), "file": say("keys.json")}
    rows = [
        [platform, key.masked() if key else say("not set"), sources[key.source] if key else ""]
        for platform, key in _keys.listing().items()
    ]
    print(table([say("platform"), say("key"), say("from")], rows))
    return 0


def _set(args: argparse.Namespace) -> int:
    platform = _platform(args)
    label = _platforms.provider_class(platform).label
    key = _keys.set_key(platform, _asked(label))
    print(say("{platform}: the key {masked} is kept.", platform=label, masked=key.masked()))
    _warn_of_environment(platform)
    return 0


def _remove(args: argparse.Namespace) -> int:
    platform = _platform(args)
    label = _platforms.provider_class(platform).label
    if _keys.remove(platform):
        print(say("{platform}: the key is removed.", platform=label))
    else:
        print(say("{platform}: no key was kept.", platform=label))
    _warn_of_environment(platform)
    return 0


_ACTIONS = {"set": _set, "list": _list, "remove": _remove}


def _platform(args: argparse.Namespace) -> str:
    known = _platforms.names()
    if args.platform not in known:
        args.parser.error(say("name one of these platforms: {names}", names=", ".join(known)))
    return str(args.platform)


def _asked(label: str) -> str:
    """The key, typed unseen; the first line of the input where nobody sits at a terminal."""
    if not sys.stdin.isatty():
        return sys.stdin.readline()
    try:
        return getpass.getpass(say("Key of {platform}: ", platform=label))
    except EOFError:
        return ""


def _warn_of_environment(platform: str) -> None:
    variable = _keys.key_variable(platform)
    if os.environ.get(variable, "").strip():
        print(say("The one in {variable} goes before it.", variable=variable), file=sys.stderr)
