"""The base of an imitated platform: routes, requests, answers and refusals."""

from __future__ import annotations

import hmac
import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from ._body import Body, Cut, Refusal
from ._draw import DrawSpec
from ._faults import Faults, Twists, markers
from ._files import Slice, StoredFile, identify, result_file, serve_range
from ._film import draw
from ._graph import Prompt
from ._log import Log, LoggedRequest
from ._multipart import FormPart, parse
from ._tasks import Made, Plan, Task, Tasks
from ._workflow import Saved, check, run, steps

MAX_UPLOAD = 1024**3


@dataclass
class World:
    """What all platforms of one sandbox share."""

    root: Path
    faults: Faults
    log: Log
    tasks: Tasks
    origin: str = ""
    max_upload: int = MAX_UPLOAD
    platforms: Mapping[str, Platform] = field(default_factory=dict)

    def new_path(self) -> Path:
        return self.root / uuid.uuid4().hex


@dataclass
class Answer:
    """The answer to a request; a body that is an iterator is streamed chunk by chunk.

    twists say how the sending goes wrong.
    """

    status: int
    headers: dict[str, str]
    body: bytes | Slice | Iterator[bytes] = b""
    twists: Twists = field(default_factory=dict)

    @classmethod
    def json(cls, tree: Any, status: int = 200) -> Answer:
        # A lone surrogate is no UTF-8; written as an escape it is JSON all the same.
        body = json.dumps(tree, ensure_ascii=False).encode("utf-8", "backslashreplace")
        return cls(status, {"Content-Type": "application/json; charset=utf-8"}, body)


@dataclass
class Request:
    """One request, its path already without the platform's prefix."""

    method: str
    path: str
    query: str
    headers: Message
    body: Body
    seen: LoggedRequest
    world: World
    twists: Twists
    args: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path

    def send(self, file: StoredFile) -> Answer:
        """The answer with `file`, or with the requested range of it."""
        status, headers, body = serve_range(file, self.headers)
        twists = {} if self.method == "HEAD" else file.download_twists()
        return Answer(status, headers, body, twists)

    def read_query(self, names: Sequence[str]) -> None:
        """Fill `args`. Raises Refusal for a parameter that is not among `names`."""
        args: dict[str, list[str]] = {}
        for name, value in parse_qsl(self.query, keep_blank_values=True):
            if name not in names:
                raise Refusal(400, f"Unknown query parameter {name!r}.")
            args.setdefault(name, []).append(value)
        self.args = args

    def arg(self, name: str) -> str:
        """The one value of a required query parameter."""
        values = self.args.get(name, ())
        if len(values) != 1 or not values[0]:
            raise Refusal(400, f"Query parameter {name!r} must be given once.")
        return values[0]

    def json(self) -> Any:
        if self.headers.get_content_type() != "application/json" or not self.seen.content_type:
            raise Refusal(415, f"Send application/json, not {self.seen.content_type!r}.")
        self.seen.fields = self.body.json()
        return self.seen.fields

    def form(self) -> dict[str, FormPart]:
        """The parts of a form by name. Raises Refusal where a name occurs twice."""
        lists = self.form_lists()
        if any(len(parts) > 1 for parts in lists.values()):
            raise Refusal(400, "A field of the form is given twice.")
        return {name: part for name, [part] in lists.items()}

    def form_lists(self) -> dict[str, list[FormPart]]:
        """The parts of a form by name; a list of files is a name that is repeated."""
        blocks = self.body.blocks(self.world.max_upload)
        lists: dict[str, list[FormPart]] = {}
        for part in parse(self.seen.content_type, blocks, self.world.new_path):
            lists.setdefault(part.name, []).append(part)
        self.seen.fields = {
            name: parts[0].summary if len(parts) == 1 else [part.summary for part in parts]
            for name, parts in lists.items()
        }
        return lists


@dataclass(frozen=True)
class Route:
    """`{name}` in the template is one raw path segment, handed to the function as text.

    query  the query parameters there may be; None leaves the query to the function
    """

    method: str
    template: str
    run: Callable[..., Answer]
    keyed: bool = True
    query: Sequence[str] | None = ()

    def match(self, path: str) -> dict[str, str] | None:
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.template))
        found = re.fullmatch(pattern, path)
        return found.groupdict() if found else None


