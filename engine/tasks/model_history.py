"""What the ledger knows of each model: how long it took, and a picture that it made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from ..base.json_tree import parse_strict
from ..ledger.ledger import Finished
from ..ledger.resilient import ResilientLedger
from ..spend.drivers import TASK, PriceKey, key_of_request
from ..spend.price_list import is_same_address
from . import history

_NEWEST = 2000  # tasks that are looked at
_LONGEST = 50_000  # characters of a request; only workflows are longer
_SAMPLES = 20  # newest tasks from which a duration is learnt


@dataclass(frozen=True)
class ModelHistory:
    """The newest tasks of a model at one address.

    durations  seconds from submit to result, newest first
    example    the number of the newest job with a picture that is on this disk, and its SHA-256
    """

    durations: tuple[float, ...] = ()
    example: tuple[int, str] | None = None

    @property
    def usual(self) -> float | None:
        """The median of the durations in seconds, None where there is none."""
        return median(self.durations) if self.durations else None


class ModelHistories:
    """The histories of all models, as the ledger has them now.

    address  of a platform, "" where none is set: tasks that went elsewhere tell nothing of it

    Raises SkyportError if the ledger cannot be read.
    """

    def __init__(self, ledger: ResilientLedger, address: Callable[[str], str]) -> None:
        tasks: dict[tuple[str, str, str], list[Finished]] = {}
        for task in history.read(ledger, lambda store: store.finished(_NEWEST, _LONGEST)):
            key = _key(task)
            if key is not None and is_same_address(task.base_url, address(task.platform)):
                tasks.setdefault(_name(key), []).append(task)
        self._tasks: Mapping[tuple[str, str, str], Sequence[Finished]] = tasks

    def of(self, key: PriceKey) -> ModelHistory:
        """The history of the model, for its task where the platform's requests name one."""
        tasks = self._tasks.get(_name(key), ())
        durations = [task.seconds for task in tasks if task.seconds is not None]
        return ModelHistory(tuple(durations[:_SAMPLES]), _example(tasks))


def _key(task: Finished) -> PriceKey | None:
    try:
        payload = parse_strict(task.request)
    except ValueError:
        return None
    return key_of_request(task.platform, payload) if isinstance(payload, dict) else None


def _name(key: PriceKey) -> tuple[str, str, str]:
    return key.platform, key.model, key.drivers.get(TASK) or ""


def _example(tasks: Sequence[Finished]) -> tuple[int, str] | None:
    for task in tasks:
        if task.picture is not None and Path(task.picture[0]).is_file():
            return task.id, task.picture[1]
    return None
