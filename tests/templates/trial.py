"""One template tried in a host: each cut of its prompt, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from host import Host
from templates.cuts import cuts
from templates.declared import Classes
from templates.invariants import broken, new_errors
from templates.remote import workflows
from templates.whole import Whole


@dataclass(frozen=True)
class Trial:
    """`refusals` are the reasons given to the person; `wrong` is what may not be."""

    cut: str
    is_sent: bool
    refusals: tuple[str, ...]
    wrong: tuple[str, ...]


def trials(
    host: Host, prompt: Mapping[str, Any], workflow: Mapping[str, Any], classes: Classes
) -> Iterator[Trial]:
    found = _errors(validated(host, prompt))
    files = {path.name for path in (host.base / "input").iterdir()}
    for name, cut in cuts(prompt, classes):
        answer = validated(host, cut, workflow)
        yield trial(host, name, cut, answer, found, files, classes)


def trial(
    host: Host,
    name: str,
    cut: Mapping[str, Any],
    answer: Mapping[str, Any],
    found: Mapping[str, Any],
    files: set[str],
    classes: Classes,
) -> Trial:
    left = Whole(answer["prompt"])
    here = {k: v for k, v in _errors(answer).items() if k not in left.refusals}
    wrong = [*broken(cut, answer["prompt"], classes, files), *new_errors(found, here)]
    if not answer["valid"] and not left.refusals and not here and answer["error"]:
        wrong.append(f"ComfyUI refuses what stays: {answer['error']}")
    for there in workflows(answer["prompt"], classes):
        remote = validated(host, there)
        wrong += [f"there: {one}" for one in new_errors(found, _errors(remote))]
    is_sent = any(part["nodes"] for part in left.parts.values())
    return Trial(name, is_sent, tuple(left.refusals.values()), tuple(wrong))


def validated(
    host: Host, prompt: Mapping[str, Any], workflow: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """ComfyUI's answer to the prompt as it is; with a workflow, after the hooks of all packs."""
    body: dict[str, Any] = {"prompt": prompt, "hooks": workflow is not None}
    body["extra_data"] = {"extra_pnginfo": {"workflow": workflow}}
    answer = host.route("POST", "/probes/validate", json=body)
    assert answer.ok, answer.text
    return dict(answer.json())


def _errors(answer: Mapping[str, Any]) -> dict[str, Any]:
    return dict(answer["node_errors"] or {})
