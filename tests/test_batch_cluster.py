"""Pins that a batch over a Ray cluster orders each row once, whichever machine dies."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from _postgres import Postgres
from batches import MODEL, Batch, fast_sandbox
from clusters import Cluster, cluster
from sandboxes import environment, set_environment
from skyport.cli._batch_cluster import _wait_for as wait_for_group
from skyport.sandbox import Sandbox


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with fast_sandbox() as box:
        yield box


def env_of(folder: Path, box: Sandbox, url: str) -> dict[str, str]:
    return {
        **environment(box, "haiyi"),
        "SKYPORT_LEDGER_URL": url,
        "SKYPORT_HOME": str(folder / "home"),
        "SKYPORT_RESULTS_DIR": str(folder / "results"),
    }


@pytest.fixture
def machines(box: Sandbox, postgres: Any, tmp_path: Path) -> Iterator[Cluster]:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'skyport[ray]'")
    env = env_of(tmp_path, box, postgres.url)
    Path(env["SKYPORT_HOME"]).mkdir()
    with cluster(2, env) as machines:
        yield machines


def test_rows_are_ordered_once_over_all_machines_also_after_ctrl_c(
    machines: Cluster, box: Sandbox, postgres: Any, tmp_path: Path
) -> None:
    options = ("--at-once", "4", "--executor", "ray", "--address", machines.address)
    batch = Batch(tmp_path, box, options, env={"SKYPORT_LEDGER_URL": postgres.url})
    batch.write(24)
    stopped = batch.run_and_signal(4, signal.SIGINT)
    assert stopped.code == 130, stopped.err
    assert "the same command goes on" in stopped.err
    assert box.charges["haiyi"] < 24
    done = batch.run()
    assert done.code == 0, done.err
    assert batch.states() == {"done": 24}
    assert box.charges["haiyi"] == 24
    [(machines_at_work, people)] = postgres.run(
        "SELECT count(DISTINCT owner), count(DISTINCT person) FROM tasks"
    )
    assert machines_at_work > 1
    assert people == 1
    again = batch.run()
    assert (again.code, box.charges["haiyi"]) == (0, 24)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ((), "need a ledger in common, or they would pay twice"),
        (("--copies",), "counts rows in their order, which a cluster does not keep"),
    ],
)
def test_what_machines_could_not_agree_on_is_refused_before_anything_is_sent(
    more: tuple[str, ...],
    words: str,
    skyport: Any,
    box: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_environment(monkeypatch, environment(box, "haiyi"))
    if more:  # it is not even asked
        monkeypatch.setenv("SKYPORT_LEDGER_URL", "postgresql://me@127.0.0.1:1/db?connect_timeout=2")
    (tmp_path / "rows.csv").write_text("prompt\na fox\n")
    given = ("--platform", "haiyi", "--model", MODEL, "--output", tmp_path / "out")
    refused = skyport("batch", tmp_path / "rows.csv", *given, "--executor", "ray", *more)
    assert refused.code == 1
    assert words in refused.err


def test_a_second_interrupt_does_not_cut_the_wait_for_task_ids(
    process: Any, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, environment(box, "haiyi"))
    group = InterruptedGroup()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as raised:
        wait_for_group(group)
    assert group.has_left
    assert raised.type is KeyboardInterrupt  # after StoppedWaiting none would count
    assert signal.getsignal(signal.SIGINT) is before


class InterruptedGroup:
    """A group of rows that is interrupted once while it runs, and once while it is left."""

    def __init__(self) -> None:
        self.has_left = False
        self._is_left = asyncio.Event()

    async def run(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await self._is_left.wait()

    async def leave(self, patience_s: float) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(100):  # the interrupt has come by then
            await asyncio.sleep(0)
        self.has_left = True
        self._is_left.set()


# -- whatever dies ------------------------------------------------------------------------------

PAUSE = 70.0  # seconds, beyond the lease


class Chaos(threading.Thread):
    """Kills and stops what works on a batch while it does, until it is closed."""

    def __init__(self, machines: Cluster, postgres: Postgres, seed: int) -> None:
        super().__init__()
        self.chance = random.Random(seed)
        self.machines, self.postgres = machines, postgres
        self.driver: subprocess.Popen[str] | None = None
        self.did: Counter[str] = Counter()
        self._is_over = threading.Event()

    def run(self) -> None:
        acts = {
            self.kill_worker: 24,
            self.stop_worker: 4,
            self.kill_node: 2,
            self.kill_driver: 4,
            self.stop_driver: 1,  # nothing goes on for more than a minute
            self.kill_database: 6,
        }
        while not self._is_over.wait(self.chance.uniform(1, 4)):
            if self._worker() is None:
                continue  # before the first group and between two runs nothing is to be lost
            [act] = self.chance.choices([*acts], [*acts.values()])
            with suppress(psutil.Error, ProcessLookupError):
                self.did[act.__name__] += bool(act())

    def close(self) -> None:
        self._is_over.set()
        self.join()

    def _worker(self) -> int | None:
        of_cluster = psutil.Process(self.machines.process.pid).children(recursive=True)
        busy = [one.pid for one in of_cluster if "ray::_run_group" in _command(one)]
        return self.chance.choice(busy) if busy else None

    def kill_worker(self) -> bool:
        if pid := self._worker():
            os.kill(pid, signal.SIGKILL)
        return pid is not None

    def stop_worker(self) -> bool:
        if pid := self._worker():
            _pause(pid)
        return pid is not None

    def kill_node(self) -> bool:
        self.machines.replace_a_node()
        return True

    def kill_driver(self) -> bool:
        driver = self.driver
        if driver is not None and driver.poll() is None:
            driver.kill()
        return driver is not None

    def stop_driver(self) -> bool:
        driver = self.driver
        if driver is not None and driver.poll() is None:
            _pause(driver.pid)
        return driver is not None

    def kill_database(self) -> bool:
        self.postgres.kill()
        return True


def _command(process: psutil.Process) -> str:
    """Its command line, "" if it has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _pause(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)

    def go_on() -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    timer = threading.Timer(PAUSE, go_on)
    timer.daemon = True
    timer.start()


