"""Pins that whatever a ComfyUI lacks for a workflow is named at once, and nothing that it has: a
refusal of what would run costs a person the run, a missed model costs them the wait.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skyport.engine.base.errors import InvalidInput
from skyport.engine.media.files import describe
from skyport.engine.workflows.preflight import Lack, check, map_models, mapping_warnings, packs_of
from skyport.engine.workflows.transfer import RemoteWorkflowBuilder

MODELS = ["sd15/dream.safetensors", "sdxl/base.safetensors", "a/twin.ckpt", "b/twin.ckpt"]
LENGTHS = {"required": {"seconds": ["COMBO", {"options": ["5", "10"]}]}}
CODEC = ["COMFY_DYNAMICCOMBO_V3", {"options": [{"key": "auto", "inputs": {"required": {}}}]}]
FORMAT = [
    "COMFY_DYNAMICCOMBO_V3",
    {"options": [{"key": "auto", "inputs": {"required": {"codec": CODEC}}}]},
]
THERE = {
    "Load": {"input": {"required": {"ckpt_name": [MODELS, {}]}}, "output": ["MODEL"]},
    "NewLoad": {
        "input": {"required": {"name": ["COMBO", {"options": MODELS}]}},
        "output": ["MODEL"],
    },
    "KSampler": {
        "input": {
            "required": {
                "model": ["MODEL"],
                "sampler_name": [["euler", "euler_ancestral", "dpmpp_2m"]],
                "steps": ["INT", {"default": 20}],
            },
            "optional": {"mask": ["MASK"]},
            "hidden": {"unique_id": "UNIQUE_ID"},
        },
        "python_module": "nodes",
    },
    "LoadImage": {"input": {"required": {"image": [["a.png", "b.png"], {"image_upload": True}]}}},
    "Clip": {"input": {"required": {"video": [["a.mp4", "b.mp4"]]}}},
    "FromElsewhere": {
        "input": {
            "required": {"file": ["COMBO", {"remote": {"route": "/x"}, "options": ["a", "b"]}]}
        }
    },
    "Filled": {"input": {"required": {"pick": [["(none)"]]}}},
    "Video": {
        "input": {
            "required": {
                "model": [
                    "COMFY_DYNAMICCOMBO_V3",
                    {"options": [{"key": "wan", "inputs": LENGTHS}, {"key": "ltx", "inputs": {}}]},
                ],
                "images": ["COMFY_AUTOGROW_V3", {"template": {"min": 1, "prefix": "image"}}],
            }
        }
    },
    "Combine": {
        "input": {
            "required": {"format": [["gif", "mp4"], {"formats": {"mp4": [["crf", "INT", {}]]}}]}
        }
    },
    "Switch": {"input": {"required": {"value": ["COMFY_MATCHTYPE_V3", {}]}}},
    "SaveVideo": {
        "input": {
            "required": {"video": ["VIDEO"], "filename_prefix": ["STRING"], "format": FORMAT},
            "optional": {"codec": CODEC},
        }
    },
    "Broken": "nothing that can be read",
    "SharpenPlus": {"input": {}, "python_module": "custom_nodes.ComfyUI-Sharp"},
}


def one(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"7": {"class_type": class_type, "inputs": inputs}}


def lacks(workflow: dict[str, Any]) -> list[tuple[Lack, str]]:
    return [(problem.lack, problem.name) for problem in check(workflow, THERE).problems]


@pytest.mark.parametrize(
    "workflow",
    [
        one("Load", ckpt_name="a/twin.ckpt"),
        one("NewLoad", name="sdxl/base.safetensors"),
        one("KSampler", model=["1", 0], sampler_name=["2", 0], steps=3, unique_id="7"),
        one("LoadImage", image="sub/c.png"),  # files of the input folder are not all listed
        one("Clip", video="sub/c.mp4"),
        one("Clip", video="c.MP4 [output]"),
        one("FromElsewhere", file="c"),
        one("Filled", pick="what a script has put there"),
        one("Video", **{"model": "wan", "model.seconds": "5", "images.image0": ["1", 0]}),
        one("Video", **{"model": ["1", 0], "images.image0": ["1", 0]}),
        one("Combine", format="mp4", crf=19),
        one("Video", **{"images.image0": ["1", 0]}),  # a server does without a dynamic combo
        one("Broken", anything=1),
        one("SharpenPlus", amount=1),
    ],
)
def test_what_runs_there_or_cannot_be_judged_is_not_refused(workflow: dict[str, Any]) -> None:
    assert lacks(workflow) == []
    check(workflow, THERE).raise_if_lacking("PC")


@pytest.mark.parametrize(
    ("workflow", "expected"),
    [
        (one("Sharpen"), [(Lack.CLASS, "")]),
        (one("Load", ckpt_name="gone.ckpt"), [(Lack.CHOICE, "ckpt_name")]),
        (one("NewLoad", name="gone.ckpt"), [(Lack.CHOICE, "name")]),
        (one("NewLoad", name={"__value__": ["gone.ckpt"]}), [(Lack.CHOICE, "name")]),
        (one("Load"), [(Lack.REQUIRED, "ckpt_name")]),
        (one("Filled", pick="lost.safetensors"), [(Lack.CHOICE, "pick")]),
        (
            one("KSampler", sampler_name="eulr"),
            [
                (Lack.REQUIRED, "model"),
                (Lack.CHOICE, "sampler_name"),
                (Lack.REQUIRED, "steps"),
            ],
        ),
        (
            one("Video", model="wan"),
            [(Lack.REQUIRED, "model.seconds"), (Lack.REQUIRED, "images")],
        ),
        (
            one("Video", **{"model": "wan", "model.seconds": "7", "images.image0": ["1", 0]}),
            [(Lack.CHOICE, "model.seconds")],
        ),
        (one("Video", **{"model": "veo", "images.image0": ["1", 0]}), [(Lack.CHOICE, "model")]),
        (one("Switch"), [(Lack.REQUIRED, "value")]),
    ],
)
def test_everything_that_is_missing_is_found_at_once(
    workflow: dict[str, Any], expected: list[tuple[Lack, str]]
) -> None:
    assert lacks(workflow) == expected


def test_a_saver_that_skyport_adds_fits_servers_that_declare_it_anew() -> None:
    builder = RemoteWorkflowBuilder(one("Video", **{"images.image0": ["1", 0]}))
    builder.save(("7", 0), "VIDEO")
    assert len(builder.workflow) == 2
    assert lacks(builder.workflow) == []


def test_a_file_that_will_be_uploaded_is_never_missing(tmp_path: Path) -> None:
    path = tmp_path / "c.png"
    Image.new("RGB", (2, 2)).save(path)
    assert lacks(one("LoadImage", image=describe(path))) == []
    assert lacks(one("Load", ckpt_name=describe(path))) == []


def test_the_message_names_server_node_value_and_what_is_near() -> None:
    workflow = {
        "1": {"class_type": "SharpenPluss", "inputs": {}},
        "2": {"class_type": "SharpenPluss", "inputs": {}},
        "3": {
            "class_type": "KSampler",
            "inputs": {"model": ["4", 0], "sampler_name": "euler_a", "stepz": 3},
            "_meta": {"title": "Draw"},
        },
        "4": {"class_type": "Load", "inputs": {"ckpt_name": "SDXL\\basee.safetensors"}},
    }
    result = check(workflow, THERE, {"SharpenPluss": "ComfyUI-Sharper"})
    assert result.message('ComfyUI "PC"').splitlines() == [
        'ComfyUI "PC" lacks what this workflow needs:',
        "- there is no node SharpenPluss (in this workflow: 1, 2); it comes from ComfyUI-Sharper; "
        "nearest: SharpenPlus",
        '- Draw (3): sampler_name has no "euler_a"; nearest: euler, euler_ancestral; '
        "steps is required there and missing; stepz is not an input of it there and may be ignored",
        '- Load (4): ckpt_name has no "SDXL\\basee.safetensors"; nearest: sdxl/base.safetensors',
    ]
    with pytest.raises(InvalidInput, match="lacks what this workflow needs"):
        result.raise_if_lacking("PC")


def test_a_long_list_is_cut_and_counted() -> None:
    workflow = {str(n): {"class_type": f"Gone{n}", "inputs": {}} for n in range(50)}
    lines = check(workflow, THERE).message("PC").splitlines()
    assert len(lines) == 22
    assert "30" in lines[-1]


def test_an_input_that_is_not_declared_there_is_told_and_refuses_nothing() -> None:
    result = check(one("Load", ckpt_name="a/twin.ckpt", clip_skip=2), THERE)
    assert result.problems == ()
    assert result.warnings("PC") == [
        "On PC: Load (7): clip_skip is not an input of it there and may be ignored"
    ]


def test_a_server_tells_the_packs_of_its_classes() -> None:
    assert packs_of(THERE) == {"SharpenPlus": "ComfyUI-Sharp"}


# -- models under other paths -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("base.safetensors", "sdxl/base.safetensors"),
        ("sdxl\\base.safetensors", "sdxl/base.safetensors"),
        ("XL/Base.SafeTensors", "sdxl/base.safetensors"),
        ("A\\twin.ckpt", "a/twin.ckpt"),
    ],
)
def test_a_model_that_is_there_once_under_another_path_is_taken(here: str, there: str) -> None:
    workflow = one("NewLoad", name=here)
    before = copy.deepcopy(workflow)
    mapped, changes = map_models(workflow, THERE)
    assert mapped == one("NewLoad", name=there)
    assert workflow == before
    assert changes == [("7.name", here, there)]
    assert here in mapping_warnings(changes, "PC")[0]
    assert check(mapped, THERE).problems == ()


@pytest.mark.parametrize(
    "workflow",
    [
        one("Load", ckpt_name="sdxl/base.safetensors"),
        one("Load", ckpt_name="twin.ckpt"),  # there twice: which one cannot be told
        one("Load", ckpt_name="c/twin.ckpt"),
        one("Load", ckpt_name="gone.ckpt"),
        one("Load", ckpt_name=["1", 0]),
        one("KSampler", sampler_name="EULER"),  # no file
        one("LoadImage", image="sub/A.PNG"),
        one("Nobodys", ckpt_name="base.safetensors"),
    ],
)
def test_nothing_else_is_changed(workflow: dict[str, Any]) -> None:
    mapped, changes = map_models(workflow, THERE)
    assert mapped is workflow
    assert changes == []


# -- anything at all ----------------------------------------------------------------------------

json_ = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text("ab./", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["required", "optional", "hidden", "options", "key", "inputs", "template", "min"]
            ),
            inner,
        )
    ),
    max_leaves=12,
)
kinds = st.sampled_from(["COMBO", "COMFY_DYNAMICCOMBO_V3", "COMFY_AUTOGROW_V3", "INT"]) | json_
declared = st.dictionaries(st.sampled_from("xyz"), st.tuples(kinds, json_).map(list) | json_)
servers = st.dictionaries(
    st.sampled_from("AB"),
    st.fixed_dictionaries({"input": st.fixed_dictionaries({"required": declared})}) | json_,
)
workflows = st.dictionaries(
    st.sampled_from("123"),
    st.fixed_dictionaries(
        {
            "class_type": st.sampled_from("ABC"),
            "inputs": st.dictionaries(st.sampled_from("xyz"), json_),
        }
    )
    | json_,
)


@given(workflows, servers)
def test_no_workflow_and_no_server_makes_it_raise(workflow: Any, server: Any) -> None:
    mapped, _ = map_models(workflow, server)
    result = check(mapped, server)
    assert bool(result.message("PC")) == bool(result.problems)


@given(st.lists(st.sampled_from(MODELS), min_size=1, unique=True), st.sampled_from(MODELS))
def test_what_is_there_is_never_mapped_and_never_missing(models: list[str], name: str) -> None:
    server = {"Load": {"input": {"required": {"n": ["COMBO", {"options": [*models, name]}]}}}}
    assert map_models(one("Load", n=name), server)[1] == []
    assert check(one("Load", n=name), server).problems == ()
