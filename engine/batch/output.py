"""The results of a batch in a folder of its own: files named by row, and results.jsonl."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from ..base.errors import InvalidInput
from ..base.shown_text import scrub
from ..base.types import Json, Result, ResultFile
from ..base.words import tr
from ..hosting.results_bucket import ResultsBucket
from ..media.files import sha256_of
from ..media.part_file import safe_name
from .store import RowState, StoredRow

RESULTS = "results.jsonl"


class Output:
    """Where the results of a batch go: to a folder on a disk, or to one in a bucket.

    url  of the folder in a bucket, s3://bucket/folder; the list of results is in both then
    Raises InvalidInput where it cannot be used; for a bucket ApiError and TransportError, too.
    """

    def __init__(self, folder: Path, url: str = "") -> None:
        self.folder, self.url = folder, url
        self._opened: ResultsBucket | None = None

    def __getstate__(self) -> Json:
        return {**self.__dict__, "_opened": None}  # another machine has keys of its own

    def keep(self, number: int, name: str, files: Sequence[ResultFile]) -> list[str]:
        """Keep the files and return their names: 000042.png, 000042_1.png of several."""
        return self._keep(number, name, [(file.path, file.sha256) for file in files])

    def _keep(self, number: int, name: str, files: Sequence[tuple[Path, str]]) -> list[str]:
        stem = "-".join(filter(None, (f"{number:06d}", safe_name(name) if name else "")))
        kept = []
        for nth, (file, sha256) in enumerate(files, 1):
            suffix = f"_{nth}" if len(files) > 1 else ""
            target = f"{stem}{suffix}{file.suffix}"
            if self.url:
                self._bucket().put(target, file, sha256)
            else:
                _link(file, self.folder / target)
            kept.append(target)
        return kept

    def _bucket(self) -> ResultsBucket:
        if self._opened is None:
            self._opened = ResultsBucket(self.url)
        return self._opened

    def has(self, stored: Json) -> bool:
        """Whether the files of a stored result are here under their names."""
        files = stored.get("files", ())
        if self.url:
            return all(file.get("url") == f"{self.url}/{file['name']}" for file in files)
        return all(_is_kept(self.folder / file["name"], file) for file in files)

    def to_store(self, result: Result, kept: Sequence[str]) -> Json:
        """What a row keeps of its result: the names of its files here, and where they lie."""
        files = [
            self._named({"path": str(file.path), "size": file.size, "sha256": file.sha256}, name)
            for file, name in zip(result.files, kept, strict=True)
        ]
        return {
            "task": result.task_id,
            "files": files,
            "texts": [str(text) for text in result.texts],
            "warnings": list(result.warnings),
        }

    def _named(self, file: Json, name: str) -> Json:
        of_file = {key: file[key] for key in ("path", "size", "sha256") if key in file}
        return {**of_file, "name": name, **({"url": f"{self.url}/{name}"} if self.url else {})}

    def keep_again(self, number: int, name: str, stored: Json) -> Json | None:
        """The stored result of an equal order for this row; None where a file of it is gone."""
        files = stored.get("files", ())
        if not all(_is_file(Path(file["path"]), file["size"]) for file in files):
            return None
        known = [(Path(file["path"]), file.get("sha256", "")) for file in files]
        kept = self._keep(number, name, known)
        named = [self._named(file, to) for file, to in zip(files, kept, strict=True)]
        return {**stored, "files": named}

    def write_list(self, rows: Iterable[StoredRow]) -> Path:
        """A line for each row, in their order; the list of before is replaced at once."""
        target = self.folder / RESULTS
        part = target.with_name(f"{RESULTS}.{os.getpid()}.part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                with open(part, "w", encoding="utf-8", errors="backslashreplace") as stream:
                    for row in rows:
                        stream.write(json.dumps(self._line(row), ensure_ascii=False) + "\n")
                os.replace(part, target)
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(target, error) from None
        if self.url:
            self._bucket().put(RESULTS, target)
        return target

    def _line(self, row: StoredRow) -> Json:
        named = [file["name"] for file in row.result.get("files", ())]
        found = {
            "row": row.number,
            "line": row.line or None,
            "state": row.state.value,
            "files": named if row.state is RowState.DONE else [],
            "urls": self._urls(row) or None,
            "texts": row.result.get("texts", []) if row.state is RowState.DONE else [],
            "error": scrub(row.error),
            "warnings": [scrub(one) for one in row.result.get("warnings", ())] or None,
            "job": row.job,
            "task": row.result.get("task", ""),
            "cost": row.cost,
            "unit": row.unit,
        }
        return {key: value for key, value in found.items() if value not in (None, "")}

    def _urls(self, row: StoredRow) -> list[str]:
        files = row.result.get("files", ()) if row.state is RowState.DONE else ()
        return [file["url"] for file in files if "url" in file]


def _is_file(path: Path, size: int) -> bool:
    with suppress(OSError):
        return path.stat().st_size == size
    return False


def _is_kept(kept: Path, file: Json) -> bool:
    """Whether that is the stored file: another table's result may have its name and its size."""
    if not _is_file(kept, file["size"]):
        return False
    with suppress(OSError):
        here, there = kept.stat(), Path(file["path"]).stat()
        is_copy = here.st_dev != there.st_dev and here.st_mtime_ns == there.st_mtime_ns
        if is_copy or os.path.samestat(here, there):
            return True
    with suppress(OSError):
        return file.get("sha256", "") in ("", sha256_of(kept)[0])
    return False


def _link(source: Path, target: Path) -> None:
    """`target` is the same file, or a copy on another disk; never a part of one."""
    # Machines of a cluster may work on a row at once, in processes of the same number.
    part = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        if target.exists() and target.samefile(source):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            try:
                os.link(source, part)
            except OSError:
                _copy(source, part)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(target, error) from None


def _copy(source: Path, part: Path) -> None:
    shutil.copy2(source, part)  # with its time, by which the copy is known
    if sha256_of(part) != sha256_of(source):
        raise OSError(tr("the copy differs"))


def _unwritable(path: Path, error: OSError) -> InvalidInput:
    return InvalidInput(
        tr("{path} cannot be written: {reason}.", path=path, reason=error.strerror or error),
        do=tr("Make room, or allow writing there: the same command goes on at no further charge."),
    )
