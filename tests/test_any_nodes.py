"""Pins the nodes over several platforms: one order, one charge, whichever platform takes it."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from _waiting import PATIENCE, until
from gate import behind_a_gate
from host import Host, Run, graph, link, node
from sandboxes import environment, failed
from skyport import providers
from skyport.engine.base.types import Amount
from skyport.engine.ledger.queued_again import next_id
from skyport.engine.platforms import families
from skyport.engine.spend.price import Origin, Price
from skyport.engine.spend.ranking import by_price
from skyport.sandbox import Sandbox

PLATFORMS = ("haiyi", "happyhorse", "opencomputing")
NODE = {
    "text2image": "SkyportAnyTextToImage",
    "text2video": "SkyportAnyTextToVideo",
    "image2video": "SkyportAnyImageToVideo",
}
OWN = {
    ("haiyi", "text2image"): "SkyportHaiyiTextToImage",
    ("haiyi", "text2video"): "SkyportHaiyiTextToVideo",
    ("haiyi", "image2video"): "SkyportHaiyiImageToVideo",
    ("happyhorse", "text2image"): "SkyportHappyHorseTextToImage",
    ("happyhorse", "text2video"): "SkyportHappyHorseTextToVideo",
    ("happyhorse", "image2video"): "SkyportHappyHorseImageToVideo",
    ("opencomputing", "text2image"): "SkyportOpenComputingTextToImage",
    ("opencomputing", "text2video"): "SkyportOpenComputingTextToVideo",
    ("opencomputing", "image2video"): "SkyportOpenComputingImageToVideo",
}
MEMBERS = [
    member for task in NODE for members in families.families(task).values() for member in members
]
PICTURE = node("ProbeImage", seed=1, width=320, height=320)


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    return environment(sandbox, *PLATFORMS)


@pytest.fixture
def cloud(cloud: Host, quick_polls: None) -> Host:
    return cloud


@pytest.fixture(autouse=True)
def _nobody_refuses(sandbox: Sandbox) -> Iterator[None]:
    yield
    for name in PLATFORMS:
        sandbox.platforms[name].always = ""


def anywhere(task: str, family: str, platforms: str = "", **more: Any) -> dict[str, Any]:
    """The node as it is made, with that family; `more` may name any of its widgets."""
    shared = families.shared_params(families.families(task)[family])
    listed = ", ".join(dict.fromkeys(m.platform for m in families.families(task)[family]))
    widgets = {f"model.{param.name}": widget(param.default, param.choices) for param in shared}
    values = {
        "prompt": "a fox",
        "seed": 7,
        "order": "as listed",
        "next_if_refused": True,
        "model": family,
        **widgets,
        "model.platforms": platforms or listed,
        **({"image": ["picture", 0]} if task == "image2video" else {}),
    }
    return node(NODE[task], {**values, **{k.replace("__", "."): v for k, v in more.items()}})


def widget(default: Any, choices: Any) -> Any:
    """As the editor holds it: the options of a closed list are texts."""
    return str(default) if choices else default


def own(host: Host, member: families.Member) -> dict[str, Any]:
    """The platform's own node, just made, with the values that the family's node starts with."""
    members = families.families(member.task)[member.family]
    values = {param.name: param.default for param in families.shared_params(members)}
    class_type = OWN[member.platform, member.task]
    form = forms(host, class_type)[member.model]
    widgets = {f"model.{name}": about["default"] for name, about in form.items()}
    shared = {
        f"model.{name}": str(value) if isinstance(widgets[f"model.{name}"], str) else value
        for name, value in member.own_values(values).items()
    }
    media = {}
    for name in member.media.values():
        nested = name in ("key_frames_start",)
        media[f"model.{name}" if nested else name] = ["picture", 0]
    common = {"prompt": "a fox", "seed": 7, "model": member.model}
    return node(class_type, {**common, **widgets, **shared, **media})


def forms(host: Host, class_type: str) -> dict[str, Any]:
    """The widgets of each model, with what they start with."""
    options = host.object_info(class_type)["input"]["required"]["model"][1]["options"]
    return {
        one["key"]: {
            name: about
            for name, (_, about) in one["inputs"].get("required", {}).items()
            if "default" in about
        }
        for one in options
    }


@pytest.fixture
def charged(cloud: Host, sandbox: Sandbox) -> Callable[[], list[str]]:
    """The platform of each order that was accepted since the test began."""
    before = sandbox.charges.copy()
    return lambda: sorted((sandbox.charges - before).elements())


def said(run: Run) -> str:
    """What the node said when it had run."""
    return run.texts["any"][-1]


@pytest.fixture
def limited(cloud: Host) -> Iterator[Callable[[str], None]]:
    """Sets how many tasks one queue may make."""

    path = cloud.home / "settings.json"
    yield lambda value: path.write_text(json.dumps({"limit_tasks_per_queue": value})) and None
    path.unlink()


# -- the families -------------------------------------------------------------------------------


@pytest.mark.parametrize("member", MEMBERS, ids=lambda m: f"{m.task}-{m.family}-{m.platform}")
def test_every_parameter_of_a_family_is_one_of_each_of_its_rows(member: families.Member) -> None:
    cls = providers.provider_class(member.platform)
    rows = [cls.read_row(row) for row in cls.built_in_rows()]
    (row,) = [one for one in rows if (one.id, one.task) == (member.model, member.own_task)]
    assert [name for name in member.parameters.values() if row.param(name) is None] == []


@pytest.mark.parametrize("task", NODE)
def test_the_node_of_a_task_offers_its_families_and_what_they_share(cloud: Host, task: str) -> None:
    offered = forms(cloud, NODE[task])
    assert set(offered) == set(families.families(task))
    for family, members in families.families(task).items():
        names = {param.name for param in families.shared_params(members)}
        assert set(offered[family]) == names | {"platforms"}


@pytest.mark.parametrize("task", NODE)
def test_an_order_is_that_of_the_platforms_own_node(
    cloud: Host, charged: Callable[[], list[str]], task: str
) -> None:
    """So a result of the one is reused by the other, whichever ran first."""
    members = [member for member in MEMBERS if member.task == task]
    nodes = {
        f"n{n}": anywhere(task, member.family, member.platform) for n, member in enumerate(members)
    }
    run = cloud.run(graph(picture=PICTURE, **nodes))
    assert run.status == "success", (run.error, run.node_errors)
    assert charged() == sorted(member.platform for member in members)
    again = {f"o{n}": own(cloud, member) for n, member in enumerate(members)}
    run = cloud.run(graph(picture=PICTURE, **again))
    assert run.status == "success", (run.error, run.node_errors)
    assert charged() == sorted(member.platform for member in members)


# -- going on to the next platform --------------------------------------------------------------


def test_an_empty_balance_sends_the_order_to_the_next_platform_and_says_so(
    cloud: Host, sandbox: Sandbox, charged: Callable[[], list[str]]
) -> None:
    sandbox.platforms["happyhorse"].always = "[[balance]]"
    made = anywhere("text2video", "happyhorse", seed=11)
    run = cloud.run(graph(any=made, sink=node("ProbeSink", value=link("any"))))
    assert run.status == "success", run.error
    assert run.probe("sink")["type"] == "VIDEO"
    assert charged() == ["opencomputing"]
    assert "Not taken, and nothing was charged there: HappyHorse" in said(run)
    jobs = cloud.route("GET", "/skyport/jobs?limit=2").json()["jobs"]
    states = {(job["platform"], job["state"]) for job in jobs}
    assert states == {("opencomputing", "delivered"), ("happyhorse", "failed")}


def test_an_order_that_fell_over_stays_where_it_was_taken_once_the_first_takes_it_again(
    cloud: Host, sandbox: Sandbox, charged: Callable[[], list[str]]
) -> None:
    sandbox.platforms["happyhorse"].always = "[[balance]]"
    made = graph(any=anywhere("text2video", "happyhorse", seed=12))
    assert cloud.run(made).status == "success"
    sandbox.platforms["happyhorse"].always = ""
    again = graph(
        any=anywhere("text2video", "happyhorse", seed=12),
        extra=node("ProbeImage", seed=4, width=8, height=8),
    )
    run = cloud.run({**again, "sink": node("ProbeSink", value=link("any"))})
    assert run.status == "success", run.error
    assert charged() == ["opencomputing"]


def test_queued_again_after_a_crash_it_stays_where_it_was_taken_with_reuse_off(
    cloud: Host, sandbox: Sandbox, charged: Callable[[], list[str]]
) -> None:
    headers, off = {"X-Skyport": "1"}, {"reuse_results": False}
    cloud.route("POST", "/skyport/setup/settings", json=off, headers=headers)
    sandbox.platforms["happyhorse"].always = "[[balance]]"
    made = anywhere("text2video", "happyhorse", seed=120)
    run = cloud.run(graph(any=made))
    sandbox.platforms["happyhorse"].always = ""
    about = {"workflow": {"skyport_prompt_id": next_id(run.prompt_id)}}
    made["inputs"]["unread"] = "ComfyUI holds no result of it"
    again = cloud.run(graph(any=made), extra_data={"extra_pnginfo": about})
    cloud.route("POST", "/skyport/setup/settings", json={"reuse_results": None}, headers=headers)
    assert (run.status, again.status, again.ran()) == ("success", "success", ["any"])
    assert charged() == ["opencomputing"]


def test_nothing_goes_on_after_a_task_that_may_have_been_charged(
    cloud: Host, sandbox: Sandbox, charged: Callable[[], list[str]]
) -> None:
    sandbox.platforms["happyhorse"].always = "[[cut_after]]"
    run = cloud.run(graph(any=anywhere("text2video", "happyhorse", seed=13)))
    assert run.status == "error"
    assert charged() == ["happyhorse"]
    sandbox.platforms["happyhorse"].always = ""
    failed(
        cloud,
        graph(any=anywhere("text2video", "happyhorse", seed=14, prompt="x [[fail:no fox]]")),
        "TaskFailed",
        "no fox",
    )
    assert charged() == ["happyhorse", "happyhorse"]


def test_a_refusal_of_an_order_begun_ahead_leads_on_and_is_not_asked_for_again(
    cloud: Host, sandbox: Sandbox, charged: Callable[[], list[str]]
) -> None:
    sandbox.platforms["happyhorse"].always = "[[balance]]"

    def refused() -> list[int]:
        asked = (seen for seen in sandbox.log if seen.method == "POST")
        return [seen.status for seen in asked if "/happyhorse/v1/" in seen.path and seen.status]

    with behind_a_gate(cloud):
        handle = cloud.start(graph(any=anywhere("text2video", "happyhorse", seed=41)))
        until(refused)
    assert handle.result().status == "success"
    assert charged() == ["opencomputing"]
    assert len(refused()) == 1


def test_without_going_on_the_first_refusal_is_the_error(
    cloud: Host, sandbox: Sandbox, charged: Callable[[], list[str]]
) -> None:
    sandbox.platforms["happyhorse"].always = "[[balance]]"
    made = anywhere("text2video", "happyhorse", seed=15, next_if_refused=False)
    failed(cloud, graph(any=made), "OutOfCredit", "HappyHorse")
    assert charged() == []


def test_without_going_on_only_the_platform_that_is_asked_first_must_be_able_to_take_it(
    cloud: Host, charged: Callable[[], list[str]]
) -> None:
    """HappyHorse takes no picture as small as this."""
    small = node("ProbeImage", seed=9, width=200, height=200)
    how = {"seed": 29, "next_if_refused": False}
    made = anywhere("image2video", "happyhorse", "happyhorse, opencomputing", **how)
    failed(cloud, graph(picture=small, any=made), "InvalidInput", "at least 300")
    assert charged() == []
    made = anywhere("image2video", "happyhorse", "opencomputing, happyhorse", **how)
    assert cloud.run(graph(picture=small, any=made)).status == "success"
    assert charged() == ["opencomputing"]


def test_where_all_refuse_one_error_names_each_and_nothing_is_charged(
    cloud: Host, sandbox: Sandbox, charged: Callable[[], list[str]]
) -> None:
    for name in ("happyhorse", "opencomputing"):
        sandbox.platforms[name].always = "[[balance]]"
    made = anywhere("text2video", "happyhorse", seed=16)
    run = failed(
        cloud, graph(any=made), "InvalidInput", "No platform took it", "nothing was charged"
    )
    assert run.error is not None
    assert run.error.message.index("HappyHorse") < run.error.message.index("OpenComputing")
    assert charged() == []


def test_each_picture_of_a_batch_goes_on_by_itself(
    cloud: Host, sandbox: Sandbox, charged: Callable[[], list[str]]
) -> None:
    """One platform takes one of two, as its balance ends between them."""
    sandbox.faults.add(
        "POST /v1/videos", "status", status=429, body={"error": {"message": "Insufficient balance"}}
    )
    batch = node("ProbeImage", seed=3, width=320, height=320, batch=2)
    made = anywhere("image2video", "happyhorse", seed=17)
    run = cloud.run(graph(picture=batch, any=made, sink=node("ProbeSink", value=link("any"))))
    assert run.status == "success", run.error
    assert charged() == ["happyhorse", "opencomputing"]


def test_the_list_of_platforms_orders_them_and_leaves_out_the_others(
    cloud: Host, sandbox: Sandbox, charged: Callable[[], list[str]]
) -> None:
    made = anywhere("text2video", "happyhorse", "OpenComputing", seed=18)
    assert cloud.run(graph(any=made)).status == "success"
    assert charged() == ["opencomputing"]
    wrong = anywhere("text2video", "happyhorse", "haiyi", seed=19)
    failed(cloud, graph(any=wrong), "InvalidInput", "haiyi", "happyhorse, opencomputing")
    assert charged() == ["opencomputing"]


def test_a_picture_that_one_platform_refuses_goes_to_the_next(
    cloud: Host, sandbox: Sandbox, charged: Callable[[], list[str]]
) -> None:
    """Refused here, by the limits of its row, before anything is uploaded."""
    small = node("ProbeImage", seed=5, width=200, height=200)
    run = cloud.run(graph(picture=small, any=anywhere("image2video", "happyhorse", seed=20)))
    assert run.status == "success", run.error
    assert charged() == ["opencomputing"]
    assert "at least 300" in said(run)


def test_without_a_key_of_any_platform_the_error_says_how_to_set_one(
    cloud: Host, monkeypatch: pytest.MonkeyPatch, charged: Callable[[], list[str]]
) -> None:
    only = anywhere("text2video", "happyhorse", seed=21)
    for name in ("HAPPYHORSE", "OPENCOMPUTING"):
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)
    if cloud.kind != "standin":
        pytest.skip("a running ComfyUI keeps the keys that it was started with")
    failed(cloud, graph(any=only), "MissingKey", "HappyHorse")
    assert charged() == []


def test_a_limit_for_one_platform_sends_the_whole_batch_to_the_next(
    cloud: Host, limited: Callable[[str], None], charged: Callable[[], list[str]]
) -> None:
    limited("happyhorse=1")
    batch = node("ProbeImage", seed=6, width=320, height=320, batch=2)
    run = cloud.run(graph(picture=batch, any=anywhere("image2video", "happyhorse", seed=26)))
    assert run.status == "success", run.error
    assert charged() == ["opencomputing", "opencomputing"]
    assert "limit" in said(run)


def test_what_a_platform_has_already_stays_there_where_a_limit_sends_the_others_on(
    cloud: Host, limited: Callable[[str], None], charged: Callable[[], list[str]]
) -> None:
    def pictures(batch: int) -> dict[str, Any]:
        picture = node("ProbeImage", seed=8, width=320, height=320, batch=batch)
        made = anywhere("image2video", "happyhorse", seed=28)
        return graph(picture=picture, any=made, sink=node("ProbeSink", value=link("any")))

    assert cloud.run(pictures(1)).status == "success"
    limited("happyhorse=0")
    run = cloud.run(pictures(3))
    assert run.status == "success", run.error
    assert charged() == ["happyhorse", "opencomputing", "opencomputing"]


def test_a_limit_over_all_platforms_refuses_before_anything_is_sent(
    cloud: Host, sandbox: Sandbox, limited: Callable[[str], None]
) -> None:
    limited("1")
    batch = node("ProbeImage", seed=7, width=320, height=320, batch=2)
    made = graph(picture=batch, any=anywhere("image2video", "happyhorse", seed=27))
    run = failed(
        cloud, made, "LimitReached", "The limit for one queue is 1 task", "asks for 2 tasks"
    )
    assert run.error is not None
    assert run.error.message.count("limit_tasks_per_queue") == 1
    assert "All 2 items failed." in run.error.message
    assert [seen.path for seen in sandbox.log if seen.method == "POST"] == []


# -- which one first ----------------------------------------------------------------------------


def test_the_fastest_is_the_one_whose_tasks_took_the_least_time_so_far(
    cloud: Host, sandbox: Sandbox, charged: Callable[[], list[str]]
) -> None:
    slow, quick = (
        anywhere("text2video", "happyhorse", name, seed=22)
        for name in ("happyhorse", "opencomputing")
    )
    assert cloud.run(graph(slow=slow, quick=quick)).status == "success"
    all_took(cloud, happyhorse=40, opencomputing=4)
    made = anywhere("text2video", "happyhorse", seed=23, order="fastest")
    run = cloud.run(graph(any=made))
    assert run.status == "success", run.error
    assert charged() == ["happyhorse", "opencomputing", "opencomputing"]
    assert "fastest so far" in said(run)


def all_took(host: Host, **seconds: float) -> None:
    """Every task of these platforms took so long, by the ledger."""
    path = host.home / "ledger.db"
    with contextlib.closing(sqlite3.connect(path, timeout=PATIENCE)) as db, db:
        for platform, took in seconds.items():
            sql = "UPDATE tasks SET submitted = ended - ? WHERE platform = ? AND submitted > 0"
            db.execute(sql, (took, platform))


@pytest.fixture
def priced(cloud: Host) -> Iterator[Callable[..., None]]:
    """Writes the person's own prices of happyhorse-1.0-t2v: (amount, unit) by platform."""
    path = cloud.home / "prices.json"

    def write(**prices: tuple[float, str]) -> None:
        tree = {
            platform: {"happyhorse-1.0-t2v": {"per": "call", "amount": amount, "unit": unit}}
            for platform, (amount, unit) in prices.items()
        }
        path.write_text(json.dumps(tree))

    yield write
    path.unlink()


