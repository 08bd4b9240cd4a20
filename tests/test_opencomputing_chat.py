"""Pins an answer that comes at once: it grows while it comes, is kept, and is never paid twice."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from _clock import Clock
from _waiting import PATIENCE, PATIENT, until
from contract import KEY
from processes import python_path
from scripted import Answer, Scripted, answer_json, answer_page
from skyport.engine.base.background import Engine
from skyport.engine.base.errors import (
    AuthRejected,
    InputRejected,
    OutcomeUnknown,
    OutOfCredit,
    RateLimited,
    SkyportError,
    TaskCancelled,
)
from skyport.engine.base.types import Request, Task
from skyport.engine.http.client import Http
from skyport.engine.ledger.ledger import Ledger, Query, State, record_of
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.resilient import ResilientLedger
from skyport.engine.ledger.sqlite_store import Store
from skyport.engine.platforms.parameters import fill
from skyport.engine.tasks import history
from skyport.engine.tasks.collector import collect
from skyport.engine.tasks.job import Job
from skyport.engine.tasks.progress import ProgressText, progress_text
from skyport.engine.tasks.runner import Runner
from skyport.providers import opencomputing
from skyport.providers.opencomputing import OpenComputing
from skyport.sandbox import start
from virtual import Play, ended, in_memory

CHAT = "/llmage/v1/chat/completions"
STREAM = (("Content-Type", "text/event-stream; charset=utf-8"),)
NIHAO = "\u6211\u662f\u901a\u4e49\u5343\u95ee"


def request(prompt: str = "a fox", seed: int = 0, **values: Any) -> Request:
    row = next(r for r in OpenComputing.built_in_rows() if r["catelogid"] == "t2t")
    model = OpenComputing.read_row(row)
    return opencomputing.generation(model, fill(model, {"prompt": prompt, **values}), seed=seed)


def chunk(text: str = "", **more: Any) -> dict[str, Any]:
    """A chunk as the document shows it: the text also stands at the top."""
    delta = {"content": text, "role": "assistant"}
    return {
        "id": "chatcmpl-7",
        "object": "chat.completion.chunk",
        "created": 1775019761,
        "choices": [{"logprobs": None, "index": 0, "delta": delta}],
        "model": "qwen3-max",
        "reasoning_content": None,
        "content": text,
        "finish": "0",
        **more,
    }


END = {**chunk(), "finish": "1", "usage": {"credits": 0.25}}


def events(*chunks: Any, done: bool = True) -> bytes:
    lines = [f"data: {json.dumps(one, ensure_ascii=False)}\n\n" for one in chunks]
    return "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()


def stream(*chunks: Any, done: bool = True, **how: Any) -> Answer:
    return Answer(body=events(*chunks, done=done), headers=STREAM, **how)


def platform(url: str, key: str = KEY) -> OpenComputing:
    headers = OpenComputing.auth_headers(key)
    return OpenComputing(Http("OpenComputing", url, headers, timeout=PATIENT))


def outcome(play: Play, server: Scripted, *replies: Answer, folder: Path = Path()) -> Any:
    """What becomes of one question that is answered so, or its error."""
    server.on(CHAT, *replies)
    try:
        return play.result(platform(server.url), request(), folder)
    except SkyportError as error:
        return error


def tell(ledger: Ledger, server: Scripted) -> None:
    """A person has seen the error of the question that `outcome` asks."""
    ledger.record_told(record_of(request(), server.url).fingerprint)


# -- what is sent ---------------------------------------------------------------------------


def test_a_question_is_that_of_the_document(play: Play, server: Scripted) -> None:
    server.on(CHAT, stream(chunk("ok"), END))
    play.result(platform(server.url), request("hi", system_prompt="be brief"), Path())
    play.result(platform(server.url), request("hi", stream=False), Path())
    assert [seen.json() for seen in server.seen] == [
        {
            "model": "qwen3-max",
            "catelogid": "t2t",
            "prompt": "hi",
            "sys_prompt": "be brief",
            "stream": True,
        },
        {"model": "qwen3-max", "catelogid": "t2t", "prompt": "hi", "stream": False},
    ]
    assert server.seen[0].headers["content-type"] == "application/json"


# -- what is read ---------------------------------------------------------------------------


@pytest.mark.parametrize("length", [True, False], ids=["whole", "until it closes"])
def test_a_stream_is_put_together_and_nothing_counts_twice(
    play: Play, server: Scripted, length: bool
) -> None:
    answer = stream(chunk(), chunk("Zwei "), chunk(NIHAO), END, length=length)
    result = outcome(play, server, answer)
    assert result.texts == (f"Zwei {NIHAO}",)
    assert (result.task_id, result.cost) == ("chatcmpl-7", 0.25)


def test_an_answer_at_once_is_that_of_the_document(play: Play, server: Scripted) -> None:
    message = {"content": NIHAO, "role": "assistant"}
    body = {
        "id": "chatcmpl-xxx",
        "object": "chat.completion",
        "created": 1775011902,
        "choices": [{"finish_reason": "stop", "index": 0, "message": message}],
        "model": "qwen3-max",
        "content": NIHAO,
        "finish": "1",
        "usage": {"credits": 2},
    }
    result = outcome(play, server, answer_json(body))
    assert (result.texts, result.task_id, result.cost) == ((NIHAO,), "chatcmpl-xxx", 2)


@pytest.mark.parametrize(
    "body",
    [
        {"content": "only at the top"},
        {"choices": [{"message": {"content": [{"type": "text", "text": "only at the top"}]}}]},
        {"choices": [], "content": "only at the top", "id": None},
    ],
)
def test_text_is_found_where_an_answer_holds_it(play: Play, server: Scripted, body: Any) -> None:
    result = outcome(play, server, answer_json(body))
    assert result.texts == ("only at the top",)
    assert result.task_id  # a name of ours where it has none


def test_the_whole_text_repeated_beside_the_usage_counts_once(play: Play, server: Scripted) -> None:
    last = {"choices": [], "content": "a fox", "finish": "1", "usage": {}}
    assert outcome(play, server, stream(chunk("a "), chunk("fox"), last)).texts == ("a fox",)


def test_a_stream_under_another_type_is_read_all_the_same(play: Play, server: Scripted) -> None:
    plain = Answer(body=events(chunk("a fox"), END), headers=(("Content-Type", "text/plain"),))
    assert outcome(play, server, plain).texts == ("a fox",)


def test_a_stream_that_says_it_is_at_its_end_needs_no_last_line(
    play: Play, server: Scripted
) -> None:
    assert outcome(play, server, stream(chunk("a fox"), END, done=False)).texts == ("a fox",)


@pytest.mark.parametrize("length", [True, False], ids=["whole", "until it closes"])
def test_a_last_line_that_lacks_its_end_is_read(play: Play, server: Scripted, length: bool) -> None:
    body = events(chunk("a fox"), done=False) + b"data: [DONE]"
    result = outcome(play, server, Answer(body=body, headers=STREAM, length=length))
    assert (result.texts, result.warnings) == (("a fox",), ())


def test_a_whole_answer_without_the_mark_of_its_end_is_kept_and_doubted(
    play: Play, server: Scripted
) -> None:
    result = outcome(play, server, stream(chunk("a "), chunk("fox"), done=False))
    assert result.texts == ("a fox",)
    assert "without its end marker" in result.warnings[0]


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b": ping\n\n", b"\r\n"], ids=repr)
@pytest.mark.parametrize("kind", ["text/event-stream", "text/plain"])
def test_what_stands_before_the_first_event_is_no_matter(
    play: Play, server: Scripted, before: bytes, kind: str
) -> None:
    body = before + events(chunk("a\u2028fox"), END)
    result = outcome(play, server, Answer(body=body, headers=(("Content-Type", kind),)))
    assert (result.texts, result.warnings) == (("a\u2028fox",), ())


@pytest.mark.parametrize(
    ("before", "kind"), [([], OutOfCredit), ([chunk("a fox")], OutcomeUnknown)]
)
def test_an_error_that_is_no_event_is_heard_in_a_stream_too(
    play: Play, server: Scripted, before: list[Any], kind: Any
) -> None:
    body = events(*before, done=False) + b'{"error": "Insufficient balance"}'
    error = outcome(play, server, Answer(body=body, headers=STREAM))
    assert isinstance(error, kind)
    assert "Insufficient balance" in str(error)
    assert server.counts[CHAT] == 1


def test_a_line_that_dies_after_the_end_has_lost_nothing(play: Play, server: Scripted) -> None:
    whole = events(chunk("a fox"), END, chunk(), done=True)
    answer = Answer(body=whole, headers=STREAM, cut=len(whole) - 30)
    assert outcome(play, server, answer).texts == ("a fox",)


def test_reasoning_is_seen_while_it_comes_and_is_no_part_of_the_text(server: Scripted) -> None:
    thinking = {"content": None, "reasoning_content": "Hm. "}
    thoughts = [chunk(choices=[{"index": 0, "delta": thinking}])] * 2
    server.on(CHAT, stream(*thoughts, chunk("a "), chunk("fox"), END))
    received: list[str] = []
    _, state = platform(server.url).answer(request(), received.append)
    assert received == ["Hm. ", "Hm. Hm. ", "a ", "a fox"]
    assert [output.text for output in state.outputs] == ["a fox"]


def test_a_chunk_that_cannot_be_read_is_told_and_the_rest_is_kept(
    play: Play, server: Scripted
) -> None:
    body = events(chunk("a "), done=False) + b"data: {broken\n\n: a remark\n\nevent: x\n\n"
    result = outcome(play, server, Answer(body=body + events(chunk("fox"), END), headers=STREAM))
    assert result.texts == ("a fox",)
    assert "could not be read" in result.warnings[0]


@pytest.mark.parametrize(
    "answer",
    [stream(chunk(), END), answer_json({"id": "chatcmpl-7", "choices": [], "finish": "1"})],
    ids=["stream", "whole"],
)
def test_an_empty_answer_may_have_been_charged_and_is_told_before_the_next_is_asked(
    play: Play, server: Scripted, answer: Answer
) -> None:
    error = outcome(play, server, answer)
    assert isinstance(error, OutcomeUnknown)
    assert "task chatcmpl-7" in str(error)
    assert "may have been charged" in str(error)
    result = outcome(play, server, stream(chunk("a fox"), END))
    assert (result.texts, server.counts[CHAT]) == (("a fox",), 2)
    assert "may have been charged" in result.warnings[0]


@pytest.mark.parametrize("kind", ["text/event-stream", "application/json"])
def test_a_character_that_comes_in_two_halves_is_joined(
    play: Play, server: Scripted, kind: str
) -> None:
    halves = [chunk("a \ud83d"), chunk("\ude0a fox"), END]
    body = "".join(f"data: {json.dumps(half)}\n\n" for half in halves).encode()
    result = outcome(play, server, Answer(body=body, headers=(("Content-Type", kind),)))
    assert result.texts == ("a \U0001f60a fox",)


def test_half_a_character_is_not_shown_before_its_other_half_has_come(server: Scripted) -> None:
    halves = [chunk("a \ud83d"), chunk("\ude0a"), chunk(" \ud83d"), END]
    body = "".join(f"data: {json.dumps(half)}\n\n" for half in halves).encode()
    server.on(CHAT, Answer(body=body, headers=STREAM))
    received: list[str] = []
    _, state = platform(server.url).answer(request(), received.append)
    assert received == ["a ", "a \U0001f60a", "a \U0001f60a "]
    assert state.outputs[0].text == "a \U0001f60a \ufffd"


def test_tokens_and_reasoning_are_told_beside_the_answer(play: Play, server: Scripted) -> None:
    usage = {"credits": 0.25, "prompt_tokens": 7, "completion_tokens": 3, "model": "qwen3-max"}
    delta = {"content": None, "reasoning_content": "Hm. \ud83d"}
    other = {"content": None, "reasoning_content": "\ude0a"}
    thoughts = [chunk(choices=[{"index": 0, "delta": one}]) for one in (delta, other)]
    chunks = [*thoughts, chunk("a fox"), {**END, "usage": usage}]
    body = "".join(f"data: {json.dumps(one)}\n\n" for one in chunks).encode()
    server.on(CHAT, Answer(body=body, headers=STREAM))
    _, state = platform(server.url).answer(request(), lambda text: None)
    assert state.cost == 0.25
    assert dict(state.details) == {
        "prompt_tokens": "7",
        "completion_tokens": "3",
        "reasoning": "Hm. \U0001f60a",
    }


@pytest.mark.parametrize("digits", [350, 5000])
def test_a_count_beyond_every_number_costs_no_answer(
    play: Play, server: Scripted, digits: int
) -> None:
    last = json.dumps({**END, "usage": {"credits": 0.25, "tokens": 1}})
    huge = last.replace('"tokens": 1', f'"tokens": {"9" * digits}')
    body = events(chunk("a fox"), done=False) + f"data: {huge}\n\ndata: [DONE]\n\n".encode()
    result = outcome(play, server, Answer(body=body, headers=STREAM))
    assert (result.texts, result.cost, result.warnings) == (("a fox",), 0.25, ())


def test_a_stream_sent_as_json_is_read_as_one(play: Play, server: Scripted) -> None:
    body = events(chunk("a "), chunk("fox"), END)
    headers = (("Content-Type", "application/json"),)
    result = outcome(play, server, Answer(body=body, headers=headers))
    assert (result.texts, result.cost, result.warnings) == (("a fox",), 0.25, ())


# -- what goes wrong ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (stream(chunk("It was a "), chunk("dark"), chunk("x" * 99), cut=480), "cut"),
        (
            stream(chunk("It was a "), chunk("dark"), done=False, length=False),
            "ended too early",
        ),
        (stream(chunk("It was a "), chunk("dark"), {"error": "overloaded"}), "overloaded"),
    ],
    ids=["cut", "closed without an end", "an error in it"],
)
def test_an_answer_that_breaks_off_holds_what_came_and_is_not_asked_for_again(
    play: Play, server: Scripted, answer: Answer, words: str
) -> None:
    error = outcome(play, server, answer)
    assert isinstance(error, OutcomeUnknown)
    assert str(error).startswith("OpenComputing: The answer broke off")
    assert words in str(error)
    assert "Received so far: It was a" in str(error)
    assert "may have been charged" in str(error)
    assert server.counts[CHAT] == 1


@pytest.mark.parametrize(
    "answer",
    [
        Answer(drop="after"),
        answer_page("Bad gateway", 502),
        answer_page("Please sign in"),
        Answer(body=b"", headers=STREAM),
        stream(chunk("x"), cut=9),
        Answer(body=b"{", headers=(("Content-Type", "application/json"),)),
    ],
    ids=["dropped", "gateway", "page", "empty stream", "cut at once", "half a JSON"],
)
def test_a_question_without_an_answer_is_asked_once_and_may_have_been_charged(
    play: Play, server: Scripted, answer: Answer
) -> None:
    error = outcome(play, server, answer)
    assert isinstance(error, OutcomeUnknown)
    assert "charged" in str(error)
    assert server.counts[CHAT] == 1


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (answer_json({"error": "Invalid API Key"}, 401), AuthRejected, "Invalid API Key"),
        (answer_json({"error": "Insufficient balance"}, 429), OutOfCredit, "Insufficient"),
        (answer_json({"error": "Insufficient balance"}), OutOfCredit, "Insufficient"),
        (stream({"error": {"message": "Insufficient balance"}}), OutOfCredit, "Insufficient"),
        (stream({"error": "prompt is not allowed"}), InputRejected, "not allowed"),
    ],
)
def test_a_refusal_is_told_plainly_and_not_asked_again(
    play: Play, server: Scripted, answer: Answer, kind: type[SkyportError], words: str
) -> None:
    error = outcome(play, server, answer)
    assert type(error) is kind
    assert words in str(error)
    assert server.counts[CHAT] == 1


def test_a_question_turned_away_for_a_moment_is_asked_again(play: Play, server: Scripted) -> None:
    busy = answer_json({"error": "Too many requests"}, 429, retry_after="3")
    assert outcome(play, server, busy, stream(chunk("a fox"), END)).texts == ("a fox",)
    assert server.counts[CHAT] == 2


def test_a_platform_that_stays_busy_is_named(play: Play, server: Scripted) -> None:
    busy = answer_json({"error": "Too many requests"}, 429)
    assert isinstance(outcome(play, server, busy), RateLimited)
    assert server.counts[CHAT] == 5


# -- what is kept ---------------------------------------------------------------------------


def test_the_same_question_is_answered_from_what_was_kept(play: Play, server: Scripted) -> None:
    server.on(CHAT, stream(chunk("a fox"), END))
    first = play.result(platform(server.url), request(), Path())
    again = play.result(platform(server.url), request(), Path())
    other = play.result(platform(server.url), request(seed=1), Path())
    assert (first.reused, again.reused, other.reused) == (False, True, False)
    assert again.texts == ("a fox",)
    assert (again.task_id, again.cost) == ("chatcmpl-7", 0.25)
    assert server.counts[CHAT] == 2


def test_it_is_kept_across_processes(server: Scripted, tmp_path: Path) -> None:
    server.on(CHAT, stream(chunk("a fox"), END))
    with Play(Store(tmp_path / "a.db", Owner(None))) as one:
        one.result(platform(server.url), request(), tmp_path)
    with Play(Store(tmp_path / "a.db", Owner(None))) as other:
        assert other.result(platform(server.url), request(), tmp_path).texts == ("a fox",)
    assert server.counts[CHAT] == 1


def test_after_a_broken_answer_the_next_queue_asks_anew_and_says_what_happened(
    play: Play, server: Scripted
) -> None:
    assert isinstance(outcome(play, server, Answer(drop="after")), OutcomeUnknown)
    tell(play.runner.ledger, server)
    result = outcome(play, server, stream(chunk("a fox"), END))
    assert result.texts == ("a fox",)
    assert "never answered" in result.warnings[0]


CHILD = """
import sys, time
from skyport import providers
from skyport.providers import opencomputing

