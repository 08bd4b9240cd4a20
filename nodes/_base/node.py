"""The base of every node that waits for a platform: it lets only safe exceptions escape."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from comfy_api.latest import io

from ...engine.base.types import Request, Result
from ...engine.base.words import tr
from ...engine.settings import settings
from . import begun_ahead, node_outcomes, node_outputs, progress, prompt_marks, run_task


class CloudNode(io.ComfyNode):
    """Subclasses define `define_schema`, and `work` with the inputs that `execute` would get.

    begins_ahead  whether `work` does nothing but run requests: they may be begun before it runs
    """

    begins_ahead: ClassVar[bool] = False

    @classmethod
    async def work(cls, *_: Any, **inputs: Any) -> io.NodeOutput:
        """Always called by keyword; `*_` lets subclasses name their own inputs."""
        raise NotImplementedError

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> Any:
        """Changes once results were missing or outdated, so that the node runs again.

        Changes with practice mode, too: what the sandbox made is no result of a platform.
        """
        return run_task.times_to_run_again(_node_id(cls)), settings.load().sandbox

    @classmethod
    def orders(cls, *_: Any, **inputs: Any) -> Sequence[Request] | None:
        """The requests that `work` would send for these constant inputs; None where not known.

        Override where they can be built without a medium. Blocks; raises what `work` raises.
        """
        return None

    @classmethod
    async def begin_ahead(cls, **inputs: Any) -> None:
        """Begins the orders that `execute` would wait for. Raises what `work` raises."""
        with suppress(begun_ahead.Begun):
            await cls.work(**_own(inputs))

    @classmethod
    async def execute(cls, **inputs: Any) -> io.NodeOutput:
        """Runs `work`. A stray CancelledError would end ComfyUI's prompt worker."""
        try:
            with node_outcomes.recording(_node_id(cls)), progress.call_of(_node_id(cls)):
                output = await cls.work(**_own(inputs))
        except asyncio.CancelledError:
            if _is_being_torn_down():
                raise
            raise RuntimeError(tr("The request was cancelled inside Skyport.")) from None
        if cls.begins_ahead:
            begun_ahead.note_delivered(cls.hidden.prompt or {}, cls.hidden.unique_id)
        return output

    @classmethod
    async def run_requests(
        cls, make_requests: run_task.MakeRequests, outputs: Sequence[str], label: str
    ) -> io.NodeOutput:
        """Runs the requests that `make_requests` returns and delivers their results as `outputs`.

        `make_requests` is called in a thread, so that a busy ComfyUI loop does not delay them.
        """
        deliver = cls.output_builder(outputs, label)
        return await run_task.run(cls.hidden.unique_id, make_requests, deliver)

    @classmethod
    def output_builder(
        cls, outputs: Sequence[str], label: str
    ) -> Callable[[list[Result]], io.NodeOutput]:
        """A function that turns the results of the platform named `label` into `outputs`."""
        linked = prompt_marks.linked_outputs(cls.hidden.prompt, cls.hidden.unique_id)
        return lambda results: node_outputs.deliver(outputs, results, linked, label)


def _own(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """A link to an input of a model chosen earlier still arrives, under its dotted name."""
    return {name: value for name, value in inputs.items() if "." not in name}


def _node_id(cls: type[CloudNode]) -> str | None:
    """The id of the node in the prompt; None outside of one."""
    return getattr(cls.hidden, "unique_id", None)


def _is_being_torn_down() -> bool:
    """True when ComfyUI itself cancels this node because another one failed.

    Python 3.10 cannot tell: there the error is always converted, and a teardown only logs it.
    """
    task = asyncio.current_task()
    cancelling = getattr(task, "cancelling", None)
    return bool(cancelling and cancelling() > 0)
