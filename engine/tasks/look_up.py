"""What became of a submit whose answer was lost, where the platform can be asked."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

from ..base.errors import OutcomeUnknown, SkyportError, TransportError
from ..base.types import Request
from ..base.words import tr
from ..http.retry import retrying
from ..ledger.ledger import Row
from ..platforms.provider import Provider
from .job import Job, within
from .outcome import read_answer

T = TypeVar("T")

SECOND_LOOK = 5.0  # seconds until "not found" is asked for again, and believed
_LIMIT = 90.0  # seconds for both looks


class RunBlocking(Protocol):
    """Awaits a blocking call in a thread."""

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]: ...


def number(job: Job, order_id: str = "") -> None:
    """Give the order of `job` this id, or a new one, by which it can be looked up."""
    order_id = order_id or str(uuid.uuid4())
    provider, request = job.provider, replace(job.request, order_id=order_id)
    is_kept = provider.can_look_up() and not provider.answers_at_once(request)
    job.request = request
    job.record = replace(job.record, order_id=order_id if is_kept else "")


def request_in(row: Row) -> Request:
    """The request of `row` as far as the ledger holds it: files in its payload are hashes."""
    record = row.record
    endpoint = record.sent_to or record.endpoint
    return Request(
        record.platform, endpoint, record.request, title=record.title, order_id=record.order_id
    )


async def look_up(
    provider: Provider, find: Callable[[], T | None], run_blocking: RunBlocking
) -> T | None:
    """What `find` finds of an order, None where it surely never arrived.

    Raises SkyportError where the platform does not say.
    """
    silent = TransportError(
        tr("It did not answer when asked what became of the request."), platform=provider.label
    )
    return await within(_LIMIT, _look_twice(provider, find, run_blocking), silent)


async def _look_twice(
    provider: Provider, find: Callable[[], T | None], run_blocking: RunBlocking
) -> T | None:
    look = partial(read_answer, provider, find)
    found = await retrying(look, run_blocking=run_blocking)
    if found is None:
        await asyncio.sleep(SECOND_LOOK)  # it may have been on its way
        found = await retrying(look, run_blocking=run_blocking)
    return found


def never_arrived_error(label: str, why: str = "") -> TransportError:
    """The error for an order that surely never arrived; `why` says how its submit ended."""
    what = tr("The request never arrived at the platform; nothing was charged.")
    return TransportError(
        f"{what} {why}".strip(), sent=False, do=tr("Queue again to send it."), platform=label
    )


def not_known_yet_error(label: str, what: str, silence: SkyportError) -> OutcomeUnknown:
    """The error for an order whose platform does not say either what became of it.

    what  how its submit ended
    """
    return OutcomeUnknown(
        tr(
            "{what} Asked about it, the platform said: {why}",
            what=_sentence(what),
            why=silence.what,
        ),
        do=tr(
            "It is asked again in the background, and when you queue again: the request is not "
            "sent twice. To order it anew all the same: Order anew in the list of jobs, or "
            "`skyport jobs anew`."
        ),
        platform=label,
    )


def still_unknown_error(row: Row, label: str, silence: SkyportError) -> OutcomeUnknown:
    """The same for an order of the ledger."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.created))
    what = tr("The answer to the same request of {when} was lost.", when=when)
    return not_known_yet_error(label, what, silence)


def _sentence(text: str) -> str:
    return text if text[-1:] in ".!?\u3002\uff01\uff1f" else text + tr(".")
