"""What nodes are given and what is refused, the same on the stand-in and in a real ComfyUI.

Only the probes are loaded, so that what fails here is a host and not our pack.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from host import Host, graph, link, node


@pytest.fixture
def host(probes_host: Host) -> Host:
    return probes_host


def choice(values: dict[str, Any]) -> dict[str, Any]:
    return node("ProbeChoice", {"prompt": "p", **values})


# -- values -------------------------------------------------------------------------------------


def test_a_picture_arrives_as_it_was_made(host: Host) -> None:
    picture = node("ProbeImage", seed=3, width=8, height=4, batch=2, channels=4)
    run = host.run(graph(picture=picture, seen=node("ProbeSink", value=link("picture"))))
    assert run.status == "success"
    seen = run.probe("seen")
    assert (seen["type"], seen["shape"], seen["dtype"]) == ("IMAGE", [2, 4, 8, 4], "float32")
    assert 0 <= seen["min"] < seen["max"] <= 1


def test_every_kind_of_value_arrives(host: Host) -> None:
    run = host.run(
        graph(
            mask=node("ProbeMask", width=8, height=4),
            audio=node("ProbeAudio", seconds=0.5, channels=1),
            text=node("ProbeText", value="two\nlines"),
            seen_mask=node("ProbeSink", value=link("mask")),
            seen_audio=node("ProbeSink", value=link("audio")),
            seen_text=node("ProbeSink", value=link("text")),
            seen_nothing=node("ProbeSink"),
        )
    )
    assert run.probe("seen_mask")["shape"] == [1, 4, 8]
    audio = run.probe("seen_audio")
    assert (audio["shape"], audio["sample_rate"]) == ([1, 1, 22050], 44100)
    assert run.probe("seen_text") == {"type": "STRING", "value": "two\nlines", "index": 0}
    assert run.probe("seen_nothing") == {"type": "NoneType", "value": None, "index": None}


def test_a_video_tells_of_itself_and_can_be_decoded_cut_and_saved(host: Host) -> None:
    run = host.run(
        graph(
            video=node("ProbeVideo", seconds=0.5, width=64, height=48),
            parts=node("ProbeVideoParts", video=link("video")),
            seen=node("ProbeSink", value=link("video")),
            frames=node("ProbeSink", value=link("parts", 0)),
            audio=node("ProbeSink", value=link("parts", 1)),
            told=node("ProbeSink", value=link("parts", 2)),
        )
    )
    seen, facts = run.probe("seen"), json.loads(run.probe("told")["value"])
    assert (seen["size"], seen["seconds"], seen["frames"], seen["rate"]) == ([64, 48], 0.5, 5, 10)
    assert (seen["container"], seen["of_components"]) == ("mov,mp4,m4a,3gp,3g2,mj2", False)
    assert run.probe("frames")["shape"] == [5, 48, 64, 3]
    assert run.probe("audio")["shape"][:2] == [1, 2]
    assert (facts["trim"], facts["trimmed_seconds"], facts["trimmed_frames"]) == (
        [0.2, 0.2],
        0.2,
        2,
    )
    assert (facts["again"]["frames"], facts["again"]["size"]) == (5, [64, 48])


def test_a_video_in_memory_tells_the_same(host: Host) -> None:
    video = node("ProbeVideo", seconds=0.3, sound=False, in_memory=True)
    seen = host.run(graph(video=video, seen=node("ProbeSink", value=link("video")))).probe("seen")
    assert (seen["size"], seen["frames"], seen["of_components"]) == ([64, 48], 3, True)


# -- lists --------------------------------------------------------------------------------------


def test_a_list_output_calls_the_next_node_once_an_item(host: Host) -> None:
    run = host.run(
        graph(a=node("ProbeList", lines="x\ny"), seen=node("ProbeSink", value=link("a")))
    )
    assert [(one["value"], one["index"]) for one in run.probe("seen")] == [("x", 0), ("y", 1)]


def test_a_node_that_wants_lists_gets_the_whole_list_once(host: Host) -> None:
    run = host.run(
        graph(a=node("ProbeList", lines="x\ny"), seen=node("ProbeSinkAll", value=link("a")))
    )
    assert [one["value"] for one in run.probe("seen")["items"]] == ["x", "y"]


def test_an_empty_list_alone_calls_the_next_node_without_the_input(host: Host) -> None:
    run = host.run(graph(a=node("ProbeList", lines=""), seen=node("ProbeSink", value=link("a"))))
    assert run.probe("seen")["type"] == "NoneType"


def test_an_empty_list_beside_another_input_is_an_error(host: Host) -> None:
    count = node("ProbeCount", name="empty", value=link("a"))
    run = host.run(
        graph(a=node("ProbeList", lines=""), b=count, seen=node("ProbeSink", value=link("b")))
    )
    assert (run.status, run.error.node_id, run.error.type) == ("error", "b", "IndexError")


# -- what execute is given ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "model"),
    [
        pytest.param(
            {"model": "flux", "model.seconds": 5},
            {"model": "flux", "seconds": 5, "quality": None, "image": None},
            id="nested values, None where optional ones are missing",
        ),
        pytest.param({"model": "bare"}, {"model": "bare"}, id="an option without inputs"),
        pytest.param({"model": "grow"}, {"model": "grow", "refs": {}}, id="an empty growing row"),
        pytest.param(
            {"model": "sized", "model.size": "free", "model.size.width": 5},
            {"model": "sized", "size": {"size": "free", "width": 5}},
            id="a choice inside a choice",
        ),
        pytest.param({"model": "gone", "model.seconds": 5}, None, id="an option that is not there"),
        pytest.param({}, None, id="no choice at all"),
        pytest.param(
            {"model": "bare", "junk": 1}, {"model": "bare"}, id="a value nobody asked for"
        ),
    ],
)
def test_a_choice_arrives_as_a_dict(host: Host, values: dict[str, Any], model: Any) -> None:
    assert host.run(graph(it=choice(values))).probe("it") == {"prompt": "p", "model": model}


def test_linked_slots_of_a_growing_row_keep_their_names(host: Host) -> None:
    values = {"model": "grow", "model.refs.ref0": link("a"), "model.refs.ref2": link("a")}
    model = host.run(graph(a=node("ProbeImage"), it=choice(values))).probe("it")["model"]
    assert list(model["refs"]) == ["ref0", "ref2"]
    assert model["refs"]["ref2"]["shape"] == [1, 16, 16, 3]


def test_a_link_into_a_slot_the_chosen_option_lacks_breaks_the_call(host: Host) -> None:
    values = {"model": "bare", "model.image": link("a")}
    run = host.run(graph(a=node("ProbeImage"), it=choice(values)))
    assert (run.status, run.error.type) == ("error", "TypeError")
    assert "model.image" in run.error.message


def test_growing_rows_at_the_top(host: Host) -> None:
    values = {"refs.ref0": link("a"), "lines.second": "b"}
    seen = host.run(graph(a=node("ProbeImage"), it=node("ProbeGrow", values))).probe("it")
    assert list(seen["refs"]) == ["ref0"]
    assert seen["lines"] == {"second": "b"}


def test_sockets_of_several_types_take_each_of_them(host: Host) -> None:
    multi = node(
        "ProbeMulti", url=link("a"), media=link("b"), same=link("a"), thing=link("c"), flag=1
    )
    run = host.run(
        graph(
            a=node("ProbeImage"),
            b=node("ProbeAudio"),
            c=node("ProbeThing"),
            it=multi,
            out=node("ProbeSink", value=link("it")),
        )
    )
    seen = run.probe("it")
    assert (seen["url"]["type"], seen["media"]["type"], seen["flag"]) == ("IMAGE", "AUDIO", True)
    assert seen["thing"] == {"a": {"type": "LIST", "items": [_int(1), _int(2)]}}
    assert run.probe("out")["type"] == "IMAGE"


def _int(value: int) -> dict[str, Any]:
    return {"type": "int", "value": value}


def test_optional_inputs_that_are_missing_are_not_passed_and_numbers_are_converted(
    host: Host,
) -> None:
    run = host.run(graph(it=node("ProbeMulti", number="0.25", url=7)))
    assert run.probe("it") == {"number": 0.25, "url": 7}  # several types: left as it came


def test_hidden_facts_are_on_a_class_that_cannot_be_written_to(host: Host) -> None:
    run = host.run(
        graph(a=node("ProbeText", value="x"), me=node("ProbeHidden", salt=1, value=link("a")))
    )
    seen = run.probe("me")
    assert (seen["unique_id"], seen["writable"]) == ("me", False)
    assert [one["value"] for one in seen["prompt"]["items"]] == ["a", "me"]
    assert seen["in_fingerprint"] == {"hidden": True, "value": None}  # links are not known yet


# -- what is refused ----------------------------------------------------------------------------


def test_nested_values_are_checked(host: Host) -> None:
    values = {"model": "flux", "model.seconds": 300, "model.quality": "best"}
    run = host.run(graph(it=choice(values)))
    assert (run.status, run.error.type) == ("refused", "prompt_outputs_failed_validation")
    assert run.refusals("it") == [
        ("value_bigger_than_max", "model.seconds"),
        ("value_not_in_list", "model.quality"),
    ]


@pytest.mark.parametrize(
    ("it", "errors"),
    [
        (choice({"model": "flux"}), [("required_input_missing", "model.seconds")]),
        (choice({"model": "sized", "model.size": "free", "model.size.width": 0}),
         [("value_smaller_than_min", "model.size.width")]),
        (node("ProbeGrow"), [("required_input_missing", "refs.ref0")]),
        (node("ProbeMulti", number="half"), [("invalid_input_type", "number")]),
        (node("ProbeMulti", number=[1, 2, 3]), [("bad_linked_input", "number")]),
        (node("ProbeMulti", url=link("thing"), thing=link("text")),
         [("return_type_mismatch", "thing"), ("return_type_mismatch", "url")]),
        (node("ProbeSink", value=link("nowhere")), [("exception_during_validation", "")]),
    ],
)  # fmt: skip
def test_a_wrong_input_is_refused_by_name(host: Host, it: Any, errors: Any) -> None:
    run = host.run(graph(it=it, thing=node("ProbeThing"), text=node("ProbeText", value="x")))
    assert run.status == "refused"
    assert run.refusals("it") == errors


@pytest.mark.parametrize(
    ("prompt", "error"),
    [
        (graph(a=node("NoSuchNode")), "missing_node_type"),
        (graph(a=node("ProbeText", value="x")), "prompt_no_outputs"),
    ],
)
def test_a_prompt_that_cannot_run_at_all_is_refused(host: Host, prompt: Any, error: str) -> None:
    run = host.run(prompt)
    assert (run.status, run.error.type) == ("refused", error)


def test_a_cycle_is_refused_at_each_of_its_nodes(host: Host) -> None:
    run = host.run(
        graph(
            a=node("ProbeText", value=link("b")),
            b=node("ProbeText", value=link("a")),
            seen=node("ProbeSink", value=link("a")),
        )
    )
    assert [run.refusals(name) for name in ("a", "b")] == [[("dependency_cycle", "")]] * 2


def test_what_is_right_runs_beside_what_is_wrong(host: Host) -> None:
    run = host.run(
        graph(
            wrong=node("ProbeGrow"),
            a=node("ProbeText", value="x"),
            seen=node("ProbeSink", value=link("a")),
        )
    )
    assert run.status == "success"
    assert run.probe("seen")["value"] == "x"


OWN = {"text": "a", "number": 1, "model": "known", "model.steps": 2}


@pytest.mark.parametrize(
    ("changed", "errors"),
    [
        pytest.param({"text": "zzz"}, [], id="an input it names is not checked otherwise"),
        pytest.param({"number": 7}, [("value_bigger_than_max", "number")], id="another one is"),
        pytest.param(
            {"model.steps": 55}, [("value_bigger_than_max", "model.steps")], id="so is a nested one"
        ),
        pytest.param(
            {"model": "gone"}, [("custom_validation_failed", "text")], id="told at what is there"
        ),
    ],
)
def test_a_nodes_own_check(host: Host, changed: dict[str, Any], errors: Any) -> None:
    run = host.run(graph(it=node("ProbeOwnCheck", {**OWN, **changed})))
    assert (run.refusals("it"), run.status) == (errors, "refused" if errors else "success")
    if "model" in changed:
        assert "that model is not known" in run.error.message


# -- what the browser is told --------------------------------------------------------------------


def test_a_node_is_described_to_the_browser(host: Host) -> None:
    media = "STRING,IMAGE,MASK,AUDIO,VIDEO"
    same = {"template": {"template_id": "T", "allowed_types": "IMAGE,MASK"}}
    url = {"default": "", "multiline": False, "widgetType": "STRING"}
    assert host.object_info("ProbeMulti") == {
        "input": {
            "required": {},
            "optional": {
                "media": ["IMAGE,AUDIO", {}],
                "url": [media, url],
                "same": ["COMFY_MATCHTYPE_V3", same],
                "thing": ["PROBE_THING", {}],
                "number": ["FLOAT", {"default": 0.5, "min": 0, "max": 1}],
                "flag": ["BOOLEAN", {"default": False}],
            },
            "hidden": {"prompt": ["PROMPT"], "extra_pnginfo": ["EXTRA_PNGINFO"]},
        },
        "input_order": {
            "required": [],
            "optional": ["media", "url", "same", "thing", "number", "flag"],
            "hidden": ["prompt", "extra_pnginfo"],
        },
        "is_input_list": False,
        "output": ["COMFY_MATCHTYPE_V3"],
        "output_is_list": [False],
        "output_name": ["same"],
        "output_tooltips": [None],
        "output_matchtypes": ["T"],
        "name": "ProbeMulti",
        "display_name": None,
        "description": "",
        "python_module": "custom_nodes.probes",
        "category": "Probes",
        "output_node": True,
        "has_intermediate_output": False,
        "deprecated": False,
        "experimental": False,
        "dev_only": False,
        "api_node": False,
        "price_badge": None,
        "search_aliases": None,
        "essentials_category": None,
    }


def test_choices_and_growing_rows_are_described_to_the_browser(host: Host) -> None:
    inputs = host.object_info("ProbeChoice")["input"]["required"]
    kind, options = inputs["model"]
    assert kind == "COMFY_DYNAMICCOMBO_V3"
    flux, grow, *_ = options["options"]
    assert flux == {
        "key": "flux",
        "inputs": {
            "required": {"seconds": ["INT", {"default": 5, "min": 1, "max": 10}]},
            "optional": {
                "quality": ["COMBO", {"multiselect": False, "options": ["low", "high"]}],
                "image": ["IMAGE", {}],
            },
        },
    }
    slot = {"input": {"required": {"ref": ["IMAGE", {}]}}, "prefix": "ref", "min": 0, "max": 4}
    assert grow["inputs"] == {"required": {"refs": ["COMFY_AUTOGROW_V3", {"template": slot}]}}
