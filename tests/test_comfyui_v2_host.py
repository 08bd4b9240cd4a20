"""The Comfy API v2 for real: a ComfyUI (COMFYUI_PATH) behind comfy-api-proxy (COMFY_API_PROXY)."""

from __future__ import annotations

import hashlib
import io
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _waiting import PATIENCE, PATIENT, until
from host import PROBES, graph, link, node
from PIL import Image, ImageChops, ImageOps
from proxied import PROXY, TOKEN, open_proxy
from skyport.demo._host import ComfyUI
from skyport.engine.base.errors import ApiError, InputRejected, NotFound
from skyport.engine.base.types import MediaFile, Output, Status, Task, TaskState
from skyport.engine.http.client import Http
from skyport.providers.comfyui import Comfyui, _detect, _servers, workflow
from skyport.providers.comfyui._v2 import V2Dialect
from virtual import Play

CHECKOUT = os.environ.get("COMFYUI_PATH", "")

pytestmark = [
    pytest.mark.skipif(not CHECKOUT, reason="COMFYUI_PATH is not set"),
    pytest.mark.skipif(not PROXY, reason="COMFY_API_PROXY is not set"),
]


@pytest.fixture(scope="module")
def comfyui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUI]:
    base = tmp_path_factory.mktemp("behind")
    with ComfyUI(Path(CHECKOUT), base=base, pack=None, extra_packs=[PROBES]) as comfyui:
        yield comfyui


@pytest.fixture(scope="module")
def url(comfyui: ComfyUI) -> Iterator[str]:
    with open_proxy(comfyui.url, comfyui.base) as url:
        yield url


@pytest.fixture
def v2(url: str) -> V2Dialect:
    key = {"Authorization": f"Bearer {TOKEN}"}
    return V2Dialect(Http("ComfyUI", url, key, timeout=PATIENT))


@pytest.fixture
def photo(tmp_path: Path) -> MediaFile:
    path = tmp_path / "fox.png"
    Image.linear_gradient("L").convert("RGB").save(path)
    content = path.read_bytes()
    return MediaFile(
        path, "fox.png", "image/png", hashlib.sha256(content).hexdigest(), len(content), 256, 256
    )


def inverted(image: Any) -> dict[str, Any]:
    return graph(
        load=node("LoadImage", image=image),
        turn=node("ImageInvert", image=link("load")),
        save=node("SaveImage", images=link("turn"), filename_prefix=f"fox{uuid.uuid4().hex}"),
    )


def order() -> str:
    return str(uuid.uuid4())


def task(task_id: Any) -> Task:
    assert isinstance(task_id, str)
    return Task("comfyui", "studio", task_id)


def ended(v2: V2Dialect, one: Task) -> TaskState:
    def state() -> TaskState | None:
        state = v2.poll(one)
        return state if state.status.terminal else None

    found = until(state)
    assert found is not None
    return found


def pixels(v2: V2Dialect, output: Output) -> bytes:
    """The picture behind an output's address, which needs the key."""
    return Image.open(io.BytesIO(v2.http.get(output.url).content)).convert("RGB").tobytes()


def test_a_picture_goes_there_and_comes_back_as_a_plain_comfyui_makes_it(
    v2: V2Dialect, comfyui: ComfyUI, photo: MediaFile
) -> None:
    state = ended(v2, task(v2.submit(inverted(v2.upload(photo)), order())))
    assert state.status is Status.SUCCEEDED
    [output] = state.outputs
    assert output.node_id == "save"
    name = comfyui.upload("fox.png", photo.path.read_bytes())
    entry = comfyui.run(inverted(name), timeout=PATIENCE)
    [saved] = entry["outputs"]["save"]["images"]
    native = Image.open(io.BytesIO(comfyui.get("/view", params=saved).content)).convert("RGB")
    assert pixels(v2, output) == native.tobytes()


@pytest.mark.parametrize("dialect", ["auto", "v2"])
def test_an_order_brings_its_file_home_with_the_key_of_its_server(
    url: str, photo: MediaFile, play: Play, tmp_path: Path, dialect: str
) -> None:
    _servers.add(_servers.Server("studio", url, dialect=dialect, header="bearer"), TOKEN)
    request = workflow(inverted(photo), "studio")
    [file] = play.result(Comfyui.connected(), request, tmp_path / "results").files
    made, given = (Image.open(path).convert("RGB") for path in (file.path, photo.path))
    difference = ImageChops.difference(made, ImageOps.invert(given))
    assert max(most for _, most in difference.getextrema()) <= 1  # ComfyUI cuts fractions off


