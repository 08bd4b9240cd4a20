"""How prompts run, the same on the stand-in and in a real ComfyUI: order, memory, faults, messages.

Only the probes are loaded, so that what fails here is a host and not our pack.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import AbstractContextManager
from typing import Any

import pytest
import requests
from _waiting import until
from host import PROBES, Host, Run, graph, link, node, open_host


@pytest.fixture
def host(probes_host: Host) -> Host:
    return probes_host


@pytest.fixture
def doomed(host: Host, tmp_path_factory: pytest.TempPathFactory) -> AbstractContextManager[Host]:
    """A second host of the same kind, for tests that break it."""
    return open_host(host.kind, tmp_path_factory.mktemp("doomed"), packs=[PROBES])


def times(run: Run, node_id: str) -> list[list[float]]:
    """[start, end] of each call of a timed node whose output a sink saw."""
    seen = run.probe(node_id)
    return [json.loads(one["value"]) for one in (seen if isinstance(seen, list) else [seen])]


def overlap(one: list[float], other: list[float]) -> bool:
    return max(one[0], other[0]) < min(one[1], other[1])


# -- what is remembered -------------------------------------------------------------------------


def test_the_same_prompt_again_runs_nothing_and_shows_the_same(host: Host) -> None:
    prompt = graph(a=node("ProbeText", value="again"), seen=node("ProbeSink", value=link("a")))
    first, second = host.run(prompt), host.run(prompt)
    assert (sorted(first.ran()), second.ran()) == (["a", "seen"], [])
    assert first.probe("seen") == second.probe("seen")
    assert [one["node"] for one in second.named("executed")] == ["seen"]


def test_a_change_runs_only_what_hangs_on_it(host: Host) -> None:
    def prompt(name: str) -> dict[str, Any]:
        return graph(
            still=node("ProbeText", value="still"),
            moved=node("ProbeText", value=name),
            seen=node("ProbeSink", value=link("moved")),
            other=node("ProbeSink", value=link("still")),
        )

    host.run(prompt("one"))
    assert sorted(host.run(prompt("two")).ran()) == ["moved", "seen"]


def test_two_equal_nodes_run_once(host: Host) -> None:
    counted = node("ProbeCount", name="twins")
    run = host.run(graph(a=counted, b=counted, **_sinks("a", "b")))
    assert [run.probe(f"seen_{name}")["value"] for name in "ab"] == [1, 1]


def test_two_equal_async_nodes_both_run_while_neither_has_ended(host: Host) -> None:
    wait = node("ProbeMeet", place="twins", together=2)
    run = host.run(graph(a=wait, b=wait, **_sinks("a", "b")))
    assert {"a", "b"} <= set(run.ran())
    assert times(run, "seen_a") == times(run, "seen_b")  # the work of the second is thrown away


def _sinks(*names: str) -> dict[str, Any]:
    return {f"seen_{name}": node("ProbeSink", value=link(name)) for name in names}


@pytest.mark.parametrize(("fingerprint", "calls"), [("same", [1, 1]), ("always", [1, 2])])
def test_a_fingerprint_decides_whether_a_node_runs_again(
    host: Host, fingerprint: str, calls: list[int]
) -> None:
    count = node("ProbeCount", name=f"fingerprint {fingerprint}", fingerprint=fingerprint)
    runs = [host.run(graph(a=count, **_sinks("a"))) for _ in range(2)]
    assert [run.probe("seen_a")["value"] for run in runs] == calls


def test_a_value_nobody_asked_for_makes_a_node_run_again(host: Host) -> None:
    count = node("ProbeCount", name="junk")
    host.run(graph(a=count, **_sinks("a")))
    with_junk = node("ProbeCount", name="junk", junk=1)
    assert host.run(graph(a=with_junk, **_sinks("a"))).probe("seen_a")["value"] == 2


# -- time, failure, interrupt -------------------------------------------------------------------


def test_an_async_node_starts_all_items_of_a_list_at_once(host: Host) -> None:
    wait = node("ProbeMeet", place="items of a list", together=3, value=link("a"))
    run = host.run(
        graph(a=node("ProbeList", lines="1\n2\n3"), b=wait, seen=node("ProbeSink", value=link("b")))
    )
    first, second, third = times(run, "seen")
    assert overlap(first, second)
    assert overlap(second, third)


def test_async_nodes_overlap(host: Host) -> None:
    run = host.run(
        graph(
            a=node("ProbeMeet", place="async nodes", value="a"),
            b=node("ProbeMeet", place="async nodes", value="b"),
            **_sinks("a", "b"),
        )
    )
    assert overlap(*times(run, "seen_a"), *times(run, "seen_b"))


def test_a_sync_node_holds_the_async_ones_up(host: Host) -> None:
    run = host.run(
        graph(
            a=node("ProbeTime", seconds=0.1, salt=3),
            b=node("ProbeSleepSync", seconds=0.5, salt=3),
            **_sinks("a", "b"),
        )
    )
    [(began, ended)], [(blocked, freed)] = times(run, "seen_a"), times(run, "seen_b")
    assert began < blocked  # async nodes are started first
    assert not blocked <= ended < freed


def test_a_failing_node_ends_the_prompt_and_tells_what_it_was_given(host: Host) -> None:
    fail = node("ProbeFail", message="no more", value=link("a"))
    run = host.run(graph(a=node("ProbeText", value="x"), bad=fail))
    assert (run.status, run.error.node_id, run.error.class_type) == ("error", "bad", "ProbeFail")
    assert (run.error.type, run.error.message) == ("ProbeFailure", "no more")
    assert run.error.inputs == {"message": ["no more"], "value": ["x"]}


def test_a_failing_node_cancels_the_ones_that_wait(host: Host) -> None:
    run = host.run(
        graph(
            bad=node("ProbeFailAsync", after=0.1, place="sibling", together=2),
            waits=node("ProbeNoteCancel", name="sibling"),
        )
    )
    assert (run.status, run.error.node_id, run.error.message) == (
        "error",
        "bad",
        "failed after 0.1 s",
    )
    counted = host.run(graph(a=node("ProbeCounted", name="sibling"), **_sinks("a")))
    assert counted.probe("seen_a")["value"] == 1


def test_an_interrupt_that_a_node_looks_for_ends_the_prompt_without_an_error(host: Host) -> None:
    handle = host.start(graph(a=node("ProbeWaitForInterrupt")))
    handle.wait_for("executing", node="a")
    host.interrupt()
    run = handle.result()
    assert (run.status, run.error) == ("interrupted", None)


def test_an_interrupt_nobody_looks_for_stops_before_the_next_node(host: Host) -> None:
    handle = host.start(graph(a=node("ProbeTime", gate="after the interrupt"), **_sinks("a")))
    handle.wait_for("executing", node="a")
    host.interrupt()
    host.open_gate("after the interrupt")
    run = handle.result()
    assert (run.status, run.ran()) == ("interrupted", ["a", "seen_a"])
    assert "seen_a" not in run.ui


def test_an_interrupt_does_not_reach_the_next_prompt(host: Host) -> None:
    host.interrupt()
    run = host.run(graph(a=node("ProbeTime", seconds=0.1, salt=10), **_sinks("a")))
    assert run.status == "success"


def test_prompts_wait_for_each_other(host: Host) -> None:
    first = host.start(graph(a=node("ProbeTime", seconds=0.4, salt=20), **_sinks("a")))
    second = host.start(graph(a=node("ProbeTime", seconds=0.0, salt=21), **_sinks("a")))
    first_times, second_times = times(first.result(), "seen_a"), times(second.result(), "seen_a")
    assert first_times[0][1] <= second_times[0][0]


# -- blockers -----------------------------------------------------------------------------------


def test_a_silent_blocker_stops_only_what_takes_it(host: Host) -> None:
    run = host.run(
        graph(
            a=node("ProbeBlock"),
            blocked=node("ProbeSink", value=link("a", 0)),
            seen=node("ProbeSink", value=link("a", 1)),
        )
    )
    assert (run.status, run.blocked) == ("success", ())
    assert run.probe("seen")["value"] == "passed"
    assert "blocked" not in run.ui


def test_a_blocker_with_a_message_is_told_once_on_each_way(host: Host) -> None:
    run = host.run(
        graph(
            a=node("ProbeBlock", message="too big"),
            b=node("ProbeText", value=link("a", 0)),
            end=node("ProbeSink", value=link("b")),
            seen=node("ProbeSink", value=link("a", 1)),
        )
    )
    assert run.status == "success"
    assert [(one.node_id, one.message) for one in run.blocked] == [
        ("b", "Execution Blocked: too big")
    ]
    assert "end" not in run.ui


def test_a_blocker_in_a_list_leaves_out_one_item(host: Host) -> None:
    run = host.run(
        graph(
            a=node("ProbeBlockInList"),
            seen=node("ProbeSink", value=link("a")),
            all=node("ProbeSinkAll", value=link("a")),
        )
    )
    assert [one["value"] for one in run.probe("seen")] == ["a", "c"]
    assert "all" not in run.ui


# -- messages, routes, files --------------------------------------------------------------------


def test_progress_text_and_preview_reach_the_one_who_queued(host: Host) -> None:
    run = host.run(graph(me=node("ProbeReport", text="half <b>done")))
    assert run.texts == {"me": ["half <b>done"]}
    states = [one["nodes"]["me"] for one in run.named("progress_state")]
    assert [(one["state"], one["value"], one["max"]) for one in states] == [
        ("running", 0.0, 1.0),
        ("running", 1, 4),
        ("running", 3, 4),
        ("finished", 4, 4),
    ]
    [preview] = run.named("preview")
    assert (preview["node_id"], preview["picture"][:2]) == ("me", b"\xff\xd8")
    assert run.ui["me"] == {"text": ["half <b>done"]}


def test_a_hook_can_rewrite_a_prompt_before_it_is_checked(host: Host) -> None:
    run = host.run(graph(me=node("ProbeHidden", salt=2)), probe_note="from the hook")
    assert run.probe("me")["rest"] == {"note": "from the hook"}


def test_a_hook_that_raises_is_passed_over(host: Host) -> None:
    run = host.run(graph(me=node("ProbeHidden", salt=3)), probe_note="raise")
    assert run.probe("me")["rest"] == {}


def test_a_route_of_a_pack_answers_with_and_without_api_in_front(host: Host) -> None:
    for path in ("/probes/echo", "/api/probes/echo"):
        answer = host.client.post(path, {"a": [1]}).json()
        assert answer == {"got": {"a": [1]}, "in_server_loop": True}


def test_an_event_from_a_thread_reaches_every_browser(host: Host) -> None:
    handle = host.start(graph(a=node("ProbeTime", seconds=0.5, salt=30), **_sinks("a")))
    host.route("POST", "/probes/shout", {"loud": True})
    assert handle.wait_for("probes.shout") == {"loud": True}
    assert handle.result().status == "success"


def test_an_uploaded_file_can_be_seen_again(host: Host) -> None:
    name = host.client.upload("up.bin", b"\x00bytes")
    assert (host.base / "input" / name).read_bytes() == b"\x00bytes"
    seen = host.client.get("/view", params={"filename": name, "type": "input"})
    assert seen.content == b"\x00bytes"


def test_a_video_of_a_node_is_a_file_of_this_host(host: Host) -> None:
    run = host.run(graph(a=node("ProbeVideo", seed=5), **_sinks("a")))
    seen = run.probe("seen_a")
    name = seen["path"].rpartition("/")[2]
    data = (host.base / "temp" / name).read_bytes()
    assert hashlib.sha256(data).hexdigest() == seen["sha256"]


def test_two_hosts_keep_apart(host: Host, doomed: AbstractContextManager[Host]) -> None:
    prompt = graph(me=node("ProbeReport", text="here"), a=node("ProbeVideo"), **_sinks("a"))
    with doomed as other:
        for each in (other, host):
            run = each.run(prompt)
            assert run.texts == {"me": ["here"]}
            assert run.probe("seen_a")["path"].startswith(str(each.base))
    assert host.run(graph(me=node("ProbeReport", text="still here"))).texts == {
        "me": ["still here"]
    }


# -- what ends a host ---------------------------------------------------------------------------


def test_a_cancelled_error_out_of_a_node_ends_the_worker_but_not_the_server(
    doomed: AbstractContextManager[Host],
) -> None:
    with doomed as host:
        assert host.run(graph(a=node("ProbeSink"))).status == "success"
        with pytest.raises(TimeoutError):
            host.run(graph(a=node("ProbeLeakCancel")), timeout=1)
        with pytest.raises(TimeoutError):
            host.run(graph(a=node("ProbeSink")), timeout=1)
        assert host.client.get("/system_stats").ok


def test_a_message_that_is_no_json_ends_the_server(doomed: AbstractContextManager[Host]) -> None:
    with doomed as host:
        with pytest.raises(TimeoutError):
            host.run(graph(a=node("ProbeBadMessage")), timeout=1)
        until(lambda: gone(host))


def gone(host: Host) -> bool:
    try:
        host.client.get("/system_stats")
    except requests.ConnectionError:
        return True
    return False
