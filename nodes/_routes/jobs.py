"""Routes of the job list: pages of the ledger, totals, one job and its files; what is done to one.

A file is identified by its job and its index among the job's files, never by a path.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Coroutine
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from ... import providers
from ...engine.base import events
from ...engine.base.errors import (
    BadResult,
    InvalidInput,
    SkyportError,
    TaskCancelled,
    TaskUnresolved,
)
from ...engine.base.types import Kind, Result, ResultFile
from ...engine.base.words import tr
from ...engine.ledger.ledger import Query, Row, State
from ...engine.spend import report
from ...engine.tasks import history, kept_graphs
from ...engine.tasks.job import Job
from ...engine.tasks.public_view import redact, row_to_json
from .._base import node_outcomes
from .._base.run_task import in_thread
from .._media import decode, sent_pictures
from . import job_events, job_views
from .guards import GuardedRoutes, read_json_object

T = TypeVar("T")

_PAGE, _MAX_PAGE = 100, 1000  # rows of a page: default and maximum
_SIDE = 144  # pixels of a thumbnail: twice what the list shows
_AT_ONCE = 2.0  # seconds to wait for a result that is quick to fetch
_INLINE = ("image/", "video/", "audio/", "text/plain")
_SCRIPTED = ("svg", "xml", "html")  # could run a script on our origin


def add_to(routes: GuardedRoutes) -> None:
    one = r"/skyport/jobs/{job:\d{1,18}}"
    routes.get("/skyport/jobs", _page)
    routes.get("/skyport/jobs/spent", _spent)
    routes.get("/skyport/spend", _spend)
    routes.get("/skyport/inputs/{sha256:[0-9a-f]{64}}", _input)
    routes.get(one, _one)
    routes.get(one + "/thumbnail", _thumbnail)
    routes.get(one + r"/files/{number:\d{1,6}}", _file)
    routes.post("/skyport/jobs/cancel", _cancel)
    routes.post("/skyport/jobs/fetch", _fetch)
    routes.post("/skyport/jobs/anew", _anew)


# -- list ---------------------------------------------------------------------------------------


async def _page(request: web.Request) -> web.Response:
    """{"jobs", "live", "running"}, and for the first page "total", "platforms" and "trouble"."""
    query = _query(request)
    return web.json_response(await in_thread(lambda: _page_payload(query)))


async def _spent(request: web.Request) -> web.Response:
    """The cost of all jobs that match the filter, per day and platform."""
    query = replace(_query(request), before=0)
    sums = await in_thread(lambda: history.read(_ledger(), lambda store: store.spent(query)))
    return web.json_response({"spent": [asdict(one) for one in sums]})


async def _spend(request: web.Request) -> web.Response:
    """Sums of today, this month and the latest days, and what the limits leave: `by` and `days`."""
    by, days = request.query.get("by", "platform"), request.query.get("days", "30")
    if by not in report.KINDS or not (days.isascii() and days.isdigit() and 0 < int(days) <= 3660):
        raise InvalidInput(tr("Ask for by=platform, model or graph, and for 1 to 3660 days."))
    found = await in_thread(
        lambda: history.read(
            _ledger(), lambda store: report.report(store, by, int(days), time.time())
        )
    )
    return web.json_response(redact(report.report_to_json(found, by)))


def _page_payload(query: Query) -> dict[str, Any]:
    # Read first: a job that ends meanwhile is in both lists for a moment, never in none.
    live = job_views.running_jobs()
    payload = {"jobs": job_views.briefs(history.rows(_ledger(), query)), **live}
    if query.before:
        return payload
    names = providers.names()
    return {
        **payload,
        "total": history.read(_ledger(), lambda store: store.count(query)),
        "platforms": [{"name": n, "label": providers.provider_class(n).label} for n in names],
        "trouble": _ledger().trouble,
    }


def _query(request: web.Request) -> Query:
    args = request.query
    try:
        states = tuple(State(word) for word in args.getall("state", []))
        limit = int(args.get("limit", _PAGE))
        before = int(args.get("before", 0))
    except ValueError as error:
        raise InvalidInput(
            tr("The filter of the job list is not valid: {reason}.", reason=error)
        ) from error
    return Query(
        states,
        args.get("platform", ""),
        args.get("text", "").strip(),
        limit=min(max(limit, 1), _MAX_PAGE),
        before=min(max(before, 0), 2**62),
    )


def _ledger() -> Any:
    return providers.ledger()


# -- one job ------------------------------------------------------------------------------------


async def _one(request: web.Request) -> web.Response:
    """Everything known about the job, and what the latest run with it warned of."""
    row = await _row(int(request.match_info["job"]))
    return web.json_response(await in_thread(lambda: _job_payload(row)))


def _job_payload(row: Row) -> dict[str, Any]:
    tree = row_to_json(row)
    for payload, file in zip(tree["files"], row.result.files if row.result else (), strict=True):
        payload.update(job_views.file_view(file))
    ledger = _ledger()
    warned = node_outcomes.warnings_of(row.record.fingerprint, row.result or Result(""))
    return {
        **tree,
        "warnings": [*dict.fromkeys((*tree["warnings"], *redact(warned)))],
        "brief": job_views.briefs([row])[0],
        "graph": kept_graphs.is_kept(ledger, row),
        "seed": kept_graphs.has_seed(ledger, row),
    }


async def _thumbnail(request: web.Request) -> web.Response:
    row = await _row(int(request.match_info["job"]))
    file = job_views.cover_of(row)
    if file is None:
        return _no_such_file()
    try:
        picture = await in_thread(lambda: _small(file.path, file.sha256))
    except BadResult:
        return _no_such_file()
    return web.Response(body=picture, content_type="image/jpeg", headers=_cache_header("86400"))


@lru_cache(maxsize=512)
def _small(path: Path, sha256: str) -> bytes:
    """A thumbnail of the file that had these bytes."""
    stream = io.BytesIO()
    decode.thumbnail(path, _SIDE).save(stream, "JPEG", quality=80)
    return stream.getvalue()


async def _input(request: web.Request) -> web.StreamResponse:
    """A small picture of a medium that was sent, by the hash that a job's request names."""
    sha256 = request.match_info["sha256"]
    path = await in_thread(lambda: sent_pictures.find(sha256))
    if path is None:
        return _no_such_file()
    return web.FileResponse(path, headers={"Content-Type": "image/jpeg", **_cache_header("86400")})


