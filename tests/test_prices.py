"""Pins what an order is said to cost: by one's own prices, the platform's list or the ledger.

It is the same for the request, the order in the ledger and the form.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sandboxes import environment, set_environment
from scripted import answer_json, answer_page
from skyport import providers
from skyport.engine.base.errors import InvalidInput
from skyport.engine.base.types import Amount, MediaFile, Request, Result, Task
from skyport.engine.ledger.ledger import record_of
from skyport.engine.platforms.price_text import read_prices
from skyport.engine.spend.drivers import key_of_form, key_of_request
from skyport.engine.spend.price import Origin, Price
from skyport.engine.spend.price_book import PriceBook
from skyport.engine.spend.price_list import PriceList
from skyport.sandbox import Sandbox, start

OPEN, GPU, HORSE = "opencomputing", "gpugeek", "happyhorse"
BASE = "https://opencomputing.ai"


@pytest.fixture
def book(process: Callable[[], None]) -> Iterator[PriceBook]:
    providers.price_book.cache_clear()
    yield providers.price_book()
    providers.price_book.cache_clear()


def video(**payload: Any) -> Request:
    fields = {"model": "happyhorse-1.0-t2v", "catelogid": "t2v", "prompt": "a fox"}
    return Request(OPEN, "video/generations", {**fields, **payload}, title="happyhorse-1.0-t2v")


def workflow(number: int = 7) -> Request:
    nodes = {"1": {"class_type": "KSampler", "inputs": {"steps": 20}}}
    return Request(GPU, "prompt", {"workflow_id": number, "task_type": 1, "prompt": nodes})


def charge(
    request: Request,
    cost: float | None,
    base_url: str = BASE,
    fails: bool = False,
    unit: str = "",
) -> None:
    """One task of `request` that is over, in the ledger."""
    ledger = providers.ledger()
    charge.number += 1
    record = replace(record_of(request, base_url), unit=unit)
    ledger.record_intent(record)
    ledger.record_accepted(record, Task(request.platform, request.endpoint, f"t{charge.number}"))
    if not fails:
        result = Result(f"t{charge.number}", cost=cost)
        ledger.record_result(record.fingerprint, result)
        ledger.record_delivered(record.fingerprint)


charge.number = 0


def own(home: Path, prices: Mapping[str, Any]) -> None:
    (home / "prices.json").write_text(json.dumps(prices), encoding="utf-8")


def cost_of(price: Price | None) -> tuple[float, str, Origin] | None:
    return (price.amount.value, price.amount.unit, price.origin) if price else None


# -- the key ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "values"),
    [
        ({"model": "m", "duration": 5, "n": 1}, {"duration": "5"}),
        ({"model": "m", "input": {"seconds": "5"}, "parameters": {"resolution": "720P"}},
         {"duration": 5.0, "resolution": "720p"}),
        ({"model": "m", "size": "1920*1080", "num_images": 4}, {"count": 4, "size": "1920 x 1080"}),
        ({"model": "m", "metadata": [{"generate_audio": True}]}, {"sound": True}),
        ({"model": "m", "prompt": '{"duration": 9}', "audio": "https://x.example/a.mp3"}, {}),
        ({"model": "m", "duration": 5}, {"parameters": '{"duration": 5}'}),
    ],
)  # fmt: skip
def test_a_request_and_a_form_have_one_key(payload, values):
    assert key_of_request("happyhorse", payload).drivers == key_of_form(HORSE, "m", values).drivers


def test_a_files_content_is_no_parameter():
    file = MediaFile(Path("x.mp3"), "x.mp3", "audio/mpeg", "abc", 3, duration=7.0)
    assert key_of_request(HORSE, {"model": "m", "audio": file}).drivers == {}
    assert key_of_request(HORSE, {"model": "m", "audio": {"sha256": "abc"}}).drivers == {}


def test_the_nodes_of_a_workflow_are_no_parameters():
    assert key_of_request(GPU, workflow().payload).drivers == {}


@pytest.mark.parametrize("depth", range(50, 1000, 50))
def test_an_object_in_a_text_is_read_to_a_depth_that_is_no_danger(depth):
    text = '{"a":' * depth + '{"duration": 5}' + "}" * depth
    key = key_of_request("haiyi", {"model": "m", "parameters": text})
    assert key.drivers == ({"duration": "5"} if depth < 100 else {})


def test_a_link_is_a_value_that_is_not_known_yet():
    assert key_of_form(HORSE, "m", {"duration": ["4", 0]}).drivers == {"duration": None}


# -- learnt -------------------------------------------------------------------------------------


def test_nothing_is_known_before_the_first_task(book):
    assert book.price(video(), BASE) is None


def test_the_price_is_the_median_of_equal_orders_with_its_spread(book):
    for seed, cost in enumerate([10, 12, 11]):
        charge(video(prompt=f"fox {seed}", duration=5), cost)
    assert book.price(video(prompt="an owl", duration=5), BASE) == Price(
        Amount(11, "credits"), Origin.LEARNT, lowest=10, highest=12, tasks=3
    )


def test_a_parameter_left_out_is_the_models_default(book):
    charge(video(duration=5, resolution="720P"), 10)
    assert cost_of(book.price(video(), BASE)) == (10, "credits", Origin.LEARNT)


def test_another_resolution_is_another_price(book):
    charge(video(resolution="720P"), 10)
    assert book.price(video(resolution="1080P"), BASE) is None


def test_another_address_is_another_price(book):
    charge(video(), 10)
    assert book.price(video(), "https://elsewhere.example") is None


def test_the_sandbox_has_one_price_whatever_its_port(book):
    charge(video(), 10, base_url="http://127.0.0.1:4711/opencomputing")
    assert cost_of(book.price(video(), "http://127.0.0.1:5000/opencomputing"))[0] == 10
    assert book.price(video(), BASE) is None


def test_a_length_of_its_own_is_reckoned_only_from_a_constant_rate(book):
    charge(video(duration=5), 10)
    assert book.price(video(duration=8), BASE) is None  # one length shows no rate
    charge(video(duration=10), 20)
    assert cost_of(book.price(video(duration=8), BASE)) == (16, "credits", Origin.LEARNT)
    charge(video(duration=15), 20)
    assert book.price(video(duration=8), BASE) is None  # it is no price per second


def test_what_is_not_known_of_the_order_makes_its_price_unknown(book):
    charge(video(), 10)
    values = {"duration": ["4", 0]}
    assert book.price_of(key_of_form(OPEN, "happyhorse-1.0-t2v", values, "t2v"), BASE) is None


def test_what_was_charged_in_another_unit_is_left_out(book):
    for cost, unit in ((500, "points"), (10, "CNY"), (12, "CNY")):
        charge(video(prompt=f"{cost}"), cost, unit=unit)
    assert book.price(video(), BASE) == Price(Amount(11, "CNY"), Origin.LEARNT, 10, 12, tasks=2)
    charge(video(), 300, unit="points")
    assert cost_of(book.price(video(), BASE)) == (400, "points", Origin.LEARNT)


def test_rates_of_another_unit_are_left_out(book):
    for length, unit in ((10, "points"), (5, "CNY")):
        charge(video(duration=length), 2 * length, unit=unit)
    assert book.price(video(duration=8), BASE) is None


def test_a_charge_whose_unit_was_not_kept_is_in_that_of_its_platform(book):
    charge(video(prompt="old"), 10)
    charge(video(prompt="new"), 12, unit="credits")
    price = book.price(video(), BASE)
    assert (cost_of(price), price.tasks) == ((11, "credits", Origin.LEARNT), 2)


def test_a_task_that_failed_teaches_nothing(book):
    charge(video(), None)
    charge(video(duration=6), 10, fails=True)
    assert book.price(video(), BASE) is None


def test_a_hosted_workflow_is_learnt_by_its_number(book):
    charge(workflow(7), 0.11, base_url="https://comfyapi.gpugeek.com")
    price = book.price(workflow(7), "https://comfyapi.gpugeek.com")
    assert cost_of(price) == (0.11, "CNY", Origin.LEARNT)
    assert book.price(workflow(8), "https://comfyapi.gpugeek.com") is None


# -- the person's own ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "payload", "amount"),
    [
        ({"per": "call", "amount": 3, "unit": "CNY"}, {"n": 4}, 3),
        ({"per": "picture", "amount": 0.1, "unit": "CNY"}, {"n": 3}, 0.3),
        ({"per": "second", "amount": 0.5, "unit": "CNY"}, {"duration": 4}, 2),
        ({"per": "second", "amount": 0.5, "unit": "CNY"}, {"duration": 4, "n": 2}, 4),
        ({"per": "1k_tokens", "amount": 2, "unit": "CNY"}, {"prompt": "abcd" * 500}, 3),
    ],
)
def test_a_price_counts_calls_pictures_seconds_or_tokens(book, home, entry, payload, amount):
    own(home, {HORSE: {"m": entry}})
    price = book.price(Request(HORSE, "videos", {"model": "m", **payload}), "https://x.example")
    assert cost_of(price) == (amount, "CNY", Origin.OWN)


def test_a_price_per_second_is_unknown_without_a_length(book, home):
    own(home, {HORSE: {"m": {"per": "second", "amount": 0.5, "unit": "CNY"}}})
    assert book.price(Request(HORSE, "videos", {"model": "m"}), "https://x.example") is None


TWO = [
    {"amount": 1, "unit": "cny", "when": {"resolution": "720P"}},
    {"amount": 2, "unit": "CNY", "when": {"resolution": "1080p", "n": 1}},
]


@pytest.mark.parametrize(
    ("payload", "prices"),
    [
        ({"resolution": "720p"}, (1, 1)),
        ({"metadata": {"resolution": "1080P"}}, (2, 2)),
        ({}, (1, 2)),
        ({"resolution": "4k"}, None),
    ],
)
def test_a_price_that_depends_on_what_is_not_known_is_a_span(book, home, payload, prices):
    own(home, {HORSE: {"m": TWO}})
    price = book.price(Request(HORSE, "videos", {"model": "m", **payload}), "https://x.example")
    assert (prices is None) == (price is None)
    if price is not None:
        assert (price.lowest, price.highest, price.reserved.value) == (*prices, prices[1])


def test_a_star_is_the_price_of_every_other_model(book, home):
    star, named = {"amount": 1, "unit": "CNY"}, {"amount": 2, "unit": "CNY"}
    own(home, {"haiyi": {"*": star, "kling-v3": named, "1234": named}})
    model = {"provider": "kwai", "model": "kling-v3", "type": "image2video"}
    asked = [{"model": model}, {"model": {**model, "model": "x"}}, {"workflow_id": "1234"}]
    asked.append({"parameters": {"prompt": {}}, "cluster_name": "auto"})
    prices = [book.price(Request("haiyi", "x", payload), "https://x.example") for payload in asked]
    assert [price.amount.value for price in prices] == [2, 1, 2, 1]


def test_ones_own_price_comes_before_what_was_learnt(book, home):
    charge(video(), 10)
    own(home, {OPEN: {"*": {"amount": 7, "unit": "CNY"}}})
    assert cost_of(book.price(video(), BASE)) == (7, "CNY", Origin.OWN)
    (home / "prices.json").unlink()
    assert cost_of(book.price(video(), BASE)) == (10, "credits", Origin.LEARNT)


def test_an_entry_without_a_unit_has_that_of_its_platform(book, home):
    own(home, {OPEN: {"*": {"amount": 7}}})
    assert cost_of(book.price(video(), BASE)) == (7, "credits", Origin.OWN)


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ({"nowhere": {}}, "prices.json: nowhere must be one of: "),
        ({"haiyi": []}, "prices.json: haiyi must be an object"),
        ({"haiyi": {"m": 3}}, "prices.json: haiyi.m must be an object"),
        ({"haiyi": {"m": {"amount": 3}}}, "haiyi.m must be unit: "),
        ({"haiyi": {"m": {"amount": -1, "unit": "CNY"}}}, "haiyi.m must be amount: "),
        ({"haiyi": {"m": {"amount": True, "unit": "CNY"}}}, "haiyi.m must be amount: "),
        ({"haiyi": {"m": {"amount": 1e308, "unit": "CNY"}}}, "haiyi.m must be amount: "),
        (
            {"haiyi": {"m": [{"amount": 1, "unit": "CNY", "per": "hour"}]}},
            r"haiyi.m\[1\] must be per",
        ),
        ({"haiyi": {"m": {"amount": 1, "unit": "CNY", "when": {"colour": 1}}}}, "m must be when: "),
    ],
)
def test_a_price_that_cannot_be_read_is_named(book, home, prices, words):
    own(home, prices)
    with pytest.raises(InvalidInput, match=words):
        book.price(video(), BASE)


# -- a platform's own words ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "prices"),
    [
        ("$0.0150/\u6b21", [("call", 0.015, "USD", {})]),
        (
            "720P $0.0600/\u79d2(720P)\uff0c$0.0900/\u79d2(1080P)",
            [("second", 0.06, "USD", {"resolution": "720P"}),
             ("second", 0.09, "USD", {"resolution": "1080P"})],
        ),
        ("10 credits/\u6b21", [("call", 10, "credits", {})]),
        ("0.5\u5143/\u5f20", [("picture", 0.5, "CNY", {})]),
        ("$2/1M tokens", [("1k_tokens", 0.002, "USD", {})]),
        ("$1/1M tokens, $2/1M tokens", []),  # which is for what goes in is not said
        ("from $3", []),
        ("$0.5/\u79d2(720P), 1080P: $3", []),
        ("$0.1/\u79d2(with sound)", []),
        ("billed by use", []),
    ],
)  # fmt: skip
def test_amounts_are_read_only_where_all_of_them_can_be(text, prices):
    found = [tuple(price.values()) for price in read_prices(text)]
    assert found == prices


# -- price lists --------------------------------------------------------------------------------


@pytest.fixture
def priced(book: PriceBook, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[PriceBook, Sandbox]]:
    """The book, and a new sandbox that tells prices."""
    with start(pace=0.01) as sandbox:
        set_environment(monkeypatch, environment(sandbox, OPEN, HORSE))
        yield book, sandbox


def refresh(platform: str) -> None:
    providers.runner().engine.run(providers.refresh_prices(platform))


def asked(sandbox: Sandbox) -> list[str]:
    return [seen.path for seen in sandbox.log if "pric" in seen.path]


def test_a_list_is_read_and_kept(priced):
    book, sandbox = priced
    refresh(OPEN)
    refresh(HORSE)
    assert cost_of(book.price(video(), sandbox.base_url(OPEN))) == (10, "credits", Origin.LIST)
    film = Request(HORSE, "videos", {"model": "kling-video", "duration": 5, "resolution": "720p"})
    price = book.price(film, sandbox.base_url(HORSE))
    assert cost_of(price) == (0.3, "USD", Origin.LIST)
    assert price.text.startswith("$0.0600/")


def test_each_task_of_a_model_has_its_own_price(priced):
    book, sandbox = priced
    refresh(OPEN)
    tasks = {"t2v": 10, "ref2v": 12}
    for task, credits in tasks.items():
        payload = {"model": "doubao-seedance-2-0-260128", "catelogid": task}
        price = book.price(Request(OPEN, "x", payload), sandbox.base_url(OPEN))
        assert price.amount.value == credits


def test_words_without_an_amount_are_shown_and_no_price(priced):
    book, sandbox = priced
    refresh(HORSE)
    key = key_of_form(HORSE, "omni_flash", {})
    assert book.price_of(key, sandbox.base_url(HORSE)) is None
    assert book.text(key, sandbox.base_url(HORSE)) == "billed by use"


def test_a_list_that_is_there_is_not_asked_for_again(priced):
    _, sandbox = priced
    refresh(HORSE)
    refresh(HORSE)
    assert len(asked(sandbox)) == 1


def test_a_list_that_cannot_be_kept_is_not_asked_for_at_every_change_of_a_graph(priced, home):
    _, sandbox = priced
    (home / "prices").write_text("no folder")
    with pytest.raises(InvalidInput, match="prices"):
        refresh(HORSE)
    refresh(HORSE)
    assert len(asked(sandbox)) == 1


def test_a_list_is_due_after_a_day_and_a_failure_after_an_hour(priced):
    _, sandbox = priced
    provider, now = providers.connect(HORSE), [1000.0]
    price_list = PriceList(type(provider), "https://x.example", lambda: now[0])
    assert price_list.is_due()
    price_list.refresh(provider, ())
    ages = {86399.0: False, 86400.0: True, -1.0: True}
    for age, is_due in ages.items():
        now[0] = 1000.0 + age
        assert price_list.is_due() is is_due
    now[0] = 1000.0
    sandbox.platforms[HORSE].prices = False
    price_list.refresh(provider, ())
    assert "api/pricing" in price_list.error
    for age, is_due in {3599.0: False, 3600.0: True}.items():
        now[0] = 1000.0 + age
        assert price_list.is_due() is is_due


@pytest.mark.parametrize("platform", [OPEN, HORSE])
def test_a_platform_without_a_list_stays_without_and_keeps_what_it_had(priced, platform):
    book, sandbox = priced
    sandbox.platforms[platform].prices = False
    refresh(platform)
    assert len(asked(sandbox)) == 1  # not for every model
    assert book.price(video(), sandbox.base_url(OPEN)) is None


def test_a_failure_keeps_the_list_that_was_there(priced):
    book, sandbox = priced
    provider = providers.connect(OPEN)
    price_list = PriceList(type(provider), provider.http.base_url)
    models = providers.catalogue(OPEN).models()
    price_list.refresh(provider, models)
    sandbox.platforms[OPEN].prices = False
    price_list.refresh(provider, models)
    assert price_list.error
    assert cost_of(book.price(video(), sandbox.base_url(OPEN)))[0] == 10


def test_a_refresh_of_the_models_brings_the_prices(priced):
    book, sandbox = priced
    providers.runner().engine.run(providers.refresh(OPEN))
    assert cost_of(book.price(video(), sandbox.base_url(OPEN)))[0] == 10


def test_the_price_of_an_order_never_asks_the_network(priced):
    book, sandbox = priced
    assert book.price(video(), sandbox.base_url(OPEN)) is None
    assert not list(sandbox.log)


def test_a_list_that_is_no_list_is_a_failure_that_is_noted(book, server, monkeypatch):
    monkeypatch.setenv("HAPPYHORSE_BASE_URL", server.url + "/v1")
    monkeypatch.setenv("HAPPYHORSE_API_KEY", "secret")
    for answer in (answer_json({"data": {}}), answer_page("<html>", 200), answer_json([1])):
        server.on("/api/pricing", answer)
        provider = providers.connect(HORSE)
        price_list = PriceList(type(provider), provider.http.base_url)
        price_list.refresh(provider, ())
        assert price_list.error
    assert all("Authorization" not in seen.headers for seen in server.seen)


def test_a_nodes_task_is_that_of_its_platform(host):
    """What moves a price is named twice: on the node, and for whoever has no nodes."""
    from skyport.nodes._base.registry import all_nodes

    for node in all_nodes():
        has_own = hasattr(node, "task") and node.platform
        tasks = providers.provider_class(node.platform).node_tasks if has_own else {}
        if tasks:
            assert [task for end, task in tasks.items() if node.id.endswith(end)][-1] == node.task
