"""A prompt that runs until a test lets it end, so that those after it wait in the queue."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from _waiting import until
from host import Host, graph, link, node

_serial = itertools.count(1)


@contextmanager
def behind_a_gate(host: Host) -> Iterator[None]:
    """What is queued in here runs after the block."""
    name = f"gate {next(_serial)}"
    gate = node("ProbeTime", gate=name, seconds=0.0)
    handle = host.start(graph(gate=gate, shut=node("ProbeSink", value=link("gate"))))
    until(lambda: host.at_gate(name))
    try:
        yield
    finally:
        host.open_gate(name)
        handle.result()
