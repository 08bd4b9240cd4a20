"""The interface of a platform; each folder in providers/ implements one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from ..base.errors import ApiError, BadResult, InputRejected, NotFound, SkyportError
from ..base.json_tree import as_text, urls_in
from ..base.types import (
    Json,
    MediaFile,
    Model,
    Report,
    Request,
    Status,
    Task,
    TaskState,
    no_report,
)
from ..base.words import tr
from ..http.client import Http
from ..http.error_answers import api_error, http_status, with_trace_id
from ..http.response import Response, read_json
from ..http.retry import no_task_id_error
from ..settings import keys, settings
from .answers import (
    AnswerForm,
    error_code,
    is_about_the_request,
    reason,
    refusal,
    says_no_such_task,
)
from .last_answer import shown_answer
from .media_host import MediaHost, account

Accepted = str | TaskState  # the id of a task, or the final state of one that was answered at once
LiveState = Callable[[TaskState], TaskState | None]  # see Provider.on_end


class Provider:
    """One platform. Every method blocks for one exchange and may be called from any thread.

    A platform does not retry, wait, run tasks in parallel or download: engine/http and
    engine/tasks do.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    default_base_url: ClassVar[str] = ""
    key_help: ClassVar[str] = ""
    public_uploads: ClassVar[str] = ""  # endpoint whose uploads anyone can fetch, "" for none
    unit: ClassVar[str] = ""  # of the costs it tells: a currency, or credits; "" if it tells none
    is_free: ClassVar[bool] = False  # nothing is charged: a server of one's own
    top_up: ClassVar[str] = ""  # its page for payments, as far as its document names one
    key_page: ClassVar[str] = ""  # where its keys are made, as far as its document names a page
    node_tasks: ClassVar[Mapping[str, str]] = {}  # tasks that move a price, by the end of a node id

    def __init__(self, http: Http, media_host: MediaHost | None = None) -> None:
        self.http = http
        self.http.is_own_form = self.is_own_form
        self.media_host = media_host
        # How many orders of this process are on a lane or wait for it; set ahead of `prepare`.
        self.in_flight: Callable[[str], int] = lambda lane: 0

    # -- its address and key ------------------------------------------------------------------

    @classmethod
    def connected(cls, media_host: MediaHost | None = None) -> Provider:
        """The platform at the address and with the key that are set.

        Override, with the four methods below, where it is not one address with one key.
        Raises MissingKey; InvalidInput where no address is set.
        """
        base_url = cls.address()  # asked for first: a key goes only to its address
        key = keys.require(cls.name, cls.label, cls.key_help).value
        return cls(Http(cls.label, base_url, cls.auth_headers(key)), media_host)

    @classmethod
    def address(cls) -> str:
        """The address of its tasks in the ledger. Raises InvalidInput where none is set."""
        return keys.base_url(cls.name, cls.label, cls.default_base_url)

    @classmethod
    def check_set_up(cls) -> None:
        """Raises what `connected` would raise; opens nothing."""
        cls.address()
        keys.require(cls.name, cls.label, cls.key_help)

    @classmethod
    def is_set_up(cls) -> bool:
        """Whether tasks can be sent to it, as far as keys and settings tell."""
        try:
            return keys.find(cls.name) is not None
        except SkyportError:
            return False

    @classmethod
    def key_names(cls) -> tuple[str, ...]:
        """The names under which its keys are kept."""
        return (cls.name,)

    # -- the steps of a request, in order ---------------------------------------------------

    def prepare(self, request: Request) -> Request:
        """The request as it will be sent. Override for free look-ups (a cluster with room)."""
        return request

    def lane(self, request: Request) -> str:
        """Names the lane of `request`, on which `lane_limit` orders run side by side.

        Asked before `prepare` and again for what it returns; an order is on both lanes to its end.
        So a pool of servers can name the endpoint, with the sum of all servers as the limit of its
        "any server": `prepare` is called once there is room on one of them, chooses a server with
        the help of `in_flight(lane)`, and waits for room on that one where others have been faster.
        Must answer from memory: it is called on the engine's loop.
        """
        return ""

    def lane_limit(self, lane: str) -> float:
        """How many orders run side by side on `lane`: at most, as the platform may refuse some.

        Must answer from memory, too.
        """
        return settings.load().parallel_cap

    def sends_files_inside(self, request: Request) -> bool:
        """Whether `submit` sends the files itself; then `upload` is not called for them."""
        return False

    @classmethod
    def takes_uploads(cls) -> bool:
        """Whether the platform hosts files itself; otherwise a media host does."""
        return cls.upload is not Provider.upload

    def upload(self, file: MediaFile, request: Request, report: Report = no_report) -> str:
        """Host `file`; the returned text takes its place in the payload. Safe to repeat.

        Override where the platform takes uploads; otherwise they go to the media host. Raises
        InvalidInput, and sends nothing, where none is set up.
        """
        return self._host().upload(file, report)

    def url_lifetime(self, url: str, request: Request) -> float:
        """Seconds for which `url` may be reused for the same file; 0 where that is not known."""
        return self.media_host.url_lifetime(url) if self.media_host is not None else 0.0

    def upload_scope(self, request: Request) -> str:
        """Names the storage for this request's files, address first, and the account.

        Within one scope, a file is uploaded once and its URL reused. Raises InvalidInput or
        MissingKey where there is no storage.
        """
        if not self.takes_uploads():
            return self._host().upload_scope
        auth = self.http.key_for(self.http.base_url)
        return f"{self.http.base_url} {request.endpoint} {account(*auth.values())}"

    def _host(self) -> MediaHost:
        assert self.media_host is not None  # `connect` passes one wherever uploads are not taken
        return self.media_host

    def submit(self, request: Request, report: Report = no_report) -> Accepted:
        """Send the request once. Media are hosted by now.

        Returns the task id, or the final state where the answer is the result itself. Override
        with `read_accepted`.
        """
        raise NotImplementedError

    def answers_at_once(self, request: Request) -> bool:
        """Whether the answer to a submit is the result: then `answer` is called, and neither
        `submit` nor `poll`. The endpoint alone must decide it."""
        return False

    def answer(self, request: Request, on_text: Callable[[str], None]) -> tuple[str, TaskState]:
        """Send the request once: the answer's id, "" where it has none, and its final state.

        `on_text` is called with the whole text so far, again and again while it arrives. Raises
        OutcomeUnknown where an answer began and broke off: it was paid for.
        """
        raise NotImplementedError

    def poll(self, task: Task) -> TaskState:
        """The state of the task. Reports an unknown status word as it is: see TaskState.known.

        Raises NotFound where the platform says that it does not know the task.
        """
        raise NotImplementedError

    @classmethod
    def is_free_with(cls, inputs: Mapping[str, Any]) -> bool:
        """Whether what a node with these inputs orders costs nothing; sends nothing.

        Override where it depends on the server.
        """
        return cls.is_free

    def charges_nothing(self, endpoint: str) -> bool:
        """Whether tasks at `endpoint` cost nothing.

        One that its server has lost, as in a restart, is sent again then, once and with a new order
        id, to wherever `prepare` sends it. Override where it depends on the server.
        """
        return self.is_free

    def on_end(self, task: Task, wake: Callable[[], None]) -> LiveState | None:
        """Have `wake` called, from any thread, as soon as a poll would bring the task's end.

        Returned is a function that brings the state of the last poll up to date as long as nothing
        can have ended the task since that poll without calling `wake`, and answers None otherwise:
        as when the connection has broken, or brings no sign of life. The task is polled seldom as
        long. Both must answer from memory. Override where the platform tells; ends are polled all
        the same.
        """
        return None

    def polled_address(self, task: Task) -> str:
        """Where the task is polled: so many polls a second are made at each address.

        Must answer from memory. Override where there are several servers.
        """
        return self.http.base_url

    def can_go_elsewhere(self, request: Request, silent: str) -> bool:
        """Whether another server than that of the endpoint `silent` can take the order.

        Asked where that one charges nothing and does not answer: its orders that wait or run are
        sent again then, to wherever `prepare` sends them, which should leave it out for a while.
        `request` is as it was before `prepare`. Override where there are several servers.
        """
        return False

    def cancel(self, task: Task) -> bool:
        """Ask the platform to stop the task; False where it cannot."""
        return False

    def learn_node_classes(self) -> None:
        """Learn the widgets of the node classes that it declares (`tasks/learnt_widgets.py`).

        Override where a free request tells them. Called when a workflow does not name its values.
        """

    def check(self) -> str:
        """Test the key and the address with a free request; the outcome in words.

        Override where the platform lists no models. Raises what the request raises.
        """
        if not self.lists_models():
            return tr("It has no free request that could test the key: the first task will tell.")
        return tr("It answers and lists {count} models.", count=len(self.list_rows()))

    def check_by_poll(self, task: Task) -> str:
        """A `check` for platforms whose only free request is a poll: `task` does not exist."""
        try:
            self.poll(task)
        except (NotFound, InputRejected) as error:
            if not error.own_form:
                raise
        return tr("It answers and accepts the key.")

    def look_up(self, request: Request) -> Accepted | None:
        """What became of a submit whose answer was lost: as `submit` would have answered.

        Asked by `request.order_id`, which the submit has carried; `request.endpoint` is the one it
        was sent to. After a restart, `request` comes from the ledger: files in its payload are
        hashes. None says that the platform surely has no such order: it is sent again, with the
        same order id, once a second look a few seconds later says the same. Whatever is raised says
        that it is not known: the order is looked up again later. Override where the platform can be
        asked.
        """
        raise NotImplementedError

    @classmethod
    def can_look_up(cls) -> bool:
        """Whether the platform can be asked what became of a submit."""
        return cls.look_up is not Provider.look_up

    def server_for(self, url: str) -> Http:
        """The server of the platform that serves `url`, to fetch a result there.

        Its key goes to its own origin only, and it may be in a private network; any other host must
        be public and gets no key, also after a redirect. Override where the platform has several
        servers; return `self.http` for the URL of none of them.
        """
        return self.http

    @classmethod
    def can_cancel(cls) -> bool:
        """Whether the platform can stop a task."""
        return cls.cancel is not Provider.cancel

    # -- how its answers are read -----------------------------------------------------------

    def is_own_form(self, body: Mapping[str, Json]) -> bool:
        """Whether a JSON object is an answer of the platform, as its document shows them.

        Anyone on the way can answer, too: a gateway with `{"message": "no route"}`. Override with
        the keys of the document's envelopes and errors.
        """
        return bool(body)

    def form(self, endpoint: str) -> AnswerForm:
        """Where the document puts things in the answers about tasks of `endpoint`."""
        return AnswerForm()

    def read_accepted(self, request: Request, send: Callable[[], Response]) -> Accepted:
        """What the answer to a submit says: a task id, wherever it is, wins over any code.

        Raises ApiError for a refusal, OutcomeUnknown for an answer that says neither.
        """
        form = self.form(request.endpoint)
        try:
            response = send()
        except ApiError as error:
            if error.own_form and (task_id := form.find_task_id(error.body)):
                return task_id
            raise
        body = read_json(response)
        task_id, is_own = form.find_task_id(body), self.http.recognise(body)
        if is_own and (state := self._result_in(request, body, form)):
            return replace(state, task_id=task_id)
        if task_id:
            return task_id
        if not is_own:
            raise no_task_id_error(self.label, as_text(body)[:300])
        self.raise_refusal(body)
        raise no_task_id_error(self.label, reason(body))

    def _result_in(self, request: Request, body: Json, form: AnswerForm) -> TaskState | None:
        """The final state where the answer to a submit is the result itself."""
        if refusal(body):
            return None
        task = Task(self.name, request.endpoint, "", urls_in(request.payload))
        state = form.state(body, task, self.http.base_url)
        is_result = state.status is Status.SUCCEEDED and bool(state.word) and bool(state.outputs)
        return state if is_result else None

    def read_state(self, body: Json, task: Task) -> TaskState:
        """The state that the answer to a poll describes.

        Raises NotFound where it says that there is no such task, another ApiError where it is an
        error that says nothing about the task, BadResult where it is no answer of the platform.
        """
        if not self.http.recognise(body):
            raise BadResult(
                tr("The answer is not the platform's: {seen}", seen=shown_answer(body, 200)),
                platform=self.label,
            )
        form = self.form(task.endpoint)
        state = form.state(body, task, self.http.base_url)
        if not state.word and not state.outputs:
            self.raise_refusal(body)
        says_nothing = says_no_such_task(state.message) or is_about_the_request(
            body, state.word, task.id
        )
        if state.status is Status.FAILED and says_nothing:
            raise self._refusal(body, state.message)
        is_last = state.status.terminal or not state.known
        return replace(state, answer=shown_answer(body)) if is_last else state

    def raise_refusal(self, body: Json) -> None:
        """Raise the ApiError for an answer with HTTP 200 that says it is one."""
        if refusal(body):
            raise self._refusal(body, reason(body) or as_text(body)[:300])

    def _refusal(self, body: Json, words: str) -> ApiError:
        code = error_code(body)
        status = 404 if says_no_such_task(words) else http_status(code)
        words = with_trace_id(words, body)
        return api_error(self.label, status, words, code, http=200, own_form=True, body=body)

    # -- its protocol -----------------------------------------------------------------------

    @classmethod
    def auth_headers(cls, key: str) -> Mapping[str, str]:
        """The headers that authenticate a request. Override where it is not a bearer token."""
        return {"Authorization": f"Bearer {key}"}

    def unwrap(self, response: Response) -> Json:
        """The payload of an answer: its `data` where it comes in an envelope with a code.

        Raises ApiError where a 200 holds an error in its body.
        """
        body = read_json(response)
        self.raise_refusal(body)
        has_envelope = isinstance(body, dict) and "code" in body and "data" in body
        return body["data"] if has_envelope else body

    # -- its models -------------------------------------------------------------------------

    @classmethod
    def built_in_rows(cls) -> list[Json]:
        """Rows from the platform's document, in its own words: they need no network."""
        return []

    @classmethod
    def lists_models(cls) -> bool:
        """Whether the platform lists its models itself; otherwise only built-in rows exist."""
        return cls.list_rows is not Provider.list_rows

    def list_rows(self) -> list[Json]:
        """Live rows, perhaps without parameters. Override where the platform lists its models."""
        return self.built_in_rows()

    def complete_row(self, row: Json) -> Json:
        """`row` with its parameters. Override where they are fetched one model at a time."""
        return row

    @classmethod
    def read_row(cls, row: Json) -> Model:
        """`row` as a Model. Raises KeyError, TypeError or ValueError when it cannot be one."""
        raise NotImplementedError

    # -- its prices -------------------------------------------------------------------------

    @classmethod
    def lists_prices(cls) -> bool:
        """Whether the platform may answer with a price list."""
        return cls.price_rows is not Provider.price_rows

    def price_rows(self, models: Sequence[Model]) -> list[Json]:
        """Its price list: {"model", "task", "text", "prices"} for each model that it tells of.

        text    its own words; task "" means every task
        prices  {"per", "amount", "unit", "when"} for each amount that could be read from them
        Override where it has a list. Raises ApiError or TransportError where it does not answer.
        """
        return []

    @classmethod
    def about(cls) -> str:
        """One sentence for a person who has not heard of the platform."""
        return ""

    @classmethod
    def page_for_keys(cls, base_url: str) -> str:
        """The page on which a key for the address `base_url` is made, "" if none is known."""
        return cls.key_page if base_url.rstrip("/") == cls.default_base_url else ""

    @classmethod
    def top_up_page(cls, base_url: str) -> str:
        """The page on which the account at `base_url` is topped up, "" if none is known."""
        return cls.top_up if base_url.rstrip("/") == cls.default_base_url else ""
