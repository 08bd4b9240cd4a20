"""ComfyUI's real editor for tests; a file that imports this is skipped where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from host import Host

pytest.importorskip("playwright", reason="playwright is not installed")
from editor.editor import Editor, open_editor
from playwright.sync_api import Error as Error
from playwright.sync_api import Locator as Locator
from playwright.sync_api import Route as Route
from playwright.sync_api import expect as expect

_BROWSER = os.environ.get("SKYPORT_BROWSER") or shutil.which("chromium") or ""
NEEDS_EDITOR = [
    pytest.mark.host,
    pytest.mark.skipif(not os.environ.get("COMFYUI_PATH"), reason="COMFYUI_PATH is not set"),
    pytest.mark.skipif(not _BROWSER, reason="no Chromium: SKYPORT_BROWSER is not set"),
]
CANVASES = pytest.fixture(scope="module", params=[False, True], ids=["canvas", "vue"])


@contextmanager
def editor_of(
    host: Host, vue: bool, size: tuple[int, int], language: str = "en"
) -> Iterator[Editor]:
    """The host's editor in a browser window of that size, with nodes drawn by Vue or not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKYPORT_BROWSER", _BROWSER)
        settings = {"Comfy.VueNodes.Enabled": vue}
        with open_editor(host.client, size=size, language=language, **settings) as editor:
            yield editor
