"""The settings: defaults, settings.json and environment variables."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..base.errors import InvalidInput
from ..base.types import Json
from ..base.words import tr
from . import folders, json_file, ledger_url
from .addresses import address, addresses, completed
from .caps import Caps, costs, tasks
from .invalid import InvalidSetting
from .results_url import results_url
from .units import has_thousands, unit_of

URL, INLINE = "url", "inline"  # how media go to a platform: by address, or inside the request
_MEDIA_FORMS = (URL, INLINE)
AUTO = "auto"  # as many tasks at the same time as the platform takes
_OWN_HOSTS = ("auto", "s3")  # media hosts besides the platforms whose uploads are public
_public_hosts: Callable[[], Sequence[str]] = tuple
_platforms: Callable[[], Sequence[str]] = tuple


def use_media_hosts(public: Callable[[], Sequence[str]]) -> None:
    """Register `public`, which lists the platforms that can host media for the others."""
    global _public_hosts
    _public_hosts = public


def use_platforms(names: Callable[[], Sequence[str]]) -> None:
    """Register `names`, which lists the platforms that a limit may name."""
    global _platforms
    _platforms = names


# -- what each kind of setting accepts ----------------------------------------------------------


def _count(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise InvalidSetting(tr("a whole number, 1 or more"))


def _count_or_auto(value: Any) -> int | str:
    if isinstance(value, str) and value.strip().lower() == AUTO:
        return AUTO
    try:
        return _count(value)
    except InvalidSetting:
        raise InvalidSetting(tr('a whole number, 1 or more, or "auto"')) from None


def _amount(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf"):
        return value
    raise InvalidSetting(tr("a number above 0"))


def _flag(value: Any) -> bool:
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise InvalidSetting(tr("true or false"))


def _text(value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise InvalidSetting(tr("text"))


def _name(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._-]+", value.strip()):
        return value.strip()
    raise InvalidSetting(tr("a name of letters, digits, dots, dashes and underscores"))


def _prefix(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._/-]+", value.strip()):
        return value.strip().strip("/")
    raise InvalidSetting(tr("a path of letters, digits, dots, dashes, underscores and slashes"))


def hosts(value: Any) -> tuple[str, ...]:
    """`value` as host names, in small letters. To be called through `validated`."""
    parts = value.split(",") if isinstance(value, str) else value
    if isinstance(parts, (list, tuple)) and all(isinstance(one, str) for one in parts):
        names = tuple(one.strip().lower() for one in parts if one.strip())
        if names and all(re.fullmatch(r"(\*\.)?[a-z0-9._-]+", name) for name in names):
            return names
    raise InvalidSetting(tr("names such as comfy.example.com or *.example.com"))


def _hours(value: Any) -> float:
    # An S3 signature is valid for a week at most.
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 1 <= value <= 168:
        return value
    raise InvalidSetting(tr("a number from 1 to 168"))


def _media_host(value: Any) -> str:
    name = value.strip().lower() if isinstance(value, str) else ""
    names = [*_OWN_HOSTS, *_public_hosts()]
    if name in names:
        return name
    raise InvalidSetting(tr("one of: {names}", names=", ".join(names)))


def _media_form(value: Any) -> str:
    name = value.strip().lower() if isinstance(value, str) else ""
    if name in _MEDIA_FORMS:
        return name
    raise InvalidSetting(tr("one of: {names}", names=", ".join(_MEDIA_FORMS)))


def _amounts(value: Any) -> str:
    """`value`, a number or amounts with their units, as text."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    text = f"{value:.15g}" if is_number else value.strip() if isinstance(value, str) else "?"
    if not text:
        return ""
    try:
        amounts_in(text)
    except ValueError:
        raise InvalidSetting(tr('an amount such as 5, "5 CNY" or "5 CNY, 100 credits"')) from None
    return text


def amounts_in(text: str) -> dict[str, float]:
    """The amounts of `5 CNY, 100 credits` by their units, in small letters; "" for a bare number.

    Raises ValueError.
    """
    amounts: dict[str, float] = {}
    if has_thousands(text):
        raise ValueError(text)
    for part in re.split(r"\s*[,;]\s*", text):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([^\d\s.,;-][^\d,;]*)?", part)
        unit = unit_of(match[2] or "").lower() if match else ""
        if match is None or unit in amounts:
            raise ValueError(part)
        amounts[unit] = float(match[1])
    return amounts


