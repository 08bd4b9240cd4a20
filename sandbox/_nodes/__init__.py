"""The node classes that the sandbox executes for real, by name: NODES."""

from __future__ import annotations

from collections.abc import Mapping

from . import images, masks, media, values
from .kinds import NodeClass

NODES: Mapping[str, NodeClass] = {
    node.name: node for module in (media, images, masks, values) for node in module.NODES
}
