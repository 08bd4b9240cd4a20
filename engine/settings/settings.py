"""The settings, with their defaults and environment variables."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..base.errors import InvalidInput
from ..base.types import Json
from ..base.words import tr
from . import folders, json_file

_OWN_HOSTS = ("auto", "s3")  # of media, beside the platforms whose uploads are public
_public_hosts: Callable[[], Sequence[str]] = tuple


def use_media_hosts(public: Callable[[], Sequence[str]]) -> None:
    """`public` tells which platforms may host media for the others."""
    global _public_hosts
    _public_hosts = public


# -- what each kind of setting accepts ----------------------------------------------------------


class InvalidValue(Exception):
    """A value that a setting cannot take; the text says what it can."""

    def __init__(self, wanted: str, inside: str = "") -> None:
        super().__init__(wanted)
        self.inside = inside


def _count(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise InvalidValue(tr("a whole number, 1 or more"))


def _amount(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf"):
        return value
    raise InvalidValue(tr("a number above 0"))


def _flag(value: Any) -> bool:
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise InvalidValue(tr("true or false"))


def _text(value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise InvalidValue(tr("a text"))


def _name(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._-]+", value.strip()):
        return value.strip()
    raise InvalidValue(tr("a name of letters, digits, dots and dashes"))


def _prefix(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._/-]+", value.strip()):
        return value.strip().strip("/")
    raise InvalidValue(tr("a path of letters, digits, dots, dashes and slashes"))


def _hours(value: Any) -> float:
    # A signature of S3 holds for a week at most.
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 1 <= value <= 168:
        return value
    raise InvalidValue(tr("a number from 1 to 168"))


def _media_host(value: Any) -> str:
    named = value.strip().lower() if isinstance(value, str) else ""
    offered = [*_OWN_HOSTS, *_public_hosts()]
    if named in offered:
        return named
    raise InvalidValue(tr("one of: {names}", names=", ".join(offered)))


def _folder(value: Any) -> Path:
    with suppress(RuntimeError):  # "~someone" who has no home
        path = Path(value).expanduser() if isinstance(value, str) else Path()
        if path.is_absolute():
            return path
    raise InvalidValue(tr("the full path of a folder"))


def address(value: Any) -> str:
    """`value` as a base URL without its last slash. To be called through `fitted`."""
    text = value.strip().rstrip("/") if isinstance(value, str) else ""
    if _is_address(text):
        return text
    raise InvalidValue(tr("an address such as https://example.com"))


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host = parts.hostname if parts.port != 0 else ""  # a port that is no number raises
    except ValueError:
        return False
    bare = not (parts.query or parts.fragment or "@" in parts.netloc)
    clean = text.isascii() and text.isprintable() and " " not in text
    return parts.scheme in ("http", "https") and bool(host) and bare and clean


def _addresses(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InvalidValue(tr("a table of platforms and their addresses"))
    return {name: _address_of(name, url) for name, url in value.items()}


def _address_of(name: str, url: Any) -> str:
    try:
        return address(url)
    except InvalidValue as invalid:
        raise InvalidValue(str(invalid), inside=f".{name}") from None


def validated(parse: Callable[[Any], Any], value: Any, where: str) -> Any:
    """`value` as `reads` takes it; InvalidInput naming `where`, never the value, if it does not."""
    try:
        return parse(value)
    except InvalidValue as invalid:
        raise InvalidInput(
            tr("{where} must be {wanted}.", where=where + invalid.inside, wanted=invalid),
            do=tr("Correct it, or remove it to get the default."),
        ) from None


# -- the settings -------------------------------------------------------------------------------


def _setting(variable: str, parse: Callable[[Any], Any]) -> dict[str, Any]:
    return {"variable": variable, "reads": parse}


@dataclass(frozen=True)
class Settings:
    """Every setting: its environment variable (which wins over settings.json) and its default.

    max_parallel     tasks of one platform at the same time
    time_limit_s     seconds to wait for one task; None waits as long as it runs
    max_result_mb    largest result file taken, in MB of 1024 * 1024 bytes
    results_dir      folder of the results; None is ComfyUI's output folder, else ./skyport-output
    sandbox          use the imitated platforms on this machine instead of the real ones
    language         "en" or "zh"; None follows ComfyUI, else the system
    catalogue_hours  age at which a live model list is asked for again
    reuse_results    deliver a stored result again instead of paying twice
    keep_days        days for which the ledger remembers what is over
    media_host       where media are put for a platform that has no upload of its own: "auto", "s3",
                     or a platform whose uploads are public
    s3_endpoint      address of the S3-compatible service; "" is AWS
    s3_bucket        name of the bucket, "" where there is none
    s3_region        its region; "" leaves it to boto3
    s3_prefix        folder in the bucket
    s3_hours         hours for which a file in it can be fetched by its URL
    base_urls        addresses by platform, over the platforms' own defaults
    """

    max_parallel: int = field(default=8, metadata=_setting("SKYPORT_MAX_PARALLEL", _count))
    time_limit_s: float | None = field(
        default=None, metadata=_setting("SKYPORT_TIME_LIMIT_S", _amount)
    )
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
    keep_days: float = field(default=90, metadata=_setting("SKYPORT_KEEP_DAYS", _amount))
    media_host: str = field(default="auto", metadata=_setting("SKYPORT_MEDIA_HOST", _media_host))
    s3_endpoint: str = field(default="", metadata=_setting("SKYPORT_S3_ENDPOINT", address))
    s3_bucket: str = field(default="", metadata=_setting("SKYPORT_S3_BUCKET", _name))
    s3_region: str = field(default="", metadata=_setting("SKYPORT_S3_REGION", _name))
    s3_prefix: str = field(default="skyport", metadata=_setting("SKYPORT_S3_PREFIX", _prefix))
    s3_hours: float = field(default=24, metadata=_setting("SKYPORT_S3_HOURS", _hours))
    # One variable a platform, read where addresses are asked for: see _keys.base_url.
    base_urls: Mapping[str, str] = field(default_factory=dict, metadata=_setting("", _addresses))


# What the file and the environment told, and the settings that made.
_writing = threading.Lock()
_loaded: tuple[Mapping[str, Json], Mapping[str, str], Settings] | None = None


def load() -> Settings:
    """The settings as they are now: environment, settings.json, defaults. Cheap: call it often.

    The same object, until they change. Raises InvalidInput naming the file or variable and the
    setting that is wrong.
    """
    global _loaded
    tree = json_file.read(_file())
    told = {name: os.environ.get(variable, "").strip() for name, variable in _VARIABLES.items()}
    if _loaded is None or _loaded[0] is not tree or _loaded[1] != told:
        _loaded = (tree, told, Settings(**{**_from_file(tree), **_from_environment(told)}))
    return _loaded[2]


def save(changes: Mapping[str, Json]) -> Settings:
    """Write `changes` into settings.json and return what holds then. None goes back to the default.

    `base_urls` is merged platform by platform. What the file holds beside is kept.
    Raises InvalidInput and writes nothing where a name or a value is wrong.
    """
    unknown = set(changes) - set(_PARSERS)
    if unknown:
        raise InvalidInput(tr("There is no setting named {name}.", name=sorted(unknown)[0]))
    with _writing:
        tree = _merged(json_file.read(_file()), changes)
        _from_file(tree)
        json_file.write(_file(), tree)
    return load()


def sources() -> dict[str, str]:
    """Where each setting comes from now: "environment", "file" or "default"."""
    stored = json_file.read(_file())
    return {name: _source(name, stored) for name in _PARSERS}


def variable(name: str) -> str:
    """The environment variable of a setting, "" where it has none."""
    return _VARIABLES[name]


# -- where things are ---------------------------------------------------------------------------


def results() -> Path:
    """The folder of the results: the setting, the host's, ./skyport-output. May not exist yet."""
    return (load().results_dir or folders.results()).absolute()


