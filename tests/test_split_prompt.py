"""Pins what the prompt hook knows of a value's type, and that no prompt makes it raise."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import standin  # noqa: F401  (makes comfy_api importable)
from comfy_api.latest import io
from folder_paths import use_base
from host import graph, link, node
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skyport.engine.tasks import learnt_widgets
from skyport.engine.workflows.graph import (
    KEEP_LOCAL,
    PART_INPUT,
    REFUSED_INPUT,
    RUN_IN_CLOUD,
    THIS_MACHINE,
)
from skyport.nodes._base.prompt_marks import linked_outputs, watch
from skyport.nodes._run_in_cloud.prompt_hook import on_prompt
from skyport.nodes._run_in_cloud.split_prompt import UNNAMED, remote_part_of, split_prompt

import nodes as comfyui_nodes


def made(name: str, inputs: list[Any], outputs: list[Any], ends: bool = False) -> Any:
    class Made(io.ComfyNode):
        @classmethod
        def define_schema(cls) -> io.Schema:
            return io.Schema(
                node_id=name, inputs=inputs, outputs=outputs, is_output_node=ends
            ).complete()

    return Made


CLASSES = {
    "Paint": made("Paint", [], [io.Latent.Output("latent"), io.Image.Output("image")]),
    "Any": made("Any", [], [io.AnyType.Output("any")]),
    "Shade": made("Shade", [io.Mask.Input("mask")], [io.Mask.Output("mask")]),
    "Show": made("Show", [io.AnyType.Input("value")], [], ends=True),
    "Picks": made(
        "Picks",
        [io.Image.Input("image"), io.Combo.Input("model", options=["here.safetensors"])],
        [io.Image.Output("image")],
    ),
    "Grow": made("Grow", [io.Image.Input("image")], [io.Image.Output("image")]),
}


class Told(dict[str, Any]):
    """What a class tells of itself, counting how often its inputs are asked for."""

    asked = 0

    def __getitem__(self, key: str) -> Any:
        Told.asked += key == "input"
        return super().__getitem__(key)


class Counted(CLASSES["Picks"]):  # type: ignore[misc]
    @classmethod
    def info(cls) -> dict[str, Any]:
        return Told(super().info())


CLASSES["Counted"] = Counted


@pytest.fixture(autouse=True)
def base(tmp_path: Path) -> Iterator[None]:
    before = comfyui_nodes.NODE_CLASS_MAPPINGS.classes
    use_base(tmp_path)
    comfyui_nodes.offer(CLASSES)
    yield
    comfyui_nodes.offer(before)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SKYPORT_HOME", str(tmp_path / "skyport"))
    return tmp_path


def run(source: list[Any], where: str = "HaiYi") -> dict[str, Any]:
    return node(RUN_IN_CLOUD, where=where, value=source)


def queued(prompt: dict[str, Any], *editor: dict[str, Any], **graph_keys: Any) -> dict[str, Any]:
    workflow = {"nodes": list(editor), **graph_keys}
    return {"prompt": prompt, "extra_data": {"extra_pnginfo": {"workflow": workflow}}}


def kind_of(data: dict[str, Any], node_id: str = "cloud") -> str:
    left = split_prompt(data)
    assert REFUSED_INPUT not in left[node_id]["inputs"], left[node_id]
    order = remote_part_of(left, node_id)
    assert order is not None
    assert order.value is not None
    return dict(order.saves)[order.value]


# -- types --------------------------------------------------------------------------------------


def test_a_class_that_is_here_tells_the_type_of_its_output() -> None:
    prompt = graph(a=node("Paint"), cloud=run(link("a", 1)), show=node("Show"))
    prompt["show"]["inputs"]["value"] = link("cloud")
    assert kind_of(queued(prompt)) == "IMAGE"


def test_the_editor_tells_the_type_where_the_class_is_not_here() -> None:
    prompt = graph(a=node("Nobodys"), cloud=run(link("a", 1)))
    prompt["show"] = node("Show", value=link("cloud"))
    fields = {"id": 1, "type": "Nobodys", "outputs": [{"type": "MODEL"}, {"type": "MASK"}]}
    assert kind_of(queued({**prompt, "cloud": run(link("a", 1))}, {**fields, "id": "a"})) == "MASK"


def test_the_editor_tells_the_type_inside_a_subgraph_of_a_subgraph() -> None:
    prompt = {"7:8:5": node("Nobodys"), "cloud": run(link("7:8:5"))}
    prompt["show"] = node("Show", value=link("cloud"))
    inner = {"id": "in", "nodes": [{"id": 5, "type": "Nobodys", "outputs": [{"type": "AUDIO"}]}]}
    outer = {"id": "out", "nodes": [{"id": 8, "type": "in"}]}
    data = queued(prompt, {"id": 7, "type": "out"}, definitions={"subgraphs": [inner, outer]})
    assert kind_of(data) == "AUDIO"


@pytest.mark.parametrize("between", [KEEP_LOCAL, RUN_IN_CLOUD])
def test_who_takes_the_value_tells_its_type_also_through_nodes_that_pass_it_on(
    between: str,
) -> None:
    passing = node(between, value=link("cloud"), where=THIS_MACHINE)
    prompt = graph(a=node("Nobodys"), cloud=run(link("a")), then=passing)
    prompt |= {"shade": node("Shade", mask=link("then")), "show": node("Show", value=link("shade"))}
    assert kind_of({"prompt": prompt}) == "MASK"


def test_a_type_is_found_behind_any_number_of_nodes_that_pass_it_on() -> None:
    prompt = {str(n): node(KEEP_LOCAL, value=link(str(n - 1))) for n in range(1, 2000)}
    prompt |= graph(a=node("Nobodys"), cloud=run(link("a")))
    prompt["1"]["inputs"]["value"] = link("cloud")
    prompt |= {"shade": node("Shade", mask=link("1999")), "show": node("Show", value=link("shade"))}
    assert kind_of({"prompt": prompt}) == "MASK"


def test_where_nobody_tells_the_type_the_user_is_told() -> None:
    prompt = graph(a=node("Any"), cloud=run(link("a")), show=node("Show", value=link("cloud")))
    left = split_prompt({"prompt": prompt})
    assert "is not known on this machine" in left["cloud"]["inputs"]["value"]


@pytest.mark.parametrize(("source", "slot"), [("Show", -1), ("Paint", -1), ("Paint", 2)])
def test_a_slot_that_the_class_does_not_have_carries_nothing(source: str, slot: int) -> None:
    made = node("Show", value=link("made")) if source == "Show" else node(source)
    prompt = graph(made=node("Paint"), a=made, cloud=run(link("a", slot)))
    prompt["show"] = node("Show", value=link("cloud"))
    left = split_prompt({"prompt": prompt})
    value = left["cloud"]["inputs"]["value"]
    assert value.startswith(f"What {source} (a) makes is not known on this machine.")


def test_the_type_goes_through_the_value_of_another_cloud() -> None:
    prompt = graph(
        a=node("Paint"),
        one=run(link("a", 1), "GPUGeek"),
        grow=node("Grow", image=link("one")),
        cloud=run(link("grow")),
        show=node("Show", value=link("cloud")),
    )
    assert kind_of({"prompt": prompt}) == "IMAGE"
    assert kind_of({"prompt": prompt}, "one") == "IMAGE"


def test_a_socket_that_lacks_its_link_is_told() -> None:
    prompt = graph(a=node("Grow"), cloud=run(link("a")), show=node("Show", value=link("cloud")))
    left = split_prompt({"prompt": prompt})
    assert 'Nothing is linked to "image" of Grow (a).' in left["cloud"]["inputs"]["value"]


def unknown(values: Any, *names: str) -> dict[str, Any]:
    """A node of a class that is not here, as the editor saves it."""
    sockets = [{"name": "image", "type": "IMAGE"}]
    sockets += [{"name": name, "widget": {"name": name}} for name in names]
    return {"id": 5, "type": "Nobodys", "inputs": sockets, "widgets_values": values}


def told_by_editor(saved: dict[str, Any], **named: Any) -> dict[str, Any]:
    """What is left where the editor has queued it: without its class, its widgets' names lost."""
    sent = {"image": link("a", 1), **(named or {"UNKNOWN": 7, "UNKNOWN_1": "x"})}
    prompt = {"a": node("Paint"), "5": {"inputs": dict(sent), "_meta": {}}}
    prompt |= {"cloud": run(link("5")), "shade": node("Shade", mask=link("cloud"))}
    prompt["show"] = node("Show", value=link("shade"))
    return split_prompt(queued(prompt, saved))


