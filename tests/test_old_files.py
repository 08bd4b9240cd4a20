"""Pins that nothing on people's disks broke when the code was given rooms: what the code of before
wrote opens unchanged, and whoever orders again what it ordered pays for nothing twice.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from types import NoneType
from typing import Any

import platformdirs
import pytest
from _old import IN_LEDGER, MARKS, NAMES, REQUESTS, THEN, THERE, bring, change, in_json, skyport
from host import KINDS, PACK, Host, graph, link, node, open_host
from sandboxes import environment, set_environment
from skyport import providers
from skyport.engine.base.errors import OutcomeUnknown, TaskFailed
from skyport.engine.base.types import Model, Request
from skyport.engine.ledger.ledger import EVERYTHING, record_of
from skyport.engine.ledger.migrations import VERSION
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.sqlite_store import Store
from skyport.engine.media.files import describe, is_intact
from skyport.engine.settings import keys, settings
from skyport.engine.tasks.job import Job
from skyport.sandbox import Sandbox, start

pytestmark = pytest.mark.usefixtures("process")
LEDGER = ("ledger.sql", "owners/*.lock")
CLOUDS = ("gpugeek", "haiyi", "happyhorse", "opencomputing")
BROUGHT = IN_LEDGER[:8]
OVER = ("one that failed", "one that was stopped")
LEFT = ("one that was just taken", "one at work", "one that nobody waits for")
DOUBTED = ("one without an answer", "one about to be sent")
POSIX = pytest.mark.skipif(os.name != "posix", reason="Windows makes no links and asks no HOME")
INTENT = len(IN_LEDGER)  # the row of an order that its process did not live to see taken


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start(pace=0.02) as sandbox:
        sandbox.platforms["happyhorse"].most_seconds = 0.1
        yield sandbox


@pytest.fixture
def cloud(sandbox: Sandbox, monkeypatch: Any) -> Sandbox:
    """The same clouds as then, at another port, with the same keys."""
    set_environment(monkeypatch, environment(sandbox, *CLOUDS))
    sandbox.log.clear()
    return sandbox


def saved_request(name: str) -> dict[str, Any]:
    return next(one for one in REQUESTS if one["name"] == name)


def request(name: str, **changes: int) -> Request:
    one = {**saved_request(name), **changes}
    platform = import_module(f"skyport.providers.{one['platform']}")
    values = [_filled(value, one["platform"]) for value in one["with"]]
    return replace(getattr(platform, one["make"])(*values, seed=one["seed"]), copy=one["copy"])


def _filled(tree: Any, platform: str) -> Any:
    """`tree` with files and models where they are only named."""
    if isinstance(tree, list):
        return [_filled(one, platform) for one in tree]
    if not isinstance(tree, dict):
        return tree
    if list(tree) == ["file"] and isinstance(tree["file"], str):
        return describe(THERE / "media" / tree["file"])
    if list(tree) == ["model"] and isinstance(tree["model"], list):
        kind = providers.provider_class(platform)
        known = [kind.read_row(row) for row in kind.built_in_rows()]
        found = (one for one in known if [one.id, one.task] == tree["model"])
        return next(found, Model(platform, *tree["model"]))
    return {name: _filled(value, platform) for name, value in tree.items()}


def begun(name: str, **changes: int) -> Job:
    provider = providers.connect(saved_request(name)["platform"])
    return providers.runner().start(provider, request(name, **changes), providers.results())


def paid(cloud: Sandbox) -> int:
    return sum(cloud.charges.values())


# -- the ledger ---------------------------------------------------------------------------------


def listed(tree: Any) -> list[dict[str, Any]]:
    """Jobs as the command tells of them; SQLite's text holds times a little less exactly."""
    times = ("created", "submitted", "ended", "delivered")
    return [{**job, **{name: round(job[name], 3) for name in times}} for job in tree]


def test_every_row_reads_back_as_the_old_code_told_it(home, tmp_path):
    bring(home, tmp_path, *LEDGER)
    text = (THERE / "jobs.json").read_text("utf-8").replace("{folder}", tmp_path.as_posix())
    before, now = listed(json.loads(text)), listed(json.loads(skyport("jobs", "--json")))
    assert {job["state"] for job in now} | {"intent"} == {
        *("intent", "submitted", "running", "detached", "succeeded", "delivered"),
        *("failed", "cancelled", "unknown"),
    }
    assert time.time() - now[0].pop("ended") < 600  # this is when its owner was found dead
    assert before[0].pop("ended") > before[0]["created"]
    newer = [(str(job.pop("details")), job.pop("answer"), job.pop("person")) for job in now]
    assert set(newer) == {("[]", "", "")}
    # Which the old code did not keep: by platform, as the migration does.
    units = {"gpugeek": "CNY", "opencomputing": "credits", "happyhorse": "USD"}
    assert all(job.pop("unit") == units.get(job["platform"], "") for job in now)
    assert now == before