def _folder(value: Any) -> Path:
    with suppress(RuntimeError):  # "~someone" who has no home
        path = Path(value).expanduser() if isinstance(value, str) else Path()
        if path.is_absolute():
            return path
    raise InvalidSetting(tr("the full path of a folder"))


def _folders(value: Any) -> tuple[str, ...]:
    """Full paths: a list, or a text in which they are separated as in PATH."""
    paths = value.split(os.pathsep) if isinstance(value, str) else value
    if not isinstance(paths, (list, tuple)):
        raise InvalidSetting(tr("full paths of folders, separated by {mark}", mark=os.pathsep))
    paths = [path.strip() if isinstance(path, str) else path for path in paths]
    return tuple(str(_folder(path)) for path in paths if path != "")


def _task_caps(value: Any) -> Caps:
    return tasks(value, _platforms())


def _cost_caps(value: Any) -> Caps:
    return costs(value, _platforms())


def validated(parse: Callable[[Any], Any], value: Any, where: str) -> Any:
    """`value` parsed by `parse`. Raises InvalidInput, which names `where` and never the value."""
    try:
        return parse(value)
    except InvalidSetting as invalid:
        raise InvalidInput(
            tr("{where} must be {wanted}.", where=where + invalid.inside, wanted=invalid),
            do=tr("Correct it, or remove it to get the default."),
        ) from None


# -- the settings -------------------------------------------------------------------------------


def _setting(variable: str, parse: Callable[[Any], Any]) -> dict[str, Any]:
    return {"variable": variable, "parse": parse}


