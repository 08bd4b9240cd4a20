"""The main job without ComfyUI, on every platform: pictures, video, apps, workflows, chat."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from .. import providers
from ..engine.base.errors import InvalidInput
from ..engine.base.types import Json, Model, Request, Result
from ..engine.base.words import tr
from ..engine.http.retry import retrying
from ..engine.media.files import describe
from ..engine.platforms.parameters import fill
from ..engine.workflows.api_format import Workflow, put_inputs, read_workflow
from ..providers import gpugeek, haiyi, happyhorse, opencomputing
from ._inspect import size_of, spread
from ._steps import Step, StepResult, Stranded

HERE = Path(__file__).parent
PICTURE = HERE / "picture.png"
_WORKFLOW = HERE / "workflow.json"
_EDITOR = ("google/gemini-3-pro-image-preview", "image2image")
_FILMER = ("kwai/kling-v3", "image2video")
_COMPOSER = ("sandbox/sandbox-song", "text2music")
_ANIMATOR = ("happyhorse-1.0-i2v", "image2video")
_TALKER = ("qwen3-max", "t2t")
_PAINTER = ("wan2.2-t2i-plus", "t2i")
_APP = "1001"
_WORKFLOW_ID = "763311996779461"
_STILLS = 5
_LINE = 60  # characters shown of a text


class MainJob:
    """A Trip; create it only where `connect("haiyi")` reaches a sandbox."""

    def __init__(self, output: Path, prompt: str) -> None:
        self.output = output.absolute()
        self.prompt = prompt
        self.provider = providers.connect("haiyi")
        self.runner = providers.runner()
        self.models = Step(tr("models"))
        self.clusters = Step(tr("clusters"))
        self.upload = Step(tr("upload"))
        self.edit = Step(tr("edited image"))
        self.film = Step(tr("image to video"))
        self.frames = Step(tr("frames"))
        self.app = Step(tr("AI app"))
        self.workflow = Step(tr("remote workflow"))
        self.music = Step(tr("music"))
        self.animation = Step(tr("picture to video"))
        self.elsewhere = Step(tr("workflow on GPUGeek"))
        self.chat = Step(tr("chat"))
        self.painting = Step(tr("chat to image"))

    @property
    def steps(self) -> Sequence[Step]:
        return [step for step in vars(self).values() if isinstance(step, Step)]

    async def go(self) -> None:
        """Run the branches side by side, once the models and clusters are known."""
        if not all(await _side_by_side(self._refresh_models(), self._find_cluster())):
            return
        at_haiyi = (self._pictures(), self._run_app(), self._run_workflow(), self._compose())
        await _side_by_side(*at_haiyi, self._animate(), self._run_elsewhere(), self._talk())

    # -- before anything is paid for --------------------------------------------------------

    async def _refresh_models(self) -> None:
        with self.models.running():
            found = await providers.refresh("haiyi")
            self.models.results = [StepResult(tr("{count} models", count=len(found.models)))]

    async def _find_cluster(self) -> None:
        with self.clusters.running():
            assert isinstance(self.provider, haiyi.HaiYi)
            blocking = self.runner.engine.blocking
            found = await retrying(self.provider.clusters, run_blocking=blocking)
            self._cluster = haiyi.most_free_cluster(found)
            text = tr("{count} clusters; auto takes {name}", count=len(found), name=self._cluster)
            self.clusters.results = [StepResult(text)]

    # -- the branches -----------------------------------------------------------------------

    async def _pictures(self) -> None:
        """Picture -> its URL -> edited image -> video -> frames."""
        url = await self._host_picture()
        edited = await self._run(
            self.edit,
            _EDITOR[0],
            lambda: _haiyi_request(_EDITOR, {"prompt": self.prompt, "images": [url]}),
        )
        film = await self._run(
            self.film, _FILMER[0], lambda: self._film_request(edited.files[0].path)
        )
        with self.frames.running():
            await self.runner.engine.blocking(lambda: self._extract_frames(film.files[0].path))

    async def _host_picture(self) -> str:
        with self.upload.running():
            like = Request("haiyi", haiyi.GENERATE, {})
            file = await self.runner.engine.blocking(lambda: describe(PICTURE))
            [url] = await self.runner.host(self.provider, like, [file])
            size = f"{file.width} x {file.height}"
            self.upload.results = [
                StepResult(url.partition("?")[0].rpartition("%2F")[2], size, [PICTURE])
            ]
            return url

    def _film_request(self, start: Path) -> Request:
        values = {
            "prompt": self.prompt,
            "key_frames": {"start": describe(start)},
            "duration": 3,
            "sound": True,
        }
        return _haiyi_request(_FILMER, values)

    def _extract_frames(self, film: Path) -> None:
        """Decode every frame and save some of them as pictures."""
        count, stills = spread(film, _STILLS)
        folder = film.with_name(f"{film.stem}_frames")
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{number}.png" for number in range(1, len(stills) + 1)]
        for path, still in zip(paths, stills, strict=True):
            still.save(path)
        size = f"{stills[0].width} x {stills[0].height}"
        text = tr(
            "{count} frames decoded, {kept} kept, {size}", count=count, kept=len(paths), size=size
        )
        self.frames.results = [StepResult(_relative(folder, self.output), text, paths)]

    async def _run_app(self) -> None:
        def request() -> Request:
            inputs = {"input_image": describe(PICTURE), "prompt": self.prompt}
            return haiyi.app(_APP, "", self._cluster, inputs)

        await self._run(self.app, f"{_APP} @ {self._cluster}", request)

    async def _run_workflow(self) -> None:
        def request() -> Request:
            return haiyi.workflow(_read_demo_workflow(), self._cluster)

        await self._run(self.workflow, f"{_WORKFLOW.name} @ {self._cluster}", request)

    async def _compose(self) -> None:
        await self._run(
            self.music, _COMPOSER[0], lambda: _haiyi_request(_COMPOSER, {"prompt": self.prompt})
        )

    async def _animate(self) -> None:
        """HappyHorse has no upload of its own: a media host provides the URL of the picture."""

        def request() -> Request:
            values = {"prompt": self.prompt, "image": describe(PICTURE), "duration": 3}
            return happyhorse.generation(*_row("happyhorse", _ANIMATOR, values))

        await self._run(self.animation, _ANIMATOR[0], request)

    async def _run_elsewhere(self) -> None:
        def request() -> Request:
            return gpugeek.workflow(_read_demo_workflow(), _WORKFLOW_ID)

        await self._run(self.elsewhere, f"GPUGeek {_WORKFLOW_ID}", request)

    async def _talk(self) -> None:
        """The answer becomes the prompt of an image."""

        def chat_request(key: tuple[str, str], values: dict[str, Any]) -> Request:
            return opencomputing.generation(*_row("opencomputing", key, values))

        answer = await self._run(
            self.chat,
            _TALKER[0],
            lambda: chat_request(_TALKER, {"prompt": self.prompt, "stream": True}),
        )
        values = {"prompt": answer.texts[0]}
        await self._run(self.painting, _PAINTER[0], lambda: chat_request(_PAINTER, values))

    # -- one task ---------------------------------------------------------------------------

    async def _run(self, step: Step, by: str, build: Callable[[], Request]) -> Result:
        """The result of the request that `build` makes; `step` records its progress."""
        with step.running(by):
            blocking = self.runner.engine.blocking
            request = await blocking(build)
            provider = providers.connect(request.platform)
            step.job = await self.runner.begin(provider, request, self.output)
            try:
                result = await asyncio.wrap_future(step.job.future)
            finally:
                step.task = step.job.snapshot.task_id
            self.runner.record_delivered(step.job)
            step.results = await blocking(lambda: self._step_results(result))
            return result

    def _step_results(self, result: Result) -> list[StepResult]:
        paths = [file.path for file in result.files]
        texts = [StepResult(" ".join(text.split())[:_LINE]) for text in result.texts]
        return texts + [
            StepResult(_relative(path, self.output), size_of(path), [path]) for path in paths
        ]


async def _side_by_side(*branches: Coroutine[Any, Any, None]) -> list[bool]:
    """Which branches succeeded; the failed step of each other one has its error."""
    ends = await asyncio.gather(*branches, return_exceptions=True)
    for end in ends:
        if end is not None and not isinstance(end, Stranded):
            raise end
    return [end is None for end in ends]


def _haiyi_request(key: tuple[str, str], values: dict[str, Any]) -> Request:
    return haiyi.generation(*_row("haiyi", key, values))


def _row(
    platform: str, key: tuple[str, str], values: dict[str, Any]
) -> tuple[Model, dict[str, Json]]:
    """The model of this id and task, and the values as its row takes them."""
    models = providers.catalogue(platform).models(key[1])
    row = next((model for model in models if model.id == key[0]), None)
    if row is None:
        raise InvalidInput(tr('The model "{name}" is not offered.', name=key[0]))
    return row, fill(row, values)


def _read_demo_workflow() -> Workflow:
    prompt = read_workflow(_WORKFLOW.read_text(encoding="utf-8"))
    return put_inputs(prompt, [("73.image", describe(PICTURE))])


def _relative(path: Path, under: Path) -> str:
    return path.relative_to(under).as_posix()
