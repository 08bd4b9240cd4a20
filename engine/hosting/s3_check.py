"""The test of the bucket in the settings: can it be written, read by URL, and cleaned up?"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ..base.errors import BadResult, InvalidInput, SkyportError
from ..base.types import MediaFile
from ..base.words import tr
from ..http.client import Http
from ..http.session import origin_text
from ..settings import settings
from .s3 import LABEL, Bucket, advice, bucket


def check() -> str:
    """Write a tiny object, read it by its URL and delete it; the outcome in words.

    Raises what the step raises that fails, its name in front. A bucket in which objects cannot be
    deleted serves all the same.
    """
    current = settings.load()
    if not current.s3_bucket:
        raise InvalidInput(
            tr("s3_bucket is not set."), do=tr("Enter the name of the bucket."), platform=LABEL
        )
    found = bucket(current)
    with TemporaryDirectory() as folder:
        file = _tiny_file(Path(folder))
        with _step(tr("A file cannot be written to the bucket")):
            url = found.upload(file)
        try:
            with _step(tr("A file in the bucket cannot be read by its URL")):
                _read(url, file)
        finally:
            is_deleted = found.delete(file)
    if is_deleted:
        return tr("Works: a file was written, read by its URL and deleted.")
    return _works_without_deleting(found, file)


def _works_without_deleting(found: Bucket, file: MediaFile) -> str:
    return tr(
        "Works: a file was written and read by its URL. It could not be deleted: {key} stays in "
        "the bucket.",
        key=found.object_key(file),
    )


def _tiny_file(folder: Path) -> MediaFile:
    content = f"Skyport test {uuid.uuid4()}".encode()
    path = folder / "test.txt"
    path.write_bytes(content)
    return MediaFile(
        path, path.name, "text/plain", hashlib.sha256(content).hexdigest(), len(content)
    )


def _read(url: str, file: MediaFile) -> None:
    """As a platform would: by the URL alone."""
    answer = Http(LABEL, origin_text(url), {}, timeout=(10, 60)).get(url)
    if answer.content != file.path.read_bytes():
        raise BadResult(
            tr("something else came back."),
            do=tr("Check s3_endpoint: a web page or a proxy seems to be at that address."),
            platform=LABEL,
        )


@contextmanager
def _step(failure: str) -> Iterator[None]:
    try:
        yield
    except SkyportError as error:
        error.what = f"{failure}: {error.what}"
        error.do = error.do if isinstance(error, BadResult) else advice(error)
        raise
