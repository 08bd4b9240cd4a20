"""What an error answer means: the platform's words out of its body, and the class they call for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timezone
from email.utils import parsedate_to_datetime

from ..base.errors import (
    ApiError,
    AuthRejected,
    InputRejected,
    NotFound,
    OutOfCredit,
    RateLimited,
    ServerFault,
)
from ..base.json_tree import number
from ..base.shown_text import scrub, shortened, visible_text
from ..base.types import Json
from ..base.words import tr

_WORD_KEYS = ("message", "msg", "error", "detail", "error_msg", "fail_reason", "reason")
_CODE_KEYS = ("code", "error_code", "status_code", "type")

_STORAGE_CODE = re.compile(rb"<Error\b.*?<Code>([^<]+)</Code>", re.DOTALL)
_STORAGE_WORDS = re.compile(rb"<Error\b.*?<Message>([^<]+)</Message>", re.DOTALL)

_MONEY = re.compile(
    r"insufficient[ _](account[ _])?(balance|funds?|credits?|quota|points|coins)"
    r"|not enough (balance|funds?|credits?|quota|points|coins|money)"
    r"|(?<!load )\b(balance|funds|credits?|quota|points|coins)\b[^.;]{0,24}"
    r"(insufficient|not (enough|sufficient)|too low|exhausted|depleted|used up|run out|exceeded"
    r"|empty)"
    r"|(out of|no|exceeded your( current)?) (balance|funds|credits?|quota)\b"
    r"|payment required|billing|in arrears|overdue|top[ -]?up|recharge"
    # balance, arrears, top up; points / allowance / credit / quota ... insufficient, used up
    "|\u4f59\u989d|\u6b20\u8d39|\u5145\u503c"
    "|(\u79ef\u5206|\u989d\u5ea6|\u70b9\u6570|\u914d\u989d)[^\u3002\uff0c]{0,6}(\u4e0d\u8db3|\u4e0d\u591f|\u7528\u5b8c|\u8017\u5c3d)",
    re.IGNORECASE,
)
# A quota of requests in a time, or of tasks at once, is a matter of waiting, not of paying.
_PACE = re.compile(
    r"per[ _-](second|minute|hour)|rate[ _-]?limit|concurren|too many requests|requests? quota"
    "|\u5e76\u53d1|\u9891\u7387",  # at once, frequency
    re.IGNORECASE,
)


def api_error(
    label: str, status: int, words: str, code: str = "", retry_after: float | None = None
) -> ApiError:
    """The error for an answer of `label`; `words` and `code` are the platform's own.

    401 and 403 AuthRejected; 402, or words about money with any status, OutOfCredit; 404 and 410
    NotFound; 429 RateLimited; 5xx ServerFault; everything else, a 200 included, InputRejected.
    """
    kind = _class_of(status, words)
    told = shortened(scrub(words)) or tr("An error without any explanation")
    facts = [f"HTTP {status}"] if status and status != 200 else []
    facts += [f"code {code}"] if code else []
    return kind(
        f"{told} ({', '.join(facts)})." if facts else f"{told.rstrip('.')}.",
        status=status,
        code=code,
        retry_after=retry_after,
        do=_advice(kind, label, status),
        platform=label,
    )


def http_status(code: Json) -> int:
    """The HTTP status that an envelope's code stands for; 200 where it is the platform's own."""
    status = number(code)
    return int(status) if status is not None and 400 <= status < 600 else 200


def speaks_of_money(words: str) -> bool:
    """True when a platform's words, English or Chinese, say that the account is empty."""
    return bool(_MONEY.search(words)) and not _PACE.search(words)


def _class_of(status: int, words: str) -> type[ApiError]:
    if status == 402 or speaks_of_money(words):
        return OutOfCredit
    if status in (401, 403):
        return AuthRejected
    if status in (404, 410):
        return NotFound
    if status == 429:
        return RateLimited
    return ServerFault if status >= 500 else InputRejected


def _advice(kind: type[ApiError], label: str, status: int) -> str:
    if kind is AuthRejected:
        return tr(
            "Check the key ({name}_API_KEY, else `skyport keys list`): it may lack this right.",
            name=label.upper(),
        )
    if kind is OutOfCredit:
        return tr("Top up the account at {platform}, then queue again.", platform=label)
    if kind is NotFound:
        return tr(
            "Check the id or model name; if every call fails so, check {name}_BASE_URL.",
            name=label.upper(),
        )
    if kind is RateLimited:
        return tr("Wait a little, or lower how many tasks run side by side in the settings.")
    if kind is ServerFault or status == 408:
        return tr("The fault is on the platform's side: queue again later.")
    return tr("Change what the platform names, then queue again.")


# -- the platform's words -----------------------------------------------------------------------


def words_of(tree: Json) -> str:
    """The sentences of a JSON error body, wherever platforms put them; "" when there are none."""
    return shortened("; ".join(dict.fromkeys(_sentences(tree))))


def code_of(tree: Json) -> str:
    """The platform's own error code in a JSON body, "" when there is none."""
    if not isinstance(tree, dict):
        return ""
    for key in _CODE_KEYS:
        if isinstance(tree.get(key), (str, int)) and not isinstance(tree[key], bool):
            return str(tree[key])
    return code_of(tree.get("error"))


def explained(body: bytes) -> tuple[str, str]:
    """(words, code) of an error body of any kind: JSON, a page, plain text, nothing."""
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        return _told_by_storage(body) or (visible_text(body), "")
    words = words_of(tree) or shortened(body.decode("utf-8", "replace"))
    return _traced(words, tree), code_of(tree)


def _traced(words: str, tree: Json) -> str:
    """`words` with the number under which the platform's own people find the call."""
    trace = tree.get("traceid") if isinstance(tree, dict) else None
    return f"{words} [traceid {trace}]" if isinstance(trace, str) and trace else words


def _told_by_storage(body: bytes) -> tuple[str, str] | None:
    """(words, code) of object storage's XML error, None for anything else.

    The rest of it stays unsaid: it holds key ids and what was signed.
    """
    code, words = _STORAGE_CODE.search(body), _STORAGE_WORDS.search(body)
    if code is None or words is None:
        return None
    return visible_text(words[1]), visible_text(code[1], 60)


def _sentences(tree: Json) -> Iterator[str]:
    if isinstance(tree, str):
        yield from [tree.strip()] if tree.strip() else []
    elif isinstance(tree, list):
        for entry in tree[:5]:
            yield from _sentences(entry)
    elif isinstance(tree, dict):
        told = [s for key in _WORD_KEYS for s in _sentences(tree.get(key))]
        yield from told or _sentences(
            tree.get("data") if isinstance(tree.get("data"), dict) else None
        )


# -- when to come back --------------------------------------------------------------------------


def seconds_asked(value: str | None, now: float) -> float | None:
    """A Retry-After header, seconds or an HTTP date, in seconds from `now` (time.time)."""
    if not value:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", value.strip()):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, moment.timestamp() - now)
