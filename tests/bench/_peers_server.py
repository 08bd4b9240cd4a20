"""One server that speaks what each client of `peers` speaks, and counts what they make of it.

Every task lasts as long and has the same result, whoever asks, and however.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SMALL, BIG = "small.mp4", "big.mp4"  # the result of a task; the one large file
_MOMENT = "2026-01-01T00:00:00Z"
_BLOCK = 1 << 20


@dataclass
class Counts:
    """What went over the wire: bytes of requests and answers, connections, and `lates`, seconds
    from the end of each task to the first answer that told it."""

    received: int = 0
    sent: int = 0
    requests: int = 0
    opened: int = 0
    peak: int = 0
    lates: list[float] = field(default_factory=list)


@dataclass
class Asked:
    """A request, its body read already."""

    method: str
    path: str
    base_url: str
    left: int  # bytes of the body
    json: Any = None


@dataclass
class Sent:
    """An answer: JSON, a file, or the events of a job until its end."""

    body: Any = None
    status: int = 200
    file: Path | None = None
    events_of: str = ""


class Server:
    """`folder` holds the files SMALL and BIG; a task lasts `seconds`."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._folder, self._seconds = folder, seconds
        self._counts, self._open = Counts(), 0
        self._ends: dict[str, float] = {}
        self._seen: set[str] = set()

    async def serve(self, ready: Callable[[str], None]) -> None:
        """Until the process ends; `ready` gets its address, and that of its counts."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=_BLOCK)
        counts = await asyncio.start_server(self._tell_counts, "127.0.0.1", 0)
        self._base_url = _address(server)
        ready((self._base_url, _address(counts)))
        await server.serve_forever()

    async def _tell_counts(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """What has been counted since this was last asked."""
        await reader.readuntil(b"\r\n\r\n")
        counts, self._counts = self._counts, Counts(peak=self._open)
        writer.write(f"HTTP/1.0 200 OK\r\n\r\n{json.dumps(asdict(counts))}".encode())
        await writer.drain()
        writer.close()

    # -- HTTP -------------------------------------------------------------------------------

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        self._counts.opened += 1
        self._counts.peak = max(self._counts.peak, self._open)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").rstrip().split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (s.partition(":") for s in lines)
        }
        method, path, _ = first.split(" ")
        asked = Asked(
            method, path.partition("?")[0], self._base_url, int(headers.get("content-length", 0))
        )
        self._counts.requests += 1
        self._counts.received += len(head) + asked.left
        await self._take(reader, asked, headers.get("content-type", ""))
        answer = self._routed(asked)
        await self._answer(writer, answer)
        return not answer.events_of and headers.get("connection", "").lower() != "close"

    async def _take(self, reader: asyncio.StreamReader, asked: Asked, kind: str) -> None:
        if "json" in kind and asked.left:
            asked.json = json.loads(await reader.readexactly(asked.left))
            return
        while asked.left:
            came = await reader.read(min(asked.left, _BLOCK))
            if not came:
                raise ConnectionError("the client left")
            asked.left -= len(came)

    async def _answer(self, writer: asyncio.StreamWriter, answer: Sent) -> None:
        if answer.events_of:
            return await self._stream(writer, answer.events_of)
        body = b"" if answer.file or answer.body is None else json.dumps(answer.body).encode()
        size = answer.file.stat().st_size if answer.file else len(body)
        kind = "video/mp4" if answer.file else "application/json"
        head = (
            f"HTTP/1.1 {answer.status} OK\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n\r\n"
        )
        self._write(writer, head.encode() + body)
        await writer.drain()
        if answer.file:
            self._counts.sent += size
            with answer.file.open("rb") as stream:
                await asyncio.get_running_loop().sendfile(writer.transport, stream)
        return None

    async def _stream(self, writer: asyncio.StreamWriter, id: str) -> None:
        self._write(writer, b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        self._write(writer, _event("running"))
        await writer.drain()
        await asyncio.sleep(max(0.0, self._ends[id] - time.monotonic()))
        self._is_over(id)
        self._write(writer, _event("succeeded"))
        await writer.drain()

    def _write(self, writer: asyncio.StreamWriter, block: bytes) -> None:
        self._counts.sent += len(block)
        writer.write(block)

    # -- tasks ------------------------------------------------------------------------------

    def _submit(self) -> str:
        id = str(uuid.uuid4())
        self._ends[id] = time.monotonic() + self._seconds
        return id

    def _is_over(self, id: str) -> bool:
        late = time.monotonic() - self._ends.get(id, 0.0)
        if late >= 0 and id in self._ends and id not in self._seen:
            self._seen.add(id)
            self._counts.lates.append(late)
        return late >= 0

    # -- what the clients ask ---------------------------------------------------------------

    def _routed(self, asked: Asked) -> Sent:
        last = asked.path.rsplit("/", 1)[-1]
        if last in (SMALL, BIG) and asked.method == "GET":
            return Sent(file=self._folder / last)
        for start, answer in (
            ("/openapi/v1/", self._haiyi),
            ("/api/v2/", self._comfy),
            ("/fal/", self._fal),
            ("/", self._core),
        ):
            if asked.path.startswith(start):
                return answer(asked, last)
        return Sent({}, 404)

    def _haiyi(self, asked: Asked, last: str) -> Sent:
        if "upload" in asked.path:
            data: Any = {"url": f"{asked.base_url}/hosted/{SMALL}"}
        elif asked.method == "POST":
            data = {"task_id": self._submit()}
        elif self._is_over(last):
            data = {
                "task_id": last,
                "status": "success",
                "urls": [f"{asked.base_url}/files/{SMALL}"],
            }
        else:
            data = {"task_id": last, "status": "running", "urls": []}
        return Sent({"code": 0, "msg": "success", "data": data})

    def _fal(self, asked: Asked, last: str) -> Sent:
        """queue.fal.run, its CDN and its REST interface, each with /fal before it."""
        if last == "token":
            token = {
                "token": "t",
                "token_type": "Bearer",
                "expires_at": "2099-01-01T00:00:00+00:00",
            }
            return Sent({**token, "base_url": f"{asked.base_url}/fal"})
        if last == "upload":
            return Sent({"access_url": f"{asked.base_url}/hosted/{SMALL}"})
        if asked.method == "POST":
            id = self._submit()
            base = f"{asked.base_url}{asked.path}/requests/{id}"
            urls = {
                "response_url": base,
                "status_url": f"{base}/status",
                "cancel_url": f"{base}/cancel",
            }
            return Sent({"request_id": id, "status": "IN_QUEUE", "queue_position": 0, **urls})
        if last == "status":
            is_over = self._is_over(asked.path.split("/")[-2])
            return Sent({"status": "COMPLETED" if is_over else "IN_PROGRESS", "logs": None}, 200)
        return Sent({"video": {"url": f"{asked.base_url}/files/{SMALL}"}})

    def _core(self, asked: Asked, last: str) -> Sent:
        """The proxy of api.comfy.org as its nodes ask it."""
        if asked.path == "/customers/storage":
            url = f"{asked.base_url}/hosted/{SMALL}"
            return Sent({"upload_url": url, "download_url": url, "existing_file": False})
        if asked.method == "PUT":
            return Sent({})
        if asked.method == "POST":
            return Sent({"id": self._submit(), "status": "queued", "url": ""})
        status = "succeeded" if self._is_over(last) else "running"
        return Sent({"id": last, "status": status, "url": f"{asked.base_url}/files/{SMALL}"})

    def _comfy(self, asked: Asked, last: str) -> Sent:
        """The Comfy API v2. The job "big" has been done, and the file BIG is its result."""
        parts = asked.path.split("/")[3:]
        if asked.method == "HEAD":  # bytes that nobody has sent yet
            return Sent(status=404)
        if parts[0] == "assets" and last == "content":
            return Sent(file=self._folder / parts[1])
        if parts[0] == "assets":
            return Sent(self._asset(asked, SMALL), 201)
        if asked.method == "POST":
            return Sent(self._job(asked, self._submit()), 201)
        if last == "jobs":
            return Sent({"jobs": [], "next_cursor": None})
        return Sent(events_of=parts[1]) if last == "events" else Sent(self._job(asked, last))

    def _job(self, asked: Asked, id: str) -> dict[str, Any]:
        is_over, path = self._is_over(id), f"/api/v2/jobs/{id}"
        file = BIG if id == "big" else SMALL
        output = {"node_id": "9", "name": file, "type": "video", "job_id": id}
        return {
            "id": id,
            "status": "succeeded" if is_over else "running",
            "created_at": _MOMENT,
            "started_at": _MOMENT,
            "completed_at": _MOMENT if is_over else None,
            "expires_at": "2099-01-01T00:00:00Z",
            "queue_position": None,
            "progress": None,
            "outputs": [{**self._asset(asked, file), **output}] if is_over else [],
            "error": None,
            "metrics": {"queue_ms": 0, "execution_ms": None},
            "urls": {"self": path, "events": f"{path}/events", "cancel": f"{path}/cancel"},
        }

    def _asset(self, asked: Asked, file: str) -> dict[str, Any]:
        return {
            "id": file,
            "hash": None,
            "size_bytes": (self._folder / file).stat().st_size,
            "content_type": "video/mp4",
            "file_path": file,
            "created_new": True,
            "created_at": _MOMENT,
            "url": f"{asked.base_url}/files/{file}",
            "url_expires_at": "2099-01-01T00:00:00Z",
            "expires_at": None,
        }


def _address(server: asyncio.Server) -> str:
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _event(status: str) -> bytes:
    body = {"status": status, "queue_position": None}
    return f"event: status\ndata: {json.dumps(body)}\n\n".encode()


def serve(ready: Any, folder: Path, seconds: float) -> None:
    """To be called in a process of its own."""
    asyncio.run(Server(folder, seconds).serve(ready.send))
