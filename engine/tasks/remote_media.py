"""Media at URLs, for platforms that take files only: fetched here before anything is submitted."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from ..base.background import Engine, all_of
from ..base.errors import InvalidInput, SkyportError
from ..base.json_tree import leaves, with_leaves
from ..base.types import MediaFile, RemoteFile, Report, Request
from ..base.words import tr
from ..http.retry import retrying
from ..media.download import Download
from ..media.files import describe
from ..media.limits import check
from ..settings import settings
from .job import Job, TransferProgress


class TempFolder:
    """A folder for fetched files, made when one is needed; it goes when they have gone up."""

    def __init__(self) -> None:
        self._folder: TemporaryDirectory[str] | None = None

    @property
    def path(self) -> Path:
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="skyport-", ignore_cleanup_errors=True)
        return Path(self._folder.name)

    def __enter__(self) -> TempFolder:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()


async def fetched(engine: Engine, job: Job, request: Request, folder: TempFolder) -> Request:
    """`request` with the file of every RemoteFile in its place, in `room`.

    They come under the rules for results: from public hosts and the platform's own, up to the size
    set. Raises InvalidInput naming what could not be had, or does not fit.
    """
    wanted = list(dict.fromkeys(leaves(request.payload, RemoteFile)))
    if not wanted:
        return request
    job.enter("fetching")
    progress = TransferProgress(job)
    coming = [
        _file(engine, job, one, folder.path / f"{one.what}_{number}", progress.part())
        for number, one in enumerate(wanted, 1)
    ]
    here = dict(zip(wanted, await all_of(coming), strict=True))
    return request.with_payload(
        with_leaves(request.payload, RemoteFile, lambda remote: here[remote])
    )


async def _file(
    engine: Engine, job: Job, remote: RemoteFile, target: Path, report: Report
) -> MediaFile:
    cap = settings.load().max_result_mb * 1024 * 1024
    download = Download(job.provider.http, remote.url, target, cap, report)
    try:
        got = await retrying(download.attempt, run_blocking=engine.transfer)
        file = await engine.blocking(lambda: describe(got.path))
    except SkyportError as error:
        raise _not_had(job, remote, error.what) from None
    if file.kind is not remote.kind:
        why = tr("it takes {kind}, not {given}", kind=remote.kind.value, given=file.kind.value)
        raise _not_had(job, remote, why)
    check(file, remote.rule, remote.what, job.request.title)
    return file


def _not_had(job: Job, remote: RemoteFile, why: str) -> InvalidInput:
    return InvalidInput(
        tr("The address linked to {what} cannot be used: {why}", what=remote.what, why=why),
        do=tr("Nothing was sent. Link a public address of such a file, or the file itself."),
        platform=job.provider.label,
    )