row = opencomputing.unlisted("qwen3-max", "t2t")
order = opencomputing.generation(row, {"prompt": "[[slow:3600]] a fox", "stream": True})
job = providers.runner().start(providers.connect("opencomputing"), order, providers.results())
while not job.snapshot.answer:
    time.sleep(0.01)
print("answering", flush=True)
sys.stdin.read()
"""


def test_a_kill_while_it_comes_leaves_an_unknown_row_that_nobody_sends_again(
    home: Path, tmp_path: Path
) -> None:
    clock = Clock()
    with start(pace=0.01, clock=clock) as sandbox, clock.still():
        fields = {
            "OPENCOMPUTING_BASE_URL": sandbox.base_url("opencomputing"),
            "OPENCOMPUTING_API_KEY": sandbox.key("opencomputing"),
        }
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            env={**python_path(), **fields},
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with child:
            until(lambda: len(sandbox.tasks))
            clock.forward(5.0)  # of 36, so that it has begun to speak
            assert child.stdout is not None
            assert child.stdout.readline() == b"answering\n"
            child.kill()
        keeper = ResilientLedger(home)
        provider = platform(fields["OPENCOMPUTING_BASE_URL"], fields["OPENCOMPUTING_API_KEY"])
        with Play(keeper) as play:
            taken = play.run(collect(play.runner, keeper, lambda name: provider, tmp_path))
        assert (taken, sandbox.charges["opencomputing"]) == (0, 1)
        (row,) = history.rows(keeper, Query())
        assert (row.state, row.record.title) == (State.UNKNOWN, "qwen3-max")


def test_a_crash_between_answer_and_keeping_is_told_once_and_never_polled(
    server: Scripted, tmp_path: Path
) -> None:
    ledger, order = in_memory(), record_of(request(), server.url)
    ledger.record_intent(order)
    ledger.record_accepted(order, Task("opencomputing", opencomputing.CHAT, "chatcmpl-7"))
    row = ledger.find(order.fingerprint)
    assert row is not None
    with Play(ledger) as play:

        async def background() -> None:
            await play.runner.resume(platform(server.url), row, tmp_path)
            await asyncio.sleep(5)

        play.run(background())
        found = ledger.find(order.fingerprint)
        assert found is not None
        assert found.state is State.UNKNOWN
        assert server.seen == []
        refused = outcome(play, server, stream(chunk("x"), END))
        assert isinstance(refused, OutcomeUnknown)
        assert "never answered" in str(refused)
        assert server.seen == []
        tell(ledger, server)
        assert "never answered" in outcome(play, server, stream(chunk("x"), END)).warnings[0]


# -- while it comes -------------------------------------------------------------------------


class Threads:
    """A runner on real threads, for what happens while an answer comes."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.ledger = in_memory()
        self.runner = Runner(self.engine, self.ledger)

    def begun(self, provider: OpenComputing, order: Request) -> Job:
        return self.runner.start(provider, order, Path())


