"""Names in wrong character sets: a generated corpus, real European names, the standard's own examples."""
import random
from collections import Counter
from io import BytesIO

import pydicom
import pytest
from pydicom.data import get_charset_files
from pydicom.dataset import Dataset

from dicom_gateway.charset import (
    Decoded, declared_sets, patient_attributes, person_name, read_text,
)  # fmt: skip
from hub.model.person_name import name_shown
from tests.dicom_gateway.raw import wire

# Independent of the shipped table: the most frequent surnames of a 2007 ranking, rare ones that the
# table does not hold, compound and traditional ones.
SURNAMES = (
    "王李张刘陈杨黄赵周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏"
    "钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段漕钱汤尹黎易常武乔贺赖龚文仝佘逯揣呙覃陳張劉黃趙"
)
COMPOUND = ("欧阳", "司马", "诸葛", "上官", "皇甫", "尉迟")
GIVEN = (
    "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂兰红玉梅建华国文辉力斌宇浩凯秋雪婷慧莹丹萍琳晶欣倩春晨阳佳嘉子轩雨涵"
    "梓思睿博俊豪鑫瑞龙飞鹏海波峰志新云莲珍贞莉凤洁素真荣爱妹香月莺媛瑾颖露瑶怡婵雁蓓纨仪荷蓉眉君琴蕊薇菁梦岚苑婕馨瑗琰韵"
    "融园艺咏卿聪澜纯毓悦昭冰爽琬茗羽希宁玥彧珺琪璐熠烨晗昊旻旭晟翔骏煜燊喆堃淼垚焱骁二大小三五长生福贵根发财有才来顺"
)
DECLARED = {
    "gb18030": (["ISO_IR 100"], [], ["ISO_IR 192"], ["ISO_IR 6"], ["", "ISO 2022 IR 58"], ["ISO 2022 IR 6"]),
    "utf-8": (["ISO_IR 100"], [], ["GB18030"], ["GBK"], ["", "ISO 2022 IR 58"], ["ISO 2022 IR 6"]),
}


