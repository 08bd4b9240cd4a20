"""Fetching what a finished task made: every result by itself becomes a file, a text, or missing."""

from __future__ import annotations

import asyncio
import hashlib
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from ..base.background import Engine
from ..base.errors import BadResult, SkyportError
from ..base.shown_text import scrub
from ..base.types import (
    Kind,
    MissingResult,
    Output,
    Report,
    Result,
    ResultFile,
    ResultText,
    Task,
    TaskState,
)
from ..base.words import tr
from ..http.retry import retrying
from ..ledger.ledger import Ledger
from ..media.download import Download, keep
from ..media.files import is_intact
from ..media.part_file import safe_name
from ..settings import folders, settings
from .job import Job, TransferProgress
from .kept_files import earlier_path, match, names_before

Fetched = ResultFile | SkyportError


@dataclass(frozen=True)
class Results:
    """The results of a task as far as they have come, and an error for each that has not."""

    result: Result
    errors: tuple[SkyportError, ...] = ()

    @property
    def has_any(self) -> bool:
        return not self.errors or has_any(self.result)

    def whole_or_part(self) -> Result:
        """The result, if anything has come. Raises the first error otherwise."""
        if not self.has_any:
            raise self.errors[0]
        return self.result


def has_any(result: Result) -> bool:
    """Whether there is anything to deliver."""
    return bool(result.files or result.texts)


async def check_writable(engine: Engine, job: Job, into: Path) -> None:
    """Raises InvalidInput if results of `job` cannot be written: asked before they are paid for."""
    folder = _folder(job.provider.name, into)
    await engine.blocking(lambda: folders.check_writable(folder))


def _folder(platform: str, into: Path) -> Path:
    return into / platform / date.today().isoformat()


# -- fetch --------------------------------------------------------------------------------------


async def fetch_results(
    engine: Engine, job: Job, task: Task, state: TaskState, into: Path, earlier: Result | None
) -> Results:
    """Fetch every output of `state`, in parallel, to `into`/platform/date.

    Files of `earlier` that are intact on this disk are not fetched again.
    """
    before = earlier or Result(task.id)
    outputs = [each for each in state.outputs if each.url or each.data or each.unreadable]
    kept = await engine.blocking(lambda: _intact([*before.files, *before.text_files]))
    stem = file_stem(job.request.title, task.id, task.platform)
    target = _folder(task.platform, into) / stem
    fetch = _Fetch(engine, job, target, kept)
    fetched = await fetch.all(outputs, before.missing)
    return await engine.blocking(lambda: _results(job, task, state, outputs, fetched))


class _Fetch:
    """Fetches the outputs of one task."""

    def __init__(self, engine: Engine, job: Job, target: Path, kept: list[ResultFile]) -> None:
        self._engine = engine
        self._job = job
        self._target = target
        self._kept = kept
        self._progress = TransferProgress(job)
        self._new: list[ResultFile] = []

    async def all(
        self, outputs: Sequence[Output], missing: Sequence[MissingResult]
    ) -> list[Fetched]:
        """The file of each output, or the error that it is missing for."""
        found = match(outputs, self._kept)
        self._kept = [file for file in self._kept if file not in found]
        work = [
            self._one(number, output, file, earlier_path(number, output.url, missing))
            for number, (output, file) in enumerate(zip(outputs, found, strict=True), 1)
        ]
        try:
            outcomes = await asyncio.gather(*work, return_exceptions=True)
            return [_file_or_error(outcome) for outcome in outcomes]
        except BaseException:
            for file in self._new:  # not on record: they will be fetched again
                _remove(file.path)
            raise

    async def _one(
        self, number: int, output: Output, kept: ResultFile | None, undecodable: str
    ) -> ResultFile:
        file = kept
        if file is None:
            target = self._target.with_name(f"{self._target.name}_{number}")
            new = await self._fetch(output, target)
            file = await self._engine.blocking(lambda: self._settled(new, target, undecodable))
            self._new.append(file)
        return replace(file, url=output.url, node_id=output.node_id, title=output.title)

    async def _fetch(self, output: Output, target: Path) -> ResultFile:
        if output.unreadable:
            raise BadResult(
                tr("The answer of the platform holds it in a form that cannot be decoded."),
                do=tr("Queue again to ask for it once more."),
            )
        if output.data:
            return await self._engine.blocking(lambda: keep(output.data, target, text=True))
        return await self._download(output.url, target, self._progress.part())

    async def _download(self, url: str, target: Path, report: Report) -> ResultFile:
        cap = settings.load().max_result_mb * 1024 * 1024
        server = self._job.provider.server_for(url)
        download = Download(server, url, target, cap, report, text=True)
        try:
            return await retrying(download.attempt, run_blocking=self._engine.transfer)
        except BaseException:
            download.give_up()
            raise

    def _settled(self, file: ResultFile, target: Path, undecodable: str) -> ResultFile:
        """`file`, or an equal one that an attempt before this one has left."""
        stem = safe_name(target.name)
        left = [replace(file, path=path) for path in names_before(file.path, stem)]
        same = [each for each in self._kept if each.sha256 == file.sha256]
        equal = [each for each in (*same, *left) if is_intact(each)]
        if [str(each.path) for each in equal] == [undecodable]:
            return file  # both stay: they show that the platform has no other bytes
        if equal:
            _remove(file.path)
            self._kept = [each for each in self._kept if each is not equal[0]]
            return equal[0]
        if undecodable and Path(undecodable) != file.path:
            _remove(Path(undecodable))
        return file


