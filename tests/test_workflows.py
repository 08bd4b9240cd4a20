"""Measures Run in Cloud on a folder of workflows, and pins that none of them is cut wrongly.

SKYPORT_WORKFLOWS names the folder. Its workflows in API format and its files of /object_info name
the values of nodes that are not installed here. Needs COMFYUI_PATH and a Chromium, as the official
templates do (test_templates.py); `-s` shows what was sent and why the rest was refused.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from host import Host, open_host
from real_editor import NEEDS_EDITOR, Editor, Error, editor_of
from sandboxes import environment
from skyport.engine.tasks import learnt_widgets
from skyport.engine.workflows.object_info import is_object_info
from skyport.sandbox import start
from templates import remote
from templates.cuts import cuts
from templates.declared import Classes
from templates.files import put_files, upload_names
from templates.invariants import broken
from templates.others import (
    BY_NAME,
    ended_here,
    is_export,
    is_saved_workflow,
    missing_types,
    trees,
    without_names,
)
from templates.trial import validated
from templates.whole import Whole

_FOLDER = os.environ.get("SKYPORT_WORKFLOWS")
OPEN = """async (workflow) => {
  await app.loadGraphData(workflow);
  const { output, workflow: saved } = await app.graphToPrompt();
  return [output, saved];
}"""
READY = "() => window.app?.graph && window.app?.extensionManager?.workflow"


def _workflows() -> list[Any]:
    if not _FOLDER:
        return [pytest.param({}, marks=pytest.mark.skip(reason="SKYPORT_WORKFLOWS is not set"))]
    found = [(path, tree) for path, tree in trees(Path(_FOLDER)) if is_saved_workflow(tree)]
    return [pytest.param(tree, id=path.encode("ascii", "replace").decode()) for path, tree in found]


pytestmark = NEEDS_EDITOR


@pytest.fixture(scope="module")
def names(tmp_path_factory: Any) -> Iterator[tuple[Path, set[str]]]:
    """A data folder that knows what the files tell, and the classes that they tell of."""
    home = tmp_path_factory.mktemp("names")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKYPORT_HOME", str(home))
        told = [tree for _, tree in trees(Path(_FOLDER or "")) if not is_saved_workflow(tree)]
        exports = [tree for tree in told if is_export(tree)]
        servers = [tree for tree in told if is_object_info(tree)]
        yield home, {name for tree in (*exports, *servers) for name in learnt_widgets.learn(tree)}


@pytest.fixture(scope="module")
def host(tmp_path_factory: Any, names: Any) -> Iterator[Host]:
    with start(pace=1) as sandbox:
        env = {**environment(sandbox, "haiyi", "gpugeek"), "SKYPORT_HOME": str(names[0])}
        with open_host("comfyui", tmp_path_factory.mktemp("workflows"), env=env) as host:
            put_files(host, [remote.PICTURE, remote.CLIP, remote.SOUND])
            yield host


@pytest.fixture(scope="module")
def editor(host: Host) -> Iterator[Editor]:
    with editor_of(host, False, (1600, 900)) as editor:
        yield editor


@pytest.fixture(scope="module")
def report() -> Iterator[Counter[str]]:
    found: Counter[str] = Counter()
    yield found
    print("", *(f"{count:5} {text}" for text, count in found.most_common()), sep="\n")


@pytest.mark.parametrize("workflow", _workflows())
def test_a_workflow_is_sent_whole_or_refused_in_one_clear_sentence(
    workflow: dict[str, Any], host: Host, editor: Editor, names: Any, report: Counter[str]
):
    classes = Classes(host.client.get("/object_info").json())
    queued, saved = _opened(editor, workflow)
    prompt = ended_here(queued, saved)
    put_files(host, upload_names(prompt, classes))
    _, cut = next(cuts(prompt, classes))
    answer = validated(host, cut, saved)
    left = Whole(answer["prompt"])
    missing = set(missing_types(queued, saved).values())
    unknown = {one for one in missing - names[1] if not BY_NAME.fullmatch(one)}
    kind = "nothing is missing" if not missing else "some unknown" if unknown else "all known"
    report[f"{kind}: {_outcome(left)}"] += 1
    if not left.refusals:
        files = {path.name for path in (host.base / "input").iterdir()}
        assert broken(without_names(cut, saved), answer["prompt"], classes, files) == []


def _opened(editor: Editor, workflow: dict[str, Any]) -> Any:
    """What the editor queues of a workflow; skipped where it cannot open it."""
    try:
        return editor.page.evaluate(OPEN, workflow)
    except Error as error:
        editor.page.reload()
        editor.page.wait_for_function(READY)
        pytest.skip(f"the editor cannot open it: {str(error)[:80]}")


def _outcome(left: Whole) -> str:
    for reason in left.refusals.values():
        return "refused: " + re.sub(r"[^.]* \([\w:-]+\)", "...", reason)[:90]
    return "sent" if any(part["nodes"] for part in left.parts.values()) else "nothing to send"
