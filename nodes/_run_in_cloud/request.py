"""Run in Cloud at work: from what was cut and the values made here to a request, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from comfy_api.latest import io

from ... import providers
from ...engine.base.errors import BadResult, InvalidInput, SkyportError
from ...engine.base.types import Kind, Request, Result, ResultFile
from ...engine.base.words import tr
from ...engine.workflows.api_format import title_of
from ...engine.workflows.graph import THIS_MACHINE, apart, named
from ...engine.workflows.split import RemotePart
from ...engine.workflows.transfer import RemoteWorkflowBuilder
from .._base import node_outputs
from .._base.registry import all_nodes
from .._kinds import local_files
from .._kinds.form_values import media_folder
from .._kinds.remote_inputs import Chain
from .._kinds.run_workflow import RunWorkflowNode
from .._media import decode, encode

_WORKFLOW = "workflow"  # the input that the cut takes the place of
_KINDS = {"IMAGE": Kind.IMAGE, "MASK": Kind.IMAGE, "VIDEO": Kind.VIDEO, "AUDIO": Kind.AUDIO}


@lru_cache(maxsize=1)
def clouds() -> dict[str, type[RunWorkflowNode]]:
    """The platforms that run workflows, by label: each with the node that says how."""
    runners = [node for node in all_nodes() if issubclass(node, RunWorkflowNode)]
    return {providers.provider_class(node.platform).label: node for node in runners}


def where_input() -> io.DynamicCombo.Input:
    """This machine, or a platform with what its own node for workflows asks for beside one."""
    options = [io.DynamicCombo.Option(THIS_MACHINE, [])]
    for label, node in clouds().items():
        nested = [one for one in node.first_inputs() if one.id != _WORKFLOW]
        options.append(io.DynamicCombo.Option(label, nested))
    return io.DynamicCombo.Input("where", options=options)


def request_of(
    part: RemotePart, where: Mapping[str, Any], values: Chain | None
) -> tuple[Request, str]:
    """What is sent, and the id of the node that saves this node's value.

    Encodes tensors and reads files: call it in a thread. Raises InvalidInput; nothing was sent.
    """
    builder = RemoteWorkflowBuilder(part.nodes)
    for name, value in values or ():
        builder.put(part.entries[name], _entered(builder, part.entries[name][0], value))
    savers = {link: builder.save(link, kind) for link, kind in part.saves}
    workflow = local_files.with_local_files(builder.workflow)
    chosen = {name: value for name, value in where.items() if name != "where"}
    made = clouds()[where["where"]].request(workflow, 0, **chosen)
    assert part.value is not None
    return made, savers[part.value]


def _entered(builder: RemoteWorkflowBuilder, target: str, value: Any) -> Any:
    """What takes the place of an input: the value itself, or a link to what loads it there."""
    if isinstance(value, (str, bool, int, float)):
        return value
    node_id, name = apart(target, builder.workflow)
    try:
        kind = _kind_of(value)
        files = encode.encode(_colored(value), media_folder())
    except InvalidInput as error:
        node = builder.workflow[node_id]
        told = tr(
            "Input {name} of {node}: {reason}",
            name=name,
            node=named(node_id, node),
            reason=error.what,
        )
        raise InvalidInput(told, do=error.do) from error
    return builder.load(kind, files, alpha=kind == "IMAGE" and value.shape[-1] == 4)


def _kind_of(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return "IMAGE" if value.dim() == 4 else "MASK"
    if not isinstance(value, Mapping):
        return "VIDEO"
    if "waveform" in value and value["waveform"].dim() == 3 and len(value["waveform"]) > 1:
        raise InvalidInput(
            tr("The audio holds {count} sounds.", count=len(value["waveform"])),
            do=tr("Send one sound, or let the node that makes them run in the cloud too."),
        )
    return "AUDIO"


def _colored(value: Any) -> Any:
    """Masks and grey pictures with three equal channels: not every LoadImage reads grey exactly."""
    if not isinstance(value, torch.Tensor) or (value.dim() == 4 and value.shape[-1] != 1):
        return value
    grey = value if value.dim() == 4 else value.reshape(-1, *value.shape[-2:], 1)
    return grey.expand(-1, -1, -1, 3)


# -- the way back -------------------------------------------------------------------------------


def value_of(part: RemotePart, saver: str, results: Sequence[Result], label: str) -> io.NodeOutput:
    """This node's value out of what the submission saved; blocking. Raises BadResult."""
    kind = dict(part.saves)[part.value] if part.value else ""
    mine = [_only(result, saver, _KINDS[kind], alone=len(part.saves) == 1) for result in results]
    files = [file for result in mine for file in result.files]
    try:
        if not files:
            raise _nothing(part, kind)
        return io.NodeOutput(_decoded(kind, files), ui=node_outputs.shown(mine))
    except BadResult as error:
        raise node_outputs.whose(error, results, label) from None


def _only(result: Result, saver: str, kind: Kind, *, alone: bool) -> Result:
    """What that node saved. A platform that names no nodes is believed where one node saves."""
    files = [file for file in result.of(kind) if file.node_id == saver]
    if not files and alone:
        files = [file for file in result.of(kind) if not file.node_id]
    return replace(result, files=tuple(files), texts=())


def _decoded(kind: str, files: Sequence[ResultFile]) -> list[Any]:
    """The values, as a list of one where the local value would be one."""
    paths = [file.path for file in files]
    if kind == "IMAGE":
        return list(decode.batch_images(paths))
    if kind == "MASK":
        return [images[..., 0] for images in decode.batch_images(paths)]
    return [(decode.open_video if kind == "VIDEO" else decode.decode_audio)(p) for p in paths]


def _nothing(part: RemotePart, kind: str) -> BadResult:
    assert part.value is not None
    node_id = part.value[0]
    return BadResult(
        tr(
            "The workflow ended and brought no {kind} of {node}.",
            kind=kind,
            node=named(node_id, part.nodes[node_id]),
        )
    )


def at_its_node(error: SkyportError, part: RemotePart) -> SkyportError:
    """`error` with the ids that the nodes it names have on this machine."""
    blamed = [
        named(node_id, node)
        for node_id, node in part.nodes.items()
        if _names(error.what, title_of(node))
    ]
    if blamed:
        told = tr("In this workflow that is {nodes}.", nodes=", ".join(blamed))
        error.do = f"{told} {error.do}".strip()
    return error


def _names(text: str, title: str) -> bool:
    return bool(title) and re.search(rf"(?<!\w){re.escape(title)}(?!\w)", text) is not None
