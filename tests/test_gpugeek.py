"""Pins what goes to GPUGeek and comes back, as literal bodies held against its document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from _waiting import PATIENT
from contract import KEY, PNG, RESULT, HostingContract
from scripted import Answer, LoggedRequest, Scripted, answer_json, answer_page
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
    TaskCancelled,
    TaskFailed,
    TaskTimeout,
)
from skyport.engine.base.types import MediaFile, Output, Request, Status, Task
from skyport.engine.http.client import Http
from skyport.providers import gpugeek
from skyport.providers.gpugeek import WORKFLOW, Gpugeek, _links
from skyport.providers.gpugeek._committed import Committed
from virtual import Play, clip

V1 = "/api/v1/"
LINK = V1 + "file/upload/pre-signed-url"
COMMIT = V1 + "file/upload/commit"
PROMPT = V1 + "prompt"
CANCEL = V1 + "task/cancel"
DETAILS = V1 + "task/763289064770885"
TASK = Task("gpugeek", WORKFLOW, "763289064770885")
PUT = "/comfy/input/xxx.png"
SIGNED = PUT + "?Expires=1767225600&Signature=q5mZ%2bSg7%3D"
ID = 763311996779461
TRACE = "57cbd46995d11318814a78746318bc32"
FOREIGN = "https://pictures.example/fox.png"
LOAD = {"class_type": "LoadImage", "inputs": {"image": "https://xxxxxxxxx/comfy/input/xxx.png"}}
NUMBERS = {"1": Status.QUEUED, "2": Status.RUNNING, "3": Status.SUCCEEDED, "4": Status.FAILED}


def envelope(data: Any, code: Any = 0, message: str = "success", trace: str = TRACE) -> Any:
    return {"code": code, "message": message, "traceid": trace, "data": data}


def details(status: Any, results: Any = None, reason: str = "", **more: Any) -> Any:
    """The document's sample of section 5."""
    fields = {
        "prompt_id": 763289064770885,
        "workflow_id": ID,
        "env_id": ID,
        "status": status,
        "queue_duration": 10,
        "run_duration": 150,
        "result_url": results or {},
        "error_msg": reason,
        "queue_size": 0,
        "current_position": 0,
        "origin_price": 0.11,
        "created_at": "2026-01-19 14:46:54",
    }
    return envelope({**fields, **more})


def scripted_upload(server: Scripted) -> None:
    """Links of the table's dialect, a storage that takes the file, commits of any address."""
    server.on(LINK, answer_json(envelope({"signed_url": server.url + SIGNED})))
    server.on(PUT, Answer())
    server.on(COMMIT, committing)


def committing(seen: LoggedRequest) -> Answer:
    return answer_json(envelope({"oss_url": seen.json()["oss_url"] + "#kept"}))


@pytest.fixture(autouse=True)
def nothing_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another test's server may have had the same port."""
    monkeypatch.setattr(_links, "_dialects", {})
    monkeypatch.setattr(gpugeek, "COMMITTED", Committed())


# -- what every platform must do ------------------------------------------------------------


