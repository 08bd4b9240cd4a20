"""Pins that each example opens in the editor and that its API twin is the same graph."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from skyport.demo._examples import PICTURE
from skyport.engine.batch.selection import read_columns
from skyport.engine.batch.table import open_table
from skyport.engine.platforms import families
from skyport.engine.workflows.api_format import read_workflow, targets
from skyport.providers.happyhorse import HappyHorse
from skyport.sandbox import haiyi as imitation
from skyport.sandbox._opencomputing_rows import Tables

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "example_workflows"
EXAMPLES = sorted(FOLDER.glob("*.json"))
NOTES = {"Note", "MarkdownNote"}  # the editor's own: never queued
TASKS = ("text2image", "text2video", "image2video")  # of the nodes over several platforms
FOR_THE_EYE = ("image",)  # the editor's file names a picture that ComfyUI brings along

pytestmark = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def twin(path: Path) -> Any:
    return read(FOLDER / "api" / path.name)


def nodes(path: Path) -> dict[str, Any]:
    """The nodes of the editor's file that are queued, by id."""
    return {str(one["id"]): one for one in read(path)["nodes"] if one["type"] not in NOTES}


def is_link(value: Any) -> bool:
    return isinstance(value, list)


def test_it_is_in_the_format_of_the_editor(path):
    found = read(path)
    assert found["version"] == 0.4
    ends = {one["id"] for one in found["nodes"]}
    assert all(link[1] in ends and link[3] in ends for link in found["links"])
    assert found["last_node_id"] >= max(ends)


def test_its_id_is_its_own(path):
    ids = [read(one)["id"] for one in EXAMPLES]
    assert ids.count(read(path)["id"]) == 1


def test_the_twin_has_the_same_nodes(path):
    kinds = {key: node["type"] for key, node in nodes(path).items()}
    assert {key: node["class_type"] for key, node in twin(path).items()} == kinds


def test_the_twin_has_the_same_links(path):
    named = {
        (str(to), nodes(path)[str(to)]["inputs"][slot]["name"], str(origin), output)
        for _, origin, output, to, slot, _ in read(path)["links"]
    }
    linked = {
        (key, name, *value)
        for key, node in twin(path).items()
        for name, value in node["inputs"].items()
        if is_link(value)
    }
    assert linked == named


def test_the_twin_has_the_values_of_the_editor(path):
    """Beyond them it names only parameters that the sandbox's models have and the built-in lack."""
    for key, node in twin(path).items():
        values = nodes(path)[key].get("widgets_values") or []
        own = {n: v for n, v in node["inputs"].items() if not is_link(v) and n not in FOR_THE_EYE}
        strange = {name for name, value in own.items() if value not in values}
        assert all(name.startswith("model.") for name in strange), (key, strange)


def test_parameters_of_a_model_are_its_own(path):
    for node in twin(path).values():
        model = node["inputs"].get("model", "")
        nested = {name.split(".")[1] for name in node["inputs"] if name.startswith("model.")}
        assert nested <= parameters(model), model


def parameters(model: str) -> set[str]:
    """Input ids that the sandbox's models of that name make."""
    rows = [
        r for r in imitation._read("haiyi_models.json") if f"{r['provider']}/{r['model']}" == model
    ]
    rules = [rule for row in rows for rule in row["parameter_rules"]]
    keyed = {f"{rule['name']}_{key['key']}" for rule in rules for key in rule.get("keys", [])}
    tables = Tables.read(ROOT / "sandbox" / "opencomputing_tables.json").rows
    fields = {name for row, known in tables.items() if row[1] == model for name in known}
    expected = {
        param.name
        for one in map(HappyHorse.read_row, HappyHorse.built_in_rows())
        for param in one.params
        if one.id == model
    }
    return keyed | fields | expected | {rule["name"] for rule in rules} | shared(model)


def shared(family: str) -> set[str]:
    """The inputs that a node over several platforms has for a model family."""
    found = [families.families(task).get(family) for task in TASKS]
    names = {param.name for one in found if one for param in families.shared_params(one)}
    return {families.PLATFORMS, *names} if any(found) else set()


