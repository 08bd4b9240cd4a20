"""What a server tells over its WebSocket while it works: the node that runs, its step, the end.

An extra: the truth is polled, and without a connection progress is only slower.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from threading import Event, Thread
from typing import Any

from ...engine.base import forks
from ...engine.base.json_tree import number, parse
from ...engine.base.types import Json, Status, TaskState
from ...engine.http.client import Http
from ...engine.workflows.graph import node_label
from ._dialect import Workflow
from ._liveness import Liveness

_QUIET = 5.0  # seconds without an event before asking for a sign of life, if any task is left
_UNSEEN = 300.0  # seconds after which a task that nobody polls is forgotten
_ENDS = ("execution_success", "execution_error", "execution_interrupted")
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # seconds before a lost connection is made again


@dataclass
class Running:
    """A task as events tell it: the node that runs, and how far that node is, 0..1.

    polled_in  the spell of the connection (see Liveness) in which it was last polled
    """

    titles: Mapping[str, str]
    seen: float
    node: str = ""
    share: float | None = None
    has_begun: bool = False
    has_ended: bool = False
    polled_in: int = 0
    on_end: list[Callable[[], None]] = field(default_factory=list)


class Events:
    """One server's events, by one thread and one connection while tasks of ours run there."""

    def __init__(
        self, http: Http, now: Callable[[], float] = time.monotonic, quiet: float = _QUIET
    ) -> None:
        self.client_id = uuid.uuid4().hex
        self._http = http
        self._lock = forks.Lock()
        self._tasks: dict[str, Running] = {}
        self._thread: Thread | None = None
        self._never = Event()  # to pause on
        self._liveness = Liveness(now)
        self._quiet = quiet

    def follow(self, task_id: str, workflow: Workflow) -> None:
        """Begin to note what is told of the task, which is about to be sent."""
        titles = {
            str(node_id): node_label(str(node_id), node)
            for node_id, node in workflow.items()
            if isinstance(node, Mapping)
        }
        with self._lock:
            self._tasks[task_id] = Running(titles, time.monotonic())
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._run, name="skyport-comfyui-events", daemon=True)
                self._thread.start()

    def begin_poll(self, task_id: str) -> None:
        """Note that the task is polled now: what its connection tells from now on is all news."""
        if (task := self._tasks.get(task_id)) is not None:
            task.polled_in = self._liveness.spell

    def live_state(self, task_id: str, state: TaskState) -> TaskState | None:
        """`state`, of the last poll, as it is now; None where the task's end might not be told."""
        task, spell = self._tasks.get(task_id), self._liveness.spell
        if task is None or task.has_ended or not spell or task.polled_in != spell:
            return None
        task.seen = time.monotonic()
        if state.status is Status.QUEUED:
            return None if task.has_begun else state
        return replace(state, node=task.node, node_progress=task.share)

    def progress(self, task_id: str) -> tuple[str, float | None]:
        """The node that runs and how far it is; ("", None) where that is not known."""
        task = self._tasks.get(task_id)
        if task is None:
            return "", None
        task.seen = time.monotonic()
        return task.node, task.share

    def on_end(self, task_id: str, wake: Callable[[], None]) -> None:
        """Call `wake`, perhaps from another thread, once the task has ended."""
        with self._lock:
            task = self._tasks.get(task_id)
            if task is not None:
                task.on_end.append(wake)
        if task is not None and task.has_ended:
            self._wake([wake])

    def forget(self, task_id: str) -> None:
        with self._lock:
            self._tasks.pop(task_id, None)

    # -- its own thread -------------------------------------------------------------------------

    def _run(self) -> None:
        lost = 0
        while self._is_wanted():
            with suppress(Exception):  # whatever is wrong with it, the tasks are polled
                self._listen()
            if self._is_wanted():
                self._never.wait(_PAUSES[min(lost, len(_PAUSES) - 1)])
                lost += 1

    def _is_wanted(self) -> bool:
        """Whether a task is left; ends the thread if none is."""
        oldest = time.monotonic() - _UNSEEN
        with self._lock:
            self._tasks = {key: one for key, one in self._tasks.items() if one.seen >= oldest}
            if not self._tasks:
                self._thread = None
            return bool(self._tasks)

    def _listen(self) -> None:
        import websocket  # here: without the library there is only no connection

        with closing(self._connected(websocket)) as connection, self._until_lost():
            while self._is_wanted():
                try:
                    opcode, data = connection.recv_data(control_frame=True)
                except websocket.WebSocketTimeoutException:
                    connection.ping()
                    continue
                self._liveness.record()
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    return
                if opcode == websocket.ABNF.OPCODE_TEXT:
                    with suppress(ValueError):
                        self._take(parse(data))

    @contextmanager
    def _until_lost(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._liveness.lose()

    def _connected(self, websocket: Any) -> Any:
        address = self._http.base_url
        key = self._http.key_for(address)
        connection = websocket.create_connection(
            f"ws{address.removeprefix('http')}/ws?clientId={self.client_id}",
            timeout=self._quiet,
            header=[f"{name}: {value}" for name, value in key.items()],
            suppress_origin=True,
            redirect_limit=0,  # the key goes nowhere else
        )
        if connection.getstatus() != 101:
            connection.close()
            raise ConnectionError
        return connection

    def _take(self, message: Json) -> None:
        kind, data = _parts(message)
        task = self._tasks.get(str(data.get("prompt_id")))
        if task is None:
            return
        task.has_begun = True
        node = data.get("node")
        if kind == "executing" and node is None:
            self._end(task)
        elif kind in _ENDS:
            task.has_ended = True
            self._wake(task.on_end)  # the history may have it a moment later: then once more
        elif kind in ("executing", "progress") and isinstance(node, str):
            task.node = task.titles.get(node, task.node)
            task.share = _share(data)

    def _end(self, task: Running) -> None:
        with self._lock:
            task.has_ended = True
            waiting, task.on_end = task.on_end, []
        self._wake(waiting)

    def _wake(self, waiting: Iterable[Callable[[], None]]) -> None:
        for wake in tuple(waiting):
            with suppress(RuntimeError):  # its loop has been closed
                wake()


def _parts(message: Json) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(message, dict) or not isinstance(message.get("data"), dict):
        return "", {}
    return str(message.get("type")), message["data"]


def _share(data: Mapping[str, Any]) -> float | None:
    value, most = number(data.get("value")), number(data.get("max"))
    if value is None or most is None or most <= 0:
        return None
    return min(1.0, max(0.0, value / most))
