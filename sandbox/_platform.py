"""The base of an imitated platform: routes, requests, answers and refusals."""

from __future__ import annotations

import hmac
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.message import Message
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from ._answer import Answer as Answer
from ._body import Body, Cut, Refusal
from ._draw import DrawSpec
from ._faults import Faults, Twists, markers
from ._files import TEXT_ENDING, StoredFile, identify, result_file, serve_range
from ._film import draw
from ._graph import Prompt
from ._log import Log, LoggedRequest
from ._media import Media
from ._multipart import FormPart, parse
from ._spellings import names
from ._spoil import as_asked, is_late, moves_results, spoil
from ._tasks import Made, Moment, Plan, Task, Tasks
from ._workflow import Saved, check, run, steps

MAX_UPLOAD = 1024**3
_HARMLESS = {"at_once", "cut_after", "slow"}  # markers that leave results as they are


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
    media: Media = field(default_factory=Media)
    is_fast: bool = False
    _samples: dict[str, StoredFile] = field(default_factory=dict)

    def sample(self, kind: str) -> StoredFile:
        """The one small result of a kind, in a sandbox that is fast."""
        if kind not in self._samples:
            spec = DrawSpec(kind, size=(16, 16), seconds=0.5)
            self._samples[kind] = result_file(draw(spec, self.new_path()), {})
        return self._samples[kind]

    def new_path(self) -> Path:
        return self.root / uuid.uuid4().hex


@dataclass
class Request:
    """One request, its path already without the platform's prefix.

    task    the one that it submits or asks for
    moment  its state that the answer reports; None at a submit
    poll    which poll of the task it is, from 1; 0 at a submit
    late    whether the poll reports success before the results
    """

    method: str
    path: str
    query: str
    headers: Message
    body: Body
    seen: LoggedRequest
    world: World
    twists: Twists
    args: Mapping[str, Sequence[str]] = field(default_factory=dict)
    task: Task | None = None
    moment: Moment | None = None
    poll: int = 0
    late: bool = False

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path

    def send(self, file: StoredFile) -> Answer:
        """The answer with `file`, or with the requested range of it."""
        if file.is_gone():
            raise Refusal(404, "NoSuchKey: the file is gone.")
        status, headers, body = serve_range(file, self.headers)
        twists = {} if self.method == "HEAD" else file.download_twists(self.world.tasks.pace)
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
        self.world.media.check(self.seen.fields)
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
        self.world.media.check(self.seen.fields)
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
        found = _pattern(self.template).fullmatch(path)
        return found.groupdict() if found else None


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template)))


class Platform:
    """One platform. A module without a leading underscore holds one subclass of this.

    always   a knob for tests: markers that every request has without bearing them
    aliases  other ids of tasks -> the documented ones
    """

    name: ClassVar[str]
    key: ClassVar[str]
    shows_text: ClassVar[bool] = False  # whether results hold the texts that nodes show

    def __init__(self, world: World) -> None:
        self.world = world
        self.always = ""
        self.aliases: dict[str, str] = {}
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

    @property
    def tasks(self) -> Tasks:
        return self.world.tasks

    def answer(self, request: Request) -> Answer:
        request.path = as_asked(request.path)
        try:
            if self.base_url + request.target in self.world.media.cleared:
                raise Refusal(404, "NoSuchKey: the file is gone.")
            return spoil(self, request, self._route(request))
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
        twists = self.markers(plan.fields)
        names(twists.get("spelling"))
        if status := twists.get("status"):
            raise Refusal(status["status"], status.get("body", "The sandbox was asked to refuse."))
        if "cut_before" in twists:
            raise Cut
        task = request.task = self.world.tasks.add(self.name, plan, twists)
        if "cut_after" in twists:
            request.twists["cut_after"] = {}
        return task

    def markers(self, fields: Any) -> Twists:
        """What the markers of a request ask for, and those that every request has."""
        return markers([self.always, fields])

    def twists(self, request: Request, task: Task, moment: Moment | None = None) -> Twists:
        """How the answer to this poll goes wrong, of a task that is at `moment`, or now."""
        moment = moment or self.world.tasks.moment(task)
        request.task, request.moment, request.poll = task, moment, next(task.polls)
        if "bad_json" in task.twists:
            request.twists["bad_json"] = {"taken": True}
        twists = {**task.twists, **request.twists}
        request.late = is_late(request, task, twists, self.tasks)
        return {**twists, "empty": {}} if request.late or moves_results(twists) else twists

    # -- how a platform reports a task ------------------------------------------------------

    def id_of(self, task: Task) -> str:
        """The id of a task in answers. Override where it is more than a number."""
        return str(task.id)

    def poll_target(self, task: Task) -> str:
        """The path and query by which the task is asked for."""
        raise NotImplementedError

    def look(self, request: Request, task: Task) -> Answer:
        """What a poll by the sender of `request` would be answered."""
        path, _, query = self.poll_target(task).partition("?")
        return self.answer(replace(request, method="GET", path=path, query=query, task=None))

    def no_task(self, id: str) -> Answer:
        """What is answered where there is no such task. Override where it is no 404."""
        return Answer.json(self.error(404, f"Task {id} does not exist."), 404)

    def busy(self) -> Answer:
        """An error that says nothing about the task. Override where it has a code of its own."""
        return Answer.json(self.error(503, "system busy"), 503)

    def results(self, task: Task) -> Sequence[Made]:
        """The results that a spelling moves. Override to leave some out."""
        return task.made

    def full_address(self, made: Made) -> str:
        """Override where answers name a result without its address."""
        return made.address

    # -- helpers ----------------------------------------------------------------------------

    def find_task(self, kind: str, number: str) -> Task | None:
        """The task with this number, which is text in a request."""
        number = self.aliases.get(number, number)
        is_number = number.isascii() and number.isdigit()
        return self.world.tasks.get(self.name, kind, int(number)) if is_number else None

    def draw(self, spec: DrawSpec, twists: Twists) -> StoredFile:
        """Draw a result; markers of its task may spoil it."""
        if self.world.is_fast and not set(twists) - _HARMLESS:
            return self.world.sample(spec.kind)
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
        twists = self.markers(fields)

        def make() -> Sequence[Made]:
            saved = run(prompt, files, self.world.new_path)
            told = (one for one in saved if self.shows_text or one.path.suffix != TEXT_ENDING)
            return [store(one, twists) for one in told]

        return Plan(kind, fields, make, 3.0, steps(prompt))

    def store_upload(self, part: FormPart) -> StoredFile:
        """An uploaded part as a file. Raises Refusal where it is none, or no media file."""
        if part.path is None or not part.filename:
            raise Refusal(400, f"Field {part.name!r} must be a file with a name.")
        return identify(part.path, part.filename)
