"""Pins the routes and events of the job list: what they tell of the ledger, that a page is fast and
holds no secret, that nothing acts on a GET, and that pages hear of changes and of nothing else.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _clock import LONG, Clock
from _host_ledger import SIGNED, HostLedger, picture
from _waiting import until
from host import Host, graph, link, node
from sandboxes import environment
from skyport.engine.base.types import Kind, ResultFile
from skyport.engine.ledger.ledger import State
from skyport.sandbox import Sandbox
from skyport.sandbox.gpugeek import WORKFLOW_ID

OURS = {"X-Skyport": "1"}
MANY, PAGE = 5000, 100


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    return environment(sandbox, "haiyi", "gpugeek") | {"SKYPORT_MAX_PARALLEL": "1"}


@pytest.fixture
def host(own_host: Host) -> Host:
    return own_host


def listed(host: Host, **asked: Any) -> dict[str, Any]:
    answer = host.route("GET", "/skyport/jobs", params=asked)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def numbers(host: Host, **asked: Any) -> list[int]:
    return [row["job"] for row in listed(host, **asked)["jobs"]]


def act(host: Host, verb: str, **fields: Any) -> Any:
    return host.route("POST", f"/skyport/jobs/{verb}", json=fields, headers=OURS)


# -- list ---------------------------------------------------------------------------------------


def test_a_row_tells_what_the_list_shows(ledger: HostLedger):
    ledger.add(State.FAILED, "a red boat", error="no credit", task="24317", cost=0.5)
    (row,) = listed(ledger.host)["jobs"]
    fields = {name: row[name] for name in ("state", "label", "title", "task", "error", "words")}
    assert fields == {
        "state": "failed",
        "label": "HaiYi",
        "title": "kling-v3",
        "task": "24317",
        "error": "no credit",
        "words": "a red boat",
    }
    assert row["line"].startswith(f"{row['job']} - kling-v3 - HaiYi 24317")
    assert row["node"] == "7"


def test_a_row_tells_its_cost_with_its_unit(ledger: HostLedger):
    ledger.add(State.DELIVERED, cost=0.5, unit="CNY")
    (row,) = listed(ledger.host)["jobs"]
    assert (row["cost"], row["unit"]) == (0.5, "CNY")


def test_pages_follow_each_other_by_number(ledger: HostLedger):
    made = [ledger.add(State.FAILED) for _ in range(5)][::-1]
    first = listed(ledger.host, limit=2)
    assert first["total"] == 5
    ledger.add(State.FAILED)  # by offset, the next page would show a row again
    assert [row["job"] for row in first["jobs"]] == made[:2]
    assert numbers(ledger.host, limit=2, before=made[1]) == made[2:4]
    assert numbers(ledger.host, limit=2, before=made[4]) == []


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"state": ["failed"]}, ["boat"]),
        ({"state": ["failed", "delivered"]}, ["lamp", "boat"]),
        ({"platform": "gpugeek"}, ["wave"]),
        ({"text": "LAMP"}, ["lamp"]),
        ({"text": "task-boat"}, ["boat"]),
        ({"text": "title-wave"}, ["wave"]),
        ({"text": "lamp", "state": ["failed"]}, []),
    ],
)
def test_the_list_is_filtered_and_searched(ledger: HostLedger, asked: Any, found: list[str]):
    ways = {"boat": State.FAILED, "wave": State.CANCELLED, "lamp": State.DELIVERED}
    for word, state in ways.items():
        platform = "gpugeek" if word == "wave" else "haiyi"
        ledger.add(
            state, f"a {word}", task=f"task-{word}", title=f"title-{word}", platform=platform
        )
    answer = listed(ledger.host, **asked)
    assert [row["words"].removeprefix("a ") for row in answer["jobs"]] == found
    assert answer["total"] == len(found)


def test_a_job_is_found_by_its_number(ledger: HostLedger):
    first = ledger.add(State.FAILED, task="a", title="one")
    second = ledger.add(State.FAILED, task="b", title="two")
    assert first in numbers(ledger.host, text=str(first))
    assert numbers(ledger.host, text=f"#{second}") == [second]
    assert numbers(ledger.host, text="9" * 40) == []


@pytest.mark.parametrize("sought", ['say "hi"', "C:\\models", "a\tb", "\u706f\u5854", "caf\u00e9"])
def test_words_are_found_in_whatever_spelling_json_gives_them(ledger: HostLedger, sought: str):
    """A workflow is a JSON text within the JSON of the request."""
    plain = ledger.add(State.FAILED, f"before {sought} after", task="a")
    texts = (json.dumps({"text": sought}, ensure_ascii=ascii) for ascii in (True, False))
    nested = [ledger.add(State.FAILED, "b", parameters={"workflow": one}) for one in texts]
    ledger.add(State.FAILED, "another")
    assert sorted(numbers(ledger.host, text=sought)) == sorted([plain, *nested])


def test_a_row_names_the_queue_that_ordered_it(ledger: HostLedger):
    ledger.add(State.FAILED, queue="queue-1")
    (row,) = listed(ledger.host)["jobs"]
    assert row["prompt"] == "queue-1"


@pytest.mark.parametrize("asked", [{"state": "lost"}, {"limit": "all"}, {"before": "x"}])
def test_a_list_that_cannot_be_asked_for_is_refused(host: Host, asked: Any):
    answer = host.route("GET", "/skyport/jobs", params=asked)
    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidInput")


def test_sums_are_those_of_the_filter_each_platform_in_its_own_unit(ledger: HostLedger):
    ledger.add(State.DELIVERED, cost=0.5)
    ledger.add(State.DELIVERED, cost=0.25)
    ledger.add(State.RUNNING, cost=1.0)
    ledger.add(State.DELIVERED, cost=300.0, platform="gpugeek")
    ledger.add(State.DELIVERED)

    def spent(**asked: Any) -> list[tuple[str, int, float]]:
        body = ledger.host.route("GET", "/skyport/jobs/spent", params=asked).json()["spent"]
        return [(one["platform"], one["tasks"], one["cost"]) for one in body]

    assert spent() == [("gpugeek", 1, 300.0), ("haiyi", 3, 1.75)]
    assert spent(state="delivered", platform="haiyi") == [("haiyi", 2, 0.75)]


def test_a_page_of_five_thousand_rows_is_a_page(ledger: HostLedger):
    """That it comes at once, tests/bench/pages.py tells."""
    ledger.add_many(MANY)
    assert listed(ledger.host)["total"] == MANY
    middle = numbers(ledger.host)[0] - MANY // 2
    for asked in ({}, {"before": middle}, {"platform": "haiyi", "before": middle}):
        answer = ledger.host.route("GET", "/skyport/jobs", params=asked)
        assert len(answer.json()["jobs"]) == PAGE
        assert len(answer.content) < PAGE * 2000  # bytes; requests are as long as a workflow's


# -- secrets and strangers ----------------------------------------------------------------------


def test_no_answer_shows_a_key_or_the_query_of_an_address(ledger: HostLedger, sandbox: Sandbox):
    key = sandbox.key("haiyi")
    file = picture(ledger.host.output_dir / "skyport" / "a.png")
    job = ledger.add(
        State.DELIVERED, f"my key is {key} {SIGNED}", files=[file], texts=[f"{key} {SIGNED}"]
    )
    ledger.add(State.FAILED, error=f"{key} at {SIGNED}", title=f"{key}")
    ledger.add(State.FAILED, task=key)
    paths = ["/skyport/jobs", f"/skyport/jobs/{job}", "/skyport/jobs/spent"]
    text = "".join(ledger.host.route("GET", path).text for path in paths)
    text += act(ledger.host, "cancel", job=job).text + act(ledger.host, "cancel", job=job + 2).text
    assert "my key is ..." in text
    assert key not in text
    assert "X-Signature" not in text


def test_a_request_is_shown_without_the_texts_of_fields_named_as_secrets(ledger: HostLedger):
    fields = {"api_key": "sk-1", "Authorization": "Bearer 2", "max_tokens": 3, "secret": "", "n": 4}
    inner = json.dumps({"text": "a boat", "hf_token": 'sk-"5'})
    outer = json.dumps({"workflow": inner})
    job = ledger.add(
        State.FAILED, parameters={"a": [fields], "inner": inner, "outer": outer, "password": "6"}
    )
    shown = ledger.host.route("GET", f"/skyport/jobs/{job}").json()["request"]["parameters"]
    assert shown["a"] == [
        {"api_key": "...", "Authorization": "...", "max_tokens": 3, "secret": "", "n": 4}
    ]
    kept = {"text": "a boat", "hf_token": "..."}
    assert json.loads(shown["inner"]) == kept
    assert json.loads(json.loads(shown["outer"])["workflow"]) == kept
    assert shown["password"] == "..."


@pytest.mark.parametrize("verb", ["cancel", "fetch", "anew"])
def test_nothing_acts_without_our_header_or_for_another_page(host: Host, verb: str):
    path = f"/skyport/jobs/{verb}"
    assert host.route("POST", path, json={"job": 1}).status_code == 403
    foreign = {**OURS, "Origin": "https://evil.example"}
    assert host.route("POST", path, json={"job": 1}, headers=foreign).status_code == 403
    plain = {**OURS, "Content-Type": "text/plain"}
    assert host.route("POST", path, json={"job": 1}, headers=plain).status_code == 403
    assert host.route("GET", path).status_code in (404, 405)


@pytest.mark.parametrize("body", [{}, {"job": "1"}, {"job": True}, [], {"job": 10**17}])
def test_a_job_that_is_none_is_refused(ledger: HostLedger, body: Any):
    answer = ledger.host.route("POST", "/skyport/jobs/cancel", json=body, headers=OURS)
    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidInput")


# -- files --------------------------------------------------------------------------------------


def test_a_file_in_the_output_folder_is_named_for_the_hosts_own_view(ledger: HostLedger):
    file = picture(ledger.host.output_dir / "skyport" / "haiyi" / "a.png")
    job = ledger.add(State.DELIVERED, files=[file])
    (body,) = ledger.host.route("GET", f"/skyport/jobs/{job}").json()["files"]
    assert body["view"] == {
        "filename": "a.png",
        "subfolder": "skyport/haiyi",
        "type": "output",
    }
    seen = ledger.host.route("GET", "/view", params=body["view"])
    assert seen.content == file.path.read_bytes()


def test_a_file_elsewhere_is_served_by_its_job_and_number(ledger: HostLedger, tmp_path: Path):
    files = [picture(tmp_path / "a.png"), picture(tmp_path / "b.png", "red")]
    job = ledger.add(State.DELIVERED, files=files)
    body = ledger.host.route("GET", f"/skyport/jobs/{job}").json()["files"]
    assert [one["view"] for one in body] == [None, None]
    answer = ledger.host.route("GET", f"/skyport/jobs/{job}/files/1")
    assert answer.content == files[1].path.read_bytes()
    assert answer.headers["Content-Type"] == "image/png"
    part = {"Range": "bytes=0-3"}  # as players ask
    assert (
        ledger.host.route("GET", f"/skyport/jobs/{job}/files/1", headers=part).content
        == (files[1].path.read_bytes()[:4])
    )


@pytest.mark.parametrize("path", ["files/2", "files/..%2F..%2Fkeys.json", "files/-1", "files/a"])
def test_no_other_file_can_be_asked_for(ledger: HostLedger, tmp_path: Path, path: str):
    job = ledger.add(State.DELIVERED, files=[picture(tmp_path / "a.png")])
    assert ledger.host.route("GET", f"/skyport/jobs/{job}/{path}").status_code in (400, 404)


def test_a_file_that_is_gone_is_said_to_be(ledger: HostLedger, tmp_path: Path):
    file = picture(tmp_path / "a.png")
    job = ledger.add(State.DELIVERED, files=[file])
    file.path.unlink()
    for path in ("files/0", "thumbnail"):
        assert ledger.host.route("GET", f"/skyport/jobs/{job}/{path}").status_code == 404


def test_what_could_run_a_script_is_no_page_of_ours(ledger: HostLedger, tmp_path: Path):
    page = tmp_path / "a.html"
    page.write_text("<script>alert(1)</script>", encoding="utf-8")
    kinds = [(Kind.TEXT, "text/html"), (Kind.IMAGE, "image/svg+xml")]
    files = [ResultFile(page, kind, mime, 1, "0") for kind, mime in kinds]
    job = ledger.add(State.DELIVERED, files=files)
    heads = [ledger.host.route("GET", f"/skyport/jobs/{job}/files/{n}").headers for n in (0, 1)]
    assert heads[0]["Content-Type"] == "text/plain; charset=utf-8"
    assert heads[1]["Content-Disposition"] == "attachment"
    assert [head["X-Content-Type-Options"] for head in heads] == ["nosniff", "nosniff"]


def test_what_was_sent_is_shown_as_a_small_picture_and_nothing_else_is(ledger: HostLedger):
    host = ledger.host
    assert host.run(edit("sent with a picture")).status == "success"
    (row,) = (row for row in listed(host)["jobs"] if row["words"] == "sent with a picture")
    request = host.route("GET", f"/skyport/jobs/{row['job']}").json()["request"]
    (sha256,) = (one["sha256"] for one in request["parameters"]["images"])

    def answer() -> Any:
        found = host.route("GET", f"/skyport/inputs/{sha256}")
        return found if found.status_code == 200 else None

    found = until(answer)
    assert found.headers["Content-Type"] == "image/jpeg"
    assert len(found.content) < 20_000
    for other in ("0" * 64, "..%2Fkeys", sha256[:-1]):
        assert host.route("GET", f"/skyport/inputs/{other}").status_code == 404


def test_a_thumbnail_is_small(ledger: HostLedger, tmp_path: Path):
    job = ledger.add(State.DELIVERED, files=[picture(tmp_path / "a.png")])
    answer = ledger.host.route("GET", f"/skyport/jobs/{job}/thumbnail")
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert len(answer.content) < 5000


# -- cancel, fetch, events ----------------------------------------------------------------------


def edit(prompt: str) -> dict[str, Any]:
    model = {
        "model": "google/gemini-3-pro-image-preview",
        "model.images.image0": link("picture"),
        "model.aspect_ratio": "(default)",
        "model.resolution": "1K",
    }
    return graph(
        picture=node("ProbeImage", seed=1),
        make=node("SkyportHaiyiImageToImage", {"prompt": prompt, "seed": 1, **model}),
        seen=node("ProbeSink", value=link("make")),
    )


class Page:
    """A browser that hears the events."""

    def __init__(self, host: Host) -> None:
        self.received: list[Any] = []
        self.socket = host._sockets.follow(host.client.url, uuid.uuid4().hex, self._hear)

    def _hear(self, name: str, data: Any) -> None:
        if name == "skyport.jobs":
            self.received.append(data)

    def rows(self) -> list[tuple[str, str]]:
        return [(row["words"], row["state"]) for answer in self.received for row in answer["rows"]]

    def live(self) -> list[dict[str, Any]]:
        return [one for answer in self.received for one in answer["live"]]


@pytest.fixture
def page(host: Host) -> Iterator[Page]:
    page = Page(host)
    yield page
    page.socket.cancel()


def test_a_page_hears_of_a_job_from_its_start_to_its_end(
    ledger: HostLedger, page: Page, clock: Clock
):
    began, prompt = time.monotonic(), f"{LONG} heard of"
    handle = ledger.host.start(edit(prompt))
    running = until(lambda: [one for one in page.live() if one["stage"] == "running"])
    clock.forward()
    assert handle.result().status == "success"
    until(lambda: (prompt, "delivered") in page.rows())
    until(lambda: page.received[-1]["live"] == [])
    assert {one["title"] for one in running} == {"gemini-3-pro-image-preview"}
    assert all(0 <= one["share"] <= 1 and one["task"] for one in running)
    count = len(page.received)
    # Each comes after a pause of its own; one may be of what was before.
    assert 0.35 * (count - 2) < time.monotonic() - began
    time.sleep(2.0)  # silence cannot be waited for otherwise
    assert len(page.received) <= count + 1  # the last change may come twice


def test_a_job_under_way_is_in_the_list_and_is_not_cancelled_where_the_platform_cannot(
    ledger: HostLedger, page: Page, clock: Clock
):
    prompt = f"{LONG} to cancel"
    handle = ledger.host.start(edit(prompt))
    handle.wait_for_text("make", "running")
    (live,) = listed(ledger.host)["live"]
    # The node shows what a poll has brought a moment before it is in the ledger.
    (row,) = until(
        lambda: [
            row
            for row in listed(ledger.host)["jobs"]
            if (row["mark"], row["state"]) == (live["mark"], "running")
        ]
    )
    assert row["words"] == prompt
    assert act(ledger.host, "cancel", job=row["job"]).json() == {
        "cancelled": False,
        "asked": False,
    }
    assert listed(ledger.host)["live"], "it runs on"
    assert act(ledger.host, "fetch", job=row["job"]).json() == {"fetched": False}
    clock.forward()
    assert handle.result().status == "success"
    until(lambda: (prompt, "delivered") in page.rows())


def remote(words: str) -> dict[str, Any]:
    """A workflow on the platform that cancels."""
    size = {"width": 32, "height": 32, "batch_size": 1, "color": 0}
    save = {"images": ["8", 0], "filename_prefix": words}
    workflow = {
        "8": {"class_type": "EmptyImage", "inputs": size},
        "9": {"class_type": "SaveImage", "inputs": save},
    }
    values = {"workflow_id": str(WORKFLOW_ID), "workflow": json.dumps(workflow), "seed": 1}
    run = node("SkyportGpugeekRunWorkflow", values)
    return graph(run=run, seen=node("ProbeSink", value=link("run")))


def test_a_task_is_cancelled_where_the_platform_can(ledger: HostLedger, page: Page):
    handle = ledger.host.start(remote(f"{LONG} cancelled"))
    handle.wait_for_text("run", "queue")  # the platform has taken it
    (row,) = listed(ledger.host)["jobs"]
    body = act(ledger.host, "cancel", job=row["job"]).json()
    assert body == {"cancelled": True, "asked": False}
    run = handle.result()
    assert (run.status, run.error.type) == ("error", "TaskCancelled")
    assert "It was cancelled in the list of jobs." in run.error.message
    (row,) = listed(ledger.host)["jobs"]
    assert (row["state"], row["error"]) == (
        "cancelled",
        "It was cancelled in the list of jobs.",
    )
    until(lambda: page.received[-1]["live"] == [])


def test_a_job_that_waits_for_a_slot_is_listed_and_stopped_before_it_costs(
    ledger: HostLedger, sandbox: Sandbox, clock: Clock
):
    host, before = ledger.host, sandbox.charges["haiyi"]
    both = edit(f"{LONG} first")
    both["also"] = {**both["make"], "inputs": {**both["make"]["inputs"], "seed": 2}}
    both["seen2"] = node("ProbeSink", value=link("also"))
    handle = host.start(both)
    # Every job waits for a moment before it takes a slot: the one that is left has to.
    until(lambda: [one for one in listed(host)["live"] if one["stage"] == "running"])
    waiting = until(lambda: [one for one in listed(host)["live"] if one["stage"] == "waiting"])
    assert act(host, "cancel", mark=waiting[0]["mark"]).json() == {
        "cancelled": False,
        "asked": True,
    }
    run = handle.result()
    assert run.status == "error"
    assert "nothing was charged" in run.error.message
    clock.forward()
    until(lambda: listed(host)["live"] == [])
    assert len(listed(host)["jobs"]) == 1
    assert sandbox.charges["haiyi"] > before


def test_fetch_brings_files_back_that_are_gone(ledger: HostLedger, page: Page):
    host = ledger.host
    assert host.run(edit("fetched again")).status == "success"
    (row,) = (row for row in listed(host)["jobs"] if row["words"] == "fetched again")
    (file,) = host.route("GET", f"/skyport/jobs/{row['job']}").json()["files"]
    assert act(host, "fetch", job=row["job"]).json() == {"fetched": True}
    Path(file["path"]).unlink()
    assert act(host, "fetch", job=row["job"]).status_code == 200

    def back() -> bool:
        body = host.route("GET", f"/skyport/jobs/{row['job']}").json()
        return body["state"] == "delivered" and Path(body["files"][0]["path"]).exists()

    until(back)


def test_what_is_over_is_neither_cancelled_nor_fetched(ledger: HostLedger):
    job = ledger.add(State.FAILED, error="no credit")
    cancelled, fetched = act(ledger.host, "cancel", job=job), act(ledger.host, "fetch", job=job)
    assert (cancelled.status_code, fetched.status_code) == (400, 400)
    assert "not in progress" in cancelled.json()["message"]
    assert "no credit" in fetched.json()["message"]


def test_an_unresolved_job_tells_its_last_answer_with_addresses_and_without_keys(
    ledger: HostLedger, sandbox: Sandbox
):
    key = sandbox.key("haiyi")
    answer = f'{{"file": "https://cdn.example/a.png?name=1", "by": "{key}"}}'
    job = ledger.add(State.UNRESOLVED, answer=answer, error="it names no result")
    body = ledger.host.route("GET", f"/skyport/jobs/{job}").json()
    assert body["answer"] == '{"file": "https://cdn.example/a.png?name=1", "by": "..."}'
    assert (body["state"], body["error"]) == ("unresolved", "it names no result")
    assert numbers(ledger.host, state="unresolved") == [job]


def test_a_job_tells_its_details(ledger: HostLedger):
    job = ledger.add(State.DELIVERED, details=[("queued", "1.2 s"), ("reasoning", SIGNED)])
    body = ledger.host.route("GET", f"/skyport/jobs/{job}").json()
    assert body["details"] == [["queued", "1.2 s"], ["reasoning", SIGNED.partition("?")[0]]]


def test_a_job_is_ordered_anew_only_where_it_blocks_its_order_and_pages_hear_of_it(
    ledger: HostLedger, page: Page
):
    unresolved, unknown = ledger.add(State.UNRESOLVED, "open"), ledger.add(State.UNKNOWN)
    before = {row["job"]: row["mark"] for row in listed(ledger.host)["jobs"]}
    for job in (unresolved, unknown):
        assert act(ledger.host, "anew", job=job).json() == {"anew": True}
    assert ledger.store.find(before[unresolved]) is None, "an equal order is a new one"
    told = ledger.store.find(before[unknown])
    assert told is not None
    assert told.told
    until(lambda: ("open", "unresolved") in page.rows())
    failed = act(ledger.host, "anew", job=ledger.add(State.FAILED))
    assert (failed.status_code, failed.json()["error"]) == (400, "InvalidInput")


def test_who_fetches_what_was_never_answered_is_told_so(ledger: HostLedger):
    job = ledger.add(State.UNKNOWN)
    answer = act(ledger.host, "fetch", job=job)
    assert answer.status_code == 400
    assert "costs again" in answer.json()["message"]
    row = ledger.store.get(job)
    assert row is not None
    assert row.told


def test_the_texts_are_json(ledger: HostLedger):
    """What is no JSON would end the server as it is sent."""
    ledger.add(State.RUNNING, cost=float("inf"))
    assert json.loads(ledger.host.route("GET", "/skyport/jobs").text)
