"""Pins notices: one for each event however often the process dies, one for many events at once,
none while somebody looks, and no key and no prompt in any.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from _waiting import PATIENCE
from processes import KILLED, python_path
from scripted import TOKEN, Answer, Scripted, webhook_url
from skyport.engine.base.errors import InvalidInput, LimitReached
from skyport.engine.base.types import Kind, MissingResult, Result, ResultFile, Task
from skyport.engine.ledger.budget import Limit, Period
from skyport.engine.ledger.ledger import EVERYTHING, Query, Source, State, TaskRecord
from skyport.engine.ledger.notices import Notice
from skyport.engine.ledger.resilient import ResilientLedger
from skyport.engine.notices import channels
from skyport.engine.notices.dispatcher import Dispatcher, last_answer, try_out
from skyport.engine.notices.entries import Entry, due, worth_telling
from skyport.engine.notices.message import Message, message_of
from skyport.engine.settings import keys
from skyport.engine.tasks import history
from skyport.engine.tasks.public_view import redact

ENDED = (State.SUCCEEDED, State.UNKNOWN)  # unknown: killed before it was accepted
PROMPT = "a lighthouse above the sea, in oil"


def order(name: str, queue: str = "queue", request: Any = None) -> TaskRecord:
    request = request or {"prompt": PROMPT, "seed": 7}
    source = Source("1", queue)
    return TaskRecord(name, "haiyi", "https://x", "make", "kling-v3", request, source, "CNY")


def result(name: str) -> Result:
    path = Path(f"/results/{name}.mp4")
    return Result(name, (ResultFile(path, Kind.VIDEO, "video/mp4", 9, "0"),), cost=0.5)


class Person:
    """A ledger whose notices go to a webhook, as those of one process."""

    def __init__(self, home: Path, webhook: Scripted) -> None:
        self.ledger = ResilientLedger(home)
        self.webhook = webhook
        self.dispatcher = Dispatcher(self.ledger, pause=0)

    def end(self, name: str, state: State = State.SUCCEEDED, **more: Any) -> None:
        self.submit(name, **more)
        if state is State.SUCCEEDED:
            self.ledger.record_result(name, result(name))
        elif state is State.UNRESOLVED:
            self.ledger.record_unresolved(name, name, "no result in its answer", "{}")
        else:
            self.ledger.record_end(name, state, "it is too dark", name)

    def submit(self, name: str, **more: Any) -> None:
        one = order(name, **more)
        self.ledger.record_intent(one)
        self.ledger.record_accepted(one, Task("haiyi", "make", name))

    @property
    def told(self) -> list[tuple[str, str]]:
        messages = [seen.json() for seen in self.webhook.seen]
        return [(message["title"], message["message"]) for message in messages]


@pytest.fixture
def person(home: Path, webhook: Scripted, monkeypatch: pytest.MonkeyPatch) -> Person:
    monkeypatch.setenv("SKYPORT_NOTIFY_AFTER_S", "0.000001")
    channels.add(webhook_url(webhook))
    return Person(home, webhook)


# -- one event, one notice ----------------------------------------------------------------------


def test_a_result_is_told_with_its_file_its_cost_and_where_to_look(person):
    person.end("a")
    person.dispatcher.look()
    ((title, body),) = person.told
    assert title == "Skyport: HaiYi kling-v3: ready"
    assert "#1 HaiYi kling-v3: ready" in body
    assert "a.mp4" in body
    assert "0.5 CNY" in body


def test_an_event_is_told_once_whatever_happens_to_its_order_later(person, home):
    person.end("a")
    person.dispatcher.look()
    person.ledger.record_delivered("a")
    person.ledger.mark_files_lost("a")
    person.ledger.record_result("a", result("a"))
    person.dispatcher.look()
    later = Person(home, person.webhook)
    later.dispatcher.look()
    assert len(person.told) == 1


def test_many_ends_at_once_are_one_notice(person):
    for number in range(40):
        person.end(f"a{number}")
    for number in range(2):
        person.end(f"b{number}", State.FAILED)
    person.dispatcher.look()
    ((title, body),) = person.told
    assert title == "Skyport: 40 results are ready, 2 failed"
    assert body.count("\n") == 9


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (State.FAILED, "failed"),
        (State.UNRESOLVED, "no result so far"),
        (State.UNKNOWN, "outcome unknown"),
    ],
)
def test_what_goes_wrong_is_told(person, state, outcome):
    person.end("a", state)
    person.dispatcher.look()
    ((title, _),) = person.told
    assert title == f"Skyport: HaiYi kling-v3: {outcome}"


def test_what_has_found_its_result_meanwhile_is_told_as_that_only(person):
    person.end("a", State.UNRESOLVED)
    person.ledger.record_result("a", result("a"))
    person.dispatcher.look()
    assert [title for title, _ in person.told] == ["Skyport: HaiYi kling-v3: ready"]


def test_an_order_that_a_person_has_cancelled_is_not_told(person):
    person.end("a", State.CANCELLED)
    person.dispatcher.look()
    assert person.told == []


def test_a_limit_that_refuses_a_queue_is_told_once(person):
    limit = Limit("limit_tasks_per_day", Period.DAY, 1, "tasks")
    person.ledger.reserve([order("a")], [limit], reuse=True)
    for _ in range(3):
        with pytest.raises(LimitReached):
            person.ledger.reserve([order("b"), order("c")], [limit], reuse=True)
    person.dispatcher.look()
    ((title, body),) = person.told
    assert title == "Skyport: 1 needs you"
    assert "limit_tasks_per_day" in body


def test_an_order_of_a_dead_process_is_told_by_the_next_one(person, home):
    person.ledger.record_intent(order("a"))
    person.ledger.owner.close()
    later = Person(home, person.webhook)
    later.ledger.recover()
    later.dispatcher.look()
    assert [title for title, _ in person.told] == ["Skyport: HaiYi kling-v3: outcome unknown"]


def test_only_one_of_several_processes_sends(person, home):
    person.end("a")
    other = Person(home, person.webhook)
    other.dispatcher.look()
    assert person.told == []
    person.dispatcher.look()
    other.dispatcher.look()
    assert len(person.told) == 1


# -- how it is sent -----------------------------------------------------------------------------


def test_a_service_that_fails_is_tried_again_and_then_given_up(home, webhook, person, caplog):
    webhook.on("*", Answer(500))
    person.end("a")
    now = [1e9]
    dispatcher = Dispatcher(person.ledger, pause=0, now=lambda: now[0])
    for _ in range(8):
        dispatcher.look()
        now[0] += 200
    assert len(webhook.seen) == 4
    (channel,) = channels.listed()
    answer = last_answer(channel)
    assert answer is not None
    assert not answer.ok
    assert "500" in answer.message
    assert TOKEN not in caplog.text + answer.message
    assert caplog.text.count("The notice was not sent") == 1


def test_a_service_that_has_a_notice_gets_it_no_second_time_while_another_one_fails(
    webhook, person
):
    with Scripted() as second:
        second.on("*", Answer(503))
        channels.add(webhook_url(second))
        person.end("a")
        now = [1e9]
        dispatcher = Dispatcher(person.ledger, pause=0, now=lambda: now[0])
        dispatcher.look()
        second.on("*", Answer())
        now[0] += 10
        dispatcher.look()
        assert (len(webhook.seen), len(second.seen)) == (1, 2)


def test_what_a_disk_refuses_to_record_is_not_sent_again_at_every_look(person, webhook):
    def full(on: bool) -> None:
        person.ledger.disk._db.execute(f"PRAGMA query_only = {int(on)}")

    def refusing(_: object) -> Answer:
        full(True)
        return Answer()

    webhook.on("*", refusing)
    person.end("a")
    for _ in range(3):
        person.dispatcher.look()
        full(False)
    assert len(person.told) == 1


class Pages:
    """Open pages of an editor."""

    def __init__(self, *, watched: bool) -> None:
        self.watched = watched
        self.shown: list[Message] = []

    def is_watched(self) -> bool:
        return self.watched

    def show(self, message: Message) -> bool:
        self.shown.append(message)
        return True


def test_nothing_is_sent_while_somebody_looks_nor_later(person):
    pages = Pages(watched=True)
    dispatcher = Dispatcher(person.ledger, pages, pause=0)
    person.end("a")
    dispatcher.look()
    pages.watched = False
    dispatcher.look()
    assert person.told == []
    assert pages.shown == []


def test_a_hidden_page_and_the_services_get_the_same_notice(person):
    pages = Pages(watched=False)
    dispatcher = Dispatcher(person.ledger, pages, pause=0)
    person.end("a")
    dispatcher.look()
    dispatcher.look()
    assert [(one.title, one.body) for one in pages.shown] == person.told
    assert len(person.told) == 1


def test_short_tasks_are_not_told(person, monkeypatch):
    monkeypatch.setenv("SKYPORT_NOTIFY_AFTER_S", "60")
    person.end("a")
    person.dispatcher.look()
    assert person.told == []


def test_what_is_told_of_an_order_goes_along_between_disk_and_memory(person):
    disk = person.ledger.disk
    person.end("a", State.UNRESOLVED)
    person.dispatcher.look()
    row = person.ledger.find("a")
    person.ledger.memory.import_row(row)
    disk.hand_notices(row, person.ledger.memory)
    person.ledger.memory.record_result("a", result("a"))
    person.dispatcher.look()
    person.ledger.record_delivered("a")  # moves what is in memory to the disk
    person.dispatcher.look()
    assert [title for title, _ in person.told] == [
        "Skyport: HaiYi kling-v3: no result so far",
        "Skyport: HaiYi kling-v3: ready",
    ]
    assert person.ledger.memory.rows(EVERYTHING) == []


def test_a_result_that_nobody_has_fetched_for_most_of_a_day_is_told(person, monkeypatch):
    person.end("a", State.UNRESOLVED)
    person.dispatcher.look()
    with person.ledger.disk._transaction():
        person.ledger.disk._db.execute("UPDATE tasks SET ended = ended - 21 * 3600")
    for _ in range(2):
        Dispatcher(person.ledger, pause=0).look()
    assert [title for title, _ in person.told][1:] == ["Skyport: HaiYi kling-v3: not fetched yet"]


# -- when ---------------------------------------------------------------------------------------


def note(created: float, event: str = "succeeded", *, waiting: bool = False) -> Notice:
    return Notice("a", 0.0, event, "", "queue", "me", created, (), waiting)


def test_a_queue_is_told_once_nothing_more_of_it_is_under_way():
    assert due([note(100.0)], 101.0) == []
    assert due([note(100.0)], 104.0) == [note(100.0)]
    assert due([note(100.0, waiting=True)], 150.0) == []
    assert due([note(100.0, waiting=True)], 701.0) == [note(100.0, waiting=True)]
    failed = note(100.0, "failed", waiting=True)
    assert due([failed], 161.0) == [failed]


def test_a_queue_that_took_long_is_told_however_short_its_tasks_were():
    entry = Entry(note(1000.0), None, since=900.0)
    assert worth_telling([entry], 1001.0, 60.0, 0.0) == [entry]
    assert worth_telling([replace(entry, since=990.0)], 1001.0, 60.0, 1000.0) == []


def test_what_is_a_day_old_is_not_told_any_more():
    assert worth_telling([Entry(note(1000.0), None, 900.0)], 1000.0 + 90_000, 60.0, 0.0) == []


# -- what it says -------------------------------------------------------------------------------


LEFT_OUT = "repeat the prompt and are left out"


def told_of(person: Person, error: str, request: Any = None, *, prompts: bool = False) -> str:
    person.submit("x", request=request)
    person.ledger.record_end("x", State.FAILED, error, "x")
    row = person.ledger.find("x")
    assert row is not None
    entry = Entry(note(0.0, "failed"), row, 0.0)
    return message_of([entry], prompts=prompts).body


def test_a_prompt_that_the_platform_repeats_is_not_told(person):
    body = told_of(person, f'"{PROMPT}" is refused: "lighthouse above the sea" is dangerous')
    assert "lighthouse" not in body
    assert LEFT_OUT in body


CHINESE = (
    "\u4e00\u4f4d\u7a7f\u7ea2\u8863\u7684\u5f20\u4f1f\u5148\u751f"
    "\u7ad9\u5728\u5929\u5b89\u95e8\u524d\u9762"
)
LIST = "alpha one, bravo two, charlie three, delta four"


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ({"prompt": CHINESE}, f"\u5185\u5bb9\u8fdd\u89c4: {CHINESE[6:15]}"),
        ({"prompt": CHINESE}, f"refused: {CHINESE[6:15].encode('unicode_escape').decode()}"),
        ({"prompt": PROMPT}, f"refused: {PROMPT.upper()}"),
        ({"text": "hidden idea"}, "refused: Hidden Idea"),
        ({"lyrics": "my secret"}, "refused lyrics: [my secret]"),
        ({"lyrics": "Rosebud"}, "refused lyrics: rosebud"),
        ({"prompt": "first secret\nand another"}, "refused: first secret and another"),
        ({"prompt": "caf\u00e9 of Anna"}, "refused: cafe\u0301 of Anna"),
        ({"prompt": "Anna & Bob kiss"}, "refused: Anna &amp;amp; Bob kiss"),
        ({"prompt": LIST}, "bad: [alpha one] [bravo two] [charlie]"),
        ({"workflow": json.dumps({"1": {"inputs": {"text": CHINESE}}})}, f"no: {CHINESE[6:15]}"),
        ({"items": [{"caption": "Anna"}]}, "caption Anna is refused"),
    ],
)
def test_no_part_of_what_was_written_is_told_however_it_is_spelt(person, sent, error):
    body = told_of(person, error, {"parameters": sent, "seed": 7})
    assert LEFT_OUT in body
    assert error not in body


def test_words_that_repeat_only_options_are_told(person):
    sent = {"model": "kling-v3-master-edition", "resolution": "1080p", "prompt": PROMPT}
    error = "kling-v3-master-edition does not take 1080p: lower it"
    assert error in told_of(person, error, sent)


def test_prompts_are_told_where_the_setting_says_so(person):
    assert PROMPT in told_of(person, "too dark", prompts=True)


def test_a_key_is_not_told(person, monkeypatch):
    monkeypatch.setenv("HAIYI_API_KEY", "sk-very-secret-key-1234")
    assert "sk-very" not in told_of(person, "the key sk-very-secret-key-1234 is refused")


def test_missing_files_are_told(person):
    person.submit("x")
    part = replace(result("x"), missing=(MissingResult(2, "https://x/2", "gone"),))
    person.ledger.record_result("x", part)
    row = person.ledger.find("x")
    assert "1 file is missing" in message_of([Entry(note(0.0), row, 0.0)]).body


# -- the services -------------------------------------------------------------------------------


def test_an_address_is_kept_as_a_key_is_and_shown_masked(home, person):
    (channel,) = channels.listed()
    assert json.loads((home / "keys.json").read_text())["notify_urls"] == [channel.url]
    assert (home / "keys.json").stat().st_mode & 0o077 == 0
    assert channel.masked() == "json://...-see"
    assert TOKEN not in f"{channel} {channel!r}"
    keys.set_key("haiyi", "sk-very-secret-key-1234")
    assert channels.listed() == [channel]


def test_no_text_shows_a_part_of_an_address(person):
    assert redact(f"POST /{TOKEN} failed") == "POST /... failed"


def test_the_environment_names_services_too(person, monkeypatch):
    monkeypatch.setenv("SKYPORT_NOTIFY_URLS", "json://127.0.0.1:1/x json://127.0.0.1:2/y")
    (_, first, second) = channels.listed()
    assert (first.source, second.url) == ("environment", "json://127.0.0.1:2/y")
    with pytest.raises(InvalidInput, match="SKYPORT_NOTIFY_URLS"):
        channels.remove(first)


def test_what_is_no_address_is_refused_without_being_repeated(home):
    with pytest.raises(InvalidInput) as refused:
        channels.add(f"nothing://{TOKEN}")
    assert TOKEN not in str(refused.value)
    assert channels.listed() == []


def test_without_the_library_it_is_said_how_to_install_it(person, monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    (channel,) = channels.listed()
    answer = try_out(channel)
    assert not answer.ok
    assert '-m pip install "apprise>=1.7.6"' in answer.message
    with pytest.raises(InvalidInput, match="need the Python package apprise"):
        channels.add("json://127.0.0.1/x")


def test_a_service_is_removed(person):
    (channel,) = channels.listed()
    channels.remove(channels.require("1"))
    assert channels.listed() == []
    with pytest.raises(InvalidInput, match="no such service"):
        channels.require(channel.id)


def test_a_test_notice_says_what_became_of_it(person, webhook):
    (channel,) = channels.listed()
    assert try_out(channel).message == "The test notice was sent."
    webhook.on("*", Answer(403))
    answer = try_out(channel)
    assert not answer.ok
    assert "403" in answer.message
    assert TOKEN not in answer.message


def test_no_log_shows_a_token(person, caplog):
    caplog.set_level(logging.DEBUG)
    (channel,) = channels.listed()
    try_out(channel)
    person.webhook.on("*", Answer(500))
    try_out(channel)
    assert TOKEN not in caplog.text


# -- a process that dies ------------------------------------------------------------------------


def lives(webhook: Scripted, home: Path, kills: int) -> list[tuple[list[str], bool]]:
    """The jobs of each notice that came, and whether the kill may have come before its record."""
    environment = {**python_path(), "SKYPORT_HOME": str(home), "SKYPORT_NOTIFY_AFTER_S": "1e-6"}
    notices: list[tuple[list[str], bool]] = []
    with subprocess.Popen(
        [sys.executable, str(KILLED.with_name("notified.py")), "7"],
        env={**environment, "SKYPORT_NOTIFY_URLS": webhook_url(webhook)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(kills):
            process.stdin.write(b"\n")
            process.stdin.flush()
            looks = int(process.stdout.readline().split()[1])
            webhook.settle()
            came = [jobs_in(seen.json()["message"]) for seen in webhook.seen[len(notices) :]]
            notices += [(jobs, number >= looks) for number, jobs in enumerate(came)]
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
    left = [jobs_in(seen.json()["message"]) for seen in webhook.seen[len(notices) :]]
    return [*notices, *((jobs, False) for jobs in left)]


def jobs_in(message: str) -> list[str]:
    return re.findall(r"^#(\d+) ", message, re.MULTILINE)


@pytest.mark.skipif(os.name != "posix", reason="forks")
@pytest.mark.parametrize("kills", [6, pytest.param(50, marks=pytest.mark.soak)])
def test_every_event_is_told_once_however_often_the_process_is_killed(home, webhook, kills):
    """But one that was being sent at a kill may come again: that is better than never."""
    notices = lives(webhook, home, kills)
    ledger = ResilientLedger(home)
    ended = [str(row.id) for row in history.rows(ledger, Query(states=ENDED, limit=-1))]
    told = defaultdict[str, list[bool]](list)
    for jobs, was_cut in notices:
        for job in jobs:
            told[job].append(was_cut)
    assert ended
    assert set(told) == set(ended)
    assert [job for job, cut in told.items() if not all(cut[:-1])] == []
