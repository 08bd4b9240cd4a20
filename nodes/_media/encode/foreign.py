"""What code of ComfyUI and of other packs raises when a value of theirs is read."""

from __future__ import annotations

import av

_ERRORS = (
    av.error.FFmpegError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def is_foreign(error: Exception) -> bool:
    """Whether `error` is about the value: not an interrupt, and no error of ours."""
    return isinstance(error, _ERRORS) or type(error) is Exception  # the last for lack of a better


def reason_of(error: Exception) -> str:
    """What it says, as the middle of a sentence."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split()).rstrip(".")
