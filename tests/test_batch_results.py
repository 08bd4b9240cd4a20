"""Pins where the results of a batch go: once, whole, by row, and never at a second charge."""

from __future__ import annotations

import base64
import hashlib
import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from batches import MODEL, Batch, fast_sandbox
from sandboxes import environment, set_environment
from scripted import Answer, LoggedRequest, Scripted
from skyport.engine.base.types import Kind, Result, ResultFile
from skyport.engine.batch.output import Output
from skyport.sandbox import Sandbox

ACCESS, SECRET = "AKIA0123456789ABCDEF", "s3cr3t/0123456789+abcdefghijklmnopqrstuv"
SIGNED = {"content-md5", "content-type", "host", "x-amz-meta-sha256"}


@dataclass
class Storage:
    """A bucket that takes only what is whole, and says what it was told of it.

    refused  the end of a name that it does not take
    """

    objects: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    puts: list[str] = field(default_factory=list)
    refused: str = "?"

    def answer(self, seen: LoggedRequest) -> Answer:
        url = urlsplit(seen.target)
        if seen.method == "HEAD":
            return self._head(url.path)
        query = parse_qs(url.query)
        if url.path.endswith(self.refused):
            return Answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        md5 = base64.b64encode(hashlib.md5(seen.body).digest()).decode()
        sha256 = seen.headers["x-amz-meta-sha256"]
        assert (seen.method, seen.headers["content-md5"]) == ("PUT", md5)
        assert sha256 == hashlib.sha256(seen.body).hexdigest()
        assert set(query["X-Amz-SignedHeaders"][0].split(";")) == SIGNED
        self.puts.append(url.path)
        self.objects[url.path] = seen.body, sha256
        return Answer(200)

    def _head(self, path: str) -> Answer:
        if path not in self.objects:
            return Answer(404)
        body, sha256 = self.objects[path]
        about = {
            "Content-Length": str(len(body)),
            "Last-Modified": "Fri, 27 Nov 2026 00:00:00 GMT",
            "x-amz-meta-sha256": sha256,
        }
        return Answer(200, headers=tuple(about.items()), length=False)

    def pictures(self) -> list[str]:
        return sorted(path for path in self.puts if path.endswith(".png"))


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with fast_sandbox() as box:
        yield box


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """A bucket that is set up here, with none of the developer's own AWS settings."""
    for variable in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(variable, str(tmp_path / "none"))
    storage = Storage()
    with Scripted() as server:
        server.on("*", storage.answer)
        monkeypatch.setenv("SKYPORT_S3_ENDPOINT", server.url)
        monkeypatch.setenv("SKYPORT_S3_ACCESS_KEY", ACCESS)
        monkeypatch.setenv("SKYPORT_S3_SECRET_KEY", SECRET)
        yield storage


