"""`skyport keys`: keep, list or forget a key. None is ever printed, none is an argument."""

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
            say("a key is never an argument, where others see it: you are asked for it")
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
    if _in_environment(platform):
        variable = _keys.key_variable(platform)
        print(say("{variable} is set too and goes before it.", variable=variable), file=sys.stderr)
    return 0


def _remove(args: argparse.Namespace) -> int:
    platform = _platform(args)
    label = _platforms.provider_class(platform).label
    if _keys.remove(platform):
        print(say("{platform}: the key is removed.", platform=label))
    else:
        print(say("{platform}: no key was kept.", platform=label))
    if _in_environment(platform):
        print(say("{variable} still sets one.", variable=_keys.key_variable(platform)))
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


def _in_environment(platform: str) -> bool:
    return bool(os.environ.get(_keys.key_variable(platform), "").strip())
