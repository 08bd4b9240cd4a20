"""What is known of the widgets of node classes that need not be installed here.

Kept in the data folder: learnt from workflows in API format, and from what servers declare.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ..base.errors import InvalidInput
from ..settings import folders, json_file
from ..workflows import object_info, widget_names
from ..workflows.widget_names import Widgets

_FILE = "widget_names.json"
_log = logging.getLogger(__name__)


def candidates(class_type: str) -> list[Widgets]:
    """The widgets that a class may have; none where nothing is known, or the file is unusable."""
    try:
        return widget_names.candidates(_read(), class_type)
    except InvalidInput as error:
        _log.warning("Skyport: %s", error)
        return []


def learn(tree: Mapping[str, Any], *, given: bool = False) -> list[str]:
    """Keep what a workflow in API format, or a server's /object_info, tells; the classes in it.

    given  whether a person gave it for this: it replaces what other workflows told

    Raises InvalidInput where the data folder refuses.
    """
    is_server = object_info.is_object_info(tree)
    found = widget_names.of_object_info(tree) if is_server else widget_names.of_workflow(tree)
    source = widget_names.SERVER if is_server else widget_names.WORKFLOW
    known = _read()
    if widget_names.learnt(known, found, source, replace=given) != known:
        path = folders.home() / _FILE
        with json_file.updating(path):
            json_file.write(path, widget_names.learnt(_read(), found, source, replace=given))
    return sorted(found)


def learn_quietly(tree: Mapping[str, Any]) -> None:
    """`learn`, where what the workflow is for goes on whatever the data folder does."""
    try:
        learn(tree)
    except InvalidInput as error:
        _log.warning("Skyport: %s", error)


def _read() -> dict[str, Any]:
    return json_file.read(folders.home() / _FILE)
