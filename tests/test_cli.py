"""Pins the `skyport` command: its exit codes, what it prints, and that it never prints a key."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from _clock import LONG
from _waiting import PATIENCE, until
from PIL import Image
from processes import python_path
from sandboxes import environment, set_environment
from skyport.cli._board import _Lines
from skyport.cli._table import cut, table, width
from skyport.cli.run import copy_into
from skyport.cli.sandbox import markers
from skyport.engine.base.errors import InvalidInput
from skyport.engine.base.types import Kind, Result, ResultFile
from skyport.engine.media.files import sha256_of
from skyport.engine.settings import keys
from skyport.engine.tasks.progress import ProgressText
from skyport.sandbox import Sandbox, platform_names
from skyport.sandbox.gpugeek import WORKFLOW_ID

ROOT = Path(__file__).parent.parent
SECRET = "AI-this-is-a-secret-9876"
SUBMIT = "/openapi/v1/workflow/task/submit"
serial = itertools.count(1)
CHINESE = "\u53ef\u7075"


@pytest.fixture
def cloud(sandbox: Sandbox, monkeypatch: Any) -> Sandbox:
    """The sandbox, with this process led to it by the environment."""
    set_environment(monkeypatch, environment(sandbox, "haiyi"))
    sandbox.log.clear()
    sandbox.faults.clear()
    return sandbox


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.linear_gradient("L").convert("RGB").resize((64, 48)).save(path)
    return path


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    """Loads a picture, inverts it, saves it."""
    nodes = {
        "73": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "9": {
            "class_type": "ImageInvert",
            "inputs": {"image": ["73", 0]},
            "_meta": {"title": "Turn it over"},
        },
        "10": {"class_type": "SaveImage", "inputs": {"images": ["9", 0], "filename_prefix": "a"}},
    }
    return written(tmp_path / "workflow.json", nodes)


def written(path: Path, tree: Any) -> Path:
    path.write_text(json.dumps(tree), encoding="utf-8")
    return path


def haiyi_run(workflow: Path, output: Path, *more: object) -> tuple[object, ...]:
    """Arguments of a run that equals none before it."""
    given = ("--platform", "haiyi", "--output", output, "--seed", next(serial))
    return ("run", workflow, *given, *more)


# -- the command itself -------------------------------------------------------------------------


def test_without_a_command_it_is_a_usage_error(skyport):
    assert skyport().code == 2


@pytest.mark.parametrize(
    "command", ["demo", "run", "models", "clusters", "keys", "sandbox", "spend"]
)
def test_every_command_explains_itself(skyport, command):
    result = skyport(command, "--help")
    assert result.code == 0
    assert f"usage: skyport {command}" in result.out


def test_an_unknown_option_is_a_usage_error_that_names_it(skyport):
    result = skyport("clusters", "--sunny")
    assert result.code == 2
    assert "--sunny" in result.err


def test_it_starts_without_torch_and_without_what_only_some_commands_need():
    code = "import sys, skyport.cli; print({'torch', 'av', 'tqdm', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "set()", done.stderr


def test_an_error_is_one_plain_line(skyport):
    result = skyport("clusters")
    assert result.code == 1
    assert re.fullmatch(r"skyport: HaiYi: no API key is set\. .*\n", result.err)
    assert result.out == ""


def test_it_speaks_chinese_when_asked(skyport, monkeypatch):
    monkeypatch.setenv("SKYPORT_LANG", "zh")
    assert re.search(r"[\u4e00-\u9fff]", skyport("keys", "list").out)


def test_the_language_may_come_from_the_settings(skyport, home):
    written(home / "settings.json", {"language": "zh"})
    assert re.search(r"[\u4e00-\u9fff]", skyport("keys", "list").out)


# -- run ----------------------------------------------------------------------------------------


def test_a_file_of_this_machine_goes_up_and_the_result_is_on_this_disk(
    skyport, cloud, workflow, picture, tmp_path
):
    result = skyport(*haiyi_run(workflow, tmp_path / "out", "--input", f"73.image={picture}"))
    assert result.code == 0, result.err
    [line] = result.out.splitlines()
    assert (tmp_path / "out") in Path(line).parents
    before, after = (Image.open(path).convert("RGB") for path in (picture, line))
    assert after.size == before.size
    # ComfyUI cuts floats off to 8 bits: one may be lost.
    pixels = zip(after.getpixel((9, 30)), before.getpixel((9, 30)), strict=True)
    assert all(255 - b - a in (0, 1) for a, b in pixels)


def test_the_cluster_named_is_the_one_asked(skyport, cloud, workflow, picture, tmp_path):
    given = ("--input", f"73.image={picture}", "--cluster", "GPU-A800x2")
    assert skyport(*haiyi_run(workflow, tmp_path, *given)).code == 0
    assert submitted(cloud)["cluster_name"] == "GPU-A800x2"


def test_auto_is_the_cluster_with_most_room(skyport, cloud, workflow, picture, tmp_path):
    assert skyport(*haiyi_run(workflow, tmp_path, "--input", f"73.image={picture}")).code == 0
    assert submitted(cloud)["cluster_name"] == "GPU-4090"


def test_what_is_no_file_goes_as_text_with_all_its_equals_signs(
    skyport, cloud, workflow, picture, tmp_path
):
    given = ("--input", f"73.image={picture}", "--input", "10.filename_prefix=a=b c")
    assert skyport(*haiyi_run(workflow, tmp_path, *given)).code == 0
    inputs = submitted(cloud)["parameters"]["prompt"]["10"]["inputs"]
    assert inputs["filename_prefix"] == "a=b c"


def test_progress_names_the_remote_node_without_control_characters(
    skyport, cloud, clock, workflow, picture, tmp_path
):
    tree = json.loads(workflow.read_text("utf-8"))
    for node in tree.values():  # whichever of them a poll meets
        node["_meta"] = {"title": f"Turn\x1b[31m it over {LONG}"}
    argv = haiyi_run(written(workflow, tree), tmp_path, "--input", f"73.image={picture}")

    def end_it_once_it_is_told() -> None:
        until(lambda: "it over" in sys.stderr.getvalue())
        clock.forward()

    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(end_it_once_it_is_told)
        result = skyport(*argv)
        ending.result()
    assert result.code == 0
    assert "it over" in result.err
    assert all(char.isprintable() for line in result.all.splitlines() for char in line)


def test_an_equal_run_is_not_paid_for_again_and_says_so(
    skyport, cloud, workflow, picture, tmp_path
):
    argv = haiyi_run(workflow, tmp_path, "--input", f"73.image={picture}")
    first, second = skyport(*argv), skyport(*argv)
    assert (first.code, second.code, second.out) == (0, 0, first.out)
    assert "no charge" in second.err
    assert len([seen for seen in cloud.log if seen.path.endswith(SUBMIT)]) == 1


def test_a_run_beyond_a_limit_is_refused_before_anything_goes_up(
    skyport, cloud, workflow, picture, tmp_path, monkeypatch
):
    monkeypatch.setenv("SKYPORT_LIMIT_TASKS_PER_QUEUE", "haiyi=0")
    argv = haiyi_run(workflow, tmp_path, "--input", f"73.image={picture}")
    result = skyport(*argv)
    assert result.code == 1
    assert "HaiYi: The limit for one queue is 0 tasks on haiyi." in result.err
    assert cloud.log.all() == []
    monkeypatch.setenv("SKYPORT_LIMIT_TASKS_PER_QUEUE", "haiyi=1000")
    assert skyport(*argv).code == 0


def submitted(cloud: Sandbox) -> Any:
    [fields] = [seen.fields for seen in cloud.log if seen.path.endswith(SUBMIT)]
    return fields


def test_a_path_that_does_not_exist_is_said_before_anything_is_sent(
    skyport, cloud, workflow, tmp_path
):
    result = skyport(*haiyi_run(workflow, tmp_path, "--input", "73.image=holiday.jpg"))
    assert result.code == 1
    assert 'no file "holiday.jpg"' in result.err
    assert list(cloud.log) == []


def test_a_file_that_is_no_medium_is_refused_by_name(skyport, cloud, workflow, tmp_path):
    result = skyport(*haiyi_run(workflow, tmp_path, "--input", f"73.image={workflow}"))
    assert result.code == 1
    assert "workflow.json" in result.err
    assert list(cloud.log) == []


def test_a_target_that_does_not_exist_lists_what_does(skyport, cloud, workflow, tmp_path):
    result = skyport(*haiyi_run(workflow, tmp_path, "--input", "74.image=hello"))
    assert result.code == 1
    assert "73.image (LoadImage)" in result.err


@pytest.mark.parametrize("given", ["73.image", "=photo.jpg", ""])
def test_an_input_without_target_or_value_is_a_usage_error(skyport, workflow, tmp_path, given):
    result = skyport(*haiyi_run(workflow, tmp_path, "--input", given))
    assert result.code == 2
    assert "73.image=photo.jpg" in result.err


def test_an_editor_workflow_is_refused_with_the_way_to_export(skyport, cloud, tmp_path):
    path = written(tmp_path / "editor.json", {"nodes": [], "links": []})
    result = skyport(*haiyi_run(path, tmp_path))
    assert result.code == 1
    assert "Export (API)" in result.err


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b"{"])
def test_a_workflow_that_cannot_be_read_is_a_plain_error(skyport, cloud, tmp_path, content):
    path = tmp_path / "broken.json"
    if content is not None:
        path.write_bytes(content)
    result = skyport(*haiyi_run(path, tmp_path))
    assert result.code == 1
    assert result.err.startswith("skyport: ")


def test_an_unknown_platform_is_a_usage_error(skyport, workflow):
    assert skyport("run", workflow, "--platform", "nowhere").code == 2


def test_a_task_that_fails_is_told_with_its_id_and_reason(
    skyport, cloud, workflow, picture, tmp_path
):
    given = ("--input", f"73.image={picture}", "--input", "10.filename_prefix=[[fail:no power]]")
    result = skyport(*haiyi_run(workflow, tmp_path / "out", *given))
    assert result.code == 1
    assert re.search(r"skyport: HaiYi task \d+: .*no power", result.err)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def long_run(cloud, workflow, picture, tmp_path):
    """The command of a run that is interrupted before it ends."""
    if os.name == "nt":
        pytest.skip("no SIGINT for a child there")
    tree = json.loads(workflow.read_text("utf-8"))
    tree["10"]["inputs"]["filename_prefix"] = LONG
    argv = haiyi_run(written(workflow, tree), tmp_path, "--input", f"73.image={picture}")
    return command(*argv)


def test_ctrl_c_tells_which_task_is_still_running(cloud, long_run):
    with subprocess.Popen(long_run, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if "queued" in line or "running" in line)
        process.send_signal(signal.SIGINT)
        output = process.stderr.read()
        assert process.wait(PATIENCE) == 130
    task = list(cloud.tasks)[-1]
    assert f"task {task.id} is still running there" in output
    assert "Traceback" not in output


def test_ctrl_c_while_an_order_begins_tells_of_it_as_well(cloud, long_run):
    [python, option, code, *given] = long_run
    begun = (
        "import os, signal, time\n"
        "from skyport.engine.tasks.runner import Runner; start = Runner.start\n"
        "def interrupted(*given):\n"
        "    job = start(*given)\n"
        "    while not job.snapshot.task_id:\n"
        "        time.sleep(0.01)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    return job\n"
        "Runner.start = interrupted\n"
    )
    done = subprocess.run(
        [python, option, begun + code, *given],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=PATIENCE,
    )
    assert done.returncode == 130
    task = list(cloud.tasks)[-1]
    assert f"task {task.id} is still running there" in done.stderr
    assert "Traceback" not in done.stderr


# -- run on GPUGeek -----------------------------------------------------------------------------


@pytest.fixture
def gpugeek(sandbox: Sandbox, monkeypatch: Any) -> Sandbox:
    """The sandbox, with this process led to its GPUGeek."""
    monkeypatch.setenv("GPUGEEK_BASE_URL", sandbox.base_url("gpugeek"))
    monkeypatch.setenv("GPUGEEK_API_KEY", sandbox.key("gpugeek"))
    sandbox.log.clear()
    sandbox.faults.clear()
    return sandbox


def gpugeek_run(workflow: Path, output: Path, *more: object) -> tuple[object, ...]:
    """Arguments of a run that equals none before it."""
    given = ("--platform", "gpugeek", "--output", output, "--seed", next(serial))
    return ("run", workflow, *given, *more)


def test_a_hosted_workflow_is_named_by_its_number(skyport, gpugeek, workflow, picture, tmp_path):
    given = ("--workflow-id", WORKFLOW_ID, "--input", f"73.image={picture}")
    result = skyport(*gpugeek_run(workflow, tmp_path / "out", *given))
    assert result.code == 0, result.err
    [line] = result.out.splitlines()
    with Image.open(line) as made, Image.open(picture) as given:
        assert made.size == given.size
    [sent] = gpugeek.log.of("POST", "/api/v1/prompt")
    assert (sent.fields["workflow_id"], sent.fields["task_type"]) == (WORKFLOW_ID, 1)


@pytest.mark.parametrize("given", [(), ("--workflow-id", "mine")])
def test_a_hosted_workflow_needs_its_number(skyport, gpugeek, workflow, tmp_path, given):
    result = skyport(*gpugeek_run(workflow, tmp_path, *given))
    assert result.code == 1
    assert "workflow_id must be a whole number" in result.err
    assert list(gpugeek.log) == []


def test_an_option_of_another_platform_is_refused(skyport, cloud, gpugeek, workflow, tmp_path):
    result = skyport(*gpugeek_run(workflow, tmp_path, "--cluster", "GPU-4090"))
    assert (result.code, "GPUGeek: --cluster" in result.err) == (1, True)
    result = skyport(*haiyi_run(workflow, tmp_path, "--workflow-id", WORKFLOW_ID))
    assert (result.code, "HaiYi: --workflow-id" in result.err) == (1, True)
    assert list(gpugeek.log) == []


def test_ctrl_c_cancels_the_task_where_the_platform_can(gpugeek, workflow, picture, tmp_path):
    if os.name == "nt":
        pytest.skip("no SIGINT for a child there")
    given = ("--workflow-id", WORKFLOW_ID, "--input", f"73.image={picture}")
    slow = ("--input", f"10.filename_prefix={LONG}")
    argv = gpugeek_run(workflow, tmp_path, *given, *slow)
    with subprocess.Popen(command(*argv), stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if "queued" in line)
        process.send_signal(signal.SIGINT)
        output = process.stderr.read()
        assert process.wait(PATIENCE) == 130
    task = list(gpugeek.tasks)[-1]
    assert f"GPUGeek task {task.id}: The task was cancelled on the platform." in output
    assert [seen.fields for seen in gpugeek.log.of("POST", "cancel")] == [{"task_id": task.id}]


# -- models and clusters ------------------------------------------------------------------------


def test_models_come_from_memory_without_a_key_and_line_up(skyport):
    result = skyport("models", "haiyi")
    assert result.code == 0
    lines = result.out.splitlines()
    starts = {width(line[: line.index(" prompt*")]) for line in lines[2:]}
    assert len(starts) == 1
    assert any(CHINESE in line for line in lines)


def test_a_refresh_tells_what_is_new_and_shows_it(skyport, cloud):
    result = skyport("models", "--refresh", "haiyi")
    assert result.code == 0
    assert "13 models." in result.err
    assert "sandbox/sandbox-song (text2music)" in result.err
    assert "sandbox/sandbox-song" in result.out


def test_a_refresh_tells_what_is_no_longer_offered(skyport, cloud, monkeypatch):
    imitation = cloud.platforms["haiyi"]
    skyport("models", "--refresh", "haiyi")
    fewer = [row for row in imitation.models if row["model"] != "sandbox-song"]
    monkeypatch.setattr(imitation, "models", fewer)
    result = skyport("models", "--refresh", "haiyi")
    assert "No longer offered: sandbox/sandbox-song (text2music)" in result.err
    assert re.search(r"sandbox/sandbox-song .*\(retired\)", result.out)


def test_a_model_whose_parameters_cannot_be_had_is_named(skyport, cloud):
    cloud.faults.add("GET /openapi/v1/model/info", "status", status=404)
    result = skyport("models", "--refresh", "haiyi")
    assert result.code == 0
    assert result.err.count("Parameters not read: ") == 1


def test_models_of_one_task_only(skyport):
    result = skyport("models", "haiyi", "--task", "image2video")
    assert result.code == 0
    assert {line.split()[2] for line in result.out.splitlines()[2:]} == {"image2video"}


def test_a_task_no_model_does_lists_the_tasks(skyport):
    result = skyport("models", "--task", "text2smell")
    assert result.code == 1
    assert "image2video" in result.err


def test_json_holds_every_field_of_a_model(skyport):
    result = skyport("models", "haiyi", "--task", "image2video", "--json")
    [row] = [row for row in json.loads(result.out) if row["id"] == "kwai/kling-v3"]
    duration = next(param for param in row["params"] if param["name"] == "duration")
    assert (duration["min"], duration["max"], duration["required"]) == (3, 15, True)


def test_clusters_tell_their_room_and_what_is_unknown(skyport, cloud):
    result = skyport("clusters")
    assert result.code == 0
    rows = [re.split(r"  +", line) for line in result.out.splitlines()[2:]]
    assert [row[3:] for row in rows if row[1] == "GPU-A800"] == [["8", "21", "13"]]
    assert [row[3:] for row in rows if row[1] == "GPU-A800x8"] == [["0", "unknown", "unknown"]]


def test_a_refused_key_is_told_and_not_shown(skyport, cloud, monkeypatch):
    monkeypatch.setenv("HAIYI_API_KEY", SECRET)
    result = skyport("clusters")
    assert result.code == 1
    assert "HaiYi" in result.err
    assert SECRET not in result.all


# -- keys ---------------------------------------------------------------------------------------


@pytest.fixture
def typed(monkeypatch: Any) -> Callable[[str], None]:
    """What comes in on a standard input that is no terminal."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_a_key_is_read_kept_listed_masked_and_removed(skyport, typed):
    typed(f"{SECRET}\n")
    added = skyport("keys", "set", "haiyi")
    assert (added.code, keys.find("haiyi").value) == (0, SECRET)
    listed = skyport("keys", "list")
    assert "...9876" in listed.out
    assert "keys.json" in listed.out
    removed = skyport("keys", "remove", "haiyi")
    assert (removed.code, keys.find("haiyi")) == (0, None)
    assert "not set" in skyport("keys", "list").out
    assert SECRET not in added.all + listed.all + removed.all


