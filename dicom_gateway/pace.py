"""How often something happened in the last minute, at the cost of three numbers."""
from __future__ import annotations

MINUTE_S = 60.0


class Pace:
    """A sliding minute from two fixed ones: the one before counts for the part of it that is not yet over."""

    def __init__(self):
        self._began, self._now, self._before = 0.0, 0, 0

    def last_minute(self, at_s: float) -> int:
        """How many there were in the minute before ``at_s`` (seconds of any clock that runs forward), about."""
        self._turn(at_s)
        return self._now + int(self._before * (1 - (at_s - self._began) / MINUTE_S))

    def count(self, at_s: float) -> None:
        self._turn(at_s)
        self._now += 1

    def _turn(self, at_s: float) -> None:
        passed = at_s - self._began
        if passed >= MINUTE_S:
            self._before, self._now = (self._now if passed < 2 * MINUTE_S else 0), 0
            self._began = at_s if passed >= 2 * MINUTE_S else self._began + MINUTE_S
