"""Runs prompts one after another with the timing, messages and faults of the real executor."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from comfy import model_management
from comfy_api.latest import io
from comfy_execution import progress
from comfy_execution.graph_utils import ExecutionBlocker, is_link
from server import PromptServer

from ._calls import Call, NodeClass, call_each, prepare
from ._memory import keys_of


@dataclass
class Queued:
    """A prompt that passed the checks. `wanted` are the output nodes to run."""

    prompt_id: str
    prompt: dict[str, Any]
    extra_data: dict[str, Any]
    wanted: list[str]
    number: int

    def item(self) -> tuple[Any, ...]:
        """As ComfyUI's queue and history hold it."""
        return (self.number, self.prompt_id, self.prompt, self.extra_data, self.wanted)


@dataclass
class Made:
    """What a node made: for each output its items, and what the browser shows."""

    outputs: list[list[Any]]
    ui: dict[str, list[Any]]


class Executor:
    """Keeps what nodes made until a prompt comes that does not hold them any more."""

    def __init__(self, server: PromptServer, classes: Mapping[str, NodeClass]) -> None:
        self.server = server
        self.classes = classes
        self.memory: dict[Any, Made] = {}

    def run(self, queued: Queued) -> dict[str, Any]:
        """The history entry. A CancelledError of a node's own making comes out of here."""
        run = _Run(self, queued)
        with torch.inference_mode():
            asyncio.run(run.go())
        return run.history()


class _Run:
    def __init__(self, executor: Executor, queued: Queued) -> None:
        self.server = executor.server
        self.classes = executor.classes
        self.executor = executor
        self.id = queued.prompt_id
        self.prompt = queued.prompt
        self.queued = queued
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.ui: dict[str, dict[str, list[Any]]] = {}
        self.executed: list[str] = []
        self.tasks: dict[str, list[Any]] = {}
        self.success = False

    async def go(self) -> None:
        model_management.interrupt_current_processing(False)
        self.server.client_id = self.queued.extra_data.get("client_id")
        self._message("execution_start")
        progress.begin(self.id)
        self.keys = await keys_of(self.prompt, self.classes)
        self._forget_what_is_not_in_this_prompt()
        self._message("execution_cached", nodes=[name for name in self.prompt if self._made(name)])
        await self._work()

    def history(self) -> dict[str, Any]:
        return {
            "prompt": self.queued.item(),
            "outputs": self.ui,
            "status": {
                "status_str": "success" if self.success else "error",
                "completed": self.success,
                "messages": self.messages,
            },
        }

    # -- order ----------------------------------------------------------------------------------

    async def _work(self) -> None:
        self.waits = self._needed()
        self.woken = asyncio.Event()
        while self.waits:
            ready = [name for name, others in self.waits.items() if not others]
            if not ready:
                await self.woken.wait()
                self.woken.clear()
                continue
            if not await self._finished(self._pick(ready)):
                return  # asyncio.run now cancels the nodes that still wait
        self.success = True
        self._message("execution_success")

    def _needed(self) -> dict[str, set[str]]:
        """Nodes to visit -> those they wait for. Of the remembered ones only output nodes."""
        needed: dict[str, set[str]] = {}
        stack = list(self.queued.wanted)
        while stack:
            name = stack.pop()
            if name not in needed:
                links = [value for value in self.prompt[name]["inputs"].values() if is_link(value)]
                needed[name] = {link[0] for link in links if not self._made(link[0])}
                stack += needed[name]
        return needed

    def _pick(self, ready: Sequence[str]) -> str:
        """Output and async nodes first, then what an output node waits for."""
        for name in ready:
            node = self._class(name)
            if node.schema().is_output_node or node.is_async():
                return name
        for name in ready:
            waiting = [other for other, others in self.waits.items() if name in others]
            if any(self._class(other).schema().is_output_node for other in waiting):
                return name
        return ready[0]

    async def _finished(self, name: str) -> bool:
        """False ends the prompt."""
        try:
            if not await self._visit(name):
                return True
        except model_management.InterruptProcessingException:
            self._message("execution_interrupted", **self._at(name))
            return False
        except Exception as error:
            logging.exception("node %s failed", name)
            self._message("execution_error", **self._failure(name, error))
            return False
        del self.waits[name]
        for others in self.waits.values():
            others.discard(name)
        return True

    # -- one node -------------------------------------------------------------------------------

    async def _visit(self, name: str) -> bool:
        """Start a node or collect what it made; False while it still runs."""
        made = self._made(name)
        if made is not None:
            self._show(name, made)
            progress.finish(name)
            return True
        results = self._collect(name) if name in self.tasks else await self._begin(name)
        if results is None:
            return False
        made = merge(results, self._class(name).schema().outputs)
        self._show(name, made)
        self.executor.memory[self.keys[name]] = made
        progress.finish(name)
        self.executed.append(name)
        return True

    async def _begin(self, name: str) -> list[Any] | None:
        progress.start(name)
        call = self._call(name)
        self._send("executing", node=name, display_node=name, prompt_id=self.id)
        results = await call_each(call, "execute", running=True, blocked=self._blocked(name))
        tasks = [one for one in results if isinstance(one, asyncio.Task) and not one.done()]
        if not tasks:
            return [one.result() if isinstance(one, asyncio.Task) else one for one in results]
        self.tasks[name] = results
        self.waits[name].add(name)
        self._waiter = asyncio.create_task(self._wake_when_done(name, tasks))
        return None

    async def _wake_when_done(self, name: str, tasks: list[asyncio.Task[Any]]) -> None:
        await asyncio.gather(*tasks, return_exceptions=True)
        self.waits[name].discard(name)
        self.woken.set()

    def _collect(self, name: str) -> list[Any]:
        results = self.tasks.pop(name)
        return [one.result() if isinstance(one, asyncio.Task) else one for one in results]

    def _call(self, name: str) -> Call:
        links = [value for value in self.prompt[name]["inputs"].values() if is_link(value)]
        outputs = {link[0]: self.executor.memory[self.keys[link[0]]].outputs for link in links}
        call = prepare(self.prompt, name, self._class(name), outputs, self.queued.extra_data)
        call.prompt_id = self.id
        return call

    def _blocked(self, name: str) -> Any:
        def tell(blocker: ExecutionBlocker) -> ExecutionBlocker:
            """A message is told once, where it first blocks; further on it blocks in silence."""
            if blocker.message is None:
                return blocker
            self._send("execution_error", **self._at(name), **_block_report(blocker.message))
            return ExecutionBlocker(None)

        return tell

    # -- what others see ------------------------------------------------------------------------

    def _show(self, name: str, made: Made) -> None:
        if made.ui:
            self.ui[name] = made.ui
            self._send("executed", node=name, display_node=name, output=made.ui, prompt_id=self.id)

    def _at(self, name: str) -> dict[str, Any]:
        return {
            "prompt_id": self.id,
            "node_id": name,
            "node_type": self.prompt[name]["class_type"],
            "executed": list(self.executed),
        }

    def _failure(self, name: str, error: Exception) -> dict[str, Any]:
        kind = type(error)
        module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        values = self._call(name).values
        return {
            **self._at(name),
            "exception_message": f"{error}\n",
            "exception_type": f"{module}{kind.__qualname__}",
            "traceback": traceback.format_tb(error.__traceback__),
            "current_inputs": {
                key: [_told(item) for item in items] for key, items in values.items()
            },
            "current_outputs": [],
        }

    def _message(self, event: str, **data: Any) -> None:
        """Sent and kept in the history."""
        data.setdefault("prompt_id", self.id)
        self.messages.append((event, data))
        self._send(event, **data)

    def _send(self, event: str, **data: Any) -> None:
        if self.server.client_id is not None:
            self.server.send_sync(event, data, self.server.client_id)

    # -- facts ----------------------------------------------------------------------------------

    def _class(self, name: str) -> NodeClass:
        return self.classes[self.prompt[name]["class_type"]]

    def _made(self, name: str) -> Made | None:
        return self.executor.memory.get(self.keys[name])

    def _forget_what_is_not_in_this_prompt(self) -> None:
        held = set(self.keys.values())
        memory = self.executor.memory
        self.executor.memory = {key: made for key, made in memory.items() if key in held}


