"""Pins that the benchmarks run and tell what they measured. No timing is asserted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench import peers
from bench._figures import Figure, Goal, machine, table
from bench._measure import MB, alone, beside, in_turns

ROOT = Path(__file__).resolve().parent.parent

QUICK = (
    "colours",
    "connections",
    "encode",
    "head_start",
    "interrupt",
    "lateness",
    "ledger",
    "pages",
    "peers",
    "split",
    "transfer",
)
TOLD = ("many", "startup")  # those whose figures or notes are looked at


def bench(*arguments: str, how: tuple[str, ...] = ("-m", "tests.bench")) -> tuple[int, str]:
    """What the command ends with and prints, in an environment without a ComfyUI."""
    env = {name: value for name, value in os.environ.items() if name != "COMFYUI_PATH"}
    done = subprocess.run(
        [sys.executable, *how, *arguments], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert done.returncode in (0, 1), done.stderr  # 1: a tiny input misses its goal
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def reports() -> dict[str, dict[str, Any]]:
    """What each benchmark tells, by name. All in one command: to start it is most of the work."""
    code, text = bench("--json", "--small", *QUICK, *TOLD)
    found = {one["name"]: one for one in json.loads(text)["benchmarks"]}
    figures = [figure for one in found.values() for figure in one["figures"]]
    assert code == int(any(figure["met"] is False for figure in figures))
    return found


def ours(report: dict[str, Any]) -> dict[str, Any]:
    return {figure["what"].split(", ")[-1]: figure["ours"] for figure in report["figures"]}


@pytest.mark.parametrize("name", QUICK)
def test_a_benchmark_runs_and_each_figure_has_a_baseline(name: str, reports: Any) -> None:
    only = reports[name]
    assert only["figures"] or only["notes"]
    assert all(figure["against"] and figure["unit"] for figure in only["figures"])


@pytest.mark.soak
def test_a_second_run_after_a_restart_asks_for_nothing() -> None:
    _, text = bench("--json", "--small", "rerun")
    figures = ours(json.loads(text)["benchmarks"][0])
    assert figures["submits"] == figures["uploads"] == 0


def test_waiting_for_many_tasks_starts_no_threads_and_keeps_to_the_rate(reports: Any) -> None:
    figures = ours(reports["many"])
    assert figures["threads for them"] == 0
    assert figures["polls in the busiest second"] <= 12


def test_what_cannot_be_measured_here_is_said_and_the_rest_goes_on(reports: Any) -> None:
    (note,) = reports["startup"]["notes"]
    assert "COMFYUI_PATH" in note


def test_the_folder_can_be_run_as_well() -> None:
    _, text = bench("--small", "lateness", how=(str(ROOT / "tests" / "bench"),))
    assert "| tasks of 3 s, noticed late" in text


# -- the figures ----------------------------------------------------------------------------------


def test_a_goal_is_about_the_ratio_or_about_the_figure_itself() -> None:
    assert Figure("", 6.0, 10.0, "s", "", Goal(0.7)).met
    assert not Figure("", 8.0, 10.0, "s", "", Goal(0.7)).met
    assert Figure("", 8.0, 10.0, "MB/s", "", Goal(0.8, least=True)).met
    assert not Figure("", 0.4, 10.0, "s", "", Goal(0.3, "s")).met
    assert Figure("", 1.0, 0.0, "s", "").met is None


def test_the_table_is_markdown_that_lines_up() -> None:
    lines = table([Figure("encode", 1.234, 2.0, "s", "Pillow", Goal(0.7))])
    assert [cell.strip() for cell in lines[2].strip("|").split("|")] == [
        "encode",
        "1.23 s",
        "2 s (Pillow)",
        "0.62 x",
        "at most 0.7 x",
        "yes",
    ]
    assert len({len(line) for line in lines}) == 1


def test_those_who_are_compared_take_turns_and_each_is_first_in_its_turn() -> None:
    order: list[str] = []

    def work(name: str, seconds: float) -> float:
        order.append(name)
        return seconds

    medians = in_turns(3, lambda: work("a", len(order)), lambda: work("b", 7.0))
    assert "".join(order) == "abbaab"
    assert medians == [3.0, 7.0]


def test_the_peak_counts_memory_that_is_given_back() -> None:
    code = "from bench._measure import peak_above_idle as peak"
    code += f"; print(peak(lambda: len(bytearray(b'x') * {40 * MB})))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "tests", capture_output=True, text=True, check=True
    )
    assert 30 * MB < int(result.stdout) < 60 * MB


def test_the_machine_is_told_without_a_name() -> None:
    answer = machine()
    assert answer["cores"] == os.cpu_count()
    assert os.uname().nodename not in json.dumps(answer) if hasattr(os, "uname") else True


# -- beside peers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Skyport, polled", "Skyport, v2"])
def test_the_server_of_the_peers_counts_what_tasks_and_files_take(
    name: str, tmp_path: Path
) -> None:
    for file in (peers.SMALL, peers.BIG):
        peers.write(tmp_path / file, MB)
    work = peers.Work(tasks=2, seconds=0.0, size=MB, rounds=1)
    with beside(peers.serve, tmp_path, work.seconds) as urls:
        ran, sent, got = (
            alone(piece, name, urls, tmp_path, work)
            for piece in (peers.tasks, peers.upload, peers.download)
        )
    assert len(ran.wire["lates"]) == 2
    assert 2 * MB < ran.bytes < 2.1 * MB
    assert MB < sent.wire["received"] < 1.01 * MB
    assert MB < got.wire["sent"] < 1.01 * MB
    assert sent.wire["requests"] == got.wire["requests"] == 1
