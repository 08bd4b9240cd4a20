"""A batch of many rows in a process of its own, which is killed and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _waiting import PATIENCE
from processes import python_path
from sandboxes import environment
from skyport.sandbox import Sandbox, start

MODEL = "google/gemini-3.1-flash-image-preview"
_LOOK = 0.001  # seconds between looks at how far the sandbox is


@contextmanager
def fast_sandbox() -> Iterator[Sandbox]:
    """One that answers every submit with its result."""
    with start(pace=0.001, fast=True) as box:
        box.platforms["haiyi"].always = "[[at_once]]"
        yield box


@dataclass
class Ended:
    """How one run of the command has ended; `code` is negative for the signal that killed it."""

    code: int
    out: str
    err: str


@dataclass
class Batch:
    """The same command, again and again."""

    folder: Path
    box: Sandbox
    options: Sequence[str] = ("--at-once", "8")
    launch: Sequence[str] = ("-m", "skyport")
    env: Mapping[str, str] = field(default_factory=dict)
    orders: Sequence[str] = ("--platform", "haiyi", "--model", MODEL)
    platform: str = "haiyi"  # whose charges are counted

    @property
    def table(self) -> Path:
        return self.folder / "rows.csv"

    @property
    def output(self) -> Path:
        return self.folder / "out"

    def write(self, count: int) -> None:
        with self.table.open("w", encoding="utf-8") as stream:
            stream.write("prompt\n")
            stream.writelines(f"a fox number {number}\n" for number in range(1, count + 1))

    def start(self) -> subprocess.Popen[str]:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        given = (*self.orders, "--output", str(self.output))
        return subprocess.Popen(
            [sys.executable, *self.launch, "batch", str(self.table), *given, *self.options],
            env={
                **python_path(),
                **environment(self.box, self.platform),
                "SKYPORT_HOME": str(home),
                "SKYPORT_RESULTS_DIR": str(self.folder / "results"),
                **self.env,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def run(self, patience: float = PATIENCE) -> Ended:
        return ended(self.start(), patience)

    def run_and_signal(
        self, charges: int, number: int = signal.SIGKILL, patience: float = PATIENCE
    ) -> Ended:
        """Send it a signal as soon as the sandbox has charged for so many tasks in all."""
        process = self.start()
        deadline = time.monotonic() + patience
        while process.poll() is None and self.box.charges[self.platform] < charges:
            assert time.monotonic() < deadline, "it never came so far"
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK)
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
        return ended(process, patience)

    def lines(self) -> list[Any]:
        text = (self.output / "results.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def states(self) -> Counter[str]:
        return Counter(line["state"] for line in self.lines())


def ended(process: subprocess.Popen[str], patience: float = PATIENCE) -> Ended:
    try:
        out, err = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"it never ended: {err[-2000:]}") from None
    return Ended(process.returncode, out, err)
