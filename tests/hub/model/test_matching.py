"""One person or two: what links by itself, what is asked, and what is never joined."""
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub import rulebook
from hub.model.matching import APART, ASK, CONTRADICTIONS, REASONS, SAME, WARNINGS, Known, dates_near, differ_in_resident_id, match, may_join
from hub.model.names import forms
from hub.model.resident_id import check_character, parse

SLOW_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

RULES = rulebook.load().identity
CARD = "11010519491231002X"
OTHER_CARD = "440524188001010014"


def known(name="王小明", site=1, **more) -> Known:
    return Known(more.pop("patient_id", 1), site, forms(name, RULES.names), **{
        key: frozenset(value) if key not in ("birth_date", "sex") else value for key, value in more.items()})


def judged(one, other):
    there, back = match(one, other, RULES.matching), match(other, one, RULES.matching)
    assert (there.verdict, there.score, there.reasons, there.warnings) == (back.verdict, back.score, back.reasons, back.warnings)
    return there


WANG = known(birth_date="1949-12-31", sex="F", resident_ids=[CARD])


@pytest.mark.parametrize("name", ["王小明", "王 小明", "WANG XIAOMING", "王小明^"])
def test_one_certain_number_and_an_agreeing_name_link_by_themselves(name):
    assert judged(WANG, known(name, 2, resident_ids=[CARD])).verdict == SAME


@pytest.mark.parametrize("change", [
    {"name": forms("李四", RULES.names)}, {"name": forms("王小民", RULES.names)}, {"name": forms("王晓鸣", RULES.names)}, {"birth_date": "1950-01-01"}, {"sex": "M"},
    {"contradicts": frozenset({"sex"})}, {"contradicts": frozenset({"birth_date"})}, {"name": forms("", RULES.names)}])
def test_any_doubt_beside_the_same_number_is_for_a_person(change):
    """Planted: each of these alone takes the link away."""
    assert judged(WANG, replace(known(site=2, birth_date="1949-12-31", sex="F", resident_ids=[CARD]), **change)).verdict == ASK


def test_two_certain_numbers_are_two_people_whatever_agrees():
    twin = replace(WANG, resident_ids=frozenset({OTHER_CARD}), phones=frozenset({"13812345678"}), insurance=frozenset({"a1"}))
    found = judged(replace(WANG, phones=twin.phones, insurance=twin.insurance), twin)
    assert found.verdict == APART and "resident_id_other" in found.contradictions


def test_a_row_with_two_numbers_of_its_own_is_never_linked():
    assert judged(WANG, replace(WANG, resident_ids=frozenset({CARD, OTHER_CARD}))).verdict == APART


@pytest.mark.parametrize("one, other, verdict", [
    (known(birth_date="1949-12-31", sex="F"), known(site=2, birth_date="1949-12-31", sex="F"), ASK),
    (known(), known(site=2), APART),
    (known(sex="F"), known(site=2, sex="F", phones=["13812345678"]), APART),
    (known(birth_date="1949-12-31", sex="F"), known("李四", 2, birth_date="1949-12-31", sex="F"), APART),
    (known(birth_date="1949-12-31", phones=["1"]), known("王晓明", 2, birth_date="1949-12-31", phones=["1"]), ASK),
    (known(insurance=["a1"]), known(site=2, insurance=["a1"]), ASK),
    (known(hospital=["7"]), known(hospital=["7"]), ASK), (known(hospital=["7"]), known(site=2, hospital=["7"]), APART),
    (known(resident_ids=[CARD]), known(site=2, old_ids=[CARD]), ASK),
    (known(resident_ids=[CARD], birth_date="1949-12-31"), known(site=2, mistyped_ids=["110105194912310021"], birth_date="1949-12-31"), ASK),
])
def test_weaker_evidence_is_asked_or_left_alone(one, other, verdict):
    assert judged(one, other).verdict == verdict