class TestWorkflows(HostingContract):
    kind = Gpugeek
    submit_path = PROMPT
    poll_path = DETAILS
    upload_path = LINK
    words: ClassVar[Mapping[str, Status]] = {**NUMBERS, "5": Status.CANCELLED}
    task_id = 763289064770885
    can_cancel = True

    def provider(self, server: Scripted) -> Any:
        """What the contract does not know of: the storage, the commit and the cancel."""
        server.on("/hosted.png", Answer())
        server.on(COMMIT, answer_json(envelope({"oss_url": server.url + "/own/hosted.png"})))
        server.on(CANCEL, answer_json(envelope(None)))
        return super().provider(server)

    def request(self, file: MediaFile) -> Request:
        return gpugeek.workflow({"1": {**LOAD, "inputs": {"image": file}}}, ID)

    def accepted(self) -> Any:
        return envelope({"prompt_id": str(self.task_id)})

    def hosted(self, url: str) -> Any:
        return envelope({"signed_url": url, "expired_at": "2023-01-01T00:00:00Z"})

    def state(self, word: str, *urls: str, reason: str = "") -> Any:
        status = int(word) if word.isdigit() else word
        return details(status, {"2": list(urls)}, reason)

    def refusal(self, status: int, words: str) -> Any:
        return envelope(None, status, words)

    def test_the_key_goes_to_the_platform_and_not_to_a_result_host(
        self, server: Scripted, play: Play, tmp_path: Path
    ) -> None:
        """Nor to the storage, which is the platform's own host here."""
        with Scripted() as elsewhere:
            elsewhere.on(RESULT, Answer(body=PNG))
            self.polls(server, self.success(elsewhere))
            self.outcome(play, server, tmp_path)
            (fetched,) = elsewhere.seen
        keyed = {(seen.method, KEY in str(seen)) for seen in server.seen}
        assert keyed == {("GET", True), ("POST", True), ("PUT", False)}
        assert KEY not in str(fetched)

    def test_the_picture_goes_up_and_the_request_holds_where_it_is(
        self, server: Scripted, play: Play, tmp_path: Path
    ) -> None:
        self.outcome(play, server, tmp_path)
        (put,) = server.asked("/hosted.png")
        (submit,) = server.asked(PROMPT)
        assert put.body == PNG
        assert submit.json()["prompt"]["1"]["inputs"] == {"image": server.url + "/own/hosted.png"}

    def test_a_stopped_task_is_cancelled_by_its_number(
        self, server: Scripted, play: Play, tmp_path: Path
    ) -> None:
        self.test_a_stopped_task_is_cancelled_or_lives_on(server, play, tmp_path)
        (cancel,) = server.asked(CANCEL)
        assert (cancel.method, cancel.json()) == ("POST", {"task_id": 763289064770885})


# -- uploads --------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as server:
        scripted_upload(server)
        server.on(PROMPT, answer_json(envelope({"prompt_id": "763289064770885"})))
        yield server


def platform(server: Scripted) -> Gpugeek:
    return Gpugeek(Http("GPUGeek", server.url, Gpugeek.auth_headers(KEY), timeout=PATIENT))


def upload(server: Scripted, folder: Path) -> str:
    file = clip(folder, PNG, "\u72d0\u72f8.png")
    return platform(server).upload(file, Request("gpugeek", WORKFLOW, {}))


def asked(server: Scripted) -> list[tuple[str, str]]:
    """(method, target) of each request for a link, its file name aside."""
    return [(seen.method, seen.target.partition("=")[0]) for seen in server.asked(LINK)]


BY_TABLE = ("GET", f"{LINK}?file_name")
BY_SAMPLE = ("POST", f"{LINK}?fileName")


def only_by_sample(refusal: Answer) -> Any:
    def link(seen: LoggedRequest) -> Answer:
        if seen.method != "POST" or "fileName=" not in seen.target:
            return refusal
        return answer_json(envelope({"signedUrl": f"http://{seen.headers['host']}{SIGNED}"}))

    return link


def test_an_upload_is_that_of_the_document(server: Scripted, tmp_path: Path) -> None:
    assert upload(server, tmp_path) == server.url + PUT + "#kept"
    link, put, commit = server.seen
    assert link.target.startswith(f"{LINK}?file_name=")
    assert link.target.endswith(".png")
    assert (put.method, put.target, put.body) == ("PUT", SIGNED, PNG)
    assert put.headers["content-type"] == "application/octet-stream"
    assert "authorization" not in put.headers
    assert (commit.method, commit.json()) == ("POST", {"oss_url": server.url + PUT})


def test_files_of_one_name_and_other_content_have_other_names_there(
    server: Scripted, tmp_path: Path
) -> None:
    for content in (b"one", b"two", b"one"):
        file = clip(tmp_path, content)
        platform(server).upload(file, Request("gpugeek", WORKFLOW, {}))
    first, second, third = (seen.target for seen in server.asked(LINK))
    assert first == third != second


