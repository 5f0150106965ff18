"""What a process remembers for the next request."""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock


class Recent:
    """The latest values by key, at most ``most`` of them. Safe to share between threads."""

    def __init__(self, most: int):
        self._most, self._kept, self._lock = most, OrderedDict(), Lock()

    def get(self, key: Hashable):
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: Hashable, value) -> None:
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
