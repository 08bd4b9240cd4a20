"""Pins, in ComfyUI's real editor, that one notice says why the pack is not loaded."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from host import PACK, open_host
from real_editor import NEEDS_EDITOR, editor_of

pytestmark = NEEDS_EDITOR
IGNORED = shutil.ignore_patterns(".git", "tests", "docs", "__pycache__", "*.png")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return shutil.copytree(PACK, tmp_path / "skyport-copy", ignore=IGNORED)


def shown(base: Path, packs: list[Path]) -> tuple[list[str], int]:
    """(the notices in the editor, how many of our scripts it has loaded)."""
    with open_host("comfyui", base, packs=packs) as host, editor_of(host, False, (1200, 700)) as ed:
        ed.page.wait_for_selector(".p-toast-message", timeout=60000)
        texts = ed.page.locator(".p-toast-message").all_inner_texts()
        ed.picture(base / "notice.png")
        scripts = ed.page.evaluate(
            "() => performance.getEntriesByType('resource').map((one) => decodeURI(one.name))"
            ".filter((one) => one.includes('/extensions/skyport') && one.endsWith('.js'))"
        )
        return [text for text in texts if "Skyport" in text], len(set(scripts))


def test_two_copies_are_told_once_and_the_first_one_works(tmp_path: Path, copy: Path) -> None:
    (notice,), scripts = shown(tmp_path, [PACK, copy])
    assert "custom_nodes/skyport is" in notice
    assert "custom_nodes/skyport-copy" in notice
    assert scripts > 20


def test_a_pack_that_cannot_be_loaded_brings_the_notice_and_no_other_script(
    tmp_path: Path, copy: Path
) -> None:
    with (copy / "requirements.txt").open("a") as file:
        file.write("no-such-package>=1.0\n")
    (copy / "engine" / "media" / "files.py").write_text("import no_such_package")
    (notice,), scripts = shown(tmp_path, [copy])
    assert "no-such-package>=1.0. Run " in notice
    assert '-s -m pip install -r "' in notice
    assert scripts == 1
