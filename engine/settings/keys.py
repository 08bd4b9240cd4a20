"""Keys and addresses of the platforms and of S3: where they come from. Nothing shows a key."""

from __future__ import annotations

import logging
import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import InvalidInput, MissingKey
from ..base.words import tr
from . import folders, json_file, settings
from .addresses import address
from .ledger_url import password_in

S3_ACCESS, S3_SECRET = "s3_access_key", "s3_secret_key"

_log = logging.getLogger(__name__)
_S3_PAIR = (S3_ACCESS, S3_SECRET)
LEDGER = "ledger"  # the password of a team's ledger
_LEDGER_URL = "SKYPORT_LEDGER_URL"
_SHOWN = 4  # last characters of a key that may be shown, and only where it is long
_LONG = 16  # characters


@dataclass(frozen=True, repr=False)
class Key:
    """A platform's key, or one of the two of S3. Printing, formatting or logging it is safe.

    value   the key itself
    source  "environment" or "file"
    """

    value: str
    source: str

    def masked(self) -> str:
        """The end of the key, to recognise it by: "...1234"; only "..." for a short one."""
        return "..." + (self.value[-_SHOWN:] if len(self.value) >= _LONG else "")

    def __repr__(self) -> str:
        return f"Key({self.masked()}, {self.source})"


def find(platform: str) -> Key | None:
    """The platform's key: `<PLATFORM>_API_KEY`, else keys.json, else None.

    Where the data folder is a ComfyUI's, the user's own keys.json is searched after it: that is
    where `skyport keys set` stores a key when it runs outside that ComfyUI.
    Raises InvalidInput where the value cannot be a key.
    """
    return _from_environment(platform) or _from_files(platform)


def require(platform: str, label: str, help: str = "") -> Key:
    """The platform's key. Raises MissingKey, with every way to set one."""
    key = find(platform)
    if key is None:
        raise MissingKey(tr("no API key is set."), do=_how_to_set(platform, help), platform=label)
    return key


def _how_to_set(platform: str, help: str) -> str:
    text = tr(
        "Enter it in ComfyUI's settings under Skyport, run `skyport keys set {platform}`, or set "
        "the environment variable {variable}.",
        platform=platform,
        variable=key_variable(platform),
    )
    return f"{text} {help}".strip()


def set_key(platform: str, value: str) -> Key:
    """Store `value` in keys.json. Raises InvalidInput where an HTTP header cannot hold it."""
    key = Key(_validated(value, platform), "file")
    with json_file.updating(_file()):
        json_file.write(_file(), {**_stored(_file()), platform: key.value})
    return key


def checked(value: str, where: str) -> str:
    """The key in `value`. Raises InvalidInput, which names `where`, where there is none."""
    return _validated(value, where)


def remove(platform: str) -> bool:
    """Remove the stored key, also what was put aside; False where there was none.

    One in the environment stays.
    """
    with json_file.updating(_file()):
        stored = _stored(_file())
        own = {platform, *(name for name in stored if name.startswith(_aside(platform, "")))}
        if removed := own & stored.keys():
            json_file.write(_file(), {k: v for k, v in stored.items() if k not in removed})
    return bool(removed)


def is_stored_elsewhere(name: str) -> bool:
    """Whether a key is set outside this data folder: in the environment or the user's own file."""
    others = (path for path in _files() if path != _file())
    return bool(
        os.environ.get(key_variable(name), "").strip()
        or any(_stored(path).get(name) for path in others)
    )


def stored_list(name: str) -> list[str]:
    """The texts under `name` in keys.json, as secret as a key. Raises InvalidInput."""
    found: object = _stored(_file()).get(name)
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []


@contextmanager
def updating_list(name: str) -> Iterator[list[str]]:
    """`stored_list`, written back as it is left. Raises InvalidInput."""
    with json_file.updating(_file()):
        texts = stored_list(name)
        yield texts
        kept = {key: value for key, value in _stored(_file()).items() if key != name}
        json_file.write(_file(), {**kept, name: texts} if texts else kept)


# A key goes only to the address it was entered for. When the address changes, the key is kept in
# keys.json under the name "platform@address" until that address returns.


def put_aside(platform: str, url: str) -> None:
    """Keep the stored key for `url`, unused. One entered before any address ("") stays."""
    if url:
        _rename(platform, _aside(platform, url))


def take_up(platform: str, url: str) -> None:
    """Use the key again that was put aside for `url`, unless a key is stored."""
    if not _stored(_file()).get(platform):
        _rename(_aside(platform, url), platform)


def addresses_aside(platform: str) -> list[str]:
    """The addresses for which a key is put aside."""
    start = _aside(platform, "")
    return sorted(name.removeprefix(start) for name in _stored(_file()) if name.startswith(start))


def _aside(platform: str, url: str) -> str:
    return f"{platform}@{url}"


def _rename(before: str, after: str) -> None:
    with json_file.updating(_file()):
        stored = dict(_stored(_file()))
        if before in stored:
            stored[after] = stored.pop(before)
            json_file.write(_file(), stored)


def listing(platforms: Iterable[str]) -> dict[str, Key | None]:
    """Each platform's key by platform name, None where it has none."""
    return {platform: find(platform) for platform in platforms}


def s3() -> tuple[Key, Key] | None:
    """(access key id, secret access key) of S3; None where neither is set.

    Both from one source: SKYPORT_S3_ACCESS_KEY and SKYPORT_S3_SECRET_KEY, else keys.json.
    Raises InvalidInput where one is set without the other.
    """
    pair = [_from_environment(name) for name in _S3_PAIR]
    if pair == [None, None]:
        pair = [_from_files(name) for name in _S3_PAIR]
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
    """Store both in keys.json and return the access key. Raises InvalidInput like `set_key`."""
    pair = {
        S3_ACCESS: _validated(access, tr("access key ID")),
        S3_SECRET: _validated(secret, tr("secret access key")),
    }
    with json_file.updating(_file()):
        json_file.write(_file(), {**_stored(_file()), **pair})
    return Key(pair[S3_ACCESS], "file")


