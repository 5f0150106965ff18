"""Searches through the hub's verbs: the same answers whether a key has few hits or many."""
import random
from dataclasses import replace
from fnmatch import fnmatchcase

import pytest
from sqlalchemy import select

from hub.flow import dispatch, studies, worklist
from hub.flow.worklist import Filters
from hub.model.access import Actor
from hub.model.arrival import PatientFacts
from hub.model.name_search import FUZZY, LITERAL, SOUND, folded
from hub.rulebook import load
from hub.storage import search
from hub.storage.names import like_one_of
from hub.storage.search import Match
from hub.storage.tables import study
from tests.hub.arrivals import PATIENT, queued_ct, send, slice_facts

PEOPLE = ["张三", "张三丰", "张伟", "王小明", "王^小红", "李娜", "吕布", "曾国藩", "WANG^XIAOMING", "WANG^XIAO MING", "Li^Na", "O'BRIEN^PAT", "100%^SURE", "A_B", ""]


@pytest.fixture
def people(hub, county):
    """One study of each person, of modalities and days in turn; the names as sent, by study UID."""
    for number, name in enumerate(PEOPLE):
        shown = name.replace("^", " " if name.isascii() else "")
        facts = slice_facts(1, f"1.2.{number + 1}", patient=PatientFacts(f"P{number:03}", shown, name, False, "M", "1963-02-11", "063Y"),
                            modality=("CT", "DX", "MR")[number % 3], study_at=f"2026-05-{number + 1:02}T08:20:00", accession_number=f"A{number:03}")
        send(hub, county.ct, facts)
    return {f"1.2.{number + 1}": name for number, name in enumerate(PEOPLE)}


def uids(hub, actor, *matches, level="study", limit=100):
    return [row.study_uid for row in studies.matching(hub, actor, level, list(matches), limit)]


def expected(people: dict, pattern: str) -> set:
    """What a wildcard means, by the standard library's own matching, over names without carets."""
    plain = {uid: folded(name, load().identity.names) for uid, name in people.items()}
    return {uid for uid, name in plain.items() if fnmatchcase(name, folded(pattern, load().identity.names).replace("[", "[[]"))}


@pytest.mark.parametrize("few", [0, 500], ids=["every key has many", "every key has few"])
@pytest.mark.parametrize("pattern", ["张三", "张*", "*三", "*三*", "张?", "?三*", "wang*", "WANG^XIAOMING", "*ming", "*xiao*", "w*g*", "*an*", "O'*", "100%*", "A_B", "A?B", "*"])
def test_wildcards_in_names_mean_what_they_mean_elsewhere(hub, county, people, pattern, few, monkeypatch):
    monkeypatch.setattr(search, "FEW", few)
    for actor in (county.reader, county.clinic):
        assert set(uids(hub, actor, Match("patient_name", (pattern,)))) == expected({u: n for u, n in people.items() if n}, pattern)


@pytest.mark.parametrize("few", [0, 500])
@pytest.mark.parametrize("field, value", [("study_uid", "1.2.4"), ("series_uid", "1.2.4.1"), ("sop_uid", "1.2.4.1.1"), ("accession_number", "A003"), ("patient_id", "P003"),
                                          ("patient_name", "王小明"), ("modalities_in_study", "CT"), ("modality", "CT"), ("description", "*")])
def test_no_key_shows_another_sites_patients(hub, county, people, field, value, few, monkeypatch):
    monkeypatch.setattr(search, "FEW", few)
    for level in ("study", "patient", "series", "instance"):
        assert "1.2.4" in uids(hub, county.clinic, Match(field, (value,)), level=level)
        assert uids(hub, county.neighbour, Match(field, (value,)), level=level) == []
        assert uids(hub, Actor(None, "STRANGER", "device", None), Match(field, (value,)), level=level) == []