@pytest.mark.parametrize(
    "refusal",
    [
        answer_page("not found", 404),
        answer_json(envelope(None, 405, "method not allowed"), 405),
        answer_json(envelope(None, 10001, "fileName is required")),
        answer_json(envelope({"expired_at": "2023-01-01T00:00:00Z"})),
        answer_json(envelope(None)),
        answer_json(envelope(None, 500, "Request method 'GET' is not supported")),
        answer_json(envelope(None, 500, "Request method 'GET' is not supported"), 500),
        answer_page("Unsupported method", 501),
        Answer(),
    ],
    ids=["404", "405", "code", "no link", "no data", "code 500", "500", "501", "empty"],
)
def test_the_samples_dialect_is_learnt_by_the_first_upload(
    server: Scripted, tmp_path: Path, home: Path, refusal: Answer
) -> None:
    server.on(LINK, only_by_sample(refusal))
    assert upload(server, tmp_path)
    assert upload(server, tmp_path)
    assert asked(server) == [BY_TABLE, BY_SAMPLE, BY_SAMPLE]
    sample = server.asked(LINK)[1]
    assert sample.body == b""
    assert sample.headers["content-type"] == "application/json"
    assert sample.headers["authorization"] == f"Bearer {KEY}"
    assert json.loads((home / "gpugeek.json").read_text()) == {server.url: "sample"}


def test_the_dialect_is_known_after_a_restart_and_learnt_anew_when_it_changes(
    server: Scripted, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "gpugeek.json").write_text(json.dumps({server.url: "sample"}))
    server.on(LINK, only_by_sample(Answer(404)))
    assert upload(server, tmp_path)
    monkeypatch.setattr(_links, "_dialects", {})
    scripted_upload(server)
    server.on(LINK, Answer(404), answer_json(envelope({"signed_url": server.url + SIGNED})))
    assert upload(server, tmp_path)
    assert asked(server) == [BY_SAMPLE, BY_SAMPLE, BY_TABLE]
    assert json.loads((home / "gpugeek.json").read_text()) == {server.url: "table"}


def test_the_tables_dialect_leaves_nothing_in_the_data_folder(
    server: Scripted, tmp_path: Path, home: Path
) -> None:
    upload(server, tmp_path)
    assert not (home / "gpugeek.json").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"upload": 1}', None], ids=str)
def test_a_memory_that_cannot_be_used_is_no_obstacle(
    server: Scripted, tmp_path: Path, home: Path, content: str | None
) -> None:
    if content is None:
        (home / "gpugeek.json").mkdir()
    else:
        (home / "gpugeek.json").write_text(content)
    server.on(LINK, only_by_sample(Answer(404)))
    assert upload(server, tmp_path)
    assert upload(server, tmp_path)
    assert asked(server) == [BY_TABLE, BY_SAMPLE, BY_SAMPLE]


@pytest.mark.parametrize(
    ("by_table", "by_sample", "kind", "words"),
    [
        (Answer(404), (10001, "file type is not taken"), InputRejected, "file type is not taken"),
        ((10001, "file type is not taken"), Answer(405), InputRejected, "file type is not taken"),
        (Answer(404), Answer(404), NotFound, "HTTP 404"),
        (Answer(503), Answer(405), ServerFault, "HTTP 503"),
        (Answer(500), (10001, "file type is not taken"), InputRejected, "file type is not taken"),
    ],
)
def test_where_no_dialect_gives_a_link_the_one_that_was_understood_says_why(
    server: Scripted, tmp_path: Path, by_table: Any, by_sample: Any, kind: Any, words: str
) -> None:
    def spoken(answer: Any) -> Answer:
        return answer if isinstance(answer, Answer) else answer_json(envelope(None, *answer))

    server.on(LINK, lambda seen: spoken(by_table if seen.method == "GET" else by_sample))
    with pytest.raises(ApiError) as caught:
        upload(server, tmp_path)
    assert type(caught.value) is kind
    assert words in str(caught.value)


@pytest.mark.parametrize("hiccup", [Answer(503), Answer(body=b"{")], ids=["busy", "half a JSON"])
def test_a_hiccup_is_asked_again_in_the_way_that_was_right(
    server: Scripted, tmp_path: Path, hiccup: Answer
) -> None:
    scripted_upload(server)
    given = answer_json(envelope({"signed_url": server.url + SIGNED}))
    server.on(LINK, hiccup, Answer(405), given)
    server.on(PROMPT, answer_json(envelope({"prompt_id": 763289064770885})))
    server.on(DETAILS, answer_json(details(3, {"9": "words"})))
    request = gpugeek.workflow({"1": {**LOAD, "inputs": {"image": clip(tmp_path)}}}, ID)
    with Play() as play:
        assert play.result(platform(server), request, tmp_path).texts == ("words",)
    assert asked(server) == [BY_TABLE, BY_SAMPLE, BY_TABLE]


