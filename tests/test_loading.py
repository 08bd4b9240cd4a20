"""Pins how the pack is loaded in ComfyUI: once, and with words where that cannot be."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import standin  # noqa: F401  makes the modules of ComfyUI importable
from _waiting import PATIENCE
from host import PACK
from processes import python_path
from skyport.engine.base import install

comfyui_version = import_module("comfyui_version")
PromptServer: Any = import_module("server").PromptServer
serial = itertools.count(1)
IGNORED = shutil.ignore_patterns(".git", "tests", "docs", "__pycache__", "*.png")


@pytest.fixture
def server() -> Iterator[Any]:
    """A new server, as a ComfyUI that starts has it."""
    loop = asyncio.new_event_loop()
    before = getattr(PromptServer, "instance", None)
    yield PromptServer(loop)
    PromptServer.instance = before
    loop.close()


@pytest.fixture
def load(server: Any, tmp_path: Path) -> Iterator[Callable[[Path], Any]]:
    """Loads the pack in a folder as ComfyUI does."""
    names: list[str] = []

    def load(folder: Path) -> Any:
        names.append(f"loaded_{next(serial)}")
        spec = importlib.util.spec_from_file_location(names[-1], folder / "__init__.py")
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        sys.modules[names[-1]] = module
        spec.loader.exec_module(module)  # type: ignore[union-attr]
        return module

    yield load
    for name in list(sys.modules):
        if name.partition(".")[0] in names:
            del sys.modules[name]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return shutil.copytree(PACK, tmp_path / "a copy", ignore=IGNORED)


def node_count(module: Any) -> int:
    async def nodes() -> list[Any]:
        return await (await module.comfy_entrypoint()).get_node_list()  # type: ignore[no-any-return]

    return len(asyncio.run(nodes()))


def notices(server: Any, locale: str = "") -> list[str]:
    """What the editor is told."""
    [route] = [one for one in server.routes if getattr(one, "path", "") == "/skyport/install"]

    request = SimpleNamespace(query={"locale": locale})
    answer = asyncio.run(route.handler(request))  # type: ignore[attr-defined]
    return list(json.loads(answer.body)["notices"])


def test_a_whole_installation_is_loaded_and_says_nothing(server, load):
    module = load(PACK)
    assert node_count(module) > 20
    assert module.WEB_DIRECTORY == "./web"
    assert notices(server) == []


def test_no_thread_begins_while_modules_are_loaded(server, load, monkeypatch):
    """Two threads that wait for each other's modules get half of them, and the pack none."""
    start, seen = threading.Thread.start, []

    def loaded() -> set[str]:
        ours = re.compile(r"loaded_\d+\.(nodes\..*|providers\.\w+)")
        return set(filter(ours.fullmatch, list(sys.modules)))

    def noted(thread: threading.Thread) -> None:
        seen.append(loaded())
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noted)
    load(PACK)
    assert seen
    assert seen[0] == loaded()


def test_a_second_copy_is_not_loaded_and_both_folders_are_named(server, load, copy, caplog):
    first, second = load(PACK), load(copy)
    assert node_count(first) > 20
    with pytest.raises(RuntimeError) as caught:
        node_count(second)
    [notice] = notices(server)
    assert notice == str(caught.value)
    for folder in (PACK, copy):
        assert str(folder) in notice
        assert str(folder) in caplog.text
    assert second.WEB_DIRECTORY == "./web/install"


def test_another_link_to_the_same_folder_is_no_second_copy(server, load, tmp_path, caplog):
    link = tmp_path / "link"
    link.symlink_to(PACK, target_is_directory=True)
    first, second = load(PACK), load(link)
    assert (node_count(first) > 20, node_count(second)) == (True, 0)
    assert second.WEB_DIRECTORY is None
    assert notices(server) == []
    assert "twice" not in caplog.text


@pytest.mark.parametrize("version", ["0.25.9", "0.3.40", "0.25.0-rc1", None])
def test_an_old_comfyui_gets_one_notice_and_none_of_the_scripts(
    server, load, monkeypatch, caplog, version
):
    if version:
        monkeypatch.setattr(comfyui_version, "__version__", version)
    else:
        monkeypatch.delattr(comfyui_version, "__version__")
    module = load(PACK)
    assert module.WEB_DIRECTORY == "./web/install"
    [notice] = notices(server)
    assert "0.26.0" in notice
    assert notice in caplog.text
    with pytest.raises(RuntimeError, match="Update ComfyUI"):
        node_count(module)


@pytest.mark.parametrize("version", ["0.26.0", "0.26.0rc1", "0.26", "1.0", "some branch"])
def test_a_comfyui_that_is_new_enough_or_of_no_known_version_is_used(
    server, load, monkeypatch, version
):
    monkeypatch.setattr(comfyui_version, "__version__", version)
    assert node_count(load(PACK)) > 20


def test_a_missing_package_is_named_with_the_command_for_this_python(
    server, load, monkeypatch, caplog
):
    monkeypatch.setitem(sys.modules, "requests_toolbelt", None)
    module = load(PACK)
    assert module.WEB_DIRECTORY == "./web/install"
    [notice] = notices(server)
    file = PACK / "requirements.txt"
    assert "requests-toolbelt>=1.0." in notice
    assert f'"{sys.executable}" -s -m pip install -r "{file}"' in notice
    assert notice in caplog.text
    with pytest.raises(RuntimeError, match="requests-toolbelt"):
        node_count(module)
    assert "requests-toolbelt>=1.0" in notices(server, "zh-CN")[0]
    assert "\u8bf7\u8fd0\u884c" in notices(server, "zh-CN")[0]


def test_a_package_that_is_too_old_is_told_and_the_nodes_are_there(server, load, copy, caplog):
    file = copy / "requirements.txt"
    file.write_text(file.read_text().replace("tqdm>=4.66", "tqdm>=1000.1"))
    module = load(copy)
    assert node_count(module) > 20
    assert module.WEB_DIRECTORY == "./web"
    assert "tqdm>=1000.1 (" in notices(server)[0]
    assert "tqdm>=1000.1 (" in caplog.text


def test_a_broken_package_is_told_with_its_error(server, load, copy):
    (copy / "engine" / "media" / "files.py").write_text("raise OSError('a DLL is missing')")
    module = load(copy)
    [notice] = notices(server)
    assert "a DLL is missing" in notice
    assert "--force-reinstall" in notice
    assert module.WEB_DIRECTORY == "./web/install"


def test_the_command_without_a_package_says_so_in_one_line():
    code = "import sys; sys.modules['requests'] = None; from skyport.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=python_path(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("skyport: Skyport needs these Python packages: requests>=2.31. Run ")


def test_a_package_that_only_some_command_needs_is_told_by_that_command(skyport, monkeypatch):
    monkeypatch.setitem(sys.modules, "python_multipart", None)
    for name in [one for one in list(sys.modules) if one.startswith("skyport.sandbox")]:
        monkeypatch.delitem(sys.modules, name)
    result = skyport("sandbox")
    assert result.code == 1
    assert "python-multipart>=" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("version", "floor", "older"),
    [("2.9", "2.31", True), ("2.31.0", "2.31", False), ("3.0rc1", "2.31", False)],
)
def test_versions_are_compared_by_their_numbers(version: str, floor: str, older: bool) -> None:
    assert install.is_older(version, floor) is older


def test_a_path_that_a_shell_would_read_is_quoted(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/opt/a $HOME/python")
    assert install.command().startswith("'/opt/a $HOME/python' -s")
