"""Pins `skyport jobs`: what it tells of the ledger, what it never shows, and that every result that
was paid for comes back; and that `skyport run --output` holds what it reused.
"""

from __future__ import annotations

import io
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from _waiting import PATIENCE
from sandboxes import environment, set_environment
from skyport import providers
from skyport.cli.jobs import _request_cancel
from skyport.cli.run import copy_into
from skyport.engine.base.errors import OutcomeUnknown
from skyport.engine.base.types import Kind, Model, Request, Result, ResultFile, Task
from skyport.engine.http.client import Http
from skyport.engine.ledger.ledger import Source, State, TaskRecord, record_of
from skyport.engine.media.files import sha256_of
from skyport.engine.platforms.provider import Provider
from skyport.providers import comfyui, haiyi
from skyport.sandbox import Sandbox

SECRET = "AI-this-is-a-secret-9876"
pytestmark = pytest.mark.usefixtures("process")
BUCKET_SECRET = "a-secret-of-a-bucket-1234"
ROW = Model("haiyi", "google/gemini-3.1-flash-image-preview", "text2image")


@pytest.fixture
def cloud(sandbox: Sandbox, monkeypatch: Any) -> Sandbox:
    set_environment(monkeypatch, environment(sandbox, "haiyi"))
    sandbox.log.clear()
    return sandbox


def request(prompt: str, seed: int = 1) -> Request:
    parameters = {"prompt": prompt, "aspect_ratio": "1:1", "n": 1}
    return haiyi.generation(ROW, parameters, seed=seed)


def kept(
    state: State, prompt: str = "a lighthouse", *, task_id: str = "24317", **more: Any
) -> TaskRecord:
    """A job in the ledger, as a process that has ended since left it there."""
    place = more.pop("place", "https://example.com")
    order = record_of(request(prompt), place, Source("7", "prompt-1"))
    order = replace(order, unit=more.pop("unit", ""))
    ledger = providers.ledger()
    ledger.record_intent(order)
    if state is State.INTENT:
        return order
    if state in (State.FAILED, State.CANCELLED, State.UNKNOWN):
        ledger.record_end(order.fingerprint, state, more.get("error", "the platform's reason"))
        return order
    ledger.record_accepted(order, Task("haiyi", order.endpoint, task_id))
    if state in (State.RUNNING, State.DETACHED):
        ledger.record_progress(order.fingerprint, state, more.get("cost"))
    if state is State.UNRESOLVED:
        reason = more.get("error", "the platform names no result")
        ledger.record_unresolved(order.fingerprint, "", reason, more.get("answer", ""))
    if state in (State.SUCCEEDED, State.DELIVERED):
        files, details = tuple(more.get("files", ())), tuple(more.get("details", ()))
        result = Result(task_id, files, details=details, cost=more.get("cost"))
        ledger.record_result(order.fingerprint, result)
    if state is State.DELIVERED:
        ledger.record_delivered(order.fingerprint)
    return order


def file_at(path: Path, content: bytes = b"a picture", url: str = "") -> ResultFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    sha256, size = sha256_of(path)
    return ResultFile(path, Kind.IMAGE, "image/png", size, sha256, url)


def finished(prompt: str, seed: int = 1) -> Result:
    """A task that was really run and delivered."""
    provider = providers.connect("haiyi")
    job = providers.runner().start(provider, request(prompt, seed), providers.results())
    result = job.future.result(PATIENCE)
    providers.runner().record_delivered(job)
    return result


# -- list ---------------------------------------------------------------------------------------


def test_an_empty_ledger_says_so(skyport):
    result = skyport("jobs")
    assert (result.code, result.out, result.err) == (0, "", "No job.\n")


