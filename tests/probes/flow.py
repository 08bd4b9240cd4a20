"""Nodes that take their time, fail, block, report, and count."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable

from comfy import model_management
from comfy_api.latest import ComfyAPI, io
from comfy_execution.graph_utils import ExecutionBlocker
from PIL import Image
from server import PromptServer

from .sources import CATEGORY

_calls: Counter[str] = Counter()
_came: Counter[str] = Counter()
_open: set[str] = set()
_LOOK = 0.02  # seconds
_PATIENCE = 300.0  # seconds after which a gate opens by itself: something hangs


class ProbeFailure(Exception):
    """What the failing nodes raise."""


def _any(name="value"):
    return io.AnyType.Input(name, optional=True)


def _gate():
    return io.String.Input("gate", default="", optional=True)


def _times(began: float) -> io.NodeOutput:
    return io.NodeOutput(json.dumps([began, time.monotonic()]))


def open_gate(name: str) -> None:
    """Let the nodes go on that wait at this gate; a test says so by /probes/gate."""
    _open.add(name)


def came(place: str) -> int:
    """How many have come to this gate or place."""
    return _came[place]


def _shut(gate: str, began: float) -> bool:
    return bool(gate) and gate not in _open and time.monotonic() < began + _PATIENCE


class ProbeTime(io.ComfyNode):
    """Waits without blocking, also until its gate is open; tells [start, end] on the clock of
    time.monotonic()."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeTime",
            category=CATEGORY,
            inputs=[
                io.Float.Input("seconds", default=0.2, optional=True),
                io.Int.Input("salt", default=0, optional=True),
                _gate(),
                _any(),
            ],
            outputs=[io.String.Output("times")],
        )

    @classmethod
    async def execute(cls, seconds=0.2, salt=0, gate="", value=None):
        began = time.monotonic()
        _came[gate] += 1
        await asyncio.sleep(seconds)
        await _not_while(lambda: _shut(gate, began))
        return _times(began)


class ProbeGate(io.ComfyNode):
    """Passes a value on, without blocking, once its gate is open."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeGate",
            category=CATEGORY,
            inputs=[_gate(), _any()],
            outputs=[io.AnyType.Output("value")],
        )

    @classmethod
    async def execute(cls, gate="", value=None):
        began = time.monotonic()
        await _not_while(lambda: _shut(gate, began))
        return io.NodeOutput(value)


class ProbeMeet(io.ComfyNode):
    """Waits without blocking until so many have come to this place; tells [start, end]."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeMeet",
            category=CATEGORY,
            inputs=[
                io.String.Input("place"),
                io.Int.Input("together", default=2, optional=True),
                _any(),
            ],
            outputs=[io.String.Output("times")],
        )

    @classmethod
    async def execute(cls, place, together=2, value=None):
        began = time.monotonic()
        await _met(place, together, began)
        return _times(began)


async def _met(place: str, together: int, began: float) -> None:
    """Nobody leaves before the last has come, so all of them are here at the same time."""
    _came[place] += 1
    await _not_while(lambda: _came[place] < together and time.monotonic() < began + _PATIENCE)


async def _not_while(held: Callable[[], bool]) -> None:
    while held():  # noqa: ASYNC110 - other loops and threads let it go
        await asyncio.sleep(_LOOK)


class ProbeSleepSync(io.ComfyNode):
    """Blocks the executor's loop, as a sampler does, also until its gate is open."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeSleepSync",
            category=CATEGORY,
            inputs=[
                io.Float.Input("seconds", default=0.2, optional=True),
                io.Int.Input("salt", default=0, optional=True),
                _gate(),
                _any(),
            ],
            outputs=[io.String.Output("times")],
        )

    @classmethod
    def execute(cls, seconds=0.2, salt=0, gate="", value=None):
        began = time.monotonic()
        _came[gate] += 1
        time.sleep(seconds)
        while _shut(gate, began):
            time.sleep(_LOOK)
        return _times(began)


class ProbeWaitForInterrupt(io.ComfyNode):
    """Waits until somebody interrupts, at most `seconds`."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeWaitForInterrupt",
            category=CATEGORY,
            is_output_node=True,
            inputs=[io.Float.Input("seconds", default=_PATIENCE, optional=True)],
        )

    @classmethod
    async def execute(cls, seconds=_PATIENCE):
        await _until_interrupted(seconds)
        return io.NodeOutput(ui={"probe": ["null"]})


async def _until_interrupted(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if model_management.processing_interrupted():
            raise model_management.InterruptProcessingException()
        await asyncio.sleep(_LOOK)


class ProbeSampler(io.ComfyNode):
    """Blocks the loop until somebody interrupts, and takes the flag away, as a sampler does."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeSampler",
            category=CATEGORY,
            is_output_node=True,
            inputs=[io.String.Input("place", default="", optional=True), _any()],
        )

    @classmethod
    def execute(cls, place="", value=None):
        _came[place] += 1
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            model_management.throw_exception_if_processing_interrupted()
            time.sleep(_LOOK)
        return io.NodeOutput(ui={"probe": ["null"]})


class ProbeEndless(io.ComfyNode):
    """Passes its value on, but not before a long time has passed, and heeds an interrupt."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeEndless",
            category=CATEGORY,
            inputs=[io.Int.Input("salt", default=0, optional=True), _any()],
            outputs=[io.AnyType.Output("value")],
        )

    @classmethod
    async def execute(cls, salt=0, value=None):
        await _until_interrupted(_PATIENCE)
        return io.NodeOutput(value)


