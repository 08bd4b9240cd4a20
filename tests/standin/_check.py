"""Whether a prompt can run: what POST /prompt refuses, and why."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from ._calls import NodeClass, call_each, prepare, settled

Error = dict[str, Any]
_CONVERT = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


@dataclass
class Verdict:
    """good: output nodes that can run. error: why nothing can. node_errors: by node id."""

    good: list[str] = field(default_factory=list)
    error: Error | None = None
    node_errors: dict[str, Any] = field(default_factory=dict)


async def check(
    prompt: dict[str, Any],
    classes: Mapping[str, NodeClass],
    targets: Sequence[str] | None = None,
) -> Verdict:
    """Checks each output node with all it hangs on; only `targets` where they are named.

    Converts numbers in `prompt` in place.
    """
    for node_id, node in prompt.items():
        if node.get("class_type") not in classes:
            what = f"{node_id}: no node class {node.get('class_type')!r}"
            return Verdict(error=_error("missing_node_type", what, node_id))
    outputs = [
        name
        for name, node in prompt.items()
        if classes[node["class_type"]].schema().is_output_node
        and (targets is None or name in targets)
    ]
    if not outputs:
        return Verdict(error=_error("prompt_no_outputs", "no output node", ""))
    checker = _Checker(prompt, classes)
    verdict = Verdict()
    for output in outputs:
        if await checker.passes(output):
            verdict.good.append(output)
        else:
            checker.blame(output, verdict.node_errors)
    if not verdict.good:
        verdict.error = _error(
            "prompt_outputs_failed_validation", _summary(verdict.node_errors), ""
        )
    return verdict


class _Checker:
    def __init__(self, prompt: dict[str, Any], classes: Mapping[str, NodeClass]) -> None:
        self.prompt = prompt
        self.classes = classes
        self.seen: dict[str, tuple[bool, list[Error]]] = {}
        self.path: list[str] = []
        self.cycles: dict[str, list[Error]] = {}

    def blame(self, output: str, node_errors: dict[str, Any]) -> None:
        """Adds to `node_errors` the nodes that have errors of their own."""
        for node_id, (_, errors) in self.seen.items():
            if errors:
                class_type = self.prompt[node_id]["class_type"]
                empty = {"errors": errors, "dependent_outputs": [], "class_type": class_type}
                node_errors.setdefault(node_id, empty)["dependent_outputs"].append(output)

    async def passes(self, node_id: str) -> bool:
        if node_id not in self.seen:
            try:
                self.seen[node_id] = await self._look(node_id)
            except Exception as failure:
                self.seen[node_id] = (
                    False,
                    [_error("exception_during_validation", str(failure), "")],
                )
        return self.seen[node_id][0]

    async def _look(self, node_id: str) -> tuple[bool, list[Error]]:
        if node_id in self.path:
            return self._cycle(node_id)
        node = self.classes[self.prompt[node_id]["class_type"]]
        inputs = self.prompt[node_id]["inputs"]
        own = _OwnCheck.of(node)
        errors: list[Error] = []
        upstream_ok = True
        self.path.append(node_id)
        for name, (socket, required) in node.flat(inputs).slots.items():
            if name not in inputs:
                errors += [_error("required_input_missing", name, name)] if required else []
            elif isinstance(inputs[name], list):
                error, passed = await self._link(name, socket, inputs[name])
                errors += error
                upstream_ok = upstream_ok and passed
            else:
                errors += _constant(inputs, name, socket, own.takes_over(name))
        self.path.pop()
        if own.exists:
            errors += await own.errors(self.prompt, node_id, node)
        errors += self.cycles.pop(node_id, [])
        return upstream_ok and not errors, errors

    def _cycle(self, node_id: str) -> tuple[bool, list[Error]]:
        """Every node of the cycle is at fault, not only the one where it was noticed."""
        way = " -> ".join([*self.path, node_id])
        members = self.path[self.path.index(node_id) :]
        self.cycles = {member: [_error("dependency_cycle", way, "")] for member in members}
        return False, self.cycles[node_id]

    async def _link(
        self, name: str, socket: io.Input, value: list[Any]
    ) -> tuple[list[Error], bool]:
        """Errors of the link itself, and whether the node behind it passes."""
        if len(value) != 2:
            return [_error("bad_linked_input", f"{name}: {value}", name)], True
        source = self.classes[self.prompt[value[0]]["class_type"]]
        gives = source.schema().outputs[value[1]].io_type
        takes = socket.get_io_type()
        if not _types_meet(gives, takes):
            return [_error("return_type_mismatch", f"{name}: {gives} into {takes}", name)], True
        return [], await self.passes(value[0])


@dataclass
class _OwnCheck:
    """The node's own `validate_inputs`. Naming an input switches the built-in checks of it off."""

    exists: bool
    names: frozenset[str]
    takes_all: bool

    @classmethod
    def of(cls, node: NodeClass) -> _OwnCheck:
        function = node.override("validate_inputs")
        if function is None:
            return cls(False, frozenset(), False)
        spec = inspect.getfullargspec(function)
        return cls(True, frozenset(spec.args), spec.varkw is not None)

    def takes_over(self, name: str) -> bool:
        return self.takes_all or name in self.names

    async def errors(self, prompt: Mapping[str, Any], node_id: str, node: NodeClass) -> list[Error]:
        """Its complaint, once for each named input that the prompt holds: with none it is lost."""
        call = prepare(prompt, node_id, node)
        named = [name for name in call.values if self.takes_over(name)]
        if not named and not self.names and not self.takes_all:
            return []
        answers = await settled(await call_each(call.only(set(named)), "validate_inputs"))
        return [
            _error("custom_validation_failed", f"{name} - {answer}", name)
            for name in named
            for answer in answers
            if answer is not True and not isinstance(answer, ExecutionBlocker)
        ]


def _constant(inputs: dict[str, Any], name: str, socket: io.Input, own: bool) -> list[Error]:
    value = inputs[name]
    if isinstance(value, dict) and "__value__" in value:
        value = inputs[name] = value["__value__"]
    io_type = socket.get_io_type()
    try:
        if io_type in _CONVERT:
            value = inputs[name] = _CONVERT[io_type](value)
    except Exception as failure:
        return [_error("invalid_input_type", f"{name}: {value!r} is no {io_type}: {failure}", name)]
    return [] if own else _out_of_bounds(name, value, socket.as_dict(), io_type)


def _out_of_bounds(name: str, value: Any, limits: Mapping[str, Any], io_type: str) -> list[Error]:
    if "min" in limits and value < limits["min"]:
        return [_error("value_smaller_than_min", f"{name}: {value} < {limits['min']}", name)]
    if "max" in limits and value > limits["max"]:
        return [_error("value_bigger_than_max", f"{name}: {value} > {limits['max']}", name)]
    if io_type == io.Combo.io_type and value not in limits.get("options", []):
        return [
            _error("value_not_in_list", f"{name}: {value!r} not in {limits.get('options')}", name)
        ]
    return []


def _types_meet(gives: str, takes: str) -> bool:
    anything = {io.AnyType.io_type, io.MatchType.io_type}
    one, other = set(gives.split(",")), set(takes.split(","))
    return bool(one & other or (one | other) & anything)


def _error(kind: str, details: str, name: str) -> Error:
    words = kind.replace("_", " ")
    return {"type": kind, "message": words, "details": details, "extra_info": {"input_name": name}}


def _summary(node_errors: Mapping[str, Any]) -> str:
    all_errors = [error for node in node_errors.values() for error in node["errors"]]
    return "\n".join(f"{error['message']}: {error['details']}" for error in all_errors)
