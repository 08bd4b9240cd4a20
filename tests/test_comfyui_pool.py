"""Pins what a pool of servers of one's own is for: all of them work, and whichever restarts or
dies, every part of a queue comes back and none runs twice but for what its server took with it.

Three sandboxes on the clock of the test stand for the servers.
"""

from __future__ import annotations

import asyncio
import io
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops
from sequences import moment, of_server
from skyport import providers
from skyport.engine.base.errors import SkyportError
from skyport.engine.base.types import MediaFile, Request, Result
from skyport.engine.ledger.ledger import EVERYTHING, State
from skyport.engine.media.files import describe
from skyport.providers import comfyui
from skyport.providers.comfyui import _servers
from skyport.providers.comfyui._servers import Server
from skyport.sandbox import Sandbox, start
from virtual import Play, ended

NAMES = ("attic", "cellar", "garage")
QUEUED = 20  # times that a person queues an order at most
SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(4, 16))]


class Farm:
    """The servers by name, and every sandbox that has been one of them."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.boxes: dict[str, Sandbox] = {}
        self.ever: list[Sandbox] = []

    def add(self, name: str, dialect: str = "native", port: int = 0) -> Sandbox:
        box = start(port, clock=self.play.loop.time)
        imitation: Any = box.platforms["comfyui"]
        imitation.v2.is_on = dialect == "v2"
        server = Server(name, box.base_url("comfyui"), dialect, "bearer")
        _servers.add(server, box.key("comfyui"))
        self.boxes[name] = box
        self.ever.append(box)
        return box

    def kill(self, name: str) -> None:
        self.boxes[name].stop()

    def revive(self, name: str) -> None:
        """The same server, started again: it has forgotten everything."""
        server = _servers.require(name)
        self.add(name, server.dialect, self.boxes[name].port)

    def restart(self, name: str) -> None:
        imitation: Any = self.boxes[name].platforms["comfyui"]
        imitation.restart()

    def took(self, box: Sandbox) -> int:
        return box.charges["comfyui"]

    def sent(self) -> Counter[str]:
        """How often each order was taken by a server, by the prefix of its files."""
        tasks = (task for box in self.ever for task in box.tasks)
        return Counter(_prefix(task.plan.fields) for task in tasks)


def _prefix(fields: Any) -> str:
    nodes = (fields.get("prompt") or fields["workflow"]).values()
    return next(str(one["inputs"]["filename_prefix"]) for one in nodes if "Save" in str(one))


@pytest.fixture
def farm(play: Play) -> Iterator[Farm]:
    farm = Farm(play)
    yield farm
    for box in farm.ever:
        box.stop()


def picture(folder: Path, number: int) -> MediaFile:
    path = folder / f"{number}.png"
    colour = (8 * number % 256, 255 - number, 40)
    Image.new("RGB", (24, 16), colour).save(path)
    return describe(path)


def part(file: MediaFile, prefix: str, server: str = "auto") -> Request:
    """A picture, inverted there."""
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": file}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": prefix}},
    }
    return comfyui.workflow(prompt, server)


def is_inverted(file: MediaFile, result: Result) -> bool:
    (made,) = result.files
    with Image.open(file.path) as given, Image.open(io.BytesIO(made.path.read_bytes())) as back:
        apart = ImageChops.difference(ImageChops.invert(given), back.convert("RGB"))
        return max(most for _, most in apart.getextrema()) <= 1


async def all_of(play: Play, requests: Sequence[Request], into: Path) -> list[Result]:
    jobs = await play.runner.begin_all(providers.connect("comfyui"), requests, into)
    return [await ended(job) for job in jobs]


@pytest.mark.parametrize("dialects", [("native",) * 3, ("v2",) * 3, ("native", "v2", "auto")])
def test_thirty_parts_keep_every_server_busy_and_come_back_in_order(
    farm: Farm, play: Play, tmp_path: Path, dialects: Sequence[str]
) -> None:
    for name, dialect in zip(NAMES, dialects, strict=True):
        farm.add(name, dialect)
    files = [picture(tmp_path, number) for number in range(30)]
    requests = [part(file, f"part{n}") for n, file in enumerate(files)]
    results = play.run(all_of(play, requests, tmp_path))
    assert [is_inverted(*each) for each in zip(files, results, strict=True)] == [True] * 30
    taken = {name: farm.took(box) for name, box in farm.boxes.items()}
    assert sum(taken.values()) == 30
    assert min(taken.values()) >= 7, taken


def test_an_order_to_any_server_has_the_title_of_the_one_that_took_it(
    farm: Farm, play: Play, tmp_path: Path
) -> None:
    farm.add("cellar", "native")
    play.run(all_of(play, [part(picture(tmp_path, 1), "a")], tmp_path))
    rows = play.runner.ledger.rows(EVERYTHING)
    assert [(row.record.endpoint, row.record.title) for row in rows] == [
        ("auto", "workflow on cellar")
    ]


@pytest.mark.parametrize("dialect", ["native", "v2"])
@pytest.mark.parametrize("what", ["kill", "restart"])
def test_thirty_parts_come_back_although_a_server_dies_or_restarts_in_the_middle(
    farm: Farm, play: Play, tmp_path: Path, dialect: str, what: str
) -> None:
    for name in NAMES:
        farm.add(name, dialect)
    files = [picture(tmp_path, number) for number in range(30)]
    requests = [part(file, f"part{n}") for n, file in enumerate(files)]

    async def scene() -> list[Result]:
        under_way = asyncio.ensure_future(all_of(play, requests, tmp_path))
        while sum(map(farm.took, farm.boxes.values())) < 12:
            await play.pause(0.1)
        getattr(farm, what)("cellar")
        return await under_way

    results = play.run(scene())
    assert [is_inverted(*each) for each in zip(files, results, strict=True)] == [True] * 30
    sent = farm.sent()
    assert len(sent) == 30
    assert sum(sent.values()) <= 30 + _servers.MAX_PARALLEL
    assert max(sent.values()) <= 2


# -- faults by chance ---------------------------------------------------------------------------


class Person:
    """Queues an order until its result is there; `queued` says how often each was."""

    def __init__(self, play: Play, into: Path) -> None:
        self.play, self.into = play, into
        self.queued: Counter[str] = Counter()
        self.errors: dict[str, list[str]] = {}

    async def wants(self, request: Request) -> Result:
        name = _prefix(request.payload)
        while True:
            self.queued[name] += 1
            job = await self.play.runner.begin(providers.connect("comfyui"), request, self.into)
            try:
                return await ended(job)
            except SkyportError as error:
                self.play.runner.record_told(job)
                self.errors.setdefault(name, []).append(f"{type(error).__name__} {error}")
                assert self.queued[name] < QUEUED, self.errors[name]
                await self.play.pause(60)


async def mishaps(farm: Farm, chance: random.Random, count: int) -> int:
    """So many deaths and restarts; one server at a time is dead. How many tasks that may lose."""
    for _ in range(count):
        await farm.play.pause(moment(chance, 1, 60))
        name = chance.choice(list(farm.boxes))
        if chance.random() < 0.5:
            farm.restart(name)
            continue
        farm.kill(name)
        await farm.play.pause(moment(chance, 1, 100))
        farm.revive(name)
    return count


@pytest.mark.parametrize("dialect", ["native", "v2"])
@pytest.mark.parametrize("seed", SEEDS)
def test_random_faults_lose_no_row_and_run_no_task_twice_beyond_the_one_resend(
    farm: Farm, play: Play, tmp_path: Path, dialect: str, seed: int
) -> None:
    chance = random.Random(seed)
    for name in NAMES:
        farm.add(name, dialect)
    files = [picture(tmp_path, number) for number in range(12)]
    person = Person(play, tmp_path)

    async def scene() -> list[Result]:
        faults = asyncio.ensure_future(mishaps(farm, chance, 5))
        wanted = [person.wants(part(f, f"p{n} {of_server(chance)}")) for n, f in enumerate(files)]
        results = await asyncio.gather(*wanted)
        await faults
        return list(results)

    results = play.run(scene())
    assert [is_inverted(*each) for each in zip(files, results, strict=True)] == [True] * 12
    rows = play.runner.ledger.rows(EVERYTHING)  # type: ignore[attr-defined]
    assert sum(row.state is State.SUCCEEDED for row in rows) == 12
    sent = farm.sent()
    too_often = {name: sent[name] for name in sent if sent[name] > 2 * person.queued[name]}
    assert too_often == {}, person.errors


@pytest.mark.parametrize("dialect", ["native", "v2"])
@pytest.mark.parametrize("seed", SEEDS)
def test_where_there_is_no_other_server_each_task_runs_once_whatever_its_answers_are(
    farm: Farm, play: Play, tmp_path: Path, dialect: str, seed: int
) -> None:
    chance = random.Random(seed)
    farm.add("attic", dialect)
    files = [picture(tmp_path, number) for number in range(12)]
    person = Person(play, tmp_path)

    async def scene() -> list[Result]:
        wanted = [person.wants(part(f, f"p{n} {of_server(chance)}")) for n, f in enumerate(files)]
        return list(await asyncio.gather(*wanted))

    results = play.run(scene())
    assert [is_inverted(*each) for each in zip(files, results, strict=True)] == [True] * 12
    assert set(farm.sent().values()) == {1}, person.errors
