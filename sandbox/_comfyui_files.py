"""The input, output and temp folders of one ComfyUI."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, urlencode

from ._body import Refusal
from ._files import StoredFile, identify
from ._multipart import FormPart

INPUT, OUTPUT, TEMP = "input", "output", "temp"


@dataclass(frozen=True)
class Place:
    """Where a file is, by the names of `/view`."""

    filename: str
    subfolder: str = ""
    type: str = OUTPUT

    @classmethod
    def read(cls, query: str) -> Place | None:
        """The place that a query names; None for one that names none, or one outside."""
        asked = dict(parse_qsl(query))
        name, folder = asked.get("filename", ""), asked.get("subfolder", "")
        is_inside = not any(text.startswith("/") or ".." in text for text in (name, folder))
        return cls(name, folder, asked.get("type", OUTPUT)) if name and is_inside else None

    @property
    def query(self) -> str:
        return urlencode(asdict(self))

    @property
    def in_workflow(self) -> str:
        """How a workflow names the file."""
        return f"{self.subfolder}/{self.filename}" if self.subfolder else self.filename


class Folders:
    """Safe to use from many threads."""

    def __init__(self) -> None:
        self._files: dict[Place, StoredFile] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.RLock()

    def upload(self, wanted: Place, file: StoredFile, overwrite: bool) -> Place:
        """An equal file of the same name is found again, any other gets a number."""
        at, name = wanted, PurePosixPath(wanted.filename)
        with self._lock:
            for number in range(1, 1000):
                known = self._files.get(at)
                if overwrite or known is None or known.etag == file.etag:
                    break
                at = replace(wanted, filename=f"{name.stem} ({number}){name.suffix}")
            self._files[at] = file
        return at

    def save(self, prefix: str, file: StoredFile, type: str) -> Place:
        """A result, counted as ComfyUI counts the files of one prefix."""
        folder, _, name = prefix.rpartition("/")
        with self._lock:
            self._counts[type, prefix] += 1
            number = self._counts[type, prefix]
            at = Place(f"{name or 'ComfyUI'}_{number:05}_.{file.ending}", folder, type)
            self._files[at] = file
        return at

    def get(self, at: Place | None) -> StoredFile | None:
        return self._files.get(at) if at else None

    def find_input(self, name: str) -> StoredFile | None:
        """The file that a loader names."""
        folder, _, file = name.rpartition("/")
        return self._files.get(Place(file, folder, INPUT))

    def inputs(self) -> Mapping[str, StoredFile]:
        """Every file that a loader may name, by that name."""
        with self._lock:
            files = list(self._files.items())
        return {at.in_workflow: file for at, file in files if at.type == INPUT}

    def clear_temp(self) -> None:
        with self._lock:
            self._files = {at: file for at, file in self._files.items() if at.type != TEMP}


def stored(part: FormPart) -> StoredFile:
    """An uploaded part, which may be any kind of file."""
    assert part.path is not None
    assert part.filename is not None
    try:
        return identify(part.path, part.filename)
    except Refusal:
        content = part.path.read_bytes()
        ending = PurePosixPath(part.filename).suffix.lstrip(".")
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        mime = "application/octet-stream"
        return StoredFile(part.path, part.filename, mime, ending, len(content), etag)
