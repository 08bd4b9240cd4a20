"""HaiYi: hosted models, ComfyUI apps and raw workflows, in the order of its document."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from ...engine.base.errors import BadResult, InvalidInput
from ...engine.base.json_tree import form_fields, number
from ...engine.base.types import (
    Cluster,
    Json,
    MediaFile,
    Model,
    Report,
    Request,
    Task,
    TaskState,
    no_report,
)
from ...engine.base.words import tr
from ...engine.http.response import read_json
from ...engine.platforms.answers import AnswerForm
from ...engine.platforms.provider import Accepted, Provider
from . import _answers, _clusters, _models

GENERATE = "generate/image"  # for video, music and speech too: the document shows no other
APP = "workflow/apps/run"
WORKFLOW = "workflow/task/submit"

CLUSTERS = ("GPU-4090", "GPU-A800", "GPU-A800x2", "GPU-A800x4", "GPU-A800x8")
AUTO_CLUSTER = "auto"

_API = "/openapi/v1/"
_UPLOAD = {GENERATE: "file/upload", WORKFLOW: "workflow/upload/file"}
_POLL = {
    GENERATE: "generate/result/",
    APP: "workflow/apps/task/",
    WORKFLOW: "workflow/task/",
}
_SHORT, _DAY = 600.0, 86400.0  # seconds a hosted file is relied on
_MARGIN = 3600.0  # seconds: a queued task needs its media later
_BUILT_IN = Path(__file__).with_name("models.json")
_NODES = {  # tasks by the end of a node's id
    "TextToImage": "text2image",
    "ImageToImage": "image2image",
    "StyleTransfer": "style-trans",
    "TextToVideo": "text2video",
    "ImageToVideo": "image2video",
    "EditVideo": "video-edit",
    "TextToMusic": "text2music",
    "TextToSpeech": "text2speech",
}


class HaiYi(Provider):
    """https://art.huya.info"""

    name = "haiyi"
    label = "HaiYi"
    default_base_url = "https://art.huya.info"
    public_uploads = GENERATE
    top_up = "https://art.huya.info"
    key_page = "https://art.huya.info"
    node_tasks = MappingProxyType(_NODES)

    @classmethod
    def about(cls) -> str:
        return tr(
            "Models for images, video, music and speech; it also runs ComfyUI apps and workflows. "
            "The key is in its settings, at the top right of its page."
        )

    # -- files: "Upload a file", "ComfyUI native API" ---------------------------------------

    def upload(self, file: MediaFile, request: Request, report: Report = no_report) -> str:
        """A public URL of the file; for a raw workflow, its name on the cluster."""
        return self.upload_to(_UPLOAD[request.endpoint], file, report)

    def upload_to(self, path: str, file: MediaFile, report: Report = no_report) -> str:
        """The URL or name that the upload endpoint `path` gives the file."""
        answer = self.unwrap(self.http.post_form(_API + path, [("file", file)], report))
        field = "filename" if path == _UPLOAD[WORKFLOW] else "url"
        hosted = answer.get(field) if isinstance(answer, dict) else None
        if not isinstance(hosted, str) or not hosted:
            raise BadResult(
                tr(
                    "The answer to the upload of {name} has no {wanted}.",
                    name=file.name,
                    wanted=field,
                ),
                do=tr("Queue again later."),
                platform=self.label,
            )
        return hosted

    def url_lifetime(self, url: str, request: Request) -> float:
        """Signed URLs say when they expire, by the platform's clock; nothing says how long a
        cluster keeps a file."""
        if request.endpoint == WORKFLOW:
            return 0.0
        expires = number(dict(parse_qsl(urlsplit(url).query)).get("Expires"))
        return (
            _SHORT if expires is None else min(_DAY, expires - self.http.platform_time() - _MARGIN)
        )

    # -- models: "List of models", "Model details" ------------------------------------------

    @classmethod
    def built_in_rows(cls) -> list[Json]:
        rows: list[Json] = json.loads(_BUILT_IN.read_text(encoding="utf-8"))
        return rows

    def list_rows(self) -> list[Json]:
        return _models.rows_in(self.unwrap(self.http.get(_API + "model/list")))

    def complete_row(self, row: Json) -> Json:
        query = {"provider": row["provider"], "model": row["model"], "type": row["type"]}
        info = self.unwrap(self.http.get(_API + "model/info", query))
        return _models.merged(row, info)

    @classmethod
    def read_row(cls, row: Json) -> Model:
        return _models.read(row)

    # -- submit: "Image generation", "Run an AI app", "Native API" --------------------------

    def prepare(self, request: Request) -> Request:
        """Replaces the cluster `auto` by the smallest one with free nodes."""
        if request.payload.get("cluster_name") != AUTO_CLUSTER:
            return request
        return request.with_payload(
            {**request.payload, "cluster_name": most_free_cluster(self.clusters())}
        )

    def sends_files_inside(self, request: Request) -> bool:
        return request.endpoint == APP

    def submit(self, request: Request, report: Report = no_report) -> Accepted:
        path = _API + request.endpoint
        if request.endpoint == APP:
            fields = form_fields(request.payload)
            return self.read_accepted(request, lambda: self.http.post_form(path, fields, report))
        return self.read_accepted(request, lambda: self.http.post_json(path, request.payload))

    # -- poll -------------------------------------------------------------------------------

    def poll(self, task: Task) -> TaskState:
        path = _API + _POLL[task.endpoint] + quote(task.id, safe="")
        return self.read_state(read_json(self.http.get(path)), task)

    def form(self, endpoint: str) -> AnswerForm:
        return _answers.GENERATION if endpoint == GENERATE else _answers.WORKFLOW

    def is_own_form(self, body: Mapping[str, Json]) -> bool:
        return _answers.is_own_form(body)

    # -- clusters: "Status of the GPU clusters" ---------------------------------------------

    def clusters(self) -> list[Cluster]:
        """Every active cluster; `most` is None where the platform says -1."""
        answer = self.unwrap(self.http.get(_API + "workflow/cluster/all_active_clusters_status"))
        if not isinstance(answer, list):
            raise BadResult(
                tr("The status of the clusters could not be read: it is not a list."),
                do=tr("Queue again later or name a cluster."),
                platform=self.label,
            )
        return [_cluster(row) for row in answer if isinstance(row, dict) and row.get("name")]


