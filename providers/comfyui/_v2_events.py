"""What a server of the Comfy API v2 tells of a job as it happens: how far it is, and its end.

An extra: the truth is polled, and without a stream progress and end are only seen later.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, repeat
from threading import Event, Thread
from typing import Any

from ...engine.base import forks
from ...engine.base.errors import ApiError, SkyportError
from ...engine.base.types import Json, Status, TaskState
from ...engine.http.client import Http
from ...engine.http.response import StreamListener
from ._liveness import Liveness
from ._v2_answers import is_end, with_progress

_MOST = 32  # streams of one server: further jobs are polled only
_QUIET = 300.0  # seconds without a byte after which a stream is asked for anew
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # seconds before a broken stream is asked for again
_MOST_TRIES = 100
_NONE_HERE = (404, 405, 410, 501)  # there is no such stream


@dataclass
class Followed:
    """A job as its stream tells it: whom to wake at its end, and its last progress.

    polled_in  the spell of its stream (see Liveness) in which it was last polled
    """

    wakes: list[Callable[[], None]] = field(default_factory=list)
    progress: Mapping[str, Json] | None = None
    liveness: Liveness = field(default_factory=Liveness)
    polled_in: int = 0


class JobEvents:
    """The streams of one server's jobs, each read by a thread of its own."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._lock = forks.Lock()
        self._jobs: dict[str, Followed] = {}
        self._never = Event()  # to pause on

    def on_end(self, job_id: str, path: str, wake: Callable[[], None]) -> None:
        """Call `wake`, from another thread, once the stream at `path` tells the job's end."""
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None and len(self._jobs) < _MOST:
                job = self._jobs[job_id] = Followed()
                name = "skyport-comfyui-job-events"
                Thread(target=self._run, args=(job_id, path), name=name, daemon=True).start()
            if job is not None:
                job.wakes.append(wake)

    def begin_poll(self, job_id: str) -> None:
        """Note that the job is polled now: what its stream tells from now on is all news."""
        if (job := self._jobs.get(job_id)) is not None:
            job.polled_in = job.liveness.spell

    def live_state(self, job_id: str, state: TaskState) -> TaskState | None:
        """`state`, of the last poll, as it is now; None where the job's end might not be told."""
        job = self._jobs.get(job_id)
        spell = job.liveness.spell if job else 0
        if job is None or not spell or job.polled_in != spell:
            return None
        if job.progress is None or state.status is not Status.QUEUED:
            return with_progress(state, job.progress or {})
        return None

    def progress(self, job_id: str) -> Mapping[str, Json] | None:
        job = self._jobs.get(job_id)
        return job.progress if job else None

    def forget(self, job_id: str) -> None:
        with self._lock:
            self._jobs.pop(job_id, None)

    # -- a thread for each ------------------------------------------------------------------

    def _run(self, job_id: str, path: str) -> None:
        for pause in chain(_PAUSES, repeat(_PAUSES[-1], _MOST_TRIES)):
            if not self._read(job_id, path):
                break
            self._never.wait(pause)
        self.forget(job_id)

    def _read(self, job_id: str, path: str) -> bool:
        """Read one stream to its end; whether there may be more of the job."""
        job = self._jobs.get(job_id)
        if job is None:
            return False
        lines = EventLines(lambda kind, data: self._take(job, kind, data))

        def on_line(line: str) -> bool:
            job.liveness.record()
            with suppress(ValueError, RecursionError):
                lines.line(line)
            return lines.has_ended or job_id not in self._jobs

        try:
            self._http.stream(path, StreamListener(on_line, _QUIET))
        except ApiError as error:
            return error.http not in _NONE_HERE and job_id in self._jobs
        except SkyportError:
            return job_id in self._jobs
        finally:
            job.liveness.lose()
        _wake(job)  # it ends with the job
        return not lines.has_ended and job_id in self._jobs

    def _take(self, job: Followed, kind: str, data: Mapping[str, Any]) -> bool:
        """Note an event; whether it is the last one."""
        if kind == "progress":
            job.progress = data
        return kind == "status" and is_end(data)


class EventLines:
    """Puts the lines of a stream of Server-Sent Events together.

    take  called with each event and its data; whether it was the last
    """

    def __init__(self, take: Callable[[str, Mapping[str, Any]], bool]) -> None:
        self.has_ended = False
        self._take = take
        self._kind, self._data = "", list[str]()

    def line(self, line: str) -> None:
        """Raises ValueError for data that are no JSON."""
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
        elif not line:
            self._dispatch()

    def _dispatch(self) -> None:
        kind, text = self._kind, "\n".join(self._data)
        self._kind, self._data = "", []
        data = json.loads(text) if text else None
        if isinstance(data, dict):
            self.has_ended = self._take(kind, data) or self.has_ended


def _wake(job: Followed) -> None:
    for wake in tuple(job.wakes):
        with suppress(RuntimeError):  # its loop has been closed
            wake()
