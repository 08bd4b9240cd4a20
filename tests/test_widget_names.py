"""Pins that a node which is not installed here gets its values under the right names or not at all:
a value under another's name is a wrong picture that was paid for.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyport.engine.base.errors import InvalidInput
from skyport.engine.tasks import learnt_widgets
from skyport.engine.workflows import saved_values, widget_names
from skyport.engine.workflows.object_info import is_object_info

CHOICE = ["COMBO", {"options": ["euler", "dpmpp_2m"]}]
SIZES = {
    "key": "exact",
    "inputs": {"required": {"width": ["INT", {"default": 64}], "height": ["INT", {"default": 32}]}},
}
SERVER = {
    "Sampler": {
        "input": {
            "required": {
                "seed": ["INT", {"default": 0, "control_after_generate": True}],
                "model": ["MODEL"],
                "steps": ["INT", {"default": 20}],
                "sampler": [["euler", "dpmpp_2m"], {}],
            },
            "optional": {"tiled": ["BOOLEAN", {"default": False}]},
        },
        "output": ["MODEL", "IMAGE"],
    },
    "Loader": {
        "input": {"required": {"image": [["a.png"], {"image_upload": True}], "mode": CHOICE}},
        "output": ["IMAGE"],
    },
    "Fit": {
        "input": {
            "required": {
                "image": ["IMAGE"],
                "size": [
                    "COMFY_DYNAMICCOMBO_V3",
                    {"options": [{"key": "same", "inputs": {"required": {}}}, SIZES]},
                ],
                "text": ["STRING", {"forceInput": True}],
                "fast": ["BOOLEAN", {}],
            }
        },
        "output": ["IMAGE"],
    },
    "Rate": {
        "input": {"required": {"rate": ["FLOAT,INT", {"widgetType": "FLOAT"}], "tint": ["TINT"]}},
        "output": [],
    },
    "Grown": {
        "input": {
            "required": {
                "texts": [
                    "COMFY_AUTOGROW_V3",
                    {"template": {"input": {"required": {"t": ["STRING"]}}}},
                ],
                "last": ["INT", {}],
            }
        },
        "output": [],
    },
    "Shown": {"input": {"required": {"any": ["*"]}}, "output": []},
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SKYPORT_HOME", str(tmp_path))
    return tmp_path


def saved(values: list[Any], sockets: str = "", converted: str = "", linked: str = "") -> Any:
    inputs: list[dict[str, Any]] = [{"name": one, "link": 1} for one in sockets.split()]
    for one in converted.split():
        link = 2 if one in linked.split() else None
        inputs.append({"name": one, "widget": {"name": one}, "link": link})
    return {"type": "Any", "inputs": inputs, "widgets_values": values}


def named_by_server(class_type: str, node: Any) -> Any:
    return saved_values.named(node, [widget_names.of_object_info(SERVER)[class_type]])


@pytest.mark.parametrize(
    ("class_type", "node", "expected"),
    [
        (
            "Sampler",
            saved([7, "randomize", 20, "euler", True], "model"),
            {"seed": 7, "steps": 20, "sampler": "euler", "tiled": True},
        ),
        (  # as an editor that adds nothing after a seed, or before the class got its last input
            "Sampler",
            saved([7, 20, "euler"], "model"),
            {"seed": 7, "steps": 20, "sampler": "euler", "tiled": False},
        ),
        (  # steps is a socket with a link: its value is kept in its place
            "Sampler",
            saved([7, "fixed", None, "euler", True], "model", "steps", "steps"),
            {"seed": 7, "steps": None, "sampler": "euler", "tiled": True},
        ),
        ("Loader", saved(["b.png", "image", "euler"]), {"image": "b.png", "mode": "euler"}),
        ("Loader", saved(["b.png", "euler", "image"]), {"image": "b.png", "mode": "euler"}),
        (
            "Loader",
            saved(["b.png", "euler", None, {"w": 1}, []]),
            {"image": "b.png", "mode": "euler"},
        ),
        ("Loader", saved(["b.png", "euler", "/view?x"]), {"image": "b.png", "mode": "euler"}),
        ("Fit", saved(["same", True], "image text"), {"size": "same", "fast": True}),
        (
            "Fit",
            saved(["exact", 8, 9, True], "image text"),
            {"size": "exact", "size.width": 8, "size.height": 9, "fast": True},
        ),
        ("Rate", saved([2.5, "#fff"]), {"rate": 2.5, "tint": "#fff"}),
        ("Rate", saved([2.5], "tint"), {"rate": 2.5}),
        ("Shown", saved(["the text that it shows"]), {}),
        ("Shown", saved([{}, {"type": "Header"}, {"filename": "a.png", "type": "temp"}]), {}),
        (  # a button behind the seed saves nothing
            "Sampler",
            saved([7, None, 20, "euler", True], "model"),
            {"seed": 7, "steps": 20, "sampler": "euler", "tiled": True},
        ),
        (  # buttons of scripts anywhere
            "Sampler",
            saved([7, "fixed", None, None, 20, "euler", None, True], "model"),
            {"seed": 7, "steps": 20, "sampler": "euler", "tiled": True},
        ),
        (  # of an older class, which had an input more
            "Sampler",
            saved([7, "fixed", 20, "euler", True, 3], "model"),
            {"seed": 7, "steps": 20, "sampler": "euler", "tiled": True},
        ),
        (
            "Sampler",
            saved([7, "fixed", 20, 2.5, "euler", True], "model"),
            {"seed": 7, "steps": 20, "sampler": "euler", "tiled": True},
        ),
        (  # a choice that is shown with its picture
            "Sampler",
            saved([7, "fixed", 20, {"content": "euler", "image": "euler.png"}, True], "model"),
            {"seed": 7, "steps": 20, "sampler": "euler", "tiled": True},
        ),
    ],
)
def test_what_a_server_declares_names_the_values(
    class_type: str, node: Any, expected: dict[str, Any]
) -> None:
    assert named_by_server(class_type, node) == expected


@pytest.mark.parametrize(
    ("class_type", "node"),
    [
        ("Sampler", saved([7, "fixed", "euler", 20, True], "model")),  # another order
        ("Sampler", saved([7, "fixed", 2.5, "euler", True], "model")),
        ("Sampler", saved([7, "fixed", 20, 8, "euler", True], "model")),  # which are the steps?
        ("Sampler", saved([7, "fixed", 20, 8, 20, "euler", True], "model")),
        ("Sampler", saved([7, "fixed", 20, "euler", "on"], "model")),  # of another type since
        ("Sampler", saved([7, 20, "euler", True, None, *"abcde"], "model")),  # hardly that class
        ("Sampler", saved([float("inf"), "fixed", 20, "euler", True], "model")),
        ("Sampler", saved(["x"] * 600, "model")),
        ("Fit", saved(["elsewhere", True], "image text")),  # a choice that brings unknown inputs
        ("Grown", saved(["a", "b", 3])),
        ("Sampler", saved([7, None, 20, "euler"], "model")),  # a button, or the steps?
        ("Shown", saved([{"mode": "fast"}])),  # settings that no input takes
    ],
)
def test_values_that_do_not_fit_the_class_are_not_named(class_type: str, node: Any) -> None:
    assert named_by_server(class_type, node) is None


def test_a_class_that_cannot_be_read_names_nothing_and_hides_no_other() -> None:
    found = widget_names.of_object_info({**SERVER, "Odd": "text", "Odder": {"input": []}})
    assert found.keys() == SERVER.keys()
    assert is_object_info({**SERVER, "Odd": "text"})
    (unreadable,) = widget_names.of_object_info({"Odd": {"input": {"required": {"a": 3}}}}).values()
    assert saved_values.named(saved([1]), [unreadable]) is None


def test_a_widget_that_is_a_socket_here_takes_no_value() -> None:
    """An input with forceInput in one version of a pack, without it in the next."""
    node = saved([7, "fixed", "euler", True], "model steps")
    assert named_by_server("Sampler", node) == {"seed": 7, "sampler": "euler", "tiled": True}


# -- what workflows tell ------------------------------------------------------------------------


def export(**inputs: Any) -> dict[str, Any]:
    return {"1": {"class_type": "Blend", "inputs": inputs}}


def test_an_export_names_the_values_of_another_workflow() -> None:
    told = widget_names.of_workflow(export(seed=1, way="add", much=0.5, image=["2", 0]))["Blend"]
    node = saved([9, "randomize", "mix", 1], "image")
    assert saved_values.named(node, [told]) == {"seed": 9, "way": "mix", "much": 1}
    assert saved_values.named(saved(["mix", 9, 1], "image"), [told]) is None


LORAS = [{"on": True, "lora": f"{name}.safetensors", "strength": 0.5} for name in "ab"]


def test_an_export_of_another_version_leaves_no_value_out() -> None:
    """What will run the node may be newer than the export, and take the value."""
    told = widget_names.of_workflow(export(way="add", much=0.5))["Blend"]
    assert saved_values.named(saved([7, "mix", 1]), [told]) is None


def test_the_rows_of_a_list_of_loras_keep_their_numbers_whoever_tells_of_the_class() -> None:
    told = widget_names.of_workflow(export(Header={}, lora_1=LORAS[0], add="", model=["2", 0]))
    node = saved([{}, {"type": "Header"}, *LORAS, {}, ""], "model")
    rows = {"lora_1": LORAS[0], "lora_2": LORAS[1]}
    entry = {"input": {"optional": {"model": ["MODEL"]}}, "output": ["MODEL"]}
    declared = widget_names.of_object_info({"Blend": entry})
    assert saved_values.named(node, [told["Blend"]]) == rows
    assert saved_values.named(node, [declared["Blend"]]) == rows
    assert saved_values.named(node, []) is None


def test_a_linked_input_of_an_export_is_a_widget_where_the_node_saves_it_as_one() -> None:
    told = widget_names.of_workflow(export(way="add", much=["3", 0], image=["2", 0]))["Blend"]
    node = saved(["mix", 1], "image", "much")
    assert saved_values.named(node, [told]) == {"way": "mix", "much": 1}


def test_exports_that_contradict_each_other_name_nothing() -> None:
    first = widget_names.of_workflow(export(way="add", mode="x"))
    other = widget_names.of_workflow(export(mode="x", way="add"))
    known = widget_names.learnt({}, first, widget_names.WORKFLOW)
    known = widget_names.learnt(known, other, widget_names.WORKFLOW)
    both = widget_names.candidates(known, "Blend")
    assert saved_values.named(saved(["a", "b"]), both) is None
    assert saved_values.named(saved(["a", "a"]), both) == {"way": "a", "mode": "a"}


def test_a_workflow_whose_inputs_were_sorted_tells_no_order() -> None:
    nodes = {
        str(n): {"class_type": "Blend", "inputs": {"a": 1, "cfg": 2, "denoise": 3}} for n in (1, 2)
    }
    assert widget_names.of_workflow(nodes) == {}


def test_a_server_counts_above_a_workflow_whichever_comes_first() -> None:
    workflow = widget_names.of_workflow({"1": {"class_type": "Rate", "inputs": {"old": 1}}})
    server = widget_names.of_object_info(SERVER)
    before = widget_names.learnt({}, workflow, widget_names.WORKFLOW)
    for known in (before, widget_names.learnt({}, server, widget_names.SERVER)):
        known = widget_names.learnt(known, server, widget_names.SERVER)
        known = widget_names.learnt(known, workflow, widget_names.WORKFLOW)
        assert widget_names.candidates(known, "Rate") == [server["Rate"]]


def test_a_given_export_helps_where_a_server_has_another_version_of_the_pack(home: Path) -> None:
    learnt_widgets.learn(SERVER)
    learnt_widgets.learn({"1": {"class_type": "Rate", "inputs": {"a": "x", "b": "y"}}}, given=True)
    for _ in range(2):
        found = learnt_widgets.candidates("Rate")
        assert saved_values.named(saved(["p", "q"]), found) == {"a": "p", "b": "q"}
        assert saved_values.named(saved([2.5, "#fff"]), found) == {"rate": 2.5, "tint": "#fff"}
        learnt_widgets.learn(SERVER)


# -- what is kept -------------------------------------------------------------------------------


def test_what_was_learnt_is_there_after_a_restart(home: Path) -> None:
    assert learnt_widgets.learn(SERVER) == sorted(SERVER)
    assert learnt_widgets.learn(export(way="add")) == ["Blend"]
    text = (home / "widget_names.json").read_text(encoding="utf-8")
    for name, widgets in widget_names.of_object_info(SERVER).items():
        assert widget_names.candidates(json.loads(text), name) == [widgets]
    assert learnt_widgets.candidates("Blend") == [(widget_names.Widget("way", "STRING"),)]


def test_the_same_workflow_again_writes_nothing(home: Path) -> None:
    learnt_widgets.learn(export(way="add", much=0.5))
    before = (home / "widget_names.json").stat().st_ino
    learnt_widgets.learn(export(way="mix", much=1))
    assert (home / "widget_names.json").stat().st_ino == before


def test_a_given_export_replaces_what_other_workflows_told(home: Path) -> None:
    learnt_widgets.learn(export(way="add", mode="x"))
    learnt_widgets.learn(export(mode="x", way="add"), given=True)
    (only,) = learnt_widgets.candidates("Blend")
    assert [widget.name for widget in only] == ["mode", "way"]


@pytest.mark.parametrize("text", ["", "[]", '{"Blend": 3}', '{"Blend": {"widgets": [[3]]}}'])
def test_a_broken_file_names_nothing_and_stops_no_run(home: Path, text: str) -> None:
    (home / "widget_names.json").write_text(text, encoding="utf-8")
    assert learnt_widgets.candidates("Blend") == []
    learnt_widgets.learn_quietly(export(way="add"))


def test_a_broken_file_is_named_where_a_person_gives_an_export(home: Path) -> None:
    (home / "widget_names.json").write_text("[]", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"widget_names\.json"):
        learnt_widgets.learn(export(way="add"), given=True)


# -- anything at all ----------------------------------------------------------------------------

_KEYS = ["input", "required", "optional", "options", "key", "inputs", "template", "name", "output"]

json_ = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text("abfixed", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*_KEYS, "widget", "link", "a", "INT"]), inner, max_size=4
        )
    ),
    max_leaves=14,
)
specs = st.tuples(
    st.sampled_from(["INT", "FLOAT", "COMBO", "COMFY_DYNAMICCOMBO_V3", "COMFY_AUTOGROW_V3", "X"])
    | st.lists(json_, max_size=3),
    json_,
).map(list)
entries = st.fixed_dictionaries(
    {"input": st.fixed_dictionaries({"required": st.dictionaries(st.text("ab"), specs | json_)})}
)


@given(st.dictionaries(st.sampled_from("AB"), entries | json_), json_, st.lists(json_, max_size=5))
def test_no_server_and_no_node_makes_it_raise(tree: Any, inputs: Any, values: list[Any]) -> None:
    is_object_info(tree)
    found = widget_names.of_object_info(tree)
    known = widget_names.learnt({}, found, widget_names.SERVER)
    node = {"type": "A", "inputs": inputs, "widgets_values": values}
    for name, widgets in found.items():
        assert widget_names.candidates(known, name) == [widgets] or "nan" in repr(known)
        named = saved_values.named(node, [widgets])
        assert named is None or all(isinstance(one, str) for one in named)
