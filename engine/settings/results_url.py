"""Where the results of batches go: a folder, or a folder in an S3 bucket."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..base.words import tr
from .invalid import InvalidSetting

_S3 = re.compile(r"s3://([a-z0-9][a-z0-9._-]*)((?:/[A-Za-z0-9._-]+)*)/?", re.IGNORECASE)


def results_url(value: Any) -> str:
    """`value` as s3://bucket/folder, or as the full path of a folder. Raises InvalidSetting."""
    text = value.strip() if isinstance(value, str) else ""
    if (found := _S3.fullmatch(text)) and ".." not in text:
        return f"s3://{found[1]}{found[2]}"
    try:
        url = urlsplit(text)
        is_file = url.scheme == "file" and url.netloc in ("", "localhost")
        path = Path(unquote(url.path) if is_file else text).expanduser()
        if path.is_absolute() and "\0" not in text:
            return str(path)
    except (RuntimeError, ValueError):  # "~someone" who has no home
        pass
    raise InvalidSetting(tr("the full path of a folder, or s3://bucket/folder"))


def bucket_and_prefix(url: str) -> tuple[str, str] | None:
    """The bucket and the folder in it; None for a folder on a disk."""
    found = _S3.fullmatch(url)
    return (found[1], found[2].strip("/")) if found else None