def test_the_list_is_newest_first_and_tells_every_column(skyport, tmp_path):
    kept(State.FAILED, "one")
    files = [file_at(tmp_path / "a.png")]
    kept(State.DELIVERED, "two", task_id="A-7", files=files, cost=0.11, unit="CNY")
    result = skyport("jobs")
    assert result.code == 0
    head, _, newest, oldest = result.lines[:4]
    columns = ["job", "platform", "title", "task", "state", "age", "cost", "files"]
    assert head.split() == columns
    first = re.split(r"  +", newest)
    assert first[:5] == ["2", "haiyi", ROW.id.split("/")[1], "A-7", "delivered"]
    assert first[6:] == ["0.11 CNY", "1"]
    assert re.split(r"  +", oldest)[0] == "1"
    assert "failed" in oldest


@pytest.mark.parametrize(
    ("given", "jobs"),
    [
        (("list",), ["3", "2", "1"]),
        (("--state", "failed"), ["1"]),
        (("list", "--state", "failed"), ["1"]),
        (("--state", "failed", "list"), ["1"]),
        (("--search", "THREE"), ["3"]),
        (("--search", "A-7"), ["2"]),
        (("--platform", "haiyi", "--limit", "1"), ["3"]),
    ],
)
def test_the_list_can_be_narrowed(skyport, given, jobs):
    kept(State.FAILED, "one")
    kept(State.RUNNING, "two", task_id="A-7")
    kept(State.UNKNOWN, "three")
    result = skyport("jobs", *given)
    assert [line.split()[0] for line in result.lines[2:]] == jobs


def test_what_is_not_shown_is_counted(skyport):
    for prompt in ("one", "two", "three"):
        kept(State.FAILED, prompt)
    assert "2 of 3 are shown" in skyport("jobs", "--limit", "2").err


@pytest.mark.parametrize(
    "argv", [("--state", "lost"), ("--limit", "0"), ("--limit", "x"), ("burn",), ("show",)]
)
def test_a_wrong_argument_is_a_usage_error(skyport, argv):
    assert skyport("jobs", *argv).code == 2


def test_costs_are_summed_by_day_and_platform_where_they_are_told(skyport):
    kept(State.DELIVERED, "one", task_id="1", cost=0.5)
    kept(State.RUNNING, "two", task_id="2", cost=0.25)
    kept(State.RUNNING, "three", task_id="3")
    sums = skyport("jobs").lines[-1]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d  haiyi +2 +0\.75", sums)


def test_without_any_cost_there_is_no_sum(skyport):
    kept(State.RUNNING)
    assert len(skyport("jobs").lines) == 3


def test_json_holds_every_fact_and_no_secret(skyport, monkeypatch, tmp_path):
    monkeypatch.setenv("HAIYI_API_KEY", SECRET)
    monkeypatch.setenv("SKYPORT_S3_ACCESS_KEY", "AKIA-of-a-bucket")
    monkeypatch.setenv("SKYPORT_S3_SECRET_KEY", BUCKET_SECRET)
    signed = "https://oss.example.com/a.png?Signature=hidden"
    files = [file_at(tmp_path / "a.png", url=signed)]
    order = kept(State.DELIVERED, f"like {signed} {SECRET} {BUCKET_SECRET}", files=files, cost=0.5)
    result = skyport("jobs", "--json")
    [row] = json.loads(result.out)
    assert (row["job"], row["task"], row["state"], row["cost"]) == (1, "24317", "delivered", 0.5)
    assert (row["node"], row["prompt"]) == ("7", "prompt-1")
    assert row["fingerprint"] == order.fingerprint
    assert row["request"]["parameters"]["aspect_ratio"] == "1:1"
    assert row["files"][0]["path"] == str(tmp_path / "a.png")
    assert row["files"][0]["url"] == "https://oss.example.com/a.png"
    assert "hidden" not in result.out
    assert SECRET not in result.out
    assert BUCKET_SECRET not in result.out


def test_a_list_speaks_chinese(skyport, monkeypatch):
    kept(State.FAILED)
    monkeypatch.setenv("SKYPORT_LANG", "zh")
    assert re.search(r"[\u4e00-\u9fff]", skyport("jobs").lines[0])


