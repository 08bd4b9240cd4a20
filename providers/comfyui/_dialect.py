"""What each of the two HTTP interfaces of a ComfyUI server can do for us."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ...engine.base.types import Json, MediaFile, Report, Task, TaskState, no_report
from ...engine.http.client import Http
from ...engine.platforms.provider import Accepted, LiveState

Workflow = Mapping[str, Json]  # in API format: node id -> {class_type, inputs}


@dataclass(frozen=True)
class Device:
    """A device that a server computes on; memory in bytes, None if it does not say."""

    name: str
    vram_total: int | None = None
    vram_free: int | None = None


@dataclass(frozen=True)
class ServerInfo:
    """What a server says about itself.

    version  of its ComfyUI, "" if it does not say
    queue    prompts that run or wait there, ours and others'
    """

    version: str = ""
    devices: tuple[Device, ...] = ()
    queue: int = 0


class Dialect(Protocol):
    """One server, spoken to in one of its interfaces.

    Every method makes one attempt (`find`, `cancel` and `about` a few requests) and may be called
    from any thread. All raise what `Http` raises: ApiError by the answer, TransportError without
    one.
    """

    http: Http

    def __init__(self, http: Http) -> None: ...

    def upload(self, file: MediaFile, report: Report = no_report) -> Json:
        """Put `file` there; returned is what takes its place in the workflow. Safe to repeat."""
        ...

    def url_lifetime(self, value: Json) -> float:
        """Seconds for which `value`, of an earlier `upload`, may be reused; 0 for not at all."""
        ...

    def submit(self, workflow: Workflow, order_id: str, report: Report = no_report) -> Accepted:
        """Send `workflow` once, under our own `order_id`, a UUID in lower case.

        Raises InputRejected with every complaint about the workflow at once, OutcomeUnknown where
        an answer came that says neither yes nor no.
        """
        ...

    def find(self, order_id: str) -> str | None:
        """The task id of a submit whose answer was lost; None where it surely did not arrive."""
        ...

    def poll(self, task: Task) -> TaskState:
        """The state of the task. Raises NotFound where the server does not know it."""
        ...

    def on_end(self, task: Task, wake: Callable[[], None]) -> LiveState | None:
        """Call `wake`, from any thread, once the task has ended; never where that is not told.

        See `Provider.on_end` for what is returned.
        """
        ...

    def cancel(self, task: Task) -> bool:
        """Stop the task, whether it waits or runs; False where it has ended already."""
        ...

    def queue_length(self) -> int:
        """Prompts that run or wait there, ours and others'."""
        ...

    def about(self) -> ServerInfo:
        """Version, devices and queue; what the server does not say is left empty."""
        ...

    def object_info(self) -> Json | None:
        """Its node classes as GET /object_info gives them; None where it does not tell them."""
        ...
