"""What a node class consists of: inputs, outputs and the function that computes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

IMAGE, MASK, AUDIO, VIDEO = "IMAGE", "MASK", "AUDIO", "VIDEO"
STRING, INT, FLOAT, BOOLEAN, COMBO, FILE = "STRING", "INT", "FLOAT", "BOOLEAN", "COMBO", "FILE"
ANY = "*"
TEXT = "text"  # what a node saves that shows a text
MEDIA = {IMAGE: "image", MASK: "image", AUDIO: "audio", VIDEO: "video"}
MOST = 16384  # the largest side of a picture

Array = npt.NDArray[Any]
Values = Mapping[str, Any]


class WrongInput(ValueError):
    """A value that a node does not accept, worded for the author of the workflow."""


@dataclass(frozen=True)
class Sound:
    """AUDIO: waveform is float32 [B,C,T]."""

    waveform: Array
    sample_rate: int


@dataclass(frozen=True)
class Film:
    """VIDEO: a file, or frames [B,H,W,C] with their sound."""

    path: Path | None = None
    frames: Array | None = None
    sound: Sound | None = None
    rate: Fraction = Fraction(1)


@dataclass(frozen=True)
class Input:
    """One input.

    accepts    the kinds of file that a FILE may be
    otherwise  stands in for the value of a linked node that is unknown here
    """

    kind: str
    low: float | None = None
    high: float | None = None
    options: tuple[str, ...] = ()
    accepts: tuple[str, ...] = ()
    required: bool = True
    otherwise: Any = None

    def read(self, value: Any) -> Any:
        """A widget's value as the node receives it. Raises WrongInput."""
        try:
            parsed = _PARSERS[self.kind](value) if self.kind in _PARSERS else value
        except (TypeError, ValueError, OverflowError):
            raise WrongInput(f"{value!r} is no {self.kind}") from None
        self._check(parsed)
        return parsed

    def _check(self, value: Any) -> None:
        if self.kind in MEDIA:
            raise WrongInput(f"must be linked to a node that makes {self.kind}")
        if self.low is not None and value < self.low:
            raise WrongInput(f"Value {value} smaller than min of {self.low}")
        if self.high is not None and value > self.high:
            raise WrongInput(f"Value {value} bigger than max of {self.high}")
        if self.options and value not in self.options:
            raise WrongInput(f"Value not in list: {value!r} not in {list(self.options)}")


_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    INT: int,
    FLOAT: float,
    STRING: str,
    BOOLEAN: bool,
}


@dataclass(frozen=True)
class NodeClass:
    """One class. work gets the inputs by name, a saver also `new_path`.

    saves  the kind of file that a saver writes; its work returns the files in order, and the
           medium it saves is also its output
    """

    name: str
    inputs: Mapping[str, Input]
    outputs: tuple[str, ...]
    work: Callable[..., Any]
    saves: str = ""

    @property
    def medium(self) -> str:
        """The input that a saver saves."""
        return next(iter(self.inputs))

    @property
    def file(self) -> str:
        """The input that names a loader's file, "" where it is no loader."""
        return next((name for name, each in self.inputs.items() if each.kind == FILE), "")

    def make(self, values: Values) -> tuple[Any, ...]:
        outputs = self.work(**values)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    def save(self, values: Values, new_path: Callable[[], Path]) -> Sequence[Path]:
        return list(self.work(new_path=new_path, **values))


# -- inputs -------------------------------------------------------------------------------------


def linked(kind: str, required: bool = True) -> Input:
    """An input for the output of another node."""
    return Input(kind, required=required)


def whole(low: int, high: int, otherwise: int, required: bool = True) -> Input:
    return Input(INT, low, high, required=required, otherwise=otherwise)


def number(low: float, high: float, otherwise: float, required: bool = True) -> Input:
    return Input(FLOAT, low, high, required=required, otherwise=otherwise)


def text(otherwise: str = "", required: bool = True) -> Input:
    return Input(STRING, required=required, otherwise=otherwise)


def switch(otherwise: bool) -> Input:
    return Input(BOOLEAN, otherwise=otherwise)


def one_of(*options: str, required: bool = True) -> Input:
    return Input(COMBO, options=options, required=required, otherwise=options[0])


def file(*accepts: str) -> Input:
    """A file by its name or address; the node gets the StoredFile."""
    return Input(FILE, accepts=accepts)


# -- values -------------------------------------------------------------------------------------


def batch(arrays: Sequence[Array]) -> Array:
    """Arrays of one shape stacked into a contiguous batch."""
    return np.ascontiguousarray(np.stack(arrays))


def complement(array: Array) -> Array:
    """1 minus every value: a picture inverted, a mask from an alpha."""
    rest: Array = np.float32(1) - array
    return rest


def repeated(array: Array, count: int) -> Array:
    """`array` truncated or repeated to a batch of `count`."""
    return array[np.arange(count) % len(array)] if len(array) != count else array
