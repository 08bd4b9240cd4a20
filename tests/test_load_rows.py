"""Pins that rows of a table run a graph once each, with the types that were asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from _clips import pictures, write_clip
from _waiting import until
from gate import behind_a_gate
from host import Host, graph, link, node
from PIL import Image
from sandboxes import environment, failed
from skyport.engine.spend.orders import Surroundings, orders_in
from skyport.sandbox import Sandbox

NANO = "google/gemini-3.1-flash-image-preview"
OURS = {"X-Skyport": "1"}
SUBMIT = "generate/image"


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    return environment(sandbox, "haiyi")


@pytest.fixture
def write(own_host: Host) -> Callable[[str, str], Path]:
    """Writes a file into ComfyUI's input folder."""

    def to_input(name: str, text: str) -> Path:
        path = own_host.base / "input" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return to_input


def load(file: Any, columns: str = "", start: int = 1, rows: int = 0) -> dict[str, Any]:
    return node("SkyportLoadRows", file=file, columns=columns, start=start, rows=rows)


def seen(host: Host, rows: dict[str, Any], outputs: int) -> list[Any]:
    """What the outputs give, each as a list of values; the last one is `count`."""
    sinks = {f"s{n}": node("ProbeSinkAll", value=link("rows", n)) for n in (*range(outputs), 8)}
    run = host.run(graph(rows=rows, **sinks))
    assert run.status == "success", (run.error, run.node_errors)
    return [run.probe(name)["items"] for name in sinks]


def values(items: list[dict[str, Any]]) -> list[Any]:
    return [one["value"] for one in items]


def test_columns_are_lists_of_the_types_that_are_named_behind_them(own_host: Host, write: Any):
    write("t.csv", "id,prompt,seed,strength,hd\n1,a fox,7,0.5,yes\n\n2,,8,1,false\n")
    columns = 'seed:INT, prompt\nstrength:float, hd : BOOLEAN,"id"'
    *lists, count = seen(own_host, load("t.csv", columns), 5)
    assert [values(one) for one in lists] == [
        [7, 8],
        ["a fox", ""],
        [0.5, 1.0],
        [True, False],
        ["1", "2"],
    ]
    assert [one["type"] for one in lists[0]] == ["int", "int"]
    assert values(count) == [2]


def test_no_columns_are_the_first_eight_as_text_also_of_json_lines(own_host: Host, write: Any):
    first = {"prompt": "\u706b", "seed": 7, "tags": ["a"], **{f"c{n}": n for n in range(8)}}
    write("t.jsonl", f"{json.dumps(first)}\n" + '{"seed": null, "prompt": "b"}\n')
    *lists, _ = seen(own_host, load("t.jsonl"), 8)
    assert [values(one) for one in lists[:4]] == [
        ["\u706b", "b"],
        ["7", ""],
        ['["a"]', ""],
        ["0", ""],
    ]


def test_start_and_rows_choose_some_by_their_number(own_host: Host, write: Any):
    write("t.csv", "prompt\na\nb\nc\nd\n")
    prompts, count = seen(own_host, load("t.csv", start=2, rows=2), 1)
    assert (values(prompts), values(count)) == (["b", "c"], [2])
    prompts, count = seen(own_host, load("t.csv", start=4, rows=9), 1)
    assert (values(prompts), values(count)) == (["d"], [1])
    failed(own_host, graph(rows=load("t.csv", start=5), s=sink()), "InvalidInput", "4 rows")


def sink(output: int = 0) -> dict[str, Any]:
    return node("ProbeSink", value=link("rows", output))


def test_media_are_decoded_and_a_file_that_is_replaced_runs_again(own_host: Host, write: Any):
    table = write("set/t.csv", "photo,clip\na.png,c.mp4\nsub/b.png,c.mp4\n")
    write("set/sub/x", "")
    Image.new("RGBA", (6, 4), (255, 0, 0, 99)).save(table.parent / "a.png")
    Image.new("RGB", (8, 2), (0, 255, 0)).save(table.parent / "sub" / "b.png")
    write_clip(table.parent / "c.mp4", pictures(2, 16, 16))
    rows = load("set/t.csv", "photo:IMAGE, clip:VIDEO")
    photos, clips, _ = seen(own_host, rows, 2)
    assert [one["shape"] for one in photos] == [[1, 4, 6, 3], [1, 2, 8, 3]]
    assert [one["type"] for one in clips] == ["VIDEO", "VIDEO"]
    Image.new("RGB", (5, 5)).save(table.parent / "a.png")
    assert seen(own_host, rows, 2)[0][0]["shape"] == [1, 5, 5, 3]


