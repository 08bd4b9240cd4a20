"""200 MB up and down on loopback, against curl: rate and memory.

Ours does more: a download is hashed on the way, kept from a power cut (fsync), told to be a
medium, and named without overwriting another; an upload is a form of exactly the size it had.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from skyport.engine.base.types import MediaFile
from skyport.engine.http.client import Http
from skyport.engine.media.download import Download

from ._figures import Entry, Figure, Goal
from ._measure import MB, alone, beside, in_turns, peak_above_idle, timed
from ._wire import serve

_SIZE = 200 * MB
_HEAD = (
    b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"  # an mp4, as far as its first bytes tell
)
_RATE = {"download": Goal(0.85, least=True), "upload": Goal(0.8, least=True)}
_MEMORY = Goal(16, "MB")


def figures(small: bool = False) -> Iterator[Entry]:
    size, rounds = (MB, 1) if small else (_SIZE, 9)
    if shutil.which("curl") is None:
        yield "transfer: curl is not installed, and it is the baseline"
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "sent.mp4")
        _write(file, size)
        with beside(serve, file) as url:
            yield from _compared("download", download, curl_down, file, url, rounds)
            yield from _compared("upload", upload, curl_up, file, url, rounds)


def _compared(name, ours, theirs, file: Path, url: str, rounds: int) -> Iterator[Entry]:  # type: ignore[no-untyped-def]
    size = file.stat().st_size / MB
    works = [partial(timed, partial(call, file, url)) for call in (ours, theirs)]
    mine, others = in_turns(rounds, *works)
    what = f"{name} of {size:.0f} MB"
    yield Figure(f"{what}, rate", size / mine, size / others, "MB/s", "curl", _RATE[name])
    taken = alone(_memory, ours, file, url) / MB
    yield Figure(f"{what}, memory above idle", taken, size, "MB", "the file", _MEMORY)


def _memory(work, file: Path, url: str) -> int:  # type: ignore[no-untyped-def]
    little = file.with_name("little.mp4")
    little.write_bytes(file.read_bytes()[: MB // 2])
    upload(little, url)  # imports and a first connection
    return peak_above_idle(partial(work, file, url))


def download(file: Path, url: str) -> None:
    target = file.with_name("fetched")
    Download(Http("Bench", url, {}), f"{url}/file", target).attempt().path.unlink()


def upload(file: Path, url: str) -> None:
    whole = MediaFile(file, file.name, "video/mp4", "", file.stat().st_size)
    Http("Bench", url, {}).post_form("/file", [("purpose", "input"), ("file", whole)])


def curl_down(file: Path, url: str) -> None:
    target = file.with_name("curled.mp4")
    subprocess.run(["curl", "-s", "--noproxy", "*", "-o", target, url], check=True)
    target.unlink()


def curl_up(file: Path, url: str) -> None:
    form = ["-F", "purpose=input", "-F", f"file=@{file}", "-H", "Expect:"]
    subprocess.run(["curl", "-s", "--noproxy", "*", "-o", os.devnull, *form, url], check=True)


def _write(file: Path, size: int) -> None:
    block = hashlib.shake_256(b"bench").digest(MB)
    with file.open("wb") as stream:
        stream.write(_HEAD)
        for _ in range(size // MB):
            stream.write(block)
        stream.truncate(size)
