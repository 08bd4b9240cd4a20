"""Pins `skyport notify`, and that a command notifies before it ends: no editor is needed."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sandboxes import environment
from scripted import TOKEN, Answer, webhook_url
from skyport.engine.notices import channels
from skyport.sandbox import Sandbox

WORKFLOW = {
    "1": {
        "class_type": "EmptyImage",
        "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0},
    },
    "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "a"}},
}


@pytest.fixture
def typed(monkeypatch: Any) -> Callable[[str], None]:
    """What comes in on a standard input that is no terminal."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_a_service_is_added_listed_tested_and_removed_and_not_shown(skyport, typed, webhook):
    assert "skyport notify add" in skyport("notify").err
    typed(webhook_url(webhook) + "\n")
    added = skyport("notify", "add")
    listed = skyport("notify", "list")
    tested = skyport("notify", "test")
    assert (added.code, listed.code, tested.code) == (0, 0, 0)
    assert "json://...-see" in listed.out
    assert "The test notice was sent." in tested.out
    assert TOKEN not in added.all + listed.all + tested.all
    assert len(webhook.seen) == 1
    assert skyport("notify", "remove", "1").code == 0
    assert channels.listed() == []


def test_a_service_that_does_not_take_it_is_a_failure_in_its_words(skyport, typed, webhook):
    webhook.on("*", Answer(403))
    typed(webhook_url(webhook))
    skyport("notify", "add")
    tested = skyport("notify", "test", "1", "--json")
    ((one,)) = json.loads(tested.out)
    assert (tested.code, one["ok"], one["number"]) == (1, False, 1)
    assert "403" in one["message"]


@pytest.mark.parametrize("argv", [("add", TOKEN), ("remove", "3"), ("test",)])
def test_what_is_wrong_is_refused_without_repeating_an_address(skyport, argv):
    refused = skyport("notify", *argv)
    assert refused.code in (1, 2)
    assert TOKEN not in refused.all


def test_a_run_notifies_before_it_ends(
    skyport, process, sandbox: Sandbox, webhook, tmp_path: Path, monkeypatch
):
    for name, value in environment(sandbox, "haiyi").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SKYPORT_NOTIFY_AFTER_S", "0.000001")
    channels.add(webhook_url(webhook))
    workflow = tmp_path / "workflow.json"
    workflow.write_text(json.dumps(WORKFLOW), encoding="utf-8")
    run = skyport("run", workflow, "--platform", "haiyi", "--output", tmp_path / "out")
    assert run.code == 0, run.all
    (seen,) = webhook.seen
    assert seen.json()["title"].endswith(": ready")
