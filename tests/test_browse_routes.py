"""Pins what the dialog of all models is given: every model that is offered once, what it takes,
costs and has made, and words in two languages to find it by.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _host_ledger import HostLedger, picture
from _waiting import until
from host import Host
from sandboxes import environment
from skyport.engine.base.types import Kind, ResultFile
from skyport.engine.ledger.ledger import State
from skyport.engine.platforms.catalogue import realm_of
from skyport.providers.haiyi import HaiYi
from skyport.sandbox import Sandbox

KLING = "kwai/kling-v3"
BUILT_IN = Path(__file__).parent.parent / "providers" / "haiyi" / "models.json"


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    return environment(sandbox, "haiyi", "happyhorse")


@pytest.fixture
def host(own_host: Host) -> Iterator[Host]:
    yield own_host
    for name in ("settings.json", "prices.json"):
        (own_host.home / name).unlink(missing_ok=True)


def answer(host: Host) -> dict[str, Any]:
    found = host.route("GET", "/skyport/models")
    assert found.status_code == 200, found.text
    body: dict[str, Any] = found.json()
    return body


def card(host: Host, model: str, node: str) -> dict[str, Any]:
    (found,) = (
        one for one in answer(host)["models"] if (one["model"], one["node"]) == (model, node)
    )
    return dict(found)


def video(host: Host, model: str = KLING) -> dict[str, Any]:
    return card(host, model, "SkyportHaiyiTextToVideo")


def made(ledger: HostLedger, base_url: str, task: str = "text2video", **more: Any) -> int:
    """A job of HaiYi's model, at that address."""
    model = {"provider": "kwai", "model": "kling-v3", "type": task}
    return ledger.add(State.DELIVERED, model=model, place=base_url, **more)


# -- which models -------------------------------------------------------------------------------


def test_every_model_that_a_node_offers_is_there_once(host: Host):
    found = [(one["node"], one["model"]) for one in answer(host)["models"]]
    assert len(found) == len(set(found))
    forms = host.client.get("/object_info").json()
    for node, model in found:
        (_, about) = forms[node]["input"]["required"]["model"]
        assert model in [option["key"] for option in about["options"]]
    offered = {
        (name, option["key"])
        for name, form in forms.items()
        for kind, about in [form["input"]["required"].get("model", ("", {}))]
        if name.startswith("Skyport") and kind == "COMFY_DYNAMICCOMBO_V3"
        for option in about["options"]
        if option["key"] != "custom"
    }
    assert set(found) == offered


def test_tasks_are_named_alike_on_every_platform(host: Host):
    body = answer(host)
    of_task = {one["platform"] for one in body["models"] if one["task"] == "TextToVideo"}
    assert of_task == {"", "haiyi", "happyhorse", "opencomputing"}
    labels = {one["name"]: one["label"] for one in body["tasks"]}
    assert labels["FirstLastFrameToVideo"] == "First and last frame to video"
    assert set(labels) == {one["task"] for one in body["models"]}
    assert [name for name, label in labels.items() if name == label] == ["Chat"]


def test_a_platform_without_a_key_says_so(host: Host):
    ready = {one["name"]: one["ready"] for one in answer(host)["platforms"]}
    assert ready == {"": True, "haiyi": True, "happyhorse": True, "opencomputing": False}


@pytest.fixture
def listed(host: Host, sandbox: Sandbox) -> Iterator[None]:
    """HaiYi has listed its models: one is gone since, and one is of a type without a node."""
    rows = json.loads(BUILT_IN.read_text(encoding="utf-8"))
    gone = next(row for row in rows if row["type"] == "text2video") | {"retired": True}
    other = {**gone, "type": "text2sound", "retired": False}
    realm = realm_of(sandbox.base_url("haiyi"), HaiYi.default_base_url)
    path = host.home / "catalogue" / f"haiyi.{realm}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([gone, other]), encoding="utf-8")
    until(lambda: "text2sound" in tasks(host))
    yield
    path.unlink()
    until(lambda: "text2sound" not in tasks(host))


def tasks(host: Host) -> list[str]:
    return [one["name"] for one in answer(host)["tasks"]]


def test_a_retired_model_is_not_offered_and_one_of_another_type_is(host: Host, listed: None):
    found = [one for one in answer(host)["models"] if one["platform"] == "haiyi"]
    assert "TextToVideo" not in [one["task"] for one in found if one["model"] == KLING]
    (other,) = (one for one in found if one["task"] == "text2sound")
    assert other["model"] == f"{KLING} (text2sound)"
    forms = host.client.get("/object_info").json()
    (_, about) = forms[other["node"]]["input"]["required"]["model"]
    assert other["model"] in [option["key"] for option in about["options"]]


