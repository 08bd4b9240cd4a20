"""The base of nodes that send a task to whichever of several platforms takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import median
from typing import Any

from comfy_api.latest import io

from ... import providers
from ...engine.base.errors import InvalidInput, MissingKey, SkyportError
from ...engine.base.types import Model, Param, Request
from ...engine.base.words import language, tr
from ...engine.ledger.ledger import fingerprint_of, is_new_order
from ...engine.platforms.families import (
    PLATFORMS,
    Member,
    families,
    listed_members,
    shared_params,
)
from ...engine.platforms.provider import Provider
from ...engine.settings import settings
from ...engine.spend.ranking import AS_LISTED, CHEAPEST, ORDERS, by_duration, by_price
from .._base import begun_ahead, fall_over, prompt_marks, run_task
from .._base.registry import all_nodes
from . import schema
from .generate import GenerateNode


class AnyNode(GenerateNode):
    """A node whose models are families, each offered by several platforms."""

    platform = ""
    category = "Skyport/Any"

    @classmethod
    def node_inputs(cls) -> Sequence[Any]:
        return [
            io.Combo.Input("order", options=list(ORDERS), default=AS_LISTED, advanced=True),
            io.Boolean.Input("next_if_refused", default=True, advanced=True),
        ]

    @classmethod
    def models(cls) -> tuple[Model, ...]:
        """The families as models: what their rows share, and the platforms that offer them."""
        return _as_models(cls.task, language())

    @classmethod
    async def work(
        cls,
        prompt: str,
        seed: int,
        model: Mapping[str, Any] | None = None,
        order: str = AS_LISTED,
        next_if_refused: bool = True,
        **media: Any,
    ) -> io.NodeOutput:
        if model is None:
            raise InvalidInput(prompt_marks.missing_model(cls.id))
        chosen = model
        build = cls.output_builder(cls.outputs, cls.title)

        node_id = cls.hidden.unique_id
        queued = begun_ahead.current_call(node_id).source.prompt_id

        def make_plan() -> fall_over.Plan:
            return cls.plan(prompt, seed, chosen, order, next_if_refused, media, queued)

        return await fall_over.run(node_id, make_plan, build)

    @classmethod
    def orders(
        cls,
        prompt: str,
        seed: int,
        model: Mapping[str, Any],
        order: str = AS_LISTED,
        next_if_refused: bool = True,
        **media: Any,
    ) -> Sequence[Request]:
        """The requests to the platform that is asked first for each."""
        plan = cls.plan(prompt, int(seed), model, order, next_if_refused, media)
        return [choices[0].request for choices in plan.items]

    @classmethod
    def plan(
        cls,
        prompt: str,
        seed: int,
        chosen: Mapping[str, Any],
        order: str,
        next_if_refused: bool,
        media: Mapping[str, Any],
        prompt_id: str = "",
    ) -> fall_over.Plan:
        offers = _offers(cls.task, prompt, seed, chosen, media)
        candidates = [one for one in offers if isinstance(one, _Candidate)]
        reasons = [str(one) for one in offers if isinstance(one, SkyportError)]
        if reasons and not next_if_refused:
            _raise_if_first(offers, order)
        if not candidates:
            raise fall_over.all_refused(reasons)
        return _plan(candidates, order, next_if_refused, reasons, prompt_id)


@dataclass(frozen=True)
class _Candidate:
    """A platform that could take the node's items, and the request for each of them."""

    provider: Provider
    requests: Sequence[Request]


@lru_cache(maxsize=8)
def _as_models(task: str, _language: str) -> tuple[Model, ...]:
    return tuple(_as_model(task, name, members) for name, members in families(task).items())


def _as_model(task: str, family: str, members: Sequence[Member]) -> Model:
    platforms = ", ".join(dict.fromkeys(member.platform for member in members))
    hint = tr("The platforms to ask, in this order; remove those that it must not be sent to.")
    listed = Param(PLATFORMS, "string", required=True, default=platforms, help=hint)
    return Model("", family, task, params=(*shared_params(members), listed))


_Offer = _Candidate | SkyportError  # of a platform; an error where it cannot take the items


def _offers(
    task: str, prompt: str, seed: int, chosen: Mapping[str, Any], media: Mapping[str, Any]
) -> list[_Offer]:
    """Of each platform that is ready, as listed.

    Raises MissingKey where none has a key, and InvalidInput for names of no platform.
    """
    listed = str(chosen.get(PLATFORMS) or "")
    offers: list[_Offer] = []
    for member, provider in _ready(listed_members(task, chosen["model"], listed)):
        try:
            offers.append(_Candidate(provider, _requests(member, prompt, seed, chosen, media)))
        except InvalidInput as error:
            error.platform = error.platform or provider.label
            offers.append(error)
    return offers


