"""Downloading what a finished task made: every output becomes a file or a text."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

from ..base.background import Engine, all_of
from ..base.types import Kind, Output, Result, ResultFile, Task, TaskState
from ..http.retry import retrying
from ..media.download import Download, keep
from ..settings import folders, settings
from .job import Job, TransferProgress


async def check_writable(engine: Engine, job: Job, into: Path) -> None:
    """Raises InvalidInput if results of `job` cannot be written: asked before they are paid for."""
    folder = _folder(job.provider.name, into)
    await engine.blocking(lambda: folders.check_writable(folder))


def _folder(platform: str, into: Path) -> Path:
    return into / platform / date.today().isoformat()


async def download_outputs(
    engine: Engine, job: Job, task: Task, state: TaskState, into: Path
) -> Result:
    """Download every output of `state` in parallel, to `into`/platform/date."""
    progress = TransferProgress(job)
    folder = _folder(task.platform, into)
    downloadable = [output for output in state.outputs if output.url or output.data]
    stem = f"{_file_name(job.request.title)}_{_file_name(task.id)}"
    files = await all_of(
        [
            _fetch(engine, job, output, folder / f"{stem}_{number}", progress)
            for number, output in enumerate(downloadable, 1)
        ]
    )
    texts = [file.path.read_text("utf-8", "replace") for file in files if _is_text(file)]
    return Result(
        task_id=task.id,
        files=tuple(file for file in files if not _is_text(file)),
        texts=(*(output.text for output in state.outputs if output.text), *texts),
        warnings=state.warnings,
        details=state.details,
        cost=state.cost,
    )


async def _fetch(
    engine: Engine, job: Job, output: Output, target: Path, progress: TransferProgress
) -> ResultFile:
    if output.data:
        file = await engine.blocking(lambda: keep(output.data, target))
    else:
        cap = settings.load().max_result_mb * 1024 * 1024
        download = Download(job.provider.http, output.url, target, cap, progress.part(), text=True)
        try:
            file = await retrying(download.attempt, run_blocking=engine.transfer)
        except BaseException:
            download.give_up()
            raise
    return replace(file, url=output.url, node_id=output.node_id, title=output.title)


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "task"


def _is_text(file: ResultFile) -> bool:
    return file.kind is Kind.TEXT
