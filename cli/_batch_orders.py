"""What `skyport batch` orders: its options, and the platform's function that makes requests."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .. import providers
from ..engine.base.errors import InvalidInput
from ..engine.base.words import tr
from .run import location_options, pair, text_of

if TYPE_CHECKING:
    from ..engine.base.types import Model
    from ..engine.batch.columns import Columns
    from ..engine.batch.orders import Orders
    from ..engine.platforms.provider import Provider


_QUEUED_AT_ONCE = 8  # graphs in the queue of a running ComfyUI: others wait behind them


def add_arguments(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--platform", choices=providers.names(), help=tr("where it runs"))
    where.add_argument(
        "--comfyui",
        metavar="URL",
        help=tr("a running ComfyUI: --workflow is queued there once for each row, as it is"),
    )
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--model", help=tr("a model of the platform, as `skyport models` lists it"))
    kind.add_argument("--workflow", type=Path, help=tr("the workflow, exported in API format"))
    kind.add_argument("--app", metavar="ID", help=tr("the number of a published app"))
    parser.add_argument("--task", help=tr("the task of the model, where it has several"))
    for name in ("cluster", "workflow-id", "server"):
        parser.add_argument(f"--{name}", help=tr("as in `skyport run`"))
    parser.add_argument("--version-id", default="", help=tr("the version of the app"))
    parser.add_argument(
        "--map",
        metavar="photo=73.image",
        action="append",
        default=[],
        type=_mapped,
        help=tr(
            "what a column fills; without it, what has the column's name. May be repeated. The "
            'files of a folder are the column "file"'
        ),
    )
    parser.add_argument(
        "--set",
        metavar="prompt=TEXT",
        action="append",
        default=[],
        type=pair,
        help=tr("a value for every row that has none of its own; may be repeated"),
    )
    parser.add_argument(
        "--ignore",
        metavar="COLUMN",
        action="append",
        default=[],
        help=tr("a column that fills nothing; may be repeated"),
    )
    parser.add_argument(
        "--seed",
        type=int,
        help=tr("the seed of rows without one; another one orders all rows anew"),
    )


def _mapped(text: str) -> tuple[str, str]:
    """A column, whose name may hold =, and what it fills."""
    pair(text)
    column, _, target = text.rpartition("=")
    return column.strip(), target.strip()


def settle_platform(args: argparse.Namespace) -> None:
    """Raises InvalidInput for options that say nothing about a running ComfyUI."""
    if args.comfyui is None:
        return
    args.platform = "comfyui"
    args.at_once = args.at_once or _QUEUED_AT_ONCE
    executor = args.executor if args.executor != "local" else None
    given = {"server": args.server, "limit_cost": args.limit_cost, "executor": executor}
    for option, value in given.items():
        if value is not None:
            raise InvalidInput(
                tr("{option} does not apply here.", option=f"--{option.replace('_', '-')}"),
                do=tr("That ComfyUI's own settings and limits hold for its cloud nodes."),
            )


class Destination(Protocol):
    """A platform, or the address of a running ComfyUI."""

    @property
    def platform(self) -> str: ...

    @property
    def comfyui(self) -> str | None: ...


def provider(args: argparse.Namespace | Destination, at_once: int) -> Provider:
    """What the rows go to, which takes so many at a time."""
    if args.comfyui is None:
        return providers.connect(args.platform)
    from ..providers.comfyui import Comfyui

    return Comfyui.at(args.comfyui, at_once)


def columns(args: argparse.Namespace) -> Columns:
    from ..engine.batch.columns import Columns

    return Columns(_once("--map", args.map), _once("--set", args.set), frozenset(args.ignore))


def _once(option: str, pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Raises InvalidInput for a name that is given twice: one of its values would be dropped."""
    found = dict(pairs)
    for name in found:
        if [one for one, _ in pairs].count(name) > 1:
            raise InvalidInput(
                tr('{option} names "{name}" twice.', option=option, name=name),
                do=tr("A column fills one thing: copy it where another is to have its value too.")
                if option == "--map"
                else "",
            )
    return found


def orders(args: argparse.Namespace) -> Orders:
    """Raises InvalidInput where the platform does not do what is asked for."""
    if args.model:
        return _of_model(args)
    return _of_workflow(args) if args.workflow else _of_app(args)


def _of_model(args: argparse.Namespace) -> Orders:
    from ..engine.batch.orders import ModelOrders

    models = providers.catalogue(args.platform).models(args.task)
    named = [model for model in models if model.id == args.model]
    label = providers.provider_class(args.platform).label
    if not named:
        raise InvalidInput(
            tr('The model "{name}" is not offered.', name=args.model),
            do=tr("`skyport models {platform}` lists those that are.", platform=args.platform),
            platform=label,
        )
    if len(named) > 1:
        raise InvalidInput(
            tr("{model} has several tasks.", model=args.model),
            do=tr("Choose one by --task: {tasks}.", tasks=", ".join(one.task for one in named)),
            platform=label,
        )
    return ModelOrders(_readable(named[0]), _maker(args, "generation"), args.seed)


def _readable(model: Model) -> Model:
    from ..engine.platforms.parameters import fill

    if model.unread:
        fill(model, {})  # raises what is to be done
    return model


def _of_workflow(args: argparse.Namespace) -> Orders:
    from ..engine.batch.orders import WorkflowOrders
    from ..engine.tasks import learnt_widgets
    from ..engine.workflows.api_format import read_workflow

    make = _maker(args, "workflow")
    prompt = read_workflow(text_of(args.workflow))
    learnt_widgets.learn_quietly(prompt)
    return WorkflowOrders(prompt, partial(make, **location_options(make, args)), args.seed)


def _of_app(args: argparse.Namespace) -> Orders:
    from ..engine.batch.orders import AppOrders

    make = _maker(args, "app")
    request = partial(make, args.app, args.version_id, args.cluster or "")
    return AppOrders(f"{args.app}/{args.version_id}/{args.cluster or ''}", request, args.seed)


def _maker(args: argparse.Namespace, kind: str) -> Any:
    make = getattr(import_module(f"..providers.{args.platform}", __package__), kind, None)
    if make is None:
        refusal = {
            "generation": tr("this platform has no models."),
            "workflow": tr("this platform runs no workflows."),
            "app": tr("this platform has no apps."),
        }
        label = providers.provider_class(args.platform).label
        raise InvalidInput(refusal[kind], platform=label)
    return make
