"""Links to upload to, which GPUGeek's document asks for in two ways: the one that works is kept."""

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

# The document's table of section 1 says one thing, its Python sample the other.
_DIALECTS: Mapping[str, Callable[[Http, str], Response]] = {
    _TABLE: lambda http, name: http.get(_PATH, {"file_name": name}),
    "sample": lambda http, name: http.post(f"{_PATH}?fileName={quote(name, safe='')}"),
}
_LINK_KEYS = ("signed_url", "signedUrl")

_learnt: dict[str, str] = {}  # base URL -> dialect, also where the disk keeps nothing


def upload_link(provider: Provider, name: str) -> str:
    """A signed URL that takes the file `name`.

    Raises the error of the dialect that was understood, where one was.
    """
    base_url = provider.http.base_url
    failures: list[SkyportError] = []
    for dialect in _likely_first(base_url):
        try:
            link = _link_in(_DIALECTS[dialect](provider.http, name), provider)
        except _MAY_MEAN_THE_OTHER as error:
            failures.append(error)
        else:
            _remember(base_url, dialect)
            return link
    raise min(failures, key=_strangeness)


def _link_in(response: Response, provider: Provider) -> str:
    try:
        answer = provider.unwrap(response)
    except TransportError as error:
        raise _Garbled(error.what, do=error.do, platform=error.platform) from None
    told = answer if isinstance(answer, dict) else {}
    link = next((told[key] for key in _LINK_KEYS if told.get(key)), None)
    if not isinstance(link, str):
        raise BadResult(
            tr("The platform gave no link to upload to."),
            do=tr("Queue again later."),
            platform=provider.label,
        )
    return link


class _Garbled(TransportError):
    """An answer came and is no JSON; what of no answer is said of it holds here too."""


# Servers refuse an unknown way of asking with nearly anything: a 500 and an empty 200 among it.
_MAY_MEAN_THE_OTHER = (NotFound, InputRejected, ServerFault, BadResult, _Garbled)


def _strangeness(error: SkyportError) -> int:
    """0 where the way of asking was understood, 1 where it may have been, 2 where it was not."""
    if isinstance(error, (NotFound, BadResult)):
        return 2
    if isinstance(error, ApiError) and error.status in (405, 501):
        return 2
    return 1 if isinstance(error, (ServerFault, _Garbled)) else 0


# -- what was learnt ----------------------------------------------------------------------------


def _likely_first(base_url: str) -> list[str]:
    known = _learnt.get(base_url) or _kept(base_url)
    return sorted(_DIALECTS, key=lambda dialect: dialect != known)


def _kept(base_url: str) -> str:
    with suppress(InvalidInput):  # unreadable: learnt again
        return str(json_file.read(_file()).get(base_url, _TABLE))
    return _TABLE


def _remember(base_url: str, dialect: str) -> None:
    """Keeps what is not the table's way, or no longer is."""
    _learnt[base_url] = dialect
    if _kept(base_url) == dialect:
        return
    with suppress(InvalidInput):  # a disk that refuses costs one more call the next time
        json_file.write(_file(), {**json_file.read(_file()), base_url: dialect})


def _file() -> Path:
    return folders.home() / "gpugeek.json"
