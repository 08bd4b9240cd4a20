"""Pins what is added to a workflow where values enter and leave it, and that ComfyUI runs it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import _clips
import pytest
from host import Host, graph, link, node
from PIL import Image
from skyport.engine.base.json_tree import with_files
from skyport.engine.base.types import MediaFile
from skyport.engine.media.files import describe
from skyport.engine.workflows.transfer import RemoteWorkflowBuilder


def pictures(folder: Path, count: int, mode: str = "RGB") -> list[MediaFile]:
    found = []
    for number in range(count):
        path = folder / f"picture{number}.png"
        Image.new(mode, (8, 6), (number, 20, 30, 128)[: len(mode)]).save(path)
        found.append(describe(path))
    return found


def added(builder: RemoteWorkflowBuilder) -> list[tuple[str, dict[str, Any]]]:
    return [(one["class_type"], one["inputs"]) for one in builder.workflow.values()]


# -- what is added ------------------------------------------------------------------------------


def test_a_picture_enters_through_one_loader(tmp_path: Path) -> None:
    (file,) = pictures(tmp_path, 1)
    builder = RemoteWorkflowBuilder({})
    assert builder.load("IMAGE", [file]) == ["1", 0]
    assert added(builder) == [("LoadImage", {"image": file})]


def test_a_batch_is_joined_in_order(tmp_path: Path) -> None:
    files = pictures(tmp_path, 5)
    builder = RemoteWorkflowBuilder({})
    last = builder.load("IMAGE", files)

    def order(source: list[Any]) -> list[Any]:
        one = builder.workflow[source[0]]["inputs"]
        return [one["image"]] if "image" in one else order(one["image1"]) + order(one["image2"])

    assert order(last) == files


def test_alpha_is_joined_again_behind_the_loader(tmp_path: Path) -> None:
    (file,) = pictures(tmp_path, 1, "RGBA")
    builder = RemoteWorkflowBuilder({})
    assert builder.load("IMAGE", [file], alpha=True) == ["2", 0]
    assert added(builder)[1] == ("JoinImageWithAlpha", {"image": ["1", 0], "alpha": ["1", 1]})


def test_ids_are_free_also_beside_those_of_subgraphs(tmp_path: Path) -> None:
    builder = RemoteWorkflowBuilder({"12:40": node("X"), "7": node("Y")})
    assert builder.load("IMAGE", pictures(tmp_path, 1)) == ["41", 0]


@pytest.mark.parametrize(
    ("kind", "class_type", "name"),
    [
        ("IMAGE", "SaveImage", "images"),
        ("VIDEO", "SaveVideo", "video"),
        ("AUDIO", "SaveAudio", "audio"),
        ("STRING", "PreviewAny", "source"),
        ("INT", "PreviewAny", "source"),
        ("FLOAT", "PreviewAny", "source"),
        ("BOOLEAN", "PreviewAny", "source"),
    ],
)
def test_a_value_is_saved_by_what_saves_its_kind(kind: str, class_type: str, name: str) -> None:
    builder = RemoteWorkflowBuilder({"3": node("X")})
    saver = builder.workflow[builder.save(("3", 1), kind)]
    assert saver["class_type"] == class_type
    assert saver["inputs"][name] == ["3", 1]


def test_a_mask_is_saved_as_a_picture() -> None:
    builder = RemoteWorkflowBuilder({"3": node("X")})
    saver = builder.workflow[builder.save(("3", 0), "MASK")]
    assert builder.workflow[saver["inputs"]["images"][0]]["class_type"] == "MaskToImage"


def test_a_saver_that_is_there_already_serves() -> None:
    builder = RemoteWorkflowBuilder({"3": node("SaveVideo", video=link("2")), "2": node("X")})
    assert builder.save(("3", 0), "VIDEO") == "3"
    assert len(builder.workflow) == 2


def test_the_workflow_that_was_given_is_not_changed() -> None:
    given = {"3": node("X", image=0)}
    RemoteWorkflowBuilder(given).put(["3.image"], "new")
    assert given == {"3": node("X", image=0)}


# -- what ComfyUI says to it --------------------------------------------------------------------


def kept(host: Host, tree: Any) -> Any:
    """The workflow with its files in that ComfyUI's input folder."""

    def place(file: MediaFile) -> str:
        shutil.copy(file.path, host.base / "input" / file.name)
        return file.name

    return with_files(tree, place)


@pytest.mark.parametrize("kind", ["IMAGE", "RGBA", "MASK", "VIDEO", "AUDIO"])
def test_all_that_is_added_runs_in_comfyui(host: Host, tmp_path: Path, kind: str) -> None:
    if host.kind == "standin":
        pytest.skip("it has none of ComfyUI's own nodes")
    film = _clips.pictures(10, 64, 48)
    clip = _clips.write_clip(tmp_path / "clip.mp4", film, sound=_clips.tone(2, 1.0))
    files = {"VIDEO": [describe(clip)], "AUDIO": [describe(clip)]}
    many = files.get(kind) or pictures(tmp_path, 3, "RGBA" if kind == "RGBA" else "RGB")
    builder = RemoteWorkflowBuilder({})
    source = builder.load("IMAGE" if kind == "RGBA" else kind, many, alpha=kind == "RGBA")
    saver = builder.save((source[0], source[1]), "IMAGE" if kind == "RGBA" else kind)
    run = host.run(kept(host, graph(**builder.workflow)))
    assert run.status == "success", (run.error, run.node_errors)
    (shown,) = [value for key, value in run.ui[saver].items() if key in ("images", "audio")]
    assert len(shown) == len(many)
