"""What every platform must do; each platform's test subclasses it and adds its own oddities.

class TestHaiYi(PlatformContract):
    kind = HaiYi
    submit_path = "/openapi/v1/generate/image"
    ...
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from _waiting import PATIENT
from scripted import Answer, LoggedRequest, Reply, Scripted, answer_json, answer_page
from skyport.engine.base.errors import (
    AuthRejected,
    InputRejected,
    NotFound,
    OutcomeUnknown,
    OutOfCredit,
    RateLimited,
    ServerFault,
    SkyportError,
    TaskFailed,
    TaskTimeout,
    TaskUnresolved,
)
from skyport.engine.base.types import MediaFile, Request, Status, Task
from skyport.engine.http.client import Http
from skyport.engine.platforms.provider import Provider
from virtual import Play, clip, most_within

KEY = "AI-0123456789abcdef"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
RESULT = "/made.png"

ERRORS = [
    (401, "Unauthorized", AuthRejected),
    (403, "Forbidden", AuthRejected),
    (402, "Payment required", OutOfCredit),
    (429, "Insufficient balance", OutOfCredit),
    (429, "Too many requests", RateLimited),
    (400, "prompt is missing", InputRejected),
    (422, "prompt is too long", InputRejected),
    (404, "no such model", NotFound),
]


class PlatformContract:
    """A platform against a server that says what the platform's document lets it say.

    To be said by each platform:

    kind         its Provider
    submit_path  where a request is sent; poll_path, where task `task_id` is asked for
    upload_path  where a file is hosted, "" where the submit carries the files itself
    words        its documented status words
    task_id      an id as it sends one
    can_cancel   whether it can cancel
    """

    kind: ClassVar[type[Provider]]
    submit_path: ClassVar[str]
    poll_path: ClassVar[str]
    upload_path: ClassVar[str] = ""
    words: ClassVar[Mapping[str, Status]]
    task_id: ClassVar[Any]
    can_cancel: ClassVar[bool] = False

    def request(self, file: MediaFile) -> Request:
        """A request that has `file` among its media."""
        raise NotImplementedError

    def accepted(self) -> Any:
        """The answer to a submit: the task is `task_id`."""
        raise NotImplementedError

    def hosted(self, url: str) -> Any:
        """The answer to an upload."""
        raise NotImplementedError

    def state(self, word: str, *urls: str, reason: str = "") -> Any:
        """The answer to a poll: results at `urls`, or the `reason` of a failure."""
        raise NotImplementedError

    def refusal(self, status: int, words: str) -> Any:
        """The answer to a request that is refused with this HTTP status."""
        return {"code": status, "msg": words, "data": None}

    # -- a platform that behaves ------------------------------------------------------------

    @pytest.fixture
    def server(self) -> Iterator[Scripted]:
        with Scripted() as server:
            server.on("/hosted.png", Answer(404))
            if self.upload_path:
                server.on(self.upload_path, answer_json(self.hosted(server.url + "/hosted.png")))
            server.on(self.submit_path, answer_json(self.accepted()))
            self.polls(server, self.running(), self.success(server))
            server.on(RESULT, Answer(body=PNG))
            yield server

    def word(self, status: Status) -> str:
        return next(word for word, meant in self.words.items() if meant is status)

    def running(self) -> Answer:
        return answer_json(self.state(self.word(Status.RUNNING)))

    def success(self, server: Scripted) -> Answer:
        return answer_json(self.state(self.word(Status.SUCCEEDED), server.url + RESULT))

    def polls(self, server: Scripted, *answers: Reply) -> None:
        server.on(self.poll_path, *answers)

    def provider(self, server: Scripted) -> Provider:
        headers = self.kind.auth_headers(KEY)
        return self.kind(Http(self.kind.label, server.url, headers, timeout=PATIENT))

    def outcome(self, play: Play, server: Scripted, folder: Path) -> Any:
        """The result of one request with a picture in it, or its error."""
        try:
            provider, request = self.provider(server), self.request(clip(folder, PNG))
            return play.result(provider, request, folder / "results")
        except SkyportError as error:
            if KEY in repr(error) + str(error):
                raise AssertionError("the key is in an error's text") from None
            return error

    # -- the way of a request ---------------------------------------------------------------

    def test_a_result_arrives_byte_for_byte(
        self, server: Scripted, play: Play, tmp_path: Path
    ) -> None:
        result = self.outcome(play, server, tmp_path)
        assert result.files[0].path.read_bytes() == PNG
        assert result.task_id == str(self.task_id)
        assert server.counts[self.submit_path] == 1
        assert server.counts[self.poll_path] == 2

    def test_the_key_goes_to_the_platform_and_not_to_a_result_host(
        self, server: Scripted, play: Play, tmp_path: Path
    ) -> None:
        with Scripted() as elsewhere:
            elsewhere.on(RESULT, Answer(body=PNG))
            self.polls(server, self.success(elsewhere))
            self.outcome(play, server, tmp_path)
            (fetched,) = elsewhere.seen
        header, value = next(iter(self.kind.auth_headers(KEY).items()))
        assert {seen.headers.get(header.lower()) for seen in server.seen} == {value}
        assert KEY not in str(fetched)

    def test_the_picture_goes_up_and_the_request_holds_where_it_is(
        self, server: Scripted, play: Play, tmp_path: Path
    ) -> None:
        self.outcome(play, server, tmp_path)
        (submit,) = server.asked(self.submit_path)
        (carrier,) = server.asked(self.upload_path) if self.upload_path else (submit,)
        assert PNG in carrier.body
        if self.upload_path:
            assert PNG not in submit.body
            assert b"hosted.png" in submit.body

    def test_a_large_file_is_never_held_in_memory(self, tmp_path: Path) -> None:
        size = 24 * 1024 * 1024
        with Scripted(keep_bodies=False) as server, Play() as play:
            server.on(self.submit_path, answer_json(self.accepted()))
            if self.upload_path:
                server.on(self.upload_path, answer_json(self.hosted(server.url + "/hosted.png")))
            self.polls(server, self.success(server))
            server.on(RESULT, Answer(body=PNG))
            request = self.request(clip(tmp_path, PNG + bytes(size)))
            tracemalloc.start()
            try:
                play.result(self.provider(server), request, tmp_path)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert sum(seen.size for seen in server.seen) > size
        assert peak < size / 4

    # -- the submit -------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "trouble",
        [
            Answer(drop="after"),
            Answer(body=b'{"task_id": 1234567890}', cut=9),
            Answer(body=b'{"task_id": ', headers=(("Content-Type", "application/json"),)),
            answer_page("Bad gateway", 502),
            answer_page("Please sign in"),
            answer_json({}),
            answer_json({"msg": "Too many requests"}, 429),
        ],
        ids=["dropped", "cut body", "bad JSON", "gateway", "page", "no id", "another's 429"],
    )
    def test_a_submit_is_made_once_and_may_have_been_charged(
        self, server: Scripted, play: Play, tmp_path: Path, trouble: Answer
    ) -> None:
        server.on(self.submit_path, trouble)
        error = self.outcome(play, server, tmp_path)
        assert isinstance(error, OutcomeUnknown)
        assert "may have been charged" in str(error)
        assert str(error).startswith(self.kind.label)
        assert server.counts[self.submit_path] == 1
        assert server.counts[self.poll_path] == 0

    def test_a_fault_of_the_platform_after_a_submit_may_have_been_charged(
        self, server: Scripted, play: Play, tmp_path: Path
    ) -> None:
        server.on(self.submit_path, answer_json(self.refusal(500, "internal error"), 500))
        error = self.outcome(play, server, tmp_path)
        assert isinstance(error, OutcomeUnknown)
        assert "internal error" in str(error)
        assert server.counts[self.submit_path] == 1

    @pytest.mark.parametrize(("status", "words", "kind"), ERRORS)
    def test_a_refused_submit_says_why_in_the_platforms_words(
        self,
        server: Scripted,
        play: Play,
        tmp_path: Path,
        status: int,
        words: str,
        kind: type[SkyportError],
    ) -> None:
        server.on(self.submit_path, answer_json(self.refusal(status, words), status))
        error = self.outcome(play, server, tmp_path)
        assert type(error) is kind
        assert words in str(error)
        assert str(error).startswith(self.kind.label)
        assert server.counts[self.submit_path] == (5 if kind is RateLimited else 1)

    def test_a_submit_turned_away_for_a_moment_is_made_again(
        self, server: Scripted, play: Play, tmp_path: Path
    ) -> None:
        busy = answer_json(self.refusal(429, "Too many requests"), 429, retry_after="7")
        server.on(self.submit_path, busy, answer_json(self.accepted()))
        began = play.loop.time()
        assert self.outcome(play, server, tmp_path).files
        assert server.counts[self.submit_path] == 2
        assert play.loop.time() - began >= 7

    # -- the wait ---------------------------------------------------------------------------

    def test_a_status_word_counts_in_any_case(self, server: Scripted) -> None:
        provider = self.provider(server)
        task = Task(self.kind.name, self.endpoint(), str(self.task_id))
        for word, meant in self.words.items():
            for written in (word, word.upper(), word.capitalize()):
                self.polls(server, answer_json(self.state(written, server.url + RESULT)))
                state = provider.poll(task)
                assert (state.status, state.known, state.word) == (meant, True, written)

    def endpoint(self) -> str:
        return self.request(MediaFile(Path(), "a.png", "image/png", "0" * 64, 1)).endpoint

    def test_a_strange_word_that_stays_for_ten_minutes_proves_nothing(
        self, server: Scripted, play: Play, tmp_path: Path
    ) -> None:
        self.polls(server, answer_json(self.state("frobnicating")))
        began = play.loop.time()
        error = self.outcome(play, server, tmp_path)
        assert isinstance(error, TaskUnresolved)
        assert "frobnicating" in str(error)
        assert f"task {self.task_id}" in str(error)
        assert 600 <= play.loop.time() - began < 700
        self.result_is_found_later(server, play, tmp_path)

    def test_a_strange_word_is_waited_on(
        self, server: Scripted, play: Play, tmp_path: Path
    ) -> None:
        waits = [answer_json(self.state("frobnicating"))] * 12
        self.polls(server, *waits, self.success(server))
        assert self.outcome(play, server, tmp_path).files

    def test_a_node_stops_waiting_for_a_silent_platform_and_the_task_goes_on(
        self, server: Scripted, play: Play, tmp_path: Path
    ) -> None:
        self.polls(server, self.running(), answer_json({"message": "hello"}))
        began = play.loop.time()
        error = self.outcome(play, server, tmp_path)
        assert isinstance(error, TaskTimeout)
        assert "has not answered for 15 minutes" in str(error)
        assert "hello" in str(error)
        assert 900 <= play.loop.time() - began < 960
        self.result_is_found_later(server, play, tmp_path)

    def result_is_found_later(self, server: Scripted, play: Play, folder: Path) -> None:
        self.polls(server, self.success(server))
        assert self.outcome(play, server, folder).files
        assert server.counts[self.submit_path] == 1

    def test_a_failed_task_is_named_with_the_platforms_reason(
        self, server: Scripted, play: Play, tmp_path: Path
    ) -> None:
        failed = self.state(self.word(Status.FAILED), reason="the picture is not allowed")
        self.polls(server, self.running(), answer_json(failed))
        error = self.outcome(play, server, tmp_path)
        assert isinstance(error, TaskFailed)
        assert f"task {self.task_id}" in str(error)
        assert "the picture is not allowed" in str(error)

    def test_a_success_without_a_result_is_looked_at_again_for_two_minutes(
        self, server: Scripted, play: Play, tmp_path: Path
    ) -> None:
        self.polls(server, answer_json(self.state(self.word(Status.SUCCEEDED))))
        began = play.loop.time()
        error = self.outcome(play, server, tmp_path)
        assert isinstance(error, TaskUnresolved)
        assert f"task {self.task_id}" in str(error)
        assert 120 <= play.loop.time() - began < 180
        self.result_is_found_later(server, play, tmp_path)

    @pytest.mark.parametrize(
        "trouble",
        [
            answer_json({"msg": "busy"}, 503),
            answer_page("Not found", 404),
            answer_page("Bad gateway", 502),
            Answer(drop="after"),
            Answer(body=b'{"broken'),
        ],
        ids=["busy", "no such page", "gateway", "dropped", "bad JSON"],
    )
    def test_a_poll_that_fails_is_made_again(
        self, server: Scripted, play: Play, tmp_path: Path, trouble: Answer
    ) -> None:
        self.polls(server, trouble, trouble, self.running(), trouble, self.success(server))
        assert self.outcome(play, server, tmp_path).files
        assert server.counts[self.submit_path] == 1

    def test_a_key_refused_while_waiting_loses_nothing(
        self, server: Scripted, play: Play, tmp_path: Path
    ) -> None:
        refused = answer_json(self.refusal(401, "Unauthorized"), 401)
        self.polls(server, self.running(), refused, self.success(server))
        error = self.outcome(play, server, tmp_path)
        assert type(error) is AuthRejected
        assert f"task {self.task_id}" in str(error)
        assert self.outcome(play, server, tmp_path).files
        assert server.counts[self.submit_path] == 1

    def test_a_time_limit_names_the_task_and_the_next_run_goes_on_with_it(
        self, server: Scripted, play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SKYPORT_TIME_LIMIT_S", "20")
        times: list[float] = []

        def running(seen: LoggedRequest) -> Answer:
            times.append(play.loop.time())
            return self.running()

        self.polls(server, running)
        error = self.outcome(play, server, tmp_path)
        assert isinstance(error, TaskTimeout)
        assert f"task {self.task_id}" in str(error)
        assert most_within(times, 9.0) <= 7  # 40 a minute, and a little for a start
        self.polls(server, self.success(server))
        assert self.outcome(play, server, tmp_path).files
        assert server.counts[self.submit_path] == 1

    # -- stopping ---------------------------------------------------------------------------

    def test_a_stopped_task_is_cancelled_or_lives_on(
        self, server: Scripted, play: Play, tmp_path: Path
    ) -> None:
        self.polls(server, self.running())
        provider, request = self.provider(server), self.request(clip(tmp_path, PNG))

        async def scene() -> bool:
            job = await play.runner.begin(provider, request, tmp_path)
            while server.counts[self.poll_path] < 3:
                await play.pause(1)
            play.runner.leave(job, stop=True)
            await play.pause(5)
            return job.future.done()

        assert play.run(scene()) is self.can_cancel
        self.polls(server, self.success(server))
        if not self.can_cancel:
            assert self.outcome(play, server, tmp_path).files
            assert server.counts[self.submit_path] == 1


class HostingContract(PlatformContract):
    """A platform that hosts files itself, ahead of the submit."""

    @pytest.mark.parametrize(
        ("status", "words", "kind"), [*ERRORS, (500, "internal error", ServerFault)]
    )
    def test_a_refused_upload_says_why_and_nothing_is_submitted(
        self,
        server: Scripted,
        play: Play,
        tmp_path: Path,
        status: int,
        words: str,
        kind: type[SkyportError],
    ) -> None:
        server.on(self.upload_path, answer_json(self.refusal(status, words), status))
        error = self.outcome(play, server, tmp_path)
        assert type(error) is kind
        assert words in str(error)
        assert server.counts[self.submit_path] == 0

    def test_an_upload_that_got_no_answer_is_made_again(
        self, server: Scripted, play: Play, tmp_path: Path
    ) -> None:
        answer = answer_json(self.hosted(server.url + "/hosted.png"))
        server.on(self.upload_path, Answer(drop="after"), answer_page("busy", 502), answer)
        assert self.outcome(play, server, tmp_path).files
        assert server.counts[self.upload_path] == 3
