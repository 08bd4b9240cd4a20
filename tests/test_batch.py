"""Pins `skyport batch`: what a row orders, what is paid, what is refused and said of every row."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from batches import MODEL, fast_sandbox
from PIL import Image
from sandboxes import environment, set_environment
from skyport import providers
from skyport.engine.ledger.ledger import Query, State
from skyport.engine.settings import settings
from skyport.sandbox import Sandbox

EDIT = "google/gemini-3-pro-image-preview"


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with fast_sandbox() as box:
        yield box


@pytest.fixture
def box(shared: Sandbox, process: Callable[[], None], monkeypatch: Any) -> Sandbox:
    """A sandbox that nobody has ordered from, and this process led to it."""
    for name in ("haiyi", "gpugeek", "opencomputing"):
        set_environment(monkeypatch, environment(shared, name))
    shared.tasks.charges.clear()
    shared.tasks.orders.clear()
    shared.log.clear()
    shared.faults.clear()
    return shared


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.linear_gradient("L").convert("RGB").resize((64, 48)).save(tmp_path / "photo.png")
    return tmp_path


@pytest.fixture
def batch(skyport: Any, folder: Path) -> Callable[..., Any]:
    """Runs the command on a table of this text; its lines of results are in `rows`."""

    def run(text: str | bytes | Path, *more: object, name: str = "rows.csv") -> Any:
        table = text if isinstance(text, Path) else folder / name
        if not isinstance(text, Path):
            table.write_bytes(text if isinstance(text, bytes) else text.encode())
        given = more if "--platform" in more else ("--platform", "haiyi", "--model", MODEL, *more)
        found = skyport("batch", table, "--output", folder / "out", *given)
        listed = folder / "out" / "results.jsonl"
        text = listed.read_text(encoding="utf-8") if listed.exists() else ""
        found.rows = [json.loads(line) for line in text.splitlines()]
        found.states = [row["state"] for row in found.rows]
        return found

    return run


def sent(box: Sandbox) -> list[Any]:
    """What was ordered, in any order."""
    tasks = [task.plan.fields for task in box.tasks]
    return tasks[-sum(box.charges.values()) :] if box.charges else []


# -- what a row orders --------------------------------------------------------------------------


def test_a_column_fills_the_parameter_of_its_name_and_results_are_named_by_row(box, batch, folder):
    done = batch("prompt\na fox\nan owl\n")
    assert done.code == 0, done.err
    assert sorted(one["parameters"]["prompt"] for one in sent(box)) == ["a fox", "an owl"]
    assert [row["files"] for row in done.rows] == [["000001.png"], ["000002.png"]]
    for name in ("000001.png", "000002.png"):
        Image.open(folder / "out" / name).load()
    assert done.lines == [str(folder / "out" / "results.jsonl")]


def test_a_medium_is_found_from_the_tables_folder_and_uploaded_once(box, batch):
    done = batch(
        "prompt,images\nblue,photo.png\nred,photo.png\n",
        *("--platform", "haiyi", "--model", EDIT),
    )
    assert done.code == 0, done.err
    assert box.charges["haiyi"] == 2
    assert len([one for one in box.log if one.path.endswith("/file/upload")]) == 1


def test_a_workflow_is_filled_by_targets_and_by_mapped_columns(box, batch, folder):
    nodes = {
        "73": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "9": {"class_type": "ImageInvert", "inputs": {"image": ["73", 0]}},
        "10": {"class_type": "SaveImage", "inputs": {"images": ["9", 0], "filename_prefix": "a"}},
    }
    (folder / "w.json").write_text(json.dumps(nodes), encoding="utf-8")
    done = batch(
        "photo,10.filename_prefix\nphoto.png,b\n",
        *("--platform", "haiyi", "--workflow", folder / "w.json", "--map", "photo=73.image"),
    )
    assert done.code == 0, done.err
    [order] = sent(box)
    prompt = order["parameters"]["prompt"]
    assert prompt["10"]["inputs"]["filename_prefix"] == "b"
    assert prompt["73"]["inputs"]["image"] != "example.png"


def test_the_files_of_a_folder_go_where_a_file_is_taken_and_keep_their_names(box, batch, folder):
    photos = folder / "photos"
    photos.mkdir()
    for name in ("cat", "dog"):
        Image.new("RGB", (40, 40), "red" if name == "cat" else "blue").save(photos / f"{name}.png")
    given = ("--platform", "haiyi", "--model", EDIT, "--set", "prompt=in snow")
    done = batch(photos, *given)
    assert done.code == 0, done.err
    assert [row["files"] for row in done.rows] == [["000001-cat.png"], ["000002-dog.png"]]


def test_an_editors_workflow_is_refused_with_how_to_export(box, batch, folder):
    (folder / "w.json").write_text(json.dumps({"nodes": [], "links": []}), encoding="utf-8")
    done = batch("a\nb\n", "--platform", "haiyi", "--workflow", folder / "w.json")
    assert done.code == 1
    assert "Export (API)" in done.err
    assert not box.charges


# -- what is paid -------------------------------------------------------------------------------


def test_the_same_command_again_orders_nothing_even_where_results_are_not_reused(
    box, batch, monkeypatch
):
    batch("prompt\na fox\nan owl\n")
    monkeypatch.setenv("SKYPORT_REUSE_RESULTS", "0")
    assert settings.load().reuse_results is False
    again = batch("prompt\na fox\nan owl\n")
    assert again.code == 0
    assert box.charges["haiyi"] == 2


def test_a_row_that_was_written_down_right_before_a_kill_is_delivered_by_the_next_run(box, batch):
    batch("prompt\na fox\n")
    disk = providers.ledger().disk
    with disk._transaction():
        disk._db.execute("UPDATE tasks SET state = 'succeeded', delivered = 0")
    batch("prompt\na fox\n")
    assert [row.state for row in disk.rows(Query())] == [State.DELIVERED]


def test_a_changed_row_is_a_new_order_and_the_others_are_not(box, batch, monkeypatch):
    batch("prompt\na fox\nan owl\n")
    monkeypatch.setenv("SKYPORT_REUSE_RESULTS", "0")
    changed = batch("prompt\na hare\na fox\nan old owl\n")
    assert changed.states == ["done", "done", "done"]
    assert box.charges["haiyi"] == 4


def test_equal_rows_are_one_order_and_each_gets_its_result(box, batch):
    done = batch("prompt\na fox\na fox\nan owl\na fox\n")
    assert done.states == ["done"] * 4
    assert [row["files"] for row in done.rows] == [[f"00000{n}.png"] for n in (1, 2, 3, 4)]
    assert box.charges["haiyi"] == 2


def test_copies_are_an_order_each_and_the_same_ones_when_run_again(box, batch):
    text = "prompt\na fox\na fox\nan owl\na fox\n"
    assert batch(text, "--copies").states == ["done"] * 4
    assert box.charges["haiyi"] == 4
    assert batch(text, "--copies").code == 0
    assert box.charges["haiyi"] == 4


def test_a_limit_of_tasks_holds_over_all_runs_and_the_rest_waits(box, batch):
    text = "prompt\n" + "".join(f"fox {n}\n" for n in range(9))
    for _ in range(2):
        limited = batch(text, "--limit-tasks", "4", "--at-once", "3")
        assert limited.code == 1
        assert box.charges["haiyi"] == 4
        assert limited.states.count("done") == 4
        assert "Raise --limit-tasks to go on." in limited.err
    assert batch(text).code == 0
    assert box.charges["haiyi"] == 9


def test_a_limit_holds_on_where_rows_were_changed_and_begins_anew_for_another_table(box, batch):
    limited = ("--limit-tasks", "2")
    batch("prompt\na fox\nan owl\na hare\n", *limited)
    assert batch("prompt\na fox\nan owl\n\na crow\n", *limited).code == 1
    assert box.charges["haiyi"] == 2
    assert batch("prompt\na crow\n", *limited, name="others.csv").code == 0
    assert box.charges["haiyi"] == 3


def test_a_limit_of_cost_refuses_what_nobody_knows_the_price_of(box, batch, home):
    refused = batch("prompt\na fox\n", "--limit-cost", "3CNY")
    assert refused.states == ["refused"]
    assert "price is not known" in refused.rows[0]["error"]
    assert not box.charges
    prices = {"haiyi": {MODEL: [{"amount": 1, "unit": "CNY"}]}}
    (home / "prices.json").write_text(json.dumps(prices), encoding="utf-8")
    text = "prompt\n" + "".join(f"fox {n}\n" for n in range(6))
    limited = batch(text, "--limit-cost", "3CNY", "--at-once", "4")
    assert limited.states.count("done") == 3, limited.err
    assert box.charges["haiyi"] == 3


# -- what goes wrong ----------------------------------------------------------------------------

BAD = "prompt,seed\na fox,1\n,2\nan owl,three\nG\xfcte,4\na hare,5,6\na crow,7\n"


def test_bad_rows_are_refused_with_reasons_and_the_others_are_ordered(box, batch):
    done = batch(BAD.encode("latin-1"))
    assert done.code == 1
    assert done.states == ["done", "refused", "refused", "refused", "refused", "done"]
    assert [row["line"] for row in done.rows] == [2, 3, 4, 5, 6, 7]
    assert box.charges["haiyi"] == 2
    for words in ("row 2 (line 3): not sent: ", "prompt", "three", "UTF-8", "it has 3 cells"):
        assert words in done.err


def test_a_dry_run_finds_the_same_rows_and_sends_nothing(box, batch, folder):
    checked = batch(BAD.encode("latin-1"), "--dry-run")
    assert checked.code == 1
    assert [line.partition(":")[0] for line in checked.lines[:4]] == [
        f"row {n} (line {n + 1})" for n in (2, 3, 4, 5)
    ]
    assert "6 rows: 2 orders to be sent, 0 that cost nothing more, 4 that would be" in checked.out
    assert not box.charges
    assert not (folder / "out").exists()
    assert len(box.log) == 0


def test_a_file_that_has_vanished_is_told_with_its_row(box, batch):
    done = batch(
        "prompt,images\nblue,photo.png\nred,gone.png\n", "--platform", "haiyi", "--model", EDIT
    )
    assert done.states == ["done", "refused"]
    assert 'there is no file "gone.png"' in done.rows[1]["error"]


@pytest.mark.parametrize(
    ("text", "more", "words"),
    [
        ("promt\na fox\n", (), 'The column "promt" fills nothing'),
        ("prompt,note\na fox,x\n", ("--ignore", "notes"), 'no column "notes"'),
        ("prompt,note\na fox,x\n", ("--ignore", "n" * 90), 'no column "' + "n" * 70),
        ("a,b\nx,y\n", ("--map", "a=prompt", "--map", "b=prompt"), 'Two columns fill "prompt"'),
        ("a\nx\n", ("--map", "a=prompt", "--map", "a=seed"), '--map names "a" twice'),
        ("a\nx\n", ("--set", "prompt=x", "--set", "prompt=y"), '--set names "prompt" twice'),
        ('"prompt,seed\na fox,1\n', (), "quotes of its header do not match"),
        ("prompt\n\n", (), "has no rows"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_before_anything_is_sent(
    box, batch, text, more, words
):
    refused = batch(text, *more)
    assert refused.code == 1
    assert words in refused.err
    assert not box.charges


def test_a_failed_row_stays_failed_until_a_person_asks_for_it_again(box, batch):
    text = "prompt\na fox\nbad [[fail:no luck]]\nbad [[fail:no luck]]\n"
    first = batch(text)
    assert first.code == 1
    assert first.states == ["done", "failed", "failed"]
    assert "no luck" in first.rows[1]["error"]
    charged = box.charges["haiyi"]
    assert batch(text).states == ["done", "failed", "failed"]
    assert box.charges["haiyi"] == charged
    batch(text, "--retry-failed")
    assert box.charges["haiyi"] == charged + 1


def test_a_failed_row_stays_failed_when_the_table_is_changed_beside_it(box, batch):
    text = "prompt\na fox\nbad [[fail:no luck]]\n"
    batch(text)
    charged = box.charges["haiyi"]
    changed = batch(f"{text}an owl\n")
    assert changed.states == ["done", "failed", "done"]
    assert box.charges["haiyi"] == charged + 1
    batch(f"{text}a hare\n", "--retry-failed")
    assert box.charges["haiyi"] == charged + 3


def test_an_unknown_row_is_not_sent_again_before_it_was_listed_and_asked_for(box, batch):
    text = "prompt\na fox\nlost\n"
    box.faults.add("POST /haiyi/openapi/v1/generate/image", "cut_after")
    first = batch(text, "--at-once", "1", "--retry-unknown")
    assert first.code == 1
    assert sorted(first.states) == ["done", "unknown"]
    assert batch(text).states == first.states
    assert box.charges["haiyi"] == 2
    assert "--retry-unknown" in batch(text).err
    asked = batch(text, "--retry-unknown")
    assert asked.states == ["done", "done"]
    assert box.charges["haiyi"] == 3


def test_no_more_rows_are_begun_once_a_result_cannot_be_put_where_it_belongs(box, batch, folder):
    text = "prompt\n" + "".join(f"fox {n}\n" for n in range(6))
    (folder / "out" / "000002.png").mkdir(parents=True)
    stopped = batch(text, "--at-once", "1")
    assert stopped.code == 1
    assert "Stopped: " in stopped.err
    assert "000002.png cannot be written" in stopped.err
    assert stopped.states == ["done", "open"]
    assert box.charges["haiyi"] == 2
    (folder / "out" / "000002.png").rmdir()
    assert batch(text).states == ["done"] * 6
    assert box.charges["haiyi"] == 6


@pytest.mark.skipif(sys.platform != "linux", reason="no such name there")
def test_a_file_whose_name_is_no_text_is_refused_by_row_and_the_others_are_ordered(
    box, batch, folder
):
    photos = folder / "photos"
    photos.mkdir()
    for name in (b"a.png", b"b\xff.png", b"c.png"):
        shutil.copy(folder / "photo.png", os.fsencode(photos) + b"/" + name)
    done = batch(photos, "--platform", "haiyi", "--model", EDIT, "--set", "prompt=blue")
    assert done.states == ["done", "refused", "done"], done.err
    assert "b\ufffd.png cannot be used: its name is not valid UTF-8" in done.rows[1]["error"]


def test_tables_of_the_same_name_have_a_folder_each(box, skyport, folder):
    listed = []
    for place in ("a", "b", "a"):
        table = folder / place / "rows.csv"
        table.parent.mkdir(exist_ok=True)
        table.write_text(f"prompt\n{place}\n")
        done = skyport("batch", table, "--platform", "haiyi", "--model", MODEL)
        assert done.code == 0, done.err
        listed += done.lines
    assert listed[0] == listed[2] != listed[1]
    assert [Path(one).parent.name.partition("-")[0] for one in listed] == ["rows"] * 3


def test_no_more_rows_are_begun_once_the_account_is_empty(box, batch):
    text = "prompt\n" + "".join(f"fox {n}\n" for n in range(30))
    box.faults.add(
        "POST /haiyi/openapi/v1/generate/image",
        "status",
        times=100,
        status=200,
        body={"code": 402, "msg": "Insufficient balance: please top up.", "data": None},
    )
    stopped = batch(text, "--at-once", "2")
    assert stopped.code == 1
    assert "balance" in stopped.err
    assert len(stopped.states) < 6
    box.faults.clear()
    assert batch(text).code == 0
    assert box.charges["haiyi"] == 30


def test_every_row_is_an_order_of_the_ledger(box, batch):
    done = batch("prompt\na fox\n")
    [row] = providers.ledger().disk.rows(Query())
    assert row.state is State.DELIVERED
    assert done.rows[0]["job"] == row.id
    assert done.rows[0]["task"] == row.task.id


def test_a_chat_answers_every_row_with_a_text(box, batch):
    done = batch(
        '{"prompt": "say hello"}\n',
        *("--platform", "opencomputing", "--model", "qwen3-max"),
        name="rows.jsonl",
    )
    assert done.code == 0, done.err
    assert done.rows[0]["texts"][0]
    assert done.rows[0]["files"] == []


def test_a_run_that_names_no_seed_and_one_that_does_are_other_orders(box, batch):
    batch("prompt\na fox\n")
    batch("prompt\na fox\n", "--seed", "7")
    batch("prompt,seed\na fox,7\n")
    assert box.charges["haiyi"] == 2


def test_it_speaks_chinese_where_the_user_does(box, batch, monkeypatch):
    monkeypatch.setenv("SKYPORT_LANG", "zh")
    refused = batch("prompt,seed\nan owl,three\n")
    assert "\u672a\u53d1\u9001" in refused.err
    assert refused.states == ["refused"]


def test_of_a_wide_table_an_error_names_the_first_columns_only(box, batch):
    names = [f"column_{number}" for number in range(1, 60)]
    refused = batch(",".join(["prompt", *names]) + "\n", "--ignore", "nope")
    assert "column_39." in refused.err
    assert "column_40" not in refused.err


def test_a_finished_batch_is_forgotten_with_its_jobs(box, batch, skyport):
    assert batch("prompt\na fox\n").code == 0
    assert batch("prompt\nan owl\nbad [[fail:no luck]]\n", name="more.csv").code == 1
    skyport("jobs", "prune", "--older-than", "0")
    with closing(providers.batch_store()) as store:
        assert [one.name for one in store.batches(5)] == ["more.csv"]
