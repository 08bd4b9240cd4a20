"""The batches of `skyport batch` for the sidebar: how far each is, and what it has cost so far."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from aiohttp import web

from ... import providers
from ...engine.batch.store import BatchStore, StoredBatch
from ...engine.settings import folders, settings
from ...engine.tasks.public_view import redact
from .._base.run_task import in_thread
from .guards import GuardedRoutes

_MOST = 20  # the newest ones


def add_to(routes: GuardedRoutes) -> None:
    routes.get("/skyport/batches", _batches)


async def _batches(request: web.Request) -> web.Response:
    """{"batches"}, the newest first."""
    return web.json_response({"batches": await in_thread(_newest)})


def _newest() -> list[dict[str, Any]]:
    is_there = settings.load().ledger_url or (folders.home() / providers.BATCHES).exists()
    if not is_there:
        return []
    with closing(providers.batch_store()) as store:
        return [_view(store, batch) for batch in store.batches(_MOST)]


def _view(store: BatchStore, batch: StoredBatch) -> dict[str, Any]:
    sums = store.sums(batch.id)
    about = {
        "id": batch.id,
        "name": batch.name,
        "title": batch.title,
        "label": providers.provider_class(batch.platform).label,
        "total": batch.total,
        "states": {state.value: count for state, count in sums.states.items()},
        "costs": [{"unit": unit, "cost": cost} for unit, cost in sums.costs.items()],
        "running": providers.ledger().owner.is_alive(batch.owner),
        "updated": batch.updated,
    }
    return {
        name: redact(value) if isinstance(value, str) else value for name, value in about.items()
    }
