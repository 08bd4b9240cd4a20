"""ComfyUI servers of one's own: a second PC, a rented machine, a pool of them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from ...engine.base.errors import ApiError, InvalidInput, NotFound, SkyportError, TransportError
from ...engine.base.json_tree import with_leaves
from ...engine.base.types import Json, MediaFile, Report, Request, Task, TaskState, no_report
from ...engine.base.words import tr
from ...engine.http.client import Http
from ...engine.http.retry import is_wrong_address, outcome_unknown
from ...engine.platforms.media_host import MediaHost, account
from ...engine.platforms.provider import Accepted, LiveState, Provider
from ...engine.settings import settings
from . import _answers, _servers
from ._detect import no_comfyui_error
from ._dialect import Dialect
from ._fit import KNOWN, FitCheck
from ._native import NativeDialect
from ._pool import ON_THEIR_WAY, SILENT, Pool, naming
from ._servers import AUTO as AUTO
from ._servers import Server
from .servers import described

ADDRESS = "comfyui://servers"  # of all of them: the endpoint of a task says which one has it

_VALUE = "skyport-value:"  # begins the text of a hosted file that is no text in a workflow


class Comfyui(Provider):
    """The servers in servers.json; with an address of its own, that one under any name."""

    name = "comfyui"
    label = _servers.LABEL
    is_free = True

    def __init__(self, http: Http, media_host: MediaHost | None = None) -> None:
        super().__init__(http, media_host)
        self._only = None if http.base_url == ADDRESS else NativeDialect(http)
        self._most = 0  # tasks of ours that it holds at a time; 0 for what the settings say
        self._pool = Pool()
        self._fit_check = FitCheck(self._object_info)
        self._homes: dict[str, str] = {}  # by task id, a server's name

    @classmethod
    def about(cls) -> str:
        return tr(
            "Runs workflows on other ComfyUIs of yours: a second PC, a rented machine, a pool of "
            "them. Enter its address, such as http://192.168.1.20:8188, and a key only where it "
            "asks for one."
        )

    # -- which server ---------------------------------------------------------------------------

    @classmethod
    def is_free_with(cls, inputs: Mapping[str, Any]) -> bool:
        with suppress(InvalidInput):  # a broken servers.json is told when it runs
            return _servers.is_free_at(str(inputs.get("server") or AUTO))
        return cls.is_free

    @classmethod
    def connected(cls, media_host: MediaHost | None = None) -> Comfyui:
        return cls(Http(cls.label, cls.address(), {}), media_host)

    @classmethod
    def at(cls, address: str, most: int) -> Comfyui:
        """The one ComfyUI at an address, which holds so many tasks of ours at a time.

        Raises InvalidInput for what is no address, or costs credits.
        """
        server = _servers.at(address)
        provider = cls(Http(cls.label, server.address, server.auth_headers()))
        provider._most = most
        return provider

    @classmethod
    def address(cls) -> str:
        if not _servers.listed():
            raise _servers.no_server()
        return ADDRESS

    @classmethod
    def check_set_up(cls) -> None:
        cls.address()

    @classmethod
    def is_set_up(cls) -> bool:
        return bool(_servers.names())

    @classmethod
    def key_names(cls) -> tuple[str, ...]:
        return (cls.name, *(f"{cls.name}:{name}" for name in _servers.names()))

    def server_for(self, url: str) -> Http:
        return self.http if self._only else self._pool.http_at(url) or self.http

    @contextmanager
    def _server(self, name: str) -> Iterator[Dialect]:
        """What speaks to the server of this name; errors in here say which one it is."""
        if self._only is not None:
            yield self._only
            return
        server = _servers.require(name)
        with naming(server):
            yield self._pool.dialect(server)

    def prepare(self, request: Request) -> Request:
        """Replaces `auto` by the server with the shortest queue that has all it needs.

        Raises InvalidInput, with everything that is missing, where none has.
        """
        if self._only is not None:
            return request
        if request.endpoint != AUTO:
            server = _servers.require(request.endpoint)
            fitting = self._fit_check.fitting(request, [server])
        else:
            fitting = self._fit_check.fitting(request, SILENT.left_out_of(_servers.listed()))
            answering = SILENT.left_out_of(list(fitting))
            server = self._pool.least_busy(self._with_room(answering))
        return replace(fitting[server], endpoint=server.name, title=_title(server.name))

    def can_go_elsewhere(self, request: Request, silent: str) -> bool:
        """One of `auto` can, where another server has all it needs and answers."""
        gone = _servers.find(silent)
        if self._only is not None or request.endpoint != AUTO or gone is None:
            return False
        SILENT.add(gone)
        others = SILENT.left_out_of([one for one in _servers.listed() if one != gone])
        try:
            return self._pool.any_answers(list(self._fit_check.fitting(request, others)))
        except InvalidInput:
            return False

    def _with_room(self, servers: list[Server]) -> list[Server]:
        """Those that hold fewer tasks of ours than they may; all of them where none does."""
        free = [one for one in servers if self.in_flight(one.name) < one.max_parallel]
        return free or servers

    def lane(self, request: Request) -> str:
        """Each server is one, and so is the choice of any."""
        if self._only is not None:
            return super().lane(request)
        server = _servers.find(request.endpoint)
        return server.name if server else request.endpoint

    def lane_limit(self, lane: str) -> float:
        if self._most:
            return self._most
        servers = [] if self._only else _servers.listed()
        limits = {server.name: server.max_parallel for server in servers}
        limits[AUTO] = sum(limits.values())
        return limits.get(lane) or super().lane_limit(lane)

    def learn_node_classes(self) -> None:
        if self._only is None:
            self._fit_check.ask_all(_servers.listed())

    def _object_info(self, server: Server) -> Json | None:
        try:
            return self._pool.dialect(server).object_info()
        except TransportError:
            SILENT.add(server)
            raise

    # -- files ----------------------------------------------------------------------------------

    def upload(self, file: MediaFile, request: Request, report: Report = no_report) -> str:
        with self._server(request.endpoint) as dialect:
            value = dialect.upload(file, report)
        return value if isinstance(value, str) else _VALUE + json.dumps(value)

    def url_lifetime(self, url: str, request: Request) -> float:
        with self._server(request.endpoint) as dialect:
            return dialect.url_lifetime(_value(url))

    def upload_scope(self, request: Request) -> str:
        with self._server(request.endpoint) as dialect:
            http = dialect.http
        return f"{http.base_url} {account(*http.key_for(http.base_url).values())}"

    # -- submit ---------------------------------------------------------------------------------

    def submit(self, request: Request, report: Report = no_report) -> Accepted:
        workflow = with_leaves(request.payload["prompt"], str, _value)
        with self._server(request.endpoint) as dialect:
            try:
                return dialect.submit(workflow, order_id_of(request), report)
            except ApiError as error:
                failure = self._judged(error, dialect)
            finally:
                ON_THEIR_WAY.arrived(request.endpoint)
            raise failure

    def _judged(self, error: ApiError, dialect: Dialect) -> SkyportError:
        """What a page that denies the address means, by whether a ComfyUI has answered there."""
        if not is_wrong_address(error):
            return error
        if dialect.http.has_answered:
            return outcome_unknown(error, self.label)
        return no_comfyui_error(dialect.http, error.what)

    def look_up(self, request: Request) -> Accepted | None:
        """The task of a submit whose answer was lost; None where it surely did not arrive."""
        with self._server(request.endpoint) as dialect:
            return dialect.find(order_id_of(request))

    def charges_nothing(self, endpoint: str) -> bool:
        """Not so at Comfy Cloud: a task that was lost there may have been charged."""
        return self._only is not None or _servers.is_free_at(endpoint)

    # -- poll -----------------------------------------------------------------------------------

    def poll(self, task: Task) -> TaskState:
        with self._server(self._home_of(task)) as dialect:
            return dialect.poll(task)

    def polled_address(self, task: Task) -> str:
        server = None
        if self._only is None:
            with suppress(InvalidInput):  # a broken servers.json is told by the poll itself
                server = _servers.find(self._homes.get(task.id, task.endpoint))
        return server.address if server else super().polled_address(task)

    def on_end(self, task: Task, wake: Callable[[], None]) -> LiveState | None:
        if self._only is not None or task.endpoint == AUTO:
            return None
        with self._server(task.endpoint) as dialect:
            return dialect.on_end(task, wake)

    def cancel(self, task: Task) -> bool:
        with self._server(self._home_of(task)) as dialect:
            return dialect.cancel(task)

    def _home_of(self, task: Task) -> str:
        """The name of the server that has the task, of which the ledger may know only `auto`."""
        if self._only is not None or task.endpoint != AUTO:
            return task.endpoint
        if task.id not in self._homes:
            self._homes[task.id] = self._search(task)
        return self._homes[task.id]

    def _search(self, task: Task) -> str:
        """The name of the server that knows the task. Raises NotFound where every one says no."""
        failure: SkyportError = NotFound(
            tr("No server knows the task."), status=404, own_form=True, platform=self.label
        )
        for server in _servers.listed():
            try:
                with self._server(server.name) as dialect:
                    if dialect.find(task.id):
                        return server.name
            except SkyportError as error:
                failure = error
        raise failure

    def is_own_form(self, body: Mapping[str, Json]) -> bool:
        return _answers.is_own_form(body)

    # -- the servers ----------------------------------------------------------------------------

    def check(self) -> str:
        """Each server's version, graphics card and queue."""
        if self._only is not None:
            return described(self._only.about())
        return " ".join(map(self._described, _servers.listed()))

    def _described(self, server: Server) -> str:
        with self._server(server.name) as dialect:
            return f"{server.name}: {described(dialect.about())}"


