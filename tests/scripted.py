"""A real HTTP server on 127.0.0.1 that says what a test scripts and remembers what it was asked.

with Scripted() as server:
    server.on("/task", Answer(503), Answer(body=b"{}"))   # in turn; the last one is repeated
    ...
    assert [seen.method for seen in server.seen] == ["GET", "GET"]
"""

from __future__ import annotations

import hashlib
import itertools
import json
import socket
import socketserver
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from _waiting import until


@dataclass(frozen=True)
class Answer:
    """What to say to one request.

    cut      send only so many bytes of the body, then drop the connection; headers promise all
    raw      these very bytes instead of a status line, headers and body
    drop     drop the connection without a word, "before" the request's body is read or "after"
    leave    close the connection after the answer, without having said so
    delay    seconds before the answer; the end of the test ends it too
    length   send Content-Length (else the body ends with the connection)
    endless  bytes that follow, one at a time, again and again until the client leaves
    """

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    cut: int | None = None
    raw: bytes | None = None
    drop: str = ""
    leave: bool = False
    delay: float = 0
    length: bool = True
    endless: bytes = b""


def answer_json(tree: Any, status: int = 200, **headers: str) -> Answer:
    """`tree` as an API would send it; keywords are headers, `retry_after` for Retry-After."""
    named = tuple((name.replace("_", "-").title(), value) for name, value in headers.items())
    body = json.dumps(tree).encode()
    return Answer(status, body, (("Content-Type", "application/json"), *named))


def answer_page(text: str, status: int = 200) -> Answer:
    """An HTML page."""
    return Answer(status, text.encode(), (("Content-Type", "text/html; charset=utf-8"),))


def redirect(to: str, status: int = 302) -> Answer:
    """A redirect; `to` goes into Location as it is."""
    return Answer(status, b"", (("Location", to),))


@dataclass(frozen=True)
class LoggedRequest:
    """One request as it came over the wire. `target` is the request line's, byte for byte.

    connection  number of the TCP connection, from 1
    body        b"" when the server does not keep bodies; size and sha256 are told always
    """

    method: str
    target: str
    headers: dict[str, str]
    connection: int
    body: bytes = b""
    size: int = 0
    sha256: str = ""

    def json(self) -> Any:
        return json.loads(self.body)


Reply = Answer | Callable[[LoggedRequest], Answer]


@dataclass
class _Line:
    replies: tuple[Reply, ...]
    spoken: int = 0

    def next(self) -> Reply:
        reply = self.replies[min(self.spoken, len(self.replies) - 1)]
        self.spoken += 1
        return reply


@dataclass
class Scripted:
    """The server. `keep_bodies` False reads bodies without holding them (for tests of memory).

    tls  a server's context: with one, the address is https
    """

    keep_bodies: bool = True
    tls: ssl.SSLContext | None = None
    seen: list[LoggedRequest] = field(default_factory=list)
    connections: int = 0
    leavers: int = 0  # clients that left an endless answer
    _lines: dict[str, _Line] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def on(self, path: str, *replies: Reply) -> None:
        """Script the answers for `path` (without a query; "*" for every other path)."""
        self._lines[path] = _Line(replies)

    def asked(self, path: str) -> list[LoggedRequest]:
        """The requests for `path`, in order."""
        return [seen for seen in self.seen if _path(seen.target) == path]

    @property
    def counts(self) -> Counter[str]:
        """How many requests each path got."""
        return Counter(_path(seen.target) for seen in self.seen)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> Scripted:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.script = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()

    def settle(self) -> None:
        """Wait until whatever clients sent that are gone is in `seen`; none may be connected."""
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            until(lambda: self._server.connected == {last.getsockname()})

    # -- for the handler --------------------------------------------------------------------

    def connected(self) -> int:
        with self._lock:
            self.connections += 1
            return self.connections

    def reply_to(self, seen: LoggedRequest) -> Answer:
        with self._lock:
            self.seen.append(seen)
            line = self._lines.get(_path(seen.target)) or self._lines.get("*")
            reply = line.next() if line else Answer(404, b"nothing is scripted here")
        return reply(seen) if callable(reply) else reply

    def drops_before(self, target: str) -> bool:
        """Whether the coming reply wants the connection gone before the body is read."""
        with self._lock:
            line = self._lines.get(_path(target)) or self._lines.get("*")
            reply = line.replies[min(line.spoken, len(line.replies) - 1)] if line else None
            return isinstance(reply, Answer) and reply.drop == "before"


