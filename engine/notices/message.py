"""The words of a notice: what has ended, and what to do. Never a key, nor a prompt unasked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..base.shown_text import shorten
from ..base.types import Amount
from ..base.words import tr
from ..ledger.ledger import Row, State
from ..ledger.notices import EXPIRING
from ..tasks import history
from ..tasks.progress import clock
from ..tasks.public_view import first_prompt, redact
from .echoes import repeats_request
from .entries import Entry

_MOST_LINES = 8
_MOST_WORDS = 300  # characters of an error
_MOST_PROMPT = 200  # characters


@dataclass(frozen=True)
class Message:
    """One notice, however many events it is about."""

    title: str
    body: str


def message_of(entries: Sequence[Entry], *, prompts: bool = False) -> Message:
    """One message for all of them, what needs the person first."""
    order = sorted(entries, key=lambda entry: (not entry.needs_person, entry.is_result))
    lines = [_line(entry, prompts) for entry in order[:_MOST_LINES]]
    if len(order) > _MOST_LINES:
        lines.append(tr("... and {count} more.", count=len(order) - _MOST_LINES))
    lines.append(_next_step(order))
    return Message(str(redact(f"Skyport: {_title(order)}")), str(redact("\n".join(lines))))


def _title(entries: Sequence[Entry]) -> str:
    if len(entries) == 1 and entries[0].row is not None:
        return f"{_name(entries[0].row)}: {_outcome(entries[0])}"
    ready = sum(entry.is_result for entry in entries)
    urgent = sum(entry.needs_person for entry in entries)
    failed = len(entries) - ready - urgent
    parts = [_ready(ready)] if ready else []
    if failed:
        parts.append(tr("{count} failed", count=failed))
    if urgent:
        parts.append(tr("{count} need you", count=urgent) if urgent > 1 else tr("1 needs you"))
    return tr(", ").join(parts)


def _ready(count: int) -> str:
    return tr("{count} results are ready", count=count) if count > 1 else tr("1 result is ready")


def _outcome(entry: Entry) -> str:
    if entry.is_refusal:
        return tr("refused")
    return {
        State.SUCCEEDED.value: lambda: tr("ready"),
        State.FAILED.value: lambda: tr("failed"),
        State.CANCELLED.value: lambda: tr("cancelled on the platform"),
        State.UNRESOLVED.value: lambda: tr("no result so far"),
        State.UNKNOWN.value: lambda: tr("outcome unknown"),
        EXPIRING: lambda: tr("not fetched yet"),
    }[entry.notice.event]()


def _name(row: Row) -> str:
    return f"{history.label(row)} {shorten(history.title(row), 60)}"


def _line(entry: Entry, prompts: bool) -> str:
    row = entry.row
    if row is None:
        return shorten(entry.notice.text, _MOST_WORDS)
    facts = [f"#{row.id} {_name(row)}: {_outcome(entry)}", *_facts(row)]
    if entry.notice.event == EXPIRING:
        facts.append(tr("Skyport stops looking for its result soon."))
    if not entry.is_result:
        facts.append(_error(row, prompts))
    if prompts and (prompt := first_prompt(row.record.request)):
        facts.append(f'"{shorten(prompt, _MOST_PROMPT)}"')
    return " \u00b7 ".join(filter(None, facts))


def _facts(row: Row) -> Iterator[str]:
    if row.result and row.result.files:
        names = [file.path.name for file in row.result.files]
        yield names[0] if len(names) == 1 else f"{names[0]} + {len(names) - 1}"
    if row.is_partial and row.result:
        count = len(row.result.missing)
        yield tr("{count} files are missing", count=count) if count > 1 else tr("1 file is missing")
    if row.submitted and row.ended > row.submitted:
        yield clock(row.ended - row.submitted)
    if row.cost is not None:
        yield str(Amount(row.cost, row.unit))


def _error(row: Row, prompts: bool) -> str:
    if row.error and not prompts and repeats_request(row.error, row.record.request):
        return tr("The platform's words repeat the prompt and are left out: see the list of jobs.")
    return shorten(row.error, _MOST_WORDS)


def _next_step(entries: Sequence[Entry]) -> str:
    if any(entry.needs_person for entry in entries):
        return tr("Look at Skyport's jobs in ComfyUI's sidebar, or run `skyport jobs`.")
    if all(entry.is_result for entry in entries):
        return tr("The results are on the disk; ComfyUI's sidebar lists them under Skyport.")
    return tr("Why the others failed is in the list of jobs; queue again for new ones.")
