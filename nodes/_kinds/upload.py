"""The base of the nodes that host a tensor's file on a platform."""

from __future__ import annotations

from typing import Any, ClassVar

from comfy_api.latest import io

from ... import providers
from ...engine.base.types import Request
from .._base import node_outputs, run_task
from .._base.node import CloudNode
from . import form_values, schema


class UploadNode(CloudNode):
    """Subclasses set the class variables; media are uploaded as they are for `endpoint`."""

    id: ClassVar[str]
    title: ClassVar[str]
    platform: ClassVar[str]
    category: ClassVar[str]
    endpoint: ClassVar[str]

    @classmethod
    def define_schema(cls) -> io.Schema:
        kinds = [io.Image, io.Mask, io.Video, io.Audio]
        inputs = [io.MultiType.Input("media", types=kinds)]
        outputs = node_outputs.declare(["url"])
        return schema.node_schema(cls, inputs, outputs, is_output_node=False)

    @classmethod
    async def work(cls, media: Any) -> io.NodeOutput:
        provider = await run_task.in_thread(lambda: providers.connect(cls.platform))
        files = await run_task.in_thread(lambda: _files(media))
        like = Request(cls.platform, cls.endpoint, {})
        urls = await run_task.interruptible(providers.runner().host(provider, like, files))
        return io.NodeOutput(urls, ui={"text": tuple(_without_query(url) for url in urls)})


def _files(media: Any) -> list[Any]:
    with form_values.naming("media"):
        return form_values.media_items(media)


def _without_query(url: str) -> str:
    return url.partition("?")[0]
