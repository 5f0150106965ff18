"""All who are called alike, in the order of their studies: the newest page is read where it stands, and nobody is left out."""
import random
from dataclasses import replace

import pytest
from sqlalchemy import func, select, text, update

from hub.flow import decisions, identity, repairs, studies, tray, worklist
from hub.flow.repairs import Wanted
from hub.flow.worklist import Filters
from hub.model.arrival import PatientFacts
from hub.model.name_search import LITERAL, SOUND, Heading, heading, surname_asked
from hub.model.person_name import name_shown
from hub.rulebook import load
from hub.storage import search
from hub.storage.search import Match
from hub.storage.tables import held, patient, reading, report, study
from tests.hub.arrivals import PATIENT, close_and_prepare, ecg_facts, queued_ct, rows, send, send_ct, signed_report, slice_facts

NAMES = ["王小明", "王^芳", "汪洋", "张三", "张伟", "欧阳^修", "欧文", "WANG^XIAOMING", "Wang^Fang=王^芳", "ZHANG^SAN=张^三=", "zhao^yun", "小王", ""]


def person(number: int, name: str) -> PatientFacts:
    return replace(PATIENT, patient_id=f"P{number:04}", name=name_shown(name), name_as_sent=name)


def uids(hub, actor, pattern: str, limit: int = 100, offset: int = 0, likeness: str = LITERAL, **more) -> list[str]:
    matches = [Match("patient_name", (pattern,), likeness=likeness), *(Match(field, (value,)) for field, value in more.items())]
    return [row.study_uid for row in studies.matching(hub, actor, "study", matches, limit, offset)]


def told_apart(hub) -> int:
    """How many studies and readings stand under another heading than their patient's, or under none."""
    with hub.reading() as connection:
        return connection.scalar(select(func.count()).select_from(study).join(patient, patient.c.id == study.c.patient_id)
                                 .where((study.c.head != patient.c.head) | study.c.head.is_(None))) + connection.scalar(
            select(func.count()).select_from(reading).join(patient, patient.c.id == reading.c.patient_id)
            .where((reading.c.head != patient.c.head) | (reading.c.sound != patient.c.sound) | reading.c.head.is_(None) | reading.c.sound.is_(None)))


@pytest.mark.parametrize("name, character, sound", [
    ("王小明", "王", "wang"), ("王^小^明", "王", "wang"), ("歐陽修", "欧", "ouyang"), ("曾国藩", "曾", "zeng"), ("单田芳", "单", "shan"), ("WANG^XIAOMING", "w", "wang"), ("吕^布", "吕", "lv"),
    ("O'Brien^Pat", "o", "obrien"), ("１００", "1", "100"), ("", "", ""), ("^", "", ""), ("=王^芳", "王", "wang")])
def test_a_name_stands_under_its_first_character_and_the_usual_sound_of_its_surname(name, character, sound):
    assert heading((name, name), load().identity.names) == Heading(character, sound)


@pytest.mark.parametrize("typed, asked", [("王", Heading("王", "wang")), (" 張 ", Heading("张", "zhang")), ("Wang", Heading("", "wang")), ("wang2", Heading("", "wang")),
                                          ("王小", None), ("wang xiao", None), ("w*g", None), ("", None), ("*", None)])
def test_one_character_or_one_word_may_be_a_surname(typed, asked):
    assert surname_asked(typed, load().identity.names) == asked


@pytest.mark.parametrize("few, looked_up, noted, near", [(300, 6, 15, 20_000), (0, 6, 15, 20_000), (0, 0, 15, 20_000), (0, 0, 0, 20_000), (0, 0, 15, 1), (0, 0, 0, 1), (1, 10**6, 10**6, 1)], ids=str)
def test_a_beginning_finds_the_same_studies_in_the_same_order_by_whatever_way(hub, county, few, looked_up, noted, near, monkeypatch):
    chance = random.Random(3)
    sent = []
    for number in range(40):
        name, kind = chance.choice(NAMES), chance.choice(("image", "image", "waveform", "ecg"))
        uid, who = f"1.2.{number + 1}", person(NAMES.index(name), name)
        facts = {"image": slice_facts(1, uid, patient=who), "ecg": ecg_facts(uid, patient=who), "waveform": replace(ecg_facts(uid, patient=who), format="dicom")}[kind]
        send(hub, chance.choice((county.ct, county.other_ct)), facts)
        if kind != "ecg":
            sent.append((uid, name))
    for name, value in (("FEW", few), ("LOOKED_UP", looked_up), ("LOOKED_UP_HEADED", looked_up), ("NOTED", noted), ("NEAR", near), ("NEAR_A_HIT", 0)):
        monkeypatch.setattr(search, name, value)
    for begin in ("王", "张", "欧", "汪", "小", "李", "王小", "欧阳"):
        wanted = [uid for uid, name in reversed(sent) if any(group.replace("^", "").startswith(begin) for group in name.split("="))]
        for likeness in (LITERAL, SOUND):
            assert uids(hub, county.reader, f"{begin}*", likeness=likeness) == wanted, begin
            assert [uid for at in range(0, len(wanted) + 2, 2) for uid in uids(hub, county.reader, f"{begin}*", 2, at, likeness)] == wanted, begin
        assert uids(hub, county.reader, f"{begin}*", modality="CT") == [uid for uid in wanted if uid in uids(hub, county.reader, "*", modality="CT")]
    for begin in ("w", "z", "wang", "zhang", "o"):
        assert uids(hub, county.reader, f"{begin}*") == [uid for uid, name in reversed(sent) if name.lower().startswith(begin)], begin
    assert told_apart(hub) == 0


