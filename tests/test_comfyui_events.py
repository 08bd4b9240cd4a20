"""Pins what the WebSocket of a ComfyUI server adds, and that nothing is lost without one."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from _clock import LONG, Clock, StoppedClock
from _waiting import PATIENT, until
from scripted import Answer, Scripted, answer_json
from skyport.engine.base.types import Status, Task, TaskState
from skyport.engine.http.client import Http
from skyport.providers.comfyui._events import Events
from skyport.providers.comfyui._liveness import SILENT_AFTER
from skyport.providers.comfyui._native import NativeDialect, with_events
from skyport.providers.comfyui._v2 import V2Dialect
from skyport.providers.comfyui._v2_events import JobEvents
from skyport.sandbox import Sandbox

websocket = pytest.importorskip("websocket")
WORKFLOW = {"5": {"class_type": "KSampler", "inputs": {}, "_meta": {"title": "Draw it"}}}
KEY = {"Authorization": "Bearer sk-0123456789"}


class EventServer:
    """Speaks the server's side of a WebSocket: what a test sends, to everyone who is connected."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[str] = []
        self.open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                request = client.recv(65536).decode()
                self.requests.append(request)
                client.sendall(_welcome(request))
                self.open.append(client)

    def tell(self, kind: str, **data: Any) -> None:
        text = json.dumps({"type": kind, "data": data}).encode()
        self.send(text, websocket.ABNF.OPCODE_TEXT)

    def send(self, content: bytes, opcode: int) -> None:
        frame = websocket.ABNF(1, 0, 0, 0, opcode, 0, content).format()
        self.open[-1].sendall(frame)

    def drop(self) -> None:
        """Break every connection."""
        for client in self.open:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            client.close()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self.drop()