def merge(results: list[Any], outputs: Sequence[io.Output]) -> Made:
    """The results of all calls of a node, output by output."""
    rows: list[tuple[Any, ...]] = []
    shown: list[dict[str, Any]] = []
    for one in results:
        if isinstance(one, ExecutionBlocker):
            rows.append((one,) * len(outputs))
            continue
        returned = io.NodeOutput.of(one)
        if returned.expand is not None:
            raise NotImplementedError("the stand-in cannot expand nodes")
        if returned.ui is not None:
            shown.append(returned.ui_dict())
        if returned.result is not None:
            block = returned.block_execution
            blocked = (ExecutionBlocker(block),) * len(outputs)
            rows.append(returned.result if block is None else blocked)
    return Made(_columns(rows, outputs), _joined(shown))


def _columns(rows: list[tuple[Any, ...]], outputs: Sequence[io.Output]) -> list[list[Any]]:
    if not rows:
        return []
    columns: list[list[Any]] = []
    for number, output in zip(range(len(rows[0])), outputs, strict=False):
        items = [row[number] for row in rows]
        if output.is_output_list:
            spread = [[item] if isinstance(item, ExecutionBlocker) else item for item in items]
            items = [item for several in spread for item in several]
        columns.append(items)
    return columns


def _joined(shown: list[dict[str, Any]]) -> dict[str, list[Any]]:
    if not shown:
        return {}
    return {key: [item for one in shown for item in one[key]] for key in shown[0]}


def _block_report(message: str) -> dict[str, Any]:
    return {
        "exception_message": f"Execution Blocked: {message}",
        "exception_type": "ExecutionBlocked",
        "traceback": [],
        "current_inputs": [],
        "current_outputs": [],
    }


def _told(value: Any) -> Any:
    return value if value is None or isinstance(value, (int, float, bool, str)) else str(value)
