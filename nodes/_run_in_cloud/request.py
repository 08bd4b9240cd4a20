"""Run in Cloud: builds a request from a remote part, and local values from its results."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from comfy_api.latest import io

from ... import providers
from ...engine.base.errors import BadResult, InvalidInput, SkyportError
from ...engine.base.types import Kind, MediaFile, Request, Result, ResultFile, ResultText
from ...engine.base.words import tr
from ...engine.workflows.api_format import Workflow, is_link, parse_target, title_of
from ...engine.workflows.graph import PART_INPUT, THIS_MACHINE, is_node, node_label
from ...engine.workflows.part import RemotePart
from ...engine.workflows.transfer import RemoteWorkflowBuilder
from .._base import node_outputs
from .._kinds import local_files
from .._kinds.form_values import media_folder
from .._kinds.remote_inputs import Chain
from .._kinds.run_workflow import RunWorkflowNode
from .._media import decode, encode
from .._media.encode import tensors
from .clouds import clouds
from .split_prompt import remote_part_of

_WORKFLOW = "workflow"  # the input that the remote part replaces
_KINDS = {"IMAGE": Kind.IMAGE, "MASK": Kind.IMAGE, "VIDEO": Kind.VIDEO, "AUDIO": Kind.AUDIO}
_READERS: dict[str, Callable[[str], Any]] = {
    "STRING": str,
    "INT": int,
    "FLOAT": float,
    "BOOLEAN": {"True": True, "False": False}.__getitem__,
}


def where_input() -> io.DynamicCombo.Input:
    """The choice of this machine, or of a platform with the inputs of its Run Workflow node."""
    options = [io.DynamicCombo.Option(THIS_MACHINE, [])]
    for label, node in clouds().items():
        nested = [one for one in node.first_inputs() if one.id != _WORKFLOW]
        options.append(io.DynamicCombo.Option(label, nested))
    return io.DynamicCombo.Input("where", options=options)


def not_ready(split: Workflow) -> dict[str, str]:
    """Why parts of a split prompt cannot be sent, by Run in Cloud node; asks no platform.

    What is missing is a key, an address, or an input of the platform's own.
    """
    reasons = {}
    for node_id, node in split.items():
        if is_node(node) and PART_INPUT in node["inputs"]:
            try:
                _check_ready(node["inputs"])
            except SkyportError as error:
                part = remote_part_of(split, node_id)
                if part is not None and part.value is not None:
                    reasons[node_id] = str(error)
    return reasons


def _check_ready(inputs: Mapping[str, Any]) -> None:
    """Raises SkyportError of the platform, and of its own inputs unless one is linked."""
    node = clouds().get(str(inputs.get("where")))
    if node is None:
        return  # ComfyUI refuses it, or the node does
    providers.check_set_up(node.platform)
    where = {k.removeprefix("where."): v for k, v in inputs.items() if k.startswith("where.")}
    if not any(map(is_link, where.values())):
        node.check_where(where)


def can_run_at_once(node: type[RunWorkflowNode]) -> bool:
    """Whether nothing is missing with the values that the platform's own inputs begin with."""
    own = [one for one in node.first_inputs() if one.id != _WORKFLOW]
    try:
        node.check_where({one.id: getattr(one, "default", None) for one in own})
    except InvalidInput:
        return False
    return True


def request_of(
    part: RemotePart, where: Mapping[str, Any], values: Chain | None
) -> tuple[Request, str]:
    """The request, and the id of the remote node that saves this node's value.

    Encodes tensors and reads files: call it in a thread. Raises InvalidInput; nothing was sent.
    """
    builder = RemoteWorkflowBuilder(part.nodes)
    for name, value in values or ():
        builder.put(part.entries[name], _replacement(builder, part.entries[name][0], value))
    savers = {link: builder.save(link, kind) for link, kind in part.saves}
    workflow = local_files.with_local_files(builder.workflow)
    chosen = {name: value for name, value in where.items() if name != "where"}
    request = clouds()[where["where"]].request(workflow, 0, **chosen)
    assert part.value is not None
    return request, savers[part.value]


def _replacement(builder: RemoteWorkflowBuilder, target: str, value: Any) -> Any:
    """The new value of a remote input: the value itself, or a link to the node that loads it."""
    if isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (list, tuple)) and len(value) == 1:
        return _replacement(builder, target, value[0])
    node_id, name = parse_target(target, builder.workflow)
    try:
        kind, sendable = _sendable(value)
        files = encode.encode(sendable, media_folder(), takes_masks=False)
        _refuse_several_sounds(kind, files)
    except InvalidInput as error:
        node = builder.workflow[node_id]
        message = tr(
            "Input {name} of {node}: {reason}",
            name=name,
            node=node_label(node_id, node),
            reason=error.what,
        )
        raise InvalidInput(message, do=error.do) from error
    return builder.load(kind, files, alpha=kind == "IMAGE" and sendable.shape[-1] == 4)


