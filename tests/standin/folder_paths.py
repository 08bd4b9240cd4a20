"""Where the host keeps files; `use_base` is ours, the rest is ComfyUI's API."""

from __future__ import annotations

import os
import time
from pathlib import Path

_base = Path()
folder_names_and_paths: dict[str, tuple[list[str], set[str]]] = {}  # of models, by kind


def use_base(base: Path) -> None:
    """All folders are below `base` from now on; they are created, except the system user's."""
    global _base
    _base = base
    for folder in ("input", "output", "temp", "user"):
        (base / folder).mkdir(parents=True, exist_ok=True)


def get_input_directory() -> str:
    return str(_base / "input")


def get_output_directory() -> str:
    return str(_base / "output")


def get_temp_directory() -> str:
    return str(_base / "temp")


def get_user_directory() -> str:
    return str(_base / "user")


def get_system_user_directory(name: str = "system") -> str:
    """Not reachable over HTTP, and not created."""
    if not name or name.startswith("_") or not name.replace("_", "").isalnum():
        raise ValueError(f"not a system user name: {name!r}")
    return str(_base / "user" / f"__{name}")


def get_full_path(folder_name: str, filename: str) -> str | None:
    """The path of a model of that kind."""
    folders = folder_names_and_paths[folder_name][0]
    paths = (os.path.join(folder, filename) for folder in folders)
    return next((path for path in paths if os.path.isfile(path)), None)


def get_directory_by_type(type_name: str) -> str | None:
    return str(_base / type_name) if type_name in ("input", "output", "temp") else None


def annotated_filepath(name: str) -> tuple[str, str | None]:
    """ "picture.png [output]" -> ("picture.png", the output folder)."""
    for kind in ("input", "output", "temp"):
        if name.endswith(f"[{kind}]"):
            return name[: -len(kind) - 2].rstrip(), get_directory_by_type(kind)
    return name, None


def get_annotated_filepath(name: str, default_dir: str | None = None) -> str:
    file, folder = annotated_filepath(name)
    return os.path.join(folder or default_dir or get_input_directory(), file)


def get_save_image_path(
    filename_prefix: str, output_dir: str, image_width: int = 0, image_height: int = 0
) -> tuple[str, str, int, str, str]:
    """(folder, file name, next number, subfolder, prefix); the folder is created."""
    prefix = filename_prefix.replace("%width%", str(image_width))
    prefix = prefix.replace("%height%", str(image_height))
    for word, code in (("year", "%Y"), ("month", "%m"), ("day", "%d")):
        prefix = prefix.replace(f"%{word}%", time.strftime(code))
    subfolder, name = os.path.split(os.path.normpath(prefix))
    folder = Path(output_dir, subfolder)
    if not folder.resolve().is_relative_to(Path(output_dir).resolve()):
        raise Exception(f"outside the output folder: {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder), name, _next_number(folder, name), subfolder, prefix


def _next_number(folder: Path, name: str) -> int:
    numbers = [file.stem[len(name) + 1 :].split("_")[0] for file in folder.glob(f"{name}_*")]
    return max((int(one) for one in numbers if one.isdigit()), default=0) + 1
