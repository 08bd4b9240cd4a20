"""Servers of one's own: how they are kept, whose key goes where, and which one takes a task."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from _waiting import until
from scripted import Answer, LoggedRequest, Scripted, answer_json, answer_page, closed_port
from skyport import providers
from skyport.engine.base.errors import (
    AuthRejected,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    SkyportError,
    TransportError,
)
from skyport.engine.base.types import Request, Status, Task, TaskState
from skyport.engine.settings import keys
from skyport.engine.tasks.public_view import without_keys
from skyport.providers import comfyui
from skyport.providers.comfyui import Comfyui, _servers
from skyport.providers.comfyui._pool import OnTheirWay
from skyport.providers.comfyui._servers import Server
from virtual import Play, clip, ended

SECRET = "sk-0123456789abcdef"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
WORKFLOW = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
}


class Farm:
    """Some servers, each with a queue of its own length, that make a picture at once."""

    def __init__(self, stack: ExitStack) -> None:
        self.servers: dict[str, Scripted] = {}
        self._stack = stack

    def add(self, name: str, queue: int = 0, header: str = "none", key: str | None = None) -> str:
        server = self._stack.enter_context(Scripted())
        items = [[number, f"id-{number}", {}, {}, []] for number in range(queue)]
        server.on("/api/queue", answer_json({"queue_running": [], "queue_pending": items}))
        server.on("/api/prompt", lambda seen: self._submit(server, seen))
        server.on("/api/view", Answer(body=PNG))
        server.on("/api/upload/image", answer_json({"name": "x.png", "subfolder": "skyport"}))
        self.servers[name] = server
        _servers.add(Server(name, server.url, "native", header), key)
        return server.url

    def _submit(self, server: Scripted, seen: LoggedRequest) -> Answer:
        id = seen.json()["prompt_id"]
        made = {"filename": "a.png", "subfolder": "", "type": "output"}
        job = {"id": id, "status": "completed", "outputs": {"9": {"images": [made]}}}
        server.on(f"/api/jobs/{id}", answer_json(job))
        return answer_json({"prompt_id": id, "number": 1, "node_errors": {}})

    def submits(self) -> dict[str, int]:
        return {name: server.counts["/api/prompt"] for name, server in self.servers.items()}


@pytest.fixture
def farm() -> Iterator[Farm]:
    with ExitStack() as stack:
        yield Farm(stack)


def run(play: Play, folder: Path, request: Request) -> Any:
    try:
        return play.result(providers.connect("comfyui"), request, folder / "results")
    except SkyportError as error:
        return error


# -- kept -----------------------------------------------------------------------------------------


def test_a_server_is_kept_with_its_key_which_nobody_else_can_read(home: Path) -> None:
    added = _servers.add(Server("pod", "pod.example.com", header="bearer"), SECRET)
    assert added.address == "https://pod.example.com"
    assert _servers.listed() == [added]
    assert added.auth_headers() == {"Authorization": f"Bearer {SECRET}"}
    assert SECRET not in (home / "servers.json").read_text()
    assert json.loads((home / "keys.json").read_text()) == {"comfyui:pod": SECRET}
    if os.name == "posix":
        assert (home / "servers.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("header", "key", "sent"),
    [
        ("none", SECRET, {}),
        ("bearer", None, {}),
        ("x-api-key", SECRET, {"X-API-Key": SECRET}),
        ("basic", "me:pass", {"Authorization": "Basic bWU6cGFzcw=="}),
    ],
)
def test_a_key_is_sent_as_its_server_wants_it(
    header: str, key: str | None, sent: dict[str, str]
) -> None:
    assert (
        _servers.add(Server("pc", "http://10.0.0.7:8188", header=header), key).auth_headers()
        == sent
    )


def test_a_key_stays_only_with_the_address_that_it_was_entered_for() -> None:
    _servers.add(Server("pc", "http://10.0.0.7:8188", header="bearer"), SECRET)
    same = _servers.add(Server("pc", "http://10.0.0.7:8188/", header="x-api-key"))
    assert same.auth_headers() == {"X-API-Key": SECRET}
    assert _servers.add(Server("pc", "http://10.0.0.8:8188", header="bearer")).auth_headers() == {}


def test_a_renamed_server_keeps_its_key_and_is_found_by_its_old_name() -> None:
    _servers.add(Server("one", "http://10.0.0.1"))
    _servers.add(Server("pc", "http://10.0.0.7:8188", header="bearer"), SECRET)
    renamed = _servers.rename("pc", "studio")
    assert [server.name for server in _servers.listed()] == ["one", "studio"]
    assert _servers.find("pc") == renamed
    assert renamed.auth_headers() == {"Authorization": f"Bearer {SECRET}"}
    assert keys.find("comfyui:pc") is None
    for name, new in (("nobody", "x"), ("one", "studio")):
        with pytest.raises(InvalidInput):
            _servers.rename(name, new)


def test_a_key_set_elsewhere_goes_to_no_address_that_is_entered_here(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFYUI:POD_API_KEY", SECRET)
    _servers.add(Server("pc", "http://10.0.0.7", header="bearer"))
    before = (home / "servers.json").read_text()
    pod = Server("pod", "https://evil.example", header="bearer")
    for steal in (lambda: _servers.add(pod), lambda: _servers.rename("pc", "pod")):
        with pytest.raises(InvalidInput, match="set outside this data folder"):
            steal()
    assert (home / "servers.json").read_text() == before


def test_a_renamed_server_does_not_take_up_the_key_of_one_that_is_gone(home: Path) -> None:
    _servers.add(Server("pc", "http://10.0.0.7", header="bearer"))
    (home / "keys.json").write_text(json.dumps({"comfyui:pod": SECRET}))
    assert _servers.rename("pc", "pod").auth_headers() == {}


def test_a_key_that_cannot_be_one_leaves_the_server_and_its_old_key_as_they_are(home: Path) -> None:
    _servers.add(Server("pc", "http://10.0.0.7", header="bearer"), SECRET)
    for server, key in (("http://10.0.0.8", "two words"), ("http://10.0.0.7", "\n")):
        with pytest.raises(InvalidInput, match="cannot be a key"):
            _servers.add(Server("pc", server, header="bearer"), key)
    [kept] = _servers.listed()
    assert kept.address == "http://10.0.0.7"
    assert kept.auth_headers() == {"Authorization": f"Bearer {SECRET}"}


def test_a_removed_server_takes_its_key_with_it() -> None:
    _servers.add(Server("pc", "http://10.0.0.7", header="bearer"), SECRET)
    assert _servers.remove("pc") is True
    assert (_servers.remove("pc"), _servers.listed(), keys.find("comfyui:pc")) == (False, [], None)


@pytest.mark.parametrize("name", ["", "auto", "default", "a@b", "a:b", "x" * 61, "-x"])
def test_a_name_that_cannot_be_one_is_refused(name: str, home: Path) -> None:
    with pytest.raises(InvalidInput, match="The name of a server must be"):
        _servers.add(Server(name, "http://10.0.0.7"))
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ([], "pc must be an object with an address"),
        ({}, "pc.address must be an address"),
        ({"address": "http://a", "header": "cookie"}, "pc.header must be one of: none, bearer"),
        ({"address": "http://a", "dialect": "v3"}, "pc.dialect must be one of: auto, native, v2"),
        ({"address": "http://a", "max_parallel": 0}, "pc.max_parallel must be a whole number"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_by_its_place(entry: Any, words: str, home: Path) -> None:
    (home / "servers.json").write_text(json.dumps({"pc": entry}))
    with pytest.raises(InvalidInput) as caught:
        _servers.listed()
    assert words in str(caught.value)
    assert _servers.names() == []


def test_the_environment_makes_one_server_named_default(monkeypatch: pytest.MonkeyPatch) -> None:
    _servers.add(Server("pc", "http://10.0.0.7"))
    monkeypatch.setenv("COMFYUI_BASE_URL", "http://10.0.0.9:8188/")
    monkeypatch.setenv("COMFYUI_API_KEY", SECRET)
    default, _ = _servers.listed()
    assert (default.name, default.address) == ("default", "http://10.0.0.9:8188")
    assert default.auth_headers() == {"Authorization": f"Bearer {SECRET}"}
    assert comfyui.server_choices() == ["auto", "default", "pc"]


def test_without_a_server_it_is_not_set_up_and_says_how() -> None:
    assert Comfyui.is_set_up() is False
    with pytest.raises(InvalidInput, match="no server is set"):
        providers.connect("comfyui")


def test_no_text_shows_the_key_of_a_server() -> None:
    _servers.add(Server("pc", "http://10.0.0.7"), SECRET)
    assert SECRET not in without_keys(f"it answered {SECRET}")
    _servers.add(Server("nas", "http://10.0.0.8", header="basic"), "alice:hunter2/hunter2")
    assert "hunter2" not in without_keys("it answered hunter2/hunter2, hunter2%2Fhunter2")


# -- used -----------------------------------------------------------------------------------------


def test_each_key_goes_to_its_own_server_only_and_fetches_the_result_there(
    farm: Farm, play: Play, tmp_path: Path
) -> None:
    farm.add("one", queue=5, header="bearer", key=SECRET)
    farm.add("two", header="x-api-key", key="other-0123456789abcdef")
    picture = clip(tmp_path, PNG)
    request = comfyui.workflow({"1": {"class_type": "LoadImage", "inputs": {"image": picture}}})
    assert run(play, tmp_path, request).files
    sent = {name: {str(seen.headers) for seen in farm.servers[name].seen} for name in farm.servers}
    assert all(SECRET in each and "other-" not in each for each in sent["one"])
    assert all("other-" in each and SECRET not in each for each in sent["two"])
    assert farm.servers["two"].counts["/api/view"] == 1


def test_auto_takes_the_server_with_the_shortest_queue(
    farm: Farm, play: Play, tmp_path: Path
) -> None:
    for name, queue in (("one", 3), ("two", 1), ("three", 2)):
        farm.add(name, queue)
    assert run(play, tmp_path, comfyui.workflow(WORKFLOW)).files
    assert farm.submits() == {"one": 0, "two": 1, "three": 0}


def test_a_fan_out_is_spread_although_no_queue_shows_it_yet(farm: Farm) -> None:
    for name in ("one", "two", "three"):
        farm.add(name)
    provider = providers.connect("comfyui")
    chosen = [provider.prepare(comfyui.workflow(WORKFLOW)).endpoint for _ in range(6)]
    assert sorted(chosen) == ["one", "one", "three", "three", "two", "two"]


def test_a_server_holds_so_many_tasks_and_any_server_as_many_as_all_of_them(farm: Farm) -> None:
    for name, most in (("one", 3), ("two", 1)):
        _servers.add(Server(name, "http://10.0.0.7", max_parallel=most))
    provider = providers.connect("comfyui")
    lanes = [provider.lane(comfyui.workflow(WORKFLOW, name)) for name in ("auto", "one", "two")]
    assert lanes == ["auto", "one", "two"]
    assert [provider.lane_limit(lane) for lane in lanes] == [4, 3, 1]
    assert provider.lane_limit("gone") == float("inf")  # as many as of any platform


def test_a_server_that_is_full_is_passed_over_although_its_queue_is_shorter(farm: Farm) -> None:
    for name, queue in (("one", 0), ("two", 9)):
        farm.add(name, queue)
    provider = providers.connect("comfyui")
    provider.in_flight = lambda lane: {"one": 2}.get(lane, 0)
    assert provider.prepare(comfyui.workflow(WORKFLOW)).endpoint == "two"
    provider.in_flight = lambda lane: 2
    assert provider.prepare(comfyui.workflow(WORKFLOW)).endpoint == "one"


def test_many_tasks_for_any_server_are_spread_by_the_room_of_each(
    farm: Farm, play: Play, tmp_path: Path
) -> None:
    for name in ("one", "two", "three"):
        farm.add(name)
    provider = providers.connect("comfyui")
    requests = [comfyui.workflow(WORKFLOW, seed=seed) for seed in range(12)]

    async def all_of_them() -> list[Any]:
        jobs = await play.runner.begin_all(provider, requests, tmp_path)
        return [await ended(job) for job in jobs]

    assert len(play.run(all_of_them())) == 12
    assert sum(farm.submits().values()) == 12
    assert min(farm.submits().values()) >= 2


def test_a_server_that_does_not_answer_is_passed_over(
    farm: Farm, play: Play, tmp_path: Path
) -> None:
    _servers.add(Server("off", f"http://127.0.0.1:{closed_port()}"))
    farm.add("on", queue=9)
    assert run(play, tmp_path, comfyui.workflow(WORKFLOW)).files


def test_where_none_answers_the_error_says_which_and_what_to_do() -> None:
    for name in ("pc", "pod"):
        _servers.add(Server(name, f"http://127.0.0.1:{closed_port()}"))
    with pytest.raises(TransportError) as caught:
        providers.connect("comfyui").prepare(comfyui.workflow(WORKFLOW))
    assert str(caught.value).startswith("ComfyUI (pc): No answer from 127.0.0.1")
    assert "--listen" in str(caught.value)


def test_a_refused_key_is_told_with_the_server_and_how_it_was_sent(farm: Farm) -> None:
    farm.add("pod", header="bearer", key=SECRET)
    body = {"error": {"message": "Unauthorized", "type": "x"}}
    farm.servers["pod"].on("/api/prompt", answer_json(body, 401))
    with pytest.raises(AuthRejected) as caught:
        providers.connect("comfyui").submit(comfyui.workflow(WORKFLOW, "pod"))
    assert "Check the key of the server pod, and how it is sent: bearer." in str(caught.value)


def test_a_server_that_is_gone_is_refused_with_those_that_there_are(
    farm: Farm, play: Play, tmp_path: Path
) -> None:
    farm.add("pc")
    error = run(play, tmp_path, comfyui.workflow(WORKFLOW, "pod"))
    assert type(error) is InvalidInput
    assert 'There is no server "pod". The servers are: auto, pc.' in str(error)


def test_a_task_of_a_renamed_server_is_asked_for_there(farm: Farm) -> None:
    farm.add("pc")
    provider = providers.connect("comfyui")
    id = provider.submit(comfyui.workflow(WORKFLOW, "pc"))
    _servers.rename("pc", "studio")
    assert provider.poll(Task("comfyui", "pc", str(id))).outputs


def test_a_task_of_which_only_auto_is_known_is_found_on_the_server_that_has_it(farm: Farm) -> None:
    unknown = answer_json({"error": "Job not found"}, 404)
    for name in ("one", "two"):
        farm.add(name)
        farm.servers[name].on("*", unknown)
    provider = providers.connect("comfyui")
    id = str(provider.submit(comfyui.workflow(WORKFLOW, "two")))
    assert provider.poll(Task("comfyui", "auto", id)).outputs
    with pytest.raises(NotFound) as caught:
        provider.poll(Task("comfyui", "auto", "7f1c2f6e-5a54-4d2b-9a0b-0c6a5f0e2d11"))
    assert caught.value.own_form


def test_a_file_goes_once_to_each_server(farm: Farm, play: Play, tmp_path: Path) -> None:
    for name in ("one", "two"):
        farm.add(name)
    picture = clip(tmp_path, PNG)
    for name, seed in (("one", 1), ("one", 2), ("two", 3)):
        prompt = {"1": {"class_type": "LoadImage", "inputs": {"image": picture}}}
        assert run(play, tmp_path, comfyui.workflow(prompt, name, seed=seed)).files
    uploads = {n: s.counts["/api/upload/image"] for n, s in farm.servers.items()}
    assert uploads == {"one": 1, "two": 1}
    (upload, *_) = farm.servers["one"].asked("/api/upload/image")
    assert picture.sha256[:32].encode() + b".png" in upload.body


def test_what_hosts_a_file_may_be_no_text(farm: Farm) -> None:
    farm.add("pc")
    provider = providers.connect("comfyui")
    value = {"__type": "core/ASSET", "info": {"id": "1"}}
    text = f"skyport-value:{json.dumps(value)}"
    provider.submit(comfyui.workflow({"1": {"class_type": "L", "inputs": {"a": text}}}, "pc"))
    (seen,) = farm.servers["pc"].asked("/api/prompt")
    assert seen.json()["prompt"]["1"]["inputs"] == {"a": value}


def test_practice_mode_needs_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYPORT_SANDBOX", "1")
    provider = providers.connect("comfyui")
    prompt = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1}},
        "9": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    prompt["1"]["inputs"]["color"] = 0
    request = provider.prepare(comfyui.workflow(prompt, "somebody's pc"))
    task = Task("comfyui", request.endpoint, str(provider.submit(request)))
    assert until(lambda: provider.poll(task).outputs)


def test_a_task_on_its_way_is_forgotten_in_time() -> None:
    now = [0.0]
    on_their_way = OnTheirWay(lambda: now[0])
    one, two = Server("one", "http://a"), Server("two", "http://b")
    queues = {one: 0, two: 0}
    assert [on_their_way.pick(queues) for _ in range(2)] == [one, two]
    on_their_way.arrived("two")
    assert on_their_way.pick(queues) == two
    now[0] = 61.0
    assert on_their_way.pick(queues) == one


DENIED = answer_page("<h1>410 Gone</h1>", 410)


def test_a_page_that_denies_a_server_that_is_known_is_no_refusal_of_its_task(farm: Farm) -> None:
    farm.add("pod")
    classes = {name: {"input": {}, "output": []} for name in ("LoadImage", "SaveImage")}
    farm.servers["pod"].on("/api/object_info", answer_json(classes))
    farm.servers["pod"].on("/api/prompt", DENIED)
    provider = providers.connect("comfyui")
    with pytest.raises(OutcomeUnknown):
        provider.submit(provider.prepare(comfyui.workflow(WORKFLOW, "pod")))


def test_a_page_at_an_address_where_no_comfyui_has_answered_names_the_address(farm: Farm) -> None:
    farm.add("pod")
    farm.servers["pod"].on("/api/prompt", DENIED)
    with pytest.raises(InvalidInput) as caught:
        providers.connect("comfyui").submit(comfyui.workflow(WORKFLOW, "pod"))
    assert f"No ComfyUI answers at {farm.servers['pod'].url}: 410 Gone" in str(caught.value)


@pytest.mark.parametrize("is_there", [True, False])
def test_nothing_was_sent_where_nobody_could_be_asked_which_interface_it_is(
    home: Path, is_there: bool
) -> None:
    with Scripted() as gateway:
        gateway.on("*", answer_page("Bad Gateway", 502))
        address = gateway.url if is_there else f"http://127.0.0.1:{closed_port()}"
        _servers.add(Server("pod", address))
        with pytest.raises(TransportError) as caught:
            providers.connect("comfyui").submit(comfyui.workflow(WORKFLOW, "pod"))
    assert not caught.value.sent


def test_where_no_server_answers_each_says_why_and_is_left_out_while_another_does(
    farm: Farm,
) -> None:
    for name in ("one", "two"):
        _servers.add(Server(name, f"http://127.0.0.1:{closed_port()}"))
    provider = providers.connect("comfyui")
    request = comfyui.workflow(WORKFLOW)
    with pytest.raises(TransportError) as caught:
        provider.prepare(request)
    assert "No other server answers either: ComfyUI (two): No answer from" in str(caught.value)
    assert not provider.can_go_elsewhere(request, "one")
    farm.add("three")
    assert provider.prepare(request).endpoint == "three"
    assert provider.can_go_elsewhere(request, "one")
    assert not provider.can_go_elsewhere(comfyui.workflow(WORKFLOW, "one"), "one")


def test_polls_a_second_are_counted_for_each_address_whatever_its_servers_are_called() -> None:
    for name, address in (("pc", "http://10.0.0.7:8188"), ("attic", "http://10.0.0.8:8188")):
        _servers.add(Server(name, address))
    comfyui = Comfyui.connected()
    addresses = [comfyui.polled_address(Task("comfyui", name, "1")) for name in ("pc", "attic")]
    assert addresses == ["http://10.0.0.7:8188", "http://10.0.0.8:8188"]
    _servers.rename("pc", "studio")
    assert comfyui.polled_address(Task("comfyui", "pc", "1")) == "http://10.0.0.7:8188"
    assert comfyui.polled_address(Task("comfyui", "auto", "1")) == "comfyui://servers"


def test_a_server_tells_the_ends_of_its_own_tasks_and_of_those_alone_that_it_surely_has() -> None:
    _servers.add(Server("pc", "http://10.0.0.7:8188", "native"))
    comfyui = Comfyui.connected()
    live_state = comfyui.on_end(Task("comfyui", "pc", "1"), lambda: None)
    assert live_state is not None
    assert live_state(TaskState(Status.RUNNING)) is None  # nothing was sent yet
    assert comfyui.on_end(Task("comfyui", "auto", "1"), lambda: None) is None
