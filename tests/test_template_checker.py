"""Pins that the check of split prompts (tests/templates/) catches cuts that are wrong.

A right cut, made by the code under test, passes; each way to spoil it is caught.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from host import graph, link, node
from skyport.engine.workflows.graph import NOTES_INPUT, PART_INPUT, REFUSED_INPUT
from skyport.engine.workflows.split import Facts, split
from templates.declared import RUN, Classes
from templates.invariants import broken

Prompt = dict[str, Any]
FILE = "mine.png"  # in the input folder of this machine

INFO: dict[str, Any] = {
    "Model": {"input": {}, "output": ["MODEL"]},
    "Sample": {"input": {"required": {"model": ["MODEL"], "steps": ["INT"]}}, "output": ["IMAGE"]},
    "Load": {
        "input": {"required": {"image": [[FILE], {"image_upload": True}]}},
        "output": ["IMAGE", "MASK"],
    },
    "Mix": {
        "input": {"required": {"one": ["IMAGE"], "other": ["IMAGE"], "way": ["STRING"]}},
        "output": ["IMAGE"],
    },
    "SkyportKeepLocal": {"input": {}, "output": ["*"]},
    "SaveImage": {
        "input": {"required": {"images": ["IMAGE"]}},
        "output": [],
        "output_node": True,
    },
}
CLASSES = Classes(INFO)

BEFORE = graph(
    model=node("Model"),
    sample=node("Sample", model=link("model"), steps=20),
    mine=node("Load", image=FILE),
    yours=node("Load", image="other.png"),
    kept=node("SkyportKeepLocal", value=link("mine")),
    also=node("SkyportKeepLocal", value=link("yours")),
    mix=node("Mix", one=link("sample"), other=link("kept"), way="add"),
    more=node("Mix", one=link("mix"), other=link("also"), way="add"),
    cloud=node(RUN, where="Sun", value=link("more")),
    show=node("SaveImage", images=link("cloud")),
    here=node("SaveImage", images=link("yours")),
)


def _type_of(source: Any) -> str:
    class_type = BEFORE[source[0]]["class_type"]
    return (
        "IMAGE" if class_type.startswith("Skyport") else CLASSES.output_type(class_type, source[1])
    )


def right() -> Prompt:
    facts = Facts(CLASSES.is_output, _type_of, missing_inputs=lambda one: [])
    return copy.deepcopy(split(BEFORE, facts))


def check(after: Prompt) -> list[str]:
    return broken(BEFORE, after, CLASSES, {FILE})


def test_a_right_cut_passes() -> None:
    after = right()
    assert set(json.loads(after["cloud"]["inputs"][PART_INPUT])["nodes"]) == {
        "model",
        "sample",
        "mix",
        "more",
    }
    assert check(after) == []


def in_part(spoil: Callable[[Any], object]) -> Callable[[Prompt], None]:
    """A wrong cut whose part is spoilt."""

    def spoilt(after: Prompt) -> None:
        inputs = after["cloud"]["inputs"]
        part = json.loads(inputs[PART_INPUT])
        spoil(part)
        inputs[PART_INPUT] = json.dumps(part)

    return spoilt


def swap_entries(part: Any) -> None:
    one, other = part["entries"]
    part["entries"][one], part["entries"][other] = part["entries"][other], part["entries"][one]


def without_value(after: Prompt) -> None:
    """The last Remote Input of the chain is left out."""
    first = after["cloud"]["inputs"]["value"][0]
    after[first]["inputs"].pop("inputs", None)


def entering_of_another_type(after: Prompt) -> None:
    after["model"] = BEFORE["model"]
    after[after["cloud"]["inputs"]["value"][0]]["inputs"]["value"] = ["model", 0]


def refused(reason: str) -> Callable[[Prompt], None]:
    def spoilt(after: Prompt) -> None:
        after["cloud"]["inputs"] = {"where": "", "value": reason, REFUSED_INPUT: "1"}

    return spoilt


WRONG: dict[str, Callable[[Prompt], object]] = {
    "a node that is needed there is not sent": in_part(lambda part: part["nodes"].pop("model")),
    "a node is sent that nothing there needs": in_part(
        lambda part: part["nodes"].update(idle=node("Model"))
    ),
    "a value is another one": in_part(
        lambda part: part["nodes"]["sample"]["inputs"].update(steps=4)
    ),
    "a value is lost": in_part(lambda part: part["nodes"]["sample"]["inputs"].pop("steps")),
    "a link takes another output": in_part(
        lambda part: part["nodes"]["more"]["inputs"].update(one=["sample", 0])
    ),
    "two values that enter are exchanged": in_part(swap_entries),
    "a value that enters is not given": without_value,
    "a value enters where a link stands already": in_part(
        lambda part: next(iter(part["entries"].values())).append("mix.one")
    ),
    "a value of a type that cannot cross enters": entering_of_another_type,
    "another output comes back": in_part(
        lambda part: part.update(saves=[["mix", 0, "IMAGE"]], value=["mix", 0])
    ),
    "what comes back has another type": in_part(
        lambda part: part.update(saves=[["more", 0, "MASK"]])
    ),
    "what comes back cannot cross": in_part(
        lambda part: part.update(saves=[*part["saves"], ["model", 0, "MODEL"]])
    ),
    "the value that it waits for is not brought back": in_part(lambda part: part.update(saves=[])),
    "the name of a file here is sent": in_part(
        lambda part: part["nodes"]["mix"]["inputs"].update(way=FILE)
    ),
    "a model stays that nothing here needs": lambda after: after.update(model=BEFORE["model"]),
    "an output is gone without a word": lambda after: after.pop("here"),
    "an output takes another value": lambda after: after["here"]["inputs"].update(
        images=["cloud", 0]
    ),
    "a node that an output here needs is gone": lambda after: after.pop("yours"),
    "a Run in Cloud node sends nothing": lambda after: after["cloud"]["inputs"].pop(PART_INPUT),
    "a refusal is empty": refused(""),
    "a refusal is no sentence": refused("KeyError: 3"),
    "a refusal is a page": refused("One.\nTwo."),
    "a refusal is a failure of our own": refused("Skyport could not split this workflow."),
    "a refusal is too long to be read": refused("a" * 2000 + "."),
}


@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG)
def test_a_wrong_cut_is_caught(spoil: Callable[[Prompt], object]) -> None:
    after = right()
    spoil(after)
    assert check(after) != []


def test_an_output_that_a_note_speaks_of_may_be_left_out() -> None:
    after = right()
    after.pop("here")
    after.pop("yours", None)
    after["cloud"]["inputs"][NOTES_INPUT] = json.dumps({"here": "It is left out."})
    assert [one for one in check(after) if "without a word" in one] == []
