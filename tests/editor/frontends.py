"""Runs tests of the editor on several frontends, one after another.

    COMFYUI_PATH=... python tests/editor/frontends.py "DIR DIR ..." tests/test_editor_outcome.py

The directories are static folders of comfyui-frontend-package, as COMFYUI_FRONTEND takes them
(pip install --target X --no-deps comfyui-frontend-package==1.55.18); what follows goes to pytest.
Ends with a table of what passed where, and the number of frontends on which something has failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree


def main(folders: str, *options: str) -> int:
    failed = []
    told: dict[str, Mapping[str, str]] = {}
    for folder in folders.split():
        print(f"== {folder}", flush=True)
        env = {**os.environ, "COMFYUI_FRONTEND": folder}
        with tempfile.TemporaryDirectory() as room:
            report = Path(room) / "report.xml"
            command = [sys.executable, "-m", "pytest", "-q", "-n", "0", f"--junitxml={report}"]
            if subprocess.run([*command, *options], env=env, check=False).returncode:
                failed.append(folder)
            told[folder] = _ends(report) if report.exists() else {}
    _print_table(told)
    print("failed on:", *(failed or ["none"]))
    return len(failed)


def _ends(report: Path) -> dict[str, str]:
    """How each test ended."""
    tests = ElementTree.parse(report).getroot().iter("testcase")
    return {test.get("name", ""): _end(test) for test in tests}


def _end(test: ElementTree.Element) -> str:
    ends = [part.tag for part in test if part.tag in ("failure", "error", "skipped")]
    return ends[0] if ends else "passed"


def _print_table(told: Mapping[str, Mapping[str, str]]) -> None:
    """A line for each test, a column for each frontend."""
    names = list(dict.fromkeys(name for ends in told.values() for name in ends))
    widest = max((len(name) for name in names), default=0)
    for number, folder in enumerate(told, 1):
        print(f"{number}: {folder}")
    print(" " * widest, *(f"{number:<8}" for number in range(1, len(told) + 1)))
    for name in names:
        print(f"{name:{widest}}", *(f"{ends.get(name, '-'):<8}" for ends in told.values()))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
