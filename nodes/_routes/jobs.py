"""Routes of the job list: the ledger page by page, sums, one job and its files; cancel and fetch.

A file is named by its job and its number among the job's files, never by a path.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Coroutine
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from ... import providers
from ...engine.base.errors import BadResult, InvalidInput, SkyportError
from ...engine.base.types import Kind, ResultFile
from ...engine.base.words import tr
from ...engine.ledger.ledger import Query, Row, State
from ...engine.tasks import history
from ...engine.tasks.job import Job
from ...engine.tasks.public_view import public, tree_of
from .._base.run_task import in_thread
from .._media import decode
from . import job_events, job_views
from .guards import answering, from_our_page

T = TypeVar("T")

_PAGE, _MOST = 100, 1000  # rows of a page: where the page does not say, and at most
_SIDE = 144  # pixels of a thumbnail: twice what the list shows
_AT_ONCE = 2.0  # seconds in which a result may come that needs no waiting
_INLINE = ("image/", "video/", "audio/", "text/plain")
_SCRIPTED = ("svg", "xml", "html")  # may run a script on our origin


def add_to(routes: web.RouteTableDef) -> None:
    one = r"/skyport/jobs/{job:\d{1,18}}"
    routes.get("/skyport/jobs")(answering(_page))
    routes.get("/skyport/jobs/spent")(answering(_spent))
    routes.get(one)(answering(_one))
    routes.get(one + "/thumbnail")(answering(_thumbnail))
    routes.get(one + r"/files/{number:\d{1,6}}")(answering(_file))
    routes.post("/skyport/jobs/cancel")(answering(from_our_page(_cancel)))
    routes.post("/skyport/jobs/fetch")(answering(from_our_page(_fetch)))


# -- list ---------------------------------------------------------------------------------------


async def _page(request: web.Request) -> web.Response:
    """{"jobs", "live"}, and for the first page "total", "platforms" and "trouble"."""
    query = _query(request)
    return web.json_response(await in_thread(lambda: _listed(query)))


async def _spent(request: web.Request) -> web.Response:
    """What all jobs cost that the filter means, a day and platform."""
    query = replace(_query(request), before=0)
    sums = await in_thread(lambda: history.read(_ledger(), lambda store: store.spent(query)))
    return web.json_response({"spent": [asdict(one) for one in sums]})


def _listed(query: Query) -> dict[str, Any]:
    # Looked at first: what settles meanwhile is in the ledger then, and in both for a moment.
    live = job_views.running_jobs()
    told = {"jobs": job_views.briefs(history.rows(_ledger(), query)), "live": live}
    if query.before:
        return told
    names = providers.names()
    return {
        **told,
        "total": history.read(_ledger(), lambda store: store.count(query)),
        "platforms": [{"name": n, "label": providers.provider_class(n).label} for n in names],
        "trouble": _ledger().trouble,
    }


def _query(request: web.Request) -> Query:
    asked = request.query
    try:
        states = tuple(State(word) for word in asked.getall("state", []))
        limit = int(asked.get("limit", _PAGE))
        before = int(asked.get("before", 0))
    except ValueError as error:
        raise InvalidInput(tr("The list cannot be asked so: {reason}.", reason=error)) from error
    return Query(
        states,
        asked.get("platform", ""),
        asked.get("text", "").strip(),
        limit=min(max(limit, 1), _MOST),
        before=min(max(before, 0), 2**62),
    )


def _ledger() -> Any:
    return providers.ledger()


# -- one job ------------------------------------------------------------------------------------


async def _one(request: web.Request) -> web.Response:
    """All that is known of it."""
    row = await _row(int(request.match_info["job"]))
    return web.json_response(await in_thread(lambda: _told(row)))


def _told(row: Row) -> dict[str, Any]:
    tree = tree_of(row)
    for told, file in zip(tree["files"], row.result.files if row.result else (), strict=True):
        told.update(job_views.shown(file))
    return {**tree, "brief": job_views.briefs([row])[0]}


async def _thumbnail(request: web.Request) -> web.Response:
    row = await _row(int(request.match_info["job"]))
    file = job_views.cover_of(row)
    if file is None:
        return _gone()
    try:
        picture = await in_thread(lambda: _small(file.path, file.sha256))
    except BadResult:
        return _gone()
    return web.Response(body=picture, content_type="image/jpeg", headers=_kept_for("86400"))


@lru_cache(maxsize=512)
def _small(path: Path, sha256: str) -> bytes:
    """A thumbnail of the file that had these bytes."""
    stream = io.BytesIO()
    decode.thumbnail(path, _SIDE).save(stream, "JPEG", quality=80)
    return stream.getvalue()


async def _file(request: web.Request) -> web.StreamResponse:
    row = await _row(int(request.match_info["job"]))
    files = row.result.files if row.result else ()
    number = int(request.match_info["number"])
    if number >= len(files) or not await in_thread(files[number].path.is_file):
        return _gone()
    return web.FileResponse(files[number].path, headers=_headers(files[number]))


def _headers(file: ResultFile) -> dict[str, str]:
    """A platform's text must not run as a page of ours."""
    mime = file.mime.lower()
    if file.kind is Kind.TEXT:
        mime = "text/plain; charset=utf-8"
    safe = mime.startswith(_INLINE) and not any(word in mime for word in _SCRIPTED)
    return {
        "Content-Type": mime if safe else "application/octet-stream",
        "Content-Disposition": "inline" if safe else "attachment",
        "X-Content-Type-Options": "nosniff",
        **_kept_for("0"),
    }


