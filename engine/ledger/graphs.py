"""The graphs that were queued: each kept once, compressed, found by its prompt or by a result."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from .ledger import Row
from .queries import Queries


@dataclass(frozen=True)
class KeptPrompt:
    """A prompt that a process has queued and not seen end; `created` is in seconds since 1970."""

    id: str
    created: float
    owner: str


class Graphs(Queries):
    """What the ledger's file keeps of the graphs that its orders came from."""

    def keep_graph(self, prompt_id: str, text: str) -> None:
        """Keep the graph of a prompt that this process queues; equal texts are kept once."""
        content = text.encode("utf-8", "surrogatepass")
        sha256 = hashlib.sha256(content).hexdigest()
        packed = zlib.compress(content)
        with self._transaction():
            self._db.execute(
                "INSERT INTO graphs VALUES (?, ?) ON CONFLICT DO NOTHING", (sha256, packed)
            )
            self._db.execute(
                "INSERT INTO prompts VALUES (?, ?, ?, ?, 1) ON CONFLICT (id) DO UPDATE SET "
                "graph = excluded.graph, owner = excluded.owner, created = excluded.created, "
                "is_open = 1",
                (prompt_id, sha256, self._owner.id, self._now()),
            )

    def graph_of(self, prompt_id: str) -> str | None:
        """The graph of a prompt; None where it was not kept."""
        with self._lock:
            found = self._db.execute(
                "SELECT content FROM prompts JOIN graphs ON sha256 = graph WHERE id = ?",
                (prompt_id,),
            ).fetchone()
        return zlib.decompress(found[0]).decode("utf-8", "surrogatepass") if found else None

    def has_graph(self, prompt_id: str) -> bool:
        sql = "SELECT EXISTS (SELECT 1 FROM prompts WHERE id = ?)"
        with self._lock:
            return bool(self._db.execute(sql, (prompt_id,)).fetchone()[0])

    def job_of_file(self, sha256: str) -> Row | None:
        """The newest job that brought a file with this hash; None if none did."""
        return self._fetch_one(
            "SELECT * FROM tasks WHERE id = (SELECT max(task) FROM files WHERE sha256 = ?)", sha256
        )

    def left_prompts(self) -> list[KeptPrompt]:
        """The prompts whose process died before they ended, oldest first."""
        with self._lock:
            found = self._db.execute(
                "SELECT id, created, owner FROM prompts WHERE is_open = 1 ORDER BY created, id"
            ).fetchall()
        owners = {owner for _, _, owner in found}
        dead = {owner for owner in owners if not self._owner.is_alive(owner)}
        return [KeptPrompt(*one) for one in found if one["owner"] in dead]

    def take_prompt(self, prompt_id: str) -> bool:
        """Make a prompt that was left this process's own. False where another was faster."""
        dead = sorted({one.owner for one in self.left_prompts()})
        with self._transaction():
            cursor = self._db.execute(
                "UPDATE prompts SET owner = ? WHERE id = ? AND is_open = 1 AND owner IN "
                f"({', '.join('?' * len(dead))})",
                (self._owner.id, prompt_id, *dead),
            )
            return cursor.rowcount == 1

    def leave_prompt(self, prompt_id: str) -> None:
        """Offer a prompt again that this process has taken and could not queue."""
        with self._transaction():
            self._db.execute(
                "UPDATE prompts SET owner = '' WHERE id = ? AND owner = ?",
                (prompt_id, self._owner.id),
            )

    def close_prompts(self, prompt_ids: Sequence[str]) -> None:
        """Record that these prompts have ended, or that nobody wants them any more."""
        with self._transaction():
            self._db.executemany(
                "UPDATE prompts SET is_open = 0 WHERE id = ?", [(one,) for one in prompt_ids]
            )

    def _prune_graphs(self, last_use: float | None) -> None:
        """Forget what is as old as forgotten jobs, and no job's any more."""
        self._db.execute(
            "DELETE FROM prompts WHERE created <= ? AND id NOT IN (SELECT prompt_id FROM tasks)",
            (last_use,),
        )
        self._db.execute("DELETE FROM graphs WHERE sha256 NOT IN (SELECT graph FROM prompts)")
