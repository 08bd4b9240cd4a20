"""Pins when the wait for a task ends: on the platform's own words, or by time, and what it costs.

First the decisions alone, then whole tasks on a clock that jumps.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from scripted import Answer, Scripted
from skyport.engine.base.errors import (
    ApiError,
    AuthRejected,
    BadResult,
    InputRejected,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    OutOfCredit,
    RateLimited,
    ServerFault,
    SkyportError,
    TaskCancelled,
    TaskFailed,
    TaskTimeout,
    TaskUnresolved,
    TransportError,
)
from skyport.engine.base.types import Output, Status, Task, TaskState
from skyport.engine.ledger.ledger import EVERYTHING, Row, State, record_of
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.sqlite_store import Store
from skyport.engine.tasks.collector import INTERVAL, Backoff, collect
from skyport.engine.tasks.history import order_anew
from skyport.engine.tasks.waiting import Waiting
from virtual import Cloud, Play, ended, in_memory, order

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
MINUTE, DAY = 60.0, 86400.0
PATIENCE = 15 * MINUTE  # of the settings, unless somebody says otherwise

RUNNING = TaskState(Status.RUNNING, "running")
STRANGE = TaskState(
    Status.RUNNING, "frobnicating", known=False, answer='{"status": "frobnicating"}'
)
EMPTY = TaskState(Status.SUCCEEDED, "success", 1.0, answer='{"status": "success"}')
FILLED = TaskState(Status.SUCCEEDED, "success", 1.0, outputs=(Output(text="done"),))
FAILED = TaskState(Status.FAILED, "fail", message="the picture is not allowed")
CANCELLED = TaskState(Status.CANCELLED, "cancelled")

Said = TaskState | SkyportError


def own(error: ApiError) -> ApiError:
    """`error` as the platform itself says it; without this, it may be anybody's page."""
    error.own_form, error.body = True, {"msg": error.what}
    return error


def no_task() -> ApiError:
    return own(NotFound("no such task", status=404))


# -- the decisions ------------------------------------------------------------------------------


def waiting(submitted: float = 0.0, now: float = 0.0) -> Waiting:
    return Waiting(now, submitted)


def takes(wait: Waiting, said: Said, now: float) -> bool:
    return wait.take(said, now) if isinstance(said, TaskState) else wait.fail(said, now)


def lasts(wait: Waiting, said: Said, began: float = 0.0, step: float = 1.0) -> float:
    """Seconds after `began` at which the same answer, every `step` seconds, ends the wait."""
    now = began
    while not takes(wait, said, now):
        now += step
        assert now < began + DAY, "it never ends"
    return now - began


@pytest.mark.parametrize("state", [FILLED, FAILED, CANCELLED], ids=lambda s: s.status.name)
def test_a_word_that_ends_a_task_ends_the_wait_at_once(state: TaskState) -> None:
    wait = waiting()
    assert wait.take(state, 1.0)
    assert wait.unresolved == ""


def test_a_task_that_runs_is_waited_for_without_end() -> None:
    wait = waiting()
    assert not any(wait.take(RUNNING, now) for now in range(0, int(DAY), 60))
    assert (wait.pause, wait.silent, wait.unresolved) == (0.0, None, "")


def test_a_success_without_results_is_looked_at_again_for_two_minutes() -> None:
    wait, pauses = waiting(), list[float]()
    while not wait.take(EMPTY, 10.0 + sum(pauses)):
        pauses.append(wait.pause)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0]
    assert wait.unresolved.endswith("names no result: no output in its answer")
    assert wait.answer == EMPTY.answer


def test_a_success_whose_results_come_late_is_a_success() -> None:
    wait = waiting()
    assert not any(wait.take(EMPTY, now) for now in (1.0, 2.0, 4.0))
    assert wait.take(FILLED, 8.0)
    assert wait.unresolved == ""


