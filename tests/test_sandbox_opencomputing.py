"""Pins that the imitation of OpenComputing takes what its document shows, and nothing else."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import av
import pytest
import requests
from _waiting import PATIENCE, until
from PIL import Image
from skyport.sandbox import Sandbox, start

V1 = "/llmage/v1/"
PNG = io.BytesIO()
Image.new("RGB", (64, 48), "teal").save(PNG, "PNG")
FILE = ("1.png", PNG.getvalue(), "image/png")
DOUBAO = "doubao-seedance-2-0-260128"


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with start(pace=0.01) as box:
        yield box


def send(box: Sandbox, method: str, path: str, key: str = "", **how: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {key or box.key('opencomputing')}"}
    url = box.base_url("opencomputing") + V1 + path
    return requests.request(method, url, headers=headers, timeout=PATIENCE, **how)


def refusal(answer: requests.Response, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    return str(answer.json()["error"])


def picture(box: Sandbox, **fields: Any) -> requests.Response:
    body = {"model": "wan2.2-t2i-plus", "catelogid": "t2i", "prompt": "a cat", **fields}
    return send(box, "POST", "image/generations", json=body)


def video(box: Sandbox, **fields: Any) -> requests.Response:
    body = {"model": "viduq3-pro", "catelogid": "t2v", "prompt": "a cat", **fields}
    return send(box, "POST", "video/generations", json=body)


def form(box: Sandbox, files: Any, **fields: Any) -> requests.Response:
    values = {"model": DOUBAO, "catelogid": "i2v", "prompt": "a cat", **fields}
    parts = [(name, (None, text)) for name, text in values.items()]
    return send(box, "POST", "video/generations", files=[*parts, *files])


def chat(box: Sandbox, prompt: str = "a cat", **fields: Any) -> requests.Response:
    body = {"model": "qwen3-max", "catelogid": "t2t", "prompt": prompt, **fields}
    return send(box, "POST", "chat/completions", json=body, stream=True)


def finished(box: Sandbox, answer: requests.Response) -> Any:
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "CREATED"
    task_id = answer.json()["taskid"]

    def over() -> Any:
        body = send(box, "GET", f"tasks?taskid={task_id}").json()
        assert body["status"] in ("PENDING", "RUNNING", "SUCCEEDED", "FAILED")
        return body if body["status"] in ("SUCCEEDED", "FAILED") else None

    return until(over)


# -- what is taken --------------------------------------------------------------------------


def test_a_picture_is_under_image_with_its_credits(box: Sandbox) -> None:
    answer = finished(box, picture(box, negative_prompt="blurred"))
    assert answer["usage"]["credits"] == 1
    assert "video" not in answer
    with Image.open(io.BytesIO(requests.get(answer["image"], timeout=PATIENCE).content)) as image:
        assert image.format == "PNG"


def test_a_video_comes_with_a_cover_and_the_vendors_number(box: Sandbox) -> None:
    answer = video(box, duration=1, ratio="16:9", resolution="540p", off_peak="N")
    task = finished(box, answer)
    assert task["taskid"] != answer.json()["taskid"]
    assert task["usage"]["duration"] == 1
    assert "cover" in task["image"]
    with av.open(io.BytesIO(requests.get(task["video"], timeout=PATIENCE).content)) as film:
        assert film.streams.video


def test_frames_and_references_are_taken_as_forms(box: Sandbox) -> None:
    both = [("image1_file", FILE), ("image2_file", FILE)]
    assert finished(box, form(box, both, duration="1"))["video"]
    images = [("image_files", FILE), ("image_files", FILE)]
    assert finished(box, form(box, images, catelogid="ref2v", duration="1"))["video"]


def test_chat_streams_chunks_as_they_come(box: Sandbox) -> None:
    answer = chat(box, stream=True)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    lines = [line for line in answer.iter_lines(decode_unicode=True) if line]
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert len(chunks) > 5
    assert text.startswith("a cat.")
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert [chunk["finish"] for chunk in chunks][-2:] == ["0", "1"]


def test_chat_answers_at_once_where_no_stream_is_asked_for(box: Sandbox) -> None:
    body = chat(box, sys_prompt="in verse", stream=False).json()
    assert body["content"] == body["choices"][0]["message"]["content"]
    assert "in verse" in body["content"]
    assert body["usage"]["credits"] == 0.02


def test_a_model_that_thinks_says_so_first(box: Sandbox) -> None:
    answer = chat(box, model="sandbox-thinker", stream=True)
    first = next(line for line in answer.iter_lines() if b'reasoning_content": "' in line)
    assert json.loads(first[6:])["content"] == ""


@pytest.mark.parametrize("category", ["t2t", "t2i", "t2v", "i2v", "ref2v"])
def test_models_are_listed_by_category_with_new_ones(box: Sandbox, category: str) -> None:
    listed = send(box, "GET", f"models?catelogid={category}").json()["data"]
    assert {row["catelogid"] for row in listed} == {category}
    assert any(row["id"].startswith("sandbox-") for row in listed)


# -- what is refused ------------------------------------------------------------------------


def test_a_wrong_key_is_refused_in_the_documents_words(box: Sandbox) -> None:
    answer = send(box, "GET", "models", key="sk-wrong")
    assert (answer.status_code, answer.json()) == (401, {"error": "Invalid API Key"})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prompt": ""}, "Missing required parameter: prompt"),
        ({"catelogid": "t2i"}, "catelogid"),
        ({"model": "viduq9"}, "viduq9"),
        ({"seed": 1}, "seed"),
        ({"duration": "10"}, "integer"),
        ({"duration": 17}, "1 to 16"),
        ({"off_peak": True}, "string"),
        ({"resolution": "480p"}, "540p"),
        ({"model": "happyhorse-1.0-t2v", "ratio": "adaptive"}, "ratio"),
        ({"model": "wan2.6-t2v", "duration": 6}, "duration"),
        ({"catelogid": "i2v"}, "catelogid"),
    ],
)
def test_what_a_table_does_not_allow_is_refused(box: Sandbox, fields: Any, words: str) -> None:
    before = box.charges["opencomputing"]
    assert words in refusal(video(box, **fields))
    assert box.charges["opencomputing"] == before


@pytest.mark.parametrize(
    ("files", "fields", "words"),
    [
        ([("image1_file", FILE)], {}, "Missing required parameter: image2_file"),
        ([("image_file1", FILE), ("image_file2", FILE)], {}, "image_file1"),
        ([("image1_file", FILE), ("image2_file", FILE)], {"duration": "5.0"}, "whole number"),
        ([("image1_file", FILE), ("image2_file", FILE)], {"prompt": ""}, "parameter: prompt"),
        ([("image1_file", FILE), ("image2_file", (None, "http://a/b"))], {}, "must be a file"),
        (
            [("image_files", FILE)] * 10,
            {"model": "happyhorse-1.0-r2v", "catelogid": "ref2v"},
            "at most 9",
        ),
        ([("image_files", FILE), ("video_files", FILE)], {"catelogid": "ref2v"}, "video"),
        ([], {"catelogid": "ref2v"}, "image_files"),
    ],
)
def test_a_form_is_read_to_the_letter(box: Sandbox, files: Any, fields: Any, words: str) -> None:
    assert words in refusal(form(box, files, **fields))


def test_files_do_not_come_as_json_and_text_not_as_a_form(box: Sandbox) -> None:
    assert "catelogid" in refusal(video(box, model=DOUBAO, catelogid="i2v"))
    assert "catelogid" in refusal(form(box, [], model="viduq3-pro", catelogid="t2v"))


@pytest.mark.parametrize("fields", [{"stream": "true"}, {"messages": []}, {"sys_prompt": None}])
def test_a_question_is_read_to_the_letter(box: Sandbox, fields: Any) -> None:
    refusal(chat(box, **fields))


@pytest.mark.parametrize("query", ["tasks?taskid=oc-999999", "tasks?taskid=17"])
def test_an_unknown_task_is_refused(box: Sandbox, query: str) -> None:
    refusal(send(box, "GET", query), 404)


# -- going wrong on demand ------------------------------------------------------------------


def test_an_empty_balance_is_told_in_the_documents_words(box: Sandbox) -> None:
    fields = {"error": "Insufficient balance"}
    box.faults.add("POST /llmage/v1/image/generations", "status", status=429, body=fields)
    answer = picture(box)
    assert (answer.status_code, answer.json()) == (429, fields)
    assert "Insufficient balance" in refusal(picture(box, prompt="[[balance]]"), 429)


def test_a_task_fails_with_a_reason_where_it_is_asked_to(box: Sandbox) -> None:
    answer = finished(box, picture(box, prompt="[[fail:no cats]]"))
    assert (answer["status"], answer["error"]) == ("FAILED", "no cats")
    assert "image" not in answer


@pytest.mark.parametrize(
    ("marker", "ending"), [("[[cut]]", None), ("[[fail:tired]]", {"error": "tired"})]
)
def test_a_stream_breaks_off_in_the_middle(box: Sandbox, marker: str, ending: Any) -> None:
    answer = chat(box, f"{marker} a cat", stream=True)
    lines = []
    try:
        lines = _lines(answer)
    except requests.exceptions.ChunkedEncodingError:
        assert ending is None
    else:
        assert ending is not None
        assert json.loads(lines[-1].removeprefix("data: ")) == ending


def _lines(answer: requests.Response) -> list[str]:
    return [line for line in answer.iter_lines(decode_unicode=True) if line]
