"""Pins the native interface against a second, real ComfyUI, where COMFYUI_PATH names a checkout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from _waiting import until
from host import PROBES, Host, open_host
from PIL import Image, ImageChops
from skyport import providers
from skyport.engine.base.errors import InputRejected, NotFound, TaskFailed
from skyport.engine.base.types import Request, Status, Task
from skyport.engine.media.files import describe
from skyport.providers import comfyui
from skyport.providers.comfyui import Comfyui
from skyport.providers.comfyui._servers import Server, add
from virtual import Play


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