class ProbeFail(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeFail",
            category=CATEGORY,
            is_output_node=True,
            inputs=[io.String.Input("message", default="failed", optional=True), _any()],
        )

    @classmethod
    def execute(cls, message="failed", value=None):
        raise ProbeFailure(message)


class ProbeFailAsync(io.ComfyNode):
    """Fails after a while, once its gate is open and so many have come to its place."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeFailAsync",
            category=CATEGORY,
            is_output_node=True,
            inputs=[
                io.Float.Input("after", default=0.1, optional=True),
                _gate(),
                io.String.Input("place", default="", optional=True),
                io.Int.Input("together", default=1, optional=True),
                _any(),
            ],
        )

    @classmethod
    async def execute(cls, after=0.1, gate="", place="", together=1, value=None):
        began = time.monotonic()
        await asyncio.sleep(after)
        await _met(place, together, began)
        await _not_while(lambda: _shut(gate, began))
        raise ProbeFailure(f"failed after {after:g} s")


class ProbeLeakCancel(io.ComfyNode):
    """Cancels work of its own and lets the CancelledError out. Kills the prompt worker."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeLeakCancel", category=CATEGORY, is_output_node=True, not_idempotent=True
        )

    @classmethod
    async def execute(cls):
        inner = asyncio.create_task(asyncio.sleep(10))
        await asyncio.sleep(0.05)
        inner.cancel()
        await inner


class ProbeNoteCancel(io.ComfyNode):
    """Comes to the place `name`, waits, and counts under it when it is cancelled."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeNoteCancel",
            category=CATEGORY,
            is_output_node=True,
            inputs=[
                io.String.Input("name"),
                io.Float.Input("seconds", default=_PATIENCE, optional=True),
            ],
        )

    @classmethod
    async def execute(cls, name, seconds=_PATIENCE):
        _came[name] += 1
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            _calls[name] += 1
            raise


class ProbeBlock(io.ComfyNode):
    """Blocks its first output, with a message or (empty) in silence; passes its second on."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeBlock",
            category=CATEGORY,
            inputs=[io.String.Input("message", default="", optional=True)],
            outputs=[io.String.Output("blocked"), io.String.Output("passed")],
        )

    @classmethod
    def execute(cls, message=""):
        return io.NodeOutput(ExecutionBlocker(message or None), "passed")


class ProbeBlockInList(io.ComfyNode):
    """A list output whose middle item is blocked in silence."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeBlockInList",
            category=CATEGORY,
            outputs=[io.String.Output("items", is_output_list=True)],
        )

    @classmethod
    def execute(cls):
        return io.NodeOutput(["a", ExecutionBlocker(None), "c"])


class ProbeReport(io.ComfyNode):
    """Moves its progress bar, sends a text and a preview picture, and shows a text."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeReport",
            category=CATEGORY,
            is_output_node=True,
            hidden=[io.Hidden.unique_id],
            inputs=[io.String.Input("text", default="working", optional=True)],
        )

    @classmethod
    async def execute(cls, text="working"):
        server, node_id = PromptServer.instance, cls.hidden.unique_id
        server.send_progress_text(text, node_id, server.client_id)
        preview = Image.new("RGB", (8, 8), (255, 0, 0))
        await ComfyAPI.Execution().set_progress(1, 4, node_id=node_id, preview_image=preview)
        await ComfyAPI.Execution().set_progress(3, 4)
        return io.NodeOutput(ui={"text": (text,)})


class ProbeBadMessage(io.ComfyNode):
    """Shows something that is no JSON. Takes the whole server down."""

    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="ProbeBadMessage", category=CATEGORY, is_output_node=True)

    @classmethod
    def execute(cls):
        return io.NodeOutput(ui={"probe": [b"bytes"]})


class ProbeCount(io.ComfyNode):
    """How often it ran under this name. `fingerprint` is what fingerprint_inputs tells."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeCount",
            category=CATEGORY,
            inputs=[
                io.String.Input("name"),
                io.String.Input("fingerprint", default="", optional=True),
                _any(),
            ],
            outputs=[io.Int.Output("calls")],
        )

    @classmethod
    def fingerprint_inputs(cls, name=None, fingerprint="", value=None):
        return float("nan") if fingerprint == "always" else fingerprint

    @classmethod
    def execute(cls, name, fingerprint="", value=None):
        _calls[name] += 1
        return io.NodeOutput(_calls[name])


class ProbeCounted(io.ComfyNode):
    """The count under a name, never cached."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ProbeCounted",
            category=CATEGORY,
            inputs=[io.String.Input("name")],
            outputs=[io.Int.Output("calls")],
        )

    @classmethod
    def fingerprint_inputs(cls, name=None):
        return float("nan")

    @classmethod
    def execute(cls, name):
        return io.NodeOutput(_calls[name])


NODES = [
    ProbeTime,
    ProbeGate,
    ProbeMeet,
    ProbeSleepSync,
    ProbeWaitForInterrupt,
    ProbeSampler,
    ProbeEndless,
    ProbeFail,
    ProbeFailAsync,
    ProbeLeakCancel,
    ProbeNoteCancel,
    ProbeBlock,
    ProbeBlockInList,
    ProbeReport,
    ProbeBadMessage,
    ProbeCount,
    ProbeCounted,
]
