"""Sends the notices of the ledger's outbox: to a page that is hidden, and to the services."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Protocol, TypeVar

from ..base import forks
from ..base.background import Engine, workers
from ..base.errors import InvalidInput, SkyportError
from ..base.events import subscribe
from ..base.words import tr
from ..ledger.notices import Key, Notice
from ..ledger.resilient import ResilientLedger
from ..ledger.sqlite_store import Store
from ..settings import settings
from . import channels
from .channels import Channel
from .entries import PAUSE, Entry, due, is_being_asked, worth_telling
from .message import Message, message_of

T = TypeVar("T")

BROWSER = "browser"
_INTERVAL = 15.0  # seconds between two looks while nothing changes here
_RETRIES = (5.0, 30.0, 120.0)  # seconds to wait before each
_EXPIRING_AFTER = 20 * 3600.0  # seconds; an order without its result is looked at for a day
_SEARCH_INTERVAL = 600.0  # seconds between two searches for such orders: they read many rows
_log = logging.getLogger(__name__)


class Pages(Protocol):
    """The open pages of the editor. Any thread may ask."""

    def is_watched(self) -> bool:
        """Whether one of them is visible."""

    def show(self, message: Message) -> bool:
        """Let a hidden one show the message; False where none can."""


class NoPages:
    """Where there is no editor."""

    def is_watched(self) -> bool:
        return False

    def show(self, message: Message) -> bool:
        return False


@dataclass(frozen=True)
class Answer:
    """What became of the last notice to a service, and when."""

    ok: bool
    message: str
    time: float


_looking = forks.Lock()
# The last answer of each service, by its id.
_answers: dict[str, Answer] = {}


def last_answer(channel: Channel) -> Answer | None:
    """What became of the last notice that this process sent to it."""
    return _answers.get(channel.id)


def try_out(channel: Channel) -> Answer:
    """Send a test notice at once, and what became of it. Blocks."""
    message = tr("Notices of Skyport arrive here.")
    try:
        channels.send(channel, tr("Skyport: test"), message)
        answer = Answer(True, tr("The test notice was sent."), time.time())
    except SkyportError as error:
        answer = Answer(False, str(error), time.time())
    _answers[channel.id] = answer
    return answer


class Dispatcher:
    """Sends what this process has to send. One at a time looks in a process.

    pause  seconds without another event of a queue after which its notices are due
    began  when the process began
    """

    def __init__(
        self,
        ledger: ResilientLedger,
        pages: Pages | None = None,
        *,
        pause: float = PAUSE,
        now: Callable[[], float] = time.time,
        began: float | None = None,
    ) -> None:
        self._ledger = ledger
        self._pages = pages or NoPages()
        self._pause = pause
        self._now = now
        self._began = now() if began is None else began
        self._next_search = 0.0
        # What the disk may refuse to record, so that it is not sent at every look.
        self._sent: dict[Key, set[str]] = {}
        self._failures: dict[str, tuple[int, float]] = {}  # channel: how many, when to try again

    async def run(self, engine: Engine) -> None:
        """Look after each change of the ledger, else every 15 seconds; on the engine's loop."""
        changed = asyncio.Event()

        def wake(_: str) -> None:
            engine.loop.call_soon_threadsafe(changed.set)

        subscribe(wake)
        while True:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), _INTERVAL)
            changed.clear()
            await asyncio.sleep(self._pause)
            with workers("notices"):
                await engine.blocking(self.look_quietly)

    def look_quietly(self, *, at_once: bool = False) -> None:
        """`look`; what goes wrong is logged. Blocks."""
        try:
            with _looking:
                self.look(at_once=at_once)
        except SkyportError as error:
            _log.warning("Skyport: %s", error)
        except Exception:
            _log.exception("Skyport could not send its notices")

    def look(self, *, at_once: bool = False) -> None:
        """Send what is due; with `at_once`, what would be due later too. Blocks."""
        now = self._now()
        self._note_expiring(now)
        pending = list(chain.from_iterable(self._each(_pending, list[Notice]())))
        for_now = due(pending, now, 0 if at_once else self._pause)
        if not for_now:
            return
        found = self._each(partial(_entries, for_now), list[Entry]())
        entries = {entry.notice.key: entry for entry in chain.from_iterable(found)}
        mine = self._claimed([one for one in entries.values() if not is_being_asked(one, now)])
        gone = [entry for entry in mine if entry.has_gone_on]
        self._each(partial(_forget, gone), None)
        self._tell([entry for entry in mine if not entry.has_gone_on], now)

    def _tell(self, entries: Sequence[Entry], now: float) -> None:
        if not entries:
            return
        current = settings.load()
        worth = worth_telling(entries, now, current.notify_after_s, now - self._began)
        if self._pages.is_watched():
            worth = []
        told = [entry for entry in entries if entry not in worth]
        if worth:
            self._show(worth, current.notify_prompts)
            told += self._send(worth, current.notify_prompts, now)
        self._each(partial(_settle, told), None)

    def _show(self, entries: Sequence[Entry], prompts: bool) -> None:
        fresh = self._without_sent(entries, BROWSER)
        if fresh:
            # No page is no reason to try again: whoever opens one sees the list of jobs.
            self._pages.show(message_of(fresh, prompts=prompts))
            self._record_sent(fresh, BROWSER)

    def _send(self, entries: Sequence[Entry], prompts: bool, now: float) -> list[Entry]:
        """The entries that every service has, or will never have."""
        open_ones: set[Key] = set()
        for channel in channels.listed():
            fresh = self._without_sent(entries, channel.id)
            if fresh and not self._send_one(channel, fresh, prompts, now):
                open_ones.update(entry.notice.key for entry in fresh)
        return [entry for entry in entries if entry.notice.key not in open_ones]

    def _send_one(
        self, channel: Channel, entries: Sequence[Entry], prompts: bool, now: float
    ) -> bool:
        """Whether nothing more is to be sent there."""
        failed, again = self._failures.get(channel.id, (0, 0.0))
        if now < again:
            return False
        message = message_of(entries, prompts=prompts)
        try:
            channels.send(channel, message.title, message.body)
        except SkyportError as error:
            is_last = isinstance(error, InvalidInput) or failed >= len(_RETRIES)
            self._note_failure(channel, error, is_last)
            if not is_last:
                self._failures[channel.id] = (failed + 1, now + _RETRIES[failed])
                return False
        else:
            _answers[channel.id] = Answer(True, tr("The last notice was sent."), self._now())
        self._failures.pop(channel.id, None)
        self._record_sent(entries, channel.id)
        return True

    def _without_sent(self, entries: Sequence[Entry], channel: str) -> list[Entry]:
        def is_sent(one: Notice) -> bool:
            return channel in one.sent or channel in self._sent.get(one.key, ())

        return [entry for entry in entries if not is_sent(entry.notice)]

    def _record_sent(self, entries: Sequence[Entry], channel: str) -> None:
        for entry in entries:
            self._sent.setdefault(entry.notice.key, set()).add(channel)
        self._each(partial(_record_sent, entries, channel), None)

    def _note_failure(self, channel: Channel, error: SkyportError, is_last: bool) -> None:
        _answers[channel.id] = Answer(False, str(error), self._now())
        if is_last:
            _log.warning("Skyport: %s", error)

    def _note_expiring(self, now: float) -> None:
        if now >= self._next_search:
            self._next_search = now + _SEARCH_INTERVAL
            self._each(_note_expiring, None)

    def _claimed(self, entries: Sequence[Entry]) -> list[Entry]:
        mine = set(chain.from_iterable(self._each(partial(_claim, entries), set[Key]())))
        return [entry for entry in entries if entry.notice.key in mine]

    def _each(self, act: Callable[[Store], T], default: T) -> list[T]:
        return self._ledger.on_each(act, default)


