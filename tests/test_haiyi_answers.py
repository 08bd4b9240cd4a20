"""Pins that any plausible answer of HaiYi is understood: not all are in its document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skyport.engine.base.errors import TaskFailed
from skyport.engine.base.types import Choice, Model, Output, Status, Task, TaskState
from skyport.engine.http.client import Http
from skyport.engine.media.files import describe
from skyport.engine.platforms.parameters import fill
from skyport.providers import haiyi
from skyport.providers.haiyi import APP, GENERATE, HaiYi, _answers, _models
from skyport.sandbox import Sandbox, start
from skyport.sandbox._haiyi_bodies import SHAPES
from virtual import Play

BASE = "https://art.huya.info"
CDN = "https://cdn.example/haiyi"
INPUT = f"{CDN}/input.png?Expires=1&Signature=old"
A, B = f"{CDN}/a.png?Signature=x%2Fy", f"{CDN}/b.mp4"
FOX = "\u72d0\u72f8 \u89c6\u9891.mp4"
QUOTED_FOX = "%E7%8B%90%E7%8B%B8%20%E8%A7%86%E9%A2%91.mp4"
VIEW = f"{BASE}/api/view?type=output&filename="


def state_of(body: Any) -> TaskState:
    task = Task("haiyi", GENERATE, "1", frozenset({INPUT}))
    return _answers.GENERATION.state(body, task, BASE)


def urls(body: Any) -> list[str]:
    return [output.url for output in state_of(body).outputs]


def done(**more: Any) -> dict[str, Any]:
    return {"status": "success", **more}


# -- generate/result: status ----------------------------------------------------------------


@pytest.mark.parametrize("key", ["status", "task_status", "state"])
@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("submitted", Status.QUEUED),
        ("PENDING", Status.QUEUED),
        ("running", Status.RUNNING),
        ("Processing", Status.RUNNING),
        ("SUCCESS", Status.SUCCEEDED),
        ("completed", Status.SUCCEEDED),
        ("fail", Status.FAILED),
        ("FAILED", Status.FAILED),
        ("canceled", Status.CANCELLED),
    ],
)
def test_a_status_is_found_wherever_it_stands(key: str, word: str, status: Status) -> None:
    for body in ({key: word}, {"data": {key: word}}, {"output": {key: word}}):
        state = state_of(body)
        assert (state.status, state.word, state.known) == (status, word, True)


def test_the_status_of_the_task_counts_and_not_that_of_the_answer() -> None:
    assert state_of({"status": "success", "data": {"task_status": "running"}}).word == "running"


@pytest.mark.parametrize("body", [None, [], "text", 5, {}, {"status": None}, {"status": 7}])
def test_an_answer_without_a_known_status_is_running_for_now(body: Any) -> None:
    state = state_of(body)
    assert (state.status, state.known, state.outputs) == (Status.RUNNING, False, ())


@pytest.mark.parametrize(
    ("value", "share"),
    [
        (42, 0.42),
        ("42%", 0.42),
        ("42", 0.42),
        (0.42, 0.42),
        (1, 0.01),
        (1.0, 1.0),
        (250, 1.0),
        (-1, None),
        ("soon", None),
        (True, None),
        (float("nan"), None),
        ({"total_progress": 94}, 0.94),
        ({"percent": 7}, 0.07),
    ],
)
def test_progress_is_a_share_however_it_is_told(value: Any, share: float | None) -> None:
    progress = state_of({"status": "running", "progress": value}).progress
    assert progress == (None if share is None else pytest.approx(share))


def test_a_success_is_at_a_hundred_percent_whatever_it_says() -> None:
    assert state_of(done(progress=94, url=A)).progress == 1.0


@pytest.mark.parametrize("key", ["message", "msg", "error", "fail_reason", "reason"])
def test_a_reason_is_found_under_every_usual_name(key: str) -> None:
    for words in ("no faces, please", {"message": "no faces, please"}):
        body = {"code": 0, "status": "fail", "data": {"x": 1, key: words}}
        assert state_of(body).message == "no faces, please"


def test_success_is_no_reason() -> None:
    assert state_of({"status": "fail", "message": "Success", "fail_reason": "nudity"}).message == (
        "nudity"
    )


# -- generate/result: what it made ----------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        done(url=A),
        done(result_url=A),
        done(result={"url": A}),
        done(result=A),
        done(urls=[A]),
        done(images=[{"url": A}]),
        done(data={"images": [A]}),
        done(output={"image": {"image_url": A, "width": 512}}),
        done(outputs=[{"type": "image", "content": {"url": A}}]),
        done(results=[[A]]),
        done(result=json.dumps({"images": [A]})),
        done(result=json.dumps([A])),
        done(unheard_of=A),
        done(url=A, urls=[A]),
    ],
    ids=lambda body: json.dumps({k: v for k, v in body.items() if k != "status"})[:40],
)
def test_a_result_is_found_wherever_it_stands_byte_for_byte(body: Any) -> None:
    assert urls(body) == [A]
    assert urls({"task_id": 1, "data": body}) == [A]


@pytest.mark.parametrize("key", ["url", "images", "video", "audios", "outputs", "data", "result"])
def test_several_results_come_in_order(key: str) -> None:
    assert urls(done(**{key: [B, A]})) == [B, A]


@pytest.mark.parametrize(
    "echo",
    [
        {"parameters": {"images": [f"{CDN}/unsent.png"]}},
        {"input": {"image": f"{CDN}/unsent.png"}},
        {"request": json.dumps({"image": f"{CDN}/unsent.png"})},
        {"images": [INPUT]},
        {"images": [INPUT.replace("old", "signed anew")]},
        {"key_frames": {"start": INPUT}},
        {"cover_url": f"{CDN}/cover.jpg"},
        {"thumbnail": f"{CDN}/thumb.jpg"},
        {"user": {"avatar": f"{CDN}/me.png"}},
        {"callback_url": "https://me.example/hook"},
        {"detail_page": f"{BASE}/tasks/1"},
        {"message": f"{BASE}/help"},
    ],
    ids=lambda echo: next(iter(echo)),
)
def test_what_is_no_result_is_left_out(echo: dict[str, Any]) -> None:
    assert urls(done(result_url=A, **echo)) == [A]
    assert urls(done(**echo, result_url=A)) == [A]


def test_only_a_success_has_results() -> None:
    assert state_of({"status": "running", "url": A}).outputs == ()


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("HAIYI_2025.mp4", VIEW + "HAIYI_2025.mp4"),
        (FOX, VIEW + QUOTED_FOX),
        ("/api/view?type=output&filename=a.png", VIEW + "a.png"),
        ("a & b?.png", VIEW + "a%20%26%20b%3F.png"),
    ],
)
def test_a_bare_file_name_is_viewed_at_home(value: str, url: str) -> None:
    assert urls(done(video=value)) == [url]


@pytest.mark.parametrize("value", ["a.exe", "../a.png", "C:\\a.png", "two\nlines.png", "done", ""])
def test_other_text_is_no_result(value: str) -> None:
    assert urls(done(video=value)) == []


def test_a_file_name_under_an_unusual_key_is_no_result() -> None:
    assert urls(done(url=A, title="fox.png", model="b.mp4")) == [A]


def test_views_are_told_apart_by_their_query() -> None:
    both = [VIEW + "a.png", VIEW + "b.png"]
    assert urls(done(images=both)) == both


def test_text_that_only_begins_like_an_address_does_no_harm() -> None:
    task = Task("haiyi", GENERATE, "1", frozenset({"http://[is this?", "http://x y"}))
    body = done(url=A, text="http://[broken", more="[1, {")
    assert [o.url for o in _answers.GENERATION.state(body, task, BASE).outputs] == [A]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([A, FOX]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["status", "data", "result", "url", "progress", "error", "outputs"])
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_answer_whatsoever_breaks_the_reading(body: Any) -> None:
    assert isinstance(state_of(body), TaskState)
    task = Task("haiyi", APP, "1")
    for tree in (body, {"status": "success", "outputs": body, "progress": body}):
        assert isinstance(_answers.WORKFLOW.state(tree, task, BASE), TaskState)
        assert isinstance(_answers.GENERATION.state(tree, task, BASE), TaskState)
    assert isinstance(_answers.WORKFLOW.find_task_id(body), str)


# -- apps/task and workflow/task ------------------------------------------------------------


def ran(status: str = "success", *outputs: Any, **more: Any) -> TaskState:
    data = {"status": status, "outputs": list(outputs), **more}
    return _answers.WORKFLOW.state({"code": 0, "data": data}, Task("haiyi", APP, "215"), BASE)


def row(output: Any, error_type: str = "info", title: str = "Save", node: Any = "81") -> Any:
    return {"id": node, "title": title, "output": output, "error_type": error_type}


def test_the_documents_sample_is_read() -> None:
    url = VIEW + "HAIYI_20251119033840_r-animate-aijuxi_00001-audio.mp4"
    node = {"id": 0, "title": "Unknown Node", "progress": 0}
    state = ran("success", row(url), progress={"curr_node": node, "total_progress": 94})
    assert state == TaskState(
        Status.SUCCEEDED,
        "success",
        1.0,
        node="",
        outputs=(Output(url=url, node_id="81", title="Save"),),
    )


@pytest.mark.parametrize(
    ("title", "shown"),
    [("KSampler", "KSampler"), ("Unknown Node", ""), ("unknown", ""), ("", ""), (None, "")],
)
def test_the_node_at_work_is_shown_where_it_is_known(title: Any, shown: str) -> None:
    progress = {"curr_node": {"id": 3, "title": title, "progress": 50}, "total_progress": 42}
    state = ran("running", progress=progress)
    assert (state.node, state.progress) == (shown, pytest.approx(0.42))
    assert state.node_progress == (0.5 if shown else None)


@pytest.mark.parametrize(("percent", "share"), [(1.0, 0.01), (1, 0.01), ("7", 0.07), (0.45, 0.45)])
def test_total_progress_is_a_percentage_unless_it_is_less_than_one(
    percent: Any, share: float
) -> None:
    state = ran("running", progress={"total_progress": percent})
    assert state.progress == pytest.approx(share)


def test_info_warning_and_error_are_told_apart() -> None:
    state = ran(
        "success",
        row("low memory", "warning", "KSampler"),
        row("a.png"),
        row("no audio track", "error", "VHS"),
        row("a caption"),
    )
    assert [output.url or output.text for output in state.outputs] == [VIEW + "a.png", "a caption"]
    assert state.warnings == ("KSampler: low memory", "VHS: no audio track")


def test_a_failure_says_what_its_nodes_said() -> None:
    state = ran("fail", row("out of memory", "error", "KSampler"), row("hm", "warning", ""))
    assert state.message == "KSampler: out of memory"
    assert ran("fail", row("no such model", "warning", "Unknown Node")).message == "no such model"
    assert ran("fail", fail_reason="timed out").message == "timed out"


def test_a_success_whose_nodes_all_failed_brings_their_words_and_nothing_else() -> None:
    state = ran("success", row("out of memory", "error", "KSampler"))
    assert (state.outputs, state.message) == ((), "KSampler: out of memory")


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("HAIYI_1.mp4", VIEW + "HAIYI_1.mp4"),
        (FOX, VIEW + QUOTED_FOX),
        (VIEW + FOX, VIEW + QUOTED_FOX),
        (B, B),
    ],
)
def test_a_workflows_file_is_a_full_url_or_a_name_with_or_without_spaces(
    value: str, url: str
) -> None:
    assert [output.url for output in ran("success", row(value)).outputs] == [url]
    assert [output.url for output in ran("success", row([value])).outputs] == [url]


@pytest.mark.parametrize("value", [None, "", "  ", [], 5, {"a": 1}])
def test_an_empty_output_is_none(value: Any) -> None:
    assert ran("success", row(value)).outputs == ()


@pytest.mark.parametrize("outputs", [None, {}, "text", 5, [None, "text"]])
def test_outputs_that_are_no_rows_are_none(outputs: Any) -> None:
    assert ran("success", outputs=outputs).outputs == ()


# -- model rows -----------------------------------------------------------------------------


def rule(**more: Any) -> Any:
    row = {"provider": "kwai", "model": "kling-v3", "type": "image2video"}
    return HaiYi.read_row({**row, "parameter_rules": [{"name": "p", **more}]}).params[0]


def test_rows_come_as_a_list_or_wrapped_and_the_unusable_are_left_out() -> None:
    good = {"provider": "kwai", "model": "kling-v3", "type": "image2video", "label": "V3"}
    other = {"provider": {"provider": "kwai"}, "model": "kling-v3", "model_type": "text2video"}
    listed = [good, other, {"provider": "kwai"}, None, 5]
    for answer in (listed, {"models": listed}, {"list": listed}, {"data": listed}):
        rows = _models.rows_in(answer)
        assert [(r["provider"], r["model"], r["type"]) for r in rows] == [
            ("kwai", "kling-v3", "image2video"),
            ("kwai", "kling-v3", "text2video"),
        ]
    assert _models.rows_in(None) == _models.rows_in("no") == []


def test_every_field_of_a_rule_is_read() -> None:
    param = rule(
        type="int",
        label="L",
        required=True,
        default=8,
        min="3",
        max=15,
        options=[{"value": 5, "label": "five"}, 10],
        size=4,
        help="H",
    )
    assert (param.type, param.label, param.required, param.default) == ("int", "L", True, 8)
    assert (param.min, param.max, param.max_items, param.help) == (3.0, 15.0, 4, "H")
    assert param.choices == (Choice(5, "five"), Choice(10))


@pytest.mark.parametrize(
    ("config", "field", "value"),
    [
        ({"max_size": 10}, "max_bytes", 10 * 1024 * 1024),
        ({"max_file_size": "10MB"}, "max_bytes", 10 * 1024 * 1024),
        ({"maxSizeMb": 20}, "max_bytes", 20 * 1024 * 1024),
        ({"size_limit_kb": 512}, "max_bytes", 512 * 1024),
        ({"max_bytes": 100}, "max_bytes", 100),
        ({"max_image_size": 10485760}, "max_bytes", 10485760),
        ({"min_width": 300}, "min_width", 300),
        ({"maxHeight": "4096"}, "max_height", 4096),
        ({"min_image_height": 300}, "min_height", 300),
        ({"formats": ["image/JPEG", ".png"]}, "formats", ("jpeg", "png")),
        ({"aspect_ratio": "1:2.5"}, "notes", "aspect_ratio: 1:2.5"),
        ({"max_size": "large"}, "notes", "max_size: large"),
        ("10MB", "notes", ""),
    ],
)
def test_a_limit_is_read_under_any_plausible_key_and_the_rest_is_kept_as_help(
    config: Any, field: str, value: Any
) -> None:
    assert getattr(rule(type="image", image_config=config).media, field) == value


RULE_FIELDS = ("name", "type", "required", "default", "min", "max", "options", "keys", "size")


@given(st.dictionaries(st.sampled_from([*RULE_FIELDS, "image_config"]), JSON))
def test_no_rule_whatsoever_takes_the_catalogue_down(rules: Any) -> None:
    row = {"provider": "kwai", "model": "kling-v3", "type": "image2video"}
    HaiYi.read_row({**row, "parameter_rules": [rules]})


# -- against the sandbox --------------------------------------------------------------------


@pytest.fixture
def box(play: Play) -> Iterator[Sandbox]:
    with start(clock=play.loop.time) as box:
        yield box


def platform(box: Sandbox) -> HaiYi:
    return HaiYi(Http("HaiYi", box.base_url("haiyi"), HaiYi.auth_headers(box.key("haiyi"))))


def offered(box: Sandbox, task: str) -> Model:
    """The first model it lists for `task`, read as a refresh reads it."""
    provider = platform(box)
    row = next(row for row in provider.list_rows() if row["type"] == task)
    return provider.read_row(provider.complete_row(row))


@pytest.mark.parametrize("shape", SHAPES)
def test_whatever_shape_it_answers_in_the_edited_picture_arrives_and_not_the_input(
    play: Play, box: Sandbox, tmp_path: Path, shape: str
) -> None:
    box.platforms["haiyi"].result_shape = shape  # type: ignore[attr-defined]
    Image.new("RGB", (64, 48), "red").save(tmp_path / "a.png")
    picture = describe(tmp_path / "a.png", FOX.replace("mp4", "png"))
    model = offered(box, "image2image")
    request = haiyi.generation(model, fill(model, {"prompt": "a fox", "images": [picture]}))
    (file,) = play.result(platform(box), request, tmp_path).files
    assert file.sha256 != picture.sha256
    assert box.charges == {"haiyi": 1}


def test_a_task_that_fails_there_is_named_with_its_reason(
    play: Play, box: Sandbox, tmp_path: Path
) -> None:
    model = offered(box, "text2image")
    request = haiyi.generation(model, fill(model, {"prompt": "a fox [[fail:too many foxes]]"}))
    with pytest.raises(TaskFailed, match=r"HaiYi task 24317: .*too many foxes"):
        play.result(platform(box), request, tmp_path)
