"""Pins how remote workflows are read, what is said of broken ones, where values go."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyport.engine.base.errors import InvalidInput
from skyport.engine.base.types import MediaFile
from skyport.engine.workflows.api_format import check_workflow, put_inputs, read_workflow, targets

EXPORT = "In ComfyUI, choose Workflow > Export (API) and use that file."
PICTURE = MediaFile(Path("a.png"), "a.png", "image/png", "0" * 64, 5)
WORKFLOW: dict[str, Any] = {
    "3": {
        "class_type": "KSampler",
        "inputs": {"seed": 5, "cfg": 8.0, "enabled": True, "latent": ["73", 0]},
    },
    "73": {"class_type": "LoadImage", "inputs": {"image": "old.png", "upload": "image"}},
    "12:5": {"class_type": "VHS_LoadVideo", "inputs": {"video": "old.mp4", "model.seconds": 3}},
}


def refusal(text: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        read_workflow(text)
    assert EXPORT in str(caught.value)
    return str(caught.value)


# -- reading --------------------------------------------------------------------------------


def test_a_workflow_is_read_also_when_it_is_wrapped() -> None:
    assert read_workflow(json.dumps(WORKFLOW)) == WORKFLOW
    assert read_workflow(json.dumps({"prompt": WORKFLOW, "client_id": "x"})) == WORKFLOW


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{broken", "The workflow is not JSON"),
        ("", "The workflow is not JSON"),
        ("[]", "holds no nodes"),
        ("{}", "holds no nodes"),
        ('"text"', "holds no nodes"),
        ('{"prompt": {}}', "holds no nodes"),
        ('{"nodes": [], "links": []}', "is in the editor's format"),
        ('{"3": 5}', "Node 3 of the workflow has no class_type."),
        ('{"3": {"inputs": {}}}', "Node 3 of the workflow has no class_type."),
        ('{"3": {"class_type": "A"}}', "Node 3 of the workflow has no inputs."),
        (
            '{"3": {"class_type": "A", "inputs": {"x": ["9", 0]}}}',
            "Input x of node 3 is linked to node 9, which is not in the workflow.",
        ),
    ],
)
def test_what_is_no_workflow_is_refused_with_the_way_to_export_one(text: str, words: str) -> None:
    assert words in refusal(text)


def test_nodes_that_wait_for_each_other_are_refused_before_anything_is_paid() -> None:
    links = {"1": "2", "2": "3", "3": "2"}
    tree = {
        name: {"class_type": "ImageInvert", "inputs": {"image": [other, 0]}}
        for name, other in links.items()
    }
    with pytest.raises(InvalidInput, match=r"wait for each other: (2, 3|3, 2)\."):
        read_workflow(json.dumps(tree))


def test_a_list_that_only_looks_like_a_link_is_a_value() -> None:
    for value in (["a"], ["a", "b"], [1, 2], ["9", 0, 1]):
        check_workflow({"3": {"class_type": "A", "inputs": {"x": value}}})


# -- targets --------------------------------------------------------------------------------


def test_targets_are_listed_files_first_and_without_links() -> None:
    assert targets(WORKFLOW) == [
        "73.image",
        "73.upload",
        "12:5.video",
        "12:5.model.seconds",
        "3.seed",
        "3.cfg",
        "3.enabled",
    ]


@pytest.mark.parametrize("target", ["73.imag", "74.image", "73", "", ".image", "image"])
def test_a_target_that_does_not_exist_is_refused_with_those_that_do(target: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        put_inputs(WORKFLOW, [(target, "x")])
    message = str(caught.value)
    assert f'no input "{target}"' in message
    assert (
        "It has: 73.image (LoadImage), 73.upload (LoadImage), 12:5.video (VHS_LoadVideo)" in message
    )


def test_a_long_list_of_targets_is_cut() -> None:
    large = {str(n): {"class_type": "LoadImage", "inputs": {"image": "a.png"}} for n in range(100)}
    with pytest.raises(InvalidInput, match=r"29\.image \(LoadImage\), and 70 more"):
        put_inputs(large, [("x.y", 1)])


def test_a_workflow_without_inputs_says_so() -> None:
    with pytest.raises(InvalidInput, match="no input that can be set"):
        put_inputs({"1": {"class_type": "A", "inputs": {}}}, [("1.x", 1)])


# -- values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "value", "placed"),
    [
        ("73.image", PICTURE, PICTURE),
        ("73.image", "new.png", "new.png"),
        ("12:5.model.seconds", "7", 7),
        ("3.seed", "123456789012345678", 123456789012345678),
        ("3.seed", "2.5", 2.5),  # JSON cannot tell a FLOAT of 5.0 from an INT
        ("3.cfg", "7", 7.0),
        ("3.cfg", 7, 7),
        ("3.enabled", "FALSE", False),
        ("3.enabled", False, False),
        ("3.latent", PICTURE, PICTURE),
    ],
)
def test_a_value_is_put_in_place_in_the_type_that_was_there(
    target: str, value: Any, placed: Any
) -> None:
    filled = put_inputs(WORKFLOW, [(target, value)])
    node_id, _, name = target.partition(".")
    found = filled[node_id]["inputs"][name]
    assert found == placed
    assert type(found) is type(placed)


@pytest.mark.parametrize(
    ("target", "value", "kind"),
    [
        ("3.seed", "many", "int"),
        ("3.cfg", "high", "float"),
        ("3.cfg", "nan", "float"),
        ("3.enabled", "1", "bool"),
    ],
)
def test_text_that_does_not_fit_is_refused(target: str, value: str, kind: str) -> None:
    with pytest.raises(InvalidInput, match=f'{target} takes a value of type {kind}, not "{value}"'):
        put_inputs(WORKFLOW, [(target, value)])


@given(
    st.dictionaries(
        st.sampled_from(targets(WORKFLOW)), st.integers() | st.booleans() | st.just(PICTURE)
    )
)
def test_everything_else_stays_as_it_was(values: dict[str, Any]) -> None:
    before = copy.deepcopy(WORKFLOW)
    filled = put_inputs(WORKFLOW, values.items())
    assert before == WORKFLOW
    for node_id, node in filled.items():
        assert node["class_type"] == WORKFLOW[node_id]["class_type"]
        assert list(node["inputs"]) == list(WORKFLOW[node_id]["inputs"])
        for name, value in node["inputs"].items():
            expected = values.get(f"{node_id}.{name}", WORKFLOW[node_id]["inputs"][name])
            assert value is expected or value == expected
