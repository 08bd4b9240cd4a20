"""The state of every node of the running prompt, told to the browser that queued it."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

_PREVIEW = 4  # kind of binary message
_states: dict[str, dict[str, Any]] = {}
_prompt_id = ""


def begin(prompt_id: str) -> None:
    """Forget the last prompt."""
    global _prompt_id
    _states.clear()
    _prompt_id = prompt_id


def start(node_id: str) -> None:
    _set(node_id, "running", 0.0, 1.0)


def report(node_id: str, value: float, most: float, preview: Any = None) -> None:
    _set(node_id, "running", value, most)
    if preview is not None:
        about = {"node_id": node_id, "display_node_id": node_id, "prompt_id": _prompt_id}
        _server().send_sync(_PREVIEW, (about, _picture(preview)), _server().client_id)


def finish(node_id: str) -> None:
    most = _states.get(node_id, {}).get("max", 1.0)
    _set(node_id, "finished", most, most)


def _set(node_id: str, state: str, value: float, most: float) -> None:
    _states[node_id] = {
        "node_id": node_id,
        "display_node_id": node_id,
        "prompt_id": _prompt_id,
        "state": state,
        "value": value,
        "max": most,
    }
    nodes = {name: dict(one) for name, one in _states.items()}
    _server().send_sync(
        "progress_state", {"prompt_id": _prompt_id, "nodes": nodes}, _server().client_id
    )


def _picture(preview: Any) -> Any:
    """A PIL picture, made of the first of a tensor [B,H,W,C] where it is one."""
    if isinstance(preview, Image.Image):
        return preview
    first = preview[0] if preview.ndim == 4 else preview
    return Image.fromarray((first.cpu().numpy() * 255).astype(np.uint8))


def _server() -> Any:
    from server import PromptServer

    return PromptServer.instance
