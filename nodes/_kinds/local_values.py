"""Values in a part that name something on this machine, which cannot go along by its name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import folder_paths

from ...engine.base.errors import InvalidInput
from ...engine.base.words import tr
from ...engine.media.files import is_medium
from ...engine.workflows.api_format import Workflow, is_link
from . import allowed_files, node_classes
from .local_files import find_file, inputs_with_files, is_url, with_location

# Classes that read what a value names, inputs that take such names, and those that only write.
_READS = re.compile(r"load|read|import|open|dataset|from_?(?:file|folder|path|dir)", re.I)
_NAMES = re.compile(r"dir|folder|path|file|latent|source|location|dataset", re.I)
_WRITES = re.compile(r"save|write|export|output|prefix", re.I)
_ABSOLUTE = re.compile(r"/|~[/\\]|[A-Za-z]:[/\\]|\\\\")
_LONGEST = 4096  # characters of a path


def check_local_values(prompt: Workflow) -> None:
    """Raises InvalidInput for a folder, a path or a file that is no medium, with its node.

    Media that loaders name go along as uploads, and names of models stay as they are. Looks at the
    disk; opens a file only where its name does not say what it is.
    """
    for node_id, node in prompt.items():
        uploads = inputs_with_files(node["class_type"])
        for name, value in node["inputs"].items():
            for text in _texts(value):
                reason = _reason(node["class_type"], name, text, uploads)
                if reason:
                    raise with_location(node_id, node, name, InvalidInput(reason, do=_advice()))


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value that may be paths; none in a link."""
    if isinstance(value, dict):
        value = value.get("__value__")
    if isinstance(value, list) and not is_link(value):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str) and len(value) <= _LONGEST:
        text = value.strip().strip('"')
        if text and not is_url(text) and not {"\n", "\0"} & set(text):
            yield text


def _reason(class_type: str, name: str, text: str, uploads: Mapping[str, bool]) -> str:
    """Why the value cannot go along, "" where it can."""
    if name in uploads:
        path = _uploaded(text, uploads[name])
        return _no_medium(text) if path and not is_medium(path) else ""
    with suppress(OSError, ValueError):
        if _ABSOLUTE.match(text):
            return _absolute(class_type, name, text)
        return _relative(class_type, name, text) if _READS.search(class_type) else ""
    return ""


def _uploaded(text: str, anywhere: bool) -> str | None:
    with allowed_files.collecting():  # whether it may go is another question
        return find_file(text, anywhere and not allowed_files.is_on_network(text))


def _absolute(class_type: str, name: str, text: str) -> str:
    """A path that is not here may be one there, for a class that is not here either."""
    is_name = bool(_NAMES.search(name)) and not _WRITES.search(f"{class_type} {name}")
    if not is_name and not _READS.search(class_type):
        return ""
    path = os.path.expanduser(text)
    if allowed_files.is_on_network(path):
        return _path(text)  # not asked for: its server would learn who asks
    if os.path.isdir(path):
        return _folder(text)
    is_gone = is_name and node_classes.is_installed(class_type)
    return _path(text) if os.path.exists(path) or is_gone else ""


def _relative(class_type: str, name: str, text: str) -> str:
    path = _in_comfyui(text)
    if path is None or _is_model(text):
        return ""
    if os.path.isfile(path):
        return "" if is_medium(path) else _no_medium(text)
    return _folder(text) if _takes_folders(class_type, name) else ""


def _in_comfyui(text: str) -> str | None:
    """What the name stands for in ComfyUI's folders: a file or a folder, below the one it names."""
    plain, folder = folder_paths.annotated_filepath(text)
    base = os.path.abspath(folder or folder_paths.get_input_directory())
    path = os.path.abspath(os.path.join(base, plain.strip()))
    return path if path != base and os.path.exists(path) else None


def _takes_folders(class_type: str, name: str) -> bool:
    """Whether an input takes the name of a folder; an option may have the name of one by chance."""
    choices = node_classes.choices_of(class_type, name)
    if choices is None:
        return bool(_NAMES.search(name))
    return all(isinstance(one, str) and _in_comfyui(one) for one in choices)


def _is_model(name: str) -> bool:
    return any(folder_paths.get_full_path(kind, name) for kind in _model_folders())


def _model_folders() -> Iterator[str]:
    return (kind for kind in folder_paths.folder_names_and_paths if kind != "custom_nodes")


# -- messages -----------------------------------------------------------------------------------


def _folder(name: str) -> str:
    return tr('the folder "{name}" is on this machine, and folders cannot be sent.', name=name)


def _path(name: str) -> str:
    return tr('the path "{name}" belongs to this machine.', name=name)


def _no_medium(name: str) -> str:
    return tr(
        'the file "{name}" is no image, video or audio file, and only those can be sent.',
        name=Path(name).name,
    )


def _advice() -> str:
    return tr(
        "Put Keep Local behind that node, so that it runs here, or a loader of single files in its "
        "stead."
    )
