"""What an order's price depends on: its model, and the parameters that move the price.

The same key is read from a request, from an order in the ledger and from the values of a form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ..base.json_tree import number, parse_strict
from ..base.types import Json, Model
from ..platforms.counts import is_count_name
from ..workflows.api_format import is_link
from ..workflows.graph import is_node

DURATION, COUNT, TASK = "duration", "count", "task"
WORKFLOW = "workflow"  # the model of a workflow that has no number
_LONGEST = 40  # characters of a value that can be a choice
_PROMPTS = ("prompt", "sys_prompt", "system_prompt")
_ANSWER_TOKENS = 1000  # assumed where the request sets no limit
_NAMES = {
    "duration": DURATION,
    "durations": DURATION,
    "durationseconds": DURATION,
    "seconds": DURATION,
    "length": DURATION,
    "videolength": DURATION,
    "videoduration": DURATION,
    "resolution": "resolution",
    "resolutionname": "resolution",
    "size": "size",
    "imagesize": "size",
    "videosize": "size",
    "width": "width",
    "height": "height",
    "fps": "fps",
    "frames": "frames",
    "numframes": "frames",
    "steps": "steps",
    "scale": "scale",
    "quality": "quality",
    "mode": "mode",
    "audio": "audio",
    "sound": "audio",
    "generateaudio": "audio",
    "withaudio": "audio",
    "offpeak": "off_peak",
    "servicetier": "tier",
    "tier": "tier",
    "cluster": "cluster",
    "clustername": "cluster",
    "catelogid": TASK,
    "task": TASK,
}
NAMES = frozenset(_NAMES.values()) | {COUNT}
_FLAGS = ("audio",)  # true or false; the same name may hold a medium
_TRUE, _FALSE = ("true", "on", "yes"), ("false", "off", "no")

Drivers = Mapping[str, str | None]


@dataclass(frozen=True)
class PriceKey:
    """What the price of an order depends on.

    model    the platform's name of the model, `maker/model` on HaiYi; the number of an app or of a
             hosted workflow
    drivers  canonical name -> value as `driver_value` spells it; None: not known before it runs
    tokens   estimated tokens of prompt and answer
    """

    platform: str
    model: str
    drivers: Drivers = field(default_factory=dict)
    tokens: int = 0

    def value(self, name: str) -> str | None:
        """The value of a driver; None where it is not known."""
        return self.drivers.get(name, "1" if name == COUNT else None)

    @property
    def count(self) -> float | None:
        """Results of one task; None where that is not known."""
        return number(self.value(COUNT))

    @property
    def seconds(self) -> float | None:
        """The length of one result; None where that is not known."""
        found = number(self.drivers.get(DURATION))
        return found if found is not None and found > 0 else None


def key_of_request(platform: str, payload: Mapping[str, Json]) -> PriceKey:
    """The key of a request's payload, with its files or with their hashes in it."""
    drivers = dict(_read(payload))
    model = payload.get("model")
    if isinstance(model, Mapping):
        name = "/".join(str(model[part]) for part in ("provider", "model") if model.get(part))
        drivers |= {TASK: _text(model["type"])} if model.get("type") else {}
    else:
        name = str(model or payload.get("workflow_id") or WORKFLOW)
    return PriceKey(platform, name, _without_one(drivers), _tokens(payload))


def key_of_form(platform: str, model: str, values: Mapping[str, Json], task: str = "") -> PriceKey:
    """The key of an order whose parameters are `values`; a link is a value not known yet."""
    drivers = dict(_read(values))
    drivers |= {TASK: _text(task)} if task else {}
    return PriceKey(platform, model, _without_one(drivers), _tokens(values))


def with_defaults(key: PriceKey, models: Sequence[Model]) -> PriceKey:
    """`key`, filled up with what the platform does where a parameter is left out.

    Only with that on which all rows of the model agree.
    """
    task = key.drivers.get(TASK)
    rows = [m for m in models if m.id == key.model and (not task or _text(m.task) == task)]
    defaults = [dict(_defaults(row)) for row in rows]
    agreed = {
        name: value
        for name, value in (defaults[0] if defaults else {}).items()
        if all(other.get(name) == value for other in defaults)
    }
    return replace(key, drivers=_without_one({**agreed, **key.drivers}))


def driver_name(name: str) -> str:
    """The canonical name of a parameter that moves the price, "" for any other."""
    plain = re.sub(r"[^a-z]", "", name.lower())
    return _NAMES.get(plain) or (COUNT if is_count_name(name) else "")


def driver_value(name: str, value: Json) -> str | None:
    """`value` in one spelling: "5" for 5.0, "720p" for "720P"; None if it cannot move a price."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and (len(value) > _LONGEST or "://" in value):
        return None
    if not isinstance(value, (str, int, float)):
        return None
    text = _text(value)
    if name in _FLAGS:
        return "true" if text in _TRUE else "false" if text in _FALSE else None
    return text or None


def _text(value: Json) -> str:
    found = number(value)
    if found is not None:
        return f"{found:g}"
    return re.sub(r"(?<=\d)\s*[*x]\s*(?=\d)", "x", str(value).strip().lower())


def _read(tree: Mapping[str, Json]) -> Iterator[tuple[str, str | None]]:
    """The drivers in `tree`, the deepest first: the nearest wins in a dict."""
    for name, value in tree.items():
        found = value if name in _PROMPTS else _object_in(value)
        for inner in found if isinstance(found, list) else [found]:
            if isinstance(inner, Mapping) and not any(map(is_node, inner.values())):
                yield from _read(inner)
    for name, value in tree.items():
        driver = driver_name(name)
        if driver and is_link(value):
            yield driver, None
        elif driver and not _is_left_out(value) and (text := driver_value(driver, value)):
            yield driver, text


def _object_in(value: Json) -> Json:
    """The object that a text field for further parameters holds, else `value`."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        with suppress(ValueError):
            return parse_strict(value)
    return value


def _is_left_out(value: Json) -> bool:
    return value is None or (isinstance(value, str) and value.endswith("(default)"))


def _defaults(row: Model) -> Iterator[tuple[str, str]]:
    for param in row.params:
        name = driver_name(param.name) or driver_name(param.path.rpartition(".")[2])
        if name and param.media_kind is None and (text := driver_value(name, param.default)):
            yield name, text


def _without_one(drivers: Drivers) -> Drivers:
    """One result is what a task makes that names no number."""
    return {name: value for name, value in drivers.items() if (name, value) != (COUNT, "1")}


def _tokens(tree: Mapping[str, Json]) -> int:
    """Estimated tokens: a Chinese character is one, four other letters are one."""
    texts = "".join(text for name in _PROMPTS if isinstance(text := tree.get(name), str))
    wide = sum(ord(character) > 0x2E80 for character in texts)
    limit = number(tree.get("max_tokens"))
    return wide + (len(texts) - wide + 3) // 4 + int(limit or _ANSWER_TOKENS)
