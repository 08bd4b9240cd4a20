"""Secure connections: how many eight tasks need, and what a new one costs."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import certifi
import requests
from certificates import Tls, make_certificate
from orders import generation
from skyport import providers, sandbox
from skyport.engine.base.errors import SkyportError
from skyport.engine.base.types import Request

from ._figures import Entry, Figure, Goal
from ._measure import alone, in_turns

_TASKS, _TIMES = 8, 25

_Counts = tuple[int, int, int]  # full handshakes, connections, requests


def figures(small: bool = False) -> Iterator[Entry]:
    with tempfile.TemporaryDirectory() as folder:
        first, later, ours, plain = alone(measured, Path(folder), 3 if small else _TIMES)
    against, limit = "a connection a request", Goal(4, "handshakes")
    for which, (full, opened, asked) in (("first", first), ("next", later)):
        what = f"the {which} {_TASKS} tasks over TLS"
        yield Figure(f"{what}, full handshakes", full, asked, "handshakes", against, limit)
        yield Figure(f"{what}, connections", opened, asked, "connections", against)
    what = "an order on a new secure connection, CPU"
    yield Figure(what, ours * 1000, plain * 1000, "ms", "a new session of requests", Goal(0.5))


def measured(folder: Path, times: int) -> tuple[_Counts, _Counts, float, float]:
    """The first tasks and the next ones; seconds of CPU of an order, ours and without us.

    To be called in a process of its own.
    """
    tls = Tls(make_certificate(folder / "own.pem"))
    bundle = folder / "bundle.pem"  # with as many authorities as people have
    bundle.write_bytes(Path(certifi.where()).read_bytes() + (folder / "own.pem").read_bytes())
    os.environ.update(REQUESTS_CA_BUNDLE=str(bundle), SKYPORT_HOME=str(folder / "home"))
    with sandbox.start(pace=0.2, tls=tls) as cloud:
        os.environ["HAIYI_BASE_URL"] = cloud.base_url("haiyi")
        os.environ["HAIYI_API_KEY"] = cloud.key("haiyi")

        def counts(name: str) -> _Counts:
            tls.resumed.clear()
            cloud.log.clear()
            _run_tasks(folder, name)
            return tls.full, len(tls.resumed), len(cloud.log)

        first, later = counts("cat"), counts("dog")
        ours, plain = in_turns(times, *_orders(cloud.base_url("haiyi")))
    return first, later, ours, plain


def _run_tasks(folder: Path, name: str) -> None:
    provider, runner = providers.connect("haiyi"), providers.runner()
    payloads = [generation(f"{name} {number}")["json"] for number in range(_TASKS)]
    wanted = [Request("haiyi", "generate/image", payload) for payload in payloads]
    jobs = [runner.start(provider, each, into=folder) for each in wanted]
    for job in jobs:
        job.future.result()


def _orders(base_url: str) -> tuple[Callable[[], float], Callable[[], float]]:
    """Each is refused, as what they cost is not of interest here."""
    http = providers.connect("haiyi").http

    def ours() -> None:
        with suppress(SkyportError):
            http.post("nothing")

    def plain() -> None:
        requests.post(f"{base_url}/nothing", timeout=60)

    return lambda: _cpu(ours), lambda: _cpu(plain)


def _cpu(work: Callable[[], None]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began