@dataclass(frozen=True)
class Settings:
    """Every setting: its environment variable (which wins over settings.json) and its default.

    max_parallel     tasks of one platform at the same time; "auto" is as many as it takes
    most_per_task    results that one task may ask for where the platform states no maximum
    time_limit_s     seconds to wait for one task; None waits as long as it runs
    patience_s       seconds without any answer of the platform after which a node stops waiting
    max_result_mb    largest result file accepted, in MB of 1024 * 1024 bytes
    results_dir      folder of the results; None is ComfyUI's output folder, else ./skyport-output
    sandbox          use the imitated platforms on this machine instead of the real ones
    language         "en" or "zh"; None follows ComfyUI, else the system
    catalogue_hours  age in hours at which a platform's model list is fetched again
    reuse_results    deliver a stored result again instead of paying twice
    head_start       begin what queued prompts order as soon as ComfyUI has them in its queue
    confirm_above    cost above which the editor asks before it queues: "5 CNY, 100 credits", or a
                     number for every unit; 0 asks for every task, "" never
    keep_days        days for which the ledger keeps finished tasks
    keep_graphs      keep each queued graph with cloud nodes beside its tasks, without keys
    media_host       what hosts media for a platform without uploads of its own: "auto", "s3", or a
                     platform whose uploads are public
    s3_endpoint      address of the S3-compatible service; "" is AWS
    s3_bucket        name of the bucket, "" where there is none
    s3_region        its region; "" leaves it to boto3
    s3_prefix        folder in the bucket
    s3_hours         hours for which the URL of a file in it is valid
    happyhorse_media how media go to HappyHorse: "url", or "inline" for inside the request
    allowed_hosts    names under which a proxy or tunnel leads to ComfyUI, also *.example.com; where
                     there are any, no other name is answered, only addresses and localhost
    limit_tasks_per_queue, limit_tasks_per_day, limit_cost_per_day, limit_cost_per_month
                     at most so many tasks or so much cost: a number, "20, gpugeek=5" or
                     {"all": 20, "gpugeek": 5}, costs also with a unit ("5 CNY")
    notify_after_s   seconds that a task, or those of one queue, must have taken for a notice to be
                     sent of its end
    notify_prompts   whether prompts may stand in notices
    allowed_folders  folders outside ComfyUI's whose files a workflow may take along by their paths
    ledger_url       database of a team's ledger, as postgresql://user@host/name; "" is the one in
                     the data folder. A password in it is a key: see `keys.ledger_password`
    results_url      where `skyport batch` puts its results: the full path of a folder, or
                     s3://bucket/folder; "" is `batches` in the folder of the results
    base_urls        addresses by platform, which replace the platforms' own defaults
    """

    max_parallel: int | str = field(
        default=AUTO, metadata=_setting("SKYPORT_MAX_PARALLEL", _count_or_auto)
    )
    most_per_task: int = field(default=10, metadata=_setting("SKYPORT_MOST_PER_TASK", _count))
    time_limit_s: float | None = field(
        default=None, metadata=_setting("SKYPORT_TIME_LIMIT_S", _amount)
    )
    patience_s: float = field(default=900, metadata=_setting("SKYPORT_PATIENCE_S", _amount))
    max_result_mb: int = field(default=4096, metadata=_setting("SKYPORT_MAX_RESULT_MB", _count))
    results_dir: Path | None = field(
        default=None, metadata=_setting("SKYPORT_RESULTS_DIR", _folder)
    )
    sandbox: bool = field(default=False, metadata=_setting("SKYPORT_SANDBOX", _flag))
    language: str | None = field(default=None, metadata=_setting("SKYPORT_LANG", _text))
    catalogue_hours: float = field(
        default=24, metadata=_setting("SKYPORT_CATALOGUE_HOURS", _amount)
    )
    reuse_results: bool = field(default=True, metadata=_setting("SKYPORT_REUSE_RESULTS", _flag))
    head_start: bool = field(default=True, metadata=_setting("SKYPORT_HEAD_START", _flag))
    confirm_above: str = field(default="", metadata=_setting("SKYPORT_CONFIRM_ABOVE", _amounts))
    keep_days: float = field(default=90, metadata=_setting("SKYPORT_KEEP_DAYS", _amount))
    keep_graphs: bool = field(default=True, metadata=_setting("SKYPORT_KEEP_GRAPHS", _flag))
    media_host: str = field(default="auto", metadata=_setting("SKYPORT_MEDIA_HOST", _media_host))
    s3_endpoint: str = field(default="", metadata=_setting("SKYPORT_S3_ENDPOINT", address))
    s3_bucket: str = field(default="", metadata=_setting("SKYPORT_S3_BUCKET", _name))
    s3_region: str = field(default="", metadata=_setting("SKYPORT_S3_REGION", _name))
    s3_prefix: str = field(default="skyport", metadata=_setting("SKYPORT_S3_PREFIX", _prefix))
    s3_hours: float = field(default=24, metadata=_setting("SKYPORT_S3_HOURS", _hours))
    happyhorse_media: str = field(
        default=URL, metadata=_setting("SKYPORT_HAPPYHORSE_MEDIA", _media_form)
    )
    allowed_hosts: tuple[str, ...] = field(
        default=(), metadata=_setting("SKYPORT_ALLOWED_HOSTS", hosts)
    )
    limit_tasks_per_queue: Caps = field(
        default=Caps(), metadata=_setting("SKYPORT_LIMIT_TASKS_PER_QUEUE", _task_caps)
    )
    limit_tasks_per_day: Caps = field(
        default=Caps(), metadata=_setting("SKYPORT_LIMIT_TASKS_PER_DAY", _task_caps)
    )
    limit_cost_per_day: Caps = field(
        default=Caps(), metadata=_setting("SKYPORT_LIMIT_COST_PER_DAY", _cost_caps)
    )
    limit_cost_per_month: Caps = field(
        default=Caps(), metadata=_setting("SKYPORT_LIMIT_COST_PER_MONTH", _cost_caps)
    )
    allowed_folders: tuple[str, ...] = field(
        default=(), metadata=_setting("SKYPORT_ALLOWED_FOLDERS", _folders)
    )
    notify_after_s: float = field(default=60, metadata=_setting("SKYPORT_NOTIFY_AFTER_S", _amount))
    notify_prompts: bool = field(default=False, metadata=_setting("SKYPORT_NOTIFY_PROMPTS", _flag))
    ledger_url: str = field(
        default="", metadata=_setting("SKYPORT_LEDGER_URL", ledger_url.without_password)
    )
    results_url: str = field(default="", metadata=_setting("SKYPORT_RESULTS_URL", results_url))
    # One variable per platform, read where the address is needed: see keys.base_url.
    base_urls: Mapping[str, str] = field(default_factory=dict, metadata=_setting("", addresses))

    @property
    def parallel_cap(self) -> float:
        """The most tasks of one platform at the same time, infinite for as many as it takes."""
        return math.inf if isinstance(self.max_parallel, str) else self.max_parallel


# Content of the file, texts of the environment, and the settings that they make.
_loaded: tuple[Mapping[str, Json], Mapping[str, str], Settings] | None = None


def load() -> Settings:
    """The current settings: environment, settings.json, defaults. Cheap: call it often.

    Returns the same object until they change. Raises InvalidInput naming the file or variable and
    the setting that is wrong.
    """
    global _loaded
    tree = json_file.read(_file())
    # Asking for each variable would take ten times as long: most are not set.
    found = _NAMES.keys() & os.environ.keys()
    texts = {_NAMES[variable]: os.environ.get(variable, "").strip() for variable in found}
    if _loaded is None or _loaded[0] is not tree or _loaded[1] != texts:
        _loaded = (tree, texts, Settings(**{**_from_file(tree), **_from_environment(texts)}))
    return _loaded[2]