def remove_s3() -> bool:
    """Remove both stored keys of S3; False where there was none."""
    removed = [remove(name) for name in _S3_PAIR]
    return any(removed)


def s3_variables() -> tuple[str, ...]:
    """The environment variables of S3's keys that are set."""
    return tuple(key_variable(name) for name in _S3_PAIR if _from_environment(name))


def ledger_password() -> Key | None:
    """The password of a team's ledger; None where none is set.

    Of SKYPORT_LEDGER_URL, else SKYPORT_LEDGER_PASSWORD, else keys.json, else of a URL that was
    written into settings.json by hand.
    """
    given = password_in(os.environ.get(_LEDGER_URL, ""))
    if given:
        return Key(given, "environment")
    by_hand = password_in(json_file.read(folders.home() / "settings.json").get("ledger_url"))
    return find(LEDGER) or (Key(by_hand, "file") if by_hand else None)


def base_url(platform: str, label: str, default: str = "") -> str:
    """The platform's address, without a slash at its end.

    `<PLATFORM>_BASE_URL`, else `base_urls` in settings.json, else `default`.
    Raises InvalidInput where it is not an address, or where there is none.
    """
    variable = url_variable(platform)
    text = os.environ.get(variable, "").strip()
    if text:
        return str(settings.validated(address, text, variable))
    url = settings.load().base_urls.get(platform) or default.rstrip("/")
    if url:
        return url
    raise InvalidInput(
        tr("no address is set."),
        do=tr(
            "The platform's documentation gives none: enter the address that belongs to your key "
            "in ComfyUI's settings under Skyport, or set the environment variable {variable} to "
            "it.",
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
    """The environment variable of a platform's key, of one of S3's, or of the ledger's."""
    if name == LEDGER:
        return "SKYPORT_LEDGER_PASSWORD"
    return f"SKYPORT_{name.upper()}" if name in _S3_PAIR else f"{name.upper()}_API_KEY"


def url_variable(platform: str) -> str:
    """The environment variable of a platform's address."""
    return f"{platform.upper()}_BASE_URL"


# -- inside -------------------------------------------------------------------------------------

_warned: set[Path] = set()


def _from_environment(name: str) -> Key | None:
    variable = key_variable(name)
    text = os.environ.get(variable, "").strip()
    return Key(_validated(text, variable), "environment") if text else None


def _from_files(name: str) -> Key | None:
    for path in _files():
        stored = _stored(path).get(name, "")
        if stored:
            return Key(_validated(stored, f"{path}: {name}"), "file")
    return None


def _file() -> Path:
    return folders.home() / "keys.json"


def _files() -> list[Path]:
    """The files searched for keys, in order. SKYPORT_HOME, once set, is the only folder."""
    if os.environ.get("SKYPORT_HOME"):
        return [_file()]
    files = [_file()]
    with suppress(InvalidInput):  # no home folder: ComfyUI has one of its own
        files.append(folders.user_folder() / "keys.json")
    return list(dict.fromkeys(files))


def _stored(path: Path) -> dict[str, str]:
    _keep_private(path)
    return json_file.read(path)


def _keep_private(path: Path) -> None:
    """A copied or hand-made file may be readable by others: restrict it, and log that."""
    if not _is_readable_by_others(path):
        return
    with suppress(OSError):
        path.chmod(0o600)
    if not _is_readable_by_others(path):
        _log.warning(
            tr(
                "{path} was readable by others on this machine. Now only you can read it.",
                path=path,
            )
        )
    elif path not in _warned:  # a file system without modes: once is enough
        _warned.add(path)
        _log.warning(tr("{path} can be read by others on this machine.", path=path))


def _is_readable_by_others(path: Path) -> bool:
    with suppress(OSError):
        return os.name == "posix" and bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    return False


def _validated(value: object, where: str) -> str:
    """The key in `value`, where a header can hold it and it looks like one key."""
    text = _unwrapped(value) if isinstance(value, str) else ""
    if text and all(c.isprintable() and not c.isspace() and ord(c) < 256 for c in text):
        return text
    raise InvalidInput(
        tr(
            "{where}: this cannot be a key: it is empty, or contains spaces, line breaks or "
            "characters that an HTTP header cannot hold.",
            where=where,
        ),
        do=tr("Copy the key again, with nothing before or after it."),
    )


_AROUND = "\"'`<>,;\u201c\u201d\u2018\u2019\u300c\u300d"  # what a key is quoted in
_BEFORE = re.compile(
    r"(?:export\s|setx?\s|\$env:)\s*\w+\s*=?"  # of a shell
    r"|(?-i:[A-Z_][A-Z0-9_]*)\s*=(?=\s*[^=\s])"  # a key itself may end in = or ==
    r"|(?-i:[A-Z0-9_]+_(?:KEY|TOKEN|SECRET))\s*=$"
    r"|[\w-]*(?:key|token|secret|authorization)[\"']?\s*[:=](?=\s*[^=\s])"
    r"|bearer(?:\s|$)",
    re.IGNORECASE,
)


def _unwrapped(text: str) -> str:
    """`text` without invisible characters, and without quotes, a name or "Bearer" around it."""
    visible = "".join(c for c in text if unicodedata.category(c) != "Cf")
    inner = _BEFORE.sub("", visible.strip().strip(_AROUND), count=1)
    return text if inner == text else _unwrapped(inner)
