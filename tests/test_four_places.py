"""Pins that one graph makes the same on this machine and wherever Run in Cloud runs it, and that
Interrupt leaves nothing behind in a pool. For real: it needs a ComfyUI (COMFYUI_PATH), and for the
Comfy API v2 a comfy-api-proxy (COMFY_API_PROXY).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest
from _waiting import until
from host import PROBES, Host, graph, link, node, open_host
from proxied import TOKEN, open_proxy
from sandboxes import environment
from skyport.sandbox import Sandbox

pytestmark = pytest.mark.host

RUN, KEEP = "SkyportRunInCloud", "SkyportKeepLocal"
PLACES: Mapping[str, Mapping[str, Any]] = {
    "HaiYi": {"where": "HaiYi", "where.cluster": "auto"},
    "native": {"where": "ComfyUI", "where.server": "native"},
    "v2": {"where": "ComfyUI", "where.server": "v2"},
}
DIALECTS = ("native", "v2")


@pytest.fixture(scope="module")
def first(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The ComfyUI of a person, with our pack."""
    env = environment(sandbox, "haiyi")
    with open_host("comfyui", tmp_path_factory.mktemp("first"), env=env) as host:
        yield host


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A ComfyUI without our pack."""
    with open_host("comfyui", tmp_path_factory.mktemp("second"), packs=[PROBES]) as host:
        yield host


@pytest.fixture(scope="module")
def third(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Another one."""
    with open_host("comfyui", tmp_path_factory.mktemp("third"), packs=[PROBES]) as host:
        yield host


@contextmanager
def serving(host: Host, dialect: str) -> Iterator[dict[str, Any]]:
    """The entry of this ComfyUI in servers.json; a proxy stands before it where it takes one."""
    with ExitStack() as stack:
        url = host.client.url
        if dialect == "v2":
            url = stack.enter_context(open_proxy(url, host.base))
        header = "bearer" if dialect == "v2" else "none"
        yield {"address": url, "dialect": dialect, "header": header}


def set_servers(host: Host, servers: Mapping[str, Mapping[str, Any]]) -> None:
    keys = {f"comfyui:{name}": TOKEN for name in servers}
    (host.home / "servers.json").write_text(json.dumps(servers))
    (host.home / "keys.json").write_text(json.dumps(keys))


# -- the same graph -------------------------------------------------------------------------------

FLIP = {"flip_method": "y-axis: horizontally"}
CROP = {"x": 5, "y": 3, "width": 9, "height": 7}
SMOOTH = {"upscale_method": "bilinear", "width": 64, "height": 48, "crop": "disabled"}

# How far a value may be from that of here. Pictures and masks travel as PNG, of levels that are
# exact in 8 bits; alpha becomes a mask of 1 - alpha there and may lose a level. Sound travels in 16
# bits. A film travels as its file, and both sides encode and decode it alike.
APART = {
    "pictures": 0.0,
    "colours": 0.0,
    "alpha": 1.01 / 255,
    "mask": 0.0,
    "sound": 1 / 32768,
    "frames": 0.0,
    "film_sound": 0.0,
}
CODED_OTHERWISE = 0.2  # of a film of noise: the sandbox encodes films as ComfyUI 0.33 does


def prompt(where: Mapping[str, Any]) -> dict[str, Any]:
    """Pictures, pictures with alpha, a mask, a sound and a film, changed there."""
    return graph(
        photos=node("ProbeImage", seed=1, width=24, height=16, batch=3),
        photos_in=node(KEEP, value=link("photos")),
        photos_flipped=node("ImageFlip", FLIP, image=link("photos_in")),
        photos_out=node(RUN, where, value=link("photos_flipped")),
        pictures=node("ProbeArray", value=link("photos_out")),
        #
        layers=node("ProbeImage", seed=2, batch=2, channels=4),
        layers_in=node(KEEP, value=link("layers")),
        layers_cropped=node("ImageCrop", CROP, image=link("layers_in")),
        layers_out=node(RUN, where, value=link("layers_cropped")),
        cut_out=node("ProbeArray", value=link("layers_out")),
        #
        masks=node("ProbeMask", seed=3, batch=2),
        masks_in=node(KEEP, value=link("masks")),
        masks_cropped=node("CropMask", CROP, mask=link("masks_in")),
        masks_out=node(RUN, where, value=link("masks_cropped")),
        mask=node("ProbeArray", value=link("masks_out")),
        #
        tone=node("ProbeAudio", seconds=0.5),
        tone_in=node(KEEP, value=link("tone")),
        blank=node("EmptyImage", width=16, height=16, batch_size=5, color=0),
        tone_film=node("CreateVideo", images=link("blank"), audio=link("tone_in"), fps=10.0),
        tone_parts=node("GetVideoComponents", video=link("tone_film")),
        tone_out=node(RUN, where, value=link("tone_parts", 1)),
        sound=node("ProbeArray", value=link("tone_out")),
        #
        film=node("ProbeVideo", seed=4),
        film_in=node(KEEP, value=link("film")),
        film_parts=node("GetVideoComponents", video=link("film_in")),
        film_flipped=node("ImageFlip", FLIP, image=link("film_parts")),
        film_again=node(
            "CreateVideo", images=link("film_flipped"), audio=link("film_parts", 1), fps=10.0
        ),
        film_out=node(RUN, where, value=link("film_again")),
        file=node("ProbeVideoFile", video=link("film_out")),
        parts=node("GetVideoComponents", video=link("file")),
        frames=node("ProbeArray", value=link("parts")),
        film_sound=node("ProbeArray", value=link("parts", 1)),
        rate=node("ProbeSink", value=link("parts", 2)),
    )


