"""Keys of the platforms and of S3, and addresses: where they come from. Nothing shows a key."""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import InvalidInput, MissingKey
from ..base.words import tr
from . import folders, json_file, settings

S3_ACCESS, S3_SECRET = "s3_access_key", "s3_secret_key"

_log = logging.getLogger(__name__)
_HALVES = (S3_ACCESS, S3_SECRET)
_SHOWN = 4  # characters of a key that may be shown, and only where it has many more
_LONG = 16


@dataclass(frozen=True, repr=False)
class Key:
    """A platform's key, or half of a bucket's. Its text is in `value` only: printing, formatting or
    logging a Key is safe.

    source  "environment" or "file"
    """

    value: str
    source: str

    def masked(self) -> str:
        """The end of the key, to tell two apart: "...1234"; only "..." for a short one."""
        return "..." + (self.value[-_SHOWN:] if len(self.value) >= _LONG else "")

    def __repr__(self) -> str:
        return f"Key({self.masked()}, {self.source})"


def find(platform: str) -> Key | None:
    """The platform's key: `<PLATFORM>_API_KEY`, else keys.json, else None.

    Where the data folder is a ComfyUI's, the user's own keys.json is looked into after it: that is
    where `skyport keys set` puts a key when it runs outside of that ComfyUI.
    Raises InvalidInput where what is there cannot be a key.
    """
    return _from_environment(platform) or _from_files(platform)


def require(platform: str, label: str, help: str = "") -> Key:
    """The platform's key; MissingKey with every way to set one where there is none."""
    key = find(platform)
    if key is None:
        raise MissingKey(tr("no API key is set."), do=_ways(platform, help), platform=label)
    return key


def _ways(platform: str, help: str) -> str:
    ways = tr(
        "Enter it in ComfyUI's settings under Skyport, run `skyport keys set {platform}`, or set "
        "the environment variable {variable}.",
        platform=platform,
        variable=key_variable(platform),
    )
    return f"{ways} {help}".strip()


def set_key(platform: str, value: str) -> Key:
    """Keep `value` in keys.json. Raises InvalidInput where no HTTP header could carry it."""
    key = Key(_sound(value, platform), "file")
    with _writing:
        json_file.write(_file(), {**_stored(_file()), platform: key.value})
    return key


def remove(platform: str) -> bool:
    """Forget the stored key; False where none was. One in the environment stays."""
    with _writing:
        kept = dict(_stored(_file()))
        had = kept.pop(platform, None) is not None
        if had:
            json_file.write(_file(), kept)
    return had


def is_ours(name: str) -> bool:
    """Whether this data folder keeps the key: what `remove` can take away."""
    return bool(_stored(_file()).get(name))


def listing(platforms: Iterable[str]) -> dict[str, Key | None]:
    """The key of each platform, None where it has none, by platform name."""
    return {platform: find(platform) for platform in platforms}


def s3() -> tuple[Key, Key] | None:
    """(access key id, secret key) of the bucket; None where neither is set.

    Both from one place: SKYPORT_S3_ACCESS_KEY and SKYPORT_S3_SECRET_KEY, else keys.json.
    Raises InvalidInput where one is set without the other.
    """
    pair = [_from_environment(half) for half in _HALVES]
    if pair == [None, None]:
        pair = [_from_files(half) for half in _HALVES]
    access, secret = pair
    if access is not None and secret is not None:
        return access, secret
    if access is None and secret is None:
        return None
    raise InvalidInput(
        tr("S3: one of its two keys is not set."),
        do=tr(
            "Run `skyport keys set s3`, or set both {access} and {secret}.",
            access=key_variable(S3_ACCESS),
            secret=key_variable(S3_SECRET),
        ),
    )


def set_s3(access: str, secret: str) -> Key:
    """Keep both in keys.json; the access key is returned. Raises InvalidInput as `set_key`."""
    kept = {
        S3_ACCESS: _sound(access, tr("access key id")),
        S3_SECRET: _sound(secret, tr("secret access key")),
    }
    with _writing:
        json_file.write(_file(), {**_stored(_file()), **kept})
    return Key(kept[S3_ACCESS], "file")


