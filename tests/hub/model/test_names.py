"""Names compared: what devices make of one name, and what must stay two names."""
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub import rulebook
from hub.model.names import compare, forms, shares_surname

SLOW_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

RULES = rulebook.load().identity.names


def standing(one: str, other: str) -> str:
    return compare(forms(one, RULES), forms(other, RULES))


@pytest.mark.parametrize("one, other, how", [
    ("王小明", "王 小明", "same"), ("王小明", "王小明^^", "same"), ("ＷＡＮＧ ＸＩＡＯＭＩＮＧ", "Wang^XiaoMing", "same"), ("張國榮", "张国荣", "same"),
    ("王小明", "Wang^XiaoMing", "pinyin"), ("王小明", "XIAOMING WANG", "pinyin"), ("单田芳", "Shan^Tianfang", "pinyin"), ("曾庆红", "ZENG QINGHONG", "pinyin"),
    ("吕布", "LYU BU", "pinyin"), ("吕布", "Lü Bu", "pinyin"), ("吕布", "LV BU", "pinyin"), ("尉迟恭", "yuchi gong", "pinyin"), ("李乐", "Li Yue", "pinyin"),
    ("欧阳娜娜", "OUYANG NANA", "pinyin"), ("张伟", "张玮", "homophone"), ("李晓红", "李小红", "homophone"), ("张伟", "张伟明", "one_character"),
    ("王建国", "王建军", "one_character"), ("王小明", "李四", "other"), ("王小明", "Li^Si", "other"), ("王小明", "", "silent"), ("Wang XiaoMing", "Wang XiaoMin", "one_character"),
])
def test_two_ways_to_write_a_name(one, other, how):
    assert standing(one, other) == standing(other, one) == how


def test_a_surname_is_shared_across_scripts():
    assert shares_surname(forms("王小明", RULES), forms("WANG LI", RULES)) and shares_surname(forms("王小明", RULES), forms("王莉", RULES))
    assert not shares_surname(forms("王小明", RULES), forms("汪莉", RULES)) and not shares_surname(forms("欧阳修", RULES), forms("欧文", RULES))


@SLOW_MACHINE
@given(st.text(), st.text())
def test_the_comparison_is_symmetric_and_no_text_breaks_it(one, other):
    assert standing(one, other) == standing(other, one)


@SLOW_MACHINE
@given(st.text())
def test_a_name_is_the_same_as_itself_or_silent(name):
    assert standing(name, name) in ("same", "silent")


def test_the_tables_are_of_one_piece():
    assert len(RULES.readings) > 20_000 and len(RULES.simplified) > 2_500
    for surname in RULES.compound:
        assert all(ch in RULES.readings for ch in surname)
