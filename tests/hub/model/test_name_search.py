"""Names as they are looked for; readings from published pinyin."""
import pytest

from hub.model.name_search import INITIALS, SOUNDED, SOUNDED_LATER, WRITTEN, WRITTEN_LATER, folded, forms, name_fits, sounds
from hub.rulebook import load

RULES = load().identity.names


def kept(*names: str) -> dict[int, set[str]]:
    told: dict[int, set[str]] = {}
    for form, kind in forms(names, RULES):
        told.setdefault(kind, set()).add(form)
    return told


def test_a_chinese_name_is_kept_as_written_as_sounded_and_from_every_character_on():
    assert kept("张三丰") == {WRITTEN: {"张三丰"}, WRITTEN_LATER: {"三丰", "丰"}, SOUNDED: {"zhangsanfeng"}, SOUNDED_LATER: {"sanfeng", "feng"},
                           INITIALS: {"zsf"}}


def test_every_component_group_of_a_name_as_sent_is_kept():
    told = kept("王小明", "WANG^XIAOMING=王^小明")
    assert told[WRITTEN] == {"王小明", "wang xiaoming"} and told[SOUNDED] == {"wangxiaoming"} and "xiaoming" in told[WRITTEN_LATER]


def test_pinyin_in_one_word_is_kept_from_every_syllable_on():
    told = kept("WANG^XIAOMING")
    assert told[INITIALS] == {"wx", "wxm"} and {"xiaoming", "ming"} <= told[SOUNDED_LATER]
    assert kept("O'BRIEN^PAT")[INITIALS] == {"op"}


@pytest.mark.parametrize("name, sound", [
    ("单小单", "shanxiaodan"), ("单雄信", "shanxiongxin"), ("尉迟恭", "yuchigong"), ("万俟卨", "moqixie"), ("吕布", "lvbu"), ("吕布", "lubu"), ("解缙", "xiejin"),
    ("欧阳修", "ouyangxiu"), ("诸葛亮", "zhugeliang"), ("諸葛亮", "zhugeliang"), ("乐嘉", "yuejia"), ("乐嘉", "lejia"),
])
def test_surnames_sound_as_surnames_do(name, sound):
    assert sound in kept(name)[SOUNDED]


def test_a_compound_surname_has_two_initials():
    assert "ycg" in kept("尉迟恭")[INITIALS] and kept("欧阳修")[INITIALS] == {"oyx"}


def test_case_width_carets_blanks_and_tradition_make_no_difference():
    assert folded("ＷＡＮＧ＾Xiao  Ming ", RULES) == "wang xiao ming" and folded("張^三", RULES) == folded("张　三", RULES) == "张三" and folded("张^*", RULES) == "张*"
    assert "lvbu" in sounds("Lü^Bu", RULES) and "lvbu" in sounds("LYU BU", RULES) and sounds("李*", RULES) == ()


def test_tones_make_no_difference_and_digits_that_are_none_stay():
    assert "wangxiaoming" in sounds("Wáng Xiǎo-míng", RULES) and "lvbu" in sounds("Lǚ Bù", RULES) and "wangxiaoming" in sounds("wang2 xiao3ming2", RULES)
    assert sounds("TEST1", RULES) == ("test1",)


@pytest.mark.parametrize("wanted, fit", [("王*", True), ("王^小明", True), ("小明", False), ("*小*", True), ("wang^xiaoming", True), ("WXM", True), ("wang*=王*", True), ("li*=王*", False), ("*", True), ("xiao*", False)])
def test_a_pattern_fits_a_name_as_a_whole(wanted, fit):
    assert name_fits(wanted, ("王小明",), RULES) is fit


def test_every_character_of_gb_2312_has_a_reading():
    characters = [bytes((high, low)).decode("gb2312") for high in range(0xB0, 0xF8) for low in range(0xA1, 0xFF) if not (high == 0xD7 and low > 0xF9)]
    assert len(characters) == 6763
    assert [c for c in characters if c not in RULES.readings] == []


@pytest.mark.parametrize("name", ["", "^^^", "=", "\0", "x" * 5000, "张" * 5000, "👩‍⚕️", "*", "a" * 63 + "张", "aeiou" * 900, "xianan" * 90])
def test_no_name_is_too_strange_to_be_kept(name):
    assert all(0 < len(form) <= 64 for form, _ in forms((name,), RULES)) and len(forms((name,), RULES)) <= 48