# -- JSON files in the data folder --------------------------------------------------------------


# -- inside -------------------------------------------------------------------------------------

_PARSERS: dict[str, Callable[[Any], Any]] = {f.name: f.metadata["reads"] for f in fields(Settings)}
_VARIABLES: dict[str, str] = {f.name: f.metadata["variable"] for f in fields(Settings)}


def _file() -> Path:
    return folders.home() / "settings.json"


def _source(name: str, stored: Mapping[str, Json]) -> str:
    if os.environ.get(_VARIABLES[name], "").strip():
        return "environment"
    return "default" if stored.get(name) is None else "file"


def _from_file(tree: Mapping[str, Json]) -> dict[str, Any]:
    known = {name: tree[name] for name in _PARSERS if tree.get(name) is not None}
    return {
        name: validated(_PARSERS[name], value, f"{_file()}: {name}")
        for name, value in known.items()
    }


def _from_environment(told: Mapping[str, str]) -> dict[str, Any]:
    return {name: _from_text(name, text) for name, text in told.items() if text}


def _from_text(name: str, text: str) -> Any:
    parse = _PARSERS[name]
    try:
        return parse(_plain(text))
    except InvalidValue:
        return validated(parse, text, _VARIABLES[name])


def _plain(text: str) -> Json:
    """What `text` would be in JSON, where that is a number or a truth."""
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    with suppress(ValueError):
        return words[text.lower()] if text.lower() in words else json.loads(text)
    return text


def _merged(tree: Mapping[str, Json], changes: Mapping[str, Json]) -> dict[str, Json]:
    merged = _laid_over(tree, changes)
    below, above = tree.get("base_urls"), changes.get("base_urls")
    if isinstance(below, dict) and isinstance(above, dict):
        merged["base_urls"] = _laid_over(below, above)
    return merged


def _laid_over(below: Mapping[str, Json], above: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in {**below, **above}.items() if value is not None}
