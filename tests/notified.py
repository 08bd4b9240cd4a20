"""Lives that end by SIGKILL while they send notices: `python notified.py SEED`, forked one by one.

For each line of stdin it tells `over LOOKS` once the next life is killed, where LOOKS is how many
notices that had sent and recorded. At the end of stdin, a last life sends what is left.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from queued import tell
from skyport.engine.base.types import Kind, Result, ResultFile, Task
from skyport.engine.ledger.ledger import TaskRecord
from skyport.engine.ledger.resilient import ResilientLedger
from skyport.engine.notices import channels
from skyport.engine.notices.dispatcher import Dispatcher
from skyport.engine.settings import folders

LONGEST = 0.6  # seconds until a kill
AT_WORK = 0.8  # of the kills come once the life has begun its work, however slow the machine is


def live(life: int, looks: int) -> None:
    """Orders come to their ends, some at once, until it is killed; a byte for each look."""
    ledger = ResilientLedger(folders.home())
    dispatcher = Dispatcher(ledger, pause=0)
    number = 0
    while True:
        for _ in range(1 + number % 2):
            number += 1
            end(ledger, f"{life}-{number}")
        dispatcher.look()
        os.write(looks, b".")


def end(ledger: ResilientLedger, name: str) -> None:
    order = TaskRecord(name, "haiyi", "https://x", "make", "kling-v3", {})
    ledger.record_intent(order)
    ledger.record_accepted(order, Task("haiyi", "make", name))
    file = ResultFile(Path(f"/results/{name}.png"), Kind.IMAGE, "image/png", 9, "0")
    ledger.record_result(name, Result(name, (file,)))


def kill_one(life: int, chance: random.Random) -> int:
    """How often it looked."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        live(life, write)
    os.close(write)
    with os.fdopen(read, "rb") as told:
        looked = told.read(1) if chance.random() < AT_WORK else b""
        time.sleep(chance.uniform(0, LONGEST))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return len(looked + told.read())


def main(seed: str) -> None:
    chance = random.Random(seed)
    channels.add(channels.listed()[0].url)  # the library is loaded once, before all lives
    for life, _ in enumerate(sys.stdin):
        tell("over", kill_one(life, chance))
    ledger = ResilientLedger(folders.home())
    end(ledger, "last")
    Dispatcher(ledger, pause=0).look()


if __name__ == "__main__":
    main(sys.argv[1])
