"""Which of the two interfaces an address speaks: asked before the first use, and remembered."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urlsplit

from ...engine.base.errors import (
    ApiError,
    AuthRejected,
    BadResult,
    InvalidInput,
    NotFound,
    RateLimited,
    ServerFault,
    SkyportError,
    TransportError,
)
from ...engine.base.shown_text import scrub, shorten
from ...engine.base.types import Json, MediaFile, Report, Task, TaskState, no_report
from ...engine.base.words import tr
from ...engine.http.client import Http
from ...engine.http.response import read_json
from ...engine.platforms.provider import Accepted, LiveState
from . import _v2_answers
from ._dialect import Dialect, ServerInfo, Workflow
from ._native import with_events
from ._v2 import JOBS, V2Dialect

Interface = Literal["native", "v2"]

# Where an address speaks both, as Comfy Cloud does, v2 goes first: there, native is experimental.
_SIGNS: tuple[tuple[Interface, str, Callable[[Json], bool]], ...] = (
    ("v2", JOBS, lambda body: _v2_answers.is_own_form(body) or _v2_answers.is_list(body)),
    ("native", "/api/system_stats", lambda body: isinstance(body, dict) and "system" in body),
    ("native", "/api/queue", lambda body: isinstance(body, dict) and "queue_running" in body),
)
_DIALECTS: Mapping[Interface, Callable[[Http], Dialect]] = {
    "native": with_events,
    "v2": V2Dialect,
}
_LOGIN = re.compile(r"log ?in|sign ?in|password|\u767b\u5f55|\u767b\u5165", re.IGNORECASE)

_found: dict[str, Interface] = {}


def interface_at(http: Http) -> Interface:
    """The interface that the address of `http` speaks; at most three requests, the first time.

    Raises TransportError where nobody answers, AuthRejected where the key is refused before either
    can be seen, ServerFault or RateLimited where only a gateway answers, which may pass, and
    InvalidInput where something else is there.
    """
    known = _found.get(http.base_url)
    if known is not None:
        return known
    failures: list[SkyportError] = []
    for interface, path, is_sign in _SIGNS:
        if is_sign(_body(http, path, failures)):
            _found[http.base_url] = interface
            return interface
    raise _explained(failures, http)


def _body(http: Http, path: str, failures: list[SkyportError]) -> Json:
    """The JSON of an answer, an error's too; None for anything else, which goes to `failures`."""
    try:
        response = http.get(path)
    except ApiError as error:
        failures.append(error)
        return error.body
    try:
        return read_json(response)
    except (BadResult, TransportError) as error:  # a page or a text; it is an answer all the same
        failures.append(error)
        return None


def forget(http: Http) -> None:
    """Ask anew the next time: another server may have moved in."""
    _found.pop(http.base_url, None)


class DetectedDialect:
    """A server whose interface is found out when it is first needed; see `Dialect`."""

    def __init__(self, http: Http) -> None:
        self.http = http
        self._dialect: Dialect | None = None

    @contextmanager
    def _spoken(self) -> Iterator[Dialect]:
        """The dialect of the server; asked for anew once it does not understand that any more."""
        if self._dialect is None:
            self._dialect = _DIALECTS[interface_at(self.http)](self.http)
        try:
            yield self._dialect
        except (BadResult, NotFound) as error:
            if not getattr(error, "own_form", False):
                forget(self.http)
                self._dialect = None
            raise

    def _find_out(self) -> None:
        """Before an order is sent: one that could not be seen has been sent nothing."""
        try:
            with self._spoken():
                return
        except (TransportError, ServerFault, RateLimited) as error:
            unseen = TransportError(error.what, sent=False, do=error.do, platform=error.platform)
        raise unseen

    def upload(self, file: MediaFile, report: Report = no_report) -> Json:
        with self._spoken() as dialect:
            return dialect.upload(file, report)

    def url_lifetime(self, value: Json) -> float:
        with self._spoken() as dialect:
            return dialect.url_lifetime(value)

    def submit(self, workflow: Workflow, order_id: str, report: Report = no_report) -> Accepted:
        self._find_out()
        with self._spoken() as dialect:
            return dialect.submit(workflow, order_id, report)

    def find(self, order_id: str) -> str | None:
        with self._spoken() as dialect:
            return dialect.find(order_id)

    def poll(self, task: Task) -> TaskState:
        with self._spoken() as dialect:
            return dialect.poll(task)

    def on_end(self, task: Task, wake: Callable[[], None]) -> LiveState | None:
        return self._dialect.on_end(task, wake) if self._dialect is not None else None

    def cancel(self, task: Task) -> bool:
        with self._spoken() as dialect:
            return dialect.cancel(task)

    def queue_length(self) -> int:
        with self._spoken() as dialect:
            return dialect.queue_length()

    def about(self) -> ServerInfo:
        with self._spoken() as dialect:
            return dialect.about()

    def object_info(self) -> Json | None:
        with self._spoken() as dialect:
            return dialect.object_info()


def _explained(failures: list[SkyportError], http: Http) -> SkyportError:
    """The failure that tells most about what is at the address."""
    for kind in (AuthRejected, RateLimited, ServerFault):
        for error in failures:
            if isinstance(error, kind):
                return error
    said = next((each.what for each in failures), tr("JSON of another kind."))
    return no_comfyui_error(http, said)


def no_comfyui_error(http: Http, said: str) -> InvalidInput:
    """The error for an address at which something else than a ComfyUI has `said` this."""
    what = tr("No ComfyUI answers at {address}: {seen}", address=_shown(http), seen=said)
    return InvalidInput(what, do=_advice(said), platform=http.label)


def _advice(said: str) -> str:
    if _LOGIN.search(said):
        return tr(
            "It looks like a login page: give the server its key, or the address behind the login."
        )
    return tr(
        "Open the address in a browser: ComfyUI's editor should appear. Check host, port and path."
    )


def _shown(http: Http) -> str:
    """The address without a name and a password."""
    parts = urlsplit(http.base_url)
    host = parts.netloc.rpartition("@")[2]
    return shorten(scrub(f"{parts.scheme}://{host}{parts.path}"), 200)