def test_it_grows_where_it_can_be_seen() -> None:
    clock, seen = Clock(), [""]
    with start(pace=0.2, clock=clock) as sandbox, clock.still():
        provider = platform(sandbox.base_url("opencomputing"), sandbox.key("opencomputing"))
        job = Threads().begun(provider, request("a fox in the snow"))

        def grown() -> str:
            look = progress_text(job, time.monotonic())
            assert not look.answer or look.words[0] == "answering"
            return look.answer if look.answer != seen[-1] else ""

        until(lambda: len(sandbox.tasks))
        while len(seen) < 7:
            clock.forward(0.1)  # of 0.8
            seen.append(until(grown))
        assert not job.future.done()
        clock.forward()
        (text,) = job.future.result(PATIENCE).texts
    assert all(text.startswith(part) for part in seen)
    assert [len(part) for part in seen] == sorted(len(part) for part in seen)
    assert job.future.result().cost == 0.02


def test_the_end_of_what_it_says_fits_where_it_is_shown() -> None:
    look = ProgressText(0.5, (), (), answer="the quick brown fox")
    assert look.tail(40) == "the quick brown fox"
    assert look.tail(9) == "...wn fox"


def test_who_stops_waiting_leaves_at_once_and_the_answer_is_kept_for_the_next() -> None:
    clock, threads = Clock(), Threads()
    with start(pace=0.2, clock=clock) as sandbox, clock.still():
        provider = platform(sandbox.base_url("opencomputing"), sandbox.key("opencomputing"))
        job = threads.begun(provider, request())
        until(lambda: len(sandbox.tasks))
        clock.forward(0.2)  # of 0.8
        until(lambda: job.snapshot.answer)
        threads.runner.leave(job, stop=True)
        joined = threads.begun(provider, request())
        assert joined is job  # the next queue hears the same answer
        threads.runner.leave(joined, stop=True)
        clock.forward()
        text = job.future.result(timeout=PATIENCE).texts[0]
        again = threads.begun(provider, request()).future.result(timeout=PATIENCE)
        assert (again.texts, again.reused) == ((text,), True)
        assert sandbox.charges["opencomputing"] == 1