def test_nodes_of_ours_have_the_inputs_they_are_given(path, host):
    for node in twin(path).values():
        if node["class_type"].startswith("Skyport"):
            info = host.object_info(node["class_type"])["input"]
            known = {*info.get("required", {}), *info.get("optional", {})}
            assert {name.split(".")[0] for name in node["inputs"]} <= known
            assert set(info["required"]) <= set(node["inputs"])


def test_a_remote_workflow_in_it_has_the_inputs_that_are_set(path):
    found = list(twin(path).values())
    named = [one["inputs"]["target"] for one in found if one["class_type"] == "SkyportRemoteInput"]
    texts = [one["inputs"]["workflow"] for one in found if "workflow" in one["inputs"]]
    offered = [target for text in texts for target in targets(read_workflow(text))]
    assert set(named) <= set(offered)


def test_a_picture_that_is_loaded_is_one_there_is(path):
    for key, node in twin(path).items():
        if node["class_type"] == "LoadImage":
            assert node["inputs"]["image"] == PICTURE.name
            assert nodes(path)[key]["widgets_values"][0] == "example.png"  # ComfyUI brings it along


def test_a_table_that_is_loaded_comes_along_with_the_columns_that_are_linked(path):
    for key, node in twin(path).items():
        if node["class_type"] == "SkyportLoadRows":
            named = read_columns(node["inputs"]["columns"])
            table = open_table(FOLDER / node["inputs"]["file"])
            assert {column.name for column in named} <= set(table.columns)
            assert [row.number for row in table.rows()] == [1, 2, 3, 4]
            linked = [
                value[1]
                for other in twin(path).values()
                for value in other["inputs"].values()
                if is_link(value) and value[0] == key
            ]
            assert sorted(linked) == [*range(len(named))]


def test_a_seed_stays_as_it_is(path):
    """A seed that changes at each run would order, and pay for, a new task each time."""
    for node in nodes(path).values():
        if "seed" in [slot["name"] for slot in node["inputs"]]:
            assert "fixed" in node["widgets_values"]
            assert "randomize" not in node["widgets_values"]


def test_it_has_a_note_in_both_languages(path):
    texts = [one["widgets_values"][0] for one in read(path)["nodes"] if one["type"] in NOTES]
    assert len(texts) == 1
    assert "Settings > Skyport" in texts[0]
    assert "\u5bc6\u94a5" in texts[0]


def test_its_note_says_what_to_click_and_names_no_environment_variable(path):
    [text] = [one["widgets_values"][0] for one in read(path)["nodes"] if one["type"] in NOTES]
    assert "Practice mode" in text
    assert "\u7ec3\u4e60\u6a21\u5f0f" in text
    assert not re.search(r"[A-Z]+_[A-Z]", text)
    # A bold text whose last character is punctuation needs a space behind it to end.
    assert not re.search(r"[\u3002\uff1a\uff0c]\*\*\S", text)


def test_it_has_a_thumbnail(path):
    thumbnail = path.with_suffix(".jpg")
    assert thumbnail.stat().st_size < 60_000
    with Image.open(thumbnail) as image:
        assert (image.format, image.size) == ("JPEG", (400, 300))


def test_an_app_shows_widgets_that_there_are_and_what_it_makes(path):
    extra, found = read(path)["extra"], nodes(path)
    assert ("linearMode" in extra) == path.stem.endswith("(App)")
    shown = extra.get("linearData", {"inputs": [], "outputs": []})
    for node_id, name in shown["inputs"]:
        widgets = [
            slot["widget"]["name"] for slot in found[str(node_id)]["inputs"] if "widget" in slot
        ]
        assert name in widgets
    assert {found[str(node_id)]["type"] for node_id in shown["outputs"]} <= {
        "SaveImage",
        "SaveVideo",
    }
    assert bool(shown["outputs"]) == bool(shown["inputs"]) == ("linearMode" in extra)


def test_what_it_makes_is_saved(path):
    makes_video = any(
        slot["type"] == "VIDEO" for node in nodes(path).values() for slot in node["outputs"]
    )
    kinds = {node["type"] for node in nodes(path).values()}
    assert ("SaveVideo" if makes_video and "Video" in path.stem else "SaveImage") in kinds
