"""Model families that several platforms offer: each platform's rows for them, and what those share.

A platform lists its members in `families.json` beside its rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import resources
from typing import Any

from ..base.errors import InvalidInput
from ..base.types import Choice, Json, Model, Param
from ..base.words import tr
from . import registry
from .catalogue import built_in

PLATFORMS = "platforms"  # the text field in which a person reorders or leaves out platforms


@dataclass(frozen=True)
class Member:
    """A platform's row in a family.

    task        what the family does with it: text2image, text2video, image2video
    own_task    that task in the platform's catalogue
    parameters  the row's name of each parameter that families share: {"ratio": "aspect_ratio"}
    values      the row's own spelling of a shared value: {"resolution": {"720p": "720P"}}
    media       the input of the platform's node that takes a medium: {"image": "first_frame"}
    """

    platform: str
    family: str
    task: str
    own_task: str
    model: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    media: Mapping[str, str] = field(default_factory=dict)

    def own_values(self, shared: Mapping[str, Any]) -> dict[str, Any]:
        """The shared parameters as this row names and spells them."""
        return {
            own: self.values.get(name, {}).get(str(shared[name]), shared[name])
            for name, own in self.parameters.items()
            if name in shared
        }


@lru_cache(maxsize=8)
def families(task: str) -> dict[str, tuple[Member, ...]]:
    """The members of each family for `task`, by family; those of several platforms come first."""
    found: dict[str, list[Member]] = {}
    for platform in registry.names():
        for member in _members(platform):
            if member.task == task:
                found.setdefault(member.family, []).append(member)
    shared_first = sorted(found.items(), key=lambda item: -len(_platforms(item[1])))
    return {family: tuple(members) for family, members in shared_first}


def listed_members(task: str, family: str, platforms: str | None) -> list[Member]:
    """The family's members on the platforms that the text lists, in that order; "" lists all.

    Raises InvalidInput for the name of a platform that does not offer it.
    """
    members = families(task).get(family, ())
    names = [name.strip().lower() for name in (platforms or "").split(",")]
    wanted = [name for name in names if name] or [member.platform for member in members]
    offered = {member.platform for member in members}
    for name in wanted:
        if name not in offered:
            raise InvalidInput(
                tr('"{name}" does not offer {family} here.', name=name, family=family),
                do=tr("The platforms are: {names}.", names=", ".join(sorted(offered))),
            )
    unique = dict.fromkeys(wanted)
    return [member for name in unique for member in members if member.platform == name]


def shared_params(members: Sequence[Member]) -> tuple[Param, ...]:
    """The parameters that every member has, each within what all of them accept."""
    rows = [(member, _built_in(member)) for member in members]
    names = [
        name for name in members[0].parameters if all(name in one.parameters for one in members)
    ]
    return tuple(_shared(name, [_own(name, member, row) for member, row in rows]) for name in names)


def _platforms(members: Sequence[Member]) -> set[str]:
    return {member.platform for member in members}


def _members(platform: str) -> list[Member]:
    package = registry.provider_class(platform).__module__.split("._")[0]
    file = resources.files(package) / "families.json"
    if not file.is_file():
        return []
    rows = json.loads(file.read_text("utf-8"))
    return [_member(platform, row) for row in rows]


def _member(platform: str, row: Mapping[str, Json]) -> Member:
    rest = {name: row[name] for name in ("parameters", "values", "media") if name in row}
    return Member(platform, row["family"], row["for"], row["task"], row["model"], **rest)


def _built_in(member: Member) -> Model:
    """The member's row in the platform's document: what is offered must not change by a refresh."""
    rows = built_in(registry.provider_class(member.platform))
    own = (member.model, member.own_task)
    return next(model for _, model in rows if (model.id, model.task) == own)


def _own(name: str, member: Member, row: Model) -> Param:
    """The member's parameter under its shared name, its choices in the shared spelling."""
    param = row.param(member.parameters[name])
    assert param is not None, f"{member.model} has no {member.parameters[name]}"
    shared = {str(own): text for text, own in member.values.get(name, {}).items()}
    choices = tuple(Choice(shared.get(str(one.value), one.value)) for one in param.choices)
    default = shared.get(str(param.default), param.default)
    return replace(param, name=name, choices=choices, default=default)


def _shared(name: str, params: Sequence[Param]) -> Param:
    closed = [[choice.value for choice in param.choices] for param in params if param.choices]
    values = [value for value in closed[0] if all(value in one for one in closed)] if closed else []
    low = max((one.min for one in params if one.min is not None), default=None)
    high = min((one.max for one in params if one.max is not None), default=None)
    return Param(
        name,
        params[0].type,
        required=True,
        default=_default([one.default for one in params], values, low, high),
        min=low,
        max=high,
        choices=tuple(Choice(value) for value in values),
        suggested=() if values else _all_suggest([one.suggested for one in params]),
    )


def _all_suggest(lists: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """What every member suggests; one that suggests nothing rules nothing out."""
    known = [values for values in lists if values]
    return tuple(one for one in known[0] if all(one in values for values in known)) if known else ()


def _default(
    defaults: Sequence[Any], values: Sequence[Any], low: float | None, high: float | None
) -> Any:
    """The first default that every member accepts, else the nearest value that they do."""
    if values:
        return next((one for one in defaults if one in values), values[0])
    first = next(one for one in defaults if one is not None)
    if isinstance(first, (int, float)):
        return type(first)(min(max(first, low or first), high or first))
    return first
