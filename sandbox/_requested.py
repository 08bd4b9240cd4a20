"""Size, length and count requested by parameters, whatever a model calls them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SIZE = re.compile(r"(\d{2,4})\s*[x*]\s*(\d{2,4})", re.IGNORECASE)
_RATIO = re.compile(r"(\d{1,2}):(\d{1,2})")
_LONGEST = {"1k": 1024, "2k": 2048, "4k": 2048}
_DEFAULT_LONGEST = 768

Values = Mapping[str, Any]


def size(values: Values) -> tuple[int, int] | None:
    """(width, height) requested as numbers, "1024x768" or "16:9"; None without a request."""
    low = _lowered(values)
    if _is_side(low.get("width")) and _is_side(low.get("height")):
        return low["width"], low["height"]
    texts = [v for v in low.values() if isinstance(v, str)]
    if found := next((m for t in texts if (m := _SIZE.fullmatch(t.strip()))), None):
        return max(16, int(found[1])), max(16, int(found[2]))
    ratio = next((m for t in texts if (m := _RATIO.fullmatch(t.strip()))), None)
    return _of_ratio(int(ratio[1]), int(ratio[2]), low) if ratio else None


def seconds(values: Values, otherwise: float) -> float:
    """The requested length."""
    low = _lowered(values)
    found = low.get("duration", low.get("seconds", otherwise))
    return float(found) if isinstance(found, (int, float)) else otherwise


def count(values: Values) -> int:
    """The requested number of pictures, 1..8."""
    low = _lowered(values)
    found = next((low[n] for n in ("n", "num", "count", "num_images") if n in low), 1)
    return min(max(found, 1), 8) if type(found) is int else 1


def _lowered(values: Values) -> dict[str, Any]:
    return {name.lower(): value for name, value in values.items()}


def _is_side(value: Any) -> bool:
    return type(value) is int and value >= 16


def _of_ratio(across: int, down: int, low: Values) -> tuple[int, int] | None:
    if not across or not down:
        return None
    longest = _LONGEST.get(str(low.get("resolution", "")).lower(), _DEFAULT_LONGEST)
    scale = longest / max(across, down)
    return max(16, round(across * scale)), max(16, round(down * scale))
