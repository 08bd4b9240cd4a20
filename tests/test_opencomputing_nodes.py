"""Pins what a graph author gets from the OpenComputing nodes, on the stand-in and in ComfyUI."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import requests
from _clock import LONG, Clock
from _waiting import until
from host import Host, Run, graph, link, node
from sandboxes import environment, failed, set_environment
from skyport.sandbox import Sandbox

NAME = "opencomputing"
KEY = "sk-sandbox-opencomputing"
DOUBAO, DREAMINA = "doubao-seedance-2-0-260128", "dreamina-seedance-2-0-260128"
SEEDANCE = "doubao-seedance-1-5-pro-251215"
CHAT, PICTURE = "SkyportOpenComputingChat", "SkyportOpenComputingTextToImage"
TEXT, FRAMES, REFERENCES = (
    f"SkyportOpenComputing{name}ToVideo" for name in ("Text", "Image", "Reference")
)

pytestmark = pytest.mark.usefixtures("quick_polls")


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    assert sandbox.key(NAME) == KEY
    return environment(sandbox, NAME)


@pytest.fixture
def cloud(opened: Host, sandbox: Sandbox, host_env: Any, monkeypatch: Any) -> Host:
    """A host that knows the sandbox's models, its own new ones among them."""
    set_environment(monkeypatch, host_env)
    answer = refresh(opened)
    assert answer.status_code == 200, answer.text
    sandbox.log.clear()
    sandbox.faults.clear()
    return opened


def refresh(host: Host) -> requests.Response:
    path = f"/skyport/models/{NAME}/refresh"
    return host.route("POST", path, json={}, headers={"X-Skyport": "1"})


def make(class_type: str, model: str, prompt: str = "a lighthouse", seed: int = 1, **more: Any):
    """A node; `more` are its sockets, and below the model what has a leading underscore."""
    nested = {f"model.{n[1:]}": v for n, v in more.items() if n.startswith("_")}
    own = {n.replace("__", "."): v for n, v in more.items() if not n.startswith("_")}
    system = {"system_prompt": ""} if class_type == CHAT else {}
    values = {"prompt": prompt, "seed": seed, "model": model, **system, **own, **nested}
    return node(class_type, values)


def chat(prompt: str, **more: Any):
    return make(CHAT, "qwen3-max", prompt, **{"_stream": True, **more})


def sent(sandbox: Sandbox, ending: str = "generations") -> list[Any]:
    return [seen.fields for seen in sandbox.log.of("POST", ending)]


def ran(host: Host, **nodes: Any) -> Run:
    run = host.run(graph(**nodes))
    assert run.status == "success", (run.error, run.node_errors)
    return run


def refused(host: Host, kind: str, *words: str, **nodes: Any) -> Run:
    return failed(host, graph(**nodes), kind, *words)


# -- chat ---------------------------------------------------------------------------------------


def growing(host: Host, clock: Clock, sandbox: Sandbox, ask: Any, times: int = 3) -> Run:
    """What comes of the prompt; its answer goes on whenever the node has shown what came so far."""
    with clock.still():
        before = len(sandbox.tasks)
        handle = host.start(graph(ask=ask, seen=node("ProbeSink", value=link("ask"))))
        until(lambda: len(sandbox.tasks) > before)
        for _ in range(times):
            shown = len(shown_text(handle.texts))
            clock.forward(20.0)  # of 180, so that some words come
            until(lambda shown=shown: len(shown_text(handle.texts)) > shown)
        clock.forward()
        run = handle.result()
    assert run.status == "success", (run.error, run.node_errors)
    return run


def shown_text(texts: Mapping[str, list[str]]) -> list[str]:
    """What the node has shown of the answer."""
    shown = [text.partition("\n")[2] for text in texts.get("ask", []) if "answering" in text]
    return [part for part in shown if part]


def test_an_answer_is_seen_growing_on_the_node(cloud: Host, sandbox: Sandbox, clock: Clock) -> None:
    ask = chat(f"{LONG} tell of the sea", system_prompt="in verse")
    run = growing(cloud, clock, sandbox, ask)
    text = run.probe("seen")["value"]
    assert text.startswith("tell of the sea. in verse.")
    parts = shown_text(run.texts)
    assert len(parts) >= 3, run.texts["ask"]
    assert all(text.startswith(part) for part in parts)
    assert len(parts[0]) < len(parts[-1])
    assert run.ui["ask"]["text"] == [text]
    assert "0.02 credits" in run.texts["ask"][-1]  # what it cost
    assert sent(sandbox, "completions") == [
        {
            "model": "qwen3-max",
            "catelogid": "t2t",
            "prompt": f"{LONG} tell of the sea",
            "sys_prompt": "in verse",
            "stream": True,
        }
    ]


