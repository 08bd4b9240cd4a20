"""OpenComputing's prices, by the call that its public server has (github yumoqing/llmage)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...engine.base.errors import InputRejected, NotFound
from ...engine.base.types import Json, Model
from ...engine.http.client import Http
from ...engine.http.response import Response
from ...engine.platforms.price_text import read_prices


def rows(
    http: Http, path: str, models: Sequence[Model], unwrap: Callable[[Response], Json]
) -> list[Json]:
    """A row for each model of which the platform tells the price.

    Raises NotFound where it has no such call: it is not asked for the other models then.
    """
    found: list[Json] = []
    for model in models:
        try:
            answer = unwrap(http.get(path, {"model": model.id, "catelogid": model.task}))
        except InputRejected:
            continue
        except NotFound:
            if not found:
                raise
            continue
        found += _row(model, answer)
    return found


def _row(model: Model, answer: Json) -> list[dict[str, Any]]:
    text = answer.get("display_text") if isinstance(answer, dict) else None
    if not isinstance(text, str) or not text.strip():
        return []
    row = {"model": model.id, "task": model.task, "text": text.strip()}
    return [{**row, "prices": read_prices(text)}]