def test_by_sound_latin_letters_find_chinese_names(hub, county, people):
    def found(pattern):
        return {people[uid] for uid in uids(hub, county.reader, Match("patient_name", (pattern,), likeness=SOUND))}
    assert found("ZHANG^SAN") == {"张三"} and found("zhangsan*") == {"张三", "张三丰"} and found("LV^BU") == found("lu bu") == {"吕布"}
    assert found("wang xiaoming") == {"王小明", "WANG^XIAOMING", "WANG^XIAO MING"} and found("zeng*") == {"曾国藩"}
    assert found("li na") == {"李娜", "Li^Na"} and found("wxm") == {"王小明", "WANG^XIAOMING", "WANG^XIAO MING"}
    assert found("xiaoming wang") == {"王小明", "WANG^XIAOMING", "WANG^XIAO MING"} and found("xiaoming") == found("zhang") == set()
    assert found("Wáng Xiǎomíng") == found("wang2 xiao3ming2") == found("wang xiaoming")
    assert uids(hub, county.reader, Match("patient_name", ("zhangsan",))) == []


@pytest.mark.parametrize("few", [0, 500])
@pytest.mark.parametrize("text, names", [
    ("小明", {"王小明", "WANG^XIAOMING", "WANG^XIAO MING"}), ("王", {"王小明", "王^小红", "WANG^XIAOMING", "WANG^XIAO MING"}), ("李", {"李娜", "Li^Na"}), ("xiaoming", {"王小明", "WANG^XIAOMING", "WANG^XIAO MING"}), ("國藩", {"曾国藩"}), ("XIAO^MING", {"王小明", "WANG^XIAOMING", "WANG^XIAO MING"}),
    ("wxm", {"王小明", "WANG^XIAOMING", "WANG^XIAO MING"}), ("Wang=王", {"王小明", "王^小红"}), ("wang=王^小明", {"王小明"}), ("li=王", set()), ("zhang*san", {"张三"}), ("LÜ", {"吕布"}), ("lu", {"吕布"})])
def test_fuzzily_any_part_of_a_name_is_found_and_every_component_group_must_fit(hub, county, people, text, names, few, monkeypatch):
    monkeypatch.setattr(search, "FEW", few)
    assert {people[uid] for uid in uids(hub, county.clinic, Match("patient_name", (text,), likeness=FUZZY))} == names
    assert uids(hub, county.neighbour, Match("patient_name", (text,), likeness=FUZZY)) == []


@pytest.mark.parametrize("sent, asked, found", [
    ("ZHANG^SAN", "张三", True), ("ZHANG^SAN", "張三", True), ("ZHANGSAN", "张三", True), ("SAN^ZHANG", "张三", True),
    ("SHAN^TIANFANG", "单田芳", True), ("QIU^YING", "仇英", True), ("LV^BU", "吕布", True), ("LU^BU", "吕布", True), ("WANG^XIAOMING", "小明", True),
    ("LIU^YANG", "李", False), ("DAN^TIANFANG", "张田芳", False), ("ZHANG^SAN", "张山", False), ("O'BRIEN^PAT", "王", False)])
def test_chinese_characters_find_a_name_known_in_latin_letters_by_every_usual_reading(hub, county, sent, asked, found):
    send(hub, county.ct, slice_facts(1, "1.2.1", patient=PatientFacts("P1", sent.replace("^", " "), sent, False, "M", "1963-02-11", "063Y")))
    assert uids(hub, county.clinic, Match("patient_name", (asked,), likeness=FUZZY)) == (["1.2.1"] if found else [])
    assert uids(hub, county.neighbour, Match("patient_name", (asked,), likeness=FUZZY)) == []