def test_the_same_bytes_are_not_sent_again(v2: V2Dialect, photo: MediaFile) -> None:
    first: Any = v2.upload(photo)
    assert first["info"]["hash"].startswith("blake3:")
    again: Any = v2.upload(photo)
    assert again["info"]["hash"] == first["info"]["hash"]
    state = ended(v2, task(v2.submit(inverted(again), order())))
    assert state.status is Status.SUCCEEDED


def test_a_lost_answer_is_looked_up_and_the_order_never_runs_twice(
    v2: V2Dialect, url: str, photo: MediaFile
) -> None:
    workflow, order_id = inverted(v2.upload(photo)), order()
    assert v2.find(order_id) is None
    task_id = v2.submit(workflow, order_id)
    v2.submit(inverted(v2.upload(photo)), order())
    later = V2Dialect(Http("ComfyUI", url, {"Authorization": f"Bearer {TOKEN}"}, timeout=PATIENT))
    assert later.find(order_id) == task_id
    assert later.submit(workflow, order_id) == task_id
    assert ended(later, task(task_id)).status is Status.SUCCEEDED


def test_a_failing_node_is_told_with_its_words(v2: V2Dialect) -> None:
    workflow = graph(
        bad=node("ProbeFail", message="no more foxes"),
        end=node("ProbeSink", value=link("bad")),
    )
    state = ended(v2, task(v2.submit(workflow, order())))
    assert state.status is Status.FAILED
    assert "node bad (ProbeFail)" in state.message
    assert "no more foxes" in state.message


def test_a_job_is_stopped_while_it_runs_and_while_it_waits(v2: V2Dialect) -> None:
    def long(salt: int) -> dict[str, Any]:
        waits = node("ProbeWaitForInterrupt", seconds=PATIENCE + salt)
        return graph(wait=waits, end=node("ProbeSink", value=link("wait")))

    running, waiting = (task(v2.submit(long(salt), order())) for salt in (0, 1))
    until(lambda: v2.poll(running).status is Status.RUNNING)
    state = v2.poll(waiting)
    assert (state.status, state.queue) == (Status.QUEUED, (1, None))
    assert v2.queue_length() == 2
    assert v2.cancel(waiting)
    assert v2.poll(waiting).status is Status.CANCELLED
    assert v2.cancel(running)
    assert ended(v2, running).status is Status.CANCELLED
    assert v2.queue_length() == 0


def test_a_job_that_has_ended_is_not_stopped_any_more(v2: V2Dialect, photo: MediaFile) -> None:
    one = task(v2.submit(inverted(v2.upload(photo)), order()))
    ended(v2, one)
    assert not v2.cancel(one)
    assert not v2.cancel(task(str(uuid.uuid4())))


def test_what_cannot_run_is_refused_and_its_key_may_be_used_again(
    v2: V2Dialect, photo: MediaFile
) -> None:
    order_id = order()
    for image in ("nowhere.png", {"__type": "core/ASSET", "info": {"id": str(uuid.uuid4())}}):
        with pytest.raises(InputRejected) as caught:
            v2.submit(inverted(image), order_id)
        assert caught.value.own_form
    with pytest.raises(InputRejected, match="NoSuchNode"):
        v2.submit(graph(a=node("NoSuchNode")), order_id)
    with pytest.raises(InputRejected, match="API format") as refused:
        v2.submit({"nodes": [], "links": []}, order_id)
    assert refused.value.code == "workflow_format_ui"
    assert ended(v2, task(v2.submit(inverted(v2.upload(photo)), order_id))).outputs


def test_a_job_that_never_was_is_not_found(v2: V2Dialect) -> None:
    with pytest.raises(NotFound) as caught:
        v2.poll(task(str(uuid.uuid4())))
    assert caught.value.own_form


def test_each_address_is_known_by_its_interface(url: str, comfyui: ComfyUI) -> None:
    assert _detect.interface_at(Http("ComfyUI", url, {}, timeout=PATIENT)) == "v2"
    assert _detect.interface_at(Http("ComfyUI", comfyui.url, {}, timeout=PATIENT)) == "native"


def test_a_wrong_key_is_told_in_the_servers_own_form(url: str) -> None:
    with pytest.raises(ApiError) as caught:
        V2Dialect(Http("ComfyUI", url, {}, timeout=PATIENT)).queue_length()
    assert (caught.value.http, caught.value.code, caught.value.own_form) == (
        401,
        "unauthorized",
        True,
    )
