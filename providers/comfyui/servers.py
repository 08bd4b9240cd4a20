"""The servers as the settings page and the command show, test and change them; never a key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from ...engine.base.errors import InvalidInput
from ...engine.base.types import Json
from ...engine.base.words import tr
from ...engine.http.public_hosts import is_local_host
from ...engine.platforms.media_host import account
from ...engine.settings import keys, settings
from ._detect import forget, interface_at
from ._dialect import Device, ServerInfo
from ._fit import KNOWN
from ._pool import Pool, naming
from ._servers import (
    DEFAULT,
    DIALECTS,
    HEADERS,
    LABEL,
    MAX_PARALLEL,
    PLATFORM,
    Server,
    add,
    change,
    checked,
    listed,
    no_server,
    remove,
    require,
    stored,
)

__all__ = [
    "DIALECTS",
    "HEADERS",
    "MAX_PARALLEL",
    "Server",
    "change",
    "listed",
    "no_server",
    "require",
]

_TIMEOUT = (5.0, 15.0)  # seconds to connect, and without a byte: somebody waits before the page


@dataclass(frozen=True)
class Seen:
    """What a server answered: the interface that it speaks, and what it says about itself."""

    dialect: str
    info: ServerInfo

    def to_json(self) -> dict[str, Json]:
        """`queue` counts prompts, the memory of `devices` bytes."""
        return {"dialect": self.dialect, **asdict(self.info)}


def test(server: Server) -> Seen:
    """Ask the server, at no charge and without repeating.

    Raises SkyportError; InvalidInput in practice mode, where nothing is sent.
    """
    if settings.load().sandbox:
        raise InvalidInput(
            tr("Practice mode is on: no server is asked."),
            do=tr("Turn it off to test one."),
            platform=LABEL,
        )
    with naming(server):
        dialect = Pool().dialect(server)
        dialect.http.timeout = _TIMEOUT
        if server.dialect != "auto":
            return Seen(server.dialect, dialect.about())
        forget(dialect.http)
        return Seen(interface_at(dialect.http), dialect.about())


def learn_from(server: Server) -> None:
    """Learn the node classes that it declares, which name the values of nodes in a workflow.

    Asks it for /object_info unless that was done lately; one that does not answer teaches nothing.
    """
    KNOWN.of(server, lambda one: Pool().dialect(one).object_info())


def check_new(server: Server) -> None:
    """Raises InvalidInput where it cannot be added: a value is wrong, or one has its name."""
    name = checked(server).name
    if stored(name):
        raise InvalidInput(
            tr('There is a server "{name}" already.', name=name),
            do=tr("Choose another name."),
            platform=LABEL,
        )


def add_new(server: Server, key: str | None = None) -> Server:
    """Store a server and its key. Raises InvalidInput, and stores nothing, as `check_new` does."""
    check_new(server)
    return add(server, key)


def remove_stored(name: str) -> None:
    """Remove the server and its key. Raises InvalidInput where it cannot be removed here."""
    if remove(name):
        return
    if name == DEFAULT and keys.url_source(PLATFORM) != "default":
        raise InvalidInput(whence(require(name)), platform=LABEL)
    require(name)


def identity(server: Server) -> str:
    """What a test tests: another address, another key or another way to send it is not tested."""
    key = keys.find(server.key_name)
    return account(server.address, server.header, server.dialect, key.value if key else "")


# -- shown ----------------------------------------------------------------------------------------


def to_json(server: Server) -> dict[str, Any]:
    """The server without its key.

    key      {"set", "last4"}; set where one is sent
    source   "file" is servers.json; the default server's address may be in "settings" or in the
             "environment"
    whence   where to change the default server, in words, else ""
    charged  whether its tasks cost credits there
    """
    key = None if server.header == "none" else keys.find(server.key_name)
    return {
        "name": server.name,
        "address": server.address,
        "dialect": server.dialect,
        "header": server.header,
        "max_parallel": server.max_parallel,
        "key": {"set": key is not None, "last4": key.masked().lstrip(".") if key else ""},
        "source": _source(server),
        "whence": whence(server),
        "charged": server.is_charged,
        "warnings": list(_warnings(server, has_key=key is not None)),
    }


def whence(server: Server) -> str:
    """Where the default server is set, and so is changed; "" for any other."""
    source = _source(server)
    if source == "environment":
        variable = keys.url_variable(PLATFORM)
        return tr("It is set by {variable}: change it there.", variable=variable)
    if source == "settings":
        return tr("Its address and key are those of ComfyUI under API keys: change them there.")
    return ""


def described(info: ServerInfo) -> str:
    devices = ", ".join(map(device_words, info.devices))
    about = f"ComfyUI {info.version}".strip() + (f", {devices}" if devices else "")
    return tr("It answers: {server}; {count} tasks in its queue.", server=about, count=info.queue)


def device_words(device: Device) -> str:
    """The device with its free memory, as far as the server says."""
    if device.vram_free is None or not device.vram_total:
        return device.name
    return tr(
        "{name} ({free} of {total} GB free)",
        name=device.name,
        free=f"{device.vram_free / 1024**3:.1f}",
        total=f"{device.vram_total / 1024**3:.1f}",
    )


def with_keys() -> list[Server]:
    """The servers that send a key, or would if they had one; without the default one."""
    return [one for one in listed() if one.name != DEFAULT and one.header != "none"]


def _source(server: Server) -> str:
    if server.name != DEFAULT:
        return "file"
    return "environment" if keys.url_source(PLATFORM) == "environment" else "settings"


def _warnings(server: Server, *, has_key: bool) -> Iterator[str]:
    if server.header != "none" and not has_key:
        yield tr("No key is set, although one is to be sent.")
    if server.is_charged:
        yield tr("Comfy Cloud: your subscription there pays for its tasks.")
    if is_plain_over_internet(server):
        if has_key:
            yield tr(
                "http over the internet: the key, the files and the results can be read on the "
                "way. Use https, a VPN or an SSH tunnel."
            )
        else:
            yield tr(
                "http over the internet: files and results can be read on the way, and whoever "
                "finds the address can use the server. Use https and a key, or a VPN."
            )


def is_plain_over_internet(server: Server) -> bool:
    """Whether what is sent there may cross the internet unencrypted."""
    parts = urlsplit(server.address)
    return parts.scheme == "http" and not is_local_host(parts.hostname or "")
