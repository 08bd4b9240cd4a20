"""Data types shared by platforms, the task runner, the nodes and the command line."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

Json = Any  # a JSON tree as `json` gives it


class Kind(str, enum.Enum):
    """The kind of a file, determined from its bytes. FILE is any result that is no medium."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    TEXT = "text"
    FILE = "file"


class Status(enum.Enum):
    """The status of a remote task."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        return self in (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)


@dataclass(frozen=True)
class MediaFile:
    """An encoded file on this disk, ready to be uploaded.

    sha256 is of the content; for a video encoded here, of the encoder's input: encoders give
    different bytes each time, and an equal order must stay equal.
    size is in bytes; width and height in pixels, duration in seconds, None if unknown.
    codec is that of a video, by FFmpeg's name (`h264`), "" if unknown.
    corrected_name has the extension of the format that the bytes are in, "" where `name` has it.
    """

    path: Path
    name: str
    mime: str
    sha256: str
    size: int
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    codec: str = ""
    corrected_name: str = ""

    @property
    def kind(self) -> Kind:
        return Kind(self.mime.split("/")[0])

    @property
    def upload_name(self) -> str:
        """The name for a platform."""
        return self.corrected_name or self.name


@dataclass(frozen=True)
class Choice:
    """One value of a parameter's closed list; `label` is the platform's own text for it."""

    value: Any
    label: str = ""


@dataclass(frozen=True)
class MediaRule:
    """Limits on a medium as its platform states them; None if it states none.

    max_bytes in bytes (MB = 1024 * 1024), sides in pixels, durations in seconds.
    notes holds statements of the platform that are too vague to enforce.
    advised is what it only recommends: breaking it causes a warning, not an error.
    """

    formats: tuple[str, ...] = ()
    max_bytes: int | None = None
    min_width: int | None = None
    min_height: int | None = None
    max_width: int | None = None
    max_height: int | None = None
    min_seconds: float | None = None
    max_seconds: float | None = None
    codecs: tuple[str, ...] = ()
    notes: str = ""
    advised: MediaRule | None = None


@dataclass(frozen=True)
class RemoteFile:
    """A medium at `url` for a platform that accepts only files: fetched here before the submit.

    what  the parameter it is for, which accepts `kind` within `rule`
    """

    url: str
    what: str
    kind: Kind
    rule: MediaRule = field(default_factory=MediaRule)


@dataclass(frozen=True)
class Param:
    """One parameter of a model.

    name      the key in the request, in the model's own spelling
    type      as in HaiYi's table: string int float boolean text image video audio
              array[string|number|image|video|audio] dict[image]
    choices   closed list of values; empty if any value is allowed
    suggested values to offer where any is allowed; never a limit
    keys      for dict types: (key, required, label)
    max_items for array types: the most entries allowed, None if not stated
    together  other parameters whose entries count towards max_items too
    path      dotted path of the value in the request (`metadata.resolution`); "" means `name`
    copies    (path, type) of other fields that always hold the same value; type "" means `type`
    leaves    what the platform does if the field is omitted, in its own word: `adaptive`
    mask_of   the image parameter that this one is a mask for, "" if it is no mask
    """

    name: str
    type: str
    label: str = ""
    required: bool = False
    default: Any = None
    min: float | None = None
    max: float | None = None
    choices: tuple[Choice, ...] = ()
    keys: tuple[tuple[str, bool, str], ...] = ()
    max_items: int | None = None
    together: tuple[str, ...] = ()
    media: MediaRule = field(default_factory=MediaRule)
    help: str = ""
    path: str = ""
    copies: tuple[tuple[str, str], ...] = ()
    leaves: str = ""
    mask_of: str = ""
    suggested: tuple[str, ...] = ()

    @property
    def media_kind(self) -> Kind | None:
        """The medium this parameter accepts, None for plain values."""
        inner = self.type[self.type.find("[") + 1 :].rstrip("]")
        return Kind(inner) if inner in ("image", "video", "audio") else None


@dataclass(frozen=True)
class Model:
    """One row of a platform's catalogue: a model doing one task.

    endpoint  submit path, if the platform's models differ in it
    shape     name of the function in the platform's module that builds its body; "" is the default
    unread    its parameters could not be read from the platform: `params` says nothing of them
    """

    platform: str
    id: str
    task: str
    label: str = ""
    params: tuple[Param, ...] = ()
    help: str = ""
    retired: bool = False
    endpoint: str = ""
    shape: str = ""
    unread: bool = False

    def param(self, name: str) -> Param | None:
        return next((p for p in self.params if p.name == name), None)


@dataclass(frozen=True)
class Request:
    """One task to be paid for, before any of its media is uploaded.

    platform  module name in `providers/`
    endpoint  the platform's submit path; `upload`, `submit` and `poll` depend on it
    payload   JSON tree as in the platform's documentation; a MediaFile in it stands for a file
              still to be hosted, a RemoteFile for one still to be fetched
    title     display name: of a model or workflow
    seed      makes a run distinct even if the platform has no seed
    copy      number among equal items of one batch, so that four copies of a picture make four
              tasks
    warnings  shown to the user; not part of the fingerprint
    order_id  a UUID in lower case with hyphens, by which a platform that takes one knows the order
              again; set before `prepare` and the same each time one order is sent; not part of the
              fingerprint
    """

    platform: str
    endpoint: str
    payload: Mapping[str, Json]
    title: str = ""
    seed: int = 0
    copy: int = 0
    warnings: tuple[str, ...] = ()
    order_id: str = field(default="", compare=False)

    def with_payload(self, payload: Mapping[str, Json]) -> Request:
        return replace(self, payload=payload)


@dataclass(frozen=True)
class Amount:
    """A sum in a unit: a currency (`CNY`) or a platform's credits. Units are never added up."""

    value: float
    unit: str

    def __str__(self) -> str:
        return f"{self.value:g} {self.unit}".strip()


