"""A job's progress as a fraction and as words. No I/O: every host shows it in its own way."""

from __future__ import annotations

from dataclasses import dataclass

from ..base.types import Amount, Status, TaskState
from ..base.words import tr
from .job import Job, JobSnapshot

DOT = " \u00b7 "


@dataclass(frozen=True)
class ProgressText:
    """The progress of a job at one moment.

    share   fraction done, 0..1
    words   `running 42 %`, `KSampler`, `0:37 of about 1:30`, `queue 3/12`, `0.11 CNY`
    short   the same without what changes all the time: `running`, `KSampler`
    answer  text of a streamed answer so far, "" if there is none
    """

    share: float
    words: tuple[str, ...]
    short: tuple[str, ...]
    answer: str = ""

    def tail(self, most: int) -> str:
        """The end of the answer, at most `most` characters."""
        cut = len(self.answer) > most
        return f"...{self.answer[3 - most :]}" if cut else self.answer


def progress_text(job: Job, now: float) -> ProgressText:
    """The progress of `job` at `now`, in seconds of `time.monotonic`."""
    answer = job.snapshot.answer if job.snapshot.stage == "answering" else ""
    return ProgressText(
        share_of(job, now), tuple(_words(job, now)), tuple(_short(job.snapshot)), answer
    )


def share_of(job: Job, now: float) -> float:
    """The fraction of `job` that is done at `now`, 0..1."""
    return 1.0 if job.future.done() else _share(job.snapshot, now)


def clock(seconds: float) -> str:
    """`seconds` as 1:05."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _words(job: Job, now: float) -> list[str]:
    snapshot = job.snapshot
    words = [_stage(snapshot), *_node_at_work(snapshot)]
    if snapshot.stage == "running":
        words.append(_time(now - snapshot.since, snapshot.usual))
        words += _queue_and_cost(snapshot.state, job.record.unit)
        if snapshot.silent is not None:
            words.append(tr("no answer for {time}", time=clock(now - snapshot.silent)))
    if snapshot.stage == "answering":
        words.append(clock(now - snapshot.since))
    if job.begun_ahead is not None:
        words.append(tr("started when queued, {time} ago", time=clock(now - job.begun_ahead)))
    if snapshot.attached:
        words.append(tr("attached to the task of an earlier run"))
    return words


def _short(snapshot: JobSnapshot) -> list[str]:
    if snapshot.stage == "running" and snapshot.state is not None:
        return [_status(snapshot.state), *_node(snapshot)]
    return [_STAGES[snapshot.stage]()]


def _stage(snapshot: JobSnapshot) -> str:
    if snapshot.stage in _TRANSFER_STAGES and snapshot.total:
        return _TRANSFER_STAGES[snapshot.stage](f"{100 * snapshot.transferred // snapshot.total} %")
    if snapshot.stage == "running" and snapshot.state is not None:
        word, progress = _status(snapshot.state), snapshot.state.progress
        return word if progress is None else f"{word} {progress * 100:.0f} %"
    return _STAGES[snapshot.stage]()


_TRANSFER_STAGES = {
    "fetching": lambda share: tr("fetching {share}", share=share),
    "uploading": lambda share: tr("uploading {share}", share=share),
    "submitting": lambda share: tr("uploading {share}", share=share),  # files inside the submit
    "downloading": lambda share: tr("downloading {share}", share=share),
}
_STAGES = {
    "waiting": lambda: tr("waiting for a free slot"),
    "preparing": lambda: tr("preparing"),
    "fetching": lambda: tr("fetching"),
    "uploading": lambda: tr("uploading"),
    "submitting": lambda: tr("submitting"),
    "running": lambda: tr("submitted"),
    "answering": lambda: tr("answering"),
    "downloading": lambda: tr("downloading"),
    "done": lambda: tr("done"),
}


def _status(state: TaskState) -> str:
    if not state.known:
        return state.word
    return tr("queued") if state.status is Status.QUEUED else tr("running")


def _node(snapshot: JobSnapshot) -> list[str]:
    state = snapshot.state if snapshot.stage == "running" else None
    return [state.node] if state is not None and state.node else []


def _node_at_work(snapshot: JobSnapshot) -> list[str]:
    """The node with its own progress: `KSampler 42 %`."""
    share = snapshot.state.node_progress if snapshot.state is not None else None
    return [node if not share else f"{node} {share * 100:.0f} %" for node in _node(snapshot)]


def _time(seconds: float, usual: float | None) -> str:
    if usual is None:
        return clock(seconds)
    return tr("{time} of about {usual}", time=clock(seconds), usual=clock(usual))


def _queue_and_cost(state: TaskState | None, unit: str) -> list[str]:
    if state is None:
        return []
    position, length = state.queue
    words = []
    if position is not None:
        shown = f"{position}/{length}" if length is not None else str(position)
        words.append(tr("queue {place}", place=shown))
    if state.cost is not None:
        words.append(str(Amount(state.cost, unit)))
    return words


def _share(snapshot: JobSnapshot, now: float) -> float:
    if snapshot.stage in ("downloading", "done"):
        return 0.97
    if snapshot.stage == "answering":
        return 0.5
    if snapshot.stage != "running" or snapshot.state is None:
        return 0.02
    progress = snapshot.state.progress
    if progress is None:
        progress = min(0.9, (now - snapshot.since) / snapshot.usual) if snapshot.usual else 0.05
    return 0.05 + 0.9 * progress