def closed_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _path(target: str) -> str:
    without = target.split("?")[0]
    return "/" + without.split("/", 3)[3] if without.startswith("http") else without


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = True
    script: Scripted

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.connected: set[Any] = set()  # addresses of clients, from when they are taken
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connected.add(client_address)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connected.discard(client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.script.tls is None:
            super().finish_request(request, client_address)
            return
        with suppress(OSError), self.script.tls.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)

    def hang_up(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(socketserver.StreamRequestHandler):
    """One connection: requests one after another until somebody leaves."""

    server: _Server
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server._open.add(self.request)
        self.number = self.server.script.connected()

    def finish(self) -> None:
        self.server._open.discard(self.request)
        with suppress(OSError):
            super().finish()

    def handle(self) -> None:
        try:
            while self._exchange():
                pass
        except (OSError, ValueError):
            pass

    def _exchange(self) -> bool:
        line = self.rfile.readline().decode("latin-1").split()
        if len(line) != 3:
            return False
        method, target, _ = line
        headers = self._headers()
        early = self.server.script.drops_before(target)
        body = (b"", 0, "") if early else self._body(int(headers.get("content-length", 0)))
        answer = self.server.script.reply_to(
            LoggedRequest(method, target, headers, self.number, *body)
        )
        if answer.drop:
            return False
        return self._say(answer)

    def _headers(self) -> dict[str, str]:
        headers = {}
        while line := self.rfile.readline().decode("latin-1").rstrip("\r\n"):
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return headers

    def _body(self, size: int) -> tuple[bytes, int, str]:
        stored, total, digest = [], 0, hashlib.sha256()
        while total < size:
            chunk = self.rfile.read(min(65536, size - total))
            if not chunk:
                raise OSError("the client left")
            digest.update(chunk)
            total += len(chunk)
            if self.server.script.keep_bodies:
                stored.append(chunk)
        return b"".join(stored), total, digest.hexdigest()

    def _say(self, answer: Answer) -> bool:
        if answer.delay and self.server.script.over.wait(answer.delay):
            return False
        if answer.raw is not None:
            self.wfile.write(answer.raw)
            return self._trickle(answer.endless)
        length = [("Content-Length", str(len(answer.body)))] if answer.length else []
        head = [f"HTTP/1.1 {answer.status} Scripted"]
        head += [f"{name}: {value}" for name, value in (*length, *answer.headers)]
        self.wfile.write("\r\n".join(head).encode("utf-8") + b"\r\n\r\n")
        self.wfile.write(answer.body if answer.cut is None else answer.body[: answer.cut])
        if answer.endless:
            return self._trickle(answer.endless)
        return answer.cut is None and answer.length and not answer.leave

    def _trickle(self, endless: bytes) -> bool:
        for byte in itertools.cycle(endless):
            if self.server.script.over.wait(0.002):
                break
            try:
                self.wfile.write(bytes([byte]))
            except OSError:
                self.server.script.leavers += 1
                break
        return False


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as server:
        yield server


@pytest.fixture
def elsewhere() -> Iterator[Scripted]:
    """A second server, on another host as far as a client can tell."""
    with Scripted() as elsewhere:
        yield elsewhere


TOKEN = "a-token-that-nobody-may-see"


@pytest.fixture
def webhook() -> Iterator[Scripted]:
    """A service that takes every notice."""
    with Scripted() as server:
        server.on("*", Answer())
        yield server


def webhook_url(server: Scripted) -> str:
    """The address of the service as a person writes it down, with a secret in it."""
    return server.url.replace("http://", "json://") + f"/{TOKEN}"
