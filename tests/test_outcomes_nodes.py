"""Pins at the nodes of all four platforms that what is paid for comes, and is paid for once,
however platforms and the gateways before them answer; on the stand-in and in ComfyUI.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from _clock import LONG, Clock
from _waiting import until
from host import Host, Run, graph, link, node
from sandboxes import environment, failed
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.sqlite_store import Store
from skyport.engine.tasks import waiting
from skyport.sandbox import Sandbox
from skyport.sandbox.gpugeek import WORKFLOW_ID

OURS = {"X-Skyport": "1"}
PLATFORMS = ("haiyi", "happyhorse", "gpugeek", "opencomputing")
LABELS = {
    "haiyi": "HaiYi",
    "happyhorse": "HappyHorse",
    "gpugeek": "GPUGeek",
    "opencomputing": "OpenComputing",
}
MAY_BE_CHARGED = "The task may exist and may have been charged: check your tasks on"
NEVER_ANSWERED = "never answered: it may have been charged too"
SMILE = "\U0001f60a"

pytestmark = pytest.mark.usefixtures("quick_polls")


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    return environment(sandbox, *PLATFORMS)


@pytest.fixture
def cloud(cloud: Host, sandbox: Sandbox) -> Host:
    """A host whose HaiYi form is that of the sandbox's model."""
    answer = cloud.route("POST", "/skyport/models/haiyi/refresh", json={}, headers=OURS)
    assert answer.status_code == 200, answer.text
    sandbox.log.clear()
    return cloud


@pytest.fixture
def times(cloud: Host) -> Iterator[Callable[..., None]]:
    """Shortens the times of engine/tasks/waiting.py, in seconds, where the host's pack is."""
    usual = {name: value for name, value in vars(waiting).items() if name.isupper()}

    def shorten(**seconds: Any) -> None:
        assert seconds.keys() <= usual.keys()
        cloud.set_constants("engine.tasks.waiting", **seconds)

    yield shorten
    shorten(**usual)


# -- orders -------------------------------------------------------------------------------------


def haiyi(host: Host, words: str) -> dict[str, Any]:
    model = "google/gemini-3.1-flash-image-preview"
    values = {"model": model, "model.aspect_ratio": "1:1", "model.n": 1}
    return node("SkyportHaiyiTextToImage", values, prompt=words, seed=1)


def happyhorse(host: Host, words: str) -> dict[str, Any]:
    name, model = "SkyportHappyHorseTextToImage", "gpt-image-2"
    options = host.object_info(name)["input"]["required"]["model"][1]["options"]
    (form,) = (one["inputs"]["required"] for one in options if one["key"] == model)
    values = {f"model.{field}": about["default"] for field, (_, about) in form.items()}
    return node(name, values, prompt=words, seed=1, model=model)


def gpugeek(host: Host, words: str) -> dict[str, Any]:
    size = {"width": 32, "height": 32, "batch_size": 1, "color": 0}
    workflow = {
        "8": {"class_type": "EmptyImage", "inputs": size},
        "9": {
            "class_type": "SaveImage",
            "inputs": {"images": ["8", 0], "filename_prefix": words},
        },
    }
    text = json.dumps(workflow)
    return node("SkyportGpugeekRunWorkflow", workflow_id=str(WORKFLOW_ID), workflow=text, seed=1)


def opencomputing(host: Host, words: str) -> dict[str, Any]:
    values = {"model": "wan2.2-t2i-plus", "model.negative_prompt": ""}
    return node("SkyportOpenComputingTextToImage", values, prompt=words, seed=1)


ORDERS = {
    "haiyi": haiyi,
    "happyhorse": happyhorse,
    "gpugeek": gpugeek,
    "opencomputing": opencomputing,
}


def chat(words: str) -> dict[str, Any]:
    values = {"model": "qwen3-max", "model.stream": True}
    return node("SkyportOpenComputingChat", values, prompt=words, system_prompt="", seed=1)


def seen(order: dict[str, Any]) -> dict[str, Any]:
    """A prompt with this order; its result is looked at."""
    return graph(make=order, seen=node("ProbeSink", value=link("make")))


def one(host: Host, platform: str, words: str) -> dict[str, Any]:
    return seen(ORDERS[platform](host, words))


