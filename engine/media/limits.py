"""Whether a media file is within a platform's limits; errors name the limit and the real value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

from ..base.errors import InvalidInput
from ..base.types import MediaFile, MediaRule
from ..base.words import tr
from .files import size_text
from .formats import spellings


def check(file: MediaFile, rule: MediaRule, what: str, who: str = "") -> None:
    """Refuse `file` where it breaks `rule`; nothing is ever shrunk or converted.

    what  what the file is for, as people see it: "end frame"
    who   who sets the limit: a model's name
    What is unknown on either side passes. Raises InvalidInput with the limit and the real value.
    """
    limits = LimitCheck(file, what, who or tr("the platform"))
    limits.format(rule.formats)
    limits.bytes(rule.max_bytes)
    limits.pixels(_too_wide, file.width, rule.min_width, rule.max_width)
    limits.pixels(_too_high, file.height, rule.min_height, rule.max_height)
    limits.seconds(rule.min_seconds, rule.max_seconds)
    limits.codec(rule.codecs)


def recommendations(file: MediaFile, rule: MediaRule, what: str) -> list[str]:
    """One text for each recommended limit that `file` breaks."""
    texts = []
    for limit in _single_limits(rule.advised) if rule.advised else []:
        try:
            check(file, limit, what)
        except InvalidInput as broken:
            texts.append(
                tr("Only a recommendation, so it is sent anyway: {broken}", broken=broken.what)
            )
    return texts


def _single_limits(rule: MediaRule) -> list[MediaRule]:
    """A rule for each limit of `rule`."""
    limits = {each.name: getattr(rule, each.name) for each in fields(rule)}
    return [MediaRule(**{name: limit}) for name, limit in limits.items() if limit]


class LimitCheck:
    """The comparisons of `check` and their messages, one method per kind of limit."""

    # A container counts whole audio frames, so a clip trimmed to 10 s reports 10.03.
    _TOLERANCE = 0.05

    def __init__(self, file: MediaFile, what: str, who: str) -> None:
        self.file = file
        self.words = {"what": what, "name": file.name, "who": who}

    def format(self, formats: tuple[str, ...]) -> None:
        if not formats or any(_is_format(self.file.mime, each) for each in formats):
            return
        raise InvalidInput(
            tr(
                "{what}: {name} is {real}; {who} takes {formats}.",
                real=self.file.mime,
                formats=", ".join(formats),
                **self.words,
            ),
            do=tr("Convert it first."),
        )

    def bytes(self, most: int | None) -> None:
        if most is None or self.file.size <= most:
            return
        real, limit = size_text(self.file.size), size_text(most)
        if real == limit:
            real, limit = (tr("{count} bytes", count=n) for n in (self.file.size, most))
        raise InvalidInput(
            tr(
                "{what}: {name} is {real}; {who} takes at most {limit}.",
                real=real,
                limit=limit,
                **self.words,
            ),
            do=tr("Make it smaller first: fewer pixels, a shorter clip or stronger compression."),
        )

    def pixels(
        self, message: Callable[..., str], real: int | None, least: int | None, most: int | None
    ) -> None:
        limit = _broken_limit(real, least, most)
        if limit is not None:
            raise InvalidInput(
                message(real=real, limit=limit, **self.words), do=tr("Resize it first.")
            )

    def seconds(self, least: float | None, most: float | None) -> None:
        limit = _broken_limit(self.file.duration, least, most, self._TOLERANCE)
        if limit is not None:
            raise InvalidInput(
                tr(
                    "{what}: {name} lasts {real} seconds; {who} takes {limit}.",
                    real=_number(self.file.duration),
                    limit=limit,
                    **self.words,
                ),
                do=tr("Change its length or choose another one."),
            )

    def codec(self, codecs: tuple[str, ...]) -> None:
        if not codecs or not self.file.codec or self.file.codec in codecs:
            return
        raise InvalidInput(
            tr(
                "{what}: {name} is encoded as {real}; {who} takes {codecs}.",
                real=self.file.codec,
                codecs=", ".join(codecs),
                **self.words,
            ),
            do=tr("Convert it first."),
        )


def _too_wide(**values: object) -> str:
    return tr("{what}: {name} is {real} pixels wide; {who} takes {limit}.", **values)


def _too_high(**values: object) -> str:
    return tr("{what}: {name} is {real} pixels high; {who} takes {limit}.", **values)


def _broken_limit(
    real: float | None, least: float | None, most: float | None, tolerance: float = 0
) -> str | None:
    """The limit that `real` breaks, in words; None where it breaks none."""
    if real is None:
        return None
    if most is not None and real > most + tolerance:
        return tr("at most {limit}", limit=_number(most))
    if least is not None and real < least - tolerance:
        return tr("at least {limit}", limit=_number(least))
    return None


def _number(value: float | None) -> str:
    return f"{value or 0:.2f}".rstrip("0").rstrip(".")


def _is_format(mime: str, format: str) -> bool:
    """Whether `format` ("jpg", ".JPG", "image/jpeg", "image/*") is a spelling of `mime`."""
    format = format.strip().lower().lstrip(".")
    kind, _, name = mime.partition("/")
    if format in (mime, kind, f"{kind}/*", "*"):
        return True
    family, slash, short = format.rpartition("/")
    names = (*spellings(mime), name.removeprefix("x-"))
    return (not slash or family == kind) and short.removeprefix("x-") in names
