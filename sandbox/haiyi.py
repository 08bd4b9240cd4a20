"""HaiYi: files, models and generation, AI apps, clusters, native workflows."""

from __future__ import annotations

import itertools
import json
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from . import _requested, _rules
from ._body import Refusal
from ._draw import DrawSpec
from ._faults import Twists, status_word, strip_markers
from ._fields import check_public, exactly, form_files, form_text, only
from ._files import SignedStore, StoredFile, result_file
from ._film import draw
from ._haiyi_bodies import SHAPES, View, workflow_data
from ._multipart import FormPart
from ._platform import Answer, Platform, Request, Route, World
from ._tasks import FAIL, SUCCESS, Made, Plan, Task, result_urls
from ._workflow import Saved

TYPES = (
    "text2image",
    "image2image",
    "text2video",
    "image2video",
    "video-edit",
    "style-trans",
    "text2music",
    "text2speech",
)
_MAKES = {"image": ("text2image", "image2image"), "audio": ("text2music", "text2speech")}
_SECONDS = {"image": 1.5, "video": 3.0, "audio": 1.5}
_POLLS = {
    "generate": "generate/result",
    "app": "workflow/apps/task",
    "workflow": "workflow/task",
}
_BUSY = 1005  # no code of an error is documented
_HERE = Path(__file__).parent
_UNSAFE = re.compile(r'[\\/:*?"<>|\x00-\x1f\ud800-\udfff]+')