def four(host: Host, words: str) -> dict[str, Any]:
    """The same on all four platforms at once."""
    orders = {name: order(host, words) for name, order in ORDERS.items()}
    looks = {f"seen_{name}": node("ProbeSink", value=link(name)) for name in ORDERS}
    return graph(**orders, **looks)


# -- what came of them --------------------------------------------------------------------------


def succeeded(run: Run) -> Run:
    assert run.status == "success", (run.error, run.node_errors)
    return run


def charges(sandbox: Sandbox) -> dict[str, int]:
    return {name: sandbox.charges[name] for name in PLATFORMS}


def charged_since(before: dict[str, int], sandbox: Sandbox) -> dict[str, int]:
    return {name: count - before[name] for name, count in charges(sandbox).items()}


def jobs_of(host: Host, words: str) -> list[dict[str, Any]]:
    """The rows of the ledger whose requests hold `words`, newest first."""
    path = host.home / "ledger.db"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        sql = "SELECT * FROM tasks WHERE instr(request, ?) ORDER BY id DESC"
        return [dict(row) for row in db.execute(sql, (words,))]


def job_of(host: Host, words: str) -> dict[str, Any]:
    return jobs_of(host, words)[0]


def act(host: Host, verb: str, **fields: Any) -> Any:
    answer = host.route("POST", f"/skyport/jobs/{verb}", json=fields, headers=OURS)
    assert answer.status_code == 200, answer.text
    return answer.json()


# -- polls without an answer --------------------------------------------------------------------


@pytest.mark.parametrize(
    "markers",
    [
        "[[slow:20]] [[polls:404:2-12]] a gateway that knows no such page",
        "[[polls:502:1-2:json]] [[busy:4]] a gateway, then a busy platform",
        "[[late:4]] success is said before the results are there",
        "[[missing:4]] tasks that are not known at once",
    ],
)
def test_four_platforms_bring_four_results_for_four_charges(
    cloud: Host, sandbox: Sandbox, times: Callable[..., None], markers: str
) -> None:
    times(MAX_PAUSE=0.0, RESULT_PAUSES=[0.0] * 7)
    before = charges(sandbox)
    run = succeeded(cloud.run(four(cloud, markers)))
    assert {run.probe(f"seen_{name}")["type"] for name in PLATFORMS} == {"IMAGE"}
    assert charged_since(before, sandbox) == dict.fromkeys(PLATFORMS, 1)
    assert [job["state"] for job in jobs_of(cloud, markers)] == ["delivered"] * 4


def test_a_node_says_that_no_answer_comes(
    cloud: Host, sandbox: Sandbox, times: Callable[..., None]
) -> None:
    times(MAX_PAUSE=0.0)
    run = succeeded(cloud.run(one(cloud, "haiyi", "[[slow:20]] [[polls:503:2-20]] in silence")))
    assert any("no answer for 0:0" in text for text in run.texts["make"]), run.texts
    assert "no answer" not in run.texts["make"][-1]


# -- submits that were taken --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "status"),
    [
        ("haiyi", 503),
        ("happyhorse", 503),
        ("gpugeek", 503),
        ("opencomputing", 503),
        ("haiyi", 500),
        ("happyhorse", 429),
        ("gpugeek", 502),
        ("opencomputing", 404),
    ],
)
def test_a_page_after_a_submit_may_be_a_charge_and_the_next_one_is_made_knowingly(
    cloud: Host, sandbox: Sandbox, platform: str, status: int
) -> None:
    words = f"a page {status}"
    succeeded(cloud.run(one(cloud, platform, "it answers as the platform does")))
    prompt, before = one(cloud, platform, words), charges(sandbox)
    sandbox.faults.add(f"POST /{platform}/*", "page", status=status, taken=True)
    run = failed(cloud, prompt, "OutcomeUnknown", LABELS[platform], str(status), MAY_BE_CHARGED)
    assert "that orders, and charges, a new one" in run.error.message
    assert charged_since(before, sandbox)[platform] == 1
    assert (job_of(cloud, words)["state"], job_of(cloud, words)["told"]) == ("unknown", 1)
    again = succeeded(cloud.run(prompt))
    assert again.probe("seen")["type"] == "IMAGE"
    assert NEVER_ANSWERED in again.texts["make"][-1]
    assert charged_since(before, sandbox)[platform] == 2


