"""Pins which files of this machine a workflow takes along, and what is said of one that is gone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import standin  # noqa: F401  (makes comfy_api importable)
from comfy_api.latest import io
from folder_paths import folder_names_and_paths, use_base
from host import graph, link, node
from PIL import Image
from skyport.engine.base.errors import InvalidInput
from skyport.engine.base.types import MediaFile
from skyport.nodes._kinds import allowed_files
from skyport.nodes._kinds.local_files import stamps, with_local_files
from skyport.nodes._kinds.local_values import check_local_values

import nodes as comfyui_nodes


def loader(name: str, *inputs: Any) -> type[io.ComfyNode]:
    class Loader(io.ComfyNode):
        @classmethod
        def define_schema(cls) -> io.Schema:
            return io.Schema(node_id=name, inputs=list(inputs))

    return Loader


def picked(name: str, upload: io.UploadType) -> Any:
    return io.Combo.Input(name, options=[], upload=upload)


CLASSES = {
    "PackPicture": loader("PackPicture", picked("portrait", io.UploadType.image)),
    "PackClip": loader("PackClip", io.Int.Input("skip"), picked("clip", io.UploadType.video)),
    "PackPath": loader("PackPath", io.String.Input("p", extra_dict={"vhs_path_extensions": ["x"]})),
    "LoadPackFolder": loader("LoadPackFolder", io.Combo.Input("anything", options=["frames"])),
    "PackChoiceLoader": loader(
        "PackChoiceLoader", io.Combo.Input("anything", options=["image", "text"])
    ),
    "LoadImage": loader("LoadImage", picked("image", io.UploadType.image)),
    "SaveImage": loader("SaveImage", io.String.Input("filename_prefix")),
}


@pytest.fixture(autouse=True)
def base(tmp_path: Path) -> Iterator[Path]:
    before = comfyui_nodes.NODE_CLASS_MAPPINGS.classes
    use_base(tmp_path)
    comfyui_nodes.offer(CLASSES)
    yield tmp_path
    comfyui_nodes.offer(before)


def picture(path: Path, seed: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(levels).save(path)
    return path


def only(prompt: dict[str, Any], target: str) -> Any:
    node_id, name = target.split(".")
    return with_local_files(prompt)[node_id]["inputs"][name]


# -- found --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("class_type", "name"),
    [("PackPicture", "portrait"), ("PackClip", "clip"), ("LoadImage", "image")],
)
def test_an_input_that_takes_an_upload_names_a_file(base: Path, class_type: str, name: str) -> None:
    path = picture(base / "input" / "a.png")
    found = only(graph(n=node(class_type, {name: "a.png"})), f"n.{name}")
    assert isinstance(found, MediaFile)
    assert found.path == path


@pytest.mark.parametrize(
    ("class_type", "name"), [("LoadVideo", "file"), ("VHS_LoadVideo", "video")]
)
def test_a_known_loader_that_is_not_installed_names_a_file(
    base: Path, class_type: str, name: str
) -> None:
    picture(base / "input" / "a.png")
    found = only(graph(n=node(class_type, {name: "a.png"})), f"n.{name}")
    assert isinstance(found, MediaFile)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("sub/folder/a.png", "input/sub/folder/a.png"),
        ("a.png [output]", "output/a.png"),
        ("clipspace/mask.png [input]", "input/clipspace/mask.png"),
        ("pasted/a.png [temp]", "temp/pasted/a.png"),
    ],
)
def test_names_are_read_as_comfyui_reads_them(base: Path, name: str, place: str) -> None:
    path = picture(base / place)
    assert only(graph(n=node("LoadImage", image=name)), "n.image").path == path


def test_a_loader_of_paths_takes_a_file_from_a_folder_that_is_allowed(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = picture(base / "elsewhere" / "deep" / "a.png")
    monkeypatch.setenv(
        "SKYPORT_ALLOWED_FOLDERS", os.pathsep.join(["/nowhere", f"{base}/elsewhere"])
    )
    assert only(graph(n=node("PackPath", p=str(path))), "n.p").path == path


@pytest.mark.parametrize("folder", ["input", "output", "temp"])
def test_a_loader_of_paths_takes_a_file_of_comfyui_wherever_it_is_linked_to(
    base: Path, folder: str
) -> None:
    picture(base / "elsewhere" / "a.png")
    (base / folder / "linked").symlink_to(base / "elsewhere")
    path = base / folder / "linked" / "a.png"
    assert only(graph(n=node("PackPath", p=str(path))), "n.p").path == path


def test_a_loader_of_several_has_each_of_them_taken(base: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(base / "input" / name)
    several = graph(n=node("LoadImage", image={"__value__": ["a.png", "b.png"]}))
    found = only(several, "n.image")["__value__"]
    assert [one.name for one in found] == ["a.png", "b.png"]


def test_a_file_is_read_once(base: Path) -> None:
    picture(base / "input" / "a.png")
    found = with_local_files(
        graph(a=node("LoadImage", image="a.png"), b=node("LoadImage", image="a.png [input]"))
    )
    assert found["a"]["inputs"]["image"] is found["b"]["inputs"]["image"]


# -- left as it is ------------------------------------------------------------------------------


def test_everything_else_is_left_as_it_is(base: Path) -> None:
    picture(base / "input" / "a.png")
    prompt = graph(
        url=node("LoadImage", image="https://example.org/a.png"),
        linked=node("LoadImage", image=link("url")),
        empty=node("LoadImage", image=""),
        other=node("SaveImage", filename_prefix="a.png", images=link("url")),
        unknown=node("NobodysLoader", image="a.png"),
        absent=node("LoadVideo", file="over-there.mp4"),
    )
    assert with_local_files(prompt) == prompt


def test_the_workflow_itself_is_not_changed(base: Path) -> None:
    picture(base / "input" / "a.png")
    prompt = graph(n=node("LoadImage", image="a.png"))
    with_local_files(prompt)
    assert prompt == graph(n=node("LoadImage", image="a.png"))


# -- refused ------------------------------------------------------------------------------------


def test_a_missing_file_is_told_with_node_and_input() -> None:
    prompt = graph(n={**node("LoadImage", image="gone.png"), "_meta": {"title": "My face"}})
    with pytest.raises(InvalidInput) as caught:
        with_local_files(prompt)
    assert str(caught.value) == (
        'Node n (My face), input image: the file "gone.png" is not on this machine. '
        "Put it into ComfyUI's input folder, or choose another one in that node."
    )


@pytest.mark.parametrize("name", ["../secret.png", "{base}/secret.png", "../input2/secret.png"])
def test_a_name_does_not_lead_out_of_its_folder(base: Path, name: str) -> None:
    """A shared workflow must not send what its user never chose."""
    picture(base / "secret.png")
    picture(base / "input2" / "secret.png")
    with pytest.raises(InvalidInput, match="is not on this machine"):
        with_local_files(graph(n=node("LoadImage", image=name.format(base=base))))


def test_a_file_that_is_no_medium_is_told_with_node_and_input(base: Path) -> None:
    (base / "input" / "a.png").write_text("no picture", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"^Node n \(LoadImage\), input image: a\.png cannot be"):
        with_local_files(graph(n=node("LoadImage", image="a.png")))


@pytest.mark.parametrize("class_type", ["PackPath", "VHS_LoadImagePath"])
@pytest.mark.parametrize(
    "name",
    ["{base}/elsewhere/a.png", "{base}/input/../elsewhere/a.png", "{base}/allowed/out/a.png"],
)
def test_a_file_outside_is_taken_along_only_where_that_is_allowed(
    base: Path, monkeypatch: pytest.MonkeyPatch, class_type: str, name: str
) -> None:
    """A workflow of a stranger names it, whether the loader is installed or not."""
    picture(base / "elsewhere" / "a.png")
    (base / "allowed").mkdir()
    (base / "allowed" / "out").symlink_to(base / "elsewhere")
    monkeypatch.setenv("SKYPORT_ALLOWED_FOLDERS", str(base / "allowed"))
    field = "p" if class_type == "PackPath" else "image"
    prompt = graph(n=node(class_type, {field: name.format(base=base)}))
    for take in (with_local_files, stamps):
        with pytest.raises(InvalidInput, match=r"outside ComfyUI's folders .* allowed_folders"):
            take(prompt)


def test_a_file_that_is_allowed_by_itself_allows_no_other(base: Path) -> None:
    one, other = (picture(base / "elsewhere" / name) for name in ("a.png", "b.png"))
    allowed_files.allow([str(one)])
    assert only(graph(n=node("PackPath", p=str(one))), "n.p").path == one
    with pytest.raises(InvalidInput, match="may not be uploaded"):
        with_local_files(graph(n=node("PackPath", p=str(other))))


def test_what_would_be_refused_is_listed_once(base: Path) -> None:
    one, other = (picture(base / "apart" / name) for name in ("a.png", "b.png"))
    inside = picture(base / "input" / "c.png")
    paths = [one, inside, other, one]
    prompt = {str(n): node("PackPath", p=str(path)) for n, path in enumerate(paths)}
    with allowed_files.collecting() as found:
        stamps(prompt)
    assert found == [str(one), str(other)]


# -- what cannot go along -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("class_type", "inputs"),
    [
        ("VHS_LoadImages", {"directory": "frames"}),
        ("VHS_LoadImagesPath", {"directory": "{base}/elsewhere"}),
        ("LoadImagesFromFolderKJ", {"folder": "{base}/elsewhere"}),
        ("LoadImageDataSetFromFolder", {"folder": "frames"}),
        ("LoadPackFolder", {"anything": "frames"}),
        ("FramesOfDirectory", {"directory": "{base}/elsewhere"}),
        ("LoadLatent", {"latent": "x.latent"}),
        ("LoadCSV", {"csv": "rows.csv [output]"}),
        ("TextFileLoader", {"path": "{base}/elsewhere/notes.txt"}),
        ("WAS_Image_Load", {"image_path": "{base}/elsewhere/a.png"}),
        ("Load3D", {"model_file": "3d/cup.glb"}),
        ("PackPicture", {"portrait": "x.latent"}),
        ("NobodysLoader", {"files": {"__value__": ["a.png", "{base}/elsewhere"]}}),
    ],
)
def test_folders_and_files_that_are_no_media_are_refused_with_node_and_input(
    base: Path, class_type: str, inputs: dict[str, Any]
) -> None:
    for path in ("input/frames/1.png", "elsewhere/a.png", "input/a.png"):
        picture(base / path)
    for path in ("input/x.latent", "output/rows.csv", "elsewhere/notes.txt", "input/3d/cup.glb"):
        (base / path).parent.mkdir(parents=True, exist_ok=True)
        (base / path).write_bytes(b"\0data")
    text = json.dumps(inputs).replace("{base}", str(base))
    with pytest.raises(
        InvalidInput, match=rf"^Node n \({class_type}\), input \w+: the .*Keep Local"
    ):
        check_local_values(graph(n=node(class_type, json.loads(text))))


def test_a_model_that_has_the_name_of_a_file_stays_as_it_is(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("input/dream.safetensors", "models/dream.safetensors"):
        (base / path).parent.mkdir(exist_ok=True)
        (base / path).write_bytes(b"\0data")
    prompt = graph(n=node("CheckpointLoaderSimple", ckpt_name="dream.safetensors"))
    with pytest.raises(InvalidInput, match=r"dream\.safetensors"):
        check_local_values(prompt)
    models = ([str(base / "models")], {".safetensors"})
    monkeypatch.setitem(folder_names_and_paths, "checkpoints", models)
    check_local_values(prompt)


def test_models_texts_options_and_media_are_no_local_values(base: Path) -> None:
    for path in ("input/alpha/1.png", "input/image/1.png", "input/a.png"):
        picture(base / path)
    prompt = graph(
        model=node("CheckpointLoaderSimple", ckpt_name="sd/dream.safetensors"),
        text=node("CLIPTextEncode", text="/imagine a red boat"),
        frames=node("CLIPTextEncode", text="image"),
        option=node("LoadImageMask", image="a.png", channel="alpha"),
        choice=node("PackChoiceLoader", anything="image"),
        media=node("LoadImage", image="a.png"),
        unknown=node("NobodysLoader", image="a.png"),
        there=node("NobodysLoader", path="/data/there/x.safetensors"),
        url=node("NobodysLoader", path="https://example.org/set.zip"),
        kept=node("SaveImage", filename_prefix=str(base / "output"), images=link("media")),
        linked=node("LoadLatent", latent=link("media")),
    )
    check_local_values(prompt)


# -- stamps -------------------------------------------------------------------------------------


def test_stamps_change_with_a_file_and_only_then(base: Path) -> None:
    prompt = graph(n=node("LoadImage", image="a.png"))
    picture(base / "input" / "a.png", seed=1)
    first = stamps(prompt)
    assert stamps(prompt) == first
    (base / "input" / "a.png").write_bytes(b"longer than before" * 1000)
    assert stamps(prompt) != first


def test_stamps_tell_a_missing_file() -> None:
    with pytest.raises(InvalidInput, match="is not on this machine"):
        stamps(graph(n=node("LoadImage", image="gone.png")))