def test_nothing_that_ended_before_is_notified_of_now(home, tmp_path):
    bring(home, tmp_path, *LEDGER)
    skyport("jobs", "--json")
    events = change(home, "SELECT DISTINCT event FROM notices")
    assert events == [("unknown",)]  # only of the order whose process was found dead just now


def test_what_no_list_shows_reads_back_too_and_all_results_are_whole(home, tmp_path):
    bring(home, tmp_path, *LEDGER)
    rows = {row.id: row for row in providers.ledger().disk.rows(EVERYTHING)}
    for number, owner, sent in change(home, "SELECT id, owner, sent FROM tasks"):
        row = rows[number]
        assert row.owner == owner
        assert sorted(row.task.sent if row.task else ()) == json.loads(sent)
    brought = [(n, file) for n, row in rows.items() if row.result for file in row.result.files]
    known = [(number, file.url) for number, file in brought]
    assert sorted(known) == sorted(change(home, "SELECT task, url FROM files"))
    assert all(is_intact(file) for _, file in brought)


def test_opening_it_changes_no_row_but_that_of_the_dead_and_adds_empty_columns(home, tmp_path):
    bring(home, tmp_path, *LEDGER)
    names = ", ".join(column[1] for column in change(home, "PRAGMA table_info(tasks)"))
    rows = [f"SELECT {names} FROM tasks WHERE id != {INTENT}", "SELECT * FROM files"]
    before = [change(home, sql) for sql in rows]
    skyport("jobs")
    assert [change(home, sql) for sql in rows] == before
    assert change(home, f"SELECT state FROM tasks WHERE id = {INTENT}") == [("unknown",)]
    added = "SELECT DISTINCT success, answer, told, details FROM tasks"
    assert change(home, added) == [("", "", 0, "[]")]


def test_what_was_charged_counts_in_the_unit_of_its_platform(home, tmp_path):
    bring(home, tmp_path, *LEDGER)
    units = {"gpugeek": "CNY", "opencomputing": "credits"}
    sql = "SELECT platform, cost FROM tasks WHERE cost IS NOT NULL ORDER BY id"
    before = [(name, cost, units[name], cost) for name, cost in change(home, sql)]
    assert {name for name, *_ in before} == set(units)
    Store(home / "ledger.db", Owner(home / "owners")).close()
    sql = "SELECT platform, charge, charge_unit, cost FROM tasks WHERE cost IS NOT NULL ORDER BY id"
    assert change(home, sql) == before


def test_looking_at_it_again_changes_nothing_at_all(home, tmp_path):
    bring(home, tmp_path, *LEDGER)
    skyport("jobs")
    everything = ["SELECT * FROM tasks", "SELECT * FROM files"]
    everything += ["PRAGMA user_version", "SELECT sql FROM sqlite_master ORDER BY name"]
    before = [change(home, sql) for sql in everything]
    skyport("jobs")
    assert [change(home, sql) for sql in everything] == before
    assert before[2] == [(VERSION,)]


