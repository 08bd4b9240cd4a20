"""Pins that a queued graph with a cloud node is kept once, without keys, and found by its job."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from _clock import StoppedClock
from _host_ledger import HostLedger
from _waiting import until
from gate import behind_a_gate
from host import Host, Run, graph, link, node
from sandboxes import environment
from skyport.engine.base.types import Kind, Result, ResultFile, Task
from skyport.engine.ledger.ledger import Source, State, TaskRecord
from skyport.engine.ledger.migrations import steps_after
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.queued_again import is_same_prompt, next_id
from skyport.engine.ledger.resilient import ResilientLedger
from skyport.engine.ledger.sqlite_store import Store
from skyport.engine.media.files import sha256_of
from skyport.engine.settings import settings
from skyport.engine.tasks import kept_graphs
from skyport.engine.tasks.keyless import keyless
from skyport.sandbox import Sandbox

DAY = 86400.0
HASH = "a" * 64
WORKFLOW = {"id": "w", "nodes": [{"id": 1, "widgets_values": ["a boat", 3]}], "links": []}


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    return environment(sandbox, "haiyi")


def text(**tree: Any) -> str:
    return json.dumps({"prompt": {}, "workflow": None, "targets": None, **tree})


def order(prompt_id: str) -> TaskRecord:
    source = Source("1", prompt_id)
    return TaskRecord(f"mark of {prompt_id}", "haiyi", "https://a.example", "/e", "t", {}, source)


def bring(store: Store, prompt_id: str, sha256: str = HASH) -> int:
    """A delivered job of that prompt; its number."""
    record = order(prompt_id)
    store.record_intent(record)
    store.record_accepted(record, Task("haiyi", "/e", prompt_id))
    file = ResultFile(Path("a.png"), Kind.IMAGE, "image/png", 1, sha256)
    store.record_result(record.fingerprint, Result(prompt_id, (file,)))
    store.record_delivered(record.fingerprint)
    row = store.find(record.fingerprint)
    assert row is not None
    return row.id


# -- in the file --------------------------------------------------------------------------------


@pytest.fixture
def own_clock() -> StoppedClock:
    return StoppedClock(1_700_000_000.0)


@pytest.fixture
def store(tmp_path: Path, own_clock: StoppedClock) -> Iterator[Store]:
    owner = Owner(tmp_path / "owners")
    with closing(Store(tmp_path / "ledger.db", owner, lambda: own_clock.now)) as store:
        yield store
    owner.close()


def count(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_graph_that_is_queued_again_is_kept_once_and_small(store: Store, tmp_path: Path):
    long = text(prompt={"1": {"class_type": "A", "inputs": {"text": "a boat " * 5000}}})
    for number in range(14):
        store.keep_graph(str(number), long)
    assert [store.graph_of(str(number)) for number in (0, 13)] == [long, long]
    assert (count(tmp_path / "ledger.db", "graphs"), count(tmp_path / "ledger.db", "prompts")) == (
        1,
        14,
    )
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as db:
        assert db.execute("SELECT length(content) FROM graphs").fetchone()[0] < 1000


def test_a_prompt_that_was_not_kept_has_no_graph(store: Store):
    assert store.graph_of("no such prompt") is None


def test_a_file_names_the_newest_job_that_brought_it(store: Store):
    bring(store, "a")
    newest = bring(store, "b")
    bring(store, "c", "b" * 64)
    found = store.job_of_file(HASH)
    assert found is not None
    assert found.id == newest
    assert store.job_of_file("c" * 64) is None


def test_a_graph_is_forgotten_with_the_last_of_its_jobs(store: Store, own_clock: StoppedClock):
    path = Path(store._path or "")
    for name in ("a", "b", "no job"):
        store.keep_graph(name, text())
    bring(store, "a")
    for number in range(30):
        own_clock.now += 5 * DAY
        bring(store, f"later {number}")
        if number == 10:
            bring(store, "b")
    store.prune(140 * DAY)
    assert (store.graph_of("a"), store.graph_of("no job")) == (None, None)
    assert store.graph_of("b") == text()
    store.prune(90 * DAY)
    assert (count(path, "graphs"), count(path, "prompts")) == (0, 0)


def test_only_a_prompt_whose_process_is_dead_was_left(tmp_path: Path):
    dead, alive = Owner(tmp_path / "owners"), Owner(tmp_path / "owners")
    with closing(Store(tmp_path / "ledger.db", dead)) as store:
        for name in ("ended", "left", "left too"):
            store.keep_graph(name, text())
        store.close_prompts(["ended", "never heard of"])
        assert store.left_prompts() == []
    with closing(Store(tmp_path / "ledger.db", alive)) as store:
        store.keep_graph("own", text())
        assert store.left_prompts() == []
        dead.close()
        assert [one.id for one in store.left_prompts()] == ["left", "left too"]
        store.close_prompts(["left"])
        assert [one.id for one in store.left_prompts()] == ["left too"]
    alive.close()


def at_version(version: int, newest: Path, path: Path) -> None:
    """A ledger as it was at that version of the schema, with the rows of `newest`."""
    with closing(sqlite3.connect(path)) as db:
        for number, statements in steps_after(0):
            for statement in statements if number <= version else ():
                db.execute(statement)
        db.execute("ATTACH ? AS newest", (str(newest),))
        for table in ("tasks", "files"):
            names = ", ".join(row[1] for row in db.execute(f"PRAGMA main.table_info({table})"))
            db.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM newest.{table}")
        db.execute(f"PRAGMA user_version = {version}")
        db.commit()


def test_a_ledger_without_graphs_gets_its_tables_and_keeps_its_rows(tmp_path: Path):
    path, owner = tmp_path / "ledger.db", Owner(tmp_path / "owners")
    with closing(Store(tmp_path / "newest.db", owner)) as store:
        job = bring(store, "a")
    at_version(4, tmp_path / "newest.db", path)
    with closing(Store(path, owner)) as store:
        row = store.get(job)
        assert row is not None
        assert row.state is State.DELIVERED
        assert store.graph_of("a") is None
        store.keep_graph("a", text())
        assert store.graph_of("a") == text()
    owner.close()


# -- without keys -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("with_key", "without"),
    [
        ("https://h.example/a.png?w=5&X-Amz-Signature=abc", "https://h.example/a.png?w=5&X-Amz-Signature=..."),
        ("https://me:secret@h.example/a", "https://...@h.example/a"),
        ("use sk-proj1234567890abcdef now", "use ... now"),
        ("Authorization: Bearer abcdefghij0123456789", "Authorization: Bearer ..."),
        ("AKIAIOSFODNN7EXAMPLE", "..."),
        ("hf_abcdefghijklmnopqrstuv", "..."),
        ('{"api_key": "abc"}', '{"api_key": "..."}'),
    ],
)  # fmt: skip
def test_what_looks_like_a_key_is_left_out_of_a_text(with_key: str, without: str):
    assert keyless({"text": [with_key]}) == {"text": [without]}


@pytest.mark.parametrize(
    "words",
    [
        "a basic representationally-clear poster, the bearer of bad news",
        "sk-something-with-a-long-name",
        "https://h.example/a.png?w=5&h=7#top",
        "mail me@h.example",
    ],
)
def test_what_is_no_key_stays(words: str):
    assert keyless({"text": words, "token": ["4", 0], "steps": 20}) == {
        "text": words,
        "token": ["4", 0],
        "steps": 20,
    }


def test_a_text_with_a_secrets_name_is_left_out_wherever_it_stands_again():
    tree = {
        "prompt": {"1": {"inputs": {"api_key": "some odd words", "text": "a boat"}}},
        "workflow": {"nodes": [{"widgets_values": ["some odd words", "a boat"]}]},
    }
    assert keyless(tree) == {
        "prompt": {"1": {"inputs": {"api_key": "...", "text": "a boat"}}},
        "workflow": {"nodes": [{"widgets_values": ["...", "a boat"]}]},
    }


def test_a_key_in_use_is_left_out_whatever_it_looks_like(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HAIYI_API_KEY", "plain-words-of-mine")
    assert keyless(["say plain-words-of-mine"]) == ["say ..."]


# -- the setting --------------------------------------------------------------------------------


@pytest.fixture
def ledger(home: Path) -> ResilientLedger:
    return ResilientLedger(home)


def test_a_graph_comes_back_as_it_was_queued(ledger: ResilientLedger):
    prompt = {"2": {"class_type": "A", "inputs": {"seed": 2**63, "text": "\u8239"}}, "1": {}}
    assert kept_graphs.keep(ledger, "p", text(prompt=prompt, workflow=WORKFLOW, targets=["2"]))
    kept = kept_graphs.graph_of(ledger, "p")
    assert kept is not None
    assert (kept.prompt, kept.workflow, kept.targets) == (prompt, WORKFLOW, ["2"])
    assert list(kept.prompt) == ["2", "1"]
    assert kept.is_whole


def test_a_graph_that_lost_a_key_says_so(ledger: ResilientLedger):
    kept_graphs.keep(ledger, "p", text(prompt={"1": {"inputs": {"password": "x"}}}))
    kept = kept_graphs.graph_of(ledger, "p")
    assert kept is not None
    assert (kept.prompt, kept.is_whole) == ({"1": {"inputs": {"password": "..."}}}, False)


def test_nothing_is_kept_where_the_setting_is_off(ledger: ResilientLedger):
    settings.save({"keep_graphs": False})
    assert not kept_graphs.keep(ledger, "p", text())
    assert kept_graphs.graph_of(ledger, "p") is None


def test_a_graph_that_holds_a_film_is_not_kept(ledger: ResilientLedger):
    assert not kept_graphs.keep(ledger, "p", text(prompt={"1": "x" * kept_graphs.MOST}))


# -- the same prompt again ----------------------------------------------------------------------


def test_a_prompt_is_known_again_however_often_comfyui_has_ended_and_no_other_is():
    first = "0b1f8e02-9c3c-4c5c-8c5e-0123456789ab"
    second = next_id(first)
    third = next_id(second)
    assert str(uuid.UUID(second)) == second
    assert is_same_prompt(first, first)
    assert is_same_prompt(first, third)
    assert not is_same_prompt(third, first)
    assert not is_same_prompt(first, "0b1f8e02-9c3c-4c5c-8c5e-0123456789ac")
    assert not is_same_prompt("", "")


@pytest.mark.parametrize(
    ("inputs", "found"),
    [({"seed": 3}, True), ({"seed": ["4", 0]}, False), ({"text": "a boat"}, False)],
)
def test_a_new_seed_is_for_a_node_with_a_seed_of_its_own(
    ledger: ResilientLedger, own_ledger: Store, inputs: dict[str, Any], found: bool
):
    job = bring(own_ledger, "p")
    kept_graphs.keep(ledger, "p", text(prompt={"1": {"class_type": "A", "inputs": inputs}}))
    row = own_ledger.get(job)
    assert row is not None
    assert kept_graphs.has_seed(ledger, row) is found


# -- in ComfyUI ---------------------------------------------------------------------------------


@pytest.fixture
def host(cloud: Host) -> Host:
    return cloud


def picture(words: str, seed: int = 1) -> dict[str, Any]:
    values = {
        "prompt": words,
        "seed": seed,
        "model": "google/gemini-3-pro-image-preview",
        "model.images.image0": link("photo"),
        "model.aspect_ratio": "(default)",
        "model.resolution": "1K",
    }
    return graph(
        photo=node("ProbeImage", seed=1),
        make=node("SkyportHaiyiImageToImage", values),
        seen=node("ProbeSink", value=link("make")),
    )


def kept(host: Host, prompt_id: str) -> dict[str, Any] | None:
    with closing(sqlite3.connect(host.home / "ledger.db")) as db:
        db.row_factory = sqlite3.Row
        rows = db.execute("SELECT is_open FROM prompts WHERE id = ?", (prompt_id,)).fetchall()
    return dict(rows[0]) if rows else None


def graph_of(host: Host, prompt_id: str) -> Any:
    owner = Owner(None)
    with closing(Store(host.home / "ledger.db", owner)) as store:
        found = store.graph_of(prompt_id)
    return json.loads(found) if found else None


def test_a_queued_graph_is_kept_as_it_was_sent_and_closed_when_it_has_ended(host: Host):
    prompt = picture("kept")
    extra = {"extra_pnginfo": {"workflow": WORKFLOW}, "api_key_comfy_org": "comfyui-secret"}
    run = host.run(prompt, extra_data=extra)
    assert run.status == "success", run
    until(lambda: (kept(host, run.prompt_id) or {}).get("is_open") == 0)
    assert graph_of(host, run.prompt_id) == {
        "prompt": prompt,
        "workflow": WORKFLOW,
        "targets": None,
        "whole": True,
    }


def test_a_graph_without_a_cloud_node_is_not_kept_and_gets_no_id_of_ours(host: Host):
    local = graph(make=node("ProbeImage", seed=5), seen=node("ProbeSink", value=link("make")))
    ours = host.run(picture("kept beside a local one"))
    run = host.run(local)
    until(lambda: kept(host, ours.prompt_id))
    assert run.status == "success"
    assert kept(host, run.prompt_id) is None


def test_a_prompt_keeps_the_id_that_its_client_chose(host: Host):
    chosen = "0b1f8e02-9c3c-4c5c-8c5e-0123456789ab"
    run = host.run(picture("with an id"), prompt_id=chosen)
    assert run.prompt_id == chosen
    assert until(lambda: graph_of(host, chosen))["prompt"] == picture("with an id")


@pytest.mark.parametrize("way", ["delete", "clear"])
def test_what_was_deleted_or_cleared_is_not_offered_once_comfyui_has_ended(host: Host, way: str):
    gate = graph(gate=node("ProbeTime", gate=way, seconds=0.0), shut=node("ProbeSink"))
    gate["shut"]["inputs"]["value"] = link("gate")
    with behind_a_gate(host):
        before, shut = host.start(picture(f"before {way}")), host.start(gate)
        waiting = host.start(picture(f"{way} it"))
        until(lambda: kept(host, waiting.prompt_id) == {"is_open": 1})
    until(lambda: kept(host, before.prompt_id) == {"is_open": 0})  # by a look at the whole queue
    host.client.post("/queue", {"delete": [waiting.prompt_id]} if way == "delete" else {way: True})
    until(lambda: kept(host, waiting.prompt_id) == {"is_open": 0})
    host.open_gate(way)
    assert shut.result().status == before.result().status == "success"


# -- routes -------------------------------------------------------------------------------------


def job_of(host: Host, prompt_id: str) -> dict[str, Any]:
    rows = host.route("GET", "/skyport/jobs").json()["jobs"]
    found: dict[str, Any] = next(row for row in rows if row["prompt"] == prompt_id)
    return found


def test_a_job_and_the_bytes_of_its_result_bring_the_graph(host: Host):
    prompt = picture("found by its bytes")
    run = host.run(prompt, extra_data={"extra_pnginfo": {"workflow": WORKFLOW}})
    job = job_of(host, run.prompt_id)["job"]
    told = host.route("GET", f"/skyport/jobs/{job}").json()
    assert told["graph"] is True
    assert told["seed"] is True
    sha256 = told["files"][0]["sha256"]
    found = host.route("GET", f"/skyport/results/{sha256}").json()
    assert (found["job"]["job"], found["graph"]) == (job, True)
    kept = host.route("GET", f"/skyport/jobs/{job}/graph").json()
    assert kept == {"prompt": prompt, "workflow": WORKFLOW, "targets": None, "whole": True}


def test_what_was_brought_by_no_job_and_a_job_without_a_graph_are_told(ledger_of_host: Any):
    host = ledger_of_host.host
    assert host.route("GET", f"/skyport/results/{'0' * 64}").json() == {"job": None, "graph": False}
    job = ledger_of_host.add(State.DELIVERED)
    told = host.route("GET", f"/skyport/jobs/{job}").json()
    assert (told["graph"], told["seed"]) == (False, False)
    answer = host.route("GET", f"/skyport/jobs/{job}/graph")
    assert answer.status_code == 400
    assert f"The graph of job {job} was not kept." in answer.json()["message"]


@pytest.fixture
def ledger_of_host(host: Host) -> Iterator[HostLedger]:
    with HostLedger(host) as ledger:
        ledger._run("DELETE FROM prompts")
        yield ledger


def left_of(host: Host) -> list[str]:
    prompts = host.route("GET", "/skyport/queue/left").json()["prompts"]
    return [one["id"] for one in prompts]


def act(host: Host, verb: str, **fields: Any) -> Any:
    headers = {"X-Skyport": "1"}
    return host.route("POST", f"/skyport/queue/left/{verb}", json=fields, headers=headers).json()


def leave(host: Host, **prompts: dict[str, Any]) -> None:
    """Prompts of a process that has died, by id."""
    owner = Owner(host.home / "owners")
    with closing(Store(host.home / "ledger.db", owner)) as store:
        for name, prompt in prompts.items():
            store.keep_graph(name, text(prompt=prompt, whole=True))
    owner.close()


def leave_small(ledger: HostLedger, *names: str) -> None:
    leave(ledger.host, **{name: {"1": {"class_type": name}} for name in names})


def test_a_prompt_that_was_left_is_given_to_one_page_and_offered_until_it_is_queued(
    ledger_of_host: HostLedger,
):
    host = ledger_of_host.host
    leave_small(ledger_of_host, "a", "b")
    assert left_of(host) == ["a", "b"]
    assert act(host, "take", id="a")["graph"]["prompt"] == {"1": {"class_type": "a"}}
    assert act(host, "take", id="a") == {"graph": None, "prompt_id": next_id("a")}
    assert left_of(host) == ["b"]
    act(host, "return", ids=["a"])
    assert left_of(host) == ["a", "b"]
    act(host, "take", id="a")
    act(host, "close", ids=["a"])
    act(host, "close", ids=["b"])
    assert left_of(host) == []


def jobs_for(host: Host, words: str) -> int:
    rows = host.route("GET", "/skyport/jobs").json()["jobs"]
    return len([row for row in rows if words in row["words"]])


def queue_again(host: Host, name: str, prompt: dict[str, Any]) -> Run:
    """Queue what was left, as the page does."""
    new_id = act(host, "take", id=name)["prompt_id"]
    workflow = {**WORKFLOW, "skyport_prompt_id": new_id}
    run = host.run(prompt, extra_data={"extra_pnginfo": {"workflow": workflow}})
    act(host, "close", ids=[name])
    assert (run.status, run.prompt_id) == ("success", new_id)
    return run


def test_what_a_prompt_has_brought_before_a_crash_is_not_paid_again_with_reuse_off(host: Host):
    words = "paid before the crash"
    versions = (
        {**picture(words), "make": {**make, "inputs": {**make["inputs"], "unread": number}}}
        for number in range(5)  # ComfyUI itself holds no result of it
        for make in [picture(words)["make"]]
    )
    headers = {"X-Skyport": "1"}
    change = {"json": {"reuse_results": False}, "headers": headers}
    host.route("POST", "/skyport/setup/settings", **change).raise_for_status()
    try:
        run = host.run(next(versions))
        for _ in range(2):  # ComfyUI ends twice
            until(lambda run=run: (kept(host, run.prompt_id) or {}).get("is_open") == 0)
            prompt = next(versions)
            leave(host, **{run.prompt_id: prompt})
            run = queue_again(host, run.prompt_id, prompt)
            assert "make" in run.ran()
            assert jobs_for(host, words) == 1
            assert until(lambda run=run: graph_of(host, run.prompt_id))["workflow"] == WORKFLOW
        assert host.run(next(versions)).status == "success"
        assert jobs_for(host, words) == 2
    finally:
        change["json"] = {"reuse_results": None}
        host.route("POST", "/skyport/setup/settings", **change)


def test_the_id_goes_with_a_workflow_that_was_not_kept_too(host: Host):
    new_id = next_id("a prompt of a script")
    about = {"workflow": {"skyport_prompt_id": new_id}}
    run = host.run(picture("by a script"), extra_data={"extra_pnginfo": about})
    assert run.prompt_id == new_id
    assert until(lambda: graph_of(host, new_id))["workflow"] is None


@pytest.mark.parametrize("payload", [{}, {"ids": "a"}, {"ids": [1]}])
def test_ids_that_are_none_are_refused(host: Host, payload: dict[str, Any]):
    for verb in ("close", "return", "estimate"):
        assert act(host, verb, **payload)["error"] == "InvalidInput"
    assert act(host, "take", id=3)["error"] == "InvalidInput"


# -- the command --------------------------------------------------------------------------------


@pytest.fixture
def own_ledger(home: Path) -> Iterator[Store]:
    owner = Owner(home / "owners")
    with closing(Store(home / "ledger.db", owner)) as store:
        yield store
    owner.close()


@pytest.mark.usefixtures("process")
def test_the_command_finds_the_job_and_the_workflow_of_a_copy_under_another_name(
    own_ledger: Store, tmp_path: Path, skyport: Any
):
    copy = tmp_path / "renamed.bin"
    copy.write_bytes(b"the bytes of a result")
    job = bring(own_ledger, "p", sha256_of(copy)[0])
    prompt = {"1": {"class_type": "A", "inputs": {}}}
    own_ledger.keep_graph("p", text(prompt=prompt, workflow=WORKFLOW, whole=True))
    assert json.loads(skyport("jobs", "show", str(copy), "--json").out)["job"] == job
    assert json.loads(skyport("jobs", "workflow", str(copy)).out) == WORKFLOW
    assert json.loads(skyport("jobs", "workflow", str(job), "--api").out) == prompt


@pytest.mark.usefixtures("process")
def test_the_command_says_what_it_does_not_know(own_ledger: Store, tmp_path: Path, skyport: Any):
    strange = tmp_path / "strange.png"
    strange.write_bytes(b"of somebody else")
    assert "No job of this machine has brought" in skyport("jobs", "show", str(strange)).err
    job = bring(own_ledger, "p")
    assert "was not kept" in skyport("jobs", "workflow", str(job)).err
