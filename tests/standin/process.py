"""The stand-in as a server on loopback: the HTTP routes and the websocket that tests use."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import json
import logging
import os
import queue
import sys
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import folder_paths
from _waiting import PATIENCE
from aiohttp import web
from comfy import model_management
from server import PromptServer

import nodes

from ._calls import NodeClass
from ._check import check
from .executor import Executor, Queued

_serial = itertools.count(1)


@dataclass(eq=False)
class Standin:
    """A stand-in host, alive while inside `with`. `packs` maps folder names to packs."""

    base: Path
    packs: Mapping[str, Path]
    env: Mapping[str, str] = field(default_factory=dict)

    def __enter__(self) -> Standin:
        self._old_env = {name: os.environ.get(name) for name in self.env}
        os.environ.update(self.env)
        self._log = _Log()
        self.classes: dict[str, NodeClass] = {}
        self.history: dict[str, Any] = {}
        self.running: list[str] = []
        self.died: BaseException | None = None
        self._numbers = itertools.count()
        self._queue: queue.Queue[Queued | None] = queue.Queue()
        self._started: queue.Queue[BaseException | None] = queue.Queue()
        self._threads = [
            threading.Thread(target=self._serve, name="standin-server", daemon=True),
            threading.Thread(target=self._work, name="standin-worker", daemon=True),
        ]
        self._threads[0].start()
        failed = self._started.get()
        if failed is not None:
            self._restore()
            raise failed
        self._threads[1].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        model_management.interrupt_current_processing()
        self._queue.put(None)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        for thread in self._threads:
            thread.join(PATIENCE)
        self._restore()

    def log_text(self) -> str:
        return "\n".join(self._log.lines)

    def _restore(self) -> None:
        self._log.close()
        for name, value in self._old_env.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    # -- the server's thread ----------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as failure:
            self._started.put(failure)
            logging.error("the server ended: %r", failure)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        folder_paths.use_base(self.base)
        nodes.offer(self.classes)
        self.server = PromptServer(self._loop)
        self.history = self.server.prompt_queue.history
        self._executor = Executor(self.server, self.classes)
        for name, path in self.packs.items():
            await self._load(name, path)
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._started.put(None)
            await self._until_stopped()
        finally:
            await runner.cleanup()

    async def _until_stopped(self) -> None:
        """Ends too when a message cannot be published, as in the real host."""
        publishing = asyncio.create_task(self.server.publish())
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({publishing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if publishing.done():
            publishing.result()
        publishing.cancel()

    async def _load(self, name: str, path: Path) -> None:
        """By file location, under a module name that is not the package's own."""
        module_name = f"custom_nodes_{name}_{next(_serial)}"
        spec = importlib.util.spec_from_file_location(module_name, path / "__init__.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        spec.loader.exec_module(module)
        extension = module.comfy_entrypoint()
        if asyncio.iscoroutine(extension):
            extension = await extension
        await extension.on_load()
        for node in await extension.get_node_list():
            schema = node.schema()
            schema.check()
            node.module = f"custom_nodes.{name}"
            self.classes[schema.node_id] = node

    # -- the worker's thread ----------------------------------------------------------------------

    def _work(self) -> None:
        """Nothing guards it: a CancelledError out of a node ends it, and the server lives on."""
        try:
            while (queued := self._queue.get()) is not None:
                self._on_stage()
                self.running = [queued.prompt_id]
                self.server.prompt_queue.currently_running = {0: queued.item()}
                self.server.prompt_queue.queue = self._waiting()
                self.history[queued.prompt_id] = self._executor.run(queued)
                self.server.prompt_queue.currently_running = {}
                self.running = []
                end = {"node": None, "prompt_id": queued.prompt_id}
                self.server.send_sync("executing", end, self.server.client_id)
        except BaseException as failure:
            self.died = failure
            logging.error("the prompt worker ended: %r", failure)

    # -- routes -----------------------------------------------------------------------------------

    def _app(self) -> web.Application:
        routes = self.server.routes
        routes.get("/ws")(self._websocket)
        routes.get("/system_stats")(self._stats)
        routes.post("/prompt")(self._prompt)
        routes.get("/history/{id}")(self._history)
        routes.get("/queue")(self._get_queue)
        routes.post("/queue")(self._change_queue)
        routes.post("/interrupt")(self._interrupt)
        routes.get("/object_info")(self._all_info)
        routes.get("/object_info/{name}")(self._info)
        routes.post("/upload/image")(self._upload)
        routes.get("/view")(self._view)
        below_api = [
            web.route(one.method, f"/api{one.path}", one.handler) for one in _plain(routes)
        ]
        self.server.app.add_routes([*below_api, *routes])
        self.server.app.middlewares.append(self._first_on_stage)
        return self.server.app

    @web.middleware
    async def _first_on_stage(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self._on_stage()
        answer: web.StreamResponse = await handler(request)
        return answer

    def _on_stage(self) -> None:
        """A process has one server and one set of folders: those of the host now spoken to."""
        PromptServer.instance = self.server
        folder_paths.use_base(self.base)
        nodes.offer(self.classes)

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        name = request.query.get("clientId") or uuid.uuid4().hex
        self.server.sockets[name] = socket
        status = {"status": {"exec_info": {"queue_remaining": self._queue.qsize()}}, "sid": name}
        await socket.send_json({"type": "status", "data": status})
        try:
            async for _ in socket:
                pass
        finally:
            self.server.sockets.pop(name, None)
        return socket

    async def _stats(self, request: web.Request) -> web.Response:
        return web.json_response({"system": {"comfyui_version": "stand-in"}})

    async def _prompt(self, request: web.Request) -> web.Response:
        body = self.server.trigger_on_prompt(await request.json())
        if "prompt" not in body:
            return _refusal({"type": "no_prompt", "message": "no prompt", "details": ""}, {})
        try:
            prompt_id = str(uuid.UUID(body.get("prompt_id") or str(uuid.uuid4())))
        except ValueError:
            return _refusal(
                {"type": "invalid_prompt_id", "message": "not a UUID", "details": ""}, {}
            )
        targets = body.get("partial_execution_targets")
        verdict = await check(body["prompt"], self.classes, targets)
        if verdict.error is not None:
            return _refusal(verdict.error, verdict.node_errors)
        extra_data = {**body.get("extra_data", {})}
        if "client_id" in body:
            extra_data["client_id"] = body["client_id"]
        number = next(self._numbers)
        self._queue.put(Queued(prompt_id, body["prompt"], extra_data, verdict.good, number))
        self.server.prompt_queue.queue = self._waiting()
        return web.json_response(
            {"prompt_id": prompt_id, "number": number, "node_errors": verdict.node_errors}
        )

    async def _history(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        return web.json_response({name: self.history[name]} if name in self.history else {})

    def _waiting(self) -> list[Any]:
        return [one.item() for one in list(self._queue.queue) if one is not None]

    async def _get_queue(self, request: web.Request) -> web.Response:
        waiting = [[0, one.prompt_id] for one in list(self._queue.queue) if one is not None]
        running = [[0, one] for one in self.running]
        return web.json_response({"queue_running": running, "queue_pending": waiting})

    async def _change_queue(self, request: web.Request) -> web.Response:
        """Takes {"clear": true} or {"delete": [prompt ids]}."""
        body = await request.json()
        gone = body.get("delete", [])
        with self._queue.mutex:
            waiting = self._queue.queue
            kept = [one for one in waiting if one and not body.get("clear")]
            waiting.clear()
            waiting.extend(one for one in kept if one.prompt_id not in gone)
        self.server.prompt_queue.queue = self._waiting()
        return web.Response()

    async def _interrupt(self, request: web.Request) -> web.Response:
        try:
            only = (await request.json()).get("prompt_id")
        except json.JSONDecodeError:
            only = None
        if only is None or only in self.running:
            model_management.interrupt_current_processing()
        return web.Response()

    async def _all_info(self, request: web.Request) -> web.Response:
        return web.json_response({name: node.info() for name, node in self.classes.items()})

    async def _info(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return web.json_response({name: self.classes[name].info()} if name in self.classes else {})

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        file = form["image"]
        assert isinstance(file, web.FileField)
        name = Path(file.filename).name
        Path(folder_paths.get_input_directory(), name).write_bytes(file.file.read())
        return web.json_response({"name": name, "subfolder": "", "type": "input"})

    async def _view(self, request: web.Request) -> web.StreamResponse:
        folder = folder_paths.get_directory_by_type(request.query.get("type", "output"))
        if folder is None:
            raise web.HTTPBadRequest
        path = Path(folder, request.query.get("subfolder", ""), request.query["filename"])
        if not path.resolve().is_relative_to(Path(folder).resolve()) or not path.is_file():
            raise web.HTTPNotFound
        return web.FileResponse(path)


class _Log(logging.Handler):
    """What the process would print."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        self._root = logging.getLogger()
        self._old_level = self._root.level
        self._root.setLevel(logging.INFO)
        self._root.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def close(self) -> None:
        self._root.removeHandler(self)
        self._root.setLevel(self._old_level)
        super().close()


def _plain(routes: web.RouteTableDef) -> Sequence[web.RouteDef]:
    return [one for one in routes if isinstance(one, web.RouteDef)]


def _refusal(error: Mapping[str, Any], node_errors: Mapping[str, Any]) -> web.Response:
    return web.json_response({"error": error, "node_errors": node_errors}, status=400)