# -- one store ----------------------------------------------------------------------------------


def _note_expiring(store: Store) -> None:
    with store.outbox() as outbox:
        outbox.add_expiring(_EXPIRING_AFTER)


def _pending(store: Store) -> list[Notice]:
    with store.view.outbox("DEFERRED") as outbox:
        return outbox.pending()


def _entries(notices: Sequence[Notice], store: Store) -> list[Entry]:
    """Of each notice that this store holds."""
    with store.view.outbox("DEFERRED") as outbox:
        held = [one for one in notices if outbox.holds(one)]
        orders = {one.key: outbox.order_of(one) for one in held}
    entries = [Entry(one) for one in held]
    for number, entry in enumerate(entries):
        if order := orders[entry.notice.key]:
            entries[number] = replace(entry, row=store.view.get(order[0]), since=order[1])
    return entries


def _claim(entries: Sequence[Entry], store: Store) -> set[Key]:
    with store.outbox() as outbox:
        return {one.key for one in outbox.claim(entry.notice for entry in entries)}


def _forget(entries: Sequence[Entry], store: Store) -> None:
    with store.outbox() as outbox:
        for entry in entries:
            outbox.forget(entry.notice)


def _record_sent(entries: Sequence[Entry], channel: str, store: Store) -> None:
    with store.outbox() as outbox:
        outbox.record_sent([entry.notice for entry in entries], channel)


def _settle(entries: Sequence[Entry], store: Store) -> None:
    with store.outbox() as outbox:
        outbox.settle([entry.notice for entry in entries])
