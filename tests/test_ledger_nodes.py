"""Pins what the ledger promises at the nodes: nothing paid for is lost or paid for twice, and any
job of the past can be loaded; on the stand-in and in a ComfyUI that is killed and started again.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _clock import LONG, Clock
from _waiting import until
from host import KINDS, Host, Run, graph, link, node, open_host
from sandboxes import environment
from skyport.sandbox import Sandbox

GENERATE = "/openapi/v1/generate/image"


@pytest.fixture(scope="module", params=KINDS)
def opened(request: Any, sandbox: Sandbox, tmp_path_factory: Any) -> Iterator[Host]:
    """A host; a ComfyUI has had an earlier life on the same folders, which ended by SIGKILL."""
    base = tmp_path_factory.mktemp(request.param)
    env = environment(sandbox, "haiyi")
    if request.param == "comfyui":
        with open_host("comfyui", base, env=env) as host:
            first_life(host)
    with open_host(request.param, base, env=env) as host:
        yield host


def first_life(host: Host) -> None:
    """One task whose result was delivered, and two under way when it is killed."""
    assert host.run(DONE).status == "success"
    both = graph(
        picture=node("ProbeImage", seed=1),
        again=edit(f"{LONG} queued again"),
        alone=edit(f"{LONG} left alone"),
    )
    handle = host.start(both)
    for name in ("again", "alone"):
        handle.wait_for_text(name, "running")
    host.process._process.kill()  # as the system does when memory is short: nothing can be tidied
    host.process._process.wait()


def edit(prompt: str, picture: str = "picture", seed: int = 1) -> dict[str, Any]:
    return node(
        "SkyportHaiyiImageToImage",
        {
            "prompt": prompt,
            "seed": seed,
            "model": "google/gemini-3-pro-image-preview",
            "model.images.image0": link(picture),
            "model.aspect_ratio": "(default)",
            "model.resolution": "1K",
        },
    )


def one_task(prompt: str, seed: int = 1) -> dict[str, Any]:
    return graph(
        picture=node("ProbeImage", seed=1),
        make=edit(prompt, seed=seed),
        seen=node("ProbeSink", value=link("make")),
    )


DONE = one_task("delivered in an earlier life")


def load(job: Any) -> dict[str, Any]:
    return graph(
        load=node("SkyportLoadResult", job=job), seen=node("ProbeSink", value=link("load"))
    )


def job_of(host: Host, prompt: str) -> dict[str, Any]:
    """The newest row of the ledger whose request holds `prompt`."""
    with contextlib.closing(
        sqlite3.connect(f"file:{host.home / 'ledger.db'}?mode=ro", uri=True)
    ) as db:
        db.row_factory = sqlite3.Row
        sql = "SELECT * FROM tasks WHERE instr(request, ?) ORDER BY id DESC LIMIT 1"
        found = db.execute(sql, (prompt,)).fetchone()
    assert found is not None, f"no job {prompt!r}"
    return dict(found)


def submits(sandbox: Sandbox, prompt: str) -> int:
    sent = [seen.fields for seen in sandbox.log.of("POST", "generate/image")]
    return sum(prompt in json.dumps(fields) for fields in sent)


def succeeded(run: Run) -> Run:
    assert run.status == "success", (run.error, run.node_errors)
    return run


def killed_before(host: Host) -> None:
    if host.kind == "standin":
        pytest.skip("the stand-in lives in this process: it cannot be killed")


# -- after a kill and a restart -----------------------------------------------------------------


def test_queued_again_after_a_kill_it_goes_on_with_the_task_that_was_paid_for(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    killed_before(cloud)
    before = sandbox.charges["haiyi"]
    prompt = graph(
        picture=node("ProbeImage", seed=1),
        again=edit(f"{LONG} queued again"),
        seen=node("ProbeSink", value=link("again")),
    )
    handle = cloud.start(prompt)
    handle.wait_for_text("again", "attached")
    clock.forward()
    assert succeeded(handle.result()).probe("seen")["type"] == "IMAGE"
    assert sandbox.charges["haiyi"] == before


def test_a_task_of_a_killed_comfyui_is_brought_home_without_being_queued(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    killed_before(cloud)
    before = sandbox.charges["haiyi"]
    clock.forward()
    until(lambda: job_of(cloud, "left alone")["state"] == "succeeded")
    job = job_of(cloud, "left alone")
    run = succeeded(cloud.run(load(job["task_id"])))
    assert run.probe("seen")["type"] == "IMAGE"
    assert job_of(cloud, "left alone")["state"] == "delivered"
    assert sandbox.charges["haiyi"] == before


def test_a_delivered_result_is_reused_after_a_restart(cloud: Host, sandbox: Sandbox) -> None:
    killed_before(cloud)
    run = succeeded(cloud.run(DONE))
    assert any("no charge" in text for text in run.texts["make"])
    assert [seen.path for seen in sandbox.log if seen.method == "POST"] == []


# -- in one life --------------------------------------------------------------------------------


def test_when_one_of_three_fails_the_other_two_are_not_paid_for_again(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    prompt = graph(
        picture=node("ProbeImage", seed=2),
        a=edit(f"{LONG} one of three"),
        b=edit(f"{LONG} one of three", seed=2),
        held=node("ProbeGate", gate="the third", value=link("picture")),
        c=edit("[[balance]] the third", "held"),
    )
    before = sandbox.charges["haiyi"]
    handle = cloud.start(prompt)
    until(lambda: submits(sandbox, "one of three") == 2)
    cloud.open_gate("the third")
    run = handle.result()
    assert (run.status, run.error.type) == ("error", "OutOfCredit")
    prompt["c"] = edit("the third, mended", "held")
    handle = cloud.start(prompt)
    for name in ("a", "b"):
        handle.wait_for_text(name, "running")
    clock.forward()
    succeeded(handle.result())
    assert submits(sandbox, "one of three") == 2
    assert sandbox.charges["haiyi"] - before == 3


def test_the_ledger_knows_the_node_and_the_prompt(cloud: Host) -> None:
    run = succeeded(cloud.run(one_task("who asked")))
    job = job_of(cloud, "who asked")
    assert (job["node_id"], job["prompt_id"]) == ("make", run.prompt_id)


def test_that_an_earlier_try_may_have_been_charged_stands_below_the_result(
    cloud: Host, sandbox: Sandbox
) -> None:
    sandbox.faults.add(f"POST {GENERATE}", "cut_after")
    first = cloud.run(one_task("answered late"))
    assert first.error.type == "OutcomeUnknown"
    assert job_of(cloud, "answered late")["state"] == "unknown"
    run = succeeded(cloud.run(one_task("answered late")))
    assert "may have been charged too" in run.texts["make"][-1]


# -- Load Result --------------------------------------------------------------------------------


def test_a_job_is_loaded_by_number_task_id_line_or_latest(cloud: Host, sandbox: Sandbox) -> None:
    made = succeeded(cloud.run(one_task("load me"))).probe("seen")["sha256"]
    job = job_of(cloud, "load me")
    sandbox.log.clear()
    names = [job["id"], str(job["id"]), f" #{job['id']} ", job["task_id"], "latest"]
    for name in [*names, f"{job['id']} - kling-v3 - HaiYi 1 - 11-20 16:03"]:
        run = succeeded(cloud.run(load(name)))
        assert run.probe("seen")["sha256"] == made, name
        assert run.ui["load"]["images"][0]["subfolder"].startswith("skyport/haiyi/")
    assert list(sandbox.log) == []


def test_a_linked_text_names_the_job(cloud: Host) -> None:
    succeeded(cloud.run(one_task("linked")))
    job = job_of(cloud, "linked")
    prompt = load(link("name"))
    prompt["name"] = node("ProbeText", value=job["task_id"])
    assert succeeded(cloud.run(prompt)).probe("seen")["type"] == "IMAGE"


def test_latest_is_the_newest_job_at_every_queue(cloud: Host) -> None:
    first = succeeded(cloud.run(one_task("the newest for now"))).probe("seen")["sha256"]
    assert succeeded(cloud.run(load("latest"))).probe("seen")["sha256"] == first
    assert "load" not in cloud.run(load("latest")).ran()  # the same job: nothing to do again
    prompt = {
        **load("latest"),
        "picture": node("ProbeImage", seed=1),
        "make": edit("newer", seed=2),
        "mine": node("ProbeSink", value=link("make")),
    }
    second = succeeded(cloud.run(prompt)).probe("mine")["sha256"]
    assert second != first
    assert succeeded(cloud.run(prompt)).probe("seen")["sha256"] == second


def test_a_job_under_way_is_waited_for_with_its_progress_and_interrupt(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    before = sandbox.charges["haiyi"]
    interrupted(cloud, one_task(f"{LONG} node gone"))
    interrupted(cloud, load("latest"), "load")
    handle = cloud.start(load("latest"))
    handle.wait_for_text("load", "running")
    clock.forward()
    assert succeeded(handle.result()).probe("seen")["type"] == "IMAGE"
    assert sandbox.charges["haiyi"] - before == 1


def interrupted(host: Host, prompt: dict[str, Any], waits: str = "make") -> None:
    handle = host.start(prompt)
    handle.wait_for_text(waits, "running")
    host.interrupt()
    assert handle.result().status == "interrupted"


def test_files_that_are_gone_are_fetched_again_at_no_charge(cloud: Host, sandbox: Sandbox) -> None:
    first = succeeded(cloud.run(one_task("deleted by hand")))
    job, before = job_of(cloud, "deleted by hand"), sandbox.charges["haiyi"]
    (shown,) = first.ui["make"]["images"]
    stored = cloud.output_dir / shown["subfolder"] / shown["filename"]
    stored.unlink()
    run = succeeded(cloud.run(load(job["id"])))
    assert run.probe("seen")["sha256"] == first.probe("seen")["sha256"]
    assert stored.is_file()
    assert sandbox.charges["haiyi"] == before


def half_a_picture(sandbox: Sandbox) -> None:
    """The next result comes with fewer bytes than it has, and says that this is all."""
    sandbox.faults.add("GET /oss/*", "short_body", after=200)


def test_a_file_that_cannot_be_read_is_fetched_again_by_the_next_queue(
    cloud: Host, sandbox: Sandbox
) -> None:
    before = sandbox.charges["haiyi"]
    half_a_picture(sandbox)
    prompt = one_task("half of it")
    assert cloud.run(prompt).error.type == "BadResult"
    assert succeeded(cloud.run(prompt)).probe("seen")["type"] == "IMAGE"
    assert sandbox.charges["haiyi"] - before == 1


def test_a_kept_file_that_cannot_be_read_is_fetched_again_by_the_next_load(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    before = sandbox.charges["haiyi"]
    prompt = f"{LONG} brought home with nobody waiting"
    left = graph(**one_task(prompt), bad=node("ProbeFailAsync", gate="nobody waits"))
    handle = cloud.start(left)
    handle.wait_for_text("make", "running")
    cloud.open_gate("nobody waits")
    assert handle.result().status == "error"
    half_a_picture(sandbox)
    clock.forward()
    until(lambda: job_of(cloud, prompt)["state"] == "succeeded")
    job = job_of(cloud, prompt)["id"]
    assert cloud.run(load(job)).error.type == "BadResult"
    assert succeeded(cloud.run(load(job))).probe("seen")["type"] == "IMAGE"
    assert sandbox.charges["haiyi"] - before == 1


@pytest.mark.parametrize("name", ["987654", "no-such-task", "", "None"])
def test_an_unknown_job_is_told_with_the_recent_ones(cloud: Host, name: str) -> None:
    succeeded(cloud.run(one_task("to be listed")))
    run = cloud.run(load(name))
    assert (run.status, run.error.type) == ("error", "InvalidInput")
    assert f'no job "{name}"' in run.error.message
    assert f"HaiYi {job_of(cloud, 'to be listed')['task_id']}" in run.error.message


def test_a_job_that_failed_has_no_result_and_the_platforms_reason_is_told(cloud: Host) -> None:
    assert cloud.run(one_task("[[fail:no wind]]")).status == "error"
    run = cloud.run(load(job_of(cloud, "no wind")["id"]))
    assert (run.status, run.error.type) == ("error", "InvalidInput")
    assert "no wind" in run.error.message


def test_the_recent_jobs_are_offered_newest_first(cloud: Host) -> None:
    succeeded(cloud.run(one_task("offered")))
    job = job_of(cloud, "offered")
    until(lambda: len(offered(cloud)) > 1 and offered(cloud)[1].startswith(f"{job['id']} - "))
    choices = offered(cloud)
    assert choices[0] == "latest"
    assert f"HaiYi {job['task_id']} - " in choices[1]
    numbers = [int(line.split(" - ")[0]) for line in choices[1:]]
    assert numbers == sorted(numbers, reverse=True)


def offered(host: Host) -> list[str]:
    return host.object_info("SkyportLoadResult")["input"]["required"]["job"][1]["options"]


# -- a data folder that cannot be written -------------------------------------------------------


@pytest.fixture
def broken(sandbox: Sandbox, tmp_path: Path, monkeypatch: Any) -> Iterator[Host]:
    (tmp_path / "home" / "ledger.db").mkdir(parents=True)
    with open_host("standin", tmp_path, env=environment(sandbox, "haiyi")) as host:
        host.share_env(monkeypatch)
        yield host


def test_without_a_ledger_results_come_with_a_warning_and_only_latest_is_offered(
    broken: Host,
) -> None:
    run = succeeded(broken.run(one_task("on a broken disk")))
    assert "ledger cannot be written" in run.texts["make"][-1]
    assert offered(broken)[0] == "latest"
    assert succeeded(broken.run(load("latest"))).probe("seen")["type"] == "IMAGE"
