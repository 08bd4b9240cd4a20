"""Pins that the example apps open as apps in ComfyUI's real editor: their inputs have names in the
person's language, they run in practice mode, and show their result. Needs COMFYUI_PATH and a
Chromium (SKYPORT_BROWSER, or found), and an editor with App Mode.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from host import Host, open_host
from PIL import Image
from real_editor import NEEDS_EDITOR, Editor, Error, editor_of, expect
from skyport.demo._examples import PICTURE

pytestmark = NEEDS_EDITOR

FOLDER = Path(__file__).parents[1] / "example_workflows"
WORDS = "A harbour on a winter morning"
NAMES: Mapping[str, Mapping[str, Sequence[str]]] = {
    "Skyport Picture from Words (App)": {
        "en": ["prompt", "model"],
        "zh": ["\u63d0\u793a\u8bcd", "\u6a21\u578b"],
    },
    "Skyport Photo to Video (App)": {
        "en": ["image", "prompt"],
        "zh": ["\u56fe\u50cf", "\u63d0\u793a\u8bcd"],
    },
}
WORDS_OF_FORM: Mapping[str, Sequence[str]] = {  # how often, run, and no tour
    "en": ["Number of runs", "Run", "Skip"],
    "zh": ["\u8fd0\u884c\u6b21\u6570", "\u8fd0\u884c", "\u8df3\u8fc7"],
}
SEEN = {"Skyport Picture from Words (App)": "img", "Skyport Photo to Video (App)": "video"}


@pytest.fixture(scope="module")
def host(tmp_path_factory: Any) -> Iterator[Host]:
    base = tmp_path_factory.mktemp("editor")
    (base / "input").mkdir()
    with Image.open(PICTURE) as picture:
        picture.save(base / "input" / "example.png")
    with open_host("comfyui", base, env={"SKYPORT_SANDBOX": "1"}) as host:
        yield host


@pytest.fixture(scope="module", params=["en", "zh"])
def editor(request: Any, host: Host) -> Iterator[Editor]:
    with editor_of(host, False, (1400, 900), request.param) as editor:
        editor.language = request.param
        yield editor


def open_app(editor: Editor, name: str) -> None:
    editor.load(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))
    how_often, _, skip = WORDS_OF_FORM[editor.language]
    try:
        editor.page.get_by_text(how_often).first.wait_for(timeout=60_000)
    except Error:
        pytest.skip("this editor has no App Mode")
    tour = editor.page.get_by_role("button", name=skip, exact=True)
    editor.page.add_locator_handler(tour, lambda button: button.click())


@pytest.mark.parametrize("name", NAMES)
def test_it_opens_as_an_app_runs_and_shows_its_result(editor: Editor, host: Host, name: str):
    open_app(editor, name)
    page, words = editor.page, f"{WORDS} {editor.language}"
    page.locator("textarea:visible").last.fill(words)
    for one in NAMES[name][editor.language]:
        expect(page.get_by_text(one, exact=True).last).to_be_visible()
    page.locator(".skyport-cost .skyport-button").click()  # what it costs is not hidden
    page.keyboard.press("Escape")
    page.get_by_role("button", name=WORDS_OF_FORM[editor.language][1], exact=True).last.click()
    page.locator(f"{SEEN[name]}[src*='filename=skyport']:visible").first.wait_for()
    row = host.route("GET", "/skyport/jobs").json()["jobs"][0]
    assert (row["state"], row["words"]) == ("delivered", words)