def names(count: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        surname = chance.choice(COMPOUND) if chance.random() < 0.03 else chance.choice(SURNAMES)
        given = "".join(chance.choice(GIVEN) for _ in range(chance.choice((1, 2, 2))))
        made.append(f"{surname}{chance.choice(('', '^'))}{given}")
    return made


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_of_thousands_of_misdeclared_names_99_in_100_are_repaired_and_none_is_wrong_unmarked(encoding):
    count = Counter()
    for declared in DECLARED[encoding]:
        for name in names(1000, seed=11):
            found = read_text(name.encode(encoding), declared)
            right, marked = found.text == name, found.unsure
            assert right or marked, (name, declared, found)
            assert found.declared_wrong or marked or declared[-1:] == ["ISO 2022 IR 58"]
            count["repaired" if right and not marked else "marked"] += 1
    assert count["repaired"] / count.total() >= 0.99, count


# GB 2312 in the order of the standard: the 3,755 common characters and the 3,008 rarer ones; and characters of four bytes.
COMMON, RARER = ([bytes((row, cell)).decode("gb2312") for row in rows for cell in range(0xA1, 0xFF) if (row, cell) < (0xD7, 0xFA) or row > 0xD7]
                 for rows in (range(0xB0, 0xD8), range(0xD8, 0xF8)))
OF_FOUR_BYTES = [one for one in map(chr, [*range(0x3400, 0x4DB5, 37), *range(0x20000, 0x2A6DE, 311), *range(0x2A700, 0x2EBE0, 173)])
                 if len(one.encode("gb18030")) == 4]
BORNE = "㛃㙦㵑㸌㬎𬭎𫍯𬍛𫖮𫖯𬀩𬱖𬞟𬬭𬴂𫓧𬣳𫇭𬭩𫘦𬸚𬤇𬬮𫍽𬘭𬊈𬒈𬍤𬇙𫵷𫰛𫄷𠮷"      # of four bytes in GB18030, and in people's names


def names_of(characters, count: int, seed: int) -> list[str]:
    """Names whose given name is of any of ``characters``, be it ever so rare."""
    chance = random.Random(seed)
    return [f"{chance.choice(COMPOUND if chance.random() < 0.03 else SURNAMES)}{chance.choice(('', '^'))}{''.join(chance.choices(characters, k=chance.choice((1, 2))))}"
            for _ in range(count)]


@pytest.mark.parametrize("characters, least", [(COMMON, 0.99), (RARER, 0.99), (OF_FOUR_BYTES, 0.99)], ids=["common", "rarer", "four bytes"])
def test_given_names_of_any_character_are_repaired_or_marked(characters, least):
    count = Counter()
    for encoding, sets in DECLARED.items():
        for number, declared in enumerate(sets):
            for name in names_of(characters, 300, seed=31 + number):
                found = read_text(name.encode(encoding), declared)
                assert found.text == name or found.unsure, (name, declared, found)
                count["repaired" if found.text == name and not found.unsure else "marked"] += 1
    assert count["repaired"] / count.total() >= least, count


def rare_names(count: int, seed: int) -> list[str]:
    """A surname, and one rare character alone, before or after a common one."""
    chance = random.Random(seed)
    parts = [(chance.choice(SURNAMES), chance.choice(("", "^")), chance.choice(BORNE), chance.choice(GIVEN)) for _ in range(count)]
    return [surname + caret + chance.choice((rare, rare + common, common + rare)) for surname, caret, rare, common in parts]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_one_rare_character_in_a_name_is_no_reason_for_doubt(encoding):
    for declared in (*DECLARED[encoding], ["GB18030"], ["ISO_IR 192"]):
        for name in ["王䶮", "李𫖮", "张㛃", "刘^𬭎", *rare_names(250, seed=9)]:
            found = read_text(name.encode(encoding), declared)
            assert (found.text, found.unsure) == (name, False), (declared, found)


@pytest.mark.parametrize("encoding, least", [("gb18030", 0.97), ("utf-8", 0.95)])
def test_rare_characters_under_the_character_set_of_the_factory_are_right_and_never_wrong_unmarked(encoding, least):
    count = Counter()
    for declared in ("ISO_IR 13", "ISO_IR 101", "ISO_IR 126", "ISO_IR 144", "ISO_IR 166"):
        for name in [*rare_names(200, seed=17), *names_of(OF_FOUR_BYTES, 200, seed=18)]:
            found = read_text(name.encode(encoding), [declared])
            assert found.text == name or found.unsure and name in [text for _, text in found.candidates], (declared, name, found)
            count[found.text == name] += 1
    assert count[True] / count.total() >= least, count


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_names_of_nothing_but_rare_characters_are_right_or_marked(encoding):
    chance = random.Random(3)
    for declared in DECLARED[encoding]:
        for name in ["".join(chance.choices(OF_FOUR_BYTES, k=chance.choice((1, 2, 3)))) for _ in range(300)]:
            found = read_text(name.encode(encoding), declared)
            assert found.text == name or found.unsure, (declared, name, found)


@pytest.mark.parametrize("declared", [[], ["ISO_IR 100"], ["GB18030"], ["ISO_IR 192"]])
def test_simplified_names_whose_bytes_are_a_rare_character_in_utf_8_are_right_or_marked(declared):
    """Two characters of GB 2312, the first of its last rows, are four bytes that UTF-8 reads as one character."""
    firsts, seconds = [one for one in RARER if one.encode("gb2312")[0] == 0xF0], [one for one in COMMON if max(one.encode("gb2312")) < 0xC0]
    given = [one for one in (a + b for a in firsts for b in seconds) if len(one.encode("gb2312").decode("utf-8", "ignore")) == 1]
    assert "皓安" in given and len(given) > 5000
    for name in [surname + two for surname in ("", "毛", "涂", "苏") for two in given[::11]]:
        found = read_text(name.encode("gb18030"), declared)
        assert found.text == name or found.unsure, (declared, name, found)


@pytest.mark.parametrize("declared", [[], ["ISO_IR 100"], ["GB18030"], ["ISO_IR 192"]])
def test_three_simplified_characters_whose_bytes_are_two_characters_in_utf_8_are_right_or_marked(declared):
    """Also where UTF-8 reads a surname and a given name: 璧靛渤 and 赵岳, 骞冲挤 and 平強 are the same bytes."""
    firsts = [one for one in RARER if 0xE4 <= one.encode("gb2312")[0] <= 0xE9 and one.encode("gb2312")[1] < 0xC0]
    seconds = [one for one in COMMON if one.encode("gb2312")[0] < 0xC0 and 0xE4 <= one.encode("gb2312")[1] <= 0xE9]
    thirds = [one for one in COMMON if max(one.encode("gb2312")) < 0xC0]
    chance, found = random.Random(8), Counter()
    heads = [a + b for a in firsts for b in seconds]
    surnamed = [one for one in heads if one.encode("gb2312")[:3].decode() in SURNAMES]
    for name in ["璧靛渤", "骞冲挤", *(chance.choice(some) + chance.choice(thirds) for some in (heads, surnamed) for _ in range(2500))]:
        assert len(name.encode("gb2312").decode("utf-8")) == 2
        told = read_text(name.encode("gb18030"), declared)
        assert told.text == name or told.unsure and name in [text for _, text in told.candidates], (declared, name, told)
        found[told.text == name] += 1
    assert found[False] > 1000, "nothing was put to the test"


@pytest.mark.parametrize("declared", [["ISO_IR 192"], [], ["ISO_IR 100"], ["GB18030"]])
def test_ordinary_names_in_utf_8_are_not_marked(declared):
    """Hardly any: two characters can be three of GB 2312 in the same bytes, three only under a surname that hardly anybody bears."""
    count = Counter()
    for name in names(4000, seed=77):
        told = read_text(name.encode(), declared)
        assert told.text == name
        count[len(name.replace("^", "")), told.unsure] += 1
    assert count[2, True] <= 0.03 * count[2, False] and count[3, True] <= 0.001 * count[3, False], count


def test_a_character_for_private_use_is_marked():
    """Hospitals drew characters of their own before GB18030 had them; nobody else's fonts show them."""
    assert read_text("王\ue000明".encode("gb18030"), ["GB18030"]).unsure and read_text("王\ue000明".encode(), ["ISO_IR 192"]).unsure


@pytest.mark.parametrize("declared", ["ISO_IR 100", "", "ISO_IR 192", "GB18030", "ISO_IR 13"])
def test_names_with_escape_sequences_are_read_whatever_is_declared(declared):
    for name in names_of(COMMON + RARER, 500, seed=5):
        if any(one in name for one in "仝呙張陳劉黃趙喆垚焱"):
            continue                                    # not in GB 2312, or its own test
        raw = b"^".join(b"\x1b$)A" + part.encode("gb2312") for part in name.split("^"))
        found = read_text(raw, [declared] if declared else [])
        assert (found.text, found.unsure) == (name, False)


@pytest.mark.parametrize("declared", ["ISO_IR 13", "ISO_IR 101", "ISO_IR 127", "ISO_IR 144", "ISO_IR 148", "ISO_IR 166"])
def test_chinese_under_the_character_set_of_the_devices_factory_is_right_or_marked(declared):
    """A Japanese scanner that was set up for Japan writes ISO_IR 13 over Chinese names."""
    for encoding in ("gb18030", "utf-8"):
        for name in names_of(COMMON + RARER, 600, seed=41):
            found = read_text(name.encode(encoding), [declared])
            assert found.text == name or (found.unsure and name in [text for _, text in found.candidates]), (name, found)


@pytest.mark.parametrize("name", ["ﾔﾏﾀﾞ^ﾀﾛｳ", "ﾀﾅｶ^ﾊﾅｺ", "ｽｽﾞｷ^ｲﾁﾛｳ"])
def test_katakana_of_a_japanese_patient_stays_first(name):
    assert read_text(name.encode("shift_jis"), ["ISO_IR 13"]).text == name


@pytest.mark.parametrize("encoding, declared", [("gb18030", "GB18030"), ("gb18030", "GBK"), ("utf-8", "ISO_IR 192")])
def test_rightly_declared_names_are_not_called_wrong(encoding, declared):
    for name in names(1500, seed=23):
        found = read_text(name.encode(encoding), [declared])
        assert found.text == name and not found.declared_wrong


FIRST = (
    "José María Renée Zoë Jürgen Jörg Björn Åsa Øyvind Íñigo François Chloé Noël Céline Anaïs Sören Günther Käthe Ángel "
    "Óscar Raúl Sofía Inês João Conceição Håkon Þór Guðrún Sigríður Æsa Élodie Hélène Léa Aloïs Seán André Núria "
    "Ramón Jesús Úrsula Désirée Benoît Gaël Rosário Estêvão Sæunn Søren Jørgen Kåre"
).split()
LAST = (
    "Müller Möller Schäfer Köhler Groß Weiß Strauß Jäger Schröder Peña Núñez García Hernández López Pérez Sánchez Gómez "
    "Ibáñez Muñoz Gonçalves Simões Guimarães Araújo Magalhães Lefèvre Côté Lévêque Gagné Åkesson Öberg Ångström Östlund "
    "Sjöberg Ødegård Bjørnstad Kjær Nørgaard Sørensen Ægisson Þórsson Özil Château Séguéla Crémière Bäcker"
).split()


@pytest.mark.parametrize("declared", [["ISO_IR 100"], [], ["GB18030"], ["ISO_IR 192"]])
def test_european_names_stay_as_they_are(declared):
    count = Counter()
    for last in LAST:
        for first in FIRST:
            for name in (f"{last}^{first}", f"{last}^{first}".upper()):
                found = read_text(name.encode("latin-1"), declared)
                assert found.text == name, found
                count["marked" if found.unsure else "sure"] += 1
    assert count["sure"] / count.total() >= 0.99, count


def test_european_names_sent_as_utf_8_under_latin_1_are_repaired():
    for name in [f"{last}^{first}" for last in LAST for first in FIRST[:8]]:
        found = read_text(name.encode("utf-8"), ["ISO_IR 100"])
        assert found.text == name and found.declared_wrong


@pytest.mark.parametrize(
    "file, expected",
    [
        ("chrArab.dcm", "قباني^لنزار"),
        ("chrFren.dcm", "Buc^Jérôme"),
        ("chrGerm.dcm", "Äneas^Rüdiger"),
        ("chrGreek.dcm", "Διονυσιος"),
        ("chrH31.dcm", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("chrH32.dcm", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
        ("chrHbrw.dcm", "שרון^דבורה"),
        ("chrI2.dcm", "Hong^Gildong=洪^吉洞=홍^길동"),
        ("chrRuss.dcm", "Люкceмбypг"),
        ("chrX1.dcm", "Wang^XiaoDong=王^小東="),
        ("chrX2.dcm", "Wang^XiaoDong=王^小东="),
    ],
)
def test_the_examples_of_the_standard_are_read_as_declared(file, expected):
    """PS3.5 Annexes H, I, J and the sample files of David Clunie bundled with pydicom."""
    found = person_name(pydicom.dcmread(get_charset_files(file)[0]))
    assert (found.text, found.declared_wrong, found.unsure) == (expected, False, False)


def test_gb2312_by_escape_sequences_is_read_even_where_it_is_not_declared():
    """PS3.5 K.2: Zhang^XiaoDong with ISO 2022 IR 58."""
    raw = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="
    right = read_text(raw, ["", "ISO 2022 IR 58"])
    assert (right.text, right.declared_wrong) == ("Zhang^XiaoDong=张^小东=", False)
    wrong = read_text(raw, ["ISO_IR 100"])
    assert (wrong.text, wrong.declared_wrong, wrong.unsure) == ("Zhang^XiaoDong=张^小东=", True, False)


def test_a_character_beyond_gb2312_after_its_escape_sequence_is_read_as_gb18030():
    found = read_text(b"\x1b$)A" + "王珺喆".encode("gb18030"), ["", "ISO 2022 IR 58"])
    assert found.text == "王珺喆"


def test_component_groups_are_decoded_together_and_shown_by_their_ideographs():
    raw = "Wang^Xiaoming=王^小明=".encode("gb18030")
    found = read_text(raw, ["ISO_IR 100"])
    assert found.text == "Wang^Xiaoming=王^小明=" and found.declared_wrong
    assert name_shown(found.text) == "王小明"
    assert name_shown("Müller^Jürgen^^Dr.") == "Müller Jürgen Dr."
    assert name_shown("=王^小明") == "王小明"
    assert name_shown("阿卜杜拉·买买提") == "阿卜杜拉·买买提"
    assert name_shown("^^==") == ""


def test_plain_ascii_is_never_doubted():
    for declared in ([], ["GB18030"], ["NONSENSE"], ["ISO_IR 13"]):
        assert read_text(b"WANG^XIAOMING  ", declared) == Decoded("WANG^XIAOMING", "ascii")


def test_bytes_that_are_no_text_are_marked_and_do_not_raise():
    chance = random.Random(4)
    for _ in range(500):
        raw = chance.randbytes(chance.randrange(1, 40))
        for declared in ([], ["ISO_IR 192"], ["GB18030"], ["", "ISO 2022 IR 87"], ["???"]):
            assert isinstance(read_text(raw, declared).text, str)
    assert read_text(b"\xff\xff\xff\x80", ["ISO_IR 192"]).unsure


@pytest.mark.parametrize("name", ["趙鑫", "黃香"])
def test_a_name_that_reads_almost_as_well_as_latin_is_marked_with_both_readings(name):
    found = read_text(name.encode("gb18030"), ["ISO_IR 100"])
    assert found.unsure
    assert {text for _, text in found.candidates} == {name, name.encode("gb18030").decode("latin-1")}


def test_one_lonely_character_is_marked_or_right():
    for name in "王李佘仝":
        found = read_text(name.encode("gb18030"), ["ISO_IR 100"])
        assert found.text == name or found.unsure


def sent(name: bytes, declared: str | None, **more: bytes) -> Dataset:
    """A dataset as it comes from the wire, its elements still raw."""
    sets = {} if declared is None else {"SpecificCharacterSet": declared.encode()}
    return pydicom.dcmread(BytesIO(wire(PatientName=name, **sets, **more)))


@pytest.mark.parametrize("touched", [False, True])
def test_a_name_is_read_from_its_bytes_and_the_dataset_is_not_changed(touched):
    dataset = sent("王^小明".encode("gb18030"), "ISO_IR 100")
    if touched:
        assert str(dataset.PatientName) == "Íõ^Ð¡Ã÷"
    found = person_name(dataset)
    assert (found.text, found.encoding_used, found.declared_wrong) == ("王^小明", "gb18030", True)
    assert str(dataset.PatientName) == "Íõ^Ð¡Ã÷"
    assert declared_sets(dataset) == ["ISO_IR 100"]


@pytest.mark.parametrize("declared", ["ISO_IR 192", None])
def test_a_description_already_read_by_pydicom_is_still_repaired_where_the_bytes_can_be_had(declared):
    dataset = sent("王小明".encode("gb18030"), declared)
    assert person_name(dataset).text == "王小明"


def test_a_text_whose_bytes_were_lost_before_is_marked():
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = "王\ufffd明"
    assert person_name(dataset).unsure


def test_a_sure_description_settles_a_doubtful_name():
    doubtful = next(
        name for name in (a + b for a in "佘仝揣呙郗" for b in GIVEN)
        if read_text(name.encode("gb18030"), ["ISO_IR 100"]).unsure
    )  # fmt: skip
    alone = patient_attributes(sent(doubtful.encode("gb18030"), "ISO_IR 100"))
    assert alone["PatientName"].unsure
    more = {"InstitutionName": "县人民医院放射科".encode("gb18030")}
    together = patient_attributes(sent(doubtful.encode("gb18030"), "ISO_IR 100", **more))
    assert together["PatientName"].text == doubtful
    assert not together["PatientName"].unsure and together["PatientName"].declared_wrong
    assert together["InstitutionName"].text == "县人民医院放射科"
