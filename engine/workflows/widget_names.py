"""The widgets of a node class, which name the values that the editor saves by position only.

They come from a class that a server declares, or from nodes of that class in API format.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from . import object_info as declared
from .api_format import is_link
from .graph import OWN_PREFIX, is_node

_SEEDS = ("seed", "noise_seed")  # the editor adds a widget after these, declared or not

INT, FLOAT, STRING, BOOLEAN = "INT", "FLOAT", "STRING", "BOOLEAN"
COMBO = "COMBO"  # texts only
BRANCH = "BRANCH"  # a dynamic combo: its choice brings widgets along
LINKED = "LINKED"  # seen with a link only: a widget or a socket
SERVER, WORKFLOW = "server", "workflow"  # who told of a class
_MOST_VARIANTS = 4  # of a class, as different workflows tell of it

ANY = "ANY"  # of an unknown type, if it is a widget at all
UNREADABLE = "UNREADABLE"  # a number of widgets that is not known


@dataclass(frozen=True)
class Widget:
    """One widget of a class, in the order in which the editor saves values.

    follower  whether the editor adds a widget after it: for a seed, or an upload button
    default   its value in a new node, as a list of one; empty where it is not known
    """

    name: str
    kind: str
    follower: str = ""
    default: tuple[Any, ...] = ()
    branches: Mapping[str, tuple[Widget, ...]] = field(default_factory=dict)

    @property
    def is_declared(self) -> bool:
        """Whether a server told of it: a workflow tells no default, and a number is a FLOAT."""
        return bool(self.default) or self.kind in (INT, COMBO, BRANCH)

    def branches_of(self, value: Any) -> Widgets:
        """The widgets that follow while it has that value."""
        return self.branches.get(value, ()) if isinstance(value, str) else ()

    def to_json(self) -> dict[str, Any]:
        tree: dict[str, Any] = {"name": self.name, "kind": self.kind}
        tree |= {"follower": self.follower} if self.follower else {}
        tree |= {"default": self.default[0]} if self.default else {}
        if self.branches:
            tree["branches"] = {k: [w.to_json() for w in v] for k, v in self.branches.items()}
        return tree

    @classmethod
    def from_json(cls, tree: Any) -> Widget:
        """Raises ValueError for what `to_json` does not make."""
        try:
            branches = {
                str(key): tuple(map(cls.from_json, some))
                for key, some in tree.get("branches", {}).items()
            }
            default = (tree["default"],) if "default" in tree else ()
            name, kind, follower = tree["name"], tree["kind"], tree.get("follower", "")
        except (AttributeError, KeyError, TypeError, RecursionError) as error:
            raise ValueError("no widget") from error
        if not all(isinstance(text, str) for text in (name, kind, follower)):
            raise ValueError("no widget")
        return cls(name, kind, follower, default, branches)


Widgets = tuple[Widget, ...]

# -- where they are known from ------------------------------------------------------------------


def of_object_info(tree: declared.ObjectInfo) -> dict[str, Widgets]:
    """The widgets of each class that a server's /object_info declares."""
    sockets = declared.output_types(tree)
    return {
        str(name): tuple(_declared_widgets(declared.declared_inputs(entry), sockets))
        for name, entry in tree.items()
        if declared.is_readable(entry)
    }


def of_workflow(workflow: Mapping[str, Any]) -> dict[str, Widgets]:
    """The widgets of each class in a workflow in API format, which lists them in their order.

    Links of sockets follow behind the widgets. None of a workflow whose inputs were sorted since.
    """
    nodes = [node for node in workflow.values() if is_node(node)]
    found: dict[str, Widgets] = {}
    for node in nodes if not _is_sorted(nodes) else ():
        name = node["class_type"]
        seen = tuple(Widget(str(k), _kind_of(v)) for k, v in node["inputs"].items())
        found[name] = _merged(found[name], seen) or seen if name in found else seen
    return {name: widgets for name, widgets in found.items() if not name.startswith(OWN_PREFIX)}


