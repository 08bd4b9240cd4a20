"""OpenComputing's models: the tables of its document, and models that no table describes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...engine.base.types import Choice, Json, Model, Param
from ...engine.base.words import tr

CHAT, IMAGE, TEXT_VIDEO, FRAME_VIDEO, REFERENCE_VIDEO = TASKS = (
    "t2t",
    "t2i",
    "t2v",
    "i2v",
    "ref2v",
)
NODES = {  # tasks by the end of a node's id
    "Chat": CHAT,
    "TextToImage": IMAGE,
    "TextToVideo": TEXT_VIDEO,
    "ImageToVideo": FRAME_VIDEO,
    "ReferenceToVideo": REFERENCE_VIDEO,
}

MORE = "parameters"  # further fields of a model without a table, as a JSON object
FIELD_OF = {"first_frame": "first_frame_field", "last_frame": "last_frame_field"}

_FILE = Path(__file__).with_name("models.json")
_TYPES = {"integer": "int"}
_LONG = ("prompt", "system_prompt", "negative_prompt")


def built_in_rows() -> list[dict[str, Any]]:
    """A row for each model and task that the document names."""
    return [
        {**model, "catelogid": table["catelogid"]}
        for table in _tables()
        for model in table["models"]
    ]


def read(row: Mapping[str, Any]) -> Model:
    """`row`, from the document or live, as a Model with the parameters of its table."""
    name, task = str(row["model"]), str(row["catelogid"])
    if task not in TASKS:
        raise ValueError(task)
    documented = _documented().get((name, task), {})
    merged = {**documented, **{key: value for key, value in row.items() if value}}
    return Model(
        platform="opencomputing",
        id=name,
        task=task,
        label=str(merged.get("description") or name),
        params=_params(documented["table"]) if documented else unlisted(task),
        help=str(merged.get("vendor") or ""),
        retired=bool(row.get("retired")),
    )


def unlisted(task: str) -> tuple[Param, ...]:
    """The parameters of a model without a table: those that its task always has, and free ones."""
    table = next((t for t in _tables() if t["catelogid"] == task and t.get("open")), None)
    return (*(_params(table) if table else (_PROMPT, *_media(task))), _more())


def live_rows(answer: Json, asked: str) -> Iterator[dict[str, Any]]:
    """The models in the answer to a request for those of the task `asked`.

    A model that names another of our tasks belongs to that one: the platform ignored the filter.
    """
    for item in _list_in(answer):
        item = {"id": item} if isinstance(item, str) else item
        # Beside `model`, `id` is only the number of an entry.
        name = _text(item, "model", "id", "name") if isinstance(item, dict) else ""
        if name:
            task = _text(item, "catelogid")
            row = {"model": name, "catelogid": task if task in TASKS else asked}
            yield {
                **row,
                "description": _text(item, "description"),
                "vendor": _text(item, "vendor"),
            }


def _list_in(answer: Json) -> list[Any]:
    """`answer` where it is a list, else the list under its `data` or `models`."""
    if isinstance(answer, dict):
        return next(filter(None, (_list_in(answer.get(key)) for key in ("data", "models"))), [])
    return answer if isinstance(answer, list) else []


# -- tables -------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _tables() -> list[dict[str, Any]]:
    tables: list[dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8"))
    return tables


@lru_cache(maxsize=1)
def _documented() -> dict[tuple[str, str], dict[str, Any]]:
    """The document's entry and table for each (model, task)."""
    return {
        (model["model"], table["catelogid"]): {**model, "table": table}
        for table in _tables()
        for model in table["models"]
    }


def _params(table: Mapping[str, Any]) -> tuple[Param, ...]:
    return tuple(map(_param, table["fields"]))


def _param(field: Mapping[str, Any]) -> Param:
    """A field as a Param; `as` renames it where the node has one name for it in all models."""
    name, options = str(field.get("as") or field["name"]), field.get("options", [])
    default = field.get("default")
    # A default that is not an option, such as `adaptive`, is the platform's own: it is never sent.
    leaves = default if options and default is not None and default not in options else ""
    kind = "text" if name in _LONG else field["type"]
    return Param(
        name=name,
        type=_TYPES.get(kind, kind),
        required=field["required"],
        default=None if leaves else default,
        min=field.get("min"),
        max=field.get("max"),
        choices=tuple(map(Choice, options)),
        max_items=field.get("max_items"),
        help=field["help"],
        path=field["name"],
        leaves=leaves,
    )


# -- models without a table ---------------------------------------------------------------------

_PROMPT = Param("prompt", "text", required=True)


def _media(task: str) -> tuple[Param, ...]:
    """The file fields, named as in most tables."""
    if task == FRAME_VIDEO:
        return (
            Param("first_frame", "image", path="image_file1"),
            Param("last_frame", "image", path="image_file2"),
            *(_field_name(name, f"image_file{n}") for n, name in enumerate(FIELD_OF.values(), 1)),
        )
    if task == REFERENCE_VIDEO:
        kinds = ("image", "video", "audio")
        return tuple(Param(f"{k}s", f"array[{k}]", path=f"{k}_files") for k in kinds)
    return ()


def _field_name(name: str, default: str) -> Param:
    help = tr("The name of the model's field that takes this picture.")
    return Param(name, "string", default=default, help=help)


def _more() -> Param:
    help = tr("Further fields of the model as a JSON object: {example}.", example='{"duration": 5}')
    return Param(MORE, "text", help=help)


def _text(item: Mapping[str, Any], *keys: str) -> str:
    values = (item.get(key) for key in keys)
    return next((text.strip() for text in values if isinstance(text, str) and text.strip()), "")