@pytest.mark.parametrize("few", [0, 500])
def test_keys_together_restrict_each_other_whatever_is_looked_up_first(hub, county, people, few, monkeypatch):
    monkeypatch.setattr(search, "FEW", few)
    chance = random.Random(7)
    facts = {f"1.2.{n + 1}": (f"P{n:03}", ("CT", "DX", "MR")[n % 3], f"2026-05-{n + 1:02}", f"A{n:03}") for n in range(len(PEOPLE))}
    for _ in range(25):
        n = chance.randrange(len(PEOPLE))
        low, high, modality = f"2026-05-{chance.randrange(1, 9):02}", f"2026-05-{chance.randrange(9, 16):02}", chance.choice(("CT", "DX", "MR"))
        keys = {
            "patient_id": (Match("patient_id", (f"P{n:03}", "P00?")), lambda f: f[0] == f"P{n:03}" or f[0].startswith("P00")),
            "date": (Match("study_date", low=low, high=high), lambda f: low <= f[2] <= high),
            "moment": (Match("study_moment", low=f"{low}T08:20:01", high=f"{high}T08:20:00"), lambda f: low < f[2] <= high),
            "modality": (Match("modalities_in_study", (modality,)), lambda f: f[1] == modality),
            "series": (Match("series_uid", (f"1.2.{n + 1}.1",)), lambda f: f[3] == f"A{n:03}"),
            "accession": (Match("accession_number", (f"A{n:03}"[:3] + "*",)), lambda f: f[3].startswith(f"A{n:03}"[:3])),
        }
        chosen = [keys[k] for k in chance.sample(sorted(keys), 2)]
        wanted = [uid for uid, f in facts.items() if all(fits(f) for _, fits in chosen)][::-1]
        for level in ("study", "patient", "series", "instance"):
            assert uids(hub, county.reader, *(m for m, _ in chosen), level=level) == wanted, (level, chosen)
        assert uids(hub, county.neighbour, *(m for m, _ in chosen)) == []


@pytest.mark.parametrize("few, gathered", [(300, 7), (0, 10**6), (0, 0), (1, 0), (1, 10**6)], ids=str)
def test_a_text_finds_names_from_any_character_on_by_sound_and_initials_and_numbers_by_their_beginning(hub, county, clock, few, gathered, monkeypatch):
    monkeypatch.setattr(search, "FEW", few)
    monkeypatch.setattr(search, "GATHERED", gathered)
    monkeypatch.setattr(search, "FEW", few)
    one = queued_ct(hub, county, clock, "1.1", patient=replace(PATIENT, patient_id="QS0009", name="王小明", name_as_sent="王^小明"))
    two = queued_ct(hub, county, clock, "1.2", patient=replace(PATIENT, patient_id="QS0010", name="张三", name_as_sent="张^三"), device=county.other_ct)

    def found(text, **more):
        return {row.id for row in worklist.listed(hub, county.reader, Filters(text=text, **more))[0]}
    for text in ("王", "小明", "明", "wang", "WangXiao", "wang xiaoming", "xiaoming", "wxm", "QS0009", "qs0009"):
        assert found(text) == {one}, text
    assert found("qs00") == {one, two} == found("A2026") and found("san") == {two} and found("三张") == set()
    assert found("qs00", site_id=county.baihe) == {two}
    assert dispatch.for_clinic(hub, county.clinic, text="wxm")[1] == 1 and dispatch.for_clinic(hub, county.clinic, text="zhangsan")[1] == 0


def test_a_long_list_is_counted_and_turned_over_so_far_and_says_so(hub, county, clock, monkeypatch):
    for number in range(5):
        queued_ct(hub, county, clock, f"1.{number}")
    monkeypatch.setattr(worklist, "PAGE", 2)
    pages = [worklist.listed(hub, county.reader, Filters(page=page)) for page in (1, 2, 3, 4)]
    assert [len(rows) for rows, _ in pages] == [2, 2, 1, 0] and [total for _, total in pages] == [5, 5, 5, 5]
    assert [row.id for rows, _ in pages for row in rows] == [row.id for row in worklist.waiting_for(hub, county.reader, "todo")]


@pytest.mark.parametrize("noted", [0, 10**6])
@pytest.mark.parametrize("page", [1, 2, 100])
def test_a_name_that_many_bear_and_none_of_the_newest_is_found_among_the_old(hub, county, people, page, noted, monkeypatch):
    for name, value in (("FEW", 0), ("LOOKED_UP", 0), ("LOOKED_UP_HEADED", 0), ("NOTED", noted), ("NEAR", 2), ("NEAR_A_HIT", 0)):
        monkeypatch.setattr(search, name, value)
    found, start = [], 0
    while rows := studies.matching(hub, county.reader, "study", [Match("patient_name", ("张*",))], page, start):
        found, start = found + [row.study_uid for row in rows], start + page
    assert found == ["1.2.3", "1.2.2", "1.2.1"]


