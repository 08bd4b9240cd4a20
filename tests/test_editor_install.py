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


def shown(base: Path, packs: list[Path], words: str) -> tuple[list[str], int]:
    """(the notices in the editor that say `words`, how many of our scripts it has loaded)."""
    with open_host("comfyui", base, packs=packs) as host, editor_of(host, False, (1200, 700)) as ed:
        notices = ed.page.get_by_text(words)
        notices.first.wait_for(timeout=60000)
        # A newer editor repeats them, in a dot, for screen readers.
        seen = [one for one in notices.all() if (one.bounding_box() or {"width": 0})["width"] > 50]
        texts = [one.inner_text() for one in seen]
        ed.picture(base / "notice.png")
        scripts = ed.page.evaluate(
            "() => performance.getEntriesByType('resource').map((one) => decodeURI(one.name))"
            ".filter((one) => one.includes('/extensions/skyport') && one.endsWith('.js'))"
        )
        return texts, len(set(scripts))


def test_two_copies_are_told_once_and_the_first_one_works(tmp_path: Path, copy: Path) -> None:
    (notice,), scripts = shown(tmp_path, [PACK, copy], "Skyport is installed twice")
    assert "custom_nodes/skyport is" in notice
    assert "custom_nodes/skyport-copy" in notice
    assert scripts > 20


def test_a_pack_that_cannot_be_loaded_brings_the_notice_and_no_other_script(
    tmp_path: Path, copy: Path
) -> None:
    with (copy / "requirements.txt").open("a") as file:
        file.write("no-such-package>=1.0\n")
    (copy / "engine" / "media" / "files.py").write_text("import no_such_package")
    (notice,), scripts = shown(tmp_path, [copy], "no-such-package")
    assert "no-such-package>=1.0. Run " in notice
    assert '-s -m pip install -r "' in notice
    assert scripts == 1
