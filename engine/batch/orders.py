"""What a row orders: the values of its columns as a request of a model, a workflow or an app."""

from __future__ import annotations

import json
import mimetypes
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from ..base.errors import InvalidInput
from ..base.shown_text import shorten
from ..base.types import Json, MediaFile, Model, Param, Request
from ..base.words import tr
from ..media.files import describe, is_medium
from ..platforms.parameters import fill, json_list, prompt_param, seed_for, seed_param, warnings
from ..workflows.api_format import Workflow, parse_target, put_inputs, targets

SEED, PROMPT = "seed", "prompt"
_MEDIA = ("image", "video", "audio")
_MOST_DESCRIBED = 256  # files that many rows share are read once


class Orders(Protocol):
    """Makes requests of one kind.

    identity  what is the same for all of them, as JSON
    """

    identity: Json

    def check_names(self, names: Iterable[str]) -> None:
        """Raises InvalidInput for a name that takes no value."""

    def file_target(self) -> str:
        """What the one file of a row is for, "" where that is not clear."""

    def request(self, values: Mapping[str, Json], folder: Path) -> Request:
        """The request with these values by name. Raises InvalidInput."""


class ModelOrders:
    """Orders from one model; `make` is the platform's `generation`."""

    def __init__(self, model: Model, make: Callable[..., Request], seed: int | None) -> None:
        self._model, self._make, self._seed = model, make, seed
        self.identity: Json = ["model", model.platform, model.id, model.task, seed]
        prompt = prompt_param(model)
        self._prompt = prompt.name if prompt else ""

    def _names(self) -> list[str]:
        named = [param.name for param in self._model.params]
        return list(dict.fromkeys((*named, *([PROMPT] if self._prompt else []), SEED)))

    def check_names(self, names: Iterable[str]) -> None:
        _refuse_unknown(names, self._names())

    def file_target(self) -> str:
        media = [param for param in self._model.params if param.media_kind is not None]
        required = [param for param in media if param.required] or media
        return required[0].name if len(required) == 1 else ""

    def request(self, values: Mapping[str, Json], folder: Path) -> Request:
        self.check_names(values)
        given = dict(values)
        seed = _seed_of(given.pop(SEED, self._seed))
        takes_seed = seed_param(self._model)
        if takes_seed is not None and seed is not None:
            given[takes_seed.name] = seed_for(takes_seed, seed)
        if PROMPT in given and self._model.param(PROMPT) is None:
            given[self._prompt] = given.pop(PROMPT)
        for param in self._model.params:
            if param.name in given:
                given[param.name] = _value(param, given[param.name], folder)
        parameters = fill(self._model, given)
        request = self._make(self._model, parameters, seed=seed or 0)
        return replace(request, warnings=warnings(self._model, parameters))


class WorkflowOrders:
    """Runs of one workflow; `make` builds the request of a filled one."""

    def __init__(self, workflow: Workflow, make: Callable[..., Request], seed: int | None) -> None:
        self._workflow, self._make, self._seed = workflow, make, seed
        self._targets = frozenset(targets(workflow))
        example = make(workflow, seed=seed or 0)
        self.identity: Json = ["workflow", example.endpoint, example.payload, seed]

    def check_names(self, names: Iterable[str]) -> None:
        _refuse_unknown(names, [*targets(self._workflow), SEED])

    def file_target(self) -> str:
        files = [one for one in self._targets if self._takes_file(one)]
        return files[0] if len(files) == 1 else ""

    def request(self, values: Mapping[str, Json], folder: Path) -> Request:
        self.check_names(values)
        seed = _seed_of(values.get(SEED, self._seed))
        given = [
            (name, self._input(name, value, folder))
            for name, value in values.items()
            if name != SEED
        ]
        return self._make(put_inputs(self._workflow, given), seed=seed or 0)

    def _input(self, name: str, value: Json, folder: Path) -> Json:
        if not isinstance(value, str):
            return value
        if self._takes_file(name) and not _is_url(value):
            return _file(name, value, folder)
        return _file_or_text(name, value, folder)

    def _takes_file(self, target: str) -> bool:
        """Whether the workflow names a medium there: the name of a model is none."""
        node_id, name = parse_target(target, self._workflow)
        node = self._workflow[node_id]
        is_loader = "load" in str(node["class_type"]).lower()
        present = node["inputs"].get(name)
        return is_loader and isinstance(present, str) and _names_a_medium(present)