@pytest.mark.parametrize("few, at_sight", [(15, 30), (15, 15), (15, 3), (14, 30), (14, 14), (14, 3), (0, 30), (0, 0)], ids=str)
def test_so_many_are_few_and_one_more_are_many(hub, people, few, at_sight, monkeypatch):
    monkeypatch.setattr(search, "FEW", few)
    monkeypatch.setattr(search, "AT_SIGHT", at_sight)
    with hub.reading() as connection:
        _, _, found = search.question(connection, [Match("study_date", low="2026-05-01", high="2026-05-31")], None)
    assert found == (list(range(1, len(PEOPLE) + 1)) if len(PEOPLE) <= few else None)


@pytest.mark.parametrize("few", [0, 500])
@pytest.mark.parametrize("low, high, days", [
    ("2026-05-02T08:20:00", "2026-05-04T08:20:00", "234"), ("2026-05-02T08:20:01", "2026-05-04T08:19:59", "3"), ("", "2026-05-02T09:00:00", "12"), ("2026-05-04T08:20:01", "", "5"),
    ("2026-05-03T23:00:00", "2026-05-03T23:59:59", "3"), ("2026-05-03T00:00:00", "2026-05-03T00:00:59", "3"), ("2026-05-04T08:20:00", "2026-05-02T08:20:00", "")], ids=str)
def test_a_span_of_time_holds_what_lies_between_its_ends_and_what_may(hub, county, low, high, days, few, monkeypatch):
    """The third study tells its day alone, the sixth neither."""
    monkeypatch.setattr(search, "FEW", few)
    for day, at in enumerate(("2026-05-01T08:20:00", "2026-05-02T08:20:00", "2026-05-03", "2026-05-04T08:20:00", "2026-05-05T08:20:00", ""), 1):
        send(hub, county.ct, slice_facts(1, f"1.2.{day}", study_at=at))
    for actor, level in ((county.reader, "study"), (county.clinic, "study"), (county.reader, "instance")):
        assert uids(hub, actor, Match("study_moment", low=low, high=high), level=level) == [f"1.2.{day}" for day in reversed(days)]
    assert uids(hub, county.neighbour, Match("study_moment", low=low, high=high)) == []


@pytest.mark.parametrize("site, index", [(None, "ix_study_study_at_id (study_at>? AND study_at<?)"), (1, "ix_study_site_id_study_at_id (site_id=? AND study_at>? AND study_at<?)")])
def test_a_span_of_time_is_one_range_of_an_index(hub, site, index):
    with hub.reading() as connection:
        asked, values, _ = search.question(connection, [Match("study_moment", low="2026-05-01T08:00:00", high="2026-05-03T09:00:00")], site)
        found = select(study.c.id).where(*search.conditions("study", replace(asked, settled=None))).order_by(study.c.study_at.desc(), study.c.id.desc()).limit(50)
        compiled = found.compile(dialect=connection.dialect)
        assert str(compiled).count("study_at >=") == 2 and str(compiled).count("study_at <=") == 1
        if connection.dialect.name == "sqlite":
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", tuple((compiled.params | values)[name] for name in compiled.positiontup)).all()
            assert [row.detail for row in plan] == [f"SEARCH study USING COVERING INDEX {index}"]


def test_the_beginning_of_a_written_name_is_looked_up_once_for_all_sites(hub):
    """Not at every site in turn: a county has hundreds."""
    looks, values = like_one_of(("王小*",), False, LITERAL, "k0_")
    with hub.reading() as connection:
        asked = looks.patients().compile(dialect=connection.dialect)
        assert "site" not in str(asked)
        if connection.dialect.name == "sqlite":
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", tuple(values[name] for name in asked.positiontup)).all()
            assert [row.detail for row in plan] == ["SEARCH patient_name USING COVERING INDEX ix_patient_name_written (form>? AND form<?)"]