def test_a_task_that_runs_again_gets_all_its_looks_again() -> None:
    wait = waiting()
    for now in range(6):
        assert not wait.take(EMPTY, now)
    wait.take(RUNNING, 7.0)
    assert wait.pause == 0.0
    wait.take(EMPTY, 8.0)
    assert wait.pause == 1.0


@pytest.mark.parametrize(
    ("submitted", "asked", "alive", "expected"),
    [
        (0.0, 1.0, False, 120.0 - 1.0 + 300.0),
        (0.0, 119.0, False, 1.0 + 300.0),
        (0.0, 120.0, False, 300.0),
        (-DAY, 0.0, False, 300.0),
        (0.0, 10.0, True, 300.0),
    ],
    ids=["at once", "just young", "no more young", "of yesterday", "seen alive"],
)
def test_a_task_the_platform_does_not_know_is_asked_for_five_minutes_once_it_should(
    submitted: float, asked: float, alive: bool, expected: float
) -> None:
    wait = waiting(submitted, asked)
    if alive:
        wait.take(RUNNING, asked)
    assert lasts(wait, no_task(), asked) == expected
    assert "does not know the task any more: no such task" in wait.unresolved
    assert wait.answer == '{"msg": "no such task"}'


def test_a_task_that_is_not_there_yet_is_asked_for_at_the_usual_pace_then_ever_more_seldom() -> (
    None
):
    wait, pauses = waiting(), list[float]()
    for now in range(0, 400, 10):
        wait.fail(no_task(), now)
        pauses.append(wait.pause)
    assert set(pauses[:13]) == {0.0}  # the first two minutes, and the first "no" after them
    assert pauses[13:25] == [2.5 * n for n in range(1, 13)]
    assert max(pauses) == 30.0


def test_a_task_that_is_known_again_is_waited_for_like_any_other() -> None:
    wait = waiting()
    wait.take(RUNNING, 0.0)
    assert not wait.fail(no_task(), 10.0)
    wait.take(RUNNING, 200.0)
    assert lasts(wait, no_task(), 400.0) == 300.0


NO_ANSWERS = {
    "page 404": NotFound("Not Found", status=404),
    "page 410": NotFound("Gone", status=410),
    "page 429": RateLimited("slow down", status=429),
    "page 502": ServerFault("Bad Gateway", status=502),
    "page 599": ServerFault("?", status=599),
    "page 401": AuthRejected("sign in", status=401),
    "page 403": AuthRejected("blocked", status=403),
    "page 402": OutOfCredit("pay", status=402),
    "redirect": ApiError("redirects", status=302),
    "own 400": own(InputRejected("bad id", status=400)),
    "own 402": own(OutOfCredit("pay", status=402)),
    "own 429": own(RateLimited("busy", status=429)),
    "own 500": own(ServerFault("internal", status=500)),
    "own code": own(InputRejected("code 7", status=200, code="7")),
    "cut": TransportError("the connection was cut"),
    "nobody": TransportError("refused", sent=False),
    "unreadable": BadResult("not JSON"),
}


