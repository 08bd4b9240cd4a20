"""Runs the tests of the editor's scripts, below tests/web/, where there is a Node.js."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from _waiting import PATIENCE

HERE = Path(__file__).parent / "web"
NODE = shutil.which("node")


def version() -> tuple[int, ...]:
    result = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, result.strip().lstrip("v").split(".")[:2]))


def test_no_script_makes_markup_of_text():
    makers = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|Function\("
    )
    scripts = sorted((HERE.parent.parent / "web").rglob("*.js"))
    assert len(scripts) > 20
    assert [one.name for one in scripts if makers.search(one.read_text(encoding="utf-8"))] == []


def test_every_function_of_the_editor_is_replaced_in_the_way_that_is_known_as_ours():
    replaced = re.compile(r"\b(app|api)\.\w+ = (?!=)(async )?(function|\(|\w+ =>|Object\.assign)")
    scripts = sorted((HERE.parent.parent / "web").rglob("*.js"))
    assert [one.name for one in scripts if replaced.search(one.read_text(encoding="utf-8"))] == []


@pytest.mark.skipif(NODE is None, reason="Node.js is not installed")
@pytest.mark.parametrize("path", sorted(HERE.glob("*.test.js")), ids=lambda path: path.name)
def test_scripts_of_the_editor(path):
    if version() < (20, 19):
        # Older ones take a .js for CommonJS where no package.json says otherwise.
        pytest.skip("Node.js 20.19 or newer is needed")
    done = subprocess.run([NODE, "--test", path], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
