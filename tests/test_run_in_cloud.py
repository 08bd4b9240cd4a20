"""Pins that a part of a graph gives the same in a cloud as here, on the stand-in and in ComfyUI."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import standin  # noqa: F401  (makes folder_paths importable)
from host import Host, Run, graph, link, node
from PIL import Image
from probes.sources import picture
from sandboxes import environment
from skyport.sandbox import Sandbox

RUN, KEEP, HERE = "SkyportRunInCloud", "SkyportKeepLocal", "this machine"
HAIYI = {"where": "HaiYi", "where.cluster": "auto"}
GPUGEEK = {"where": "GPUGeek", "where.workflow_id": "763311996779461"}
SUBMIT = "workflow/task/submit"

# The editor queues the types of all outputs along; the stand-in has no classes of ComfyUI.
TYPES = {
    "CropMask": ["MASK"],
    "ImageToMask": ["MASK"],
    "LoadImage": ["IMAGE", "MASK"],
    "LoadVideo": ["VIDEO"],
    "LoadAudio": ["AUDIO"],
    "CheckpointLoaderSimple": ["MODEL", "CLIP", "VAE"],
    "TrimAudioDuration": ["AUDIO"],
    "CreateVideo": ["VIDEO"],
    "GetVideoComponents": ["IMAGE", "AUDIO", "FLOAT"],
    "ProbeList": ["STRING"],
}


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    return environment(sandbox, "haiyi", "gpugeek")


@pytest.fixture
def host(opened: Host, sandbox: Sandbox, monkeypatch: Any) -> Host:
    opened.share_env(monkeypatch)
    sandbox.log.clear()
    sandbox.faults.clear()
    return opened


def queue(host: Host, prompt: Mapping[str, Any]) -> Run:
    """As the editor queues it."""
    return host.run(prompt, extra_data={"extra_pnginfo": editor(prompt)})


def editor(prompt: Mapping[str, Any]) -> dict[str, Any]:
    nodes = [
        {
            "id": node_id,
            "type": one["class_type"],
            "outputs": [{"type": kind} for kind in TYPES.get(one["class_type"], ["IMAGE"])],
        }
        for node_id, one in prompt.items()
    ]
    return {"workflow": {"nodes": nodes, "links": []}}


def cloud(value: Any, **where: Any) -> dict[str, Any]:
    return node(RUN, where or HAIYI, value=value)


def sent(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [seen.fields["parameters"]["prompt"] for seen in sandbox.log.of("POST", SUBMIT)]


def classes(workflow: Mapping[str, Any]) -> list[str]:
    return sorted(one["class_type"] for one in workflow.values())


def there_and_back(source: dict[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    """`source`, made here, through the nodes `there` and back, beside what it was."""
    return graph(
        source=source,
        keep=node(KEEP, value=link("source")),
        **there,
        cloud=cloud(link("leave")),
        seen=node("ProbeSink", value=link("cloud")),
        all=node("ProbeSinkAll", value=link("cloud")),
        original=node("ProbeSink", value=link("source")),
    )


def flipped_twice() -> dict[str, Any]:
    """Not inverted: SaveImage cuts off what a float lacks to a whole level."""
    method = {"flip_method": "y-axis: horizontally"}
    enter = node("ImageFlip", method, image=link("keep"))
    return {"enter": enter, "leave": node("ImageFlip", method, image=link("enter"))}


# -- values there and back ----------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 5])
def test_a_batch_of_pictures_comes_back_whole_and_in_order(
    host: Host, sandbox: Sandbox, batch: int
) -> None:
    picture = node("ProbeImage", seed=10 + batch, batch=batch)
    run = queue(host, there_and_back(picture, flipped_twice()))
    assert run.status == "success", (run.error, run.node_errors)
    assert run.probe("seen")["sha256"] == run.probe("original")["sha256"]
    assert run.probe("seen")["shape"] == [batch, 16, 16, 3]
    assert len(run.probe("all")["items"]) == 1, "one value, not a list of pictures"
    (workflow,) = sent(sandbox)
    assert classes(workflow).count("LoadImage") == batch
    assert classes(workflow).count("SaveImage") == 1


def test_a_picture_that_is_missing_withholds_no_other_and_only_it_is_fetched_again(
    host: Host, sandbox: Sandbox
) -> None:
    prompt = there_and_back(node("ProbeImage", seed=77, batch=3), flipped_twice())
    sandbox.faults.add("GET *view*", "html", skip=1)
    run = queue(host, prompt)
    assert run.status == "success", (run.error, run.node_errors)
    assert run.probe("seen")["shape"] == [2, 16, 16, 3]
    assert "is missing" in run.texts["cloud"][-1]
    sandbox.log.clear()
    run = queue(host, prompt)
    assert run.probe("seen")["sha256"] == run.probe("original")["sha256"]
    assert len(sandbox.log.of("GET", "view")) == 1
    assert sent(sandbox) == []


def test_pictures_with_an_alpha_channel_keep_it(host: Host) -> None:
    """LoadImage gives 1 - alpha and SaveImage cuts levels off: alpha may lack one of 255."""
    whole = {"x": 0, "y": 0, "width": 16, "height": 16}
    there = {"leave": node("ImageCrop", whole, image=link("keep"))}
    run = queue(host, there_and_back(node("ProbeImage", seed=3, batch=2, channels=4), there))
    assert run.status == "success", (run.error, run.node_errors)
    assert run.probe("seen")["shape"] == [2, 16, 16, 4]
    levels = picture(3, (2, 16, 16, 4)).mul(255).round().numpy()
    for one, expected in zip(run.ui["cloud"]["images"], levels, strict=True):
        with Image.open(host.output_dir / one["subfolder"] / one["filename"]) as image:
            off = np.abs(np.asarray(image).astype(int) - expected)
        assert off[..., :3].max() == 0
        assert off[..., 3].max() <= 1


def test_a_picture_without_its_batch_enters_as_one(host: Host, sandbox: Sandbox) -> None:
    unbatched = node("ProbeImage", seed=20, width=24, height=32, batched=False)
    run = queue(host, there_and_back(unbatched, flipped_twice()))
    assert run.status == "success", (run.error, run.node_errors)
    assert run.probe("seen")["sha256"] == run.probe("original")["sha256"]
    assert run.probe("seen")["shape"] == [1, 32, 24, 3]
    (workflow,) = sent(sandbox)
    assert classes(workflow).count("LoadImage") == 1


@pytest.mark.parametrize("batch", [1, 3])
def test_masks_come_back_as_masks(host: Host, batch: int) -> None:
    mask = node("ProbeMask", seed=batch, batch=batch)
    whole = {"x": 0, "y": 0, "width": 16, "height": 16}
    there = {"leave": node("CropMask", whole, mask=link("keep"))}
    run = queue(host, there_and_back(mask, there))
    assert run.status == "success", (run.error, run.node_errors)
    assert run.probe("seen")["shape"] == [batch, 16, 16]
    assert run.probe("seen")["sha256"] == run.probe("original")["sha256"]


def test_a_video_comes_back_as_a_video(host: Host) -> None:
    there = {
        "parts": node("GetVideoComponents", video=link("keep")),
        "leave": node("CreateVideo", images=link("parts"), audio=link("parts", 1), fps=10.0),
    }
    run = queue(host, there_and_back(node("ProbeVideo", seed=1), there))
    assert run.status == "success", (run.error, run.node_errors)
    assert run.probe("seen")["size"] == run.probe("original")["size"]
    assert run.probe("seen")["frames"] == run.probe("original")["frames"]


def test_sound_comes_back_as_sound(host: Host) -> None:
    prompt = graph(
        source=node("ProbeAudio", seconds=0.5),
        film=node("ProbeVideo", seconds=0.5),
        keep=node(KEEP, value=link("source")),
        picture=node("EmptyImage", width=16, height=16, batch_size=5, color=0),
        make=node("CreateVideo", images=link("picture"), audio=link("keep"), fps=10.0),
        leave=node("GetVideoComponents", video=link("make")),
        cloud=cloud(link("leave", 1)),
        seen=node("ProbeSink", value=link("cloud")),
    )
    run = queue(host, prompt)
    assert run.status == "success", (run.error, run.node_errors)
    assert run.probe("seen")["type"] == "AUDIO"
    assert run.probe("seen")["shape"][:2] == [1, 2]


def test_text_and_numbers_enter_as_they_are(host: Host, sandbox: Sandbox) -> None:
    prompt = graph(
        text=node("ProbeText", value="a red boat"),
        keep=node(KEEP, value=link("text")),
        encode=node("CLIPTextEncode", clip=link("model", 1), text=link("keep")),
        model=node("CheckpointLoaderSimple", ckpt_name="dream.safetensors"),
        paint=node("UnknownPainter", positive=link("encode"), model=link("model")),
        cloud=cloud(link("paint")),
        seen=node("ProbeSink", value=link("cloud")),
    )
    run = queue(host, prompt)
    assert run.status == "success", (run.error, run.node_errors)
    assert sent(sandbox)[0]["encode"]["inputs"]["text"] == "a red boat"


def test_each_item_of_a_list_made_here_is_a_run(host: Host, sandbox: Sandbox) -> None:
    prompt = graph(
        words=node("ProbeList", lines="one\ntwo"),
        keep=node(KEEP, value=link("words")),
        paint=node("UnknownPainter", text=link("keep")),
        cloud=cloud(link("paint")),
        seen=node("ProbeSink", value=link("cloud")),
    )
    run = queue(host, prompt)
    assert run.status == "success", (run.error, run.node_errors)
    assert sorted(one["paint"]["inputs"]["text"] for one in sent(sandbox)) == ["one", "two"]
    assert len(run.probe("seen")) == 2


# -- what is not here ---------------------------------------------------------------------------


def test_models_and_node_classes_need_not_be_here(host: Host, sandbox: Sandbox) -> None:
    prompt = graph(
        model=node("CheckpointLoaderSimple", ckpt_name="not-on-this-disk.safetensors"),
        paint=node("NobodysSampler", model=link("model"), seed=7),
        cloud=cloud(link("paint")),
        seen=node("ProbeSink", value=link("cloud")),
    )
    run = queue(host, prompt)
    assert run.status == "success", (run.error, run.node_errors)
    assert run.probe("seen")["type"] == "IMAGE"
    assert classes(sent(sandbox)[0]) == ["CheckpointLoaderSimple", "NobodysSampler", "SaveImage"]


def test_queued_again_it_is_neither_run_nor_paid_again(host: Host, sandbox: Sandbox) -> None:
    prompt = graph(
        paint=node("NobodysSampler", seed=8),
        cloud=cloud(link("paint")),
        seen=node("ProbeSink", value=link("cloud")),
    )
    before = sandbox.charges["haiyi"]
    first = queue(host, prompt)
    again = queue(host, prompt)
    stored = host.client.call("GET", f"/history/{first.prompt_id}").json()[first.prompt_id]
    from_history = host.run(stored["prompt"][2])
    assert {first.status, again.status, from_history.status} == {"success"}
    assert sandbox.charges["haiyi"] == before + 1


def test_a_node_that_is_renamed_is_not_paid_again(host: Host, sandbox: Sandbox) -> None:
    before = sandbox.charges["haiyi"]
    for title in ("One name", "Another name"):
        paint = {**node("NobodysSampler", seed=11), "_meta": {"title": title}}
        prompt = graph(
            paint=paint,
            cloud=cloud(link("paint")),
            seen=node("ProbeSink", value=link("cloud")),
        )
        assert queue(host, prompt).status == "success"
    assert sandbox.charges["haiyi"] == before + 1


# -- output nodes inside the part ---------------------------------------------------------------


def test_a_saver_whose_value_goes_on_saves_here_what_came_back(
    host: Host, sandbox: Sandbox
) -> None:
    there = flipped_twice()
    there["film"] = node("ProbePass", image=link("enter"))
    there["leave"]["inputs"]["image"] = link("film")
    prompt = there_and_back(node("ProbeImage", seed=31, batch=2), there)
    run = queue(host, prompt)
    assert run.status == "success", (run.error, run.node_errors)
    flipped = node("ImageFlip", {"flip_method": "y-axis: horizontally"}, image=link("source"))
    assert run.probe("film")["shape"] == [2, 16, 16, 3]
    assert run.probe("film")["sha256"] != run.probe("original")["sha256"]
    assert len(sent(sandbox)) == 1
    if host.kind != "standin":  # it has none of ComfyUI's own nodes
        here = graph(
            source=prompt["source"], flip=flipped, film=node("ProbePass", image=link("flip"))
        )
        assert run.probe("film")["sha256"] == host.run(here).probe("film")["sha256"]


def test_what_cannot_be_brought_back_is_left_out_and_the_run_says_so(
    host: Host, sandbox: Sandbox
) -> None:
    prompt = graph(
        paint=node("NobodysSampler", seed=41),
        mesh=node("NobodysMesh", image=link("paint")),
        cloud=cloud(link("paint")),
        seen=node("ProbeSink", value=link("cloud")),
        shown=node("ProbeSink", value=link("mesh")),
    )
    extra = editor(prompt)
    mesh = next(one for one in extra["workflow"]["nodes"] if one["id"] == "mesh")
    mesh["outputs"] = [{"type": "MESH"}]
    run = host.run(prompt, extra_data={"extra_pnginfo": extra})
    assert run.status == "success", (run.error, run.node_errors)
    assert "ProbeSink (shown) is left out" in run.texts["cloud"][-1]
    assert len(sent(sandbox)) == 1


# -- files --------------------------------------------------------------------------------------


def photograph(host: Host, name: str, seed: int = 1) -> Path:
    path = host.base / "input" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
    Image.fromarray(levels).save(path)
    return path


def loaded(name: str) -> dict[str, Any]:
    return graph(
        load=node("LoadImage", image=name),
        blend=node(
            "ImageBlend",
            {"blend_factor": 0.5, "blend_mode": "multiply"},
            image1=link("load"),
            image2=link("again"),
        ),
        again=node("LoadImage", image=name),
        cloud=cloud(link("blend")),
        seen=node("ProbeSink", value=link("cloud")),
    )


def test_a_file_that_loaders_name_is_uploaded_once(host: Host, sandbox: Sandbox) -> None:
    photograph(host, "deep/harbour.png")
    run = queue(host, loaded("deep/harbour.png"))
    assert run.status == "success", (run.error, run.node_errors)
    assert len(sandbox.log.of("POST", "workflow/upload/file")) == 1
    (workflow,) = sent(sandbox)
    assert workflow["load"]["inputs"] == workflow["again"]["inputs"]


def test_a_file_that_changed_is_a_new_run(host: Host, sandbox: Sandbox) -> None:
    photograph(host, "changing.png", seed=1)
    first = queue(host, loaded("changing.png"))
    photograph(host, "changing.png", seed=2)
    second = queue(host, loaded("changing.png"))
    assert first.probe("seen")["sha256"] != second.probe("seen")["sha256"]


# -- several ------------------------------------------------------------------------------------


def test_two_that_share_a_part_are_paid_once(host: Host, sandbox: Sandbox) -> None:
    prompt = graph(
        source=node("ProbeImage", seed=4),
        keep=node(KEEP, value=link("source")),
        **flipped_twice(),
        one=cloud(link("enter")),
        two=cloud(link("leave")),
        first=node("ProbeSink", value=link("one")),
        second=node("ProbeSink", value=link("two")),
        original=node("ProbeSink", value=link("source")),
    )
    before = sandbox.charges["haiyi"]
    run = queue(host, prompt)
    assert run.status == "success", (run.error, run.node_errors)
    assert sandbox.charges["haiyi"] == before + 1
    assert run.probe("second")["sha256"] == run.probe("original")["sha256"]
    assert run.probe("first")["sha256"] != run.probe("original")["sha256"]


def test_two_clouds_work_at_the_same_time(host: Host, sandbox: Sandbox) -> None:
    prompt = graph(
        here=node("ProbeImage", seed=5),
        keep=node(KEEP, value=link("here")),
        a=node("ImageInvert", image=link("keep")),
        b=node("ImageInvert", image=link("keep")),
        sun=node(RUN, HAIYI, value=link("a")),
        moon=node(RUN, GPUGEEK, value=link("b")),
        one=node("ProbeSink", value=link("sun")),
        two=node("ProbeSink", value=link("moon")),
    )
    run = queue(host, prompt)
    assert run.status == "success", (run.error, run.node_errors)
    assert run.probe("one")["sha256"] == run.probe("two")["sha256"]
    submits = [n for n, seen in enumerate(sandbox.log) if seen.path.endswith((SUBMIT, "v1/prompt"))]
    gets = [n for n, one in enumerate(sandbox.log) if one.method == "GET" and "view" in one.path]
    assert len(submits) == 2
    assert max(submits) < min(gets)


def test_the_value_of_one_cloud_goes_on_to_another(host: Host, sandbox: Sandbox) -> None:
    prompt = graph(
        here=node("ProbeImage", seed=6),
        keep=node(KEEP, value=link("here")),
        a=node("ImageFlip", {"flip_method": "x-axis: vertically"}, image=link("keep")),
        sun=node(RUN, HAIYI, value=link("a")),
        b=node("ImageFlip", {"flip_method": "x-axis: vertically"}, image=link("sun")),
        moon=node(RUN, GPUGEEK, value=link("b")),
        seen=node("ProbeSink", value=link("moon")),
        original=node("ProbeSink", value=link("here")),
    )
    run = queue(host, prompt)
    assert run.status == "success", (run.error, run.node_errors)
    assert run.probe("seen")["sha256"] == run.probe("original")["sha256"]


# -- what goes wrong ----------------------------------------------------------------------------


def refusal(run: Run, node_id: str) -> str:
    """What the editor tells at the node, once."""
    assert node_id in run.node_errors, run
    (error,) = run.node_errors[node_id]["errors"]
    return str(error["details"])


def test_a_model_made_here_is_refused_when_it_is_queued(host: Host, sandbox: Sandbox) -> None:
    prompt = graph(
        load=node("CheckpointLoaderSimple", ckpt_name="x.safetensors"),
        keep=node(KEEP, value=link("load")),
        paint=node("NobodysSampler", model=link("keep")),
        cloud=cloud(link("paint")),
        seen=node("ProbeSink", value=link("cloud")),
    )
    run = queue(host, prompt)
    assert run.status == "refused"
    assert (
        "NobodysSampler (paint) takes a value of type MODEL that is made on this machine by"
        in refusal(run, "cloud")
    )
    assert not len(sandbox.log)


def test_a_file_that_is_not_here_is_refused_when_it_is_queued(host: Host, sandbox: Sandbox) -> None:
    if host.kind == "standin":
        pytest.skip("it has no loaders that flag their input")
    run = queue(host, loaded("nowhere.png"))
    assert run.status == "refused"
    message = refusal(run, "cloud")
    assert '(LoadImage), input image: the file "nowhere.png" is not on this machine.' in message
    assert not len(sandbox.log)


def test_a_folder_is_refused_when_it_is_queued(host: Host, sandbox: Sandbox) -> None:
    photograph(host, "frames/1.png")
    prompt = graph(
        load=node("VHS_LoadImages", directory="frames"),
        cloud=cloud(link("load")),
        seen=node("ProbeSink", value=link("cloud")),
    )
    run = queue(host, prompt)
    assert run.status == "refused"
    message = refusal(run, "cloud")
    assert 'input directory: the folder "frames" is on this machine' in message
    assert not len(sandbox.log)


def test_a_file_outside_comfyui_is_refused_when_it_is_queued_until_its_folder_is_allowed(
    host: Host, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = photograph(host, "of-the-input.png").rename(tmp_path / "private.png")
    prompt = graph(
        load=node("VHS_LoadImagePath", image=str(path)),
        flip=node("NobodysFlip", image=link("load")),
        cloud=cloud(link("flip")),
        seen=node("ProbeSink", value=link("cloud")),
    )
    run = queue(host, prompt)
    assert run.status == "refused"
    assert "private.png" in refusal(run, "cloud")
    assert not len(sandbox.log)
    if host.kind == "standin":  # its settings are those of this process
        monkeypatch.setenv("SKYPORT_ALLOWED_FOLDERS", str(tmp_path))
        run = queue(host, prompt)
        assert run.status == "success", (run.error, run.node_errors)
        assert len(sandbox.log.of("POST", "workflow/upload/file")) == 1


def test_nothing_linked_is_refused_when_it_is_queued(host: Host) -> None:
    prompt = graph(cloud=node(RUN, HAIYI), seen=node("ProbeSink", value=link("cloud")))
    run = queue(host, prompt)
    assert run.status == "refused"
    assert 'Nothing is linked to "value"' in refusal(run, "cloud")


@pytest.mark.parametrize("workflow_id", ["", " ", "my workflow"])
def test_an_input_of_the_platform_that_is_missing_or_wrong_is_refused_before_anything_runs(
    host: Host, sandbox: Sandbox, workflow_id: str
) -> None:
    prompt = graph(
        source=node("ProbeImage"),
        keep=node(KEEP, value=link("source")),
        **flipped_twice(),
        cloud=cloud(link("leave"), **{**GPUGEEK, "where.workflow_id": workflow_id}),
        seen=node("ProbeSink", value=link("cloud")),
    )
    run = queue(host, prompt)
    assert (run.status, run.ran()) == ("refused", [])
    assert "GPUGeek: workflow_id must be a whole number" in refusal(run, "cloud")
    assert not len(sandbox.log)


def test_where_the_rest_needs_nothing_of_the_cloud_an_empty_input_of_it_does_not_matter(
    host: Host,
) -> None:
    where = {**GPUGEEK, "where.workflow_id": ""}
    prompt = graph(
        source=node("ProbeImage"),
        keep=node(KEEP, value=link("source")),
        cloud=cloud(link("keep"), **where),
        seen=node("ProbeSink", value=link("cloud")),
    )
    assert queue(host, prompt).status == "success"


def test_an_error_over_there_is_told_with_the_node_it_has_here(host: Host) -> None:
    alpha = node("ImageToMask", image=link("keep"), channel="alpha")
    prompt = there_and_back(
        node("ProbeImage", seed=9), {"leave": {**alpha, "_meta": {"title": "Take alpha"}}}
    )
    run = queue(host, prompt)
    assert run.error is not None
    assert run.error.node_id == "cloud"
    assert "The picture has no alpha channel." in run.error.message
    assert "In this workflow that is Take alpha (leave)." in run.error.message


def test_ids_and_titles_go_along_so_that_progress_speaks_of_them(
    host: Host, sandbox: Sandbox
) -> None:
    flip = node("ImageFlip", {"flip_method": "x-axis: vertically"}, image=link("keep"))
    titled = {**flip, "_meta": {"title": "Turn it over"}}
    run = queue(host, there_and_back(node("ProbeImage", seed=10), {"leave": titled}))
    assert run.status == "success", (run.error, run.node_errors)
    assert sent(sandbox)[0]["leave"]["_meta"] == {"title": "Turn it over"}


# -- here or there ------------------------------------------------------------------------------

SCALE = {"upscale_method": "nearest-exact", "width": 24, "height": 20, "crop": "disabled"}
SAME: Mapping[str, Any] = {
    "scaled and turned round": graph(
        scaled=node("ImageScale", SCALE, image=link("load")),
        leave=node("ImageInvert", image=link("scaled")),
    ),
    "blended with itself": graph(
        other=node("ImageInvert", image=link("load")),
        leave=node(
            "ImageBlend",
            {"blend_factor": 0.25, "blend_mode": "screen"},
            image1=link("load"),
            image2=link("other"),
        ),
    ),
    "cropped and repeated": graph(
        crop=node("ImageCrop", {"x": 3, "y": 2, "width": 9, "height": 7}, image=link("load")),
        leave=node("RepeatImageBatch", image=link("crop"), amount=3),
    ),
    "its green as a mask and back": graph(
        green=node("ImageToMask", image=link("load"), channel="green"),
        leave=node("MaskToImage", mask=link("green")),
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_graph_gives_the_same_here_and_in_the_cloud(host: Host, name: str) -> None:
    if host.kind == "standin":
        pytest.skip("it has none of ComfyUI's own nodes")
    photograph(host, "photograph.png")
    seen = []
    for where in ({"where": HERE}, HAIYI, GPUGEEK):
        prompt = graph(
            load=node("LoadImage", image="photograph.png"),
            **SAME[name],
            cloud=node(RUN, where, value=link("leave")),
            save=node("SaveImage", images=link("cloud"), filename_prefix="same"),
        )
        run = host.run(prompt)  # over the API: nothing but the prompt
        assert run.status == "success", (run.error, run.node_errors)
        seen.append(saved(host, run))
    assert seen[0] == seen[1] == seen[2]


def saved(host: Host, run: Run) -> list[tuple[tuple[int, int], bytes]]:
    """Size and pixels of each picture that the node `save` has saved."""
    found = []
    for one in run.ui["save"]["images"]:
        with Image.open(host.output_dir / one["subfolder"] / one["filename"]) as picture:
            found.append((picture.size, picture.tobytes()))
    return found


def test_on_this_machine_a_value_is_passed_on_untouched(host: Host) -> None:
    prompt = graph(
        source=node("ProbeImage", seed=1, batch=2, channels=4),
        cloud=node(RUN, {"where": HERE}, value=link("source")),
        seen=node("ProbeSink", value=link("cloud")),
        all=node("ProbeSinkAll", value=link("cloud")),
        original=node("ProbeSink", value=link("source")),
    )
    run = host.run(prompt)
    assert run.status == "success", (run.error, run.node_errors)
    assert run.probe("seen") == run.probe("original")
    assert len(run.probe("all")["items"]) == 1
