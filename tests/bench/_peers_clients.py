"""The clients that `peers` compares, each as its own documentation has it used."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
from importlib.metadata import version
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

from ._hosts import COMFYUI, comfy_api
from ._peers_server import BIG

_WORKFLOW = {"9": {"class_type": "SaveVideo", "inputs": {"filename_prefix": "x"}}}


class Skyport:
    """`platform` is spoken: haiyi is polled, comfyui tells the end of eight jobs in a stream."""

    def __init__(self, url: str, folder: Path, most: int, platform: str) -> None:
        os.environ |= {
            "HAIYI_BASE_URL": url,
            "HAIYI_API_KEY": "key-0123456789",
            "SKYPORT_HOME": str(folder / "home"),
            "SKYPORT_MAX_PARALLEL": str(most),
        }
        home = folder / "home"
        home.mkdir()
        server = {"studio": {"address": url, "dialect": "v2", "max_parallel": most}}
        (home / "servers.json").write_text(json.dumps(server), encoding="utf-8")
        from skyport import providers

        self._url, self._folder, self._seeds = url, folder, count()
        self._is_comfyui = platform == "comfyui"
        self._provider = providers.connect(platform)
        self._runner = providers.runner()

    async def tasks(self, count: int) -> None:
        requests = [self._request() for _ in range(count)]
        jobs = [self._runner.start(self._provider, each, self._folder) for each in requests]
        for job in jobs:
            await asyncio.wrap_future(job.future)

    def _request(self) -> Any:
        from orders import generation
        from skyport.engine.base.types import Request
        from skyport.providers import comfyui

        seed = next(self._seeds)
        if self._is_comfyui:
            graph = {"9": {**_WORKFLOW["9"], "_meta": {"title": f"clip {seed}"}}}
            return comfyui.workflow(graph, "studio", seed=seed)
        return Request("haiyi", "generate/image", generation(f"clip {seed}")["json"], seed=seed)

    async def upload(self, file: Path) -> None:
        from skyport.engine.base.types import MediaFile
        from skyport.engine.media.files import sha256_of

        def send() -> None:
            sha256, size = sha256_of(file)
            whole = MediaFile(file, file.name, "video/mp4", sha256, size)
            self._provider.upload(whole, self._request())

        await asyncio.to_thread(send)

    async def download(self) -> None:
        from skyport.engine.media.download import Download

        target, url = self._folder / "fetched", f"{self._url}/files/{BIG}"
        fetch = Download(self._provider.server_for(url), url, target).attempt
        (await asyncio.to_thread(fetch)).path.unlink()


class ComfySdk:
    """comfy-sdk; `events` instead of its `run`, which polls."""

    def __init__(self, url: str, folder: Path, most: int, events: str = "") -> None:
        os.environ |= {"COMFY_BASE_URL": url, "COMFY_API_KEY": "key-0123456789"}
        self._comfy = importlib.import_module("comfy_sdk").AsyncComfy()
        self._folder, self._events = folder, bool(events)

    async def tasks(self, count: int) -> None:
        await asyncio.gather(*(self._task(number) for number in range(count)))

    async def _task(self, number: int) -> None:
        workflow = self._comfy.workflows.from_json(_WORKFLOW)
        if self._events:
            job = await self._comfy.submit(workflow)
            async for _ in job.events():
                pass
            await job.result()
        else:
            job = await self._comfy.run(workflow)
        await job.outputs[0].to_file(self._folder / f"{number}.mp4")

    async def upload(self, file: Path) -> None:
        await self._comfy.assets.from_file(file).commit()

    async def download(self) -> None:
        job = await self._comfy.jobs.get("big")
        (await job.outputs[0].to_file(self._folder / "fetched")).unlink()


class Fal:
    """fal_client, and httpx for downloads, which it leaves to others."""

    def __init__(self, url: str, folder: Path, most: int) -> None:
        os.environ["FAL_KEY"] = "key:0123456789"
        module: Any = importlib.import_module("fal_client.client")
        module.QUEUE_URL_FORMAT = f"{url}/fal/"  # they are https, but for these
        module.REST_URL = module.CDN_URL = f"{url}/fal"
        self._client, self._url, self._folder = module.AsyncClient(), url, folder
        self._httpx: Any = importlib.import_module("httpx").AsyncClient()

    async def tasks(self, count: int) -> None:
        await asyncio.gather(*(self._task(number) for number in range(count)))

    async def _task(self, number: int) -> None:
        result = await self._client.subscribe("studio/clips", {"prompt": f"clip {number}"})
        await self._fetch(result["video"]["url"], self._folder / f"{number}.mp4")

    async def _fetch(self, url: str, target: Path) -> None:
        async with self._httpx.stream("GET", url) as response:
            with target.open("wb") as stream:
                async for chunk in response.aiter_bytes():
                    stream.write(chunk)

    async def upload(self, file: Path) -> None:
        await self._client.upload_file(file)

    async def download(self) -> None:
        await self._fetch(f"{self._url}/files/{BIG}", self._folder / "fetched")


class Core:
    """What ComfyUI's own API nodes call."""

    def __init__(self, url: str, folder: Path, most: int) -> None:
        comfy_api()
        importlib.import_module("folder_paths").set_temp_directory(str(folder))
        cli_args: Any = importlib.import_module("comfy.cli_args")
        cli_args.args.comfy_api_base = url
        importlib.import_module("server").PromptServer.instance = _Editor()
        self._util: Any = importlib.import_module("comfy_api_nodes.util")
        self._uploads: Any = importlib.import_module("comfy_api_nodes.util.upload_helpers")
        self._url, self._node, self._answer = url, _node(), _answer_model()

    async def tasks(self, count: int) -> None:
        await asyncio.gather(*(self._task() for _ in range(count)))

    async def _task(self) -> None:
        util, node, answer = self._util, self._node, self._answer
        to = util.ApiEndpoint(path="/proxy/studio/clips", method="POST")
        sent = await util.sync_op(node, to, response_model=answer, data=answer())
        at = util.ApiEndpoint(path=f"/proxy/studio/clips/{sent.id}")
        done = await util.poll_op(
            node, at, response_model=answer, status_extractor=lambda each: each.status
        )
        await util.download_url_to_video_output(done.url)

    async def upload(self, file: Path) -> None:
        whole = BytesIO(file.read_bytes())
        await self._uploads.upload_file_to_comfyapi(self._node, whole, file.name, "video/mp4")

    async def download(self) -> None:
        await self._util.download_url_to_video_output(f"{self._url}/files/{BIG}")


