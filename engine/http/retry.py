"""When a call is made again, after how long, and when nobody can tell what became of it."""

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
FIRST_PAUSE, LONGEST_PAUSE, LONGEST_ASKED = 0.5, 8.0, 120.0  # seconds

# A gateway speaks here, not the platform: the request may well have reached it. 520-530 are
# Cloudflare's. 303 is how a server says "done, look there".
_UNCLEAR = frozenset({303, 408, 502, 504, 598, 599, *range(520, 531)})

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
    """The answer of blocking `call`, made again while `should_repeat` says so, five times at most.

    run_blocking  awaits `call` in the caller's thread pool; pauses hold no thread
    submit        `call` sends what is paid for: never made again once it may have been accepted
    before        awaited ahead of every attempt (a gate that spaces requests)

    Raises the last error; for a submit that may have been accepted, OutcomeUnknown in its place.
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
            # Raised out here so that no half-told exception hangs on it as its context.
            raise outcome_unknown(failure) if submit and may_be_accepted(failure) else failure
        await sleep(pause(attempt, getattr(failure, "retry_after", None), jitter()))


def should_repeat(error: SkyportError, submit: bool = False) -> bool:
    """Whether the same call may help.

    Reads: after no answer, 408, 429 or 5xx. Submits: only when they were certainly not accepted: no
    byte of the body was asked for, 429, 503. Never when it is about money: asking does not help.
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

    What the platform asked for is obeyed, 0 included, up to two minutes. Else half a second,
    doubled each time up to 8 s, and up to a quarter more: many clients must not come back at once.
    """
    if retry_after is not None:
        return min(max(0.0, retry_after), LONGEST_ASKED)
    return float(min(FIRST_PAUSE * 2 ** (attempt - 1) * (1 + jitter / 4), LONGEST_PAUSE))


def may_be_accepted(error: SkyportError) -> bool:
    """Whether a submit that ended in `error` may live on at the platform, and cost.

    So it is after a body that left and was not answered, an answer that cannot be read (a page,
    cut or bad JSON), a gateway's answer, and 303 (done: look there). A plain 500 is the platform's
    own word that it failed, and is believed.
    """
    if isinstance(error, TransportError):
        return error.sent
    if isinstance(error, OutOfCredit):
        return False
    return isinstance(error, BadResult) or (
        isinstance(error, ApiError) and error.status in _UNCLEAR
    )


def no_task(label: str, words: str = "") -> OutcomeUnknown:
    """The error of a submit that was taken and answered without the id of a task, with `words`."""
    what = tr("The platform took the request and named no task; it may have been charged.")
    return OutcomeUnknown(
        f"{what} {tr('It said: {words}', words=scrub(words))}" if words else what,
        do=tr("Look at your tasks on the platform before you queue again."),
        platform=label,
    )


def outcome_unknown(error: SkyportError, label: str = "") -> OutcomeUnknown:
    """The error of a submit that may have been accepted; `error` says what was seen of it."""
    label = label or error.platform
    return OutcomeUnknown(
        tr("The request was sent, but no readable answer came: {why}", why=error.what),
        do=tr(
            "The task may exist and may have been charged: look at your tasks at {platform} "
            "before you queue it again.",
            platform=label or tr("the platform"),
        ),
        platform=label,
    )
