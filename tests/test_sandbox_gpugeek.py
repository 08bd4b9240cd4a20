"""Pins that the imitated GPUGeek takes what its document allows and no more."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from _clips import pictures, tone, write_clip
from _waiting import PATIENCE
from PIL import Image, ImageOps
from sandboxes import SandboxClient, fetch
from skyport.sandbox.gpugeek import PRICE, WORKFLOW_ID

V1 = "/api/v1"
LINK = f"{V1}/file/upload/pre-signed-url"
OCTETS = {"Content-Type": "application/octet-stream"}


class Client(SandboxClient):
    platform = "gpugeek"

    def data(self, method: str, path: str, **more: Any) -> Any:
        response = self.ask(method, path, **more)
        body = response.json()
        assert (response.status_code, body["code"], body["message"]) == (200, 0, "success"), body
        assert re.fullmatch(r"[0-9a-f]{32}", body["traceid"])
        return body["data"]

    def refused(self, method: str, path: str, **more: Any) -> str:
        """The words of a refusal, by its code alone or by the HTTP status as well."""
        answer = self.ask(method, path, **more)
        body = answer.json()
        assert answer.status_code in (200, body["code"])
        assert body["code"] != 0
        assert body["traceid"]
        assert body["data"] is None
        return f"{body['code']}: {body['message']}"

    def link(self, name: str = "photo.png") -> str:
        return self.data("GET", LINK, params={"file_name": name})["signed_url"]

    def hosted(self, data: bytes, name: str = "photo.png") -> str:
        """The address of `data` after link, PUT and commit."""
        link = self.link(name)
        put = requests.put(link, data=data, headers=OCTETS, timeout=PATIENCE)
        assert put.status_code == 200, put.text
        return self.commit(link.partition("?")[0])

    def commit(self, url: Any) -> str:
        return self.data("POST", f"{V1}/file/upload/commit", json={"oss_url": url})["oss_url"]

    def submit(self, prompt: Any) -> Any:
        return self.data("POST", f"{V1}/prompt", json=body(prompt))["prompt_id"]

    def details(self, prompt_id: Any, after: float = 0.0) -> Any:
        self.clock.now += after
        return self.data("GET", f"{V1}/task/{prompt_id}")

    def cancel(self, prompt_id: Any) -> Any:
        return self.data("POST", f"{V1}/task/cancel", json={"task_id": int(prompt_id)})


def body(prompt: Any, **more: Any) -> dict[str, Any]:
    return {"workflow_id": WORKFLOW_ID, "task_type": 1, "prompt": prompt, **more}


def prompt(url: Any, words: str = "out") -> dict[str, Any]:
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": url}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": words}},
    }


def png(color: str = "red", size: tuple[int, int] = (48, 32)) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", size, color).save(made, "PNG")
    return made.getvalue()


def opened(url: str) -> Image.Image:
    return Image.open(io.BytesIO(fetch(url))).convert("RGB")


@pytest.fixture
def client() -> Iterator[Client]:
    with Client.open() as client:
        client.imitation.id_as = "number"
        client.imitation.result_as = "list"
        yield client


@pytest.fixture(scope="module")
def strict() -> Iterator[Client]:
    """One sandbox for every test that leaves nothing behind."""
    with Client.open() as client:
        yield client


@pytest.fixture(scope="module")
def kept(strict: Client) -> str:
    return strict.hosted(png())


# -- the whole way ------------------------------------------------------------------------------


def test_the_documents_own_example_runs_from_upload_to_result(client: Client) -> None:
    data = png("red")
    prompt_id = client.submit(prompt(client.hosted(data)))
    ended = client.details(prompt_id, after=60)
    assert ended["status"] == 3
    (url,) = ended["result_url"]["9"]
    assert opened(url).tobytes() == ImageOps.invert(Image.open(io.BytesIO(data))).tobytes()
    assert client.box.charges["gpugeek"] == 1


def test_the_details_hold_every_documented_field_in_its_type(client: Client) -> None:
    answer = client.details(client.submit(prompt(client.hosted(png()))), after=60)
    assert {name: type(value) for name, value in answer.items()} == {
        "prompt_id": int,
        "workflow_id": int,
        "env_id": int,
        "status": int,
        "queue_duration": int,
        "run_duration": int,
        "result_url": dict,
        "error_msg": str,
        "queue_size": int,
        "current_position": int,
        "origin_price": float,
        "created_at": str,
    }
    assert (answer["workflow_id"], answer["origin_price"]) == (WORKFLOW_ID, PRICE)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", answer["created_at"])


def test_a_task_waits_in_the_queue_then_works_and_its_times_are_told(client: Client) -> None:
    prompt_id = client.submit(prompt(client.hosted(png())))
    seen = [client.details(prompt_id, after=0.2) for _ in range(18)]
    queued = [one for one in seen if one["status"] == 1]
    places = [one["current_position"] for one in queued]
    assert places == sorted(places, reverse=True)
    assert (places[0], places[-1]) == (3, 1)
    assert {one["queue_size"] for one in queued} == {3}
    working = [one for one in seen if one["status"] == 2]
    assert {(one["queue_size"], one["current_position"]) for one in working} == {(0, 0)}
    assert all(one["result_url"] == {} for one in queued + working)
    last = client.details(prompt_id, after=100)
    assert (last["queue_duration"], last["run_duration"]) == (1400, 2100)  # 0.5 + 0.9 s; 70 % of 3
    assert [one["status"] for one in seen] == sorted(one["status"] for one in seen)


def test_films_come_out_of_a_film_saver(client: Client, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", pictures(6, 64, 48), sound=tone(2, 0.6)).read_bytes()
    save = {"video": ["1", 0], "filename_prefix": "x", "format": "auto", "codec": "auto"}
    nodes = {
        "1": {"class_type": "LoadVideo", "inputs": {"file": client.hosted(clip, "a.mp4")}},
        "2": {"class_type": "SaveVideo", "inputs": save},
    }
    ended = client.details(client.submit(nodes), after=60)
    (url,) = ended["result_url"]["2"]
    assert requests.get(url, timeout=PATIENCE).headers["Content-Type"] == "video/mp4"


@pytest.mark.parametrize(("knob", "kind"), [("number", int), ("text", str)])
def test_ids_come_as_the_knob_says(client: Client, knob: str, kind: type) -> None:
    client.imitation.id_as = knob
    prompt_id = client.submit(prompt(client.hosted(png())))
    assert type(prompt_id) is kind
    assert type(client.details(prompt_id)["prompt_id"]) is kind


@pytest.mark.parametrize(("knob", "kind"), [("list", list), ("text", str)])
def test_results_come_as_the_knob_says(client: Client, knob: str, kind: type) -> None:
    client.imitation.result_as = knob
    ended = client.details(client.submit(prompt(client.hosted(png()))), after=60)
    assert type(ended["result_url"]["9"]) is kind


def test_without_knobs_answers_come_in_both_ways_in_turn(client: Client) -> None:
    client.imitation.id_as = client.imitation.result_as = None
    url = client.hosted(png())
    ids = [client.submit(prompt(url)) for _ in range(2)]
    values = [client.details(one, after=60)["result_url"]["9"] for one in ids]
    assert {type(one) for one in ids} == {int, str}
    assert {type(one) for one in values} == {list, str}


# -- links and the storage ----------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 405])
def test_each_dialect_is_refused_while_the_other_is_spoken(client: Client, status: int) -> None:
    client.imitation.otherwise = status
    assert client.ask("POST", LINK, params={"fileName": "a.png"}).status_code == status
    assert set(client.data("GET", LINK, params={"file_name": "a.png"})) == {
        "signed_url",
        "expired_at",
    }
    client.imitation.dialect = "sample"
    assert client.ask("GET", LINK, params={"file_name": "a.png"}).status_code == status
    answer = client.data("POST", LINK, params={"fileName": "a.png"})
    assert put(answer["signedUrl"]).ok


@pytest.mark.parametrize("query", ["", "?file_name=", "?fileName=a.png", "?file_name=a&x=1"])
def test_a_link_needs_its_one_parameter(strict: Client, query: str) -> None:
    assert strict.refused("GET", LINK + query).startswith("400")


def test_a_body_where_none_belongs_is_refused(client: Client) -> None:
    client.imitation.dialect = "sample"
    assert client.refused("POST", f"{LINK}?fileName=a.png", json={"fileName": "a.png"})


@pytest.mark.parametrize(
    ("spoil", "headers", "status"),
    [
        (lambda link: link, {}, 403),
        (lambda link: link, {"Content-Type": "image/png"}, 403),
        (lambda link: link, {**OCTETS, "Authorization": "Bearer sk-sandbox-gpugeek"}, 400),
        (lambda link: link.partition("?")[0], OCTETS, 403),
        (lambda link: link.replace("%2F", "/"), OCTETS, 403),
        (lambda link: link.replace("Signature=", "Signature=a"), OCTETS, 403),
        (lambda link: link.replace("/comfy/input/", "/comfy/input/b"), OCTETS, 403),
    ],
    ids=["no type", "another type", "a key", "unsigned", "re-encoded", "forged", "elsewhere"],
)
def test_a_put_that_the_signature_does_not_cover_is_refused(
    strict: Client, spoil: Any, headers: dict[str, str], status: int
) -> None:
    assert put(spoil(strict.link()), headers).status_code == status


def test_a_put_that_does_not_say_its_length_is_refused(strict: Client) -> None:
    answer = requests.put(strict.link(), data=iter([png()]), headers=OCTETS, timeout=PATIENCE)
    assert answer.status_code == 411


def put(url: str, headers: dict[str, str] = OCTETS) -> requests.Response:
    return requests.put(url, data=png(), headers=headers, timeout=PATIENCE)


def test_a_link_holds_for_an_hour(client: Client) -> None:
    link = client.link()
    client.clock.now += 3599
    assert put(link).status_code == 200
    client.clock.now += 1
    assert put(link).status_code == 403


def test_what_was_put_is_there_byte_for_byte(strict: Client) -> None:
    data = png("blue")
    url = strict.hosted(data)
    assert requests.get(url, timeout=PATIENCE).content == data
    assert requests.get(url + "x", timeout=PATIENCE).status_code == 404


def test_what_is_no_medium_is_not_kept(strict: Client) -> None:
    put = requests.put(strict.link("a.png"), data=b"hello", headers=OCTETS, timeout=PATIENCE)
    assert put.status_code == 400


# -- commits ------------------------------------------------------------------------------------


def test_a_foreign_address_becomes_one_of_the_platforms_own(client: Client) -> None:
    url = client.commit("https://pictures.example/fox.png?size=2")
    assert url.startswith(f"{client.base}/comfy/input/")
    assert client.details(client.submit(prompt(url)), after=60)["status"] == 3


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"oss_url": ""},
        {"oss_url": 7},
        {"oss_url": "photo.png"},
        {"ossUrl": "https://pictures.example/fox.png"},
        {"oss_url": "https://pictures.example/fox.png", "x": 1},
        {"oss_url": "http://192.168.1.5/fox.png"},
        {"oss_url": "http://nas/fox.png"},
    ],
)
def test_a_commit_takes_one_public_address(strict: Client, fields: Any) -> None:
    assert strict.refused("POST", f"{V1}/file/upload/commit", json=fields).startswith("400")


def test_an_address_where_nothing_was_put_cannot_be_committed(strict: Client) -> None:
    address = strict.link().partition("?")[0]
    assert strict.refused("POST", f"{V1}/file/upload/commit", json={"oss_url": address})


# -- workflows ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"workflow_id": str(WORKFLOW_ID)},
        {"workflow_id": float(WORKFLOW_ID)},
        {"workflow_id": True},
        {"workflow_id": 1},
        {"task_type": 2},
        {"task_type": "1"},
        {"task_type": True},
        {"prompt": {}},
        {"prompt": "{}"},
        {"prompt": {"nodes": []}},
        {"seed": 1},
    ],
    ids=str,
)
def test_a_submit_takes_the_documents_fields_and_types_only(
    strict: Client, kept: str, wrong: dict[str, Any]
) -> None:
    before = strict.box.charges["gpugeek"]
    assert strict.refused("POST", f"{V1}/prompt", json={**body(prompt(kept)), **wrong})
    assert strict.box.charges["gpugeek"] == before


@pytest.mark.parametrize("missing", ["workflow_id", "task_type", "prompt"])
def test_a_submit_needs_each_field(strict: Client, kept: str, missing: str) -> None:
    fields = {name: value for name, value in body(prompt(kept)).items() if name != missing}
    assert f"'{missing}'" in strict.refused("POST", f"{V1}/prompt", json=fields)


def test_an_unknown_workflow_is_refused_by_its_code_alone(strict: Client, kept: str) -> None:
    answer = strict.ask("POST", f"{V1}/prompt", json=body(prompt(kept), workflow_id=1))
    assert (answer.status_code, answer.json()["code"]) == (200, 20404)


@pytest.mark.parametrize("name", ["photo.png", "https://pictures.example/fox.png"])
def test_a_file_that_was_not_committed_is_refused(strict: Client, name: str) -> None:
    assert name in strict.refused("POST", f"{V1}/prompt", json=body(prompt(name)))


def test_a_file_that_was_put_and_not_committed_is_refused(strict: Client) -> None:
    link = strict.link()
    put(link).raise_for_status()
    for url in (link, link.partition("?")[0]):
        assert strict.refused("POST", f"{V1}/prompt", json=body(prompt(url)))


def test_a_result_may_go_into_the_next_workflow(client: Client) -> None:
    first = client.details(client.submit(prompt(client.hosted(png("red")))), after=60)
    (url,) = first["result_url"]["9"]
    second = client.details(client.submit(prompt(url)), after=60)
    (again,) = second["result_url"]["9"]
    assert opened(again).getpixel((3, 3)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", f"{V1}/task/1"), ("POST", f"{V1}/prompt"), ("GET", LINK)]
)
def test_every_call_needs_the_key(strict: Client, method: str, path: str) -> None:
    answer = requests.request(method, strict.base + path, timeout=PATIENCE)
    assert (answer.status_code, answer.json()["code"]) == (401, 401)


# -- tasks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt_id", ["1", "x", "763289064779999", "%D9%A1"])
def test_an_unknown_task_is_refused(strict: Client, prompt_id: str) -> None:
    assert strict.refused("GET", f"{V1}/task/{prompt_id}").startswith("30404")


@pytest.mark.parametrize("after", [0.0, 2.0], ids=["queued", "working"])
def test_a_cancelled_task_stays_cancelled_and_brings_nothing(client: Client, after: float) -> None:
    prompt_id = client.submit(prompt(client.hosted(png())))
    client.clock.now += after
    assert client.cancel(prompt_id) is None
    for answer in (client.details(prompt_id), client.details(prompt_id, after=100)):
        assert (answer["status"], answer["result_url"]) == (5, {})
        assert answer["queue_duration"] + answer["run_duration"] == after * 1000


def test_what_has_ended_cannot_be_cancelled(client: Client) -> None:
    url = client.hosted(png())
    ended, cancelled = client.submit(prompt(url)), client.submit(prompt(url))
    client.cancel(cancelled)
    client.clock.now += 60
    for prompt_id in (ended, cancelled):
        words = client.refused("POST", f"{V1}/task/cancel", json={"task_id": prompt_id})
        assert words.startswith("30409")
    assert client.details(ended)["status"] == 3


@pytest.mark.parametrize(
    "fields", [{}, {"prompt_id": 1}, {"task_id": "1"}, {"task_id": 1.0}, {"task_id": 1, "x": 1}]
)
def test_a_cancel_takes_a_number_as_task_id(strict: Client, fields: Any) -> None:
    assert strict.refused("POST", f"{V1}/task/cancel", json=fields).startswith("400")


def test_a_cancel_of_an_unknown_task_is_refused(strict: Client) -> None:
    words = strict.refused("POST", f"{V1}/task/cancel", json={"task_id": 1})
    assert words.startswith("30404")


# -- on demand ----------------------------------------------------------------------------------


def marked(client: Client, words: str) -> Any:
    return client.details(client.submit(prompt(client.hosted(png()), words)), after=60)


def test_a_task_fails_with_its_reason(client: Client) -> None:
    answer = marked(client, "[[fail:no harbour]]")
    assert (answer["status"], answer["error_msg"], answer["result_url"]) == (4, "no harbour", {})


@pytest.mark.parametrize(("knob", "nothing"), [("list", []), ("text", "")])
def test_a_success_may_be_empty(client: Client, knob: str, nothing: Any) -> None:
    client.imitation.result_as = knob
    assert marked(client, "[[empty]]")["result_url"] == {"9": nothing}


def test_a_status_may_be_in_no_document(client: Client) -> None:
    assert marked(client, "[[word:thinking]]")["status"] == "thinking"


def test_a_result_may_be_on_a_private_address(client: Client) -> None:
    (url,) = marked(client, "[[private]]")["result_url"]["9"]
    assert urlsplit(url).hostname == "10.20.30.40"


def test_a_submit_may_be_refused_for_money(client: Client) -> None:
    url = client.hosted(png())
    answer = client.ask("POST", f"{V1}/prompt", json=body(prompt(url, "[[balance]]")))
    assert (answer.status_code, client.box.charges["gpugeek"]) == (429, 0)
    assert "balance" in answer.json()["message"]
