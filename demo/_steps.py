"""The steps of the demo: their state, results and progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..engine.base.errors import SkyportError
from ..engine.base.words import tr
from ..engine.tasks.job import Job
from ..engine.tasks.progress import ProgressText, progress_text

WAITING, DOING, DONE, FAILED = "waiting", "doing", "done", "failed"


class Stranded(Exception):
    """A step failed, so the steps that need its result cannot run."""


@dataclass(frozen=True)
class StepResult:
    """One result: its location, its size or length, and the files to show of it."""

    where: str
    size: str = ""
    files: Sequence[Path] = ()


@dataclass
class Step:
    """name: for the user; by: the model, app or cluster at work; task: its task id."""

    name: str
    by: str = ""
    state: str = WAITING
    task: str = ""
    seconds: float = 0.0
    results: Sequence[StepResult] = ()
    error: str = ""
    job: Job | None = None
    live_progress: Callable[[float], ProgressText] | None = None
    _began: float = field(default=0.0, repr=False)

    @contextmanager
    def running(self, by: str = "") -> Iterator[None]:
        """Time the work inside and keep its error. Raises Stranded instead of that error."""
        self.state, self.by, self._began = DOING, by, time.monotonic()
        try:
            yield
        except (SkyportError, OSError) as error:
            self.state, self.error = FAILED, str(error)
            self.task = getattr(error, "task_id", "") or self.task
            raise Stranded from error
        except BaseException as error:
            self.state, self.error = FAILED, repr(error)
            raise
        else:
            self.state = DONE
        finally:
            self.seconds = time.monotonic() - self._began

    def elapsed(self, now: float) -> float:
        """Seconds since it began."""
        return now - self._began

    def progress_text(self) -> ProgressText:
        """The current progress."""
        if self.state == DOING:
            return self._running(time.monotonic())
        if self.state == DONE:
            took = tr("{seconds} s", seconds=f"{self.seconds:.1f}")
            return ProgressText(1.0, (tr("done"), took), (tr("done"), took))
        if self.state == FAILED:
            return ProgressText(1.0, (tr("failed"), self.error), (tr("failed"), self.error))
        return ProgressText(0.0, (tr("waiting"),), ())

    def _running(self, now: float) -> ProgressText:
        if self.live_progress is not None:
            return self.live_progress(now)
        if self.job is not None:
            return progress_text(self.job, now)
        return ProgressText(0.05, (tr("running"),), (tr("running"),))


class Trip(Protocol):
    """Steps and how to run them."""

    @property
    def steps(self) -> Sequence[Step]: ...

    async def go(self) -> None:
        """Run on the engine's loop all steps that can run; a failed one has its error."""
