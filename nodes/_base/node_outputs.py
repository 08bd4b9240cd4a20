"""From results on disk to a node's outputs and to what it shows. Every media output is a list."""

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
from .._media import decode

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

    What a platform did not send is blocked with a reason. Raises BadResult for files that cannot be
    read.
    """
    made = _Made(results, linked, label)
    try:
        values = [_built(name, made) for name in names]
    except BadResult as error:
        raise whose(error, results, label) from None
    return io.NodeOutput(*values, ui=shown(results))


def whose(error: BadResult, results: Sequence[Result], label: str) -> BadResult:
    """`error` with the platform and the task whose file it names."""
    error.platform = label
    tasks = [r.task_id for r in results if any(f.path.name in error.what for f in r.files)]
    error.task_id = next(iter(tasks), "")
    error.do = f"{error.do} {tr('Queue again: the result is fetched once more, at no charge.')}"
    return error


def _built(name: str, made: _Made) -> Any:
    try:
        return _BUILDERS[name](made)
    except decode.FramesTooLarge as error:
        return ExecutionBlocker(str(error))


class _Made:
    """The results of one run, sorted by what they are."""

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


def _images(made: _Made) -> Any:
    files = made.of(Kind.IMAGE)
    return decode.batch_images([file.path for file in files]) or made.missing("image")


def _video(made: _Made) -> Any:
    return [decode.open_video(file.path) for file in made.of(Kind.VIDEO)] or made.missing("video")


def _frames(made: _Made) -> Any:
    if "frames" not in made.linked:
        return ExecutionBlocker(None)
    videos = made.of(Kind.VIDEO)
    return [decode.decode_frames(file.path) for file in videos] or made.missing("video")


def _audio(made: _Made) -> Any:
    """Audio files; where there are none, the sound tracks of the videos."""
    if "audio" not in made.linked:
        return ExecutionBlocker(None)
    files = made.of(Kind.AUDIO) or [f for f in made.of(Kind.VIDEO) if decode.has_audio(f.path)]
    return [decode.decode_audio(file.path) for file in files] or made.missing("audio")


def _text(made: _Made) -> Any:
    return made.texts or made.missing("text")


def _urls(made: _Made) -> Any:
    return [file.url for file in made.files if file.url] or made.missing("URL")


_BUILDERS: dict[str, Callable[[_Made], Any]] = {
    "images": _images,
    "video": _video,
    "frames": _frames,
    "audio": _audio,
    "text": _text,
    "url": _urls,
    "urls": _urls,
}


# -- what the node shows ------------------------------------------------------------------------


def shown(results: Sequence[Result]) -> dict[str, Any]:
    """A player where there is a video, else the pictures; audio players and text beside."""
    files = [file for result in results for file in result.files]
    videos = [_saved(file.path) for file in files if file.kind is Kind.VIDEO]
    images = [_saved(file.path) for file in files if file.kind is Kind.IMAGE]
    audios = [_saved(file.path) for file in files if file.kind is Kind.AUDIO]
    texts = [text for result in results for text in result.texts]
    told: dict[str, Any] = {}
    if videos or images:
        told["images"] = videos or images
        told["animated"] = (bool(videos),)
    if audios:
        told["audio"] = audios
    if texts:
        told["text"] = tuple(texts)
    return told


def _saved(path: Path) -> dict[str, str]:
    """How ComfyUI's /view names the file; from outside its output folder it is linked into temp."""
    return in_view(path) or _in_temp(path.resolve())


def in_view(path: Path) -> dict[str, str] | None:
    """How ComfyUI's /view names the file, None where it lies outside its output folder."""
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
    shown = folder / path.name
    if not shown.exists():
        try:
            os.link(path, shown)
        except OSError:
            shutil.copyfile(path, shown)
    return {"filename": path.name, "subfolder": "skyport", "type": "temp"}