class AppOrders:
    """Runs of one app; `make` builds the request of its inputs."""

    def __init__(self, app: str, make: Callable[..., Request], seed: int | None) -> None:
        self._make, self._seed = make, seed
        self.identity: Json = ["app", app, seed]

    def check_names(self, names: Iterable[str]) -> None:
        """Only the platform knows an app's inputs."""

    def file_target(self) -> str:
        return ""

    def request(self, values: Mapping[str, Json], folder: Path) -> Request:
        given = dict(values)
        seed = _seed_of(given.pop(SEED, self._seed))
        inputs = {
            name: _file_or_text(name, value, folder) if isinstance(value, str) else value
            for name, value in given.items()
        }
        return self._make(inputs, seed=seed or 0)


def _refuse_unknown(names: Iterable[str], known: list[str]) -> None:
    for name in names:
        if name not in known:
            raise InvalidInput(
                tr('The column "{name}" fills nothing.', name=shorten(name, 80)),
                do=tr(
                    "Say by --map what it is for, or leave it out by --ignore. There is: {names}.",
                    names=", ".join(known[:40]),
                ),
            )


def _seed_of(value: Json) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,20}", value.strip()):
        return int(value)
    raise InvalidInput(tr("The seed takes a whole number, not {value}.", value=value))


# -- values ---------------------------------------------------------------------------------------


def _value(param: Param, value: Json, folder: Path) -> Json:
    """A cell in the shape that `fill` takes, files described."""
    if param.type.startswith("array["):
        items = _entries(param, value) if isinstance(value, str) else value
        if param.media_kind is None or not isinstance(items, list):
            return items
        return [_medium(param.name, item, folder) for item in items]
    if param.media_kind is None:
        return value
    if param.type.startswith("dict["):
        named = _json_object(param.name, value)
        return {key: _medium(f"{param.name}.{key}", one, folder) for key, one in named.items()}
    return _medium(param.name, value, folder)


def _entries(param: Param, text: str) -> list[Any]:
    """The entries of a list in a cell: JSON, else a line each, between bars, or numbers."""
    listed = json_list(param, text)
    if listed is not None:
        return listed
    apart = r"[\s,;]+" if param.type == "array[number]" else r"[\n|]"
    return [part.strip() for part in re.split(apart, text) if part.strip()]


def _json_object(name: str, value: Json) -> Mapping[str, Json]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, dict):
        raise InvalidInput(tr("{name}: it takes a JSON object of named entries.", name=name))
    return value


def _medium(name: str, value: Json, folder: Path) -> Json:
    if not isinstance(value, str) or _is_url(value) or not value.strip():
        return value.strip() if isinstance(value, str) else value
    return _file(name, value, folder)


def _file_or_text(name: str, text: str, folder: Path) -> MediaFile | str:
    """The file that `text` names, else `text`. Raises InvalidInput for a missing medium."""
    path = _path(text, folder)
    if path is not None and path.is_file() and is_medium(path):
        return _described(path)
    if _names_a_medium(text) and not _is_url(text):
        raise _no_file(name, text)
    return text


def _file(name: str, text: str, folder: Path) -> MediaFile:
    path = _path(text, folder)
    if path is None or not path.is_file():
        raise _no_file(name, text)
    return _described(path)


def _no_file(name: str, text: str) -> InvalidInput:
    return InvalidInput(
        tr('{target}: there is no file "{name}".', target=name, name=shorten(text, 200)),
        do=tr("Paths are relative to the folder of the table."),
    )


def _path(text: str, folder: Path) -> Path | None:
    """None for what is no path of this system."""
    try:
        path = folder / os.path.expanduser(text.strip())
        path.stat()
    except (OSError, ValueError):
        return None
    return path


def _described(path: Path) -> MediaFile:
    about = path.stat()
    return _described_as(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=_MOST_DESCRIBED)
def _described_as(path: Path, changed: int, size: int) -> MediaFile:
    return describe(path)


def _is_url(text: str) -> bool:
    return text.strip().lower().startswith(("http://", "https://"))


def _names_a_medium(text: str) -> bool:
    """Whether it ends as the name of an image, a video or a sound does, and is no sentence."""
    if "\n" in text or len(text) > 1000:
        return False
    return (mimetypes.guess_type(text)[0] or "").partition("/")[0] in _MEDIA