class _Editor:
    def send_progress_text(self, *_: object) -> None:
        pass


def _node() -> type:
    names = "auth_token_comfy_org", "api_key_comfy_org", "comfy_usage_source", "unique_id"
    hidden = type("Hidden", (), dict.fromkeys(names, "key-0123456789"))
    return type("Node", (), {"hidden": hidden})


def _answer_model() -> Any:
    create_model: Any = importlib.import_module("pydantic").create_model
    return create_model("Clip", id=(str, ""), status=(str, ""), url=(str, ""))


_ALL: dict[str, tuple[type[Any], tuple[str, ...], str]] = {
    "Skyport, polled": (Skyport, ("haiyi",), ""),
    "Skyport, v2": (Skyport, ("comfyui",), ""),
    "ComfyUI's nodes": (Core, (), "ComfyUI"),
    "fal_client": (Fal, (), "fal_client"),
    "comfy-sdk, run": (ComfySdk, (), "comfy-sdk"),
    "comfy-sdk, events": (ComfySdk, ("events",), "comfy-sdk"),
}


def names() -> list[str]:
    return list(_ALL)


def installed(name: str) -> str | None:
    """The version of what a client needs, None where it is not installed."""
    needs = _ALL[name][2]
    if needs == "ComfyUI":
        return _comfyui_version() if COMFYUI else None
    try:
        return version(needs) if needs else ""
    except importlib.metadata.PackageNotFoundError:
        return None


def _comfyui_version() -> str:
    text = Path(COMFYUI, "comfyui_version.py").read_text(encoding="utf-8")
    return text.split('"')[-2]


def open_client(name: str, url: str, folder: Path, most: int) -> Any:
    kind, more, _ = _ALL[name]
    return kind(url, folder, most, *more)
