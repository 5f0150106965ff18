"""The resident number: published examples, every single wrong digit, and what it says of birth and sex."""
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.errors import Invalid
from hub.model.resident_id import (
    CHECK_CHARACTERS, FAULTS, PROVINCES, ResidentId, check_character, contradictions, fault_of, found_in, looks_like, normal, parse,
)

SLOW_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

# The two worked examples of GB 11643-1999, annex A.
PUBLISHED = "11010519491231002X"
PUBLISHED_TOO = "440524188001010014"


@st.composite
def numbers(draw):
    """Valid numbers of 18 places."""
    region = draw(st.sampled_from(sorted(PROVINCES))) + f"{draw(st.integers(1, 9998)):04}"
    born = draw(st.dates(date(1900, 1, 1), date(2026, 1, 1)))
    first = f"{region}{born:%Y%m%d}{draw(st.integers(1, 999)):03}"
    return first + check_character(first)


@pytest.mark.parametrize("number, born, sex", [(PUBLISHED, "1949-12-31", "F"), (PUBLISHED_TOO, "1880-01-01", "M")])
def test_the_examples_of_the_standard_are_read(number, born, sex):
    assert parse(number) == ResidentId(number, born, sex, True)


@SLOW_MACHINE
@given(st.text("0123456789", min_size=17, max_size=17))
def test_the_check_character_is_that_of_the_standard_computed_the_other_way(first):
    """ISO 7064: the whole string's weighted sum, weights 2^(place) mod 11, is congruent to 1 modulo 11."""
    values = [*map(int, first), 10 if check_character(first) == "X" else int(check_character(first))]
    assert sum(value * pow(2, 17 - place, 11) for place, value in enumerate(values)) % 11 == 1


@SLOW_MACHINE
@given(numbers(), st.integers(0, 17), st.sampled_from("0123456789X"))
def test_one_wrong_place_is_always_noticed(number, place, wrong):
    if number[place] == wrong or (wrong == "X" and place < 17):
        return
    assert fault_of(number[:place] + wrong + number[place + 1:])


@SLOW_MACHINE
@given(numbers(), st.integers(0, 16))
def test_two_neighbours_in_wrong_order_are_always_noticed(number, place):
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2:]
    assert swapped == number or fault_of(swapped)


@SLOW_MACHINE
@given(numbers())
def test_what_the_number_says_does_not_contradict_itself(number):
    known = parse(number)
    assert contradictions(known, known.birth_date, known.sex) == ()
    assert contradictions(known, "1850-01-01", {"M": "F", "F": "M"}[known.sex]) == ("birth_date", "sex")
    assert contradictions(known, "", "O") == ()


@pytest.mark.parametrize("written", [
    "１１０１０５１９４９１２３１００２Ｘ", "110105 19491231 002x", "110105-19491231-002X", " 11010519491231002Ⅹ "])
def test_a_number_written_differently_is_the_same(written):
    assert parse(written).number == PUBLISHED


def test_an_old_number_becomes_the_new_one_and_is_not_certain():
    old = parse("110105491231002")
    assert (old.number, old.is_certain) == (PUBLISHED, False)


def test_an_old_number_of_a_centenarian_was_born_before_1900():
    assert parse("110105991231997").birth_date == "1899-12-31"


@pytest.mark.parametrize("text, fault", [
    ("", "shape"), ("12345", "shape"), ("11010519491231002", "shape"), ("000000", "shape"), ("110105194912310O2X", "shape"),
    ("1101051949****002X", "shape"), ("١١٠١٠٥١٩٤٩١٢٣١٠٠٢X", "shape"), ("990105194912310029", "region"), ("000000000000000", "region"),
    ("110105194902310021", "birth_date"), ("110105188001010021"[:6] + "17000101002X", "birth_date"), ("110105194912310021", "check"),
])
def test_each_fault_has_its_name_and_its_words(text, fault):
    assert fault_of(text) == fault
    with pytest.raises(Invalid) as refusal:
        parse(text)
    assert refusal.value.code == "bad_resident_id" and refusal.value.zh and refusal.value.en
    assert found_in(text) is None


def test_nobody_is_born_tomorrow():
    assert fault_of(PUBLISHED, date(1949, 12, 30)) == "birth_date"
    assert fault_of(PUBLISHED, date(1949, 12, 31)) == ""


def test_a_mistyped_number_still_looks_like_one():
    assert looks_like("110105194912310021") and not looks_like("20260001") and not looks_like("13800000000")


def test_residence_permits_and_foreigners_cards_are_read():
    for first in ("81000019900101001", "93115619900101002"):
        number = first + check_character(first)
        assert parse(number).province_zh == {"8": "香港", "9": "上海"}[number[0]]


@SLOW_MACHINE
@given(st.text())
def test_no_text_breaks_the_reading(text):
    assert fault_of(text) in ("", *FAULTS)
    assert found_in(text) is None or len(normal(text)) in (15, 18)


def test_a_number_in_a_list_shows_only_its_ends():
    assert parse(PUBLISHED).masked == "110105********002X" and len(CHECK_CHARACTERS) == 11
