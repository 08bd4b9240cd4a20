"""Faults by marker, put on the answers to submits and polls of a task."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import wait
from itertools import count
from typing import Any, Protocol

from . import _spellings
from ._answer import Answer
from ._faults import Twists, paced
from ._pages import page
from ._spellings import ALIAS
from ._tasks import FAIL, PENDING, RUNNING, SUCCESS, Made, Moment, Task, Tasks

_PATIENCE = 30.0  # seconds for a drawing that a submit waits for
_SERIALS = count(70_001)  # of ids that a spelling makes
_WORDS = {PENDING: "running", RUNNING: "running", SUCCESS: "success", FAIL: "failure"}


class TaskRequest(Protocol):
    """What is asked here of a request: which task it submits or asks for."""

    twists: Twists
    task: Task | None
    moment: Moment | None
    poll: int
    late: bool


class TaskPlatform(Protocol):
    """What is asked here of a platform: how it reports a task."""

    aliases: dict[str, str]

    @property
    def tasks(self) -> Tasks: ...

    def error(self, status: int, text: str) -> Any: ...

    def id_of(self, task: Task) -> str: ...

    def look(self, request: Any, task: Task) -> Answer: ...

    def no_task(self, id: str) -> Answer: ...

    def busy(self) -> Answer: ...

    def results(self, task: Task) -> Sequence[Made]: ...

    def full_address(self, made: Made) -> str: ...


def spoil(platform: TaskPlatform, request: TaskRequest, answer: Answer) -> Answer:
    """The answer as the markers of its task and scripted faults ask for it."""
    task = request.task
    if task is None:
        return answer
    _trickle(platform, request, task)
    twists = {**task.twists, **request.twists}
    if request.moment is None:
        return _submitted(platform, request, task, twists, answer)
    return _polled(platform, request, task, twists, answer)


def as_asked(path: str) -> str:
    """`path` without the segment that a spelling of an address puts before it."""
    return f"/{path[2:].partition('/')[2]}" if path.startswith(ALIAS) else path


def is_late(request: TaskRequest, task: Task, twists: Twists, tasks: Tasks) -> bool:
    """Whether this poll reports success before the results."""
    if request.moment is None or request.moment.status != SUCCESS or "late" not in twists:
        return False
    return _holds(tasks, twists["late"], next(task.endings), task.due)


def moves_results(twists: Twists) -> bool:
    """Whether the results are not where the platform has them."""
    return _spellings.moves_results(_asked(twists))


def _asked(twists: Twists) -> Sequence[str]:
    return _spellings.names(twists.get("spelling"))


def _holds(tasks: Tasks, setting: Twists, number: int, since: float) -> bool:
    """Whether a window is open, for the `number`th time; scripted faults have none."""
    window = setting.get("window")
    return window is None or window.holds(number, (tasks.clock() - since) / tasks.pace)


def _trickle(platform: TaskPlatform, request: TaskRequest, task: Task) -> None:
    setting = task.twists.get("trickle")
    step = "poll" if request.moment else "submit"
    if setting and setting["step"] == step and not (setting["once"] and request.poll > 1):
        request.twists["trickle"] = paced(setting, platform.tasks.pace)


# -- submits ---------------------------------------------------------------------------------------


def _submitted(
    platform: TaskPlatform, request: TaskRequest, task: Task, twists: Twists, answer: Answer
) -> Answer:
    if "gateway" in twists:
        return Answer(*page(platform.error, **twists["gateway"]))
    if task.plan.kind == "chat" or answer.tree is None:
        return answer
    if "at_once" in twists:
        wait([task.drawing], _PATIENCE)
        return platform.look(request, task)
    asked = _asked(twists)
    if not any(name.startswith("id_") for name in asked):
        return answer
    tree = copy.deepcopy(answer.tree)
    spelled = _spellings.spell_id(tree, asked, lambda name, id: _alias(platform, name, id))
    return Answer.json(spelled, answer.status)


def _alias(platform: TaskPlatform, name: str, id: Any) -> Any:
    """Another id for a task: a number, or one of 200 letters or digits."""
    serial, is_number = next(_SERIALS), str(id).isdigit()
    other: Any = f"{'x' * 190}{serial:010}"
    if name == "id_number":
        other = int(id) if is_number else serial
    elif is_number:
        other = int(f"{'9' * 190}{serial:010}")
    platform.aliases[str(other)] = str(id)
    return other


# -- polls -----------------------------------------------------------------------------------------


def _polled(
    platform: TaskPlatform, request: TaskRequest, task: Task, twists: Twists, answer: Answer
) -> Answer:
    def holds(name: str) -> bool:
        return name in twists and _holds(platform.tasks, twists[name], request.poll, task.began)

    if holds("polls"):
        return Answer(*page(platform.error, **twists["polls"]))
    if holds("missing"):
        return platform.no_task(platform.id_of(task))
    if holds("busy"):
        return platform.busy()
    if answer.tree is None:
        return answer
    return Answer.json(_spelled(platform, request, task, twists, answer.tree), answer.status)


def _spelled(
    platform: TaskPlatform, request: TaskRequest, task: Task, twists: Twists, tree: Any
) -> Any:
    moment, asked = request.moment, _asked(twists)
    status = moment.status if moment else ""
    word = twists.get(_WORDS.get(status, ""))
    if not asked and word is None:
        return tree
    tree = copy.deepcopy(tree)
    if word is not None:
        tree = _spellings.spell_word(tree, word)
    if moment and status in (PENDING, RUNNING):
        tree = _spellings.spell_progress(tree, asked, int(moment.part * 100))
    if status == FAIL:
        tree = _spellings.spell_reason(tree, asked, (task.reason, task.words))
    if status == SUCCESS and not (request.late or "empty" in twists):
        made = [(one, platform.full_address(one)) for one in task.made]
        shown = [platform.full_address(one) for one in platform.results(task)]
        tree = _spellings.spell_results(tree, asked, made, shown)
    return tree
