"""What can be seen of a job, as a bar and as words. No I/O: every host shows it in its own way."""

from __future__ import annotations

from dataclasses import dataclass

from ..base.types import Status, TaskState
from ..base.words import say
from .job import Job, Sight

DOT = " \u00b7 "


@dataclass(frozen=True)
class Glimpse:
    """One look at a job.

    share  how much of it is done, 0..1
    words  `running 42 %`, `KSampler`, `0:37 of about 1:30`, `queue 3/12`, `0.11`
    short  the same without what changes all the time: `running`, `KSampler`
    said   all that an answer has said so far, "" where it is none
    """

    share: float
    words: tuple[str, ...]
    short: tuple[str, ...]
    said: str = ""

    def tail(self, most: int) -> str:
        """The end of what it has said, at most `most` letters."""
        cut = len(self.said) > most
        return f"...{self.said[3 - most :]}" if cut else self.said


def glimpse(job: Job, now: float) -> Glimpse:
    """The job at `now`, in seconds of `time.monotonic`."""
    share = 1.0 if job.future.done() else _share(job.sight, now)
    said = job.sight.said if job.sight.stage == "answering" else ""
    return Glimpse(share, tuple(_words(job.sight, now)), tuple(_short(job.sight)), said)


def clock(seconds: float) -> str:
    """`seconds` as 1:05."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _words(sight: Sight, now: float) -> list[str]:
    words = [_stage(sight), *_node(sight)]
    if sight.stage == "running":
        words.append(_time(now - sight.since, sight.usual))
        words += _queue_and_cost(sight.state)
    if sight.stage == "answering":
        words.append(clock(now - sight.since))
    if sight.attached:
        words.append(say("attached to the task of an earlier run"))
    return words


def _short(sight: Sight) -> list[str]:
    if sight.stage == "running" and sight.state is not None:
        return [_status(sight.state), *_node(sight)]
    return [_STAGES[sight.stage]()]


def _stage(sight: Sight) -> str:
    if sight.stage in _MOVING and sight.total:
        return _MOVING[sight.stage](f"{100 * sight.moved // sight.total} %")
    if sight.stage == "running" and sight.state is not None:
        word, progress = _status(sight.state), sight.state.progress
        return word if progress is None else f"{word} {progress * 100:.0f} %"
    return _STAGES[sight.stage]()


_MOVING = {
    "fetching": lambda share: say("fetching {share}", share=share),
    "uploading": lambda share: say("uploading {share}", share=share),
    "submitting": lambda share: say("uploading {share}", share=share),  # files inside the submit
    "downloading": lambda share: say("downloading {share}", share=share),
}
_STAGES = {
    "waiting": lambda: say("waiting for a free slot"),
    "preparing": lambda: say("preparing"),
    "fetching": lambda: say("fetching"),
    "uploading": lambda: say("uploading"),
    "submitting": lambda: say("submitting"),
    "running": lambda: say("submitted"),
    "answering": lambda: say("answering"),
    "downloading": lambda: say("downloading"),
    "done": lambda: say("done"),
}


def _status(state: TaskState) -> str:
    if not state.known:
        return state.word
    return say("queued") if state.status is Status.QUEUED else say("running")


def _node(sight: Sight) -> list[str]:
    state = sight.state if sight.stage == "running" else None
    return [state.node] if state is not None and state.node else []


def _time(seconds: float, usual: float | None) -> str:
    if usual is None:
        return clock(seconds)
    return say("{time} of about {usual}", time=clock(seconds), usual=clock(usual))


def _queue_and_cost(state: TaskState | None) -> list[str]:
    if state is None:
        return []
    place, length = state.queue
    words = []
    if place is not None:
        shown = f"{place}/{length}" if length is not None else str(place)
        words.append(say("queue {place}", place=shown))
    if state.cost is not None:
        words.append(f"{state.cost:g}")
    return words


def _share(sight: Sight, now: float) -> float:
    if sight.stage in ("downloading", "done"):
        return 0.97
    if sight.stage == "answering":
        return 0.5
    if sight.stage != "running" or sight.state is None:
        return 0.02
    progress = sight.state.progress
    if progress is None:
        progress = min(0.9, (now - sight.since) / sight.usual) if sight.usual else 0.05
    return 0.05 + 0.9 * progress
