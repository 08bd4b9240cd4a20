"""What the split says: why a value cannot cross, and what becomes of the nodes of a part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base.words import tr
from .api_format import Workflow, parse_target
from .graph import Link, node_label
from .part import LITERALS


def cannot_enter(prompt: Workflow, target: str, link: Link, kind: str) -> str:
    node_id, _ = parse_target(target, prompt)
    return tr(
        "{node} takes a value of type {kind} that is made on this machine by {source}. Such a "
        "value cannot go to a cloud. Remove {source}, so that what is before it runs there too, or "
        "move it behind a later node that makes an image, mask, video, audio, text or number.",
        node=node_label(node_id, prompt[node_id]),
        source=node_label(link[0], prompt[link[0]]),
        kind=kind,
    )


def cannot_leave(prompt: Workflow, link: Link, kind: str, where: str) -> str:
    source = node_label(link[0], prompt[link[0]])
    if not kind:
        return tr(
            "What {source} makes is not known on this machine. Link a node to the output of "
            "Run in Cloud that takes an image, mask, video, audio or text.",
            source=source,
        )
    if kind in LITERALS:
        return tr(
            "{source} makes a value of type {kind}. {platform} brings back images, masks, "
            "videos and audio only: choose another place to run, or put Run in Cloud behind a "
            "node that makes one of those.",
            source=source,
            kind=kind,
            platform=where,
        )
    return tr(
        "{source} makes a value of type {kind}. Run in Cloud brings back an image, mask, "
        "video, audio, text or number: put it behind a node that makes one.",
        source=source,
        kind=kind,
    )


def paid_apart(node_id: str, node: Mapping[str, Any]) -> str:
    return tr(
        "{node} calls a paid service of its own: it needs credentials where it runs, and is billed "
        "by that service besides the run.",
        node=node_label(node_id, node),
    )


def runs_there_only(node_id: str, node: Mapping[str, Any]) -> str:
    return tr(
        "{node} runs in the cloud only: what it saves or shows stays there.",
        node=node_label(node_id, node),
    )


def dropped(node_id: str, node: Mapping[str, Any]) -> str:
    return tr(
        "{node} is left out: what it takes can be made in the cloud only, and cannot be brought "
        "back.",
        node=node_label(node_id, node),
    )
