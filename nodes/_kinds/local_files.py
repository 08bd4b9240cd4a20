"""Finds the files of this ComfyUI that a workflow names, and puts them in place of the names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import folder_paths

from ...engine.base.errors import InvalidInput
from ...engine.base.types import MediaFile
from ...engine.base.words import tr
from ...engine.media.files import describe
from ...engine.workflows.api_format import Workflow, is_link, title_of
from . import allowed_files, node_classes

_UPLOAD_FLAGS = (
    "image_upload",
    "animated_image_upload",
    "video_upload",
    "audio_upload",
    "file_upload",
)
_PATH_FLAG = "vhs_path_extensions"

# Loaders and their file inputs, for packs that are not installed or do not flag the input.
_LOADERS = {
    "LoadImage": "image",
    "LoadImageMask": "image",
    "LoadImageOutput": "image",
    "LoadAudio": "audio",
    "LoadVideo": "file",
    "VHS_LoadVideo": "video",
    "VHS_LoadVideoFFmpeg": "video",
    "VHS_LoadAudioUpload": "audio",
}
# Loaders that take a path anywhere on the disk.
_PATH_LOADERS = {
    "VHS_LoadVideoPath": "video",
    "VHS_LoadVideoFFmpegPath": "video",
    "VHS_LoadImagePath": "image",
    "VHS_LoadAudio": "audio_file",
}


def with_local_files(prompt: Workflow) -> Workflow:
    """A copy of a workflow in API format with a MediaFile for each local file that a loader names.

    Each file is read once. A URL stays, and so does a name that is not here in a class that is not
    installed: it may be there where the workflow runs. Reads files: call it in a thread.
    Raises InvalidInput for a missing file, one that is no image, video or audio, and one that may
    not be uploaded (`allowed_files`).
    """
    files: dict[str, MediaFile] = {}

    def read_once(path: str) -> MediaFile:
        if path not in files:
            files[path] = describe(path)
        return files[path]

    return {
        node_id: {**node, "inputs": _replace_files(node_id, node, read_once)}
        for node_id, node in prompt.items()
    }


def stamps(prompt: Workflow) -> dict[str, list[int]]:
    """Size and modification time of each file the workflow names, by path.

    Opens no file. Raises InvalidInput as `with_local_files` does for a missing one.
    """
    by_path: dict[str, list[int]] = {}

    def stamp(path: str) -> str:
        stat = os.stat(path)
        by_path[path] = [stat.st_size, stat.st_mtime_ns]
        return path

    for node_id, node in prompt.items():
        _replace_files(node_id, node, stamp)
    return by_path


def _replace_files(
    node_id: str, node: Mapping[str, Any], read: Callable[[str], Any]
) -> dict[str, Any]:
    """The node's inputs with `read(path)` for each file they name."""
    inputs = dict(node["inputs"])
    for name, anywhere in inputs_with_files(node["class_type"]).items():
        if name in inputs and not is_link(inputs[name]):
            try:
                inputs[name] = _replace_names(inputs[name], node["class_type"], anywhere, read)
            except (InvalidInput, OSError) as error:
                raise with_location(node_id, node, name, error) from error
    return inputs


def inputs_with_files(class_type: str) -> dict[str, bool]:
    """The inputs that name a file, and whether it may be anywhere on the disk."""
    inputs: dict[str, bool] = {}
    for name, (_, options) in node_classes.inputs_of(class_type).items():
        if options.get(_PATH_FLAG):
            inputs[name] = True
        elif any(options.get(flag) for flag in _UPLOAD_FLAGS):
            inputs[name] = False
    if class_type in _LOADERS:
        inputs.setdefault(_LOADERS[class_type], False)
    if class_type in _PATH_LOADERS:
        inputs.setdefault(_PATH_LOADERS[class_type], True)
    return inputs


def _replace_names(value: Any, class_type: str, anywhere: bool, read: Callable[[str], Any]) -> Any:
    """`value` with `read(path)` for each file name in it; some loaders take a list of names."""
    if isinstance(value, list):
        return [_replace_names(one, class_type, anywhere, read) for one in value]
    if isinstance(value, dict) and "__value__" in value:
        inner = _replace_names(value["__value__"], class_type, anywhere, read)
        return {**value, "__value__": inner}
    if not isinstance(value, str) or not value.strip() or is_url(value):
        return value
    path = find_file(value, anywhere)
    if path is not None:
        return read(path)
    if not node_classes.is_installed(class_type):
        return value
    raise InvalidInput(
        tr('the file "{file}" is not on this machine.', file=value),
        do=tr("Put it into ComfyUI's input folder, or choose another one in that node."),
    )


def find_file(name: str, anywhere: bool) -> str | None:
    """The path of the file; None if it does not exist or is outside the folder it must be in.

    anywhere  whether it may be anywhere on the disk: raises InvalidInput where nobody allows that
    """
    name = name.strip().strip('"')
    if anywhere and (path := _allowed_path(name)):
        return path
    plain, folder = folder_paths.annotated_filepath(name)
    base = os.path.abspath(folder or folder_paths.get_input_directory())
    path = os.path.abspath(os.path.join(base, plain.strip()))
    inside = Path(base) in Path(path).parents
    return path if inside and os.path.isfile(path) else None


def _allowed_path(name: str) -> str | None:
    path = os.path.abspath(name)
    if allowed_files.is_on_network(path) and not allowed_files.is_allowed(path):
        allowed_files.check(path)
        return None  # without asking the network for it
    if not os.path.isfile(path):
        return None
    allowed_files.check(path)
    return path


def is_url(name: str) -> bool:
    return name.strip().lower().startswith(("http://", "https://"))


def with_location(
    node_id: str, node: Mapping[str, Any], name: str, error: Exception
) -> InvalidInput:
    """`error` with the node and the input that name the file."""
    what = error.what if isinstance(error, InvalidInput) else str(error)
    return InvalidInput(
        tr(
            "Node {id} ({title}), input {name}: {reason}",
            id=node_id,
            title=title_of(node),
            name=name,
            reason=what,
        ),
        do=getattr(error, "do", ""),
    )
