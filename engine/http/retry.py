"""When a call is repeated, after which pause, and when its outcome is unknown."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..base.errors import (
    ApiError,
    BadResult,
    OutcomeUnknown,
    OutOfCredit,
    RateLimited,
    ServerFault,
    SkyportError,
    TransportError,
)
from ..base.shown_text import scrub
from ..base.words import tr

T = TypeVar("T")

ATTEMPTS = 5
FIRST_PAUSE, MAX_PAUSE, MAX_RETRY_AFTER = 0.5, 8.0, 120.0  # seconds

# These come from a gateway, not from the platform, which may have got the request. 520-530 are
# Cloudflare's. 303 means "done, the result is elsewhere".
_AMBIGUOUS_STATUSES = frozenset({303, 408, 502, 504, 598, 599, *range(520, 531)})

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
) -> T:
    """The result of blocking `call`, repeated as `should_repeat` decides, five attempts at most.

    run_blocking  awaits `call` in the caller's thread pool; pauses hold no thread
    submit        `call` is charged for: never repeated once it may have been accepted
    before        awaited ahead of every attempt, to space out requests

    Raises the last error; for a submit that may have been accepted, OutcomeUnknown instead.
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
        if attempt == ATTEMPTS or not should_repeat(failure, submit):
            # Raised outside the handler so that no other exception is attached to it as context.
            raise outcome_unknown(failure) if submit and may_be_accepted(failure) else failure
        await sleep(pause(attempt, getattr(failure, "retry_after", None), jitter()))


def should_repeat(error: SkyportError, submit: bool = False) -> bool:
    """Whether repeating the call may help.

    Reads: after no answer, 408, 429 or 5xx. Submits: only if they were certainly not accepted: no
    byte of the body was sent, 429, 503. Never without credit.
    """
    if isinstance(error, OutOfCredit):
        return False
    if isinstance(error, TransportError):
        return not (submit and error.sent)
    if isinstance(error, RateLimited):
        return True
    if not isinstance(error, ApiError):
        return False
    if submit:
        return error.status == 503
    return error.status == 408 or isinstance(error, ServerFault)


def pause(attempt: int, retry_after: float | None, jitter: float) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 1); `jitter` is 0..1.

    The platform's Retry-After is obeyed, 0 included, up to two minutes. Else half a second, doubled
    each time up to 8 s, plus up to a quarter, so that many clients do not return at once.
    """
    if retry_after is not None:
        return min(max(0.0, retry_after), MAX_RETRY_AFTER)
    return float(min(FIRST_PAUSE * 2 ** (attempt - 1) * (1 + jitter / 4), MAX_PAUSE))


def may_be_accepted(error: SkyportError) -> bool:
    """Whether a submit that ended in `error` may have been accepted, and charged.

    True if the body was sent and not answered, or the answer is unreadable (HTML, truncated or bad
    JSON), a gateway's, or 303. A plain 500 is the platform's own statement that it failed, and is
    believed.
    """
    if isinstance(error, TransportError):
        return error.sent
    if isinstance(error, OutOfCredit):
        return False
    return isinstance(error, BadResult) or (
        isinstance(error, ApiError) and error.status in _AMBIGUOUS_STATUSES
    )


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


def outcome_unknown(error: SkyportError, label: str = "") -> OutcomeUnknown:
    """The error for a submit that may have been accepted and ended in `error`."""
    label = label or error.platform
    return OutcomeUnknown(
        tr("The request was sent, but no readable answer came: {why}", why=error.what),
        do=tr(
            "The task may exist and may have been charged: check your tasks on {platform} before "
            "you queue it again.",
            platform=label or tr("the platform"),
        ),
        platform=label,
    )
