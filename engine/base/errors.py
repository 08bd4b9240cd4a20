"""Everything that can go wrong, as one tree.

SkyportError
+- MissingKey, InvalidInput             refused here, before anything was sent
|  +- LimitReached                      a limit of tasks or of cost
|  +- NotRecorded                       the ledger does not hold its intent, or no longer
+- TransportError                       no answer after retries
+- ApiError                             the platform answered with an error
|  +- AuthRejected  OutOfCredit  InputRejected  RateLimited  ServerFault  NotFound
+- OutcomeUnknown                       a submit got no answer: it may have been charged
+- TaskFailed                           accepted, then ended badly
|  +- TaskLost                          a server that charges nothing has lost it
+- TaskUnresolved                       accepted, and its answers do not say how it ended
+- TaskTimeout                          we stopped waiting; the task goes on
+- TaskCancelled                        stopped, by us or on the platform
+- BadResult                            the output could not be read
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from .types import Json
from .words import tr


class SkyportError(Exception):
    """Base of all. The text says who, what happened, and what to do next.

    what      what happened, in the platform's own words if it gave any
    do        what the user can do next
    platform  label of the platform, "" if none is involved
    task_id   id of the remote task, "" if there is none
    """

    def __init__(self, what: str, *, do: str = "", platform: str = "", task_id: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.do = do
        self.platform = platform
        self.task_id = task_id

    def __str__(self) -> str:
        who = self.platform
        if self.task_id:
            who = f"{who} {tr('task {id}', id=self.task_id)}".strip()
        text = f"{who}: {self.what}" if who else self.what
        if self.do and text[-1:] not in ".!?\u3002\uff01\uff1f":
            text += tr(".")
        return f"{text} {self.do}".strip()


class MissingKey(SkyportError):
    """No key is set for the platform."""


class InvalidInput(SkyportError):
    """Refused here: nothing was uploaded, nothing was charged."""


class LimitReached(InvalidInput):
    """A limit of the settings holds no more tasks, or not so much cost: nothing was sent."""


class NotRecorded(InvalidInput):
    """The ledger does not hold the intent of this process, or no longer: nothing was sent."""


class TransportError(SkyportError):
    """No usable answer. `sent` is False only when the connection was certainly never made."""

    def __init__(self, what: str, *, sent: bool = True, do: str = "", platform: str = "") -> None:
        super().__init__(what, do=do, platform=platform)
        self.sent = sent


class ApiError(SkyportError):
    """The platform answered with an error.

    status       what it means as an HTTP status: that of the answer, or of the code in its body
    code         the platform's own code, "" if it sent none
    retry_after  seconds the platform asked us to wait, None if it did not say (0 means now)
    http         HTTP status of the answer itself
    own_form     whether the answer is JSON as the platform's document shows it; a page, a text or
                 another JSON may come from anyone on the way, and proves nothing
    body         that JSON, None for anything else
    """

    def __init__(
        self,
        what: str,
        *,
        status: int = 0,
        code: str = "",
        retry_after: float | None = None,
        http: int = 0,
        own_form: bool = False,
        body: Json = None,
        do: str = "",
        platform: str = "",
    ) -> None:
        super().__init__(what, do=do, platform=platform)
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.http = http or status
        self.own_form = own_form
        self.body = body


class AuthRejected(ApiError):
    """The key was refused (401, 403)."""


class OutOfCredit(ApiError):
    """The account has no credit left (402, or a message that says so)."""


class InputRejected(ApiError):
    """The platform refused what was sent (other 4xx, or an error code in a 200)."""


class RateLimited(ApiError):
    """Too many requests (a 429 that is not about credit)."""


class ServerFault(ApiError):
    """The platform failed (5xx)."""


class NotFound(ApiError):
    """The platform does not know what was asked for (404, 410)."""


class OutcomeUnknown(SkyportError):
    """A submit got no readable answer: the task may exist and may have been charged."""


class TaskFailed(SkyportError):
    """The task was accepted and ended badly; the text holds the platform's words."""


class TaskLost(TaskFailed):
    """A server that charges nothing does not know the task any more, as after its restart."""


class TaskUnresolved(SkyportError):
    """The task was accepted, and nothing proves that it failed or brings its result.

    `answer` is the platform's last answer, for a person to read.
    """

    answer = ""


class TaskTimeout(SkyportError):
    """We stopped waiting, at the time limit or when told to; the task goes on as `task_id`."""


class TaskCancelled(SkyportError):
    """The task was stopped: by the user, from elsewhere, or on the platform."""


class BadResult(SkyportError):
    """The platform's answer or file could not be read.

    final       asking again gives the same
    unreadable  files of the result that cannot be decoded, by path, and why
    """

    final = False
    unreadable: Mapping[Path, str] = MappingProxyType({})