PROVIDER = Comfyui


def workflow(prompt: Mapping[str, Any], server: str = AUTO, *, seed: int = 0) -> Request:
    """A request to run `prompt`, in API format, on the server of this name, or on any."""
    name = server.strip() or AUTO
    return Request(Comfyui.name, name, {"prompt": prompt}, title=_title(name), seed=seed)


def _title(server: str) -> str:
    return tr("workflow") if server == AUTO else tr("workflow on {server}", server=server)


def server_choices() -> list[str]:
    """What a node offers: any server, and each by its name."""
    return [AUTO, *_servers.names()]


def bills_apart(class_type: str) -> bool:
    """Whether a server that was asked lately tells that a service bills nodes of this class."""
    return KNOWN.bills_apart(class_type)


def check_server(name: Any) -> None:
    """Raises InvalidInput, with the nearest name, where no server has this one; asks nobody.

    That none is set at all is told when it runs, and practice mode needs none.
    """
    chosen = name.strip() if isinstance(name, str) else ""
    if chosen in ("", AUTO) or settings.load().sandbox or not _servers.listed():
        return
    _servers.require(chosen)


def order_id_of(request: Request) -> str:
    """Our own id for the task, a UUID in lower case: by it a lost answer is looked up."""
    return request.order_id or str(uuid.uuid4())


def _value(text: str) -> Json:
    """What a hosted file is in the workflow; any other text as it is."""
    return json.loads(text[len(_VALUE) :]) if text.startswith(_VALUE) else text
