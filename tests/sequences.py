"""Orders of every kind whose texts ask the sandbox for faults, several in one, chosen by chance."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orders import IMAGE, nodes
from skyport.sandbox.gpugeek import WORKFLOW_ID

Payload = Mapping[str, Any]
Chance = random.Random
Draw = Callable[[Chance], str]

PICTURE = "<picture>"  # where a file goes in a payload


@dataclass(frozen=True)
class Kind:
    """A way to order. `payload` makes what is sent from a text.

    at_once  whether the answer to the submit is the result: nothing is polled
    """

    platform: str
    endpoint: str
    payload: Callable[[str], Payload]
    at_once: bool = False


def _edit(text: str) -> Payload:
    model = {"provider": "google", "model": "gemini-3-pro-image-preview", "type": "image2image"}
    return {"model": model, "parameters": {"prompt": text, "images": [PICTURE]}}


def _generate(text: str) -> Payload:
    return {"model": IMAGE, "parameters": {"prompt": text, "aspect_ratio": "1:1"}}


def _app(text: str) -> Payload:
    return {
        "workflow_id": "1001",
        "cluster_name": "GPU-4090",
        "prompt": text,
        "input_image": PICTURE,
    }


def _workflow(text: str) -> Payload:
    return {"parameters": {"prompt": nodes(text)}, "cluster_name": "GPU-4090"}


def _prompt(text: str) -> Payload:
    return {"workflow_id": int(WORKFLOW_ID), "task_type": 1, "prompt": nodes(text)}


def _of(model: str, **more: Any) -> Callable[[str], Payload]:
    return lambda text: {"model": model, "prompt": text, **more}


KINDS = (
    Kind("haiyi", "generate/image", _generate),
    Kind("haiyi", "generate/image", _edit),
    Kind("haiyi", "workflow/apps/run", _app),
    Kind("haiyi", "workflow/task/submit", _workflow),
    Kind("gpugeek", "prompt", _prompt),
    Kind("opencomputing", "image/generations", _of("wan2.2-t2i-plus", catelogid="t2i")),
    Kind(
        "opencomputing",
        "video/generations",
        _of("viduq3-pro", catelogid="t2v", duration=1, resolution="540p"),
    ),
    Kind(
        "opencomputing",
        "chat/completions",
        _of("qwen3-max", catelogid="t2t", stream=True),
        at_once=True,
    ),
    Kind("happyhorse", "images/generations", _of("gpt-image-2")),
    Kind("happyhorse", "videos", _of("kling-video")),
    Kind("happyhorse", "videos/grok", _of("grok-imagine-video")),
    Kind("happyhorse", "videos/notevideo", _of("omni_flash")),
)
PLATFORMS = tuple(dict.fromkeys(kind.platform for kind in KINDS))

# -- faults --------------------------------------------------------------------------------------

_FORMS = ("html", "text", "empty", "json", "list", "half", "deep")
# After a submit that was accepted: no status that is believed whoever gives it.
_GATEWAY = (
    *(200, 302, 400, 402, 404, 405, 408, 409, 410, 422, 425, 429, 500, 502, 503, 504, 520, 599),
)
_POLLS = (200, 302, 400, 401, 403, 404, 405, 408, 410, 429, 500, 502, 503, 504, 530)
_OWN_POLLS = (400, 401, 403, 404, 429, 500, 503)
_IDS = (
    *("id_camel", "id_nested", "id_listed", "id_bare", "id_ok", "id_code_word", "id_code_200"),
    *("id_code_flat", "id_beside_error", "id_number", "id_text", "id_long"),
)
_URLS = (
    *("url_relative", "url_no_scheme", "url_upper_scheme", "url_padded", "url_space"),
    *("url_chinese", "url_data_url", "url_content", "url_images", "url_videos", "url_outputs"),
    *("url_data", "url_result", "url_plain", "url_json_text", "url_deep", "url_object"),
    "url_twice",
)
_REASONS = (
    *("reason_error_message", "reason_failure_reason", "reason_detail", "reason_details"),
    *("reason_fail_msg", "reason_err_code", "reason_error", "reason_python", "text_lone"),
)
_PROGRESS = ("progress_percent", "progress_share", "progress_share_text")
_RUNNING = ("queued", "PENDING", "Generating", "in_progress", "thinking", "UNKNOWN", "submitted")
_SUCCESS = ("succeed", "done", "Finished", "completed", "SUCCESS", "ready")
_FAILURE = ("failed", "Failure", "ERROR", "expired", "rejected")


def _window(chance: Chance) -> str:
    first, length = chance.randint(1, 4), chance.randint(0, 9)
    return chance.choice((str(length + 1), f"{first}-{first + length}", f"{first}-{first + 12}"))


def _gateway(chance: Chance) -> str:
    again = chance.choice(("", "", ":0", ":1"))
    return f"[[gateway:{chance.choice(_GATEWAY)}:{chance.choice(_FORMS)}{again}]]"


def _polls(chance: Chance) -> str:
    page = f"{chance.choice(_POLLS)}:{_window(chance)}:{chance.choice(_FORMS)}"
    own = f"{chance.choice(_OWN_POLLS)}:{_window(chance)}:own"
    return f"[[polls:{chance.choice((page, page, own))}]]"


def _spelled(names: Sequence[str]) -> Draw:
    return lambda chance: f"[[spelling:{chance.choice(names)}]]"


def _counted(*names: str) -> Draw:
    return lambda chance: f"[[{chance.choice(names)}:{chance.randint(1, 9)}]]"


def _word(name: str, words: Sequence[str]) -> Draw:
    return lambda chance: f"[[{name}:{chance.choice(words)}]]"


def _plain(*texts: str) -> Draw:
    return lambda chance: chance.choice(texts)


def _fail(chance: Chance) -> str:
    failure, reason = _word("failure", _FAILURE)(chance), _spelled(_REASONS)(chance)
    return "[[fail:no picture today]]" + chance.choice(("", failure, reason, failure + reason))


_SUBMIT: tuple[Draw, ...] = (
    _gateway,
    _gateway,
    _spelled(_IDS),
    _spelled(_IDS),
    _plain("[[cut_after]]", "[[cut_before]]", "[[at_once]]", "[[trickle:submit]]"),
    _plain("[[status:503]]", "[[status:422]]", "[[status:401]]", "[[balance]]"),
)
_POLL: tuple[Draw, ...] = (
    _polls,
    _polls,
    _counted("missing", "busy"),
    _word("running", _RUNNING),
    _spelled(_PROGRESS),
    _plain("[[trickle:poll:once]]", "[[trickle:poll:head:once]]"),
)
_END: tuple[Draw, ...] = (
    _fail,
    _counted("late"),
    _counted("cancelled"),
    _word("success", _SUCCESS),
    _spelled(_URLS),
    _spelled(_URLS),
    _plain("[[bad_json]]", "[[empty]]", "[[word:thinking]]"),
)
_RESULT: tuple[Draw, ...] = (
    _plain("[[cut]]", "[[cut:3]]", "[[trickle:result:once]]"),
    _plain("[[redirect]]", "[[gone]]", "[[html]]"),
)
_LENGTH: tuple[Draw, ...] = (_plain("[[slow:20]]", "[[slow:60]]"),)
# What may go wrong at each step: (how often in a hundred, the faults of which one is chosen).
_STEPS = ((45, _SUBMIT), (60, _POLL), (60, _END), (25, _RESULT), (30, _LENGTH))
_OF_CHAT = (
    "[[cut_after]]",
    "[[cut_before]]",
    "[[cut]]",
    "[[fail]]",
    "[[empty]]",
    "[[slow:60]]",
    "[[spelling:text_halves]]",
    "[[spelling:text_lone]]",
    "[[spelling:text_nul]]",
    "[[status:503]]",
)
_INTERRUPTED = 0.15  # of all orders
# No client can have these results.
_WITHHELD = re.compile(r"\[\[(bad_json|empty|gone|html|redirect)\]\]")
# The answer to the submit does not bring the id.
_UNANSWERED = re.compile(r"\[\[(gateway|cut_after|trickle:submit|at_once)")


@dataclass(frozen=True)
class Wish:
    """One order and what goes wrong with it, told by `text`.

    interrupt  seconds until the person interrupts it, 0 for never
    """

    number: int
    kind: Kind
    text: str
    interrupt: float

    @property
    def is_answered(self) -> bool:
        """Whether the answer to its submit says the id of its task."""
        return not self.kind.at_once and not _UNANSWERED.search(self.text)

    @property
    def wanted(self) -> dict[str, Any]:
        """As a plan has it."""
        kind = self.kind
        return {
            "number": self.number,
            "platform": kind.platform,
            "endpoint": kind.endpoint,
            "payload": kind.payload(self.text),
            "interrupt": self.interrupt,
        }


def is_offered(text: str) -> bool:
    """Whether the platform hands out the result of a task that `text` asks for."""
    return not _WITHHELD.search(text)


def tag(number: int) -> str:
    return f"wish {number:05d}"


def wish(number: int, chance: Chance) -> Wish:
    kind = chance.choice(KINDS)
    faults = _of_chat(chance) if kind.at_once else _of_task(chance)
    interrupt = moment(chance, 0.01, 2.0) if chance.random() < _INTERRUPTED else 0.0
    return Wish(number, kind, f"{tag(number)} {faults}".strip(), interrupt)


def moment(chance: Chance, soonest: float, latest: float) -> float:
    """Seconds of any order of magnitude."""
    return math.exp(chance.uniform(math.log(soonest), math.log(latest)))


def _of_chat(chance: Chance) -> str:
    gateway = _gateway(chance)
    return chance.choice(("", gateway, *_OF_CHAT))


def _of_task(chance: Chance) -> str:
    found = ""
    for percent, faults in _STEPS:
        # The answer at once is that to the first poll, which a platform would not refuse.
        if chance.random() * 100 < percent and not (faults is _POLL and "at_once" in found):
            found += chance.choice(faults)(chance)
    return found


_OF_SERVER: tuple[Draw, ...] = (
    _gateway,
    _polls,
    _counted("busy"),
    _plain("[[cut_after]]", "[[slow:20]]", "[[cut]]"),
)


def of_server(chance: Chance) -> str:
    """What goes wrong for a while with a task of a server of one's own, and then passes."""
    found = "".join(draw(chance) for draw in _OF_SERVER if chance.random() < 0.4)
    return re.sub(r"\[\[polls:404:[^]]*own\]\]", "", found)  # it has the task
