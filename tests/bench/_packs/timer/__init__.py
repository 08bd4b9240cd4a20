"""Has ComfyUI load the pack in BENCH_PACK, and notes the seconds in BENCH_SECONDS."""

from __future__ import annotations

import os
import time
from pathlib import Path

from comfy_api.latest import ComfyExtension

import nodes


class Timer(ComfyExtension):
    async def get_node_list(self) -> list:
        return []


async def comfy_entrypoint() -> Timer:
    began = time.perf_counter()
    loaded = await nodes.load_custom_node(os.environ["BENCH_PACK"])
    seconds = time.perf_counter() - began
    if loaded:
        Path(os.environ["BENCH_SECONDS"]).write_text(str(seconds), encoding="ascii")
    return Timer()
