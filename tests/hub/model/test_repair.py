"""Corrected values: what each kind of value may be, refused by name; which correction stands."""
from collections import namedtuple
from datetime import date

import pytest

from hub import rulebook
from hub.errors import Invalid
from hub.model.repair import Attribute, checked, newest

RULES = rulebook.load().repairs
TODAY = date(2026, 5, 4)


def put(keyword: str, value: str) -> str:
    return checked(next(one for one in RULES.offered.values() if one.keyword == keyword), value, TODAY)


@pytest.mark.parametrize("keyword, typed, written", [
    ("PatientName", " 张三 ", "张三"), ("PatientName", "Zhang^San=张^三", "Zhang^San=张^三"), ("PatientSex", "f", "F"), ("PatientSex", "", ""),
    ("PatientBirthDate", "1963-02-11", "19630211"), ("PatientBirthDate", "1963年2月1日", "19630201"), ("PatientAge", "063y", "063Y"),
    ("StudyTime", "08:15:00", "081500"), ("PixelSpacing", "0.5 0.4", "0.5\\0.4"), ("PixelSpacing", "0.5，0.4", "0.5\\0.4"),
    ("BodyPartExamined", "knee", "KNEE"), ("Laterality", "L", "L"), ("AccessionNumber", "", ""), ("StudyDescription", "胸部平扫", "胸部平扫")])
def test_a_value_is_kept_as_dicom_writes_it(keyword, typed, written):
    assert put(keyword, typed) == written


@pytest.mark.parametrize("keyword, typed", [
    ("PatientName", ""), ("PatientName", "^^"), ("PatientName", "张" * 65), ("PatientName", "a^b^c^d^e^f"), ("PatientName", "张\n三"), ("PatientID", "  "),
    ("PatientSex", "男"), ("PatientSex", "X"), ("PatientBirthDate", "1963-02-30"), ("PatientBirthDate", "2026-05-05"), ("PatientBirthDate", "1700-01-01"),
    ("PatientBirthDate", "去年"), ("PatientAge", "63"), ("StudyTime", "2560"), ("PixelSpacing", "0.5"), ("PixelSpacing", "0 0.5"),
    ("PixelSpacing", "-1 1"), ("PixelSpacing", "1e9 1"), ("PixelSpacing", "0.5 mm"), ("Laterality", "左"), ("BodyPartExamined", "胸"),
    ("AccessionNumber", "A" * 17), ("StudyDescription", "述" * 65), ("Modality", "")])
def test_a_value_that_cannot_be_one_is_refused_by_name(keyword, typed):
    with pytest.raises(Invalid) as refusal:
        put(keyword, typed)
    assert refusal.value.code == "bad_value"
    attribute = next(one for one in RULES.offered.values() if one.keyword == keyword)
    assert refusal.value.zh.startswith(attribute.zh) and refusal.value.en.startswith(attribute.en)


@pytest.mark.parametrize("vr, good, bad", [
    ("US", "65535", "65536"), ("SS", "-32768", "40000"), ("FD", "1.5", "nan"), ("IS", "-12", "1.5"), ("DS", "1e-3", "one"), ("UL", "0", "-1"),
    ("SH", "a\\b", "a" * 17), ("LT", "two\nlines", "bell\a"), ("DT", "20260301081500.5+0800", "2026-03-01"), ("TM", "0815", "8:15pm")])
def test_other_attributes_are_held_to_their_value_representation(vr, good, bad):
    attribute = RULES.attribute("00181000", "Something", vr)
    assert checked(attribute, good, TODAY) == good
    with pytest.raises(Invalid):
        checked(attribute, bad, TODAY)


@pytest.mark.parametrize("tag, vr", [
    ("0020000D", "UI"), ("00080005", "CS"), ("00280010", "US"), ("00280004", "CS"), ("7FE00010", "OW"), ("00091001", "LO"), ("00400275", "SQ"),
    ("00200032", "DS"), ("00020010", "UI"), ("00100000", "UL"), ("00281050", "DS"), ("xyz", "LO"), ("00189999", "")])
def test_identity_layout_and_private_tags_are_never_corrected(tag, vr):
    with pytest.raises(Invalid) as refusal:
        RULES.attribute(tag, "", vr)
    assert refusal.value.code == "not_correctable"


def test_the_spacing_is_offered_though_its_group_is_fixed():
    assert RULES.attribute("00280030").keyword == "PixelSpacing" and isinstance(RULES.attribute("00181030", "ProtocolName", "LO"), Attribute)


Row = namedtuple("Row", "id level series_id instance_id tag")


def test_the_newest_correction_stands_whether_made_for_the_study_a_series_or_an_image():
    rows = [Row(1, "study", None, None, "A"), Row(2, "series", 7, None, "A"), Row(3, "instance", 7, 70, "A"), Row(4, "series", 8, None, "B")]
    assert {tag: row.id for tag, row in newest(rows).items()} == {"A": 1}
    assert newest(rows, 7)["A"].id == 2 and newest(rows, 7, 70)["A"].id == 3 and newest(rows, 7, 71)["A"].id == 2
    assert {tag: row.id for tag, row in newest(rows, 8, 80).items()} == {"A": 1, "B": 4}
    assert newest([*rows, Row(5, "study", None, None, "A")], 7, 70)["A"].id == 5