@dataclass(frozen=True)
class Task:
    """A task that a platform accepted. `sent` are its input URLs, which are never results."""

    platform: str
    endpoint: str
    id: str
    sent: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Output:
    """One output of a finished task: a `url` to download, `data` (decoded bytes), or `text`.

    unreadable  whether the answer holds a file that cannot be decoded: nothing else is set then
    """

    url: str = ""
    data: bytes = b""
    text: str = ""
    node_id: str = ""
    title: str = ""
    unreadable: bool = False

    @property
    def is_text(self) -> bool:
        """Whether it is a text, which may be empty."""
        return not (self.url or self.data or self.unreadable)


@dataclass(frozen=True)
class TaskState:
    """One answer to a poll.

    word      the platform's own status word
    progress  0..1, None if not reported
    node      title of the remote node that is running, "" if not reported; node_progress, 0..1,
              is that of the node
    queue     (position, length), each None if not reported
    cost      in the platform's own unit
    message   reason of a failure; warnings are shown and do not fail the task
    known     False if `word` is in no table: treated as running until it never changes
    details   (name, value) of what else the platform says: time in the queue, tokens
    answer    the whole answer, scrubbed, "" where that was not asked for
    task_id   of a submit that was answered with the result: the id beside it, "" for none
    """

    status: Status
    word: str = ""
    progress: float | None = None
    node: str = ""
    node_progress: float | None = None
    queue: tuple[int | None, int | None] = (None, None)
    cost: float | None = None
    outputs: tuple[Output, ...] = ()
    message: str = ""
    warnings: tuple[str, ...] = ()
    known: bool = True
    details: tuple[tuple[str, str], ...] = ()
    answer: str = ""
    task_id: str = ""


@dataclass(frozen=True)
class ResultFile:
    """A result file on this disk, byte for byte as the platform sent it."""

    path: Path
    kind: Kind
    mime: str
    size: int
    sha256: str
    url: str = ""
    node_id: str = ""
    title: str = ""


@dataclass(frozen=True)
class MissingResult:
    """A result that a finished task has made and that is not on this disk.

    number  its position among the files of the task, from 1
    url     "" where it came inside the answer
    reason  why it is missing, and what helps
    path    of its file, if one came that cannot be decoded; "" otherwise
    """

    number: int
    url: str = ""
    reason: str = ""
    path: str = ""


class ResultText(str):
    """A text of a finished task, and the id of the remote node that shows it, "" if unknown."""

    node_id: str

    def __new__(cls, text: str, node_id: str = "") -> ResultText:
        made = super().__new__(cls, text)
        made.node_id = node_id
        return made


@dataclass(frozen=True)
class Result:
    """The result of a finished task; `details` as in TaskState.

    texts       of the answer, then those of `text_files`; a ResultText where its node is known
    unit        of the cost, "" where the platform tells none
    missing     files of the task that are not among `files`: asked for again, only they are fetched
    """

    task_id: str
    files: tuple[ResultFile, ...] = ()
    texts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    details: tuple[tuple[str, str], ...] = ()
    cost: float | None = None
    unit: str = ""
    reused: bool = False
    text_files: tuple[ResultFile, ...] = ()
    missing: tuple[MissingResult, ...] = ()

    def of(self, kind: Kind) -> tuple[ResultFile, ...]:
        return tuple(f for f in self.files if f.kind is kind)


@dataclass(frozen=True)
class Cluster:
    """A remote pool of machines. `most`, the maximum of nodes, is None if unknown."""

    name: str
    label: str
    running: int
    most: int | None

    @property
    def room(self) -> int:
        """Number of nodes that can still start, 0 if unknown."""
        return max(0, self.most - self.running) if self.most is not None else 0


class ReusedUrl(str):
    """The URL of a file that was hosted for an earlier request, in the payload of another.

    forget  drops it, so that the next request hosts the file anew; may block, from any thread
    """

    forget: Callable[[], None]

    def __new__(cls, url: str, forget: Callable[[], None]) -> ReusedUrl:
        reused = super().__new__(cls, url)
        reused.forget = forget
        return reused


Field = str | MediaFile  # a part of a multipart form
Report = Callable[[int, int], None]  # called with (bytes done, bytes in total)


def no_report(done: int, total: int) -> None:
    """A Report that does nothing."""
