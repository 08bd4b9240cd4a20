"""Random requests, workflows and values as nobody sends them who means well; seeds repeat them."""

from __future__ import annotations

import gzip
import json
from random import Random
from typing import Any

Tree = Any

TEXTS = (
    *(
        "",
        " ",
        "\0",
        "\ud800",
        "\udfff\ud800",
        "\u202e",
        "null",
        "NaN",
        "-1",
        "latest",
        "#1",
        "auto",
    ),
    *("haiyi", "happyhorse", "gpugeek", "opencomputing", "s3", "HaiYi", "GPUGeek", "this machine"),
    *(
        "../../keys.json",
        "/dev/null/x",
        "/\0",
        "~nobody-at-all/x",
        "C:\\x",
        "a" * 5000,
        "\u6d77" * 99,
    ),
    *(
        "[" * 5000,
        "{" * 5000,
        '{"a":' * 5000,
        "[1, 2",
        "1" * 5000,
        "<script>",
        "'; DROP TABLE tasks;",
    ),
)
NUMBERS = (
    *(0, -1, 1, True, False, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**300),
    *(0.5, -0.0, 1e308, 5e-324, 1e19),
)
NAMES = (
    *("platform", "key", "access", "secret", "job", "mark", "prompt", "workflow", "locale"),
    *(
        "base_urls",
        "results_dir",
        "language",
        "keep_days",
        "media_host",
        "s3_hours",
        "max_parallel",
    ),
    *("allowed_hosts", "catalogue_hours", "sandbox", "", "\0", "\ud800", "__proto__", "nobody"),
)
FACTS = (
    *("cost", "price", "fee", "usage", "progress", "queue", "queue_place", "position", "percent"),
    *("current_node", "elapsed", "created", "consume", "total_cost", "nodes", "\0", "\ud800"),
)
CLASSES = ("SkyportRunInCloud", "SkyportKeepLocal", "SkyportRemoteInput", "SkyportLoadResult")
OTHERS = ("ProbeImage", "ProbeSink", "LoadImage", "Elsewhere", "", "\ud800")


