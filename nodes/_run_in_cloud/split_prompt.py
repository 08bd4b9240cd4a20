"""Splits a queued prompt, using what this ComfyUI and the editor know of its nodes."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import lru_cache
from typing import Any

from ...engine.base.errors import InvalidInput
from ...engine.base.words import tr
from ...engine.tasks import learnt_widgets
from ...engine.workflows.api_format import Workflow, is_link
from ...engine.workflows.graph import (
    KEEP_LOCAL,
    NOTES_INPUT,
    PART_INPUT,
    RUN_IN_CLOUD,
    Link,
    is_node,
    links_of,
    node_label,
)
from ...engine.workflows.part import PartReference, RemotePart, digest_of
from ...engine.workflows.split import Facts, refused_node, split
from .._kinds import local_files, node_classes
from .._kinds.local_values import check_local_values
from . import editor_graph
from .clouds import bills_apart, returns_text
from .virtual_nodes import linked_past

UNNAMED = "unnamed"  # marks a refusal that names for values would lift
_FILES = "skyport_files"
_SHOWN = 5  # nodes named in a refusal
_WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
_log = logging.getLogger(__name__)


def split_prompt(data: Mapping[str, Any]) -> Workflow:
    """The local part of the prompt in a request to queue it.

    Never raises: a node that cannot be split off reports why when it runs.
    """
    prompt: Workflow = data["prompt"]
    if not any(is_node(node) and _is_run(node) for node in prompt.values()):
        return prompt
    try:
        return _split(prompt, data)
    except Exception:
        reason = _log_failure()
        runs = {k: node for k, node in prompt.items() if is_node(node) and _is_run(node)}
        return {**prompt, **{k: refused_node(node, reason) for k, node in runs.items()}}


def _log_failure() -> str:
    """The text for a failure whose traceback is now in ComfyUI's log."""
    _log.exception("Skyport could not split the prompt")
    return _failure()


def _failure() -> str:
    return tr("Skyport could not split this workflow; see ComfyUI's log for the reason.")


def _split(prompt: Workflow, data: Mapping[str, Any]) -> Workflow:
    graph = editor_graph.nodes_in(data)
    prompt = linked_past(prompt, graph, editor_graph.workflow_of(data))
    prompt, nameless = editor_graph.complete(prompt, graph, learnt_widgets.candidates)
    # ComfyUI itself refuses what is not a prompt.
    if not all(map(is_node, prompt.values())):
        return prompt
    with node_classes.caching():
        left = split(prompt, _facts({**data, "prompt": prompt}, graph, nameless))
        parts = _Parts(left, nameless)
        return {k: parts.checked(k, node) if _is_run(node) else node for k, node in left.items()}


def remote_part_of(prompt: Mapping[str, Any] | None, node_id: str) -> RemotePart | None:
    """What a Run in Cloud node sends; None if the prompt was not split for it."""
    prompt = prompt or {}
    reference = PartReference.from_json(_part_text(prompt, node_id))
    text = _part_text(prompt, reference.holder if reference else node_id)
    try:
        part = _parsed(text)
        return reference.resolve(part, _digest(text)) if reference else part
    except ValueError:
        return None


def notes_of(prompt: Mapping[str, Any] | None, node_id: str) -> dict[str, str]:
    """What the person should know of the part that a Run in Cloud node sends, by node."""
    node: Any = (prompt or {}).get(node_id)
    text = node["inputs"].get(NOTES_INPUT) if is_node(node) else None
    try:
        notes = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        notes = {}
    return {str(k): str(v) for k, v in notes.items()} if isinstance(notes, dict) else {}


def _holder_of(prompt: Mapping[str, Any], node_id: str) -> str:
    """The node that holds the text of a node's part: the node itself, or another one."""
    reference = PartReference.from_json(_part_text(prompt, node_id))
    return reference.holder if reference else node_id


def _part_text(prompt: Mapping[str, Any], node_id: str) -> str:
    """What PART_INPUT holds, "" where it holds no text."""
    node: Any = prompt.get(node_id)
    text = node["inputs"].get(PART_INPUT) if is_node(node) else None
    return text if isinstance(text, str) else ""


# Nodes that share a part are asked for it one after another.
_parsed = lru_cache(maxsize=8)(RemotePart.from_json)
_digest = lru_cache(maxsize=8)(digest_of)


def _is_run(node: Mapping[str, Any]) -> bool:
    return bool(node["class_type"] == RUN_IN_CLOUD)


class _Parts:
    """Checks what the Run in Cloud nodes of a prompt send, each part once."""

    def __init__(self, prompt: Workflow, nameless: Set[str]) -> None:
        self._prompt = prompt
        self._nameless = nameless
        self._checked: dict[str, tuple[tuple[str, ...], str]] = {}  # (refusal, stamps) by holder

    def checked(self, node_id: str, node: dict[str, Any]) -> dict[str, Any]:
        """The node with the state of the files that its part names, or a refusal.

        A changed file is a new run.
        """
        if PART_INPUT not in node["inputs"]:
            return node
        part = remote_part_of(self._prompt, node_id)
        if part is None:
            _log.warning("Skyport cannot read the part of node %s", node_id)
            return refused_node(node, _failure())
        holder = _holder_of(self._prompt, node_id)
        if holder not in self._checked:
            self._checked[holder] = _check(part.nodes, self._nameless)
        refusal, stamps = self._checked[holder]
        if refusal:
            return refused_node(node, *refusal)
        state = stamps if holder == node_id else digest_of(stamps)
        return {**node, "inputs": {**node["inputs"], _FILES: state}}


