"""Pins that the sandbox computes what ComfyUI computes, pixel by pixel, where it knows the nodes.

Known values stand here as literals. With COMFYUI_PATH the same workflows also run in ComfyUI, and
what both saved must be equal, sample by sample.
"""

from __future__ import annotations

import io
import itertools
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import requests
from _clips import pictures, tone, write_clip, write_sound
from _waiting import PATIENCE
from host import Host, graph, link, node, open_host
from PIL import Image
from skyport.sandbox import Sandbox, _workflow, start
from skyport.sandbox._body import Refusal
from skyport.sandbox._files import StoredFile, identify
from skyport.sandbox._tasks import NodeFailed

Saved = Mapping[str, Sequence[np.ndarray]]


class Box:
    """Uploads by name, and the sandbox's way with a workflow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, StoredFile] = {}
        self._numbers = itertools.count()

    def add(self, name: str, path: Path) -> str:
        self.files[name] = identify(path, name)
        return name

    def picture(self, pixels: Any, name: str = "a.png", mode: str | None = None) -> str:
        """A PNG of uint8 pixels [H,W,C], or of `mode`."""
        image = Image.fromarray(np.asarray(pixels, np.uint8))
        path = self.folder / f"upload {next(self._numbers)}"
        (image.convert(mode) if mode else image).save(path, "PNG")
        return self.add(name, path)

    def new_path(self) -> Path:
        return self.folder / f"made {next(self._numbers)}"

    def files_of(self, prompt: Any) -> dict[str, list[Path]]:
        _workflow.check(prompt, self.files)
        found: dict[str, list[Path]] = {}
        for saved in _workflow.run(prompt, self.files, self.new_path):
            found.setdefault(saved.node_id, []).append(saved.path)
        return found

    def run(self, prompt: Any) -> dict[str, list[np.ndarray]]:
        made = self.files_of(prompt)
        return {node_id: [read(path.read_bytes()) for path in made[node_id]] for node_id in made}

    def refused(self, prompt: Any) -> str:
        with pytest.raises(Refusal) as no:
            _workflow.check(prompt, self.files)
        assert no.value.status == 400
        return no.value.text


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def read(data: bytes) -> np.ndarray:
    """The pixels of a picture, the frames of a film, the samples of a sound."""
    with av.open(io.BytesIO(data)) as opened:
        if opened.format.name.endswith("_pipe"):
            return np.asarray(Image.open(io.BytesIO(data)))
        if opened.streams.video:
            return np.stack([f.to_ndarray(format="rgb24") for f in opened.decode(video=0)])
        return np.concatenate([frame.to_ndarray() for frame in opened.decode(audio=0)], 1)


def save(source: str, output: int = 0) -> Any:
    return node("SaveImage", images=link(source, output), filename_prefix="x")


def load(name: str) -> Any:
    return node("LoadImage", image=name)


def after_load(class_type: str, name: str = "a.png", **inputs: Any) -> Any:
    """LoadImage -> the node -> SaveImage."""
    asked = node(class_type, image=link("load"), **inputs)
    return graph(load=load(name), it=asked, out=save("it"))


# -- values known by heart ------------------------------------------------------------------------

COLORS = [[[255, 0, 10], [0, 128, 200]], [[1, 2, 3], [250, 251, 252]]]


@pytest.mark.parametrize(
    ("prompt", "pixels"),
    [
        (
            after_load("ImageInvert"),
            [[[0, 255, 245], [255, 126, 54]], [[254, 253, 252], [4, 3, 2]]],
        ),
        (
            after_load("ImageCrop", width=1, height=9, x=1, y=0),
            [[[0, 128, 200]], [[250, 251, 252]]],
        ),
        (after_load("ImageCrop", width=1, height=1, x=9, y=9), [[[250, 251, 252]]]),
        (
            after_load("ImageScale", upscale_method="area", width=1, height=2, crop="disabled"),
            [[[127, 64, 105]], [[125, 126, 127]]],
        ),
        (
            after_load("ImageScale", upscale_method="area", width=0, height=0, crop="disabled"),
            COLORS,
        ),
        (
            after_load("ImageScaleBy", upscale_method="nearest-exact", scale_by=2.0),
            np.repeat(np.repeat(COLORS, 2, 0), 2, 1),
        ),
        (after_load("ImageFlip", flip_method="x-axis: vertically"), COLORS[::-1]),
        (
            after_load("ImageRotate", rotation="90 degrees"),
            [[COLORS[1][0], COLORS[0][0]], [COLORS[1][1], COLORS[0][1]]],
        ),
    ],
)
def test_a_picture_becomes_what_the_node_says(box: Box, prompt: Any, pixels: Any) -> None:
    """1 - 128/255 is a hair under 127/255 as a float, and a saver cuts off: 126, as in ComfyUI."""
    box.picture(COLORS)
    assert box.run(prompt)["out"][0].tolist() == np.asarray(pixels).tolist()


@pytest.mark.parametrize(
    ("mode", "value"),
    [
        ("normal", 130),
        ("multiply", 53),
        ("screen", 136),
        ("overlay", 77),
        ("soft_light", 78),
        ("difference", 0),
    ],
)
def test_a_blend_at_one_half(box: Box, mode: str, value: int) -> None:
    """60/255 below, 200/255 above: computed with a pencil, then cut off to 8 bits."""
    box.picture(np.full((2, 2, 3), 60), "below.png")
    box.picture(np.full((2, 2, 3), 200), "above.png")
    blend = node(
        "ImageBlend",
        image1=link("below"),
        image2=link("above"),
        blend_factor=0.5,
        blend_mode=mode,
    )
    prompt = graph(below=load("below.png"), above=load("above.png"), it=blend, out=save("it"))
    assert (box.run(prompt)["out"][0] == value).all()


def test_alpha_becomes_a_mask_and_back(box: Box) -> None:
    box.picture([[[255, 0, 0, 255], [0, 255, 0, 51]]])
    to_image = node("MaskToImage", mask=link("load", 1))
    joined = node("JoinImageWithAlpha", image=link("load"), alpha=link("load", 1))
    prompt = graph(
        load=load("a.png"), m=to_image, mask=save("m"), j=joined, out=save("j"), plain=save("load")
    )
    made = box.run(prompt)
    assert made["mask"][0].tolist() == [[[0, 0, 0], [204, 204, 204]]]
    assert made["out"][0].tolist() == [[[255, 0, 0, 255], [0, 255, 0, 50]]]
    assert made["plain"][0].tolist() == [[[255, 0, 0], [0, 255, 0]]]


def test_a_batch_is_saved_whole_and_in_order(box: Box) -> None:
    box.picture([[[1, 2, 3]]], "a.png")
    box.picture([[[7, 8, 9]]], "b.png")
    prompt = graph(
        a=load("a.png"),
        b=load("b.png"),
        twice=node("RepeatImageBatch", image=link("a"), amount=2),
        all=node("ImageBatch", image1=link("twice"), image2=link("b")),
        out=save("all"),
        last=node("ImageFromBatch", image=link("all"), batch_index=-1, length=5),
        end=save("last"),
    )
    made = box.run(prompt)
    assert [one.tolist() for one in made["out"]] == [[[[1, 2, 3]]]] * 2 + [[[[7, 8, 9]]]]
    assert [one.tolist() for one in made["end"]] == [[[[7, 8, 9]]]]


def test_an_empty_image_has_its_color_and_its_size(box: Box) -> None:
    asked = node("EmptyImage", width=3, height=2, batch_size=2, color=0x102030)
    made = box.run(graph(it=asked, out=save("it")))["out"]
    assert len(made) == 2
    assert made[1].tolist() == [[[0x10, 0x20, 0x30]] * 3] * 2


def test_values_can_come_from_primitives(box: Box) -> None:
    asked = node("EmptyImage", width=link("w"), height=2, batch_size=1, color=0)
    made = box.run(graph(w=node("PrimitiveInt", value=5), it=asked, out=save("it")))
    assert made["out"][0].shape == (2, 5, 3)


def test_a_mask_grows_by_a_plus(box: Box) -> None:
    dot = np.zeros((5, 5, 3), np.uint8)
    dot[2, 2] = 255
    box.picture(dot)
    prompt = graph(
        load=node("LoadImageMask", image="a.png", channel="red"),
        it=node("GrowMask", mask=link("load"), expand=1, tapered_corners=True),
        seen=node("MaskToImage", mask=link("it")),
        out=save("seen"),
    )
    grown = box.run(prompt)["out"][0][..., 0] // 255
    assert grown.tolist() == [
        [0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 1, 1, 1, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0],
    ]


def test_a_saver_hands_on_what_it_saved(box: Box) -> None:
    box.picture(COLORS)
    again = node("ImageFlip", image=link("first"), flip_method="x-axis: vertically")
    made = box.run(graph(load=load("a.png"), first=save("load"), it=again, out=save("it")))
    assert (made["out"][0] == made["first"][0][::-1]).all()


def test_sound_and_film_go_through(box: Box) -> None:
    clip = write_clip(box.folder / "c.mp4", pictures(4, 64, 48), sound=tone(2, 0.4))
    box.add("c.mp4", clip)
    prompt = graph(
        load=node("LoadVideo", file="c.mp4"),
        parts=node("GetVideoComponents", video=link("load")),
        out=save("parts"),
        sound=node("SaveAudio", audio=link("parts", 1), filename_prefix="x"),
        film=node(
            "CreateVideo", images=link("parts"), fps=link("parts", 2), audio=link("parts", 1)
        ),
        again=node("SaveVideo", video=link("film"), filename_prefix="x", format="auto"),
        same=node("SaveVideo", video=link("load"), filename_prefix="x", format="mp4"),
    )
    files = box.files_of(prompt)
    assert len(files["out"]) == 4
    assert files["same"][0].read_bytes() == clip.read_bytes()
    assert files["sound"][0].read_bytes()[:4] == b"fLaC"
    with av.open(str(files["again"][0])) as opened:
        assert opened.streams.video[0].average_rate == 10
        assert opened.streams.audio[0].channels == 2
    assert read(files["again"][0].read_bytes()).shape == (4, 48, 64, 3)


def test_a_video_helper_suite_clip_is_thinned_out_and_put_together(box: Box) -> None:
    box.add("c.mp4", write_clip(box.folder / "c.mp4", pictures(8, 64, 48)))
    asked = {"skip_first_frames": 1, "select_every_nth": 2, "frame_load_cap": 3}
    prompt = graph(
        load=node("VHS_LoadVideo", video="c.mp4", **asked),
        out=save("load"),
        film=node("VHS_VideoCombine", images=link("load"), frame_rate=5, filename_prefix="x"),
        plain=node("LoadVideo", file="c.mp4"),
        parts=node("GetVideoComponents", video=link("plain")),
        all=save("parts"),
    )
    made = box.run(prompt)
    assert len(made["film"][0]) == 3
    for picture, number in zip(made["out"], (1, 3, 5), strict=True):
        assert (picture == made["all"][number]).all()


def test_the_uploads_may_be_found_by_a_function(box: Box) -> None:
    name = box.picture(COLORS)
    prompt = graph(load=load("https://sandbox/x?a=1"), out=save("load"))

    def find(asked: str) -> StoredFile | None:
        return box.files[name] if asked == "https://sandbox/x?a=1" else None

    _workflow.check(prompt, find)
    (saved,) = _workflow.run(prompt, find, box.new_path)
    assert read(saved.path.read_bytes()).tolist() == COLORS


# -- what is not known here -----------------------------------------------------------------------


def text_to_image(**changes: Any) -> Any:
    """A checkpoint and nodes that do not exist here, with known ones behind them."""
    sampled = {"seed": 5, "steps": 20, "cfg": 8.0, **changes}
    return graph(
        model=node("CheckpointLoaderSimple", ckpt_name="secret.safetensors"),
        words=node("CLIPTextEncode", text="a fox", clip=link("model", 1)),
        empty=node("EmptyLatentImage", width=96, height=64, batch_size=2),
        sampler=node(
            "KSampler", model=link("model"), positive=link("words"), latent=link("empty"), **sampled
        ),
        decode=node("VAEDecode", samples=link("sampler"), vae=link("model", 2)),
        it=node("ImageFlip", image=link("decode"), flip_method="x-axis: vertically"),
        out=save("it"),
        seen=node("PreviewImage", images=link("decode")),
    )


def test_known_nodes_behind_unknown_ones_are_executed(box: Box) -> None:
    made = box.run(text_to_image())
    assert [one.shape for one in made["out"]] == [(64, 96, 3)] * 2
    assert len(made["seen"]) == 2
    for flipped, seen in zip(made["out"], made["seen"], strict=True):
        assert (flipped == seen[::-1]).all()


def test_a_drawn_picture_depends_on_its_inputs_alone(box: Box) -> None:
    first, again, other = (
        box.run(text_to_image(**changes))["out"] for changes in ({}, {}, {"seed": 6})
    )
    assert (first[0] == again[0]).all()
    assert (first[0] != other[0]).any()
    assert (first[0] != first[1]).any()


def test_an_unknown_node_gives_whatever_is_asked_of_it(box: Box) -> None:
    prompt = graph(
        odd=node("SomethingNew", seed=1),
        solid=node("SolidMask", value=link("odd", 1), width=32, height=32),
        seen=node("MaskToImage", mask=link("odd", 2)),
        a=save("seen"),
        again=node("InvertMask", mask=link("solid")),
        b_image=node("MaskToImage", mask=link("again")),
        b=save("b_image"),
        film=node("CreateVideo", images=link("odd"), fps=12, audio=link("odd", 4)),
        c=node("SaveVideo", video=link("film"), filename_prefix="x", format="auto"),
        d=node("SaveAudioMP3", audio=link("odd", 5), filename_prefix="x", quality="128k"),
    )
    made = box.run(prompt)
    assert made["b"][0].shape == (32, 32, 3)
    assert len(made["c"][0]) > 2
    assert made["d"][0].shape[1] > 1000
    assert made["a"][0].ndim == 3


def test_a_loader_whose_file_is_not_known_and_a_ring_are_drawn(box: Box) -> None:
    prompt = graph(
        odd=node("PickOne", seed=1),
        load=load(link("odd")),
        flip=node("ImageFlip", image=link("load"), flip_method="y-axis: horizontally"),
        a=save("flip"),
        left=node("ImageInvert", image=link("right")),
        right=node("ImageInvert", image=link("left")),
        back=node("ImageInvert", image=link("left")),
        b=save("back"),
    )
    made = box.run(prompt)
    assert [one[0].ndim for one in made.values()] == [3, 3]


def test_the_steps_are_the_nodes_in_the_order_they_run(box: Box) -> None:
    prompt = text_to_image()
    prompt["it"]["_meta"] = {"title": "Turn round"}
    answer = _workflow.steps(prompt)
    place = {node_id: number for number, (node_id, _) in enumerate(answer)}
    assert len(answer) == len(prompt)
    for node_id, one in prompt.items():
        for value in one["inputs"].values():
            assert not isinstance(value, list) or place[value[0]] < place[node_id]
    assert ("it", "Turn round") in answer


# -- what is wrong --------------------------------------------------------------------------------

SCALE = {"upscale_method": "area", "width": 8, "height": 8, "crop": "disabled"}


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "image: Required input is missing"),
        ({"image": 5}, "image: must be linked to a node that makes IMAGE"),
        ({"image": ["load", 0], "width": -1}, "width: Value -1 smaller than min of 0"),
        ({"image": ["load", 0], "width": 20000}, "width: Value 20000 bigger than max of 16384"),
        ({"image": ["load", 0], "width": "wide"}, "width: 'wide' is no INT"),
        ({"image": ["load", 0], "width": [1, 2, 3]}, "width: Bad linked input"),
        ({"image": ["load", 0], "crop": "round"}, "crop: Value not in list: 'round'"),
        ({"image": ["load", 2]}, "image: node load (LoadImage) has no output 2"),
        ({"image": ["load", -1]}, "image: node load (LoadImage) has no output -1"),
        ({"image": ["load", 1]}, "image: Return type mismatch: node load (LoadImage) gives MASK"),
    ],
)
def test_a_wrong_input_is_refused_with_its_node(box: Box, inputs: Any, words: str) -> None:
    box.picture(COLORS)
    wrong = {**node("ImageScale", {**SCALE, **inputs}), "_meta": {"title": "Smaller"}}
    message = box.refused(graph(load=load("a.png"), it=wrong, out=save("it")))
    assert message.startswith("Node it (Smaller): ")
    assert words in message


def test_the_inputs_of_an_unused_node_are_not_looked_at(box: Box) -> None:
    box.picture(COLORS)
    prompt = graph(load=load("a.png"), loose=node("ImageScale"), out=save("load"))
    assert list(box.run(prompt)) == ["out"]


@pytest.mark.parametrize("class_type", ["LoadImage", "LoadImageOutput", "LoadImageMask"])
def test_an_unknown_file_is_refused(box: Box, class_type: str) -> None:
    prompt = graph(it=node(class_type, image="mine.png", channel="red"), out=save("it"))
    assert "Node it.image: no file 'mine.png' was uploaded" in box.refused(prompt)


def test_a_failing_node_is_named(box: Box) -> None:
    box.add("c.mp4", write_clip(box.folder / "c.mp4", pictures(2, 64, 48)))
    prompt = graph(
        load=node("LoadVideo", file="c.mp4"),
        parts=node("GetVideoComponents", video=link("load")),
        out={
            **node("SaveAudio", audio=link("parts", 1), filename_prefix="x"),
            "_meta": {"title": "Keep the sound"},
        },
    )
    with pytest.raises(NodeFailed) as failed:
        box.run(prompt)
    assert failed.value.step == ("out", "Keep the sound")
    assert str(failed.value) == (
        "Node out (Keep the sound): There is no audio to save: the video has no audio track."
    )


# -- over the wire, as HaiYi ----------------------------------------------------------------------


class Haiyi:
    """A client of the native route."""

    def __init__(self, running: Sandbox) -> None:
        self.url = f"{running.base_url('haiyi')}/openapi/v1/workflow"
        self.headers = {"Authorization": f"Bearer {running.key('haiyi')}"}

    def ask(self, method: str, path: str, **more: Any) -> Any:
        answer = requests.request(
            method, f"{self.url}/{path}", headers=self.headers, timeout=PATIENCE, **more
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def upload(self, path: Path) -> str:
        with path.open("rb") as file:
            return self.ask("POST", "upload/file", files={"file": (path.name, file)})["filename"]

    def run(self, prompt: Any) -> Any:
        body = {"parameters": {"prompt": prompt}, "cluster_name": "GPU-4090"}
        task = self.ask("POST", "task/submit", json=body)["task_id"]
        return self.ask("GET", f"task/{task}")


@pytest.fixture
def haiyi() -> Iterator[Haiyi]:
    # A clock that leaps: every poll comes after the end.
    clock = itertools.count(100.0, 60.0)
    with start(clock=lambda: next(clock)) as running:
        yield Haiyi(running)


def test_every_picture_of_a_batch_is_told_in_order(haiyi: Haiyi) -> None:
    asked = node("EmptyImage", width=2, height=2, batch_size=3, color=0)
    outputs = haiyi.run(graph(it=asked, out=save("it")))["outputs"]
    assert [(one["id"], one["error_type"]) for one in outputs] == [("out", "info")] * 3
    numbers = [one["output"].rpartition("_")[2] for one in outputs]
    assert numbers == ["00001.png", "00002.png", "00003.png"]


def test_the_node_that_failed_is_told_with_its_title(haiyi: Haiyi, tmp_path: Path) -> None:
    name = haiyi.upload(write_clip(tmp_path / "c.mp4", pictures(2, 64, 48)))
    broken = {**node("LoadAudio", audio=name), "_meta": {"title": "The voice"}}
    seen = node("EmptyImage", width=2, height=2, batch_size=1, color=0)
    keep = node("SaveAudio", audio=link("load"), filename_prefix="x")
    result = haiyi.run(graph(load=broken, keep=keep, seen=seen, out=save("seen")))
    (output,) = result["outputs"]
    assert (result["status"], output["error_type"]) == ("fail", "error")
    assert (output["id"], output["title"]) == ("load", "The voice")
    assert output["output"] == "No audio stream found in the file."


# -- beside a real ComfyUI ------------------------------------------------------------------------


def scaled(way: str, width: int, height: int, crop: str, name: str = "photo.png") -> Any:
    return after_load("ImageScale", name, upscale_method=way, width=width, height=height, crop=crop)


def blended(mode: str, below: str = "photo.png", above: str = "other.png") -> Any:
    asked = node(
        "ImageBlend",
        image1=link("below"),
        image2=link("above"),
        blend_factor=0.3,
        blend_mode=mode,
    )
    return graph(below=load(below), above=load(above), it=asked, out=save("it"))


def loaded(name: str) -> Any:
    """The picture and its mask."""
    seen = node("MaskToImage", mask=link("load", 1))
    return graph(load=load(name), out=save("load"), seen=seen, mask=save("seen"))


def masked(class_type: str, **inputs: Any) -> Any:
    """The alpha of cut.png -> the node -> SaveImage."""
    return graph(
        load=load("cut.png"),
        it=node(class_type, mask=link("load", 1), **inputs),
        seen=node("MaskToImage", mask=link("it")),
        out=save("seen"),
    )


WAYS = ("nearest-exact", "bilinear", "area", "bicubic", "lanczos")
CROPS = ("disabled", "center")
MODES = ("normal", "multiply", "screen", "overlay", "soft_light", "difference")
PICTURES = (
    "photo.png",
    "cut.png",
    "gray.png",
    "gray_alpha.png",
    "deep.png",
    "palette.png",
    "turned.jpg",
    "plain.jpg",
    "lossy.webp",
    "moving.webp",
    "moving.gif",
)
FILM = {"load": node("LoadVideo", file="clip.mp4")}
PARTS = {**FILM, "parts": node("GetVideoComponents", video=link("load"))}
SOUND = {"load": node("LoadAudio", audio="voice.wav")}
SAVED = {"filename_prefix": "x"}
CASES: dict[str, Any] = {
    **{f"load {name}": loaded(name) for name in PICTURES},
    **{f"down {way}": scaled(way, 31, 47, "disabled") for way in WAYS},
    **{f"up {way}": scaled(way, 211, 0, "disabled") for way in WAYS},
    **{f"center {way}": scaled(way, 120, 90, "center") for way in WAYS},
    **{f"flat {way}": scaled(way, 133, 99, "disabled", "flat.png") for way in WAYS},
    **{f"blend {mode}": blended(mode) for mode in MODES},
    "blend sizes": blended("normal", "photo.png", "cut.png"),
    "by": after_load("ImageScaleBy", "photo.png", upscale_method="bicubic", scale_by=1.37),
    "invert": after_load("ImageInvert", "photo.png"),
    "crop": after_load("ImageCrop", "photo.png", width=40, height=500, x=30, y=11),
    "flip": after_load("ImageFlip", "photo.png", flip_method="y-axis: horizontally"),
    "rotate": after_load("ImageRotate", "photo.png", rotation="270 degrees"),
    "repeat": after_load("RepeatImageBatch", "other.png", amount=3),
    "empty": graph(
        it=node("EmptyImage", width=7, height=5, batch_size=2, color=0x7F2301), out=save("it")
    ),
    "batch": graph(
        a=load("photo.png"),
        b=load("cut.png"),
        it=node("ImageBatch", image1=link("a"), image2=link("b")),
        one=node("ImageFromBatch", image=link("it"), batch_index=1, length=4),
        out=save("it"),
        end=node("PreviewImage", images=link("one")),
    ),
    "pad": graph(
        load=load("photo.png"),
        it=node(
            "ImagePadForOutpaint",
            image=link("load"),
            left=16,
            top=8,
            right=0,
            bottom=24,
            feathering=20,
        ),
        out=save("it"),
        seen=node("MaskToImage", mask=link("it", 1)),
        mask=save("seen"),
    ),
    "paste": graph(
        load=load("photo.png"),
        cut=load("cut.png"),
        it=node(
            "ImageCompositeMasked",
            destination=link("load"),
            source=link("cut"),
            x=50,
            y=20,
            resize_source=False,
            mask=link("cut", 1),
        ),
        out=save("it"),
    ),
    "paste sized": graph(
        load=load("photo.png"),
        cut=load("cut.png"),
        it=node(
            "ImageCompositeMasked",
            destination=link("load"),
            source=link("cut"),
            x=5,
            y=0,
            resize_source=True,
        ),
        out=save("it"),
    ),
    "large with alpha": graph(
        load=load("photo.png"),
        cut=load("cut.png"),
        it=node("JoinImageWithAlpha", image=link("load"), alpha=link("cut", 1)),
        **{
            f"{way} {crop}": node(
                "ImageScale",
                image=link("it"),
                upscale_method=way,
                width=300,
                height=260,
                crop=crop,
            )
            for way in WAYS
            for crop in CROPS
        },
        **{f"{way} {crop} out": save(f"{way} {crop}") for way in WAYS for crop in CROPS},
    ),
    "join": graph(
        load=load("photo.png"),
        cut=load("cut.png"),
        it=node("JoinImageWithAlpha", image=link("load"), alpha=link("cut", 1)),
        out=save("it"),
        scaled=node("ImageScale", image=link("it"), **{**SCALE, "upscale_method": "bilinear"}),
        small=save("scaled"),
        parts=node("SplitImageWithAlpha", image=link("it")),
        plain=save("parts"),
    ),
    "channel": graph(
        load=load("photo.png"),
        it=node("ImageToMask", image=link("load"), channel="green"),
        seen=node("MaskToImage", mask=link("it")),
        out=save("seen"),
    ),
    "color": graph(
        load=load("flat.png"),
        it=node("ImageColorToMask", image=link("load"), color=0xC81E64),
        seen=node("MaskToImage", mask=link("it")),
        out=save("seen"),
    ),
    "mask file": graph(
        load=node("LoadImageMask", image="photo.png", channel="blue"),
        seen=node("MaskToImage", mask=link("load")),
        out=save("seen"),
    ),
    "solid": graph(
        it=node("SolidMask", value=0.37, width=9, height=4),
        seen=node("MaskToImage", mask=link("it")),
        out=save("seen"),
    ),
    "inverted mask": masked("InvertMask"),
    "cropped mask": masked("CropMask", x=3, y=5, width=20, height=900),
    "threshold": masked("ThresholdMask", value=0.5),
    "grown": masked("GrowMask", expand=3, tapered_corners=True),
    "shrunk": masked("GrowMask", expand=-2, tapered_corners=False),
    "frames": graph(**PARTS, out=save("parts")),
    "sound of a film": graph(**PARTS, out=node("SaveAudio", audio=link("parts", 1), **SAVED)),
    "film": graph(
        **FILM, out=node("SaveVideo", video=link("load"), format="auto", codec="auto", **SAVED)
    ),
    "film of frames": graph(
        **PARTS,
        even=node(
            "ImageScale", image=link("parts"), **{**SCALE, "width": 96, "upscale_method": "area"}
        ),
        it=node("CreateVideo", images=link("even"), fps=12.5, audio=link("parts", 1)),
        out=node("SaveVideo", video=link("it"), format="mp4", codec="h264", **SAVED),
    ),
    "flac": graph(**SOUND, out=node("SaveAudio", audio=link("load"), **SAVED)),
    "preview of a sound": graph(**SOUND, out=node("PreviewAudio", audio=link("load"))),
    "mp3": graph(**SOUND, out=node("SaveAudioMP3", audio=link("load"), quality="128k", **SAVED)),
}


NEEDS = {"film of frames": (0, 33)}


def write_inputs(folder: Path) -> None:
    """Every file that CASES name."""
    photo, other = pictures(2, 101, 77)
    noise = np.random.default_rng(3).integers(0, 256, (77, 101, 3), np.uint8)
    alpha = (pictures(1, 64, 48)[0].sum(2) % 256).astype(np.uint8)
    cut = np.dstack([pictures(1, 64, 48)[0], alpha])
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(photo // 2 + noise // 2).save(folder / "photo.png")
    Image.fromarray(other).save(folder / "other.png")
    Image.fromarray(cut).save(folder / "cut.png")
    Image.new("RGB", (70, 50), (200, 30, 100)).save(folder / "flat.png")
    Image.fromarray(photo).convert("L").save(folder / "gray.png")
    Image.fromarray(cut).convert("LA").save(folder / "gray_alpha.png")
    Image.fromarray(photo[..., 0].astype(np.uint16) * 257 + 77).save(folder / "deep.png")
    Image.fromarray(photo).quantize(32).save(folder / "palette.png")
    Image.fromarray(photo).save(folder / "turned.jpg", exif=turned)
    Image.fromarray(photo).save(folder / "plain.jpg", subsampling=0)
    Image.fromarray(photo).save(folder / "lossy.webp", quality=70)
    frames = [Image.fromarray(one) for one in pictures(3, 40, 30)]
    for name in ("moving.webp", "moving.gif"):
        frames[0].save(folder / name, save_all=True, append_images=frames[1:], duration=100)
    write_clip(folder / "clip.mp4", pictures(5, 70, 48), sound=tone(2, 0.5))
    write_sound(folder / "voice.wav", tone(2, 0.3), "pcm_s16le", "s16")


def of_host(host: Host, prompt: Any) -> dict[str, list[np.ndarray]]:
    """What ComfyUI saved for the same workflow."""
    run = host.run(prompt)
    assert run.status == "success", (run.error, run.node_errors)
    made: dict[str, list[np.ndarray]] = {}
    for node_id, shown in run.ui.items():
        for file in (*shown.get("images", ()), *shown.get("audio", ())):
            answer = host.route("GET", "/view", params=file)
            made.setdefault(node_id, []).append(read(answer.content))
    return made


def version(host: Host) -> tuple[int, ...]:
    text = host.route("GET", "/system_stats").json()["system"]["comfyui_version"]
    return tuple(int(part) for part in text.split(".")[:2])


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder)
    return folder


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, inputs: Path) -> Iterator[Host]:
    if not os.environ.get("COMFYUI_PATH"):
        pytest.skip("COMFYUI_PATH is not set")
    base = tmp_path_factory.mktemp("comfyui")
    with open_host("comfyui", base, packs=[]) as host:
        shutil.copytree(inputs, base / "input", dirs_exist_ok=True)
        yield host


@pytest.mark.host
@pytest.mark.parametrize("name", CASES)
def test_both_make_the_same(real: Host, box: Box, inputs: Path, name: str) -> None:
    for path in inputs.iterdir():
        box.add(path.name, path)
    if NEEDS.get(name, (0,)) > version(real):
        pytest.skip("this ComfyUI codes it otherwise")
    here, there = box.run(CASES[name]), of_host(real, CASES[name])
    assert here.keys() == there.keys()
    for node_id in here:
        for ours, theirs in zip(here[node_id], there[node_id], strict=True):
            assert ours.shape == theirs.shape
            assert (ours == theirs).all(), f"{(ours != theirs).sum()} of {ours.size} differ"


@pytest.mark.parametrize("name", CASES)
def test_every_case_of_the_comparison_runs_here(box: Box, inputs: Path, name: str) -> None:
    for path in inputs.iterdir():
        box.add(path.name, path)
    made = box.run(CASES[name])
    assert made
    assert all(one.size for each in made.values() for one in each)
