"""Pins what a prompt is said to order and to cost before it is queued: which nodes run, how many
tasks each of them is, what is known of their price; and that the examples cost just that.
"""

from __future__ import annotations

import json
import sqlite3
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from _waiting import PATIENCE
from host import Host, graph, link, node
from PIL import Image
from sandboxes import environment
from skyport import providers
from skyport.engine.base.types import Amount
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.sqlite_store import Store
from skyport.engine.settings.caps import costs
from skyport.engine.settings.settings import Settings, amounts_in
from skyport.engine.spend.choices import choices_of
from skyport.engine.spend.confirm import must_confirm
from skyport.engine.spend.estimate import Estimate, Item
from skyport.engine.spend.orders import Surroundings, orders_in, own_servers_in, platforms_in
from skyport.engine.spend.price import Origin, Price
from skyport.sandbox import Sandbox, start

EXAMPLES = sorted((Path(__file__).parents[1] / "example_workflows" / "api").glob("*.json"))
OURS = {"X-Skyport": "1"}

VIDEO = node("SkyportHappyHorseTextToVideo", {"model.duration": 5}, prompt="a", model="kling-video")


def to_video(image: list[Any], **more: Any) -> dict[str, Any]:
    return node("SkyportHappyHorseImageToVideo", model="kling-video", image=image, **more)


def pictures(number: int) -> dict[str, Any]:
    return node("EmptyImage", batch_size=number)


def tasks(prompt: Mapping[str, Any], **around: Any) -> dict[str, tuple[int, bool]]:
    """The tasks of each node that orders, and whether their number is exact."""
    found = orders_in(dict(prompt), Surroundings(**around))
    return {order.node_id: (order.tasks.count, order.tasks.exact) for order in found}


# -- which nodes order --------------------------------------------------------------------------


def test_uploads_and_clusters_and_what_is_not_ours_order_nothing():
    prompt = graph(
        image=node("LoadImage", image="a.png"),
        up=node("SkyportHaiyiUpload", media=link("image")),
        clusters=node("SkyportHaiyiClusters"),
        load=node("SkyportLoadResult", job="latest"),
        save=node("SaveImage", images=link("image")),
    )
    assert tasks(prompt) == {}


def anywhere(platforms: str, order: str = "as listed", **more: Any) -> dict[str, Any]:
    values = {"model.duration": 5, "model.resolution": "720P", "model.ratio": "16:9"}
    values |= {"model.platforms": platforms}
    more = {"prompt": "a", "seed": 1, "next_if_refused": True, **more}
    return node("SkyportAnyTextToVideo", values, model="happyhorse", order=order, **more)


@pytest.mark.parametrize(
    ("platforms", "listed"),
    [
        ("", ["happyhorse", "opencomputing"]),
        ("OpenComputing, happyhorse", ["opencomputing", "happyhorse"]),
        ("opencomputing", ["opencomputing"]),
        ("haiyi", []),  # which the node refuses
        (["x", 0], []),
    ],
)
def test_a_node_over_several_platforms_orders_from_the_first_that_it_lists(platforms, listed):
    (order,) = orders_in(graph(a=anywhere(platforms)), Surroundings())
    assert [key.platform for key in order.choices] == listed
    assert (order.platform, order.key) == ((listed[0], order.choices[0]) if listed else ("", None))
    assert platforms_in(graph(a=anywhere(platforms), b=VIDEO)) == {*listed, "happyhorse"}


def test_each_platform_is_asked_in_its_own_spelling():
    (order,) = orders_in(graph(a=anywhere("")), Surroundings())
    drivers = {"duration": "5", "resolution": "720p"}
    assert [(key.model, key.drivers) for key in order.choices] == [
        ("happyhorse-1.0-t2v", drivers),
        ("happyhorse-1.0-t2v", {**drivers, "task": "t2v"}),
    ]


@pytest.mark.parametrize("kind", ["TextToImage", "TextToVideo", "ImageToVideo"])
def test_every_node_over_several_platforms_is_known_by_its_class(kind):
    assert choices_of(f"SkyportAny{kind}", {"model": "wan"})