@pytest.mark.parametrize(
    "argv",
    [
        ("set", "haiyi", SECRET),
        ("set", SECRET),
        (SECRET,),
        ("set", "haiyi", f"--key={SECRET}"),
        ("set", "haiyi", "--key", SECRET),
    ],
)
def test_a_key_given_as_an_argument_is_refused_and_not_repeated(skyport, typed, argv):
    typed("")
    result = skyport("keys", *argv)
    assert result.code == 2
    assert SECRET not in result.all
    assert keys.find("haiyi") is None


def test_nothing_typed_keeps_nothing(skyport, typed):
    typed("")
    assert skyport("keys", "set", "haiyi").code == 1
    assert keys.find("haiyi") is None


def test_a_key_in_the_environment_is_listed_as_such_and_said_to_win(skyport, typed, monkeypatch):
    monkeypatch.setenv("HAIYI_API_KEY", SECRET)
    assert "environment" in skyport("keys", "list").out
    typed("AI-another-key-altogether\n")
    result = skyport("keys", "set", "haiyi")
    assert "HAIYI_API_KEY" in result.err
    assert SECRET not in result.all


# -- sandbox ------------------------------------------------------------------------------------


def test_the_sandbox_serves_until_ctrl_c_and_says_how_to_use_it():
    if os.name == "nt":
        pytest.skip("no SIGINT for a child there")
    lines_told = 5 + 2 * len(platform_names()) + 2 + len(markers())
    argv = command("sandbox", "--port", "0", "--pace", "0.1")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        printed = "".join(next(lines) for _ in range(lines_told))
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        rest = process.stdout.read()
    assert re.search(r"^HAIYI_BASE_URL=http://127\.0\.0\.1:\d+/haiyi$", printed, re.M)
    assert re.search(r"^HAIYI_API_KEY=\S+$", printed, re.M)
    assert "[[cut_after]]" in printed + rest