def test_files_of_a_folder_are_what_their_names_say(own_host: Host, write: Any):
    folder = write("mixed/z.txt", "x").parent
    Image.new("RGB", (3, 2)).save(folder / "a.png")
    files, count = seen(own_host, load("mixed/"), 1)
    assert [files[0]["shape"], files[1]["value"]] == [[1, 2, 3, 3], str(folder / "z.txt")]
    assert values(count) == [2]
    paths, _ = seen(own_host, load("mixed", "file:STRING", rows=1), 1)
    assert values(paths) == [str(folder / "a.png")]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("seed:INT", ['row 2 (line 4): seed: "x" is no INT']),
        ("photo:IMAGE", ["row 1 (line 2): photo", "gone.png"]),
        ("url:IMAGE", ["row 1 (line 2): url", "a URL is not fetched here", "STRING"]),
        ("nope", ['no column "nope"', "It has: seed, photo, url"]),
        (",".join("seed" for _ in range(9)), ["At most 8"]),
    ],
)
def test_what_is_wrong_is_said_with_its_row(own_host: Host, write: Any, columns: str, words: Any):
    write("w.csv", "seed,photo,url\n1,gone.png,https://e.test/a.png\n\nx,,\n")
    failed(own_host, graph(rows=load("w.csv", columns), s=sink()), "InvalidInput", *words)


def test_a_row_that_cannot_be_read_ends_the_node(own_host: Host, write: Any):
    write("w.csv", "a,b\n1,2\n3\n")
    failed(own_host, graph(rows=load("w.csv"), s=sink()), "InvalidInput", "row 2 (line 3)")


def test_an_output_without_a_column_is_blocked_and_says_so(own_host: Host, write: Any):
    write("t.csv", "prompt\na\n")
    run = own_host.run(graph(rows=load("t.csv"), one=sink(), s=sink(1)))
    assert run.probe("one")["value"] == "a"
    assert "s" not in run.ui
    assert any("no column 2" in one.message for one in run.blocked)


@pytest.mark.parametrize("name", ["", "gone.csv", "../home/keys.csv"])
def test_a_table_that_is_not_there_is_refused_when_it_is_queued(own_host: Host, name: str):
    run = own_host.run(graph(rows=load(name), s=sink()))
    assert run.status == "refused"
    assert run.refusals("rows") == [("custom_validation_failed", "file")]


def test_nothing_outside_comfyuis_folders_is_read_unless_the_person_allows_it(
    own_host: Host, write: Any, tmp_path: Path
):
    outside = tmp_path / "private"
    outside.mkdir()
    Image.new("RGB", (3, 3)).save(outside / "a.png")
    (outside / "t.csv").write_text("photo\na.png\n", encoding="utf-8")
    for file in (str(outside / "t.csv"), str(outside)):
        assert own_host.run(graph(rows=load(file), s=sink())).status == "refused"
    write("t.csv", f"photo\n{outside / 'a.png'}\n")
    inside = graph(rows=load("t.csv", "photo:IMAGE"), s=sink())
    failed(own_host, inside, "InvalidInput", "row 1", "outside", "allowed_folders")
    allow(own_host, str(outside))
    try:
        for file, columns in (
            (str(outside / "t.csv"), "photo:IMAGE"),
            (str(outside), "file:IMAGE"),
            ("t.csv", "photo:IMAGE"),
        ):
            (photos, _) = seen(own_host, load(file, columns, rows=1), 1)
            assert photos[0]["shape"] == [1, 3, 3, 3]
    finally:
        allow(own_host)


