"""Values that a newer text of the platform names for fields which the document leaves open."""

from __future__ import annotations

import re

from ...engine.base.words import tr

_GPT_IMAGE_SIZES = (
    "1254x1254, 1024x1536, 1536x1024, 1086x1448, 1448x1086, 1122x1402, 1402x1122, 1672x941, "
    "941x1672, 1915x821, 821x1915"
)
# (model, name of the field) -> values; a first match counts.
_VALUES = (
    (r"gpt-image-2", "size", _GPT_IMAGE_SIZES),
    (r"video-(fast|pro)-720p", "duration", "4 - 15"),
    (r"wan2\.7-.*", "duration", "2 - 15"),
    (r"omni_flash.*", "duration", "4, 6, 8, 10"),
)


def suggestion(model: str, field: str) -> str:
    """What the help of a field adds: suggested values, never a limit; "" where there is nothing."""
    for pattern, name, values in _VALUES:
        if name == field and re.fullmatch(pattern, model):
            return tr("Suggested, unverified: {values}.", values=values)
    return ""
