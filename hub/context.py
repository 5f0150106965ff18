"""The open hub: settings, database, blobs, rules and clock in one hand, passed to every verb of hub.flow."""
from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine

from hub import rulebook
from hub.clock import Clock, utc_now
from hub.rulebook import Rulebook
from hub.settings import Settings
from hub.storage import database
from hub.storage.blobs import Blobs


@dataclass(frozen=True)
class Hub:
    """Open with ``open_hub``; share freely between threads; close once."""

    settings: Settings
    engine: Engine
    blobs: Blobs
    rules: Rulebook
    clock: Clock = utc_now

    def now(self) -> datetime:
        return self.clock()

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that writes."""
        return database.writing(self.engine)

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that only looks."""
        return database.reading(self.engine)

    def at(self, clock: Clock) -> Hub:
        """The same hub under another clock."""
        return replace(self, clock=clock)

    @property
    def keys_folder(self) -> Path:
        """Where the certificate authority and the session secret lie."""
        return self.settings.folder / "keys"

    def close(self) -> None:
        self.engine.dispose()


def open_hub(settings: Settings, clock: Clock = utc_now) -> Hub:
    """Opens database and blob store, in which what a power cut has taken from small files is put right first. The schema must be current (``hub migrate``)."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    blobs = Blobs(settings.folder / "blobs", settings.free_space_floor_mb)
    blobs.recover()
    return Hub(settings, database.connect(settings.database), blobs, rulebook.load(), clock)