@pytest.mark.parametrize(("status", "kind"), [(401, AuthRejected), (429, RateLimited)])
def test_a_refusal_that_is_no_matter_of_dialect_is_not_asked_twice(
    server: Scripted, tmp_path: Path, status: int, kind: type[ApiError]
) -> None:
    server.on(LINK, answer_json(envelope(None, status, "no"), status))
    with pytest.raises(kind):
        upload(server, tmp_path)
    assert asked(server) == [BY_TABLE]


def test_a_refusal_of_the_storage_is_not_blamed_on_the_key(
    server: Scripted, tmp_path: Path
) -> None:
    server.on(PUT, Answer(403, b"<Error><Code>AccessDenied</Code></Error>"))
    with pytest.raises(ApiError, match=r"storage refused .*AccessDenied") as caught:
        upload(server, tmp_path)
    assert "API_KEY" not in str(caught.value)
    assert "Signature" not in str(caught.value)
    assert server.counts[COMMIT] == 0


@pytest.mark.parametrize("answer", [None, {}, {"oss_url": ""}, {"oss_url": None}, []])
def test_a_commit_without_an_address_is_named_before_anything_is_paid(
    server: Scripted, tmp_path: Path, answer: Any
) -> None:
    server.on(COMMIT, answer_json(envelope(answer)))
    with pytest.raises(BadResult, match=r"GPUGeek: .*has no oss_url"):
        upload(server, tmp_path)


def test_an_upload_that_is_cut_is_made_again_from_the_link_on(
    server: Scripted, tmp_path: Path
) -> None:
    server.on(PUT, Answer(drop="after"), Answer(503), Answer())
    request = gpugeek.workflow({"1": {**LOAD, "inputs": {"image": clip(tmp_path, PNG)}}}, ID)
    server.on(DETAILS, answer_json(details(3, {"2": "text"})))
    with Play() as play:
        play.result(platform(server), request, tmp_path)
    assert (server.counts[LINK], server.counts[PUT], server.counts[COMMIT]) == (3, 3, 1)
    assert server.counts[PROMPT] == 1


# -- foreign addresses ----------------------------------------------------------------------


def prepared(server: Scripted, **inputs: Any) -> Any:
    node = {"class_type": inputs.pop("class_type", "LoadImage"), "inputs": inputs}
    request = platform(server).prepare(gpugeek.workflow({"1": node}, ID))
    return request.payload["prompt"]["1"]["inputs"]


def test_a_foreign_address_is_committed_once_and_named_as_the_platform_does(
    server: Scripted,
) -> None:
    assert prepared(server, image=FOREIGN) == {"image": FOREIGN + "#kept"}
    assert prepared(server, image=FOREIGN) == {"image": FOREIGN + "#kept"}
    (commit,) = server.seen
    assert commit.json() == {"oss_url": FOREIGN}


def test_each_address_of_a_loader_of_several_is_committed(server: Scripted) -> None:
    made = prepared(server, class_type="LoadImagesFrom", images=[FOREIGN, FOREIGN + "?2", "a.png"])
    assert made == {"images": [FOREIGN + "#kept", FOREIGN + "?2#kept", "a.png"]}


def test_an_address_of_the_platforms_own_storage_is_left_as_it_is(
    server: Scripted, tmp_path: Path
) -> None:
    upload(server, tmp_path)
    own = server.url + "/comfy/output/made.png?Signature=x"
    assert prepared(server, image=own) == {"image": own}
    assert server.counts[COMMIT] == 1


