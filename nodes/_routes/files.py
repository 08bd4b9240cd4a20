"""Routes for files outside ComfyUI's folders: which a prompt would upload, and allowing them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from ...engine.base.errors import InvalidInput
from ...engine.base.types import Json
from ...engine.base.words import tr
from ...engine.settings import settings
from .._base.run_task import in_thread
from .._kinds import allowed_files
from .._run_in_cloud.outside_files import outside_files
from .guards import GuardedRoutes, read_json_object


def add_to(routes: GuardedRoutes) -> None:
    routes.post("/skyport/files", _files)
    routes.post("/skyport/files/allow", _allow)


async def _files(request: web.Request) -> web.Response:
    """{"files": paths} for {"prompt", "workflow"} as the editor would queue them."""
    payload = await read_json_object(request)
    if not isinstance(payload.get("prompt"), dict):
        raise InvalidInput(tr("The request body must be a JSON object."))
    data = {
        "prompt": payload["prompt"],
        "extra_data": {"extra_pnginfo": {"workflow": payload.get("workflow")}},
    }
    return web.json_response({"files": await in_thread(lambda: outside_files(data))})


async def _allow(request: web.Request) -> web.Response:
    """Takes {"files": paths, "folders"}: their folders for good, or the files until it ends."""
    payload = await read_json_object(request)
    await in_thread(lambda: _allow_files(payload))
    return web.json_response({})


def _allow_files(payload: Mapping[str, Json]) -> None:
    files: Any = payload.get("files")
    if not isinstance(files, list) or not all(map(_is_path, files)):
        raise InvalidInput(tr("{name} must be a list of full paths.", name="files"))
    if payload.get("folders") is not True:
        allowed_files.allow(files)
        return
    if settings.sources()["allowed_folders"] == "environment":
        variable = settings.variable("allowed_folders")
        raise InvalidInput(tr("Set by {variable}: change it there.", variable=variable))
    folders = [os.path.dirname(os.path.realpath(path)) for path in files]
    every = dict.fromkeys([*settings.load().allowed_folders, *folders])
    settings.save({"allowed_folders": list(every)})


def _is_path(path: Json) -> bool:
    return isinstance(path, str) and os.path.isabs(path) and "\0" not in path