def test_who_stops_before_it_is_sent_pays_nothing(server: Scripted) -> None:
    server.on(CHAT, stream(chunk("x"), END))

    async def scene(play: Play) -> None:
        job = await play.runner.begin(platform(server.url), request(), Path())
        play.runner.leave(job, stop=True)
        with pytest.raises(TaskCancelled, match="nothing was charged"):
            await ended(job)

    with Play(takes=1.0) as play:
        play.run(scene(play))
    assert server.seen == []


def test_two_equal_questions_at_once_are_asked_once(server: Scripted) -> None:
    server.on(CHAT, stream(chunk("a fox"), END))

    async def scene(play: Play) -> None:
        both = [play.carried(platform(server.url), request(), Path()) for _ in range(2)]
        one, other = await asyncio.gather(*both)
        assert one == other

    with Play(takes=0.1) as play:
        play.run(scene(play))
    assert server.counts[CHAT] == 1


def test_a_silent_line_ends_after_its_patience_and_not_after_that_of_a_poll(
    server: Scripted,
) -> None:
    server.on(CHAT, Answer(body=events(chunk("late"), END), headers=STREAM, delay=0.4))
    http = Http("OpenComputing", server.url, {}, timeout=(PATIENCE, 0.1))
    found = OpenComputing(http).answer(request(), lambda answer: None)
    assert found[1].outputs[0].text == "late"


def test_only_chat_answers_at_once() -> None:
    provider = platform("http://127.0.0.1:1")
    endpoints: Mapping[str, bool] = {
        opencomputing.CHAT: True,
        opencomputing.IMAGES: False,
        opencomputing.VIDEOS: False,
    }
    at_once = {e: provider.answers_at_once(Request("opencomputing", e, {})) for e in endpoints}
    assert at_once == endpoints