def test_a_broken_ledger_is_told(skyport, home):
    (home / "ledger.db").mkdir()
    result = skyport("jobs")
    assert result.code == 1
    assert result.err.startswith("skyport: ")
    assert "data folder" in result.err


# -- show ---------------------------------------------------------------------------------------


def test_show_tells_everything_and_which_file_is_gone(skyport, tmp_path):
    there, gone = file_at(tmp_path / "a.png"), file_at(tmp_path / "b.png", b"another")
    kept(State.DELIVERED, "a harbour", files=[there, gone], cost=0.5, unit="CNY")
    gone.path.unlink()
    result = skyport("jobs", "show", 1)
    assert result.code == 0
    for part in ("task: 24317", "state: delivered", "cost: 0.5 CNY", "node: 7", "prompt: prompt-1"):
        assert part in result.lines
    [first, second] = [line for line in result.lines if line.startswith("file: ")]
    assert str(there.path) in first
    assert there.sha256 in first
    assert ("gone" in first, "gone" in second) == (False, True)
    assert json.loads(result.out.partition("request:\n")[2])["parameters"]["prompt"] == "a harbour"


def test_show_tells_which_server_of_a_pool_has_the_task(skyport):
    record, ledger = record_of(request("a harbour"), "http://127.0.0.1:1"), providers.ledger()
    ledger.record_intent(record)
    ledger.record_accepted(record, Task("haiyi", "attic", "24317"))
    assert "platform: HaiYi (http://127.0.0.1:1, attic)" in skyport("jobs", "show", "1").lines


def test_show_tells_the_name_alone_of_a_server_of_ones_own(skyport):
    order = comfyui.workflow({"1": {"class_type": "A", "inputs": {}}})
    record, ledger = record_of(order, comfyui.ADDRESS), providers.ledger()
    ledger.record_intent(record)
    ledger.record_accepted(record, Task("comfyui", "cellar", "24317"))
    assert "platform: ComfyUI (cellar)" in skyport("jobs", "show", "1").lines


def test_show_tells_the_error(skyport):
    kept(State.FAILED, error="HaiYi: no wind")
    assert "error: HaiYi: no wind" in skyport("jobs", "show", "1").lines


ANSWER = '{"status": "SUCCESS", "files": ["https://cdn.example/a.png?name=1"], "id": "SECRET"}'


def test_show_tells_the_last_answer_with_its_addresses_and_without_keys(skyport, monkeypatch):
    monkeypatch.setenv("HAIYI_API_KEY", SECRET)
    kept(State.UNRESOLVED, answer=ANSWER.replace("SECRET", SECRET))
    result = skyport("jobs", "show", 1)
    assert "state: unresolved" in result.lines
    shown = result.out.partition("the platform's last answer:\n")[2].partition("request:")[0]
    assert json.loads(shown) == json.loads(ANSWER.replace("SECRET", "..."))
    assert json.loads(skyport("jobs", "show", 1, "--json").out)["answer"] == (
        ANSWER.replace("SECRET", "...")
    )


def test_an_answer_that_was_cut_is_shown_as_it_is(skyport):
    kept(State.UNRESOLVED, answer='{"status": "SUC...')
    assert '{"status": "SUC...' in skyport("jobs", "show", 1).lines


def test_show_tells_the_details_and_long_ones_as_a_text(skyport):
    thought = "first this,\nthen that"
    kept(State.DELIVERED, details=[("queued", "1.2 s"), ("reasoning", thought)])
    lines = skyport("jobs", "show", 1).lines
    assert "queued: 1.2 s" in lines
    start = lines.index("reasoning:")
    assert lines[start + 1 : start + 3] == thought.splitlines()
    body = json.loads(skyport("jobs", "show", 1, "--json").out)
    assert body["details"] == [["queued", "1.2 s"], ["reasoning", thought]]


