"""Turns results on disk into a node's outputs and its preview. Every media output is a list."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import folder_paths
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from ...engine.base.errors import BadResult, SkyportError
from ...engine.base.types import Kind, Result, ResultFile
from ...engine.base.words import tr
from ...engine.media.container import unreadable
from ...engine.media.notes import note
from .._media import decode

T = TypeVar("T")
Linked = Collection[str]

IMAGES = ("images", "urls")
STYLED = ("images", "video", "urls")
VIDEO = ("video", "frames", "audio", "url")
AUDIO = ("audio", "url")
ALL = ("images", "video", "frames", "audio", "text", "urls", "files")

_TYPES: dict[str, Any] = {
    "images": io.Image,
    "video": io.Video,
    "frames": io.Image,
    "audio": io.Audio,
    "text": io.String,
    "url": io.String,
    "urls": io.String,
    "files": io.String,
}
COSTLY = ("frames", "audio")  # decoded only when something is linked to them


def declare(names: Sequence[str]) -> list[Any]:
    """Schema outputs of these names."""
    return [_TYPES[name].Output(name, display_name=name, is_output_list=True) for name in names]


class Delivered(io.NodeOutput):
    """The outputs of a node.

    unreadable  files that were left out as they cannot be decoded, by path, and why
    """

    unreadable: Mapping[Path, str] = MappingProxyType({})


def deliver(
    names: Sequence[str], results: Sequence[Result], linked: Linked, label: str
) -> Delivered:
    """The outputs `names` of a node, in order; blocking: call it in a thread.

    An output that the platform sent nothing for is blocked with a reason. A file that cannot be
    read does not withhold the others; raises BadResult for a task of which none can be read.
    """
    reader = FileReader()
    sorted_results = _Results(results, linked, label, reader)
    values = [_build(name, sorted_results) for name in names]
    for result in results:
        reader.raise_if_nothing_is_left(result, results, label)
    return reader.delivered(values, results)


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
    except decode.NotDecoded as error:
        return ExecutionBlocker(str(error))


class FileReader:
    """Decodes files, each by itself: one that cannot be decoded is left out and noted."""

    def __init__(self) -> None:
        self.errors: dict[Path, BadResult] = {}

    def each(self, files: Sequence[ResultFile], decode_one: Callable[[Path], T]) -> list[T]:
        """What `decode_one` makes of the files. Raises NotDecoded if nothing comes of any."""
        values, not_decoded = [], None
        for file in (file for file in files if file.path not in self.errors):
            try:
                values.append(_read(file.path, decode_one))
            except decode.NotDecoded as error:
                not_decoded = error
                note(str(error))
            except BadResult as error:
                self.errors[file.path] = error
        if not_decoded and not values:
            raise not_decoded
        return values

    def batch(
        self, files: Sequence[ResultFile], decode_all: Callable[[list[Path]], list[T]]
    ) -> list[T]:
        """What `decode_all` makes of the files together, in order."""
        try:
            return decode_all([file.path for file in files])
        except Exception:  # one of them must not withhold the others
            readable = self.each(files, lambda path: (decode_all([path]), path)[1])
        return decode_all(readable) if readable else []

    def reasons(self) -> dict[Path, str]:
        return {path: str(SkyportError(e.what, do=e.do)) for path, e in self.errors.items()}

    def raise_if_nothing_is_left(
        self, result: Result, results: Sequence[Result], label: str
    ) -> None:
        """Raises BadResult if no file of `result` can be read, and it has nothing else."""
        lost = [file.path for file in result.files if file.path in self.errors]
        if lost and len(lost) == len(result.files) and not result.texts:
            reasons = self.reasons()
            error = with_task(self.errors[lost[0]], results, label)
            error.unreadable = reasons
            raise error

    def delivered(self, values: Sequence[Any], results: Sequence[Result]) -> Delivered:
        """The outputs, with a preview of the files that can be read."""
        reasons = self.reasons()
        shown = [
            replace(one, files=tuple(f for f in one.files if f.path not in reasons))
            for one in results
        ]
        output = Delivered(*values, ui=node_ui(shown))
        output.unreadable = reasons
        return output


def _read(path: Path, decode_one: Callable[[Path], T]) -> T:
    try:
        return decode_one(path)
    except SkyportError:
        raise
    except Exception as error:  # a decoder's own: one file must not withhold the others
        raise unreadable(path, f"{type(error).__name__} {error}".strip()) from error


class _Results:
    """The results of one run, by kind."""

    def __init__(
        self, results: Sequence[Result], linked: Linked, label: str, reader: FileReader
    ) -> None:
        self.results = results
        self.files = [file for result in results for file in result.files]
        self.texts = [text for result in results for text in result.texts]
        self.linked = linked
        self.label = label
        self.reader = reader

    def of(self, kind: Kind) -> list[ResultFile]:
        """The files of this kind that are not known to be unreadable."""
        errors = self.reader.errors
        return [file for file in self.files if file.kind is kind and file.path not in errors]

    def missing(self, what: str) -> ExecutionBlocker:
        """Blocks an output with its reason, and with those of results that have not come."""
        text = tr("{platform} sent no {what} for this task.", platform=self.label, what=what)
        reasons = [one.reason for result in self.results for one in result.missing]
        return ExecutionBlocker(" ".join([text, *reasons, *self.reader.reasons().values()]))

    def from_tracks(self, files: Sequence[ResultFile], decode_one: Callable[[Path], T]) -> Any:
        """What tracks of files bring that are delivered as a whole too; else a blocker, or []."""
        tracks = FileReader()
        values = tracks.each(files, decode_one)
        reasons = tracks.reasons().values()
        if reasons and not values:
            return ExecutionBlocker(" ".join(reasons))
        for reason in reasons:
            note(reason)
        return values


def _images(results: _Results) -> Any:
    files = results.of(Kind.IMAGE)
    return results.reader.batch(files, decode.batch_images) or results.missing("image")


def _video(results: _Results) -> Any:
    videos = results.of(Kind.VIDEO)
    return results.reader.each(videos, decode.open_video) or results.missing("video")


def _frames(results: _Results) -> Any:
    if "frames" not in results.linked:
        return ExecutionBlocker(None)
    videos = results.of(Kind.VIDEO)
    return results.from_tracks(videos, decode.decode_frames) or results.missing("video")


def _audio(results: _Results) -> Any:
    """Audio files, or the sound tracks of the videos where there are none."""
    if "audio" not in results.linked:
        return ExecutionBlocker(None)
    if files := results.of(Kind.AUDIO):
        return results.reader.each(files, decode.decode_audio) or results.missing("audio")
    videos = [file for file in results.of(Kind.VIDEO) if _has_audio(file.path)]
    return results.from_tracks(videos, decode.decode_audio) or results.missing("audio")


def _has_audio(path: Path) -> bool:
    try:
        return _read(path, decode.has_audio)
    except BadResult:
        return False


def _text(results: _Results) -> Any:
    return results.texts or results.missing("text")


def _urls(results: _Results) -> Any:
    return [file.url for file in results.files if file.url] or results.missing("URL")


def _paths(results: _Results) -> Any:
    return [str(file.path) for file in results.of(Kind.FILE)] or results.missing(
        tr("file other than images, videos and audio")
    )


_BUILDERS: dict[str, Callable[[_Results], Any]] = {
    "images": _images,
    "video": _video,
    "frames": _frames,
    "audio": _audio,
    "text": _text,
    "url": _urls,
    "urls": _urls,
    "files": _paths,
}


# -- preview ------------------------------------------------------------------------------------


def node_ui(results: Sequence[Result]) -> dict[str, Any]:
    """The node's preview: videos, or else the images; also audio players and text."""
    files = [file for result in results for file in result.files]
    videos = _viewable(file.path for file in files if file.kind is Kind.VIDEO)
    images = _viewable(file.path for file in files if file.kind is Kind.IMAGE)
    audios = _viewable(file.path for file in files if file.kind is Kind.AUDIO)
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


def _viewable(paths: Iterable[Path]) -> list[dict[str, str]]:
    """What ComfyUI's /view calls the files; those outside the output folder are linked into temp.

    One that cannot be is left out: it is delivered all the same.
    """
    shown = []
    for path in paths:
        with suppress(OSError):
            shown.append(view_reference(path) or _in_temp(path.resolve()))
    return shown


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
    """A folder for each file: others may have its name, and so may another file in its place."""
    written = path.stat()
    identity = f"{path} {written.st_size} {written.st_mtime_ns}".encode("utf-8", "surrogatepass")
    subfolder = f"skyport/{hashlib.sha256(identity).hexdigest()[:16]}"
    folder = Path(folder_paths.get_temp_directory()) / subfolder
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.name
    if not target.exists():
        try:
            os.link(path, target)
        except OSError:
            shutil.copyfile(path, target)
    return {"filename": path.name, "subfolder": subfolder, "type": "temp"}
