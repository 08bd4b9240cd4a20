"""Pins that each blueprint is one node in the editor that loads, and holds together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "subgraphs"
BLUEPRINTS = sorted(FOLDER.glob("*.json"))
each = pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def inside(path: Path) -> dict[str, Any]:
    [subgraph] = read(path)["definitions"]["subgraphs"]
    return dict(subgraph)


def test_there_are_seven():
    assert len(BLUEPRINTS) == 7


@each
def test_it_is_one_node_that_holds_all_and_bears_its_name(path: Path):
    [node], subgraph = read(path)["nodes"], inside(path)
    assert (node["type"], node["title"], subgraph["name"]) == (
        subgraph["id"],
        path.stem,
        path.stem,
    )
    assert read(path)["links"] == []
    assert subgraph["description"]
    assert [one["type"] for one in subgraph["outputs"] if one["type"] == "*"] == []


@each
def test_its_id_is_its_own(path: Path):
    assert [inside(one)["id"] for one in BLUEPRINTS].count(inside(path)["id"]) == 1


@each
def test_every_input_and_output_of_it_is_linked_inside(path: Path):
    subgraph = inside(path)
    ids = {link["id"] for link in subgraph["links"]}
    sockets = [*subgraph["inputs"], *subgraph["outputs"]]
    assert all(one["linkIds"] and set(one["linkIds"]) <= ids for one in sockets)


@each
def test_a_seed_in_it_stays_as_it_is(path: Path):
    for node in inside(path)["nodes"]:
        assert "randomize" not in (node["widgets_values"] or [])
