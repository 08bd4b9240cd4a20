"""A server on loopback that gives and takes bytes as fast as it can, for `transfer`."""

from __future__ import annotations

import os
import socketserver
from pathlib import Path
from typing import Any

_BUFFER = 1 << 20


class _Handler(socketserver.StreamRequestHandler):
    """One exchange a connection: GET gives the file, everything else is read and forgotten."""

    file: Path

    def handle(self) -> None:
        method = self.rfile.readline().split()[0]
        size = self._size()
        if method == b"GET":
            self._give()
        else:
            self._take(size)
            self._say(b"{}")

    def _size(self) -> int:
        size = 0
        while line := self.rfile.readline().strip():
            name, _, value = line.partition(b":")
            size = int(value) if name.lower() == b"content-length" else size
        return size

    def _give(self) -> None:
        with self.file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            self._head(size, b"video/mp4")
            self.connection.sendfile(stream)

    def _take(self, size: int) -> None:
        buffer = memoryview(bytearray(_BUFFER))
        while size > 0:
            came = self.rfile.readinto1(buffer[:size])  # type: ignore[attr-defined]
            if not came:
                raise ConnectionError("the client left")
            size -= came

    def _say(self, body: bytes) -> None:
        self._head(len(body), b"application/json")
        self.wfile.write(body)

    def _head(self, size: int, kind: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: %s\r\n" % (size, kind)
        self.wfile.write(head + b"Connection: close\r\n\r\n")


def serve(ready: Any, file: Path) -> None:
    """Serve `file` until the process ends; the address goes to `ready`."""
    handler = type("Handler", (_Handler,), {"file": file, "rbufsize": _BUFFER})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        ready.send(f"http://127.0.0.1:{server.server_address[1]}")
        server.serve_forever()
