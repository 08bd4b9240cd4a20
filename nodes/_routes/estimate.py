"""Estimates for the editor what a prompt will cost, before it is queued."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from typing import Any

from aiohttp import web
from PIL import Image

from ... import providers
from ...engine.base.errors import InvalidInput, SkyportError
from ...engine.base.types import Request
from ...engine.base.words import tr
from ...engine.settings import settings
from ...engine.spend.confirm import must_confirm
from ...engine.spend.estimate import Estimate, Item
from ...engine.spend.orders import Surroundings, platforms_in
from ...engine.workflows.api_format import Workflow, is_link
from ...engine.workflows.graph import LOAD_ROWS
from .._base.registry import all_nodes
from .._base.run_task import in_thread, number_copies
from .._kinds import local_files, node_classes, row_values
from .guards import GuardedRoutes, read_json_object
from .prices import is_ready, price_json

_PATIENCE = 3.0  # seconds to wait for price lists; later ones are there the next time
_MAX_RUNS = 100_000
_log = logging.getLogger(__name__)
_fetching: dict[str, Future[bool]] = {}  # price lists under way, by platform


def add_to(routes: GuardedRoutes) -> None:
    routes.post("/skyport/estimate", _estimate)


async def _estimate(request: web.Request) -> web.Response:
    """Takes {"prompt", "targets": ids of output nodes or null, "runs"}; nothing is queued."""
    payload = await read_json_object(request)
    prompt, targets, runs = (payload.get(name) for name in ("prompt", "targets", "runs"))
    if not isinstance(prompt, dict):
        raise InvalidInput(tr("The request body must be a JSON object."))
    fetched = await fetch_prices(platforms_in(prompt))
    wanted = frozenset(map(str, targets)) if isinstance(targets, list) else None
    count = min(max(runs, 1), _MAX_RUNS) if isinstance(runs, int) else 1
    found = await in_thread(lambda: _payload(prompt, wanted, count))
    return web.json_response({**found, "fetched": fetched})


def _payload(prompt: Workflow, targets: frozenset[str] | None, runs: int) -> dict[str, Any]:
    return estimate_json(estimate_of(prompt, targets).times(runs))


def estimate_of(prompt: Workflow, targets: frozenset[str] | None, prompt_id: str = "") -> Estimate:
    """What the prompt costs when it is queued, under this id where one is given."""
    around = Surroundings(_is_output, _frames, targets)
    ours = {getattr(one, "id", ""): one for one in all_nodes()}

    def requests_of(key: str) -> Sequence[Request] | None:
        return _requests(ours.get(prompt[key]["class_type"]), prompt[key])

    with node_classes.caching():
        return providers.estimator(is_ready).estimate(prompt, around, requests_of, prompt_id)


def estimate_json(estimate: Estimate) -> dict[str, Any]:
    """{"tasks", "at_least", "reused", "unknown", "free", "subscribed", "items", "totals", "sums",
    "confirm"}; the answer also has "fetched": whether there are new price lists, which forms show
    too.

    sums     the totals of all platforms, by unit
    confirm  whether so many runs cost more than the setting allows unasked; null where it is off
    """
    limit = settings.load().confirm_above
    names = ("tasks", "at_least", "reused", "unknown", "free", "subscribed")
    return {
        **{name: getattr(estimate, name) for name in names},
        "items": [_item_view(item) for item in estimate.items],
        "totals": [asdict(total) for total in estimate.totals()],
        "sums": [asdict(total) for total in estimate.sums()],
        "confirm": must_confirm(estimate, limit) if limit else None,
    }


def _item_view(item: Item) -> dict[str, Any]:
    names = ("title", "platform", "label", "model", "tasks", "at_least", "reused", "text", "first")
    return {
        "node": item.node_id,
        **{name: getattr(item, name) for name in names},
        "price": price_json(item.price) if item.price else None,
    }


# -- price lists --------------------------------------------------------------------------------


async def fetch_prices(platforms: set[str]) -> bool:
    """Fetch the lists that are due, each once at a time; whether there is a new one."""
    engine = providers.runner().engine
    for platform in platforms:
        if platform not in _fetching or _fetching[platform].done():
            _fetching[platform] = engine.start(_fetch(platform))
    waiting = {asyncio.wrap_future(_fetching[name]) for name in platforms if name in _fetching}
    done = (await asyncio.wait(waiting, timeout=_PATIENCE))[0] if waiting else set()
    return any(future.result() for future in done)


async def _fetch(platform: str) -> bool:
    try:
        return await providers.refresh_prices(platform)
    except SkyportError as error:  # no key, no address: then there is no list
        _log.debug("Skyport: %s", error)
        return False


# -- what only ComfyUI knows --------------------------------------------------------------------


def _is_output(class_type: str) -> bool | None:
    return node_classes.is_output(class_type) if node_classes.is_installed(class_type) else None


def _frames(node: Mapping[str, Any]) -> int | None:
    """The images that ComfyUI makes of the file of a Load Image node, or the rows of a table."""
    if node["class_type"] == LOAD_ROWS:
        return _rows(node["inputs"])
    name = node["inputs"].get("image")
    path = local_files.find_file(name, anywhere=False) if isinstance(name, str) else None
    try:
        if path is None:
            return None
        with Image.open(path) as image:
            # The other pictures of an MPO are previews, which ComfyUI leaves out.
            return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
    except Exception as error:  # of a damaged or huge file: Pillow raises many kinds
        _log.debug("Skyport cannot count the pictures of %s: %s", path, error)
        return None


def _rows(inputs: Mapping[str, Any]) -> int | None:
    file, start, rows = inputs.get("file"), inputs.get("start", 1), inputs.get("rows", 0)
    if not (isinstance(file, str) and isinstance(start, int) and isinstance(rows, int)):
        return None
    try:
        return row_values.count(file, max(start, 1), max(rows, 0))
    except SkyportError as error:  # the node says what is wrong when it runs
        _log.debug("Skyport cannot count the rows of %s: %s", file, error)
        return None


def _requests(kind: Any, node: Mapping[str, Any]) -> Sequence[Request] | None:
    """The very requests of a node of our class `kind` whose inputs are constants, else None."""
    orders = getattr(kind, "orders", None)
    if orders is None or any(map(is_link, node["inputs"].values())):
        return None
    # Editors send widgets of their own too, such as that of a preview.
    own = node_classes.inputs_of(node["class_type"])
    inputs = {name: v for name, v in node["inputs"].items() if name.partition(".")[0] in own}
    try:
        requests = orders(**_nested(inputs))
    except Exception as error:  # the node says what is wrong when it runs
        _log.debug("Skyport cannot tell what %s orders: %s", node["class_type"], error)
        return None
    return None if requests is None else number_copies(requests)


def _nested(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs as ComfyUI passes them: `model` and `model.duration` in one."""
    nested: dict[str, Any] = {}
    heads = {name.partition(".")[0] for name in inputs if "." in name}
    for name, value in inputs.items():
        head, _, rest = name.partition(".")
        if head in heads:
            nested.setdefault(head, {})[rest or head] = value
        else:
            nested[name] = value
    if isinstance(nested.get("model"), str):  # a model without parameters of its own
        nested["model"] = {"model": nested["model"]}
    return nested
