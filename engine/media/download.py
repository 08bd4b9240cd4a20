"""Results brought to this disk: streamed, resumed after a cut, from hosts that may be asked."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests

from ..base.errors import ApiError, BadResult, NotFound, SkyportError, TransportError
from ..base.types import Report, ResultFile, silent
from ..base.words import tr
from ..http.client import Http
from ..http.error_answers import api_error, explained, seconds_asked
from ..http.public_hosts import exact_exchange
from ..http.session import (
    MAX_REDIRECTS,
    WIRE_ERRORS,
    cut_short,
    describe_failure,
    origin_text,
    redirect_target,
)
from .file_type import name_in
from .part_file import CHUNK, LARGE_CHUNK, PartialFile

DEFAULT_CAP = 4 * 1024**3  # bytes
_LARGE = 16 * 1024**2  # bytes
_LINK_GONE = frozenset({401, 403, 404, 410})


def keep(data: bytes, target: Path, *, text: bool = False) -> ResultFile:
    """Put a result that came inside an answer on disk as `target` + what its bytes say it is.

    Raises BadResult when it is no medium or cannot be written.
    """
    part = PartialFile(target)
    try:
        part.restart()
        part.write(data)
        return part.settle("", "", text)
    finally:
        part.discard()


def link_expired(error: SkyportError) -> bool:
    """True when a fresh URL may help: the host no longer serves the one we had."""
    if not isinstance(error, ApiError):
        return False
    return error.status in _LINK_GONE or (error.status == 400 and "expire" in error.what.lower())


@dataclass
class Download:
    """One result on its way to this disk; `attempt` may be repeated and goes on after a cut.

    url     used byte for byte as given
    target  where the file goes, without its extension; `<target>.part` until it is whole
    cap     most bytes to accept
    text    plain text is a result too
    """

    http: Http
    url: str
    target: Path
    cap: int = DEFAULT_CAP
    report: Report = silent
    text: bool = False
    _part: PartialFile = field(init=False, repr=False)
    _etag: str = field(default="", init=False, repr=False)

    def __post_init__(self) -> None:
        self._part = PartialFile(self.target)

    def attempt(self) -> ResultFile:
        """Fetch what is still missing. One attempt.

        Raises TransportError when the line broke (worth repeating), NotFound when the link expired
        (401, 403, 404, 410; see `link_expired`), another ApiError for other answers, and BadResult
        for what will not get better: a private host, too many bytes, no medium, a full disk.
        """
        failure: SkyportError
        try:
            with self._opened() as (response, url):
                self._fill(response)
                told_type = response.headers.get("Content-Type", "")
                return self._part.settle(told_type, name_in(url), self.text)
        except (BadResult, ApiError) as error:
            self.discard()
            error.platform = error.platform or self.http.label
            raise
        except WIRE_ERRORS as error:
            failure = self._cut(describe_failure(error))
        finally:
            self._part.close()
        # Raised out here: what requests raises holds the key and whole URLs, and would hang on it.
        raise failure

    def discard(self) -> None:
        """Give up: remove what was fetched so far. The next attempt starts anew."""
        self._etag = ""
        self._part.discard()

    # -- ask --------------------------------------------------------------------------------

    @contextmanager
    def _opened(self) -> Iterator[tuple[requests.Response, str]]:
        """The answer of the host that has the file, and its URL; every hop is judged by itself."""
        url = self.url
        with ExitStack() as hops:
            for _ in range(MAX_REDIRECTS + 1):
                sending = exact_exchange(
                    requests.Request("GET", url, headers=self._wanted()),
                    key=self.http.key_for(url),
                    own_host=self.http.host,
                    label=self.http.label,
                    timeout=self.http.timeout,
                )
                response = hops.enter_context(sending)
                elsewhere = redirect_target(url, response)
                if elsewhere is None:
                    self._raise_for_status(response, url)
                    yield response, url
                    return
                url = elsewhere
        raise BadResult(
            tr(
                "The result's address leads in circles, last to {place}.",
                place=origin_text(url),
            )
        )

    def _wanted(self) -> dict[str, str]:
        # Compressed on the way, lengths and ranges would not be those of the file.
        wanted = {"Accept-Encoding": "identity"}
        if self._etag and self._part.size:
            wanted |= {"Range": f"bytes={self._part.size}-", "If-Range": self._etag}
        return wanted

    def _raise_for_status(self, response: requests.Response, url: str) -> None:
        status = response.status_code
        if status in (200, 206):
            return
        if status == 416:
            self.discard()
            raise self._cut(tr("the host could not go on where it stopped"))
        with suppress(*WIRE_ERRORS):
            words, code = explained(next(response.iter_content(16384), b""))
            asked = seconds_asked(response.headers.get("Retry-After"), time.time())
            error = api_error(self.http.label, status, words, code, asked)
            raise _expired(error, url) if self._gone(status, url) else error
        raise self._cut(tr("the connection was cut"))

    def _gone(self, status: int, url: str) -> bool:
        """Elsewhere a 403 is about the link's signature; at home it is about the key."""
        at_home = bool(self.http.key_for(url))
        return status in _LINK_GONE and not (at_home and status in (401, 403))

    # -- fill -------------------------------------------------------------------------------

    def _fill(self, response: requests.Response) -> None:
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
            raise self._cut(tr("the connection was cut"))

    def _begin(self, response: requests.Response) -> int | None:
        """Open the part where `response` goes on; the size of the whole file, None if not told."""
        if response.status_code == 206:
            total = self._continues(response)
            self._part.reopen()
            return total
        self._part.restart()
        self._etag = _resumable(response)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            return None
        length = response.headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None

    def _continues(self, response: requests.Response) -> int | None:
        """The whole size, told by a 206 that goes on exactly where the part ends."""
        told_range = response.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", told_range.strip())
        same = response.headers.get("ETag", self._etag) == self._etag
        if not match or not self._etag or int(match[1]) != self._part.size or not same:
            self.discard()
            raise self._cut(tr("the host could not go on where it stopped"))
        return None if match[2] == "*" else int(match[2])

    # -- errors -----------------------------------------------------------------------------

    def _cut(self, reason: str) -> TransportError:
        return TransportError(
            tr(
                "The result could not be fetched from {place}: {why}.",
                place=origin_text(self.url),
                why=reason,
            ),
            do=tr("It is not lost: queue again to fetch it."),
            platform=self.http.label,
        )

    def _too_large(self, size: int) -> BadResult:
        return BadResult(
            tr(
                "The result is larger than allowed: {size} MB or more, allowed are {cap} MB.",
                size=size >> 20,
                cap=self.cap >> 20,
            ),
            do=tr("Raise the largest result size in the settings, then queue again."),
        )


def _resumable(response: requests.Response) -> str:
    """The ETag with which a cut download can go on; "" where the host did not offer it.

    A weak one, or a date, does not promise the same bytes; compressed ones are not the file's.
    """
    headers = response.headers
    etag: str = headers.get("ETag", "")
    offered = headers.get("Accept-Ranges", "").strip().lower() == "bytes"
    plain = headers.get("Content-Encoding", "identity") == "identity"
    return etag if offered and plain and etag.startswith('"') else ""


def _expired(error: ApiError, url: str) -> NotFound:
    return NotFound(
        tr("{place} no longer has the result: {why}", place=origin_text(url), why=error.what),
        status=error.status,
        code=error.code,
        do=tr("Its link may have expired: queue again to ask for a fresh one."),
        platform=error.platform,
    )
