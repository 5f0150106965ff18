"""One transaction for all who wait: what many senders do at the same moment is committed with one synchronisation.

Whoever comes first commits; whoever comes meanwhile waits, and the next of them commits for all. ``write`` returns
only after the commit: what it has answered would survive a power cut. The connection is kept from one transaction
to the next: taking one from the pool and giving it back costs as much as the statements do.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, event

from hub.storage.database import writer, writing_on

MOST = 64      # acts in one transaction, so that nobody waits long and other processes get the database in between

I, R = TypeVar("I"), TypeVar("R")
Acts = Callable[[Connection, list[I]], list[R]]

_rounds: WeakKeyDictionary[Engine, _Round] = WeakKeyDictionary()
_rounds_lock = Lock()


def write(engine: Engine, acts: Acts, item: I) -> R:
    """Has ``item`` written in a transaction shared with others and returns its result once that is committed.

    ``acts(connection, items)`` writes all items that wait at that moment and returns one result for each. When it
    raises or the commit fails, nothing stands and it is called again for each item alone, so that one bad item
    fails alone. Raises what that raised; then nothing of the item stands.
    """
    result, = write_all(engine, acts, [item])
    if isinstance(result, Exception):
        raise result
    return result


def write_all(engine: Engine, acts: Acts, items: Sequence[I]) -> list[R | Exception]:
    """As ``write`` for several items at once; returns what each came to, be it its failure."""
    with _rounds_lock:
        if (one := _rounds.get(engine)) is None:
            one = _rounds[engine] = _Round()
            event.listen(engine, "engine_disposed", one.close)
    return one.write(engine, acts, items)


class _Wish:
    def __init__(self, acts: Acts, item: Any):
        self.acts, self.item = acts, item
        self.is_done = False
        self.result: Any = None
        self.failure: Exception | None = None


class _Round:
    """Those who wait to write to one database."""

    def __init__(self):
        self._turn, self._lock = Lock(), Lock()
        self._waiting: list[_Wish] = []
        self._kept: Connection | None = None      # of whoever has the turn

    def write(self, engine: Engine, acts: Acts, items: Sequence) -> list:
        mine = [_Wish(acts, item) for item in items]
        with self._lock:
            self._waiting += mine
        with self._turn:
            while not all(wish.is_done for wish in mine):
                with self._lock:
                    wishes, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                self._commit(engine, wishes)
        return [wish.result if wish.failure is None else wish.failure for wish in mine]


    def close(self, _engine: Engine) -> None:
        """Gives the kept connection back; the next transaction takes another."""
        with self._turn:
            self._forget()

    def _commit(self, engine: Engine, wishes: list[_Wish]) -> None:
        """One transaction for all; where that fails, one for each, so that one bad item fails alone. A connection that
        broke while it was kept is nobody's fault: a new one tries again."""
        try:
            is_new = self._kept is None
            if self._in_one_transaction(engine, wishes):
                return
            if len(wishes) > 1 or not is_new:
                for wish in wishes:
                    self._in_one_transaction(engine, [wish])
        finally:
            for wish in wishes:
                wish.is_done = True

    def _in_one_transaction(self, engine: Engine, wishes: list[_Wish]) -> bool:
        results: dict[_Wish, Any] = {}
        try:
            if self._kept is None:
                self._kept = writer(engine)
            with writing_on(self._kept) as connection:
                for acts in dict.fromkeys(wish.acts for wish in wishes):
                    alike = [wish for wish in wishes if wish.acts is acts]
                    results |= zip(alike, acts(connection, [wish.item for wish in alike]), strict=True)
        except Exception as failure:
            if self._kept is not None:
                self._kept.invalidate()           # whatever state it is in, nobody takes it from the pool again
            self._forget()
            for wish in wishes:
                wish.failure = failure
            return False
        for wish in wishes:
            wish.result, wish.failure = results[wish], None
        return True

    def _forget(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()
