"""What a platform says when a file, hosted for an earlier request, is no longer there."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from urllib.parse import unquote, urlsplit

from ..base.errors import ApiError, InputRejected, NotFound, OutOfCredit, RateLimited, ServerFault
from ..base.json_tree import leaves, urls_in
from ..base.types import Request, ReusedUrl
from ..http.retry import may_be_accepted

_REACH = 60  # characters between a medium and what is said of it
_SHORTEST_NAME = 6  # characters of a file name that cannot be an ordinary word

_MEDIUM = re.compile(
    r"\b(?:images?|pictures?|photos?|videos?|audios?|media|masks?|frames?|files?|ur[il]s?|links?"
    r"|assets?|materials?|uploads?|oss)\b"
    # picture, image, photo, video, audio, material, medium, file, link, address, mask, frame
    "|\u56fe\u7247|\u56fe\u50cf|\u7167\u7247|\u89c6\u9891|\u97f3\u9891|\u7d20\u6750|\u5a92\u4f53"
    "|\u6587\u4ef6|\u94fe\u63a5|\u5730\u5740|\u906e\u7f69|\u5e27",
    re.IGNORECASE,
)
_GONE = re.compile(
    r"\b(?:cannot|can ?not|can ?'?t|could ?n[o']t|could not|unable to|not|fail(?:ed|ure|s)?"
    r"(?: to| in| while)?|error)\b.{0,20}?\b(?:be )?(?:fetch|download|access|load|read|open"
    r"|retriev|reach|find|found|resolv|exist)"
    r"|\b(?:download|fetch|access|load|retriev)\w*\W.{0,20}?"
    r"\b(?:fail|error|time|denied|forbidden|refused)"
    r"|\bexpire[sd]?\b|\bno longer\b|\bno such\b|\bmissing assets?\b"
    r"|\b(?:is|are|was|were|been) (?:gone|deleted|removed)"
    r"|\b(?:does|do)(?:n't| not) exist|\binaccessible\b|\bunreachable\b"
    r"|\b(?:status|returned|responded|answered|got)\b.{0,20}?\b(?:403|404|410)\b"
    # get, read, load, pull ... failed, timed out; cannot be got; not there, expired, deleted
    "|(?:\u4e0b\u8f7d|\u8bbf\u95ee|\u83b7\u53d6|\u8bfb\u53d6|\u52a0\u8f7d|\u62c9\u53d6)"
    ".{0,12}?(?:\u5931\u8d25|\u8d85\u65f6|\u9519\u8bef|\u4e0d\u5230)"
    "|(?:\u65e0\u6cd5|\u4e0d\u80fd|\u4e0d\u53ef|\u672a\u80fd).{0,6}?"
    "(?:\u4e0b\u8f7d|\u8bbf\u95ee|\u83b7\u53d6|\u8bfb\u53d6|\u52a0\u8f7d|\u62c9\u53d6|\u6253\u5f00)"
    "|\u4e0d\u5b58\u5728|\u8fc7\u671f|\u5931\u6548|\u627e\u4e0d\u5230|\u672a\u627e\u5230"
    "|\u5df2\u5220\u9664|\u5df2\u88ab\u5220\u9664|\u5df2\u6e05\u7406",
    re.IGNORECASE,
)
_INVALID = re.compile(
    r"\binvalid (?:\w+ ){0,2}(?:ur[il]|link)s?\b|\b(?:ur[il]|link)s?\b.{0,20}?\binvalid\b"
    # link / address ... void
    "|(?:\u94fe\u63a5|\u5730\u5740|url).{0,6}?\u65e0\u6548|\u65e0\u6548.{0,6}?(?:\u94fe\u63a5|\u5730\u5740|url)",
    re.IGNORECASE,
)
_OUR_STATUS = re.compile(r"\(HTTP \d+(?:, )?(?=[^()]*\)\.?$)")  # `api_error` appends it
_PAGE = re.compile(r"requested (?:url|resource)", re.IGNORECASE)  # of a web server, no platform
_JOINT = re.compile(r"_+|-+|(?<=[a-z])(?=[A-Z])")  # in codes: IMAGE_NOT_FOUND, ImageNotFound


def is_refused_for_lost_media(error: ApiError, request: Request) -> bool:
    """Whether a submit was refused, certainly, as files it reuses are gone."""
    reused = tuple(leaves(request.payload, ReusedUrl))
    return _is_refusal(error) and speaks_of_lost_media(
        error.what, reused, urls_in(request.payload).difference(reused)
    )


def speaks_of_lost_media(words: str, reused: Collection[str], others: Collection[str] = ()) -> bool:
    """Whether the platform's `words` name one of the `reused` URLs, or say that media are gone.

    Not where they name one of the `others`: hosted a moment ago, or the person's own.
    """
    if any(_is_named(url, words) for url in reused):
        return True
    return bool(reused) and not any(_is_named(url, words) for url in others) and _says_gone(words)


def _is_refusal(error: ApiError) -> bool:
    """Whether the platform itself, in its own form, has refused the request for what it holds."""
    if isinstance(error, (OutOfCredit, RateLimited, ServerFault)) or may_be_accepted(error):
        return False
    return error.own_form and (
        isinstance(error, (InputRejected, NotFound)) or 400 <= error.status < 500
    )


def _is_named(url: str, words: str) -> bool:
    return any(name in words for name in _names(url))


def _names(url: str) -> Iterable[str]:
    """How a text may name `url`: without its query, or by its file name alone."""
    path = urlsplit(url).path
    file_name = path.rpartition("/")[2]
    names = {url.partition("?")[0], file_name, unquote(file_name)}
    return (name for name in names if len(name) >= _SHORTEST_NAME)


def _says_gone(words: str) -> bool:
    plain = _JOINT.sub(" ", _OUR_STATUS.sub("(", words))
    if _PAGE.search(plain):
        return False
    near = (
        plain[max(0, gone.start() - _REACH) : gone.end() + _REACH] for gone in _GONE.finditer(plain)
    )
    return bool(_INVALID.search(plain)) or any(map(_MEDIUM.search, near))
