"""Pins the native interface against a second, real ComfyUI, where COMFYUI_PATH names a checkout."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from _clock import StoppedClock
from _waiting import until
from host import PROBES, Host, open_host
from PIL import Image, ImageChops
from skyport import providers
from skyport.engine.base.errors import InputRejected, NotFound, TaskFailed
from skyport.engine.base.types import Request, Result, Status, Task
from skyport.engine.http.client import Http
from skyport.engine.ledger.ledger import EVERYTHING
from skyport.engine.media.files import describe
from skyport.providers import comfyui
from skyport.providers.comfyui import Comfyui
from skyport.providers.comfyui._events import Events
from skyport.providers.comfyui._liveness import SILENT_AFTER
from skyport.providers.comfyui._servers import Server, add
from virtual import Play, ended


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Without our pack; the probes wait where a test wants it."""
    with open_host("comfyui", tmp_path_factory.mktemp("second"), packs=[PROBES]) as host:
        yield host


@pytest.fixture
def provider(second: Host) -> Comfyui:
    add(Server("pc", second.client.url))
    connected = providers.connect("comfyui")
    assert isinstance(connected, Comfyui)
    return connected


def photo(folder: Path) -> Any:
    path = folder / "photo.png"
    Image.linear_gradient("L").convert("RGB").resize((48, 32)).save(path)
    return describe(path)


def inverted(file: Any, saver: str = "SaveImage") -> dict[str, Any]:
    prefix = {"filename_prefix": "turned/x"} if saver == "SaveImage" else {}
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": file}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "9": {"class_type": saver, "inputs": {"images": ["2", 0], **prefix}},
    }


def waiting(gate: str) -> dict[str, Any]:
    """A workflow that waits at a gate of the probes."""
    image = {
        "class_type": "EmptyImage",
        "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0},
    }
    probe = {"class_type": "ProbeGate", "inputs": {"value": ["1", 0], "gate": gate}}
    show = {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}}
    return {"1": image, "2": probe, "9": show}


def task(provider: Comfyui, prompt: Mapping[str, Any]) -> Task:
    request = comfyui.workflow(prompt, "pc")
    return Task("comfyui", "pc", str(provider.submit(request)))


@pytest.mark.parametrize("saver", ["SaveImage", "PreviewImage"])
def test_a_picture_goes_there_and_comes_back_inverted(
    provider: Comfyui, play: Play, tmp_path: Path, saver: str
) -> None:
    file = photo(tmp_path)
    request: Request = comfyui.workflow(inverted(file, saver))
    result = play.result(provider, request, tmp_path)
    (made,) = result.files
    assert made.node_id == "9"
    with Image.open(file.path) as given, Image.open(made.path) as back:
        apart = ImageChops.difference(ImageChops.invert(given), back.convert("RGB"))
        assert max(most for _, most in apart.getextrema()) <= 1


def test_what_is_wrong_is_told_by_node_and_input(provider: Comfyui) -> None:
    prompt = inverted("no such.png")
    scale = {"image": ["1", 0], "upscale_method": "best", "width": -1, "height": 8, "crop": "no"}
    prompt["2"] = {"class_type": "ImageScale", "inputs": scale}
    with pytest.raises(InputRejected) as caught:
        task(provider, prompt)
    for name, node in (("image", "LoadImage (1)"), ("width", "ImageScale (2)")):
        assert f"Input {name} of {node}" in caught.value.what


def test_a_class_that_is_not_there_is_named(provider: Comfyui) -> None:
    prompt = inverted("x.png")
    prompt["2"]["class_type"] = "NoSuchClass"
    with pytest.raises(InputRejected, match="NoSuchClass"):
        task(provider, prompt)


def test_a_node_that_fails_is_told_by_its_title(
    provider: Comfyui, play: Play, tmp_path: Path
) -> None:
    prompt = inverted(photo(tmp_path))
    prompt["2"] = {
        "class_type": "ProbeFail",
        "inputs": {"value": ["1", 0], "message": "no such luck"},
        "_meta": {"title": "The one"},
    }
    with pytest.raises(TaskFailed, match=r"The one \(2\) failed: .*no such luck"):
        play.result(provider, comfyui.workflow(prompt), tmp_path)