async def _file(request: web.Request) -> web.StreamResponse:
    row = await _row(int(request.match_info["job"]))
    files = row.result.files if row.result else ()
    number = int(request.match_info["number"])
    if number >= len(files) or not await in_thread(files[number].path.is_file):
        return _no_such_file()
    return web.FileResponse(files[number].path, headers=_headers(files[number]))


def _headers(file: ResultFile) -> dict[str, str]:
    """Headers that keep a platform's text from running as a page of ours."""
    mime = file.mime.lower()
    if file.kind is Kind.TEXT:
        mime = "text/plain; charset=utf-8"
    safe = mime.startswith(_INLINE) and not any(word in mime for word in _SCRIPTED)
    return {
        "Content-Type": mime if safe else "application/octet-stream",
        "Content-Disposition": "inline" if safe else "attachment",
        "X-Content-Type-Options": "nosniff",
        **_cache_header("0"),
    }


def _cache_header(seconds: str) -> dict[str, str]:
    return {"Cache-Control": f"private, max-age={seconds}"}


def _no_such_file() -> web.Response:
    payload = {"error": "NotFound", "message": tr("This file of the job is not on this disk.")}
    return web.json_response(payload, status=404)


async def _row(number: int) -> Row:
    row = await in_thread(lambda: history.read(_ledger(), lambda store: store.get(number)))
    if row is None:
        raise InvalidInput(tr('There is no job "{name}".', name=number))
    return row


# -- cancel, fetch, order anew ------------------------------------------------------------------


async def _cancel(request: web.Request) -> web.Response:
    """{"cancelled"}: true, or false if the platform cannot cancel and the task runs on.

    Takes {"job"}, our number, or the {"mark"} of a running job. "asked" is true if the job was
    stopped before its submission, unless that has just happened.
    """
    payload = await _body(request)
    runner = providers.runner()
    running = next((job for job in runner.under_way() if job.fingerprint == payload["mark"]), None)
    if running is not None and not running.snapshot.task_id:
        runner.stop(running)
        return web.json_response({"cancelled": False, "asked": True})
    row = await _row_of(payload)
    provider = await in_thread(lambda: history.provider_to_cancel(providers.connect, row))
    reason = tr("It was cancelled in the list of jobs.")
    done = await _on_engine(history.cancel(runner, provider, row, reason))
    return web.json_response({"cancelled": done, "asked": False})


async def _fetch(request: web.Request) -> web.Response:
    """{"fetched"}: true when the files are here; else the job goes on, and events report it."""
    runner = providers.runner()
    row = await _row_of(await _body(request))
    job = await _on_engine(history.fetch(runner, providers.connect, row, providers.results()))
    if not isinstance(job, Job):
        return web.json_response({"fetched": True})
    delivery = asyncio.wrap_future(runner.engine.start(_deliver_when_done(job)))
    done, _ = await asyncio.wait({delivery}, timeout=_AT_ONCE)
    return web.json_response({"fetched": bool(done)})


async def _deliver_when_done(job: Job) -> None:
    """Waits for the fetched job, and shows its error if it fails."""
    runner = providers.runner()
    try:
        await asyncio.wrap_future(job.future)
    except SkyportError as error:
        job_events.notice(job.fingerprint, redact(str(error)), _severity(error))
        await runner.engine.blocking(lambda: runner.record_told(job))
    else:
        await runner.engine.blocking(lambda: runner.record_delivered(job))


def _severity(error: SkyportError) -> str:
    if isinstance(error, TaskCancelled):
        return "info"
    return "warn" if isinstance(error, TaskUnresolved) else "error"


async def _anew(request: web.Request) -> web.Response:
    """{"anew": true}: the next equal order is a new one, which costs again; takes {"job"}."""
    row = await _row_of(await _body(request))
    await _on_engine(history.order_anew(providers.runner(), row))
    renewed = await _row(row.id)
    events.notify(renewed.record.fingerprint)  # the order's own is that of the next one now
    return web.json_response({"anew": True})


async def _on_engine(work: Coroutine[Any, Any, T]) -> T:
    return await asyncio.wrap_future(providers.runner().engine.start(work))


async def _body(request: web.Request) -> dict[str, Any]:
    payload = await read_json_object(request)
    job, fingerprint = payload.get("job"), payload.get("mark")
    if type(job) is int or isinstance(fingerprint, str):
        return {"job": job if type(job) is int else 0, "mark": fingerprint if fingerprint else ""}
    raise InvalidInput(tr("Give the number of a job."))


async def _row_of(payload: dict[str, Any]) -> Row:
    """The job with our number, else the newest with the mark."""
    if payload["job"]:
        return await _row(payload["job"])
    fingerprint = payload["mark"]
    row = await in_thread(lambda: history.read(_ledger(), lambda store: store.find(fingerprint)))
    if row is None:
        raise InvalidInput(tr("This job is no longer running."))
    return row
