"""Turns results on disk into a node's outputs and its preview. Every media output is a list."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from ...engine.base.errors import BadResult
from ...engine.base.types import Kind, Result, ResultFile
from ...engine.base.words import tr
from .._media import decode, memory, pictures, sound

Linked = Collection[str]

IMAGES = ("images", "urls")
STYLED = ("images", "video", "urls")
VIDEO = ("video", "frames", "audio", "url")
AUDIO = ("audio", "url")
ALL = ("images", "video", "frames", "audio", "text", "urls")

_TYPES: dict[str, Any] = {
    "images": io.Image,
    "video": io.Video,
    "frames": io.Image,
    "audio": io.Audio,
    "text": io.String,
    "url": io.String,
    "urls": io.String,
}
COSTLY = ("frames", "audio")  # decoded only when something is linked to them


def declare(names: Sequence[str]) -> list[Any]:
    """Schema outputs of these names."""
    return [_TYPES[name].Output(name, display_name=name, is_output_list=True) for name in names]


def deliver(
    names: Sequence[str], results: Sequence[Result], linked: Linked, label: str
) -> io.NodeOutput:
    """The outputs `names` of a node, in order; blocking: call it in a thread.

    An output that the platform sent nothing for is blocked with a reason. Raises BadResult for
    files that cannot be read.
    """
    sorted_results = _Results(results, linked, label)
    try:
        values = [_build(name, sorted_results) for name in names]
    except BadResult as error:
        raise with_task(error, results, label) from None
    return io.NodeOutput(*values, ui=node_ui(results))


def with_task(error: BadResult, results: Sequence[Result], label: str) -> BadResult:
    """`error` with the platform and the task of the file that it names."""
    error.platform = label
    tasks = [r.task_id for r in results if any(f.path.name in error.what for f in r.files)]
    error.task_id = next(iter(tasks), "")
    error.do = f"{error.do} {tr('Queue again: the result is fetched once more, at no charge.')}"
    return error


def _build(name: str, results: _Results) -> Any:
    try:
        return _BUILDERS[name](results)
    except memory.NotDecoded as error:
        return ExecutionBlocker(str(error))


class _Results:
    """The results of one run, by kind."""

    def __init__(self, results: Sequence[Result], linked: Linked, label: str) -> None:
        self.files = [file for result in results for file in result.files]
        self.texts = [text for result in results for text in result.texts]
        self.linked = linked
        self.label = label

    def of(self, kind: Kind) -> list[ResultFile]:
        return [file for file in self.files if file.kind is kind]

    def missing(self, what: str) -> ExecutionBlocker:
        return ExecutionBlocker(
            tr("{platform} sent no {what} for this task.", platform=self.label, what=what)
        )


def _images(results: _Results) -> Any:
    files = results.of(Kind.IMAGE)
    return pictures.batch_images([file.path for file in files]) or results.missing("image")


def _video(results: _Results) -> Any:
    videos = results.of(Kind.VIDEO)
    return [decode.open_video(file.path) for file in videos] or results.missing("video")


def _frames(results: _Results) -> Any:
    if "frames" not in results.linked:
        return ExecutionBlocker(None)
    videos = results.of(Kind.VIDEO)
    return [decode.decode_frames(file.path) for file in videos] or results.missing("video")


def _audio(results: _Results) -> Any:
    """Audio files, or the sound tracks of the videos where there are none."""
    if "audio" not in results.linked:
        return ExecutionBlocker(None)
    videos = results.of(Kind.VIDEO)
    files = results.of(Kind.AUDIO) or [f for f in videos if sound.has_audio(f.path)]
    return [sound.decode_audio(file.path) for file in files] or results.missing("audio")


def _text(results: _Results) -> Any:
    return results.texts or results.missing("text")


def _urls(results: _Results) -> Any:
    return [file.url for file in results.files if file.url] or results.missing("URL")


_BUILDERS: dict[str, Callable[[_Results], Any]] = {
    "images": _images,
    "video": _video,
    "frames": _frames,
    "audio": _audio,
    "text": _text,
    "url": _urls,
    "urls": _urls,
}


# -- preview ------------------------------------------------------------------------------------


def node_ui(results: Sequence[Result]) -> dict[str, Any]:
    """The node's preview: videos, or else the images; also audio players and text."""
    files = [file for result in results for file in result.files]
    videos = [_viewable(file.path) for file in files if file.kind is Kind.VIDEO]
    images = [_viewable(file.path) for file in files if file.kind is Kind.IMAGE]
    audios = [_viewable(file.path) for file in files if file.kind is Kind.AUDIO]
    texts = [text for result in results for text in result.texts]
    ui: dict[str, Any] = {}
    if videos or images:
        ui["images"] = videos or images
        ui["animated"] = (bool(videos),)
    if audios:
        ui["audio"] = audios
    if texts:
        ui["text"] = tuple(texts)
    return ui


def _viewable(path: Path) -> dict[str, str]:
    """What ComfyUI's /view calls the file; one outside the output folder is linked into temp."""
    return view_reference(path) or _in_temp(path.resolve())


def view_reference(path: Path) -> dict[str, str] | None:
    """What ComfyUI's /view calls the file; None if it lies outside the output folder."""
    output = Path(folder_paths.get_output_directory()).resolve()
    path = path.resolve()
    if output not in path.parents:
        return None
    subfolder = path.parent.relative_to(output).as_posix()
    return {
        "filename": path.name,
        "subfolder": "" if subfolder == "." else subfolder,
        "type": "output",
    }


def _in_temp(path: Path) -> dict[str, str]:
    folder = Path(folder_paths.get_temp_directory()) / "skyport"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.name
    if not target.exists():
        try:
            os.link(path, target)
        except OSError:
            shutil.copyfile(path, target)
    return {"filename": path.name, "subfolder": "skyport", "type": "temp"}
