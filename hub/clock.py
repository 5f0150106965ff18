"""The hub's clock: UTC everywhere inside, local time on pages only."""
from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The present moment, time zone aware, in UTC."""
    return datetime.now(UTC)
