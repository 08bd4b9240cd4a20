"""Getting an order to its platform: its media fetched and hosted, then sent, once.

Runs on the engine's loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from ..base.background import Engine, all_of
from ..base.json_tree import files_in, unsigned, urls_in, with_files
from ..base.types import MediaFile, Report, Request, Task, TaskState, silent
from ..hosting.upload_cache import UploadCache
from ..http.retry import retrying
from ..ledger.ledger import Ledger
from ..platforms.provider import Provider
from .job import Job, Stopped, TransferProgress
from .remote_media import TempFolder, fetched
from .resume import ResumeCheck

T = TypeVar("T")


class Submitter:
    """Sends each order once, and keeps its intent before and what came of it right after."""

    def __init__(
        self, engine: Engine, ledger: Ledger, resume: ResumeCheck, upload_cache: UploadCache
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._resume = resume
        self._upload_cache = upload_cache

    async def submit(self, job: Job) -> Task | None:
        """The task, once the platform took it; None when another process has sent the order."""
        report = TransferProgress(job).part()
        with TempFolder() as folder:
            request = await self._intended(job, folder)
            if request is None:
                return None
            task_id = await self._once(job, lambda: job.provider.submit(request, report))
        # A signature, and whose it is, belongs in no ledger.
        sent = frozenset(map(unsigned, urls_in(request.payload)))
        task = Task(request.platform, request.endpoint, task_id, sent)
        await self._resume.kept(lambda: self._ledger.record_accepted(job.record, task))
        return task

    async def answer(self, job: Job) -> tuple[Task, TaskState] | None:
        """What the platform answered; None when another process has sent the order."""
        with TempFolder() as folder:
            request = await self._intended(job, folder)
            if request is None:
                return None
            call = partial(job.provider.answer, request, job.on_text)
            answer_id, state = await self._once(job, call)
        task = Task(request.platform, request.endpoint, answer_id or job.fingerprint[:12])
        await self._resume.kept(lambda: self._ledger.record_accepted(job.record, task))
        job.show(task_id=task.id)
        return task, state

    async def host(
        self,
        provider: Provider,
        request: Request,
        files: Sequence[MediaFile],
        part: Callable[[], Report] = lambda: silent,
    ) -> list[str]:
        """Where each file is for requests like `request`; the same file goes up only once."""
        upload_scope = await self._upload_scope(provider, request) if files else ""
        return await all_of(
            [self._upload(provider, request, file, upload_scope, part()) for file in files]
        )

    # -- make ready -------------------------------------------------------------------------

    async def _intended(self, job: Job, folder: TempFolder) -> Request | None:
        """The request, ready and its intent kept; None when another process has sent the order."""
        try:
            request = await job.unless_stopped(self._ready(job, folder))
        except Stopped:
            raise job.stopped() from None
        job.enter("submitting")
        if await self._resume.kept(lambda: self._ledger.record_intent(job.record)):
            return None
        return request

    async def _ready(self, job: Job, folder: TempFolder) -> Request:
        """The request as it will be sent. Nothing is paid for yet: it may be stopped anywhere."""
        job.enter("preparing")
        request = await self._read(lambda: job.provider.prepare(job.request))
        return await self._host_media(job, await fetched(self._engine, job, request, folder))

    async def _host_media(self, job: Job, request: Request) -> Request:
        """The request with every file uploaded, side by side, and its URL in its place."""
        files = files_in(request.payload)
        if not files or job.provider.sends_files_inside(request):
            return request
        job.enter("uploading")
        progress = TransferProgress(job, sum(file.size for file in files))
        urls = await self.host(job.provider, request, files, progress.part)
        upload_cache = {
            (file.sha256, file.name): url for file, url in zip(files, urls, strict=True)
        }
        return request.with_payload(
            with_files(request.payload, lambda file: upload_cache[file.sha256, file.name])
        )

    async def _upload_scope(self, provider: Provider, request: Request) -> str:
        """Known before the first upload begins, so that a place that is missing costs none."""
        return await self._read(lambda: provider.upload_scope(request))

    async def _upload(
        self,
        provider: Provider,
        request: Request,
        file: MediaFile,
        upload_scope: str,
        report: Report,
    ) -> str:
        async def upload() -> tuple[str, float]:
            url = await retrying(
                lambda: provider.upload(file, request, report), run_blocking=self._engine.transfer
            )
            return url, provider.url_lifetime(url, request)

        return await self._upload_cache.url(f"{upload_scope} {file.sha256}", upload)

    async def _read(self, call: Callable[[], T]) -> T:
        return await retrying(call, run_blocking=self._engine.blocking)

    # -- send -------------------------------------------------------------------------------

    async def _once(self, job: Job, call: Callable[[], T]) -> T:
        """Not stoppable once it is out: the answer must be kept, whoever still waits for it.

        Between tries it is: another try is made only when the platform has certainly not taken the
        one before.
        """

        async def wanted() -> None:
            if job.stop.is_set():
                raise Stopped

        async def pause(seconds: float) -> None:
            await job.unless_stopped(asyncio.sleep(seconds))

        try:
            return await retrying(
                call,
                submit=True,
                run_blocking=self._engine.transfer,
                sleep=pause,
                before=wanted,
            )
        except Stopped:
            job.open.clear()  # who asks now must not join what is ending
            stopped = job.stopped()
            await self._resume.record_end(job, stopped)
            raise stopped from None
        except BaseException as error:
            await self._resume.record_end(job, error)
            raise