def test_a_server_of_ones_own_is_no_order(monkeypatch):
    monkeypatch.setattr(providers.provider_class("gpugeek"), "is_free", True)
    made = node("SkyportGpugeekRunWorkflow", workflow_id="7", workflow="{}")
    assert tasks({**CUT, "made": made, "a": VIDEO}) == {"a": (1, True)}


def test_what_runs_on_a_server_of_ones_own_is_said_to_be_free_unless_a_subscription_pays(home):
    servers = {"pc": {"address": "http://10.0.0.7"}, "cloud": {"address": "https://x.comfy.app"}}
    (home / "servers.json").write_text(json.dumps(servers))

    def on(server: str) -> dict[str, Any]:
        return node("SkyportComfyuiRunWorkflow", workflow="{}", server=server)

    part = node("SkyportRunInCloud", {"where.server": "pc"}, value=link("scale"), where="ComfyUI")
    found = own_servers_in({**CUT, "run": part, "a": on("pc")}, Surroundings())
    assert found == [True, True]
    assert own_servers_in(graph(a=on("cloud"), b=on("auto"), c=VIDEO), Surroundings()) == [
        False,
        False,
    ]
    (home / "servers.json").write_text("{")
    assert own_servers_in(graph(a=on("pc")), Surroundings()) == [True]


def run_in_cloud(value: list[Any], where: str = "GPUGeek") -> dict[str, Any]:
    return node("SkyportRunInCloud", {"where.workflow_id": "7"}, value=value, where=where)


CUT = graph(
    load=node("LoadImage", image="a.png"),
    scale=node("ImageScale", image=link("load")),
    run=run_in_cloud(link("scale")),
    save=node("SaveImage", images=link("run")),
)


def test_a_part_that_runs_in_the_cloud_is_one_order():
    (order,) = orders_in(CUT, Surroundings())
    assert (order.node_id, order.platform, order.key.model) == ("run", "gpugeek", "7")


@pytest.mark.parametrize(
    "change",
    [
        {"run": run_in_cloud(link("scale"), "this machine")},
        {"save": node("SaveImage")},  # nothing takes its value
        {"run": node("SkyportRunInCloud", where="GPUGeek")},  # nothing is linked to it
        {"scale": node("SkyportKeepLocal", value=link("load"))},  # all of it stays here
    ],
)
def test_a_part_that_is_not_sent_is_no_order(change):
    assert tasks({**CUT, **change}) == {}


def test_a_part_inside_a_part_of_the_same_cloud_is_no_order_of_its_own():
    inner = {"run2": run_in_cloud(link("load")), "scale": node("ImageScale", image=link("run2"))}
    assert tasks({**CUT, **inner}) == {"run": (1, True)}
    other = {**inner, "run2": run_in_cloud(link("load"), "HaiYi")}
    assert set(tasks({**CUT, **other})) == {"run", "run2"}
    also_here = {**inner, "see": node("PreviewImage", images=link("run2"))}
    assert set(tasks({**CUT, **also_here})) == {"run", "run2"}


def test_what_a_cloud_needs_of_ours_is_ordered_here():
    prompt = {**CUT, "load": VIDEO, "scale": node("ImageScale", image=link("load", 1))}
    assert set(tasks(prompt)) == {"load", "run"}


def test_a_list_that_is_computed_here_makes_a_part_a_task_for_each_entry():
    clips = {"pictures": pictures(3), "load": to_video(link("pictures"))}
    prompt = {**CUT, **clips, "scale": node("ImageScale", image=link("load", 1))}
    assert tasks(prompt) == {"load": (3, True), "run": (3, True)}
    batch = {"load": node("SkyportHappyHorseTextToImage", {"model.n": 3}, model="m")}
    assert tasks({**CUT, **batch})["run"] == (1, True)


def test_only_what_an_output_needs_is_ordered():
    prompt = {"a": VIDEO, **CUT}
    assert set(tasks(prompt, targets=frozenset(["a"]))) == {"a"}
    assert set(tasks(prompt, targets=frozenset(["save"]))) == {"run"}
    assert set(tasks(prompt, is_output=lambda kind: kind.startswith("Skyport"))) == {"a", "run"}