def test_an_answer_at_once_is_the_same_to_the_graph(cloud: Host, sandbox: Sandbox) -> None:
    run = ran(cloud, ask=chat("at once", _stream=False), seen=node("ProbeSink", value=link("ask")))
    assert run.probe("seen")["value"].startswith("at once.")
    assert sent(sandbox, "completions")[0]["stream"] is False


def test_a_model_that_heeds_no_stream_is_read_too(cloud: Host, sandbox: Sandbox) -> None:
    sandbox.platforms[NAME].streams = False
    try:
        run = ran(cloud, ask=chat("unheard"), seen=node("ProbeSink", value=link("ask")))
    finally:
        sandbox.platforms[NAME].streams = True
    assert run.probe("seen")["value"].startswith("unheard.")


def test_reasoning_is_shown_and_stays_out_of_the_text(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    ask = make(CHAT, "sandbox-thinker", f"{LONG} why", _stream=True, _parameters="")
    run = growing(cloud, clock, sandbox, ask, times=1)
    assert "Let me see" not in run.probe("seen")["value"]
    assert any("Let me" in answer for answer in run.texts["ask"])


def test_interrupt_leaves_while_it_answers_and_the_next_queue_has_the_answer_for_nothing(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    before, tasks = sandbox.charges[NAME], len(sandbox.tasks)
    prompt = graph(ask=chat(f"{LONG} wait"), seen=node("ProbeSink", value=link("ask")))
    handle = cloud.start(prompt)
    until(lambda: len(sandbox.tasks) > tasks)
    clock.forward(20.0)  # of 180
    handle.wait_for_text("ask", "answering")
    cloud.interrupt()
    assert handle.result().status == "interrupted"
    handle = cloud.start(prompt)
    handle.wait_for_text("ask", "answering")
    clock.forward()
    again = handle.result()
    assert again.status == "success", again.error
    assert again.probe("seen")["value"].startswith("wait.")
    assert sandbox.charges[NAME] - before == 1


def test_the_same_question_is_paid_for_once(cloud: Host, sandbox: Sandbox) -> None:
    before = sandbox.charges[NAME]
    ran(cloud, ask=chat("once"), seen=node("ProbeSink", value=link("ask")))
    run = ran(cloud, ask=chat("once"), other=node("ProbeSink", value=link("ask")))
    assert run.probe("other")["value"].startswith("once.")
    assert sandbox.charges[NAME] - before == 1


@pytest.mark.parametrize(
    ("marker", "kind", "words"),
    [
        ("[[cut]]", "OutcomeUnknown", ("broke off", "Received so far", "sea")),
        ("[[fail:tired]]", "OutcomeUnknown", ("tired", "Received so far", "sea")),
        ("[[balance]]", "OutOfCredit", ("Insufficient balance", "Top up the account")),
        ("[[empty]]", "OutcomeUnknown", ("chatcmpl-sandbox", "may have been charged")),
        ("[[cut_after]]", "OutcomeUnknown", ("charged",)),
        ("[[status:400]]", "InputRejected", ("400",)),
    ],
)
def test_what_goes_wrong_in_an_answer_is_told(
    cloud: Host, sandbox: Sandbox, marker: str, kind: str, words: tuple[str, ...]
) -> None:
    refused(cloud, kind, "OpenComputing", *words, ask=chat(f"{marker} sea"))
    assert len(sent(sandbox, "completions")) == 1


# -- pictures -----------------------------------------------------------------------------------


def test_a_picture_is_made_and_its_cost_told(cloud: Host, sandbox: Sandbox) -> None:
    run = ran(
        cloud,
        make=make(PICTURE, "wan2.2-t2i-plus", "a cat", _negative_prompt=""),
        seen=node("ProbeSink", value=link("make")),
        url=node("ProbeSink", value=link("make", 1)),
    )
    assert run.probe("seen")["type"] == "IMAGE"
    assert run.probe("url")["value"].startswith(sandbox.base_url(NAME) + "/idfile?path=")
    assert run.texts["make"][-1].endswith("1 credits")
    assert sent(sandbox) == [{"model": "wan2.2-t2i-plus", "catelogid": "t2i", "prompt": "a cat"}]


def test_an_answer_may_be_the_prompt_of_a_picture(cloud: Host, sandbox: Sandbox) -> None:
    run = ran(
        cloud,
        ask=chat("a picture of winter"),
        make=make(PICTURE, "cogview-3-flash", link("ask"), _negative_prompt="red"),
        seen=node("ProbeSink", value=link("make")),
    )
    assert run.probe("seen")["type"] == "IMAGE"
    assert sent(sandbox)[0]["prompt"].startswith("a picture of winter.")


# -- the 15 rows of video -----------------------------------------------------------------------

WAN, VIDU = {"size": "832*480", "duration": "5"}, {"off_peak": "N", "ratio": "16:9"}
VIDU = {**VIDU, "duration": 1, "resolution": "540p"}
LATER = {"ratio": "adaptive (default)", "resolution": "480p", "duration": 1}
ROWS = [
    (TEXT, "happyhorse-1.0-t2v", {"ratio": "4:3", "resolution": "720P", "duration": 1}),
    (TEXT, DOUBAO, LATER),
    (TEXT, DREAMINA, LATER),
    (TEXT, SEEDANCE, {"ratio": "adaptive", "resolution": "480p", "duration": 1}),
    (TEXT, "wan2.6-t2v", {"negative_prompt": "red", **WAN}),
    (TEXT, "viduq3-pro", VIDU),
    (FRAMES, "happyhorse-1.0-i2v", {"resolution": "720P", "duration": 1}),
    (FRAMES, DOUBAO, LATER),
    (FRAMES, DREAMINA, LATER),
    (FRAMES, SEEDANCE, {"ratio": "(default)", "resolution": "480p", "duration": 1}),
    (FRAMES, "viduq3-pro", VIDU),
    (FRAMES, "wan2.6-r2v", {"negative_prompt": "", **WAN}),
    (REFERENCES, "happyhorse-1.0-r2v", {"ratio": "4:3", "resolution": "720P", "duration": 1}),
    (REFERENCES, DOUBAO, {"ratio": "(default)", "resolution": "480p", "duration": 1}),
    (REFERENCES, DREAMINA, {"ratio": "16:9", "resolution": "480p", "duration": 1}),
]


@pytest.mark.parametrize(
    ("class_type", "model", "values"), ROWS, ids=lambda v: v if isinstance(v, str) else ""
)
def test_every_row_makes_its_video(
    cloud: Host, sandbox: Sandbox, class_type: str, model: str, values: dict[str, Any]
) -> None:
    run = ran(
        cloud,
        one=node("ProbeImage", seed=1, width=96, height=64),
        two=node("ProbeImage", seed=2, width=96, height=64),
        make=make(class_type, model, **media(class_type, model), **nested(values)),
        seen=node("ProbeSink", value=link("make")),
    )
    assert run.probe("seen")["type"] == "VIDEO"
    (fields,) = sent(sandbox)
    left_out = {name for name, value in values.items() if "(default)" in str(value) or not value}
    taken = {"model", "catelogid", "prompt", *values} - left_out
    assert set(fields) == {*taken, *FILES.get((class_type, model), ())}
    kind = int if class_type == TEXT else str  # a form knows text only
    assert type(fields["duration"]) is kind


def media(class_type: str, model: str) -> dict[str, Any]:
    if class_type == TEXT:
        return {}
    if class_type == REFERENCES:
        return {"images__image0": link("one"), "images__image1": link("two")}
    last = {} if "happyhorse" in model else {"last_frame": link("two")}
    return {"first_frame": link("one"), **last}


def nested(values: dict[str, Any]) -> dict[str, Any]:
    return {f"_{name}": value for name, value in values.items()}


FILES = {
    (FRAMES, "happyhorse-1.0-i2v"): ("image_file",),
    (FRAMES, DOUBAO): ("image1_file", "image2_file"),
    (FRAMES, DREAMINA): ("image1_file", "image2_file"),
    (FRAMES, SEEDANCE): ("image_file1", "image_file2"),
    (FRAMES, "viduq3-pro"): ("image_file1", "image_file2"),
    (FRAMES, "wan2.6-r2v"): ("image_file1", "image_file2"),
    **{(REFERENCES, model): ("image_files",) for _, model, _ in ROWS},
}


def test_a_video_gives_frames_sound_and_url(cloud: Host) -> None:
    run = ran(
        cloud,
        make=make(TEXT, "viduq3-pro", "all of it", **nested(VIDU)),
        frames=node("ProbeSink", value=link("make", 1)),
        audio=node("ProbeSink", value=link("make", 2)),
        url=node("ProbeSink", value=link("make", 3)),
    )
    assert run.probe("frames")["type"] == "IMAGE"
    assert run.probe("audio")["type"] == "AUDIO"
    assert "video.mp4" in run.probe("url")["value"]


def test_references_may_be_pictures_videos_and_sound(cloud: Host, sandbox: Sandbox) -> None:
    run = ran(
        cloud,
        pictures=node("ProbeImage", seed=3, batch=3),
        clip=node("ProbeVideo", seconds=1.0),
        tone=node("ProbeAudio"),
        make=make(
            REFERENCES,
            DOUBAO,
            images__image0=link("pictures"),
            videos__video0=link("clip"),
            audios__audio0=link("tone"),
            **nested({"ratio": "1:1", "resolution": "480p", "duration": 1}),
        ),
        seen=node("ProbeSink", value=link("make")),
    )
    assert run.probe("seen")["type"] == "VIDEO"
    (fields,) = sent(sandbox)
    assert len(fields["image_files"]) == 3
    assert fields["video_files"]["content_type"] == "video/mp4"
    assert fields["audio_files"]["content_type"].endswith("wav")


def test_a_batch_of_first_frames_is_a_task_for_each(cloud: Host, sandbox: Sandbox) -> None:
    run = ran(
        cloud,
        three=node("ProbeImage", seed=5, batch=3),
        make=make(
            FRAMES,
            "happyhorse-1.0-i2v",
            first_frame=link("three"),
            **nested({"resolution": "720P", "duration": 1}),
        ),
        seen=node("ProbeSink", value=link("make")),
    )
    assert len(run.probe("seen")) == 3
    assert len(sent(sandbox)) == 3


def test_a_url_is_fetched_and_sent_as_a_file(cloud: Host, sandbox: Sandbox) -> None:
    run = ran(
        cloud,
        picture=make(PICTURE, "cogview-3-flash", "source", _negative_prompt=""),
        make=make(
            FRAMES,
            "happyhorse-1.0-i2v",
            first_frame=link("picture", 1),
            **nested({"resolution": "720P", "duration": 1}),
        ),
        seen=node("ProbeSink", value=link("make")),
    )
    assert run.probe("seen")["type"] == "VIDEO"
    assert sent(sandbox)[-1]["image_file"]["content_type"] == "image/png"


# -- what is refused ----------------------------------------------------------------------------


def frames(model: str, **more: Any):
    return make(FRAMES, model, **more, **nested({"resolution": "720P", "duration": 1}))


def test_a_model_with_one_frame_refuses_the_other_by_name(cloud: Host, sandbox: Sandbox) -> None:
    both = {"first_frame": link("one"), "last_frame": link("one")}
    refused(
        cloud,
        "InvalidInput",
        "happyhorse-1.0-i2v takes no last_frame",
        "Nothing was sent",
        one=node("ProbeImage"),
        make=frames("happyhorse-1.0-i2v", **both),
    )
    assert not sent(sandbox)


def test_a_model_that_requires_both_frames_says_so(cloud: Host, sandbox: Sandbox) -> None:
    lone = make(FRAMES, DOUBAO, first_frame=link("one"), **nested(LATER))
    words = ("parameter last_frame: it is required", "Nothing was sent")
    refused(cloud, "InvalidInput", *words, one=node("ProbeImage"), make=lone)
    assert not sent(sandbox)


def test_happyhorse_takes_nine_pictures_and_no_sound(cloud: Host, sandbox: Sandbox) -> None:
    values = nested({"ratio": "1:1", "resolution": "720P", "duration": 1})
    ten = make(REFERENCES, "happyhorse-1.0-r2v", images__image0=link("ten"), **values)
    pictures = node("ProbeImage", seed=6, batch=10)
    refused(cloud, "InvalidInput", "takes 9", ten=pictures, make=ten)
    ten["inputs"]["images.image0"] = link("one")
    ten["inputs"]["audios.audio0"] = link("tone")
    loud = {"one": node("ProbeImage"), "tone": node("ProbeAudio"), "make": ten}
    refused(cloud, "InvalidInput", "happyhorse-1.0-r2v takes no audios", **loud)
    assert not sent(sandbox)


def test_a_private_address_is_refused_before_anything_is_sent(
    cloud: Host, sandbox: Sandbox
) -> None:
    refused(
        cloud,
        "InvalidInput",
        "first_frame",
        "10.20.30.40 is not a public host",
        url=node("ProbeText", value="http://10.20.30.40/a.png"),
        make=frames("happyhorse-1.0-i2v", first_frame=link("url")),
    )
    assert not sent(sandbox)


def test_an_empty_balance_is_told_plainly_and_asked_once(cloud: Host, sandbox: Sandbox) -> None:
    fields = {"error": "Insufficient balance"}
    path = "POST /llmage/v1/video/generations"
    sandbox.faults.add(path, "status", times=9, status=429, body=fields)
    make_one = make(TEXT, "viduq3-pro", "broke", **nested(VIDU))
    words = ("OpenComputing: Insufficient balance (HTTP 429)", "Top up the account")
    refused(cloud, "OutOfCredit", *words, make=make_one)
    assert len(sent(sandbox)) == 1


def test_an_empty_prompt_is_refused_before_anything_is_sent(cloud: Host, sandbox: Sandbox) -> None:
    refused(cloud, "InvalidInput", "prompt", "required", ask=chat(""))
    assert not sent(sandbox, "completions")


# -- models without a table ---------------------------------------------------------------------


def options(host: Host, class_type: str) -> dict[str, Any]:
    model = host.object_info(class_type)["input"]["required"]["model"][1]
    return {option["key"]: option["inputs"] for option in model["options"]}


def names(form: dict[str, Any]) -> set[str]:
    return {*form.get("required", {}), *form.get("optional", {})}


def test_forms_are_those_of_their_tables_and_new_models_are_there(cloud: Host) -> None:
    text, film = options(cloud, TEXT), options(cloud, FRAMES)
    assert names(text["viduq3-pro"]) == {"off_peak", "duration", "ratio", "resolution"}
    assert names(text["sandbox-new-t2v"]) == {"parameters"}
    new = {"first_frame_field", "last_frame_field", "parameters"}
    assert names(film["sandbox-new-i2v"]) == new
    assert names(film["custom"]) == {"model_id", *new}
    assert text[DOUBAO]["required"]["ratio"][1]["default"] == "adaptive (default)"
    assert {f"sandbox-new-{task}" for task in ("t2v",)} <= set(text)


def test_a_new_model_is_usable_with_its_own_fields(cloud: Host, sandbox: Sandbox) -> None:
    more = '{"mood": "calm", "duration": 1}'
    run = ran(
        cloud,
        make=make(TEXT, "sandbox-new-t2v", _parameters=more),
        seen=node("ProbeSink", value=link("make")),
    )
    assert run.probe("seen")["type"] == "VIDEO"
    (fields,) = sent(sandbox)
    assert (fields["mood"], fields["duration"]) == ("calm", 1)


def test_custom_takes_a_model_that_no_list_has(cloud: Host, sandbox: Sandbox) -> None:
    custom = make(
        FRAMES,
        "custom",
        first_frame=link("one"),
        _model_id="sandbox-new-i2v",
        _first_frame_field="image_file1",
        _last_frame_field="image_file2",
        _parameters='{"duration": 1}',
    )
    run = ran(
        cloud,
        one=node("ProbeImage", seed=9),
        make=custom,
        seen=node("ProbeSink", value=link("make")),
    )
    assert run.probe("seen")["type"] == "VIDEO"
    assert set(sent(sandbox)[0]) == {"model", "catelogid", "prompt", "image_file1", "duration"}
    custom["inputs"]["model.model_id"] = " "
    words = ("A custom model needs its model id",)
    refused(cloud, "InvalidInput", *words, one=node("ProbeImage", seed=9), make=custom)


def test_a_model_that_is_not_offered_is_refused_at_queue_time(cloud: Host) -> None:
    run = cloud.run(graph(make=make(TEXT, "viduq99")))
    assert run.status == "refused"
    assert "viduq99" in json.dumps(run.node_errors)
