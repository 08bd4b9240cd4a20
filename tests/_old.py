"""What the code from before the rooms left on a disk, put where a test wants it.

See fixtures/before_the_rooms/README.md. Nothing here imports the package: make.py needs it too.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from processes import python_path

THERE = Path(__file__).parent / "fixtures" / "before_the_rooms"
THEN = "http://127.0.0.1:8377"  # where its sandbox was; nobody listens there now


def in_json(name: str) -> Any:
    return json.loads((THERE / name).read_text(encoding="utf-8"))


REQUESTS: list[dict[str, Any]] = in_json("requests.json")
MARKS: dict[str, str] = in_json("marks.json")
NAMES = list(MARKS)
IN_LEDGER = NAMES[:15]  # the first ones were ordered: row 1 is the first


def bring(home: Path, folder: Path, *parts: str, origin: str = THEN) -> None:
    """Put `parts` (patterns) of its data folder into `home`, and its results below `folder`, as if
    it had worked there, with its sandbox at `origin`.
    """
    shutil.copytree(THERE / "results", folder / "results", dirs_exist_ok=True)
    found = (path for part in parts for path in (THERE / "home").glob(part) if path.is_file())
    for path in found:
        text = path.read_text(encoding="utf-8").replace("{folder}", folder.as_posix())
        target = home / path.relative_to(THERE / "home")
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix != ".sql":
            target.write_text(text.replace(THEN, origin), encoding="utf-8")
            target.chmod(0o600)
            continue
        with closing(sqlite3.connect(target.with_suffix(".db"))) as db, db:
            db.executescript(text.replace(THEN, origin))
            if path.stem == "ledger" and origin != THEN:
                _mark_anew(db)


def change(home: Path, sql: str, *values: Any, file: str = "ledger.db") -> list[Any]:
    """What a statement brings, or changes, in a database of the data folder."""
    with closing(sqlite3.connect(home / file)) as db, db:
        return db.execute(sql, values).fetchall()


def _mark_anew(db: sqlite3.Connection) -> None:
    """A fingerprint holds the place: at another one, the rows have others."""
    fields = {MARKS[one["name"]]: one for one in REQUESTS}
    sql = "SELECT id, mark, platform, place, endpoint, request FROM tasks"
    for row, mark, *order, request in db.execute(sql).fetchall():
        now = mark_of(*order, json.loads(request), fields[mark]["seed"], fields[mark]["copy"])
        db.execute("UPDATE tasks SET mark = ? WHERE id = ?", (now, row))


def mark_of(
    platform: str, place: str, endpoint: str, request: Any, seed: int = 0, copy: int = 0
) -> str:
    """The fingerprint of an order that is kept with this `request`, as it was first told."""
    order = [platform, place, endpoint, _untitled(request), seed, copy]
    text = json.dumps(order, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _untitled(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _untitled(value) for name, value in tree.items() if name != "_meta"}
    return [_untitled(value) for value in tree] if isinstance(tree, list) else tree


def skyport(*argv: object, env: Mapping[str, str] | None = None) -> str:
    """What the command prints, in a process of its own."""
    command = [sys.executable, "-m", "skyport", *map(str, argv)]
    environment = {**python_path(), "PYTHONIOENCODING": "utf-8", **(env or {})}
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()