def test_a_port_in_use_is_a_plain_error(skyport, sandbox):
    result = skyport("sandbox", "--port", sandbox.port)
    assert result.code == 1
    assert str(sandbox.port) in result.err


@pytest.mark.parametrize(
    "argv", [("--port", "x"), ("--port", "70000"), ("--pace", "0"), ("--pace", "nan")]
)
def test_a_port_or_pace_that_is_none_is_a_usage_error(skyport, argv):
    assert skyport("sandbox", *argv).code == 2


def test_the_markers_listed_are_those_of_the_sandbox():
    text = (ROOT / "sandbox" / "README.md").read_text(encoding="utf-8")
    known = set(re.findall(r"\[\[([a-z_]+)", text))
    assert {re.match(r"\[\[([a-z_]+)", marker)[1] for marker, _ in markers()} == known


# -- tables and lines ---------------------------------------------------------------------------


def test_columns_line_up_whatever_the_letters():
    lines = table(["a", "b"], [[CHINESE, "x"], ["e\u0301", "y"], ["long name", "z"]]).splitlines()
    assert {width(line[:-1]) for line in lines} == {len("long name  ")}


def test_a_cell_cannot_steer_the_terminal():
    assert "\x1b" not in table(["a"], [["\x1b[2Jgone\nnext"]])


