"""A comfy-api-proxy (COMFY_API_PROXY) that speaks the Comfy API v2 before a ComfyUI."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from _waiting import PATIENCE, until
from scripted import closed_port

PROXY = os.environ.get("COMFY_API_PROXY", "")
TOKEN = "a-token-of-its-own"


@contextmanager
def open_proxy(comfyui: str, base: Path) -> Iterator[str]:
    """The address of a proxy before the ComfyUI at this address; it logs into `base`.

    Skips the test where COMFY_API_PROXY is not set.
    """
    if not PROXY:
        pytest.skip("COMFY_API_PROXY is not set")
    url = f"http://127.0.0.1:{(port := str(closed_port()))}"
    command = [PROXY, "run", "--port", port, "--comfyui", comfyui, "--token", TOKEN]
    with (
        (base / "proxy.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as proxy,
    ):
        try:
            until(lambda: proxy.poll() is not None or _answers(url))
            yield url
        finally:
            proxy.terminate()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/api/v2/health", timeout=PATIENCE).ok
    except requests.ConnectionError:
        return False
