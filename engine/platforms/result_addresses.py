"""Finds the results in an answer: addresses in any spelling, and files inside it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, quote, urlsplit

from ..base.json_tree import SIGNATURE_NAME, parse, without_signature
from ..base.types import Json, Output
from ..base.words import tr

_RESULT_KEY = re.compile(
    r"(?:.*_)?(?:urls?|images?|videos?|audios?|outputs?|results?|data|files?|music|speech|media"
    r"|src|href|link|download|assets?|artifacts?|generations?)"
)
# Parts of the request that an answer may repeat, and addresses that are not the result.
_NOT_RESULTS = re.compile(
    r"parameters|params|inputs?|request|payload|model|get|cancel|stream|self|web|metadata_url"
    r"|.*(?:cover|thumb|preview|poster|avatar|logo|icon|callback|webhook|docs|help).*"
    r"|(?:source|reference|request|input|status|poll|query|cancel|detail|page)_?urls?"
)
_INLINE_KEYS = ("b64_json", "b64", "base64", "image_base64", "binary")
_ENDING = (
    r"\.(?:png|jpe?g|webp|gif|bmp|tiff?|avif|mp4|mov|webm|mkv|avi|mp3|wav|flac|ogg|opus|m4a|aac)"
)
# Of files that are no media, which the text of a node may name: no words stand before these.
_DATA_ENDING = (
    r"\.(?:glb|gltf|obj|stl|ply|fbx|usdz?|usdc|dae|3mf|zip|gz|tar|7z|jsonl?|txt|csv|tsv|srt|vtt"
    r"|safetensors|latent|np[yz]|pdf|splat|spz|onnx|parquet)"
)
_COUNTED = r"[^\n\r/\\]{1,240}_\d{5}_?\.\w{1,12}"  # as ComfyUI counts the files that it saves
_FILE_NAME = re.compile(
    rf"[^\n\r/\\]{{1,250}}{_ENDING}|[^\s/\\]{{1,250}}{_DATA_ENDING}|{_COUNTED}", re.I
)
# A text of a node may begin with a slash, too.
_PATH = re.compile(
    rf"/(?=\S*[/?])[^\s/]\S*|/?[^\n\r:/][^\n\r:]{{0,500}}{_ENDING}(?:\?[^\n\r]*)?"
    rf"|/?[^\s:/][^\s:]{{0,500}}{_DATA_ENDING}(?:\?\S*)?",
    re.I,
)
_URL = re.compile(r"https?://[^\s/?#][^\n\r]*", re.I)
_DATA_URL = re.compile(r"data:[^,]{0,200},", re.I)
_ILLEGAL = re.compile(r"[^!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]+")
_STANDARD_BASE64 = str.maketrans("-_", "+/")  # from the URL-safe alphabet
_DEPTH = 40

Named = Callable[[str], str]  # a bare file name -> its address


def _no_named(name: str) -> str:
    return ""


class Addresses:
    """The results in one answer.

    sent         addresses of the request, which an answer may repeat
    not_results  keys that hold no result on this endpoint, lower case
    named        the address of a bare file name, where the platform has one for it
    """

    def __init__(
        self,
        base_url: str,
        sent: frozenset[str],
        not_results: frozenset[str] = frozenset(),
        named: Named = _no_named,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._sent = {identity(url) for url in sent} | {without_signature(url) for url in sent}
        self._not_results = not_results
        self._named = named
        self.unreadable = ""

    def at(self, value: Json) -> list[Output]:
        """The results in `value`, which stands where results stand."""
        found = (output for output, _ in self._walk(value, named=True))
        return self._readable(self._distinct(found, equal=True))

    def anywhere(self, body: Json) -> list[Output]:
        """The results in the whole `body`.

        An address under an unusual key (a link to a page) counts only if no usual key holds one.
        """
        found = list(self._walk(body, named=False))
        usual = self._readable(self._distinct(output for output, named in found if named))
        return usual or self._readable(self._distinct(output for output, _ in found))

    def _readable(self, outputs: list[Output]) -> list[Output]:
        outputs, self.unreadable = if_readable(outputs)
        return outputs

    def address(self, text: str) -> str:
        """`text`, an address in any spelling, as a URL that can be fetched; "" for anything else.

        A URL is never encoded again: only what no URL may hold is.
        """
        text = text.strip()
        if _URL.fullmatch(text):
            scheme, _, rest = text.partition("://")
            return f"{scheme.lower()}://{_legal(rest)}"
        if text.startswith("//") and _URL.fullmatch(f"https:{text}"):
            return f"{self._base_url.partition(':')[0]}:{_legal(text)}"
        if _FILE_NAME.fullmatch(text) and (url := self._named(text)):
            return url
        is_path = _PATH.fullmatch(text) and ".." not in text.split("/")
        return self._absolute(text) if is_path else ""

    def _absolute(self, path: str) -> str:
        """The URL of a path: below the base URL, unless it repeats the path of that."""
        parts = urlsplit(self._base_url)
        if parts.path and path.startswith(f"{parts.path}/"):
            return f"{parts.scheme}://{parts.netloc}{_legal(path)}"
        return f"{self._base_url}/{_legal(path.lstrip('/'))}"

    # -- walk -----------------------------------------------------------------------------------

    def _walk(
        self, tree: Json, *, named: bool, depth: int = _DEPTH
    ) -> Iterator[tuple[Output, bool]]:
        """Every result in `tree`, and whether it is under a key that usually holds results."""
        if not depth:
            return
        if isinstance(tree, dict):
            for key, value in tree.items():
                yield from self._walk_key(str(key).lower(), value, named, depth - 1)
        elif isinstance(tree, list):
            for value in tree:
                yield from self._walk_entry(value, named, depth - 1)
        elif isinstance(tree, str):
            yield from self._read(tree.strip(), named, depth - 1)

    def _walk_entry(self, value: Json, named: bool, depth: int) -> Iterator[tuple[Output, bool]]:
        """Every result in an entry of a list; one that is meant as a result and is none is lost."""
        found = list(self._walk(value, named=named, depth=depth))
        is_result = isinstance(value, dict) and not {"url", *_INLINE_KEYS}.isdisjoint(value)
        if named and is_result and not found:
            yield Output(unreadable=True), True
        yield from found

    def _walk_key(
        self, key: str, value: Json, named: bool, depth: int
    ) -> Iterator[tuple[Output, bool]]:
        if _NOT_RESULTS.fullmatch(key) or key in self._not_results:
            return
        if key in _INLINE_KEYS:
            yield from self._inline(value)
            return
        is_named = bool(_RESULT_KEY.fullmatch(key))
        yield from self._walk(value, named=is_named, depth=depth)

    def _read(self, text: str, named: bool, depth: int) -> Iterator[tuple[Output, bool]]:
        if text[:1] in ("[", "{"):
            try:
                yield from self._walk(parse(text), named=named, depth=depth)
            except ValueError:
                return
        elif _DATA_URL.match(text):
            yield from self._inline(text)
        elif (_URL.fullmatch(text) or named) and (url := self.address(text)):
            yield Output(url=url), named

    def _inline(self, value: Json) -> Iterator[tuple[Output, bool]]:
        for text in value if isinstance(value, list) else [value]:
            data = decoded(text) if isinstance(text, str) else b""
            if data:
                yield Output(data=data), True
            elif text:
                yield Output(unreadable=True), True

    def _distinct(self, outputs: Iterator[Output], equal: bool = False) -> list[Output]:
        """Each result once, without what the request sent.

        equal  whether equal files inside the answer are several results
        """
        found: dict[object, Output] = {}
        for number, output in enumerate(outputs):
            own = equal or output.unreadable
            key = identity(output.url) if output.url else number if own else output.data
            is_sent = output.url and {key, without_signature(output.url)} & self._sent
            if not is_sent:
                found.setdefault(key, output)
        return list(found.values())


def if_readable(outputs: list[Output]) -> tuple[list[Output], str]:
    """`outputs`, the unreadable ones included, if any can be read; and words on those, or "".

    An answer of which nothing can be read has no results.
    """
    lost = sum(output.unreadable for output in outputs)
    words = tr("{count} of the results in its answer cannot be read.", count=lost) if lost else ""
    return (outputs if lost < len(outputs) else []), words


def identity(url: str) -> str:
    """The part of a URL that stays the same when it is signed anew."""
    try:
        return f"{urlsplit(url).netloc.lower()}{identity_on_host(url)}"
    except ValueError:  # the request may have sent any text that begins like a URL
        return url


def identity_on_host(url: str) -> str:
    """The part of a URL that stays the same when it is signed anew and moved to another host."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    kept = [f"{name}={value}" for name, value in query if not SIGNATURE_NAME.search(name)]
    return f"{parts.path}?{'&'.join(kept)}"


def decoded(text: str) -> bytes:
    """The bytes of base64, also after `data:image/png;base64,`; b"" if it is not base64."""
    encoded = "".join(text.rpartition(",")[2].split()).translate(_STANDARD_BASE64).rstrip("=")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _legal(text: str) -> str:
    """`text` with what may stand in no URL (spaces, letters beyond ASCII) percent-encoded."""
    return _ILLEGAL.sub(lambda match: quote(match[0], safe=""), text.strip())
