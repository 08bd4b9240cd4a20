"""What a ComfyUI tells of its prompts: the log in the history, and events over its WebSocket."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.message import Message
from typing import Any

from ._body import Refusal
from ._comfyui_queue import Queue, Seen
from ._tasks import FAIL, PENDING, RUNNING, SUCCESS, Tasks

Event = tuple[str, dict[str, Any]]
Time = Callable[[float], int]  # a moment of the sandbox's clock in milliseconds since the epoch

_STEPS = 20  # of each node
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # of RFC 6455, section 1.3
_LOOK = 0.05  # seconds between two looks at the queue, whatever the clock says


def status(seen: Seen, time: Time) -> dict[str, Any]:
    """`status_str`, and the log of an ended prompt."""
    word = "success" if seen.status == SUCCESS else "error"
    messages = [[name, data] for name, data in (_start(seen, time), _end(seen, time))]
    return {"status_str": word, "completed": word == "success", "messages": messages}


def error_of(seen: Seen) -> dict[str, Any]:
    node_id, _ = seen.entry.task.last_step
    node = seen.entry.prompt.get(node_id, {})
    return {
        "prompt_id": seen.entry.id,
        "node_id": node_id,
        "node_type": node.get("class_type", ""),
        "exception_message": seen.entry.task.words,
        "exception_type": "RuntimeError",
        "traceback": [],
    }


def _start(seen: Seen, time: Time) -> Event:
    return "execution_start", {"prompt_id": seen.entry.id, "timestamp": time(seen.start)}


def _end(seen: Seen, time: Time) -> Event:
    end = {"prompt_id": seen.entry.id, "timestamp": time(seen.end)}
    if seen.status == SUCCESS:
        return "execution_success", end
    if seen.status == FAIL:
        return "execution_error", {**end, **error_of(seen)}
    node_id = next(iter(seen.entry.outputs), "")
    kind = seen.entry.prompt.get(node_id, {}).get("class_type", "")
    return "execution_interrupted", {**end, "node_id": node_id, "node_type": kind, "executed": []}


# -- events ---------------------------------------------------------------------------------------


def events(seen: Seen, outputs: Mapping[str, Any], time: Time) -> list[Event]:
    """All that is told of a prompt until now; the list only grows."""
    if seen.status == PENDING:
        return []
    id = {"prompt_id": seen.entry.id}
    told: list[Event] = [_start(seen, time), ("execution_cached", {"nodes": [], **id})]
    for node_id, share in _nodes(seen):
        told += _of_node(node_id, int(share * _STEPS), id)
    if seen.status == RUNNING:
        return told
    told += [("executed", {"node": node, "output": out, **id}) for node, out in outputs.items()]
    return [*told, _end(seen, time), ("executing", {"node": None, **id})]


def _nodes(seen: Seen) -> Iterator[tuple[str, float]]:
    """The nodes that have begun, each with how far it is, 0..1."""
    task = seen.entry.task
    steps, ran = task.plan.steps, seen.end - seen.start
    part = seen.moment.part if seen.status == RUNNING else ran / task.runs if task.runs else 1.0
    for number, (node_id, _) in enumerate(steps):
        share = part * len(steps) - number
        if share > 0:
            yield node_id, min(share, 1.0)


def _of_node(node_id: str, steps: int, id: Mapping[str, Any]) -> list[Event]:
    told: list[Event] = [("executing", {"node": node_id, **id})]
    for step in range(1, steps + 1):
        progress = {"value": step, "max": _STEPS}
        state = {**progress, "state": "finished" if step == _STEPS else "running"}
        told.append(("progress_state", {"nodes": {node_id: state}, **id}))
        told.append(("progress", {**progress, "node": node_id, **id}))
    return told


# -- the WebSocket --------------------------------------------------------------------------------


class EventStream:
    """What one client is told from now on, as frames; an empty one where nothing is new.

    tell  all that is told of a prompt until now
    """

    def __init__(
        self, queue: Queue, tasks: Tasks, client: str, tell: Callable[[Seen], Sequence[Event]]
    ) -> None:
        self._queue, self._tasks, self._client, self._tell = queue, tasks, client, tell
        self._told = {seen.entry.id: len(tell(seen)) for seen in self._own(queue.seen())}
        self._remaining = -1
        self._life = queue.life

    def frames(self) -> Iterator[bytes]:
        """Ends where the server is started anew."""
        while self._queue.life == self._life:
            yield from map(_frame, self._news())
            yield b""
            self._tasks.pause(_LOOK)

    def _news(self) -> Iterator[Event]:
        found = self._queue.seen()
        for seen in self._own(found):
            told = self._tell(seen)
            yield from told[self._told.get(seen.entry.id, 0) :]
            self._told[seen.entry.id] = len(told)
        remaining = sum(seen.status in (PENDING, RUNNING) for seen in found)
        if remaining != self._remaining:
            sid = {"sid": self._client} if self._remaining < 0 else {}
            self._remaining = remaining
            yield "status", {"status": {"exec_info": {"queue_remaining": remaining}}, **sid}

    def _own(self, found: Sequence[Seen]) -> list[Seen]:
        return [seen for seen in found if seen.entry.client == self._client]


def handshake(headers: Message) -> dict[str, str]:
    """The headers that accept a WebSocket. Raises Refusal for any other request."""
    key = headers.get("Sec-WebSocket-Key", "")
    if headers.get("Upgrade", "").lower() != "websocket" or not key:
        raise Refusal(400, "This is no request for a WebSocket.")
    accept = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()
    return {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept}


def _frame(event: Event) -> bytes:
    kind, data = event
    text = json.dumps({"type": kind, "data": data}).encode()
    if len(text) < 126:
        return b"\x81%c%b" % (len(text), text)
    if len(text) < 1 << 16:
        return b"\x81\x7e" + len(text).to_bytes(2, "big") + text
    return b"\x81\x7f" + len(text).to_bytes(8, "big") + text
