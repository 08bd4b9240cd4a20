"""Tells the editor what became of the latest run of each node of a workflow, in few words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aiohttp import web

from ... import providers
from ...engine.base.shown_text import shorten
from ...engine.base.types import Result
from ...engine.base.words import tr
from ...engine.ledger.ledger import Row, State
from ...engine.tasks import history
from ...engine.tasks.progress import DOT
from ...engine.tasks.public_view import redact
from .._base import node_outcomes, prompt_queue
from .._base.node import CloudNode
from .._base.node_outcomes import NodeRun
from .._base.progress import costs_of
from .._base.prompt_queue import Prompt
from .._base.registry import all_nodes
from .._base.run_task import in_thread
from .guards import GuardedRoutes

_REASON = 160  # characters of a failure
_UNDER_WAY = (State.INTENT, State.SUBMITTED, State.RUNNING, State.DETACHED)
_UNCLEAR = (State.UNRESOLVED, State.UNKNOWN)
_OPEN = (*_UNDER_WAY, *_UNCLEAR, State.SUCCEEDED)  # what may change, or is still to be taken


def add_to(routes: GuardedRoutes) -> None:
    routes.get("/skyport/outcomes", _outcomes)


async def _outcomes(request: web.Request) -> web.Response:
    """{"outcomes"} of the nodes of `workflow`, the id that the editor has given it.

    Each is {"node", "prompt", "tone": "good", "warn" or "bad", "text", "notes": [text], "marks":
    of its orders, "job": the number of the newest, "open": whether it may change by itself}.
    """
    workflow = request.query.get("workflow", "")
    found = await in_thread(lambda: list(_views(workflow)) if workflow else [])
    return web.json_response({"outcomes": redact(found)})


def _views(workflow: str) -> Iterator[dict[str, Any]]:
    """What the nodes did last; nothing of those that are running."""
    runs = {run.node: run for run in node_outcomes.latest(workflow)}
    prompts = prompt_queue.started(workflow)
    for run in runs.values():
        if not run.is_running:
            yield from _view_after(run, _last_with(run.node, _after(run, prompts)))
    ours = {getattr(one, "id", "") for one in all_nodes() if issubclass(one, CloudNode)}
    for node_id, name in {n: name for one in prompts for n, name in one.nodes.items()}.items():
        last = _last_with(node_id, prompts)
        # ComfyUI had made it in another workflow.
        if node_id not in runs and name in ours and last and node_id in last.cached:
            yield _view(NodeRun(workflow, node_id, last.id, is_repeated=True))


def _view_after(run: NodeRun, last: Prompt | None) -> Iterator[dict[str, Any]]:
    """`last`: the last later prompt that should have run the node, too"""
    run.is_repeated = last is not None and run.node in last.cached
    view = _view(run)
    if last is None or run.is_repeated or view["open"]:
        yield view
    elif last.has_ended:
        node_outcomes.forget(run)


def _after(run: NodeRun, prompts: Sequence[Prompt]) -> Sequence[Prompt]:
    ids = [prompt.id for prompt in prompts]
    return prompts[ids.index(run.prompt) + 1 :] if run.prompt in ids else ()


def _last_with(node_id: str, prompts: Sequence[Prompt]) -> Prompt | None:
    return next((prompt for prompt in reversed(prompts) if node_id in prompt.nodes), None)


def _view(run: NodeRun) -> dict[str, Any]:
    rows = {mark: _row(mark) for mark in run.orders()}
    states = _states(run, rows) if run.is_unfinished else []
    text, notes = _words(run, states)
    tone = "bad" if run.failures() else "warn" if notes or run.is_unfinished else "good"
    return {
        "node": run.node,
        "prompt": run.prompt,
        "tone": tone,
        "text": text,
        "notes": notes,
        "marks": [*rows],
        "job": max((row.id for row in rows.values() if row), default=None),
        "open": any(row and row.state in _OPEN for row in rows.values()) and run.is_unfinished,
    }


def _words(run: NodeRun, states: list[str]) -> tuple[str, list[str]]:
    if failures := run.failures():
        return tr("failed: {reason}", reason=shorten(failures[0], _REASON)), states
    if run.is_unfinished:
        return (states or [_unsent()])[0], states[1:]
    results = [result for call in run.calls for result in call.results]
    notes = [note for result in results for note in result.warnings]
    notes += [note for call in run.calls for note in call.warnings]
    if run.is_repeated and (results or not run.calls):
        text = tr("unchanged, not run again, no charge")
    else:
        text = _summary(results) if results else ""
    return text, [*dict.fromkeys(filter(None, notes))]


def _summary(results: Sequence[Result]) -> str:
    """`done . 3 items . 0.22 CNY . 1 reused`: the cost is that of what was not reused."""
    fresh = [result for result in results if not result.reused]
    parts = [tr("done")]
    if len(results) > 1:
        parts.append(tr("{count} items", count=len(results)))
    parts += map(str, costs_of(fresh))
    if not fresh:
        parts.append(tr("reused, no charge"))
    elif len(fresh) < len(results):
        parts.append(tr("{count} reused", count=len(results) - len(fresh)))
    return DOT.join(parts)


# -- what goes on -------------------------------------------------------------------------------


def _row(mark: str) -> Row | None:
    return history.read(providers.ledger(), lambda store: store.find(mark))


def _states(run: NodeRun, rows: Mapping[str, Row | None]) -> list[str]:
    """What there is to say of the orders that the node does not wait for any more."""
    watched = {job.fingerprint: job.watchers > 0 for job in providers.runner().under_way()}
    orders = run.orders()
    if run.failures():  # what has failed itself is in the error
        orders = {mark: label for mark, label in orders.items() if _may_matter(rows[mark])}
    words = [_state(rows[mark], label, watched.get(mark)) for mark, label in orders.items()]
    return [*dict.fromkeys(words)]


def _may_matter(row: Row | None) -> bool:
    return row is not None and row.state not in (State.FAILED, State.CANCELLED)


def _state(row: Row | None, label: str, watched: bool | None) -> str:
    """watched  whether another node waits for it; None if it is not under way in this process"""
    state = row.state if row else None
    if watched or state is State.DELIVERED:
        return tr("taken up by a later queue")
    if watched is not None or state in _UNDER_WAY:
        return tr("goes on at {platform}, may be charged", platform=label)
    if state is State.SUCCEEDED:
        return tr("the result is here: queue again to take it, no charge")
    if state in _UNCLEAR:
        return tr("not known whether it was charged")
    if row and state is State.FAILED:
        return tr("failed: {reason}", reason=shorten(row.error, _REASON))
    return tr("cancelled") if row and row.task else _unsent()


def _unsent() -> str:
    return tr("stopped before anything was sent, no charge")
