"""The values of a saved node under the names of the widgets that its class may have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .widget_names import (
    ANY,
    BOOLEAN,
    BRANCH,
    COMBO,
    FLOAT,
    INT,
    LINKED,
    STRING,
    Widget,
    Widgets,
)

AFTER_SEED = ("fixed", "increment", "decrement", "randomize", "increment-wrap")
_AFTER_UPLOAD = ("image", "video", "audio", "file", "", None)  # what upload buttons save
_BUTTONS = (*_AFTER_UPLOAD, "upload")  # what may follow the last value
_MOST_WIDGETS = 500
_ROW = {"on", "lora", "strength"}  # what a row of a list of LoRAs holds


class SavedNode:
    """What a node of the editor's graph holds: its values, and which of its inputs are sockets."""

    def __init__(self, node: Mapping[str, Any]) -> None:
        inputs = [one for one in _list(node.get("inputs")) if isinstance(one, dict)]
        self.values = _list(node.get("widgets_values"))
        self.converted = {_name(one) for one in inputs if isinstance(one.get("widget"), dict)}
        self.sockets = {_name(one) for one in inputs} - self.converted
        self.linked = {_name(one) for one in inputs if one.get("link") is not None}

    def has_widget(self, widget: Widget) -> bool:
        """Whether it is one here: any input can be saved as a socket, and links may be either."""
        return widget.name not in self.sockets

    def takes(self, widget: Widget, value: Any) -> bool:
        """Whether a widget can have that value; behind a link it does not count."""
        return widget.name in self.linked or _fits(widget, value)


def named(node: Mapping[str, Any], candidates: Sequence[Widgets]) -> dict[str, Any] | None:
    """The values of a saved node by name; None where no candidate, or several, fit them."""
    saved = SavedNode(node)
    if len(saved.values) > _MOST_WIDGETS:
        return None
    if any(map(_lists_rows, candidates)) and (rows := _rows(saved.values)):
        return rows
    if any(not widgets for widgets in candidates) and not any(map(_is_content, saved.values)):
        return {}  # what it saves is for its looks only
    named_by = [widgets for widgets in candidates if widgets]
    found = [values for one in named_by if (values := _named(saved, one)) is not None]
    found = found or [values for one in named_by if (values := _of_older_class(saved, one))]
    return found[0] if found and all(values == found[0] for values in found) else None


def _named(saved: SavedNode, widgets: Widgets) -> dict[str, Any] | None:
    exact = _assign(saved, widgets, saved.values)
    if exact is not None:
        return exact
    # Scripts of packs may add such a widget after any number, and a button anywhere.
    bare = [v for n, v in enumerate(saved.values) if not _is_control(saved.values, n)]
    if bare != saved.values and (found := _assign(saved, widgets, bare, followers=False)):
        return found
    plain = [value for value in bare if value is not None]
    return _assign(saved, widgets, plain, followers=False, whole=True) if plain != bare else None


def _of_older_class(saved: SavedNode, widgets: Widgets) -> dict[str, Any] | None:
    """The values, but for those of inputs that the class has lost since.

    None unless a server declares it, there is a value for every widget, and one way only to leave
    the others out.
    """
    todo = [widget for widget in widgets if saved.has_widget(widget)]
    if not all(widget.is_declared for widget in widgets):
        return None
    values = [v for n, v in enumerate(saved.values) if not _is_control(saved.values, n)]
    if any(widget.kind == BRANCH for widget in todo) or len(values) > 2 * len(todo):
        return None
    first = _places(saved, todo, values)
    last = [len(values) - 1 - n for n in _places(saved, todo[::-1], values[::-1])][::-1]
    if len(first) < len(todo):
        return None
    result: dict[str, Any] = {}
    for widget, start, end in zip(todo, first, last, strict=True):
        chosen = [_chosen(widget, value) for value in values[start : end + 1]]
        fitting = [value for value in chosen if saved.takes(widget, value)]
        result[widget.name] = fitting[0]
        if widget.name not in saved.linked and any(value != fitting[0] for value in fitting):
            return None
    return result


