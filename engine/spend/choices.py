"""The platforms that a node over several of them asks, read from its values."""

from __future__ import annotations

from collections.abc import Mapping

from ..base.errors import InvalidInput
from ..base.types import Json
from ..platforms import registry
from ..platforms.families import PLATFORMS, Member, listed_members
from .drivers import PriceKey, key_of_form

ANY = "SkyportAny"  # begins the classes of these nodes
_TASKS = {
    "TextToImage": "text2image",
    "TextToVideo": "text2video",
    "ImageToVideo": "image2video",
}


def choices_of(class_type: str, values: Mapping[str, Json]) -> tuple[PriceKey, ...]:
    """A key for each platform, as listed; () where the node would refuse its values."""
    task, family = _TASKS.get(class_type.removeprefix(ANY), ""), values.get("model")
    platforms = values.get(PLATFORMS)
    if not isinstance(family, str) or not isinstance(platforms, (str, type(None))):
        return ()
    try:
        return tuple(key_of_member(one, values) for one in listed_members(task, family, platforms))
    except InvalidInput:
        return ()


def key_of_member(member: Member, shared: Mapping[str, Json]) -> PriceKey:
    """The key of an order of the member with these values of the parameters that families share."""
    names_tasks = bool(registry.provider_class(member.platform).node_tasks)
    task = member.own_task if names_tasks else ""
    return key_of_form(member.platform, member.model, member.own_values(shared), task)