@pytest.mark.parametrize("name", ["2", "A-7", "#2", "latest"])
def test_a_job_is_named_by_number_task_id_or_latest(skyport, name):
    kept(State.RUNNING, "one", task_id="24317")
    kept(State.RUNNING, "two", task_id="A-7")
    kept(State.FAILED, "three")
    assert skyport("jobs", "show", name).lines[0] == "job: 2"


def test_a_number_of_ours_goes_before_a_task_id(skyport):
    kept(State.RUNNING, "one", task_id="2")
    kept(State.RUNNING, "two", task_id="1")
    assert skyport("jobs", "show", "1").lines[0] == "job: 1"


@pytest.mark.parametrize("name", ["99", "nothing", "9" * 40, " ", "-", "%"])
def test_an_unknown_job_lists_the_recent_ones(skyport, name):
    kept(State.RUNNING, task_id="A-7")
    result = skyport("jobs", "show", "--", name)
    assert result.code == 1
    assert "There is no job" in result.err
    assert "HaiYi A-7" in result.err


# -- fetch --------------------------------------------------------------------------------------


def test_a_result_on_this_disk_is_copied_and_nobody_is_asked(skyport, cloud, tmp_path):
    [file] = finished("copied").files
    cloud.log.clear()
    result = skyport("jobs", "fetch", "latest", "--output", tmp_path / "out")
    assert (result.code, result.lines) == (0, [str(tmp_path / "out" / file.path.name)])
    assert Path(result.lines[0]).read_bytes() == file.path.read_bytes()
    assert list(cloud.log) == []


def test_without_output_it_tells_where_the_result_is(skyport, cloud):
    [file] = finished("where").files
    assert skyport("jobs", "fetch", 1).lines == [str(file.path)]


def test_files_that_are_gone_are_downloaded_again_and_not_paid_for(skyport, cloud, tmp_path):
    [file] = finished("gone").files
    before, content = cloud.charges["haiyi"], file.path.read_bytes()
    file.path.unlink()
    result = skyport("jobs", "fetch", 1, "--output", tmp_path / "out")
    assert result.code == 0, result.err
    assert Path(result.lines[0]).read_bytes() == content
    assert cloud.charges["haiyi"] == before


def test_the_task_of_a_process_that_died_is_waited_for(skyport, cloud, process, tmp_path):
    provider = providers.connect("haiyi")
    sent = request("[[slow:20]] left behind")
    order = record_of(sent, provider.http.base_url)
    providers.ledger().record_intent(order)
    task_id = provider.submit(sent)
    providers.ledger().record_accepted(order, Task("haiyi", sent.endpoint, task_id))
    process()
    result = skyport("jobs", "fetch", task_id, "--output", tmp_path / "out")
    assert result.code == 0, result.err
    assert Path(result.lines[0]).is_file()
    assert "state: delivered" in skyport("jobs", "show", task_id).lines


def test_a_job_made_from_the_ledger_is_never_sent_again_whatever_became_of_its_row(cloud, tmp_path):
    finished("over meanwhile")
    stale = providers.ledger().disk.get(1)
    providers.ledger().prune(-1)
    before, provider = cloud.charges["haiyi"], providers.connect("haiyi")
    runner = providers.runner()
    job = runner.engine.run(runner.attach(provider, stale, tmp_path / "out"))
    assert job.future.result(PATIENCE).task_id == stale.task.id
    assert cloud.charges["haiyi"] == before


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (State.FAILED, "has failed and has no result: no wind"),
        (State.CANCELLED, "was cancelled"),
        (State.UNKNOWN, "may have been charged"),
    ],
)
def test_a_job_without_a_result_says_why(skyport, state, word):
    kept(state, error="no wind")
    result = skyport("jobs", "fetch", "1")
    assert result.code == 1
    assert word in result.err


def test_a_task_at_another_address_is_not_asked_for_here(skyport, cloud):
    kept(State.RUNNING, place="https://elsewhere.example.com")
    result = skyport("jobs", "fetch", "1")
    assert result.code == 1
    assert "https://elsewhere.example.com" in result.err
    assert list(cloud.log) == []