@pytest.mark.parametrize("error", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_what_says_nothing_about_the_task_is_no_answer_and_ends_nothing(
    error: SkyportError,
) -> None:
    wait = waiting()
    wait.take(RUNNING, 0.0)
    assert not any(wait.fail(error, now) for now in range(1, 5000, 30))
    assert (wait.silent, wait.unresolved, wait.last_words) == (1.0, "", error.what)


def test_the_pauses_without_an_answer_grow_to_half_a_minute() -> None:
    wait, pauses = waiting(), list[float]()
    for now in range(8):
        wait.fail(ServerFault("busy", status=503), now)
        pauses.append(wait.pause)
    assert pauses == [1.5, 3.0, 6.0, 12.0, 24.0, 30.0, 30.0, 30.0]
    wait.take(RUNNING, 9.0)
    assert (wait.pause, wait.silent) == (0.0, None)
    wait.fail(ServerFault("busy", status=503), 10.0)
    assert (wait.pause, wait.silent) == (1.5, 10.0)


@pytest.mark.parametrize(
    ("asked", "pause"), [(0.0, 1.5), (1.0, 1.5), (50.0, 50.0), (120.0, 120.0), (9999.0, 120.0)]
)
def test_a_pause_the_platform_asks_for_is_kept_up_to_two_minutes(
    asked: float, pause: float
) -> None:
    wait = waiting()
    wait.fail(own(RateLimited("busy", status=429, retry_after=asked)), 0.0)
    assert wait.pause == pause


def test_after_fifteen_minutes_without_an_answer_its_watchers_stop_waiting() -> None:
    wait = waiting()
    assert not wait.gave_up(DAY, PATIENCE)  # nothing has failed
    wait.fail(TransportError("no answer"), 100.0)
    assert not wait.gave_up(100.0 + PATIENCE - 1, PATIENCE)
    assert wait.gave_up(100.0 + PATIENCE, PATIENCE)
    wait.fail(no_task(), 100.0 + PATIENCE)  # which is an answer
    assert not wait.gave_up(100.0 + PATIENCE, PATIENCE)


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_the_platform_itself_refuses_ends_the_wait(status: int) -> None:
    with pytest.raises(AuthRejected):
        waiting().fail(own(AuthRejected("no", status=status)), 1.0)


def test_a_word_of_no_table_is_believed_for_ten_minutes_without_a_change() -> None:
    wait = waiting()
    assert lasts(wait, STRANGE, 5.0) == 10 * MINUTE
    assert wait.unresolved.startswith('The task has reported "frobnicating" for 10 minutes')
    assert wait.answer == STRANGE.answer


@pytest.mark.parametrize(
    "other",
    [RUNNING, replace(STRANGE, progress=0.5), replace(STRANGE, word="shuffling")],
    ids=["a known word", "progress", "another word"],
)
def test_any_change_gives_a_strange_word_ten_minutes_more(other: TaskState) -> None:
    wait = waiting()
    assert not any(wait.take(STRANGE, now) for now in (0.0, 599.0))
    assert not wait.take(other, 600.0)
    assert lasts(wait, STRANGE, 601.0) == 10 * MINUTE


def test_a_number_that_only_counts_the_calls_is_no_change_of_the_answer() -> None:
    wait, now = waiting(), 0.0
    while not wait.take(replace(STRANGE, answer=f"call {now}"), now):
        now += 1
    assert now == 10 * MINUTE


# -- whole tasks --------------------------------------------------------------------------------


def on_time() -> tuple[Play, Store]:
    """A Play, and its ledger, which keeps the same time."""
    plays: list[Play] = []
    ledger = Store(None, Owner(None), lambda: plays[0].loop.time() if plays else 0.0)
    plays.append(Play(ledger))
    return plays[0], ledger


def says(cloud: Cloud, said: Said, first: float = 0.0, last: float = float("inf")) -> None:
    """What the platform answers to polls from `first` to `last`, seconds from now."""
    began, before = cloud.clock(), cloud.poll

    def poll(task: Task) -> TaskState:
        if not first <= cloud.clock() - began < last:
            return before(task)
        cloud.log.append(("poll", task.id, cloud.clock()))
        if isinstance(said, SkyportError):
            raise said
        return said

    cloud.poll = poll  # type: ignore[method-assign]


def error_of(play: Play, cloud: Cloud, into: Path) -> SkyportError:
    with pytest.raises(SkyportError) as caught:
        play.result(cloud, order(), into)
    return caught.value


def only_row(ledger: Store) -> Row:
    [row] = ledger.rows(EVERYTHING)
    return row


@pytest.mark.parametrize(
    "page",
    [NotFound("Not Found", status=404), ServerFault("Bad Gateway", status=502), BadResult("HTML")],
    ids=["404", "502", "200"],
)
def test_a_page_for_25_seconds_in_mid_task_costs_nothing(
    play: Play, tmp_path: Path, page: SkyportError
) -> None:
    cloud = play.cloud(lasts=60)
    says(cloud, page, 20, 45)
    assert play.result(cloud, order(), tmp_path).texts == ("done",)
    assert cloud.counts["submit"] == 1


def test_while_no_answer_comes_the_job_shows_since_when(play: Play, tmp_path: Path) -> None:
    cloud = play.cloud(lasts=200)
    says(cloud, ServerFault("Bad Gateway", status=502), 20, 45)

    async def scene() -> list[bool]:
        job = await play.runner.begin(cloud, order(), tmp_path)
        seen = []
        for seconds in (19, 19, 60):
            await asyncio.sleep(seconds)
            seen.append(job.snapshot.silent is not None)
        await ended(job)
        return seen

    assert play.run(scene()) == [False, True, False]


def test_a_success_before_its_address_is_waited_for(play: Play, tmp_path: Path) -> None:
    cloud = play.cloud(lasts=5)
    says(cloud, EMPTY, 5, 25)
    assert play.result(cloud, order(), tmp_path).texts == ("done",)
    assert cloud.counts["submit"] == 1


def test_a_success_that_names_no_result_is_unresolved_after_two_minutes(tmp_path: Path) -> None:
    play, ledger = on_time()
    with play:
        cloud = play.cloud()
        says(cloud, EMPTY)
        began = play.loop.time()
        error = error_of(play, cloud, tmp_path)
        assert isinstance(error, TaskUnresolved)
        assert (error.task_id, error.answer) == ("1", EMPTY.answer)
        assert "Queue again to look again, at no charge" in str(error)
        assert "which costs again: another seed, Order anew" in str(error)
        assert 120 <= play.loop.time() - began <= 125
    row = only_row(ledger)
    assert (row.state, row.answer, row.error) == (State.UNRESOLVED, EMPTY.answer, str(error))


def test_an_unknown_word_that_passes_is_forgiven(play: Play, tmp_path: Path) -> None:
    cloud = play.cloud(lasts=590, word="Frobnicating")
    assert play.result(cloud, order(), tmp_path).texts == ("done",)


def test_an_unknown_word_is_named_with_the_task_after_ten_minutes(tmp_path: Path) -> None:
    play, ledger = on_time()
    with play:
        cloud = play.cloud(lasts=5000, word="Frobnicating")
        error = error_of(play, cloud, tmp_path)
        assert isinstance(error, TaskUnresolved)
        assert error.task_id == "1"
        assert '"Frobnicating" for 10 minutes' in str(error)
        polls = cloud.times("poll")
        assert polls[-1] - polls[0] == pytest.approx(600, abs=2)
    assert only_row(ledger).state is State.UNRESOLVED


def test_a_task_the_platform_never_knows_is_asked_for_again_and_not_made_anew(
    play: Play, tmp_path: Path
) -> None:
    cloud = play.cloud()
    says(cloud, no_task(), last=900)
    began = play.loop.time()
    error = error_of(play, cloud, tmp_path)
    assert isinstance(error, TaskUnresolved)
    assert "no such task" in str(error)
    assert 420 <= play.loop.time() - began <= 460
    play.run(asyncio.sleep(900))
    assert play.result(cloud, order(), tmp_path).task_id == "1"
    assert cloud.counts["submit"] == 1


@pytest.mark.parametrize("said", [EMPTY, STRANGE, no_task(), TransportError("no answer")])
def test_an_equal_order_looks_again_for_a_minute_at_most_and_sends_nothing(
    tmp_path: Path, said: Said
) -> None:
    play, ledger = on_time()
    with play:
        cloud = play.cloud()
        says(cloud, EMPTY, last=130)
        error_of(play, cloud, tmp_path)
        before = only_row(ledger)
        says(cloud, said)
        began = play.loop.time()
        error = error_of(play, cloud, tmp_path)
        assert isinstance(error, TaskUnresolved)
        assert "looked at again for 60 seconds, and no result came; last: " in str(error)
        assert play.loop.time() - began <= 95  # the last pause may begin just before the minute
        assert cloud.counts["submit"] == 1
    row = only_row(ledger)
    assert (row.state, row.ended) == (State.UNRESOLVED, before.ended)
    assert row.answer


@pytest.mark.parametrize("first", [RUNNING, STRANGE], ids=["at once", "after a strange word"])
def test_an_unresolved_task_that_runs_after_all_is_waited_for(
    tmp_path: Path, first: TaskState
) -> None:
    play, ledger = on_time()
    with play:
        cloud = play.cloud(lasts=1000)
        says(cloud, EMPTY, last=130)
        error_of(play, cloud, tmp_path)
        says(cloud, first, last=10)
        states: list[State] = []
        play.loop.call_later(100, lambda: states.append(only_row(ledger).state))
        result = play.result(cloud, order(), tmp_path)
        assert (result.task_id, cloud.counts["submit"]) == ("1", 1)
    assert states == [State.RUNNING]


# -- the collector's looks ----------------------------------------------------------------------


async def looks(play: Play, ledger: Store, cloud: Cloud, seconds: float) -> list[float]:
    """Minutes after the task became unresolved at which the collector looks at it."""
    backoff, found = Backoff(play.loop.time), list[float]()
    since, end = only_row(ledger).ended, play.loop.time() + seconds
    while play.loop.time() < end:
        now = play.loop.time()
        if await collect(play.runner, ledger, lambda platform: cloud, Path(), backoff):  # type: ignore[arg-type]
            found.append((now - since) / MINUTE)
        await asyncio.sleep(INTERVAL)
    return found


@pytest.mark.parametrize("said", [EMPTY, STRANGE], ids=["no results", "a strange word"])
def test_the_collector_looks_at_an_unresolved_task_ever_more_seldom_for_a_day(
    tmp_path: Path, said: TaskState
) -> None:
    play, ledger = on_time()
    with play:
        cloud = play.cloud()
        says(cloud, said)
        error_of(play, cloud, tmp_path)
        found = play.run(looks(play, ledger, cloud, 2 * DAY))
    expected = [1, 2, 5, 15, 30, 60, *range(180, 1440, 120)]
    assert found == pytest.approx(expected, abs=1.5)
    assert only_row(ledger).state is State.UNRESOLVED  # and it stays, for a person


def test_a_result_that_the_collector_finds_is_brought_home_and_delivered_at_no_charge(
    tmp_path: Path,
) -> None:
    play, ledger = on_time()
    with play:
        cloud = play.cloud()
        says(cloud, EMPTY, last=20 * MINUTE)
        error_of(play, cloud, tmp_path)
        play.run(looks(play, ledger, cloud, 40 * MINUTE))
        assert only_row(ledger).state is State.SUCCEEDED
        assert play.result(cloud, order(), tmp_path).reused
    assert cloud.counts["submit"] == 1


def test_a_task_that_ran_again_and_is_lost_again_gets_all_its_looks_again() -> None:
    now = [0.0]
    backoff = Backoff(lambda: now[0])
    store = in_memory()
    store.record_intent(record := record_of(order(), "http://127.0.0.1:1"))
    row = replace(store.find(record.fingerprint), state=State.UNRESOLVED, ended=0.0)
    for now[0] in (60.0, 7300.0):
        assert backoff.permits(row, 0.0)
    again = replace(row, ended=8000.0)
    now[0] = 8061.0
    assert backoff.permits(again, 0.0)
    assert not backoff.permits(again, 0.0)


def test_a_task_that_nobody_hears_of_is_left_to_the_collector_after_fifteen_minutes(
    tmp_path: Path,
) -> None:
    play, ledger = on_time()
    with play:
        cloud = play.cloud()
        says(cloud, ServerFault("Bad Gateway", status=502), last=3600)
        began = play.loop.time()
        error = error_of(play, cloud, tmp_path)
        assert isinstance(error, TaskTimeout)
        assert "has not answered for 15 minutes; last: Bad Gateway" in str(error)
        assert "The task goes on, and its result is fetched in the background." in str(error)
        assert PATIENCE <= play.loop.time() - began <= PATIENCE + 35
        assert only_row(ledger).state is State.SUBMITTED
        play.run(looks(play, ledger, cloud, 2 * 3600))
        assert only_row(ledger).state is State.SUCCEEDED
    assert cloud.counts["submit"] == 1


def test_a_refused_key_ends_the_node_and_not_the_task(play: Play, tmp_path: Path) -> None:
    cloud = play.cloud()
    says(cloud, own(AuthRejected("no", status=401)), last=60)
    error = error_of(play, cloud, tmp_path)
    assert isinstance(error, AuthRejected)
    assert "at no further charge" in str(error)
    play.run(asyncio.sleep(60))
    assert play.result(cloud, order(), tmp_path).task_id == "1"
    assert cloud.counts["submit"] == 1


# -- a person decides ---------------------------------------------------------------------------


def test_an_unresolved_order_that_is_set_apart_is_ordered_anew_and_can_still_be_fetched(
    tmp_path: Path,
) -> None:
    play, ledger = on_time()
    with play:
        cloud = play.cloud()
        says(cloud, EMPTY, last=300)
        error_of(play, cloud, tmp_path)
        play.run(order_anew(play.runner, only_row(ledger)))
        play.run(asyncio.sleep(300))
        assert play.result(cloud, order(), tmp_path).task_id == "2"
        assert cloud.counts["submit"] == 2
        apart = ledger.get(1)
        assert apart is not None
        assert apart.state is State.UNRESOLVED

        async def fetched() -> str:
            return (await ended(await play.runner.attach(cloud, apart, tmp_path))).task_id

        assert play.run(fetched()) == "1"
    assert [row.state for row in ledger.rows(EVERYTHING)] == [State.DELIVERED, State.SUCCEEDED]


def test_what_is_not_in_doubt_cannot_be_set_apart(tmp_path: Path) -> None:
    play, ledger = on_time()
    with play:
        play.result(play.cloud(), order(), tmp_path)
        with pytest.raises(InvalidInput, match="need not be ordered anew"):
            play.run(order_anew(play.runner, only_row(ledger)))


def test_an_order_without_an_answer_is_refused_once_then_ordered_with_a_warning(
    tmp_path: Path,
) -> None:
    play, ledger = on_time()
    with play:
        cloud = play.cloud()
        cloud.script["submit"] = [TransportError("the connection was cut")]

        async def nobody_waits() -> None:
            job = await play.runner.begin(cloud, order(), tmp_path)
            play.runner.leave(job, stop=False)
            with pytest.raises(OutcomeUnknown):
                await ended(job)

        play.run(nobody_waits())
        error = error_of(play, cloud, tmp_path)
        assert isinstance(error, OutcomeUnknown)
        assert "may have been charged" in str(error)
        assert cloud.counts["submit"] == 1
        [warning] = play.result(cloud, order(), tmp_path).warnings
        assert "never answered: it may have been charged too" in warning
    assert cloud.counts["submit"] == 2
    assert [row.state for row in ledger.rows(EVERYTHING)] == [State.DELIVERED, State.UNKNOWN]


def test_who_was_given_the_error_orders_anew_by_queueing_again(play: Play, tmp_path: Path) -> None:
    cloud = play.cloud()
    cloud.script["submit"] = [TransportError("the connection was cut")]
    assert isinstance(error_of(play, cloud, tmp_path), OutcomeUnknown)
    assert play.result(cloud, order(), tmp_path).warnings
    assert cloud.counts["submit"] == 2


def test_an_unknown_order_may_be_released_from_the_list_of_jobs(tmp_path: Path) -> None:
    play, ledger = on_time()
    with play:
        cloud = play.cloud()
        cloud.script["submit"] = [TransportError("the connection was cut")]

        async def nobody_waits() -> None:
            job = await play.runner.begin(cloud, order(), tmp_path)
            with pytest.raises(OutcomeUnknown):
                await ended(job)

        play.run(nobody_waits())
        play.run(order_anew(play.runner, only_row(ledger)))
        assert play.result(cloud, order(), tmp_path).warnings
    assert cloud.counts["submit"] == 2


# -- what nobody expects ------------------------------------------------------------------------

ODD = [
    KeyError("data"),
    TypeError("'NoneType' object is not subscriptable"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    RecursionError("maximum recursion depth exceeded"),
    ValueError("Exceeds the limit (4300 digits) for integer string conversion"),
    OverflowError("int too large to convert to float"),
    MemoryError(),
]
each_oddity = pytest.mark.parametrize("oddity", ODD, ids=lambda error: type(error).__name__)


@each_oddity
def test_whatever_goes_wrong_while_the_answer_to_a_submit_is_read_it_is_unknown(
    tmp_path: Path, oddity: Exception
) -> None:
    play, ledger = on_time()
    with play:
        cloud = play.cloud()
        cloud.script["submit"] = [oddity]
        error = error_of(play, cloud, tmp_path)
        assert isinstance(error, OutcomeUnknown)
        assert type(oddity).__name__ in str(error)
    assert cloud.counts["submit"] == 1
    assert only_row(ledger).state is State.UNKNOWN


@each_oddity
def test_whatever_goes_wrong_while_the_answer_to_a_poll_is_read_it_is_no_answer(
    play: Play, tmp_path: Path, oddity: Exception
) -> None:
    cloud = play.cloud(lasts=20)
    cloud.script["poll"] = [None, oddity, oddity]
    assert play.result(cloud, order(), tmp_path).texts == ("done",)
    assert cloud.counts["submit"] == 1


# -- results, and cancels of others -------------------------------------------------------------


def test_addresses_are_kept_and_fetched_without_a_poll_after_a_restart(
    tmp_path: Path, server: Scripted
) -> None:
    server.on("/a.png", Answer(500))
    ledger = in_memory()
    with Play(ledger) as first:
        cloud = first.cloud(url=server.url)
        cloud.outputs = (Output(url=f"{server.url}/a.png"),)
        assert isinstance(error_of(first, cloud, tmp_path), ServerFault)
    polls = cloud.counts["poll"]
    server.on("/a.png", Answer(body=PNG))
    with Play(ledger) as second:
        cloud.clock = second.loop.time
        result = second.result(cloud, order(), tmp_path)
    assert result.files[0].path.read_bytes() == PNG
    assert (cloud.counts["poll"], cloud.counts["submit"]) == (polls, 1)


@pytest.mark.parametrize(
    ("here", "words"),
    [(True, "Cancelled by `skyport jobs cancel`."), (False, "on the platform, not by Skyport")],
    ids=["by another process", "on the platform"],
)
def test_a_task_that_was_cancelled_elsewhere_is_a_cancel_and_says_by_whom(
    tmp_path: Path, here: bool, words: str
) -> None:
    play, ledger = on_time()
    with play:
        cloud = play.cloud(lasts=1000)
        says(cloud, CANCELLED, first=100)

        def cancel() -> None:
            row = only_row(ledger)
            ledger.record_end(row.record.fingerprint, State.CANCELLED, words)

        play.loop.call_later(99, cancel if here else int)
        error = error_of(play, cloud, tmp_path)
    assert isinstance(error, TaskCancelled)
    assert words in str(error)
    assert only_row(ledger).state is State.CANCELLED


def test_a_failure_in_the_platforms_words_is_final_and_the_next_order_is_new(
    tmp_path: Path,
) -> None:
    play, ledger = on_time()
    with play:
        cloud = play.cloud()
        says(cloud, FAILED, last=10)
        error = error_of(play, cloud, tmp_path)
        assert isinstance(error, TaskFailed)
        assert only_row(ledger).state is State.FAILED
        play.run(asyncio.sleep(10))
        assert play.result(cloud, order(), tmp_path).task_id == "2"