# -- how many tasks -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ({"image": node("LoadImage", image="a.png")}, (1, True)),
        ({"image": pictures(4)}, (4, True)),
        ({"a": pictures(4), "image": node("ImageScale", image=link("a"))}, (4, True)),
        ({"a": pictures(2),
          "image": node("RepeatImageBatch", image=link("a"), amount=3)}, (6, True)),
        ({"a": pictures(2), "b": pictures(3),
          "image": node("ImageBatch", image1=link("a"), image2=link("b"))}, (5, True)),
        ({"a": VIDEO, "image": node("ImageFromBatch", image=link("a", 1), length=1)}, (1, True)),
        ({"image": node("VAEDecode")}, (1, False)),
        ({"image": node("EmptyImage", batch_size=["x", 0])}, (1, False)),
        ({"image": node("ImageScale", image=link("image"))}, (1, False)),  # a circle
        ({"a": pictures(3), "image": to_video(link("a"))}, (3, True)),
        ({"image": node("SkyportHappyHorseTextToImage", {"model.n": 3}, model="m")}, (3, True)),
        ({"image": node("SkyportHaiyiTextToImage", model="m")}, (1, False)),
        ({"a": pictures(2), "image": node("SkyportHaiyiUpload", media=link("a"))}, (2, True)),
        ({"image": node("SkyportAnyTextToImage", model="wan")}, (1, False)),
    ],
)  # fmt: skip
def test_each_picture_of_a_batch_is_a_task(source, number):
    assert tasks(graph(**source, make=to_video(link("image"))))["make"] == number


def test_a_chain_of_a_thousand_nodes_is_followed():
    chain = {f"n{n}": node("ImageScale", image=link(f"n{n - 1}")) for n in range(1, 1000)}
    prompt = graph(n0=pictures(3), **chain, make=to_video(link("n999")))
    assert tasks(prompt)["make"] == (3, True)


@pytest.mark.parametrize(
    ("first", "after", "number"),
    [
        (pictures(1), lambda link: node("ImageBatch", image1=link, image2=link), (10**6, False)),
        (pictures(1), lambda link: node("RepeatImageBatch", image=link, amount=9), (10**6, False)),
        (pictures(2.5e300), lambda link: node("ImageBlur", image=link), (10**6, False)),
        (node("ImageBatch", image1=link("n99"), image2=link("n99")),
         lambda link: node("ImageBatch", image1=link), (101, False)),  # a circle
        (node("SkyportRemoteInput", inputs=link("n99")),
         lambda link: node("SkyportRemoteInput", inputs=link), (1, False)),  # a circle
    ],
)  # fmt: skip
def test_what_is_hostile_is_counted_in_no_time(first, after, number):
    chain = {f"n{n}": after(link(f"n{n - 1}")) for n in range(1, 100)}
    assert tasks(graph(n0=first, **chain, make=to_video(link("n99"))))["make"] == number


@pytest.mark.parametrize(
    "after", [lambda link: node("ImageBatch", image1=link, image2=["n0", 0]), to_video]
)
def test_what_is_deeper_than_python_can_follow_is_at_least_one(after):
    chain = {f"n{n}": after(link(f"n{n - 1}")) for n in reversed(range(1, 3000))}
    count, exact = tasks(graph(**chain, n0=pictures(1), make=to_video(link("n2999"))))["make"]
    assert count >= 1
    assert not exact


def test_the_frames_of_a_clip_are_at_least_one_and_its_video_is_one():
    prompt = graph(a=VIDEO, frames=to_video(link("a", 1)), video=to_video(link("a", 0)))
    assert tasks(prompt) == {"a": (1, True), "frames": (1, False), "video": (1, True)}


def test_an_animated_file_is_a_batch_of_its_frames():
    prompt = graph(image=node("LoadImage", image="a.gif"), make=to_video(link("image")))
    assert tasks(prompt, frames=lambda node: 12)["make"] == (12, True)


def test_the_pictures_of_a_list_are_references_of_one_task():
    name = "SkyportHappyHorseReferenceToVideo"
    prompt = graph(a=pictures(4), make=node(name, {"images.image0": link("a")}, model="m"))
    assert tasks(prompt)["make"] == (1, True)


