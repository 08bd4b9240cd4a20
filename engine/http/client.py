"""A platform's API over HTTP, one attempt a call; `retry.py` repeats them."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.exceptions import ChunkedEncodingError, InvalidSchema, InvalidURL, MissingSchema

from ..base.errors import ApiError, BadResult, InvalidInput, SkyportError, TransportError
from ..base.json_tree import is_cut
from ..base.shown_text import scrub, spellings
from ..base.types import Field, Json, MediaFile, Report, no_report
from ..base.words import tr
from .error_answers import (
    api_error,
    is_of_a_web_server,
    json_object,
    parse_date,
    parse_error_body,
    parse_retry_after,
)
from .failures import describe_failure
from .public_hosts import exact_exchange
from .request_body import RequestBody, file_body, form_body, text_body
from .response import LineReader, Response, StreamListener
from .session import (
    MAX_REDIRECTS,
    NORMAL_RATE,
    REDIRECTS,
    WIRE_ERRORS,
    Session,
    Timeout,
    cut_short,
    origin,
    origin_text,
    redirect_target,
    shared_session,
)
from .slow_answers import MeteredAdapter, MinimumRate

Params = Mapping[str, Any] | Sequence[tuple[str, Any]] | None

MAX_BYTES = 256 * 1024 * 1024  # of an API's answer, which may hold several pictures as base64
STREAM = "text/event-stream"
_CHUNK = 64 * 1024
_ANSWERED: set[str] = set()  # addresses that have answered as their platform, in this process


class Http:
    """One platform's API. Every method makes one attempt and may be called from any thread.

    All raise ApiError or the subclass for the HTTP status and message, TransportError if no
    complete answer came, InvalidInput if the base URL or the key cannot be sent at all.
    """

    def __init__(
        self,
        label: str,
        base_url: str,
        headers: Mapping[str, str],
        *,
        timeout: Timeout = (10, 60),
        rate: MinimumRate = NORMAL_RATE,
    ) -> None:
        self.label = label
        self.base_url = base_url.strip().rstrip("/")
        self.timeout = timeout
        self.rate = rate
        self._headers = dict(headers)
        self._secrets = _secrets_in(self._headers.values())
        self._origin = origin(self.base_url)
        self._told_time: tuple[float, float] | None = None  # by the platform, by time.monotonic
        # Whether a JSON object is an answer of the platform; its Provider knows better.
        self.is_own_form: Callable[[Mapping[str, Json]], bool] = bool
        self.has_answered = self.base_url in _ANSWERED
        self.sessions: set[Session] = set()  # they live, with their connections, while this does

    @property
    def host(self) -> str:
        """Host name of the base URL, "" if that is invalid."""
        return self._origin[1] if self._origin else ""

    def key_for(self, url: str) -> Mapping[str, str]:
        """The key headers if `url` has the scheme, host and port of the base URL, else none."""
        return self._headers if self._origin and origin(url) == self._origin else {}

    def platform_time(self) -> float:
        """Seconds since the epoch by the platform's clock, as its last answer told; else by ours.

        What the platform dates, such as the end of a URL, is compared with this: our own clock may
        be hours wrong.
        """
        told = self._told_time
        return time.time() if told is None else told[0] + time.monotonic() - told[1]

    # -- calls ------------------------------------------------------------------------------

    def get(self, path: str, params: Params = None) -> Response:
        """GET `path`, or a full URL, without the key if its origin differs.

        Follows redirects within one origin.
        """
        url = self._url(path)
        for _ in range(MAX_REDIRECTS + 1):
            request = requests.Request("GET", url, params=params)
            answer, redirect = self._exchange(self._session(), request, None)
            if redirect is None:
                return self._raise_for_status(answer)
            if origin(redirect) != origin(url):
                raise self._redirect_error(answer, redirect)
            url, params = redirect, None
        raise self._redirect_error(answer, url)

    def stream(self, path: str, listener: StreamListener) -> Response:
        """GET an event stream, whose lines `listener` gets; redirects are not followed."""
        request = requests.Request("GET", self._url(path), headers={"Accept": STREAM})
        return self._exchange_once(request, None, listener)

    def post(self, path: str) -> Response:
        """POST an empty body. Redirects are not followed, as in `post_json`."""
        return self._post(path, text_body(b"", "application/json"))

    def post_json(
        self,
        path: str,
        body: Json,
        listener: StreamListener | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """POST `body` as JSON. Raises ApiError for a redirect.

        `listener` gets the lines of an event stream as they arrive, and has its own timeout.
        """
        try:
            text = json.dumps(body, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise InvalidInput(
                tr("The request cannot be encoded as JSON: {why}.", why=error),
                do=tr("Look for a value that is not a number, text, list or object."),
                platform=self.label,
            ) from None
        return self._post(path, text_body(text, "application/json"), listener, headers)

    def post_form(
        self, path: str, fields: Sequence[tuple[str, Field]], report: Report | None = None
    ) -> Response:
        """POST multipart/form-data in the order of `fields`; files are streamed from disk.

        `report` counts the bytes of the whole form. Raises InvalidInput for a file that changed or
        is gone: before the first byte is sent, unless it happens while sending.
        """
        with form_body(fields, report or no_report) as body:
            return self._post(path, body)

    def put_file(
        self,
        url: str,
        file: MediaFile,
        headers: Mapping[str, str],
        report: Report | None = None,
    ) -> Response:
        """PUT the bytes of `file` to a signed `url`, exactly as given, without the key.

        Raises what `post_form` raises, and BadResult for a private host other than the platform's.
        """
        with file_body(file, headers.get("Content-Type", file.mime), report or no_report) as body:
            request = requests.Request("PUT", url, headers=dict(headers))
            _set_body(request, body)
            exchange = exact_exchange(
                request,
                key={},
                own_host=self.host,
                label=self.label,
                timeout=self.timeout,
                rate=self.rate,
                kept=self.sessions,
            )
            return self._raise_for_status(self._receive(exchange, body)[0])

    def recognise(self, body: Json) -> bool:
        """Whether `body` is an answer of the platform; remembers that one has come."""
        if not isinstance(body, dict) or is_of_a_web_server(body) or not self.is_own_form(body):
            return False
        if is_cut(body):  # no platform nests so deep
            return False
        self.has_answered = True
        _ANSWERED.add(self.base_url)
        return True

    # -- one exchange -----------------------------------------------------------------------

    def _post(
        self,
        path: str,
        body: RequestBody,
        listener: StreamListener | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        request = requests.Request("POST", self._url(path), headers=dict(headers or {}))
        _set_body(request, body)
        return self._exchange_once(request, body, listener)

    def _exchange_once(
        self, request: requests.Request, body: RequestBody | None, listener: StreamListener | None
    ) -> Response:
        with self._session_for(listener) as session:
            answer, redirect = self._exchange(session, request, body, listener)
        if redirect is not None:
            raise self._redirect_error(answer, redirect)
        return self._raise_for_status(answer)

    def _session_for(self, listener: StreamListener | None) -> AbstractContextManager[Session]:
        if listener is None:
            return nullcontext(self._session())
        return Session(partial(MeteredAdapter, replace(self.rate, seconds=listener.patience)))

    def _exchange(
        self,
        session: Session,
        request: requests.Request,
        body: RequestBody | None,
        listener: StreamListener | None = None,
    ) -> tuple[Response, str | None]:
        self._check_key()
        timeout = self.timeout if listener is None else (self.timeout[0], listener.patience)
        return self._receive(self._send(session, request, timeout), body, listener)

    @contextmanager
    def _send(
        self, session: Session, request: requests.Request, timeout: Timeout
    ) -> Iterator[requests.Response]:
        with session.exchange(request, self.key_for(request.url), timeout) as response:
            self._note_time(response)
            yield response

    def _note_time(self, response: requests.Response) -> None:
        date = parse_date(response.headers.get("Date"))
        if date is not None and origin(response.url) == self._origin:
            self._told_time = date, time.monotonic()

    def _receive(
        self,
        exchange: AbstractContextManager[requests.Response],
        body: RequestBody | None,
        listener: StreamListener | None = None,
    ) -> tuple[Response, str | None]:
        """The whole answer, and where it redirects to.

        Errors are raised outside the handlers: exceptions of requests hold the key and full URLs,
        and would be attached to ours as context.
        """
        failure: SkyportError
        try:
            with exchange as response:
                answer = self._read(response, listener)
                return answer, redirect_target(response.url, response)
        except (InvalidURL, InvalidSchema, MissingSchema):
            failure = self._invalid_url()
        except WIRE_ERRORS as error:
            failure = self._no_answer(describe_failure(error), sent=body is None or body.begun)
        except SkyportError:
            raise
        except Exception as error:  # whatever it is, the request may have been accepted
            failure = self._no_answer(type(error).__name__, sent=body is None or body.begun)
        raise failure

    def _read(
        self, response: requests.Response, listener: StreamListener | None = None
    ) -> Response:
        lines = self._lines(response, listener) if listener and _is_stream(response) else None
        content = bytearray()
        for chunk in _pieces(response) if lines else response.iter_content(_CHUNK):
            content += chunk
            if lines and lines.feed(chunk):
                return self._response(response, content)
            if len(content) > MAX_BYTES:
                raise BadResult(
                    tr("The answer is larger than {count} MB.", count=MAX_BYTES >> 20),
                    do=tr("Check {name}_BASE_URL.", name=self.label.upper()),
                    platform=self.label,
                )
        if cut_short(response):
            raise ChunkedEncodingError("short body")
        if lines:
            lines.feed(b"\n")  # a last line may lack a line break
        return self._response(response, content)

    def _lines(self, response: requests.Response, listener: StreamListener) -> LineReader:
        wire: Any = response.raw._original_response  # a MeteredResponse
        return LineReader(listener, self._without_key, wire.line_read)

    def _response(self, response: requests.Response, content: bytearray) -> Response:
        return Response(
            self.label, response.status_code, response.headers, self._without_key(bytes(content))
        )

    def _session(self) -> Session:
        adapter = partial(MeteredAdapter, self.rate)
        return shared_session((self._origin, self.rate), adapter, self.sessions)

    # -- addresses and keys -----------------------------------------------------------------

    def _url(self, path: str) -> str:
        if self._origin is None:
            raise self._invalid_url()
        if path.startswith(("http://", "https://")):
            return path
        return f"{self.base_url}/{path.lstrip('/')}"

    def _check_key(self) -> None:
        """Checked here because requests quotes a header with a stray line break in its error."""
        if not all(re.fullmatch(r"[\x20-\x7e]+", value) for value in self._headers.values()):
            raise InvalidInput(
                tr("The key is empty or contains characters that no key has."),
                do=tr(
                    "Set it again: {name}_API_KEY, or `skyport keys set`.", name=self.label.upper()
                ),
                platform=self.label,
            )

    def _without_key(self, content: bytes) -> bytes:
        """`content` without the key: some platforms quote a rejected key in text that we show."""
        for secret in self._secrets:
            content = content.replace(secret, b"***")
        return content

    # -- errors -----------------------------------------------------------------------------

    def _raise_for_status(self, answer: Response) -> Response:
        if 200 <= answer.status_code < 300:
            return answer
        message, code = parse_error_body(answer.content)
        retry_after = parse_retry_after(answer.headers.get("Retry-After"), self.platform_time())
        body = json_object(answer.content)
        own_form = self.recognise(body)
        raise api_error(
            self.label,
            answer.status_code,
            message,
            code,
            retry_after,
            own_form=own_form,
            body=body,
        )

    def _redirect_error(self, answer: Response, redirect: str) -> ApiError:
        return ApiError(
            tr(
                "The platform redirects to {place}, which is not followed.",
                place=origin_text(redirect),
            ),
            status=answer.status_code if answer.status_code in REDIRECTS else 0,
            do=tr("Check {name}_BASE_URL.", name=self.label.upper()),
            platform=self.label,
        )

    def _no_answer(self, reason: str, *, sent: bool) -> TransportError:
        return TransportError(
            tr("No answer from {host}: {why}.", host=self.host, why=reason),
            sent=sent,
            do=tr(
                "Check the network, the proxy and {name}_BASE_URL, then queue again.",
                name=self.label.upper(),
            ),
            platform=self.label,
        )

    def _invalid_url(self) -> InvalidInput:
        shown = urlsplit(self.base_url).hostname if self._origin else self.base_url[:40]
        return InvalidInput(
            tr("{url} is not a valid http or https address.", url=scrub(shown or '""')),
            do=tr(
                "Set {name}_BASE_URL to the platform's https:// address.", name=self.label.upper()
            ),
            platform=self.label,
        )


def _secrets_in(headers: Iterable[str]) -> list[bytes]:
    """What the values of headers keep secret, however an answer may spell it."""
    found: list[str] = []
    for value in headers:
        scheme, _, secret = value.strip().rpartition(" ")
        found += spellings(secret)
        if scheme.lower() == "basic":
            with suppress(ValueError):
                found += spellings(base64.b64decode(secret).decode("latin-1"))
    return [each.encode("utf-8", "replace") for each in found]


def _is_stream(response: requests.Response) -> bool:
    kind = response.headers.get("Content-Type", "")
    return response.ok and kind.strip().lower().startswith(STREAM)


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """The body of a stream in pieces, each as soon as it has arrived."""
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
    if chunked or not hasattr(response.raw, "read1"):
        # Without chunked encoding, a larger read of an older urllib3 waits for all of it.
        yield from response.iter_content(_CHUNK if chunked else 1)
    else:
        yield from iter(lambda: response.raw.read1(_CHUNK, decode_content=True), b"")


def _set_body(request: requests.Request, body: RequestBody) -> None:
    request.data = body
    request.headers = {
        **(request.headers or {}),
        "Content-Type": body.mime,
        "Content-Length": str(body.len),
    }
