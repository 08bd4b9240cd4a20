"""Pins what the editor needs of a form: without it a node cannot be made, or is paid for twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import standin  # noqa: F401  makes ComfyUI's modules importable
from skyport.engine.base.types import Choice, Model, Param
from skyport.engine.base.words import use_language
from skyport.engine.platforms.catalogue import Catalogue
from skyport.engine.platforms.registry import provider_class
from skyport.nodes._kinds import form_values, schema

PICTURES = Param("images", "array[image]", required=True)
FRAME = Param("image", "image", required=True)
LONG = Param("duration", "int", required=True, default=5)
TEXT = Param("prompt", "text", required=True)


def model(name: str, *params: Param, retired: bool = False) -> Model:
    return Model("haiyi", name, "image2image", params=(TEXT, *params), retired=retired)


def field(param: Param) -> dict[str, Any]:
    """The widget of a parameter, as the editor is told of it."""
    return schema.nested_inputs(model("a", param))[0].as_dict()


def round_trip(param: Param) -> Any:
    """What is sent for the widget that nobody touched."""
    text = schema.nested_inputs(model("a", param))[0].as_dict()["default"]
    row = Model("haiyi", "a", "image2image", params=(param,))
    return form_values.parameters(row, "", 0, {param.name: text})[0].get(param.name)


def offered(*models: Model) -> list[str]:
    some_widget = [schema.prompt_input()]
    return [option.key for option in schema.model_input(models, some_widget).options]


def test_a_model_with_sockets_and_no_widget_is_not_the_first():
    """The editor fails with "Failed to find input socket for model" and makes no node at all."""
    assert offered(model("a", PICTURES), model("b", FRAME, LONG)) == ["b", "a", "custom"]


def test_custom_is_first_where_every_model_has_sockets_only():
    assert offered(model("a", PICTURES), model("b", FRAME)) == ["custom", "a", "b"]


def test_a_model_without_any_parameter_may_be_first():
    assert offered(model("a"), model("b", FRAME)) == ["a", "b", "custom"]


def test_a_retired_model_is_not_the_first():
    assert offered(model("a", LONG, retired=True), model("b", LONG)) == ["b", "a", "custom"]


def test_a_model_whose_parameters_are_not_known_is_not_the_first():
    unread = Model("haiyi", "a", "image2image", unread=True)
    assert offered(unread, model("b", LONG)) == ["b", "a", "custom"]


def test_a_node_with_no_models_offers_custom():
    assert offered() == ["custom"]


def test_a_seed_stays_as_it_is_unless_the_user_chooses_otherwise():
    """A seed that changes at each queue makes each a new order; the one left running is lost."""
    assert schema.seed_input().as_dict()["control_after_generate"] == "fixed"


def test_a_text_field_shows_the_name_of_its_parameter():
    lyrics = model("a", Param("lyrics", "text"))
    field = next(one for one in schema.nested_inputs(lyrics) if one.id == "lyrics")
    assert field.as_dict()["placeholder"] == "lyrics"


def test_a_tooltip_does_not_repeat_a_value_as_its_own_label():
    choices = (Choice("1:1", "1:1"), Choice("16:9", "wide"))
    ratio = Param("ratio", "string", default="1:1", choices=choices)
    assert schema.nested_inputs(model("a", ratio))[0].tooltip == "16:9: wide"


# -- what stands in a field ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        ("array[string]", ["a", "b"]),
        ("array[string]", ["two\nlines", " padded ", "", "[1]"]),
        ("array[string]", ['["a"]']),
        ("array[number]", [1, 0.5, 1e-7]),
        ("string", "std"),
        ("int", 8),
        ("float", 0.001),
        ("boolean", True),
        ("int", "auto"),
        ("int", 8.5),
    ],
)
def test_a_default_that_nobody_touched_is_sent_as_it_was(kind, default):
    given = [item for item in default if item] if isinstance(default, list) else default
    assert round_trip(Param("p", kind, default=default)) == given


def test_a_list_with_a_closed_choice_keeps_a_default_of_several():
    tags = Param("p", "array[string]", default=["a", "b"], choices=tuple(map(Choice, "abc")))
    assert round_trip(tags) == ["a", "b"]
    assert "a; b; c" in field(tags)["tooltip"]


@pytest.mark.parametrize("kind", ["color", "object", "array[object]", "dict[string]"])
def test_a_type_of_no_table_is_left_out_until_it_is_set(kind):
    param = Param("p", kind, default={"x": 1})
    assert round_trip(param) is None
    assert '{"x": 1}' in field(param)["tooltip"]


def test_a_default_outside_its_options_is_offered_and_told():
    mode = Param("mode", "string", default="ultra", choices=(Choice("std"), Choice("pro")))
    shown = field(mode)
    assert (shown["default"], set(shown["options"])) == ("ultra", {"ultra", "std", "pro"})
    assert "ultra, is outside" in shown["tooltip"]
    assert round_trip(mode) == "ultra"


def test_a_default_that_an_option_equals_is_that_option():
    assert field(Param("p", "int", default=2.0, choices=(Choice(2), Choice(4))))["options"] == [
        "2",
        "4",
    ]


def test_a_default_outside_its_range_is_kept_and_told():
    long = Param("duration", "int", required=True, default=20, min=3, max=15)
    shown = field(long)
    assert (shown["default"], shown["min"], shown["max"]) == (20, 3, 20)
    assert "20, is outside" in shown["tooltip"]
    assert round_trip(long) == 20


def test_a_flag_with_a_third_default_is_a_choice():
    assert field(Param("p", "boolean", default="auto"))["options"] == ["auto", "true", "false"]


@pytest.mark.parametrize(
    ("low", "high", "default", "step"),
    [
        (0, 1, 0.5, 0.01),
        (0.001, 0.999, 0.5, 0.001),
        (0, 1, 0.125, 0.001),
        (0, 0.01, None, 0.001),
        (1e-6, 1, 1e-6, 1e-6),
        (None, None, 1, 0.01),
        (0, 1000, 7.5, 0.01),
    ],
)
def test_the_step_of_a_float_reaches_its_limits_and_its_default(low, high, default, step):
    weight = Param("p", "float", required=True, default=default, min=low, max=high)
    assert field(weight)["step"] == step


def test_a_count_without_a_maximum_has_a_box_that_ends():
    assert field(Param("n", "int", default=1, min=1))["max"] == 1000
    assert field(Param("n", "int", default=5000, min=1))["max"] == 5000
    assert field(Param("n", "int", default=1, max=4))["max"] == 4
    assert field(Param("steps", "int", default=1))["max"] == 2**31 - 1


def test_an_object_without_named_keys_is_typed_as_json():
    frames = Param("frames", "dict[image]", required=True)
    assert '{"start": "https://..."}' in field(frames)["tooltip"]
    text = '{"mid": "https://host.example/a.png"}'
    row = Model("haiyi", "a", "image2image", params=(frames,))
    (sent,) = form_values.parameters(row, "", 0, {"frames": text})
    assert sent == {"frames": {"mid": "https://host.example/a.png"}}


def test_suggested_values_are_offered_and_limit_nothing():
    size = Param("size", "string", default="1K", suggested=("1K", "2K"))
    widget = schema.nested_inputs(model("a", size))[0]
    assert widget.get_io_type() == "STRING"
    shown = widget.as_dict()
    assert (shown["widgetType"], shown["suggested"]) == ("SKYPORT_SUGGESTED", ["1K", "2K"])
    row = Model("haiyi", "a", "image2image", params=(size,))
    assert form_values.parameters(row, "", 0, {"size": "7K"}) == [{"size": "7K"}]


# -- one language -------------------------------------------------------------------------------

CHINESE = re.compile(r"[\u4e00-\u9fff]")


def tooltips(inputs: list[Any]) -> Iterator[str]:
    for one in inputs:
        shown = one.as_dict()
        yield shown.get("tooltip") or ""
        template = shown.get("template", {}).get("input", {})
        for _, about in (pair for group in template.values() for pair in group.values()):
            yield about.get("tooltip") or ""


@pytest.mark.parametrize("platform", ["haiyi", "happyhorse", "opencomputing"])
def test_no_tooltip_of_a_documented_model_is_in_another_language(platform):
    use_language("en")
    cls = provider_class(platform)
    texts = {
        text
        for row in map(cls.read_row, cls.built_in_rows())
        for text in tooltips(schema.nested_inputs(row))
    }
    assert len(texts) > 3
    assert [text for text in texts if CHINESE.search(text)] == []


def test_words_of_a_platform_without_a_translation_are_kept_and_marked():
    own = "\u753b\u8d28"
    use_language("en")
    assert field(Param("q", "string", help=own))["tooltip"] == (
        f"{own}\nIn the platform's own words, which are Chinese."
    )
    use_language("zh")
    assert field(Param("q", "string", help=own))["tooltip"] == own
    english = "How sharp the picture is"
    assert field(Param("q", "string", help=english))["tooltip"].startswith(english + "\n")
    assert CHINESE.search(field(Param("q", "string", help=english))["tooltip"])


def test_a_label_is_followed_by_the_name_of_the_field():
    use_language("en")
    assert field(Param("q", "string", label="Quality"))["tooltip"] == "Quality (q)"
    assert field(Param("quality", "string", label="Quality"))["tooltip"] == "Quality"


def test_a_chinese_label_names_the_field_in_a_chinese_interface():
    quality = Param("q", "string", label="\u753b\u8d28")
    frame = Param("image", "image", label="\u753b\u8d28")
    use_language("zh")
    assert field(quality)["display_name"] == "\u753b\u8d28 (q)"
    assert field(frame)["display_name"] == "\u753b\u8d28 (image)"
    use_language("en")
    assert field(quality).get("display_name") is None


def test_our_texts_in_a_catalogue_follow_the_language():
    def custom_help() -> str:
        rows = catalogue.models("text2video")
        return next(row for row in rows if row.id == "wan2.7-t2v").param("duration").help

    catalogue = Catalogue(provider_class("happyhorse"), "", clock=lambda: 0.0)
    use_language("en")
    assert "Suggested, unverified" in custom_help()
    use_language("zh")
    assert "Suggested, unverified" not in custom_help()
    assert catalogue.models() is catalogue.models()


# -- the seed -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("param", "seed", "sent"),
    [
        (Param("seed", "int"), -1, {}),
        (Param("seed", "int", default=42), -1, {}),
        (Param("seed", "int"), 0, {"seed": 0}),
        (Param("seed", "int"), 2**31 - 1, {"seed": 2**31 - 1}),
        (Param("seed", "int", required=True), -1, {"seed": 0}),
        (Param("seed", "int", required=True, min=-1), -1, {"seed": -1}),
    ],
)
def test_minus_one_leaves_out_a_seed_that_is_not_required(param, seed, sent):
    row = Model("haiyi", "a", "text2image", params=(param,))
    assert form_values.parameters(row, "", seed, {}) == [sent]
    assert schema.seed_input().as_dict()["min"] == -1


def test_models_of_types_without_a_node_come_last():
    some_widget = [schema.prompt_input()]
    choice = schema.model_input([model("a")], some_widget, others=[model("b (text2threed)")])
    assert [option.key for option in choice.options] == ["a", "custom", "b (text2threed)"]


@pytest.mark.parametrize(
    ("param", "folded"),
    [
        (Param("watermark", "boolean", default=False), True),
        (Param("retry_times", "int", default=3), True),
        (Param("output_format", "string", default="png"), True),
        (Param("output_format", "string", required=True), None),
        (Param("duration", "int", default=5), None),
        (Param("negative_prompt", "text"), None),
    ],
    ids=lambda one: one.name if isinstance(one, Param) else "",
)
def test_what_few_people_set_and_no_model_requires_is_advanced(param, folded):
    assert field(param).get("advanced") is folded
