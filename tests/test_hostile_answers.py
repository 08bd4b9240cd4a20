"""Pins that nothing a platform or a host of results answers loses an order, or its row."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile import Hostile
from orders import png
from scripted import Answer, Scripted, answer_json
from skyport.engine.base.errors import SkyportError
from skyport.engine.base.json_tree import MAX_DEPTH, parse, parse_strict
from skyport.engine.base.types import Request
from skyport.engine.http.error_answers import parse_date, parse_retry_after
from skyport.engine.ledger.ledger import EVERYTHING, Row, State
from skyport.engine.tasks.public_view import row_to_json
from test_answers import ENDPOINTS, Endpoint, provider
from virtual import Play, in_memory

MANY = pytest.param(1_000, marks=pytest.mark.soak)
PNG = png()


def answer(hostile: Hostile, endpoint: Endpoint, said: dict[str, Any]) -> Answer:
    return Answer(raw=hostile.answer(endpoint.wrap(said)))


def order(endpoint: Endpoint) -> Request:
    return Request(endpoint.platform, endpoint.name, endpoint.payload or {"model": "m"})


def carried(
    play: Play, endpoint: Endpoint, server: Scripted, into: Path
) -> tuple[list[bytes], SkyportError | None]:
    """The files that come of an order, or its error."""
    try:
        result = play.result(provider(endpoint, server.url), order(endpoint), into)
    except SkyportError as error:
        return [], error
    return [file.path.read_bytes() for file in result.files], None


def only_row(play: Play) -> Row:
    """The order's row, as the list of jobs and the command show it."""
    (row,) = play.runner.ledger.rows(EVERYTHING)
    json.dumps(row_to_json(row), allow_nan=False).encode()
    return row


def endpoint_of(hostile: Hostile) -> Endpoint:
    return hostile.one_of(*ENDPOINTS)


@pytest.mark.parametrize("count", [60, MANY])
def test_no_answer_to_a_poll_loses_a_result(tmp_path: Path, count: int) -> None:
    for seed in range(count):
        hostile = Hostile(seed)
        endpoint = endpoint_of(hostile)
        with Scripted() as server, Play(in_memory()) as play:
            running = {"status": endpoint.running}
            done = {"status": endpoint.success, "url": f"{server.url}/result.png"}
            server.on(
                "*",
                answer_json(endpoint.wrap({"task_id": "7"})),
                *(answer(hostile, endpoint, running) for _ in range(3)),
                answer(hostile, endpoint, done),
                answer_json(endpoint.wrap(done)),
            )
            server.on("/result.png", Answer(raw=hostile.response(PNG)), Answer(200, PNG))
            files, error = carried(play, endpoint, server, tmp_path)
            assert (files, error) == ([PNG], None), f"seed {seed}, {endpoint}"
            assert only_row(play).state is State.DELIVERED, f"seed {seed}"


@pytest.mark.parametrize("count", [60, MANY])
def test_no_answer_to_a_submit_loses_the_row(tmp_path: Path, count: int) -> None:
    for seed in range(count):
        hostile = Hostile(seed)
        endpoint = endpoint_of(hostile)
        with Scripted() as server, Play(in_memory()) as play:
            failed = {"status": endpoint.failure, "message": "bad prompt"}
            said = answer(hostile, endpoint, {"task_id": "7"})
            server.on("*", said, answer_json(endpoint.wrap(failed)))
            _, error = carried(play, endpoint, server, tmp_path)
            row = only_row(play)
            assert error is not None, f"seed {seed}"
            # Either its id was read, and then its end; or nobody knows.
            expected = State.FAILED if row.task else State.UNKNOWN
            assert row.state is expected, f"seed {seed}, {endpoint}: {error}"


@pytest.mark.parametrize("count", [40, MANY])
def test_a_result_that_is_redirected_anywhere_can_be_had_later(tmp_path: Path, count: int) -> None:
    for seed in range(count):
        hostile = Hostile(seed)
        endpoint = endpoint_of(hostile)
        with Scripted() as server, Play(in_memory()) as play:
            done = {"status": endpoint.success, "url": f"{server.url}/result.png"}
            server.on(
                "*", answer_json(endpoint.wrap({"task_id": "7"})), answer_json(endpoint.wrap(done))
            )
            moved = hostile.response(
                PNG, hostile.one_of(301, 302, 307, 206, 304, 416, 400, 403, 500)
            )
            server.on("/result.png", Answer(raw=moved.replace(b"\r\n\r\n", hostile.target(), 1)))
            files, error = carried(play, endpoint, server, tmp_path)
            assert only_row(play).task is not None, f"seed {seed}: {error}"
            server.on("/result.png", Answer(200, PNG))
            again = files or carried(play, endpoint, server, tmp_path)[0]
            assert again == [PNG], f"seed {seed}, {endpoint}: {error}"
            sent = [seen for seen in server.seen if seen.method == "POST"]
            assert len(sent) == 1, f"seed {seed}: ordered twice"


