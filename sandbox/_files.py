"""Media stored by the sandbox: identified by bytes, served with Range, under signed URLs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import threading
import time
import uuid
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from urllib.parse import quote, unquote

import av
import filetype

from ._body import Refusal
from ._faults import Twists, paced
from ._other_files import OTHER_FILES

_COVER = av.stream.Disposition.attached_pic
_HEADERLESS = {  # by FFmpeg's names
    "mpegts": ("mp2t", "ts"),
    "mp3": ("mpeg", "mp3"),
    "aac": ("aac", "aac"),
    "w64": ("x-w64", "w64"),
    "au": ("basic", "au"),
    "caf": ("x-caf", "caf"),
}
_DOWNLOADS = ("cut", "html", "redirect", "gone", "bad_data")
TEXT_ENDING = ".txt"  # of a file with the text that a node shows
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass
class StoredFile:
    """A file on disk. mime and ending come from its bytes; twists spoil its download."""

    path: Path
    name: str
    mime: str
    ending: str
    size: int
    etag: str
    twists: Twists = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return self.mime.split("/")[0]

    def is_gone(self) -> bool:
        """Whether this download finds nothing; every one uses up one `gone`, unless it is 0."""
        left = self.twists.get("gone")
        if left == 1:
            del self.twists["gone"]
        elif left:
            self.twists["gone"] -= 1
        return left is not None

    def download_twists(self, pace: float) -> Twists:
        """How this download goes wrong; every download uses up one `cut`."""
        if trickle := self.twists.get("trickle"):
            if trickle["once"]:
                del self.twists["trickle"]
            return {"trickle": paced(trickle, pace)}
        if self.twists.get("cut", 0) < 1:
            return {kind: {} for kind in self.twists if kind in ("html", "redirect")}
        self.twists["cut"] -= 1
        return {"cut_body": {}}


@dataclass(frozen=True)
class Slice:
    """`length` bytes of a file from `start`."""

    path: Path
    start: int
    length: int


def identify(path: Path, name: str) -> StoredFile:
    """The medium at `path`. Raises Refusal when its bytes are no image, video or audio."""
    size = path.stat().st_size
    if not size:
        raise Refusal(400, f"The file {name!r} is empty.")
    guess = filetype.guess(str(path))
    mime, ending = (guess.mime, guess.extension) if guess else ("", "")
    if not mime.startswith("image/"):
        mime, ending = _by_tracks(path, mime, ending)
    if mime.split("/")[0] not in ("image", "video", "audio"):
        raise Refusal(400, f"The file {name!r} is no image, video or audio file.")
    return StoredFile(path, name, mime, ending, size, _etag(path))


def _by_tracks(path: Path, mime: str, ending: str) -> tuple[str, str]:
    """`mime` and `ending`, as the tracks say: video or sound alone, also without a header."""
    try:
        with av.open(str(path)) as container:
            pictures = [s for s in container.streams.video if not s.disposition & _COVER]
            subtype, ending = _HEADERLESS.get(container.format.name, ("", ending))
    except (av.error.FFmpegError, OSError, ValueError):  # older PyAVs: tags that are no UTF-8
        return mime, ending
    if subtype or mime.startswith(("video/", "audio/")):
        mime = f"{'video' if pictures else 'audio'}/{subtype or mime.split('/')[1]}"
    return mime, ending


def result_file(path: Path, twists: Twists) -> StoredFile:
    """The result that a task drew at `path`, spoiled as the task's markers ask."""
    if path.suffix == TEXT_ENDING:
        return StoredFile(path, path.name, "text/plain", "txt", path.stat().st_size, _etag(path))
    if "only" in twists and next(twists["only"]["results"]) != twists["only"]["number"]:
        return identify(path, path.name)
    if "truncated" in twists:
        os.truncate(path, path.stat().st_size // 2)
    file = _other_file(path, twists["file"]["ending"]) if "file" in twists else None
    file = file or identify(path, path.name)
    if "noise" in twists:
        _make_noise(path)
    if "type" in twists:
        file.mime = twists["type"]["mime"]
    file.twists = {k: v for k, v in twists.items() if k in _DOWNLOADS}
    if twists.get("trickle", {}).get("step") == "result":
        file.twists["trickle"] = twists["trickle"]
    return file


def _other_file(path: Path, ending: str) -> StoredFile:
    """A file that is no medium in place of the one at `path`."""
    mime, content = OTHER_FILES[ending]
    path.write_bytes(content())
    return StoredFile(path, path.name, mime, ending, path.stat().st_size, _etag(path))


def _make_noise(path: Path) -> None:
    """Leave of a file only the first bytes, which say what it is."""
    content = path.read_bytes()
    path.write_bytes(content[:16] + bytes(byte * 7 % 251 for byte in content[16:]))


def serve_range(file: StoredFile, request: Message) -> tuple[int, dict[str, str], Slice]:
    """(status, headers, bytes) for a download, obeying Range and If-Range."""
    headers = {"Accept-Ranges": "bytes", "ETag": file.etag, "Content-Type": file.mime}
    wanted = _range(request.get("Range", ""), file.size)
    if wanted is None or request.get("If-Range", file.etag) != file.etag:
        return 200, headers, Slice(file.path, 0, file.size)
    start, stop = wanted
    if start >= stop:
        raise Refusal(
            416,
            f"No such range in {file.size} bytes.",
            {"Content-Range": f"bytes */{file.size}"},
        )
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    return 206, headers, Slice(file.path, start, stop - start)


def _range(header: str, size: int) -> tuple[int, int] | None:
    """[start, stop) of a single range; None where there is none to obey (absent, several, odd)."""
    match = _RANGE.fullmatch(header.strip())
    if not match or match[1] == match[2] == "":
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size
    if match[2] and int(match[2]) < int(match[1]):
        return None
    return int(match[1]), min(int(match[2]) + 1, size) if match[2] else size


def _etag(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1024 * 1024), b""):
            digest.update(block)
    return f'"{digest.hexdigest()[:32]}"'


class SignedStore:
    """Files under URLs that must be used character by character, as object storage has it."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._secret = secrets.token_bytes(16)
        self._files: dict[str, StoredFile] = {}
        self._lock = threading.Lock()

    def put(self, file: StoredFile) -> str:
        """Host `file`; returns the request target, without the path before it."""
        name = f"{self._folder}/{time.strftime('%Y%m%d')}/{uuid.uuid4()}.{file.ending}"
        query = f"OSSAccessKeyId=SANDBOX&Expires=2085109558&Signature={self._signature(name)}"
        target = f"{quote(name, safe='')}?{query}"
        with self._lock:
            self._files[target] = file
        return target

    def get(self, target: str) -> StoredFile:
        """The file at exactly this target. Raises Refusal: 403 for a changed one, 404 unknown."""
        with self._lock:
            file = self._files.get(target)
            names = {unquote(known.split("?")[0]) for known in self._files}
        if file:
            return file
        if unquote(target.split("?")[0]) in names:
            raise Refusal(403, "SignatureDoesNotMatch: fetch the URL exactly as it was given.")
        raise Refusal(404, "NoSuchKey: nothing is stored under this URL.")

    def _signature(self, name: str) -> str:
        for number in range(1000):
            digest = hmac.new(self._secret, f"{name} {number}".encode(), "sha1").digest()
            text = base64.b64encode(digest).decode()
            if "/" in text:
                break
        return quote(text, safe="")
