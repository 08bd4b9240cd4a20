"""What a platform must say of itself; each bare-named module beside this one holds one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ._http import Http, Response, read_json
from ._types import Json, MediaFile, Model, Report, Request, Task, TaskState, silent


class Provider:
    """One platform. Every method blocks for one exchange and may be called from any thread.

    Retries, waiting, fan-out and downloads are not a platform's business (`_http`, `_run`,
    `_download`).
    """

    name: ClassVar[str]
    label: ClassVar[str]
    default_base_url: ClassVar[str] = ""
    key_help: ClassVar[str] = ""

    def __init__(self, http: Http) -> None:
        self.http = http

    # -- the way of a request, in order -----------------------------------------------------

    def prepare(self, request: Request) -> Request:
        """The request as it will be sent. Override to look up free facts (a cluster with room)."""
        return request

    def sends_files_inside(self, request: Request) -> bool:
        """True when `submit` carries the files itself; then `upload` is not called for them."""
        return False

    def upload(self, file: MediaFile, request: Request, report: Report = silent) -> str:
        """Host `file`; the returned text takes its place in the payload. Safe to repeat."""
        raise NotImplementedError

    def lives(self, url: str, request: Request) -> float:
        """Seconds for which `url` may serve again for the same file; 0 where that is not known."""
        return 0.0

    def submit(self, request: Request, report: Report = silent) -> str:
        """Send the request once and return the task id. Media are hosted by now."""
        raise NotImplementedError

    def poll(self, task: Task) -> TaskState:
        """Ask how the task is. Must not judge an unknown status word: see TaskState.known."""
        raise NotImplementedError

    def cancel(self, task: Task) -> bool:
        """Ask the platform to stop the task; False where it cannot."""
        return False

    # -- how it speaks ----------------------------------------------------------------------

    @classmethod
    def auth_headers(cls, key: str) -> Mapping[str, str]:
        """Headers that prove who pays. Override where it is not a bearer token."""
        return {"Authorization": f"Bearer {key}"}

    def unwrap(self, response: Response) -> Json:
        """The useful part of an answer. Override where a 200 can carry an error in its body."""
        return read_json(response)

    # -- its models -------------------------------------------------------------------------

    @classmethod
    def built_in_rows(cls) -> list[Json]:
        """Rows in the platform's own words that work without a network, from its document."""
        return []

    def list_rows(self) -> list[Json]:
        """Live rows, perhaps without parameters. Override where the platform lists its models."""
        return self.built_in_rows()

    def complete_row(self, row: Json) -> Json:
        """`row` with its parameters. Override where they are asked for one model at a time."""
        return row

    @classmethod
    def read_row(cls, row: Json) -> Model:
        """`row` as a Model. Raises KeyError, TypeError or ValueError when it cannot be one."""
        raise NotImplementedError
