"""Polls a task until it ends, or until nothing more can be learnt of it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from functools import partial

from ..base.background import Engine
from ..base.errors import ApiError, BadResult, SkyportError, TransportError
from ..base.types import Request, Status, Task, TaskState
from ..base.words import tr
from ..http.retry import retrying
from ..ledger.ledger import Ledger, Row, State
from ..platforms.provider import Provider
from ..settings import settings
from .elsewhere import can_go_elsewhere
from .job import Job, Stopped, within
from .news import News
from .outcome import (
    look_reason,
    lost_error,
    poll_stopped_error,
    raise_unless_succeeded,
    read_answer,
    scrub_state,
    silence_error,
    unresolved_error,
)
from .polling import POLLS_A_SECOND, Forecast, Pace, RateLimiter
from .resume import ResumeCheck
from .shared_rate import SharedRate
from .waiting import DEAD_AFTER, Waiting

LOOK = 60.0  # seconds to look for a task that is unresolved, or that nobody waits for
_MAX_DURATIONS = 20  # recent tasks of one model from which the next duration is estimated
_CANCEL_LIMIT = 30.0  # seconds for a platform to answer that it cancels


class Poller:
    """The polls of all tasks. Runs on the engine's loop and uses its clock."""

    def __init__(self, engine: Engine, ledger: Ledger, resume: ResumeCheck) -> None:
        self._engine = engine
        self._ledger = ledger
        self._in_thread = resume.in_thread
        self._rate_limiters: dict[str, RateLimiter | SharedRate] = {}
        self._durations: dict[tuple[str, str, str], deque[float]] = {}
        self._durations_lock = asyncio.Lock()

    async def wait(self, job: Job, task: Task, row: Row | None, pace: Pace) -> TaskState:
        """Poll until the task has succeeded, and record where its results are.

        Raises TaskFailed, TaskCancelled, TaskUnresolved, TaskTimeout; AuthRejected for the key.
        """
        now, patience = _now(), settings.load().patience_s
        is_free = job.provider.charges_nothing(task.endpoint)
        waiting = Waiting(now, now - _age(row), is_free=is_free)
        forecast = Forecast(now - _age(row), await self._usual_durations(job.request))
        look_until = now + LOOK if row and row.state is State.UNRESOLVED else None
        job.show(usual=forecast.usual)
        news = News(job, task)
        while True:
            due = pace.next_poll(forecast.expected_end(), forecast.spread)
            due = max(due, _now() + waiting.pause)
            due = due if look_until is None else min(due, look_until)
            answer = await self._next_answer(job, task, pace, due, news)
            if isinstance(answer, SkyportError):
                waiting.fail(answer, _now())
                await self._give_up_if_dead(job, task, waiting, min(DEAD_AFTER, patience))
            else:
                ended = waiting.take(answer, _now())
                forecast.observe(_now(), answer.progress)
                if answer.known and not answer.status.terminal:
                    look_until = None
                await self._record_state(job, answer, looking=look_until is not None)
                if ended and not waiting.unresolved:
                    return await self._ended(job, task, answer)
            if waiting.lost:
                raise lost_error(job, task, waiting.lost)
            self._show_silence(job, waiting)
            if waiting.gave_up(_now(), patience if job.is_awaited else LOOK):
                raise silence_error(job, task, waiting.last_words, waiting.silent_for(_now()))
            if waiting.unresolved or (look_until is not None and _now() >= look_until):
                reason = waiting.unresolved or look_reason(LOOK, waiting.last_words)
                failure = unresolved_error(job, task, reason)
                failure.answer = waiting.answer
                raise failure

    async def _ended(self, job: Job, task: Task, state: TaskState) -> TaskState:
        """`state` if the task succeeded; its addresses are recorded before any is fetched."""
        if state.status is Status.CANCELLED and not job.cancel_reason:
            row = await self._in_thread(lambda: self._ledger.find(job.fingerprint))
            if row is not None and row.task == task and row.state is State.CANCELLED:
                job.cancel_reason = row.error  # another process has cancelled it
        cost = state.cost
        if cost is not None:
            await self._in_thread(lambda: self._ledger.record_cost(job.fingerprint, task.id, cost))
        raise_unless_succeeded(job, task, state)
        await self._in_thread(lambda: self._ledger.record_success(job.fingerprint, task.id, state))
        return state

    async def _give_up_if_dead(
        self, job: Job, task: Task, waiting: Waiting, seconds: float
    ) -> None:
        """A silent server that charges nothing is given up where another one can take the order."""
        if waiting.silent is None or waiting.silent_for(_now()) < seconds:
            return
        if job.may_be_sent_again and await can_go_elsewhere(self._engine, job, task.endpoint):
            waiting.lost = tr(
                "Its server does not answer any more: {words}", words=waiting.last_words
            )

    def _show_silence(self, job: Job, waiting: Waiting) -> None:
        since = waiting.silent
        job.show(silent=None if since is None else time.monotonic() - (_now() - since))

    async def _record_state(self, job: Job, state: TaskState, looking: bool) -> None:
        """Show the state; record it in the ledger if its status or cost is new.

        With `looking`, nothing proves yet that the task is more than unresolved.
        """
        before = job.snapshot.state
        job.show(state=state)
        news = (state.status, state.known, state.cost)
        is_new = before is None or (before.status, before.known, before.cost) != news
        if is_new and not state.status.terminal and not looking:
            async with job.recording:
                running = State.DETACHED if job.is_left else State.RUNNING
                await self._in_thread(
                    lambda: self._ledger.record_progress(job.fingerprint, running, state.cost)
                )

    async def _next_answer(
        self, job: Job, task: Task, pace: Pace, due: float, news: News
    ) -> TaskState | SkyportError:
        """The answer to the next poll when it is due, or what came instead."""
        while True:
            try:
                return await job.unless_stopped(self._poll(job, task, pace, due, news))
            except Stopped:
                is_late = pace.is_late(_now())
                await self._cancel(job, task)
                if is_late and job.watchers <= 0:
                    job.open.clear()  # it holds no slot for a platform that does not answer
                    raise poll_stopped_error(job, task) from None

    async def _cancel(self, job: Job, task: Task) -> None:
        """Stop the task if the platform can; else it runs on, and its watchers keep waiting."""
        job.open.clear()
        cancelled = False
        cancel = partial(read_answer, job.provider, lambda: job.provider.cancel(task))
        try:
            cancelled = await within(
                _CANCEL_LIMIT,
                retrying(cancel, run_blocking=self._engine.blocking),
                TransportError(
                    tr("It did not answer when asked to cancel the task."),
                    platform=job.provider.label,
                ),
            )
        finally:
            if not cancelled:  # else the job stays closed until it has finished
                job.open.set()
        if cancelled:
            raise job.stop_error(task)
        job.stop.clear()

    async def _poll(
        self, job: Job, task: Task, pace: Pace, due: float, news: News
    ) -> TaskState | SkyportError:
        await news.wait(due)
        await asyncio.sleep(pace.earliest_poll() - _now())
        is_told = await news.take_turn(self._rate_limiter(job.provider, task))
        pace.record_poll(_now(), is_told)
        provider = job.provider
        poll = partial(read_answer, provider, lambda: scrub_state(provider.poll(task)))
        try:
            state = await self._engine.blocking(poll)
        except (ApiError, BadResult, TransportError) as error:
            return error
        pace.record_answer()
        news.record_answer(state)
        return state

    # -- shared by the tasks of a platform --------------------------------------------------

    def add_duration(self, request: Request, seconds: float) -> None:
        """Note how long a task took, for the forecasts of the next ones."""
        self._durations[_duration_key(request)].append(seconds)

    def _rate_limiter(self, provider: Provider, task: Task) -> RateLimiter | SharedRate:
        """Polls at one address: those of all who use a ledger, but at a server of one's own."""
        is_shared = self._ledger.is_shared and not provider.charges_nothing(task.endpoint)
        scope = f"{provider.name} {provider.polled_address(task)}"
        if scope not in self._rate_limiters:
            self._rate_limiters[scope] = (
                SharedRate(self._ledger, self._in_thread, scope, POLLS_A_SECOND)
                if is_shared
                else RateLimiter(POLLS_A_SECOND)
            )
        return self._rate_limiters[scope]

    async def _usual_durations(self, request: Request) -> tuple[float, ...]:
        """Durations of such tasks in seconds: from the ledger, then updated here."""
        key = _duration_key(request)
        async with self._durations_lock:  # or every task of a large batch would ask the ledger
            if key not in self._durations:
                past = await self._in_thread(lambda: self._ledger.past_durations(*key))
                self._durations[key] = deque(reversed(past), maxlen=_MAX_DURATIONS)
        return tuple(self._durations[key])


def _age(row: Row | None) -> float:
    """Seconds since the task of `row` was submitted; 0 for one of this moment."""
    return max(0.0, time.time() - row.submitted) if row and row.submitted else 0.0


def _now() -> float:
    return asyncio.get_running_loop().time()


def _duration_key(request: Request) -> tuple[str, str, str]:
    """Requests with the same key take about the same time."""
    return request.platform, request.endpoint, request.title