@pytest.mark.soak
def test_a_thousand_rows_survive_deaths_of_workers_nodes_drivers_and_the_database(
    box: Sandbox, postgres: Postgres, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'skyport[ray]'")
    rows, seconds = 1000, 420.0
    env = env_of(tmp_path, box, postgres.url)
    Path(env["SKYPORT_HOME"]).mkdir()
    box.tasks.charges.clear()
    box.tasks.orders.clear()
    with cluster(4, env) as machines:
        options = ("--at-once", "8", "--executor", "ray", "--address", machines.address)
        batch = Batch(tmp_path, box, options, env={"SKYPORT_LEDGER_URL": postgres.url})
        batch.write(rows)
        chaos = Chaos(machines, postgres, seed=rows)
        chaos.start()
        until = time.monotonic() + seconds
        try:
            runs = 0
            while time.monotonic() < until and len(box.orders) < rows:
                runs += 1
                chaos.driver = batch.start()
                chaos.driver.communicate()
        finally:
            chaos.close()
        batch.run(900)
        submits = sum(box.orders.values())
        last = batch.run(900)
        assert sum(box.orders.values()) == submits
    states = batch.states()
    print(f"\n{runs} runs, {dict(chaos.did)}, {dict(states)}, {dict(box.charges)} charged")
    unknown = states.pop("unknown", 0)
    assert states == {"done": rows - unknown}, last.err
    assert set(box.orders.values()) == {1}
    assert box.charges["haiyi"] <= rows
    lines = batch.lines()
    named = [name for line in lines for name in line["files"]]
    # What came while the database was away is there, though its machine died before it could write
    # that down.
    lost = {f"{line['row']:06}.png" for line in lines if line["state"] == "unknown"}
    assert sorted(named) == sorted({path.name for path in batch.output.glob("*.png")} - lost)
    assert len(named) == rows - unknown
    left = postgres.run(
        "SELECT DISTINCT state FROM tasks WHERE state NOT IN ('delivered', 'unknown')"
    )
    # What was not written down before its machine died, while the database was away, is brought
    # again at no charge.
    assert {state for (state,) in left} <= {"submitted", "running"}
