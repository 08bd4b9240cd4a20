"""What the editor's search box finds a node by, and the line that it shows of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...engine.base.types import Model
from ...engine.base.words import language

_LOCALES = Path(__file__).parents[2] / "locales"


def search_texts(node_id: str, models: Iterable[Model] = ()) -> dict[str, Any]:
    """`description` and `search_aliases` of a schema; `models` are those that the node offers."""
    names = tuple(f"{model.id} {model.label}" for model in models if not model.retired)
    return {
        "description": _descriptions(language()).get(node_id, ""),
        "search_aliases": list(_aliases(node_id, names)),
    }


def search_words(node_id: str, model: Model) -> tuple[str, ...]:
    """The words that the node is found by with `model` alone."""
    return _aliases(node_id, (f"{model.id} {model.label}",))


@lru_cache(maxsize=1024)
def _aliases(node_id: str, models: tuple[str, ...]) -> tuple[str, ...]:
    """The words of every part of the node's id and of every brand among its models, once each."""
    catalogue = _search_words()
    parts = [words for part, words in catalogue["nodes"].items() if part in node_id]
    names = "\n".join(models).lower()
    brands = [words for brand, words in catalogue["models"].items() if _begins_a_word(brand, names)]
    return tuple(dict.fromkeys(word for words in (*parts, *brands) for word in words))


def _begins_a_word(brand: str, names: str) -> bool:
    """Whether some word of `names` begins with the brand."""
    return brand in names and re.search(rf"(?<![a-z]){re.escape(brand)}", names) is not None


@lru_cache(maxsize=4)
def _descriptions(code: str) -> dict[str, str]:
    nodes = _read(f"{code}/nodeDefs.json")
    return {node_id: texts["description"] for node_id, texts in nodes.items()}


@lru_cache(maxsize=1)
def _search_words() -> dict[str, dict[str, list[str]]]:
    words: dict[str, dict[str, list[str]]] = _read("search.json")
    return words


def _read(name: str) -> Any:
    return json.loads((_LOCALES / name).read_text(encoding="utf-8"))
