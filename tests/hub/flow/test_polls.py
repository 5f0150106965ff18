"""Worklist polls in the audit: nothing that was shown is missing, nothing is written for the same again."""
from datetime import UTC, datetime, timedelta

from hub.flow.polls import MOST_KEPT, REMIND, Polls, Telling

START = datetime(2026, 5, 4, 0, 30, tzinfo=UTC)
HALF_A_MINUTE = timedelta(seconds=30)


def test_the_same_poll_is_told_once_an_hour_with_its_count():
    polls, told = Polls(), []
    for number in range(2 * 120 + 1):
        told.append(polls.seen(("CT", "today"), frozenset({1, 2}), START + number * HALF_A_MINUTE))
    assert [one for one in told if one] == [Telling((1, 2), 0), Telling((1, 2), 119), Telling((1, 2), 119)]


def test_an_order_is_told_at_once_when_it_is_shown_for_the_first_time():
    polls = Polls()
    assert polls.seen(("CT",), frozenset(), START) == Telling((), 0)
    assert polls.seen(("CT",), frozenset({7}), START + HALF_A_MINUTE) == Telling((7,), 0)
    assert polls.seen(("CT",), frozenset(), START + 2 * HALF_A_MINUTE) is None
    assert polls.seen(("CT",), frozenset({7, 8}), START + 3 * HALF_A_MINUTE) == Telling((8,), 1)


def test_another_device_or_question_is_told_for_itself():
    polls = Polls()
    assert all(polls.seen(question, frozenset({1}), START) for question in (("CT", "a"), ("DR", "a"), ("CT", "b")))
    assert polls.seen(("CT", "a"), frozenset({1}), START) is None


def test_what_could_not_be_written_is_told_again():
    polls = Polls()
    assert polls.seen(("CT",), frozenset({1}), START)
    polls.forget(("CT",))
    assert polls.seen(("CT",), frozenset({1}), START) == Telling((1,), 0)


def test_questions_without_end_take_bounded_memory():
    polls = Polls()
    for number in range(MOST_KEPT + 50):
        assert polls.seen((number,), frozenset({1}), START + number * REMIND)
    assert len(polls._known) == MOST_KEPT
