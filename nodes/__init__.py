"""The ComfyUI side: every bare-named module here holds a platform's nodes in NODES."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import ComfyExtension, io
from comfyui_version import __version__ as comfyui_version
from server import PromptServer

from .. import providers
from ..engine.base.errors import SkyportError
from ..engine.base.words import tr
from ..engine.settings import folders
from ._base import editor_language, node_outputs, prompt_marks
from ._base.registry import all_nodes, look_in
from ._routes import all, job_events, refresh_models
from ._run_in_cloud.prompt_hook import on_prompt

OLDEST_COMFYUI = (0, 26, 0)
_log = logging.getLogger(__name__)

look_in(__name__, __path__)


class Skyport(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return all_nodes()


def extension() -> Skyport:
    """Tells the pack, as ComfyUI loads it, where to keep things, what to watch, what to serve."""
    _check_version(comfyui_version)
    folders.use_home(Path(folder_paths.get_system_user_directory("skyport")))
    folders.use_results(Path(folder_paths.get_output_directory()) / "skyport")
    editor_language.follow_host()
    _begin_background_work()
    _watch(all_nodes())
    PromptServer.instance.add_on_prompt_handler(on_prompt)
    all.add_to(PromptServer.instance.routes)
    job_events.begin()
    return Skyport()


def _begin_background_work() -> None:
    """What paid work of the past still runs is finished, and the catalogues are kept fresh.

    A data folder that cannot be used is told by the nodes; they must be there to do so.
    """
    try:
        providers.start_collector()
        refresh_models.in_background()
    except SkyportError as error:
        _log.warning("Skyport: %s", error)


def _watch(nodes: list[type[Any]]) -> None:
    for node in nodes:
        outputs = [output.id for output in node.define_schema().outputs]
        costly = [(n, name) for n, name in enumerate(outputs) if name in node_outputs.COSTLY]
        if costly:
            prompt_marks.watch(node.id, costly)
        if hasattr(node, "offered"):
            prompt_marks.watch_model(node.id, node.offered)


def _check_version(version: str) -> None:
    """Raises RuntimeError on a ComfyUI too old for the pack; it shows in ComfyUI's log."""
    numbers = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
    if numbers and numbers < OLDEST_COMFYUI:
        oldest = ".".join(map(str, OLDEST_COMFYUI))
        raise RuntimeError(
            tr(
                "Skyport needs ComfyUI {oldest} or newer; this is {version}. Update ComfyUI.",
                oldest=oldest,
                version=version,
            )
        )
