"""The node that gives rows of a table to a graph."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from ..engine.base.errors import SkyportError
from ..engine.base.words import tr
from ..engine.workflows.graph import LOAD_ROWS, ROW_COLUMNS
from ._kinds import row_values, schema
from ._kinds.search_texts import search_texts

_EXAMPLE = "prompt, seed:INT, photo:IMAGE"
_MOST_ROWS = 1_000_000


class LoadRows(io.ComfyNode):
    """Gives the columns of a table as lists: what they are linked to runs once for each row."""

    id = LOAD_ROWS

    @classmethod
    def define_schema(cls) -> io.Schema:
        file = schema.suggested_text("file", row_values.choices())
        columns = io.String.Input(
            "columns", default="", placeholder="prompt, seed:INT, photo:IMAGE"
        )
        start = io.Int.Input(
            "start",
            default=1,
            min=1,
            max=_MOST_ROWS,
            control_after_generate=io.ControlAfterGenerate.fixed,
        )
        rows = io.Int.Input("rows", default=0, min=0, max=_MOST_ROWS)
        lists = [
            io.AnyType.Output(name, display_name=name, is_output_list=True)
            for name in (f"column_{number}" for number in range(1, ROW_COLUMNS + 1))
        ]
        return io.Schema(
            node_id=cls.id,
            display_name="Load Rows",
            category="Skyport",
            inputs=[file, columns, start, rows],
            outputs=[*lists, io.Int.Output("count", display_name="count")],
            **search_texts(cls.id),
        )

    @classmethod
    def validate_inputs(cls, file: Any = None) -> bool | str:
        try:
            if isinstance(file, str):
                row_values.find_table(file)
        except SkyportError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(
        cls, file: Any = None, columns: Any = None, start: Any = None, rows: Any = None
    ) -> Any:
        if None in (file, columns, start, rows):  # linked: not known yet
            return float("nan")  # equal to nothing
        try:
            return row_values.fingerprint(row_values.selected(file, columns, start, rows))
        except SkyportError:
            return float("nan")

    @classmethod
    def execute(cls, file: str, columns: str, start: int, rows: int) -> io.NodeOutput:
        selection = row_values.selected(file, columns, start, rows)
        lists: list[Any] = row_values.values(selection)
        for number in range(len(lists) + 1, ROW_COLUMNS + 1):
            lists.append(ExecutionBlocker(_no_column(number)))
        return io.NodeOutput(*lists, len(selection.rows))


def _no_column(number: int) -> str:
    return tr("Load Rows has no column {number}: name it in columns.", number=number)


NODES = [LoadRows]
