"""Values that a newer text of the platform names for fields which the document leaves open."""

from __future__ import annotations

import re

from ...engine.base.words import tr

_GPT_IMAGE_SIZES = (
    "1254x1254, 1024x1536, 1536x1024, 1086x1448, 1448x1086, 1122x1402, 1402x1122, 1672x941, "
    "941x1672, 1915x821, 821x1915"
)
_RATIOS = "16:9, 9:16, 1:1, 4:3, 3:4"
# (model, name of the field) -> values, or the first and the last one; a first match counts.
_VALUES = (
    (r"gpt-image-2", "size", _GPT_IMAGE_SIZES),
    (r"gemini-3\..*-image", "size", "512, 1K, 2K, 4K"),
    (r"gemini-3\..*-image", "aspect_ratio", "1:1, 16:9, 9:16, 3:4, 4:3"),
    (r"video-(fast|pro)-720p", "duration", "4 - 15"),
    (r"video-(fast|pro)-720p", "aspect_ratio", "16:9, 9:16, 1:1, 21:9, 3:4, 4:3"),
    (r"wan2\.7-.*", "duration", "2 - 15"),
    (r"wan2\.7-.*", "ratio", _RATIOS),
    (r"(wan2\.7|happyhorse-1\.0)-.*", "resolution", "720P, 1080P"),
    (r"happyhorse-1\.0-.*", "ratio", _RATIOS),
    (r"omni_flash.*", "duration", "4, 6, 8, 10"),
    (r"omni_flash.*", "aspect_ratio", "16:9, 9:16"),
)


def suggestion(model: str, field: str) -> str:
    """What the help of a field adds: suggested values, never a limit; "" where there is nothing."""
    values = _values(model, field)
    return tr("Suggested, unverified: {values}.", values=values) if values else ""


def suggested(model: str, field: str) -> tuple[str, ...]:
    """The suggested values one by one; none where they are a range."""
    values = _values(model, field)
    return () if not values or " - " in values else tuple(values.split(", "))


def _values(model: str, field: str) -> str:
    return next(
        (
            values
            for pattern, name, values in _VALUES
            if name == field and re.fullmatch(pattern, model)
        ),
        "",
    )
