"""Pins that every result of a task is fetched, checked and delivered by itself: what is wrong with
one never withholds another, and whoever asks again fetches only what is missing.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from host import PACK
from scripted import Answer, Scripted, answer_json, answer_page
from skyport.engine.base.errors import BadResult, NotFound, SkyportError, TaskUnresolved
from skyport.engine.base.types import Kind, Output, Result, ResultFile, Task, TaskState
from skyport.engine.ledger.ledger import EVERYTHING, Row, State
from skyport.engine.platforms.answers import AnswerForm
from skyport.engine.tasks import history
from skyport.engine.tasks.collector import Backoff, collect
from skyport.engine.tasks.kept_files import match
from virtual import Cloud, Play, ended, in_memory, order

PNG, OTHER, THIRD = (b"\x89PNG\r\n\x1a\n" + bytes([n]) * 64 for n in range(3))
GLB = (PACK / "tests" / "fixtures" / "tiny.glb").read_bytes()
ZIP = (PACK / "tests" / "fixtures" / "tiny.zip").read_bytes()


def task_of(play: Play, server: Scripted, *paths: str) -> Cloud:
    """A platform whose tasks have a result at each of these paths of `server`."""
    cloud = play.cloud(url=server.url)
    cloud.outputs = tuple(Output(url=server.url + path) for path in paths)
    return cloud


def contents(result: Result) -> list[bytes]:
    return [file.path.read_bytes() for file in result.files]


def on_disk(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def row_of(play: Play) -> Row:
    (row,) = play.runner.ledger.rows(EVERYTHING)  # type: ignore[attr-defined]
    return row


WRONG: dict[str, tuple[Answer, str]] = {
    "a page": (answer_page("<html>sign in"), "sign in"),
    "an error in JSON": (answer_json({"code": 7, "msg": "no such file"}), "no such file"),
    "an error in XML": (Answer(body=b"<Error><Code>NoSuchKey</Code></Error>"), "NoSuchKey"),
    "nothing": (Answer(), "an empty body"),
    "gone": (Answer(404), "404"),
    "forbidden": (Answer(403), "403"),
    "broken host": (Answer(500, b"down"), "500"),
    "always cut": (Answer(body=PNG, cut=5), "connection"),
    "too large": (Answer(headers=(("Content-Length", str(3 << 30)),), length=False), "too large"),
    "private": (Answer(302, headers=(("Location", "http://10.1.2.3/a.png"),)), "10.1.2.3"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_result_that_is_wrong_in_any_way_withholds_no_other(
    play: Play, tmp_path: Path, server: Scripted, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_MAX_RESULT_MB", "100")
    answer, words = WRONG[wrong]
    cloud = task_of(play, server, "/a.png", "/b.png?Signature=secret", "/c.png")
    server.on("/a.png", Answer(body=PNG))
    server.on("/b.png", answer)
    server.on("/c.png", Answer(body=OTHER))
    result = play.result(cloud, order(), tmp_path)
    assert contents(result) == [PNG, OTHER]
    assert [one.number for one in result.missing] == [2]
    (warning, how) = result.warnings
    assert f"Result 2 of 3 ({server.url}/b.png)" in warning
    assert words in warning
    assert "secret" not in warning
    assert "only what is missing is fetched, at no charge" in how
    assert row_of(play).result is not None
    assert row_of(play).result.warnings == result.warnings  # type: ignore[union-attr]
    assert on_disk(tmp_path) == sorted([PNG, OTHER])


@pytest.mark.parametrize("wrong", WRONG)
def test_asked_again_only_what_is_missing_is_fetched_and_no_copy_is_left(
    play: Play, tmp_path: Path, server: Scripted, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_MAX_RESULT_MB", "100")
    cloud = task_of(play, server, "/a.png", "/b.png", "/c.png")
    server.on("/a.png", Answer(body=PNG))
    server.on("/b.png", WRONG[wrong][0])
    server.on("/c.png", Answer(body=OTHER))
    first = play.result(cloud, order(), tmp_path)
    server.on("/b.png", Answer(body=THIRD))
    again = play.result(cloud, order(), tmp_path)
    assert contents(again) == [PNG, THIRD, OTHER]
    assert (again.missing, again.warnings) == ((), ())
    assert (server.counts["/a.png"], server.counts["/c.png"]) == (1, 1)
    assert cloud.counts["submit"] == 1
    assert on_disk(tmp_path) == sorted([PNG, OTHER, THIRD])
    assert [file.path for file in first.files] == [again.files[0].path, again.files[2].path]
    assert row_of(play).success is None
    assert play.result(cloud, order(), tmp_path).reused


def test_what_stays_missing_is_named_again_and_again_and_the_rest_stays(
    play: Play, tmp_path: Path, server: Scripted
) -> None:
    cloud = task_of(play, server, "/a.png", "/b.png")
    server.on("/a.png", Answer(body=PNG))
    server.on("/b.png", answer_page("<html>sign in"))
    results = [play.result(cloud, order(), tmp_path) for _ in range(3)]
    assert [contents(result) for result in results] == [[PNG]] * 3
    assert [result.warnings for result in results] == [results[0].warnings] * 3
    assert server.counts["/a.png"] == 1
    assert cloud.counts["submit"] == 1
    assert row_of(play).state is State.DELIVERED


def test_when_all_are_missing_the_task_ends_with_the_error_and_stays_fetchable(
    play: Play, tmp_path: Path, server: Scripted
) -> None:
    cloud = task_of(play, server, "/a.png", "/b.png")
    server.on("*", answer_page("<html>sign in"))
    with pytest.raises(BadResult, match="sign in"):
        play.result(cloud, order(), tmp_path)
    server.on("*", Answer(404))
    with pytest.raises(TaskUnresolved):
        play.result(cloud, order(), tmp_path)
    server.on("*", Answer(body=PNG))
    assert contents(play.result(cloud, order(), tmp_path)) == [PNG, PNG]
    assert cloud.counts["submit"] == 1


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_an_address_that_ended_is_asked_for_again_and_the_others_are_not_fetched_twice(
    play: Play, tmp_path: Path, status: int
) -> None:
    with Scripted() as old, Scripted() as fresh:
        old.on("/a.png", Answer(body=PNG))
        old.on("/b.png", Answer(status))
        fresh.on("*", Answer(body=OTHER))
        cloud = play.cloud(url="http://127.0.0.1:1")
        answers = iter(
            [
                (f"{old.url}/a.png?Signature=1", f"{old.url}/b.png?Signature=1"),
                (f"{fresh.url}/a.png?Signature=2", f"{fresh.url}/b.png?Signature=2"),
            ]
        )
        answering(cloud, lambda: [Output(url=url) for url in next(answers)])
        result = play.result(cloud, order(), tmp_path)
        assert contents(result) == [PNG, OTHER]
        assert (old.counts["/a.png"], fresh.counts["/a.png"]) == (1, 0)
    assert (result.missing, result.warnings) == ((), ())
    assert cloud.counts["submit"] == 1


def answering(cloud: Cloud, outputs: Callable[[], list[Output]]) -> None:
    """Every success of `cloud` names what `outputs` says at that time."""
    inner = cloud.poll

    def poll(task: Task) -> TaskState:
        state = inner(task)
        return replace(state, outputs=tuple(outputs())) if state.outputs else state

    cloud.poll = poll  # type: ignore[method-assign]


def test_a_platform_that_fails_when_it_is_asked_again_withholds_nothing(
    play: Play, tmp_path: Path, server: Scripted
) -> None:
    cloud = task_of(play, server, "/a.png", "/b.png")
    server.on("/a.png", Answer(body=PNG))
    server.on("/b.png", Answer(404))
    play.result(cloud, order(), tmp_path)

    def gone(task: Task) -> TaskState:
        raise NotFound("no such task", status=404)

    cloud.poll = gone  # type: ignore[method-assign]
    began = play.loop.time()
    result = play.result(cloud, order(), tmp_path)
    assert contents(result) == [PNG]
    assert "Result 2 of 2" in result.warnings[0]
    assert play.loop.time() - began < 120  # not as long as a task that has brought nothing
    assert row_of(play).state is State.DELIVERED


def test_of_files_lost_by_hand_only_those_are_fetched_again(
    play: Play, tmp_path: Path, server: Scripted
) -> None:
    cloud = task_of(play, server, "/a.png", "/b.png")
    server.on("/a.png", Answer(body=PNG))
    server.on("/b.png", Answer(body=OTHER), Answer(404))
    play.result(cloud, order(), tmp_path).files[1].path.unlink()
    lacking = play.result(cloud, order(), tmp_path)
    assert (contents(lacking), [one.number for one in lacking.missing]) == ([PNG], [2])
    server.on("/b.png", Answer(body=OTHER))
    assert contents(play.result(cloud, order(), tmp_path)) == [PNG, OTHER]
    assert server.counts["/a.png"] == 1
    assert cloud.counts["submit"] == 1


def test_what_is_missing_is_fetched_also_where_results_are_not_reused(
    play: Play, tmp_path: Path, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_REUSE_RESULTS", "0")
    cloud = task_of(play, server, "/a.png", "/b.png")
    server.on("/a.png", Answer(body=PNG))
    server.on("/b.png", answer_page("<html>"), Answer(body=OTHER))
    play.result(cloud, order(), tmp_path)
    assert contents(play.result(cloud, order(), tmp_path)) == [PNG, OTHER]
    assert cloud.counts["submit"] == 1
    play.result(cloud, order(), tmp_path)
    assert cloud.counts["submit"] == 2


def test_of_a_batch_each_item_lacks_only_its_own(
    play: Play, tmp_path: Path, server: Scripted
) -> None:
    cloud = play.cloud(url=server.url)
    server.on("*", Answer(body=PNG))
    server.on("/2b.png", Answer(404))
    inner = cloud.poll

    def poll(task: Task) -> TaskState:
        paths = (f"/{task.id}a.png", f"/{task.id}b.png")
        outputs = tuple(Output(url=server.url + path) for path in paths)
        state = inner(task)
        return replace(state, outputs=outputs) if state.outputs else state

    cloud.poll = poll  # type: ignore[method-assign]

    async def batch() -> list[Result]:
        items = (play.carried(cloud, order(copy=n), tmp_path) for n in range(3))
        return await asyncio.gather(*items)

    assert [len(result.files) for result in play.run(batch())] == [2, 1, 2]
    server.on("/2b.png", Answer(body=PNG))
    assert [len(result.files) for result in play.run(batch())] == [2, 2, 2]
    assert (server.counts["/2a.png"], cloud.counts["submit"]) == (1, 3)


def test_an_interrupt_while_results_are_fetched_leaves_no_copy(
    play: Play, tmp_path: Path, server: Scripted
) -> None:
    cloud = task_of(play, server, "/a.png", "/b.png")
    server.on("/a.png", Answer(body=PNG))
    server.on("/b.png", Answer(500))

    async def scene() -> None:
        job = await play.runner.begin(cloud, order(), tmp_path)
        while server.counts["/b.png"] < 2:  # it is being tried again
            await play.pause(0.1)
        play.runner.leave(job, stop=True)
        with pytest.raises(SkyportError):
            await ended(job)

    play.run(scene())
    assert on_disk(tmp_path) == []
    server.on("/b.png", Answer(body=OTHER))
    assert contents(play.result(cloud, order(), tmp_path)) == [PNG, OTHER]
    assert on_disk(tmp_path) == sorted([PNG, OTHER])


# -- in the background, and by the job's number ----------------------------------------------------


def test_the_collector_looks_for_what_is_missing_and_fetches_only_that(
    play: Play, tmp_path: Path, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    store = in_memory()
    store._now = lambda: 1_000_000.0 + now[0]  # type: ignore[method-assign]
    with Play(store) as play:
        cloud = task_of(play, server, "/a.png", "/b.png")
        server.on("/a.png", Answer(body=PNG))
        server.on("/b.png", answer_page("<html>"))
        play.result(cloud, order(), tmp_path)
        backoff = Backoff(store._now)

        async def look() -> int:
            count = await collect(play.runner, store, lambda name: cloud, tmp_path, backoff)  # type: ignore[arg-type]
            while play.runner.under_way():
                await play.pause(1)
            return count

        assert play.run(look()) == 0
        now[0] = 61.0
        assert play.run(look()) == 1
        assert row_of(play).state is State.DELIVERED  # nothing new came
        assert play.run(look()) == 0
        server.on("/b.png", Answer(body=OTHER))
        now[0] = 121.0
        assert play.run(look()) == 1
        assert row_of(play).state is State.SUCCEEDED
        now[0] = 301.0
        assert play.run(look()) == 0
        assert contents(play.result(cloud, order(), tmp_path)) == [PNG, OTHER]
    assert (server.counts["/a.png"], cloud.counts["submit"]) == (1, 1)


@pytest.mark.parametrize("reachable", [True, False])
def test_a_fetch_by_number_brings_the_rest_or_what_is_there(
    play: Play, tmp_path: Path, server: Scripted, reachable: bool
) -> None:
    cloud = task_of(play, server, "/a.png", "/b.png")
    server.on("/a.png", Answer(body=PNG))
    server.on("/b.png", answer_page("<html>"), Answer(body=OTHER))
    play.result(cloud, order(), tmp_path)

    def connect(name: str) -> Cloud:
        if not reachable:
            raise SkyportError("no key")
        return cloud

    async def fetch() -> Result:
        found = await history.fetch(play.runner, connect, row_of(play), tmp_path)
        return found if isinstance(found, Result) else await ended(found)

    result = play.run(fetch())
    assert contents(result) == ([PNG, OTHER] if reachable else [PNG])
    assert bool(result.missing) is not reachable
    assert server.counts["/a.png"] == 1


# -- inside the answer -----------------------------------------------------------------------------


def test_a_file_in_the_answer_that_cannot_be_decoded_withholds_no_other(
    play: Play, tmp_path: Path
) -> None:
    cloud = play.cloud()
    broken = [Output(data=PNG), Output(unreadable=True), Output(data=OTHER)]
    whole = [Output(data=PNG), Output(data=THIRD), Output(data=OTHER)]
    answers = iter([broken, whole])
    answering(cloud, lambda: next(answers))
    first = play.result(cloud, order(), tmp_path)
    assert (contents(first), [one.number for one in first.missing]) == ([PNG, OTHER], [2])
    assert "Result 2 of 3" in first.warnings[0]
    assert contents(play.result(cloud, order(), tmp_path)) == [PNG, THIRD, OTHER]
    assert on_disk(tmp_path) == sorted([PNG, OTHER, THIRD])
    assert cloud.counts["submit"] == 1


def test_base64_that_cannot_be_decoded_keeps_its_number_among_the_results() -> None:
    body = {"data": [{"b64_json": "aGVsbG8="}, {"b64_json": "%%"}, {"url": "https://x.io/a.png"}]}
    form = AnswerForm(results=("data",))
    outputs, words = form.outputs(body, Task("p", "e", "1"), "https://x.io")
    assert [(bool(o.data), o.unreadable, o.url) for o in outputs] == [
        (True, False, ""),
        (False, True, ""),
        (False, False, "https://x.io/a.png"),
    ]
    assert "1 of the results" in words
    nothing = form.outputs({"data": [{"b64_json": "%%"}]}, Task("p", "e", "1"), "https://x.io")
    assert (nothing[0], "1 of the results" in nothing[1]) == ((), True)


# -- files that are no media -----------------------------------------------------------------------


def test_files_that_are_no_media_are_kept_byte_for_byte_and_named(
    play: Play, tmp_path: Path, server: Scripted
) -> None:
    cloud = task_of(play, server, "/a.png", "/mesh.glb", "/all", "/table.json")
    server.on("/a.png", Answer(body=PNG))
    server.on("/mesh.glb", Answer(body=GLB))
    server.on("/all", Answer(body=ZIP, headers=(("Content-Type", "application/zip"),)))
    server.on("/table.json", Answer(body=b'{"code": 1}'))
    result = play.result(cloud, order(), tmp_path)
    assert contents(result) == [PNG, GLB, ZIP, b'{"code": 1}']
    kinds = [(file.kind, file.path.suffix) for file in result.files]
    files = [(Kind.FILE, suffix) for suffix in (".glb", ".zip", ".json")]
    assert kinds == [(Kind.IMAGE, ".png"), *files]
    for file, warning in zip(result.files[1:], result.warnings, strict=True):
        assert str(file.path) in warning
    assert play.result(cloud, order(), tmp_path).reused


def test_a_text_is_not_fetched_again_either(play: Play, tmp_path: Path, server: Scripted) -> None:
    cloud = task_of(play, server, "/caption.txt", "/b.png")
    server.on("/caption.txt", Answer(body=b"a fox", headers=(("Content-Type", "text/plain"),)))
    server.on("/b.png", Answer(404))
    assert play.result(cloud, order(), tmp_path).texts == ("a fox",)
    server.on("/b.png", Answer(body=PNG))
    again = play.result(cloud, order(), tmp_path)
    assert (again.texts, contents(again)) == (("a fox",), [PNG])
    assert server.counts["/caption.txt"] == 1
    assert on_disk(tmp_path) == sorted([PNG, b"a fox"])


# -- which file is which ---------------------------------------------------------------------------


def kept(url: str, content: bytes = b"") -> ResultFile:
    digest = hashlib.sha256(content).hexdigest()
    return ResultFile(Path("/x"), Kind.IMAGE, "image/png", len(content), digest, url)


def test_a_kept_file_is_known_by_its_address_whatever_signs_or_serves_it() -> None:
    files = [kept("https://a.io/x.png?Expires=1"), kept("https://a.io/view?filename=y.png")]
    outputs = [
        Output(url="https://b.io/view?filename=z.png"),
        Output(url="https://b.io/view?filename=y.png&Signature=k"),
        Output(url="https://a.io/x.png?Expires=2"),
    ]
    assert match(outputs, files) == [None, files[1], files[0]]


def test_a_kept_file_from_inside_an_answer_is_known_by_its_content_and_given_once() -> None:
    files = [kept("", PNG)]
    assert match([Output(data=OTHER), Output(data=PNG), Output(data=PNG)], files) == [
        None,
        files[0],
        None,
    ]


def test_paths_that_several_addresses_share_tell_nothing_on_another_host() -> None:
    files = [kept("https://a.io/out.png"), kept("https://b.io/out.png")]
    outputs = [Output(url="https://c.io/out.png"), Output(url="https://b.io/out.png")]
    assert match(outputs, files) == [None, files[1]]