@pytest.mark.parametrize("marker", ["[[gateway:503]]", "[[gateway:429:text:1]]"])
def test_a_gateway_that_never_lets_an_answer_through_costs_once_a_queue(
    cloud: Host, sandbox: Sandbox, marker: str
) -> None:
    before = charges(sandbox)
    prompt = one(cloud, "haiyi", f"{marker} of a gateway that stays")
    for queue in (1, 2):
        failed(cloud, prompt, "OutcomeUnknown", MAY_BE_CHARGED)
        assert charged_since(before, sandbox)["haiyi"] == queue


def test_a_page_in_place_of_a_chats_answer_may_be_a_charge_too(
    cloud: Host, sandbox: Sandbox
) -> None:
    prompt, before = seen(chat("a page, and no word")), charges(sandbox)
    sandbox.faults.add("POST /opencomputing/*", "page", status=502, taken=True)
    failed(cloud, prompt, "OutcomeUnknown", "502", MAY_BE_CHARGED)
    assert charged_since(before, sandbox)["opencomputing"] == 1
    again = succeeded(cloud.run(prompt))
    assert again.probe("seen")["value"].startswith("a page, and no word.")
    assert NEVER_ANSWERED in again.texts["make"][-1]
    assert charged_since(before, sandbox)["opencomputing"] == 2


def test_of_a_batch_only_the_item_without_an_answer_is_ordered_again(
    cloud: Host, sandbox: Sandbox
) -> None:
    values = {"model": "sandbox/sandbox-ink", "model.style": "ink", "model.strength": 0.5}
    values |= {"model.image": link("pictures"), "prompt": "three in ink"}
    prompt = seen(node("SkyportHaiyiStyleTransfer", values, seed=1))
    prompt["pictures"] = node("ProbeImage", seed=3, batch=3, width=64, height=64)
    before = charges(sandbox)
    submit = "POST /haiyi/openapi/v1/generate/image"
    sandbox.faults.add(submit, "page", status=503, taken=True, skip=1)
    failed(cloud, prompt, "OutcomeUnknown", MAY_BE_CHARGED, "Of 3 items, these failed")
    assert charged_since(before, sandbox)["haiyi"] == 3
    again = succeeded(cloud.run(prompt))
    assert again.probe("seen")["shape"][0] == 3
    assert NEVER_ANSWERED in again.texts["make"][-1]
    assert charged_since(before, sandbox)["haiyi"] == 4


def test_what_went_wrong_after_an_interrupt_is_said_before_it_is_ordered_again(
    cloud: Host, sandbox: Sandbox
) -> None:
    words, answered = "interrupted before the answer", threading.Event()
    prompt, before = one(cloud, "haiyi", words), charges(sandbox)
    sandbox.faults.add("POST /haiyi/*", "delay", until=answered, seconds=300, handled=True)
    sandbox.faults.add("POST /haiyi/*", "page", status=504, taken=True)
    handle = cloud.start(prompt)
    until(lambda: charged_since(before, sandbox)["haiyi"] == 1)
    cloud.interrupt()
    assert handle.result().status == "interrupted"
    answered.set()
    until(lambda: job_of(cloud, words)["state"] == "unknown")
    failed(cloud, prompt, "OutcomeUnknown", NEVER_ANSWERED)
    assert charged_since(before, sandbox)["haiyi"] == 1
    assert NEVER_ANSWERED in succeeded(cloud.run(prompt)).texts["make"][-1]
    assert charged_since(before, sandbox)["haiyi"] == 2


def die_while_sending(host: Host, words: str) -> None:
    """Another process sends the order of the newest job with `words` again, and dies."""
    owner = Owner(host.home / "owners")
    store = Store(host.home / "ledger.db", owner)
    try:
        row = store.find(job_of(host, words)["mark"])
        assert row is not None
        assert store.record_intent(row.record) is None
    finally:
        store.close()
        owner.close()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_a_process_sent_that_died_is_refused_once_and_then_ordered(
    cloud: Host, sandbox: Sandbox, platform: str
) -> None:
    words = "nobody saw how it ended"
    prompt, before = one(cloud, platform, words), charges(sandbox)
    sandbox.faults.add(f"POST /{platform}/*", "page", status=400, form="own")
    failed(cloud, prompt, "InputRejected", LABELS[platform])
    die_while_sending(cloud, words)
    failed(cloud, prompt, "OutcomeUnknown", NEVER_ANSWERED, "that costs again")
    assert charged_since(before, sandbox)[platform] == 0
    run = succeeded(cloud.run(prompt))
    assert NEVER_ANSWERED in run.texts["make"][-1]
    assert charged_since(before, sandbox)[platform] == 1


