"""The registrar's desk and what the other desks show of it: one person over institutions, warnings, the tray of the nameless."""
import re

import pytest

from hub.flow import identity, persons, studies, tray
from hub.model.access import SYSTEM
from hub.model.identifiers import PHONE, Said
from tests.reading_ui.county import ecg_csv
from tests.reading_ui.house import opened

CARD = "11010519491231002X"


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("patients")) as made:
        made.reader, made.reviewer, made.clinic = made.enter("chen"), made.enter("zhou"), made.enter("qs")
        yield made


def came(house, site="QS", said=(), **more) -> tuple[int, int]:
    """A study that is identified: its id and its patient's row."""
    study_id = house.county.study(site, **more)
    identity.identify(house.hub, study_id, tuple(said))
    return study_id, studies.find(house.hub, SYSTEM, study_id).patient_id


def test_a_reader_opens_the_old_ct_of_another_institution_beside_and_a_clinic_does_not(house):
    here, _ = came(house, patient="刘桂兰", number=CARD, sex="F", age="", pixels=True)
    there, _ = came(house, "BX", patient="LIU GUILAN", number="BX88", sex="F", age="", pixels=True, said=[Said(CARD, "OtherPatientIDs")])
    page = house.reader.get(f"/studies/{here}").text
    assert f"/studies/{here}/beside/{there}" in page and "白溪镇卫生院" in page
    beside = house.reader.get(f"/studies/{here}/beside/{there}")
    assert beside.status_code == 200 and f"/studies/{there}?alone=1" in beside.text and "frame-src 'self'" in beside.headers["Content-Security-Policy"]
    assert f"/studies/{there}" not in house.clinic.get(f"/studies/{here}").text
    assert house.clinic.get(f"/studies/{here}/beside/{there}").status_code == 404


def test_two_peoples_studies_are_never_put_side_by_side(house):
    one, _ = came(house, patient="丁一", number="D1")
    other, _ = came(house, patient="丁二", number="D2")
    assert house.reader.get(f"/studies/{one}/beside/{other}").status_code == 404


def test_a_suggestion_is_compared_and_merged_with_a_reason_and_parted_again(house):
    _, one = came(house, patient="高秀英", number="G1", sex="F")
    _, other = came(house, "BX", patient="高秀英", number="G2", sex="F", said=[Said("Y7788", "InsurancePlanIdentification", "", "insurance")])
    with house.hub.writing() as connection:
        identity.learn(house.hub, connection, one, [Said("Y7788", "OtherPatientIDs", "医保")])
    listed = house.reviewer.get("/patients").text
    address = re.search(r"/patients/\d+/beside/\d+", listed)[0]
    assert "医保号相同" in listed and "高秀英" in listed
    compared = house.reviewer.get(address).text
    assert "G1" in compared and "G2" in compared and "是同一人，合并" in compared
    assert "是同一人，合并" not in house.reader.get(address).text
    merge = address.replace("beside", "merge")
    assert house.reviewer.post(merge, why=" ").status_code == 400
    assert house.reviewer.post(merge, why="电话核实").status_code == 302
    page = house.admin.get(f"/patients/{one}").text
    assert "2 条机构记录为同一患者" in page and "电话核实" in page and "周主任" in page
    assert house.admin.post(f"/patients/{other}/split", words="核对证件为两人", back=str(one)).status_code == 302
    page = house.admin.get(f"/patients/{one}").text
    assert "未与其他记录关联" in page and "核对证件为两人" in page
    assert {"person.merge", "person.split", "person.compare", "person.view"} <= set(house.actions())


def test_a_merge_over_two_cards_asks_for_the_reason_of_crossing(house):
    _, one = came(house, patient="何平", number="53010019490101001X", sex="")
    _, other = came(house, patient="何平", number="440524188001010014", sex="")
    page = house.reviewer.get(f"/patients/{one}/beside/{other}").text
    assert 'name="across"' in page and "身份证号不同" in page
    answer = house.reviewer.post(f"/patients/{one}/merge/{other}", why="看着像")
    assert answer.status_code == 403 and "写明依据" in answer.text and "看着像" in answer.text
    assert house.reviewer.post(f"/patients/{one}/merge/{other}", why="看着像", across="户籍证明").status_code == 302


def test_a_declined_pair_leaves_the_list(house):
    said = [Said("Z555", "OtherPatientIDs", "医保")]
    _, one = came(house, patient="宋梅", number="S1", said=said)
    _, other = came(house, "BX", patient="宋梅", number="S2", said=said)
    pair = next(row for row in persons.suggestions(house.hub, SYSTEM)[0] if {row.one_id, row.other_id} == {one, other})
    assert house.reviewer.post(f"/patients/pairs/{pair.id}/decline", words="电话核实为两人").status_code == 302
    assert "宋梅" not in house.reviewer.get("/patients").text


