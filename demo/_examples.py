"""The example workflows, run by a real ComfyUI through the pack's own nodes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from .. import providers
from ..engine.base.errors import InvalidInput, SkyportError
from ..engine.base.words import tr
from ..engine.tasks.progress import ProgressText, clock
from ..sandbox import Sandbox
from ._host import PACK, Client
from ._inspect import size_of
from ._main_job import PICTURE
from ._steps import Step, StepResult, Stranded

_FOLDER = PACK / "example_workflows" / "api"
_TIMEOUT = 300.0
_OURS = "Skyport"
_FEW = 5  # up to so many files of a node, each has a line of its own


@dataclass(frozen=True)
class _NodeFiles:
    """The files that one node shows."""

    node: str
    files: list[dict[str, str]]


class Examples:
    """A Trip: runs every API-format example on `host`, with `sandbox` as its cloud."""

    def __init__(
        self, output: Path, host: Client, sandbox: Sandbox, folder: Path = _FOLDER
    ) -> None:
        self.output = output.absolute()
        self.host = host
        self.sandbox = sandbox
        self.workflows = {path.stem: _read(path) for path in sorted(folder.glob("*.json"))}
        if not self.workflows:
            raise InvalidInput(tr("There are no example workflows in {path}.", path=folder))
        self.steps: Sequence[Step] = [Step(name) for name in self.workflows]

    async def go(self) -> None:
        for step in self.steps:
            with suppress(Stranded):
                await providers.runner().engine.blocking(partial(self._run, step))

    def _run(self, step: Step) -> None:
        workflow = self.workflows[step.name]
        before = len(self.sandbox.tasks)
        step.live_progress = lambda now: self._progress(step, before, now)
        with step.running(", ".join(_models(workflow))):
            try:
                self.host.upload(PICTURE.name, PICTURE.read_bytes(), mime="image/png")
                entry = self.host.run(workflow, timeout=_TIMEOUT)
                shown = list(_shown_files(entry["outputs"]))
                step.results = [result for each in shown for result in self._collect(step, each)]
            finally:
                step.task = ", ".join(str(task.id) for task in list(self.sandbox.tasks)[before:])
            if not step.results:
                raise SkyportError(tr("The workflow ran and showed no result."))

    def _progress(self, step: Step, before: int, now: float) -> ProgressText:
        """The progress of the tasks that the workflow has started so far, as the sandbox has it."""
        moments = [self.sandbox.tasks.moment(task) for task in list(self.sandbox.tasks)[before:]]
        done = sum(moment.part == 1 for moment in moments)
        words = [tr("tasks: {done} of {count} done", done=done, count=len(moments))]
        words += [moment.step[1] for moment in moments if moment.step[1] and moment.part < 1]
        share = 0.95 * sum(moment.part for moment in moments) / max(1, len(moments))
        return ProgressText(share, (*words, clock(step.elapsed(now))), tuple(words))

    def _collect(self, step: Step, shown: _NodeFiles) -> list[StepResult]:
        """The files that a node shows, copied from ComfyUI's folders to ours."""
        folder = self.output / step.name
        if len(shown.files) <= _FEW:
            paths = [self._fetch(query, folder) for query in shown.files]
            return [StepResult(self._relative(path), size_of(path), [path]) for path in paths]
        folder = folder / f"node_{shown.node}"
        paths = [self._fetch(query, folder) for query in shown.files]
        size = tr("{count} frames, {size}", count=len(paths), size=size_of(paths[0]))
        return [StepResult(self._relative(folder), size, paths[:: -(-len(paths) // _FEW)])]

    def _fetch(self, query: Mapping[str, str], folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / Path(query["filename"]).name
        answer = self.host.get(f"/view?{urlencode(query)}")
        answer.raise_for_status()
        path.write_bytes(answer.content)
        return path

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.output).as_posix()


def _read(path: Path) -> dict[str, Any]:
    workflow: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return workflow


def _models(workflow: Mapping[str, Any]) -> list[str]:
    """The models of the pack's nodes in it; a node without one stands for itself."""
    ours = [node for node in workflow.values() if node["class_type"].startswith(_OURS)]
    return [str(n["inputs"].get("model") or n["class_type"].removeprefix(_OURS)) for n in ours]


def _shown_files(outputs: Mapping[str, Mapping[str, Any]]) -> Iterator[_NodeFiles]:
    """The files that the nodes show, as queries of /view."""
    for node, lists in outputs.items():
        items = [item for shown in lists.values() for item in shown if isinstance(item, dict)]
        if files := [_view_query(item) for item in items if item.get("filename")]:
            yield _NodeFiles(node, files)


def _view_query(item: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(item.get(key, "")) for key in ("filename", "subfolder", "type")}
