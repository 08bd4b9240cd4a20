"""Pins the routes of the settings page: a key goes in once and never comes out, not even in an
error; an address cannot be changed under a key; a setting is refused with words; nothing acts on a
GET or for a foreign page.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from host import Host, graph, link, node
from sandboxes import environment
from scripted import closed_port
from skyport.engine.base.errors import AuthRejected
from skyport.engine.base.types import Result, Task
from skyport.engine.http.client import Http
from skyport.engine.ledger.ledger import TaskRecord
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.sqlite_store import Store
from skyport.providers import names, provider_class
from skyport.sandbox import Sandbox, start
from skyport.sandbox.gpugeek import WORKFLOW_ID

OURS = {"X-Skyport": "1"}
SECRET = "sk-a-secret-that-nobody-may-see-7Q4z"
ACTS = ("key", "key/remove", "test", "settings", "clusters")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start(pace=0.01) as sandbox:
        sandbox.platforms["opencomputing"].prices = False
        yield sandbox


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    haiyi = {"HAIYI_BASE_URL": sandbox.base_url("haiyi")}
    return {**haiyi, **environment(sandbox, "opencomputing"), "SKYPORT_MAX_PARALLEL": "3"}


@pytest.fixture
def host(own_host: Host) -> Host:
    for name in ("keys.json", "settings.json"):
        (own_host.home / name).unlink(missing_ok=True)
    return own_host


def setup(host: Host) -> dict[str, Any]:
    answer = host.route("GET", "/skyport/setup")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def act(host: Host, path: str, **fields: Any) -> Any:
    return host.route("POST", f"/skyport/setup/{path}", json=fields, headers=OURS)


def platform(body: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in body["platforms"] if one["name"] == name)


def key(body: dict[str, Any], name: str) -> tuple[bool, str, str]:
    seen = platform(body, name)["key"]
    return seen["set"], seen["last4"], seen["source"]


# -- keys ---------------------------------------------------------------------------------------


def test_a_key_is_kept_closed_to_others_and_only_its_end_is_told(host):
    answer = act(host, "key", platform="haiyi", key=SECRET)
    assert key(answer.json(), "haiyi") == (True, "7Q4z", "file")
    assert key(setup(host), "haiyi") == (True, "7Q4z", "file")
    assert SECRET not in answer.text + host.route("GET", "/skyport/setup").text
    stored = host.home / "keys.json"
    assert json.loads(stored.read_text())["haiyi"] == SECRET
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600


def test_nothing_is_told_of_a_short_key(host):
    answer = act(host, "key", platform="haiyi", key="abc1234")
    assert key(answer.json(), "haiyi") == (True, "", "file")


def test_a_key_of_the_environment_is_told_as_such(host, sandbox):
    end = sandbox.key("opencomputing")[-4:]
    assert key(setup(host), "opencomputing") == (True, end, "environment")


def test_a_key_is_removed(host):
    act(host, "key", platform="haiyi", key=SECRET)
    assert key(act(host, "key/remove", platform="haiyi").json(), "haiyi") == (False, "", "")


def test_both_keys_of_a_bucket_are_kept_and_removed_together(host):
    answer = act(host, "key", platform="s3", access="AKIA-0123456789-ACCESS", secret=SECRET)
    assert answer.json()["s3"]["last4"] == "CESS"
    assert SECRET not in answer.text
    assert act(host, "key/remove", platform="s3").json()["s3"]["set"] is False


@pytest.mark.parametrize(
    "fields",
    [
        {"platform": "haiyi", "key": f"{SECRET} {SECRET}"},
        {"platform": "haiyi", "key": [SECRET]},
        {"platform": "haiyi", "key": SECRET * 1000},
        {"platform": "haiyi", "key": f"{SECRET}\u6d77"},
        {"platform": SECRET, "key": SECRET},
        {"platform": [SECRET]},
        {"key": SECRET},
        {"platform": "s3", "access": SECRET, "secret": ""},
    ],
)
def test_what_cannot_be_a_key_is_refused_without_being_repeated(host, fields):
    answer = act(host, "key", **fields)
    assert answer.status_code == 400
    assert answer.json()["error"] == "InvalidInput"
    assert SECRET not in answer.text
    assert not (host.home / "keys.json").exists()
    assert SECRET not in host.log_text()


def test_a_body_that_is_no_json_is_refused_without_being_repeated(host):
    head = {**OURS, "Content-Type": "application/json"}
    answer = host.client.call("POST", "/api/skyport/setup/key", data=SECRET, headers=head)
    assert answer.status_code == 400
    assert SECRET not in answer.text


# -- who may ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ACTS)
def test_a_get_does_nothing(host, path):
    assert host.route("GET", f"/skyport/setup/{path}").status_code in (404, 405)


@pytest.mark.parametrize("path", ACTS)
@pytest.mark.parametrize("head", [{}, {**OURS, "Origin": "https://evil.example"}])
def test_a_foreign_page_is_refused(host, path, head):
    fields = {"platform": "haiyi", "key": SECRET}
    answer = host.route("POST", f"/skyport/setup/{path}", json=fields, headers=head)
    assert answer.status_code == 403
    assert not (host.home / "keys.json").exists()


# -- test ---------------------------------------------------------------------------------------


def test_a_good_key_is_told_by_one_free_question(host, sandbox):
    act(host, "key", platform="haiyi", key=sandbox.key("haiyi"))
    before, charged = len(sandbox.log.all()), sum(sandbox.charges.values())
    body = act(host, "test", platform="haiyi").json()
    assert body["ok"] is True
    assert "models" in body["message"]
    assert len(sandbox.log.all()) == before + 1
    assert sum(sandbox.charges.values()) == charged


def test_a_bad_key_is_told_in_the_words_of_the_platform(host):
    act(host, "key", platform="haiyi", key=SECRET)
    answer = act(host, "test", platform="haiyi")
    assert answer.json()["ok"] is False
    assert answer.json()["message"].startswith("HaiYi")
    assert SECRET not in answer.text


def test_the_last_test_is_remembered_until_the_key_changes(host, sandbox):
    def last(body: dict[str, Any]) -> str:
        return str(platform(body, "haiyi")["test"])

    assert last(act(host, "key", platform="haiyi", key=sandbox.key("haiyi")).json()) == ""
    assert act(host, "test", platform="haiyi").json()["state"] == "works"
    assert last(setup(host)) == "works"
    assert last(act(host, "key", platform="haiyi", key=SECRET).json()) == ""
    assert act(host, "test", platform="haiyi").json()["state"] == "refused"
    assert last(setup(host)) == "refused"


def test_an_address_where_nothing_answers_is_unreachable(host):
    gone = f"http://127.0.0.1:{closed_port()}"
    act(host, "settings", base_urls={"happyhorse": gone})
    act(host, "key", platform="happyhorse", key=SECRET)
    body = act(host, "test", platform="happyhorse").json()
    assert (body["ok"], body["state"]) == (False, "unreachable")
    assert platform(setup(host), "happyhorse")["test"] == "unreachable"


def test_a_good_test_does_not_read_like_an_error(sandbox):
    for name in names():
        kind = provider_class(name)
        auth = kind.auth_headers(sandbox.key(name))
        message = kind(Http(kind.label, sandbox.base_url(name), auth)).check()
        assert "said" not in message
        assert "not" not in message


def test_the_bucket_is_tested_too(host):
    body = act(host, "test", platform="s3").json()
    assert (body["ok"], body["state"]) == (False, "")
    assert "s3_bucket is not set" in body["message"]


def test_a_platform_says_what_it_is_and_where_its_keys_are_made(host):
    cards = setup(host)["platforms"]
    assert [one["name"] for one in cards if not one["about"]] == []
    pages = {name: provider_class(name).page_for_keys for name in names()}
    defaults = {name: provider_class(name).default_base_url for name in names()}
    assert {name: page(defaults[name]) for name, page in pages.items()} == {
        "gpugeek": "",  # its document names no page
        "haiyi": "https://art.huya.info",
        "happyhorse": "",
        "opencomputing": "https://ai.opencomputing.cn",
        "comfyui": "",
    }
    keys_of_horse = pages["happyhorse"]("https://kaiyuncode.com/v1")
    assert keys_of_horse == "https://kaiyuncode.com/account/api-key"
    assert pages["happyhorse"]("https://kaiyuncode.com.x.example") == ""


def test_a_test_without_a_key_says_where_to_enter_one(host):
    body = act(host, "test", platform="haiyi").json()
    assert body["ok"] is False
    assert "settings under Skyport" in body["message"]


@pytest.mark.parametrize("name", names())
def test_every_platform_tells_a_good_key_from_a_bad_one_for_nothing(sandbox, name):
    def connected(key: str) -> Any:
        kind = provider_class(name)
        return kind(Http(kind.label, sandbox.base_url(name), kind.auth_headers(key)))

    charged = sum(sandbox.charges.values())
    assert connected(sandbox.key(name)).check().startswith("It answers")
    with pytest.raises(AuthRejected):
        connected(SECRET).check()
    assert sum(sandbox.charges.values()) == charged


# -- settings -----------------------------------------------------------------------------------


def test_a_setting_is_kept_and_null_takes_it_back(host):
    setting = act(host, "settings", keep_days=7).json()["settings"]["keep_days"]
    assert (setting["value"], setting["source"], setting["default"]) == (7, "file", 90)
    assert act(host, "settings", keep_days=None).json()["settings"]["keep_days"]["value"] == 90


def test_a_setting_of_the_environment_names_its_variable(host):
    setting = setup(host)["settings"]["max_parallel"]
    assert (setting["value"], setting["source"]) == (3, "environment")
    assert setting["variable"] == "SKYPORT_MAX_PARALLEL"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("max_parallel", 0, "a whole number, 1 or more"),
        ("results_dir", "pictures", "the full path of a folder"),
        ("media_host", "nowhere", "one of: auto, s3, haiyi"),
        ("colour", "red", "no setting named colour"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_words(host, name, value, words):
    answer = act(host, "settings", **{name: value})
    assert answer.status_code == 400
    assert words in answer.json()["message"]
    assert not (host.home / "settings.json").exists()


def test_no_page_moves_the_ledger_to_another_server(host, home):
    refused = act(host, "settings", keep_days=7, ledger_url="postgresql://me@elsewhere/db")
    assert "not changed on this page" in refused.json()["message"]
    assert not (home / "settings.json").exists()


def test_a_results_folder_that_cannot_be_written_is_refused_when_it_is_set(host, tmp_path):
    (tmp_path / "taken").write_text("a file")
    answer = act(host, "settings", results_dir=str(tmp_path / "taken" / "pictures"))
    assert answer.status_code == 400
    assert "cannot be written" in answer.json()["message"]
    assert not (host.home / "settings.json").exists()


def test_a_settings_file_that_is_broken_is_told(host):
    (host.home / "settings.json").write_text("{", encoding="utf-8")
    answer = host.route("GET", "/skyport/setup")
    assert answer.status_code == 400
    assert "settings.json" in answer.json()["message"]


def test_names_that_would_lock_this_page_out_are_refused(host):
    """Behind a proxy the page has a name, and the setting could not be taken back."""
    head = {**OURS, "Host": "comfy.example.com", "Origin": "https://comfy.example.com"}

    def change(names: Any) -> Any:
        fields = {"allowed_hosts": names}
        return host.route("POST", "/skyport/setup/settings", json=fields, headers=head)

    assert act(host, "settings", allowed_hosts="*.example.com").status_code == 200
    refused = change("other.example.com")
    assert refused.status_code == 400
    assert "its own name is missing" in refused.json()["message"]
    assert change("comfy.example.com, other.example.com").status_code == 200
    assert setup(host)["settings"]["allowed_hosts"]["value"] == [
        "comfy.example.com",
        "other.example.com",
    ]


def test_an_editor_of_another_language_learns_that_its_forms_are_in_the_wrong_one(host):
    def tell(locale: str) -> Any:
        body = {"locale": locale}
        return host.route("POST", "/skyport/language", json=body, headers=OURS).json()

    tell("en")
    try:
        assert [tell(one) for one in ("zh", "zh-CN", "en")] == [
            {"changed": True},
            {"changed": False},
            {"changed": True},
        ]
    finally:
        tell("en")


# -- addresses ----------------------------------------------------------------------------------


def test_an_address_is_kept(host):
    answer = act(host, "settings", base_urls={"happyhorse": "https://horse.example/"})
    url = platform(answer.json(), "happyhorse")["url"]
    assert (url["value"], url["source"]) == ("https://horse.example", "file")


@pytest.mark.parametrize("first", ["key", "address"])
def test_a_key_and_the_first_address_are_entered_in_either_order(host, first):
    steps = [
        lambda: act(host, "key", platform="happyhorse", key=SECRET),
        lambda: act(host, "settings", base_urls={"happyhorse": "https://horse.example"}),
    ]
    for step in steps if first == "key" else reversed(steps):
        assert step().status_code == 200
    horse = platform(setup(host), "happyhorse")
    assert (horse["key"]["last4"], horse["url"]["value"]) == ("7Q4z", "https://horse.example")


def test_a_key_is_put_aside_when_its_address_changes_and_serves_again_when_it_returns(host):
    act(host, "key", platform="gpugeek", key=SECRET)
    body = act(host, "settings", base_urls={"gpugeek": "https://other.example"}).json()
    assert key(body, "gpugeek") == (False, "", "")
    assert platform(body, "gpugeek")["key"]["aside"] == ["https://comfyapi.gpugeek.com"]
    act(host, "key", platform="gpugeek", key="sk-of-the-other-address-5678")
    body = act(host, "settings", base_urls={"gpugeek": None}).json()
    assert key(body, "gpugeek") == (True, "7Q4z", "file")
    assert platform(body, "gpugeek")["key"]["aside"] == ["https://other.example"]


def test_keys_put_aside_are_removed_with_the_key(host):
    act(host, "key", platform="gpugeek", key=SECRET)
    act(host, "settings", base_urls={"gpugeek": "https://other.example"})
    body = act(host, "key/remove", platform="gpugeek").json()
    assert platform(body, "gpugeek")["key"]["aside"] == []
    assert SECRET not in (host.home / "keys.json").read_text()


@pytest.mark.parametrize("url", ["htp://x.example", "nowhere", "two words", 7])
def test_a_bad_address_is_blamed_on_what_was_entered(host, url):
    answer = act(host, "settings", base_urls={"gpugeek": url})
    assert answer.status_code == 400
    assert "The address of GPUGeek must be an address such as" in answer.json()["message"]
    assert "settings.json" not in answer.json()["message"]


def test_a_bad_value_is_not_blamed_on_a_file_that_does_not_hold_it(host):
    message = act(host, "settings", keep_days=-1).json()["message"]
    assert message.startswith("keep_days must be a number above 0.")


def test_a_host_is_completed_to_an_address(host):
    both = {"base_urls": {"happyhorse": "horse.example/v1/"}, "s3_endpoint": " minio.example:9000"}
    body = act(host, "settings", **both).json()
    assert platform(body, "happyhorse")["url"]["value"] == "https://horse.example/v1"
    assert body["settings"]["s3_endpoint"]["value"] == "https://minio.example:9000"


@pytest.mark.parametrize("url", ["you@example.com", "sk-live.Ab12Cd34", "localhost", "a.b-"])
def test_what_is_no_host_is_not_completed(host, url):
    assert act(host, "settings", base_urls={"happyhorse": url}).status_code == 400


def test_a_key_stays_when_its_address_is_named_again(host):
    act(host, "key", platform="gpugeek", key=SECRET)
    same = "https://comfyapi.gpugeek.com/"
    body = act(host, "settings", base_urls={"gpugeek": same}).json()
    assert key(body, "gpugeek")[0] is True


def test_an_address_is_not_changed_under_a_key_of_the_environment(host):
    answer = act(host, "settings", base_urls={"opencomputing": "https://evil.example"})
    assert answer.status_code == 400
    assert "OPENCOMPUTING_BASE_URL" in answer.json()["message"]
    assert not (host.home / "settings.json").exists()


def test_a_key_stays_when_the_new_address_is_none(host):
    act(host, "key", platform="gpugeek", key=SECRET)
    assert act(host, "settings", base_urls={"gpugeek": "nowhere"}).status_code == 400
    assert key(setup(host), "gpugeek")[0] is True


# -- clusters -----------------------------------------------------------------------------------


def test_the_room_of_the_clusters_is_told(host, sandbox):
    act(host, "key", platform="haiyi", key=sandbox.key("haiyi"))
    found = act(host, "clusters", platform="haiyi").json()["clusters"]
    assert {"name", "label", "running", "most", "room"} == found[0].keys()
    assert all((one["room"] is None) == (one["most"] is None) for one in found)


def test_a_platform_without_clusters_says_so(host):
    answer = act(host, "clusters", platform="opencomputing")
    assert answer.status_code == 400
    assert "no clusters" in answer.json()["message"]


def test_an_account_is_topped_up_where_its_own_platform_says():
    pages = {name: provider_class(name).top_up_page for name in names()}
    defaults = {name: provider_class(name).default_base_url for name in names()}
    assert {name: page(defaults[name]) for name, page in pages.items()} == {
        "gpugeek": "",  # its document names no page
        "haiyi": "https://art.huya.info",
        "happyhorse": "",
        "opencomputing": "https://ai.opencomputing.cn",
        "comfyui": "",
    }
    assert pages["happyhorse"]("https://kaiyuncode.com/v1") == "https://kaiyuncode.com/pricing"
    for elsewhere in ("https://x.example", "https://kaiyuncode.com.x.example", ""):
        assert [page(elsewhere) for page in pages.values()] == [""] * len(pages)


def test_the_page_for_payments_is_in_the_setup(host):
    setup = host.route("GET", "/skyport/setup").json()["platforms"]
    assert {one["name"]: one["top_up"] for one in setup} == {
        "gpugeek": "",
        "haiyi": "",  # the sandbox is at its address
        "happyhorse": "",
        "opencomputing": "",
        "comfyui": "",
    }
    assert [one["name"] for one in setup if one["lists_prices"]] == ["happyhorse", "opencomputing"]


# -- what forms offer ---------------------------------------------------------------------------


def spend(home: Path, base_url: str, payload: Any, costs: list[float]) -> None:
    """Tasks of OpenComputing that are over, in the ledger of `home`."""
    owner = Owner(home / "owners")
    store = Store(home / "ledger.db", owner)
    for number, cost in enumerate(costs):
        fingerprint = f"{base_url}-{number}"
        order = TaskRecord(fingerprint, "opencomputing", base_url, "x", "x", payload)
        store.record_intent(order)
        store.record_accepted(order, Task("opencomputing", order.endpoint, f"t{number}"))
        store.record_result(order.fingerprint, Result(f"t{number}", cost=cost))
    store.close()
    owner.close()


def test_a_model_says_what_its_last_tasks_here_cost(host, sandbox):
    assert host.route("GET", "/skyport/jobs").status_code == 200  # the ledger is there by now
    payload = {"model": "wan2.2-t2i-plus", "catelogid": "t2i", "prompt": "a fox"}
    spend(host.home, sandbox.base_url("opencomputing"), payload, [0.1, 0.2, 0.11, 0.1, 0.3])
    spend(host.home, "https://elsewhere.example", payload, [5, 5, 5])
    body = host.route("GET", "/skyport/forms").json()
    models = body["nodes"]["SkyportOpenComputingTextToImage"]["models"]
    price = {"amount": 0.11, "unit": "credits", "lowest": 0.1, "highest": 0.3, "text": ""}
    learnt = {**price, "origin": "learnt", "tasks": 5}
    assert models.pop("wan2.2-t2i-plus") == {"retired": False, "price": learnt, "text": ""}
    assert {one["price"] for one in models.values()} == {None}


def test_the_persons_own_prices_are_in_the_forms_before_the_first_task(host):
    own = {"per": "second", "amount": 0.5, "unit": "CNY"}
    (host.home / "prices.json").write_text(json.dumps({"haiyi": {"kwai/kling-v3": own}}))
    models = host.route("GET", "/skyport/forms").json()["nodes"]["SkyportHaiyiImageToVideo"]
    price = models["models"]["kwai/kling-v3"]["price"]
    assert (price["amount"], price["unit"], price["origin"]) == (4, "CNY", "own")


def test_forms_tell_which_platforms_have_a_key(host):
    body = host.route("GET", "/skyport/forms").json()["platforms"]
    assert (body["haiyi"]["ready"], body["opencomputing"]["ready"]) == (False, True)


def test_what_was_made_in_practice_mode_is_no_result_once_it_is_left(host):
    saved = {
        "8": {
            "class_type": "EmptyImage",
            "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0},
        },
        "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "x"}},
    }
    values = {"workflow_id": str(WORKFLOW_ID), "workflow": json.dumps(saved)}
    run = node("SkyportGpugeekRunWorkflow", values, seed=1)
    prompt = graph(run=run, seen=node("ProbeSink", value=link("run")))
    act(host, "settings", sandbox=True)
    assert host.run(prompt).status == "success"
    act(host, "settings", sandbox=None)
    ended = host.run(prompt)
    assert ended.status == "error"
    assert "no API key is set" in ended.error.message
