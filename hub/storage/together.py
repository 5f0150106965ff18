"""One transaction for all who wait: what many senders do at the same moment is committed with one synchronisation.

Whoever comes first commits; whoever comes meanwhile waits, and the next of them commits for all. ``write`` returns
only after the commit: what it has answered would survive a power cut.
"""
from __future__ import annotations

from collections.abc import Callable
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
    raises, it is called again for each item alone, so that one bad item fails alone. Raises what that raised, or
    why the commit failed; then nothing of the item stands.
    """
    with _rounds_lock:
        one = _rounds.setdefault(engine, _Round())
    return one.write(engine, acts, item)


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

    def write(self, engine: Engine, acts: Acts, item):
        mine = _Wish(acts, item)
        with self._lock:
            self._waiting.append(mine)
        with self._turn:
            while not mine.is_done:
                with self._lock:
                    wishes, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                _commit(engine, wishes)
        if mine.failure is not None:
            raise mine.failure
        return mine.result


def _commit(engine: Engine, wishes: list[_Wish]) -> None:
    try:
        with writing(engine) as connection:
            for acts in dict.fromkeys(wish.acts for wish in wishes):
                alike = [wish for wish in wishes if wish.acts is acts]
                if not _fulfil(connection, acts, alike) and len(alike) > 1:
                    for wish in alike:
                        _fulfil(connection, acts, [wish])
    except Exception as failure:          # the transaction as a whole: nothing of it stands
        for wish in wishes:
            wish.failure = wish.failure or failure
    finally:
        for wish in wishes:
            wish.is_done = True


def _fulfil(connection: Connection, acts: Acts, alike: list[_Wish]) -> bool:
    savepoint = connection.begin_nested()
    try:
        results = acts(connection, [wish.item for wish in alike])
        savepoint.commit()
    except Exception as failure:
        savepoint.rollback()
        for wish in alike:
            wish.failure = failure
        return False
    for wish, wish.result in zip(alike, results, strict=True):
        wish.failure = None
    return True