# -- what nothing proves ------------------------------------------------------------------------


@pytest.mark.parametrize("platform", PLATFORMS)
def test_success_without_a_result_is_looked_at_again_by_an_equal_queue_at_no_charge(
    cloud: Host, sandbox: Sandbox, times: Callable[..., None], platform: str
) -> None:
    times(RESULT_PAUSES=[0.0])  # a second look is the last of a queue
    words = "[[late:2]] a result that takes its time"
    prompt, before = one(cloud, platform, words), charges(sandbox)
    run = failed(cloud, prompt, "TaskUnresolved", LABELS[platform], "names no result")
    assert "Queue again to look again, at no charge." in run.error.message
    assert "order it anew, which costs again" in run.error.message
    assert job_of(cloud, words)["state"] == "unresolved"
    assert succeeded(cloud.run(prompt)).probe("seen")["type"] == "IMAGE"
    assert job_of(cloud, words)["state"] == "delivered"
    assert charged_since(before, sandbox)[platform] == 1


def load_it(host: Host, job: int) -> None:
    load = node("SkyportLoadResult", job=job)
    run = succeeded(host.run(graph(load=load, seen=node("ProbeSink", value=link("load")))))
    assert run.probe("seen")["type"] == "IMAGE"


def fetch_it(host: Host, job: int) -> None:
    act(host, "fetch", job=job)


@pytest.mark.parametrize("look", [load_it, fetch_it])
def test_a_late_result_comes_by_its_job_too_and_the_equal_queue_reuses_it(
    cloud: Host, sandbox: Sandbox, times: Callable[..., None], look: Callable[[Host, int], None]
) -> None:
    times(RESULT_PAUSES=[0.0])
    words = f"[[late:2]] looked for by its job, {look.__name__}"
    prompt, before = one(cloud, "haiyi", words), charges(sandbox)
    failed(cloud, prompt, "TaskUnresolved", "at no charge")
    look(cloud, job_of(cloud, words)["id"])
    until(lambda: job_of(cloud, words)["state"] == "delivered")
    run = succeeded(cloud.run(prompt))
    assert "reused, no charge" in run.texts["make"][-1]
    assert charged_since(before, sandbox)["haiyi"] == 1


def test_an_equal_queue_that_finds_nothing_new_says_so_again(
    cloud: Host, sandbox: Sandbox, times: Callable[..., None]
) -> None:
    times(RESULT_PAUSES=[])
    prompt, before = one(cloud, "haiyi", "[[empty]] nothing, and nothing later"), charges(sandbox)
    for _ in ("ordered", "looked at again"):
        failed(cloud, prompt, "TaskUnresolved", "names no result", "at no charge")
    assert charged_since(before, sandbox)["haiyi"] == 1


def test_a_status_of_no_table_is_unresolved_and_its_result_is_delivered_once_it_is_there(
    cloud: Host, sandbox: Sandbox, clock: Clock, times: Callable[..., None]
) -> None:
    times(UNCHANGED_FOR=0.5)
    words = f"{LONG} [[running:thinking]] out loud"
    before = charges(sandbox)
    prompts = {name: one(cloud, name, words) for name in PLATFORMS}
    for prompt in prompts.values():
        run = failed(cloud, prompt, "TaskUnresolved", '"thinking"', "at no charge")
        assert "thinking" in " ".join(run.texts["make"])
    clock.forward()
    for prompt in prompts.values():
        assert succeeded(cloud.run(prompt)).probe("seen")["type"] == "IMAGE"
    assert charged_since(before, sandbox) == dict.fromkeys(PLATFORMS, 1)


