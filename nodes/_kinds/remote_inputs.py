"""Values for the inputs of a remote workflow or app: the SKYPORT_INPUTS type."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...engine.base.errors import InvalidInput
from ...engine.base.words import tr
from . import form_values

RemoteInputs = io.Custom("SKYPORT_INPUTS")

Chain = tuple[tuple[str, Any], ...]  # (target, value), in the order they were chained


def append_value(before: Chain | None, target: str, value: Any) -> Chain:
    """`before` with one more value. Raises InvalidInput if the target is empty or taken."""
    name = target.strip()
    if not name:
        raise InvalidInput(
            tr("The target of a remote input is empty."),
            do=tr("Name it like 73.image (node and input), or by an app's parameter name."),
        )
    chain = tuple(before or ())
    if name in dict(chain):
        raise InvalidInput(
            tr('The remote input "{target}" is set twice.', target=name),
            do=tr("Remove one of the two."),
        )
    return (*chain, (name, value))


def remote_values(chain: Chain | None) -> list[dict[str, Any]]:
    """The values of each task by target; media as files. A batch is one task per image.

    Encodes tensors, so call it in a thread.
    """
    return form_values.fan_out({target: _value(target, value) for target, value in chain or ()})


def _value(target: str, value: Any) -> Any:
    if isinstance(value, (str, int, float, bool)):
        return value
    with form_values.naming(target):
        return form_values.Batch(form_values.media_items(value))
