"""Moments in the database: UTC, time zone aware on both sides."""
from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import DateTime, TypeDecorator


class Moment(TypeDecorator):
    """A moment in UTC, time zone aware on both sides whatever the database keeps."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        if value is None:
            return None
        return _in_utc(value).replace(tzinfo=None) if dialect.name == "sqlite" else _in_utc(value)

    def bind_processor(self, dialect):
        """What SQLite keeps as text is written in one step, too: every slice that arrives has one."""
        return _text_of_moment if dialect.name == "sqlite" else super().bind_processor(dialect)

    def process_result_value(self, value, dialect):
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def result_processor(self, dialect, coltype):
        """What SQLite keeps as text is read in one step: lists are made of many moments."""
        return _moment_from_text if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a moment without time zone")
    return value.astimezone(UTC)


def _text_of_moment(value: datetime | None) -> str | None:
    return None if value is None else _in_utc(value).replace(tzinfo=None).isoformat(" ", "microseconds")


def _moment_from_text(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text + "+00:00")      # at once: replacing a zone costs six times as much