def remove_s3() -> bool:
    """Forget both stored halves; False where there was none."""
    gone = [remove(half) for half in _HALVES]
    return any(gone)


def s3_variables() -> tuple[str, ...]:
    """Those variables of the bucket's keys that are set."""
    return tuple(key_variable(half) for half in _HALVES if _from_environment(half))


def base_url(platform: str, label: str, default: str = "") -> str:
    """The platform's address, without a slash at its end.

    `<PLATFORM>_BASE_URL`, else `base_urls` in settings.json, else `default`.
    Raises InvalidInput where it is no address, or where there is none.
    """
    variable = url_variable(platform)
    told = os.environ.get(variable, "").strip()
    if told:
        return str(settings.validated(settings.address, told, variable))
    known = settings.load().base_urls.get(platform) or default.rstrip("/")
    if known:
        return known
    raise InvalidInput(
        tr("no address is set."),
        do=tr(
            "Its document names none: enter the address that belongs to your key in ComfyUI's "
            "settings under Skyport, or set the environment variable {variable} to it.",
            variable=variable,
        ),
        platform=label,
    )


def url_source(platform: str) -> str:
    """Where the address comes from: "environment", "file" or "default"."""
    if os.environ.get(url_variable(platform), "").strip():
        return "environment"
    return "file" if platform in settings.load().base_urls else "default"


def key_variable(name: str) -> str:
    """The environment variable of a platform's key, or of half of that of the bucket."""
    return f"SKYPORT_{name.upper()}" if name in _HALVES else f"{name.upper()}_API_KEY"


def url_variable(platform: str) -> str:
    return f"{platform.upper()}_BASE_URL"


# -- inside -------------------------------------------------------------------------------------

_writing = threading.Lock()
_warned: set[Path] = set()


def _from_environment(name: str) -> Key | None:
    variable = key_variable(name)
    told = os.environ.get(variable, "").strip()
    return Key(_sound(told, variable), "environment") if told else None


def _from_files(name: str) -> Key | None:
    for path in _files():
        stored = _stored(path).get(name, "")
        if stored:
            return Key(_sound(stored, f"{path}: {name}"), "file")
    return None


def _file() -> Path:
    return folders.home() / "keys.json"


def _files() -> list[Path]:
    """Where keys are looked for, in order. SKYPORT_HOME, once set, is the only place."""
    if os.environ.get("SKYPORT_HOME"):
        return [_file()]
    return list(dict.fromkeys([_file(), folders.users_own() / "keys.json"]))


def _stored(path: Path) -> dict[str, str]:
    _keep_private(path)
    return json_file.read(path)


def _keep_private(path: Path) -> None:
    """A copied or hand-made file may be open to others: close it and say so."""
    if not _open_to_others(path):
        return
    with suppress(OSError):
        path.chmod(0o600)
    if not _open_to_others(path):
        _log.warning(
            tr("{path} could be read by others on this machine. It is closed now.", path=path)
        )
    elif path not in _warned:  # a file system without modes: once is enough
        _warned.add(path)
        _log.warning(tr("{path} can be read by others on this machine.", path=path))


def _open_to_others(path: Path) -> bool:
    with suppress(OSError):
        return os.name == "posix" and bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    return False


def _sound(value: object, where: str) -> str:
    """`value` without spaces around it, if a header can carry it and it looks like one key."""
    text = value.strip() if isinstance(value, str) else ""
    if text and all(c.isprintable() and not c.isspace() and ord(c) < 256 for c in text):
        return text
    raise InvalidInput(
        tr(
            "{where}: this cannot be a key: it is empty or holds spaces, line breaks or signs that "
            "no HTTP header can carry.",
            where=where,
        ),
        do=tr("Copy the key again, without anything around it."),
    )
