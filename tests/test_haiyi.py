"""Pins what goes to HaiYi and comes back, as literal bodies held against its document."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from _waiting import PATIENT
from contract import KEY, PNG, HostingContract, PlatformContract
from scripted import Answer, Scripted, answer_json
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
)
from skyport.engine.base.types import Cluster, MediaFile, Model, Request, Status, Task
from skyport.engine.http.client import Http
from skyport.engine.platforms.parameters import fill
from skyport.providers import haiyi
from skyport.providers.haiyi import APP, GENERATE, WORKFLOW, HaiYi
from skyport.providers.haiyi._clusters import cards
from virtual import Play, clip

V1 = "/openapi/v1/"
CLUSTERS = V1 + "workflow/cluster/all_active_clusters_status"
STRAWBERRY = "\u628a\u8349\u8393\u6539\u6210\u82f9\u679c"
DANCE = "\u8df3\u821e\u8d77\u6765"
FOX = "\u7ad9\u7acb\u88d9\u5b50\u4eba\u7269\u56fe.jpg"
OSS = "https://athena-haicong-llm-external.oss-cn-guangzhou.aliyuncs.com/haiyi"
SIGNED = (
    f"{OSS}%2F20260130%2Fd7ca6dff.png?OSSAccessKeyId=LTAI5tG74JJTN8VrQ6eTGvBa"
    "&Expires=2085109558&Signature=q5mZSg7NEM3pIvdY6jcefLL3VeE%3D"
)
WORDS = {"pending": Status.QUEUED, "running": Status.RUNNING}
ENDS = {"success": Status.SUCCEEDED, "fail": Status.FAILED}


def models() -> dict[tuple[str, str], Model]:
    rows = map(HaiYi.read_row, HaiYi.built_in_rows())
    return {(model.id, model.task): model for model in rows}


def envelope(data: Any, code: Any = 0, msg: str = "success") -> dict[str, Any]:
    return {"code": code, "msg": msg, "data": data}


# -- what every platform must do ------------------------------------------------------------


class TestGeneration(HostingContract):
    kind = HaiYi
    submit_path = V1 + "generate/image"
    poll_path = V1 + "generate/result/24317"
    upload_path = V1 + "file/upload"
    words: ClassVar[Mapping[str, Status]] = {**WORDS, **ENDS, "submitted": Status.QUEUED}
    task_id = 24317

    def request(self, file: MediaFile) -> Request:
        model = models()["google/gemini-3-pro-image-preview", "image2image"]
        return haiyi.generation(model, fill(model, {"prompt": STRAWBERRY, "images": [file]}))

    def accepted(self) -> Any:
        words = "Task has been submitted for processing"
        return {"task_id": 24317, "status": "submitted", "message": words}

    def hosted(self, url: str) -> Any:
        return {"success": True, "url": url, "filename": "image.jpg", "file_size": 102400}

    def state(self, word: str, *urls: str, reason: str = "") -> Any:
        return {"task_id": 24317, "status": word, "urls": list(urls), "message": reason}


class TestApps(PlatformContract):
    kind = HaiYi
    submit_path = V1 + "workflow/apps/run"
    poll_path = V1 + "workflow/apps/task/230"
    words: ClassVar[Mapping[str, Status]] = {**WORDS, **ENDS}
    task_id = 230

    def request(self, file: MediaFile) -> Request:
        return haiyi.app("1234", "", "GPU-A800", {"input_image": file})

    def accepted(self) -> Any:
        return envelope({"task_id": self.task_id})

    def state(self, word: str, *urls: str, reason: str = "") -> Any:
        made = [{"id": "81", "title": "Save", "output": u, "error_type": "info"} for u in urls]
        entry = {"id": "3", "title": "KSampler", "output": reason, "error_type": "error"}
        return envelope(
            {"status": word, "progress": {}, "outputs": [*made, *[entry] * bool(reason)]}
        )


class TestWorkflows(TestApps, HostingContract):
    submit_path = V1 + "workflow/task/submit"
    poll_path = V1 + "workflow/task/5021"
    upload_path = V1 + "workflow/upload/file"
    task_id = 5021

    def request(self, file: MediaFile) -> Request:
        node = {"class_type": "LoadImage", "inputs": {"image": file}}
        return haiyi.workflow({"73": node}, "GPU-4090")

    def hosted(self, url: str) -> Any:
        return envelope({"filename": url.rpartition("/")[2]})


# -- on the wire ----------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as server:
        server.on(V1 + "generate/image", answer_json({"task_id": 24317}))
        server.on(V1 + "workflow/apps/run", answer_json(envelope({"task_id": 230})))
        server.on(V1 + "workflow/task/submit", answer_json(envelope({"task_id": 5021})))
        yield server


def platform(server: Scripted) -> HaiYi:
    return HaiYi(Http("HaiYi", server.url, HaiYi.auth_headers(KEY), timeout=PATIENT))


def body(server: Scripted, request: Request) -> Any:
    platform(server).submit(request)
    return server.seen[-1].json()


def fields(server: Scripted, request: Request) -> list[tuple[str, str, str]]:
    """(name, file name, content) of every part of the form that `request` is sent as."""
    platform(server).submit(request)
    return parts(server.seen[-1].body)


def parts(form: bytes) -> list[tuple[str, str, str]]:
    text = form.decode("utf-8", "replace")
    pattern = r'name="([^"]*)"(?:; filename="([^"]*)")?\r\n(?:[^\r\n]+\r\n)*\r\n(.*?)\r\n--'
    return re.findall(pattern, text, re.DOTALL)


def test_an_image_to_image_request_is_that_of_the_document(server: Scripted) -> None:
    model = models()["google/gemini-3-pro-image-preview", "image2image"]
    request = haiyi.generation(model, fill(model, {"prompt": STRAWBERRY, "images": [SIGNED]}))
    assert body(server, request) == {
        "model": {
            "provider": "google",
            "model": "gemini-3-pro-image-preview",
            "type": "image2image",
        },
        "parameters": {"prompt": STRAWBERRY, "images": [SIGNED]},
    }
    assert server.seen[0].headers["content-type"] == "application/json"
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_video_request_is_that_of_the_document_down_to_the_capital_d(server: Scripted) -> None:
    model = models()["tencent/Kling-3.0", "image2video"]
    values = {
        "prompt": DANCE,
        "key_frames": {"start": SIGNED},
        "mode": "std",
        "Duration": 3,
        "sound": False,
    }
    assert body(server, haiyi.generation(model, fill(model, values))) == {
        "model": {"model": "Kling-3.0", "provider": "tencent", "type": "image2video"},
        "parameters": {
            "key_frames": {"start": SIGNED},
            "mode": "std",
            "Duration": 3,
            "sound": False,
            "prompt": DANCE,
        },
    }


def test_a_model_with_defaults_is_sent_with_them() -> None:
    model = models()["kwai/kling-v3", "image2video"]
    assert fill(model, {"prompt": DANCE, "key_frames": {"start": SIGNED}}) == {
        "prompt": DANCE,
        "key_frames": {"start": SIGNED},
        "mode": "std",
        "duration": 8,
        "sound": False,
    }


def test_an_app_is_run_by_form_fields_with_its_files_inside(
    server: Scripted, tmp_path: Path
) -> None:
    image, video = clip(tmp_path, b"jpeg", "demo.jpg"), clip(tmp_path, b"film", "demo.mp4")
    inputs = {"input_image": image, "input_video": video}
    assert fields(server, haiyi.app(" 1234 ", "", "GPU-A800", inputs)) == [
        ("workflow_id", "", "1234"),
        ("cluster_name", "", "GPU-A800"),
        ("input_image", "demo.jpg", "jpeg"),
        ("input_video", "demo.mp4", "film"),
    ]


def test_an_apps_values_are_text_as_json_writes_them(server: Scripted) -> None:
    inputs = {"steps": 20, "cfg": 7.5, "tiled": True, "prompt": DANCE, "sizes": [1, 2]}
    assert fields(server, haiyi.app("1234", "7", "GPU-A800", inputs)) == [
        ("workflow_id", "", "1234"),
        ("cluster_name", "", "GPU-A800"),
        ("version_id", "", "7"),
        ("steps", "", "20"),
        ("cfg", "", "7.5"),
        ("tiled", "", "true"),
        ("prompt", "", DANCE),
        ("sizes", "", "[1, 2]"),
    ]


def test_a_workflow_is_wrapped_as_the_document_does(server: Scripted) -> None:
    prompt = {"73": {"class_type": "LoadImage", "inputs": {"image": "input0.jpg"}}}
    assert body(server, haiyi.workflow(prompt, "GPU-4090")) == {
        "parameters": {"prompt": prompt},
        "cluster_name": "GPU-4090",
    }


@pytest.mark.parametrize(
    ("endpoint", "path", "answer", "hosted"),
    [
        (GENERATE, "file/upload", {"success": True, "url": SIGNED, "filename": FOX}, SIGNED),
        (WORKFLOW, "workflow/upload/file", envelope({"filename": "5f2c.jpg"}), "5f2c.jpg"),
    ],
)
def test_a_file_is_uploaded_as_file_under_its_own_name_in_any_script(
    server: Scripted, tmp_path: Path, endpoint: str, path: str, answer: Any, hosted: str
) -> None:
    server.on(V1 + path, answer_json(answer))
    request = Request("haiyi", endpoint, {})
    assert platform(server).upload(clip(tmp_path, PNG, FOX), request) == hosted
    assert server.seen[0].body.count(b"Content-Disposition") == 1
    assert f'name="file"; filename="{FOX}"'.encode() in server.seen[0].body


def test_a_workflow_gets_the_name_its_file_has_there_and_not_its_own(
    server: Scripted, tmp_path: Path
) -> None:
    server.on(V1 + "workflow/upload/file", answer_json(envelope({"filename": "5f2c.jpg"})))
    done = envelope({"status": "success", "outputs": [{"output": "text", "error_type": "info"}]})
    server.on(V1 + "workflow/task/5021", answer_json(done))
    node = {"class_type": "LoadImage", "inputs": {"image": clip(tmp_path, PNG, FOX)}}
    with Play() as play:
        play.result(platform(server), haiyi.workflow({"73": node}, "GPU-4090"), tmp_path)
    (submit,) = server.asked(V1 + "workflow/task/submit")
    assert submit.json()["parameters"]["prompt"]["73"]["inputs"] == {"image": "5f2c.jpg"}


@pytest.mark.parametrize("answer", [{}, {"url": ""}, {"url": None}, [SIGNED], {"url": [SIGNED]}])
def test_an_upload_without_an_address_is_named(
    server: Scripted, tmp_path: Path, answer: Any
) -> None:
    server.on(V1 + "file/upload", answer_json(answer))
    with pytest.raises(BadResult, match=r"The answer to the upload of a\.png has no url"):
        platform(server).upload(clip(tmp_path, PNG, "a.png"), Request("haiyi", GENERATE, {}))


def test_hosted_files_are_counted_on_for_as_long_as_is_safe() -> None:
    provider = HaiYi(Http("HaiYi", "http://127.0.0.1:1", {}))
    generate, raw = Request("haiyi", GENERATE, {}), Request("haiyi", WORKFLOW, {})
    assert provider.url_lifetime(SIGNED, generate) == 86400  # its signature ends in 2036
    assert provider.url_lifetime("https://host.example/a.png?Expires=1000", generate) <= 0
    assert provider.url_lifetime("https://host.example/a.png", generate) == 600
    assert provider.url_lifetime("5f2c.jpg", raw) == 0  # how long a cluster keeps it is not said


@pytest.mark.parametrize("hours", [-30, -5, 0, 5, 30])
def test_a_clock_that_is_hours_wrong_does_not_stretch_what_a_signature_says(
    server: Scripted, tmp_path: Path, hours: int
) -> None:
    there = int(time.time()) + hours * 3600
    url = f"https://host.example/a.png?Expires={there + 5 * 3600}&Signature=x"
    server.on(V1 + "file/upload", answer_json({"url": url}, date=formatdate(there, usegmt=True)))
    provider, request = platform(server), Request("haiyi", GENERATE, {})
    provider.upload(clip(tmp_path, PNG, "a.png"), request)
    assert provider.url_lifetime(url, request) == pytest.approx(4 * 3600, abs=600)


@pytest.mark.parametrize("date", ["soon", "Thu, 99 Foo 2026 00:00:00 GMT", ""])
def test_a_date_that_is_none_leaves_it_to_our_own_clock(
    server: Scripted, tmp_path: Path, date: str
) -> None:
    url = f"https://host.example/a.png?Expires={int(time.time()) + 5 * 3600}"
    server.on(V1 + "file/upload", answer_json({"url": url}, date=date))
    provider, request = platform(server), Request("haiyi", GENERATE, {})
    provider.upload(clip(tmp_path, PNG, "a.png"), request)
    assert provider.url_lifetime(url, request) == pytest.approx(4 * 3600, abs=600)


# -- task ids -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "task_id"),
    [
        ({"task_id": 24317, "status": "submitted"}, "24317"),
        ({"task_id": "24317"}, "24317"),
        (envelope({"task_id": 230}), "230"),
        ({"msg": "success", "data": {"task_id": 230}}, "230"),
        ({"code": 200, "data": {"task_id": 230}}, "230"),
        ({"code": "0", "data": {"task_id": 230}}, "230"),
        ({"code": "", "data": {"task_id": 230}}, "230"),
    ],
)
def test_a_task_id_is_found_where_an_answer_holds_it(
    server: Scripted, answer: Any, task_id: str
) -> None:
    server.on(V1 + "generate/image", answer_json(answer))
    assert platform(server).submit(Request("haiyi", GENERATE, {})) == task_id


@pytest.mark.parametrize(
    "answer", [envelope(None), envelope({}), {"task_id": 0}, {"task_id": ""}, [], None, "ok"]
)
def test_a_submit_answered_without_an_id_may_have_been_charged(
    server: Scripted, answer: Any
) -> None:
    server.on(V1 + "generate/image", answer_json(answer))
    with pytest.raises(OutcomeUnknown, match="may have been charged"):
        platform(server).submit(Request("haiyi", GENERATE, {}))


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        (GENERATE, "generate/result/a%2Fb"),
        (APP, "workflow/apps/task/a%2Fb"),
        (WORKFLOW, "workflow/task/a%2Fb"),
    ],
)
def test_a_task_is_asked_for_where_it_was_submitted(
    server: Scripted, endpoint: str, path: str
) -> None:
    server.on("*", answer_json({"status": "running"}))
    platform(server).poll(Task("haiyi", endpoint, "a/b"))
    assert server.seen[0].target == V1 + path


# -- errors inside a 200 --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (envelope(None, 401, "token invalid"), AuthRejected),
        (envelope(None, "403", "no right"), AuthRejected),
        (envelope(None, 402, "no money"), OutOfCredit),
        (envelope(None, 1007, "\u4f59\u989d\u4e0d\u8db3"), OutOfCredit),
        (envelope(None, 429, "slow down"), RateLimited),
        (envelope(None, 404, "no such task"), NotFound),
        (envelope(None, 500, "broken"), ServerFault),
        (envelope(None, 1004, "no such workflow"), InputRejected),
        (envelope(None, -1, "no such workflow"), InputRejected),
        (envelope(None, "PARAM_ERROR", "no such workflow"), InputRejected),
        ({"success": False, "message": "file type is not taken"}, InputRejected),
        ({"code": 1, "detail": {"why": "unheard of"}}, InputRejected),
    ],
)
def test_an_error_code_in_a_200_is_an_error_of_its_class(
    server: Scripted, answer: Any, kind: type[ApiError]
) -> None:
    server.on(V1 + "workflow/task/5021", answer_json(answer))
    with pytest.raises(ApiError) as caught:
        platform(server).poll(Task("haiyi", WORKFLOW, "5021"))
    assert type(caught.value) is kind
    words = answer.get("msg") or answer.get("message") or "unheard of"
    assert words in str(caught.value)
    assert str(answer.get("code", "")) in str(caught.value)


def test_a_refusal_in_a_200_is_no_unknown_outcome(server: Scripted, tmp_path: Path) -> None:
    server.on(V1 + "workflow/apps/run", answer_json(envelope(None, 1004, "no such workflow")))
    with Play() as play, pytest.raises(InputRejected, match=r"no such workflow \(code 1004\)"):
        play.result(platform(server), haiyi.app("9", "", "GPU-A800", {}), tmp_path)
    assert server.counts[V1 + "workflow/apps/run"] == 1


# -- what is refused here -------------------------------------------------------------------


def test_an_app_needs_its_number() -> None:
    with pytest.raises(InvalidInput, match="HaiYi: workflow_id is empty"):
        haiyi.app("  ", "", "", {})


@pytest.mark.parametrize("name", ["workflow_id", "version_id", "cluster_name"])
def test_an_apps_input_cannot_be_called_like_a_fixed_field(name: str) -> None:
    with pytest.raises(InvalidInput, match=f'"{name}" is set by the node itself'):
        haiyi.app("1234", "", "", {"steps": 1, name: "x"})


# -- clusters -------------------------------------------------------------------------------

FIVE = [("GPU-4090", 2, 22), ("GPU-A800", 8, 21), ("GPU-A800x8", 0, -1)]
STATUS = envelope(
    [
        {"name": n, "display_name": f"{n}-24GB", "curr_nodes": running, "max_nodes": most}
        for n, running, most in FIVE
    ]
)


def test_clusters_are_read_and_minus_one_is_unknown(server: Scripted) -> None:
    server.on(CLUSTERS, answer_json(STATUS))
    found = platform(server).clusters()
    assert found[0] == Cluster("GPU-4090", "GPU-4090-24GB", 2, 22)
    assert [cluster.room for cluster in found] == [20, 13, 0]
    assert found[2].most is None
    assert haiyi.cluster_report(found).splitlines() == [
        "GPU-4090: 2 running, 22 at most (GPU-4090-24GB)",
        "GPU-A800: 8 running, 21 at most (GPU-A800-24GB)",
        "GPU-A800x8: 0 running, unknown at most (GPU-A800x8-24GB)",
    ]


@pytest.mark.parametrize("chosen", ["auto", ""])
def test_auto_is_asked_for_when_it_is_submitted(server: Scripted, chosen: str) -> None:
    server.on(CLUSTERS, answer_json(STATUS))
    provider = platform(server)
    for request in (haiyi.app("1234", "", chosen, {}), haiyi.workflow({}, chosen)):
        assert provider.prepare(request).payload["cluster_name"] == "GPU-4090"


def test_a_named_cluster_is_taken_as_it_is_and_nobody_is_asked(server: Scripted) -> None:
    request = haiyi.workflow({}, "GPU-H20")
    assert platform(server).prepare(request) == request
    assert server.seen == []


def test_among_equals_the_first_cluster_is_taken_and_without_any_it_says_so() -> None:
    full = [Cluster("a", "a", 9, 5), Cluster("b", "b", 0, None)]
    assert haiyi.most_free_cluster(full) == "a"
    with pytest.raises(InvalidInput, match="No cluster is active right now"):
        haiyi.most_free_cluster([])


def cluster(name: str, running: int, most: int | None, label: str = "") -> Cluster:
    return Cluster(name, label or name, running, most)


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("GPU-4090", "GPU-4090-24GB-\u5355\u5361", 1),
        ("GPU-A800x2", "GPU-A800-80GB-2\u5361", 2),
        ("GPU-A800x8", "", 8),
        ("any", "GPU-A800-80GB-\u516b\u5361", 8),
        ("any", "A100, 4 GPUs", 4),
        ("8xH100", "", 8),
        ("H20-X4", "", 4),
        ("GPUx4", "", 4),
        ("RTX4090", "", 1),
        ("RTX50", "", 1),
        ("cloud-x86", "", 1),
        ("GPU-RTX3090-24GB", "", 1),
        ("L40S", "", 1),
        ("GPU-A800", "GPU-A800-80GB-16\u5361", 16),
    ],
)
def test_the_cards_of_a_cluster_are_read_from_its_names(
    name: str, label: str, expected: int
) -> None:
    assert cards(cluster(name, 0, 1, label)) == expected


@pytest.mark.parametrize(
    ("listed", "taken"),
    [
        ([cluster("Ax4", 0, 40), cluster("A", 0, 1)], "A"),
        ([cluster("Ax4", 0, 40), cluster("Ax2", 0, 1), cluster("A", 9, 9)], "Ax2"),
        ([cluster("A", 1, 3), cluster("B", 0, 9), cluster("C", 0, 9)], "B"),
        ([cluster("Ax8", 9, None), cluster("Ax2", 3, 3), cluster("A", 1, 1)], "A"),
        ([cluster("A", 0, None), cluster("B", 7, 7), cluster("C", 7, 7)], "B"),
    ],
)
def test_auto_is_the_smallest_cluster_with_room(listed: list[Cluster], taken: str) -> None:
    assert haiyi.most_free_cluster(listed) == taken


# -- models ---------------------------------------------------------------------------------


ROW = {"provider": "kwai", "model": "kling-v3", "label": "V3", "type": "text2video"}
PROMPT = {"name": "prompt", "type": "text", "required": True}


@pytest.mark.parametrize(
    ("rules", "unread", "names"),
    [
        ([PROMPT], False, ["prompt"]),
        ([], False, []),
        (None, True, []),
        ("none", True, []),
        ([{"type": "text"}, "prompt"], True, []),
        ([PROMPT, {"type": "text"}], False, ["prompt"]),
    ],
)
def test_a_row_that_says_nothing_of_its_parameters_is_unread(
    rules: Any, unread: bool, names: list[str]
) -> None:
    model = haiyi.HaiYi.read_row({**ROW, "parameter_rules": rules})
    assert (model.unread, [param.name for param in model.params]) == (unread, names)
    assert haiyi.HaiYi.read_row(ROW).unread


@pytest.mark.parametrize("info", [{}, {"model": "x"}, {"parameter_rules": None}, [], "busy"])
def test_details_without_rules_do_not_replace_those_known(server: Scripted, info: Any) -> None:
    server.on(V1 + "model/info", answer_json(info))
    with pytest.raises(BadResult, match="no parameter_rules"):
        platform(server).complete_row(ROW)


def test_an_empty_list_of_rules_is_believed(server: Scripted) -> None:
    server.on(V1 + "model/info", answer_json({"parameter_rules": []}))
    known = {**ROW, "parameter_rules": [PROMPT]}
    assert platform(server).complete_row(known)["parameter_rules"] == []


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("array[integer]", "array[number]"),
        ("list[str]", "array[string]"),
        ("Array[Image]", "array[image]"),
        ("dict[text]", "dict[string]"),
        ("integer", "int"),
        ("array[object]", "array[object]"),
        ("color", "color"),
    ],
)
def test_a_type_is_read_as_the_documents_word_for_it(kind: str, expected: str) -> None:
    rule = {"name": "p", "type": kind, "default": "8"}
    (param,) = haiyi.HaiYi.read_row({**ROW, "parameter_rules": [rule]}).params
    assert param.type == expected
    assert param.default == (8 if expected == "int" else "8")


def test_models_are_listed_and_completed_as_the_document_asks(server: Scripted) -> None:
    listed = [{"provider": "kwai", "model": "kling-v3", "label": "V3", "type": "image2video"}]
    info = {
        "model": "kling-v3",
        "label": "V3",
        "model_type": "image2video",
        "parameter_rules": [{"name": "prompt", "type": "text", "required": True}],
        "provider": {"provider": "kwai", "label": "K"},
    }
    server.on(V1 + "model/list", answer_json(listed))
    server.on(V1 + "model/info", answer_json(info))
    provider = platform(server)
    (row,) = provider.list_rows()
    model = provider.read_row(provider.complete_row(row))
    assert parse_qs(urlsplit(server.seen[1].target).query) == {
        "provider": ["kwai"],
        "model": ["kling-v3"],
        "type": ["image2video"],
    }
    assert (model.id, model.task, [p.name for p in model.params]) == (
        "kwai/kling-v3",
        "image2video",
        ["prompt"],
    )
    assert json.dumps(row)  # it goes into the cache as it is


def test_view_is_asked_with_the_key_at_home(server: Scripted, tmp_path: Path) -> None:
    bare = {"id": "81", "title": "Save", "output": FOX, "error_type": "info"}
    done = envelope({"status": "success", "outputs": [bare]})
    server.on(V1 + "workflow/task/5021", answer_json(done))
    server.on("/api/view", Answer(body=PNG))
    with Play() as play:
        result = play.result(platform(server), haiyi.workflow({}, "GPU-4090"), tmp_path)
    (view,) = server.asked("/api/view")
    assert parse_qs(urlsplit(view.target).query) == {"type": ["output"], "filename": [FOX]}
    assert view.target.isascii()
    assert view.headers["authorization"] == f"Bearer {KEY}"
    assert result.files[0].node_id == "81"