def test_a_task_that_its_platform_does_not_know_for_long_is_asked_for_by_an_equal_queue(
    cloud: Host, sandbox: Sandbox, times: Callable[..., None]
) -> None:
    times(YOUNG=0.0, MISSING_FOR=1e-9)  # a second look is the last of a queue
    before = charges(sandbox)
    for name in PLATFORMS:
        prompt = one(cloud, name, "[[missing:2]] forgotten for a while")
        failed(cloud, prompt, "TaskUnresolved", LABELS[name], "does not know the task any more")
        assert succeeded(cloud.run(prompt)).probe("seen")["type"] == "IMAGE"
    assert charged_since(before, sandbox) == dict.fromkeys(PLATFORMS, 1)


# -- cancelled, by whom -------------------------------------------------------------------------


def test_interrupt_cancels_a_task_that_the_list_of_jobs_fetches(
    cloud: Host, sandbox: Sandbox
) -> None:
    words = f"{LONG} fetched again, then interrupted"
    before = charges(sandbox)
    handle = cloud.start(one(cloud, "gpugeek", words))
    handle.wait_for_text("make", "queue")
    assert act(cloud, "fetch", job=job_of(cloud, words)["id"]) == {"fetched": False}
    cloud.interrupt()
    text = handle.wait_for_text("make", "cancelled on the platform")
    assert handle.result().status == "interrupted"
    task = list(sandbox.tasks)[-1]
    assert text == f"GPUGeek task {task.id}: The task was cancelled on the platform."
    assert len(sandbox.log.of("POST", "task/cancel")) == 1
    until(lambda: job_of(cloud, words)["state"] == "cancelled")
    assert charged_since(before, sandbox)["gpugeek"] == 1


def test_a_node_says_that_its_task_was_cancelled_in_the_list_of_jobs(
    cloud: Host, sandbox: Sandbox
) -> None:
    words = f"{LONG} cancelled in the list"
    handle = cloud.start(one(cloud, "gpugeek", words))
    handle.wait_for_text("make", "queue")
    cancelled = act(cloud, "cancel", job=job_of(cloud, words)["id"])
    assert cancelled == {"cancelled": True, "asked": False}
    run = handle.result()
    assert (run.status, run.error.type) == ("error", "TaskCancelled")
    assert "It was cancelled in the list of jobs." in run.error.message
    assert "failed" not in run.error.message
    assert job_of(cloud, words)["state"] == "cancelled"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_node_says_that_its_task_was_cancelled_on_the_platform(
    cloud: Host, sandbox: Sandbox, platform: str
) -> None:
    words = "[[slow:60]] [[cancelled]] by somebody else"
    run = failed(cloud, one(cloud, platform, words), "TaskCancelled", LABELS[platform], "cancelled")
    assert "failed" not in run.error.message
    assert job_of(cloud, words)["state"] == "cancelled"


# -- what a platform says -----------------------------------------------------------------------


def test_a_finished_node_shows_what_the_platform_adds(cloud: Host) -> None:
    made = succeeded(cloud.run(one(cloud, "gpugeek", "with its traceid")))
    assert "traceid " in made.texts["make"][-1]
    asked = succeeded(cloud.run(seen(chat("how many words"))))
    assert "tokens " in asked.texts["make"][-1]


@pytest.mark.parametrize(("spelling", "ending"), [("text_halves", SMILE), ("text_lone", "\ufffd")])
def test_half_a_surrogate_pair_costs_no_answer_of_a_chat(
    cloud: Host, sandbox: Sandbox, spelling: str, ending: str
) -> None:
    words, before = f"[[spelling:{spelling}]] a word and a smile", charges(sandbox)
    for name in ("first", "again"):  # a node of its own: ComfyUI has no output of it
        prompt = {name: chat(words), "seen": node("ProbeSink", value=link(name))}
        assert succeeded(cloud.run(prompt)).probe("seen")["value"].endswith(ending)
    assert charged_since(before, sandbox)["opencomputing"] == 1


@pytest.mark.parametrize(("spelling", "ending"), [("text_halves", SMILE), ("text_lone", "\ufffd")])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_half_a_surrogate_pair_in_a_reason_keeps_no_order_from_its_end(
    cloud: Host, sandbox: Sandbox, platform: str, spelling: str, ending: str
) -> None:
    words, before = f"[[fail:no wind]] [[spelling:{spelling}]]", charges(sandbox)
    for queue in (1, 2):
        run = failed(cloud, one(cloud, platform, words), "TaskFailed", f"no wind {ending}")
        assert job_of(cloud, words)["state"] == "failed", run.error
        assert charged_since(before, sandbox)[platform] == queue