class Hostile:
    """What one seed makes."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.whole = True  # whether the request is as long as it says

    def one_of(self, *options: Any) -> Any:
        return self.chance.choice(options)

    def often(self, share: float = 0.5) -> bool:
        return self.chance.random() < share

    # -- values -------------------------------------------------------------------------------

    def value(self, depth: int = 3) -> Tree:
        """Any JSON value."""
        kind = self.chance.random()
        if depth and kind < 0.2:
            return {self.one_of(*NAMES): self.value(depth - 1) for _ in range(self.one_of(0, 1, 3))}
        if depth and kind < 0.4:
            return [self.value(depth - 1) for _ in range(self.one_of(0, 1, 2, 2, 5))]
        return self.one_of(None, self.one_of(*NUMBERS), self.one_of(*TEXTS), self.one_of(*TEXTS))

    def deep(self, levels: int) -> str:
        """JSON text of so many levels, which no encoder would write."""
        opening, closing = self.one_of(("[", "]"), ('{"prompt":', "}"), ('{"a":[', "]}"))
        return opening * levels + self.one_of("1", "{}", "") + closing * levels

    # -- workflows ----------------------------------------------------------------------------

    def queued(self) -> Tree:
        """What the editor would queue: a prompt, and the graph that it comes from."""
        prompt = self.prompt()
        info = self.one_of({"workflow": self.graph([*prompt])}, self.value(), None)
        return {"prompt": prompt, "extra_data": self.one_of({"extra_pnginfo": info}, info)}

    def prompt(self) -> dict[str, Tree]:
        names = [self.one_of(*"abcdefg", "1:2", "1:2:3", "a.b", "\0") for _ in range(7)]
        return {name: self._node(names) for name in names[: self.one_of(1, 2, 4, 7)]}

    def _node(self, names: list[str]) -> Tree:
        if self.often(0.05):
            return self.value()
        kind: Tree = self.one_of(CLASSES[0], *CLASSES, *OTHERS)
        node = {"class_type": kind, "inputs": self._inputs(names)}
        if self.often(0.1):
            node[self.one_of("class_type", "inputs", "_meta")] = self.value()
        return node

    def _inputs(self, names: list[str]) -> Tree:
        inputs = {
            self.one_of("value", "image", "where", "inputs"): self.link(names) for _ in range(3)
        }
        if self.often(0.8):
            inputs["where"] = self.one_of("HaiYi", "GPUGeek", "this machine", self.value())
        if self.often(0.1):
            inputs["skyport_trouble"] = self.value()
        if self.often(0.15):
            inputs["skyport_cut"] = self.one_of(self._part(names), self.value())
        return inputs

    def link(self, names: list[str]) -> Tree:
        slot = self.one_of(0, 0, 0, 1, -1, 99, 2**70, -(2**70), True, 0.0, None, "0")
        return self.one_of([self.one_of(*names, "missing"), slot], self.value())

    def _part(self, names: list[str]) -> str:
        """What a Run in Cloud node sends, as nobody but a stranger writes it."""
        tree = {
            "nodes": self.one_of({names[0]: self._node(names)}, self.value()),
            "entries": self.one_of({}, {"a.b": ["a.b"]}, self.value()),
            "saves": self.one_of([[names[0], 0, self.one_of("IMAGE", "MODEL")]], self.value()),
            "value": self.one_of([names[0], 0], None, self.value()),
        }
        if self.often(0.3):
            tree.pop(self.one_of(*tree))
        return self.one_of(json.dumps(tree), self.deep(5000), "[]", "")

    def graph(self, names: list[str]) -> Tree:
        """The editor's graph; its subgraphs may hold each other and themselves."""
        kinds = ["A", "B", "C", *OTHERS]
        subgraphs = [
            {"id": kind, "nodes": [self._saved(names, kinds) for _ in range(3)]} for kind in "ABC"
        ]
        return {
            "nodes": [self._saved(names, kinds) for _ in range(self.one_of(0, 3, 9))],
            "definitions": self.one_of({"subgraphs": subgraphs}, self.value()),
        }

    def _saved(self, names: list[str], kinds: list[str]) -> Tree:
        node = {
            "id": self.one_of(*names, 1, 2, 3),
            "type": self.one_of(*kinds),
            "outputs": [{"type": self.one_of("IMAGE", "MODEL", "*", self.value())}],
            "widgets_values": self.one_of([1, "fixed", "image"], self.value()),
            "inputs": [{"widget": {"name": self.one_of("seed", self.value())}}],
        }
        if self.often(0.2):
            node[self.one_of(*node)] = self.value()
        return node

    # -- answers ------------------------------------------------------------------------------

    def answer(self, tree: dict[str, Tree]) -> bytes:
        """An answer, byte by byte, that says at least `tree`, or nothing at all."""
        more = {self.one_of(*FACTS): self.value() for _ in range(self.one_of(0, 1, 3))}
        text = json.dumps({**more, **tree}, ensure_ascii=self.often())
        if self.often(0.3):
            odd = self.one_of(
                "NaN", "-1e999", "7" * 5000, '"\\ud800"', *map(self.deep, (300, 20_000))
            )
            text = f'{{"{self.one_of(*FACTS)}": {odd}, {text[1:]}'
        body = text.encode("utf-8", "surrogatepass")
        nothing = (
            b"",
            b"\0",
            b"<html>",
            body[:-1],
            body.decode("utf-8", "replace").encode("utf-16"),
        )
        return self.response(self.one_of(*nothing) if self.often(0.2) else body)

    def target(self) -> bytes:
        """A Location that ends the headers."""
        places = ("/result.png", "?again", "\0", "//127.0.0.1:1/x", "file:///etc/passwd", "data:,x")
        place = self.one_of(
            self.header(), *places, "http://169.254.1.1/\0", "http://a\xff.invalid/"
        )
        return f"\r\nLocation: {place}\r\n\r\n".encode("latin-1")

    def response(self, body: bytes, status: int = 200) -> bytes:
        names = ("Content-Type", "Content-Disposition", "Retry-After", "Date", "Location", "ETag")
        more = (
            "Set-Cookie",
            "Content-Range",
            "Accept-Ranges",
            "Content-Encoding",
            "X-Other",
            "Age",
        )
        lines = [f"HTTP/1.1 {status} {self.one_of('OK', '', self.header()[:99])}"]
        if self.often(0.9):
            lines.append(f"Content-Length: {self.one_of(*[len(body)] * 9, self.header())}")
        odd = range(self.one_of(0, 1, 1, 3))
        lines += [f"{self.one_of(*names, *more)}: {self.header()}" for _ in odd]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body

    def header(self) -> str:
        return self.one_of(
            *(
                "",
                "\0",
                "image/png\0.exe",
                "\xff\xfe",
                "\xb2",
                "a" * 60_000,
                "b" * 100_000,
                ";" * 999,
            ),
            *(
                "application/json; charset=foo",
                "application/json; charset=",
                'text/x; charset="',
                "%00",
            ),
            *(
                "9" * 5000,
                "-1",
                "1e999",
                "Sun, 99 Foo 99999 99:99:99 +9999",
                "Mon, 01 Jan 0001 00:00:00",
            ),
            *("Fri, 31 Dec 9999 23:59:59 -2359", "http://[", "//[", "[x", "http://\0/", "?" * 3000),
            *(
                "attachment; filename*=UTF-8''%00%ff%2f..%2f",
                'attachment; filename="',
                "bytes 5-1/\xb2",
            ),
        )

    # -- requests -----------------------------------------------------------------------------

    def request(self, routes: list[tuple[str, str]], host: str) -> bytes:
        """A request, byte by byte, for one of these (method, path) with `{...}` in the path."""
        method, path = self.one_of(*routes)
        method = (
            method if self.often(0.85) else self.one_of("GET", "POST", "HEAD", "PUT", "BREW", "")
        )
        body, headers = self._body(path)
        head = [f"{method} {self._target(path)} HTTP/1.{self.one_of(1, 1, 1, 0)}".encode()]
        for name, value in [*self._headers(host), *headers]:
            head.append(name.encode() + b": " + value)
        return b"\r\n".join(head) + b"\r\n\r\n" + body

    def _target(self, path: str) -> str:
        while "{" in path:
            begin, _, rest = path.partition("{")
            path = begin + self._segment() + rest.partition("}")[2]
        prefix = self.one_of("/api", "/api", "", "/api/", "//", "http://evil.example")
        return prefix + path + (f"?{self._query()}" if self.often(0.4) else "")

    def _segment(self) -> str:
        numbers = ("0", "1", "-1", str(2**63 - 1), str(2**63), "9" * 18, "9" * 5000, "%D9%A1")
        return self.one_of(*numbers, "haiyi", "%00", "%ff", "..%2f..", "%ED%A0%80", "%", "a" * 3000)

    def _query(self) -> str:
        names = ("state", "platform", "text", "limit", "before", "offset", "%00", "")
        values = ("", "failed", "1", "-1", "9" * 30, "1e999", "%00", "%ED%A0%80", "%ff", "a" * 2000)
        return "&".join(f"{self.one_of(*names)}={self.one_of(*values)}" for _ in range(3))

    def _headers(self, host: str) -> list[tuple[str, bytes]]:
        headers = [("Host", host.encode()), ("X-Skyport", b"1"), ("Connection", b"close")]
        odd = (
            *((name, b"http://" + host.encode()) for name in ("Origin", "Referer")),
            *((name, b"null") for name in ("Origin", "Sec-Fetch-Site", "X-Forwarded-Host")),
            *(("Origin", value) for value in (b"\xff\xfe", b"http://evil:1", b"a" * 4000)),
            *(("Accept-Encoding", b"gzip, br;q=NaN"), ("Range", b"bytes=9-1"), ("Expect", b"x")),
            *(("If-Modified-Since", b"\xff"), ("Cookie", b"a=\xff;="), ("X-Odd", b"\0")),
            *(("Host", b"evil.example"), ("X-Forwarded-Proto", b"\xff"), ("Upgrade", b"websocket")),
            *(("X-Big", b"x" * 7000), ("X-Huge", b"x" * 100_000), ("Content-Range", b"bytes */*")),
        )
        return headers + ([self.one_of(*odd)] if self.often(0.3) else [])

    def _body(self, path: str) -> tuple[bytes, list[tuple[str, bytes]]]:
        """A body, with its headers; whole but for some that lie of their length."""
        kinds = (b"application/json", b"application/json; charset=foo", b"application/json;charset")
        odd = (
            b"application/json\0",
            b"multipart/form-data; boundary=x",
            b"text/plain",
            b"\xff",
            b"",
        )
        kind = self.one_of(*kinds[:1] * 20, *kinds, *odd)
        body = self._content(path)
        headers = [("Content-Type", kind)]
        if self.often(0.05):
            headers.append(("Content-Encoding", self.one_of(b"gzip", b"br", b"identity", b"foo")))
            body = self.one_of(body, gzip.compress(b"[" * 20_000_000), gzip.compress(body)[:-4])
        if self.often(0.08):
            self.whole = False
            return self._chunked(body), [*headers, ("Transfer-Encoding", b"chunked")]
        lies = (b"-1", b"1e3", b"99999999999999999999", str(len(body) + 9).encode(), b"0")
        self.whole = self.often(0.96)
        length = str(len(body)).encode() if self.whole else self.one_of(*lies)
        return body, [*headers, ("Content-Length", length)]

    def _chunked(self, body: bytes) -> bytes:
        size = self.one_of(b"%x" % len(body), b"%x" % len(body), b"-1", b"zz", b"f" * 40, b"")
        return size + b"\r\n" + body + b"\r\n0\r\n\r\n"

    def _content(self, path: str) -> bytes:
        if self.often(0.15):
            return self._no_object()
        tree = self._tree(path)
        text = json.dumps(tree, ensure_ascii=self.often())
        odd = ("NaN", "-Infinity", "1e999", "1" * 5000, '"\\ud800"', self.deep(90), self.deep(3000))
        if self.often(0.2):
            text = f'{{"{self.one_of(*NAMES[:8])}": {self.one_of(*odd)}, {text[1:]}'
        if self.often(0.1):
            text = text[:-1] + f', "platform": {self.one_of(*odd)}}}'  # a key for the second time
        return text.encode("utf-8", "surrogatepass")

    def _tree(self, path: str) -> Tree:
        if path.endswith("/cut") and self.often(0.9):
            queued = self.queued()
            return {**queued, "workflow": self.graph([*queued["prompt"]])}
        names = NAMES if self.often() else NAMES[:8]
        return {self.one_of(*names): self.value() for _ in range(self.one_of(1, 2, 3))}

    def _no_object(self) -> bytes:
        return self.one_of(
            *(
                b"",
                b"\0",
                b"\xff\xfe\0",
                b"null",
                b"[]",
                b"3",
                b'"x"',
                b"{",
                b"{}{}",
                b"\xed\xa0\x80",
            ),
            *(
                '{"job": 1}'.encode("utf-16"),
                b'\xef\xbb\xbf{"job": 1}',
                b"--x\r\n\r\n1\r\n--x--\r\n",
            ),
            *(self.deep(levels).encode() for levels in (200, 1000, 100_000)),
        )
