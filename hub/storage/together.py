"""One transaction for all who wait: what many senders do at the same moment is committed with one synchronisation.

Whoever comes first commits; whoever comes meanwhile waits, and the next of them commits for all. ``write`` returns
only after the commit: what it has answered would survive a power cut.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine

from hub.storage.database import writing

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
        one = _rounds.setdefault(engine, _Round())
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

    def write(self, engine: Engine, acts: Acts, items: Sequence) -> list:
        mine = [_Wish(acts, item) for item in items]
        with self._lock:
            self._waiting += mine
        with self._turn:
            while not all(wish.is_done for wish in mine):
                with self._lock:
                    wishes, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                _commit(engine, wishes)
        return [wish.result if wish.failure is None else wish.failure for wish in mine]


def _commit(engine: Engine, wishes: list[_Wish]) -> None:
    """One transaction for all; where that fails, one for each, so that one bad item fails alone."""
    try:
        if not _in_one_transaction(engine, wishes) and len(wishes) > 1:
            for wish in wishes:
                _in_one_transaction(engine, [wish])
    finally:
        for wish in wishes:
            wish.is_done = True


def _in_one_transaction(engine: Engine, wishes: list[_Wish]) -> bool:
    results: dict[_Wish, Any] = {}
    try:
        with writing(engine) as connection:
            for acts in dict.fromkeys(wish.acts for wish in wishes):
                alike = [wish for wish in wishes if wish.acts is acts]
                results |= zip(alike, acts(connection, [wish.item for wish in alike]), strict=True)
    except Exception as failure:
        for wish in wishes:
            wish.failure = failure
        return False
    for wish in wishes:
        wish.result, wish.failure = results[wish], None
    return True