def _file_or_error(outcome: ResultFile | BaseException) -> Fetched:
    if isinstance(outcome, (ResultFile, SkyportError)):
        return outcome
    if isinstance(outcome, Exception):
        return BadResult(tr("It could not be read: {reason}", reason=type(outcome).__name__))
    raise outcome


def _intact(files: Sequence[ResultFile]) -> list[ResultFile]:
    return [file for file in files if is_intact(file)]


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def file_stem(title: str, task_id: str, platform: str) -> str:
    """The beginning of the names of a task's files; a platform's tasks all get different ones.

    A hash is added to an id that cannot stand in a name as it is, or whose letters some systems
    take for others: A for a.
    """
    plain = _file_name(task_id)
    if plain != unicodedata.normalize("NFC", task_id).casefold():
        digest = hashlib.sha256(f"{platform} {task_id}".encode("utf-8", "surrogatepass"))
        plain = f"{plain}_{digest.hexdigest()[:8]}"
    return f"{_file_name(title)}_{plain}"


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "task"


# -- what came of it ----------------------------------------------------------------------------


def _results(
    job: Job,
    task: Task,
    state: TaskState,
    outputs: Sequence[Output],
    fetched: Sequence[Fetched],
) -> Results:
    files = [each for each in fetched if isinstance(each, ResultFile)]
    errors = {n: each for n, each in enumerate(fetched, 1) if isinstance(each, SkyportError)}
    texts = [file for file in files if file.kind is Kind.TEXT]
    missing = tuple(
        MissingResult(number, outputs[number - 1].url, _sentences(error))
        for number, error in errors.items()
    )
    result = Result(
        task_id=task.id,
        files=tuple(file for file in files if file.kind is not Kind.TEXT),
        texts=(
            *(ResultText(one.text, one.node_id) for one in state.outputs if one.is_text),
            *(ResultText(one.path.read_text("utf-8", "replace"), one.node_id) for one in texts),
        ),
        details=state.details,
        cost=state.cost,
        unit=job.record.unit,
        text_files=tuple(texts),
    )
    warned = replace(result, warnings=(*state.warnings, *_kept_warnings(result)))
    return Results(with_missing(warned, missing), tuple(errors.values()))


def with_missing(result: Result, missing: Sequence[MissingResult]) -> Result:
    """`result` with more missing, and warnings that name them."""
    if not missing:
        return result
    count = len(result.files) + len(result.text_files) + len(result.missing) + len(missing)
    how = tr(
        "Queue again, load the job again, or use `skyport jobs fetch`: only what is missing is "
        "fetched, at no charge."
    )
    texts = [_missing_text(one, count) for one in missing]
    before = [warning for warning in result.warnings if warning != how]
    every = sorted((*result.missing, *missing), key=lambda one: one.number)
    return replace(result, missing=tuple(every), warnings=(*before, *texts, how))


def _missing_text(one: MissingResult, count: int) -> str:
    values = {"number": one.number, "count": count, "reason": one.reason}
    if not one.url:
        return tr("Result {number} of {count} is missing: {reason}", **values)
    return tr(
        "Result {number} of {count} ({address}) is missing: {reason}",
        address=scrub(one.url),
        **values,
    )


def without_files(result: Result, reasons: Mapping[Path, str]) -> Result:
    """`result` without the files of these paths, which are missing from it for these reasons."""
    taken = {one.number for one in result.missing}
    count = len(result.files) + len(result.missing)
    numbers = (number for number in range(1, count + 1) if number not in taken)
    missing = [
        MissingResult(number, file.url, reasons[file.path], str(file.path))
        for number, file in zip(numbers, result.files, strict=False)
        if file.path in reasons
    ]
    files = tuple(file for file in result.files if file.path not in reasons)
    return with_missing(replace(result, files=files), missing)


def record_unreadable(
    ledger: Ledger, fingerprint: str, result: Result, reasons: Mapping[Path, str]
) -> Result:
    """`result` without the files that cannot be decoded; an equal order fetches only those."""
    row = ledger.find(fingerprint)
    if row is not None and row.result is not None:
        left = without_files(row.result, reasons)
        ledger.record_missing(fingerprint, left)
        if not has_any(left):
            ledger.mark_files_lost(fingerprint)
    return without_files(result, reasons)


def has_any_of(result: Result, paths: Collection[Path]) -> bool:
    """Whether files of `result` are among these."""
    return any(file.path in paths for file in result.files)


def part_on_disk(result: Result | None, reason: str) -> Result | None:
    """What of `result` is intact on this disk, None if nothing is. Reads its files whole.

    reason  why the rest cannot be fetched now
    """
    if result is None:
        return None
    lost = {file.path: reason for file in result.files if not is_intact(file)}
    part = without_files(result, lost) if lost else result
    return part if has_any(part) else None


def _sentences(error: SkyportError) -> str:
    return scrub(str(SkyportError(error.what, do=error.do)))


def _kept_warnings(result: Result) -> tuple[str, ...]:
    return tuple(
        tr("{name} is no image, video or audio file. It is kept as {path}.", name=n, path=file.path)
        for file in result.of(Kind.FILE)
        for n in (file.path.name,)
    )