@pytest.mark.parametrize("typed", ["欧阳", "ouyang", "oyxc", "13900139000"])
def test_the_region_is_searched_by_name_pinyin_and_number(house, typed):
    if not persons.search(house.hub, SYSTEM, "欧阳小春"):
        came(house, patient="欧阳小春", number="OY1", said=[Said("13900139000", "PatientTelephoneNumbers", "", PHONE)])
    assert "欧阳小春" in house.reader.get("/patients/search", query_string={"text": typed}).text
    assert "person.search" in house.actions()
    assert house.clinic.get("/patients/search?text=x").status_code == 403


def test_namesakes_are_warned_of_on_every_desk_that_names_them(house):
    one, _ = came(house, patient="田大力", number="T1")
    came(house, patient="田大力", number="T2", age="031Y")
    for page in (house.reader.get("/worklist?text=田大力").text, house.clinic.get("/clinic?text=田大力").text):
        assert page.count("同名患者") >= 2
    assert "同名患者" in house.reader.get(f"/studies/{one}").text and "T2" in house.reader.get(f"/studies/{one}").text


def test_a_nameless_study_is_assigned_on_the_page_and_given_back(house):
    study_id, _ = came(house, patient="无名氏", number="000000")
    _, known = came(house, patient="邓强", number="DQ7")
    assert "身份未识别" in house.reader.get("/worklist?text=无名氏").text
    assert f"/patients/unidentified/{study_id}" in house.admin.get("/patients/unidentified").text
    page = house.admin.get(f"/patients/unidentified/{study_id}", query_string={"text": "dengq"}).text
    assert f'value="{known}"' in page and "000000" in page
    assert house.admin.post(f"/patients/unidentified/{study_id}/assign", patient="", why="家属确认").status_code == 400
    assert house.admin.post(f"/patients/unidentified/{study_id}/assign", patient=str(known), why="家属确认").status_code == 302
    assert "邓强" in house.reader.get(f"/studies/{study_id}").text
    assert "家属确认" in house.admin.get("/patients/assigned").text
    assert house.reader.get("/patients/unidentified").status_code == 200 and house.clinic.get("/patients/unidentified").status_code == 403
    standing = tray.one(house.hub, SYSTEM, study_id)[2]
    assert house.admin.post(f"/patients/assignments/{standing.id}/undo", words="认错").status_code == 302
    assert "无名氏" in house.reader.get(f"/studies/{study_id}").text


def test_a_wrong_card_is_said_and_what_was_typed_stays(house):
    study_id, _ = came(house, patient="", number="0")
    answer = house.admin.post(f"/patients/unidentified/{study_id}/assign-new", name="范小红", card="110105194912310021", why="家属来电")
    assert answer.status_code == 400 and "校验位不符" in answer.text and "范小红" in answer.text and "家属来电" in answer.text
    assert house.admin.post(f"/patients/unidentified/{study_id}/assign-new", name="范小红", card=CARD, why="家属来电").status_code == 302
    assert studies.find(house.hub, SYSTEM, study_id).birth_date == "1949-12-31"


def test_a_number_is_entered_by_a_person_and_checked(house):
    _, one = came(house, patient="钱进", number="Q1")
    assert house.admin.post(f"/patients/{one}/identifiers", kind="resident_id", number="110105194912310021").status_code == 400
    assert house.admin.post(f"/patients/{one}/identifiers", kind="insurance", number="A998877").status_code == 302
    assert "a998877" in house.admin.get(f"/patients/{one}").text


def test_an_ecg_is_compared_with_the_persons_previous_one_of_another_institution(house):
    """Days apart, at two institutions, under one card: a reader is shown both, a clinic its own alone."""
    more = dict(patient="郑丽", number=CARD, kind="ecg", modality="ECG", slices=1, sex="F", age="")
    before, _ = came(house, "BX", files=[ecg_csv(bpm=60)], study_at="2026-01-05T08:00:00", **more)
    now, _ = came(house, files=[ecg_csv(bpm=95)], **more)
    page = house.reader.get(f"/ecgs/{now}").text
    assert "与前次心电图比较" in page and "心率 60→95" in page and f"/studies/{now}/beside/{before}" in page
    assert "白溪镇卫生院" in house.reader.get(f"/ecgs/{now}/compare").text
    assert "与前次心电图比较" not in house.clinic.get(f"/ecgs/{now}").text


def test_the_desk_speaks_english(house):
    browser = house.enter("wu")
    assert "待确认的匹配" in browser.get("/patients").text
    browser.post("/language", language="en", next="/patients")
    assert "Matches to decide" in browser.get("/patients").text and "待确认" not in browser.get("/patients").text


def test_the_administrator_sees_who_somebody_is_but_no_way_to_images(house):
    study_id, one = came(house, patient="贺强", number="HQ1")
    assert f"/studies/{study_id}" not in house.admin.get(f"/patients/{one}").text
    assert f"/studies/{study_id}" in house.reviewer.get(f"/patients/{one}").text
