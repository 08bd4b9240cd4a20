"""The answers of OpenComputing's chat, at once or as a stream of events."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ._body import Cut
from ._faults import Twists, strip_markers
from ._spellings import names, spell_text
from ._tasks import Tasks

_SECONDS = 4.0  # a stream lasts at pace 1
CREDITS = 0.02
_CLOSING = (
    "Picture it wide: a low sun, long shadows, one bright colour against grey, "
    "and something small in front that moves."
)


class Talk:
    """One answer: `words` as a person reads them, `thoughts` before them."""

    def __init__(self, number: int, body: Mapping[str, Any], twists: Twists) -> None:
        self.id = f"chatcmpl-sandbox-{number:06d}"
        self.model = body["model"]
        self._twists = twists
        self._created = int(time.time())
        prompt = strip_markers(body["prompt"])
        manner = strip_markers(body.get("sys_prompt") or "")
        text = f"{prompt}. {manner + '. ' if manner else ''}{_CLOSING}"
        self.words = "" if "empty" in twists else spell_text(text, names(twists.get("spelling")))
        self.thoughts = (
            "Let me see what is wanted here, and what would make it good to look at and true."
            if "think" in self.model
            else ""
        )

    def whole(self) -> Any:
        """The answer that is not streamed."""
        message = {"role": "assistant", "content": self.words}
        choice = {"finish_reason": "stop", "index": 0, "message": message}
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "content": self.words,
            "finish": "1",
            "usage": self._usage(),
        }

    def stream(self, tasks: Tasks, began: float) -> Iterator[bytes]:
        """Events as they come, by the clock of `tasks`; broken off in the middle where a marker
        asks for it."""
        parts = [("reasoning_content", part) for part in _parts(self.thoughts)]
        parts += [("content", part) for part in _parts(self.words)]
        pause = self._twists.get("slow", _SECONDS) * tasks.pace / (len(parts) + 1)
        yield self._event({"content": "", "role": "assistant"})
        for number, (name, part) in enumerate(parts):
            tasks.wait_until(began + (number + 1) * pause)
            if number >= len(parts) // 2 and "cut" in self._twists:
                raise Cut
            if number >= len(parts) // 2 and "fail" in self._twists:
                yield _line({"error": self._twists["fail"]})
                return
            yield self._event({name: part})
        yield self._event({}, finish="1")
        yield b"data: [DONE]\n\n"

    def _event(self, delta: Mapping[str, str], finish: str = "0") -> bytes:
        choice: dict[str, Any] = {"logprobs": None, "index": 0, "delta": delta}
        if finish == "1":
            choice["finish_reason"] = "stop"
        chunk = {
            **self._head("chat.completion.chunk"),
            "choices": [choice],
            "reasoning_content": delta.get("reasoning_content"),
            "content": delta.get("content", ""),
            "finish": finish,
        }
        return _line({**chunk, "usage": self._usage()} if finish == "1" else chunk)

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self._created, "model": self.model}

    def _usage(self) -> dict[str, Any]:
        return {"action": "t2t", "credits": CREDITS, "completion_tokens": len(self.words) // 4}


def _parts(text: str) -> list[str]:
    """`text` as a model would send it: a few letters at a time."""
    return re.findall(r"[\ud800-\udbff]|[^\s\ud800-\udbff]{1,6}\s*", text)


def _line(tree: Any) -> bytes:
    text = f"data: {json.dumps(tree, ensure_ascii=False)}\n\n"
    return text.encode("utf-8", "backslashreplace")