def test_files_of_an_older_equal_job_are_not_replaced_by_a_newer_ones(
    skyport, cloud, process, monkeypatch
):
    monkeypatch.setenv("SKYPORT_REUSE_RESULTS", "0")
    [file] = finished("twice").files
    finished("twice")
    file.path.unlink()
    result = skyport("jobs", "fetch", "1")
    assert result.code == 1
    assert "a newer equal job" in result.err


def test_a_copy_never_replaces_another_file_of_that_name(tmp_path):
    out = tmp_path / "out"
    one = file_at(tmp_path / "1" / "a.png", b"one")
    two = file_at(tmp_path / "2" / "a.png", b"two")
    names = [
        copy_into(Result("1", (file,)), out).files[0].path.name for file in (one, two, one, two)
    ]
    assert names == ["a.png", "a_2.png", "a.png", "a_2.png"]
    assert sorted(path.read_bytes() for path in out.iterdir()) == [b"one", b"two"]


# -- order anew ---------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A terminal at which this is typed."""

    def isatty(self) -> bool:
        return True


def left_open(state: State, cloud: Sandbox) -> TaskRecord:
    """A job that keeps its order from being sent again."""
    return kept(state, place=cloud.base_url("haiyi"), task_id="no-such-task")


def ordered_again() -> Result:
    """The result of the order that `kept` left in the ledger, given once more."""
    job = providers.runner().start(
        providers.connect("haiyi"), request("a lighthouse"), providers.results()
    )
    return job.future.result(PATIENCE)


@pytest.mark.parametrize("state", [State.UNRESOLVED, State.UNKNOWN])
def test_an_order_is_new_once_a_person_has_said_so(skyport, cloud, state):
    left_open(state, cloud)
    result = skyport("jobs", "anew", 1, "--yes")
    assert result.code == 0, result.err
    assert "costs again" in result.out
    before = cloud.charges["haiyi"]
    ordered_again()
    assert cloud.charges["haiyi"] > before
    assert [line.split()[0] for line in skyport("jobs").lines[2:4]] == ["2", "1"]


def test_ordering_anew_sends_nothing_itself_and_leaves_the_job_to_be_fetched(skyport, cloud):
    [file] = finished("to be looked for").files
    ledger, row = providers.ledger(), providers.ledger().disk.get(1)
    ledger.mark_files_lost(row.record.fingerprint)
    ledger.record_unresolved(row.record.fingerprint, "", "it names no result", "")
    file.path.unlink()
    before = cloud.charges["haiyi"]
    assert "`skyport jobs fetch 1`" in skyport("jobs", "anew", 1, "--yes").out
    result = skyport("jobs", "fetch", 1)
    assert result.code == 0, result.err
    assert file.path.is_file()
    assert cloud.charges["haiyi"] == before
    assert "state: delivered" in skyport("jobs", "show", 1).lines


@pytest.mark.parametrize(
    ("typed", "code"), [("y\n", 0), ("yes\n", 0), ("n\n", 1), ("\n", 1), ("", 1)]
)
def test_a_person_at_a_terminal_is_asked_first(skyport, cloud, monkeypatch, typed, code):
    order = left_open(State.UNRESOLVED, cloud)
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    result = skyport("jobs", "anew", 1)
    assert result.code == code
    assert "costs again" in result.out
    assert (providers.ledger().find(order.fingerprint) is None) == (code == 0)


def test_a_script_that_orders_anew_is_not_asked(skyport, cloud, monkeypatch):
    order = left_open(State.UNRESOLVED, cloud)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    result = skyport("jobs", "anew", 1)
    assert result.code == 0
    assert "that costs again" in result.out
    assert providers.ledger().find(order.fingerprint) is None


@pytest.mark.parametrize("state", [State.RUNNING, State.DELIVERED, State.FAILED, State.CANCELLED])
def test_only_what_blocks_its_order_can_be_ordered_anew(skyport, state):
    kept(state)
    result = skyport("jobs", "anew", 1, "--yes")
    assert result.code == 1
    assert "need not be ordered anew" in result.err


