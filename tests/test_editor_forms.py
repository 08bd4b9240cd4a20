"""Pins what the editor needs of a form: without it a node cannot be made, or is paid for twice."""

from __future__ import annotations

import standin  # noqa: F401  makes ComfyUI's modules importable
from skyport.engine.base.types import Choice, Model, Param
from skyport.nodes._kinds import schema

PICTURES = Param("images", "array[image]", required=True)
FRAME = Param("image", "image", required=True)
LONG = Param("duration", "int", required=True, default=5)
TEXT = Param("prompt", "text", required=True)


def model(name: str, *params: Param, retired: bool = False) -> Model:
    return Model("haiyi", name, "image2image", params=(TEXT, *params), retired=retired)


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
