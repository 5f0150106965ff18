"""What a text in a patient's field is: a resident number wherever it stands, a phone, an insurance number, or nothing."""
import pytest

from hub import rulebook
from hub.model.identifiers import Said, identifiers
from hub.model.identity import usable_name, usable_number

RULES = rulebook.load().identity
CARD = "11010519491231002X"


def found(text, source="PatientID", about="", kind=""):
    return [(one.kind, one.value, one.verdict) for one in identifiers([Said(text, source, about, kind)], RULES.kinds, RULES.placeholders)]


@pytest.mark.parametrize("text, expected", [
    (CARD, ("resident_id", CARD, "certain")), (f"ID:{CARD.lower()}", ("resident_id", CARD, "certain")), ("110105 19491231 002X", ("resident_id", CARD, "certain")),
    ("110105491231002", ("resident_id", CARD, "old")), ("110105194912310021", ("resident_id", "110105194912310021", "mistyped")),
    ("13812345678", ("phone", "13812345678", "")), ("+86 138-1234-5678", ("phone", "13812345678", "")), ("0871-68021120", ("phone", "087168021120", "")),
    ("QS 20260001", ("hospital", "qs20260001", "")),
])
def test_a_text_is_what_it_proves_to_be(text, expected):
    assert found(text) == [expected]


@pytest.mark.parametrize("text", ["", "000000", "0", "1", "123456", "test", "TEST01", "9999", "N/A", "unknown", "无"])
def test_a_placeholder_is_no_identifier(text):
    assert found(text) == []


def test_the_issuer_says_what_the_number_is():
    assert found("A12345678", "OtherPatientIDs", "市医保局") == [("insurance", "a12345678", "")]
    assert found("13812345678", "OtherPatientIDs", "联系电话") == [("phone", "13812345678", "")]
    assert found(CARD, "OtherPatientIDs", "医保") == [("resident_id", CARD, "certain")]


def test_fifteen_digits_among_other_text_are_no_resident_number():
    assert found("P110105491231002") == [("hospital", "p110105491231002", "")]
    assert found("No.110105491231002", about="身份证号") == [("resident_id", CARD, "old")]


def test_an_address_is_compared_without_its_signs():
    assert found("青山镇 三组-12 号", "PatientAddress", kind="address") == [("address", "青山镇三组12号", "")]


def test_the_same_number_from_two_fields_is_kept_once_with_its_first_source():
    both = identifiers([Said(CARD, "PatientID"), Said(CARD, "OtherPatientIDs")], RULES.kinds, RULES.placeholders)
    assert [one.source for one in both] == ["PatientID"]


@pytest.mark.parametrize("name", ["", "无名氏", "无名氏3", "無名氏", "TEST", "Test^Patient", "急诊患者", "000000", "12345", "X", "aaaa", "EMERGENCY 07", "水模", "anonymous"])
def test_a_placeholder_is_nobodys_name(name):
    from hub.model.names import forms
    assert not usable_name(forms(name, RULES.names).folded, RULES.placeholders)


@pytest.mark.parametrize("name", ["王小明", "吴明", "WANG LI", "李测", "佚云", "艾克拜尔·买买提", "Anna Test", "石无名"])
def test_a_persons_name_is_one(name):
    assert usable_name(name, RULES.placeholders)


def test_a_number_of_ones_own_is_usable():
    assert usable_number("20260417001", RULES.placeholders) and not usable_number("00000", RULES.placeholders)
