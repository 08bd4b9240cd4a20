"""`skyport clusters`: the free capacity of the platforms' clusters right now."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .. import providers
from ..engine.base.errors import InvalidInput
from ..engine.base.words import tr
from ._table import table

if TYPE_CHECKING:
    from ..engine.base.types import Cluster


def about() -> str:
    return tr("Show the clusters and their free capacity.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--platform", choices=providers.names(), help=tr("one platform only"))


def run(args: argparse.Namespace) -> int:
    head = [
        tr("platform"),
        tr("cluster"),
        tr("label"),
        tr("running"),
        tr("at most"),
        tr("free"),
    ]
    rows = [_row(name, each) for name in _platforms(args.platform) for each in _clusters(name)]
    print(table(head, rows))
    return 0


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