def test_an_ecg_that_is_joined_by_a_dicom_object_later_is_found_by_its_surname(hub, county):
    send(hub, county.ecg, ecg_facts("1.2.7", patient=person(1, "王芳")))
    assert uids(hub, county.reader, "王*") == []
    send(hub, county.ecg, slice_facts(2, "1.2.7", patient=person(1, "王芳"), modality="OT"))
    assert uids(hub, county.reader, "王*") == ["1.2.7"]


def test_a_study_that_was_entered_without_a_heading_is_found(hub, county):
    send_ct(hub, county.ct, "1.2.1", patient=person(1, "王芳"))
    send_ct(hub, county.ct, "1.2.2", patient=person(2, "王小明"))
    for untold in ({"head": None}, {"head": "王", "holds_dicom": None}):
        with hub.writing() as connection:
            connection.execute(update(study).where(study.c.study_uid == "1.2.1").values(**untold))
        assert uids(hub, county.reader, "王*") == ["1.2.2", "1.2.1"]


def test_whatever_gives_a_study_another_name_moves_it_under_the_other_heading(hub, county, clock):
    reading_id = queued_ct(hub, county, clock, "1.2.1", patient=person(1, "王芳"))
    study_id = worklist.find(hub, reading_id).study_id
    repair_id = repairs.correct(hub, county.reviewer, study_id, Wanted(hub.rules.repairs.attribute("00100010"), "张^芳", "与机构电话核实"), 0)
    assert (uids(hub, county.reader, "王*"), uids(hub, county.reader, "张*"), told_apart(hub)) == ([], ["1.2.1"], 0)
    repairs.undo(hub, county.reviewer, repair_id, "误操作")
    assert (uids(hub, county.reader, "王*"), uids(hub, county.reader, "张*"), told_apart(hub)) == (["1.2.1"], [], 0)

    identity.identify(hub, study_id)
    lost = close_and_prepare(hub, clock, send_ct(hub, county.ct, "1.2.2", patient=PatientFacts("000000", "无名氏", "无名氏", False, "M", "", "")))
    identity.identify(hub, worklist.find(hub, lost).study_id)
    tray.assign(hub, county.administrator, worklist.find(hub, lost).study_id, worklist.find(hub, reading_id).patient_id, "家属持身份证到院确认")
    assert (uids(hub, county.reader, "王*"), uids(hub, county.reader, "无*"), told_apart(hub)) == (["1.2.2", "1.2.1"], [], 0)

    send(hub, county.ct, slice_facts(9, "1.2.1", patient=person(3, "赵云")))          # another patient under the same UID: held, then a study of its own
    (waiting,) = rows(hub, held)
    decisions.separate(hub, county.administrator, waiting.id, "是另一人")
    assert len(uids(hub, county.reader, "赵*")) == 1 and told_apart(hub) == 0


def signed(hub, county, clock, uid: str, name: str, number: int) -> int:
    report_id = signed_report(hub, county, clock, study_uid=uid, patient=person(number, name))
    return rows(hub, report, report.c.id == report_id)[0].reading_id


@pytest.mark.parametrize("few", [0, 300])
def test_among_the_signed_those_of_a_surname_come_first_then_the_others_and_no_one_twice(hub, county, clock, few, monkeypatch):
    monkeypatch.setattr(search, "FEW", few)
    monkeypatch.setattr(worklist, "PAGE", 2)
    names = ("王芳", "张王", "WANG^XIAOMING", "汪洋", "王小明", "李四")
    told = {name: signed(hub, county, clock, f"1.2.{number}", name, number) for number, name in enumerate(names)}

    def listed(typed: str) -> list[int]:
        pages = [worklist.listed(hub, county.reader, Filters(state="done", text=typed, page=page)) for page in range(1, 5)]
        assert len({total for _, total in pages}) == 1 and pages[0][1] == sum(len(page) for page, _ in pages)
        return [row.id for page, _ in pages for row in page]
    assert listed("王") == [told[name] for name in ("王小明", "王芳", "张王", "WANG^XIAOMING")]
    assert listed("wang") == [told[name] for name in ("王小明", "汪洋", "WANG^XIAOMING", "王芳", "张王")]
    assert listed("赵") == [] and listed("四") == [told["李四"]]
    monkeypatch.setattr(worklist, "MOST_COUNTED_BY_TEXT", 2)
    rows_found, total = worklist.listed(hub, county.reader, Filters(state="done", text="王"))
    assert [row.id for row in rows_found] == [told["王小明"], told["王芳"]] and total == 2


def test_the_newest_of_a_surname_are_read_in_order_and_not_sorted(hub, county):
    """The statements of the hub, as the databases plan them over a county's rows."""
    with hub.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            connection.execute(text("SET LOCAL enable_sort = off"))
        asked = search.question(connection, [Match("patient_name", ("王*",))], None, True)[0]
        for statement, index in ((studies._chosen("study", asked), "ix_study_head_holds_dicom_id"), (worklist._of_surname(("done", False, False, False), True), "ix_reading_signed_sound")):
            compiled = statement.params(head="王", sound="wang", most=50, **({"start": 0} if index.startswith("ix_study") else {})).compile(hub.engine, compile_kwargs={"render_postcompile": True})
            explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
            values = compiled.params if compiled.positiontup is None else tuple(compiled.params[name] for name in compiled.positiontup)
            plan = "\n".join(str(row) for row in connection.exec_driver_sql(explain + str(compiled), values))
            assert index in plan and "TEMP B-TREE" not in plan and "Sort" not in plan, plan
