"""Upload links. GPUGeek's document shows two ways to request one; the way that works is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from ...engine.base.errors import (
    ApiError,
    BadResult,
    InputRejected,
    InvalidInput,
    NotFound,
    ServerFault,
    SkyportError,
    TransportError,
)
from ...engine.base.words import tr
from ...engine.http.client import Http
from ...engine.http.response import Response
from ...engine.platforms.provider import Provider
from ...engine.settings import folders, json_file

_PATH = "/api/v1/file/upload/pre-signed-url"
_TABLE = "table"

# The table in section 1 of the document says one thing, its Python sample the other.
_DIALECTS: Mapping[str, Callable[[Http, str], Response]] = {
    _TABLE: lambda http, name: http.get(_PATH, {"file_name": name}),
    "sample": lambda http, name: http.post(f"{_PATH}?fileName={quote(name, safe='')}"),
}
_LINK_KEYS = ("signed_url", "signedUrl")

_dialects: dict[str, str] = {}  # by base URL; it works without the disk, too


def upload_link(provider: Provider, name: str) -> str:
    """A signed URL to which the file `name` can be uploaded.

    Raises the error of the dialect that the platform most likely understood.
    """
    base_url = provider.http.base_url
    failures: list[SkyportError] = []
    for dialect in _likely_first(base_url):
        try:
            link = _link_in(_DIALECTS[dialect](provider.http, name), provider)
        except _MAY_BE_DIALECT as error:
            failures.append(error)
        else:
            _store(base_url, dialect)
            return link
    raise min(failures, key=_dialect_doubt)


def _link_in(response: Response, provider: Provider) -> str:
    try:
        answer = provider.unwrap(response)
    except TransportError as error:
        raise _Garbled(error.what, do=error.do, platform=error.platform) from None
    body = answer if isinstance(answer, dict) else {}
    link = next((body[key] for key in _LINK_KEYS if body.get(key)), None)
    if not isinstance(link, str):
        raise BadResult(
            tr("The platform gave no upload link."),
            do=tr("Queue again later."),
            platform=provider.label,
        )
    return link


class _Garbled(TransportError):
    """An answer came that is not JSON; it counts as no answer."""


# Servers refuse an unknown dialect with nearly anything, even a 500 or an empty 200.
_MAY_BE_DIALECT = (NotFound, InputRejected, ServerFault, BadResult, _Garbled)


def _dialect_doubt(error: SkyportError) -> int:
    """0 where the platform understood the dialect, 1 where it may have, 2 where it did not."""
    if isinstance(error, (NotFound, BadResult)):
        return 2
    if isinstance(error, ApiError) and error.status in (405, 501):
        return 2
    return 1 if isinstance(error, (ServerFault, _Garbled)) else 0


# -- the dialect that works ---------------------------------------------------------------------


def _likely_first(base_url: str) -> list[str]:
    likely = _dialects.get(base_url) or _stored(base_url)
    return sorted(_DIALECTS, key=lambda dialect: dialect != likely)


def _stored(base_url: str) -> str:
    with suppress(InvalidInput):  # unreadable: it will be found out again
        return str(json_file.read(_file()).get(base_url, _TABLE))
    return _TABLE


def _store(base_url: str, dialect: str) -> None:
    """Writes to disk only where the dialect differs from the stored one, at first the table's."""
    _dialects[base_url] = dialect
    if _stored(base_url) == dialect:
        return
    with suppress(InvalidInput):  # without the disk, the next process makes one more call
        json_file.write(_file(), {**json_file.read(_file()), base_url: dialect})


def _file() -> Path:
    return folders.home() / "gpugeek.json"
