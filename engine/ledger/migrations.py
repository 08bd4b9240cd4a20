"""The tables of the ledger, version by version, in SQLite and in PostgreSQL."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

from ..base.words import tr

# Each entry migrates the schema by one version. Never change one that was released.
# Written for SQLite; `in_postgres` says the same to PostgreSQL.
_STEPS = (
    """
    CREATE TABLE tasks (
        id INTEGER PRIMARY KEY,
        mark TEXT NOT NULL,
        state TEXT NOT NULL,
        platform TEXT NOT NULL,
        place TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        title TEXT NOT NULL,
        request TEXT NOT NULL,
        node_id TEXT NOT NULL,
        prompt_id TEXT NOT NULL,
        owner TEXT NOT NULL,
        task_id TEXT NOT NULL DEFAULT '',
        sent TEXT NOT NULL DEFAULT '[]',
        created REAL NOT NULL,
        submitted REAL NOT NULL DEFAULT 0,
        ended REAL NOT NULL DEFAULT 0,
        delivered REAL NOT NULL DEFAULT 0,
        cost REAL,
        error TEXT NOT NULL DEFAULT '',
        texts TEXT NOT NULL DEFAULT '[]',
        warnings TEXT NOT NULL DEFAULT '[]'
    );
    CREATE INDEX tasks_by_mark ON tasks (mark, id);
    CREATE INDEX tasks_by_state ON tasks (state, id);
    CREATE UNIQUE INDEX one_open_order ON tasks (mark)
        WHERE state IN ('intent', 'submitted', 'running', 'detached', 'succeeded');
    CREATE TABLE files (
        task INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        path TEXT NOT NULL,
        kind TEXT NOT NULL,
        mime TEXT NOT NULL,
        size INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        url TEXT NOT NULL,
        node_id TEXT NOT NULL,
        title TEXT NOT NULL,
        PRIMARY KEY (task, number)
    ) WITHOUT ROWID;
    """,
    """
    ALTER TABLE tasks ADD COLUMN success TEXT NOT NULL DEFAULT '';
    ALTER TABLE tasks ADD COLUMN answer TEXT NOT NULL DEFAULT '';
    ALTER TABLE tasks ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE tasks ADD COLUMN details TEXT NOT NULL DEFAULT '[]';
    DROP INDEX one_open_order;
    CREATE UNIQUE INDEX one_open_order ON tasks (mark)
        WHERE state IN ('intent', 'submitted', 'running', 'detached', 'unresolved', 'succeeded');
    """,
    """
    ALTER TABLE tasks ADD COLUMN unit TEXT NOT NULL DEFAULT '';
    ALTER TABLE tasks ADD COLUMN charge REAL;
    ALTER TABLE tasks ADD COLUMN charge_unit TEXT NOT NULL DEFAULT '';
    ALTER TABLE tasks ADD COLUMN queue TEXT NOT NULL DEFAULT '';
    UPDATE tasks SET queue = prompt_id, charge = cost, unit = CASE platform
        WHEN 'gpugeek' THEN 'CNY' WHEN 'opencomputing' THEN 'credits'
        WHEN 'happyhorse' THEN 'USD' ELSE '' END;
    UPDATE tasks SET charge_unit = unit;
    CREATE INDEX tasks_by_time ON tasks
        (created, state, task_id, platform, place, charge, charge_unit);
    CREATE INDEX tasks_by_queue ON tasks
        (queue, state, task_id, platform, place, charge, charge_unit);
    CREATE TABLE reservations (
        mark TEXT NOT NULL,
        owner TEXT NOT NULL,
        platform TEXT NOT NULL,
        place TEXT NOT NULL,
        queue TEXT NOT NULL,
        created REAL NOT NULL,
        charge REAL,
        charge_unit TEXT NOT NULL,
        PRIMARY KEY (mark, owner)
    ) WITHOUT ROWID;
    CREATE TABLE pruned (
        platform TEXT NOT NULL,
        place TEXT NOT NULL,
        title TEXT NOT NULL,
        prompt_id TEXT NOT NULL,
        queue TEXT NOT NULL,
        created REAL NOT NULL,
        cost REAL,
        charge REAL,
        charge_unit TEXT NOT NULL
    );
    """,
    """
    ALTER TABLE tasks ADD COLUMN order_id TEXT NOT NULL DEFAULT '';
    ALTER TABLE tasks ADD COLUMN sent_to TEXT NOT NULL DEFAULT '';
    ALTER TABLE tasks ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1;
    """,
    """
    CREATE TABLE graphs (
        sha256 TEXT PRIMARY KEY,
        content BLOB NOT NULL
    );
    CREATE TABLE prompts (
        id TEXT PRIMARY KEY,
        graph TEXT NOT NULL REFERENCES graphs (sha256),
        owner TEXT NOT NULL,
        created REAL NOT NULL,
        is_open INTEGER NOT NULL DEFAULT 1
    );
    CREATE INDEX prompts_by_graph ON prompts (graph);
    CREATE INDEX open_prompts ON prompts (created) WHERE is_open = 1;
    CREATE INDEX files_by_content ON files (sha256);
    """,
    # What a person is to be notified of, written in the transaction that changes the order's state.
    # An order is its `mark` and when it was made: that stays as it moves between stores.
    """
    CREATE TABLE notices (
        mark TEXT NOT NULL,
        ordered REAL NOT NULL,
        event TEXT NOT NULL,
        text TEXT NOT NULL DEFAULT '',
        queue TEXT NOT NULL,
        owner TEXT NOT NULL,
        created REAL NOT NULL,
        claimed REAL NOT NULL DEFAULT 0,
        sent TEXT NOT NULL DEFAULT '[]',
        settled INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (mark, ordered, event)
    ) WITHOUT ROWID;
    CREATE INDEX open_notices ON notices (created) WHERE settled = 0;
    CREATE TRIGGER notice_of_order AFTER UPDATE OF state ON tasks FOR EACH ROW
    WHEN (NEW.state != OLD.state
        AND NEW.state IN ('succeeded', 'failed', 'cancelled', 'unresolved', 'unknown'))
    BEGIN
        INSERT INTO notices (mark, ordered, event, queue, owner, created)
        VALUES (NEW.mark, NEW.created, NEW.state, NEW.queue, NEW.owner, NEW.ended)
        ON CONFLICT DO NOTHING;
    END;
    """,
    """
    ALTER TABLE tasks ADD COLUMN person TEXT NOT NULL DEFAULT '';
    """,
    # How many orders a platform takes side by side, by platform, address, hash of the key and lane.
    """
    ALTER TABLE tasks ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE rooms (
        scope TEXT PRIMARY KEY,
        most INTEGER NOT NULL,
        changed REAL NOT NULL
    ) WITHOUT ROWID;
    """,
    # Calls a second of each process, by platform and address; used where machines share a ledger.
    """
    CREATE TABLE rates (
        scope TEXT NOT NULL,
        owner TEXT NOT NULL,
        share REAL NOT NULL,
        PRIMARY KEY (scope, owner)
    ) WITHOUT ROWID;
    """,
)
VERSION = len(_STEPS)

_IN_POSTGRES = {
    "INTEGER PRIMARY KEY": "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
    "INTEGER": "BIGINT",
    "REAL": "DOUBLE PRECISION",
    "BLOB": "BYTEA",
    " WITHOUT ROWID": "",
}
_TRIGGER_IN_POSTGRES = r"""
    CREATE FUNCTION \1() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \3;
        RETURN NULL; END $$;
    CREATE TRIGGER \1 \2 EXECUTE FUNCTION \1()
