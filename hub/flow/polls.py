"""A device's worklist polls in the audit: whoever is shown an order for the first time is named at once, the same again is counted.

A device asks every half minute. What it is shown is what matters: an order that it has not been shown within the hour, or another
question, has its own entry with the orders newly shown; repeated polls are one entry an hour with their number. What was only
counted when a gateway process dies is lost; orders shown are not.
"""
from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

REMIND = timedelta(hours=1)
MOST_KEPT = 2000      # questions; the longest silent one is told anew when it asks again


@dataclass
class _Poll:
    told_at: datetime
    shown: frozenset[int]
    untold: int


@dataclass(frozen=True)
class Telling:
    """What an entry is to say: the orders that are newly shown, and how many polls passed since the last entry without one."""

    orders: tuple[int, ...]
    repeated: int


class Polls:
    """The polls of one gateway process. A question is whatever identifies who asks what; times of the question play no part."""

    def __init__(self):
        self._lock = Lock()
        self._known: OrderedDict[tuple, _Poll] = OrderedDict()

    def seen(self, question: tuple, orders: frozenset[int], now: datetime) -> Telling | None:
        """Notes one poll and what it was shown. None where it is only one more of the same."""
        with self._lock:
            poll = self._known.get(question)
            if poll is None:
                self._known[question] = _Poll(now, orders, 0)
                if len(self._known) > MOST_KEPT:
                    self._known.popitem(last=False)
                return Telling(tuple(sorted(orders)), 0)
            self._known.move_to_end(question)
            if orders <= poll.shown and now - poll.told_at < REMIND:
                poll.untold += 1
                return None
            is_due = now - poll.told_at >= REMIND
            telling = Telling(tuple(sorted(orders if is_due else orders - poll.shown)), poll.untold)
            self._known[question] = _Poll(now if is_due else poll.told_at, orders if is_due else poll.shown | orders, 0)
            return telling

    def forget(self, question: tuple) -> None:
        """Takes back what ``seen`` noted: its entry could not be written, so that the next poll tells it again."""
        with self._lock:
            self._known.pop(question, None)