class Platform:
    """One platform. A module without a leading underscore holds one subclass of this."""

    name: ClassVar[str]
    key: ClassVar[str]

    def __init__(self, world: World) -> None:
        self.world = world
        self._routes = tuple(self.routes())

    def routes(self) -> Sequence[Route]:
        raise NotImplementedError

    def is_keyed(self, headers: Message) -> bool:
        """Whether the platform's key was sent. Override where it is no bearer token."""
        sent = headers.get("Authorization", "").encode("utf-8", "replace")
        return hmac.compare_digest(sent, f"Bearer {self.key}".encode())

    def error(self, status: int, text: str) -> Any:
        """The JSON of an error. Override to word it as the platform does."""
        return {"code": status, "msg": text}

    @property
    def base_url(self) -> str:
        return f"{self.world.origin}/{self.name}"

    def answer(self, request: Request) -> Answer:
        try:
            return self._route(request)
        except Refusal as refusal:
            answer = Answer.json(self.error(refusal.status, refusal.text), refusal.status)
            answer.headers.update(refusal.headers)
            return answer

    def _route(self, request: Request) -> Answer:
        found = [(r, names) for r in self._routes if (names := r.match(request.path)) is not None]
        if not found:
            raise Refusal(404, f"There is no {request.path} here.")
        method = "GET" if request.method == "HEAD" else request.method
        for route, names in found:
            if route.method == method:
                if route.keyed and not self.is_keyed(request.headers):
                    raise Refusal(401, "The API key is missing or not valid.")
                if route.query is not None:
                    request.read_query(route.query)
                return route.run(request, **names)
        allowed = ", ".join(sorted(route.method for route, _ in found))
        raise Refusal(405, f"{request.path} takes {allowed} only.", {"Allow": allowed})

    def accept(self, request: Request, plan: Plan) -> Task:
        """Accept the task and charge for it, unless a marker in the request's text forbids it."""
        twists = markers(plan.fields)
        if status := twists.get("status"):
            raise Refusal(status["status"], status.get("body", "The sandbox was asked to refuse."))
        if "cut_before" in twists:
            raise Cut
        task = self.world.tasks.add(self.name, plan, twists)
        if "cut_after" in twists:
            request.twists["cut_after"] = {}
        return task

    def twists(self, request: Request, task: Task) -> Twists:
        """How the answer to this poll goes wrong."""
        if "bad_json" in task.twists:
            request.twists["bad_json"] = {"taken": True}
        return {**task.twists, **request.twists}

    def find_task(self, kind: str, number: str) -> Task | None:
        """The task with this number, which is text in a request."""
        is_number = number.isascii() and number.isdigit()
        return self.world.tasks.get(self.name, kind, int(number)) if is_number else None

    def draw(self, spec: DrawSpec, twists: Twists) -> StoredFile:
        """Draw a result; markers of its task may spoil it."""
        return result_file(draw(spec, self.world.new_path()), twists)

    def plan_workflow(
        self,
        kind: str,
        fields: Any,
        prompt: Prompt,
        files: Mapping[str, StoredFile],
        store: Callable[[Saved, Twists], Made],
    ) -> Plan:
        """Check a workflow and plan to run it; `store` stores each file that it saves.

        files  the uploads that the workflow may name
        Raises Refusal for a workflow that cannot run.
        """
        files = dict(files)
        check(prompt, files)
        twists = markers(fields)

        def make() -> Sequence[Made]:
            return [store(saved, twists) for saved in run(prompt, files, self.world.new_path)]

        return Plan(kind, fields, make, 3.0, steps(prompt))

    def store_upload(self, part: FormPart) -> StoredFile:
        """An uploaded part as a file. Raises Refusal where it is none, or no media file."""
        if part.path is None or not part.filename:
            raise Refusal(400, f"Field {part.name!r} must be a file with a name.")
        return identify(part.path, part.filename)