def _sendable(value: Any) -> tuple[str, Any]:
    """The type of `value`, and the value as it is encoded.

    Masks and grey images get three equal channels: not every LoadImage reads grey exactly.
    """
    if isinstance(value, (list, tuple)):
        raise InvalidInput(
            tr("It is a list of {count}.", count=len(value)),
            do=tr("Send one image batch, mask, video or sound."),
        )
    if not encode.is_picture(value):
        return ("AUDIO" if isinstance(value, Mapping) else "VIDEO"), value
    tensor = tensors.plain(value)
    kind = "MASK" if tensors.is_mask(tensor) else "IMAGE"
    images = tensors.as_masks(tensor)[..., None] if kind == "MASK" else tensors.as_images(tensor)
    return kind, images if images.shape[-1] != 1 else images.expand(-1, -1, -1, 3)


def _refuse_several_sounds(kind: str, files: Sequence[MediaFile]) -> None:
    if kind == "AUDIO" and len(files) > 1:
        raise InvalidInput(
            tr("The audio holds {count} sounds.", count=len(files)),
            do=tr("Send one sound, or let the node that makes them run in the cloud too."),
        )


# -- results ------------------------------------------------------------------------------------


def value_of(part: RemotePart, saver: str, results: Sequence[Result], label: str) -> io.NodeOutput:
    """This node's value, from the files that the request saved; blocking. Raises BadResult."""
    kind = dict(part.saves)[part.value] if part.value else ""
    if kind in _READERS:
        return _text_value(part, kind, saver, results, label)
    saved = [
        _saved_by(result, saver, _KINDS[kind], alone=len(part.saves) == 1) for result in results
    ]
    files = [file for result in saved for file in result.files]
    reader = node_outputs.FileReader()
    values = _decode(kind, files, reader) if files else []
    for result in saved:
        reader.raise_if_nothing_is_left(result, results, label)
    if not values:
        raise _no_value(part, kind, results, label)
    return reader.delivered([values], saved)


def _text_value(
    part: RemotePart, kind: str, saver: str, results: Sequence[Result], label: str
) -> io.NodeOutput:
    shown = [
        tuple(one for one in result.texts if isinstance(one, ResultText) and one.node_id == saver)
        for result in results
    ]
    try:
        values = [_READERS[kind](str(text)) for texts in shown for text in texts]
    except (ValueError, KeyError):
        values = []
    if not values:
        raise _no_value(part, kind, results, label)
    saved = [replace(one, files=(), texts=t) for one, t in zip(results, shown, strict=True)]
    return node_outputs.FileReader().delivered([values], saved)


def _saved_by(result: Result, saver: str, kind: Kind, *, alone: bool) -> Result:
    """What that node saved. Files without a node count if only one node saves."""
    files = [file for file in result.of(kind) if file.node_id == saver]
    if not files and alone:
        files = [file for file in result.of(kind) if not file.node_id]
    return replace(result, files=tuple(files), texts=())


def _decode(kind: str, files: Sequence[ResultFile], reader: node_outputs.FileReader) -> list[Any]:
    """The values: a list of one if the local node would return a single value."""
    if kind == "IMAGE":
        return reader.batch(files, decode.batch_images)
    if kind == "MASK":
        return [images[..., 0] for images in reader.batch(files, decode.batch_images)]
    return reader.each(files, decode.open_video if kind == "VIDEO" else decode.decode_audio)


def _no_value(part: RemotePart, kind: str, results: Sequence[Result], label: str) -> BadResult:
    assert part.value is not None
    node_id = part.value[0]
    error = BadResult(
        tr(
            "The workflow ended without a {kind} from {node}.",
            kind=kind,
            node=node_label(node_id, part.nodes[node_id]),
        )
    )
    error.do = " ".join([error.do, *(w for one in results for w in one.warnings)]).strip()
    return node_outputs.with_task(error, results, label)


def with_local_ids(error: SkyportError, part: RemotePart) -> SkyportError:
    """`error` with the local ids of the nodes that it names."""
    names = [
        node_label(node_id, node)
        for node_id, node in part.nodes.items()
        if _names(error.what, title_of(node))
    ]
    if names:
        message = tr("In this workflow that is {nodes}.", nodes=", ".join(names))
        error.do = f"{message} {error.do}".strip()
    return error


def _names(text: str, title: str) -> bool:
    return bool(title) and re.search(rf"(?<!\w){re.escape(title)}(?!\w)", text) is not None
