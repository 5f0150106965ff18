"""Where objects that have arrived are made to last: a few threads for all associations, blob, then row, then "yes".

The thread of an association receives, hashes and writes. Where nothing else is being landed it lands its object itself: a lone
sender waits for no other thread. Else it leaves the object here and listens again. Whoever is
free here takes all that wait: every name, then every synchronisation, then one transaction, then every answer. So
sixteen associations do not wake each other for every step of every object (docs/decisions/0007).
"""
from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Condition, Thread
from typing import Protocol

from dicom_gateway.status import PROCESSING_FAILURE

log = logging.getLogger("hub.gateway")

THREADS = 4
MOST = 8          # objects at a time, so that others begin their synchronisation meanwhile


class Waiting(Protocol):
    """An object whose bytes are all written. Each step that fails makes the next ones do nothing; ``answer`` says it."""

    def place(self) -> None: ...
    def settle(self) -> None: ...
    def answer(self) -> None: ...
    def fail(self, status: int, comment: str) -> None: ...


class Landing:
    """The threads. ``enter`` writes the rows of all objects that it is given and notes with each what came of it."""

    def __init__(self, enter: Callable[[Sequence[Waiting]], None]):
        self._enter = enter
        self._counting, self._at_hand = Condition(), 0      # objects that were brought and are not answered yet
        self._queue: SimpleQueue[Waiting | None] = SimpleQueue()
        self._threads = [Thread(target=self._work, name=f"landing-{n}", daemon=True) for n in range(THREADS)]
        for one in self._threads:
            one.start()

    def bring(self, one: Waiting) -> None:
        """Takes an object over: it is answered, whatever happens, perhaps before this returns."""
        with self._counting:
            is_alone = self._at_hand == 0
            self._at_hand += 1
        if is_alone:
            self._land([one])
        else:
            self._queue.put(one)

    def close(self) -> None:
        """Ends when all that was brought is answered."""
        for _ in self._threads:
            self._queue.put(None)
        for one in self._threads:
            one.join()
        with self._counting:
            self._counting.wait_for(lambda: self._at_hand == 0)

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, is_over = [first], False
            try:
                while len(batch) < MOST and not is_over:
                    one = self._queue.get_nowait()
                    if one is None:
                        is_over = True
                    else:
                        batch.append(one)
            except Empty:
                pass
            self._land(batch)
            if is_over:
                return

    def _land(self, batch: list[Waiting]) -> None:
        try:
            for one in batch:
                one.place()
            for one in batch:
                one.settle()
            self._enter(batch)
        except Exception:
            log.exception("C-STORE failed")
            for one in batch:
                one.fail(PROCESSING_FAILURE, "unexpected fault, see the gateway's log")
        for one in batch:
            try:
                one.answer()
            except Exception:
                log.exception("an answer to C-STORE could not be given")
        with self._counting:
            self._at_hand -= len(batch)
            if not self._at_hand:
                self._counting.notify_all()