def _places(saved: SavedNode, widgets: Sequence[Widget], values: Sequence[Any]) -> list[int]:
    """The first value that each widget can have, after that of the one before; fewer if none is."""
    found: list[int] = []
    for n, value in enumerate(values):
        if len(found) < len(widgets):
            widget = widgets[len(found)]
            found += [n] if saved.takes(widget, _chosen(widget, value)) else []
    return found


def _assign(
    saved: SavedNode,
    widgets: Widgets,
    values: Sequence[Any],
    followers: bool = True,
    whole: bool = False,
) -> dict[str, Any] | None:
    """Each value to a widget, in order; None where one does not fit, or with `whole` lacks one."""
    todo, left, result = list(widgets), list(values), dict[str, Any]()
    while todo:
        widget = todo.pop(0)
        if not saved.has_widget(widget):
            continue
        if not left:
            return None if whole else _with_defaults(result, [widget, *todo], saved)
        value = _chosen(widget, left.pop(0))
        if not saved.takes(widget, value):
            return None
        result[widget.name] = value
        todo[:0] = widget.branches_of(value)
        if followers and left and _is_follower(widget, left[0]):
            left.pop(0)
    return result if all(_is_button(value) for value in left) else None


def _with_defaults(
    result: dict[str, Any], rest: Sequence[Widget], saved: SavedNode
) -> dict[str, Any] | None:
    """The editor gives inputs that a class has got since their defaults."""
    todo = list(rest)
    while todo:
        widget = todo.pop(0)
        if widget.name in saved.linked or not saved.has_widget(widget) or widget.kind == LINKED:
            continue
        if not widget.default and widget.kind != ANY:
            return None
        for value in widget.default:
            result[widget.name] = value
            todo[:0] = widget.branches_of(value)
    return result


def _chosen(widget: Widget, value: Any) -> Any:
    """The value that is queued: a choice with a picture is saved as {"content": choice, ...}."""
    has_choice = isinstance(value, dict) and isinstance(value.get("content"), str)
    return value["content"] if has_choice and widget.kind in (COMBO, STRING) else value


def _fits(widget: Widget, value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if widget.kind == INT:
        return number and (isinstance(value, int) or value.is_integer())
    if widget.kind in (STRING, COMBO):
        return isinstance(value, str)
    if widget.kind == BRANCH:
        return isinstance(value, str) and value in widget.branches
    if widget.kind in (FLOAT, BOOLEAN):
        return number if widget.kind == FLOAT else isinstance(value, bool)
    return widget.kind in (ANY, LINKED)


def _is_follower(widget: Widget, value: Any) -> bool:
    if widget.follower == "control":
        return isinstance(value, str) and value in AFTER_SEED
    return widget.follower == "upload" and value in _AFTER_UPLOAD


def _is_control(values: Sequence[Any], n: int) -> bool:
    return (
        n > 0
        and isinstance(values[n], str)
        and values[n] in AFTER_SEED
        and isinstance(values[n - 1], (int, float))
    )


def _is_button(value: Any) -> bool:
    """Whether a value is one that buttons and previews save: no input takes it."""
    if isinstance(value, str):
        return value in _BUTTONS or value.startswith("/view?")
    return value is None or (isinstance(value, (list, dict)) and not _is_row(value))


def _lists_rows(widgets: Widgets) -> bool:
    """Whether a class may have rows: a server declares none of them, an export has them all."""
    return not widgets or any(widget.name == "lora_1" for widget in widgets)


def _rows(values: Sequence[Any]) -> dict[str, Any]:
    """The rows of a list of LoRAs, which grows in the editor."""
    return {f"lora_{number}": row for number, row in enumerate(filter(_is_row, values), 1)}


def _is_row(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() >= _ROW


def _is_content(value: Any) -> bool:
    """Whether a value is more than looks: an object of settings, but no file that is shown."""
    return isinstance(value, dict) and not value.keys() <= {"type"} and "filename" not in value


def _name(one: Mapping[str, Any]) -> str:
    widget = one.get("widget")
    name = widget.get("name") if isinstance(widget, dict) else None
    return name if isinstance(name, str) else str(one.get("name"))


def _list(tree: Any) -> list[Any]:
    return tree if isinstance(tree, list) else []
