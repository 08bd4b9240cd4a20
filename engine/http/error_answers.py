"""What an error answer means: the message and code in its body, and the matching exception."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from ..base.errors import (
    ApiError,
    AuthRejected,
    InputRejected,
    NotFound,
    OutOfCredit,
    RateLimited,
    ServerFault,
)
from ..base.json_tree import number, parse
from ..base.shown_text import scrub, shorten, visible_text
from ..base.types import Json
from ..base.words import tr
from .messages import message_in

# Not 401 and 403: these are about the key, whoever says so.
_STATUS_PHRASES = frozenset(
    HTTPStatus(status).phrase.lower() for status in HTTPStatus if status >= 404
)
_CODE_KEYS = ("code", "error_code", "err_code", "status_code", "type")

_STORAGE_CODE = re.compile(rb"<Error\b.*?<Code>([^<]+)</Code>", re.DOTALL)
_STORAGE_MESSAGE = re.compile(rb"<Error\b.*?<Message>([^<]+)</Message>", re.DOTALL)

_NO_CREDIT = re.compile(
    r"insufficient[ _](account[ _])?(balance|funds?|credits?|quota|points|coins)"
    r"|not enough (balance|funds?|credits?|quota|points|coins|money)"
    r"|(?<!load )\b(balance|funds|credits?|quota|points|coins)\b[^.;]{0,24}"
    r"(insufficient|not (enough|sufficient)|too low|exhausted|depleted|used up|run out|exceeded"
    r"|empty)"
    r"|(out of|no|exceeded your( current)?) (balance|funds|credits?|quota)\b"
    r"|payment required|billing (details|address|(hard )?limit|account|issue|problem)"
    r"|in arrears|\b(payments?|account|balance|bills?|invoices?) (is |are )?overdue"
    r"|overdue (payment|account|balance|bill|invoice)|\btop[ -]?up\b|\brecharge\b"
    # balance, arrears, top up; points / allowance / credit / quota ... insufficient, used up
    "|\u4f59\u989d|\u6b20\u8d39|\u5145\u503c"
    "|(\u79ef\u5206|\u989d\u5ea6|\u70b9\u6570|\u914d\u989d)[^\u3002\uff0c]{0,6}(\u4e0d\u8db3|\u4e0d\u591f|\u7528\u5b8c|\u8017\u5c3d)",
    re.IGNORECASE,
)
# A quota of requests per period, or of concurrent tasks, calls for waiting, not for paying.
_RATE_LIMIT = re.compile(
    r"per[ _-](second|minute|hour)|rate[ _-]?limit|concurren|too many requests|requests? quota"
    "|\u5e76\u53d1|\u9891\u7387",  # at once, frequency
    re.IGNORECASE,
)
# An order that is refused in these words can be sent again later. Not "per second": of frames, too.
_TOO_MANY = re.compile(
    r"too many (requests|tasks|jobs|orders|generations)|rate[ _-]?limit|concurren(t|cy)"
    r"|queue[ _](is )?full|\b(server|system|service|platform|model) is (too |currently )?busy"
    r"|system busy"
    # at once; busy; too often; a queue or the number of tasks is full, too large, at its limit
    "|\u5e76\u53d1|\u7e41\u5fd9|\u9891\u7e41|\u9891\u7387"
    "|(\u961f\u5217|\u6392\u961f|\u4efb\u52a1\u6570)[^\u3002\uff0c]{0,6}"
    "(\u6ee1|\u8fc7\u591a|\u4e0a\u9650)",
    re.IGNORECASE,
)


def api_error(
    label: str,
    status: int,
    words: str,
    code: str = "",
    retry_after: float | None = None,
    **answer: Any,
) -> ApiError:
    """The error for an answer of the platform `label`; `words` and `code` are the platform's own.

    `answer` are the fields of ApiError that describe the answer: http, own_form, body.

    401 and 403: AuthRejected; 402, or words about money with any status: OutOfCredit; 404 and 410:
    NotFound; 429: RateLimited; 5xx: ServerFault; anything else, including 200: InputRejected.
    """
    error_class = _error_class(status, words)
    message = shorten(scrub(words)) or tr("An error without any explanation")
    facts = [f"HTTP {status}"] if status and status != 200 else []
    facts += [f"code {code}"] if code else []
    return error_class(
        f"{message} ({', '.join(facts)})." if facts else f"{message.rstrip('.')}.",
        status=status,
        code=code,
        retry_after=retry_after,
        do=_advice(error_class, label, status),
        platform=label,
        **answer,
    )


def is_of_a_web_server(body: Mapping[str, Json]) -> bool:
    """Whether an error has the fields of a web server's or a framework's own error page."""
    return {"timestamp", "path"} <= body.keys()


def is_status_phrase(words: Json) -> bool:
    """Whether an error is worded by nothing but its HTTP status, as a gateway does it."""
    return isinstance(words, str) and words.strip().lower() in _STATUS_PHRASES


def http_status(code: Json) -> int:
    """The HTTP status that a body's `code` stands for; 200 if the code is the platform's own."""
    status = number(code)
    return int(status) if status is not None and 400 <= status < 600 else 200


def is_about_credit(words: str) -> bool:
    """Whether a platform's message, English or Chinese, says that the account has no credit."""
    return bool(_NO_CREDIT.search(words)) and not _RATE_LIMIT.search(words)


