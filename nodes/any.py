"""The nodes that send a task to whichever platform offers a model family."""

from __future__ import annotations

from ..engine.base.types import Kind
from ._base import node_outputs
from ._kinds.any_platform import AnyNode
from ._kinds.schema import Socket


class AnyTextToImage(AnyNode):
    id, title = "SkyportAnyTextToImage", "Image from Text (Any Cloud)"
    task, outputs = "text2image", node_outputs.IMAGES


class AnyTextToVideo(AnyNode):
    id, title = "SkyportAnyTextToVideo", "Video from Text (Any Cloud)"
    task, outputs = "text2video", node_outputs.VIDEO


class AnyImageToVideo(AnyNode):
    id, title = "SkyportAnyImageToVideo", "Video from Image (Any Cloud)"
    task, outputs = "image2video", node_outputs.VIDEO
    sockets = (Socket("image", Kind.IMAGE),)


NODES = [AnyTextToImage, AnyTextToVideo, AnyImageToVideo]
