"""Pins that a workflow goes only to a server that has what it needs: whoever waits in a queue to be
told of a missing model has lost that time, and a pool may have another server that has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from host import Host, graph, link, node
from scripted import Answer, Scripted, answer_json
from skyport import providers
from skyport.engine.base.errors import InvalidInput
from skyport.engine.base.types import Json, Request
from skyport.engine.tasks import learnt_widgets
from skyport.providers.comfyui import Comfyui, _servers, workflow
from skyport.providers.comfyui._fit import FitCheck, NodeClasses
from skyport.providers.comfyui._servers import Server

WORKFLOW = {"4": {"class_type": "Load", "inputs": {"ckpt_name": "dream.safetensors"}}}
PC, POD = Server("PC", "http://127.0.0.1:1"), Server("Pod", "http://127.0.0.1:2")


def has(*models: str, pack: str = "nodes") -> dict[str, Any]:
    """What a server tells that has these models, and one more class."""
    model = {"input": {"required": {"ckpt_name": [["other.ckpt", *models]]}}, "output": ["MODEL"]}
    return {"Load": model, "Blend": {"input": {}, "output": [], "python_module": pack}}


class Servers:
    """Answers as told, and counts what it is asked."""

    def __init__(self, **answers: Json) -> None:
        self.answers, self.asked = answers, list[str]()
        self.now = 0.0

    def ask(self, server: Server) -> Json:
        self.asked.append(server.name)
        return self.answers[server.name]

    def check(self) -> FitCheck:
        return FitCheck(self.ask, NodeClasses(lambda: self.now))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SKYPORT_HOME", str(tmp_path))
    monkeypatch.delenv("COMFYUI_BASE_URL", raising=False)
    return tmp_path


def test_only_servers_that_have_the_model_are_in_question() -> None:
    servers = Servers(PC=has(), Pod=has("dream.safetensors"))
    assert list(servers.check().fitting(workflow(WORKFLOW), [PC, POD])) == [POD]


def test_a_model_in_another_folder_is_taken_and_told() -> None:
    check = Servers(PC=has("sd15/dream.safetensors")).check()
    request = workflow(WORKFLOW)
    fitted = check.fitting(check.fitting(request, [PC])[PC], [PC])[PC]
    assert fitted.payload["prompt"]["4"]["inputs"] == {"ckpt_name": "sd15/dream.safetensors"}
    (warning,) = check.fitting(request, [PC])[PC].warnings
    assert 'ComfyUI (PC); the file of that name there is taken: "sd15/dream' in warning


def test_where_no_server_has_it_all_that_is_missing_on_the_nearest_is_named() -> None:
    two = {**WORKFLOW, "5": {"class_type": "Blend", "inputs": {}}}
    servers = Servers(PC={"Load": has()["Load"]}, Pod=has(pack="custom_nodes.ComfyUI-Blend"))
    with pytest.raises(InvalidInput) as refused:
        servers.check().fitting(workflow(two), [PC, POD])
    nearest, *others = refused.value.what.split("ComfyUI (")[1:]
    assert nearest.startswith(
        'Pod) lacks what this workflow needs:\n- Load (4): ckpt_name has no "'
    )
    (other,) = others
    assert other.startswith("PC) lacks what this workflow needs:\n")
    assert "Blend" in other
    assert "dream.safetensors" in other


def test_of_many_servers_the_nearest_are_told_in_full_and_the_others_by_name() -> None:
    names = [f"S{number}" for number in range(8)]
    servers = Servers(**{name: has() for name in names})
    with pytest.raises(InvalidInput) as refused:
        servers.check().fitting(
            workflow(WORKFLOW), [Server(n, "http://127.0.0.1:1") for n in names]
        )
    assert refused.value.what.count("dream.safetensors") == 6
    assert refused.value.do.endswith("No other server has it all either: S6, S7.")


@pytest.mark.parametrize(
    ("about", "is_billed"),
    [
        ({"category": "partner/image/Kling"}, True),
        ({"category": "api node/video/Kling"}, True),
        ({"category": "image", "api_node": True}, True),
        ({"category": "image/partner/", "api_node": False}, False),
        ({"category": ["partner/"]}, False),
        ({}, False),
    ],
)
def test_a_server_tells_which_of_its_nodes_a_service_bills(
    about: dict[str, Any], is_billed: bool
) -> None:
    known = NodeClasses(lambda: 0.0)
    assert not known.bills_apart("Blend")
    FitCheck(Servers(PC={"Blend": {"input": {}, **about}}).ask, known).ask_all([PC])
    assert known.bills_apart("Blend") is is_billed
    assert not known.bills_apart("Load")


def test_another_server_tells_the_pack_of_a_missing_class() -> None:
    servers = Servers(PC={"Load": has()["Load"]}, Pod=has(pack="custom_nodes.ComfyUI-Blend"))
    check = servers.check()
    check.fitting(workflow({"5": {"class_type": "Blend", "inputs": {}}}), [PC, POD])
    with pytest.raises(InvalidInput, match="it comes from ComfyUI-Blend"):
        check.fitting(workflow({"5": {"class_type": "Blend", "inputs": {}}}), [PC])


def test_a_server_is_asked_once_in_ten_minutes_and_anew_before_it_is_refused() -> None:
    servers = Servers(PC=has("dream.safetensors"))
    check = servers.check()
    for moment in (0.0, 599.0, 601.0):
        servers.now = moment
        check.fitting(workflow(WORKFLOW), [PC])
    assert servers.asked == ["PC", "PC"]
    servers.answers["PC"] = has("dream.safetensors", "new.ckpt")
    servers.now = 700.0
    check.fitting(
        workflow({"4": {"class_type": "Load", "inputs": {"ckpt_name": "new.ckpt"}}}), [PC]
    )
    assert servers.asked == ["PC", "PC", "PC"]


def test_many_tasks_that_begin_at_once_ask_a_server_once() -> None:
    servers = Servers(PC=has())
    check = servers.check()

    def refused() -> None:
        with pytest.raises(InvalidInput):
            check.fitting(workflow(WORKFLOW), [PC])

    threads = [Thread(target=refused) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert servers.asked == ["PC"]


def test_a_server_that_was_silent_is_asked_again_after_a_minute() -> None:
    servers = Servers(PC=None)
    check = servers.check()
    for servers.now in (0.0, 59.0, 61.0):
        check.fitting(workflow(WORKFLOW), [PC])
    assert servers.asked == ["PC", "PC"]


@pytest.mark.parametrize("answer", [None, {}, [], "text"])
def test_a_server_that_does_not_tell_judges_the_workflow_itself(answer: Json) -> None:
    request = workflow(WORKFLOW)
    assert Servers(PC=answer).check().fitting(request, [PC]) == {PC: request}


def test_what_a_server_declares_names_the_values_of_nodes_that_are_not_here() -> None:
    Servers(PC=has("dream.safetensors")).check().fitting(workflow(WORKFLOW), [PC])
    ((widget,),) = learnt_widgets.candidates("Load")
    assert widget.name == "ckpt_name"


# -- as it is sent ------------------------------------------------------------------------------


@pytest.fixture
def pool(server: Scripted, elsewhere: Scripted) -> Comfyui:
    for name, each in (("PC", server), ("Pod", elsewhere)):
        _servers.add(Server(name, each.url, "native"))
        each.on("/api/queue", answer_json({"queue_running": [], "queue_pending": []}))
    return providers.connect("comfyui")  # type: ignore[return-value]


def prepared(pool: Comfyui, server: str = "auto") -> Request:
    return pool.prepare(workflow(WORKFLOW, server))


def test_auto_takes_a_server_that_has_it(
    pool: Comfyui, server: Scripted, elsewhere: Scripted
) -> None:
    server.on("/api/object_info", answer_json(has()))
    elsewhere.on("/api/object_info", answer_json(has("dream.safetensors")))
    assert prepared(pool).endpoint == "Pod"


def test_what_a_server_has_is_known_to_the_next_task_too(pool: Comfyui, server: Scripted) -> None:
    server.on("/api/object_info", answer_json(has("dream.safetensors")))
    prepared(pool, "PC")
    prepared(providers.connect("comfyui"), "PC")  # type: ignore[arg-type]
    assert len(server.asked("/api/object_info")) == 1


def test_a_chosen_server_that_lacks_it_is_refused_by_its_name(
    pool: Comfyui, server: Scripted, elsewhere: Scripted
) -> None:
    server.on("/api/object_info", answer_json(has()))
    with pytest.raises(InvalidInput, match=r"ComfyUI \(PC\) lacks what this workflow needs"):
        prepared(pool, "PC")
    assert elsewhere.counts == {}


def test_a_server_without_object_info_takes_the_workflow_as_it_is(
    pool: Comfyui, server: Scripted
) -> None:
    server.on("/api/object_info", Answer(404))
    assert prepared(pool, "PC").payload["prompt"] == WORKFLOW


# -- in the editor ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def far() -> Iterator[Scripted]:
    with Scripted() as server:
        inputs = {"required": {"way": [["add", "mix"]], "much": ["FLOAT", {}]}}
        declared = {"FarBlend": {"input": inputs, "output": ["IMAGE"]}}
        server.on("/system_stats", answer_json({"system": {}}))
        server.on("/api/object_info", answer_json(declared))
        server.on("/api/system_stats", answer_json({"system": {}, "devices": []}))
        yield server


@pytest.fixture(scope="module")
def host_env(far: Scripted) -> dict[str, str]:
    return {"COMFYUI_BASE_URL": far.url}


def test_the_chosen_server_names_the_values_of_nodes_that_are_not_here(own_host: Host) -> None:
    prompt = graph(
        far={"inputs": {"UNKNOWN": "mix", "UNKNOWN_1": 0.5}},
        cloud=node(
            "SkyportRunInCloud", {"where": "ComfyUI", "where.server": "auto"}, value=link("far")
        ),
        seen=node("ProbeSink", value=link("cloud")),
    )
    saved = {"id": "far", "type": "FarBlend", "widgets_values": ["mix", 0.5]}
    workflow = {"nodes": [{**saved, "outputs": [{"type": "IMAGE"}]}]}
    asked = {"prompt": prompt, "workflow": workflow}
    answer = own_host.route("POST", "/skyport/cut", json=asked, headers={"X-Skyport": "1"})
    assert answer.json()["troubles"] == {}
    assert list(answer.json()["nodes"]) == ["far"]