@pytest.mark.parametrize(
    ("class_type", "value"),
    [
        ("CLIPTextEncode", FOREIGN),
        ("CheckpointLoaderSimple", "https://models.example/sd.safetensors"),
        ("LoadImage", "photo.png"),
        ("LoadImage", f"see {FOREIGN}"),
        ("LoadImage", ["2", 0]),
        ("LoadImage", 7),
    ],
)
def test_only_a_medium_that_a_loader_names_by_its_address_is_committed(
    server: Scripted, class_type: str, value: Any
) -> None:
    assert prepared(server, class_type=class_type, image=value) == {"image": value}
    assert not server.seen


def test_what_was_committed_is_counted_on_for_a_while_only() -> None:
    now, reports = [0.0], []
    stored = Committed(lambda: now[0])

    def commit(url: str) -> str:
        reports.append(url)
        return f"own{len(reports)}"

    def address() -> str:
        return stored.own_url("place", FOREIGN, commit, 600)

    assert [address(), address()] == ["own1", "own1"]
    now[0] = 601
    assert address() == "own2"
    assert stored.own_url("elsewhere", FOREIGN, commit, 600) == "own3"


@pytest.mark.parametrize(("orders", "commits", "submits"), [(1, 1, 1), (2, 2, 3)])
def test_a_committed_address_that_is_gone_is_committed_and_submitted_once_more(
    server: Scripted, tmp_path: Path, orders: int, commits: int, submits: int
) -> None:
    """Where it was committed for that very order, the refusal stands."""
    gone = answer_json(envelope(None, 10400, "the image of node 1 cannot be fetched"))
    taken = answer_json(envelope({"prompt_id": 763289064770885}))
    server.on(PROMPT, *[taken] * (orders - 1), gone, taken)
    server.on(DETAILS, answer_json(details(3, {"1": "done"})))
    outcomes = []
    with Play() as play:
        for seed in range(orders):
            node = {**LOAD, "inputs": {"image": FOREIGN}}
            request = gpugeek.workflow({"1": node}, ID, seed=seed)
            try:
                outcomes.append(play.result(platform(server), request, tmp_path).texts)
            except InputRejected:
                outcomes.append(())
    assert outcomes[-1] == (("done",) if orders > 1 else ())
    assert (server.counts[COMMIT], server.counts[PROMPT]) == (commits, submits)


def test_a_machine_that_slept_has_its_addresses_committed_anew() -> None:
    wall, reports = [1e9], []
    stored = Committed(lambda: 0.0, lambda: wall[0])

    def commit(url: str) -> str:
        reports.append(url)
        return "own"

    for at in (1e9, 1e9 + 599, 1e9 + 601):
        wall[0] = at
        stored.own_url("place", FOREIGN, commit, 600)
    assert len(reports) == 2


def test_a_foreign_address_that_is_refused_is_told_and_nothing_is_submitted(
    server: Scripted, tmp_path: Path
) -> None:
    server.on(COMMIT, answer_json(envelope(None, 10400, "the file cannot be fetched")))
    request = gpugeek.workflow({"1": {**LOAD, "inputs": {"image": FOREIGN}}}, ID)
    with Play() as play, pytest.raises(InputRejected, match="cannot be fetched"):
        play.result(platform(server), request, tmp_path)
    assert server.counts[PROMPT] == 0


# -- submit ---------------------------------------------------------------------------------


def test_a_workflow_is_sent_as_the_document_does(server: Scripted) -> None:
    show = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}, "_meta": {"title": "x"}}
    platform(server).submit(gpugeek.workflow({"1": LOAD, "2": show}, f" {ID} ", seed=5))
    (submit,) = server.seen
    assert (submit.method, submit.target) == ("POST", PROMPT)
    assert submit.headers["authorization"] == f"Bearer {KEY}"
    assert submit.headers["content-type"] == "application/json"
    assert submit.json() == {
        "workflow_id": 763311996779461,
        "task_type": 1,
        "prompt": {"1": LOAD, "2": show},
    }


@pytest.mark.parametrize("workflow_id", ["", "  ", "12a", "-1", "1.5", "\u0661\u0662", "0x10"])
def test_a_workflow_id_that_is_no_number_is_refused_here(workflow_id: str) -> None:
    with pytest.raises(InvalidInput, match="GPUGeek: workflow_id must be a whole number"):
        gpugeek.workflow({"1": LOAD}, workflow_id)


