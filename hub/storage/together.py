"""One transaction for all who wait: what many senders do at the same moment is committed with one synchronisation.

Whoever comes first commits; whoever comes meanwhile waits, and the next of them commits for all. Each act runs
in a savepoint of its own, so that one that fails takes nobody else with it. ``write`` returns only after the
commit: what it has answered would survive a power cut.
"""
from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine

from hub.storage.database import writing

MOST = 64      # acts in one transaction, so that nobody waits long and other processes get the database in between

T = TypeVar("T")
_rounds: WeakKeyDictionary[Engine, _Round] = WeakKeyDictionary()
_rounds_lock = Lock()


def write(engine: Engine, act: Callable[[Connection], T]) -> T:
    """Runs ``act`` in a transaction shared with others and returns its result once that is committed. Raises what
    ``act`` raised, or why the commit failed; then nothing of it stands. ``act`` must not commit."""
    with _rounds_lock:
        one = _rounds.setdefault(engine, _Round())
    return one.write(engine, act)


class _Act:
    def __init__(self, run: Callable[[Connection], Any]):
        self.run = run
        self.is_done = False
        self.result: Any = None
        self.failure: Exception | None = None


class _Round:
    """Those who wait to write to one database."""

    def __init__(self):
        self._turn, self._lock = Lock(), Lock()
        self._waiting: list[_Act] = []

    def write(self, engine: Engine, run):
        mine = _Act(run)
        with self._lock:
            self._waiting.append(mine)
        with self._turn:
            while not mine.is_done:
                with self._lock:
                    acts, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                _commit(engine, acts)
        if mine.failure is not None:
            raise mine.failure
        return mine.result


def _commit(engine: Engine, acts: list[_Act]) -> None:
    try:
        with writing(engine) as connection:
            for act in acts:
                _run(connection, act)
    except Exception as failure:          # the transaction as a whole: nothing of it stands
        for act in acts:
            act.failure = act.failure or failure
    finally:
        for act in acts:
            act.is_done = True


def _run(connection: Connection, act: _Act) -> None:
    savepoint = connection.begin_nested()
    try:
        act.result = act.run(connection)
        savepoint.commit()
    except Exception as failure:
        act.failure = failure
        savepoint.rollback()
