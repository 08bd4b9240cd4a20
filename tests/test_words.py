"""Pins that what people read of a node, a command or a setting is there in both languages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from host import open_host

ROOT = Path(__file__).parent.parent
LANGUAGES = ("en", "zh")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
# The editor's translation reads these as syntax and then shows nothing.
SYNTAX = re.compile(r"[{}@|]")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: Any) -> dict[str, Any]:
    """Our nodes as ComfyUI describes them to the editor, with the models that need no network."""
    with open_host("standin", tmp_path_factory.mktemp("standin"), packs=[ROOT]) as host:
        found = host.client.get("/object_info").json()
    assert len(found) >= 13
    return found


def texts(language: str, name: str = "nodeDefs") -> dict[str, Any]:
    path = ROOT / "locales" / language / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


LIVE = "SkyportHaiyi"  # its platform lists the models, and tells of them in its own words


def inputs_of(node: dict[str, Any]) -> Iterator[str]:
    """Ids of what stands on the node itself, and of what its models ask for."""
    for name, about in {
        **node["input"].get("required", {}),
        **node["input"].get("optional", {}),
    }.items():
        yield name
        options = about[1].get("options", []) if about[0] == "COMFY_DYNAMICCOMBO_V3" else []
        known = ("custom",) if node["name"].startswith(LIVE) else [one["key"] for one in options]
        forms = [one["inputs"] for one in options if one["key"] in known]
        yield from (f"{name}_{inner}" for form in forms for inner in form.get("required", {}))
        yield from (f"{name}_{one}" for form in forms for one in growing(form))
    yield from growing(node["input"])


def growing(inputs: dict[str, Any]) -> Iterator[str]:
    """The slots of lists that grow as they are linked."""
    for name, about in (inputs.get("required", {}) | inputs.get("optional", {})).items():
        if about[0] == "COMFY_AUTOGROW_V3":
            template = about[1]["template"]
            yield from (f"{name}_{template['prefix']}{n}" for n in range(template["max"]))


def lacking(body: Any, wanted: set[str]) -> set[str]:
    """Which of `wanted` have no name or no tooltip."""
    return {
        one for one in wanted if not (body.get(one, {}).get("name") and body[one].get("tooltip"))
    }


def strings(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for value in tree.values():
            yield from strings(value)
    else:
        yield tree


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_node_has_a_name_and_a_description(nodes, language):
    messages = texts(language)
    assert [i for i in nodes if not messages.get(i, {}).get("display_name")] == []
    assert [i for i in nodes if not messages[i].get("description")] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_input_has_a_name_and_a_tooltip(nodes, language):
    messages = texts(language)
    bare = {
        i: lacking(messages[i].get("inputs", {}), set(inputs_of(node))) for i, node in nodes.items()
    }
    assert {i: names for i, names in bare.items() if names} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_output_has_a_name_and_a_tooltip(nodes, language):
    messages = texts(language)
    places = {i: {str(n) for n in range(len(node["output"]))} for i, node in nodes.items()}
    bare = {i: lacking(messages[i].get("outputs", {}), wanted) for i, wanted in places.items()}
    assert {i: names for i, names in bare.items() if names} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_left_over(nodes, language):
    messages = texts(language)
    assert set(messages) == set(nodes)
    for i, node in nodes.items():
        assert set(messages[i].get("inputs", {})) == set(inputs_of(node))
        assert set(messages[i]["outputs"]) == {str(n) for n in range(len(node["output"]))}


def test_english_names_are_those_of_the_code(nodes):
    messages = texts("en")
    for i, node in nodes.items():
        assert messages[i]["display_name"] == node["display_name"]
        assert [one["name"] for one in messages[i]["outputs"].values()] == node["output_name"]


def test_chinese_texts_are_chinese(nodes):
    messages = texts("zh")
    english = texts("en")
    for i in nodes:
        assert CHINESE.search(messages[i]["display_name"])
        assert CHINESE.search(messages[i]["description"])
        for kind in ("inputs", "outputs"):
            assert messages[i].get(kind, {}).keys() == english[i].get(kind, {}).keys()
            assert all(CHINESE.search(one["tooltip"]) for one in messages[i].get(kind, {}).values())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["main", "nodeDefs"])
def test_no_text_holds_what_the_editor_reads_as_syntax(language, name):
    assert [text for text in strings(texts(language, name)) if SYNTAX.search(text)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_category_has_a_name(nodes, language):
    parts = {part for node in nodes.values() for part in node["category"].split("/")}
    assert set(texts(language, "main")["nodeCategories"]) == parts


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_node_has_a_help_page_that_tells_of_all_its_inputs_and_outputs(nodes, language):
    messages = texts(language)
    for i in nodes:
        page = (ROOT / "web" / "docs" / i / f"{language}.md").read_text(encoding="utf-8")
        assert page.startswith(f"# {messages[i]['display_name']}\n")
        slots = set(growing(nodes[i]["input"]))
        own = {
            n: one
            for n, one in messages[i].get("inputs", {}).items()
            if not n.startswith("model_") and n not in slots
        }
        names = [one["name"] for one in (*own.values(), *messages[i]["outputs"].values())]
        assert [name for name in names if f"**{name}**" not in page] == [], i


def test_a_slot_of_a_list_that_grows_is_named_after_what_it_takes(nodes):
    inputs = texts("zh")["SkyportOpenComputingReferenceToVideo"]["inputs"]
    slots = ("images_image0", "images_image1", "videos_video19", "audios_audio0")
    names = [inputs[slot]["name"] for slot in slots]
    assert names == ["\u56fe\u50cf 1", "\u56fe\u50cf 2", "\u89c6\u9891 20", "\u97f3\u9891 1"]
    assert inputs["images_image0"]["tooltip"] == inputs["images"]["tooltip"]


def test_there_is_no_help_page_without_a_node(nodes):
    assert {path.name for path in (ROOT / "web" / "docs").iterdir()} == set(nodes)


@pytest.mark.parametrize("name", ["README", "ARCHITECTURE", "CONTRIBUTING"])
def test_both_languages_of_a_document_have_the_same_shape(name):
    def shape(path: Path) -> list[str]:
        """Its headings' depths, its tables' rows and its code, in order."""
        lines = path.read_text(encoding="utf-8").splitlines()
        return [_shape_of(line) for line in lines if line.startswith(("#", "|", "```", "- "))]

    assert shape(ROOT / f"{name}.md") == shape(ROOT / f"{name}.zh-CN.md")


def _shape_of(line: str) -> str:
    return f"{line.split()[0]}{line.count('|')}"


LINK = re.compile(r"\]\(([^)#:]+)\)|src=\"([^\":]+)\"")
DOCUMENTS = sorted(path for folder in (ROOT, ROOT / "sandbox") for path in folder.glob("*.md"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_to_a_file_of_ours_leads_somewhere(path):
    text = path.read_text(encoding="utf-8")
    targets = [one or other for one, other in LINK.findall(text)]
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_the_readme_tells_of_every_setting_node_and_command(nodes):
    from skyport import cli
    from skyport.engine.settings import settings

    for name in ("README.md", "README.zh-CN.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        variables = [one for one in settings._VARIABLES.values() if one]
        wanted = [*variables, *settings._VARIABLES, *nodes]
        wanted += [f"`skyport {command}" for command in cli._COMMANDS]
        assert [one for one in wanted if one not in text] == [], name


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_section_of_the_settings_has_a_heading(language: str):
    script = (ROOT / "web" / "settings.js").read_text("utf-8")
    sections = re.findall(r'^  \["(\w+)", "', script, re.MULTILINE)
    assert "Keys" in sections
    wanted = ["Skyport", *(f"Skyport{name}" for name in sections)]
    assert list(texts(language, "main")["settingsCategories"]) == wanted