def test_a_running_and_a_waiting_task_are_cancelled_by_their_ids(
    provider: Comfyui, second: Host
) -> None:
    running, first, last = (task(provider, waiting(f"gate-{n}")) for n in range(3))
    until(lambda: provider.poll(running).status is Status.RUNNING)
    assert provider.poll(first).queue == (1, 2)
    assert provider.poll(last).queue == (2, 2)
    assert provider.cancel(last) is True
    with pytest.raises(NotFound) as caught:
        provider.poll(last)
    assert caught.value.own_form
    assert provider.cancel(running) is True
    second.open_gate("gate-0")
    until(lambda: provider.poll(running).status is Status.CANCELLED)
    second.open_gate("gate-1")
    until(lambda: provider.poll(first).status is Status.SUCCEEDED)
    assert provider.cancel(first) is False


def test_it_says_what_it_is(provider: Comfyui) -> None:
    assert provider.check().startswith("pc: It answers: ComfyUI 0.")


def test_the_node_that_runs_there_is_told_by_its_title(provider: Comfyui, second: Host) -> None:
    prompt = waiting("gate-title")
    prompt["2"]["_meta"] = {"title": "The gate"}
    running = task(provider, prompt)
    until(lambda: provider.poll(running).node == "The gate (2)")
    woken: list[bool] = []
    live_state = provider.on_end(running, lambda: woken.append(True))
    assert live_state
    assert live_state(state := provider.poll(running)) == state
    second.open_gate("gate-title")
    until(lambda: woken)
    assert live_state(state) is None
    assert provider.poll(running).status is Status.SUCCEEDED


def test_a_quiet_server_gives_a_sign_of_life_when_asked(second: Host) -> None:
    clock = StoppedClock()
    events = Events(Http("ComfyUI", second.client.url, {}), clock, quiet=0.1)
    events.follow("nothing", {})
    until(lambda: events._liveness.spell == 1)
    clock.now += SILENT_AFTER
    until(lambda: events._liveness.spell == 2)
    events.forget("nothing")


# -- a pool ---------------------------------------------------------------------------------------


def coloured(colour: int) -> Request:
    """A picture of one colour that takes a moment."""
    image = {"width": 8, "height": 8, "batch_size": 1, "color": colour}
    prompt = {
        "1": {"class_type": "EmptyImage", "inputs": image},
        "2": {"class_type": "ProbeSleepSync", "inputs": {"seconds": 0.3, "salt": colour}},
        "3": {"class_type": "ProbeSink", "inputs": {"value": ["2", 0]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "p"}},
    }
    return comfyui.workflow(prompt)


def colour_of(result: Result) -> int:
    (file,) = result.files
    with Image.open(file.path) as image:
        red, green, blue = image.convert("RGB").getpixel((0, 0))  # type: ignore[misc]
    return int(red) << 16 | int(green) << 8 | int(blue)


def test_thirty_parts_come_back_in_order_although_a_server_is_killed_in_the_middle(
    provider: Comfyui, play: Play, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with open_host("comfyui", tmp_path_factory.mktemp("third"), packs=[PROBES]) as third:
        add(Server("third", third.client.url))
        process: Any = third.process

        async def scene() -> Sequence[Result]:
            requests = [coloured(number << 8) for number in range(30)]
            jobs = await play.runner.begin_all(provider, requests, tmp_path)
            while sum(job.future.done() for job in jobs) < 8:
                await play.pause(1)
            process._process.kill()
            return await asyncio.gather(*map(ended, jobs))

        results = play.run(scene())
    assert [colour_of(result) for result in results] == [number << 8 for number in range(30)]
    rows = play.runner.ledger.rows(EVERYTHING)  # type: ignore[attr-defined]
    assert len(rows) == 30
    assert {row.record.sent_to for row in rows} == {"pc", "third"}
    assert sum(row.attempt == 2 for row in rows) <= 2