@pytest.mark.parametrize("given", [763289064770885, "763289064770885"])
def test_a_task_id_may_be_a_number_or_text(server: Scripted, given: Any) -> None:
    server.on(PROMPT, answer_json(envelope({"prompt_id": given})))
    assert platform(server).submit(gpugeek.workflow({"1": LOAD}, ID)) == "763289064770885"


@pytest.mark.parametrize("answer", [None, {}, {"prompt_id": ""}, {"prompt_id": None}, [], "ok"])
def test_a_submit_answered_without_an_id_may_have_been_charged(
    server: Scripted, answer: Any
) -> None:
    server.on(PROMPT, answer_json(envelope(answer)))
    with pytest.raises(OutcomeUnknown, match="may have been charged"):
        platform(server).submit(gpugeek.workflow({"1": LOAD}, ID))


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (401, "invalid api key", AuthRejected),
        ("403", "no right", AuthRejected),
        (20004, "\u4f59\u989d\u4e0d\u8db3", OutOfCredit),
        (20004, "insufficient balance", OutOfCredit),
        (429, "slow down", RateLimited),
        (500, "broken", ServerFault),
        (20404, "no such workflow", InputRejected),
        (-1, "no such workflow", InputRejected),
        ("E_PARAM", "no such workflow", InputRejected),
    ],
)
def test_a_code_other_than_0_is_an_error_with_code_message_and_trace(
    server: Scripted, code: Any, message: str, kind: type[ApiError]
) -> None:
    server.on(PROMPT, answer_json(envelope(None, code, message)))
    with pytest.raises(ApiError) as caught:
        platform(server).submit(gpugeek.workflow({"1": LOAD}, ID))
    assert type(caught.value) is kind
    assert message in str(caught.value)
    assert TRACE in str(caught.value)
    assert f"code {code}" in str(caught.value)


def test_words_without_a_code_prove_no_refusal_and_are_told(server: Scripted) -> None:
    server.on(PROMPT, answer_json(envelope(None, None, "no such workflow")))
    with pytest.raises(OutcomeUnknown, match=r"may have been charged.*no such workflow"):
        platform(server).submit(gpugeek.workflow({"1": LOAD}, ID))


def test_an_http_error_shows_code_message_and_trace_too(server: Scripted) -> None:
    server.on(PROMPT, answer_json(envelope(None, 20404, "no such workflow"), 400))
    with pytest.raises(InputRejected) as caught:
        platform(server).submit(gpugeek.workflow({"1": LOAD}, ID))
    assert f"no such workflow [traceid {TRACE}] (HTTP 400, code 20404)" in str(caught.value)


# -- task details ---------------------------------------------------------------------------


def state(server: Scripted, answer: Any) -> Any:
    server.on(DETAILS, answer_json(answer))
    return platform(server).poll(TASK)


def test_a_task_in_the_queue_tells_its_place_and_price(server: Scripted) -> None:
    seen = state(server, details(1, queue_size=12, current_position=3))
    assert (seen.status, seen.queue, seen.cost) == (Status.QUEUED, (3, 12), 0.11)
    assert [(seen.method, seen.target) for seen in server.seen] == [("GET", DETAILS)]


def test_a_task_at_work_has_no_place_in_the_queue(server: Scripted) -> None:
    seen = state(server, details(2))
    assert (seen.status, seen.queue, seen.cost) == (Status.RUNNING, (None, None), 0.11)


@pytest.mark.parametrize("price", [None, "", "free", True])
def test_a_price_that_is_none_is_not_shown(server: Scripted, price: Any) -> None:
    assert state(server, details(2, origin_price=price)).cost is None


def test_numbers_may_be_text(server: Scripted) -> None:
    answer = details("1", queue_size="12", current_position="3", origin_price="0.11")
    seen = state(server, answer)
    assert (seen.status, seen.queue, seen.cost) == (Status.QUEUED, (3, 12), 0.11)


