"""Pins what holds the repository together: metadata, who imports what, texts in two languages."""

from __future__ import annotations

import ast
import json
import re
import shutil
import string
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def python_files() -> list[Path]:
    """What git keeps: a virtual environment in the checkout is not ours to judge."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "*.py"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return sorted(path for path in paths if path.is_file() and not path.is_symlink())


SETUPTOOLS = int(version("setuptools").partition(".")[0]) if find_spec("setuptools") else 0
WHEEL_FOLDERS = ("web", "locales", "example_workflows", "subgraphs", "demo", "sandbox", "providers")
ALL_CODE = python_files()
PACKAGE = [path for path in ALL_CODE if "tests" not in path.relative_to(ROOT).parts]
FOLDERS = {path.relative_to(ROOT).parts[0] for path in PACKAGE if path.parent != ROOT}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# -- metadata -----------------------------------------------------------------------------------


def test_requirements_are_those_of_the_project():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").split()
    assert lines == PROJECT["project"]["dependencies"]


@pytest.mark.parametrize("requirement", PROJECT["project"]["dependencies"])
def test_a_requirement_is_a_floor_and_nothing_that_comes_with_the_host(requirement):
    name, floor = re.fullmatch(r"([a-z-]+)>=([\d.]+)", requirement).groups()
    assert floor
    assert name not in {"torch", "torchvision", "torchaudio", "torchsde", "aiohttp"}


@pytest.mark.parametrize("name", ["SECURITY.md", "SECURITY.zh-CN.md"])
def test_what_the_security_document_claims_has_a_module_and_a_test(name):
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    tests = re.findall(r"`(test_\w+\.py)::(\w+)`", text)
    modules = re.findall(r"`((?:engine|nodes|web)/[\w/.]*)`", text)
    assert len(tests) > 25
    assert [m for m in modules if not (ROOT / m).exists()] == []
    assert [
        f"{file}::{test}"
        for file, test in tests
        if not re.search(rf"^def {test}\(", (ROOT / "tests" / file).read_text("utf-8"), re.M)
    ] == []


def test_both_security_documents_claim_the_same():
    texts = [(ROOT / "docs" / f"SECURITY{end}.md").read_text("utf-8") for end in ("", ".zh-CN")]
    first, second = (re.findall(r"`[\w/.]+\.py(?:::\w+)?`", text) for text in texts)
    assert first == second


def test_the_registry_finds_what_it_asks_for():
    comfy = PROJECT["tool"]["comfy"]
    assert PROJECT["project"]["name"] == "skyport"
    assert re.fullmatch(r"\d+\.\d+\.\d+", PROJECT["project"]["version"])
    assert PROJECT["project"]["urls"]["Repository"].startswith("https://github.com/")
    assert comfy["PublisherId"]
    assert comfy["DisplayName"]
    assert re.fullmatch(r">=\d+\.\d+\.\d+", comfy["requires-comfyui"])


@pytest.mark.parametrize(
    ("name", "most", "ratio"), [("Icon", (400, 400), (1, 1)), ("Banner", (2100, 900), (21, 9))]
)
def test_the_registry_shows_pictures_of_the_shape_it_asks_for(name, most, ratio):
    url = PROJECT["tool"]["comfy"][name]
    home = PROJECT["project"]["urls"]["Repository"].removeprefix("https://github.com/")
    root, _, path = url.partition("/main/")
    assert root == f"https://raw.githubusercontent.com/{home}"
    with Image.open(ROOT / path) as picture:
        assert picture.format == "PNG"
        assert picture.width * ratio[1] == picture.height * ratio[0]
        assert picture.size <= most
    assert (ROOT / path).stat().st_size < 60_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in a wheel that is built from what git keeps."""
    source, into = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if not name.startswith("tests/") and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    build = "import setuptools.build_meta as b, sys; b.build_wheel(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", build, str(into)], cwd=source, check=True, capture_output=True
    )
    [path] = into.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