@pytest.mark.parametrize(
    ("values", "names", "expected"),
    [
        ([], [], {}),
        ([7, "randomize", "x"], ["seed", "text"], {"seed": 7, "text": "x"}),
        (["fixed", 3], ["mode", "n"], {"mode": "fixed", "n": 3}),
        (["a.png", "image"], ["file"], {"file": "a.png"}),
        ({"rate": 8}, [], {"rate": 8}),
        ([["a", 1]], ["tags"], {"tags": {"__value__": ["a", 1]}}),
    ],
)
def test_class_and_values_that_the_editor_leaves_out_are_read_in_its_graph(
    values: Any, names: list[str], expected: dict[str, Any]
) -> None:
    order = remote_part_of(told_by_editor(unknown(values, *names)), "cloud")
    assert order is not None
    assert order.nodes["5"]["class_type"] == "Nobodys"
    assert order.nodes["5"]["inputs"] == {**expected, "image": ["a", 1]}


@pytest.mark.parametrize(
    ("whole", "expected"), [("No&bodys'", "No&bodys'"), ("Renamed by hand", "Nobodys")]
)
def test_a_class_has_the_letters_that_the_editor_takes_out_of_a_type_that_it_does_not_know(
    whole: str, expected: str
) -> None:
    saved = unknown([7], "seed") | {"properties": {"Node name for S&R": whole}}
    order = remote_part_of(told_by_editor(saved), "cloud")
    assert order is not None
    assert order.nodes["5"]["class_type"] == expected


