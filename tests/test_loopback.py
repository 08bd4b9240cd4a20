"""Pins the promise that a test run never leaves this machine, not even when the code hides it."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

import pytest
import requests

pytest_plugins = ["pytester"]


@pytest.fixture
def caught(loopback_only: list[str]):
    """What the guard noted; forgotten at the end, so that the test that provoked it may pass."""
    yield loopback_only
    loopback_only.clear()


def test_a_connection_to_an_outside_address_is_refused_and_noted(caught):
    with socket.socket() as sock, pytest.raises(AssertionError, match=r"192\.0\.2\.1"):
        sock.connect(("192.0.2.1", 80))
    assert caught == ["192.0.2.1"]


def test_an_outside_name_is_not_even_looked_up(caught):
    with pytest.raises(AssertionError, match=r"example\.invalid"):
        requests.get("http://example.invalid/", timeout=1)
    assert caught == ["example.invalid"]


def test_what_the_code_swallows_is_noted_all_the_same(caught):
    with suppress(BaseException):
        socket.create_connection(("192.0.2.1", 80))
    assert caught == ["192.0.2.1"]


def test_a_test_that_tried_fails_even_where_its_code_hid_it(pytester):
    pytester.makeconftest((Path(__file__).parent / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(
        """
        import socket
        from contextlib import suppress

        def test_hidden():
            with suppress(BaseException):
                socket.create_connection(("192.0.2.1", 80))
        """
    )
    outcome = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    outcome.assert_outcomes(passed=1, errors=1)
    outcome.stdout.fnmatch_lines(["*reached beyond loopback: 192.0.2.1*"])


def test_an_event_loop_is_held_back_too(caught):
    async def leave() -> None:
        await asyncio.open_connection("192.0.2.1", 80)

    with pytest.raises(AssertionError):
        asyncio.run(leave())
    assert caught


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_stays_open(host):
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection((host, server.getsockname()[1])).close()
