"""The HTTP server: connections, the log, scripted faults, sending."""

from __future__ import annotations

import logging
import select
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any

from ._answer import Answer
from ._body import BLOCK, Body, Cut, Refusal
from ._drip import Drip
from ._faults import ANSWERS, Twists
from ._files import Slice
from ._log import LoggedRequest
from ._pages import BAD_JSON, HTML, Error, page
from ._platform import Platform, Request, World

_CLOSE = b"\x88\x00"  # a frame
_KEY_HEADERS = ("Authorization", "X-Api-Key", "Api-Key")


class Server(ThreadingTCPServer):
    """Serves `platforms`, each below a path of its name.

    Not an HTTPServer: that asks DNS for the host's name before it listens.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(
        self,
        address: tuple[str, int],
        world: World,
        platforms: Mapping[str, Platform],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.tls = tls
        self.world = world
        self.platforms = platforms
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, Handler)

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        with self.tls.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)
            self._forget(secure)

    def shutdown_request(self, request: Any) -> None:
        self._forget(request)
        super().shutdown_request(request)

    def _forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def close(self) -> None:
        """Close the port, and the connections that clients keep open."""
        self.stopping.set()
        self.server_close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        logging.getLogger(__name__).debug("A client left early", exc_info=True)


class Handler(BaseHTTPRequestHandler):
    """One connection; requests on it come one after the other."""

    protocol_version = "HTTP/1.1"
    server_version = "SkyportSandbox"
    sys_version = ""
    disable_nagle_algorithm = True
    timeout = 300
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.opened(self.connection)

    def serve(self) -> None:
        path, _, query = self.path.partition("?")
        seen = self.server.world.log.add(self._seen(path, query))
        twists = self.server.world.faults.take(self.command, path)
        try:
            self._send(seen, self._answer(seen, twists))
        except (Cut, ConnectionError, TimeoutError):
            self._cut()

    # The base class looks for these names.
    do_GET = do_HEAD = do_POST = serve
    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve

    # -- from a request to an answer --------------------------------------------------------

    def _answer(self, seen: LoggedRequest, twists: Twists) -> Answer:
        self._delay(twists, handled=False)
        try:
            body = Body(self.rfile, self.headers)
        except Refusal as refusal:
            self.close_connection = True
            return _refusal_answer(refusal)
        if "cut_before" in twists:
            self._cut_before(body, **twists["cut_before"])
        answer = self._route(seen, body, twists) if _reaches_platform(twists) else None
        if not body.drain():
            self.close_connection = True
        seen.size = body.received
        self._delay(twists, handled=True)
        if "cut_after" in twists:
            raise Cut
        answer = self._replacement(seen, twists) or answer or Answer(500, {})
        answer.twists = {**answer.twists, **twists}
        return answer

    def _route(self, seen: LoggedRequest, body: Body, twists: Twists) -> Answer:
        name, _, rest = seen.path[1:].partition("/")
        platform = self.server.platforms.get(name)
        if not platform:
            return _refusal_answer(Refusal(404, f"There is no platform at /{name}."))
        try:
            return platform.answer(
                Request(
                    method=self.command,
                    path=f"/{rest}",
                    query=seen.query,
                    headers=self.headers,
                    body=body,
                    seen=seen,
                    world=self.server.world,
                    twists=twists,
                )
            )
        except (Cut, ConnectionError, TimeoutError):
            raise
        except Exception:
            logging.getLogger(__name__).exception("%s %s", self.command, seen.path)
            return _refusal_answer(Refusal(500, "The sandbox itself failed; its log says why."))

    def _replacement(self, seen: LoggedRequest, twists: Twists) -> Answer | None:
        """The answer given in place of the real one."""
        platform = self.server.platforms.get(seen.path[1:].partition("/")[0])
        error = platform.error if platform else _error
        for kind in ANSWERS:
            if kind in twists:
                answer = _scripted_answer(kind, twists[kind], self.server.world.origin, error)
                answer.headers.update(twists[kind].get("headers", {}))
                return answer
        return None

    def _delay(self, twists: Twists, handled: bool) -> None:
        """Waits where a fault asks for it: before the request is handled, or once it is."""
        settings = twists.get("delay")
        if settings is not None and settings.get("handled", False) == handled:
            (settings.get("until") or self.server.stopping).wait(settings.get("seconds", 1))

    def _cut_before(self, body: Body, read: bool = True) -> None:
        if read:
            body.drain()
        raise Cut

    # -- sending ----------------------------------------------------------------------------

    def _send(self, seen: LoggedRequest, answer: Answer) -> None:
        answer = _spoil_file(answer, self.server.world.origin)
        if answer.status == HTTPStatus.SWITCHING_PROTOCOLS:
            self._send_frames(seen, answer)
        elif "trickle" in answer.twists and self.command != "HEAD":
            self._trickle(seen, answer, **answer.twists["trickle"])
        elif isinstance(answer.body, Iterator):
            self._send_chunks(seen, answer, answer.body)
        else:
            self._send_whole(seen, answer, answer.body)

    def _send_whole(self, seen: LoggedRequest, answer: Answer, body: bytes | Slice) -> None:
        length, most = _lengths(body, answer.twists)
        self._begin(seen, answer)
        self.send_header("Content-Length", str(length))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(body, most)
            if most < length:
                raise Cut

    def _send_chunks(self, seen: LoggedRequest, answer: Answer, chunks: Iterator[bytes]) -> None:
        self._begin(seen, answer)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            if self.server.stopping.is_set():
                raise Cut
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def _send_frames(self, seen: LoggedRequest, answer: Answer) -> None:
        """A WebSocket's, until the client closes it."""
        self.close_connection = True
        self._begin(seen, answer)
        self.end_headers()
        for frame in answer.body if isinstance(answer.body, Iterator) else ():
            if self.server.stopping.is_set():
                raise Cut
            self.wfile.write(frame)
            if select.select([self.connection], [], [], 0)[0]:
                if self.connection.recv(BLOCK)[:1] == _CLOSE[:1]:
                    self.wfile.write(_CLOSE)
                return

    def _begin(self, seen: LoggedRequest, answer: Answer) -> None:
        """The status and the headers, not yet their end."""
        seen.status = answer.status
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)

    def _send_body(self, body: bytes | Slice, most: int) -> None:
        for block in _blocks(body, most):
            self.wfile.write(block)

    def _trickle(
        self,
        seen: LoggedRequest,
        answer: Answer,
        seconds: float = 1.0,
        head: bool = False,
        until: threading.Event | None = None,
        **_: Any,
    ) -> None:
        """A byte every so many seconds: of a file to its end, else for ever, or until `until`."""
        drip = Drip(self.server.stopping, seconds, until)
        if head:
            self._trickle_head(seen, answer, drip)
        elif isinstance(answer.body, Slice):
            self._begin(seen, answer)
            self.send_header("Content-Length", str(answer.body.length))
            self.end_headers()
            for drop in drip.drops(_blocks(answer.body)):
                self.wfile.write(drop)
        else:
            chunks = [answer.body] if isinstance(answer.body, bytes) else answer.body
            self._send_chunks(seen, answer, drip.drops(chunks, endless=b"\n"))

    def _trickle_head(self, seen: LoggedRequest, answer: Answer, drip: Drip) -> None:
        self.close_connection = True
        self._begin(seen, answer)
        self.send_header("Connection", "close")
        self.flush_headers()
        for drop in drip.drops([b"X-Trickle: "], endless=b"."):
            self.wfile.write(drop)
        self.wfile.write(b"\r\n")
        self.end_headers()
        body = answer.body
        for block in body if isinstance(body, Iterator) else _blocks(body):
            self.wfile.write(block)

    def _cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    # -- overrides of the base class --------------------------------------------------------

    def _seen(self, path: str, query: str) -> LoggedRequest:
        kind = self.headers.get("Content-Type", "")
        keyed = any(self.headers.get(name) for name in _KEY_HEADERS)
        return LoggedRequest(self.command, path, query, content_type=kind, keyed=keyed)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Lines that are not HTTP are refused in JSON too."""
        self.close_connection = True
        seen = LoggedRequest(getattr(self, "command", None) or "", getattr(self, "path", ""))
        self._send(seen, _refusal_answer(Refusal(int(code), message or "This is not HTTP.")))

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: `Sandbox.log` has it all."""