def test_names_that_the_editor_saves_beside_the_values_are_taken() -> None:
    named = {"seed": 7, "control_after_generate": "fixed", "fixed": "fixed", "text": "x"}
    saved = unknown([7, "fixed", "x"]) | {"widgets_values_named": named}
    order = remote_part_of(told_by_editor(saved), "cloud")
    assert order is not None
    assert order.nodes["5"]["inputs"] == {"seed": 7, "text": "x", "image": ["a", 1]}


def test_values_that_have_no_names_are_never_guessed() -> None:
    left = told_by_editor(unknown([1, 2, 3], "one", "two"))
    assert "does not name its values" in left["cloud"]["inputs"]["value"]
    assert "5" not in left


def test_a_refusal_says_that_another_version_of_the_class_is_known(home: Path) -> None:
    sentence = "Skyport knows another version of Nobodys (5)."
    assert sentence not in told_by_editor(unknown([7, "x"]))["cloud"]["inputs"]["value"]
    learnt_widgets.learn({"1": {"class_type": "Nobodys", "inputs": {"text": "y"}}})
    assert sentence in told_by_editor(unknown([7, "x"]))["cloud"]["inputs"]["value"]


def test_values_get_their_names_from_an_export_that_skyport_has_seen(home: Path) -> None:
    inputs = {"seed": 1, "text": "y", "image": ["2", 0]}
    learnt_widgets.learn({"1": {"class_type": "Nobodys", "inputs": inputs}})
    order = remote_part_of(told_by_editor(unknown([7, "randomize", "x"])), "cloud")
    assert order is not None
    assert order.nodes["5"]["inputs"] == {"seed": 7, "text": "x", "image": ["a", 1]}


def test_names_in_what_the_editor_saved_of_the_node_before_are_taken() -> None:
    before = unknown([7, "x"], "seed", "text")
    order = remote_part_of(
        told_by_editor(unknown([7, "x"]) | {"last_serialization": before}), "cloud"
    )
    assert order is not None
    assert order.nodes["5"]["inputs"] == {"seed": 7, "text": "x", "image": ["a", 1]}


def test_a_prompt_that_names_all_values_itself_needs_no_other_names() -> None:
    data = told_by_editor(unknown([7, "x"]), seed=7, text="x")
    order = remote_part_of(data, "cloud")
    assert order is not None
    assert order.nodes["5"]["inputs"] == {"seed": 7, "text": "x", "image": ["a", 1]}


def test_a_refusal_names_every_node_without_names_and_the_ways_out() -> None:
    prompt = {str(n): {"inputs": {"image": link(str(n - 1)), "UNKNOWN": 1}} for n in range(1, 4)}
    prompt |= {"0": node("Paint"), "cloud": run(link("3")), "shade": node("Shade")}
    prompt["shade"]["inputs"]["mask"] = link("cloud")
    prompt["show"] = node("Show", value=link("shade"))
    left = split_prompt(queued(prompt, *({**unknown([1]), "id": n} for n in range(1, 4))))
    reason = left["cloud"]["inputs"]["value"]
    assert "Nobodys (1)" in reason
    assert "Nobodys (2), Nobodys (3)" in reason
    assert "Export (API)" in reason


