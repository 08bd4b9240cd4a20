"""The ComfyUI side: every public module here lists nodes in NODES."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import ComfyExtension, io
from server import PromptServer

from .. import providers
from ..engine.base.errors import SkyportError
from ..engine.settings import folders
from ._base import (
    editor_language,
    head_start,
    interrupts,
    kept_queue,
    node_outputs,
    prompt_marks,
)
from ._base.node import CloudNode
from ._base.registry import all_nodes, register_package
from ._routes import job_events, presence, refresh_models, register
from ._run_in_cloud.prompt_hook import on_prompt

_log = logging.getLogger(__name__)

register_package(__name__, __path__)


class Skyport(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return all_nodes()


def extension() -> Skyport:
    """Sets up folders, the prompt hook, routes and background work as ComfyUI loads the pack.

    The background comes last: a thread that imports what is being imported here would get half.
    """
    folders.use_home(Path(folder_paths.get_system_user_directory("skyport")))
    folders.use_results(Path(folder_paths.get_output_directory()) / "skyport")
    editor_language.update_language()
    _watch(all_nodes())
    head_start.watch(all_nodes())
    PromptServer.instance.add_on_prompt_handler(on_prompt)
    interrupts.watch()
    register.add_to(PromptServer.instance.routes)
    job_events.begin()
    _begin_background_work()
    return Skyport()


def _begin_background_work() -> None:
    """Collects tasks left running by earlier sessions, and keeps the catalogues fresh.

    An unusable data folder is only logged: the nodes must load, and report it themselves.
    """
    try:
        providers.start_collector()
        providers.start_notices(presence.pages)
        refresh_models.in_background()
    except SkyportError as error:
        _log.warning("Skyport: %s", error)


def _watch(nodes: list[type[Any]]) -> None:
    kept_queue.watch(node.id for node in nodes if _is_cloud_node(node))
    for node in nodes:
        outputs = [output.id for output in node.define_schema().outputs]
        costly = [(n, name) for n, name in enumerate(outputs) if name in node_outputs.COSTLY]
        if costly:
            prompt_marks.watch(node.id, costly)
        if hasattr(node, "offered_models"):
            prompt_marks.watch_model(node.id, node.offered_models)


def _is_cloud_node(node: type[Any]) -> bool:
    return issubclass(node, CloudNode)
