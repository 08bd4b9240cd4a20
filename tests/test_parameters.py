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
from skyport.engine.platforms.counts import check_free
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


@pytest.mark.parametrize(
    ("text", "on_the_wire"),
    [
        ('{"x": [1, 0.5]}', {"x": [1, 0.5]}),
        ("[1, 2]", [1, 2]),
        ("5", 5),
        ("true", True),
        ('"5"', "5"),
        ("#ff0000", "#ff0000"),
        ("NaN", "NaN"),
        ("1e999", "1e999"),
        ("{", "{"),
        ("[" * 5000, "[" * 5000),
    ],
)
def test_text_of_a_type_no_document_names_is_sent_as_the_json_it_holds(
    text: str, on_the_wire: Any
) -> None:
    found = sent(of("color"), text)
    assert found == on_the_wire
    assert type(found) is type(on_the_wire)


def test_the_default_of_a_type_no_document_names_is_never_reread() -> None:
    assert fill(model(of("color", required=True, default="5")), {}) == {"p": "5"}


@pytest.mark.parametrize(
    ("kind", "text", "on_the_wire"),
    [
        ("array[string]", '["a", "two words"]', ["a", "two words"]),
        ("array[string]", "[verse]", ["[verse]"]),
        ("array[string]", "[1]", ["[1]"]),
        ("array[number]", "[1, 2.5]", [1, 2.5]),
        ("array[object]", '[{"a": 1}]', [{"a": 1}]),
        ("array[image]", f'["{URL}"]', [URL]),
        ("dict[image]", f'{{"start": "{URL}"}}', {"start": URL}),
        ("dict[number]", '{"a": 1}', {"a": 1}),
    ],
)
def test_json_text_is_taken_for_lists_and_objects(kind: str, text: str, on_the_wire: Any) -> None:
    assert sent(of(kind), text) == on_the_wire


def test_a_number_may_be_written_with_an_exponent() -> None:
    assert sent(of("float"), "1e-7") == 1e-7
    assert sent(of("array[number]"), ["1e3"]) == [1000]


@pytest.mark.parametrize(
    "text",
    [
        "http://",
        "https:///a.png",
        "https://.",
        "https://a b/c.png",
        "https://host.example/a.png\nhttps://host.example/b.png",
        "https://host.example/\ud83d",
        "https://host.example:99999/a.png",
        "https://[::1/a.png",
        "data:image/png;base64," + "A" * 10_000,
        "/home/me/a.png",
        "C:\\a.png",
        "file:///a.png",
        "//host.example/a.png",
    ],
)
def test_a_text_that_is_no_address_is_refused_before_it_is_paid_for(text: str) -> None:
    for param, value in ((of("image"), text), (of("array[image]"), [URL, text])):
        assert len(refusal(param, value)) < 400


@pytest.mark.parametrize(
    ("text", "on_the_wire"),
    [
        (URL, URL),
        ("HTTPS://Host.example/A.png", "https://Host.example/A.png"),
        ("http://127.0.0.1:8188/view?filename=a b.png", None),
        ("https://\u4f8b\u5b50.example/\u56fe \u7247.png", None),
        ("https://user:word@host.example/", None),
        ("http://[::1]/a.png", None),
    ],
)
def test_an_address_is_sent_as_it_is_but_for_the_case_of_its_scheme(
    text: str, on_the_wire: str | None
) -> None:
    assert sent(of("image"), text) == (on_the_wire or text)


def test_what_is_refused_in_place_of_an_address_is_told_without_a_signature() -> None:
    assert "secret" not in refusal(of("image"), "https://a b/c.png?sig=secret")


# -- defaults that break their own rules ----------------------------------------------------


ODD = [
    of("string", default="ultra", choices=(Choice("std"), Choice("pro"))),
    of("int", default=20, min=3, max=15),
    of("int", default="auto"),
    of("boolean", default="auto"),
    of("string", default=5),
    of("array[string]", default=["x"], choices=(Choice("a"),)),
]


@pytest.mark.parametrize("param", ODD, ids=lambda param: f"{param.type} {param.default}")
def test_a_default_outside_its_own_rules_is_sent_as_it_is(param: Param) -> None:
    assert sent(param, param.default) == param.default
    assert fill(model(replace(param, required=True)), {}) == {"p": param.default}


def test_beside_such_a_default_the_rules_hold() -> None:
    assert "outside 3 - 15" in refusal(of("int", default=20, min=3, max=15), 19)
    assert "one of std, pro" in refusal(ODD[0], "fast")


# -- more results than anyone meant ---------------------------------------------------------

COUNTS = ["n", "num_images", "numImages", "batch_size", "count", "number_of_images", "image_count"]
COUNTS += ["num_images_per_prompt", "max_images", "generate_num", "N", "samples", "num_outputs"]
NO_COUNTS = ["duration", "num_frames", "num_inference_steps", "seed", "nsfw", "width", "fps"]


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [11, "11", 2147483647])
def test_more_than_ten_results_of_a_task_are_refused_by_the_settings_name(
    name: str, value: Any
) -> None:
    count = Param(name, "int", default=1, min=1)
    with pytest.raises(InvalidInput, match=f"{name} asks for {value} results.*most_per_task"):
        fill(model(count), {name: value})
    assert fill(model(count), {name: 10}) == {name: 10}


def test_the_platforms_own_word_for_an_amount_counts_too() -> None:
    with pytest.raises(InvalidInput, match="most_per_task"):
        fill(model(Param("shu", "int", label="\u751f\u6210\u6570\u91cf")), {"shu": 50})
    frames = Param("zhen", "int", label="\u5e27\u6570\u91cf")
    assert fill(model(frames), {"zhen": 50}) == {"zhen": 50}


@pytest.mark.parametrize("name", NO_COUNTS)
def test_other_numbers_are_not_counted(name: str) -> None:
    assert fill(model(Param(name, "int")), {name: 81}) == {name: 81}


def test_a_maximum_that_the_platform_states_is_believed() -> None:
    assert fill(model(Param("n", "int", max=50)), {"n": 50}) == {"n": 50}
    assert fill(model(Param("n", "int", choices=(Choice(20),))), {"n": 20}) == {"n": 20}


def test_who_means_more_says_so_in_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYPORT_MOST_PER_TASK", "60")
    assert fill(model(Param("n", "int")), {"n": 60}) == {"n": 60}
    with pytest.raises(InvalidInput, match="allows 60"):
        fill(model(Param("n", "int")), {"n": 61})


@pytest.mark.parametrize(
    "fields",
    [{"n": 11}, {"input": {"batch_size": "64"}}, {"jobs": [{"num_images": 100.0}]}],
)
def test_fields_that_no_table_describes_are_counted_too(fields: Any) -> None:
    with pytest.raises(InvalidInput, match="most_per_task"):
        check_free(fields, "HaiYi")
    with pytest.raises(InvalidInput, match="most_per_task"):
        fill(model(of("object")), {"p": fields})
    check_free({"n": 10, "duration": 15, "count": None, "samples": "many"}, "HaiYi")


# -- a model that nobody could read ---------------------------------------------------------


def test_a_model_whose_parameters_are_not_known_is_refused() -> None:
    unread = Model("haiyi", "kwai/kling-v3", "image2video", unread=True)
    with pytest.raises(InvalidInput, match=r"could not be read.*Refresh the models\. Nothing was"):
        fill(unread, {})


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
