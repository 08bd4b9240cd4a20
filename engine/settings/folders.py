"""Where data and results belong: the environment's, the host's or the user's own folders."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import platformdirs

from ..base.errors import InvalidInput
from ..base.words import tr
from .json_file import unusable

_PACK = Path(__file__).parents[2]
_host_home: Path | None = None
_host_results: Path | None = None


def use_home(path: Path | str | None) -> None:
    """Use the host's folder for our data; None goes back to the default."""
    global _host_home
    _host_home = Path(path) if path is not None else None


def use_results(path: Path | str | None) -> None:
    """Use the host's folder for results; None goes back to the default."""
    global _host_results
    _host_results = Path(path) if path is not None else None


def results() -> Path:
    """The folder that the host named for results, else ./skyport-output. May not exist yet."""
    return _host_results or Path("skyport-output")


def home() -> Path:
    """The data folder, created (0700) where it is missing.

    The first of: SKYPORT_HOME; the host's; where the pack is in a ComfyUI's custom_nodes, that
    ComfyUI's folder for us, so that the command and the nodes share keys and models; the user's.
    """
    path = _named_home() or _host_home or beside_comfyui(_PACK) or user_folder()
    try:
        if not path.is_dir():
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(path, error) from error
    return path.absolute()


def _named_home() -> Path | None:
    """What SKYPORT_HOME names. Raises InvalidInput where "~" in it stands for nobody's folder."""
    variable = os.environ.get("SKYPORT_HOME")
    try:
        return Path(variable).expanduser() if variable else None
    except RuntimeError:
        raise _no_home() from None


def check_writable(folder: Path) -> None:
    """Try to write where `folder` is, or would be made. Leaves nothing.

    Raises InvalidInput if that fails.
    """
    try:
        with tempfile.TemporaryFile(dir=_nearest(folder.absolute())) as file:
            file.write(b"\0" * 4096)
            file.flush()
    except (OSError, ValueError) as error:
        raise InvalidInput(
            tr(
                "Results cannot be written to {folder}: {reason}.",
                folder=folder,
                reason=getattr(error, "strerror", None) or error,
            ),
            do=tr(
                "Make it writable, or choose another one: results_dir in the settings, or --output."
            ),
        ) from None


def _nearest(folder: Path) -> Path:
    """`folder`, or the first of its parents that exists."""
    try:
        folder.lstat()
    except FileNotFoundError:
        return _nearest(folder.parent)
    return folder


def user_folder() -> Path:
    """The user's data folder, for whatever runs outside a ComfyUI. Not created here.

    Raises InvalidInput where the user has no home folder, as in some containers.
    """
    path = Path(platformdirs.user_data_dir("skyport", appauthor=False))
    if path.is_absolute():
        return path
    raise _no_home()


def _no_home() -> InvalidInput:
    return InvalidInput(
        tr("This user has no home folder."),
        do=tr("Set SKYPORT_HOME to the full path of a data folder."),
    )


def beside_comfyui(pack: Path) -> Path | None:
    """ComfyUI's folder for our secrets when `pack` is one of its custom nodes, else None."""
    comfyui = pack.parent.parent
    if pack.parent.name != "custom_nodes" or not (comfyui / "folder_paths.py").is_file():
        return None
    return comfyui / "user" / "__skyport"