def test_an_order_that_the_old_code_is_just_sending_is_left_to_it(home, tmp_path):
    """It may still run while the new code is asked for the jobs."""
    bring(home, tmp_path, *LEDGER)
    [lock] = (home / "owners").glob("*.lock")
    with held(lock):
        assert json.loads(skyport("jobs", "--json"))[0]["state"] == "intent"
    assert json.loads(skyport("jobs", "--json"))[0]["state"] == "unknown"


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """Another process holds its file, as the old code did as long as it lived."""
    code = (
        "import sys, filelock\n"
        "with filelock.FileLock(sys.argv[1]):\n"
        "    print(flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(lock)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        yield
    finally:
        child.communicate()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_job_is_listed_shown_and_fetched_by_the_command(home, tmp_path, language):
    bring(home, tmp_path, *LEDGER)
    env = {"SKYPORT_LANG": language}
    lines = skyport("jobs", env=env).splitlines()[2:]
    numbers = [line.split()[0] for line in lines[: len(IN_LEDGER)]]
    assert numbers == [str(n) for n in range(len(IN_LEDGER), 0, -1)]
    assert "\u98ce\u592a\u5927" in skyport("jobs", "show", "5021", env=env)
    [path] = skyport("jobs", "fetch", 2, "--output", tmp_path / "out", env=env).splitlines()
    assert Path(path).stat().st_size == 115


# -- equal orders -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_an_equal_request_has_the_fingerprint_and_the_words_it_had(home, tmp_path, name):
    order = record_of(request(name), f"{THEN}/{saved_request(name)['platform']}")
    assert order.fingerprint == MARKS[name]
    if name in IN_LEDGER:
        bring(home, tmp_path, "ledger.sql")
        sql = "SELECT request, endpoint FROM tasks WHERE mark = ?"
        [(stored, endpoint)] = change(home, sql, order.fingerprint)
        assert (order.request, order.endpoint) == (json.loads(stored), endpoint)


@pytest.mark.parametrize("name", BROUGHT)
def test_an_equal_order_gets_the_old_result_and_nobody_is_asked(cloud, home, tmp_path, name):
    bring(home, tmp_path, *LEDGER, origin=cloud.origin)
    before = paid(cloud)
    result = begun(name).future.result(20)
    job = in_json("jobs.json")[-1 - IN_LEDGER.index(name)]
    assert (result.reused, result.task_id, result.cost) == (True, job["task"], job["cost"])
    assert [list(result.texts), list(result.warnings)] == [job["texts"], job["warnings"]]
    assert [file.sha256 for file in result.files] == [file["sha256"] for file in job["files"]]
    assert all(tmp_path / "results" in file.path.parents for file in result.files)
    assert (paid(cloud), list(cloud.log)) == (before, [])


@pytest.mark.parametrize("name", LEFT)
def test_an_equal_order_waits_for_the_task_that_was_left_under_way(cloud, home, tmp_path, name):
    bring(home, tmp_path, *LEDGER, origin=cloud.origin)
    task = providers.connect(saved_request(name)["platform"]).submit(request(name))
    change(home, "UPDATE tasks SET task_id = ? WHERE id = ?", task, NAMES.index(name) + 1)
    before = paid(cloud)
    job = begun(name)
    result = job.future.result(30)
    assert (job.snapshot.attached, result.task_id, len(result.files)) == (True, task, 1)
    assert paid(cloud) == before


@pytest.mark.parametrize("name", OVER)
def test_what_brought_nothing_is_ordered_anew(cloud, home, tmp_path, name):
    bring(home, tmp_path, *LEDGER, origin=cloud.origin)
    before = paid(cloud)
    job = begun(name)
    error = job.future.exception(20)
    assert isinstance(error, TaskFailed if name == "one that failed" else NoneType)
    assert paid(cloud) == before + 1
    assert error or job.future.result().warnings == ()


@pytest.mark.parametrize("name", DOUBTED)
def test_what_may_have_been_charged_is_told_first_and_ordered_by_the_second_queue(
    cloud, home, tmp_path, name
):
    bring(home, tmp_path, *LEDGER, origin=cloud.origin)
    before = paid(cloud)
    first = begun(name)
    with pytest.raises(OutcomeUnknown, match="may have been charged"):
        first.future.result(20)
    assert paid(cloud) == before
    providers.runner().record_told(first)
    [warning] = begun(name).future.result(20).warnings
    assert "may have been charged" in warning
    assert paid(cloud) == before + 1


# -- what else is in the data folder ------------------------------------------------------------


def test_every_setting_holds(home, tmp_path, monkeypatch):
    monkeypatch.delenv("SKYPORT_RESULTS_DIR")
    bring(home, tmp_path, "settings.json")
    stored = {
        "max_parallel": 3,
        "time_limit_s": 7200.5,
        "patience_s": 900,
        "max_result_mb": 512,
        "results_dir": tmp_path / "results",
        "sandbox": True,
        "language": "zh",
        "catalogue_hours": 12,
        "reuse_results": False,
        "keep_days": 36500,
        "media_host": "haiyi",
        "s3_endpoint": "https://s3.example.com",
        "s3_bucket": "a-bucket",
        "s3_region": "cn-north-1",
        "s3_prefix": "media/skyport",
        "s3_hours": 48,
        "happyhorse_media": "url",  # newer than the file
        "base_urls": {"happyhorse": "https://happyhorse.example.com/v1"},
    }
    found = asdict(settings.load())
    assert {name: found[name] for name in stored} == stored
    assert keys.base_url("happyhorse", "HappyHorse") == "https://happyhorse.example.com/v1"
    assert skyport("jobs") == ""  # a setting that is not understood would stop every command


def test_keys_are_found(home, tmp_path):
    bring(home, tmp_path, "keys.json")
    found = {name: keys.find(name).value for name in CLOUDS}
    assert found == {name: f"test-{name}-key-0000" for name in CLOUDS}
    assert [key.value for key in keys.s3()] == ["test-s3-access-0000", "test-s3-secret-0000"]


def test_a_picture_that_was_uploaded_before_does_not_go_up_again(cloud, home, tmp_path):
    bring(home, tmp_path, "hosted.sql", origin=cloud.origin)
    haiyi, now = providers.connect("haiyi"), time.time()
    url = haiyi.upload(describe(THERE / "media" / "photo.png"), request("a picture edited"))
    sql = "UPDATE hosted SET url = ?, noted = ?, until = ?"
    change(home, sql, url, now - 60, now + 600, file="hosted.db")
    for name in ("a film of a picture", "a picture edited"):  # it hosts for others, and for itself
        cloud.log.clear()
        begun(name, seed=99).future.result(30)
        assert cloud.log.of("POST", "file/upload") == []
        assert any(url in str(seen.fields) for seen in cloud.log)


@pytest.mark.parametrize(
    ("file", "env"),
    [
        ("haiyi.json", {}),
        ("haiyi.sandbox.json", {"SKYPORT_SANDBOX": "1"}),
        ("haiyi.502430a0.json", {"HAIYI_BASE_URL": f"{THEN}/haiyi"}),
    ],
)
def test_the_models_of_a_catalogue_are_there_without_asking_for_them(home, tmp_path, file, env):
    bring(home, tmp_path, "catalogue/*.json")
    models = json.loads(skyport("models", "haiyi", "--json", env=env))
    found = {(one["id"], one["task"]): (one["retired"], len(one["params"])) for one in models}
    for row in in_json(f"home/catalogue/{file}"):
        name = (f"{row['provider']}/{row['model']}", row["type"])
        assert found.pop(name) == (row.get("retired", False), len(row["parameter_rules"]))
    assert {retired for retired, _ in found.values()} <= {False}


def test_gpugeek_is_asked_as_it_was_found_to_understand(cloud, home, tmp_path, monkeypatch):
    bring(home, tmp_path, "gpugeek.json", origin=cloud.origin)
    monkeypatch.setattr(cloud.platforms["gpugeek"], "dialect", "sample")
    begun("a hosted workflow").future.result(20)
    asked = [seen.method for seen in cloud.log if seen.path.endswith("pre-signed-url")]
    assert asked == ["POST"]


@pytest.fixture(scope="module", params=KINDS)
def opened(request: Any, tmp_path_factory: Any) -> Iterator[Host]:
    base = tmp_path_factory.mktemp(request.param)
    bring(base / "home", base, "**/*")
    with open_host(request.param, base) as host:
        yield host


def test_a_comfyui_takes_up_the_data_folder_and_loads_a_result_of_it(opened, monkeypatch):
    opened.share_env(monkeypatch)
    monkeypatch.delenv("SKYPORT_RESULTS_DIR")
    body = opened.route("GET", "/skyport/jobs").json()
    assert [body["total"], body["trouble"]] == [len(IN_LEDGER), ""]
    setup = opened.route("GET", "/skyport/setup").json()
    keyed = [
        one for one in setup["platforms"] if one["name"] != "comfyui"
    ]  # younger than the files
    assert {one["key"]["last4"] for one in keyed} == {"0000"}
    load = node("SkyportLoadResult", job="24317")
    run = opened.run(graph(load=load, seen=node("ProbeSink", value=link("load"))))
    assert run.probe("seen")["shape"] == [1, 320, 320, 3]


# -- where the data folder is -------------------------------------------------------------------


@POSIX
def test_a_pack_in_a_comfyui_finds_its_keys_and_jobs_in_that_comfyui(tmp_path):
    comfyui = tmp_path / "ComfyUI"
    (comfyui / "custom_nodes").mkdir(parents=True)
    (comfyui / "folder_paths.py").touch()
    (comfyui / "custom_nodes" / "skyport").symlink_to(PACK, target_is_directory=True)
    bring(comfyui / "user" / "__skyport", tmp_path, "**/*")
    path = os.pathsep.join([str(comfyui / "custom_nodes"), *filter(None, sys.path)])
    finds_everything({"PYTHONPATH": path, "SKYPORT_HOME": ""})


@POSIX
def test_without_a_comfyui_they_are_found_in_the_users_own_folder(tmp_path, monkeypatch):
    variables = {name: str(tmp_path) for name in ("HOME", "XDG_DATA_HOME")}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    bring(Path(platformdirs.user_data_dir("skyport", appauthor=False)), tmp_path, "**/*")
    finds_everything({**variables, "SKYPORT_HOME": ""})


def finds_everything(env: Mapping[str, str]) -> None:
    assert skyport("keys", "list", env=env).count("0000") == len(CLOUDS) + 1
    assert len(json.loads(skyport("jobs", "--json", env=env))) == len(IN_LEDGER)
