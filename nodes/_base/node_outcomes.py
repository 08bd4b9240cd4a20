"""What became of the latest run of each node, for the editor; kept in memory only.

The event `skyport.outcome` has {"workflow"}: something has changed on a node of that workflow.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

import comfy.model_management as host
from comfy_execution.utils import get_executing_context
from server import PromptServer

from ...engine.base.errors import SkyportError
from ...engine.base.types import Result
from ...engine.tasks.job import Job
from .prompt_queue import running_workflow

EVENT = "skyport.outcome"
_log = logging.getLogger(__name__)
_MOST = 2000  # runs that are remembered


@dataclass
class Call:
    """One execution of a node; in one prompt a node has one for each item of a list.

    orders    platform's label by fingerprint
    results   without their texts
    warnings  what the person should know, beside those of the results
    failure   what went wrong, "" if nothing did
    is_left   whether the node has stopped waiting: after Interrupt, or as another node failed
    """

    orders: dict[str, str] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failure: str = ""
    is_left: bool = False
    has_ended: bool = False


@dataclass
class NodeRun:
    """What a node did in one prompt; `is_repeated` where a later prompt took its outputs again."""

    workflow: str
    node: str
    prompt: str
    calls: list[Call] = field(default_factory=list)
    is_repeated: bool = False

    @property
    def is_running(self) -> bool:
        return not all(call.has_ended for call in self.calls)

    @property
    def is_unfinished(self) -> bool:
        """Whether it ended without all results, so that something may go on at the platform."""
        return any(call.is_left or call.failure for call in self.calls)

    def failures(self) -> list[str]:
        return [call.failure for call in self.calls if call.failure]

    def orders(self) -> dict[str, str]:
        return {mark: label for call in self.calls for mark, label in call.orders.items()}


_lock = threading.Lock()
_runs: OrderedDict[tuple[str, str], NodeRun] = OrderedDict()  # by workflow and node
_call: ContextVar[Call | None] = ContextVar("skyport_call", default=None)


@contextmanager
def recording(node_id: str | None) -> Iterator[None]:
    """Records what happens inside as one execution of the node that ComfyUI is executing."""
    context = get_executing_context()
    prompt = (context.prompt_id if context else "") or ""
    workflow = _workflow_of(prompt)
    call = _begin(workflow, node_id or "", prompt)
    token = _call.set(call)
    try:
        yield
    except (asyncio.CancelledError, host.InterruptProcessingException):
        call.is_left = True
        raise
    except Exception as error:
        call.failure = error.what if isinstance(error, SkyportError) else str(error)
        call.failure = call.failure or type(error).__name__
        raise
    finally:
        call.has_ended = True
        _call.reset(token)
        _notify(workflow)


def note_jobs(jobs: Sequence[Job]) -> None:
    """The node waits, or has waited, for these jobs."""
    note_orders({job.fingerprint: job.provider.label for job in jobs})


def note_orders(orders: dict[str, str]) -> None:
    """The node has to do with these orders: the platform's label by fingerprint."""
    if call := _call.get():
        call.orders.update(orders)


def note_results(results: Sequence[Result], warnings: Sequence[str] = ()) -> None:
    """The node hands these results over."""
    if call := _call.get():
        call.results += [replace(result, texts=(), details=()) for result in results]
        call.warnings += warnings


def latest(workflow: str) -> list[NodeRun]:
    """The latest run of each node of the workflow."""
    with _lock:
        return [run for run in _runs.values() if run.workflow == workflow]


def warnings_of(mark: str, now: Result) -> list[str]:
    """What the latest runs with the order of this fingerprint warned of; `now` is its result.

    Not what was missing then and has been fetched since.
    """
    with _lock:
        calls = [call for run in _runs.values() for call in run.calls if mark in call.orders]
    results = [result for call in calls for result in call.results if _is_as_it_was(result, now)]
    texts = [text for result in results for text in result.warnings]
    texts += [text for call in calls for text in call.warnings]
    return [*dict.fromkeys(filter(None, texts))]


def _is_as_it_was(then: Result, now: Result) -> bool:
    return (then.task_id, len(then.missing)) == (now.task_id, len(now.missing))


def forget(run: NodeRun) -> None:
    """A later prompt held the node, and did not come to it."""
    with _lock:
        if _runs.get((run.workflow, run.node)) is run:
            del _runs[run.workflow, run.node]


def _workflow_of(prompt: str) -> str:
    """Never raises: no node fails because a ComfyUI keeps its queue in another form."""
    try:
        return running_workflow(prompt)
    except Exception:
        _log.warning("Skyport could not read ComfyUI's queue", exc_info=True)
        return ""


def _begin(workflow: str, node_id: str, prompt: str) -> Call:
    call, key = Call(), (workflow, node_id)
    if not workflow:  # no editor shows it
        return call
    with _lock:
        run = _runs.get(key)
        if run is None or run.prompt != prompt:
            run = _runs[key] = NodeRun(workflow, node_id, prompt)
        run.calls.append(call)
        _runs.move_to_end(key)
        if len(_runs) > _MOST:
            _runs.popitem(last=False)
    _notify(workflow)
    return call


def _notify(workflow: str) -> None:
    if workflow:
        PromptServer.instance.send_sync(EVENT, {"workflow": workflow})
