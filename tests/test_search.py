"""Pins that nodes are found by the words that people type, under names that no other node has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from host import KINDS, open_host

ROOT = Path(__file__).parent.parent
ENGLISH = (
    "kling, wan, seedance, veo, sora, gemini, nano banana, flux, tts, lip sync, llm, chat, offload,"
    " remote, cloud, video, image, music, upload, haiyi, happyhorse, gpugeek, opencomputing, batch,"
    " text to image, text to video, image to video, inpaint, speech, history, gpt,"
    " grok, vidu, skyport"
)
# In Chinese: HaiYi, Kling, OpenComputing, video, image, music, speech, upload, cloud, lip sync,
# text to image, image to video, digital human, large model, Doubao, Tongyi Wanxiang, batch.
CHINESE = (
    "\u6d77\u827a, \u53ef\u7075, \u5143\u5883, \u89c6\u9891, \u56fe\u7247, \u97f3\u4e50,"
    " \u8bed\u97f3, \u4e0a\u4f20, \u4e91\u7aef, \u5bf9\u53e3\u578b, \u6587\u751f\u56fe,"
    " \u56fe\u751f\u89c6\u9891, \u6570\u5b57\u4eba, \u5927\u6a21\u578b, \u8c46\u5305,"
    " \u901a\u4e49\u4e07\u76f8, \u6279\u91cf"
)
WORDS = [word.strip() for word in f"{ENGLISH}, {CHINESE}".split(",")]
# Names that nodes of ComfyUI 0.33 have, and that ours could be given.
TAKEN = {
    "HappyHorse Text to Video",
    "HappyHorse Image to Video",
    "HappyHorse Reference to Video",
    "HappyHorse Video Edit",
    "Load Image",
    "Save Video",
    "OpenAI ChatGPT",
}


@pytest.fixture(scope="module", params=KINDS)
def nodes(request: Any, tmp_path_factory: Any) -> dict[str, Any]:
    """All nodes of the host as it describes them to the editor."""
    with open_host(request.param, tmp_path_factory.mktemp("host"), packs=[ROOT]) as host:
        found: dict[str, Any] = host.client.get("/object_info").json()
    return found


@pytest.fixture(scope="module")
def ours(nodes) -> dict[str, Any]:
    return {name: node for name, node in nodes.items() if name.startswith("Skyport")}


def test_every_node_tells_what_it_does_and_by_which_words_it_is_found(ours):
    assert [name for name, node in ours.items() if not node["description"]] == []
    assert [name for name, node in ours.items() if len(node["search_aliases"] or []) < 5] == []


def test_every_word_that_people_type_finds_a_node_of_ours(ours):
    listed = {word for node in ours.values() for word in node["search_aliases"]}
    assert [word for word in WORDS if word not in listed] == []


@pytest.mark.parametrize(
    ("node", "brand"),
    [
        ("SkyportHaiyiImageToVideo", "kling"),
        ("SkyportHappyHorseTextToVideo", "wan"),
        ("SkyportHappyHorseTextToVideo", "veo"),
        ("SkyportHappyHorseTextToImage", "nano banana"),
        ("SkyportOpenComputingTextToVideo", "seedance"),
        ("SkyportAnyTextToVideo", "sora"),
    ],
)
def test_a_node_is_found_by_the_brands_of_its_models(ours, node, brand):
    assert brand in ours[node]["search_aliases"]


def test_a_node_is_not_found_by_a_brand_that_it_does_not_offer(ours):
    assert "seedance" not in ours["SkyportHappyHorseTextToImage"]["search_aliases"]
    assert "kling" not in ours["SkyportOpenComputingChat"]["search_aliases"]


def test_a_word_is_listed_once(ours):
    for node in ours.values():
        assert len(set(node["search_aliases"])) == len(node["search_aliases"])


def test_no_node_has_the_name_of_another(nodes, ours):
    theirs = {
        (node["display_name"] or name).lower() for name, node in nodes.items() if name not in ours
    }
    theirs |= {name.lower() for name in TAKEN}
    own = [node["display_name"].lower() for node in ours.values()]
    assert [name for name in own if name in theirs] == []
    assert len(set(own)) == len(own)


# The search box shows 64 nodes, those first whose names begin with what was typed.
@pytest.mark.parametrize(
    ("language", "image", "video"),
    [("en", "Image", "Video"), ("zh", "\u56fe\u7247", "\u89c6\u9891")],
)
def test_the_nodes_over_several_platforms_begin_with_what_they_make(language, image, video):
    texts = json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text("utf-8"))
    names = {node: text["display_name"] for node, text in texts.items() if "Any" in node}
    assert names
    for node, name in names.items():
        assert name.startswith(image if node.endswith("ToImage") else video)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_description_is_in_the_language_of_the_host(language, tmp_path):
    env = {"SKYPORT_LANG": language}
    with open_host("standin", tmp_path, packs=[ROOT], env=env) as host:
        node = host.object_info("SkyportLoadResult")
    assert node["description"].isascii() is (language == "en")
