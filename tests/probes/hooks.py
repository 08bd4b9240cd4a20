"""Routes and a prompt hook, registered when this pack is loaded."""

from __future__ import annotations

import asyncio
import copy
import sys
import threading
from types import ModuleType

from aiohttp import web
from server import PromptServer

from . import flow


def _note_into_hidden_probes(body: dict) -> dict:
    """`probe_note` of the request becomes the input `note` of every ProbeHidden."""
    if body.get("probe_note") == "raise":
        raise RuntimeError("the hook fails")
    for one in body["prompt"].values():
        if one["class_type"] == "ProbeHidden" and "probe_note" in body:
            one["inputs"]["note"] = body["probe_note"]
    return body


def _packs() -> list[str]:
    """The names of our pack in this process, oldest first: each host of a test gives it one."""
    last = ".engine.base.events"
    return [name.removesuffix(last) for name in list(sys.modules) if name.endswith(last)]


def register() -> None:
    server = PromptServer.instance
    loaded = _packs()

    def module(path: str) -> ModuleType:
        """A module of our pack as this host has loaded it, before this pack or after."""
        return sys.modules[f"{(loaded or _packs())[-1]}.{path}"]

    server.add_on_prompt_handler(_note_into_hidden_probes)

    @server.routes.post("/probes/echo")
    async def echo(request: web.Request) -> web.Response:
        in_server_loop = asyncio.get_running_loop() is server.loop
        body = {"got": await request.json(), "in_server_loop": in_server_loop}
        return web.json_response(body)

    @server.routes.post("/probes/gate/{name}")
    async def open_gate(request: web.Request) -> web.Response:
        """Lets the nodes go on that wait at this gate."""
        flow.open_gate(request.match_info["name"])
        return web.json_response({})

    @server.routes.get("/probes/gate/{name}")
    async def came(request: web.Request) -> web.Response:
        """How many nodes have come to this gate."""
        return web.json_response(flow.came(request.match_info["name"]))

    @server.routes.post("/probes/constants/{module}")
    async def set_constants(request: web.Request) -> web.Response:
        """Sets constants of a module of our pack, like engine.tasks.waiting."""
        vars(module(request.match_info["module"])).update(await request.json())
        return web.json_response({})

    @server.routes.post("/probes/changed")
    async def notify_of_a_change(request: web.Request) -> web.Response:
        """Says in this process that the ledger has changed, whoever has written it."""
        module("engine.base.events").notify()
        return web.json_response({})

    @server.routes.post("/probes/validate")
    async def validate(request: web.Request) -> web.Response:
        """What a request to queue becomes in the hooks of all packs, and what ComfyUI says to that.

        Nothing is queued. With {"hooks": false} the prompt stays as it is.
        """
        import execution  # the stand-in has none

        body = await request.json()
        if body.pop("hooks", True):
            body = server.trigger_on_prompt(body)
        prompt = copy.deepcopy(body["prompt"])  # ComfyUI converts values of its own where it looks
        valid, error, _, node_errors = await execution.validate_prompt(
            "probe", body["prompt"], body.get("partial_execution_targets")
        )
        answer = {"valid": valid, "error": error, "node_errors": node_errors}
        return web.json_response({"prompt": prompt, **answer})

    @server.routes.post("/probes/shout")
    async def shout(request: web.Request) -> web.Response:
        """Sends an event to every browser, from a thread of its own."""
        sender = threading.Thread(
            target=server.send_sync, args=("probes.shout", await request.json())
        )
        sender.start()
        return web.json_response({})
