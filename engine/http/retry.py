"""When a call is repeated, after which pause, and when its outcome is unknown."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..base.errors import (
    ApiError,
    InvalidInput,
    OutcomeUnknown,
    OutOfCredit,
    RateLimited,
    ServerFault,
    SkyportError,
    TransportError,
)
from ..base.shown_text import scrub
from ..base.words import tr
from .error_answers import says_too_many

T = TypeVar("T")

ATTEMPTS = 5
FIRST_PAUSE, MAX_PAUSE, MAX_RETRY_AFTER = 0.5, 8.0, 120.0  # seconds

# No key, proxy's key, length, size, address, headers: refused before a request is let through.
_NEVER_LET_THROUGH = frozenset({401, 403, 407, 411, 413, 414, 431})
_NO_SUCH_ADDRESS = frozenset({404, 405, 410})
_CLIENT_GAVE_UP = frozenset({408, 425, 499})  # the request arrived, at least in part

# A generator of our own: a retry in the background must not move the one that others have seeded.
_chance = random.Random()


async def retrying(
    call: Callable[[], T],
    *,
    submit: bool = False,
    run_blocking: Callable[[Callable[[], T]], Awaitable[T]],
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    jitter: Callable[[], float] = _chance.random,
    before: Callable[[], Awaitable[object]] | None = None,
    gives_up: Callable[[SkyportError], bool] = lambda error: False,
) -> T:
    """The result of blocking `call`, repeated as `should_repeat` decides, five attempts at most.

    run_blocking  awaits `call` in the caller's thread pool; pauses hold no thread
    submit        `call` is charged for: never repeated once it may have been accepted
    before        awaited ahead of every attempt, to space out requests
    gives_up      whether the caller knows better what to do about an error than to repeat

    Raises the last error.
    """
    attempt = 0
    while True:
        attempt += 1
        if before is not None:
            await before()
        try:
            return await run_blocking(call)
        except SkyportError as error:
            failure = error
        if attempt == ATTEMPTS or gives_up(failure) or not should_repeat(failure, submit):
            # Raised outside the handler so that no other exception is attached to it as context.
            raise failure
        await sleep(pause(attempt, getattr(failure, "retry_after", None), jitter()))


def should_repeat(error: SkyportError, submit: bool = False) -> bool:
    """Whether repeating the call may help.

    Reads: after no answer, 408, 429 or 5xx. Submits: only if they were certainly not accepted: no
    byte of the body was sent, or the platform itself says "later". Never without credit.
    """
    if isinstance(error, OutOfCredit):
        return False
    if isinstance(error, TransportError):
        return not (submit and error.sent)
    if submit:
        return is_too_many(error)
    if not isinstance(error, ApiError):
        return False
    return error.status == 408 or isinstance(error, (RateLimited, ServerFault))


def is_too_many(error: BaseException) -> bool:
    """Whether the platform refuses an order in its own form, as it has too many or is busy.

    That proves that the order was not taken: it may be sent again once there is room.
    """
    if not isinstance(error, ApiError) or isinstance(error, OutOfCredit):
        return False
    if not error.own_form or may_be_accepted(error):
        return False
    return bool({error.http, error.status} & {429, 503}) or says_too_many(error.what)


def pause(attempt: int, retry_after: float | None, jitter: float) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 1); `jitter` is 0..1.

    The platform's Retry-After is obeyed, 0 included, up to two minutes. Else half a second, doubled
    each time up to 8 s, plus up to a quarter, so that many clients do not return at once.
    """
    if retry_after is not None:
        return min(max(0.0, retry_after), MAX_RETRY_AFTER)
    return float(min(FIRST_PAUSE * 2 ** (attempt - 1) * (1 + jitter / 4), MAX_PAUSE))


def may_be_accepted(error: BaseException, *, address_known: bool = True) -> bool:
    """Whether a submit that ended in `error` may have been accepted, and charged.

    Only proof says no: it was never sent; the platform refused it in its own form; or the answer is
    one that is given before a request is let through, whoever gave it. A page, a text, a redirect,
    another JSON, a 5xx: anyone on the way can answer so after the platform has accepted.

    address_known  whether this address has ever answered as the platform: if not, a page that says
                   404 means that it is the wrong address
    """
    if isinstance(error, InvalidInput):
        return False
    if isinstance(error, TransportError):
        return error.sent
    if not isinstance(error, ApiError):
        return True
    if error.http in _NEVER_LET_THROUGH:
        return False
    if error.own_form:
        return not (isinstance(error, OutOfCredit) or _is_refusal(error.http))
    return address_known or error.http not in _NO_SUCH_ADDRESS


def _is_refusal(http: int) -> bool:
    """Whether this HTTP status, in the platform's own form, refuses the request."""
    if http in (429, 503):  # "later", and it was repeated often enough
        return True
    return http < 300 or (400 <= http < 500 and http not in _CLIENT_GAVE_UP)


def refused_on_the_way(error: BaseException) -> bool:
    """Whether somebody on the way, and not the platform, refused the request."""
    return isinstance(error, ApiError) and not error.own_form and not may_be_accepted(error)


def is_wrong_address(error: BaseException) -> bool:
    """Whether somebody says that there is no such address, in words that are not the platform's."""
    is_page = isinstance(error, ApiError) and not error.own_form
    return is_page and getattr(error, "http", 0) in _NO_SUCH_ADDRESS


def no_task_id_error(label: str, words: str = "") -> OutcomeUnknown:
    """The error for a submit that was accepted but whose answer, `words`, holds no task id."""
    what = tr(
        "The platform accepted the request but returned no task id; it may have been charged."
    )
    return OutcomeUnknown(
        f"{what} {tr('It said: {words}', words=scrub(words))}" if words else what,
        do=tr("Check your tasks on the platform before you queue again."),
        platform=label,
    )


def outcome_unknown(error: BaseException, label: str) -> OutcomeUnknown:
    """The error for a submit to the platform `label` that may have been accepted."""
    if isinstance(error, OutcomeUnknown):
        return error
    reason = getattr(error, "what", "") or f"{type(error).__name__} {error}".strip()
    return OutcomeUnknown(
        tr("The request was sent, but no readable answer came: {why}", why=reason),
        do=tr(
            "The task may exist and may have been charged: check your tasks on {platform}. Queue "
            "again only if it is not there: that orders, and charges, a new one.",
            platform=label,
        ),
        platform=label,
    )