def save(changes: Mapping[str, Json]) -> Settings:
    """Write `changes` into settings.json and return the new settings. None restores the default.

    `base_urls` is merged platform by platform, and example.com becomes https://example.com.
    Everything else in the file is preserved.
    Raises InvalidInput, and writes nothing, where a name or a value is wrong.
    """
    check(changes)
    changes = _with_schemes(changes)
    if ledger_url.password_in(changes.get("ledger_url")):
        raise InvalidInput(
            tr("The password does not belong in settings.json."),
            do=tr("Leave it out, and run `skyport keys set ledger`."),
        )
    with json_file.updating(_file()):
        tree = _merged(json_file.read(_file()), changes)
        folder = _from_file(tree).get("results_dir")
        if folder is not None and changes.get("results_dir") is not None:
            folders.check_writable(folder)
        json_file.write(_file(), tree)
    return load()


def check(changes: Mapping[str, Json]) -> None:
    """Raise InvalidInput where `save` would refuse a name or a value, in words about the value.

    None, which restores a default, is right for every setting and every address.
    """
    unknown = set(changes) - set(_PARSERS)
    if unknown:
        raise InvalidInput(tr("There is no setting named {name}.", name=sorted(unknown)[0]))
    for name, value in _with_schemes(changes).items():
        if name == "base_urls" and isinstance(value, dict):
            value = {platform: url for platform, url in value.items() if url is not None}
        if value is not None:
            validated(_PARSERS[name], value, name)


def sources() -> dict[str, str]:
    """Where each setting comes from now: "environment", "file" or "default"."""
    stored = json_file.read(_file())
    return {name: _source(name, stored) for name in _PARSERS}


def variable(name: str) -> str:
    """The environment variable of a setting, "" where it has none."""
    return _VARIABLES[name]


def results() -> Path:
    """The folder of the results: the setting, the host's, ./skyport-output. May not exist yet."""
    return (load().results_dir or folders.results()).absolute()


# -- inside -------------------------------------------------------------------------------------

_PARSERS: dict[str, Callable[[Any], Any]] = {f.name: f.metadata["parse"] for f in fields(Settings)}
_VARIABLES: dict[str, str] = {f.name: f.metadata["variable"] for f in fields(Settings)}
_NAMES = {variable: name for name, variable in _VARIABLES.items()}


def _file() -> Path:
    return folders.home() / "settings.json"


def _source(name: str, stored: Mapping[str, Json]) -> str:
    if os.environ.get(_VARIABLES[name], "").strip():
        return "environment"
    return "default" if stored.get(name) is None else "file"


def _from_file(tree: Mapping[str, Json]) -> dict[str, Any]:
    stored = {name: tree[name] for name in _PARSERS if tree.get(name) is not None}
    return {
        name: validated(_PARSERS[name], value, f"{_file()}: {name}")
        for name, value in stored.items()
    }


def _from_environment(texts: Mapping[str, str]) -> dict[str, Any]:
    return {name: _from_text(name, text) for name, text in texts.items() if text}


def _from_text(name: str, text: str) -> Any:
    parse = _PARSERS[name]
    try:
        return parse(_number_or_flag(text))
    except InvalidSetting:
        return validated(parse, text, _VARIABLES[name])


def _number_or_flag(text: str) -> Json:
    """`text` as JSON would read it, also with yes, no, on and off; else `text` itself."""
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    with suppress(ValueError):
        return words[text.lower()] if text.lower() in words else json.loads(text)
    return text


def _with_schemes(changes: Mapping[str, Json]) -> dict[str, Json]:
    urls = changes.get("base_urls")
    changed = dict(changes)
    if "s3_endpoint" in changes:
        changed["s3_endpoint"] = completed(changes["s3_endpoint"])
    if isinstance(urls, dict):
        changed["base_urls"] = {name: completed(url) for name, url in urls.items()}
    return changed


def _merged(tree: Mapping[str, Json], changes: Mapping[str, Json]) -> dict[str, Json]:
    merged = _updated(tree, changes)
    before, after = tree.get("base_urls"), changes.get("base_urls")
    if isinstance(before, dict) and isinstance(after, dict):
        merged["base_urls"] = _updated(before, after)
    return merged


def _updated(tree: Mapping[str, Json], changes: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in {**tree, **changes}.items() if value is not None}