@pytest.mark.parametrize(("model", "extra"), [("here.safetensors", False), ("gone", True)])
def test_a_preview_behind_a_model_that_is_not_here_is_made_in_the_cloud(
    model: str, extra: bool
) -> None:
    prompt = graph(
        a=node("Paint"),
        b=node("Picks", image=link("a", 1), model=model),
        cloud=run(link("b")),
        show=node("Show", value=link("cloud")),
        peek=node("Show", value=link("b")),
    )
    left = split_prompt({"prompt": prompt})
    assert ("b" not in left, "skyport-tap-b-0" in left) == (extra, extra)


# -- anything at all ----------------------------------------------------------------------------

json_ = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab1:", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=8,
)
editors = st.recursive(
    json_,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["nodes", "definitions", "subgraphs", "outputs", "id", "type"]), inner
        )
    ),
    max_leaves=12,
)
links = st.tuples(st.sampled_from("abcd"), st.integers(-1, 2)).map(list)
nodes = st.fixed_dictionaries(
    {
        "class_type": st.sampled_from(
            [RUN_IN_CLOUD, RUN_IN_CLOUD, KEEP_LOCAL, "Paint", "Nobodys", "Show", "Shade"]
        ),
        "inputs": st.dictionaries(
            st.sampled_from(["value", "image", "mask", "where.cluster"]), links | json_
        ),
    }
)
placed = nodes.flatmap(
    lambda one: st.sampled_from([THIS_MACHINE, "HaiYi", "GPUGeek", ""]).map(
        lambda where: {**one, "inputs": {**one["inputs"], "where": where}}
    )
)


anything = given(st.dictionaries(st.sampled_from("abcd"), placed | json_), editors)
RANDOM = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@settings(max_examples=150, suppress_health_check=RANDOM)
@anything
def test_no_prompt_makes_it_raise(prompt: dict[str, Any], workflow: Any) -> None:
    is_taken_once(prompt, workflow)


@pytest.mark.soak
@settings(max_examples=5000, suppress_health_check=RANDOM)
@anything
def test_none_of_thousands_of_prompts_makes_it_raise(prompt: dict[str, Any], workflow: Any) -> None:
    is_taken_once(prompt, workflow)


def is_taken_once(prompt: dict[str, Any], workflow: Any) -> None:
    """It goes through, and what it became goes through unchanged."""
    data = {"prompt": prompt, "extra_data": {"extra_pnginfo": {"workflow": workflow}}}
    once = on_prompt(data)["prompt"]
    again = on_prompt({"prompt": once, "extra_data": None})["prompt"]
    assert again == once
    assert "could not split" not in str(once)


@pytest.mark.parametrize("data", [None, [], "text", 3, {}, {"prompt": None}, {"prompt": []}])
def test_what_is_no_request_goes_on_as_it_came(data: Any) -> None:
    assert on_prompt(copy.deepcopy(data)) == data


@pytest.mark.parametrize("garbage", ["", "{}", "[]", "no JSON"])
def test_a_cut_that_cannot_be_read_is_told_at_its_node(garbage: str) -> None:
    cloud = {**run(link("a")), "inputs": {"where": "HaiYi", PART_INPUT: garbage}}
    left = on_prompt({"prompt": graph(cloud=cloud)})["prompt"]
    assert left["cloud"]["inputs"]["value"].startswith("Skyport could not split this workflow")


@pytest.mark.parametrize("value", [[["a"], {}], ["a", 7], [1], "ab", {"a": 1}])
def test_a_reference_to_a_value_that_the_part_does_not_save_is_refused(value: Any) -> None:
    prompt = graph(a=node("Paint"), one=run(link("a", 1)), two=run(link("a", 1)))
    prompt |= {"x": node("Show", value=link("one")), "y": node("Show", value=link("two"))}
    left = split_prompt({"prompt": prompt})
    reference = json.loads(left["two"]["inputs"][PART_INPUT])
    left["two"]["inputs"][PART_INPUT] = json.dumps({**reference, "value": value})
    again = split_prompt({"prompt": left})
    assert again["two"]["inputs"]["value"].startswith("Skyport could not split this workflow")
    assert remote_part_of(left, "two") is None


