"""Takes what names the values of nodes that are not installed here."""

from __future__ import annotations

from aiohttp import web

from ...engine.base.errors import InvalidInput
from ...engine.base.words import tr
from ...engine.tasks import learnt_widgets
from ...engine.workflows.api_format import check_workflow
from ...engine.workflows.object_info import is_object_info
from .._base.run_task import in_thread
from .guards import GuardedRoutes, read_json_object


def add_to(routes: GuardedRoutes) -> None:
    routes.post("/skyport/widget_names", _learn)


async def _learn(request: web.Request) -> web.Response:
    """Takes {"given": a workflow in API format, or a server's /object_info}.

    Answers {"classes": [the node classes that it names the values of]}; nothing is queued.
    """
    given = (await read_json_object(request)).get("given")
    if not isinstance(given, dict):
        raise InvalidInput(tr("The request body must be a JSON object."))
    tree = given if is_object_info(given) else check_workflow(given)
    classes = await in_thread(lambda: learnt_widgets.learn(tree, given=True))
    return web.json_response({"classes": classes})
