"""The ComfyUI servers of this person: servers.json in the data folder, and one of the settings."""

from __future__ import annotations

import base64
import difflib
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ...engine.base.errors import InvalidInput
from ...engine.base.types import Json
from ...engine.base.words import tr
from ...engine.http.public_hosts import is_local_host
from ...engine.settings import folders, json_file, keys
from ...engine.settings.addresses import address, completed
from ...engine.settings.invalid import InvalidSetting
from ...engine.settings.settings import validated

PLATFORM, LABEL = "comfyui", "ComfyUI"
AUTO = "auto"  # in place of a server's name: any that fits
DEFAULT = "default"  # the server of COMFYUI_BASE_URL, or of the settings' address
DIALECTS = ("auto", "native", "v2")
HEADERS = ("none", "bearer", "x-api-key", "basic")
# One runs and the next one waits there, so that the server is never idle between the two; what
# waits here can still go to whichever server of a pool is free first.
MAX_PARALLEL = 2

_NAME = re.compile(r"\w[\w .()+-]{0,59}")
# A host without its scheme, as people type it: pc:8188, 10.0.0.7, [fd00::7]:8188
_BARE_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[\w.-]+)(:\d+)?(/[^?#@]*)?", re.IGNORECASE)
_CHARGED = (".comfy.org", ".comfy.app")  # hosts of Comfy Cloud and of its deployments
_RESERVED = (AUTO, DEFAULT)


@dataclass(frozen=True)
class Server:
    """One server.

    header        how the key is sent: nothing, `Authorization: Bearer`, `X-API-Key`, or basic
                  authentication, whose key is `user:password`
    max_parallel  tasks of ours that it holds at a time
    formerly      its earlier names, by which jobs and saved workflows still find it
    """

    name: str
    address: str
    dialect: str = "auto"
    header: str = "none"
    max_parallel: int = MAX_PARALLEL
    formerly: tuple[str, ...] = ()

    @property
    def key_name(self) -> str:
        """Under which `engine.settings.keys` has its key."""
        return PLATFORM if self.name == DEFAULT else f"{PLATFORM}:{self.name}"

    @property
    def is_charged(self) -> bool:
        """Whether its tasks cost credits: it is Comfy Cloud or a deployment there."""
        host = urlsplit(self.address).hostname or ""
        return f".{host}".endswith(_CHARGED)

    def auth_headers(self) -> Mapping[str, str]:
        """The headers that hold its key. Raises InvalidInput where that cannot be a key."""
        key = None if self.header == "none" else keys.find(self.key_name)
        if key is None:
            return {}
        if self.header == "x-api-key":
            return {"X-API-Key": key.value}
        if self.header == "basic":
            pair = base64.b64encode(key.value.encode("latin-1")).decode()
            return {"Authorization": f"Basic {pair}"}
        return {"Authorization": f"Bearer {key.value}"}


# -- look up --------------------------------------------------------------------------------------


def listed() -> list[Server]:
    """Every server, the default one first. Cheap: call it often.

    Raises InvalidInput, which names the file and the server that is wrong in it.
    """
    default = _default()
    others = [_read(name, entry) for name, entry in json_file.read(_file()).items()]
    return [*([default] if default else []), *(one for one in others if one.name != DEFAULT)]


def names() -> list[str]:
    """The servers' names; none where servers.json cannot be read."""
    with suppress(InvalidInput):
        return [server.name for server in listed()]
    return []


def find(name: str) -> Server | None:
    """The server with this name, or that once had it."""
    servers = listed()
    now = (server for server in servers if server.name == name)
    once = (server for server in servers if name in server.formerly)
    return next(now, None) or next(once, None)


def at(entered: str) -> Server:
    """The server at an address that a person enters: one that is listed, or any other.

    Raises InvalidInput for what is no address, and for Comfy Cloud.
    """
    server = Server("", str(validated(_address, entered, tr("The address"))))
    if server.is_charged:
        raise InvalidInput(
            tr("Comfy Cloud charges for tasks, so it must be a server of the settings."),
            do=tr("Add it by `skyport servers add` and name it by {option}.", option="--server"),
            platform=LABEL,
        )
    return next((one for one in listed() if one.address == server.address), server)


def is_free_at(name: str) -> bool:
    """Whether tasks for the server of this name, or for any, cost nothing whichever takes them."""
    server = find(name)
    return not (server.is_charged if server else any(one.is_charged for one in listed()))


def require(name: str) -> Server:
    """The server with this name. Raises InvalidInput, which lists those that there are."""
    server = find(name)
    if server is not None:
        return server
    known = names()
    if not known:
        raise no_server()
    raise InvalidInput(
        tr('There is no server "{name}".', name=name), do=_advice(name, known), platform=LABEL
    )


def _advice(name: str, known: list[str]) -> str:
    """The nearest name, where one is like it, and all that there are."""
    text = tr("The servers are: {names}.", names=", ".join([AUTO, *known]))
    lower = {one.lower(): one for one in known}
    alike = difflib.get_close_matches(name.lower(), lower, n=1)
    return " ".join([*(tr('Did you mean "{name}"?', name=lower[one]) for one in alike), text])


def no_server() -> InvalidInput:
    """The error where none is set."""
    return InvalidInput(
        tr("no server is set."),
        do=tr(
            "Enter the address of a ComfyUI (such as http://192.168.1.20:8188) in ComfyUI's "
            "settings under Skyport, or set the environment variable {variable} to it.",
            variable=keys.url_variable(PLATFORM),
        ),
        platform=LABEL,
    )


# -- change ---------------------------------------------------------------------------------------


def add(server: Server, key: str | None = None) -> Server:
    """Store `server` and its key, in place of one of the same name.

    A key goes only to the address that it was entered for: without a new one, the stored key stays
    only with its address. Raises InvalidInput, and stores nothing, where a value is wrong.
    """
    server = checked(server, key)
    before = json_file.read(_file()).get(server.name)
    if before is None or _read(server.name, before).address != server.address:
        _refuse_to_take_a_key(server)
        keys.remove(server.key_name)
    with json_file.updating(_file()):
        json_file.write(_file(), {**json_file.read(_file()), server.name: _entry(server)})
    if key:
        keys.set_key(server.key_name, key)
    return server


def change(name: str, server: Server, key: str | None = None) -> Server:
    """Store `server`, under its own name, in place of the one of `name`; see `add`.

    Raises InvalidInput, and stores nothing, where a value is wrong or no `name` is stored.
    """
    server = checked(server, key)
    before = stored(name) or _renamed_to(name, server.name)
    if server.name != name:
        before = rename(name, server.name)
    return add(replace(server, formerly=before.formerly), key)


def stored(name: str) -> Server | None:
    """The server of this name in servers.json."""
    entry = json_file.read(_file()).get(name)
    return None if entry is None else _read(name, entry)


def checked(server: Server, key: str | None = None) -> Server:
    """`server` as it is stored. Raises InvalidInput where it or its new key cannot be."""
    name = _checked_name(server.name)
    server = _read(name, _entry(server), where=name)
    if key:
        value = keys.checked(key, tr("The key of {name}", name=server.name))
        if server.header == "basic" and ":" not in value:
            raise InvalidInput(tr("A key for the header basic is written as user:password."))
    return server


def _refuse_to_take_a_key(server: Server) -> None:
    """A key of this name that was set elsewhere was meant for another address."""
    if keys.is_stored_elsewhere(server.key_name):
        raise InvalidInput(
            tr(
                'A key for a server "{name}" is set outside this data folder: it would go to this '
                "address.",
                name=server.name,
            ),
            do=tr("Choose another name, or remove that key."),
            platform=LABEL,
        )


def remove(name: str) -> bool:
    """Remove the server and its key; False where there is none of this name in servers.json."""
    with json_file.updating(_file()):
        tree = json_file.read(_file())
        if name not in tree:
            return False
        json_file.write(_file(), {other: tree[other] for other in tree if other != name})
    keys.remove(f"{PLATFORM}:{name}")
    return True


def rename(name: str, new: str) -> Server:
    """Give the server another name; jobs that were sent to it still find it by the old one.

    Raises InvalidInput where there is no such server, or where the name cannot be its new one.
    """
    server = _renamed_to(name, _checked_name(new))
    with json_file.updating(_file()):
        tree = json_file.read(_file())
        own = {name: (server.name, _entry(server))}
        json_file.write(_file(), dict(own.get(each, (each, tree[each])) for each in tree))
    key = keys.find(f"{PLATFORM}:{name}")
    keys.remove(server.key_name)  # of a server that once had this name
    if key is not None:
        keys.set_key(server.key_name, key.value)
        keys.remove(f"{PLATFORM}:{name}")
    return server


def _renamed_to(name: str, new: str) -> Server:
    """The server as it will be under its new name. Raises InvalidInput where it cannot be."""
    server = stored(name)
    if server is None or stored(new) is not None:
        raise _cannot_rename(name, new, taken=server is not None)
    renamed = _renamed(server, new)
    _refuse_to_take_a_key(renamed)
    return renamed


def _renamed(server: Server, new: str) -> Server:
    formerly = dict.fromkeys((*server.formerly, server.name))
    return replace(server, name=new, formerly=tuple(one for one in formerly if one != new))


def _cannot_rename(name: str, new: str, *, taken: bool) -> InvalidInput:
    if taken:
        what = tr('There is a server "{name}" already.', name=new)
    else:
        what = tr('There is no server "{name}".', name=name)
    return InvalidInput(what, do=tr("The servers are: {names}.", names=", ".join(names())))


# -- inside ---------------------------------------------------------------------------------------


def _file() -> Path:
    return folders.home() / "servers.json"


def _default() -> Server | None:
    """The server at the platform's own address, with the platform's own key as a bearer token."""
    if keys.url_source(PLATFORM) == "default":
        return None
    has_key = keys.find(PLATFORM) is not None
    return Server(DEFAULT, keys.base_url(PLATFORM, LABEL), header="bearer" if has_key else "none")


def _entry(server: Server) -> dict[str, Json]:
    """The server as servers.json holds it."""
    return {
        "address": server.address,
        "dialect": server.dialect,
        "header": server.header,
        "max_parallel": server.max_parallel,
        "formerly": list(server.formerly),
    }


def _read(name: str, entry: Json, where: str = "") -> Server:
    """The server of an entry; what is not there has its default.

    Raises InvalidInput, which names `where`: by default the file and the name.
    """
    where = where or f"{_file()}: {name}"
    fields = validated(_object, entry, where)
    return Server(
        name,
        validated(_address, fields.get("address"), f"{where}.address"),
        validated(_one_of(DIALECTS), fields.get("dialect", "auto"), f"{where}.dialect"),
        validated(_one_of(HEADERS), fields.get("header", "none"), f"{where}.header"),
        validated(_count, fields.get("max_parallel", MAX_PARALLEL), f"{where}.max_parallel"),
        tuple(one for one in fields.get("formerly") or () if isinstance(one, str)),
    )


def _checked_name(name: str) -> str:
    return str(validated(_name, name, tr("The name of a server")))


def _name(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if _NAME.fullmatch(text) and text not in _RESERVED:
        return text
    raise InvalidSetting(
        tr("1 to 60 letters, digits, spaces or .()+-_, and neither auto nor default")
    )


def _address(value: Any) -> str:
    return address(_with_scheme(value))


def _with_scheme(entered: Any) -> Any:
    """What a person enters: pc:8188 and 10.0.0.7 are http, and example.com is https."""
    parts = _BARE_HOST.fullmatch(entered.strip()) if isinstance(entered, str) else None
    if parts and (parts[2] or "." in parts[1]) and _has_no_certificate(parts[1]):
        return f"http://{parts[0]}"
    return completed(entered)


def _has_no_certificate(host: str) -> bool:
    return is_local_host(host) or host.startswith("[") or host.rpartition(".")[2].isdigit()


def _object(value: Any) -> Mapping[str, Json]:
    if not isinstance(value, dict):
        raise InvalidSetting(tr("an object with an address"))
    return value


def _one_of(words: tuple[str, ...]) -> Any:
    def parse(value: Any) -> str:
        if value in words:
            return str(value)
        raise InvalidSetting(tr("one of: {names}", names=", ".join(words)))

    return parse


def _count(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise InvalidSetting(tr("a whole number, 1 or more"))
