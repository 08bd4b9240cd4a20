"""What the answers to the polls of one task amount to. Pure decisions, no I/O.

Only the platform's words end a task; an answer that is missing or not understood is judged by time.
"""

from __future__ import annotations

from dataclasses import replace

from ..base.errors import (
    ApiError,
    AuthRejected,
    NotFound,
    SkyportError,
)
from ..base.shown_text import shorten
from ..base.types import Status, TaskState
from ..base.words import tr
from ..platforms.last_answer import shown_answer

RESULT_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)  # seconds between looks for late results
YOUNG = 120.0  # seconds after its submit in which a platform may not know a task yet
MISSING_FOR = 300.0  # seconds to ask on for a task that the platform does not know
UNCHANGED_FOR = 600.0  # seconds in which an unknown status must change
FREE_MISSING_FOR = 5.0  # seconds to ask on where a task costs nothing: then it is lost
MAX_PAUSE = 30.0  # seconds between polls that bring no answer
DEAD_AFTER = 30.0  # seconds without an answer after which another server may take the task


class Waiting:
    """The polls of one task up to now. Times are seconds on one clock.

    submitted  when the task was submitted
    pause      the least seconds until the next poll
    silent     since when no answer has come, None while answers come
    unresolved why nothing proves how the task ended, "" as long as there is hope
    lost       why a task that costs nothing can be given up, "" otherwise
    answer     the platform's last answer, for a person to read
    """

    def __init__(self, now: float, submitted: float, *, is_free: bool = False) -> None:
        self.pause = 0.0
        self.silent: float | None = None
        self.last_words = ""
        self.unresolved = self.lost = ""
        self.answer = ""
        self._submitted = submitted
        self._is_free = is_free
        self._seen_alive = False
        self._missing_since: float | None = None
        self._looks = 0
        self._state: TaskState | None = None
        self._unchanged_since = now
        self._failures = 0

    # -- an answer --------------------------------------------------------------------------

    def take(self, state: TaskState, now: float) -> bool:
        """Take an answer about the task; whether it ends the wait."""
        self._answered()
        self._seen_alive = True
        self._missing_since = None
        self.answer = state.answer or self.answer
        if state.status is Status.SUCCEEDED and not state.outputs:
            return self._without_results(state)
        self._looks = 0
        if not state.known:
            return self._unknown(state, now)
        self._state = None
        return state.status.terminal

    def _without_results(self, state: TaskState) -> bool:
        self.last_words = tr(
            "The platform says that the task succeeded, and names no result: {reason}",
            reason=state.message or tr("no output in its answer"),
        )
        if self._looks == len(RESULT_PAUSES):
            self.unresolved = self.last_words
            return True
        self.pause = RESULT_PAUSES[self._looks]
        self._looks += 1
        return False

    def _unknown(self, state: TaskState, now: float) -> bool:
        self.last_words = state.word or state.message or shorten(state.answer)
        plain = replace(state, answer="", details=())  # an answer's own id is no change of the task
        if plain != self._state:
            self._state, self._unchanged_since = plain, now
        if now - self._unchanged_since < UNCHANGED_FOR:
            return False
        self.unresolved = tr(
            'The task has reported "{word}" for {minutes} minutes, which is not a known status.',
            word=self.last_words,
            minutes=round(UNCHANGED_FOR / 60),
        )
        return True

    # -- no answer --------------------------------------------------------------------------

    def fail(self, error: SkyportError, now: float) -> bool:
        """Take a poll that brought no state; whether it ends the wait.

        Raises `error` where it is the platform's own refusal of the key.
        """
        own = isinstance(error, ApiError) and error.own_form
        if own and isinstance(error, AuthRejected):
            raise error
        self.last_words = error.what
        if own and isinstance(error, NotFound):
            self._answered()
            self.answer = shown_answer(error.body)
            return self._missing(error, now)
        self._failures += 1
        self.silent = now if self.silent is None else self.silent
        retry_after = getattr(error, "retry_after", None)
        self.pause = min(MAX_PAUSE, 1.5 * 2 ** min(self._failures - 1, 5))
        if retry_after is not None:
            self.pause = min(max(self.pause, retry_after), 4 * MAX_PAUSE)
        return False

    def _missing(self, error: NotFound, now: float) -> bool:
        words = tr("The platform does not know the task any more: {words}", words=error.what)
        if self._is_free:
            return self._missing_at_no_cost(words, now)
        if not self._seen_alive and now - self._submitted < YOUNG:
            return False
        self._missing_since = now if self._missing_since is None else self._missing_since
        self.pause = min(MAX_PAUSE, (now - self._missing_since) / 4)
        if now - self._missing_since < MISSING_FOR:
            return False
        self.unresolved = words
        return True

    def _missing_at_no_cost(self, words: str, now: float) -> bool:
        """A second look suffices: nothing is paid twice where the task is alive after all."""
        self._missing_since = now if self._missing_since is None else self._missing_since
        self.pause = FREE_MISSING_FOR
        if now - self._missing_since < FREE_MISSING_FOR:
            return False
        self.lost = words
        return True

    def gave_up(self, now: float, patience: float) -> bool:
        """Whether the platform has brought no answer for `patience` seconds."""
        return self.silent is not None and self.silent_for(now) >= patience

    def silent_for(self, now: float) -> float:
        """Seconds without an answer."""
        return 0.0 if self.silent is None else now - self.silent

    def _answered(self) -> None:
        self.silent = None
        self._failures = 0
        self.pause = 0.0
