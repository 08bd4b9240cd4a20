"""A prompt as the executor sees it, and what a class says of an input."""

from __future__ import annotations

from typing import Any


class DynamicPrompt:
    def __init__(self, original_prompt: dict[str, Any]) -> None:
        self.original_prompt = original_prompt

    def get_original_prompt(self) -> dict[str, Any]:
        return self.original_prompt


def get_input_info(class_def: Any, input_name: str) -> tuple[Any, Any, Any]:
    """(type, category, options); three times None for an input that the class does not list."""
    for category, inputs in class_def.INPUT_TYPES().items():
        if input_name in inputs:
            kind, *options = inputs[input_name]
            return kind, category, options[0] if options else {}
    return None, None, None
