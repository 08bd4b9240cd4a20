"""Pins what the engine does for a platform of several servers, as a pool of them needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scripted import Answer, Scripted, redirect
from skyport.engine.base.errors import SkyportError
from skyport.engine.base.types import Output
from skyport.engine.http.client import Http
from virtual import Cloud, Play, order

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


class Pool(Cloud):
    """Servers by name, each with a key of its own. Nobody is at the address of the pool itself."""

    def __init__(self, play: Play, servers: dict[str, str], **how: Any) -> None:
        super().__init__(play.loop.time, url="http://pool.invalid", **how)
        self.servers = {
            name: Http("Cloud", url, {"X-API-Key": f"key-of-{name}"})
            for name, url in servers.items()
        }

    def server_for(self, url: str) -> Http:
        found = (server for server in self.servers.values() if server.key_for(url))
        return next(found, self.http)


def keys_at(server: Scripted) -> list[str | None]:
    return [seen.headers.get("x-api-key") for seen in server.seen]


# -- results ------------------------------------------------------------------------------------


def test_a_result_comes_from_its_own_server_in_a_private_network_with_its_key(
    play: Play, tmp_path: Path, server: Scripted, elsewhere: Scripted
) -> None:
    pool = Pool(play, {"attic": server.url, "cellar": elsewhere.url})
    server.on("/view", Answer(body=PNG))
    elsewhere.on("/view", Answer(body=PNG))
    pool.outputs = (Output(url=f"{server.url}/view"), Output(url=f"{elsewhere.url}/view"))
    assert len(play.result(pool, order(), tmp_path).files) == 2
    assert keys_at(server) == ["key-of-attic"]
    assert keys_at(elsewhere) == ["key-of-cellar"]


def test_the_key_of_a_server_follows_no_redirect_and_calls_no_other_key(
    play: Play, tmp_path: Path, server: Scripted, elsewhere: Scripted
) -> None:
    pool = Pool(play, {"attic": server.url, "cellar": elsewhere.url})
    server.on("/view", redirect(f"{elsewhere.url}/signed"))
    elsewhere.on("/signed", Answer(body=PNG))
    pool.outputs = (Output(url=f"{server.url}/view"),)
    assert play.result(pool, order(), tmp_path).files
    assert keys_at(elsewhere) == [None]


@pytest.mark.parametrize("way", ["given", "redirected"])
def test_a_private_host_that_is_no_server_of_the_pool_is_refused(
    play: Play, tmp_path: Path, server: Scripted, way: str
) -> None:
    pool = Pool(play, {"attic": server.url})
    private = f"http://localhost:{server.port}/secret"
    server.on("/view", redirect(private))
    pool.outputs = (Output(url=private if way == "given" else f"{server.url}/view"),)
    with pytest.raises(SkyportError, match="localhost is not a public host"):
        play.result(pool, order(), tmp_path)
    assert server.counts["/secret"] == 0
