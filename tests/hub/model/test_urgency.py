"""How soon a study must be read."""
from datetime import UTC, datetime, timedelta

import pytest

from hub import rulebook
from hub.model.urgency import RANK, URGENCIES, more_urgent

NOW = datetime(2026, 5, 4, tzinfo=UTC)


@pytest.mark.parametrize("modality, urgency, minutes", [
    ("CT", "emergency", 30), ("CT", "routine", 1440), ("ECG", "emergency", 10), ("ECG", "routine", 120), ("MR", "urgent", 240),
    ("DX", "urgent", 120), ("", "routine", 1440),
])
def test_the_deadline_follows_modality_and_urgency(modality, urgency, minutes):
    assert rulebook.load().deadlines.deadline(modality, urgency, NOW) - NOW == timedelta(minutes=minutes)


def test_every_modality_in_the_rules_has_every_urgency_and_no_urgent_one_waits_longer():
    for by_urgency in rulebook.load().deadlines.minutes.values():
        assert [by_urgency[u] for u in URGENCIES] == sorted(by_urgency.values())


def test_the_more_pressing_of_two_wins_either_way_round():
    assert more_urgent("routine", "emergency") == more_urgent("emergency", "routine") == "emergency"
    assert RANK["emergency"] < RANK["urgent"] < RANK["routine"]


def test_the_rules_say_where_they_come_from():
    rules = rulebook.load()
    assert rules.deadlines.version and "unverified" in rules.deadlines.source and rules.templates_version


def test_a_template_of_the_body_part_comes_before_the_general_one():
    found = rulebook.load().templates_for("CT", "chest")
    assert found[0].modality == "CT" and "CHEST" in found[0].body_parts
    assert found[-1].modality == "*"
