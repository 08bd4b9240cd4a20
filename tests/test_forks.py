"""Pins that a forked process has an engine of its own and leaves what its parent has alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from _waiting import PATIENCE
from PIL import Image
from processes import python_path
from sandboxes import environment
from skyport.sandbox import start

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
FORKED = Path(__file__).with_name("forked.py")


def found(what: str, tmp_path: Path, **env: str) -> dict[str, Any]:
    picture = tmp_path / "photo.png"
    Image.linear_gradient("L").convert("RGB").resize((64, 48)).save(picture)
    done = subprocess.run(
        [sys.executable, str(FORKED), what, str(picture)],
        env={**python_path(), "SKYPORT_RESULTS_DIR": str(tmp_path / "results"), **env},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return dict(json.loads(done.stdout))


def test_a_child_brings_home_its_own_jobs_and_the_parent_its_own(tmp_path: Path) -> None:
    with start(pace=0.05) as sandbox:
        result = found("order", tmp_path, **environment(sandbox, "haiyi"))
        assert sandbox.charges == {"haiyi": 3}
    assert result.pop("child")
    assert result == {
        "child is another": True,
        "parent lived": True,
        "under way in the child": 0,
        "child got": 2,
        "parent got": 1,
        "parent is itself": True,
        "parent lives": True,
        "child is dead": True,
        "states": ["succeeded"] * 3,
    }


def test_a_fork_amid_writes_breaks_no_ledger_and_writes_nothing_twice(tmp_path: Path) -> None:
    result = found("ledger", tmp_path)
    assert result["children"] == [[True, False, 0, ""]] * 5
    assert (result["of children"], result["twice"]) == (5, 0)
    assert (result["intact"], result["trouble"]) == ("ok", "")


def test_threads_that_fork_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    assert found("many", tmp_path) == {"children": 12, "writable": True}
