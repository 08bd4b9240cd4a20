"""Run in Cloud: the platforms that run a part, and what comes back from them."""

from __future__ import annotations

from functools import lru_cache

from ... import providers
from .._base.registry import all_nodes
from .._kinds import node_classes
from .._kinds.run_workflow import RunWorkflowNode


@lru_cache(maxsize=1)
def clouds() -> dict[str, type[RunWorkflowNode]]:
    """The platforms that run workflows, by label, with their Run Workflow nodes."""
    runners = [node for node in all_nodes() if issubclass(node, RunWorkflowNode)]
    return {providers.provider_class(node.platform).label: node for node in runners}


def returns_text(label: str) -> bool:
    """Whether texts and numbers come back from the platform of this label."""
    node = clouds().get(label)
    return node is not None and node.returns_text


def bills_apart(class_type: str, label: str) -> bool:
    """Whether nodes of this class are billed by a service of their own on that platform."""
    if node_classes.is_installed(class_type):
        return node_classes.is_api(class_type)
    node = clouds().get(label)
    return node is not None and node.bills_apart(class_type)