# -- what is said of one ------------------------------------------------------------------------


def test_a_model_says_what_it_makes_and_takes_with_limits_in_words(host: Host):
    found = card(host, "video-pro-720p", "SkyportHappyHorseMultimodalToVideo")
    assert found["makes"] == ["video"]
    assert found["takes"] == [
        medium("images", "image", most=9, limits="at least 300 x 300 px; at most 30 MB; jpeg, png"),
        medium("audio", "audio", limits="at most 15 MB; 2 to 14 s; mp3"),
        medium("video", "video", limits="at most 50 MB; 2 to 14 s; mp4"),
    ]


def medium(name: str, kind: str, **more: Any) -> dict[str, Any]:
    fields = {"name": name, "kind": kind, "required": True, "most": None, "limits": ""}
    return {**fields, **more}


def test_a_family_takes_what_its_node_takes(host: Host):
    found = card(host, "happyhorse", "SkyportAnyImageToVideo")
    assert found["takes"] == [medium("image", "image")]
    assert {one["platform"] for one in found["choices"]} == {"happyhorse", "opencomputing"}


def test_a_model_is_found_by_its_brand_and_task_in_both_languages(host: Host):
    words = video(host)["words"].splitlines()
    assert {
        KLING,
        "Text to video",
        "kling",
        "\u53ef\u7075",
        "t2v",
        "\u6587\u751f\u89c6\u9891",
    } <= set(words)
    gpt = card(host, "gpt-image-2", "SkyportHappyHorseTextToImage")["words"].splitlines()
    assert {"openai", "\u6587\u751f\u56fe"} <= set(gpt)
    assert "\u53ef\u7075" not in gpt


def test_a_price_has_its_unit_and_its_origin(host: Host):
    prices = {"haiyi": {KLING: {"per": "call", "amount": 2, "unit": "CNY"}}}
    (host.home / "prices.json").write_text(json.dumps(prices))
    price = video(host)["price"]
    assert (price["amount"], price["unit"], price["origin"]) == (2, "CNY", "own")


# -- what the ledger knows ----------------------------------------------------------------------


def test_nothing_is_said_of_a_model_that_was_never_run(ledger: HostLedger):
    found = video(ledger.host)
    assert (found["seconds"], found["timed"], found["example"]) == (None, 0, None)


def test_a_model_shows_the_newest_picture_that_is_still_here(
    ledger: HostLedger, sandbox: Sandbox, tmp_path: Path
):
    base_url = sandbox.base_url("haiyi")
    made(ledger, base_url, files=[picture(tmp_path / "old.png")])
    kept = picture(tmp_path / "kept.png")
    job = made(ledger, base_url, files=[sound(tmp_path / "a.mp3"), kept])
    gone = picture(tmp_path / "gone.png")
    gone.path.unlink()
    made(ledger, base_url, files=[gone])
    made(ledger, base_url, files=[sound(tmp_path / "b.mp3")])
    made(ledger, base_url, "image2video", files=[picture(tmp_path / "other.png")])
    found = video(ledger.host)
    assert found["example"] == {"job": job, "version": kept.sha256[:12]}
    assert ledger.host.route("GET", f"/skyport/jobs/{job}/thumbnail").status_code == 200


def sound(path: Path) -> ResultFile:
    path.write_bytes(b"ID3")
    return ResultFile(path, Kind.AUDIO, "audio/mpeg", 3, path.name)


def test_a_model_says_how_long_it_took_and_by_how_many_tasks(ledger: HostLedger, sandbox: Sandbox):
    for seconds in (10, 90, 30):
        ledger.took(made(ledger, sandbox.base_url("haiyi")), seconds)
    found = video(ledger.host)
    assert (found["seconds"], found["timed"]) == (pytest.approx(30), 3)


def test_another_address_another_task_and_a_failure_teach_nothing(
    ledger: HostLedger, sandbox: Sandbox, tmp_path: Path
):
    made(ledger, "https://elsewhere.example", files=[picture(tmp_path / "a.png")])
    made(ledger, sandbox.base_url("haiyi"), "image2video")
    ledger.add(State.FAILED, place=sandbox.base_url("haiyi"))
    found = video(ledger.host)
    assert (found["seconds"], found["example"]) == (None, None)


def test_a_request_that_is_no_object_does_not_hide_the_models(ledger: HostLedger, sandbox: Sandbox):
    ledger.change(made(ledger, sandbox.base_url("haiyi")), request="[1]")
    assert video(ledger.host)["seconds"] is None


def test_a_ledger_of_thousands_of_long_workflows_is_quick_to_look_through(ledger: HostLedger):
    ledger.add_many(5000)
    assert len(answer(ledger.host)["models"]) > 60