class Haiyi(Platform):
    """Knobs for tests: result_shape (a name in SHAPES, None = all in turn), view_needs_key."""

    name = "haiyi"
    key = "AI-sandbox-haiyi"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.models = _read("haiyi_models.json")
        self.apps = _read("haiyi_apps.json")["apps"]
        self.clusters = _read("haiyi_apps.json")["clusters"]
        self.result_shape: str | None = None
        self.view_needs_key = True
        self._store = SignedStore("haiyi")
        self._inputs: dict[str, StoredFile] = {}
        self._outputs: dict[str, StoredFile] = {}
        self._serial = itertools.count(1)

    def routes(self) -> Sequence[Route]:
        v1 = "/openapi/v1"
        return (
            Route("POST", f"{v1}/file/upload", self.upload),
            Route("GET", f"{v1}/model/list", self.model_list, query=("model_types",)),
            Route("GET", f"{v1}/model/info", self.model_info, query=("provider", "model", "type")),
            Route("POST", f"{v1}/generate/image", self.generate),
            Route("GET", f"{v1}/generate/result/{{task_id}}", self.generate_result),
            Route("POST", f"{v1}/workflow/apps/run", self.run_app),
            Route("GET", f"{v1}/workflow/apps/task/{{task_id}}", self.app_task),
            Route("GET", f"{v1}/workflow/cluster/all_active_clusters_status", self.cluster_status),
            Route("POST", f"{v1}/workflow/upload/file", self.upload_input),
            Route("POST", f"{v1}/workflow/task/submit", self.submit_workflow),
            Route("GET", f"{v1}/workflow/task/{{task_id}}", self.workflow_task),
            Route("GET", "/api/view", self.view, keyed=False, query=None),
            Route("GET", "/oss/{name}", self.stored_file, keyed=False, query=None),
        )

    # -- files ------------------------------------------------------------------------------

    def upload(self, request: Request) -> Answer:
        file = self._only_file(request)
        url = f"{self.base_url}/oss/{self._store.put(file)}"
        self.world.media.uploads.add(url)
        body = {"success": True, "url": url, "filename": file.name, "file_size": file.size}
        return Answer.json(body)

    def stored_file(self, request: Request, name: str) -> Answer:
        target = request.target.removeprefix("/oss/")
        return request.send(self._store.get(target))

    def _only_file(self, request: Request) -> StoredFile:
        parts = request.form()
        only(parts, ("file",), "form field")
        if "file" not in parts:
            raise Refusal(400, "Form field 'file' is required.")
        return self.store_upload(parts["file"])

    # -- models -----------------------------------------------------------------------------

    def model_list(self, request: Request) -> Answer:
        wanted = request.args.get("model_types", [])
        for kind in wanted:
            if kind not in TYPES:
                raise Refusal(400, f"Unknown model type {kind!r}; known: {', '.join(TYPES)}.")
        names = ("provider", "model", "label", "type")
        rows = (m for m in self.models if not wanted or m["type"] in wanted)
        return Answer.json([{name: row[name] for name in names} for row in rows])

    def model_info(self, request: Request) -> Answer:
        row = self._model(*(request.arg(name) for name in ("provider", "model", "type")))
        types = [m["type"] for m in self.models if m["provider"] == row["provider"]]
        provider = {
            "provider": row["provider"],
            "label": row["provider_label"],
            "supported_model_types": list(dict.fromkeys(types)),
        }
        body = {
            "model": row["model"],
            "label": row["label"],
            "description": row["description"],
            "model_type": row["type"],
            "parameter_rules": row["parameter_rules"],
            "provider": provider,
        }
        return Answer.json(body)

    def _model(self, provider: Any, model: Any, kind: Any) -> Mapping[str, Any]:
        for row in self.models:
            if (row["provider"], row["model"], row["type"]) == (provider, model, kind):
                return dict(row)
        raise Refusal(400, f"Unknown model {provider}/{model} of type {kind}.")

    # -- generation -------------------------------------------------------------------------

    def generate(self, request: Request) -> Answer:
        body = exactly(request.json(), ("model", "parameters"), "")
        named = exactly(body["model"], ("provider", "model", "type"), "model.")
        row = self._model(named["provider"], named["model"], named["type"])
        _rules.check(body["parameters"], row["parameter_rules"], self._hosted_file)
        task = self.accept(request, self._generation(row, body))
        words = "Task has been submitted for processing"
        return Answer.json({"task_id": task.id, "status": "submitted", "message": words})

    def generate_result(self, request: Request, task_id: str) -> Answer:
        task = self._task("generate", task_id)
        moment = self.world.tasks.moment(task)
        twists = self.twists(request, task, moment)
        ended = moment.status == SUCCESS
        view = View(
            id=task.id,
            status=status_word(twists, moment.status),
            percent=int(moment.part * 100),
            kind=task.made[0].file.kind if ended else "",
            urls=result_urls(task, twists) if ended else [],
            reason=task.reason if moment.status == FAIL else "",
            fields=task.plan.fields,
        )
        names = list(SHAPES)
        shape = self.result_shape or names[task.number % len(names)]
        return Answer.json(SHAPES[shape](view))

    def _generation(self, row: Mapping[str, Any], body: Mapping[str, Any]) -> Plan:
        values, rules = body["parameters"], row["parameter_rules"]
        files = [self._hosted_file(url) for url in _rules.media(values, rules)]
        sources = tuple(file.path for file in files if file)
        kind = _kind_of(row)
        twists = self.markers(body)

        def spec(number: int) -> DrawSpec:
            return DrawSpec(
                kind=kind,
                text=_text(values, rules),
                size=_requested.size(values),
                seconds=_requested.seconds(values, 3.0),
                sources=sources,
                variant=f"{row['model']} {values.get('seed', 0)} {number}",
                sound=values.get("sound", True),
                ending=str(values.get("format", "")),
            )

        def make() -> Sequence[Made]:
            copies = _requested.count(values) if kind == "image" else 1
            return [self._store_result(spec(number), twists) for number in range(copies)]

        return Plan("generate", body, make, _SECONDS[kind])

    def _store_result(self, spec: DrawSpec, twists: Twists) -> Made:
        file = self.draw(spec, twists)
        return Made(file, f"{self.base_url}/oss/{self._store.put(file)}")

    def _hosted_file(self, url: str) -> StoredFile | None:
        """The file at a URL of ours; None for one elsewhere, which is never fetched."""
        if not url.startswith(f"{self.world.origin}/"):
            check_public(url)
            return None
        rest = url.removeprefix(self.base_url)
        try:
            if rest.startswith("/oss/"):
                return self._store.get(rest.removeprefix("/oss/"))
            names = parse_qs(urlsplit(rest).query).get("filename", [""])
            return self._outputs[names[0]]
        except (Refusal, KeyError) as refusal:
            raise Refusal(400, f"Cannot fetch {url}: {refusal}") from None

    # -- AI apps ----------------------------------------------------------------------------

    def run_app(self, request: Request) -> Answer:
        parts = request.form()
        fixed = {name: form_text(parts, name) for name in ("workflow_id", "cluster_name")}
        self._check_cluster(fixed["cluster_name"])
        app = self.apps.get(strip_markers(fixed["workflow_id"]))
        version = form_text(parts, "version_id", required=False)
        if not app or (version and version not in app["versions"]):
            known = "; ".join(
                f"{k}: versions {', '.join(a['versions'])}" for k, a in self.apps.items()
            )
            missing = f"No such workflow or version (known here: {known})."
            return Answer.json({"code": 1004, "msg": missing, "data": None})
        own = {n: p for n, p in parts.items() if n not in (*fixed, "version_id")}
        files = form_files(app["parameters"], own, self.store_upload)
        task = self.accept(request, self._app_plan(app, own, files, request.seen.fields))
        return Answer.json(_envelope({"task_id": task.id}))

    def app_task(self, request: Request, task_id: str) -> Answer:
        task = self._task("app", task_id)
        return self._workflow_answer(request, task, self._view)

    def _app_plan(
        self,
        app: Mapping[str, Any],
        parts: Mapping[str, FormPart],
        files: Sequence[StoredFile],
        fields: Any,
    ) -> Plan:
        text = " ".join(strip_markers(part.text) for part in parts.values() if part.text)
        sources = tuple(file.path for file in files)
        twists = self.markers(fields)

        def make() -> Sequence[Made]:
            return [self._store_output(saved, twists) for saved in outputs()]

        def outputs() -> Any:
            for out in app["outputs"]:
                spec = DrawSpec(out["kind"], text, sources=sources, variant=out["id"])
                path = draw(spec, self.world.new_path())
                yield Saved(out["id"], out["title"], out["prefix"], path)

        steps = tuple((node["id"], node["title"]) for node in app["nodes"])
        return Plan("app", fields, make, 3.0, steps)

    # -- clusters ---------------------------------------------------------------------------

    def cluster_status(self, request: Request) -> Answer:
        return Answer.json(_envelope(self.clusters))

    def _check_cluster(self, name: Any) -> None:
        known = [cluster["name"] for cluster in self.clusters]
        if name not in known:
            raise Refusal(400, f"Unknown cluster {name!r}; known: {', '.join(known)}.")

    # -- native workflows -------------------------------------------------------------------

    def upload_input(self, request: Request) -> Answer:
        file = self._only_file(request)
        name = f"{uuid.uuid4().hex}.{file.ending}"
        self._inputs[name] = file
        self.world.media.uploads.add(name)
        return Answer.json(_envelope({"filename": name}))

    def submit_workflow(self, request: Request) -> Answer:
        body = exactly(request.json(), ("parameters", "cluster_name"), "")
        prompt = exactly(body["parameters"], ("prompt",), "parameters.")["prompt"]
        self._check_cluster(body["cluster_name"])
        plan = self.plan_workflow("workflow", body, prompt, self._inputs, self._store_output)
        task = self.accept(request, plan)
        return Answer.json(_envelope({"task_id": task.id}))

    def workflow_task(self, request: Request, task_id: str) -> Answer:
        return self._workflow_answer(request, self._task("workflow", task_id), "")

    def view(self, request: Request) -> Answer:
        """Whether this needs the key is not documented: a client that sends it is always right."""
        if self.view_needs_key and not self.is_keyed(request.headers):
            raise Refusal(401, "The API key is missing or not valid.")
        request.read_query(("type", "filename"))
        name = request.arg("filename")
        if request.arg("type") != "output" or name not in self._outputs:
            raise Refusal(404, f"There is no output {name!r}.")
        return request.send(self._outputs[name])

    def _store_output(self, saved: Saved, twists: Twists) -> Made:
        file = result_file(saved.path, twists)
        stamp = time.strftime("%Y%m%d%H%M%S")
        prefix = _UNSAFE.sub("_", strip_markers(saved.prefix)) or "output"
        sound = "-audio" if file.kind == "video" else ""
        name = f"HAIYI_{stamp}_{prefix}_{next(self._serial):05d}{sound}.{file.ending}"
        self._outputs[name] = file
        return Made(file, name, saved.node_id, saved.title)

    def _workflow_answer(self, request: Request, task: Task, prefix: str) -> Answer:
        """The answer for a task; `prefix` goes before each file name, which makes URLs for apps."""
        moment = self.world.tasks.moment(task)
        twists = self.twists(request, task, moment)
        data = workflow_data(task, moment, twists)
        for out in data["outputs"]:
            if out["error_type"] == "info" and "result_url" in twists:
                out["output"] = twists["result_url"]["url"]
            elif out["error_type"] == "info":
                out["output"] = prefix + (quote(out["output"]) if prefix else out["output"])
        data["status"] = status_word(twists, data["status"])
        return Answer.json(_envelope(data))

    # -- tasks of all kinds -----------------------------------------------------------------

    def poll_target(self, task: Task) -> str:
        return f"/openapi/v1/{_POLLS[task.plan.kind]}/{task.id}"

    def busy(self) -> Answer:
        return Answer.json({"code": _BUSY, "msg": "system busy", "data": None})

    def full_address(self, made: Made) -> str:
        bare = not made.address.startswith(self.base_url)
        return self._view + quote(made.address) if bare else made.address

    @property
    def _view(self) -> str:
        return f"{self.base_url}/api/view?type=output&filename="

    def _task(self, kind: str, task_id: str) -> Task:
        task = self.find_task(kind, task_id)
        if not task:
            raise Refusal(404, f"Task {task_id} does not exist.")
        return task


def _read(name: str) -> Any:
    return json.loads((_HERE / name).read_text(encoding="utf-8"))


def _envelope(data: Any) -> Any:
    return {"code": 0, "msg": "success", "data": data}


def _kind_of(row: Mapping[str, Any]) -> str:
    of_type = (kind for kind, types in _MAKES.items() if row["type"] in types)
    return str(row.get("makes") or next(of_type, "video"))


def _text(values: Mapping[str, Any], rules: Sequence[Mapping[str, Any]]) -> str:
    texts = (values.get(rule["name"]) for rule in rules if rule["type"] == "text")
    return next((strip_markers(text) for text in texts if text), "")