def _is_sorted(nodes: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the inputs of all nodes are in the order of the alphabet."""
    names = [list(map(str, node["inputs"])) for node in nodes if len(node["inputs"]) > 2]
    return len(names) > 1 and all(some == sorted(some) for some in names)


def _merged(one: Widgets, other: Widgets) -> Widgets | None:
    """What two nodes of a class tell together; None where they contradict each other.

    Where a node has more inputs than another, they are links of sockets.
    """
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    rest = longer[len(shorter) :]
    if any(widget.kind != LINKED for widget in rest):
        return None
    if any(a.name != b.name for a, b in zip(longer, shorter, strict=False)):
        return None
    both = [_both(a, b) for a, b in zip(longer, shorter, strict=False)]
    return (*both, *rest)


def _both(one: Widget, other: Widget) -> Widget:
    kinds = {one.kind, other.kind} - {LINKED}
    if len(kinds) > 1:
        kinds = {ANY}
    return Widget(one.name, kinds.pop() if kinds else LINKED)


def _kind_of(value: Any) -> str:
    if is_link(value):
        return LINKED
    # A whole number may be a FLOAT's: the editor writes 8.0 as 8.
    kinds = ((bool, BOOLEAN), ((int, float), FLOAT), (str, STRING))
    return next((kind for type_, kind in kinds if isinstance(value, type_)), ANY)


def _declared_widgets(
    inputs: Iterable[declared.Input], sockets: frozenset[str]
) -> Iterator[Widget]:
    for one in inputs:
        kind = _declared_kind(one, sockets)
        if kind:
            branches = {
                key: tuple(_declared_widgets(nested, sockets))
                for key, nested in (one.branches.items() if kind == BRANCH else ())
            }
            yield Widget(one.name, kind, _follower(one), _default(one), branches)


def _declared_kind(one: declared.Input, sockets: frozenset[str]) -> str:
    """The kind of a declared widget; "" for a socket."""
    if not one.type:
        return UNREADABLE
    if one.options.get("forceInput"):
        return ""
    if one.type in (INT, FLOAT, STRING, BOOLEAN):
        return one.type
    if one.type == "COMBO":
        texts = one.choices is not None and all(isinstance(c, str) for c in one.choices)
        return COMBO if texts and not one.options.get("multiselect") else ANY
    if one.type == declared.DYNAMIC_COMBO:
        return BRANCH
    if one.type == declared.AUTOGROW:
        return UNREADABLE if _grows_widgets(one, sockets) else ""
    if declared.is_compound(one.type) or (one.type in sockets and "default" not in one.options):
        return ""
    return ANY


def _grows_widgets(one: declared.Input, sockets: frozenset[str]) -> bool:
    template = one.options.get("template")
    inputs = template.get("input") if isinstance(template, dict) else None
    grown = declared.inputs_of(inputs) if isinstance(inputs, dict) else ()
    return any(_declared_kind(each, sockets) for each in grown)


def _follower(one: declared.Input) -> str:
    if one.options.get("control_after_generate") or (one.type == INT and one.name in _SEEDS):
        return "control"
    return "upload" if one.is_upload else ""


def _default(one: declared.Input) -> tuple[Any, ...]:
    """The value that the editor gives a new widget."""
    if "default" in one.options:
        return (one.options["default"],)
    if one.choices or one.branches:
        return (next(iter(one.choices or one.branches)),)
    return {INT: (0,), FLOAT: (0,), STRING: ("",), BOOLEAN: (False,)}.get(one.type, ())


# -- what is kept ---------------------------------------------------------------------------------


def candidates(known: Mapping[str, Any], class_type: str) -> list[Widgets]:
    """The widgets that a class may have, from what `learnt` made; unreadable ones are left out."""
    found = []
    for variant in _list(_entry(known, class_type).get("widgets")):
        with suppress(ValueError):
            found.append(tuple(map(Widget.from_json, _list(variant))))
    return found


def learnt(
    known: Mapping[str, Any], found: Mapping[str, Widgets], source: str, *, replace: bool = False
) -> dict[str, Any]:
    """`known` with what was found, as a JSON object. A server's word counts above a workflow's.

    replace  a person gave it: it replaces what other workflows told, and stands beside a server's
    """
    tree = dict(known)
    for name, widgets in found.items():
        before, told_by = candidates(known, name), _entry(known, name).get("source")
        if source == SERVER:
            variants = before if told_by == SERVER and before[:1] == [widgets] else [widgets]
        elif told_by == SERVER:
            variants = [*before[:1], widgets] if replace else before
        else:
            variants = _with_variant([] if replace else before, widgets)
        shown = [[widget.to_json() for widget in variant] for variant in variants]
        kept = SERVER if SERVER in (source, told_by) else WORKFLOW
        tree[name] = {"source": kept, "widgets": shown}
    return tree


def _with_variant(variants: Sequence[Widgets], seen: Widgets) -> list[Widgets]:
    for n, one in enumerate(variants):
        if (both := _merged(one, seen)) is not None:
            return [*variants[:n], both, *variants[n + 1 :]]
    return [seen, *variants][:_MOST_VARIANTS]


def _entry(known: Mapping[str, Any], class_type: str) -> dict[str, Any]:
    entry = known.get(class_type)
    return entry if isinstance(entry, dict) else {}


def _list(tree: Any) -> list[Any]:
    return tree if isinstance(tree, list) else []