def test_who_fetches_what_was_never_answered_is_told_what_to_do_and_may_order_it_then(
    skyport, cloud
):
    order = left_open(State.UNKNOWN, cloud)
    with pytest.raises(OutcomeUnknown):
        ordered_again()
    assert not providers.ledger().find(order.fingerprint).told
    result = skyport("jobs", "fetch", 1)
    assert result.code == 1
    assert "check your tasks on the platform" in result.err
    assert "costs again" in result.err
    assert providers.ledger().find(order.fingerprint).told


def test_unresolved_jobs_can_be_listed(skyport):
    kept(State.UNRESOLVED, "one", task_id="1")
    kept(State.RUNNING, "two", task_id="2")
    result = skyport("jobs", "list", "--state", "unresolved")
    assert [line.split()[0] for line in result.lines[2:]] == ["1"]


# -- cancel and prune ---------------------------------------------------------------------------


def test_what_a_platform_cannot_cancel_is_said_plainly(skyport, cloud):
    kept(State.RUNNING, place=cloud.base_url("haiyi"))
    result = skyport("jobs", "cancel", "1")
    assert result.code == 1
    assert "HaiYi cannot cancel task 24317" in result.err
    assert "state: running" in skyport("jobs", "show", "1").lines


def test_a_task_that_a_platform_has_cancelled_is_over(skyport):
    kept(State.RUNNING)
    row = providers.ledger().disk.get(1)
    assert _request_cancel(row, Obedient(Http("Obedient", "https://example.com", {}))) == 0
    assert "state: cancelled" in skyport("jobs", "show", "1").lines


class Obedient(Provider):
    name = label = "Obedient"

    def cancel(self, task: Task) -> bool:
        return task.id == "24317"


@pytest.mark.parametrize("state", [State.DELIVERED, State.FAILED, State.UNKNOWN])
def test_only_what_is_under_way_can_be_cancelled(skyport, cloud, state):
    kept(state, place=cloud.base_url("haiyi"))
    result = skyport("jobs", "cancel", "1")
    assert result.code == 1
    assert "not in progress" in result.err


def test_prune_forgets_what_is_over_and_keeps_what_nobody_has_had(skyport):
    kept(State.FAILED, "one")
    kept(State.SUCCEEDED, "two", task_id="2")
    kept(State.RUNNING, "three", task_id="3")
    assert "forgotten: 0" in skyport("jobs", "prune").out  # younger than the setting keep_days
    assert "forgotten: 1" in skyport("jobs", "prune", "--older-than", "0").out
    assert [line.split()[0] for line in skyport("jobs").lines[2:]] == ["3", "2"]


@pytest.mark.parametrize("days", ["-1", "nan", "soon"])
def test_days_that_are_none_are_a_usage_error(skyport, days):
    assert skyport("jobs", "prune", f"--older-than={days}").code == 2


# -- run ----------------------------------------------------------------------------------------


def test_a_reused_result_lands_in_the_folder_asked_for(skyport, cloud, tmp_path):
    nodes = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "a"}},
    }
    workflow = tmp_path / "workflow.json"
    workflow.write_text(json.dumps(nodes), encoding="utf-8")
    argv = ("run", workflow, "--platform", "haiyi", "--input", f"1.image={picture(tmp_path)}")
    first = skyport(*argv, "--output", tmp_path / "one")
    before = cloud.charges["haiyi"]
    second = skyport(*argv, "--output", tmp_path / "two")
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert (tmp_path / "two") in Path(second.lines[0]).parents
    assert Path(second.lines[0]).read_bytes() == Path(first.lines[0]).read_bytes()
    assert "reused, no charge" in second.err
    assert cloud.charges["haiyi"] == before


def picture(folder: Path) -> Path:
    from PIL import Image

    path = folder / "photo.png"
    Image.new("RGB", (32, 24), "teal").save(path)
    return path
