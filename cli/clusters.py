"""`skyport clusters`: the free capacity of the platforms' clusters right now."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from .. import providers
from ..engine.base.errors import InvalidInput
from ..engine.base.words import tr
from ._rows import print_json
from ._table import table

if TYPE_CHECKING:
    from ..engine.base.types import Cluster, Json


def about() -> str:
    return tr("Show the clusters and their free capacity.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--platform", choices=providers.names(), help=tr("one platform only"))
    parser.add_argument("--json", action="store_true", help=tr("print everything as JSON"))


def run(args: argparse.Namespace) -> int:
    found = [(name, each) for name in _platforms(args.platform) for each in _clusters(name)]
    if args.json:
        print_json([_view(*each) for each in found])
    else:
        print(_as_table(found))
    return 0


def _as_table(found: Sequence[tuple[str, Cluster]]) -> str:
    head = [
        tr("platform"),
        tr("cluster"),
        tr("label"),
        tr("running"),
        tr("at most"),
        tr("free"),
    ]
    return table(head, [_row(*each) for each in found])


def _view(platform: str, cluster: Cluster) -> dict[str, Json]:
    """`most` and `free` are null where the platform does not tell."""
    free = None if cluster.most is None else cluster.room
    return {"platform": platform, **asdict(cluster), "free": free}


def _platforms(platform: str | None) -> list[str]:
    """The platforms that have clusters, or the one named."""
    if platform is None:
        return [name for name in providers.names() if _has_clusters(name)]
    if not _has_clusters(platform):
        label = providers.provider_class(platform).label
        raise InvalidInput(tr("this platform has no clusters."), platform=label)
    return [platform]


def _has_clusters(platform: str) -> bool:
    return hasattr(providers.provider_class(platform), "clusters")


def _clusters(platform: str) -> list[Cluster]:
    from ..engine.http.retry import retrying

    fetch = getattr(providers.connect(platform), "clusters")  # noqa: B009 - not every Provider has it
    engine = providers.runner().engine
    clusters: list[Cluster] = engine.run(retrying(fetch, run_blocking=engine.blocking))
    return clusters


def _row(platform: str, cluster: Cluster) -> list[str]:
    most = free = tr("unknown")
    if cluster.most is not None:
        most, free = str(cluster.most), str(cluster.room)
    return [platform, cluster.name, cluster.label, str(cluster.running), most, free]
