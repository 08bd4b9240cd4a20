"""Nodes for tests alone: sources and sinks of all kinds of values, nodes that misbehave."""

from __future__ import annotations


async def comfy_entrypoint():
    from comfy_api.latest import ComfyExtension

    from . import flow, hooks, inputs, sink, skyport, sources

    hooks.register()

    class Probes(ComfyExtension):
        async def get_node_list(self):
            return [*sources.NODES, *sink.NODES, *flow.NODES, *inputs.NODES, *skyport.NODES]

    return Probes()