def allow(host: Host, *folders: str) -> None:
    answer = host.route(
        "POST", "/skyport/setup/settings", json={"allowed_folders": [*folders]}, headers=OURS
    )
    assert answer.status_code == 200, answer.text


def test_the_tables_and_folders_of_the_input_folder_are_offered(own_host: Host, write: Any):
    write("offered.csv", "a\n1\n")
    write("offered/x.png", "")
    write("no table.png", "")
    about = own_host.object_info("SkyportLoadRows")["input"]["required"]["file"]
    offered = about[1]["suggested"]
    assert about[0] == "STRING"
    assert offered.index("offered.csv") < offered.index("offered/")
    assert "no table.png" not in offered


def test_the_table_of_the_example_comes_along_and_one_of_its_name_goes_first(
    own_host: Host, write: Any
):
    rows = load("skyport-rows.csv", "prompt, seed:INT")
    prompts, seeds, count = seen(own_host, rows, 2)
    assert (values(prompts)[0], values(seeds)) == (
        "A lighthouse in the first light, waves against the rocks",
        [1, 2, 3, 4],
    )
    assert values(count) == [4]
    own = write("skyport-rows.csv", "prompt,seed\na fox,7\n")
    prompts, *_ = seen(own_host, rows, 2)
    assert values(prompts) == ["a fox"]
    own.unlink()


# -- what rows order ----------------------------------------------------------------------------


def text_to_image(**inputs: Any) -> dict[str, Any]:
    fixed = {"model": NANO, "model.aspect_ratio": "1:1", "model.n": 1, "seed": 1}
    return node("SkyportHaiyiTextToImage", {**fixed, **inputs})


def test_a_cloud_node_orders_once_for_each_row_and_all_at_once(
    cloud: Host, sandbox: Sandbox, write: Any
):
    write("shots.csv", "prompt,seed\nrow a,1\nrow b,2\nrow c,3\n")
    prompt = graph(
        rows=load("shots.csv", "prompt, seed:INT"),
        make=text_to_image(prompt=link("rows"), seed=link("rows", 1)),
        seen=node("ProbeSink", value=link("make")),
    )
    with behind_a_gate(cloud):  # the head start reads the rows, too
        handle = cloud.start(prompt)
        until(lambda: len(sandbox.log.of("POST", SUBMIT)) == 3)
    run = handle.result()
    assert run.status == "success", run.error
    assert len(run.probe("seen")) == 3
    sent = [one.fields["parameters"]["prompt"] for one in sandbox.log.of("POST", SUBMIT)]
    assert sorted(sent) == ["row a", "row b", "row c"]


def test_the_estimate_counts_the_rows(own_host: Host, write: Any):
    write("many.csv", "prompt\n" + "".join(f"p{n}\n" for n in range(40)))
    prompt = graph(
        rows=load("many.csv", start=11),
        make=text_to_image(prompt=link("rows")),
        seen=node("ProbeSink", value=link("make")),
    )
    answer = own_host.route("POST", "/skyport/estimate", json={"prompt": prompt}, headers=OURS)
    assert (answer.json()["tasks"], answer.json()["at_least"]) == (30, False)


@pytest.mark.parametrize(
    ("rows", "linked", "expected"),
    [
        (3, {"prompt": link("rows")}, (3, True)),
        (3, {"seed": link("rows", 1)}, (3, True)),
        (3, {"model.aspect_ratio": link("rows", 2)}, (3, True)),
        (3, {"prompt": link("text")}, (3, True)),
        (3, {"seed": link("rows", 8)}, (1, True)),
        (None, {"prompt": link("rows")}, (1, False)),
    ],
)
def test_every_input_that_rows_reach_is_ordered_for_each(rows: Any, linked: Any, expected: Any):
    prompt = graph(
        rows=load("t.csv"),
        text=node("PrimitiveString", value=link("rows")),
        make=text_to_image(**{"prompt": "a", **linked}),
        seen=node("SaveImage", images=link("make")),
    )
    [order] = orders_in(prompt, Surroundings(frames=lambda _: rows))
    assert (order.tasks.count, order.tasks.exact) == expected