def _check(nodes: Workflow, nameless: Set[str]) -> tuple[tuple[str, ...], str]:
    """((why these nodes cannot go to a cloud, what kind of refusal it is), the state of files)"""
    try:
        check_local_values(nodes)
        if unknown := {one: nodes[one] for one in sorted(nameless & nodes.keys())}:
            return (_unnamed(unknown), UNNAMED), ""
        return (), json.dumps(local_files.stamps(nodes))
    except InvalidInput as error:
        return (str(error),), ""


def _unnamed(nodes: Workflow) -> str:
    first, *others = [node_label(node_id, node) for node_id, node in nodes.items()]
    sentences = [
        tr("{node} is not installed here and the workflow does not name its values.", node=first)
    ]
    if others:
        sentences.append(tr("The same goes for {nodes}.", nodes=_shortened(others)))
    known = {k: one for k, one in nodes.items() if learnt_widgets.candidates(one["class_type"])}
    if known:
        labels = [node_label(node_id, node) for node_id, node in known.items()]
        sentences.append(tr("Skyport knows another version of {nodes}.", nodes=_shortened(labels)))
    sentences.append(
        tr(
            "Give Skyport the same workflow as exported with Workflow > Export (API) on a ComfyUI "
            "that has these nodes, or what /object_info answers there; or queue it over the API, "
            "or load a workflow that was saved with a newer editor."
        )
    )
    return " ".join(sentences)


def _shortened(labels: Sequence[str]) -> str:
    more = [tr("and {count} more", count=len(labels) - _SHOWN)] if len(labels) > _SHOWN else []
    return ", ".join([*labels[:_SHOWN], *more])


# -- facts --------------------------------------------------------------------------------------


def _facts(
    data: Mapping[str, Any], graph: Mapping[str, Mapping[str, Any]], nameless: Set[str]
) -> Facts:
    types = dict(_editor_types(graph))
    targets = data.get("partial_execution_targets")
    return Facts(
        is_output=_is_output,
        type_of=_Types(data["prompt"], types).of,
        missing_inputs=_unlinked_sockets,
        targets=targets if isinstance(targets, list) else None,
        runs_here=_runs_here,
        is_paid_apart=bills_apart,
        returns_text=returns_text,
        cannot_go=lambda node_id, node: bool(_check({node_id: dict(node)}, nameless)[0]),
    )


def _is_output(class_type: str) -> bool | None:
    return node_classes.is_output(class_type) if node_classes.is_installed(class_type) else None


def _unlinked_sockets(node: Mapping[str, Any]) -> Sequence[str]:
    """The required sockets without a link; widgets have values of their own."""
    required = node_classes.required_of(node["class_type"])
    return [
        name
        for name, (kind, _) in required.items()
        if name not in node["inputs"] and _is_type(kind) and kind not in _WIDGETS
    ]


def _runs_here(node: Mapping[str, Any]) -> bool:
    """Whether the class is installed and has every model or option that the node chooses."""
    class_type = node["class_type"]
    installed = node_classes.is_installed(class_type)
    return installed and not node_classes.has_unlisted_choice(class_type, node["inputs"])


class _Types:
    """Finds the type of a link: from its node's class, the editor, or its consumers."""

    def __init__(self, prompt: Workflow, editor: Mapping[Link, str]) -> None:
        self.prompt = prompt
        self.editor = editor
        self.consumers: dict[Link, list[tuple[str, str]]] = {}
        for node_id, node in prompt.items():
            for name, link in links_of(node):
                self.consumers.setdefault(link, []).append((node_id, name))

    def of(self, link: Link) -> str:
        source = self._source(link)
        kind = self._declared(source) or self.editor.get(source, "")
        return kind or next(self._consumed_as(link), "")

    def _source(self, link: Link) -> Link:
        """The link's origin, beyond the nodes that only pass it on."""
        passed: set[Link] = set()
        while link not in passed and self._class(link[0]) in (RUN_IN_CLOUD, KEEP_LOCAL):
            passed.add(link)
            value = self.prompt[link[0]]["inputs"].get("value")
            if not is_link(value) or PART_INPUT in self.prompt[link[0]]["inputs"]:
                return link
            link = (value[0], value[1])
        return link

    def _declared(self, link: Link) -> str:
        part = remote_part_of(self.prompt, link[0])
        if part is not None and part.value is not None:
            return dict(part.saves)[part.value]
        kind = node_classes.output_type(self._class(link[0]), link[1])
        return kind if _is_type(kind) else ""

    def _consumed_as(self, link: Link) -> Iterator[str]:
        stack, seen = [link], {link}
        while stack:
            for node_id, name in self.consumers.get(stack.pop(), []):
                passed_on = (node_id, 0)
                if self._class(node_id) not in (RUN_IN_CLOUD, KEEP_LOCAL):
                    kind = node_classes.inputs_of(self._class(node_id)).get(name, ("", {}))[0]
                    if _is_type(kind):
                        yield kind
                elif passed_on not in seen:
                    seen.add(passed_on)
                    stack.append(passed_on)

    def _class(self, node_id: str) -> str:
        return str(self.prompt[node_id]["class_type"]) if node_id in self.prompt else ""


def _is_type(kind: Any) -> bool:
    """Whether `kind` names a single type: not a wildcard, a union or a match type."""
    if not isinstance(kind, str) or kind in ("", "*"):
        return False
    return "," not in kind and not kind.startswith("COMFY_")


def _editor_types(graph: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[Link, str]]:
    for node_id, node in graph.items():
        outputs = node.get("outputs")
        for index, output in enumerate(outputs if isinstance(outputs, list) else []):
            kind = output.get("type") if isinstance(output, dict) else None
            if _is_type(kind):
                yield (node_id, index), str(kind)
