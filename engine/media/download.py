"""Downloads of results: streamed to disk, resumed after a broken connection, from allowed hosts."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import requests

from ..base.errors import ApiError, BadResult, NotFound, SkyportError, TransportError
from ..base.types import Report, ResultFile, no_report
from ..base.words import tr
from ..http.client import Http
from ..http.error_answers import api_error, parse_error_body, parse_retry_after
from ..http.failures import describe_failure
from ..http.public_hosts import exact_exchange
from ..http.session import (
    MAX_REDIRECTS,
    WIRE_ERRORS,
    content_length,
    cut_short,
    origin_text,
    redirect_target,
)
from .file_type import name_in
from .part_file import CHUNK, LARGE_CHUNK, PartialFile

DEFAULT_CAP = 4 * 1024**3  # bytes
_LARGE = 16 * 1024**2  # bytes
_LINK_GONE = frozenset({401, 403, 404, 410})


def keep(data: bytes, target: Path, *, text: bool = False) -> ResultFile:
    """Write a result that came inside an answer to `target`; its bytes decide the extension.

    Raises BadResult where it is no media file or cannot be written.
    """
    part = PartialFile(target)
    try:
        part.restart()
        part.write(data)
        return part.settle("", "", text)
    finally:
        part.discard()


def link_expired(error: SkyportError) -> bool:
    """Whether a fresh URL may help: the host no longer serves this one."""
    if not isinstance(error, ApiError):
        return False
    return error.status in _LINK_GONE or (error.status == 400 and "expire" in error.what.lower())


@dataclass
class Download:
    """The download of one result; `attempt` may be repeated and resumes where the last one stopped.

    url     used byte for byte as given
    target  path of the file without its extension; it has the extension .part until it is complete
    cap     largest size to accept, in bytes
    text    whether plain text is a result too
    """

    http: Http
    url: str
    target: Path
    cap: int = DEFAULT_CAP
    report: Report = no_report
    text: bool = False
    _part: PartialFile = field(init=False, repr=False)
    _etag: str = field(default="", init=False, repr=False)
    _file: ResultFile | None = field(default=None, init=False, repr=False)
    _given_up: bool = field(default=False, init=False, repr=False)
    _attempting: Lock = field(default_factory=Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        self._part = PartialFile(self.target)

    def attempt(self) -> ResultFile:
        """Fetch what is still missing, once; nothing is left of it after `give_up`.

        Raises TransportError when the connection broke (worth repeating), NotFound when the link
        expired (401, 403, 404, 410; see `link_expired`), another ApiError for other answers, and
        BadResult where repeating does not help: a private host, too many bytes, no media file, a
        full disk.
        """
        try:
            with self._attempting:
                self._file = self._fetch()
                return self._file
        finally:
            if self._given_up:
                self.give_up()

    def give_up(self) -> None:
        """Nobody wants it any more: remove it, or let the attempt that is being made do so."""
        self._given_up = True
        if not self._attempting.acquire(blocking=False):
            return
        self.discard()
        if self._file is not None:
            self._file.path.unlink(missing_ok=True)
        self._attempting.release()

    def _fetch(self) -> ResultFile:
        failure: SkyportError
        try:
            with self._open() as (response, url):
                self._receive(response)
                content_type = response.headers.get("Content-Type", "")
                # The platform's own name for it goes before that of a host it leads to.
                name = next(filter(_has_ending, map(name_in, (self.url, url))), "")
                return self._part.settle(content_type, name, self.text)
        except (BadResult, ApiError) as error:
            self.discard()
            error.platform = error.platform or self.http.label
            raise
        except WIRE_ERRORS as error:
            failure = self._interrupted(describe_failure(error))
        finally:
            self._part.close()
        # Raised out here: as its context, an error of requests would show the key and whole URLs.
        raise failure

    def discard(self) -> None:
        """Remove what was fetched so far. The next attempt starts from the beginning."""
        self._etag = ""
        self._part.discard()

    # -- request ----------------------------------------------------------------------------

    @contextmanager
    def _open(self) -> Iterator[tuple[requests.Response, str]]:
        """The response of the host that has the file, and its URL; every hop is checked anew."""
        url = self.url
        with ExitStack() as hops:
            for _ in range(MAX_REDIRECTS + 1):
                exchange = exact_exchange(
                    requests.Request("GET", url, headers=self._headers()),
                    key=self.http.key_for(url),
                    own_host=self.http.host,
                    label=self.http.label,
                    timeout=self.http.timeout,
                    rate=self.http.rate,
                    kept=self.http.sessions,
                )
                response = hops.enter_context(exchange)
                target = redirect_target(url, response)
                if target is None:
                    self._raise_for_status(response, url)
                    yield response, url
                    return
                url = target
        raise BadResult(
            tr(
                "The result's URL was redirected too many times, last to {place}.",
                place=origin_text(url),
            )
        )

    def _headers(self) -> dict[str, str]:
        # With compression, lengths and ranges would not be those of the file.
        headers = {"Accept-Encoding": "identity"}
        if self._etag and self._part.size:
            headers |= {"Range": f"bytes={self._part.size}-", "If-Range": self._etag}
        return headers

    def _raise_for_status(self, response: requests.Response, url: str) -> None:
        status = response.status_code
        if status in (200, 206):
            return
        if status == 416:
            self.discard()
            raise self._interrupted(tr("the host could not resume the download"))
        with suppress(*WIRE_ERRORS):
            words, code = parse_error_body(next(response.iter_content(16384), b""))
            asked = parse_retry_after(response.headers.get("Retry-After"), time.time())
            error = api_error(self.http.label, status, words, code, asked)
            raise _expired(error, url) if self._is_link_gone(status, url) else error
        raise self._interrupted(tr("the connection was cut"))

    def _is_link_gone(self, status: int, url: str) -> bool:
        """On the platform's own host, 401 and 403 are about the key; elsewhere, about the link."""
        is_own_host = bool(self.http.key_for(url))
        return status in _LINK_GONE and not (is_own_host and status in (401, 403))

    # -- receive ----------------------------------------------------------------------------

    def _receive(self, response: requests.Response) -> None:
        total = self._begin(response)
        if total is not None and total > self.cap:
            raise self._too_large(total)
        is_large = total is not None and total >= _LARGE
        for chunk in response.iter_content(LARGE_CHUNK if is_large else CHUNK):
            if self._part.size + len(chunk) > self.cap:
                raise self._too_large(self._part.size + len(chunk))
            self._part.write(chunk)
            self.report(self._part.size, total or 0)
        if cut_short(response) or (total is not None and self._part.size < total):
            raise self._interrupted(tr("the connection was cut"))

    def _begin(self, response: requests.Response) -> int | None:
        """Open the partial file for `response`; the size of the whole file, None if unknown."""
        if response.status_code == 206 and not self._is_from_the_start(response):
            total = self._check_range(response)
            self._part.reopen()
            return total
        self._part.restart()
        self._etag = _resumable(response)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            return None
        match = _content_range(response)  # of a 206, whose own length may be that of a part
        return int(match[2]) if match and match[2] != "*" else content_length(response)

    def _is_from_the_start(self, response: requests.Response) -> bool:
        """Whether it is a 206 to a plain GET: some hosts answer everything with parts."""
        match = _content_range(response)
        return "Range" not in self._headers() and match is not None and int(match[1]) == 0

    def _check_range(self, response: requests.Response) -> int | None:
        """The whole size from a 206, which must continue exactly where the partial file ends."""
        match = _content_range(response)
        is_same = response.headers.get("ETag", self._etag) == self._etag
        if not match or not self._etag or int(match[1]) != self._part.size or not is_same:
            self.discard()
            raise self._interrupted(tr("the host could not resume the download"))
        return None if match[2] == "*" else int(match[2])

    # -- errors -----------------------------------------------------------------------------

    def _interrupted(self, reason: str) -> TransportError:
        return TransportError(
            tr(
                "The result could not be downloaded from {place}: {why}.",
                place=origin_text(self.url),
                why=reason,
            ),
            do=tr("It is not lost: queue again to fetch it."),
            platform=self.http.label,
        )

    def _too_large(self, size: int) -> BadResult:
        return BadResult(
            tr(
                "The result is too large: at least {size} MB, and at most {cap} MB are allowed.",
                size=size >> 20,
                cap=self.cap >> 20,
            ),
            do=tr("Raise the maximum result size in the settings, then queue again."),
        )


def _content_range(response: requests.Response) -> re.Match[str] | None:
    """First byte and whole size ("*" if unknown) of what a 206 brings."""
    if response.status_code != 206:
        return None
    content_range = response.headers.get("Content-Range", "")
    return re.fullmatch(r"bytes (\d{1,18})-\d+/(\d{1,18}|\*)", content_range.strip())


def _resumable(response: requests.Response) -> str:
    """The ETag with which the download can be resumed; "" where the host offers no resuming.

    A weak ETag, or a date, does not promise the same bytes; compressed bytes are not the file's.
    """
    headers = response.headers
    etag: str = headers.get("ETag", "")
    takes_ranges = headers.get("Accept-Ranges", "").strip().lower() == "bytes"
    is_plain = headers.get("Content-Encoding", "identity") == "identity"
    return etag if takes_ranges and is_plain and etag.startswith('"') else ""


def _expired(error: ApiError, url: str) -> NotFound:
    return NotFound(
        tr("{place} no longer has the result: {why}", place=origin_text(url), why=error.what),
        status=error.status,
        code=error.code,
        do=tr("Its link may have expired: queue again to ask for a fresh one."),
        platform=error.platform,
    )


def _has_ending(name: str) -> bool:
    return "." in name.strip(".")
