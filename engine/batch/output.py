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
from ..media.part_file import safe_name
from .store import RowState, StoredRow

RESULTS = "results.jsonl"


class Output:
    """The folder that the results of a batch go to. Raises InvalidInput where it cannot be used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, number: int, name: str, files: Sequence[ResultFile]) -> list[Path]:
        """The files under their names: 000042.png, or 000042_1.png where there are several."""
        return self._keep(number, name, [file.path for file in files])

    def _keep(self, number: int, name: str, files: Sequence[Path]) -> list[Path]:
        stem = "-".join(filter(None, (f"{number:06d}", safe_name(name) if name else "")))
        kept = []
        for nth, file in enumerate(files, 1):
            suffix = f"_{nth}" if len(files) > 1 else ""
            target = self.folder / f"{stem}{suffix}{file.suffix}"
            _link(file, target)
            kept.append(target)
        return kept

    def keep_again(self, number: int, name: str, stored: Json) -> Json | None:
        """The stored result of an equal order for this row; None where a file of it is gone."""
        files = stored.get("files", ())
        if not all(_is_file(Path(file["path"]), file["size"]) for file in files):
            return None
        kept = self._keep(number, name, [Path(file["path"]) for file in files])
        named = [{**file, "name": path.name} for file, path in zip(files, kept, strict=True)]
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
        return target

    def _line(self, row: StoredRow) -> Json:
        named = [file["name"] for file in row.result.get("files", ())]
        found = {
            "row": row.number,
            "line": row.line or None,
            "state": row.state.value,
            "files": named if row.state is RowState.DONE else [],
            "texts": row.result.get("texts", []) if row.state is RowState.DONE else [],
            "error": scrub(row.error),
            "warnings": [scrub(one) for one in row.result.get("warnings", ())] or None,
            "job": row.job,
            "task": row.result.get("task", ""),
            "cost": row.cost,
            "unit": row.unit,
        }
        return {key: value for key, value in found.items() if value not in (None, "")}


def result_to_store(result: Result, kept: Sequence[Path]) -> Json:
    """What a row keeps of its result: the names of its files here, and where they lie."""
    files = [
        {"name": target.name, "path": str(file.path), "size": file.size}
        for file, target in zip(result.files, kept, strict=True)
    ]
    return {
        "task": result.task_id,
        "files": files,
        "texts": [str(text) for text in result.texts],
        "warnings": list(result.warnings),
    }


def is_here(stored: Json, folder: Path) -> bool:
    """Whether the files of a stored result are in `folder` under their names."""
    return all(_is_file(folder / file["name"], file["size"]) for file in stored.get("files", ()))


def _is_file(path: Path, size: int) -> bool:
    with suppress(OSError):
        return path.stat().st_size == size
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
                shutil.copyfile(source, part)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(target, error) from None


def _unwritable(path: Path, error: OSError) -> InvalidInput:
    return InvalidInput(
        tr("{path} cannot be written: {reason}.", path=path, reason=error.strerror or error)
    )
