"""The nouns shared by platforms, the task runner, the nodes and the command line."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

Json = Any  # a JSON tree as `json` gives it


class Kind(str, enum.Enum):
    """What a medium is, told by its bytes."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    TEXT = "text"


class Status(enum.Enum):
    """Where a remote task is."""

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

    sha256 is of the content; for a video that was encoded here, of what went into it: encoders give
    other bytes each time, and an equal order must stay equal.
    size is in bytes; width and height in pixels, duration in seconds, None where unknown.
    codec is a video's, in FFmpeg's word (`h264`), "" where unknown.
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

    @property
    def kind(self) -> Kind:
        return Kind(self.mime.split("/")[0])


@dataclass(frozen=True)
class Choice:
    """One value of a parameter's closed list; `label` is the platform's own text for it."""

    value: Any
    label: str = ""


@dataclass(frozen=True)
class MediaRule:
    """Limits of a medium as its platform states them. None means the platform states none.

    max_bytes in bytes (MB = 1024 * 1024), sides in pixels, durations in seconds.
    notes holds what the platform says that is not understood well enough to be enforced.
    advised is what it only recommends: broken, it warns and nothing is refused.
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
    """A medium at `url`, for a platform that takes files only: fetched here before the submit.

    what  the parameter it is for, which takes `kind` within `rule`
    """

    url: str
    what: str
    kind: Kind
    rule: MediaRule = field(default_factory=MediaRule)


@dataclass(frozen=True)
class Param:
    """One parameter of a model.

    name      the key on the wire, in the model's own spelling
    type      as in HaiYi's table: string int float boolean text image video audio
              array[string|number|image|video|audio] dict[image]
    choices   closed list of values; empty when free
    keys      for dict types: (key, required, label)
    max_items for array types: the most entries taken, None where not stated
    together  other parameters whose entries count towards max_items too
    path      where the value stands in the request, dotted (`metadata.resolution`); "" is `name`
    copies    (path, type) of further places that always hold the same value; type "" is `type`
    leaves    what the platform does where the field is left out, in its own word: `adaptive`
    mask_of   the image parameter that this one is a mask for, "" for no mask
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

    @property
    def media_kind(self) -> Kind | None:
        """The medium this parameter takes, None for plain values."""
        inner = self.type[self.type.find("[") + 1 :].rstrip("]")
        return Kind(inner) if inner in ("image", "video", "audio") else None


@dataclass(frozen=True)
class Model:
    """One row of a platform's catalogue: a model doing one task.

    endpoint  how the platform is asked for it, where its models differ in that
    shape     name of the function of the platform's module that makes its body; "" is the usual one
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

    def param(self, name: str) -> Param | None:
        return next((p for p in self.params if p.name == name), None)


@dataclass(frozen=True)
class Request:
    """One task to be paid for, before any of its media is uploaded.

    platform  module name in `providers/`
    endpoint  the platform's submit path; tells `upload`, `submit` and `poll` how to speak
    payload   JSON tree as the document shows it; a MediaFile in it stands for a file still to be
              hosted, a RemoteFile for one still to be fetched
    title     what people call it: a model or workflow name
    seed      makes a run distinct even where the platform takes no seed
    copy      number among equal items of one batch, so that four copies of a picture make four
              tasks
    warnings  what its user should know of it; makes no other order of it
    """

    platform: str
    endpoint: str
    payload: Mapping[str, Json]
    title: str = ""
    seed: int = 0
    copy: int = 0
    warnings: tuple[str, ...] = ()

    def with_payload(self, payload: Mapping[str, Json]) -> Request:
        return replace(self, payload=payload)


@dataclass(frozen=True)
class Task:
    """A task that a platform accepted. `sent` are the media URLs given to it: no results."""

    platform: str
    endpoint: str
    id: str
    sent: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Output:
    """One thing a finished task made: a `url` to download, `data` (decoded bytes), or `text`."""

    url: str = ""
    data: bytes = b""
    text: str = ""
    node_id: str = ""
    title: str = ""


@dataclass(frozen=True)
class TaskState:
    """One answer to a poll.

    word      the platform's own status word
    progress  0..1, None where not told
    node      title of the remote node at work, "" where not told
    queue     (place, length), either None where not told
    cost      in the platform's own unit
    message   reason of a failure; warnings are shown and do not fail the task
    known     False when `word` is in no document: counted as running, for a while
    """

    status: Status
    word: str = ""
    progress: float | None = None
    node: str = ""
    queue: tuple[int | None, int | None] = (None, None)
    cost: float | None = None
    outputs: tuple[Output, ...] = ()
    message: str = ""
    warnings: tuple[str, ...] = ()
    known: bool = True


@dataclass(frozen=True)
class ResultFile:
    """A result on this disk, byte for byte as the platform sent it."""

    path: Path
    kind: Kind
    mime: str
    size: int
    sha256: str
    url: str = ""
    node_id: str = ""
    title: str = ""


@dataclass(frozen=True)
class Result:
    """What a finished task brought back."""

    task_id: str
    files: tuple[ResultFile, ...] = ()
    texts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    cost: float | None = None
    reused: bool = False

    def of(self, kind: Kind) -> tuple[ResultFile, ...]:
        return tuple(f for f in self.files if f.kind is kind)


@dataclass(frozen=True)
class Cluster:
    """A remote pool of machines. `most` is None where the platform cannot tell."""

    name: str
    label: str
    running: int
    most: int | None

    @property
    def room(self) -> int:
        """Nodes that could still start; unknown counts as 0."""
        return max(0, self.most - self.running) if self.most is not None else 0


Field = str | MediaFile  # a part of a multipart form
Report = Callable[[int, int], None]  # hears of (bytes done, bytes in all)


def silent(done: int, total: int) -> None:
    """A Report that nobody listens to."""