def _refusal_answer(refusal: Refusal) -> Answer:
    return Answer.json({"code": refusal.status, "msg": refusal.text}, refusal.status)


def _error(status: int, text: str) -> Any:
    return {"code": status, "msg": text}


def _blocks(body: bytes | Slice, most: int | None = None) -> Iterator[bytes]:
    """The first `most` bytes, block by block."""
    if isinstance(body, bytes):
        yield body[:most]
        return
    most = body.length if most is None else most
    with body.path.open("rb") as file:
        file.seek(body.start)
        while most > 0 and (block := file.read(min(BLOCK, most))):
            yield block
            most -= len(block)


def _reaches_platform(twists: Twists) -> bool:
    """Whether the request reaches its platform, whatever the answer will be."""
    return all(twists[kind].get("taken") for kind in ANSWERS if kind in twists)


def _scripted_answer(kind: str, settings: Twists, origin: str, error: Error = _error) -> Answer:
    if kind == "page":
        return Answer(*page(error, **{"status": 503, **settings}))
    if kind == "html":
        return Answer(200, {"Content-Type": "text/html; charset=utf-8"}, HTML)
    if kind == "bad_json":
        return Answer(200, {"Content-Type": "application/json"}, BAD_JSON)
    if kind == "redirect":
        return Answer(302, {"Location": settings.get("location") or _elsewhere(origin)})
    status = settings.get("status", 500)
    body = settings.get("body", f"The sandbox was asked to answer {status}.")
    if isinstance(body, bytes):
        return Answer(status, {"Content-Type": "text/plain"}, body)
    tree = {"code": status, "msg": body} if isinstance(body, str) else body
    return Answer.json(tree, status)


def _elsewhere(origin: str) -> str:
    """This server under another host name, so that the log shows who followed, and with a key."""
    return f"http://localhost:{origin.rpartition(':')[2]}/elsewhere"


def _spoil_file(answer: Answer, origin: str) -> Answer:
    """A stored file may be marked to be served as something else."""
    if not isinstance(answer.body, Slice):
        return answer
    for kind in ("html", "redirect"):
        if kind in answer.twists:
            return _scripted_answer(kind, {}, origin)
    return answer


def _lengths(body: bytes | Slice, twists: Twists) -> tuple[int, int]:
    """(the Content-Length, the number of bytes that are sent)."""
    length = body.length if isinstance(body, Slice) else len(body)
    if "short_body" in twists:
        length = min(length, twists["short_body"].get("after", length // 2))
    if "cut_body" in twists:
        return length, min(length, twists["cut_body"].get("after", length // 2))
    return length, length