def test_a_part_whose_holder_is_gone_is_refused_with_a_reason() -> None:
    prompt = graph(a=node("Paint"), one=run(link("a", 1)), two=run(link("a", 1)))
    prompt |= {"x": node("Show", value=link("one")), "y": node("Show", value=link("two"))}
    left = split_prompt({"prompt": prompt})
    assert remote_part_of(left, "two") == remote_part_of(left, "one")
    assert split_prompt({"prompt": left}) == left
    del left["one"], left["x"]
    again = split_prompt({"prompt": left})
    assert again["two"]["inputs"]["value"].startswith("Skyport could not split this workflow")


@pytest.mark.parametrize("odd", [[[1, 2], [3, 4]], ["a", {}], [None, []]])
def test_lists_in_nodes_of_other_packs_do_not_keep_ours_from_their_marks(odd: Any) -> None:
    watch("Costly", [(0, "frames")])
    prompt = graph(a=node("Costly"), b=node("Nobodys", frames=link("a"), points=odd))
    prompt["c"] = {"class_type": odd, "inputs": {}}
    assert linked_outputs(on_prompt({"prompt": prompt})["prompt"], "a") == {"frames"}


def test_of_two_thousand_nodes_each_class_is_asked_for_its_inputs_once() -> None:
    prompt = {str(n): node("Counted", image=link(str(n - 1))) for n in range(1, 2000)}
    prompt |= {"0": node("Paint"), "show": node("Show", value=link("cloud"))}
    prompt["1"]["inputs"]["image"] = link("0", 1)
    Told.asked = 0
    assert kind_of({"prompt": {**prompt, "cloud": run(link("1999"))}}) == "IMAGE"
    assert Told.asked == 1


def test_a_prompt_without_cloud_nodes_is_the_very_same() -> None:
    prompt = graph(a=node("Paint"), show=node("Show", value=link("a", 1)))
    assert split_prompt({"prompt": prompt}) is prompt


# -- nodes that exist in the editor only --------------------------------------------------------


def absent(*source: Any, **values: Any) -> dict[str, Any]:
    """A node as the editor queues it where its pack is not installed here."""
    return {"inputs": {**({"IMAGE": link(*source)} if source else {}), **values}, "_meta": {}}


def only_there(node_id: str, kind: str, *values: Any, **more: Any) -> dict[str, Any]:
    return {"id": node_id, "type": kind, "widgets_values": list(values), **more}


@pytest.mark.parametrize(("setter", "getter"), [("SetNode", "GetNode"), ("a setNode", "a getNode")])
def test_a_value_that_is_set_under_a_name_is_linked_where_it_is_got(
    setter: str, getter: str
) -> None:
    prompt = {"a": node("Paint"), "1": absent("a", 1, UNKNOWN="picture"), "2": absent()}
    prompt |= {"3": absent("2", UNKNOWN="again"), "4": absent(UNKNOWN="again")}
    prompt |= {"grow": node("Grow", image=link("4")), "cloud": run(link("grow"))}
    prompt["show"] = node("Show", value=link("cloud"))
    saved = [only_there("1", setter, "picture"), only_there("2", getter, "picture")]
    saved += [only_there("3", setter, "again"), only_there("4", getter, "again")]
    left = split_prompt(queued(prompt, *saved))
    order = remote_part_of(left, "cloud")
    assert order is not None
    assert order.nodes["grow"]["inputs"] == {"image": ["a", 1]}
    assert order.nodes.keys() == {"a", "grow"}
    assert left.keys() == {"cloud", "show"}


def test_a_name_of_a_subgraph_counts_before_that_of_the_graph_around_it() -> None:
    prompt = {"a": node("Paint"), "1": absent("a", 0), "7:1": absent("a", 1), "7:2": absent()}
    prompt |= {"cloud": run(link("7:2")), "show": node("Show", value=link("cloud"))}
    inner = {
        "id": "in",
        "nodes": [only_there("1", "SetNode", "x"), only_there("2", "GetNode", "x")],
    }
    outer = [only_there("1", "SetNode", "x"), {"id": 7, "type": "in"}]
    data = queued(prompt, *outer, definitions={"subgraphs": [inner]})
    assert kind_of(data) == "IMAGE"