def says_too_many(words: str) -> bool:
    """Whether a platform's message, English or Chinese, says that it takes no more just now."""
    return bool(_TOO_MANY.search(words))


def _error_class(status: int, words: str) -> type[ApiError]:
    if status == 402 or is_about_credit(words):
        return OutOfCredit
    if status in (401, 403):
        return AuthRejected
    if status in (404, 410):
        return NotFound
    if status == 429:
        return RateLimited
    return ServerFault if status >= 500 else InputRejected


def _advice(error_class: type[ApiError], label: str, status: int) -> str:
    if status == 407:
        return tr(
            "A proxy asks for a user name and a password: write them into HTTPS_PROXY, as in "
            "http://name:password@host:port."
        )
    if error_class is AuthRejected:
        return tr(
            "Check the key ({name}_API_KEY, or `skyport keys list`): it may lack this permission.",
            name=label.upper(),
        )
    if error_class is OutOfCredit:
        return tr("Top up the account at {platform}, then queue again.", platform=label)
    if error_class is NotFound:
        return tr(
            "Check the id or model name; if every call fails like this, check {name}_BASE_URL.",
            name=label.upper(),
        )
    if error_class is RateLimited:
        return tr("Wait a little, or lower max_parallel in the settings, then queue again.")
    if error_class is ServerFault or status == 408:
        return tr("The fault is on the platform's side: queue again later.")
    return tr("Correct what the platform reports, then queue again.")


# -- the message in a body -----------------------------------------------------------------------


def code_in(tree: Json) -> str:
    """The platform's own error code in a JSON body, "" if there is none."""
    if not isinstance(tree, dict):
        return ""
    for key in _CODE_KEYS:
        if isinstance(tree.get(key), (str, int)) and not isinstance(tree[key], bool):
            return str(tree[key])
    return code_in(tree.get("error"))


def json_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object in `body`; None for anything else."""
    try:
        tree = parse(body)
    except ValueError:
        return None
    return tree if isinstance(tree, dict) else None


def parse_error_body(body: bytes) -> tuple[str, str]:
    """(message, code) of an error body: JSON, HTML, plain text or empty."""
    try:
        tree = parse(body)
    except ValueError:
        return _storage_error(body) or (visible_text(body), "")
    words = message_in(tree) or shorten(body.decode("utf-8", "replace"))
    return with_trace_id(words, tree), code_in(tree)


def with_trace_id(words: str, tree: Json) -> str:
    """`words` with the id under which the platform's support finds the call."""
    trace = tree.get("traceid") if isinstance(tree, dict) else None
    return f"{words} [traceid {trace}]" if isinstance(trace, str) and trace else words


def _storage_error(body: bytes) -> tuple[str, str] | None:
    """(message, code) of an object storage's XML error, None for anything else.

    The rest of it is not shown: it holds key ids and the signed text.
    """
    code, words = _STORAGE_CODE.search(body), _STORAGE_MESSAGE.search(body)
    if code is None or words is None:
        return None
    return visible_text(words[1]), visible_text(code[1], 60)


# -- when to try again --------------------------------------------------------------------------


def parse_retry_after(value: str | None, now: float) -> float | None:
    """A Retry-After header (seconds or an HTTP date) as seconds from `now` (`time.time`)."""
    if not value:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", value.strip()):
        return float(value)
    moment = parse_date(value)
    return None if moment is None else max(0.0, moment - now)


def parse_date(value: str | None) -> float | None:
    """An HTTP date as seconds since the epoch, None if it is none."""
    try:
        moment = parsedate_to_datetime(value or "")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return moment.timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
