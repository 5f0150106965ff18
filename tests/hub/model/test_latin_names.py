"""Chinese in Latin letters: names as passports and dictionaries read them."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.model.names import latin_name, latin_text, name_parts, same_letters
from hub.rulebook import load

RULES = load().identity.names


@pytest.mark.parametrize("name, latin", [
    ("张三", "ZHANG^SAN"), ("曾小明", "ZENG^XIAOMING"), ("单雄信", "SHAN^XIONGXIN"), ("欧阳娜", "OUYANG^NA"), ("长孙无忌", "ZHANGSUN^WUJI"), ("尉迟恭", "YUCHI^GONG"),
    ("万俟卨", "MOQI^XIE"), ("吕布", "LV^BU"), ("张 三", "ZHANG^SAN"), ("買買提·艾力", "MAIMAITI^AILI"), ("Li Lei", "LI^LEI"), ("欧阳", "OU^YANG"), ("仇和", "QIU^HE")])
def test_a_name_is_read_as_its_bearer_reads_it(name, latin):
    assert latin_name(name, RULES) == latin


def test_surname_and_given_name_are_told_apart():
    assert name_parts("诸葛亮", RULES) == ("诸葛", "亮") and name_parts("王小二", RULES) == ("王", "小二")
    assert name_parts("John", RULES) == name_parts("李", RULES) == ("", "")


@pytest.mark.parametrize("one, other", [("ZHANG^SAN", "zhang san"), ("ZHANG^SAN", "SAN ZHANG"), ("LV^BU", "LYU BU"), ("LV^BU", "LÜ^BU"), ("XI^AN", "XIAN")])
def test_the_same_name_is_the_same_however_it_is_written(one, other):
    assert same_letters(one, other) and same_letters(other, one)


@pytest.mark.parametrize("one, other", [("ZHANG^SAN", "ZHANG^SI"), ("", ""), ("ZHANG", "CHANG"), ("123", "456")])
def test_other_names_are_others(one, other):
    assert not same_letters(one, other)


@given(st.text(max_size=60))
def test_any_text_becomes_printable_ascii(text):
    assert all(" " <= ch <= "~" for ch in latin_text(text, RULES) + latin_name(text, RULES))
