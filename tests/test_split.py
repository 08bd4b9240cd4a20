"""Pins what Run in Cloud sends and leaves: wherever the parts run, the values are the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from host import graph, link, node
from hypothesis import given, settings
from hypothesis import strategies as st
from skyport.engine.workflows.graph import (
    NOTES_INPUT,
    PART_INPUT,
    REFUSED_INPUT,
    REMOTE_INPUT,
    RUN_IN_CLOUD,
    THIS_MACHINE,
)
from skyport.engine.workflows.part import PartReference, RemotePart, digest_of
from skyport.engine.workflows.split import Facts, split
from skyport.engine.workflows.transfer import RemoteWorkflowBuilder

KEEP, OURS = "SkyportKeepLocal", "SkyportHaiyiTextToImage"
OUTPUTS = ("SaveImage", "PreviewImage")
SUN, MOON = "Sun", "Moon"  # two clouds
Prompt = dict[str, dict[str, Any]]


def facts(
    types: Mapping[str, str] | None = None,
    lacking: Mapping[str, list[str]] | None = None,
    texts_from: str = "",
) -> Facts:
    """`types` by node id where it is no IMAGE; `lacking` by class; texts come from one cloud."""
    return Facts(
        is_output=lambda name: None if name.startswith("Unknown") else name in OUTPUTS,
        type_of=lambda source: (types or {}).get(source[0], "IMAGE"),
        missing_inputs=lambda one: (lacking or {}).get(one["class_type"], []),
        runs_here=lambda one: not one["class_type"].startswith(("Unknown", "Stuck")),
        returns_text=lambda where: where == texts_from,
    )


def run(value: Any, where: str = SUN, **nested: Any) -> dict[str, Any]:
    fields = {f"where.{name}": one for name, one in nested.items()}
    return node(RUN_IN_CLOUD, {**fields}, value=value, where=where)


def save(source: str) -> dict[str, Any]:
    return node("SaveImage", images=link(source), filename_prefix="x")


def order(prompt: Prompt, node_id: str) -> RemotePart:
    text = prompt[node_id]["inputs"][PART_INPUT]
    reference = PartReference.from_json(text)
    if reference is None:
        return RemotePart.from_json(text)
    whole = prompt[reference.holder]["inputs"][PART_INPUT]
    return reference.resolve(RemotePart.from_json(whole), digest_of(whole))


def trouble(prompt: Prompt, node_id: str) -> str:
    assert REFUSED_INPUT in prompt[node_id]["inputs"], prompt[node_id]
    return str(prompt[node_id]["inputs"]["value"])


def entering(prompt: Prompt, node_id: str) -> dict[str, tuple[str, int]]:
    """Which local output enters at which input of the part, read along the chain."""
    found: dict[str, tuple[str, int]] = {}
    last = prompt[node_id]["inputs"].get("value")
    while last is not None:
        entry = prompt[last[0]]
        assert entry["class_type"] == REMOTE_INPUT
        for target in order(prompt, node_id).entries[entry["inputs"]["target"]]:
            found[target] = tuple(entry["inputs"]["value"])
        last = entry["inputs"].get("inputs")
    return found


# -- what goes and what stays -------------------------------------------------------------------


def test_everything_upstream_goes_and_the_rest_stays() -> None:
    before = graph(
        model=node("UnknownLoader", name="dream.safetensors"),
        paint=node("UnknownSampler", model=link("model"), seed=3),
        cloud=run(link("paint"), cluster="auto"),
        grow=node("ImageScale", image=link("cloud")),
        kept=save("grow"),
    )
    after = split(before, facts())
    assert after.keys() == {"cloud", "grow", "kept"}
    assert order(after, "cloud") == RemotePart(
        nodes={"model": before["model"], "paint": before["paint"]},
        entries={},
        saves=[(("paint", 0), "IMAGE")],
        value=("paint", 0),
    )
    assert after["cloud"]["inputs"].keys() == {"where", "where.cluster", PART_INPUT}
    assert before["cloud"]["inputs"]["value"] == ["paint", 0], "the queued prompt was changed"


def test_on_this_machine_nothing_is_cut() -> None:
    before = graph(a=node("EmptyImage"), cloud=run(link("a"), THIS_MACHINE), kept=save("cloud"))
    assert split(before, facts()) is before


def test_a_graph_without_it_is_left_alone() -> None:
    before = graph(a=node("EmptyImage"), kept=save("a"))
    assert split(before, facts()) is before


def test_what_another_output_needs_runs_here_as_well() -> None:
    before = graph(
        a=node("EmptyImage"),
        b=node("ImageInvert", image=link("a")),
        c=node("ImageInvert", image=link("b")),
        cloud=run(link("c")),
        kept=save("cloud"),
        peek=node("PreviewImage", images=link("b")),
    )
    after = split(before, facts())
    assert after.keys() == {"a", "b", "cloud", "kept", "peek"}
    assert order(after, "cloud").nodes.keys() == {"a", "b", "c"}


def test_keep_local_stops_the_cut_at_any_depth() -> None:
    before = graph(
        a=node("LoadImage", image="x.png"),
        keep=node(KEEP, value=link("a")),
        b=node("ImageInvert", image=link("keep")),
        c=node("ImageBlend", image1=link("b"), image2=link("keep")),
        cloud=run(link("c")),
        kept=save("cloud"),
    )
    after = split(before, facts())
    assert after.keys() == {"a", "keep", "cloud", "kept", "skyport-cloud-1"}
    assert order(after, "cloud").nodes["b"]["inputs"] == {}
    assert entering(after, "cloud") == {"b.image": ("keep", 0), "c.image2": ("keep", 0)}


def test_nodes_of_this_pack_stay_and_their_values_enter() -> None:
    before = graph(
        text=node("SkyportOpenComputingChat", prompt="?"),
        paint=node("UnknownSampler", text=link("text")),
        cloud=run(link("paint")),
        kept=save("cloud"),
    )
    after = split(before, facts({"text": "STRING"}))
    assert entering(after, "cloud") == {"paint.text": ("text", 0)}


def test_a_value_made_here_is_passed_on_where_nothing_is_left_to_run() -> None:
    before = graph(a=node("EmptyImage"), keep=node(KEEP, value=link("a")), cloud=run(link("keep")))
    before["kept"] = save("cloud")
    after = split(before, facts())
    assert order(after, "cloud").value is None
    assert after["cloud"]["inputs"]["value"] == ["keep", 0]


def test_a_node_that_nobody_needs_goes_with_what_it_hangs_on() -> None:
    before = graph(
        a=node("UnknownLoader"),
        idle=node("ImageInvert", image=link("a")),
        more=node("ImageInvert", image=link("idle")),
        cloud=run(link("a")),
        kept=save("cloud"),
    )
    assert split(before, facts()).keys() == {"cloud", "kept"}


def test_an_unknown_node_that_stays_is_left_for_comfyui_to_name() -> None:
    before = graph(a=node("EmptyImage"), cloud=run(link("a")), odd=node("UnknownSave"))
    before["odd"]["inputs"]["images"] = link("cloud")
    assert split(before, facts()).keys() == {"cloud", "odd"}


def test_a_saver_stays_where_the_cloud_node_behind_it_feeds_nothing() -> None:
    before = graph(a=node("EmptyImage"), kept=save("a"), cloud=run(link("kept")))
    assert {"a", "kept"} <= split(before, facts()).keys()


def test_of_the_outputs_only_those_that_are_asked_for_are_served() -> None:
    """The editor can run the nodes it has selected."""
    before = graph(a=node("UnknownPainter"), kept=save("a"), cloud=run(link("kept")))
    before["after"] = save("cloud")
    assert split(before, replace(facts(), targets=["after"])).keys() == {"cloud", "after"}
    assert {"a", "kept"} <= split(before, replace(facts(), targets=["kept"])).keys()


def test_nodes_inside_subgraphs_keep_their_ids() -> None:
    before = {
        "12:5": node("EmptyImage"),
        "12:7": node(KEEP, value=link("12:5")),
        "12:8": node("ImageInvert", image=link("12:7")),
        "12:9": run(link("12:8")),
        "3": save("12:9"),
    }
    after = split(before, facts())
    assert order(after, "12:9").nodes.keys() == {"12:8"}
    assert entering(after, "12:9") == {"12:8.image": ("12:7", 0)}
    assert not [one for one in after if ":" in one and one not in before]


def test_ids_may_hold_dots() -> None:
    before = {
        "a.b": node(KEEP, value=link("up")),
        "up": node("EmptyImage"),
        "c.d": node("ImageScale", {"size.image": link("a.b")}),
        "cloud": run(link("c.d")),
        "kept": save("cloud"),
    }
    after = split(before, facts(lacking={"ImageScale": ["size.image"]}))
    sent = RemoteWorkflowBuilder(order(after, "cloud").nodes)
    sent.put([*entering(after, "cloud")], "made here")
    assert sent.workflow["c.d"]["inputs"] == {"size.image": "made here"}


def test_a_list_that_is_no_link_is_a_value() -> None:
    before = graph(
        a=node("LoadMany", names=["x.png", "y.png"], points=[[1, 2], [3, 4]]),
        cloud=run(link("a")),
        kept=save("cloud"),
    )
    assert order(split(before, facts()), "cloud").nodes["a"] == before["a"]


def test_a_linked_cluster_is_chosen_here() -> None:
    before = graph(
        pick=node("SkyportHaiyiClusters"),
        a=node("EmptyImage"),
        cloud=run(link("a"), cluster=link("pick")),
        kept=save("cloud"),
    )
    after = split(before, facts())
    assert after.keys() == {"pick", "cloud", "kept"}
    assert after["cloud"]["inputs"]["where.cluster"] == ["pick", 0]


# -- several ------------------------------------------------------------------------------------


def two(where: str = SUN, other: str = SUN) -> Prompt:
    return graph(
        a=node("EmptyImage"),
        b=node("ImageInvert", image=link("a")),
        c=node("ImageScale", image=link("a")),
        first=run(link("b"), where),
        second=run(link("c"), other),
        x=save("first"),
        y=save("second"),
    )


def test_two_of_one_place_that_share_a_node_are_one_submission() -> None:
    after = split(two(), facts())
    first, second = order(after, "first"), order(after, "second")
    assert first.nodes == second.nodes
    assert first.saves == second.saves == [(("b", 0), "IMAGE"), (("c", 0), "IMAGE")]
    assert (first.value, second.value) == (("b", 0), ("c", 0))


def test_two_of_different_places_send_a_part_each() -> None:
    after = split(two(SUN, MOON), facts())
    assert order(after, "first").nodes.keys() == {"a", "b"}
    assert order(after, "second").nodes.keys() == {"a", "c"}


def test_two_that_share_nothing_send_a_part_each() -> None:
    before = two()
    before["c"]["inputs"]["image"] = link("d")
    before["d"] = node("EmptyImage")
    assert len(order(split(before, facts()), "first").saves) == 1


def test_a_nested_one_of_the_same_place_is_part_of_the_outer() -> None:
    before = graph(
        a=node("EmptyImage"),
        inner=run(link("a")),
        b=node("ImageInvert", image=link("inner")),
        outer=run(link("b")),
        kept=save("outer"),
    )
    after = split(before, facts())
    assert after.keys() == {"outer", "kept"}
    assert order(after, "outer").nodes["b"]["inputs"] == {"image": ["a", 0]}


def test_a_nested_one_whose_value_is_used_here_too_shares_the_submission() -> None:
    before = graph(
        a=node("EmptyImage"),
        inner=run(link("a")),
        b=node("ImageInvert", image=link("inner")),
        outer=run(link("b")),
        x=save("inner"),
        y=save("outer"),
    )
    after = split(before, facts())
    assert order(after, "inner").nodes == order(after, "outer").nodes
    assert order(after, "inner").value == ("a", 0)


def test_a_nested_one_of_another_place_enters_as_a_value() -> None:
    before = graph(
        a=node("EmptyImage"),
        inner=run(link("a"), MOON),
        b=node("ImageInvert", image=link("inner")),
        outer=run(link("b"), SUN),
        kept=save("outer"),
    )
    after = split(before, facts())
    assert order(after, "inner").nodes.keys() == {"a"}
    assert entering(after, "outer") == {"b.image": ("inner", 0)}


def test_a_nested_one_on_this_machine_is_passed_through() -> None:
    before = graph(
        a=node("EmptyImage"),
        inner=run(link("a"), THIS_MACHINE),
        b=node("ImageInvert", image=link("inner")),
        outer=run(link("b")),
        kept=save("outer"),
    )
    after = split(before, facts())
    assert after.keys() == {"outer", "kept"}
    assert order(after, "outer").nodes["b"]["inputs"] == {"image": ["a", 0]}


def test_one_that_waits_for_the_other_through_this_machine_is_a_submission_of_its_own() -> None:
    before = graph(
        a=node("EmptyImage"),
        first=run(link("a")),
        keep=node(KEEP, value=link("first")),
        b=node("ImageBlend", image1=link("keep"), image2=link("a")),
        second=run(link("b")),
        kept=save("second"),
    )
    after = split(before, facts())
    assert order(after, "first").nodes.keys() == {"a"}
    assert order(after, "second").nodes.keys() == {"a", "b"}
    assert entering(after, "second") == {"b.image1": ("keep", 0)}


def shared(count: int) -> Prompt:
    """`count` pictures, each from a part of its own behind a shared one."""
    prompt = graph(a=node("EmptyImage", text="x" * 1000))
    for number in range(count):
        prompt[f"own{number}"] = node("ImageInvert", image=link("a"), n=number)
        prompt[f"cloud{number}"] = run(link(f"own{number}"))
        prompt[f"kept{number}"] = save(f"cloud{number}")
    return prompt


def test_nodes_that_share_a_submission_hold_its_text_once() -> None:
    few, many = (len(json.dumps(split(shared(count), facts()))) for count in (10, 80))
    assert many < 8 * few
    after = split(shared(3), facts())
    assert {order(after, f"cloud{n}").value for n in range(3)} == {(f"own{n}", 0) for n in range(3)}
    assert "x" * 1000 not in after["cloud2"]["inputs"][PART_INPUT]


def test_another_part_is_another_input_of_each_node_that_shares_it() -> None:
    """ComfyUI runs a node again if its inputs are others."""
    before = shared(2)
    first = split(before, facts())["cloud1"]["inputs"][PART_INPUT]
    before["a"]["inputs"]["text"] = "other"
    assert split(before, facts())["cloud1"]["inputs"][PART_INPUT] != first


def test_a_reference_to_another_part_than_its_own_is_no_part() -> None:
    after, other = split(shared(2), facts()), shared(2)
    other["a"]["inputs"]["text"] = "other"
    after["cloud0"] = split(other, facts())["cloud0"]
    with pytest.raises(ValueError, match="no remote part"):
        order(after, "cloud1")


def test_of_many_that_wait_for_each_other_in_turn_each_is_a_submission_of_its_own() -> None:
    before = graph(a=node("EmptyImage"), cloud0=run(link("a")))
    for number in range(1, 150):
        before[f"keep{number}"] = node(KEEP, value=link(f"cloud{number - 1}"))
        before[f"b{number}"] = node("ImageBlend", one=link(f"keep{number}"), other=link("a"))
        before[f"cloud{number}"] = run(link(f"b{number}"))
    before["kept"] = save("cloud149")
    after = split(before, facts())
    assert all(len(order(after, f"cloud{number}").saves) == 1 for number in range(150))


# -- output nodes that pass their value on ------------------------------------------------------


def passing(**more: dict[str, Any]) -> Prompt:
    """A saver between what is made in the cloud and the Run in Cloud node."""
    return graph(
        load=node("UnknownLoader"),
        paint=node("EmptyImage", model=link("load")),
        film=node("SaveImage", images=link("paint"), filename_prefix="mine"),
        grow=node("ImageScale", image=link("film")),
        cloud=run(link("grow"), cluster="auto"),
        kept=save("cloud"),
        **more,
    )


def test_a_saver_whose_value_goes_on_saves_here_too_what_came_back() -> None:
    after = split(passing(), facts({"load": "MODEL"}))
    tap = "skyport-tap-paint-0"
    assert after.keys() == {"film", tap, "cloud", "kept"}
    assert after["film"]["inputs"] == {"images": [tap, 0], "filename_prefix": "mine"}
    assert order(after, tap).nodes == order(after, "cloud").nodes
    assert order(after, "cloud").nodes["film"]["inputs"]["images"] == ["paint", 0]
    assert order(after, "cloud").saves == [(("grow", 0), "IMAGE"), (("paint", 0), "IMAGE")]
    assert split(after, facts()) is after


def test_savers_behind_one_another_each_save_here() -> None:
    before = passing(again=node("SaveImage", images=link("film")))
    before["grow"]["inputs"]["image"] = link("again")
    after = split(before, facts({"load": "MODEL"}))
    assert {"film", "again"} <= after.keys()
    assert not {"load", "paint"} & after.keys()


def test_a_saver_that_also_takes_a_value_made_here_takes_that_here() -> None:
    before = passing(here=node(KEEP, value=link("a")), a=node("EmptyImage"))
    before["film"]["inputs"]["audio"] = link("here")
    after = split(before, facts({"load": "MODEL", "here": "AUDIO"}))
    assert after["film"]["inputs"]["audio"] == ["here", 0]


def test_an_output_node_that_takes_a_model_stays_where_the_model_is() -> None:
    before = passing()
    before["film"]["inputs"]["model"] = link("load")
    after = split(before, facts({"load": "MODEL"}))
    assert after.keys() == {"cloud", "kept"}
    assert len(order(after, "cloud").saves) == 1


def test_a_saver_that_is_not_asked_for_brings_nothing_back() -> None:
    after = split(passing(), replace(facts({"load": "MODEL"}), targets=["kept"]))
    assert after.keys() == {"cloud", "kept"}
    assert len(order(after, "cloud").saves) == 1


# -- what the person should know ----------------------------------------------------------------


def notes(prompt: Prompt, node_id: str = "cloud") -> dict[str, str]:
    return json.loads(prompt[node_id]["inputs"].get(NOTES_INPUT, "{}"))


def test_what_needs_here_what_only_the_cloud_makes_is_left_out_with_a_word() -> None:
    mesh = node("ToMesh", x=link("paint"))
    before = tapping(mesh=mesh, kept_mesh=node("SaveImage", x=link("mesh")))
    after = split(before, facts({"paint": "LATENT", "mesh": "MESH"}))
    assert after.keys() == {"cloud", "kept"}
    (text,) = notes(after).values()
    assert text.startswith("SaveImage (kept_mesh) is left out: what it takes can be made in the")


def test_where_nothing_is_sent_without_it_comfyui_says_what_is_missing() -> None:
    before = tapping(text=node("SaveImage", x=link("paint")))
    del before["kept"]
    after = split(before, facts({"paint": "LATENT"}))
    assert {"paint", "text"} <= after.keys()


def test_an_output_node_that_stays_in_the_cloud_is_named() -> None:
    before = passing()
    before["film"]["inputs"]["model"] = link("load")
    (text,) = notes(split(before, facts({"load": "MODEL"}))).values()
    assert text.startswith("SaveImage (film) runs in the cloud only")


def test_a_node_that_is_billed_by_its_own_provider_is_named_once() -> None:
    before = shared(3)
    before["a"]["class_type"] = "PartnerImage"
    paid = replace(
        facts(), is_paid_apart=lambda name, where: (name, where) == ("PartnerImage", SUN)
    )
    after = split(before, paid)
    assert notes(after, "cloud0").keys() == {"a"}
    assert "billed by that service besides the run" in notes(after, "cloud0")["a"]
    assert notes(after, "cloud1") == notes(after, "cloud2") == {}
    assert notes(split(before, facts()), "cloud0") == {}


# -- what only a cloud can make and is wanted here too ------------------------------------------


def tapping(**more: dict[str, Any]) -> Prompt:
    return graph(
        paint=node("UnknownSampler", seed=3),
        c=node("ImageInvert", image=link("paint")),
        cloud=run(link("c"), cluster="auto"),
        kept=save("cloud"),
        **more,
    )


def test_a_preview_of_what_cannot_be_made_here_comes_with_the_submission() -> None:
    after = split(tapping(peek=save("paint"), again=node("PreviewImage", x=link("paint"))), facts())
    tap = "skyport-tap-paint-0"
    assert after.keys() == {"cloud", "kept", "peek", "again", tap}
    assert after["peek"]["inputs"]["images"] == after["again"]["inputs"]["x"] == [tap, 0]
    assert order(after, tap).nodes == order(after, "cloud").nodes
    assert order(after, tap).saves == order(after, "cloud").saves
    assert order(after, tap).value == ("paint", 0)
    assert after[tap]["inputs"]["where.cluster"] == "auto"
    assert split(after, facts()) is after


def test_what_no_media_come_out_of_goes_along_to_the_next_that_gives_one() -> None:
    decode = node("VAEDecode", samples=link("paint"))
    after = split(tapping(decode=decode, peek=save("decode")), facts({"paint": "LATENT"}))
    assert after.keys() == {"cloud", "kept", "peek", "skyport-tap-decode-0"}
    assert order(after, "cloud").nodes.keys() == {"paint", "c", "decode"}


def test_what_cannot_run_here_either_goes_along_with_what_it_takes() -> None:
    after = split(
        tapping(more=node("UnknownUpscaler", x=link("paint")), peek=save("more")), facts()
    )
    assert after.keys() == {"cloud", "kept", "peek", "skyport-tap-more-0"}
    assert order(after, "cloud").nodes.keys() == {"paint", "c", "more"}


def test_an_unknown_saver_inside_the_part_is_left_out_with_a_word() -> None:
    after = split(tapping(odd=node("UnknownSave", x=link("paint"))), facts())
    assert after.keys() == {"cloud", "kept"}
    assert notes(after).keys() == {"odd"}


def test_what_keep_local_holds_here_is_not_brought_back() -> None:
    after = split(tapping(keep=node(KEEP, value=link("paint")), peek=save("keep")), facts())
    assert {"paint", "keep", "peek"} <= after.keys(), "ComfyUI has to say what is missing"


def test_a_preview_that_is_not_asked_for_brings_nothing_back() -> None:
    after = split(tapping(peek=save("paint")), replace(facts(), targets=["kept"]))
    assert len(order(after, "cloud").saves) == 1


# -- texts and numbers ---------------------------------------------------------------------------

SPEAKS = {"model": "MODEL", "caption": "STRING", "words": "STRING", "size": "INT"}


def captioned(loader: str = "Loader", **more: Any) -> Prompt:
    """A picture and its caption, which a model makes; `more` is what takes the caption."""
    return graph(
        model=node(loader),
        picture=node("EmptyImage"),
        caption=node("Caption", model=link("model"), image=link("picture")),
        paint=node("Sampler", text=link("caption")),
        cloud=run(link("paint")),
        kept=save("cloud"),
        **more,
    )


def brought(prompt: Prompt, node_id: str) -> set[tuple[str, str]]:
    """(node, type) of all that the part of a node brings back."""
    return {(source[0], kind) for source, kind in order(prompt, node_id).saves}


def test_a_text_that_a_model_here_could_make_comes_back_instead_of_keeping_the_model_here() -> None:
    before = captioned(peek=node("PreviewImage", images=link("caption")))
    after = split(before, facts(SPEAKS, texts_from=SUN))
    assert after.keys() == {"cloud", "kept", "peek", "skyport-tap-caption-0"}
    assert after["peek"]["inputs"] == {"images": ["skyport-tap-caption-0", 0]}
    assert brought(after, "cloud") == {("paint", "IMAGE"), ("caption", "STRING")}
    assert order(after, "skyport-tap-caption-0").value == ("caption", 0)


def test_a_text_of_a_model_that_is_not_here_comes_back_for_a_node_of_this_pack() -> None:
    film = node("SkyportHaiyiTextToVideo", prompt=link("caption"))
    before = captioned("StuckLoader", film=film, seen=save("film"))
    after = split(before, facts(SPEAKS, texts_from=SUN))
    assert after["film"]["inputs"] == {"prompt": ["skyport-tap-caption-0", 0]}
    assert "caption" not in after
    assert brought(after, "cloud") == {("paint", "IMAGE"), ("caption", "STRING")}


def test_a_text_without_any_model_is_made_here_too() -> None:
    before = graph(
        words=node("Words"),
        size=node("Length", text=link("words")),
        paint=node("Sampler", text=link("words"), width=link("size")),
        cloud=run(link("paint")),
        kept=save("cloud"),
        peek=node("PreviewImage", images=link("size")),
    )
    after = split(before, facts(SPEAKS, texts_from=SUN))
    assert after.keys() == {"cloud", "kept", "peek", "words", "size"}
    assert brought(after, "cloud") == {("paint", "IMAGE")}


def test_a_text_of_a_node_that_is_billed_apart_is_not_made_twice() -> None:
    before = captioned(peek=node("PreviewImage", images=link("caption")))
    paid = replace(
        facts({**SPEAKS, "model": "IMAGE"}, texts_from=SUN),
        is_paid_apart=lambda name, where: name == "Caption",
    )
    after = split(before, paid)
    assert "caption" not in after
    assert brought(after, "cloud") == {("paint", "IMAGE"), ("caption", "STRING")}


def test_where_no_text_comes_back_all_is_as_before() -> None:
    before = captioned(peek=node("PreviewImage", images=link("caption")))
    after = split(before, facts(SPEAKS, texts_from=MOON))
    assert after.keys() == {"cloud", "kept", "peek", "caption", "picture", "model"}
    assert brought(after, "cloud") == {("paint", "IMAGE")}


def test_a_text_that_nobody_is_to_see_is_not_brought_back() -> None:
    before = captioned(peek=node("PreviewImage", images=link("caption")))
    wanted = replace(facts(SPEAKS, texts_from=SUN), targets=["kept"])
    assert brought(split(before, wanted), "cloud") == {("paint", "IMAGE")}


def test_a_preview_of_text_whose_text_goes_on_shows_here_what_came_back() -> None:
    before = captioned()
    before["shown"] = node("PreviewImage", source=link("caption"))
    before["paint"] = node("Sampler", text=link("shown"))
    after = split(before, facts({**SPEAKS, "shown": "STRING"}, texts_from=SUN))
    assert after["shown"]["inputs"] == {"source": ["skyport-tap-caption-0", 0]}
    assert after.keys() == {"cloud", "kept", "shown", "skyport-tap-caption-0"}
    assert "shown" in order(after, "cloud").nodes


@pytest.mark.parametrize("kind", ["STRING", "INT", "FLOAT", "BOOLEAN"])
def test_a_text_or_number_is_a_value_to_bring_back_where_the_cloud_does(kind: str) -> None:
    before = graph(a=node("UnknownMaker"), cloud=run(link("a")), kept=save("cloud"))
    after = split(before, facts({"a": kind}, texts_from=SUN))
    assert order(after, "cloud").saves == [(("a", 0), kind)]
    refused = split(before, facts({"a": kind}))
    assert trouble(refused, "cloud") == (
        f"UnknownMaker (a) makes a value of type {kind}. {SUN} brings back images, masks, "
        "videos and audio only: choose another place to run, or put Run in Cloud behind a "
        "node that makes one of those."
    )


# -- prompts as they come -----------------------------------------------------------------------


def test_a_prompt_that_was_cut_stays_as_it_is() -> None:
    before = two()
    before["b"]["inputs"]["mask"] = link("keep")
    before["keep"] = node(KEEP, value=link("a"))
    after = split(before, facts())
    assert split(after, facts()) is after
    assert split(json.loads(json.dumps(after)), facts()) == after


def test_a_muted_node_is_told_as_an_input_that_nothing_is_linked_to() -> None:
    """The editor leaves a muted node out of the prompt, with all links to it."""
    before = graph(cloud=node(RUN_IN_CLOUD, where=SUN), kept=save("cloud"))
    assert 'linked to "value" of SkyportRunInCloud (cloud)' in trouble(
        split(before, facts()), "cloud"
    )
    before = graph(b=node("ImageInvert"), cloud=run(link("b")), kept=save("cloud"))
    after = split(before, facts(lacking={"ImageInvert": ["image"]}))
    assert 'linked to "image" of ImageInvert (b)' in trouble(after, "cloud")


def test_a_bypassed_node_is_not_in_the_prompt_and_goes_nowhere() -> None:
    """The editor links what is behind a bypassed node to what is before it."""
    before = graph(a=node("EmptyImage"), c=node("ImageInvert", image=link("a")))
    before |= {"cloud": run(link("c")), "kept": save("cloud")}
    assert order(split(before, facts()), "cloud").nodes.keys() == {"a", "c"}


def test_a_link_to_a_node_that_is_not_there_is_told() -> None:
    before = graph(b=node("ImageInvert", image=link("gone")), cloud=run(link("b")))
    before["kept"] = save("cloud")
    assert '"image" of ImageInvert (b) is linked to node gone' in trouble(
        split(before, facts()), "cloud"
    )


def test_a_circle_is_told_and_nothing_else_of_it_is_left_to_complain() -> None:
    before = graph(
        a=node("UnknownA", image=link("b")),
        b=node("UnknownB", image=link("a")),
        cloud=run(link("b")),
        kept=save("cloud"),
    )
    after = split(before, facts())
    assert "These nodes wait for each other: " in trouble(after, "cloud")
    assert after.keys() == {"cloud", "kept"}


def test_a_circle_of_pass_throughs_is_told() -> None:
    before = graph(
        a=run(link("b"), THIS_MACHINE), b=run(link("a"), THIS_MACHINE), cloud=run(link("a"))
    )
    before["kept"] = save("cloud")
    assert "wait for each other" in trouble(split(before, facts()), "cloud")


@pytest.mark.parametrize(
    "broken", [{"a": "no node"}, {"a": {"inputs": {}}}, {"a": {"class_type": "X"}}]
)
def test_what_is_no_prompt_is_left_to_comfyui(broken: Any) -> None:
    prompt = {**broken, "cloud": run(link("a"))}
    assert split(prompt, facts()) is prompt


# -- what cannot cross --------------------------------------------------------------------------


def test_a_model_made_here_is_refused_by_name() -> None:
    before = graph(
        load=node("CheckpointLoader"),
        keep=node(KEEP, value=link("load")),
        paint=node("KSampler", model=link("keep")),
        cloud=run(link("paint")),
        kept=save("cloud"),
    )
    answer = trouble(split(before, facts({"keep": "MODEL"})), "cloud")
    assert answer.startswith(
        "KSampler (paint) takes a value of type MODEL that is made on this machine by"
    )
    assert "SkyportKeepLocal (keep)" in answer


def test_a_latent_is_no_value_to_bring_back() -> None:
    before = graph(paint=node("KSampler"), cloud=run(link("paint")), kept=save("cloud"))
    answer = trouble(split(before, facts({"paint": "LATENT"})), "cloud")
    assert answer.startswith("KSampler (paint) makes a value of type LATENT.")


def test_a_value_of_unknown_type_is_told() -> None:
    before = graph(paint=node("UnknownSampler"), cloud=run(link("paint")), kept=save("cloud"))
    answer = trouble(split(before, facts({"paint": ""})), "cloud")
    assert answer.startswith("What UnknownSampler (paint) makes is not known")


# -- anything at all ----------------------------------------------------------------------------


@st.composite
def prompts(draw: Any) -> Prompt:
    """A graph without circles: work, pass-throughs, clouds, nodes that stay, and outputs."""
    prompt: Prompt = {}
    for number in range(draw(st.integers(2, 14))):
        earlier = st.sampled_from([*prompt]).map(link) if prompt else None
        kinds = (
            ["Work", "Stuck", RUN_IN_CLOUD, RUN_IN_CLOUD, KEEP, OURS, "SaveImage"]
            if prompt
            else ["Work", OURS]
        )
        kind = draw(st.sampled_from(kinds))
        inputs: dict[str, Any] = {}
        if kind == RUN_IN_CLOUD:
            inputs["where"] = draw(st.sampled_from([THIS_MACHINE, SUN, SUN, MOON]))
        if kind in (RUN_IN_CLOUD, KEEP, "SaveImage"):
            inputs["value"] = draw(earlier)
        elif earlier is not None:
            count = draw(st.integers(0, 3))
            inputs = {f"in{n}": draw(earlier) for n in range(count)} | {"seed": number % 3}
        prompt[str(number)] = {"class_type": kind, "inputs": inputs}
    prompt["end"] = node("SaveImage", value=link(str(number)))
    return prompt


class Evaluator:
    """Computes a prompt; `given` are values by input of nodes whose links were cut."""

    def __init__(self, prompt: Prompt, given: Mapping[str, Any] | None = None) -> None:
        self.prompt, self.given = prompt, given
        self.made: dict[str, Any] = {}

    def of(self, node_id: str) -> Any:
        if node_id not in self.made:
            self.made[node_id] = self._made(node_id, self.prompt[node_id])
        return self.made[node_id]

    def _made(self, node_id: str, one: Mapping[str, Any]) -> Any:
        values = {
            name: self.of(value[0]) if isinstance(value, list) else value
            for name, value in one["inputs"].items()
        }
        if self.given is not None:
            assert not one["class_type"].startswith("Skyport"), "this machine's own was sent"
            for target, value in self.given.items():
                owner, _, name = target.partition(".")
                if owner == node_id:
                    values[name] = value
        if one["class_type"] == REMOTE_INPUT:
            return {**values.get("inputs", {}), values["target"]: values["value"]}
        if PART_INPUT in values and (sent := order(self.prompt, node_id)).value is not None:
            return self._remote(sent, values.get("value", {}))
        if one["class_type"] in (RUN_IN_CLOUD, KEEP):
            return values["value"]
        return hash((one["class_type"], tuple(sorted(values.items()))))

    def _remote(self, sent: RemotePart, values: Mapping[str, Any]) -> Any:
        given = {target: values[name] for name, all_ in sent.entries.items() for target in all_}
        remote = Evaluator(sent.nodes, given)
        results = {source: remote.of(source[0]) for source, _ in sent.saves}
        return results[sent.value]


@settings(max_examples=400)
@given(prompts())
def test_wherever_the_parts_run_every_output_is_the_same(prompt: Prompt) -> None:
    after = split(prompt, facts())
    whole, parted = Evaluator(prompt), Evaluator(after)
    outputs = [one for one in prompt if prompt[one]["class_type"] in OUTPUTS]
    for output in outputs:
        assert parted.of(output) == whole.of(output)
    assert split(after, facts()) == after


@settings(max_examples=200)
@given(prompts())
def test_what_stays_is_whole(prompt: Prompt) -> None:
    after = split(prompt, facts())
    for run, one in after.items():
        assert all(v[0] in after for v in one["inputs"].values() if isinstance(v, list)), after
        if PART_INPUT in one["inputs"]:
            nodes = order(after, run).nodes
            for inner in nodes.values():
                links = [v for v in inner["inputs"].values() if isinstance(v, list)]
                assert all(v[0] in nodes for v in links)


@settings(max_examples=200)
@given(prompts(), st.randoms())
def test_the_order_of_the_nodes_decides_nothing(prompt: Prompt, random: Any) -> None:
    names = [*prompt]
    random.shuffle(names)
    shuffled = split({name: prompt[name] for name in names}, facts())
    straight = split(prompt, facts())
    outputs = [one for one in straight if straight[one]["class_type"] in OUTPUTS]
    assert {o: Evaluator(straight).of(o) for o in outputs} == {
        o: Evaluator(shuffled).of(o) for o in outputs
    }