def test_a_line_is_cut_at_the_width_of_the_terminal_not_at_its_letters():
    assert cut(CHINESE * 5, 10) == f"{CHINESE}{CHINESE[0]}..."
    assert cut(CHINESE * 5, 20) == CHINESE * 5


def test_a_log_gets_a_line_only_when_something_changes(capsys):
    lines = _Lines(["job"])
    for short in (("queued",), ("queued",), ("running", "KSampler"), ("running", "KSampler")):
        lines.show("job", ProgressText(0.1, ("other",), short))
    assert capsys.readouterr().err == "job: queued\njob: running \u00b7 KSampler\n"


def command(*argv: object) -> list[str]:
    """The command as a process of its own; SIGINT reaches it even where a shell put it aside."""
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from skyport.cli import main; sys.exit(main())"
    )
    return [sys.executable, "-c", code, *map(str, argv)]


# -- other programs read it ---------------------------------------------------------------------


def process_of(*argv: object, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(*argv), cwd=ROOT, stderr=subprocess.PIPE, **{"stdout": subprocess.PIPE, **options}
    )


@pytest.mark.parametrize(
    "start", [("-m", "skyport"), ("-c", "from skyport.cli import main; main()")]
)
def test_it_states_its_version(start):
    argv = [sys.executable, *start, "--version"]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT.parent, env=python_path())
    stated = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert stated
    assert (done.stdout, done.returncode) == (f"skyport {stated[1]}\n", 0), done.stderr


