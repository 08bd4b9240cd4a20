"""`skyport jobs`: past and running jobs, their costs, and how to get their results back."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import providers
from ..engine.base.errors import InvalidInput, SkyportError
from ..engine.base.types import Amount
from ..engine.base.words import tr
from ..engine.ledger.ledger import Query, Row, Spent, State
from ..engine.settings import folders
from ..engine.tasks.public_view import redact, row_to_json
from ._actions import action, add_json
from ._rows import cells_of, day_of, facts_of, print_json, texts_of
from ._table import clean, table

if TYPE_CHECKING:
    from ..engine.base.types import Result
    from ..engine.ledger.resilient import ResilientLedger
    from ..engine.platforms.provider import Provider

_SHOWN = 50  # jobs listed where no --limit is given
_DAY = 86400.0


def about() -> str:
    return tr("List the jobs of this machine, and bring their results back.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(act=_list, state=None, platform=None, search="", limit=_SHOWN, json=False)
    _add_choices(parser)  # `skyport jobs` alone lists them
    actions = parser.add_subparsers(dest="action", metavar=tr("action"))
    _add_choices(action(actions, "list", _list, tr("list them, the newest first")))
    single = [
        action(actions, "show", _show, tr("show everything known about one")),
        action(actions, "workflow", _workflow, tr("print the workflow that one came from")),
        action(actions, "fetch", _fetch, tr("bring the results of one to this disk")),
        action(actions, "cancel", _cancel, tr("ask the platform to stop one")),
        action(actions, "anew", _anew, tr("let one be ordered anew, which costs again")),
    ]
    show, workflow, fetch, cancel, anew = single
    for each in (show, workflow):
        each.add_argument(
            "job", metavar="N", help=tr("our number, the task id, latest, or a result file")
        )
    for each in (fetch, cancel, anew):
        each.add_argument("job", metavar="N", help=tr("our number, the task id, or latest"))
    workflow.add_argument(
        "--api", action="store_true", help=tr("in API format, as ComfyUI's /prompt takes it")
    )
    for each in (show, fetch):
        each.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help=tr("print it as JSON")
        )
    anew.add_argument("--yes", action="store_true", help=tr("do not ask"))
    fetch.add_argument("--output", type=Path, help=tr("copy the results into this folder"))
    prune = action(actions, "prune", _prune, tr("forget old jobs; their files are kept"))
    prune.add_argument(
        "--older-than", type=_days, metavar="DAYS", help=tr("instead of the setting keep_days")
    )


def run(args: argparse.Namespace) -> int:
    return int(args.act(args))


def _add_choices(parser: argparse.ArgumentParser) -> None:
    """The filters of the list. The outer parser has the defaults, before and after `list`."""
    unset = argparse.SUPPRESS
    states = [state.value for state in State]
    parser.add_argument("--state", choices=states, default=unset, help=tr("one state only"))
    parser.add_argument(
        "--platform", choices=providers.names(), default=unset, help=tr("one platform only")
    )
    parser.add_argument(
        "--search",
        metavar="TEXT",
        default=unset,
        help=tr("what title, task id or request contain"),
    )
    parser.add_argument("--limit", type=_count, default=unset, help=tr("at most so many"))
    add_json(parser)


def _count(text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text) < 10**9:
        return int(text)
    raise argparse.ArgumentTypeError(tr("it must be a whole number above 0"))


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < float("inf"):
        raise argparse.ArgumentTypeError(tr("it must be a number of days, 0 or more"))
    return days


def _ledger() -> ResilientLedger:
    ledger = providers.ledger()
    if ledger.disk is None and not ledger.memory.rows(Query(limit=1)):
        raise SkyportError(ledger.trouble)
    return ledger  # memory holds a copy of a ledger that is read-only


def _find_row(args: argparse.Namespace) -> Row:
    from ..engine.tasks import history

    return history.find(_ledger(), args.job)


def _find_row_or_file(args: argparse.Namespace) -> Row:
    """The job named by number or task id, or the one that brought this very file."""
    from ..engine.tasks import kept_graphs

    path = Path(args.job)
    if args.job.isdigit() or not path.is_file():
        return _find_row(args)
    row = kept_graphs.job_of_file(_ledger(), _hash_of(path))
    if row is None:
        raise InvalidInput(tr("No job of this machine has brought the file {path}.", path=path))
    return row


def _hash_of(path: Path) -> str:
    from ..engine.media.files import sha256_of

    try:
        return sha256_of(path)[0]
    except OSError as error:
        reason = error.strerror or error
        raise InvalidInput(
            tr("{path} cannot be read: {reason}.", path=path, reason=reason)
        ) from error


# -- list ---------------------------------------------------------------------------------------


def _list(args: argparse.Namespace) -> int:
    from ..engine.tasks import history

    states = (State(args.state),) if args.state else ()
    query = Query(states, args.platform or "", args.search, args.limit)
    rows = history.rows(_ledger(), query)
    if args.json:
        print_json([row_to_json(row) for row in rows])
    elif rows:
        _print_list(rows, history.read(_ledger(), lambda store: store.spent()), args.platform)
        _note_hidden_rows(query, len(rows))
    else:
        print(tr("No job."), file=sys.stderr)
    return 0


def _print_list(rows: Sequence[Row], spent: Sequence[Spent], platform: str | None) -> None:
    head = [
        tr("job"),
        tr("platform"),
        tr("title"),
        tr("task"),
        tr("state"),
        tr("age"),
        tr("cost"),
        tr("files"),
    ]
    cells = [cells_of(row) for row in rows]
    if any(row.person for row in rows):
        head.append(tr("ordered by"))
        cells = [[*line, row.person] for line, row in zip(cells, rows, strict=True)]
    most = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(table(head, cells, most))
    oldest = min(day_of(row.created) for row in rows)
    sums = [one for one in spent if one.day >= oldest and platform in (None, one.platform)]
    if sums:
        days = [
            [one.day, one.platform, str(one.tasks), str(Amount(one.cost, one.unit))] for one in sums
        ]
        print()
        print(tr("Charged for all tasks of these days, where the platform reports it:"))
        print(table([tr("day"), tr("platform"), tr("tasks"), tr("cost")], days))


def _note_hidden_rows(query: Query, shown: int) -> None:
    from ..engine.tasks import history

    total = history.read(_ledger(), lambda store: store.count(query))
    if total > shown:
        text = tr("{shown} of {total} are shown; --limit takes more.", shown=shown, total=total)
        print(text, file=sys.stderr)


# -- show ---------------------------------------------------------------------------------------


def _show(args: argparse.Namespace) -> int:
    row = _find_row_or_file(args)
    if args.json:
        print_json(row_to_json(row))
        return 0
    for name, value in facts_of(row):
        print(f"{name}: {clean(value)}")
    for name, text in texts_of(row):
        print(f"{name}:", *map(clean, text.splitlines()), sep="\n")
    print(f"{tr('request')}:")
    print_json(redact(row.record.request))
    return 0


def _workflow(args: argparse.Namespace) -> int:
    """As the editor saves it, or in API format where it came over the API."""
    from ..engine.tasks import kept_graphs

    graph = kept_graphs.graph_of_job(_ledger(), _find_row_or_file(args))
    print_json(graph.prompt if args.api or graph.workflow is None else graph.workflow)
    return 0


# -- fetch, cancel, anew, prune -----------------------------------------------------------------


def _fetch(args: argparse.Namespace) -> int:
    from .run import copy_into, print_result

    if args.output:
        folders.check_writable(args.output.absolute())
    result = _fetch_result(_find_row(args))
    print_result(copy_into(result, args.output.absolute()) if args.output else result, args.json)
    return 0


def _fetch_result(row: Row) -> Result:
    """The result of `row`: from this disk, else awaited or downloaded again."""
    from ..engine.tasks import history
    from ..engine.tasks.job import Job
    from .run import wait_for

    runner = providers.runner()
    into = providers.results()
    result = runner.engine.run(history.fetch(runner, providers.connect, row, into))
    if not isinstance(result, Job):
        return result
    job = result
    return wait_for(lambda: job, stop=False)  # Ctrl-C ends the waiting; `cancel` stops the task


def _cancel(args: argparse.Namespace) -> int:
    from ..engine.tasks import history

    row = _find_row(args)
    return _request_cancel(row, history.provider_to_cancel(providers.connect, row))


def _request_cancel(row: Row, provider: Provider) -> int:
    """Cancel the task of `row`. Returns 0 on success, 1 where the platform cannot."""
    from ..engine.tasks import history

    assert row.task is not None
    task, runner = row.task, providers.runner()
    stopped = tr("It was cancelled by `skyport jobs cancel`.")
    if runner.engine.run(history.cancel(runner, provider, row, stopped)):
        print(tr("{platform} has cancelled task {id}.", platform=provider.label, id=task.id))
        return 0
    text = tr(
        "{platform} cannot cancel task {id}: it runs on and may be charged. "
        "`skyport jobs fetch {number}` brings its result.",
        platform=provider.label,
        id=task.id,
        number=row.id,
    )
    print(text, file=sys.stderr)
    return 1


def _anew(args: argparse.Namespace) -> int:
    """Returns 1 where the user would rather not."""
    from ..engine.tasks import history

    row, runner = _find_row(args), providers.runner()
    history.raise_unless_blocked(runner, row)
    if not args.yes and not _confirm_anew(row):
        print(tr("Nothing has been changed."), file=sys.stderr)
        return 1
    runner.engine.run(history.order_anew(runner, row))
    print(tr("Queue its workflow again to order it anew: that costs again."))
    if row.task:
        text = tr("`skyport jobs fetch {number}` still looks for this one.", number=row.id)
        print(text)
    return 0


def _confirm_anew(row: Row) -> bool:
    """Whether a person at a terminal confirms it; a script has said so by the command itself."""
    from ..engine.tasks import history

    if not sys.stdin.isatty():
        return True
    print(
        tr(
            "Job {job} may have been charged, and ordering it anew costs again.",
            job=history.line(row),
        )
    )
    print(tr("Order it anew? [y/N]"), end=" ", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _prune(args: argparse.Namespace) -> int:
    from ..engine.settings import settings

    days = settings.load().keep_days if args.older_than is None else args.older_than
    _ledger()
    print(tr("Jobs forgotten: {count}.", count=providers.prune(days * _DAY)))
    return 0
