"""The files and models that templates name, as empty files: nothing opens them before they run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from host import Host
from templates.declared import Classes


def upload_names(prompt: Mapping[str, Any], classes: Classes) -> Iterator[str]:
    """The files that loaders of a prompt name."""
    for node in prompt.values():
        for name, value in node["inputs"].items():
            if isinstance(value, str) and value and classes.is_upload(node["class_type"], name):
                yield value


def put_files(host: Host, names: Iterable[str]) -> None:
    """A file for each name, in the folder that the name ends with: `a.png [temp]`."""
    for name in names:
        plain, _, folder = name.removesuffix("]").partition(" [")
        path = Path(host.base, folder or "input", plain)
        if host.base in path.parents:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


@contextmanager
def models_of(workflow: Mapping[str, Any], base: Path) -> Iterator[None]:
    """The models that the nodes of a workflow name, on this machine for a while."""
    graphs = [workflow, *workflow.get("definitions", {}).get("subgraphs", [])]
    nodes = [node for graph in graphs for node in graph["nodes"]]
    models = [one for node in nodes for one in node.get("properties", {}).get("models", [])]
    paths = {Path(base, "models", one["directory"], one["name"]) for one in models}
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    try:
        yield
    finally:
        for path in paths:
            path.unlink()