def test_clusters_as_json(skyport, cloud):
    found = json.loads(skyport("clusters", "--json").out)
    assert {tuple(one) for one in found} == {
        ("platform", "name", "label", "running", "most", "free")
    }
    assert {one["platform"] for one in found} == {"haiyi"}
    assert any(one["free"] is None for one in found)
    assert any(one["free"] == one["most"] - one["running"] for one in found if one["most"])


def test_keys_as_json_are_masked(skyport, monkeypatch):
    keys.set_key("haiyi", SECRET)
    monkeypatch.setenv("GPUGEEK_API_KEY", SECRET + "2")
    result = skyport("keys", "list", "--json")
    found = {one.pop("platform"): one for one in json.loads(result.out)}
    assert found["haiyi"] == {"key": "...9876", "source": "file"}
    assert found["gpugeek"] == {"key": "...8762", "source": "environment"}
    assert found["s3"] == found["happyhorse"] == {"key": None, "source": None}
    assert SECRET not in result.all


def test_a_run_and_a_fetch_as_json(skyport, cloud, workflow, picture, tmp_path):
    argv = haiyi_run(workflow, tmp_path / "out", "--input", f"73.image={picture}", "--json")
    first, again = skyport(*argv), skyport(*argv)
    fetched = skyport("jobs", "fetch", "latest", "--json", "--output", tmp_path / "copies")
    shapes = [json.loads(result.out) for result in (first, again, fetched)]
    names = {"task", "cost", "unit", "reused", "files", "texts", "warnings", "details"}
    assert [set(one) for one in shapes] == [names] * 3
    assert [one["reused"] for one in shapes[:2]] == [False, True]
    assert [Path(one["files"][0]["path"]).is_file() for one in shapes] == [True] * 3
    assert Path(shapes[2]["files"][0]["path"]).parent == tmp_path / "copies"
    assert shapes[0]["task"] == str(list(cloud.tasks)[-1].id)


