"""Splitting a prompt with many Run in Cloud nodes that share a part, against one with few."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from ._figures import Entry, Figure, Goal
from ._hosts import stand_in
from ._measure import in_turns, timed

_MANY, _FEW = 200, 25
_SHARED = 100  # nodes of the part that all of them need
_ROUNDS = 5
_LINEAR = Goal(1.5 * _MANY / _FEW)


def figures(small: bool = False) -> Iterator[Entry]:
    """Linear growth is a ratio of 8: a shared part is read, checked and stored once."""
    stand_in()
    many, few = (2 * _FEW, _FEW) if small else (_MANY, _FEW)
    of_many, of_few = queued(many), queued(few)
    seconds = in_turns(
        1 if small else _ROUNDS,
        partial(_timed, of_many),
        partial(_timed, of_few),
    )
    sizes = [len(json.dumps(split(one))) / 1024 for one in (of_many, of_few)]
    what, against = f"split at {many} Run in Cloud nodes", f"at {few}"
    yield Figure(f"{what}, time", *(one * 1000 for one in seconds), "ms", against, _LINEAR)
    yield Figure(f"{what}, prompt", *sizes, "KB", against, _LINEAR)
    chains = in_turns(
        1 if small else _ROUNDS,
        partial(_timed, chain(20 * many)),
        partial(_timed, chain(20 * few)),
    )
    deep, against = f"split a chain of {20 * many} nodes, time", f"of {20 * few}"
    yield Figure(deep, *(one * 1000 for one in chains), "ms", against, _LINEAR)


def _timed(data: dict[str, Any]) -> float:
    """Seconds without Python's garbage collection, as timeit has it: beside so few other objects it
    looks through all of them time and again, which it does not in ComfyUI."""
    gc.disable()
    try:
        return timed(partial(split, data))
    finally:
        gc.enable()


def split(data: dict[str, Any]) -> dict[str, Any]:
    from skyport.nodes._run_in_cloud.split_prompt import split_prompt

    return split_prompt(data)


def queued(runs: int) -> dict[str, Any]:
    """As the editor queues it: `runs` pictures, each from a part of its own behind a shared one."""
    prompt = _chain(_SHARED)
    for number in range(runs):
        prompt |= {
            f"own{number}": _node("Paint", image=[str(_SHARED), 0], seed=number),
            f"cloud{number}": _node("SkyportRunInCloud", value=[f"own{number}", 0], where="HaiYi"),
            f"save{number}": _node("Save", images=[f"cloud{number}", 0]),
        }
    return _with_editor(prompt)


def chain(length: int) -> dict[str, Any]:
    """A picture from a part of that depth."""
    prompt = _chain(length)
    prompt["cloud"] = _node("SkyportRunInCloud", value=[str(length), 0], where="HaiYi")
    prompt["save"] = _node("Save", images=["cloud", 0])
    return _with_editor(prompt)


def _chain(length: int) -> dict[str, Any]:
    prompt = {"0": _node("Load", name="dream.safetensors")}
    for number in range(1, length + 1):
        prompt[str(number)] = _node("Paint", image=[str(number - 1), 0], text="x" * 100)
    return prompt


def _node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def _with_editor(prompt: dict[str, Any]) -> dict[str, Any]:
    """With the types of all outputs, which the editor knows of classes that are not here."""
    nodes = [
        {"id": node_id, "type": one["class_type"], "outputs": [{"type": "IMAGE"}]}
        for node_id, one in prompt.items()
    ]
    return {"prompt": prompt, "extra_data": {"extra_pnginfo": {"workflow": {"nodes": nodes}}}}
