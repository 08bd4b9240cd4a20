"""Which required packages this Python lacks, and the command that installs them."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from .words import tr

PACK = Path(__file__).parents[2]
# Of packages whose name is not that of their module.
_MODULES = {"pillow": "PIL", "websocket-client": "websocket"}


def lacking() -> list[str]:
    """Each requirement that is not met: "av>=16.0.0", where it is too old "av>=16.0.0 (14.0)"."""
    return [text for requirement in _requirements() if (text := _unmet(requirement))]


def advice() -> str:
    """Which packages are missing or too old, and what to do; "" where none is."""
    if not (packages := lacking()):
        return ""
    return tr(
        "Skyport needs these Python packages: {packages}. Run {command} and restart.",
        packages=", ".join(packages),
        command=command(),
    )


def explain(error: Exception) -> str:
    """Why our code cannot be imported, and what to do."""
    return advice() or tr(
        "Skyport cannot be loaded: {error}. If a Python package is broken, run {command} and "
        "restart.",
        error=f"{type(error).__name__}: {error}",
        command=command("--force-reinstall "),
    )


def command(options: str = "") -> str:
    """The command that installs what is required, with this Python, for a shell."""
    file = PACK / "requirements.txt"
    packages = f"-r {_quoted(file)}" if file.is_file() else " ".join(map(_quoted, _requirements()))
    return pip(options + packages)


def pip(packages: str) -> str:
    """The command that installs `packages`, as pip's command line has them, with this Python."""
    return f"{_quoted(sys.executable)} -s -m pip install {packages}"


def version() -> str:
    """Skyport's version; "0" where neither the project file nor an installation states it."""
    project = PACK / "pyproject.toml"
    if project.is_file():
        stated = re.search(r'^version = "(.+)"', project.read_text(encoding="utf-8"), re.MULTILINE)
        return stated[1] if stated else "0"
    try:
        return metadata.version("skyport")
    except metadata.PackageNotFoundError:
        return "0"


def _requirements() -> list[str]:
    """ "requests>=2.31" and so on."""
    file = PACK / "requirements.txt"
    if file.is_file():
        return file.read_text(encoding="utf-8").split()
    try:
        required = metadata.requires("skyport") or []
    except metadata.PackageNotFoundError:
        return []
    return [line for line in required if ";" not in line]


def _unmet(requirement: str) -> str:
    name, _, floor = requirement.partition(">=")
    if not _exists(_MODULES.get(name, name.replace("-", "_"))):
        return requirement
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:  # installed in another way
        return ""
    return f"{requirement} ({found})" if is_older(found, floor) else ""


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def is_older(version: str, floor: str) -> bool:
    """Whether `version` is below `floor`; what is no version is not."""
    pairs = list(zip(_numbers(version), _numbers(floor), strict=False))
    return bool(re.match(r"v?\d", version)) and [a for a, _ in pairs] < [b for _, b in pairs]


def _numbers(version: str) -> Iterator[int]:
    """The first four numbers of a release, without what follows: 3.0rc1 is 3, 0, 0, 0."""
    release = re.match(r"v?(\d+(?:\.\d+)*)", version)
    numbers = [int(number) for number in release[1].split(".")] if release else []
    yield from [*numbers, 0, 0, 0, 0][:4]


def _quoted(path: object) -> str:
    text = str(path)
    return shlex.quote(text) if re.search(r'["$`!]', text) else f'"{text}"'
