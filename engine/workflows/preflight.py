"""What a ComfyUI lacks for a workflow in API format, all of it before anything is sent. Pure.

What cannot be judged from its /object_info is not refused: that ComfyUI validates it itself.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from typing import Any

from ..base.errors import InvalidInput
from ..base.types import Json
from ..base.words import tr
from .api_format import Workflow, is_link
from .graph import is_node, node_label
from .object_info import (
    AUTOGROW,
    DYNAMIC_COMBO,
    MATCH_TYPE,
    Input,
    ObjectInfo,
    declared_inputs,
    is_readable,
    pack_of,
)

_MOST_LINES = 20
_MOST_COMPARED = 5000  # names held against one that is missing
_LONGEST = 120  # letters of a name that is compared or shown
_LIKENESS = 0.6  # of 1.0: what counts as a near name
_MODEL = re.compile(
    r"\.(safetensors|sft|ckpt|pt|pt2|pth|bin|gguf|onnx|engine|pkl|npz|yaml)$", re.IGNORECASE
)
_MEDIUM = re.compile(
    r"\.(png|jpe?g|webp|gif|bmp|tiff?|exr|mp4|mov|mkv|webm|avi|mp3|wav|flac|ogg|m4a|opus|aac"
    r"|glb|gltf|obj|fbx|stl|ply|latent)( \[\w+\])?$",
    re.IGNORECASE,
)
# What the scripts of nodes keep in a workflow, and no class declares.
_SCRIPTS_OWN = ("upload", "audioUI", "videopreview", "choose file to upload")

Mapped = tuple[str, str, str]  # (target such as `73.ckpt_name`, name here, name there)


class Lack(Enum):
    """What is wrong with a node for that ComfyUI."""

    CLASS = "class"
    CHOICE = "choice"
    REQUIRED = "required"
    UNDECLARED = "undeclared"


@dataclass(frozen=True)
class Problem:
    """One thing that a ComfyUI lacks for a node.

    nearest  the names there that are most like the missing one, best first
    pack     the node pack that has a missing class, "" where that is not known
    """

    lack: Lack
    node_id: str
    node: Mapping[str, Any]
    name: str = ""
    value: Json = None
    nearest: tuple[str, ...] = ()
    pack: str = ""


@dataclass(frozen=True)
class Preflight:
    """What came of the check.

    problems    what that ComfyUI would refuse
    undeclared  inputs that the class there does not declare: most classes ignore such
    """

    problems: tuple[Problem, ...]
    undeclared: tuple[Problem, ...] = ()

    def message(self, server: str) -> str:
        """Everything that `server` lacks, a line a node and class; "" where nothing is missing."""
        if not self.problems:
            return ""
        lines = [*_lines((*self.problems, *self.undeclared))]
        more = len(lines) - _MOST_LINES
        shown = lines[:_MOST_LINES] + ([tr("and {count} more", count=more)] if more > 0 else [])
        title = tr("{server} lacks what this workflow needs:", server=server)
        return "\n".join([title, *(f"- {line}" for line in shown)])

    def warnings(self, server: str) -> list[str]:
        """What `server` may ignore, a line a node."""
        return [
            tr("On {server}: {line}", server=server, line=line) for line in _lines(self.undeclared)
        ]

    def raise_if_lacking(self, server: str) -> None:
        """Raises InvalidInput, which names everything that is missing."""
        if self.problems:
            raise InvalidInput(
                self.message(server),
                do=tr("Install it there, change the workflow, or choose another server."),
            )


def check(
    workflow: Workflow, object_info: ObjectInfo, packs: Mapping[str, str] | None = None
) -> Preflight:
    """`workflow` against a ComfyUI's /object_info. Files still to be uploaded are never missing.

    packs  the packs of classes, where another ComfyUI tells them: `packs_of`
    """
    if not object_info:
        return Preflight(())
    nodes = {str(node_id): node for node_id, node in workflow.items() if is_node(node)}
    found = [one for node_id, node in nodes.items() for one in _lacks(node_id, node, object_info)]
    near = _Nearest(object_info, packs or {})
    problems = [near.added(one) for one in found if one.lack is not Lack.UNDECLARED]
    return Preflight(tuple(problems), tuple(one for one in found if one.lack is Lack.UNDECLARED))


def packs_of(object_info: ObjectInfo) -> dict[str, str]:
    """The node pack of each class that a ComfyUI has; its own classes are left out."""
    packs = {str(name): pack_of(entry) for name, entry in object_info.items()}
    return {name: pack for name, pack in packs.items() if pack}


def map_models(workflow: Workflow, object_info: ObjectInfo) -> tuple[Workflow, list[Mapped]]:
    """(workflow with the names that models have there, what was changed).

    A model is mapped if the same file name is there exactly once: in another folder, with other
    slashes or in other case. The workflow itself is returned where nothing was changed.
    """
    left, mapped = dict(workflow), list[Mapped]()
    for node_id, node in workflow.items():
        if not is_node(node):
            continue
        for one in _active_inputs(node, object_info):
            old = node["inputs"].get(one.name)
            new = _same_file(old, one.choices) if _is_unlisted(old, one) else None
            if new is not None:
                inputs = {**left[node_id]["inputs"], one.name: new}
                left[node_id] = {**left[node_id], "inputs": inputs}
                mapped.append((f"{node_id}.{one.name}", str(old), new))
    return (left, mapped) if mapped else (workflow, [])


def mapping_warnings(mapped: Sequence[Mapped], server: str) -> list[str]:
    """What `map_models` has changed, in words."""
    return [
        tr(
            '{target}: "{old}" is not on {server}; the file of that name there is taken: "{new}".',
            target=target,
            old=old,
            new=new,
            server=server,
        )
        for target, old, new in mapped
    ]


# -- one node -----------------------------------------------------------------------------------


def _lacks(node_id: str, node: Mapping[str, Any], object_info: ObjectInfo) -> Iterator[Problem]:
    entry = object_info.get(node["class_type"])
    if entry is None:
        yield Problem(Lack.CLASS, node_id, node)
        return
    if not is_readable(entry):
        return
    inputs = node["inputs"]
    active = _active_inputs(node, object_info)
    for one in active:
        if one.name in inputs and _is_unlisted(inputs[one.name], one):
            yield Problem(Lack.CHOICE, node_id, node, one.name, _unwrapped(inputs[one.name]))
        if one.is_required and not _is_given(one, inputs):
            yield Problem(Lack.REQUIRED, node_id, node, one.name)
    for name in inputs:
        if not _is_declared(str(name), active, entry["input"].get("hidden")):
            yield Problem(Lack.UNDECLARED, node_id, node, str(name))


def _active_inputs(node: Mapping[str, Any], object_info: ObjectInfo) -> list[Input]:
    """The declared inputs, with those that the choices of dynamic combos bring along."""
    todo = declared_inputs(object_info.get(node["class_type"]))
    active = []
    while todo:
        one = todo.pop(0)
        active.append(one)
        if one.type == DYNAMIC_COMBO:
            todo[:0] = one.nested(node["inputs"].get(one.name))
    return active


def _is_given(one: Input, inputs: Mapping[str, Any]) -> bool:
    """Whether a required input has a value, or a server does without: it skips dynamic ones."""
    if one.name in inputs or one.type == "":
        return True
    if one.type == AUTOGROW:
        template = one.options.get("template")
        return not _needs_some(template) or any(
            str(name).startswith(f"{one.name}.") for name in inputs
        )
    return one.type.startswith("COMFY_") and one.type != MATCH_TYPE


def _needs_some(template: Any) -> bool:
    if not isinstance(template, Mapping):
        return False
    grown = template.get("input")
    is_optional = isinstance(grown, Mapping) and not grown.get("required")
    return bool(template.get("min")) and not is_optional


def _is_declared(name: str, active: Sequence[Input], hidden: Any) -> bool:
    return (
        name in _SCRIPTS_OWN
        or (isinstance(hidden, Mapping) and name in hidden)
        or any(name == one.name or name.startswith(f"{one.name}.") for one in active)
        or any(_mentions(one.options, name) for one in active)
    )


def _mentions(tree: Any, name: str) -> bool:
    """Whether the options of an input hold the name: some classes list further inputs there."""
    todo = [tree]
    while todo:
        one = todo.pop()
        if one == name:
            return True
        todo += one.values() if isinstance(one, Mapping) else one if isinstance(one, list) else ()
    return False


def _is_unlisted(value: Json, one: Input) -> bool:
    """Whether a combo certainly does not have that choice."""
    value = _unwrapped(value)
    if one.type == DYNAMIC_COMBO:
        return isinstance(value, str) and bool(one.branches) and value not in one.branches
    if one.choices is None or one.is_upload or is_link(value):
        return False
    if isinstance(value, list):
        return any(_is_unlisted(each, one) for each in value if not isinstance(each, list))
    if not isinstance(value, (str, int, float)) or value in one.choices:
        return False
    if isinstance(value, str) and _MEDIUM.search(value):
        return False  # of the input folder, whose subfolders are not listed
    # A list of one or none is often a stand-in that the scripts of a node fill.
    return len(one.choices) > 1 or (isinstance(value, str) and bool(_MODEL.search(value)))


def _unwrapped(value: Json) -> Json:
    """A list is queued as {"__value__": list}: bare, it would read as a link."""
    return value["__value__"] if isinstance(value, dict) and "__value__" in value else value


def _same_file(value: Json, choices: Sequence[Any] | None) -> str | None:
    """The only choice with that path, else with that file name, as another system writes them."""
    if not isinstance(value, str) or not _MODEL.search(value):
        return None
    texts = [one for one in choices or () if isinstance(one, str)]
    for part in (_path, _base_name):
        same = [one for one in texts if part(one) == part(value)]
        if len(same) == 1:
            return same[0]
    return None


def _path(name: str) -> str:
    return name.replace("\\", "/").strip("/").casefold()


def _base_name(name: str) -> str:
    return _path(name).rpartition("/")[2]


# -- near names ---------------------------------------------------------------------------------


class _Nearest:
    """Adds what is most like the missing names; each name is compared once, and only if shown."""

    def __init__(self, object_info: ObjectInfo, packs: Mapping[str, str]) -> None:
        self.object_info, self.packs = object_info, packs
        self.found: dict[Any, tuple[str, ...]] = {}

    def added(self, one: Problem) -> Problem:
        if one.lack is Lack.REQUIRED:
            return one
        class_type = one.node["class_type"]
        key = (class_type, one.name, str(one.value))
        if key not in self.found and len(self.found) < _MOST_LINES:
            self.found[key] = self._near(one)
        pack = self.packs.get(class_type, "") if one.lack is Lack.CLASS else ""
        near = self.found.get(key, ())
        return Problem(one.lack, one.node_id, one.node, one.name, one.value, near, pack)

    def _near(self, one: Problem) -> tuple[str, ...]:
        if one.lack is Lack.CLASS:
            return _most_alike(one.node["class_type"], list(map(str, self.object_info)))
        declared = _active_inputs(one.node, self.object_info)
        of = next(each for each in declared if each.name == one.name)
        values = one.value if isinstance(one.value, list) else [one.value]
        missing = next((value for value in values if _is_unlisted(value, of)), "")
        choices = of.choices if of.choices is not None else list(of.branches)
        return _most_alike(str(missing), [str(choice) for choice in choices])


def _most_alike(name: str, names: Collection[str]) -> tuple[str, ...]:
    """Up to three names, compared without folders, endings of models and case."""
    if len(name) > _LONGEST:
        return ()
    by_stem: dict[str, str] = {}
    for each in list(names)[:_MOST_COMPARED]:
        if len(each) <= _LONGEST:
            by_stem.setdefault(_stem(each), each)
    alike = difflib.get_close_matches(_stem(name), by_stem, n=3, cutoff=_LIKENESS)
    return tuple(by_stem[each] for each in alike)


def _stem(name: str) -> str:
    return _MODEL.sub("", _base_name(name))


# -- words --------------------------------------------------------------------------------------


def _lines(problems: Sequence[Problem]) -> Iterator[str]:
    """Missing classes first, each with all its nodes; then all that is wrong with a node."""
    missing = [one for one in problems if one.lack is Lack.CLASS]
    by_class: dict[str, list[Problem]] = {}
    for one in missing:
        by_class.setdefault(one.node["class_type"], []).append(one)
    yield from map(_class_line, by_class.values())
    others = [one for one in problems if one.lack is not Lack.CLASS]
    order = list(dict.fromkeys(one.node_id for one in others))
    others.sort(key=lambda one: order.index(one.node_id))
    for _, group in groupby(others, key=lambda one: one.node_id):
        some = list(group)
        label = node_label(some[0].node_id, some[0].node)
        yield f"{label}: " + "; ".join(map(_words, some))


def _class_line(problems: Sequence[Problem]) -> str:
    first = problems[0]
    ids = ", ".join(one.node_id for one in problems[:_MOST_LINES])
    words = tr(
        "there is no node {class_type} (in this workflow: {ids})",
        class_type=_short(first.node["class_type"]),
        ids=ids,
    )
    if first.pack:
        words += tr("; it comes from {pack}", pack=first.pack)
    return words + _nearest_words(first)


def _words(one: Problem) -> str:
    if one.lack is Lack.CHOICE:
        words = tr('{name} has no "{value}"', name=one.name, value=_short(one.value))
        return words + _nearest_words(one)
    if one.lack is Lack.REQUIRED:
        return tr("{name} is required there and missing", name=one.name)
    return tr("{name} is not an input of it there and may be ignored", name=_short(one.name))


def _nearest_words(one: Problem) -> str:
    return tr("; nearest: {names}", names=", ".join(one.nearest)) if one.nearest else ""


def _short(value: Json) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
