"""GPUGeek's object storage: signed links for uploads, plain addresses for downloads."""

from __future__ import annotations

import mimetypes
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from ._body import Refusal
from ._draw import DrawSpec
from ._fields import check_public
from ._files import StoredFile, identify
from ._film import draw
from ._platform import Request

LINK_SECONDS = 3600.0  # how long an upload link is valid
OCTETS = "application/octet-stream"


class Storage:
    """Files by address. `committed` are those that a workflow may name.

    clock  the seconds that links end by
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._links: dict[str, float] = {}
        self._files: dict[str, StoredFile] = {}
        self.committed: dict[str, StoredFile] = {}

    # -- links ------------------------------------------------------------------------------

    def link(self, folder: str, file_name: str) -> str:
        """An address below `folder` that takes one PUT, only exactly as written."""
        ending = Path(file_name).suffix
        signature = f"{secrets.token_urlsafe(15)}%2B%2F%3D"
        expires = int(time.time() + LINK_SECONDS)
        link = f"{folder}{uuid.uuid4().hex}{ending}?Expires={expires}&Signature={signature}"
        self._links[link] = self._clock() + LINK_SECONDS
        return link

    def take(self, link: str, request: Request) -> None:
        """Store the file put to `link`. Raises Refusal for what the signature does not cover."""
        if link not in self._links:
            raise Refusal(403, "SignatureDoesNotMatch: put to the link exactly as it was given.")
        if self._clock() >= self._links[link]:
            raise Refusal(403, "AccessDenied: the link has expired.")
        if request.seen.keyed:
            raise Refusal(400, "InvalidArgument: only one way to prove who asks is allowed.")
        if request.seen.content_type != OCTETS:
            raise Refusal(403, f"SignatureDoesNotMatch: the Content-Type must be {OCTETS}.")
        if "Content-Length" not in request.headers:
            raise Refusal(411, "MissingContentLength: say how many bytes come.")
        address, path = link.partition("?")[0], request.world.new_path()
        with path.open("wb") as file:
            for block in request.body.blocks(request.world.max_upload):
                file.write(block)
        self._files[address] = identify(path, address.rpartition("/")[2])

    # -- addresses --------------------------------------------------------------------------

    def add(self, folder: str, file: StoredFile, ending: str | None = None) -> str:
        """The address of a file made here; workflows may name it."""
        address = f"{folder}{uuid.uuid4().hex}.{ending or file.ending}"
        self._files[address] = self.committed[address] = file
        return address

    def get(self, address: str) -> StoredFile:
        if address not in self._files:
            raise Refusal(404, "NoSuchKey: nothing is stored at this address.")
        return self._files[address]

    def commit(self, address: str) -> None:
        """Let workflows name the file. Raises Refusal where nothing was put."""
        self.committed[address] = self.get(address)


def stand_in(url: str, origin: str, new_path: Callable[[], Path]) -> StoredFile:
    """A substitute for the file at `url`: nothing beyond this machine is ever fetched."""
    if not url.startswith(f"{origin}/"):
        check_public(url)
    name = urlsplit(url).path.rpartition("/")[2]
    kind = (mimetypes.guess_type(name)[0] or "image").partition("/")[0]
    spec = DrawSpec(kind if kind in ("image", "video", "audio") else "image", name, variant=url)
    path = draw(spec, new_path())
    return identify(path, name or path.name)


def addresses(made: Mapping[str, list[str]], *, as_text: bool) -> dict[str, str | list[str]]:
    """`result_url`: the table shows text, the sample a list."""
    return {
        node_id: (urls[0] if urls else "") if as_text and len(urls) < 2 else urls
        for node_id, urls in made.items()
    }