@pytest.mark.parametrize("names", [["other"], ["picture", "picture"]])
def test_a_name_that_nothing_sets_or_two_do_is_no_link(names: list[str]) -> None:
    setters = {str(n): absent("a", 1) for n, _ in enumerate(names)}
    prompt = {"a": node("Paint"), **setters, "9": absent(UNKNOWN="picture")}
    prompt |= {"cloud": run(link("9")), "show": node("Show", value=link("cloud"))}
    saved = [only_there(str(n), "SetNode", name) for n, name in enumerate(names)]
    left = split_prompt(queued(prompt, *saved, only_there("9", "GetNode", "picture")))
    assert "GetNode (9)" in left["cloud"]["inputs"]["value"]


def test_pairs_that_get_what_they_set_end_and_are_no_link() -> None:
    prompt = {"1": absent("2"), "2": absent(), "cloud": run(link("2"))}
    prompt["show"] = node("Show", value=link("cloud"))
    saved = [only_there("1", "SetNode", "x"), only_there("2", "GetNode", "x")]
    assert REFUSED_INPUT in split_prompt(queued(prompt, *saved))["cloud"]["inputs"]


def test_links_that_a_pack_adds_while_queueing_are_read_where_it_is_not_installed() -> None:
    prompt = {"a": node("Paint"), "grow": node("Grow"), "30": absent("a", 1)}
    prompt |= {"cloud": run(link("grow")), "show": node("Show", value=link("cloud"))}
    sent = {"downstream": "grow", "downstream_slot": 0, "upstream": "a", "upstream_slot": 1}
    grow = {"id": "grow", "type": "Grow", "inputs": [{"name": "image", "type": "IMAGE"}]}
    senders = [only_there("30", "Sends to all"), grow]
    extra = {"ue_links": [{**sent, "controller": 30}, {**sent, "controller": 31}, 3]}
    left = split_prompt(queued(prompt, *senders, extra=extra))
    order = remote_part_of(left, "cloud")
    assert order is not None
    assert order.nodes["grow"]["inputs"] == {"image": ["a", 1]}
    assert "30" not in left


def test_a_node_that_is_linked_to_nothing_keeps_no_prompt_from_running() -> None:
    """Notes and switches for groups exist in the editor only: ComfyUI would refuse the prompt."""
    prompt = {"a": node("Paint"), "cloud": run(link("a", 1)), "5": absent(UNKNOWN="Read me")}
    prompt["show"] = node("Show", value=link("cloud"))
    note = only_there("5", "Note with colours", "Read me", inputs=[])
    assert "5" not in split_prompt(queued(prompt, note))
    prompt["5"] = absent("cloud")
    assert "5" in split_prompt(queued(prompt, only_there("5", "Saver")))


# -- a refused node beside others ---------------------------------------------------------------


def test_a_refused_node_does_not_hold_back_one_that_shares_nodes_with_it() -> None:
    """Both would be one submission: it cannot have the value that has no name."""
    prompt = graph(a=node("Paint"), good=run(link("a", 1)), far=node("Far", image=link("a", 1)))
    prompt["far"] = {"inputs": {"UNKNOWN": 7, "image": link("a", 1)}}
    prompt |= {"bad": run(link("far")), "one": node("Show", value=link("good"))}
    prompt["other"] = node("Show", value=link("bad"))
    far = {"id": "far", "type": "Far", "widgets_values": [7], "outputs": [{"type": "IMAGE"}]}
    left = split_prompt(queued(prompt, far))
    assert left["bad"]["inputs"][REFUSED_INPUT] == UNNAMED
    part = remote_part_of(left, "good")
    assert part is not None
    assert list(part.nodes) == ["a"]
    assert left["one"] == prompt["one"]


def test_a_file_that_cannot_go_along_refuses_its_own_part_only(tmp_path: Path) -> None:
    path = tmp_path / "secret.safetensors"
    path.write_bytes(b"weights")
    prompt = graph(a=node("Paint"), good=run(link("a", 1)))
    prompt["far"] = node("Grow", image=link("a", 1), load_path=str(path))
    prompt |= {"bad": run(link("far")), "one": node("Show", value=link("good"))}
    prompt["other"] = node("Show", value=link("bad"))
    left = split_prompt(queued(prompt))
    assert str(path) in left["bad"]["inputs"]["value"]
    part = remote_part_of(left, "good")
    assert part is not None
    assert list(part.nodes) == ["a"]
