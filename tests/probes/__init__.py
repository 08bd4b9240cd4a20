"""Nodes for tests alone: sources and sinks of every kind of value, and nodes that misbehave on purpose."""

from __future__ import annotations


async def comfy_entrypoint():  # noqa: ANN201  (ComfyUI is imported here, not above)
    from comfy_api.latest import ComfyExtension

    from . import flow, hooks, inputs, sink, sources

    hooks.register()

    class Probes(ComfyExtension):
        async def get_node_list(self):  # noqa: ANN202
            return [*sources.NODES, *sink.NODES, *flow.NODES, *inputs.NODES]

    return Probes()