def test_twins_are_warned_of_and_not_suggested():
    one = known("王小明", birth_date="2015-03-02", sex="M", phones=["13812345678"])
    other = known("王小亮", birth_date="2015-03-02", sex="M", phones=["13812345678"])
    assert set(judged(one, other).warnings) == {"twin", "shared_phone"}
    assert judged(one, replace(other, site_id=2)).verdict == ASK      # one character apart: a person looks, with the warning beside


def test_one_surname_and_birth_date_at_one_institution_is_a_warning_without_a_phone():
    one, other = known("周小龙", birth_date="2015-03-02"), known("周大虎", birth_date="2015-03-02")
    assert judged(one, other).warnings == ("twin",)
    assert judged(one, replace(other, site_id=2)).warnings == judged(one, replace(other, birth_date="2015-03-03")).warnings == ()


def test_namesakes_are_warned_of_where_they_might_be_mixed():
    assert "same_name" in judged(known(), known()).warnings
    assert "same_name" in judged(known(birth_date="1949-12-31"), known(site=2, birth_date="1950-02-01")).warnings
    assert "same_name" not in judged(known(birth_date="1949-12-31"), known(site=2, birth_date="1990-02-01")).warnings
    assert "same_name" not in judged(known(sex="M"), known(sex="F")).warnings


@pytest.mark.parametrize("one, other, near", [
    ("1963-02-11", "1963-02-12", True), ("1963-02-11", "1963-11-02", True), ("1963-01-01", "1963-07-30", True), ("1962-01-01", "1963-07-30", True),
    ("1963-02-11", "1964-03-11", False), ("1963-02-11", "1936-02-11", False)])
def test_dates_that_may_be_one_date(one, other, near):
    assert dates_near(one, other) == dates_near(other, one) == near


def test_every_reason_has_points_and_words_and_the_rules_their_source():
    assert {code for code in RULES.matching.points} <= set(REASONS) and set(REASONS) >= CONTRADICTIONS
    assert RULES.matching.version and RULES.matching.source and all(zh and en for zh, en in [*REASONS.values(), *WARNINGS.values()])


# A small world of colliding facts, so that chance pairs agree often.
CARDS = [first + check_character(first) for first in ("53010019490101001", "53010019490101002", "53010019500101003")]
rows = st.builds(
    lambda patient_id, site, name, cards, old, phone, declared: Known(
        patient_id, site, forms(name, RULES.names), declared[0], declared[1], frozenset(cards), frozenset(old), frozenset(), frozenset(), frozenset(), frozenset(phone)),
    st.integers(1, 10_000), st.integers(1, 3), st.sampled_from(["王小明", "WANG XIAOMING", "王小民", "李四", ""]),
    st.lists(st.sampled_from(CARDS), max_size=1), st.lists(st.sampled_from(CARDS), max_size=1), st.lists(st.sampled_from(["1", "2"]), max_size=1),
    st.tuples(st.sampled_from(["", "1949-01-01", "1950-01-01"]), st.sampled_from(["", "M", "F"])))


@SLOW_MACHINE
@given(rows, rows)
def test_matching_is_symmetric(one, other):
    judged(one, other)


@settings(SLOW_MACHINE, max_examples=150)
@given(st.lists(rows, min_size=2, max_size=14))
def test_no_chain_of_links_joins_two_different_certain_numbers(people):
    """The hub's own way of joining, over every pair in any order: one person never bears two numbers."""
    groups = [[one] for one in people]
    for at, one in enumerate(people):
        for other in people[at + 1:]:
            if match(one, other, RULES.matching).verdict != SAME:
                continue
            ours = next(group for group in groups if any(row is one for row in group))
            theirs = next(group for group in groups if any(row is other for row in group))
            if ours is not theirs and not may_join(ours, theirs, RULES.matching):
                ours += theirs
                groups = [group for group in groups if group is not theirs]
    assert not any(differ_in_resident_id(group) for group in groups)
    assert all(not match(a, b, RULES.matching).contradictions for group in groups for a in group for b in group if a is not b)


@SLOW_MACHINE
@given(st.sampled_from(CARDS))
def test_the_cards_of_this_world_are_valid(card):
    assert parse(card).is_certain
