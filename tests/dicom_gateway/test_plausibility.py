"""The evidence behind decoding: surnames as published, characters as the national standard ranks them."""
import pytest

from dicom_gateway.plausibility import character_weight, score_cjk, score_single_byte, surnames


def test_the_surnames_are_the_hundred_of_the_national_report_and_further_ones():
    """The report of 2020 names 王李张刘陈 as the first five and 欧阳 as the most frequent compound surname."""
    weights = surnames()
    assert all(weights[name] == 3.0 for name in "王李张刘陈常向孔")
    assert sum(weight == 3.0 for weight in weights.values()) == 100
    assert weights["欧阳"] > weights["王"] > weights["汤"] > 0
    assert len(weights) > 350


@pytest.mark.parametrize("name, shuffled", [("王佳", "佳王"), ("欧阳伟", "伟阳欧"), ("汤丽", "丽汤")])
def test_a_name_that_begins_with_a_surname_is_likelier_than_the_same_characters_otherwise(name, shuffled):
    assert score_cjk(name, "gb18030") > score_cjk(shuffled, "gb18030")


def test_common_characters_weigh_more_than_rare_ones():
    """GB/T 2312: 啊 is the first of level 1, 齄 the last of level 2; 喆 is in neither nor in Big5 level 1."""
    assert character_weight("啊") == 1.0
    assert character_weight("齄") == 0.4
    assert character_weight("喆") < character_weight("龜") < 1.0
    assert character_weight("é") < 0


def test_single_accents_are_likely_and_runs_of_signs_are_not():
    assert score_single_byte("Müller^Jürgen", specific=False) > 3
    assert score_single_byte("王小明".encode("gb18030").decode("latin-1"), specific=False) < 0
