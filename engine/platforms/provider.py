"""What a platform must say of itself; each folder in providers/ holds one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from ..base.errors import InputRejected, NotFound
from ..base.types import Json, MediaFile, Model, Report, Request, Task, TaskState, silent
from ..base.words import tr
from ..http.client import Http
from ..http.response import Response, read_json
from .media_host import MediaHost, account


class Provider:
    """One platform. Every method blocks for one exchange and may be called from any thread.

    Retries, waiting, fan-out and downloads are not a platform's business: see engine/http and
    engine/tasks.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    default_base_url: ClassVar[str] = ""
    key_help: ClassVar[str] = ""
    public_uploads: ClassVar[str] = ""  # endpoint whose uploads anyone can fetch, "" for none

    def __init__(self, http: Http, media_host: MediaHost | None = None) -> None:
        self.http = http
        self.media_host = media_host

    # -- the way of a request, in order -----------------------------------------------------

    def prepare(self, request: Request) -> Request:
        """The request as it will be sent. Override to look up free facts (a cluster with room)."""
        return request

    def sends_files_inside(self, request: Request) -> bool:
        """True when `submit` carries the files itself; then `upload` is not called for them."""
        return False

    @classmethod
    def takes_uploads(cls) -> bool:
        """Whether the platform hosts files itself; else a media host does."""
        return cls.upload is not Provider.upload

    def upload(self, file: MediaFile, request: Request, report: Report = silent) -> str:
        """Host `file`; the returned text takes its place in the payload. Safe to repeat.

        Override where the platform takes uploads; without that they go to the media host. Raises
        InvalidInput, and nothing is sent, where none is set up.
        """
        return self._host().upload(file, report)

    def url_lifetime(self, url: str, request: Request) -> float:
        """Seconds for which `url` may serve again for the same file; 0 where that is not known."""
        return self.media_host.url_lifetime(url) if self.media_host is not None else 0.0

    def upload_scope(self, request: Request) -> str:
        """Names where files of requests like this one are put, its address first, and whose it is.

        On one shelf a file stands once, whoever asks for it.

        Raises InvalidInput or MissingKey where there is no such place.
        """
        if not self.takes_uploads():
            return self._host().upload_scope
        whose = self.http.key_for(self.http.base_url)
        return f"{self.http.base_url} {request.endpoint} {account(*whose.values())}"

    def _host(self) -> MediaHost:
        assert self.media_host is not None  # `connect` hands one to who takes no uploads
        return self.media_host

    def submit(self, request: Request, report: Report = silent) -> str:
        """Send the request once and return the task id. Media are hosted by now."""
        raise NotImplementedError

    def answers_at_once(self, request: Request) -> bool:
        """True where the answer to a submit is the result: `answer` is called then, and neither
        `submit` nor `poll`. To be told by the endpoint alone."""
        return False

    def answer(self, request: Request, on_text: Callable[[str], None]) -> tuple[str, TaskState]:
        """Send the request once: the answer's id, "" where it has none, and its final state.

        `hear` is told all that has been said so far, again and again while it comes. Raises
        OutcomeUnknown for an answer that began and broke off: it was paid for.
        """
        raise NotImplementedError

    def poll(self, task: Task) -> TaskState:
        """Ask how the task is. Must not judge an unknown status word: see TaskState.known."""
        raise NotImplementedError

    def cancel(self, task: Task) -> bool:
        """Ask the platform to stop the task; False where it cannot."""
        return False

    def check(self) -> str:
        """What a free question brought, in words: it shows that the key and the address serve.

        Override where the platform lists no models. Raises what the question raises.
        """
        if not self.lists_models():
            return tr("No free question to it is known: its first task will tell.")
        return tr("It answers, and lists {count} models.", count=len(self.list_rows()))

    def check_by_poll(self, task: Task) -> str:
        """A `check` where the only free question is how a task is: one that is not there."""
        try:
            self.poll(task)
        except (NotFound, InputRejected) as error:
            return tr('It answers, and took the key (it said "{words}").', words=error.what)
        return tr("It answers, and took the key.")

    @classmethod
    def can_cancel(cls) -> bool:
        """Whether the platform knows a way to stop a task."""
        return cls.cancel is not Provider.cancel

    # -- how it speaks ----------------------------------------------------------------------

    @classmethod
    def auth_headers(cls, key: str) -> Mapping[str, str]:
        """Headers that prove who pays. Override where it is not a bearer token."""
        return {"Authorization": f"Bearer {key}"}

    def unwrap(self, response: Response) -> Json:
        """The useful part of an answer. Override where a 200 can carry an error in its body."""
        return read_json(response)

    # -- its models -------------------------------------------------------------------------

    @classmethod
    def built_in_rows(cls) -> list[Json]:
        """Rows in the platform's own words that work without a network, from its document."""
        return []

    @classmethod
    def lists_models(cls) -> bool:
        """Whether the platform lists its models itself; else the built-in rows are all there is."""
        return cls.list_rows is not Provider.list_rows

    def list_rows(self) -> list[Json]:
        """Live rows, perhaps without parameters. Override where the platform lists its models."""
        return self.built_in_rows()

    def complete_row(self, row: Json) -> Json:
        """`row` with its parameters. Override where they are asked for one model at a time."""
        return row

    @classmethod
    def read_row(cls, row: Json) -> Model:
        """`row` as a Model. Raises KeyError, TypeError or ValueError when it cannot be one."""
        raise NotImplementedError