def _kept_for(seconds: str) -> dict[str, str]:
    return {"Cache-Control": f"private, max-age={seconds}"}


def _gone() -> web.Response:
    told = {"error": "NotFound", "message": tr("The job has no such file on this disk.")}
    return web.json_response(told, status=404)


async def _row(number: int) -> Row:
    row = await in_thread(lambda: history.read(_ledger(), lambda store: store.get(number)))
    if row is None:
        raise InvalidInput(tr('There is no job "{name}".', name=number))
    return row


# -- cancel and fetch ---------------------------------------------------------------------------


async def _cancel(request: web.Request) -> web.Response:
    """{"cancelled"}: true, or false where the platform cannot and the task runs on.

    Takes {"job"}, our number, or {"mark"} of an order that is on its way. "asked" is true where it
    is stopped before anything is submitted, unless that has just happened.
    """
    told = await _body(request)
    runner = providers.runner()
    carried = next((job for job in runner.under_way() if job.fingerprint == told["mark"]), None)
    if carried is not None and not carried.snapshot.task_id:
        runner.stop(carried)
        return web.json_response({"cancelled": False, "asked": True})
    row = await _row_of(told)
    provider = await in_thread(lambda: history.to_cancel(providers.connect, row))
    why = tr("It was cancelled in the list of jobs.")
    done = await _on_engine(history.cancel(runner, provider, row, why))
    return web.json_response({"cancelled": done, "asked": False})


async def _fetch(request: web.Request) -> web.Response:
    """{"fetched"}: true when the files are here; else the job is on its way and events tell."""
    runner = providers.runner()
    row = await _row_of(await _body(request))
    found = await _on_engine(history.fetch(runner, providers.connect, row, providers.results()))
    if not isinstance(found, Job):
        return web.json_response({"fetched": True})
    coming = asyncio.wrap_future(runner.engine.start(_brought(found)))
    done, _ = await asyncio.wait({coming}, timeout=_AT_ONCE)
    return web.json_response({"fetched": bool(done)})


async def _brought(job: Job) -> None:
    """Wait for what was fetched, and say so where it does not come."""
    runner = providers.runner()
    try:
        await asyncio.wrap_future(job.future)
    except SkyportError as error:
        job_events.notice(job.fingerprint, public(str(error)))
    else:
        await runner.engine.blocking(lambda: runner.record_delivered(job))


async def _on_engine(work: Coroutine[Any, Any, T]) -> T:
    return await asyncio.wrap_future(providers.runner().engine.start(work))


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        told = await request.json()
    except ValueError:
        told = None
    told = told if isinstance(told, dict) else {}
    job, fingerprint = told.get("job"), told.get("mark")
    if type(job) is int or isinstance(fingerprint, str):
        return {"job": job if type(job) is int else 0, "mark": fingerprint if fingerprint else ""}
    raise InvalidInput(tr("Name a job by its number."))


async def _row_of(told: dict[str, Any]) -> Row:
    """The job meant: by our number, else the order's newest."""
    if told["job"]:
        return await _row(told["job"])
    fingerprint = told["mark"]
    row = await in_thread(lambda: history.read(_ledger(), lambda store: store.find(fingerprint)))
    if row is None:
        raise InvalidInput(tr("This job is not on its way any more."))
    return row
