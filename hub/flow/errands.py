"""What is sent until it arrives: one attempt, the next after a growing pause, shown when it is late, sent again by hand.

Reports (``hub.flow.dispatch``), notices (``hub.flow.availability``) and calls that bring a storage commitment
(``hub.flow.commitments``) are such errands. Their rows have the columns state, attempts, created_at (from when on it is
tried), due_at, delivered_at and error; their lives know send, deliver, retry, miss and resend, all but the last's refuse.
"""
from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Table, insert, select

from hub.context import Hub
from hub.errors import Conflict, Permanent, Retryable, words_of
from hub.model.access import SYSTEM, Actor
from hub.model.lifecycle import Lifecycle
from hub.queue import outbox
from hub.storage import audit
from hub.storage.states import advance

OUTCOMES = {"deliver": "delivered", "refuse": "refused", "retry": "failed"}

log = logging.getLogger("hub.worker")


@dataclass(frozen=True)
class Errand:
    """One kind of errand. ``job``: what a worker runs for an attempt; ``argument``: under which name it is told the row's id.
    ``patience``: how long it is tried; None: as long as reports are. ``told``: columns that the audit repeats of one that is late."""

    table: Table
    life: Lifecycle
    job: str
    argument: str
    patience: timedelta | None = None
    told: tuple[str, ...] = ()

    def order(self, connection: Connection, now: datetime, **values) -> int:
        """A new row, due now, in the caller's transaction; returns its id."""
        row_id = connection.execute(insert(self.table).values(
            state=self.life.initial, attempts=0, created_at=now, due_at=now, **values)).inserted_primary_key[0]
        self.enqueue(connection, now, row_id, str(row_id))
        return row_id

    def begin(self, connection: Connection, now: datetime, row) -> bool:
        """Counts an attempt; False where none is due now."""
        if row.state not in self.life.sources("send") or row.due_at > now:
            return False
        advance(connection, self.life, row.id, "send", attempts=row.attempts + 1)
        return True

    def attempt(self, row, send: Callable[[], str | None]) -> tuple[str, str]:
        """Calls ``send`` and returns what came of it: an event of the life, and words for whoever looks later."""
        try:
            return "deliver", send() or ""
        except Permanent as error:
            return "refuse", words_of(error)
        except Exception as error:
            if not isinstance(error, Retryable):
                log.exception("%s %s failed", self.life.name, row.id)
            return "retry", words_of(error)

    def end(self, hub: Hub, connection: Connection, row, event: str, words: str) -> None:
        """Enters what came of the attempt on ``row`` (as it was before) and orders the next where one is to follow."""
        now = hub.now()
        values = {"delivered_at": now, "error": ""} if event == "deliver" else {"error": words[:512]}
        if event == "retry":
            values["due_at"] = now + outbox.pause_after(row.attempts + 1)
            if now - row.created_at < self._patience(hub):
                self.enqueue(connection, now, row.id, f"{row.id}:{row.attempts + 1}", values["due_at"])
        advance(connection, self.life, row.id, event, **values)

    def send_again(self, connection: Connection, now: datetime, actor: Actor, row) -> None:
        """Makes one that has not arrived due at once, after its cause was mended."""
        advance(connection, self.life, row.id, "resend", due_at=now, created_at=now)
        self.enqueue(connection, now, row.id, f"{row.id}:{row.attempts}:again:{now.timestamp():.0f}")
        audit.append(connection, now, actor, "delivery.resend", self.table.name, row.id, row.site_id)

    def mark_overdue(self, hub: Hub) -> int:
        """Run by the scheduler: what has not arrived for long is shown as overdue. Returns how many."""
        kept = [self.table.c[name] for name in ("id", "attempts", "error", *self.told)]
        with hub.reading() as connection:
            late = connection.execute(select(*kept).where(
                self.table.c.state.in_(self.life.sources("miss")), self.table.c.created_at < hub.now() - self._patience(hub))).all()
        for row in late:
            with hub.writing() as connection:
                try:
                    advance(connection, self.life, row.id, "miss")
                except Conflict:
                    continue
                told = {name: getattr(row, name) for name in ("attempts", "error", *self.told)}
                audit.append(connection, hub.now(), SYSTEM, "delivery.overdue", self.table.name, row.id, told.pop("site_id", None), **told)
            log.warning("%s %s could not be delivered in time: %s", self.life.name, row.id, told)
        return len(late)

    def enqueue(self, connection: Connection, now: datetime, row_id: int, key: str, due_at: datetime | None = None) -> None:
        """Orders one attempt; ``key`` tells it from the others."""
        outbox.enqueue(connection, now, self.job, key, due_at, **{self.argument: row_id})

    def _patience(self, hub: Hub) -> timedelta:
        return self.patience or timedelta(hours=hub.settings.delivery_give_up_hours)
