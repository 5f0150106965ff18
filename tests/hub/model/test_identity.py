"""Whether two objects speak of the same person: silence is no disagreement, and nothing joins two people."""
from dataclasses import replace

import pytest

from hub.model.arrival import PatientFacts
from hub.model.identity import LONGEST_KEY, differences, identity_key, name_key

WANG = PatientFacts("0001", "王小明", sex="M", birth_date="1963-02-11")


@pytest.mark.parametrize("one, other", [
    ("Wang^XiaoMing", "WANG XIAOMING"), ("王 小明", "王小明"), ("ＷＡＮＧ", "wang"), ("王小明^^^", "王小明"), ("欧阳·修", "欧阳修"),
])
def test_the_same_name_written_differently_is_the_same(one, other):
    assert name_key(one) == name_key(other)


def test_another_name_is_another():
    assert name_key("王小明") != name_key("王小朋")


@pytest.mark.parametrize("field, value", [("patient_id", "0002"), ("name", "李四"), ("birth_date", "1970-01-01"), ("sex", "F")])
def test_each_attribute_alone_keeps_two_people_apart(field, value):
    other = replace(WANG, **{field: value})
    assert identity_key(WANG) != identity_key(other)
    assert differences(WANG, other) == (field,)


def test_silence_is_no_disagreement():
    assert differences(WANG, PatientFacts()) == ()
    assert differences(WANG, replace(WANG, birth_date="")) == ()


def test_a_readable_name_and_its_mojibake_are_compared_by_what_is_readable():
    assert differences(WANG, replace(WANG, name_as_sent="ÍõÐ¡Ã÷")) == ()


def test_very_long_keys_that_differ_only_at_their_end_stay_apart():
    one, other = replace(WANG, name="王" * 500 + "甲"), replace(WANG, name="王" * 500 + "乙")
    assert identity_key(one) != identity_key(other)
    assert len(identity_key(one)) == LONGEST_KEY


def test_two_readings_of_the_same_unsure_name_are_no_disagreement_and_another_name_is_one():
    """What stands first may change with what is known of the device: a study that began before goes on."""
    began = replace(WANG, name="ﾚﾔｺ6ﾝ", name_unsure=True)
    goes_on = replace(WANG, name="揣秋", name_unsure=True, other_names=("ﾚﾔｺ6ﾝ",))
    assert differences(began, goes_on) == differences(goes_on, began) == ()
    assert differences(began, replace(goes_on, other_names=("ﾚﾔｺ6ﾞ",))) == ("name",)
    assert differences(began, replace(goes_on, patient_id="0002")) == ("patient_id",)
    assert differences(WANG, goes_on) == ("name",)