@pytest.mark.skipif(SETUPTOOLS < 77, reason="setuptools 77 or newer is needed")
def test_a_wheel_holds_everything_that_is_read_when_it_runs(wheel):
    files = (path for name in WHEEL_FOLDERS for path in (ROOT / name).rglob("*") if path.is_file())
    wanted = {f"skyport/{name_of(path)}" for path in files if "__pycache__" not in path.parts}
    assert {name for name in wanted - wheel if "README" not in name} == set()
    assert {f"skyport/{name_of(path)}" for path in PACKAGE} - wheel == set()
    assert [name for name in wheel if name.startswith("skyport/tests/")] == []


def test_scripts_are_not_loaded_twice():
    assert "web" not in PROJECT["tool"]["comfy"]


def test_every_folder_of_code_is_packed():
    packed = set(PROJECT["tool"]["setuptools"]["packages"])
    folders = {path.relative_to(ROOT).parent for path in PACKAGE}
    assert {".".join(("skyport", *folder.parts)) for folder in folders} <= packed


def test_the_changelog_tells_of_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{PROJECT['project']['version']}]" in text


def test_the_licence_is_the_one_the_project_names():
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


# -- code ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ALL_CODE, ids=name_of)
def test_code_is_ascii(path):
    lines = path.read_bytes().splitlines()
    assert [number for number, line in enumerate(lines, 1) if not line.isascii()] == []


def imports(nodes: Iterable[ast.AST]) -> set[str]:
    """The first name of every absolute import among `nodes`."""
    plain = (alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names)
    origins = (n.module or "" for n in nodes if isinstance(n, ast.ImportFrom) and not n.level)
    return {name.split(".")[0] for name in (*plain, *origins)}


def anywhere(path: Path) -> list[ast.AST]:
    return list(ast.walk(tree(path)))


def test_every_room_imports_only_what_it_may():
    """The contracts stand in pyproject.toml. In a process of its own: it switches loggers off."""
    check = "from importlinter.cli import lint_imports; exit(lint_imports(no_cache=True))"
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", PACKAGE, ids=name_of)
def test_imports_inside_the_package_are_relative(path):
    assert imports(anywhere(path)) & (FOLDERS - {"nodes"} | {"skyport"}) == set()


# An absolute `nodes` is ComfyUI's module, a relative one is ours.
HOST = {"comfy", "comfy_api", "comfy_execution", "comfyui_version", "execution", "folder_paths"}
HOST |= {"nodes", "server", "torch", "aiohttp"}


def test_importing_the_package_needs_no_host():
    assert imports(tree(ROOT / "__init__.py").body) & HOST == set()


# -- texts in two languages ---------------------------------------------------------------------


def is_tr(node: ast.AST) -> bool:
    called = node.func if isinstance(node, ast.Call) else None
    return "tr" in (getattr(called, "id", None), getattr(called, "attr", None))


def literal(call: ast.Call) -> Any:
    return call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@cache
def calls() -> list[tuple[Path, Any]]:
    """Every call of tr(). Read by the tests that ask: all workers collect this file."""
    return [(path, call) for path in PACKAGE for call in anywhere(path) if is_tr(call)]


@cache
def said() -> set[str]:
    return {text for _, call in calls() if isinstance(text := literal(call), str)}


@pytest.fixture
def chinese() -> dict[str, str]:
    return json.loads((ROOT / "locales" / "zh" / "messages.json").read_text(encoding="utf-8"))


def test_every_text_is_a_literal():
    assert [f"{name_of(p)}:{c.lineno}" for p, c in calls() if not isinstance(literal(c), str)] == []


def test_every_text_gets_the_values_it_names():
    def wrong(call: ast.Call) -> bool:
        given = {keyword.arg for keyword in call.keywords}
        return None not in given and given != placeholders(str(literal(call)))

    assert [f"{name_of(path)}:{call.lineno}" for path, call in calls() if wrong(call)] == []


def test_every_text_has_a_chinese_one(chinese):
    assert sorted(said() - chinese.keys()) == []


def test_no_chinese_text_is_left_over(chinese):
    assert sorted(chinese.keys() - said()) == []


def test_chinese_texts_name_the_same_values(chinese):
    assert [en for en, zh in chinese.items() if placeholders(en) != placeholders(zh)] == []
