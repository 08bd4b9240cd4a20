"""A prompt that runs until a test lets it end, so that those after it wait in the queue."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from _waiting import until
from host import Handle, Host, graph, link, node

_serial = itertools.count(1)


@contextmanager
def behind_a_gate(host: Host, **nodes: dict[str, Any]) -> Iterator[None]:
    """What is queued in here runs after the block; `nodes` run before it, in the same prompt."""
    name, handle = shut(host, **nodes)
    try:
        yield
    finally:
        host.open_gate(name)
        handle.result()


def shut(host: Host, **nodes: dict[str, Any]) -> tuple[str, Handle]:
    """The name of a gate at which the queue waits, and the prompt that waits there."""
    name = f"gate {next(_serial)}"
    gate = node("ProbeTime", gate=name, seconds=0.0)
    handle = host.start(graph(**nodes, gate=gate, shut=node("ProbeSink", value=link("gate"))))
    until(lambda: host.at_gate(name))
    return name, handle
