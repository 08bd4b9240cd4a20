"""Sending an order to its platform: fetch and host its media, then submit it once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import TypeVar

from ..base.background import Engine, all_of
from ..base.errors import ApiError, LimitReached, OutcomeUnknown, SkyportError
from ..base.json_tree import files_in, leaves, urls_in, with_files, without_signature
from ..base.types import MediaFile, Report, Request, ReusedUrl, Task, TaskState, no_report
from ..hosting.upload_cache import UploadCache
from ..http.retry import is_too_many, retrying
from ..ledger.ledger import Ledger
from ..platforms.provider import Provider
from ..spend import limits
from .elsewhere import can_go_elsewhere, is_silence
from .job import Job, Stopped, TransferProgress
from .lanes import Lanes
from .look_up import look_up, never_arrived_error, not_known_yet_error, number
from .lost_media import is_refused_for_lost_media, speaks_of_lost_media
from .outcome import scrub_state, submit_error, taken_for_dead_error
from .remote_media import TempFolder, fetch_remote_files
from .resume import ResumeCheck

T = TypeVar("T")

_MOST_SENDS = 3  # of an order that never arrives
_MOST_SILENT = 3  # servers that are left for another while an order is prepared


class Submitter:
    """Sends each order once; records its intent before and the outcome right after.

    Runs on the engine's loop.
    """

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        resume: ResumeCheck,
        upload_cache: UploadCache,
        lanes: Lanes,
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._resume = resume
        self._upload_cache = upload_cache
        self._lanes = lanes

    async def submit(self, job: Job) -> tuple[Task, TaskState | None] | None:
        """The task the platform accepted, with its final state where that was the answer.

        None if another process has sent the order.
        """
        report = TransferProgress(job).part()
        sent_once = await self._prepare_and_send(
            job,
            lambda request: job.provider.submit(request, report),
            job.provider.look_up if job.record.order_id else None,
        )
        if sent_once is None:
            return None
        request, accepted = sent_once
        # Signatures and the key ids beside them do not belong in the ledger.
        sent = frozenset(map(without_signature, urls_in(request.payload)))
        task_id = accepted if isinstance(accepted, str) else accepted.task_id
        task = Task(request.platform, request.endpoint, task_id or job.fingerprint[:12], sent)
        success = None if isinstance(accepted, str) else scrub_state(accepted)
        await self._record_accepted(job, task, success)
        return task, success

    async def submit_again(self, job: Job, lost: Task) -> tuple[Task, TaskState | None] | None:
        """`submit` for an order whose task its server has lost; its row goes on with a new task.

        None if another process has sent it again.
        """
        job.attempt += 1
        job.lost_task = lost
        number(job)
        try:
            return await self.submit(job)
        except SkyportError as error:
            if job.lost_task is not None:  # it was not sent: its row still has the lost task
                error.task_id = lost.id
                await self._resume.record_end(job, error)
            raise
        finally:
            job.lost_task = None

    async def answer(self, job: Job) -> tuple[Task, TaskState] | None:
        """The platform's answer; None if another process has sent the order."""
        sent_once = await self._prepare_and_send(
            job, lambda request: job.provider.answer(request, job.on_text)
        )
        if sent_once is None:
            return None
        request, (answer_id, state) = sent_once
        task = Task(request.platform, request.endpoint, answer_id or job.fingerprint[:12])
        success = scrub_state(state)
        await self._record_accepted(job, task, success)
        job.show(task_id=task.id)
        return task, success

    async def _record_accepted(self, job: Job, task: Task, success: TaskState | None) -> None:
        """One write: a process that dies after it has lost neither the id nor the answer."""
        self._lanes.accepted(job)
        await self._resume.in_thread(
            lambda: self._ledger.record_accepted(job.record, task, success)
        )

    async def host(
        self,
        provider: Provider,
        request: Request,
        files: Sequence[MediaFile],
        new_report: Callable[[], Report] = lambda: no_report,
    ) -> list[str]:
        """The URL of each file for requests like `request`; a file is uploaded only once."""
        upload_scope = await self._upload_scope(provider, request) if files else ""
        return await all_of(
            [self._upload(provider, request, file, upload_scope, new_report()) for file in files]
        )

    async def _prepare_and_send(
        self,
        job: Job,
        send: Callable[[Request], T],
        find: Callable[[Request], T | None] | None = None,
    ) -> tuple[Request, T] | None:
        """The request as sent and its answer; None if another process has sent the order.

        Where the answer is lost, `find` may find it at the platform.
        The request is prepared and submitted once more where its server does not answer and another
        one can take it, and after a refusal that gives reused files for lost: the platform cleared
        them before their time.
        """
        with TempFolder() as folder:
            request = await self._prepare_and_claim(job, folder)
            if request is None:
                return None
            job.reused_urls = tuple(leaves(request.payload, ReusedUrl))
            lost = find and partial(find, request)
            send = partial(self._send_if_ours, job.fingerprint, send)
            first = partial(_unless_lost, send, request)
            answer = await self._send_once(job, first, lost, request.endpoint)
            if isinstance(answer, _SendAgain):
                request = await self._prepare_again(job, folder, answer)
                job.reused_urls = ()
                lost = find and partial(find, request)
                answer = await self._send_once(job, partial(send, request), lost)
                assert not isinstance(answer, _SendAgain)  # it may go nowhere else now
            return request, answer

    # -- prepare ----------------------------------------------------------------------------

    async def _prepare_again(self, job: Job, folder: TempFolder, why: _SendAgain) -> Request:
        """The request, prepared and hosted anew. Its intent is on record already."""
        try:
            if why is _SendAgain.MEDIA_LOST:
                await self._forget_reused(job)
            request = await job.unless_stopped(self._prepare(job, folder))
        except BaseException as error:
            failure = error
            if isinstance(error, Stopped):
                job.open.clear()  # new watchers must not join a job that is ending
                failure = job.stop_error()
            await self._resume.record_end(job, failure)
            raise failure from None
        job.enter("submitting")
        _note_endpoint(job, request)
        await self._claim_again(job)
        return request

    async def forget_if_lost(self, job: Job, error: SkyportError) -> None:
        """Where the task failed as files it reuses are gone, the next request hosts them anew."""
        if speaks_of_lost_media(error.what, job.reused_urls):
            await self._forget_reused(job)

    async def _forget_reused(self, job: Job) -> None:
        for url in job.reused_urls:
            await self._engine.blocking(url.forget)

    async def _prepare_and_claim(self, job: Job, folder: TempFolder) -> Request | None:
        """The request, prepared and its intent recorded; None if another process has sent it."""
        try:
            request = await job.unless_stopped(self._prepare(job, folder))
        except Stopped:
            raise job.stop_error() from None
        job.enter("submitting")
        _note_endpoint(job, request)
        is_ours = await (self._claim_again(job) if job.lost_task else self._claim(job))
        return request if is_ours else None

    async def _claim_again(self, job: Job) -> bool:
        """Makes the order's row an intent again; False if another process has gone on with it."""
        lost_id = job.lost_task.id if job.lost_task else ""
        is_ours = await self._resume.in_thread(
            lambda: self._ledger.record_intent_again(job.record, lost_id)
        )
        job.lost_task = None
        return is_ours

    async def _claim(self, job: Job) -> bool:
        """Records the intent; False if another process has sent the order. Raises LimitReached."""
        in_force = limits.current()
        try:
            existing = await self._resume.in_thread(
                lambda: self._ledger.record_intent(job.record, *in_force)
            )
        except LimitReached as error:
            error.platform = job.provider.label
            raise
        job.is_reserved = job.is_reserved and existing is not None  # it counts in its row now
        return existing is None

    async def _prepare(self, job: Job, folder: TempFolder) -> Request:
        """The request as it will be sent. May be stopped at any point: nothing is paid for yet."""
        for _ in range(_MOST_SILENT):
            request = await self._prepare_once(job)
            fetched = await fetch_remote_files(self._engine, job, request, folder)
            try:
                return await self._host_media(job, fetched)
            except SkyportError as error:
                if not is_silence(error) or not await self._may_leave(job, request.endpoint):
                    raise
        request = await self._prepare_once(job)
        return await self._host_media(
            job, await fetch_remote_files(self._engine, job, request, folder)
        )

    async def _prepare_once(self, job: Job) -> Request:
        """The request as `prepare` makes it, on the lane of its server."""
        job.enter("preparing")
        self._lanes.leave(job, keep=1)
        prepared = await self._call(lambda: job.provider.prepare(job.request))
        warnings = dict.fromkeys((*job.request.warnings, *prepared.warnings))
        job.request = replace(job.request, warnings=tuple(warnings), title=prepared.title)
        request = replace(prepared, order_id=job.request.order_id)
        await self._lanes.enter(job, job.provider.lane(request))
        return request

    async def _host_media(self, job: Job, request: Request) -> Request:
        """The request with every file uploaded, in parallel, and replaced by its URL."""
        files = files_in(request.payload)
        if not files or job.provider.sends_files_inside(request):
            return request
        job.enter("uploading")
        progress = TransferProgress(job, sum(file.size for file in files))
        urls = await self.host(job.provider, request, files, progress.part)
        url_of = {(file.sha256, file.name): url for file, url in zip(files, urls, strict=True)}
        return request.with_payload(
            with_files(request.payload, lambda file: url_of[file.sha256, file.name])
        )

    async def _upload_scope(self, provider: Provider, request: Request) -> str:
        """Resolved before the first upload, so that a missing media host is reported first."""
        return await self._call(lambda: provider.upload_scope(request))

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

    async def _call(self, call: Callable[[], T]) -> T:
        return await retrying(call, run_blocking=self._engine.blocking)

    # -- send -------------------------------------------------------------------------------

    async def _send_once(
        self,
        job: Job,
        send: Callable[[], T],
        find: Callable[[], T | None] | None = None,
        endpoint: str | None = None,
    ) -> T | _SendAgain:
        """The answer; or what `find` finds of a submit whose answer was lost.

        A submit that surely never arrived is made again.

        endpoint  where it is sent, if it may go to another server once that one does not answer
        """
        for _ in range(_MOST_SENDS):
            answer = await self._attempt(job, send)
            if not isinstance(answer, _NoAnswer):
                return answer
            failure = reason = answer.error
            if find is None or not (answer.may_be_found and isinstance(failure, OutcomeUnknown)):
                break
            try:
                found = await look_up(job.provider, find, self._engine.blocking)
            except SkyportError as silence:
                reason = silence
                failure = not_known_yet_error(job.provider.label, failure.what, silence)
                break
            if found is not None:
                return found
            failure = reason = never_arrived_error(job.provider.label, failure.what)
        is_silent = endpoint is not None and is_silence(reason)
        if is_silent and await self._may_leave(job, endpoint or "", failure):
            return _SendAgain.SERVER_SILENT
        await self._resume.record_end(job, failure)
        # Raised out here: the context of an unexpected exception may hold what is not to be shown.
        raise failure

    def _send_if_ours(self, fingerprint: str, send: Callable[[Request], T], request: Request) -> T:
        """Called in the thread that sends, so that nothing comes between."""
        if self._ledger.confirm_intent(fingerprint):
            return send(request)
        raise taken_for_dead_error()

    async def _attempt(self, job: Job, call: Callable[[], T]) -> T | _NoAnswer:
        """Not stoppable once sent: the answer must be stored, whoever still waits for it.

        Stoppable between attempts: another one is made only if the platform has certainly not
        accepted the one before.
        """

        async def raise_if_stopped() -> None:
            if job.stop.is_set() or not job.is_wanted():
                raise Stopped

        async def pause(seconds: float) -> None:
            await job.unless_stopped(asyncio.sleep(seconds))

        def is_crowded(error: SkyportError) -> bool:
            return is_too_many(error) and self._lanes.is_crowded(job)

        try:
            return await self._until_there_is_room(
                job,
                lambda: retrying(
                    call,
                    submit=True,
                    run_blocking=self._engine.transfer,
                    sleep=pause,
                    before=raise_if_stopped,
                    gives_up=is_crowded,
                ),
            )
        except Stopped:
            job.open.clear()  # new watchers must not join a job that is ending
            return _NoAnswer(job.stop_error())
        except BaseException as error:
            known = await self._is_known(job.provider)
            failure = submit_error(job, error, address_known=known)
            return _NoAnswer(failure, may_be_found=isinstance(error, Exception))

    async def _until_there_is_room(self, job: Job, send: Callable[[], Awaitable[T]]) -> T:
        """What `send` brings; again once there is room where the platform has too many orders."""
        while True:
            sent = asyncio.get_running_loop().time()
            try:
                return await send()
            except ApiError as error:
                if not (is_too_many(error) and await self._lanes.may_wait(job)):
                    raise
                refusal = error
            await self._resume.in_thread(lambda: self._ledger.record_refused(job.fingerprint))
            job.enter("waiting")
            await job.unless_stopped(self._lanes.wait_again(job, refusal, sent))
            job.enter("submitting")

    async def _may_leave(self, job: Job, silent: str, failure: BaseException | None = None) -> bool:
        """Whether the order goes to another server: once only if the silent one may have it."""
        may_have_it = isinstance(failure, OutcomeUnknown)
        if may_have_it and not job.may_be_sent_again:
            return False
        if not await can_go_elsewhere(self._engine, job, silent):
            return False
        job.attempt += may_have_it
        return True

    async def _is_known(self, provider: Provider) -> bool:
        """Whether the platform's address has ever answered as the platform does."""
        http = provider.http
        return http.has_answered or await self._resume.in_thread(
            lambda: self._ledger.has_accepted(http.base_url)
        )


def _note_endpoint(job: Job, request: Request) -> None:
    """Note in the job's record where the order is sent."""
    sent_to = "" if request.endpoint == job.record.endpoint else request.endpoint
    job.record = replace(job.record, sent_to=sent_to, title=request.title)


@dataclass(frozen=True)
class _NoAnswer:
    """In place of an answer: why there is none, and whether the platform may be asked for it."""

    error: BaseException
    may_be_found: bool = False


class _SendAgain(Enum):
    """In place of an answer: why the request is to be prepared and sent once more."""

    MEDIA_LOST = "the submit was refused as files of an earlier request are gone"
    SERVER_SILENT = "the server does not answer, and another one can take the order"


def _unless_lost(send: Callable[[Request], T], request: Request) -> T | _SendAgain:
    try:
        return send(request)
    except ApiError as error:
        if not is_refused_for_lost_media(error, request):
            raise
        return _SendAgain.MEDIA_LOST
