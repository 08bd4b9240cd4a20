"""Nodes that misbehave inside Skyport's own wrapper."""

from __future__ import annotations

import asyncio
import sys

from comfy_api.latest import io

from .sources import CATEGORY


class ProbeCancelInside(io.ComfyNode):
    """A cloud node some inner work of which is cancelled, as a library might do it."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeCancelInside",
            category=CATEGORY,
            is_output_node=True,
            not_idempotent=True,
        )

    @classmethod
    async def execute(cls):
        # The pack's module name is the host's choice.
        loaded = [name for name in list(sys.modules) if name.endswith("nodes._base.node")]
        wrapper = sys.modules[loaded[-1]].CloudNode
        return await wrapper.execute.__func__(_Cancelled)


class _Cancelled:
    hidden = None

    @classmethod
    async def work(cls):
        inner = asyncio.create_task(asyncio.sleep(10))
        await asyncio.sleep(0.05)
        inner.cancel()
        await inner


NODES = [ProbeCancelInside]
