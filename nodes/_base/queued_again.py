"""Gives a prompt that did not run, and is queued again, the id that follows on its earlier one."""

from __future__ import annotations

from typing import Any

from .prompt_queue import editor_workflow

KEY = "skyport_prompt_id"  # in the workflow of a request to queue a prompt


def use_id_in(data: dict[str, Any]) -> None:
    """Take the id out of the workflow: no result is to carry it."""
    workflow = editor_workflow(data.get("extra_data"))
    if workflow is None or KEY not in workflow:
        return
    prompt_id = workflow.pop(KEY)
    data.setdefault("prompt_id", prompt_id)
    if not workflow:
        del data["extra_data"]["extra_pnginfo"]["workflow"]
