"""Results in a bucket, under names of their own: each is written once, and whole."""

from __future__ import annotations

import mimetypes
from dataclasses import replace
from pathlib import Path

from ..base.errors import InvalidInput
from ..base.types import MediaFile
from ..base.words import tr
from ..media.files import sha256_of
from ..settings import settings
from ..settings.results_url import bucket_and_prefix
from . import s3


class ResultsBucket:
    """The folder `url` in a bucket, s3://bucket/folder, with the service and keys of the settings.

    Raises InvalidInput where they cannot be used.
    """

    def __init__(self, url: str) -> None:
        bucket, prefix = bucket_and_prefix(url) or ("", "")
        self._bucket = s3.bucket(replace(settings.load(), s3_bucket=bucket, s3_prefix=prefix))

    def put(self, name: str, path: Path, sha256: str = "") -> None:
        """Upload the file as `name`, unless the bucket has it.

        sha256  what it is to be, "" where that is not known
        Raises InvalidInput for a file that is gone or has changed, ApiError and TransportError.
        """
        try:
            found, size = sha256_of(path)
        except OSError as error:
            raise _unreadable(path, error.strerror or str(error)) from None
        if sha256 not in ("", found):
            raise _unreadable(path, tr("it has changed"))
        mime = mimetypes.guess_type(name)[0] or "application/octet-stream"
        self._bucket.put_named(name, MediaFile(path, name, mime, found, size))


def _unreadable(path: Path, reason: str) -> InvalidInput:
    return InvalidInput(tr("{path} cannot be read: {reason}.", path=path, reason=reason))
