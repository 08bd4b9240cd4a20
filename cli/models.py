"""`skyport models`: the models that the platforms offer, as known here or refreshed."""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import providers
from ..engine.base.errors import InvalidInput
from ..engine.base.words import tr
from ._rows import print_json
from ._table import table

if TYPE_CHECKING:
    from ..engine.base.types import Model, Param
    from ..engine.platforms.catalogue import Refreshed


def about() -> str:
    return tr("List the models of the platforms.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = providers.names()
    parser.add_argument("platform", nargs="?", choices=names, help=tr("one platform only"))
    parser.add_argument("--task", help=tr("models for one task only, such as image2video"))
    parser.add_argument(
        "--refresh", choices=names, help=tr("ask this platform for its models first")
    )
    parser.add_argument("--json", action="store_true", help=tr("print everything as JSON"))


def run(args: argparse.Namespace) -> int:
    if args.refresh:
        _refresh(args.refresh)
    only = args.platform or args.refresh
    models = _models([only] if only else providers.names(), args.task)
    if args.json:
        print_json([dataclasses.asdict(model) for model in models])
    else:
        print(_as_table(models))
    return 0


def _refresh(platform: str) -> None:
    refreshed = providers.runner().engine.run(providers.refresh(platform))
    print(_refresh_report(refreshed), file=sys.stderr)


def _refresh_report(refreshed: Refreshed) -> str:
    lines = [tr("{count} models.", count=len(refreshed.models))]
    if refreshed.added:
        lines.append(tr("New: {models}", models=", ".join(refreshed.added)))
    if refreshed.retired:
        lines.append(tr("No longer offered: {models}", models=", ".join(refreshed.retired)))
    lines += [tr("Parameters not read: {model}", model=label) for label in refreshed.unread]
    return "\n".join(lines)


def _models(platforms: Sequence[str], task: str | None) -> list[Model]:
    models = [model for name in platforms for model in providers.catalogue(name).models()]
    found = [model for model in models if task in (None, model.task)]
    if task and not found:
        tasks = ", ".join(dict.fromkeys(model.task for model in models))
        raise InvalidInput(
            tr('No model is for the task "{task}".', task=task),
            do=tr("The tasks are: {tasks}.", tasks=tasks),
        )
    return found


def _as_table(models: Sequence[Model]) -> str:
    head = [
        tr("platform"),
        tr("model"),
        tr("task"),
        tr("label"),
        tr("parameters (* required)"),
    ]
    rows = [[m.platform, m.id, m.task, _label(m), ", ".join(map(_param, m.params))] for m in models]
    most = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    return table(head, rows, most)


def _label(model: Model) -> str:
    return tr("{label} (retired)", label=model.label) if model.retired else model.label


def _param(param: Param) -> str:
    label = param.name + ("*" if param.required else "")
    return f"{label} ({param.type})" if param.media_kind else label
