"""Which columns of a table fill what, and what is the same in every row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..base.errors import InvalidInput
from ..base.types import Json
from ..base.words import tr
from .orders import Orders
from .table import FILE, Table, TableRow, no_column


@dataclass(frozen=True)
class Columns:
    """How columns become values.

    mapped   what a column fills, where its own name does not say it
    same     values for rows that have none
    ignored  columns that fill nothing
    """

    mapped: Mapping[str, str] = field(default_factory=dict)
    same: Mapping[str, str] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()

    def checked(self, table: Table, orders: Orders) -> Columns:
        """These, with what the files of a folder are for.

        Raises InvalidInput for a name that is no column, and for one that fills nothing.
        """
        columns = self
        if table.path.is_dir() and FILE not in self.mapped:
            target = orders.file_target()
            if not target:
                raise InvalidInput(
                    tr("It is not clear what the files of the folder are for."),
                    do=tr("Say so by {option}.", option=f"--map {FILE}=image"),
                )
            columns = Columns({**self.mapped, FILE: target}, self.same, self.ignored)
        columns._check(table.columns, orders)
        return columns

    def _check(self, names: Iterable[str] | None, orders: Orders) -> None:
        orders.check_names([*self.mapped.values(), *self.same])
        if names is None:
            return
        listed = list(names)
        for name in (*self.mapped, *self.ignored):
            if name not in listed:
                raise no_column(name, listed)
        targets = self._targets(listed)
        orders.check_names(targets)
        for target in targets:
            if targets.count(target) > 1:
                raise _filled_twice(target)

    def _targets(self, names: Iterable[str]) -> list[str]:
        return [self.mapped.get(name, name) for name in names if name not in self.ignored]

    def values(self, row: TableRow) -> dict[str, Json]:
        """By what they fill. An empty cell is none. Raises InvalidInput."""
        for name in self.mapped:
            if name not in row.values:
                raise InvalidInput(tr('It has no "{name}".', name=name))
        given: dict[str, Json] = {}
        for name, value in row.values.items():
            if name in self.ignored or _is_empty(value):
                continue
            target = self.mapped.get(name, name)
            if target in given:
                raise _filled_twice(target)
            given[target] = value
        return {**self.same, **given}


def _filled_twice(target: str) -> InvalidInput:
    return InvalidInput(tr('Two columns fill "{name}".', name=target))


def _is_empty(value: Json) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