# -- what goes wrong around it ------------------------------------------------------------------

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("argv", [("models",), ("models", "--json"), ("keys", "list"), ("--help",)])
def test_a_full_disk_is_one_line(argv):
    with FULL.open("wb") as full, process_of(*argv, stdout=full) as process:
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert err.decode().splitlines() == ["skyport: No space left on device"]


@pytest.mark.parametrize("argv", [("models", "--json"), ("keys", "list"), ("jobs", "--help")])
def test_a_reader_that_has_gone_ends_it_quietly(argv):
    read, write = os.pipe()
    os.close(read)
    with process_of(*argv, stdout=write) as process:
        os.close(write)
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (141, b"")


def test_it_goes_without_any_stream():
    code = "import os, sys; os.closerange(0, 3); os.execv(sys.executable, sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", code, *command("keys", "list")], cwd=ROOT)
    assert done.returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "gbk"])
def test_a_terminal_of_few_letters_is_no_error(encoding):
    env = {**os.environ, "PYTHONIOENCODING": encoding, "SKYPORT_LANG": "zh", "PYTHONUTF8": "0"}
    for argv in (("keys", "list"), ("--help",), ("models", "--json"), ("run",)):
        done = subprocess.run(command(*argv), capture_output=True, cwd=ROOT, env=env)
        assert done.returncode == (2 if argv == ("run",) else 0)
        assert b"Error" not in done.stderr