"""


class NewerSchema(sqlite3.NotSupportedError):
    """The ledger was written by a newer Skyport. It is left unchanged."""


def version_of(db: sqlite3.Connection) -> int:
    """The schema's version, 0 for an empty file. Only reads. Raises NewerSchema."""
    return known(int(db.execute("PRAGMA user_version").fetchone()[0]))


def known(version: int) -> int:
    """`version`. Raises NewerSchema."""
    if version > VERSION:
        raise NewerSchema(
            tr(
                "it was written by a newer Skyport, schema {version}: update Skyport",
                version=version,
            )
        )
    return version


def migrate(db: sqlite3.Connection) -> None:
    """Bring the schema to VERSION. Call it inside a write transaction."""
    for number, statements in steps_after(version_of(db)):
        for statement in statements:
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {number}")


def steps_after(version: int) -> Iterator[tuple[int, list[str]]]:
    """Each later version, and the statements that lead to it."""
    for number, script in enumerate(_STEPS[version:], version + 1):
        yield number, list(_statements(script))


def _statements(script: str) -> Iterator[str]:
    """The statements of `script`, each of which ends its line; a trigger is one."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def in_postgres(statement: str) -> str:
    """A statement of `steps_after` as PostgreSQL takes it."""
    for here, there in _IN_POSTGRES.items():
        statement = re.sub(rf"{here}\b", there, statement)
    return re.sub(
        r"CREATE TRIGGER (\w+) (.*)\bBEGIN\b(.*?);\s*END;",
        _TRIGGER_IN_POSTGRES,
        statement,
        flags=re.DOTALL,
    )
