"""Pins how tables are read: every flaw is told with its row, and spoils no other row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from skyport.engine.base.errors import InvalidInput
from skyport.engine.batch.table import TableRow, open_table


def rows(path: Path, content: str | bytes) -> list[TableRow]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(open_table(path).rows())


def values(path: Path, content: str | bytes) -> list[dict[str, object]]:
    found = rows(path, content)
    assert [row.error for row in found] == [""] * len(found)
    return [dict(row.values) for row in found]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"


FOX = [{"prompt": "a fox", "seed": "3"}, {"prompt": "an owl, twice", "seed": "4"}]


@pytest.mark.parametrize(
    "content",
    [
        'prompt,seed\na fox,3\n"an owl, twice",4\n',
        '\ufeffprompt,seed\r\na fox,3\r\n"an owl, twice",4\r\n',
        '"prompt","seed"\n"a fox","3"\n"an owl, twice","4"',
        "prompt;seed\na fox;3\nan owl, twice;4\n",
        "prompt\tseed\na fox\t3\nan owl, twice\t4\n",
        "sep=;\r\nprompt;seed\r\na fox;3\r\nan owl, twice;4\r\n",
        '\n prompt , seed \n\na fox,3\n,\n   \n"an owl, twice",4\n\n',
        'prompt,seed,,\na fox,3,,\n"an owl, twice",4,,\n',
        "prompt\tseed\r\na fox\t3\r\nan owl, twice\t4\r\n".encode("utf-16"),
    ],
    ids=["plain", "excel", "quoted", "semicolons", "tabs", "sep", "blanks", "empty columns", "u16"],
)
def test_every_usual_way_to_write_a_table_is_read(path, content):
    assert values(path, content) == FOX


def test_rows_are_numbered_without_empty_lines_and_know_their_line(path):
    found = rows(path, 'prompt\n\n"two\nlines"\n\nan owl\n')
    assert [(row.number, row.line) for row in found] == [(1, 3), (2, 6)]
    assert found[0].values == {"prompt": "two\nlines"}


def test_bytes_that_are_no_utf8_spoil_their_own_row_only(path):
    found = rows(path, b"prompt\na fox\nG\xfcte\nan owl\n")
    assert [bool(row.error) for row in found] == [False, True, False]
    assert "UTF-8" in found[1].error


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a fox", "it has 1 cells and the header has 2"),
        ("a fox,an owl,3", "it has 3 cells and the header has 2"),
        ('"a "red" fox",3', "quotes do not match"),
    ],
)
def test_a_row_of_the_wrong_shape_is_told_and_the_next_one_is_read(path, line, words):
    found = rows(path, f"prompt,seed\n{line}\nan owl,4\n")
    assert words in found[0].error
    assert found[1] == TableRow(2, 3, {"prompt": "an owl", "seed": "4"})


def test_a_quote_that_is_never_closed_is_refused_with_its_line(path):
    with pytest.raises(InvalidInput, match="quote of line 3 is never closed"):
        rows(path, 'prompt,seed\na fox,1\n"an owl,2\na hare,3\n')


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("prompt,prompt\na,b\n", '"prompt" is there twice'),
        ("prompt,,seed\na,b,c\n", "a column has no name"),
        (b"pr\xfcmpt\na\n", "not UTF-8"),
        ('"prompt,seed\na,1\n', "quotes of its header do not match"),
        ('"pro"mpt,seed\na,1\n', "quotes of its header do not match"),
    ],
)
def test_a_header_that_cannot_be_meant_is_refused_at_once(path, content, words):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidInput, match=words):
        open_table(path)


def test_a_long_cell_is_read_with_its_lines(path):
    long = "a fox\n" * 40_000
    assert values(path, f'prompt\n"{long}"\nan owl\n') == [{"prompt": long}, {"prompt": "an owl"}]


def test_a_name_that_a_json_line_has_twice_is_refused(tmp_path):
    found = rows(tmp_path / "rows.jsonl", '{"a": 1, "a": 2}\n{"a": {"b": 1, "b": 1}}\n{"a": 1}\n')
    assert [row.error for row in found] == ['"a" is there twice', '"b" is there twice', ""]


def test_a_json_line_with_a_number_of_thousands_of_digits_is_read(tmp_path):
    [found] = rows(tmp_path / "rows.jsonl", f'{{"seed": {"9" * 5000}}}\n')
    assert (found.error, len(str(found.values["seed"]))) == ("", 5000)


def test_a_workbook_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "rows.xlsx").write_bytes(b"PK")
    with pytest.raises(InvalidInput, match="CSV UTF-8"):
        open_table(tmp_path / "rows.xlsx")


def test_json_lines_keep_numbers_and_lists_and_tell_what_is_none(tmp_path):
    lines = [
        '\ufeff{"prompt": "a fox", "seed": 3, "images": ["a.png"]}',
        "",
        "{broken",
        "[1, 2]",
        '{"seed": NaN}',
        json.dumps({"prompt": "\u9e70"}, ensure_ascii=False),
    ]
    found = rows(tmp_path / "rows.jsonl", "\n".join(lines).encode() + b'\n{"a": "\xff"}\n')
    assert found[0] == TableRow(1, 1, {"prompt": "a fox", "seed": 3, "images": ["a.png"]})
    assert [(row.number, row.line, bool(row.error)) for row in found[1:]] == [
        (2, 3, True),
        (3, 4, True),
        (4, 5, True),
        (5, 6, False),
        (6, 7, True),
    ]


def test_a_folder_is_a_row_for_each_file_by_name(tmp_path):
    for name in ("b.png", "a.png", ".hidden"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "inner").mkdir()
    found = list(open_table(tmp_path).rows())
    assert [(row.number, row.name) for row in found] == [(1, "a"), (2, "b")]
    assert found[0].values == {"file": str(tmp_path / "a.png")}
