"""Small files that are no media, as workflows save them: models, archives, tables, texts."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable


def _glb() -> bytes:
    """A glTF 2.0 binary without a scene."""
    text = json.dumps({"asset": {"version": "2.0"}}).encode()
    text += b" " * (-len(text) % 4)
    chunk = struct.pack("<I4s", len(text), b"JSON") + text
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunk)) + chunk


def _zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo("words.txt"), "of the sandbox")
    return stream.getvalue()


# By ending: (Content-Type, content).
OTHER_FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "glb": ("model/gltf-binary", _glb),
    "zip": ("application/zip", _zip),
    "json": ("application/json", lambda: b'{"faces": 12}'),
    "csv": ("text/csv", lambda: b"frame,mean\n1,0.5\n"),
    "srt": ("application/x-subrip", lambda: b"1\n00:00:00,000 --> 00:00:01,000\na fox\n"),
    "txt": ("text/plain", lambda: b"a fox in the snow"),
    "exe": ("application/x-msdownload", lambda: b"MZ\x90\x00" + bytes(60)),
}
