"""Media at URLs, for platforms that take files only: fetched here before anything is submitted."""

from __future__ import annotations

import os
import shutil
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import TypeVar

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

T = TypeVar("T")


class TempFolder:
    """A folder for fetched files, created on first use and removed after they are uploaded.

    It outlives the `with` only until the last thread that writes into it has ended.
    """

    def __init__(self) -> None:
        self._folder = ""
        self._lock = threading.Lock()
        self._writers = 0
        self._left = False

    @property
    def path(self) -> Path:
        if not self._folder:
            self._folder = mkdtemp(prefix="skyport-")
            # Also at exit, if that comes first.
            self._remove = weakref.finalize(self, _remove, self._folder, os.getpid())
        return Path(self._folder)

    def writing(self, write: Callable[[], T]) -> T:
        """What `write`, which writes into the folder, returns. Raises OSError after the `with`."""
        with self._lock:
            if self._left:
                raise FileNotFoundError(self.path)
            self._writers += 1
        try:
            return write()
        finally:
            with self._lock:
                self._writers -= 1
                self._remove_unused()

    def __enter__(self) -> TempFolder:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._left = True
            self._remove_unused()

    def _remove_unused(self) -> None:
        if self._left and not self._writers and self._folder:
            self._remove()


def _remove(folder: str, process: int) -> None:
    """Remove `folder`, unless this is a fork of the `process` whose it is."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


async def fetch_remote_files(
    engine: Engine, job: Job, request: Request, folder: TempFolder
) -> Request:
    """`request` with every RemoteFile replaced by its file, downloaded to `folder`.

    The rules for results apply: only public hosts and the platform's own, up to the size limit in
    the settings. Raises InvalidInput naming the input that cannot be fetched or breaks its rule.
    """
    remotes = list(dict.fromkeys(leaves(request.payload, RemoteFile)))
    if not remotes:
        return request
    job.enter("fetching")
    progress = TransferProgress(job)
    downloads = [
        _fetch(engine, job, remote, folder, number, progress.part())
        for number, remote in enumerate(remotes, 1)
    ]
    files = dict(zip(remotes, await all_of(downloads), strict=True))
    return request.with_payload(
        with_leaves(request.payload, RemoteFile, lambda remote: files[remote])
    )


async def _fetch(
    engine: Engine, job: Job, remote: RemoteFile, folder: TempFolder, number: int, report: Report
) -> MediaFile:
    target = folder.path / f"{remote.what}_{number}"
    cap = settings.load().max_result_mb * 1024 * 1024
    download = Download(job.provider.server_for(remote.url), remote.url, target, cap, report)
    try:
        result = await retrying(
            lambda: folder.writing(download.attempt), run_blocking=engine.transfer
        )
        file = await engine.blocking(lambda: describe(result.path))
    except SkyportError as error:
        raise _unusable(job, remote, error.what) from None
    if file.kind is not remote.kind:
        why = tr("it takes {kind}, not {given}", kind=remote.kind.value, given=file.kind.value)
        raise _unusable(job, remote, why)
    check(file, remote.rule, remote.what, job.request.title)
    return file


def _unusable(job: Job, remote: RemoteFile, why: str) -> InvalidInput:
    return InvalidInput(
        tr("The address linked to {what} cannot be used: {why}", what=remote.what, why=why),
        do=tr("Nothing was sent. Link a public address of such a file, or the file itself."),
        platform=job.provider.label,
    )
