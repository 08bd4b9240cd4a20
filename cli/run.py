"""`skyport run`: runs a workflow in the cloud with local inputs and brings the results here."""

from __future__ import annotations

import argparse
import inspect
import itertools
import mimetypes
import os
import shutil
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import providers
from ..engine.base.errors import InvalidInput
from ..engine.base.words import tr
from ..engine.tasks.public_view import result_to_json
from ._rows import print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..engine.base.types import Request, Result, ResultFile
    from ..engine.tasks.job import Job

_MEDIA = ("image", "video", "audio")
_LOCATIONS = {"cluster", "workflow_id", "server"}
_GRACE = 5.0  # seconds for a submit to yield its task id, and for a platform to cancel


def about() -> str:
    return tr("Run a ComfyUI workflow (API format) on a platform.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("workflow", type=Path, help=tr("the workflow, exported in API format"))
    parser.add_argument(
        "--platform", required=True, choices=providers.names(), help=tr("where it runs")
    )
    parser.add_argument(
        "--cluster", help=tr("a cluster's name; auto picks the smallest one with free capacity")
    )
    parser.add_argument(
        "--workflow-id",
        help=tr("the number of the hosted workflow, where the platform requires one"),
    )
    parser.add_argument(
        "--server",
        help=tr("a ComfyUI server's name; auto picks the one with the shortest queue that fits"),
    )
    parser.add_argument(
        "--input",
        dest="inputs",
        metavar="73.image=photo.jpg",
        action="append",
        default=[],
        type=pair,
        help=tr("a value for one of its inputs: a file on this machine, or text; may be repeated"),
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help=tr("with another number, the same run is submitted again"),
    )
    parser.add_argument("--output", type=Path, help=tr("folder of the results"))
    parser.add_argument("--json", action="store_true", help=tr("print it as JSON"))


def run(args: argparse.Namespace) -> int:
    request = _request(args)
    provider = providers.connect(args.platform)
    into = (args.output or providers.results()).absolute()
    runner = providers.runner()
    with _notices_at_the_end():
        result = wait_for(lambda: runner.start(provider, request, into))
        print_result(copy_into(result, into) if args.output else result, args.json)
    return 0


@contextmanager
def _notices_at_the_end() -> Iterator[None]:
    """However it ends, but for Ctrl-C: whoever presses that is there."""
    try:
        yield
    except Exception:
        providers.send_notices()
        raise
    providers.send_notices()


def pair(text: str) -> tuple[str, str]:
    """The two sides of NAME=VALUE, for argparse."""
    target, equals, value = text.partition("=")
    if not equals or not target.strip():
        raise argparse.ArgumentTypeError(tr("write it as {example}", example="73.image=photo.jpg"))
    return target.strip(), value


# -- the request --------------------------------------------------------------------------------


def _request(args: argparse.Namespace) -> Request:
    from ..engine.tasks import learnt_widgets
    from ..engine.workflows.api_format import put_inputs, read_workflow

    make = getattr(import_module(f"..providers.{args.platform}", __package__), "workflow", None)
    if make is None:
        label = providers.provider_class(args.platform).label
        raise InvalidInput(tr("this platform runs no workflows."), platform=label)
    prompt = read_workflow(text_of(args.workflow))
    learnt_widgets.learn_quietly(prompt)
    filled = put_inputs(prompt, [(target, _value(target, text)) for target, text in args.inputs])
    request: Request = make(filled, **location_options(make, args), seed=args.seed)
    return request


def location_options(make: Callable[..., Request], args: argparse.Namespace) -> dict[str, str]:
    """The options for where it runs; each platform takes its own."""
    accepted = set(inspect.signature(make).parameters)
    for name in _LOCATIONS - accepted:
        if getattr(args, name) is not None:
            label = providers.provider_class(args.platform).label
            option = f"--{name.replace('_', '-')}"
            raise InvalidInput(tr("{option} does not apply here.", option=option), platform=label)
    return {name: getattr(args, name) or "" for name in _LOCATIONS & accepted}


def text_of(path: Path) -> str:
    """The text of a file. Raises InvalidInput."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or tr("it is not text")
        raise InvalidInput(
            tr("{path} cannot be read: {reason}.", path=path, reason=reason)
        ) from None


def _value(target: str, text: str) -> Any:
    """The media file that `text` names, else `text` itself."""
    from ..engine.media.files import describe

    if not _is_text(text):
        raise InvalidInput(tr("{target}: the value is not valid UTF-8.", target=target))
    path = os.path.expanduser(text)
    if os.path.isfile(path):
        return describe(path)
    if _names_a_medium(text):
        raise InvalidInput(
            tr('{target}: there is no file "{name}".', target=target, name=text),
            do=tr("Correct the path; a value that is no path is sent as text."),
        )
    return text


def _is_text(text: str) -> bool:
    """Whether it is Unicode; bytes of an argument that are not come as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _names_a_medium(text: str) -> bool:
    if "\n" in text or text.startswith(("http://", "https://")):
        return False
    return (mimetypes.guess_type(text)[0] or "").partition("/")[0] in _MEDIA


# -- wait ---------------------------------------------------------------------------------------


class StoppedWaiting(KeyboardInterrupt):
    """Ctrl-C; what becomes of the task has been said."""


def wait_for(begin: Callable[[], Job], *, stop: bool = True) -> Result:
    """Show progress until the result of what `begin` begins is there.

    On Ctrl-C, also while it begins, `stop` cancels the task as well. Raises StoppedWaiting then,
    once it has said what goes on.
    """
    from ..engine.tasks.progress import progress_text
    from ._board import watch

    with counted_interrupts() as interrupts:
        job = begin()
        name = f"{job.provider.label} {job.request.title}"
        watch([job.future], {name: lambda: progress_text(job, time.monotonic())}, interrupts)
        if interrupts and not job.future.done():
            _stop_waiting(job, stop, interrupts)
            raise StoppedWaiting
    providers.runner().record_told(job)
    result = job.future.result()
    providers.runner().record_delivered(job)
    return result


@contextmanager
def counted_interrupts() -> Iterator[list[int]]:
    """Each Ctrl-C puts an entry into the list that this yields, and raises nothing: raised amid
    whatever runs, it may be swallowed there. After StoppedWaiting Ctrl-C has no effect any more."""
    interrupts: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        yield interrupts
    except StoppedWaiting:
        before = signal.SIG_IGN
        raise
    finally:
        signal.signal(signal.SIGINT, before)


def _stop_waiting(job: Job, stop: bool, interrupts: Sequence[int]) -> None:
    runner = providers.runner()
    if stop:
        runner.stop(job)  # still watched: the runner logs what nobody watches
    _report_unfinished(job, stop, interrupts)
    runner.leave(job, stop=stop)


def _report_unfinished(job: Job, stop: bool, interrupts: Sequence[int]) -> None:
    """Say what goes on at the platform; waits briefly for the task id of a submit under way.

    A second Ctrl-C ends that wait.
    """
    cancels = stop and job.provider.can_cancel()
    until = time.monotonic() + _GRACE
    while len(interrupts) < 2 and not job.future.done() and time.monotonic() < until:
        if job.snapshot.task_id and not cancels:
            break
        time.sleep(0.05)
    print(_unfinished_text(job), file=sys.stderr)


def _unfinished_text(job: Job) -> str:
    label, task_id = job.provider.label, job.snapshot.task_id
    if job.future.done() and (error := job.future.exception()):
        return str(error)
    if job.future.done():
        text = tr("{platform} task {id} has ended.", platform=label, id=task_id)
    elif task_id:
        text = tr(
            "{platform} task {id} is still running there: it is not cancelled and may be charged.",
            platform=label,
            id=task_id,
        )
    else:
        text = tr("{platform} has not answered: a task may have started there.", platform=label)
    more = tr("The same command goes on with it at no further charge; `skyport jobs` lists it.")
    return f"{text} {more}"


# -- the result ---------------------------------------------------------------------------------


def copy_into(result: Result, folder: Path) -> Result:
    """The result with every file in `folder`; files elsewhere are copied there."""
    from ..engine.media.files import is_intact

    files = []
    for file in result.files:
        if folder not in file.path.parents:
            copy = replace(file, path=_free_path(folder, file))
            if not is_intact(copy):
                _copy(file.path, copy.path)
            file = copy
        files.append(file)
    return replace(result, files=tuple(files))


def _free_path(folder: Path, file: ResultFile) -> Path:
    """Its name in `folder`, with a number where another file has that name."""
    from ..engine.media.files import is_intact

    for number in itertools.count(1):
        suffix = "" if number == 1 else f"_{number}"
        path = folder / f"{file.path.stem}{suffix}{file.path.suffix}"
        if not path.exists() or is_intact(replace(file, path=path)):
            return path
    raise AssertionError


def _copy(source: Path, target: Path) -> None:
    """Copy under a temporary name first, so that no partial file is ever seen."""
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source, part)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidInput(
            tr("{path} cannot be written: {reason}.", path=target, reason=error.strerror or error),
            do=tr("The result is kept in {path}.", path=source),
        ) from None


def print_result(result: Result, as_json: bool = False) -> None:
    """Print the paths and texts of a result, with its warnings; or all of it as JSON."""
    if result.reused:
        print(tr("reused, no charge; use another --seed for a new one"), file=sys.stderr)
    for warning in (*result.warnings, providers.ledger().trouble):
        if warning:
            print(tr("Warning: {text}", text=warning), file=sys.stderr)
    if as_json:
        print_json(result_to_json(result))
        return
    for file in result.files:
        print(file.path)
    for text in result.texts:
        print(text)
