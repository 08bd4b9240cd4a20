"""Pins what the engine does for a platform of several servers, as a pool of them needs it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from scripted import Answer, Scripted, closed_port, redirect
from skyport.engine.base.errors import (
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    SkyportError,
    TaskCancelled,
    TaskLost,
    TaskTimeout,
    TaskUnresolved,
    TransportError,
)
from skyport.engine.base.types import (
    MediaFile,
    Output,
    Report,
    Request,
    Result,
    Task,
    TaskState,
    no_report,
)
from skyport.engine.http.client import Http
from skyport.engine.ledger.ledger import EVERYTHING, Row, State, record_of
from skyport.engine.tasks import history
from test_collector import Process
from virtual import Cloud, Play, clip, ended, order

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


class Pool(Cloud):
    """Servers by name, each with a key of its own. Nobody is at the address of the pool itself."""

    def __init__(self, play: Play, servers: dict[str, str], **how: Any) -> None:
        super().__init__(play.loop.time, url="http://pool.invalid", **how)
        self.servers = {
            name: Http("Cloud", url, {"X-API-Key": f"key-of-{name}"})
            for name, url in servers.items()
        }

    def server_for(self, url: str) -> Http:
        found = (server for server in self.servers.values() if server.key_for(url))
        return next(found, self.http)


def keys_at(server: Scripted) -> list[str | None]:
    return [seen.headers.get("x-api-key") for seen in server.seen]


# -- results ------------------------------------------------------------------------------------


def test_a_result_comes_from_its_own_server_in_a_private_network_with_its_key(
    play: Play, tmp_path: Path, server: Scripted, elsewhere: Scripted
) -> None:
    pool = Pool(play, {"attic": server.url, "cellar": elsewhere.url})
    server.on("/view", Answer(body=PNG))
    elsewhere.on("/view", Answer(body=PNG))
    pool.outputs = (Output(url=f"{server.url}/view"), Output(url=f"{elsewhere.url}/view"))
    assert len(play.result(pool, order(), tmp_path).files) == 2
    assert keys_at(server) == ["key-of-attic"]
    assert keys_at(elsewhere) == ["key-of-cellar"]


def test_the_key_of_a_server_follows_no_redirect_and_calls_no_other_key(
    play: Play, tmp_path: Path, server: Scripted, elsewhere: Scripted
) -> None:
    pool = Pool(play, {"attic": server.url, "cellar": elsewhere.url})
    server.on("/view", redirect(f"{elsewhere.url}/signed"))
    elsewhere.on("/signed", Answer(body=PNG))
    pool.outputs = (Output(url=f"{server.url}/view"),)
    assert play.result(pool, order(), tmp_path).files
    assert keys_at(elsewhere) == [None]


@pytest.mark.parametrize("way", ["given", "redirected"])
def test_a_private_host_that_is_no_server_of_the_pool_is_refused(
    play: Play, tmp_path: Path, server: Scripted, way: str
) -> None:
    pool = Pool(play, {"attic": server.url})
    private = f"http://localhost:{server.port}/secret"
    server.on("/view", redirect(private))
    pool.outputs = (Output(url=private if way == "given" else f"{server.url}/view"),)
    with pytest.raises(SkyportError, match="localhost is not a public host"):
        play.result(pool, order(), tmp_path)
    assert server.counts["/secret"] == 0


# -- a task that its server has lost ------------------------------------------------------------


class Forgets(Cloud):
    """A server of one's own, whose restart forgets its tasks.

    restarts  how many of the next tasks are forgotten while they run
    """

    is_free = True
    restarts = 1

    def poll(self, task: Task) -> TaskState:
        if int(task.id) <= self.restarts and self.clock() > self.end(task.id) - self.lasts + 3:
            self._note("poll", task.id)
            raise unknown_task()
        return super().poll(task)


def unknown_task() -> NotFound:
    return NotFound("no such job", status=404, own_form=True)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Callable[[], Process]]:
    """Begins a process; what is left at the end dies."""
    begun: list[Process] = []

    def begin() -> Process:
        begun.append(Process(tmp_path))
        return begun[-1]

    yield begin
    for process in begun:
        process.die()


def only_row(play: Play) -> Row:
    [row] = play.runner.ledger.rows(EVERYTHING)  # type: ignore[attr-defined]
    assert isinstance(row, Row)
    return row


def test_a_task_that_a_restart_has_lost_is_sent_again_within_seconds_and_its_row_says_so(
    play: Play, tmp_path: Path
) -> None:
    server = Forgets(play.loop.time)
    result = play.result(server, order(), tmp_path)
    assert result.texts == ("done",)
    assert result.details == (("sent again", "after its server had lost it"),)
    first, second = server.times("submit")
    assert 3 < second - first < 15
    row = only_row(play)
    assert (row.state, row.attempt, row.task and row.task.id) == (State.DELIVERED, 2, "2")
    assert row.result is not None
    assert row.result.details == result.details
    ids = [request.order_id for request in server.requests]
    assert len(set(ids)) == 2


def test_a_second_loss_is_an_error_and_the_next_queue_sends_anew(
    play: Play, tmp_path: Path
) -> None:
    server = Forgets(play.loop.time)
    server.restarts = 2
    with pytest.raises(TaskLost, match="Nothing was charged: queue again"):
        play.result(server, order(), tmp_path)
    assert server.counts["submit"] == 2
    assert only_row(play).state is State.FAILED
    assert play.result(server, order(), tmp_path).details == ()
    assert server.counts["submit"] == 3


def test_a_poll_that_misses_a_task_once_loses_nothing(play: Play, tmp_path: Path) -> None:
    server = Forgets(play.loop.time)
    server.restarts = 0
    server.script["poll"] = [None, unknown_task(), None]
    assert play.result(server, order(), tmp_path).details == ()
    assert server.counts["submit"] == 1


@pytest.mark.parametrize("is_free", [True, False])
def test_a_task_that_may_have_been_charged_is_never_sent_again(
    play: Play, tmp_path: Path, is_free: bool
) -> None:
    class Rented(Forgets):
        def charges_nothing(self, endpoint: str) -> bool:
            return False

    server = Rented(play.loop.time)
    if not is_free:
        server.is_free = False  # type: ignore[misc]
    with pytest.raises(TaskUnresolved):
        play.result(server, order(), tmp_path)
    assert server.counts["submit"] == 1


def test_it_is_sent_again_to_the_server_that_prepare_picks_and_polled_there(
    play: Play, tmp_path: Path
) -> None:
    polled: set[str] = set()

    class Two(Forgets):
        def prepare(self, request: Request) -> Request:
            self._note("prepare", "")
            name = ["attic", "cellar"][self.counts["prepare"] - 1]
            return Request(request.platform, name, request.payload)

        def poll(self, task: Task) -> TaskState:
            polled.add(f"{task.id} at {task.endpoint}")
            return super().poll(task)

    play.result(Two(play.loop.time), order(), tmp_path)
    assert polled == {"1 at attic", "2 at cellar"}
    row = only_row(play)
    assert (row.record.endpoint, row.record.sent_to) == ("make", "cellar")


def test_where_no_server_takes_it_again_the_order_has_failed_and_can_be_queued(
    play: Play, tmp_path: Path
) -> None:
    server = Forgets(play.loop.time)
    server.script["prepare"] = [None, InvalidInput("no server is set up")]
    with pytest.raises(InvalidInput, match="no server is set up"):
        play.result(server, order(), tmp_path)
    assert only_row(play).state is State.FAILED
    assert play.result(server, order(), tmp_path).texts == ("done",)


def test_a_stop_while_it_is_sent_again_sends_nothing(play: Play, tmp_path: Path) -> None:
    server = Forgets(play.loop.time)

    async def scene() -> None:
        job = await play.runner.begin(server, order(), tmp_path)
        prepare = server.prepare

        def stopping(request: Request) -> Request:
            if server.counts["submit"]:
                play.runner.leave(job, stop=True)
            return prepare(request)

        server.prepare = stopping  # type: ignore[method-assign]
        with pytest.raises(TaskCancelled):
            await ended(job)

    play.run(asyncio.wait_for(scene(), 600))
    assert server.counts["submit"] == 1
    assert only_row(play).state is State.CANCELLED


def test_a_lost_task_that_nobody_waits_for_any_more_is_not_sent_again(
    play: Play, tmp_path: Path
) -> None:
    server = Forgets(play.loop.time)

    async def scene() -> None:
        job = await play.runner.begin(server, order(), tmp_path)
        await play.pause(5)
        play.runner.leave(job, stop=True)
        with pytest.raises(TaskLost):
            await ended(job)

    play.run(scene())
    assert (server.counts["submit"], only_row(play).state) == (1, State.FAILED)


def test_a_lost_task_that_only_the_collector_follows_fails_and_the_next_queue_sends_it(
    processes: Callable[[], Process], tmp_path: Path
) -> None:
    first = processes()
    server = Forgets(first.play.loop.time, lasts=60.0)
    first.begins(server, order())
    first.die()
    second = processes()
    server.clock = second.play.loop.time
    server._ends["1"] = server.clock()
    second.collects_for(60.0, second.connect(server))
    [row] = second.keeper.disk.rows(EVERYTHING)  # type: ignore[union-attr]
    assert (row.state, server.counts["submit"]) == (State.FAILED, 1)
    assert second.play.result(server, order(), tmp_path).texts == ("done",)


def test_an_order_queued_after_a_crash_and_a_restart_is_sent_again_by_itself_once(
    processes: Callable[[], Process], tmp_path: Path
) -> None:
    first = processes()
    server = Forgets(first.play.loop.time, lasts=60.0)
    first.begins(server, order(), 30.0)  # sent again by now
    assert server.counts["submit"] == 2
    first.die()
    server.restarts = 2
    second = processes()
    server.clock = second.play.loop.time
    server._ends["2"] = server.clock()
    with pytest.raises(TaskLost):
        second.play.result(server, order(), tmp_path)
    assert server.counts["submit"] == 2


def test_a_crash_while_it_is_sent_again_neither_loses_it_nor_makes_a_third_task(
    processes: Callable[[], Process], tmp_path: Path
) -> None:
    class Asked(Forgets):
        def look_up(self, request: Request) -> str | None:
            if self.script["look_up"]:
                raise TransportError("no answer")
            ids = [made.order_id for made in self.requests]
            return str(ids.index(request.order_id) + 1)

    first = processes()
    server = Asked(first.play.loop.time)
    submit = server.submit

    def dies(request: Request, report: Report = no_report) -> str:
        task_id = submit(request, report)
        if task_id == "2":
            first.keeper.record_end = lambda *_: None  # type: ignore[method-assign]
            raise KeyError("the process has died")
        return task_id

    server.submit = dies  # type: ignore[method-assign]
    server.script["look_up"] = [None]
    with pytest.raises(OutcomeUnknown):
        first.play.result(server, order(), tmp_path)
    first.die()
    second = processes()
    server.clock, server.script["look_up"] = second.play.loop.time, []
    server._ends["2"] = server.clock() + 10
    result = second.play.result(server, order(), tmp_path)
    assert result.details == (("sent again", "after its server had lost it"),)
    assert server.counts["submit"] == 2


# -- the server that has a task -----------------------------------------------------------------


class Chosen(Cloud):
    """Sends `make` to the attic; remembers which server was asked what."""

    def __init__(self, play: Play) -> None:
        super().__init__(play.loop.time, lasts=60.0, cancels=True)
        self.asked: list[str] = []

    def prepare(self, request: Request) -> Request:
        return Request(request.platform, "attic", request.payload)

    def poll(self, task: Task) -> TaskState:
        self.asked.append(f"poll {task.id} at {task.endpoint}")
        return super().poll(task)

    def cancel(self, task: Task) -> bool:
        self.asked.append(f"cancel {task.id} at {task.endpoint}")
        return super().cancel(task)


@pytest.fixture
def chosen(processes: Callable[[], Process]) -> tuple[Process, Chosen]:
    """A process after one that died while a task ran on the attic."""
    first = processes()
    cloud = Chosen(first.play)
    first.begins(cloud, order(), 5.0)
    first.die()
    second = processes()
    cloud.asked, cloud.clock = [], second.play.loop.time
    cloud._ends["1"] = cloud.clock() + 5
    return second, cloud


def test_an_equal_order_attaches_whatever_server_took_it(
    chosen: tuple[Process, Chosen], tmp_path: Path
) -> None:
    process, cloud = chosen
    assert process.play.result(cloud, order(), tmp_path).texts == ("done",)
    assert (cloud.counts["submit"], set(cloud.asked)) == (1, {"poll 1 at attic"})


def test_the_collector_and_load_result_ask_the_server_that_has_it(
    chosen: tuple[Process, Chosen],
) -> None:
    process, cloud = chosen
    process.collects_for(60.0, process.connect(cloud))
    assert set(cloud.asked) == {"poll 1 at attic"}
    process.keeper.mark_files_lost(record_of(order(), cloud.http.base_url).fingerprint)
    cloud.asked.clear()

    async def loaded() -> Result:
        row = history.find(process.keeper, "1")
        connect = process.connect(cloud)
        job = await history.attach(process.play.runner, connect, row, process.into)
        return await ended(job)

    assert process.play.run(loaded()).texts == ("done",)
    assert set(cloud.asked) <= {"poll 1 at attic"}


def test_a_cancel_goes_to_the_server_that_has_it(chosen: tuple[Process, Chosen]) -> None:
    process, cloud = chosen
    row = history.find(process.keeper, "1")
    assert process.play.run(history.cancel(process.play.runner, cloud, row, "by a person"))
    assert cloud.asked == ["cancel 1 at attic"]


# -- lanes --------------------------------------------------------------------------------------


class Servers(Cloud):
    """Servers that each run so many orders side by side; `auto` is any of them.

    most  the most orders that were on a server at once
    """

    limits: ClassVar[Mapping[str, int]] = {"attic": 2, "cellar": 1}

    def __init__(self, play: Play) -> None:
        super().__init__(play.loop.time)
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.took: Counter[str] = Counter()

    def lane(self, request: Request) -> str:
        return request.endpoint

    def lane_limit(self, lane: str) -> int:
        return self.limits.get(lane) or sum(self.limits.values())

    def prepare(self, request: Request) -> Request:
        self._note("prepare", request.endpoint)
        if request.endpoint != "auto":
            return request
        name = min(self.limits, key=lambda one: self.in_flight(one) / self.limits[one])
        return Request(request.platform, name, request.payload, seed=request.seed)

    def submit(self, request: Request, report: Report = no_report) -> str:
        self.running[request.endpoint] += 1
        self.took[request.endpoint] += 1
        self.most |= self.running
        return super().submit(request, report)

    def poll(self, task: Task) -> TaskState:
        state = super().poll(task)
        self.running[task.endpoint] -= state.status.terminal
        return state


def to(server: str, seed: int) -> Request:
    return Request("cloud", server, {}, title="thing", seed=seed)


async def all_of_them(play: Play, servers: Cloud, into: Path, requests: list[Request]) -> None:
    jobs = await play.runner.begin_all(servers, requests, into)
    await asyncio.gather(*map(ended, jobs))


def test_thirty_orders_for_any_server_keep_every_server_busy_and_none_overfull(
    play: Play, tmp_path: Path
) -> None:
    servers = Servers(play)
    began = play.loop.time()
    play.run(all_of_them(play, servers, tmp_path, [to("auto", n) for n in range(30)]))
    assert servers.most == {"attic": 2, "cellar": 1}
    assert sum(servers.took.values()) == 30
    assert servers.took["cellar"] in range(8, 13)
    assert play.loop.time() - began < 30 / 3 * 12


def test_orders_for_one_server_and_for_any_share_its_room(play: Play, tmp_path: Path) -> None:
    servers = Servers(play)
    names = ["attic", "auto", "cellar", "auto"] * 5
    requests = [to(name, n) for n, name in enumerate(names)]
    play.run(all_of_them(play, servers, tmp_path, requests))
    assert servers.most == {"attic": 2, "cellar": 1}
    assert sum(servers.took.values()) == 20


def test_a_full_server_keeps_no_other_waiting(play: Play, tmp_path: Path) -> None:
    servers = Servers(play)
    servers.lasts = 100.0

    async def scene() -> float:
        jobs = [await play.runner.begin(servers, to("cellar", n), tmp_path) for n in range(5)]
        other = await play.runner.begin(servers, to("attic", 9), tmp_path)
        await ended(other)
        done = play.loop.time()
        await asyncio.gather(*map(ended, jobs))
        return done

    began = play.loop.time()
    assert play.run(scene()) - began < 110


def test_who_stops_while_a_server_is_full_leaves_its_room_to_the_next(
    play: Play, tmp_path: Path
) -> None:
    class Picks(Servers):
        limits: ClassVar[Mapping[str, int]] = {"cellar": 1}

        def lane_limit(self, lane: str) -> int:
            return self.limits.get(lane, 9)

    servers = Picks(play)

    async def scene() -> None:
        first, second, third = [
            await play.runner.begin(servers, to("auto", n), tmp_path) for n in range(3)
        ]
        await play.pause(2)
        play.runner.leave(second, stop=True)
        with pytest.raises(TaskCancelled, match="nothing was charged"):
            await ended(second)
        await asyncio.gather(ended(first), ended(third))

    play.run(scene())
    assert servers.took == {"cellar": 2}
    assert servers.in_flight("cellar") == servers.in_flight("auto") == 0


@pytest.mark.parametrize("failing", ["prepare", "submit"])
def test_an_order_that_fails_leaves_its_room(play: Play, tmp_path: Path, failing: str) -> None:
    servers = Servers(play)
    for n in range(4):
        servers.script[failing] = [InvalidInput("no")]
        with pytest.raises(InvalidInput):
            play.result(servers, to("auto", n), tmp_path)
    assert [servers.in_flight(lane) for lane in ("auto", "attic", "cellar")] == [0, 0, 0]


def test_an_order_that_is_sent_again_takes_room_where_it_runs_now(
    play: Play, tmp_path: Path
) -> None:
    class Restarted(Servers, Forgets):
        seen: ClassVar[list[int]] = []

        def submit(self, request: Request, report: Report = no_report) -> str:
            self.seen.append(self.in_flight("attic") + self.in_flight("cellar"))
            return super().submit(request, report)

    servers = Restarted(play)
    play.result(servers, to("auto", 1), tmp_path)
    assert servers.seen == [1, 1]


def test_a_platform_without_lanes_has_one(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", "2")
    cloud = play.cloud()
    requests = [Request("cloud", name, {}) for name in ("make", "take", "bake", "wake")]
    began = play.loop.time()
    play.run(all_of_them(play, cloud, tmp_path, requests))
    assert play.loop.time() - began > 20


def test_a_task_of_an_earlier_run_counts_on_its_server(
    processes: Callable[[], Process], tmp_path: Path
) -> None:
    first = processes()
    servers = Servers(first.play)
    servers.lasts = 60.0
    first.begins(servers, to("auto", 1), 5.0)
    first.die()
    second = processes()
    servers.clock = second.play.loop.time
    servers._ends["1"] = servers.clock() + 60

    async def scene() -> int:
        job = await second.play.runner.begin(servers, to("auto", 1), tmp_path)
        await second.play.pause(5)
        counted = servers.in_flight("attic")
        await ended(job)
        return counted

    assert second.play.run(scene()) == 1
    assert servers.in_flight("attic") == servers.in_flight("auto") == 0


# -- a server that dies -------------------------------------------------------------------------


class Mortal(Servers):
    """Servers that may die: nobody answers there any more, and what ran there is lost.

    after  by a call's name: the server that takes the first of these dies, before it answers
    """

    is_free = True

    def __init__(self, play: Play, **after: int) -> None:
        super().__init__(play)
        self.after = Counter(after)
        self.left_out: set[str] = set()
        self.dead: set[str] = set()

    def prepare(self, request: Request) -> Request:
        self._note("prepare", request.endpoint)
        if request.endpoint != "auto":
            return request
        names = [name for name in self.limits if name not in self.left_out] or list(self.limits)
        name = min(names, key=lambda one: self.in_flight(one) / self.limits[one])
        return Request(request.platform, name, request.payload, seed=request.seed)

    def can_go_elsewhere(self, request: Request, silent: str) -> bool:
        self.left_out.add(silent)
        return request.endpoint == "auto" and bool(self.limits.keys() - self.left_out)

    def upload(self, file: MediaFile, request: Request, report: Report = no_report) -> str:
        self._reach("upload", request.endpoint, sent=False)
        return super().upload(file, request, report)

    def submit(self, request: Request, report: Report = no_report) -> str:
        self._reach("submit", request.endpoint, sent=request.endpoint not in self.dead)
        return super().submit(request, report)

    def look_up(self, request: Request) -> str | None:
        self._reach("look_up", request.endpoint)
        return None

    def poll(self, task: Task) -> TaskState:
        self._reach("poll", task.endpoint)
        return super().poll(task)

    def _reach(self, call: str, name: str, sent: bool = True) -> None:
        if self.after[call]:
            self.after[call] -= 1
            if not self.after[call]:
                self.dead.add(name)
        if name in self.dead:
            raise TransportError(f"nobody at {name}", sent=sent)


def test_thirty_orders_come_back_although_a_server_dies_in_the_middle(
    play: Play, tmp_path: Path
) -> None:
    servers = Mortal(play, poll=40)
    requests = [to("auto", n) for n in range(30)]
    play.run(all_of_them(play, servers, tmp_path, requests))
    (dead,) = servers.dead
    rows = play.runner.ledger.rows(EVERYTHING)  # type: ignore[attr-defined]
    assert [row.state for row in rows] == [State.SUCCEEDED] * 30
    again = [row for row in rows if row.attempt == 2]
    assert 1 <= len(again) <= servers.limits[dead]
    assert servers.counts["submit"] == 30 + len(again)


def test_a_task_of_a_silent_server_goes_to_another_one_and_its_row_says_so(
    play: Play, tmp_path: Path
) -> None:
    servers = Mortal(play, poll=2)
    assert play.result(servers, to("auto", 1), tmp_path).texts == ("done",)
    row = only_row(play)
    assert (row.record.sent_to, row.attempt) == ("cellar", 2)
    first, second = servers.times("submit")
    assert 30 < second - first < 90


def test_a_server_that_is_silent_for_a_moment_keeps_its_task(play: Play, tmp_path: Path) -> None:
    servers = Mortal(play)
    servers.script["poll"] = [None, *[TransportError("busy")] * 4]
    assert play.result(servers, to("auto", 1), tmp_path).texts == ("done",)
    assert servers.counts["submit"] == 1


@pytest.mark.parametrize("why", ["named", "charged", "alone", "nobody waits"])
def test_a_task_stays_with_its_silent_server(play: Play, tmp_path: Path, why: str) -> None:
    servers = Mortal(play, poll=2)
    servers.is_free = why != "charged"  # type: ignore[misc]
    servers.left_out = {"cellar"} if why == "alone" else set()

    async def scene() -> None:
        name = "attic" if why == "named" else "auto"
        job = await play.runner.begin(servers, to(name, 1), tmp_path)
        if why == "nobody waits":
            await play.pause(5)
            play.runner.leave(job, stop=False)
        with pytest.raises(TaskTimeout):
            await ended(job)

    play.run(scene())
    assert servers.counts["submit"] == 1
    assert only_row(play).task is not None


@pytest.mark.parametrize("call", ["upload", "submit"])
def test_what_never_reached_a_dead_server_goes_to_another_one(
    play: Play, tmp_path: Path, call: str
) -> None:
    servers = Mortal(play)
    servers.dead = {"attic"}
    payload = {"image": clip(tmp_path)} if call == "upload" else {}
    request = Request("cloud", "auto", payload, title="thing", seed=1)
    assert play.result(servers, request, tmp_path).details == ()
    row = only_row(play)
    assert (row.record.sent_to, row.attempt, row.state) == ("cellar", 1, State.DELIVERED)
    assert servers.counts["submit"] == 1


def test_an_order_that_a_dying_server_may_have_is_sent_to_another_one_once(
    play: Play, tmp_path: Path
) -> None:
    servers = Mortal(play, submit=1)
    assert play.result(servers, to("auto", 1), tmp_path).details == (
        ("sent again", "after its server had lost it"),
    )
    assert (servers.took["attic"], servers.took["cellar"]) == (0, 1)
    dying = Mortal(play, submit=1)
    poll = dying.poll

    def dies_too(task: Task) -> TaskState:
        dying.dead.add("cellar")
        return poll(task)

    dying.poll = dies_too  # type: ignore[method-assign]
    with pytest.raises(TaskTimeout):
        play.result(dying, to("auto", 2), tmp_path)
    assert sum(dying.took.values()) == 1


def test_results_that_a_server_took_with_it_are_made_anew_by_another_one(
    play: Play, tmp_path: Path, server: Scripted
) -> None:
    class Keeps(Mortal):
        def poll(self, task: Task) -> TaskState:
            url = closed if task.endpoint == "attic" else f"{server.url}/view"
            self.outputs = (Output(url=url),)
            return super().poll(task)

    closed = f"http://127.0.0.1:{closed_port()}/view"
    server.on("/view", Answer(body=PNG))
    servers = Keeps(play)
    servers.server_for = lambda url: Http("Cloud", url, {})  # type: ignore[method-assign]
    assert len(play.result(servers, to("auto", 1), tmp_path).files) == 1
    assert (servers.took, only_row(play).attempt) == ({"attic": 1, "cellar": 1}, 2)