# -- the kinds, one by one ----------------------------------------------------------------------


def test_what_a_platform_says_is_shown_in_one_short_line_that_controls_no_terminal() -> None:
    said = "no\x1b[31m\x00 credit\u202e\x9b1A\r\nleft" + "!" * 5000
    with Scripted() as server:
        for answer in (
            Answer(400, said.encode()),
            answer_json({"error": {"message": said}}, 400),
            Answer(
                raw=b"HTTP/1.1 200 OK\r\nContent-Type: a\0"
                + b"b" * 50_000
                + b"\r\n\r\n"
                + said.encode()
            ),
        ):
            server.on("*", answer)
            with pytest.raises(SkyportError) as caught:
                provider(ENDPOINTS[0], server.url).submit(order(ENDPOINTS[0]))
            shown = str(caught.value)
            assert re.search("[\x00-\x1f\x7f-\x9f\u202e]", shown) is None, shown
            assert "no [31m credit 1A left" in shown
            assert len(shown) < 1500


@pytest.mark.parametrize("levels", [MAX_DEPTH, 500, 1000, 100_000])
def test_a_task_id_beside_anything_deep_is_read(tmp_path: Path, levels: int) -> None:
    endpoint = ENDPOINTS[0]
    deep = '{"task_id": "7", "x": ' + '{"a":[' * levels + "]}" * levels + "}"
    with Scripted() as server, Play(in_memory()) as play:
        failed = {"status": endpoint.failure, "message": "bad prompt"}
        server.on("*", Answer(200, deep.encode()), answer_json(failed))
        carried(play, endpoint, server, tmp_path)
        assert only_row(play).state is State.FAILED


def test_json_is_read_to_a_depth_and_the_rest_left_out() -> None:
    def nested(levels: int) -> str:
        return "[" * levels + "]" * levels

    assert parse(nested(MAX_DEPTH)) == json.loads(nested(MAX_DEPTH))
    tree: Any = parse(f'{{"a": {nested(MAX_DEPTH + 5)}, "b": "[[{{", "c": 1}}')
    assert (tree["b"], tree["c"]) == ("[[{", 1)
    for _ in range(MAX_DEPTH - 1):
        tree = tree["a"] if isinstance(tree, dict) else tree[0]
    assert tree == [None]


def refuses(read: Callable[[Any], Any], text: Any) -> bool:
    try:
        read(text)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize(
    "text",
    [
        "[" * 500,
        "[" * 500 + "]" * 499,
        "]" * 500,
        '"' + '\\"' * 99,
        "[" * 200 + '"' + "]" * 200,
        "",
    ],
)
def test_what_is_no_json_is_refused_however_deep(text: str) -> None:
    assert refuses(parse, text)
    assert refuses(parse_strict, text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("NaN", None), ("[1e999, 2]", [None, 2]), ("-Infinity", None), ("9" * 5000, "9" * 5000)),
        *((b'"\xff"', "\ufffd"), (b'"\xed\xa0\x80"', "\ufffd" * 3), ('"\\ud800"', "\ufffd")),
        *(('{"a": 1, "a": 2}', {"a": 2}), (b'\xef\xbb\xbf{"a": 1}', {"a": 1})),
        ('{"a": 1}'.encode("utf-16"), {"a": 1}),
    ],
)
def test_json_of_a_platform_is_read_as_far_as_it_can_be(text: Any, value: Any) -> None:
    assert parse(text) == value


@pytest.mark.parametrize("text", ["NaN", "[1e999]", "-Infinity", "[" * 101 + "]" * 101, b'"\xff"'])
def test_json_of_a_page_is_read_strictly(text: Any) -> None:
    assert refuses(parse_strict, text)


def test_headers_of_time_are_read_or_left_whatever_they_say() -> None:
    for seed in range(3000):
        value = Hostile(seed).header()
        assert parse_date(value) is None or isinstance(parse_date(value), float)
        pause = parse_retry_after(value, 0.0)
        assert pause is None or pause >= 0