@pytest.mark.parametrize(
    ("results", "outputs"),
    [
        ({"9": "https://a/1"}, [("9", "https://a/1")]),
        ({"9": ["https://a/1", "https://a/2"]}, [("9", "https://a/1"), ("9", "https://a/2")]),
        ({"9": "", "10": [], "11": None, "12": ["", "https://a/1"]}, [("12", "https://a/1")]),
        (["https://a/1"], [("", "https://a/1")]),
        (None, []),
    ],
)
def test_results_come_by_node_as_text_or_list_and_empty_ones_are_none(
    server: Scripted, results: Any, outputs: list[tuple[str, str]]
) -> None:
    made = [Output(url=url, node_id=node_id) for node_id, url in outputs]
    assert list(state(server, details(3, results)).outputs) == made


def test_a_result_that_is_no_address_is_text(server: Scripted) -> None:
    made = state(server, details(3, {"7": ["a red fox"]})).outputs
    assert made == (Output(text="a red fox", node_id="7"),)


def test_results_of_a_task_that_has_not_ended_well_are_not_taken(server: Scripted) -> None:
    """The document's sample shows them in a task at work."""
    assert state(server, details(2, {"property1": ["https://a/1"]})).outputs == ()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            details(4, reason="out of memory"),
            r"out of memory \(queued 0\.0 s, ran 0\.1 s, traceid ",
        ),
        (details(4, reason="x", queue_duration=65000, run_duration="5140"), "65.0 s, ran 5.1 s"),
        (details(4, reason="too old", run_duration=None), r"too old \(queued 0\.0 s, traceid "),
        (details(4), "failed.*without a reason"),
    ],
)
def test_a_task_that_ended_badly_says_why(
    server: Scripted, tmp_path: Path, answer: Any, words: str
) -> None:
    server.on(DETAILS, answer_json(answer))
    with Play() as play, pytest.raises(TaskFailed, match=words) as caught:
        play.result(platform(server), gpugeek.workflow({"1": LOAD}, ID), tmp_path)
    assert "GPUGeek task 763289064770885" in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (details(5), r"cancelled on the platform, not by Skyport\."),
        (
            details(5, reason="stopped by admin"),
            "on the platform, not by Skyport: stopped by admin",
        ),
    ],
)
def test_a_task_that_was_cancelled_there_says_so(
    server: Scripted, tmp_path: Path, answer: Any, words: str
) -> None:
    server.on(DETAILS, answer_json(answer))
    with Play() as play, pytest.raises(TaskCancelled, match=words) as caught:
        play.result(platform(server), gpugeek.workflow({"1": LOAD}, ID), tmp_path)
    assert "GPUGeek task 763289064770885" in str(caught.value)


def test_an_error_code_while_waiting_loses_nothing(server: Scripted, tmp_path: Path) -> None:
    """What the codes mean is documented nowhere, so none of them ends a task that was paid for."""
    server.on(DETAILS, answer_json(envelope(None, 50013, "try later")))
    request = gpugeek.workflow({"1": LOAD}, ID)
    with Play() as play:
        with pytest.raises(TaskTimeout, match=r"try later .*no further charge"):
            play.result(platform(server), request, tmp_path)
        server.on(DETAILS, answer_json(details(3, {"2": "done"})))
        assert play.result(platform(server), request, tmp_path).texts == ("done",)
    assert server.counts[PROMPT] == 1


# -- cancel ---------------------------------------------------------------------------------


def test_a_cancel_that_comes_too_late_is_no_error(server: Scripted) -> None:
    server.on(CANCEL, answer_json(envelope(None, 30409, "the task has ended")))
    assert platform(server).cancel(TASK) is False


def test_a_cancel_that_got_no_answer_is_made_again(server: Scripted, tmp_path: Path) -> None:
    server.on(CANCEL, Answer(drop="after"), Answer(502), answer_json(envelope(None)))
    server.on(DETAILS, answer_json(details(2)))

    async def scene(play: Play) -> bool:
        request = gpugeek.workflow({"1": LOAD}, ID)
        job = await play.runner.begin(platform(server), request, tmp_path)
        while not server.counts[DETAILS]:
            await play.pause(1)
        play.runner.leave(job, stop=True)
        await play.pause(30)
        return job.future.done()

    with Play() as play:
        assert play.run(scene(play))
    assert server.counts[CANCEL] == 3
