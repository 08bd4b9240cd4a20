"""GPUGeek's answers about a task: section 5 of its document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ...engine.base.json_tree import leaves, number
from ...engine.base.types import Json, Output, Status, Task, TaskState
from ...engine.base.words import tr
from ...engine.http.messages import layers
from ...engine.platforms.answers import AnswerForm
from ...engine.platforms.result_addresses import Addresses, if_readable

_WORDS = {
    "1": Status.QUEUED,
    "2": Status.RUNNING,
    "3": Status.SUCCEEDED,
    "4": Status.FAILED,
    "5": Status.CANCELLED,
}


class _Form(AnswerForm):
    def state(self, body: Json, task: Task, base_url: str) -> TaskState:
        state = super().state(body, task, base_url)
        details = next(layers(body, self.home), {})
        return replace(
            state,
            queue=_queue(details) if state.status is Status.QUEUED else (None, None),
            cost=number(details.get("origin_price")),
            message=_reason(body, details, state),
            details=tuple(_details(body, details)),
        )

    def outputs(self, body: Json, task: Task, base_url: str) -> tuple[tuple[Output, ...], str]:
        """The values of `result_url` by node id, each one address or several."""
        addresses = self.addresses(task, base_url)
        results = next(layers(body, self.home), {}).get("result_url")
        by_node = results if isinstance(results, dict) else {"": results}
        found = [
            replace(output, node_id=str(node_id))
            for node_id, values in by_node.items()
            for output in addresses.at(values) or _others(values, addresses)
        ]
        found, unreadable = if_readable(found)
        if found or unreadable:
            return tuple(found), unreadable
        return super().outputs(body, task, base_url)


FORM = _Form(home="data", task_id=("data.prompt_id",), words=_WORDS)


def _others(values: Json, addresses: Addresses) -> Iterator[Output]:
    """Whatever is no address is a node's text, or a file that cannot be decoded."""
    if addresses.unreadable:
        yield from (Output(unreadable=True) for _ in leaves(values, str))
        return
    yield from (Output(text=text) for text in leaves(values, str) if text.strip())


def _queue(details: Mapping[str, Any]) -> tuple[int | None, int | None]:
    position, length = number(details.get("current_position")), number(details.get("queue_size"))
    return (None if position is None else int(position), None if length is None else int(length))


def _reason(body: Json, details: Mapping[str, Any], state: TaskState) -> str:
    words = state.message
    if state.status is not Status.FAILED:
        return words
    words = words or tr("status 4 (failed), without a reason")
    facts = [f"{name} {value}" for name, value in _details(body, details)]
    return f"{words} ({', '.join(facts)})" if facts else words


def _details(body: Json, details: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Times in seconds, of which the platform gives milliseconds; the id that support asks for."""
    times = {"queue_duration": tr("queued"), "run_duration": tr("ran")}
    for field, name in times.items():
        milliseconds = number(details.get(field))
        if milliseconds is not None:
            yield name, tr("{seconds} s", seconds=f"{milliseconds / 1000:.1f}")
    trace = body.get("traceid") if isinstance(body, dict) else None
    if trace:
        yield "traceid", str(trace)