@pytest.mark.parametrize("depth", [900, 100_000])
def test_a_workflow_nested_too_deeply_is_a_plain_error(skyport, cloud, tmp_path, depth):
    path = tmp_path / "deep.json"
    inputs = "[" * depth + "]" * depth
    path.write_text('{"1": {"class_type": "A", "inputs": {"a": ' + inputs + "}}}")
    result = skyport("run", path, "--platform", "haiyi", "--output", tmp_path)
    assert result.code == 1
    assert result.err.startswith("skyport: ")
    assert list(cloud.log.of("POST", SUBMIT)) == []


@pytest.mark.skipif(os.name != "posix", reason="arguments are bytes on POSIX")
def test_arguments_that_are_no_utf8_are_a_plain_error(skyport, cloud, workflow, tmp_path):
    run = skyport(*haiyi_run(workflow, tmp_path, "--input", "10.filename_prefix=\udcff"))
    assert (run.code, "10.filename_prefix" in run.err) == (1, True)
    found = skyport("jobs", "--search", "\udcff")
    assert (found.code, found.err) == (
        1,
        "skyport: An argument or the name of a file is not valid UTF-8.\n",
    )
    missing = skyport("run", "\udcff.json", "--platform", "haiyi")
    assert (missing.code, "cannot be read" in missing.err) == (1, True)


def test_a_user_without_a_home_folder_is_told_what_to_set(skyport, monkeypatch):
    monkeypatch.setenv("SKYPORT_HOME", "~nobody-of-that-name/skyport")
    result = skyport("keys", "list")
    assert (result.code, "Set SKYPORT_HOME" in result.err) == (1, True)


@pytest.mark.parametrize("platform", ["haiyi", "gpugeek"])
def test_a_second_ctrl_c_ends_at_once_and_all_is_said_once(
    cloud, gpugeek, workflow, picture, tmp_path, platform
):
    if os.name == "nt":
        pytest.skip("no SIGINT for a child there")
    given = {"haiyi": haiyi_run, "gpugeek": gpugeek_run}[platform](workflow, tmp_path)
    more = () if platform == "haiyi" else ("--workflow-id", WORKFLOW_ID)
    slow = ("--input", f"73.image={picture}", "--input", f"10.filename_prefix={LONG}")
    with subprocess.Popen(
        command(*given, *more, *slow), stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if "queued" in line or "running" in line)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        output = process.stderr.read()
        assert process.wait(PATIENCE) == 130
    task = list(cloud.tasks)[-1]
    assert output.count(f"task {task.id}") == 1
    assert "Stopped." not in output
    if platform == "haiyi":
        assert (
            "The same command goes on with it at no further charge; `skyport jobs` lists" in output
        )


def test_a_copy_that_the_disk_refuses_leaves_nothing_behind(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    kept, folder = tmp_path / "kept.png", tmp_path / "copies"
    kept.write_bytes(bytes(100_000))
    result = Result("7", (ResultFile(kept, Kind.IMAGE, "image/png", 100_000, sha256_of(kept)[0]),))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(InvalidInput, match=r"kept\.png cannot be written"):
            copy_into(result, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(folder.iterdir()) == []
    assert copy_into(result, folder).files[0].path == folder / "kept.png"
    assert [each.name for each in folder.iterdir()] == ["kept.png"]
