"""The files outside ComfyUI's folders that a prompt would upload, were they allowed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ...engine.base.errors import SkyportError
from ...engine.workflows.api_format import read_workflow
from ...engine.workflows.graph import is_node
from .._kinds import allowed_files, local_files, node_classes
from .clouds import clouds
from .split_prompt import split_prompt


def outside_files(data: Mapping[str, Any]) -> list[str]:
    """Their paths, for a request to queue a prompt: nothing is queued or read.

    Of the parts that Run in Cloud nodes send, and of the workflows of Run Workflow nodes.
    """
    with allowed_files.collecting() as found, node_classes.caching():
        for node in split_prompt(data).values():
            if is_node(node):
                _collect(node)
    return found


def _collect(node: Mapping[str, Any]) -> None:
    runners = {one.id for one in clouds().values() if one.local_files}
    text = node["inputs"].get("workflow")
    if node["class_type"] in runners and isinstance(text, str):
        with suppress(SkyportError):  # the node says what is wrong when it runs
            local_files.stamps(read_workflow(text))