PROVIDER = HaiYi


def generation(model: Model, parameters: Mapping[str, Json], *, seed: int = 0) -> Request:
    """A request for a hosted model; `parameters` are named as in its model/info."""
    provider, _, name = model.id.partition("/")
    payload = {
        "model": {"provider": provider, "model": name, "type": model.task},
        "parameters": dict(parameters),
    }
    return Request("haiyi", GENERATE, payload, title=name, seed=seed)


def app(
    workflow_id: str, version_id: str, cluster: str, inputs: Mapping[str, Any], *, seed: int = 0
) -> Request:
    """A request to run a published app; `inputs` are the app's own parameters, files included."""
    if not workflow_id.strip():
        raise InvalidInput(
            tr("workflow_id is empty."),
            do=tr("HaiYi shows this number on the page of your app."),
            platform=HaiYi.label,
        )
    reserved = {"workflow_id", "version_id", "cluster_name"} & set(inputs)
    if reserved:
        raise InvalidInput(
            tr('"{name}" is set by the node itself and cannot be an input.', name=min(reserved)),
            platform=HaiYi.label,
        )
    fixed = {"workflow_id": workflow_id.strip(), "cluster_name": cluster.strip() or AUTO_CLUSTER}
    if version_id.strip():
        fixed["version_id"] = version_id.strip()
    title = tr("app {id}", id=workflow_id.strip())
    return Request("haiyi", APP, {**fixed, **inputs}, title=title, seed=seed)


def workflow(prompt: Mapping[str, Any], cluster: str, *, seed: int = 0) -> Request:
    """A request to run a raw workflow in API format."""
    payload = {"parameters": {"prompt": prompt}, "cluster_name": cluster.strip() or AUTO_CLUSTER}
    return Request("haiyi", WORKFLOW, payload, title=tr("workflow"), seed=seed)


def most_free_cluster(clusters: Sequence[Cluster]) -> str:
    """The name of the smallest cluster with free nodes: see `_clusters.smallest_free`."""
    if not clusters:
        raise InvalidInput(
            tr("No cluster is active right now."),
            do=tr("Queue again later or name a cluster."),
            platform=HaiYi.label,
        )
    return _clusters.smallest_free(clusters).name


def cluster_report(clusters: Sequence[Cluster]) -> str:
    """One line per cluster: name, running nodes, maximum of nodes."""
    unknown = tr("unknown")
    lines = [
        tr(
            "{name}: {running} running, {most} at most ({label})",
            name=cluster.name,
            running=cluster.running,
            most=unknown if cluster.most is None else cluster.most,
            label=cluster.label,
        )
        for cluster in clusters
    ]
    return "\n".join(lines)


def _cluster(row: Mapping[str, Any]) -> Cluster:
    most = number(row.get("max_nodes"))
    return Cluster(
        name=str(row["name"]),
        label=str(row.get("display_name") or row["name"]),
        running=int(number(row.get("curr_nodes")) or 0),
        most=None if most is None or most < 0 else int(most),
    )
