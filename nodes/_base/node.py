"""The base of every node that waits: only the right exceptions may leave it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from comfy_api.latest import io

from ...engine.base.types import Result
from ...engine.base.words import tr
from . import node_outputs, prompt_marks, run_task


class CloudNode(io.ComfyNode):
    """Subclasses define `define_schema`, and `work` with the inputs that `execute` would get."""

    @classmethod
    async def work(cls, *_: Any, **inputs: Any) -> io.NodeOutput:
        """Always called by keyword; `*_` lets subclasses name their own inputs."""
        raise NotImplementedError

    @classmethod
    async def execute(cls, **inputs: Any) -> io.NodeOutput:
        """Runs `work`. A CancelledError of another origin would end ComfyUI's prompt worker."""
        # A link below a model that was changed since arrives too, under its dotted name.
        known = {name: value for name, value in inputs.items() if "." not in name}
        try:
            return await cls.work(**known)
        except asyncio.CancelledError:
            if _being_torn_down():
                raise
            raise RuntimeError(tr("The request was cancelled inside Skyport.")) from None

    @classmethod
    async def outcome(cls, ask: run_task.Ask, outputs: Sequence[str], label: str) -> io.NodeOutput:
        """Runs the requests that `ask` makes and hands on what they made as `outputs`.

        `ask` is called in a thread, so that they are under way however busy ComfyUI's loop is.
        """
        hand_over = cls.hand_over(outputs, label)
        return await run_task.run(cls.hidden.unique_id, ask, hand_over)

    @classmethod
    def hand_over(
        cls, outputs: Sequence[str], label: str
    ) -> Callable[[list[Result]], io.NodeOutput]:
        """What makes `outputs` of the results that a platform named `label` sent."""
        linked = prompt_marks.linked_outputs(cls.hidden.prompt, cls.hidden.unique_id)
        return lambda results: node_outputs.deliver(outputs, results, linked, label)


def _being_torn_down() -> bool:
    """True when ComfyUI itself cancels this node because another one failed.

    Python 3.10 cannot tell; there the error is always converted, which a teardown only logs.
    """
    task = asyncio.current_task()
    cancelling = getattr(task, "cancelling", None)
    return bool(cancelling and cancelling() > 0)