def test_the_pictures_of_a_remote_input_are_a_task_each():
    prompt = graph(
        a=pictures(3),
        put=node("SkyportRemoteInput", target="73.image", value=link("a")),
        more=node("SkyportRemoteInput", target="seed", value=5, inputs=link("put")),
        run=node("SkyportHaiyiRunApp", workflow_id="1234", inputs=link("more")),
    )
    assert tasks(prompt) == {"run": (3, True)}


# -- what is known of the price -----------------------------------------------------------------


def key_in(**nodes: Any) -> Any:
    return orders_in(graph(**nodes), Surroundings())[-1].key


def test_a_constant_that_is_linked_is_known_and_any_other_link_is_not():
    name = "SkyportHappyHorseTextToVideo"
    made = node(name, {"model.duration": link("n")}, model="kling-video")
    assert key_in(n=node("PrimitiveInt", value=8), a=made).seconds == 8
    assert key_in(n=node("MathNode"), a=made).drivers == {"duration": None}


@pytest.mark.parametrize(
    ("made", "model", "drivers"),
    [
        (node("SkyportHaiyiTextToVideo", {"model.provider": "kwai", "model.model_id": "x",
              "model.parameters": '{"duration": 8}'}, model="custom"),
         "kwai/x", {"duration": "8", "task": "text2video"}),
        (node("SkyportHaiyiTextToVideo", model="a/b (lip-sync)"), "a/b", {"task": "lip-sync"}),
        (node("SkyportHaiyiRunApp", workflow_id=" 1234 ", cluster="auto"), "1234",
         {"cluster": "auto"}),
        (node("SkyportOpenComputingChat", model="qwen3-max", prompt="a"), "qwen3-max",
         {"task": "t2t"}),
        (node("SkyportGpugeekRunWorkflow", workflow_id="7", workflow='{"1": {"class_type": "K", '
              '"inputs": {"steps": 9}}}'), "7", {}),
    ],
)  # fmt: skip
def test_a_model_is_named_as_its_request_names_it(made, model, drivers):
    key = key_in(a=made)
    assert (key.model, key.drivers) == (model, drivers)


# -- the setting --------------------------------------------------------------------------------


def item(amount: float | None, unit: str = "CNY", tasks: int = 1) -> Item:
    price = None if amount is None else Price(Amount(amount, unit), Origin.OWN, amount, amount)
    return Item("1", "a", "haiyi", "m", tasks, price=price)


@pytest.mark.parametrize(
    ("items", "limit", "asks"),
    [
        ([item(5)], "", False),
        ([item(5)], "5", False),
        ([item(5), item(0.01)], "5 CNY", True),
        ([item(5), item(5, "USD")], "5", False),  # units are never added up
        ([item(3, tasks=2)], "5 cny", True),
        ([item(3), item(3, "cny")], "5 CNY", True),
        ([item(50, "credits")], "5 CNY", False),
        ([item(50, "credits")], "5 CNY, 40 credits", True),
        ([item(50, "credits")], "100, 40 credits", True),
        ([item(None)], "5", False),
        ([item(None)], "0", True),
        ([item(5, tasks=0)], "0", False),
        ([], "0", False),
    ],
)
def test_a_queue_is_confirmed_above_the_amount_of_its_unit(items, limit, asks):
    assert must_confirm(Estimate(tuple(items)), limit) is asks


def test_a_batch_counts_as_often_as_it_is_queued():
    estimate = Estimate((item(2),))
    assert [must_confirm(estimate.times(runs), "5 CNY") for runs in (2, 3)] == [False, True]


def test_what_the_first_run_reuses_is_paid_for_by_those_after_it():
    """The editor changes the seed after the first."""
    estimate = Estimate((replace(item(2, tasks=1), reused=3),))
    assert [estimate.times(runs).tasks for runs in (1, 2, 5)] == [1, 5, 17]
    assert must_confirm(Estimate((replace(item(2, tasks=0), reused=1),)).times(2), "0")


@pytest.mark.parametrize("value", [5, 0, 0.5, "5", "5 CNY", "5CNY; 100 credits", ""])
def test_amounts_that_the_setting_takes(home, value):
    (home / "settings.json").write_text(json.dumps({"confirm_above": value}))
    assert isinstance(providers.settings.load().confirm_above, str)


