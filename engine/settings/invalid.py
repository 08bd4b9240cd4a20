"""What a setting raises for a value that it cannot take."""

from __future__ import annotations


class InvalidSetting(Exception):
    """A value that a setting cannot take; the text says what it takes ("a number above 0").

    inside  the part of the setting that holds the value: ".haiyi"
    """

    def __init__(self, expected: str, inside: str = "") -> None:
        super().__init__(expected)
        self.inside = inside
