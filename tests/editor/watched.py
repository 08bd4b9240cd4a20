"""What a page of the editor logs and exchanges with its server, from the time it is watched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from playwright.sync_api import Page, Response

OURS = "/extensions/skyport/"  # in the address of every script of ours
_OF_THE_EDITOR = "Invalid layout total size"  # newer ones say so of each tab that opens or closes
_TEXTS = ("json", "text/plain", "text/html")
_DEPTH = 16  # of the calls before an await


class Watched:
    """`complaints` are errors, warnings and exceptions of which a script of ours is part."""

    def __init__(self, page: Page) -> None:
        self.complaints: list[str] = []
        self.logged = 0  # entries of the console, of whatever kind
        self.sent: list[tuple[str, str]] = []  # (address, all that the page has sent there)
        self.got: list[tuple[str, str]] = []  # (address, all that came from there)
        self.frames: list[str] = []  # of websockets, both ways
        self._answers: list[Response] = []
        self._console = page.context.new_cdp_session(page)
        self._console.on("Runtime.consoleAPICalled", self._on_log)
        self._console.on("Runtime.exceptionThrown", self._on_exception)
        self._console.send("Runtime.enable")
        self._console.send("Runtime.setAsyncCallStackDepth", {"maxDepth": _DEPTH})
        page.on("request", lambda one: self.sent.append((one.url, _sent(one))))
        page.on("response", lambda one: self._answers.append(one))
        page.on("websocket", self._on_websocket)

    def read_answers(self) -> None:
        """Take the bodies of the answers so far; the browser keeps them only for a while."""
        answers, self._answers[:] = list(self._answers), []
        self.got += [(one.url, _body(one)) for one in answers]

    def _on_websocket(self, socket: Any) -> None:
        for event in ("framereceived", "framesent"):
            socket.on(event, lambda data: self.frames.append(str(data)))

    def _on_log(self, entry: Mapping[str, Any]) -> None:
        self.logged += 1
        if entry["type"] in ("error", "warning", "assert"):
            said = " ".join(str(one.get("value", one.get("description"))) for one in entry["args"])
            self._complain(said, entry.get("stackTrace"))

    def _on_exception(self, entry: Mapping[str, Any]) -> None:
        details = entry["exceptionDetails"]
        said = details.get("exception", {}).get("description", details["text"])
        self._complain(f"{said} {details.get('url', '')}", details.get("stackTrace"))

    def _complain(self, said: str, stack: Mapping[str, Any] | None) -> None:
        ours = [address for address in _addresses(stack) if OURS in address]
        if (ours or OURS in said) and _OF_THE_EDITOR not in said:
            self.complaints.append("\n  ".join([said, *ours]))


def _addresses(stack: Mapping[str, Any] | None) -> Iterator[str]:
    """Of the scripts in a stack of calls, through every await."""
    while stack:
        for frame in stack["callFrames"]:
            yield f"{frame['url']}:{frame['lineNumber'] + 1}"
        stack = stack.get("parent")


def _sent(request: Any) -> str:
    data = request.post_data_buffer or b""
    return f"{request.headers} {data.decode('utf-8', 'replace')}"


def _body(response: Response) -> str:
    """The headers, and the body where it is no script or medium."""
    head = str(response.headers)
    if not any(kind in response.headers.get("content-type", "") for kind in _TEXTS):
        return head
    try:
        return head + response.body().decode("utf-8", "replace")
    except Exception:  # a redirect has none
        return head
