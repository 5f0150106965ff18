"""How soon a study must be read: urgency steps and the deadline that follows from modality and urgency."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

URGENCIES = ("emergency", "urgent", "routine")
RANK = {name: rank for rank, name in enumerate(URGENCIES)}
URGENCY_ZH = {"emergency": "危急", "urgent": "加急", "routine": "常规"}
URGENCY_EN = {"emergency": "Emergency", "urgent": "Urgent", "routine": "Routine"}


@dataclass(frozen=True)
class DeadlineRules:
    """Minutes until a report is due, by modality and urgency; ``"*"`` stands for any other modality."""

    version: str
    source: str
    minutes: dict[str, dict[str, int]]

    def deadline(self, modality: str, urgency: str, queued_at: datetime) -> datetime:
        """When the report of a study of ``modality`` that entered the queue at ``queued_at`` is due."""
        by_urgency = self.minutes.get(modality, self.minutes["*"])
        return queued_at + timedelta(minutes=by_urgency[urgency])


def more_urgent(one: str, other: str) -> str:
    """The more pressing of two urgencies."""
    return min(one, other, key=RANK.__getitem__)
