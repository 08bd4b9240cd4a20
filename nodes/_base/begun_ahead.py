"""Orders begun for prompts that wait in ComfyUI's queue, until their nodes run and take them over.

What is held is read and changed on the engine's loop only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial

from comfy_execution.utils import get_executing_context

from ... import providers
from ...engine.base.errors import ApiError, OutcomeUnknown, TaskCancelled, TaskFailed
from ...engine.base.types import Request
from ...engine.ledger.ledger import Source, fingerprint_of, is_new_order
from ...engine.platforms.provider import Provider
from ...engine.settings import settings
from ...engine.tasks.job import Job
from ...engine.workflows.api_format import Workflow
from .known_values import content_of
from .prompt_queue import State, state_of, states_of


class Begun(Exception):
    """The orders of a node are begun ahead: it goes no further."""


@dataclass
class Call:
    """One execution of a node in a prompt; `index` where it is one of several, for a list.

    rank         of the prompt in the queue where its orders are begun ahead, else None
    is_outdated  whether it takes orders that were begun for its inputs as they were before
    is_anew      whether it is one of several whose inputs have changed since, and orders for them
    """

    source: Source
    index: int | None
    rank: float | None
    is_outdated: bool = False
    is_anew: bool = False
    taken: list[_Order] = field(default_factory=list)  # what was begun ahead, and is its own now

    @property
    def key(self) -> tuple[str, int | None]:
        return self.source.node_id, self.index


@dataclass(frozen=True)
class _Order:
    request: Request
    job: Job

    def or_request(self) -> Request | Job:
        """The job, whose outcome the node has to take: asked for anew, it would be sent again.

        The request where nothing was sent, for a reason that may be gone by now, and where the task
        goes on at the platform: the ledger knows it.
        """
        error = self.job.future.exception() if self.job.future.done() else None
        if error is None or isinstance(error, TaskCancelled):
            return self.job
        is_over = isinstance(error, (TaskFailed, OutcomeUnknown))
        is_refused = isinstance(error, ApiError) and not error.task_id
        return self.job if not self.job.is_unsent and (is_over or is_refused) else self.request


_rank: ContextVar[float | None] = ContextVar("skyport_rank", default=None)
_delivered: set[tuple[str, bool]] = set()  # nodes by their content, and whether in practice mode
_held: dict[str, dict[tuple[str, int | None], list[_Order]]] = {}  # by prompt, then by call


def note_delivered(prompt: Workflow, node_id: str) -> None:
    """The node has run, and ComfyUI may keep its outputs: see `was_delivered`."""
    if node_id in prompt:
        _delivered.add((content_of(prompt, node_id), settings.load().sandbox))


def was_delivered(prompt: Workflow, node_id: str) -> bool:
    """Whether ComfyUI may take the node's outputs from its cache, which nobody can ask.

    Then nothing must be ordered for it, also where the ledger has forgotten the order, or where
    another address would make it a new one.
    """
    return (content_of(prompt, node_id), settings.load().sandbox) in _delivered


@contextmanager
def beginning(rank: float) -> Iterator[None]:
    """Nodes called in here begin their orders and go no further; the lowest rank is sent first."""
    token = _rank.set(rank)
    try:
        yield
    finally:
        _rank.reset(token)


def current_call(node_id: str) -> Call:
    """The execution of the node that calls this."""
    context = get_executing_context()
    source = Source(node_id, (context.prompt_id if context else "") or "")
    return Call(source, context.list_index if context else None, _rank.get())


async def begin(call: Call, provider: Provider, requests: Sequence[Request]) -> None:
    """Begin the orders of a node that runs later, unless it will find all of them in the ledger."""
    runner, prompt = providers.runner(), call.source.prompt_id
    fingerprints = [fingerprint_of(request, provider.http.base_url) for request in requests]
    in_progress = any(map(runner.is_running, fingerprints))
    is_due = await runner.engine.blocking(lambda: _is_due(prompt, fingerprints, in_progress))
    if is_due and call.rank is not None:
        into = providers.results()
        jobs = await runner.begin_ahead(provider, requests, into, call.source, call.rank)
        for job in jobs:
            job.is_wanted = partial(_is_wanted, job)
        orders = [_Order(*pair) for pair in zip(requests, jobs, strict=True)]
        _held.setdefault(prompt, {}).setdefault(call.key, []).extend(orders)


def _is_due(prompt: str, fingerprints: Sequence[str], in_progress: bool) -> bool:
    if not state_of(prompt).is_open:
        return False
    ledger, reuse = providers.ledger(), settings.load().reuse_results
    return in_progress or any(is_new_order(ledger.find(one), reuse) for one in fingerprints)


def _is_wanted(job: Job) -> bool:
    """False for what only deleted prompts wait for, which nobody has noticed yet."""
    prompts = [
        prompt
        for prompt, calls in _held.items()
        for orders in calls.values()
        for order in orders
        if order.job is job
    ]
    if not prompts or job.watchers > len(prompts):
        return True
    return any(state is not State.GONE for state in states_of(prompts).values())


def orders_of(
    call: Call, provider: Provider, requests: Sequence[Request]
) -> Sequence[Request | Job]:
    """`requests`, or what was begun for them ahead: a paid order is not replaced by a new one.

    It stays even where an input has changed since, such as a file: see `Call.is_outdated`. Not so
    where the node is called for each item of a list: an item that came between would shift the
    orders of all after it, so each takes its own.
    """
    held = _held_of(call, provider, call.key)
    if not held and not _is_of_list(call):
        return requests
    now = [fingerprint_of(request, provider.http.base_url) for request in requests]
    are_equal = now == [order.job.fingerprint for order in held]
    if held and len(held) == len(requests) and (are_equal or not _is_of_list(call)):
        call.is_outdated, call.taken = not are_equal, held
        return [order.or_request() for order in held]
    call.taken = _taken(now, [*held, *_of_other_items(call, provider)])
    known = {order.job.fingerprint: order.or_request() for order in call.taken}
    was_begun = call.key in _held[call.source.prompt_id]  # another item may have taken it
    call.is_anew = was_begun and not known.keys() >= set(now)
    return [known.get(one, request) for one, request in zip(now, requests, strict=True)]


def _is_of_list(call: Call) -> bool:
    """Whether orders were begun for several items of the node."""
    calls = _held.get(call.source.prompt_id, {})
    return any(key != call.key and key[0] == call.source.node_id for key in calls)


def _of_other_items(call: Call, provider: Provider) -> Iterator[_Order]:
    for key in _held.get(call.source.prompt_id, {}):
        if key != call.key and key[0] == call.source.node_id:
            yield from _held_of(call, provider, key)


def _taken(now: Sequence[str], held: Sequence[_Order]) -> list[_Order]:
    """One of `held` for each of the orders with these fingerprints."""
    wanted = Counter(now)
    taken = []
    for order in held:
        if wanted[order.job.fingerprint] > 0:
            wanted[order.job.fingerprint] -= 1
            taken.append(order)
    return taken


def _held_of(call: Call, provider: Provider, key: tuple[str, int | None]) -> list[_Order]:
    """What was begun for a call of the node where the provider would send it now."""
    return [
        order
        for order in _held.get(call.source.prompt_id, {}).get(key, ())
        if order.job.provider.name == provider.name
        and order.job.record.base_url == provider.http.base_url
    ]


def hand_over(call: Call) -> None:
    """The node itself waits for its orders now."""
    calls = _held.get(call.source.prompt_id, {})
    left = list(map(id, call.taken))
    for key in (call.key, *calls):  # nearly always the first
        if not left:
            return
        for order in [one for one in calls.get(key, ()) if id(one) in left]:
            calls[key].remove(order)
            left.remove(id(order))
            providers.runner().withdraw(order.job)


def held(prompt: str) -> list[tuple[str, list[Job]]]:
    """The orders that the prompt's nodes have not taken over, by node."""
    calls = _held.get(prompt, {}).items()
    return [(node_id, [order.job for order in orders]) for (node_id, _), orders in calls]


def end(prompt: str, *, stop: bool) -> None:
    """The prompt is over. What its nodes have not taken over is stopped, or else only what has not
    been sent."""
    runner = providers.runner()
    for orders in _held.pop(prompt, {}).values():
        for order in orders:
            if stop:
                runner.leave(order.job, stop=True)
            else:
                runner.withdraw(order.job)