@pytest.fixture
def order(
    skyport: Any, box: Sandbox, process: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Runs the command on a table of two rows."""
    set_environment(monkeypatch, environment(box, "haiyi"))
    (tmp_path / "shots.csv").write_text("prompt\na fox\nan owl\n")

    def run(*more: object) -> Any:
        return skyport(
            "batch", tmp_path / "shots.csv", "--platform", "haiyi", "--model", MODEL, *more
        )

    return run


def lines(storage: Storage, path: str) -> list[Any]:
    return [json.loads(line) for line in storage.objects[path][0].splitlines()]


def test_results_go_to_a_bucket_once_and_are_named_by_row(
    order: Any, storage: Storage, box: Sandbox
) -> None:
    done = order("--results-url", "s3://pictures/of/us")
    assert done.code == 0, done.err
    folder = "/pictures/of/us/shots"
    assert storage.pictures() == [f"{folder}/000001.png", f"{folder}/000002.png"]
    listed = lines(storage, f"{folder}/results.jsonl")
    assert [row["state"] for row in listed] == ["done", "done"]
    assert listed[0]["files"] == ["000001.png"]
    assert listed[0]["urls"] == ["s3://pictures/of/us/shots/000001.png"]
    assert order("--results-url", "s3://pictures/of/us").code == 0
    assert len(storage.pictures()) == box.charges["haiyi"] == 2
    assert SECRET not in done.err + done.out


@pytest.mark.parametrize("reuse", ["on", "off"])
def test_a_refused_upload_is_gone_on_with_and_charges_nothing(
    order: Any, storage: Storage, box: Sandbox, monkeypatch: pytest.MonkeyPatch, reuse: str
) -> None:
    monkeypatch.setenv("SKYPORT_REUSE_RESULTS", reuse)
    monkeypatch.setenv("SKYPORT_RESULTS_URL", "s3://pictures")
    storage.refused = ".png"
    stopped = order()
    assert stopped.code == 1
    assert "Check the keys" in stopped.err
    charged = box.charges["haiyi"]
    assert charged in (1, 2)  # no more rows are begun
    storage.refused = "?"
    assert order().code == 0
    assert storage.pictures() == ["/pictures/shots/000001.png", "/pictures/shots/000002.png"]
    assert box.charges["haiyi"] == 2


@pytest.mark.parametrize("refused", [False, True])
def test_results_of_before_are_taken_to_a_bucket_that_is_set_later(
    order: Any,
    storage: Storage,
    box: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    refused: bool,
) -> None:
    monkeypatch.setenv("SKYPORT_REUSE_RESULTS", "off")
    assert order().code == 0
    storage.refused = ".png" if refused else "?"
    assert order("--results-url", "s3://pictures").code == int(refused)
    storage.refused = "?"
    assert order("--results-url", "s3://pictures").code == 0
    assert len(storage.pictures()) == box.charges["haiyi"] == 2


def test_a_bucket_that_takes_nothing_is_found_out_before_anything_is_ordered(
    order: Any, storage: Storage, box: Sandbox
) -> None:
    storage.refused = ""
    assert order("--results-url", "s3://pictures").code == 1
    assert not box.charges


def test_results_go_to_a_folder_that_is_set_and_to_the_option_before_it(
    order: Any, box: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SKYPORT_RESULTS_URL", str(tmp_path / "shared"))
    assert order().code == 0
    assert order("--results-url", (tmp_path / "others").as_uri()).code == 0
    assert order("--output", tmp_path / "own").code == 0
    for folder in ("shared/shots", "others/shots", "own"):
        names = sorted(path.name for path in (tmp_path / folder).iterdir())
        assert names == ["000001.png", "000002.png", "results.jsonl"]
    assert box.charges["haiyi"] == 2


def test_a_file_of_the_same_size_and_name_is_not_taken_for_a_result(tmp_path: Path) -> None:
    output = Output(tmp_path / "out")
    files = []
    for name in ("mine", "other"):
        path = tmp_path / f"{name}.png"
        path.write_bytes(name.ljust(9).encode())
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        files.append(ResultFile(path, Kind.IMAGE, "image/png", 9, sha256))
    mine = output.to_store(Result("1", (files[0],)), output.keep(1, "", files[:1]))
    assert output.has(mine)
    output.keep(1, "", files[1:])
    assert not output.has(mine)
    output.keep_again(1, "", mine)
    files[0].path.unlink()  # as after a time it is pruned
    assert output.has(mine)


def test_of_the_sandbox_nothing_goes_to_a_bucket(
    order: Any, storage: Storage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SKYPORT_SANDBOX", "1")
    assert order("--results-url", "s3://pictures", "--output", tmp_path / "own").code == 0
    assert (tmp_path / "own" / "000001.png").exists()
    assert storage.puts == []


def test_a_killed_batch_has_uploaded_each_result_once_in_the_end(
    storage: Storage, box: Sandbox, tmp_path: Path
) -> None:
    options = ("--at-once", "4", "--results-url", "s3://pictures")
    batch = Batch(tmp_path, box, options)
    batch.write(40)
    for moment in (7, 19, 33):
        batch.run_and_signal(moment)
    last = batch.run()
    unknown = batch.states()["unknown"]
    assert batch.states()["done"] == 40 - unknown, last.err
    assert len(storage.pictures()) == len(set(storage.pictures())) == 40 - unknown
    assert set(box.orders.values()) == {1}


def test_a_file_that_has_changed_on_its_way_is_not_uploaded(
    storage: Storage, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(b"other")
    file = ResultFile(tmp_path / "a.png", Kind.IMAGE, "image/png", 5, "0" * 64)
    with pytest.raises(Exception, match="it has changed"):
        Output(tmp_path, "s3://pictures").keep(1, "", [file])
    assert storage.puts == []


def test_what_another_machine_is_given_holds_no_key(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    file = ResultFile(
        tmp_path / "a.png", Kind.IMAGE, "image/png", 1, hashlib.sha256(b"a").hexdigest()
    )
    output = Output(tmp_path, "s3://pictures")
    assert output.keep(1, "", [file]) == ["000001.png"]
    given = pickle.dumps(output)
    assert ACCESS.encode() not in given
    assert pickle.loads(given).keep(1, "", [file]) == ["000001.png"]
    assert len(storage.puts) == 1
