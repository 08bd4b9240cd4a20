"""`skyport ledger`: copy the ledger of this machine into the database of a team, or back."""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..engine.base.errors import InvalidInput
from ..engine.base.words import tr
from ..engine.settings import keys, ledger_url, settings
from ._actions import action

if TYPE_CHECKING:
    from ..engine.ledger.sqlite_store import Store

_FILE = "sqlite:"


def about() -> str:
    return tr("Copy the ledger between this machine and the database of a team.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar=tr("action"), required=True)
    text = tr("copy all jobs that the other ledger lacks")
    own = action(actions, "copy", _copy, text)
    urls = tr("sqlite:PATH of a ledger.db, or postgresql://user@host/database")
    own.add_argument("source", metavar="FROM", help=urls)
    own.add_argument("target", metavar="TO", help=urls)


def run(args: argparse.Namespace) -> int:
    return int(args.act(args))


def _copy(args: argparse.Namespace) -> int:
    from ..engine.ledger.copying import copy

    if args.source.startswith(_FILE) and not _path(args.source).is_file():
        raise InvalidInput(tr("There is no file {path}.", path=_path(args.source)))
    with _opened(args.source) as source, _opened(args.target) as target:
        copied, found = copy(source, target)
    print(tr("Jobs copied: {copied}. Already there: {found}.", copied=copied, found=found))
    return 0


@contextmanager
def _opened(url: str) -> Iterator[Store]:
    store = _file_store(_path(url)) if url.startswith(_FILE) else _team_store(url)
    try:
        yield store
    finally:
        store.close()


def _path(url: str) -> Path:
    return Path(url.removeprefix(_FILE).removeprefix("//")).expanduser().absolute()


def _file_store(path: Path) -> Store:
    from ..engine.ledger.process_lock import Owner
    from ..engine.ledger.sqlite_store import Store

    try:
        store = Store(path, Owner(path.parent / "owners"))
        store.find("")  # fails where it is another kind of database
    except sqlite3.Error as error:
        raise InvalidInput(
            tr("{path} cannot be used: {reason}.", path=path, reason=error),
            do=tr("Name the file ledger.db of a data folder of Skyport."),
        ) from None
    return store


def _team_store(url: str) -> Store:
    if ledger_url.password_in(url):
        raise InvalidInput(
            tr("A password is never an argument, where others could see it."),
            do=tr("Leave it out, and run `skyport keys set ledger`."),
        )
    from ..engine.ledger.postgres_store import PostgresStore

    password = keys.ledger_password()
    address = settings.validated(ledger_url.without_password, url, "URL")
    return PostgresStore(address, password.value if password else "")
