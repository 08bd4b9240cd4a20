"""Media inside a request, for the setting `happyhorse_media`: data URLs, or the files of a form.

The document names URLs only; a newer text of the platform shows this form. It is unverified.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping

from ...engine.base.errors import InvalidInput
from ...engine.base.json_tree import as_text, leaves, with_files
from ...engine.base.types import Field, Json, MediaFile
from ...engine.base.words import tr
from ...engine.http.request_body import SizedFileReader
from ...engine.media.files import size_text

# Bytes of all media of a request, as they are sent. No text names a limit: gateways commonly take
# 32 to 64 MB, and a JSON body is held in memory.
MOST = 32 * 1024 * 1024


def check_size(payload: Mapping[str, Json], label: str, *, form: bool) -> None:
    """Raises InvalidInput where the media of `payload` are too large for a request."""
    size = sum(_sizes(payload, form))
    if size > MOST:
        raise InvalidInput(
            tr(
                "Its media take {size} inside the request; at most {limit} are sent like that.",
                size=size_text(size),
                limit=size_text(MOST),
            ),
            do=tr("Nothing was sent. Set happyhorse_media to url, or make the files smaller."),
            platform=label,
        )


def _sizes(payload: Mapping[str, Json], form: bool) -> Iterator[int]:
    for value in payload.values():
        if form and isinstance(value, MediaFile):
            yield value.size
        else:
            yield from (len(_head(file)) + _encoded(file.size) for file in leaves(value, MediaFile))


def json_body(payload: Mapping[str, Json]) -> Mapping[str, Json]:
    """`payload` with a data URL in place of each file."""
    urls: dict[MediaFile, str] = {}
    body: Mapping[str, Json] = with_files(payload, lambda file: _url(file, urls))
    return body


def form_fields(payload: Mapping[str, Json]) -> list[tuple[str, Field]]:
    """The fields of a form: a file as a file, everything else as text."""
    return [
        (name, value if isinstance(value, MediaFile) else as_text(json_body({"": value})[""]))
        for name, value in payload.items()
    ]


def _url(file: MediaFile, urls: dict[MediaFile, str]) -> str:
    if file not in urls:
        with SizedFileReader(file) as reader:
            urls[file] = _head(file) + base64.b64encode(reader.read()).decode("ascii")
    return urls[file]


def _head(file: MediaFile) -> str:
    return f"data:{file.mime};base64,"


def _encoded(size: int) -> int:
    """The length of `size` bytes as base64."""
    return 4 * ((size + 2) // 3)
