"""Checks a ComfyUI workflow in API format and runs it.

The classes in `_nodes` are executed for real. The outputs of any other node are drawn, and the
known nodes downstream go on with those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._body import Refusal
from ._drawn import Drawn, Find, Link, file_input
from ._files import StoredFile
from ._graph import Node, Prompt, in_order, is_link, rings, sources, title
from ._nodes import NODES
from ._nodes.kinds import ANY, FILE, IMAGE, TEXT, Input, NodeClass, WrongInput
from ._tasks import NodeFailed

Files = Mapping[str, StoredFile] | Find

_DRAWN_SAVERS = {
    **dict.fromkeys(("SaveAnimatedWEBP", "SaveAnimatedPNG"), "image"),
    **dict.fromkeys(("SaveWEBM",), "video"),
    **dict.fromkeys(("SaveAudioOpus",), "audio"),
}
_SAVERS = {**{name: node.saves for name, node in NODES.items() if node.saves}, **_DRAWN_SAVERS}
_FILM_MAKERS = ("CreateVideo", "VHS_VideoCombine")


@dataclass(frozen=True)
class Saved:
    """One file that a saver node saved; a batch is several, in order."""

    node_id: str
    title: str
    prefix: str
    path: Path


def check(prompt: Any, files: Files) -> None:
    """Raises Refusal (400) unless `prompt` is an API-format workflow that can run here.

    `files` are the uploads by name or address, or a function that finds one or gives None.
    """
    check_shape(prompt)
    for node_id, node in prompt.items():
        _check_loader(node_id, node, _finder(files))
    if not output_nodes(prompt):
        raise Refusal(400, "Prompt has no outputs: the workflow saves nothing.")
    for node_id in _executed(prompt):
        _check_inputs(node_id, prompt)


def check_shape(prompt: Any) -> None:
    """Raises Refusal (400) unless it is a workflow in API format whose links lead to nodes."""
    if not isinstance(prompt, dict) or not prompt:
        raise Refusal(400, "parameters.prompt must be a workflow in API format.")
    if isinstance(prompt.get("nodes"), list):
        raise Refusal(400, "This is a workflow for the editor: export it in API format.")
    for node_id, node in prompt.items():
        _check_shape(node_id, node)
    for node_id, node in prompt.items():
        _check_links(node_id, node["inputs"], prompt)


def wrong_inputs(prompt: Prompt, files: Files) -> Iterator[tuple[str, str, str]]:
    """(node id, input, what is wrong with its value) of every node that an output needs.

    The shape of the workflow and its links are right: `check_shape` has passed.
    """
    find = _finder(files)
    for node_id in in_order(prompt, output_nodes(prompt)):
        try:
            _check_loader(node_id, prompt[node_id], find)
        except Refusal as wrong:
            yield node_id, file_input(prompt[node_id]), wrong.text
    for node_id in _executed(prompt):
        node = prompt[node_id]
        for name, expected in NODES[node["class_type"]].inputs.items():
            try:
                _check_input(node["inputs"], name, expected, prompt)
            except WrongInput as wrong:
                yield node_id, name, str(wrong)


def steps(prompt: Prompt) -> tuple[tuple[str, str], ...]:
    """(node id, title) of the nodes the outputs need, inputs before what uses them."""
    return tuple((each, title(prompt[each])) for each in in_order(prompt, output_nodes(prompt)))


def run(prompt: Prompt, files: Files, new_path: Callable[[], Path]) -> Iterator[Saved]:
    """What the workflow saves, node by node. Raises NodeFailed where a node cannot go on."""
    work = _Work(prompt, _finder(files), new_path)
    savers = {node_id: work.save(node_id) for node_id in output_nodes(prompt)}
    for node_id, paths in savers.items():
        node = prompt[node_id]
        prefix = node["inputs"].get("filename_prefix")
        for path in paths:
            yield Saved(
                node_id, title(node), prefix if isinstance(prefix, str) else "ComfyUI", path
            )


def _finder(files: Files) -> Find:
    return files if callable(files) else files.get


def output_nodes(prompt: Prompt) -> list[str]:
    """The ids of the nodes that save something."""
    return [node_id for node_id, node in prompt.items() if node["class_type"] in _SAVERS]


# -- executed or drawn ----------------------------------------------------------------------------


def _executable(prompt: Prompt) -> set[str]:
    """The nodes that can be executed: of a known class, and not waiting for themselves."""
    known = {node_id for node_id, node in prompt.items() if node["class_type"] in NODES}
    known -= rings(prompt)
    # Not even the name of its file is known.
    return {each for each in known if not is_link(_file_name(prompt[each]))}


def _file_name(node: Node) -> Any:
    return node["inputs"].get(file_input(node))


def _executed(prompt: Prompt) -> list[str]:
    """The ids of the nodes that are executed, in order: what the savers need of what is known.

    A saver directly after an unknown node is left out: its files are drawn with that node.
    """
    known = _executable(prompt)
    ends = [each for each in output_nodes(prompt) if each in known]
    ends = [each for each in ends if not _is_behind_unknown(prompt, each, known)]
    return in_order(prompt, ends, known)


def _is_behind_unknown(prompt: Prompt, saver: str, known: set[str]) -> bool:
    link = _medium(prompt[saver])
    return is_link(link) and link[0] not in known


def _medium(saver: Node) -> Any:
    """The value of the input that a saver saves."""
    return saver["inputs"].get(NODES[saver["class_type"]].medium)


# -- checks ---------------------------------------------------------------------------------------


def _check_shape(node_id: str, node: Any) -> None:
    if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
        raise Refusal(400, f"Node {node_id!r} has no class_type: not a workflow in API format.")
    if not isinstance(node.get("inputs"), dict):
        raise Refusal(400, f"Node {node_id!r} has no inputs: not a workflow in API format.")
    for key in node:
        if key not in ("class_type", "inputs", "_meta"):
            raise Refusal(400, f"Node {node_id!r} has an unknown field {key!r}.")


def _check_links(node_id: str, inputs: Mapping[str, Any], prompt: Prompt) -> None:
    for name, value in inputs.items():
        if is_link(value) and value[0] not in prompt:
            raise Refusal(400, f"Node {node_id}.{name} is linked to node {value[0]!r}: none such.")


def _check_loader(node_id: str, node: Node, find: Find) -> None:
    name, value = file_input(node), _file_name(node)
    if not name or is_link(value):
        return
    file = find(value) if isinstance(value, str) else None
    if not file:
        raise Refusal(400, f"Node {node_id}.{name}: no file {value!r} was uploaded.")
    accepts = NODES[node["class_type"]].inputs[name].accepts
    if file.kind not in accepts:
        raise Refusal(400, f"Node {node_id}.{name} must be {accepts[0]}; {value!r} is {file.mime}.")


def _check_inputs(node_id: str, prompt: Prompt) -> None:
    node = prompt[node_id]
    for name, expected in NODES[node["class_type"]].inputs.items():
        try:
            _check_input(node["inputs"], name, expected, prompt)
        except WrongInput as wrong:
            raise Refusal(400, f"Node {node_id} ({title(node)}): {name}: {wrong}.") from None


def _check_input(inputs: Mapping[str, Any], name: str, expected: Input, prompt: Prompt) -> None:
    if name not in inputs:
        if expected.required:
            raise WrongInput("Required input is missing")
        return
    value = inputs[name]
    if is_link(value):
        _check_link(value, expected, prompt)
    elif isinstance(value, list):
        raise WrongInput("Bad linked input, must be [node id, number of its output]")
    else:
        expected.read(value)


def _check_link(link: Any, expected: Input, prompt: Prompt) -> None:
    """Raises WrongInput where the node at the other end is known and has no such output."""
    source = NODES.get(prompt[link[0]]["class_type"])
    if not source:
        return
    if not 0 <= link[1] < len(source.outputs):
        raise WrongInput(f"node {link[0]} ({source.name}) has no output {link[1]}")
    if expected.kind not in (source.outputs[link[1]], ANY):
        raise WrongInput(
            f"Return type mismatch: node {link[0]} ({source.name}) gives "
            f"{source.outputs[link[1]]}, not {expected.kind}"
        )


# -- work -----------------------------------------------------------------------------------------


class _Work:
    """One run of a workflow: every node is executed once, before those that use it."""

    def __init__(self, prompt: Prompt, find: Find, new_path: Callable[[], Path]) -> None:
        self._prompt = prompt
        self._find = find
        self._new_path = new_path
        self._drawn = Drawn(prompt, find, new_path, _film_sources(prompt))
        self._made: dict[str, tuple[Any, ...]] = {}
        self._saved: dict[str, list[Path]] = {}
        order = _executed(prompt)
        self._users = Counter(source for each in order for source in set(sources(prompt[each])))
        for node_id in order:
            self._execute(node_id)
            self._forget(node_id)

    def save(self, node_id: str) -> list[Path]:
        """The files of a saver."""
        if node_id not in self._saved:
            self._saved[node_id] = list(self._draw(node_id))
        return self._saved[node_id]

    def _execute(self, node_id: str) -> None:
        node = self._prompt[node_id]
        known = NODES[node["class_type"]]
        try:
            self._make(node_id, known, self._values(node, known))
        except Exception as broken:
            words = str(broken) or type(broken).__name__
            raise NodeFailed(node_id, title(node), words) from broken

    def _forget(self, node_id: str) -> None:
        """Release the outputs that no node needs any more: frames are large."""
        inputs = set(sources(self._prompt[node_id]))
        self._users.subtract(inputs)
        for each in (node_id, *inputs):
            if not self._users[each]:
                self._made.pop(each, None)

    def _make(self, node_id: str, known: NodeClass, values: Mapping[str, Any]) -> None:
        if known.saves:
            self._saved[node_id] = list(known.save(values, self._new_path))
            medium = values[known.medium]
            self._made[node_id] = (str(medium) if known.saves == TEXT else medium,)
        else:
            self._made[node_id] = known.make(values)

    def _values(self, node: Node, known: NodeClass) -> dict[str, Any]:
        given = {name: node["inputs"][name] for name in known.inputs if name in node["inputs"]}
        return {name: self._value(value, known.inputs[name]) for name, value in given.items()}

    def _value(self, value: Any, expected: Input) -> Any:
        if is_link(value):
            return self._linked(value, expected)
        return self._find(value) if expected.kind == FILE else expected.read(value)

    def _linked(self, link: Any, expected: Input) -> Any:
        made = self._made.get(link[0])
        return self._drawn.value(link, expected) if made is None else made[link[1]]

    def _draw(self, node_id: str) -> Iterator[Path]:
        saver = self._prompt[node_id]
        medium = _medium(saver) if saver["class_type"] in NODES else None
        link: Link = medium if is_link(medium) else [node_id, 0]
        return self._drawn.files(link, _SAVERS[saver["class_type"]])


def _film_sources(prompt: Prompt) -> set[str]:
    """The ids of nodes whose pictures known nodes make into a film."""
    known = _executable(prompt)
    makers = [each for each in known if prompt[each]["class_type"] in _FILM_MAKERS]
    behind = in_order(prompt, makers, known)
    return {
        prompt[each]["inputs"][name][0]
        for each in behind
        for name, expected in NODES[prompt[each]["class_type"]].inputs.items()
        if expected.kind == IMAGE and is_link(prompt[each]["inputs"].get(name))
    }
