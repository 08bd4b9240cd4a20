"""One order of every kind that the imitated platforms take, and a client that asks them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
import requests
from _clock import StoppedClock
from _waiting import PATIENCE
from PIL import Image
from skyport.sandbox import Sandbox, start
from skyport.sandbox.gpugeek import WORKFLOW_ID

HAIYI = "/openapi/v1"
OPEN = "/llmage/v1"
IMAGE = {"provider": "google", "model": "gemini-3.1-flash-image-preview", "type": "text2image"}


def nodes(text: str) -> dict[str, Any]:
    """A workflow that says `text` and saves a picture."""
    return {
        "1": {"class_type": "SandboxPainter", "inputs": {"text": text}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }


@dataclass(frozen=True)
class Order:
    """One way to order: the request that submits, the path of a poll, where its status is."""

    platform: str
    path: str
    fields: Callable[[str], Mapping[str, Any]]
    poll: str
    key: str = "task_id"

    def __str__(self) -> str:
        return f"{self.platform} {self.path}"


def of_horse(model: str, path: str, poll: str) -> Order:
    return Order(
        "happyhorse", path, lambda text: {"json": {"model": model, "prompt": text}}, f"{poll}/"
    )


def of_open(model: str, kind: str, path: str, **more: Any) -> Order:
    def fields(text: str) -> Mapping[str, Any]:
        return {"json": {"model": model, "catelogid": kind, "prompt": text, **more}}

    return Order("opencomputing", f"{OPEN}/{path}", fields, f"{OPEN}/tasks?taskid=", "taskid")


def generation(text: str) -> Mapping[str, Any]:
    return {"json": {"model": IMAGE, "parameters": {"prompt": text, "aspect_ratio": "1:1"}}}


def png(size: tuple[int, int] = (320, 300)) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", size, "red").save(made, "PNG")
    return made.getvalue()


def app(text: str) -> Mapping[str, Any]:
    texts = {"workflow_id": "1001", "cluster_name": "GPU-4090", "prompt": text}
    parts: dict[str, Any] = {name: (None, value) for name, value in texts.items()}
    return {"files": {**parts, "input_image": ("a.png", png())}}


def workflow(text: str) -> Mapping[str, Any]:
    return {"json": {"parameters": {"prompt": nodes(text)}, "cluster_name": "GPU-4090"}}


def prompt(text: str) -> Mapping[str, Any]:
    return {"json": {"workflow_id": WORKFLOW_ID, "task_type": 1, "prompt": nodes(text)}}


GENERATION = Order("haiyi", f"{HAIYI}/generate/image", generation, f"{HAIYI}/generate/result/")
GPUGEEK = Order("gpugeek", "/api/v1/prompt", prompt, "/api/v1/task/", "prompt_id")
PICTURE = of_open("wan2.2-t2i-plus", "t2i", "image/generations")
FOX = of_horse("gpt-image-2", "/v1/images/async/generations", "/v1/images/async")
ORDERS = (
    GENERATION,
    Order("haiyi", f"{HAIYI}/workflow/apps/run", app, f"{HAIYI}/workflow/apps/task/"),
    Order("haiyi", f"{HAIYI}/workflow/task/submit", workflow, f"{HAIYI}/workflow/task/"),
    FOX,
    of_horse("kling-video", "/v1/videos", "/v1/videos"),
    of_horse("grok-imagine-video", "/v1/videos/generations", "/v1/videos/grok"),
    of_horse("omni_flash", "/v1/videos/generations", "/v1/videos/notevideo"),
    GPUGEEK,
    PICTURE,
    of_open("viduq3-pro", "t2v", "video/generations", duration=1, resolution="540p"),
)
PLATFORMS = (GENERATION, FOX, GPUGEEK, PICTURE)
every_order = pytest.mark.parametrize("order", ORDERS, ids=str)
every_platform = pytest.mark.parametrize("order", PLATFORMS, ids=str)


class Client:
    """Submits and polls, with the answers kept whole."""

    def __init__(self, box: Sandbox, clock: StoppedClock) -> None:
        self.box = box
        self.clock = clock

    def ask(self, order: Order, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.box.key(order.platform)}"}
        url = self.box.base_url(order.platform) + path
        more = {"timeout": PATIENCE, **more}
        return requests.request(method, url, headers=headers, **more)

    def submit(self, order: Order, text: str, **more: Any) -> requests.Response:
        return self.ask(order, "POST", order.path, **order.fields(text), **more)

    def order(self, order: Order, text: str) -> str:
        """The id of a task that was taken."""
        answer = self.submit(order, text)
        assert answer.status_code == 200, answer.text
        return str(first(answer.json(), (order.key, "task_id", "id")))

    def poll(self, order: Order, id: str, after: float = 0.0, **more: Any) -> requests.Response:
        self.clock.now += after
        return self.ask(order, "GET", order.poll + id, **more)

    def ended(self, order: Order, text: str) -> Any:
        return self.poll(order, self.order(order, text), after=60).json()

    def charged(self, order: Order) -> int:
        return self.box.charges[order.platform]

    def as_new(self) -> None:
        """Without scripted faults, and with every knob as it is at the start."""
        self.box.faults.clear()
        self.box.platforms["opencomputing"].form = "document"
        for platform in self.box.platforms.values():
            platform.always = ""


@contextmanager
def open_client(pace: float = 1.0) -> Iterator[Client]:
    """A client of a new sandbox, whose time only the test moves."""
    clock = StoppedClock()
    with start(clock=clock, pace=pace) as box:
        box.platforms["happyhorse"].most_seconds = 0.5
        yield Client(box, clock)


def walk(tree: Any) -> Iterator[tuple[str, Any]]:
    """(key, value) of everything below, the nearest first; values of a list under its key."""
    level = [("", tree)]
    while level:
        yield from level
        level = [
            child
            for key, each in level
            for child in (
                each.items()
                if isinstance(each, dict)
                else [(key, one) for one in each]
                if isinstance(each, list)
                else ()
            )
        ]


def first(tree: Any, keys: tuple[str, ...]) -> Any:
    """The nearest value under one of `keys`, the first key before the second."""
    found = dict(reversed(list(walk(tree))))
    return next((found[key] for key in keys if key in found), None)


def status(tree: Any) -> Any:
    return first(tree, ("task_status", "status", "state"))


def texts(tree: Any) -> list[str]:
    return [value for _, value in walk(tree) if isinstance(value, str)]


def results(client: Client, order: Order) -> list[str]:
    """The addresses of the results of a platform's newest task, as answers write them."""
    (task,) = [task for task in client.box.tasks if task.platform == order.platform][-1:]
    names = [made.address for made in task.made]
    return [each if each.startswith("http:") else quote(each) for each in names]
