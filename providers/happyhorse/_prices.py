"""The price list that may be beside HappyHorse's API; its document names none."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from ...engine.base.errors import BadResult
from ...engine.base.types import Json
from ...engine.base.words import tr
from ...engine.http.client import Http
from ...engine.http.response import read_json
from ...engine.platforms.price_text import read_prices

_HOST, _PAGE = "kaiyuncode.com", "https://kaiyuncode.com/pricing"
_KEY_PAGE = "https://kaiyuncode.com/account/api-key"


def rows(http: Http) -> list[Json]:
    """A row for each model of `GET {base}/api/pricing`. The key is not sent.

    Raises BadResult where the answer is no list of models.
    """
    base_url = http.base_url.removesuffix("/v1")
    answer = read_json(Http(http.label, base_url, {}, timeout=http.timeout).get("/api/pricing"))
    listed = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(listed, list):
        raise BadResult(tr("The price list could not be read."), platform=http.label)
    return [row for item in listed if isinstance(item, dict) for row in _row(item)]


def top_up_page(base_url: str) -> str:
    """The page for payments, where the person's own address is that of the one known host."""
    return _PAGE if urlsplit(base_url).hostname == _HOST else ""


def page_for_keys(base_url: str) -> str:
    """The page on which keys are made, for the same address only."""
    return _KEY_PAGE if urlsplit(base_url).hostname == _HOST else ""


def _row(item: dict[str, Any]) -> list[dict[str, Any]]:
    name, text = item.get("model_name"), item.get("description")
    if not isinstance(name, str) or not isinstance(text, str) or not text.strip():
        return []
    return [{"model": name, "task": "", "text": text.strip(), "prices": read_prices(text)}]
