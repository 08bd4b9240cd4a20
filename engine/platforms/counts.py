"""How many results one task may ask for where the platform states no maximum."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..base.errors import InvalidInput
from ..base.json_tree import number
from ..base.types import Json, Param
from ..base.words import tr
from ..settings import settings

_RESULT = (
    r"(?:images?|img|pictures?|pics?|photos?|videos?|clips?|songs?|tracks?|outputs?|results?"
    r"|samples?|variations?|variants?|generations?)"
)
_AMOUNT = r"(?:n|nums?|number|count|quantity|qty)"
_NAME = re.compile(
    rf"{_AMOUNT}|batch(?:{_AMOUNT}|size)?|samples"
    rf"|(?:{_AMOUNT}|numberof|max){_RESULT}(?:per(?:prompt|task|request))?"
    rf"|(?:{_RESULT}|gen|generate|generated){_AMOUNT}"
)
# "amount" and "number of sheets" in Chinese, but not an amount of frames.
_LABEL = re.compile("(?<!\u5e27)\u6570\u91cf|\u5f20\u6570")


def is_count(param: Param) -> bool:
    """Whether `param` says how many results one task makes, with no maximum of the platform's."""
    is_open = param.max is None and not param.choices
    is_plain = param.media_kind is None and param.type not in ("text", "boolean")
    is_single = "[" not in param.type
    return is_open and is_plain and is_single and is_count_name(param.name, param.label)


def refusal(name: str, value: Json) -> str:
    """Why `value` of the count `name` is refused: it is above the setting; "" where it is not."""
    asked, most = number(value), settings.load().most_per_task
    if isinstance(value, bool) or asked is None or asked <= most:
        return ""
    return tr(
        "{name} asks for {count} results in one task, and each may be charged; the setting "
        "most_per_task allows {most}",
        name=name,
        count=f"{asked:.15g}",
        most=most,
    )


def how_to_allow() -> str:
    return tr("Ask for fewer, or raise most_per_task in Skyport's settings. Nothing was sent.")


def check_free(fields: Json, label: str) -> None:
    """Raises InvalidInput where fields that no table describes ask for too many results."""
    for name, value in counted(fields):
        if why := refusal(name, value):
            raise InvalidInput(f"{why}.", do=how_to_allow(), platform=label)


def counted(tree: Json) -> Iterator[tuple[str, Json]]:
    """Each count in fields that no table describes, at any depth, with its name."""
    if isinstance(tree, Mapping):
        yield from ((name, value) for name, value in tree.items() if is_count_name(name))
    inner = tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, list) else ()
    for value in inner:
        yield from counted(value)


def is_count_name(name: str, label: str = "") -> bool:
    """Whether a parameter of that name says how many results one task makes."""
    plain = re.sub(r"[^a-z]", "", name.lower())
    return bool(_NAME.fullmatch(plain) or _LABEL.search(name + label))