@pytest.mark.parametrize(
    "value", [-1, True, "CNY", "5 CNY, 6 CNY", "-5", "5, 6", [], "1e5 CNY", "1,000 CNY"]
)
def test_amounts_that_it_refuses(home, value):
    (home / "settings.json").write_text(json.dumps({"confirm_above": value}))
    with pytest.raises(providers.InvalidInput, match="confirm_above must be an amount such as"):
        providers.settings.load()


def test_it_is_off_unless_it_is_set():
    assert Settings().confirm_above == ""
    assert amounts_in("5 CNY, 100 credits") == {"cny": 5.0, "credits": 100.0}


@pytest.mark.parametrize(
    ("text", "unit"),
    [("5 RMB", "cny"), ("5\u5143", "cny"), ("5 credit", "credits"), ("5 $", "usd")],
)
def test_an_amount_in_a_units_other_name_is_one_in_that_unit(text, unit):
    assert amounts_in(text) == {unit: 5.0}
    assert [cap.unit.lower() for cap in costs(text, ())] == [unit]


# -- the command --------------------------------------------------------------------------------


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.json"
    path.write_text(json.dumps(graph(a=VIDEO, b=node("SkyportHaiyiTextToImage", model="x/y"))))
    return path


@pytest.fixture
def own_prices(home: Path, process: Callable[[], None]) -> Iterator[None]:
    prices = {"happyhorse": {"*": {"per": "second", "amount": 0.1, "unit": "CNY"}}}
    (home / "prices.json").write_text(json.dumps(prices))
    providers.price_book.cache_clear()
    yield
    providers.price_book.cache_clear()


def test_the_command_lists_the_tasks_and_their_cost(skyport, film, own_prices):
    result = skyport("estimate", film)
    assert result.code == 0
    assert "HappyHorse: about 0.5 CNY (tasks: 1)" in result.lines
    assert "Cost unknown: SkyportHaiyiTextToImage (tasks: 1)" in result.lines
    assert "Reuse is not known here" in result.err


def test_the_command_names_the_platform_that_is_asked_first(skyport, tmp_path, own_prices):
    path = tmp_path / "any.json"
    path.write_text(json.dumps(graph(a=anywhere("happyhorse, opencomputing"))))
    result = skyport("estimate", path)
    assert "HappyHorse: about 0.5 CNY (tasks: 1)" in result.lines
    assert "first asked: HappyHorse" in result.out
    path.write_text(json.dumps(graph(a=anywhere("opencomputing, happyhorse", "cheapest"))))
    (item,) = json.loads(skyport("estimate", path, "--json").out)["items"]
    assert (item["platform"], item["model"], item["first"]) == (
        "happyhorse",
        "happyhorse-1.0-t2v",
        True,
    )


def test_the_command_gives_all_of_it_as_json(skyport, film, own_prices):
    told = json.loads(skyport("estimate", film, "--json").out)
    assert (told["tasks"], told["unknown"], told["at_least"]) == (2, 1, False)
    total = {"platform": "happyhorse", "unit": "CNY", "tasks": 1}
    assert told["totals"] == [{**total, "amount": 0.5, "lowest": 0.5, "highest": 0.5}]
    assert [one["price"] and one["price"]["origin"] for one in told["items"]] == ["own", None]


def test_a_workflow_of_the_editor_is_to_be_exported_first(skyport, tmp_path, own_prices):
    path = tmp_path / "ui.json"
    path.write_text(json.dumps({"nodes": [], "links": []}))
    result = skyport("estimate", path)
    assert (result.code, "Export (API)" in result.err) == (1, True)


def test_a_workflow_without_orders_says_so(skyport, tmp_path, own_prices):
    path = tmp_path / "none.json"
    path.write_text(json.dumps(graph(a=pictures(1))))
    assert "orders nothing" in skyport("estimate", path).out


def test_broken_prices_are_an_error(skyport, film, home, own_prices):
    (home / "prices.json").write_text('{"haiyi": 3}')
    result = skyport("estimate", film)
    assert (result.code, "prices.json: haiyi must be" in result.err) == (1, True)


# -- the route ----------------------------------------------------------------------------------