def test_the_cheapest_is_the_one_with_the_lowest_known_price(
    cloud: Host, priced: Callable[..., None], charged: Callable[[], list[str]]
) -> None:
    priced(happyhorse=(0.5, "CNY"), opencomputing=(0.4, "CNY"))
    made = anywhere("text2video", "happyhorse", seed=24, order="cheapest")
    run = cloud.run(graph(any=made))
    assert run.status == "success", run.error
    assert charged() == ["opencomputing"]
    assert "cheapest known price" in said(run)


def test_prices_in_different_units_are_not_compared(
    cloud: Host, priced: Callable[..., None], charged: Callable[[], list[str]]
) -> None:
    priced(happyhorse=(500, "points"), opencomputing=(0.4, "CNY"))
    made = anywhere("text2video", "happyhorse", seed=25, order="cheapest")
    run = cloud.run(graph(any=made))
    assert run.status == "success", run.error
    assert charged() == ["happyhorse"]
    assert "prices in CNY, points cannot be compared" in said(run)


def test_the_spelling_of_a_unit_and_equal_prices_leave_the_order_as_it_is() -> None:
    prices = [
        amount and Price(Amount(*amount), Origin.OWN, amount[0], amount[0])
        for amount in [None, (2.0, "CNY"), (1.0, "cny"), (2.0, "Cny"), (1.0, "CNY")]
    ]
    assert by_price(prices) == ([2, 4, 1, 3, 0], "cheapest known price")


def test_the_form_shows_the_price_on_each_platform(
    cloud: Host, priced: Callable[..., None]
) -> None:
    priced(happyhorse=(0.5, "CNY"), opencomputing=(0.4, "CNY"))
    forms = cloud.route("GET", "/skyport/forms").json()["nodes"]["SkyportAnyTextToVideo"]
    choices = forms["models"]["happyhorse"]["choices"]
    assert [(one["platform"], one["price"]["amount"], one["price"]["unit"]) for one in choices] == [
        ("happyhorse", 0.5, "CNY"),
        ("opencomputing", 0.4, "CNY"),
    ]
