"""A platform's API over HTTP, one attempt a call; no retries here (`_retry.py`)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from threading import local
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.exceptions import ChunkedEncodingError, InvalidSchema, InvalidURL, MissingSchema

from ..base.errors import ApiError, BadResult, InvalidInput, SkyportError, TransportError
from ..base.shown_text import scrub
from ..base.types import Field, Json, MediaFile, Report, silent
from ..base.words import tr
from .error_answers import api_error, explained, seconds_asked
from .public_hosts import exact_exchange
from .request_body import RequestBody, file_body, form_body, text_body
from .response import Response, StreamListener
from .session import (
    MAX_REDIRECTS,
    REDIRECTS,
    WIRE_ERRORS,
    Session,
    Timeout,
    cut_short,
    describe_failure,
    origin,
    origin_text,
    redirect_target,
)

Params = Mapping[str, Any] | Sequence[tuple[str, Any]] | None

MOST_BYTES = 256 * 1024 * 1024  # of an API's answer, which may hold several pictures as base64
STREAM = "text/event-stream"
_CHUNK = 64 * 1024


class Http:
    """One platform's API. Every method makes one attempt and may be called from any thread.

    All raise ApiError or the subclass that HTTP status and words call for, TransportError when no
    whole answer came, InvalidInput when the base URL or the key cannot be sent at all.
    """

    def __init__(
        self,
        label: str,
        base_url: str,
        headers: Mapping[str, str],
        *,
        timeout: Timeout = (10, 60),
    ) -> None:
        self.label = label
        self.base_url = base_url.strip().rstrip("/")
        self.timeout = timeout
        self._headers = dict(headers)
        self._origin = origin(self.base_url)
        self._threads = local()

    @property
    def host(self) -> str:
        """Host name of the base URL, "" where that is unusable."""
        return self._origin[1] if self._origin else ""

    def key_for(self, url: str) -> Mapping[str, str]:
        """The key headers if `url` is of the base URL's own scheme, host and port, else none."""
        return self._headers if self._origin and origin(url) == self._origin else {}

    # -- calls ------------------------------------------------------------------------------

    def get(self, path: str, params: Params = None) -> Response:
        """Read `path`, or a whole URL; another origin gets no key. Follows redirects at home."""
        url = self._address(path)
        for _ in range(MAX_REDIRECTS + 1):
            request = requests.Request("GET", url, params=params)
            answer, elsewhere = self._converse(self._thread_session(), request, None)
            if elsewhere is None:
                return self._raise_for_status(answer)
            if origin(elsewhere) != origin(url):
                raise self._redirected(answer, elsewhere)
            url, params = elsewhere, None
        raise self._redirected(answer, url)

    def post(self, path: str) -> Response:
        """Post nothing: all that is said stands in `path`. Never redirected, as `post_json`."""
        return self._post(path, text_body(b"", "application/json"))

    def post_json(self, path: str, body: Json, listener: StreamListener | None = None) -> Response:
        """Post `body` as JSON. Never redirected: ApiError instead.

        An `ear` hears the lines of an event stream as they come, and may wait longer for them.
        """
        try:
            text = json.dumps(body, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise InvalidInput(
                tr("The request cannot be written as JSON: {why}.", why=error),
                do=tr("Look for a value that is not a number, text, list or object."),
                platform=self.label,
            ) from None
        return self._post(path, text_body(text, "application/json"), listener)

    def post_form(
        self, path: str, fields: Sequence[tuple[str, Field]], report: Report | None = None
    ) -> Response:
        """Post multipart/form-data, in the order of `fields`; files stream from disk.

        `report` hears the bytes of the whole form. Raises InvalidInput for a file that changed or
        is gone: before the first byte is sent, unless it happens while sending.
        """
        with form_body(fields, report or silent) as body:
            return self._post(path, body)

    def put_file(
        self,
        url: str,
        file: MediaFile,
        headers: Mapping[str, str],
        report: Report | None = None,
    ) -> Response:
        """PUT the bytes of `file` to a signed `url`, exactly as given, without the key.

        Raises what `post_form` does, and BadResult for a private host that is not the platform's.
        """
        with file_body(file, headers.get("Content-Type", file.mime), report or silent) as body:
            request = requests.Request("PUT", url, headers=dict(headers))
            _attach(request, body)
            sending = exact_exchange(
                request, key={}, own_host=self.host, label=self.label, timeout=self.timeout
            )
            return self._raise_for_status(self._received(sending, body)[0])

    # -- one exchange -----------------------------------------------------------------------

    def _post(
        self, path: str, body: RequestBody, listener: StreamListener | None = None
    ) -> Response:
        request = requests.Request("POST", self._address(path))
        _attach(request, body)
        # A new session is a new connection. One kept alive may be closed by the platform just as
        # the request goes out, and then nobody can tell whether it was taken, and paid for.
        with Session() as session:
            answer, elsewhere = self._converse(session, request, body, listener)
        if elsewhere is not None:
            raise self._redirected(answer, elsewhere)
        return self._raise_for_status(answer)

    def _converse(
        self,
        session: Session,
        request: requests.Request,
        body: RequestBody | None,
        listener: StreamListener | None = None,
    ) -> tuple[Response, str | None]:
        self._check_key()
        timeout = self.timeout if listener is None else (self.timeout[0], listener.patience)
        return self._received(self._sending(session, request, timeout), body, listener)

    @contextmanager
    def _sending(
        self, session: Session, request: requests.Request, timeout: Timeout
    ) -> Iterator[requests.Response]:
        with session.exchange(request, self.key_for(request.url), timeout) as response:
            yield response

    def _received(
        self,
        sending: AbstractContextManager[requests.Response],
        body: RequestBody | None,
        listener: StreamListener | None = None,
    ) -> tuple[Response, str | None]:
        """The whole answer, and where it redirects to.

        Errors are raised outside of the handlers: what requests raises holds the key and whole
        URLs, and would hang on ours as its context.
        """
        failure: SkyportError
        try:
            with sending as response:
                answer = self._read(response, listener)
                return answer, redirect_target(response.url, response)
        except (InvalidURL, InvalidSchema, MissingSchema):
            failure = self._bad_address()
        except WIRE_ERRORS as error:
            failure = self._no_answer(describe_failure(error), sent=body is None or body.begun)
        raise failure

    def _read(
        self, response: requests.Response, listener: StreamListener | None = None
    ) -> Response:
        content, heard = bytearray(), 0
        listening = listener is not None and _is_stream(response)
        for chunk in response.iter_content(_step(response) if listening else _CHUNK):
            content += chunk
            if listener is not None and listening:
                heard, enough = self._told(listener, content, heard)
                if enough:
                    return self._whole(response, content)
            if len(content) > MOST_BYTES:
                raise BadResult(
                    tr("An answer of more than {count} MB came.", count=MOST_BYTES >> 20),
                    do=tr("Check {name}_BASE_URL.", name=self.label.upper()),
                    platform=self.label,
                )
        if cut_short(response):
            raise ChunkedEncodingError("short body")
        if listener is not None and listening:
            self._told(listener, content[heard:] + b"\n", 0)  # a last line may lack its end
        return self._whole(response, content)

    def _whole(self, response: requests.Response, content: bytearray) -> Response:
        return Response(
            self.label, response.status_code, response.headers, self._without_key(bytes(content))
        )

    def _told(self, listener: StreamListener, content: bytearray, heard: int) -> tuple[int, bool]:
        """Let `ear` hear the whole lines after `heard`: where the next begins, if it has enough."""
        while (end := content.find(b"\n", heard)) >= 0:
            line = self._without_key(bytes(content[heard:end])).decode("utf-8", "replace")
            heard = end + 1
            if listener.on_line(line.rstrip("\r")):
                return heard, True
        return heard, False

    def _thread_session(self) -> Session:
        if not hasattr(self._threads, "session"):
            self._threads.session = Session()
        session: Session = self._threads.session
        return session

    # -- addresses and keys -----------------------------------------------------------------

    def _address(self, path: str) -> str:
        if self._origin is None:
            raise self._bad_address()
        if path.startswith(("http://", "https://")):
            return path
        return f"{self.base_url}/{path.lstrip('/')}"

    def _check_key(self) -> None:
        """Refused here: requests quotes a header with a stray line break in its error."""
        if not all(re.fullmatch(r"[\x20-\x7e]+", value) for value in self._headers.values()):
            raise InvalidInput(
                tr("The key holds characters that no key has, or is empty."),
                do=tr(
                    "Set it again: {name}_API_KEY, or `skyport keys set`.", name=self.label.upper()
                ),
                platform=self.label,
            )

    def _without_key(self, content: bytes) -> bytes:
        """Some platforms quote the key they refuse, and what they say is shown."""
        for value in self._headers.values():
            secret = value.split()[-1].encode() if value.split() else b""
            if len(secret) >= 6:
                content = content.replace(secret, b"***")
        return content

    # -- errors -----------------------------------------------------------------------------

    def _raise_for_status(self, answer: Response) -> Response:
        if 200 <= answer.status_code < 300:
            return answer
        words, code = explained(answer.content)
        asked = seconds_asked(answer.headers.get("Retry-After"), time.time())
        raise api_error(self.label, answer.status_code, words, code, asked)

    def _redirected(self, answer: Response, elsewhere: str) -> ApiError:
        return ApiError(
            tr(
                "It answered with a redirect to {place}, which is not followed.",
                place=origin_text(elsewhere),
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

    def _bad_address(self) -> InvalidInput:
        shown = urlsplit(self.base_url).hostname if self._origin else self.base_url[:40]
        return InvalidInput(
            tr("{url} is not an address that can be called.", url=scrub(shown or '""')),
            do=tr(
                "Set {name}_BASE_URL to the platform's https:// address.", name=self.label.upper()
            ),
            platform=self.label,
        )


def _is_stream(response: requests.Response) -> bool:
    kind = response.headers.get("Content-Type", "")
    return response.ok and kind.strip().lower().startswith(STREAM)


def _step(response: requests.Response) -> int:
    """How much to ask for at once: without chunks, more would wait until it is all there."""
    return _CHUNK if "chunked" in response.headers.get("Transfer-Encoding", "").lower() else 1


def _attach(request: requests.Request, body: RequestBody) -> None:
    request.data = body
    request.headers = {
        **(request.headers or {}),
        "Content-Type": body.mime,
        "Content-Length": str(body.len),
    }