def _raise_if_first(offers: Sequence[_Offer], order: str) -> None:
    """Raises the refusal of the platform that is to be asked first, or that might be."""
    may_be_first = offers[:1] if order == AS_LISTED else offers
    for offer in may_be_first:
        if isinstance(offer, SkyportError):
            raise offer


def _ready(members: Sequence[Member]) -> list[tuple[Member, Provider]]:
    """The members whose platform has a key and an address. Raises the first's error without any."""
    ready, errors = [], []
    for member in members:
        try:
            ready.append((member, providers.connect(member.platform)))
        except (MissingKey, InvalidInput) as error:
            errors.append(error)
    if not ready:
        raise errors[0]
    return ready


def _requests(
    member: Member, prompt: str, seed: int, chosen: Mapping[str, Any], media: Mapping[str, Any]
) -> list[Request]:
    """The requests that the platform's own node would make, so that they are the same orders."""
    node = _own_node(member)
    row = next((one for one in node.models() if one.id == member.model), None)
    if row is None:
        raise InvalidInput(
            tr('The model "{name}" is not offered.', name=member.model),
            do=tr("Refresh the list of models."),
        )
    shared = {name: chosen[name] for name in member.parameters if name in chosen}
    on_node = {socket.id for socket in node.sockets}
    own_media = {member.media[name]: value for name, value in media.items()}
    values = {
        **_defaults(row, node.node_params()),
        **member.own_values(shared),
        **{name: value for name, value in own_media.items() if name not in on_node},
    }
    sockets = {name: value for name, value in own_media.items() if name in on_node}
    requests = node.requests(prompt, seed, {"model": row.id, **values}, sockets)
    return run_task.number_copies(requests)


def _own_node(member: Member) -> type[GenerateNode]:
    """The platform's own node for the member's task."""
    return next(
        node
        for node in all_nodes()
        if issubclass(node, GenerateNode)
        and (node.platform, node.task) == (member.platform, member.own_task)
    )


def _defaults(row: Model, on_node: frozenset[str]) -> dict[str, Any]:
    """What the widgets of the platform's own node start with."""
    inputs = schema.nested_inputs(row, on_node)
    return {one.id: one.default for one in inputs if getattr(one, "default", None) is not None}


# -- which one first ----------------------------------------------------------------------------


def _plan(
    candidates: Sequence[_Candidate],
    order: str,
    next_if_refused: bool,
    refusals: Sequence[str],
    prompt_id: str,
) -> fall_over.Plan:
    ranked, note = _ranked(candidates, order)
    choices_of = [
        [fall_over.Choice(one.provider, one.requests[item]) for one in ranked]
        for item in range(len(ranked[0].requests))
    ]
    items = [_where_it_is_first(choices, prompt_id) for choices in choices_of]
    if not next_if_refused:
        items = [choices[:1] for choices in items]
    return fall_over.Plan(items, note if len(ranked) > 1 else "", refusals)


def _ranked(candidates: Sequence[_Candidate], order: str) -> tuple[list[_Candidate], str]:
    if order == AS_LISTED:
        return list(candidates), ""
    rank = by_price if order == CHEAPEST else by_duration
    measure: Any = _price if order == CHEAPEST else _usual_duration
    indices, note = rank([measure(one) for one in candidates])
    return [candidates[index] for index in indices], note


def _price(candidate: _Candidate) -> Any:
    base_url = candidate.provider.http.base_url
    return providers.price_book().price(candidate.requests[0], base_url)


def _usual_duration(candidate: _Candidate) -> float | None:
    request = candidate.requests[0]
    past = providers.ledger().past_durations(request.platform, request.endpoint, request.title)
    return median(past) if past else None


def _where_it_is_first(choices: list[fall_over.Choice], prompt_id: str) -> list[fall_over.Choice]:
    """`choices`, the one first that already has the order: it is not to be paid for twice."""
    known = [replace(choice, is_ordered=_is_ordered(choice, prompt_id)) for choice in choices]
    return sorted(known, key=lambda choice: not choice.is_ordered)


def _is_ordered(choice: fall_over.Choice, prompt_id: str) -> bool:
    """Whether the order is under way or delivered there, or was sent and nobody was told."""
    fingerprint = fingerprint_of(choice.request, choice.provider.http.base_url)
    row = providers.ledger().find(fingerprint)
    return not is_new_order(row, settings.load().reuse_results, prompt_id)
