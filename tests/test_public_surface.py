"""Pins what others hold on to, as it was before the code was given rooms: node ids, inputs and
outputs, settings and their environment variables, commands, HTTP routes, ids in the editor.

Texts are no part of it. What is new may be added; what is pinned stays as it is.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from host import KINDS, PACK, Host, open_host
from skyport import cli

PINNED = Path(__file__).parent / "fixtures" / "before_the_rooms" / "surface.json"
CHOICE, ROW = "COMFY_DYNAMICCOMBO_V3", "COMFY_AUTOGROW_V3"
MARKS = {"required": "", "optional": "?", "hidden": "!"}  # behind an input's name


def surface(host: Host) -> dict[str, Any]:
    """All of it, in JSON; made with the code of then it is what is pinned."""
    setup = host.route("GET", "/skyport/setup").json()
    return {
        "nodes": nodes(host),
        "settings": {
            name: [one["variable"], one["default"]] for name, one in setup["settings"].items()
        },
        "platforms": {
            one["name"]: [one["key"]["variable"], one["url"]["variable"], one["url"]["default"]]
            for one in setup["platforms"]
        },
        "bucket": setup["s3"]["variable"],
        "commands": dict(commands(cli._parser(), "skyport")),
        "routes": routes(host),
        "editor": editor(),
    }


# -- nodes --------------------------------------------------------------------------------------


def nodes(host: Host) -> dict[str, Any]:
    info = host.client.call("GET", "/api/object_info").json()
    return {name: shape(one) for name, one in info.items() if name.startswith("Skyport")}


def shape(body: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs and outputs in their order, "*" for lists; and the inputs below each choice."""
    outputs = zip(body["output_name"], body["output"], body["output_is_list"], strict=True)
    return {
        "inputs": inputs(body["input"]),
        "outputs": "; ".join(f"{name}{'*' * many} {kind}" for name, kind, many in outputs),
        "output_node": body["output_node"],
        "takes_lists": body["is_input_list"],
        "choices": dict(choices(body["input"])),
    }


def inputs(body: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{name}{MARKS[section]} {kind(about)}"
        for section in body
        for name, about in body[section].items()
    )


def kind(about: Any) -> str:
    """Its type; of a growing row also the names of its slots and what they take."""
    if about[0] != ROW:
        return about[0] if isinstance(about[0], str) else "COMBO"
    template = about[1]["template"]
    takes = {slot[0] for part in template["input"].values() for slot in part.values()}
    return f"{template['prefix']}0.. {' '.join(takes)}"


def choices(body: Mapping[str, Any], below: str = "") -> Iterator[tuple[str, dict[str, str]]]:
    for section in body.values():
        for name, about in section.items():
            if about[0] == CHOICE:
                options = about[1]["options"]
                yield below + name, {one["key"]: inputs(one["inputs"]) for one in options}
                for one in options:
                    yield from choices(one["inputs"], f"{below}{name}.{one['key']}.")


# -- commands, routes, the editor ---------------------------------------------------------------


def commands(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, list[str]]]:
    """Each command and what it takes, a line for each word that it chooses from."""
    nested = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    actions = [one for one in parser._actions if one not in nested and one.dest != "help"]
    yield name, [line for place, one in enumerate(actions, 1) for line in argument(place, one)]
    for action in nested:
        for word, own in action.choices.items():
            yield from commands(own, f"{name} {word}")


def argument(place: int, action: argparse.Action) -> list[str]:
    """Such as `--limit VALUE`; what has no name has its place, and `?` and `*` as argparse does."""
    name = "/".join(action.option_strings) or f"{place}{action.nargs or ''}"
    listed = action.metavar.split("|") if "|" in str(action.metavar) else ["VALUE"]
    words = [""] if action.nargs == 0 else [f" {word}" for word in action.choices or listed]
    default_value = action.default
    default = (
        f" = {Path(default_value).as_posix() if isinstance(default_value, Path) else default_value}"
    )
    needed = " required" if action.required and action.option_strings else ""
    plain = isinstance(default_value, (str, int, float, Path)) and default_value not in (
        False,
        argparse.SUPPRESS,
    )
    return [f"{name}{word}{needed}{default if plain else ''}" for word in words]


def routes(host: Host) -> list[str]:
    """Below /api they are served too. A real ComfyUI is another process and does not list them."""
    if host.kind != "standin":
        return []
    known = [(one.method, one.path) for one in host.process.server.routes if hasattr(one, "path")]
    return sorted(f"{method} {path}" for method, path in known if path.startswith("/skyport/"))


def editor() -> list[str]:
    """Ids of commands, extensions and the sidebar's tab: people bind keys to them, or turn them
    off by them."""
    texts = (path.read_text(encoding="utf-8") for path in (PACK / "web").rglob("*.js"))
    return sorted({name for text in texts for name in re.findall(r'"(skyport\.\w+)"', text, re.I)})


# -- what stays ---------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=KINDS)
def found(request: Any, tmp_path_factory: Any) -> Iterator[dict[str, Any]]:
    """What is there now, in a host that has asked no platform for its models."""
    with open_host(request.param, tmp_path_factory.mktemp(request.param), packs=[PACK]) as host:
        yield {**surface(host), "kind": host.kind}


@pytest.fixture(scope="module")
def pinned() -> dict[str, Any]:
    return json.loads(PINNED.read_text(encoding="utf-8"))


def missing(pinned: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """What is not as it was, as it was."""
    return {name: value for name, value in pinned.items() if found.get(name) != value}


def test_every_node_has_the_inputs_and_outputs_it_had_in_their_order(found, pinned):
    def plain(nodes: Mapping[str, Any]) -> dict[str, Any]:
        return {name: {**one, "choices": sorted(one["choices"])} for name, one in nodes.items()}

    now = plain(found["nodes"])
    for name, one in plain(pinned["nodes"]).items():  # outputs may be appended
        if now[name]["outputs"].startswith(f"{one['outputs']}; "):
            now[name]["outputs"] = one["outputs"]
    assert missing(plain(pinned["nodes"]), now) == {}


def test_every_model_and_place_to_choose_has_the_inputs_it_had_in_their_order(found, pinned):
    for name, node in pinned["nodes"].items():
        for choice, options in node["choices"].items():
            assert missing(options, found["nodes"][name]["choices"][choice]) == {}, (name, choice)


# Defaults that were changed on purpose since: what a person has set holds as before.
CHANGED = {"max_parallel": ["SKYPORT_MAX_PARALLEL", "auto"]}


@pytest.mark.parametrize("part", ["settings", "platforms"])
def test_settings_and_platforms_keep_their_names_variables_and_defaults(found, pinned, part):
    then = pinned[part] if part == "platforms" else {**pinned[part], **CHANGED}
    assert missing(then, found[part]) == {}
    assert found["bucket"] == pinned["bucket"]


def test_commands_take_what_they_took_and_need_nothing_more(found, pinned):
    for name, taken in pinned["commands"].items():
        now = found["commands"][name]
        assert [one for one in taken if one not in now] == [], name
        known = {one.split()[0] for one in taken}  # what is chosen from may grow
        new = [one for one in now if one not in taken and one.split()[0] not in known]
        assert [one for one in new if "required" in one or not one.startswith("--")] == [], name


@pytest.mark.parametrize("part", ["routes", "editor"])
def test_routes_and_the_editors_ids_are_what_they_were(found, pinned, part):
    if part == "routes" and found["kind"] != "standin":
        pytest.skip("a real ComfyUI is another process, which does not list its routes")
    assert [one for one in pinned[part] if one not in found[part]] == []
