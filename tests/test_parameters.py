"""Pins that every value is checked against the model before anything is paid for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyport.engine.base.errors import InvalidInput
from skyport.engine.base.types import Choice, MediaFile, MediaRule, Model, Param
from skyport.engine.platforms.parameters import fill, prompt_param, seed_for, seed_param

URL = "https://host.example/a.png?sig=%2Fx"
PICTURE = MediaFile(Path("a.png"), "a.png", "image/png", "0" * 64, 2_000_000, 640, 480)
CLIP = MediaFile(Path("a.mp4"), "a.mp4", "video/mp4", "1" * 64, 2_000_000)


def model(*params: Param) -> Model:
    return Model("haiyi", "kwai/kling-v3", "image2video", params=params)


def sent(param: Param, value: Any) -> Any:
    """What is sent for `value`."""
    return fill(model(param), {param.name: value}).get(param.name)


def refusal(param: Param, value: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        fill(model(param), {param.name: value})
    message = str(caught.value)
    assert message.startswith(f"kwai/kling-v3, parameter {param.name}: ")
    assert message.endswith("Nothing was sent.")
    return message


def of(kind: str, **rules: Any) -> Param:
    return Param("p", kind, **rules)


# -- every type of the document's table -----------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "on_the_wire"),
    [
        ("string", "std", "std"),
        ("int", 8, 8),
        ("int", "8", 8),
        ("int", 8.0, 8),
        ("int", "8.0", 8),
        ("float", 0.5, 0.5),
        ("float", "0.5", 0.5),
        ("float", 1, 1.0),
        ("boolean", True, True),
        ("boolean", "false", False),
        ("boolean", "True", True),
        ("text", "two\nlines", "two\nlines"),
        ("image", URL, URL),
        ("video", URL, URL),
        ("audio", URL, URL),
        ("image", PICTURE, PICTURE),
        ("array[string]", ["a", "b"], ["a", "b"]),
        ("array[string]", "a", ["a"]),
        ("array[number]", [1, "2", 2.5], [1, 2, 2.5]),
        ("array[image]", [URL, PICTURE], [URL, PICTURE]),
        ("array[image]", PICTURE, [PICTURE]),
        ("array[video]", [URL], [URL]),
        ("array[audio]", [URL], [URL]),
        ("dict[image]", {"start": URL, "end": PICTURE}, {"start": URL, "end": PICTURE}),
    ],
)
def test_a_value_is_sent_in_the_documented_type(kind: str, value: Any, on_the_wire: Any) -> None:
    found = sent(of(kind), value)
    assert found == on_the_wire
    assert type(found) is type(on_the_wire)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", 5),
        ("string", True),
        ("text", ["a"]),
        ("int", "eight"),
        ("int", 8.5),
        ("int", True),
        ("int", "9" * 400),
        ("float", "nan"),
        ("float", "inf"),
        ("float", float("inf")),
        ("float", "1e999"),
        ("float", {"a": 1}),
        ("boolean", "yes"),
        ("boolean", 1),
        ("image", "photo.png"),
        ("image", "file:///etc/passwd"),
        ("image", 5),
        ("image", CLIP),
        ("video", PICTURE),
        ("array[image]", [URL, "photo.png"]),
        ("array[number]", [1, "two"]),
        ("dict[image]", URL),
        ("dict[image]", {"start": CLIP}),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(kind: str, value: Any) -> None:
    assert "it takes" in refusal(of(kind), value)


def test_a_type_no_document_names_is_sent_as_it_is() -> None:
    assert sent(of("object"), {"a": [1]}) == {"a": [1]}


# -- ranges and lists -----------------------------------------------------------------------


@pytest.mark.parametrize("value", [2, 16, "16", -3])
def test_a_number_out_of_range_is_refused_with_the_range(value: Any) -> None:
    assert f"{value} is outside 3 - 15" in refusal(of("int", min=3, max=15), value)


def test_a_range_may_be_open() -> None:
    assert "outside ... - 15" in refusal(of("int", max=15), 16)
    assert sent(of("int", min=3), 10**6) == 10**6


LIMITS = st.none() | st.floats(-1e6, 1e6)
NUMBERS = (
    st.integers(-(10**7), 10**7)
    | st.floats()
    | st.text("0123456789.-e ", max_size=6)
    | st.booleans()
)


@given(st.sampled_from(["int", "float", "number", "array[number]"]), LIMITS, LIMITS, NUMBERS)
def test_nothing_out_of_range_ever_passes(
    kind: str, low: float | None, high: float | None, value: Any
) -> None:
    param = of(kind, min=low, max=high)
    try:
        found = sent(param, value)
    except InvalidInput:
        return
    for number in found if isinstance(found, list) else [found]:
        assert number is None or (
            (low is None or number >= low) and (high is None or number <= high)
        )


LISTED = of("string", choices=(Choice("std", "standard"), Choice("pro", "expert")))


def test_a_value_that_is_not_listed_is_refused_with_the_list() -> None:
    assert 'it takes one of std, pro, not "ultra"' in refusal(LISTED, "ultra")
    assert sent(LISTED, "pro") == "pro"


@pytest.mark.parametrize(
    ("kind", "listed", "value", "on_the_wire"),
    [
        ("string", 5, "5", 5),
        ("string", 5, 5, 5),
        ("int", "5", 5, "5"),
        ("int", "5", "5", "5"),
        ("float", 5, 5.0, 5),
        ("float", "0.5", 0.5, "0.5"),
        ("int", "auto", "auto", "auto"),
        ("boolean", True, "true", True),
    ],
)
def test_a_listed_value_is_sent_as_the_platform_lists_it(
    kind: str, listed: Any, value: Any, on_the_wire: Any
) -> None:
    found = sent(of(kind, choices=(Choice("other"), Choice(listed))), value)
    assert found == on_the_wire
    assert type(found) is type(on_the_wire)


def test_more_entries_than_the_platform_takes_are_refused() -> None:
    images = of("array[image]", max_items=2)
    assert sent(images, [URL] * 2) == [URL] * 2
    assert "it has 3 entries; it takes 2 at most" in refusal(images, [URL] * 3)


# -- what is left out -----------------------------------------------------------------------

LEFT_OUT: list[Any] = [None, "", [], {}, [None], ["", None], {"start": None}, {"start": ""}]


@pytest.mark.parametrize("value", LEFT_OUT, ids=repr)
def test_what_is_left_out_is_not_sent(value: Any) -> None:
    for kind in ("string", "array[image]", "dict[image]"):
        param = replace(of(kind), keys=(("start", True, ""),) if "dict" in kind else ())
        assert fill(model(param), {"p": value}) == {}


@pytest.mark.parametrize("value", LEFT_OUT, ids=repr)
def test_what_is_required_and_left_out_is_sent_with_its_default(value: Any) -> None:
    param = of("string", required=True, default="std")
    assert fill(model(param), {"p": value}) == {"p": "std"}
    assert fill(model(param), {}) == {"p": "std"}


def test_false_and_zero_are_not_left_out() -> None:
    assert sent(of("boolean", required=True, default=True), False) is False
    assert sent(of("int", required=True, default=8), 0) == 0


def test_a_default_is_sent_only_where_the_parameter_is_required() -> None:
    assert fill(model(of("string", default="std")), {}) == {}


def test_what_is_required_and_missing_is_refused() -> None:
    assert "it is required" in refusal(of("image", required=True), None)


def test_entries_of_an_image_table_are_checked() -> None:
    frames = of("dict[image]", keys=(("start", True, "first"), ("end", False, "last")))
    assert sent(frames, {"start": URL, "end": None}) == {"start": URL}
    assert 'its entry "start" (first) is required' in refusal(frames, {"end": URL})
    assert 'it has no entry "middle"; it has: end, start' in refusal(frames, {"middle": URL})


def test_a_parameter_the_model_does_not_have_is_refused_with_those_it_has() -> None:
    with pytest.raises(InvalidInput, match="no such parameter; it has: prompt, mode"):
        fill(model(Param("prompt", "text"), Param("mode", "string")), {"Duration": 3})


def test_parameters_are_sent_in_the_models_order() -> None:
    row = model(Param("b", "text"), Param("a", "text"), Param("c", "text"))
    assert list(fill(row, {"a": "1", "c": "2", "b": "3"})) == ["b", "a", "c"]


# -- files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (MediaRule(max_bytes=1024 * 1024), "takes at most 1 MB"),
        (MediaRule(min_width=1000), "640 pixels wide"),
        (MediaRule(max_height=100), "480 pixels high"),
        (MediaRule(formats=("jpg",)), "takes jpg"),
    ],
)
def test_a_file_over_a_limit_is_refused_wherever_it_stands(rule: MediaRule, words: str) -> None:
    for kind, value in (
        ("image", PICTURE),
        ("array[image]", [URL, PICTURE]),
        ("dict[image]", {"start": PICTURE}),
    ):
        with pytest.raises(InvalidInput, match=words):
            fill(model(of(kind, media=rule)), {"p": value})


# -- the node's prompt and seed -------------------------------------------------------------


def test_the_prompt_goes_to_prompt_or_else_the_first_required_text() -> None:
    lyrics, style = Param("lyrics", "text", required=True), Param("style", "text")
    named = prompt_param(model(lyrics, Param("prompt", "text")))
    assert named is not None
    assert named.name == "prompt"
    assert prompt_param(model(style, lyrics)) == lyrics
    assert prompt_param(model(style, Param("image", "image", required=True))) is None


def test_a_seed_is_a_number_by_that_name() -> None:
    assert seed_param(model(Param("seed", "int"))) == Param("seed", "int")
    assert seed_param(model(Param("seed", "string"))) is None
    assert seed_param(model(Param("Seed", "int"))) is None


@given(
    st.integers(0, 2**64 - 1),
    st.none() | st.integers(-5, 5),
    st.none() | st.integers(6, 2**32),
)
def test_any_seed_fits_the_models_range(seed: int, low: int | None, high: int | None) -> None:
    param = Param("seed", "int", min=low, max=high)
    assert fill(model(param), {"seed": seed_for(param, seed)})["seed"] == seed_for(param, seed)