def version(host: Host) -> tuple[int, ...]:
    text = host.client.get("/system_stats").json()["system"]["comfyui_version"]
    return tuple(int(part) for part in text.split(".")[:2])


def made(host: Host, where: Mapping[str, Any]) -> dict[str, Any]:
    run = host.run(prompt(where))
    assert run.status == "success", (run.error, run.node_errors)
    assert run.probe("rate")["value"] == 10.0
    arrays = {name: np.load(run.probe(name)) for name in {*APART, "cut_out"} & {*run.ui}}
    cut_out = arrays.pop("cut_out")
    return {**arrays, "colours": cut_out[..., :3], "alpha": cut_out[..., 3]}


@pytest.mark.parametrize("place", PLACES)
def test_one_graph_makes_the_same_here_and_there(
    first: Host, second: Host, sandbox: Sandbox, place: str
) -> None:
    def taken() -> tuple[int, int]:
        sent = sandbox.log.of("POST", "workflow/task/submit")
        return len(sent), len(second.client.get("/history").json())

    before = taken()
    with serving(second, place if place in DIALECTS else "native") as server:
        set_servers(first, {place: server})
        here, there = made(first, {"where": "this machine"}), made(first, PLACES[place])
    assert here.keys() == there.keys() == APART.keys()
    is_older = place == "HaiYi" and version(first) < (0, 33)
    apart = {**APART, "frames": CODED_OTHERWISE} if is_older else APART
    for name, most in apart.items():
        assert here[name].shape == there[name].shape, name
        assert np.abs(here[name] - there[name]).max() <= most, name
    at_haiyi, at_second = (now > then for now, then in zip(taken(), before, strict=True))
    assert (at_haiyi, at_second) == (place == "HaiYi", place != "HaiYi")


# -- Interrupt in a pool --------------------------------------------------------------------------


def parts(salts: Sequence[int]) -> dict[str, Any]:
    """A part for each of these that does not end, for whichever server is free."""
    anywhere = {"where": "ComfyUI", "where.server": "auto"}
    nodes = {"photo": node("ProbeImage", seed=1), "kept": node(KEEP, value=link("photo"))}
    for salt in salts:
        turn, endless, back, out, seen = (f"{name}{salt}" for name in ("a", "b", "c", "d", "e"))
        nodes[turn] = node("ImageFlip", FLIP, image=link("kept"))
        nodes[endless] = node("ProbeEndless", salt=salt, value=link(turn))
        nodes[back] = node("ImageFlip", FLIP, image=link(endless))
        nodes[out] = node(RUN, anywhere, value=link(back))
        nodes[seen] = node("ProbeSink", value=link(out))
    return nodes


def queued(host: Host) -> tuple[list[str], list[str]]:
    """Ids of what runs and of what waits."""
    queue = host.client.get("/queue").json()
    running, pending = (queue[name] for name in ("queue_running", "queue_pending"))
    return [one[1] for one in running], [one[1] for one in pending]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_interrupt_stops_what_runs_and_what_waits_in_a_pool_and_nobody_elses(
    first: Host, second: Host, third: Host, dialect: str
) -> None:
    pool = (second, third)
    salts = range(3) if dialect == "native" else range(3, 6)
    with serving(second, dialect) as attic, serving(third, dialect) as cellar:
        set_servers(first, {"attic": attic, "cellar": cellar})
        handle = first.start(parts(salts))
        until(lambda: sorted(map(queue_lengths, pool)) == [(1, 0), (1, 1)])
        ours = [(host, one) for host in pool for half in queued(host) for one in half]
        others = [(host, host.client.submit(graph(e=node("ProbeSink")))) for host in pool]
        first.interrupt()
        assert handle.result().status == "interrupted"
        until(lambda: [queue_lengths(host) for host in pool] == [(0, 0)] * 2)
        until(lambda: states(first, handle.prompt_id) == ["cancelled"] * 3)
    assert [ending(host, one) for host, one in others] == ["success"] * 2
    # What waited may have begun before its turn to be cancelled came.
    assert {ending(host, one) for host, one in ours} <= {"", "interrupted"}


def queue_lengths(host: Host) -> tuple[int, int]:
    running, pending = queued(host)
    return len(running), len(pending)


def states(host: Host, prompt_id: str) -> list[str]:
    jobs = host.route("GET", "/skyport/jobs").json()["jobs"]
    return [job["state"] for job in jobs if job["prompt"] == prompt_id]


def ending(host: Host, prompt_id: str) -> str:
    """How a prompt ended that made nothing or everything; nothing where it never ran."""
    entry = host.client.history(prompt_id)
    if entry is None:
        return ""
    name = str(entry["status"]["messages"][-1][0]).removeprefix("execution_")
    assert bool(entry["outputs"]) == (name == "success")
    return name
