"""The batches of `skyport batch` for the sidebar: how far each is, and what it has cost so far."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from typing import Any

from aiohttp import web

from ... import providers
from ...engine.batch.store import BatchStore, RowState, StoredBatch, StoredRow
from ...engine.tasks.public_view import redact
from .._base.run_task import in_thread
from .guards import GuardedRoutes

_MOST = 20  # the newest ones
_MOST_ROWS = 50  # without a result; the list of results has all of them
_NO_RESULT = (RowState.FAILED, RowState.REFUSED, RowState.UNKNOWN, RowState.OPEN)


def add_to(routes: GuardedRoutes) -> None:
    routes.get("/skyport/batches", _batches)
    routes.get("/skyport/batches/{batch}/rows", _rows_without_result)


async def _batches(request: web.Request) -> web.Response:
    """{"batches"}, the newest first."""
    return web.json_response({"batches": await in_thread(_newest)})


async def _rows_without_result(request: web.Request) -> web.Response:
    """{"rows"}, the first ones without a result, and why; {"more"}: how many others there are."""
    batch = request.match_info["batch"]
    return web.json_response(await in_thread(lambda: _without_result(batch)))


def _without_result(batch: str) -> dict[str, Any]:
    if not providers.has_batches():
        return {"rows": [], "more": 0}
    with closing(providers.batch_store()) as store:
        rows = [_row_view(row) for row in islice(store.rows(batch, *_NO_RESULT), _MOST_ROWS)]
        states = store.sums(batch).states
    return {"rows": rows, "more": sum(states.get(one, 0) for one in _NO_RESULT) - len(rows)}


def _row_view(row: StoredRow) -> dict[str, Any]:
    return {
        "row": row.number,
        "line": row.line,
        "state": row.state.value,
        "error": redact(row.error),
        "job": row.job,
    }


def _newest() -> list[dict[str, Any]]:
    if not providers.has_batches():
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