PRICES = {
    "haiyi": {"*": {"amount": 0.5, "unit": "CNY"}},
    "happyhorse": {"*": [{"amount": 2, "unit": "CNY"}]},
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start(pace=0.01) as sandbox:
        sandbox.platforms["happyhorse"].most_seconds = 0.5
        yield sandbox


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    return environment(sandbox, *providers.names())


@pytest.fixture
def priced(own_host: Host) -> Host:
    """A host with prices, which waits for a platform's price list however long it takes."""
    (own_host.home / "prices.json").write_text(json.dumps(PRICES))
    own_host.set_constants("nodes._routes.estimate", _PATIENCE=PATIENCE)
    own_host.set_constants("providers", _PRICE_TIMEOUT=PATIENCE)
    own_host.set_constants("engine.spend.price_list", RETRY_AFTER=0)  # what failed before this
    return own_host


def estimate(host: Host, prompt: Mapping[str, Any], **more: Any) -> Any:
    body = {"prompt": prompt, **more}
    answer = host.route("POST", "/skyport/estimate", json=body, headers=OURS)
    assert answer.status_code == 200, answer.text
    return answer.json()


def fox(seed: int, prompt: Any = "a fox") -> dict[str, Any]:
    values = {"model.negative_prompt": ""}
    name = "SkyportOpenComputingTextToImage"
    return node(name, values, prompt=prompt, seed=seed, model="wan2.2-t2i-plus")


def test_an_equal_order_that_was_delivered_is_reused_for_nothing(priced: Host):
    prompt = graph(a=fox(41))
    before = estimate(priced, prompt)
    assert (before["tasks"], before["reused"], before["sums"][0]["amount"]) == (1, 0, 1)
    assert priced.run(prompt).status == "success"
    after = estimate(priced, prompt)
    assert (after["tasks"], after["reused"], after["sums"]) == (0, 1, [])
    assert estimate(priced, graph(a=fox(42)))["tasks"] == 1


def test_two_equal_nodes_are_one_task(priced: Host):
    both = estimate(priced, graph(a=fox(43), b=fox(43)))
    assert (both["tasks"], both["reused"]) == (1, 1)


def test_a_node_with_a_link_is_not_taken_for_reused(priced: Host):
    text = node("ProbeText", text="a fox")
    found = estimate(priced, graph(t=text, a=fox(41, prompt=link("t"))))
    assert (found["tasks"], found["reused"], found["at_least"]) == (1, 0, True)


def test_a_form_that_cannot_be_ordered_is_estimated_all_the_same(priced: Host):
    gone = node("SkyportHappyHorseTextToVideo", prompt="a", seed=0, model="not offered")
    assert estimate(priced, graph(a=gone))["sums"][0]["amount"] == 2


def first_asked(host: Host, made: Mapping[str, Any], **nodes: Any) -> tuple[str, bool, int, int]:
    (item,) = estimate(host, graph(a=made, **nodes))["items"]
    return item["label"], item["first"], item["tasks"], item["reused"]


def test_a_node_over_several_platforms_costs_what_the_first_one_asks(priced: Host):
    assert first_asked(priced, anywhere("")) == ("HappyHorse", True, 1, 0)
    assert estimate(priced, graph(a=anywhere("")))["sums"][0]["amount"] == 2
    assert first_asked(priced, anywhere("opencomputing")) == ("OpenComputing", False, 1, 0)
    assert first_asked(priced, anywhere("haiyi")) == ("", False, 1, 0)


def test_a_linked_value_leaves_the_choice_of_platforms_as_it_is(priced: Host):
    text = node("ProbeText", text="a fox")
    made = anywhere("opencomputing, happyhorse", prompt=link("t"))
    assert first_asked(priced, made, t=text)[:2] == ("OpenComputing", True)


def test_an_order_that_fell_over_costs_nothing_more_where_it_is(priced: Host, sandbox: Sandbox):
    made = anywhere("", seed=61)
    sandbox.platforms["happyhorse"].always = "[[balance]]"
    try:
        assert priced.run(graph(a=made)).status == "success"
    finally:
        sandbox.platforms["happyhorse"].always = ""
    assert first_asked(priced, made) == ("OpenComputing", True, 0, 1)
    made["inputs"]["video-preview"] = ""  # a widget of the editor's own
    assert first_asked(priced, made) == ("OpenComputing", True, 0, 1)


@pytest.mark.parametrize("prompt", ["a fox", link("t")])
def test_the_cheapest_and_the_fastest_are_asked_first(priced: Host, prompt: Any):
    prices = {"happyhorse": {"*": {"amount": 2, "unit": "CNY"}}}
    prices |= {"opencomputing": {"*": {"amount": 1, "unit": "CNY"}}}
    (priced.home / "prices.json").write_text(json.dumps(prices))
    text = node("ProbeText", text="a fox")
    for order, label in (("cheapest", "OpenComputing"), ("as listed", "HappyHorse")):
        made = anywhere("", order, prompt=prompt, seed=62)
        assert first_asked(priced, made, t=text)[0] == label
    runs = {name: anywhere(name, seed=63) for name in ("happyhorse", "opencomputing")}
    assert priced.run(graph(**runs)).status == "success"
    took = "UPDATE tasks SET submitted = ended - CASE platform WHEN 'happyhorse' THEN 9 ELSE 4 END"
    with closing(sqlite3.connect(priced.home / "ledger.db", timeout=PATIENCE)) as db, db:
        db.execute(f"{took} WHERE submitted > 0")
    made = anywhere("", "fastest", prompt=prompt, seed=64)
    assert first_asked(priced, made, t=text)[0] == "OpenComputing"


def test_a_platform_without_a_key_is_not_asked_first(priced: Host, monkeypatch):
    if priced.kind != "standin":
        pytest.skip("a running ComfyUI keeps the keys that it was started with")
    text = node("ProbeText", text="a fox")
    made = anywhere("", prompt=link("t"))
    monkeypatch.delenv("HAPPYHORSE_API_KEY")
    assert first_asked(priced, made, t=text)[:2] == ("OpenComputing", False)
    monkeypatch.delenv("OPENCOMPUTING_API_KEY")
    assert first_asked(priced, made, t=text)[:2] == ("HappyHorse", True)


def test_the_frames_of_an_animated_picture_are_counted(priced: Host):
    folder = priced.base / "input"
    folder.mkdir(exist_ok=True)
    frames = [Image.new("RGB", (320, 320), (n * 60, 0, 0)) for n in range(3)]
    frames[0].save(folder / "walk.gif", save_all=True, append_images=frames[1:])
    prompt = graph(i=node("LoadImage", image="walk.gif"), make=to_video(link("i"), prompt="a"))
    found = estimate(priced, prompt)
    assert (found["tasks"], found["at_least"]) == (3, False)


def test_a_picture_that_cannot_be_opened_is_one_task(priced: Host):
    """Pillow refuses a picture of that size with an error of its own."""
    folder = priced.base / "input"
    folder.mkdir(exist_ok=True)
    Image.new("RGB", (1, 1)).save(folder / "huge.png")
    content = bytearray((folder / "huge.png").read_bytes())
    content[16:24] = struct.pack(">II", 60_000, 60_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (folder / "huge.png").write_bytes(content)
    prompt = graph(i=node("LoadImage", image="huge.png"), make=to_video(link("i"), prompt="a"))
    assert estimate(priced, prompt)["tasks"] == 1


def test_the_queue_is_confirmed_as_the_setting_says(priced: Host):
    prompt = graph(a=fox(44))
    assert estimate(priced, prompt)["confirm"] is None
    for limit, runs, asks in (("1 credits", 1, False), ("1 credits", 2, True), ("0", 1, True)):
        changes = {"confirm_above": limit}
        priced.route("POST", "/skyport/setup/settings", json=changes, headers=OURS)
        assert estimate(priced, prompt, runs=runs)["confirm"] is asks
    priced.route("POST", "/skyport/setup/settings", json={"confirm_above": None}, headers=OURS)


def test_what_was_left_in_the_queue_is_confirmed_together(priced: Host):
    owner = Owner(priced.home / "owners")
    with closing(Store(priced.home / "ledger.db", owner)) as store:
        for number in (45, 46):
            kept = {"prompt": graph(a=fox(number)), "workflow": None, "targets": None}
            store.keep_graph(f"left {number}", json.dumps({**kept, "whole": True}))
    owner.close()
    for ids, sums, asks in ((["left 45"], 1, False), (["left 45", "left 46", "gone"], 2, True)):
        changes = {"confirm_above": "1 credits"}
        priced.route("POST", "/skyport/setup/settings", json=changes, headers=OURS)
        answer = priced.route(
            "POST", "/skyport/queue/left/estimate", json={"ids": ids}, headers=OURS
        ).json()
        said = answer["tasks"], answer["sums"][0]["amount"], answer["confirm"]
        assert said == (sums, sums, asks)
        assert [item["tasks"] for item in answer["items"]] == [sums]
    priced.route("POST", "/skyport/setup/settings", json={"confirm_above": None}, headers=OURS)


def test_it_is_a_route_for_our_page_only(priced: Host):
    assert priced.route("POST", "/skyport/estimate", json={"prompt": {}}).status_code == 403
    answer = priced.route("POST", "/skyport/estimate", json={"prompt": 3}, headers=OURS)
    assert answer.status_code == 400


@pytest.mark.parametrize("prompt", [{"a": 3}, {"a": {}}, {"a": {"class_type": "SkyportX"}}, {}])
def test_what_is_no_prompt_orders_nothing(priced: Host, prompt: Any):
    assert estimate(priced, prompt)["items"] == []


# -- the examples -------------------------------------------------------------------------------

SEEN = ("SaveImage", "SaveVideo", "PreviewImage", "PreviewAny", "ImageSharpen", "ImageFromBatch")
SOURCES = ("LoadImage", "ImageScale")


def played(path: Path, seed: int, host: Host) -> dict[str, Any]:
    """The example with that seed; in the stand-in its nodes of ComfyUI are probes."""
    prompt = json.loads(path.read_text(encoding="utf-8"))
    for one in prompt.values():
        if "seed" in one["inputs"]:
            one["inputs"]["seed"] = seed
    if host.kind == "comfyui":
        return prompt
    made = {}
    for key, one in prompt.items():
        if one["class_type"] == "ImageInvert":
            continue
        links = [value for value in one["inputs"].values() if isinstance(value, list)]
        if one["class_type"] in SOURCES:
            made[key] = node("ProbeImage", width=320, height=320)
        elif one["class_type"] not in SEEN:
            made[key] = one
        elif prompt[links[0][0]]["class_type"] not in SEEN:
            made[key] = node("ProbeSink", value=links[0])
    return made


def charged(host: Host, sandbox: Sandbox) -> tuple[dict[str, int], dict[str, float]]:
    """The tasks that each platform has taken, and what it has told of their cost."""
    spent = host.route("GET", "/skyport/jobs/spent").json()["spent"]
    costs: dict[str, float] = {}
    for one in spent:
        costs[one["platform"]] = costs.get(one["platform"], 0) + one["cost"]
    return dict(sandbox.charges), costs


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_costs_what_was_estimated(priced: Host, sandbox: Sandbox, path: Path):
    copy = priced.base / "input"
    copy.mkdir(exist_ok=True)
    Image.new("RGB", (320, 320), "teal").save(copy / "picture.png")
    if "GPUGeek" in path.stem:  # it has no price list: its first task teaches
        assert priced.run(played(path, 1, priced)).status == "success"
    prompt = played(path, 2, priced)
    before, costs_before = charged(priced, sandbox)
    found = estimate(priced, prompt)
    ended = priced.run(prompt)
    assert ended.status == "success", ended
    after, costs_after = charged(priced, sandbox)
    new = {name: after[name] - before.get(name, 0) for name in after}
    assert {t["platform"]: t["tasks"] for t in found["totals"]} == {
        n: c for n, c in new.items() if c
    }
    assert found["unknown"] == 0
    for total in found["totals"]:
        own = PRICES.get(total["platform"], {}).get("*")
        each = own[0] if isinstance(own, list) else own
        name = total["platform"]
        cost = each["amount"] * new[name] if each else costs_after[name] - costs_before.get(name, 0)
        assert (total["lowest"], total["highest"]) == pytest.approx((cost, cost))