def _welcome(request: str) -> bytes:
    lines = dict(line.split(": ", 1) for line in request.split("\r\n")[1:] if ": " in line)
    key = lines["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade"
    return (
        f"HTTP/1.1 101 Switching Protocols\r\n{upgrade}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    ).encode()


@pytest.fixture
def there() -> Iterator[EventServer]:
    there = EventServer()
    yield there
    there.close()


@pytest.fixture
def events(there: EventServer) -> Iterator[Events]:
    events = Events(Http("ComfyUI", there.url, KEY, timeout=PATIENT))
    events.follow("a", WORKFLOW)
    until(lambda: there.open)
    yield events
    events.forget("a")


def test_the_node_that_runs_is_known_by_its_title_with_its_step(
    there: EventServer, events: Events
) -> None:
    assert events.progress("a") == ("", None)
    there.send(b"\x00\x00\x00\x01preview", websocket.ABNF.OPCODE_BINARY)
    there.send(b"no JSON", websocket.ABNF.OPCODE_TEXT)
    there.tell("status", status={})
    there.tell("executing", node="5", prompt_id="a")
    until(lambda: events.progress("a") == ("Draw it (5)", None))
    there.tell("progress", node="5", prompt_id="a", value=5, max=20)
    until(lambda: events.progress("a") == ("Draw it (5)", 0.25))


def test_a_step_beyond_every_number_costs_no_connection(there: EventServer, events: Events) -> None:
    there.tell("progress", node="5", prompt_id="a", value=10**350, max=20)
    there.send(b"[" * 100_000, websocket.ABNF.OPCODE_TEXT)
    there.tell("progress", node="5", prompt_id="a", value=5, max=20)
    until(lambda: events.progress("a") == ("Draw it (5)", 0.25))
    assert len(there.requests) == 1


def test_the_end_of_a_task_wakes_who_waits_for_it_and_nobody_else(
    there: EventServer, events: Events
) -> None:
    events.follow("b", WORKFLOW)
    woken: list[str] = []
    for task in ("a", "b"):
        events.on_end(task, lambda task=task: woken.append(task))  # type: ignore[misc]
    there.tell("executing", node=None, prompt_id="b")
    until(lambda: woken == ["b"])
    events.forget("b")


def test_one_connection_with_the_key_serves_all_tasks_and_closes_when_none_is_left(
    there: EventServer, events: Events
) -> None:
    for task in ("b", "c"):
        events.follow(task, WORKFLOW)
    there.tell("executing", node="5", prompt_id="c")
    until(lambda: events.progress("c")[0])
    (request,) = there.requests
    assert request.startswith(f"GET /ws?clientId={events.client_id} ")
    assert KEY["Authorization"] in request
    for task in ("a", "b", "c"):
        events.forget(task)
    there.tell("status", status={})
    until(lambda: events._thread is None)


def test_a_broken_connection_is_made_again(there: EventServer, events: Events) -> None:
    there.drop()
    until(lambda: len(there.open) == 2)
    there.tell("executing", node="5", prompt_id="a")
    until(lambda: events.progress("a")[0] == "Draw it (5)")


def test_a_server_without_one_is_only_slower(server: Scripted) -> None:
    events = Events(Http("ComfyUI", server.url, KEY, timeout=PATIENT))
    events.follow("a", WORKFLOW)
    until(lambda: server.asked("/ws"))
    assert events.progress("a") == ("", None)
    events.forget("a")


# -- whether the end will be told ----------------------------------------------------------------

RUNNING = TaskState(Status.RUNNING, "in_progress")
WAITING = TaskState(Status.QUEUED, "pending")


def alive(there: EventServer, events: Events) -> None:
    """The connection brings something, and then the task is polled."""
    there.tell("progress", node="5", prompt_id="a", value=5, max=20)
    until(lambda: events.progress("a")[1] == 0.25)
    events.begin_poll("a")


def test_a_running_task_is_as_events_tell_it_once_it_was_polled_on_a_connection_that_is_alive(
    there: EventServer, events: Events
) -> None:
    assert events.live_state("a", RUNNING) is None
    there.tell("executing", node="5", prompt_id="a")
    until(lambda: events.progress("a")[0])
    assert events.live_state("a", RUNNING) is None  # it may have ended before the connection
    alive(there, events)
    told = TaskState(Status.RUNNING, "in_progress", node="Draw it (5)", node_progress=0.25)
    assert events.live_state("a", RUNNING) == told
    assert events.live_state("another", RUNNING) is None
    there.drop()
    until(lambda: events.live_state("a", RUNNING) is None)


def test_an_end_in_a_gap_between_two_connections_is_asked_for(
    there: EventServer, events: Events
) -> None:
    alive(there, events)
    there.drop()
    until(lambda: len(there.open) == 2)
    there.tell("status", status={})
    until(lambda: events._liveness.spell == 2)
    assert events.live_state("a", RUNNING) is None
    events.begin_poll("a")
    assert events.live_state("a", RUNNING) is not None


def test_a_task_that_has_begun_since_it_was_seen_in_the_queue_is_asked_for(
    there: EventServer, events: Events
) -> None:
    there.tell("status", status={})
    until(lambda: events._liveness.spell)
    events.begin_poll("a")
    assert events.live_state("a", WAITING) == WAITING
    there.tell("execution_start", prompt_id="a")
    until(lambda: events.live_state("a", WAITING) is None)


@pytest.mark.parametrize(
    ("kind", "data"),
    [("execution_success", {}), ("executing", {"node": None})],
)
def test_a_task_whose_end_was_told_is_asked_for_until_the_history_has_it_and_tells_whoever_comes(
    there: EventServer, events: Events, kind: str, data: dict[str, Any]
) -> None:
    alive(there, events)
    there.tell(kind, prompt_id="a", **data)
    until(lambda: events.live_state("a", RUNNING) is None)
    woken: list[str] = []
    events.on_end("a", lambda: woken.append("a"))
    assert woken == ["a"]


def test_a_connection_without_a_sign_of_life_is_not_relied_on_until_there_is_one(
    there: EventServer,
) -> None:
    clock = StoppedClock()
    events = Events(Http("ComfyUI", there.url, KEY, timeout=PATIENT), clock, quiet=0.1)
    events.follow("a", WORKFLOW)
    until(lambda: there.open)
    until(lambda: there.open[-1].recv(1)[0] == 0x80 | websocket.ABNF.OPCODE_PING)
    assert events.live_state("a", RUNNING) is None
    there.send(b"", websocket.ABNF.OPCODE_PONG)
    until(lambda: events._liveness.spell == 1)
    events.begin_poll("a")
    assert events.live_state("a", RUNNING) is not None
    clock.now += SILENT_AFTER
    assert events.live_state("a", RUNNING) is None
    there.send(b"", websocket.ABNF.OPCODE_PONG)
    until(lambda: events._liveness.spell == 2)
    assert events.live_state("a", RUNNING) is None
    events.forget("a")


# -- with the sandbox ----------------------------------------------------------------------------

PAINTED = {
    "1": {"class_type": "SandboxPainter", "inputs": {"text": LONG}, "_meta": {"title": "Paint"}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
}


@pytest.fixture
def dialect(sandbox: Sandbox) -> NativeDialect:
    key = {"Authorization": f"Bearer {sandbox.key('comfyui')}"}
    sandbox.faults.clear()
    sandbox.platforms["comfyui"].restart()  # type: ignore[attr-defined]
    return with_events(Http("ComfyUI", sandbox.base_url("comfyui"), key, timeout=PATIENT))


def submitted(dialect: NativeDialect) -> Task:
    return Task("comfyui", "pc", str(dialect.submit(PAINTED, str(uuid.uuid4()))))


def test_node_and_step_of_a_task_are_known_while_it_runs_and_its_end_at_once(
    dialect: NativeDialect, sandbox: Sandbox, clock: Clock
) -> None:
    first = submitted(dialect)
    until(lambda: any(seen.status == 101 for seen in sandbox.log.of("GET", "/ws")))
    woken: list[Task] = []
    dialect.on_end(first, lambda: woken.append(first))
    clock.forward(20)  # of the 180 seconds that it takes
    state = until(lambda: _with_progress(dialect.poll(first)))
    assert state.node == "Paint (1)"
    assert state.node_progress is not None
    assert state.node_progress < 1
    assert woken == []
    clock.forward()
    until(lambda: woken)
    assert dialect.poll(first).status is Status.SUCCEEDED


def _with_progress(state: TaskState) -> TaskState | None:
    """Once it is that of the time that has passed: an event from before may still be on its way."""
    return state if (state.node_progress or 0) > 0.1 else None


def test_a_task_of_a_server_that_takes_no_socket_ends_all_the_same(
    dialect: NativeDialect, sandbox: Sandbox, clock: Clock
) -> None:
    sandbox.faults.add("GET */ws", "status", times=10**6, status=502)
    task = submitted(dialect)
    until(lambda: sandbox.log.of("GET", "/ws"))
    clock.forward()
    assert dialect.poll(task).status is Status.SUCCEEDED


def test_an_end_wakes_with_its_own_event_and_again_once_the_history_has_it(
    there: EventServer, events: Events
) -> None:
    woken: list[str] = []
    events.on_end("a", lambda: woken.append("a"))
    there.tell("execution_error", prompt_id="a", node_id="5")
    until(lambda: woken == ["a"])
    there.tell("executing", node=None, prompt_id="a")  # the history may have it only now
    until(lambda: woken == ["a", "a"])


# -- the Comfy API v2 ----------------------------------------------------------------------------

JOB = "/api/v2/jobs/7"
EVENTS = f"{JOB}/events"


@pytest.fixture
def v2(sandbox: Sandbox) -> Iterator[V2Dialect]:
    key = {"Authorization": f"Bearer {sandbox.key('comfyui')}"}
    sandbox.faults.clear()
    interface: Any = sandbox.platforms["comfyui"]
    interface.v2.is_on = True
    yield V2Dialect(Http("ComfyUI", sandbox.base_url("comfyui"), key, timeout=PATIENT))
    interface.v2.is_on = interface.v2.events = True


def test_the_end_of_a_job_is_told_at_once_by_its_stream(
    v2: V2Dialect, sandbox: Sandbox, clock: Clock
) -> None:
    task = Task("comfyui", "pc", str(v2.submit(PAINTED, str(uuid.uuid4()))))
    woken: list[Task] = []
    v2.on_end(task, lambda: woken.append(task))
    clock.forward(20)
    until(lambda: v2._events.progress(task.id))
    state = v2.poll(task)
    assert (state.status, state.node) == (Status.RUNNING, "SandboxPainter")
    assert woken == []
    clock.forward()
    until(lambda: woken)
    assert v2.poll(task).status is Status.SUCCEEDED
    assert v2._events.progress(task.id) is None


def test_as_many_jobs_as_a_large_server_holds_each_tell_their_end(
    v2: V2Dialect, clock: Clock
) -> None:
    ids = [str(v2.submit(PAINTED, str(uuid.uuid4()))) for _ in range(32)]
    woken: list[str] = []
    for job_id in ids:
        v2.on_end(Task("comfyui", "pc", job_id), partial(woken.append, job_id))
    clock.forward()
    until(lambda: set(woken) == set(ids))
    for job_id in ids:
        assert v2.poll(Task("comfyui", "pc", job_id)).status is Status.SUCCEEDED


def test_a_server_without_streams_is_asked_for_one_once_and_polled(
    v2: V2Dialect, sandbox: Sandbox, clock: Clock
) -> None:
    interface: Any = sandbox.platforms["comfyui"]
    interface.v2.events = False
    sandbox.log.clear()
    task = Task("comfyui", "pc", str(v2.submit(PAINTED, str(uuid.uuid4()))))
    v2.on_end(task, lambda: None)
    until(lambda: any(seen.status == 501 for seen in sandbox.log.of("GET", "/events")))
    clock.forward()
    assert v2.poll(task).status is Status.SUCCEEDED
    assert len(sandbox.log.of("GET", "/events")) == 1


def stream(*events: tuple[str, str]) -> Answer:
    lines = "".join(f"event: {kind}\ndata: {data}\n\n" for kind, data in events)
    body = ": hello\n\n" + lines
    return Answer(headers=(("Content-Type", "text/event-stream"),), body=body.encode())


def test_a_job_whose_answer_tells_no_progress_has_that_of_its_stream(server: Scripted) -> None:
    progress = '{"value": 0.5, "current_node_class": "KSampler", "step": 5, "steps": 20}'
    server.on(EVENTS, stream(("preview", "no JSON"), ("progress", progress)))
    server.on(JOB, answer_json({"id": "7", "status": "running", "progress": None}))
    dialect = V2Dialect(Http("ComfyUI", server.url, KEY, timeout=PATIENT))
    dialect.on_end(Task("comfyui", "pc", "7"), lambda: None)
    until(lambda: dialect._events.progress("7"))
    state = dialect.poll(Task("comfyui", "pc", "7"))
    assert (state.node, state.node_progress, state.progress) == ("KSampler", 0.25, 0.5)
    dialect._events.forget("7")


def test_a_job_is_relied_on_to_tell_its_end_while_its_stream_is_read(
    v2: V2Dialect, clock: Clock
) -> None:
    task = Task("comfyui", "pc", str(v2.submit(PAINTED, str(uuid.uuid4()))))
    live_state = v2.on_end(task, lambda: None)
    clock.forward(20)
    until(lambda: v2._events.progress(task.id))
    assert live_state(RUNNING) is None  # it was not polled since the stream began
    state = v2.poll(task)
    live = until(lambda: live_state(state))
    assert (live.status, live.node) == (Status.RUNNING, "SandboxPainter")
    assert live_state(WAITING) is None
    clock.forward()
    until(lambda: live_state(state) is None)


def test_a_job_whose_stream_has_broken_is_polled_as_without_one(server: Scripted) -> None:
    server.on(EVENTS, stream(("progress", '{"value": 0.5}')), Answer(status=501))
    events = JobEvents(Http("ComfyUI", server.url, KEY, timeout=PATIENT))
    woken: list[str] = []
    events.on_end("7", EVENTS, lambda: woken.append("7"))
    until(lambda: woken)
    events.begin_poll("7")
    assert events.live_state("7", RUNNING) is None
    events.forget("7")


def test_a_stream_that_breaks_wakes_for_a_poll_and_is_asked_for_again(server: Scripted) -> None:
    server.on(EVENTS, stream(), stream(("status", '{"status": "succeeded"}')))
    events = JobEvents(Http("ComfyUI", server.url, KEY, timeout=PATIENT))
    woken: list[str] = []
    events.on_end("7", EVENTS, lambda: woken.append("7"))
    until(lambda: len(woken) == 2)
    assert len(server.asked(EVENTS)) == 2
