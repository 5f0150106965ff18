"""QIDO-RS over small studies whose attributes are known."""
import json
import random

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_gateway.web import answers, native_xml
from hub.flow.studies import Answered, Part
from hub.storage import driver
from tests.dicom_gateway.web.conftest import make_house
from tests.dicom_gateway.web.objects import file_of
from tests.dicom_gateway.web.test_retrieve import parts_of


@pytest.fixture(scope="module")
def county(tmp_path_factory):
    """Three studies: a Chinese name under a wrong character set, a Latin one, and one with two series."""
    house = make_house(tmp_path_factory.mktemp("county"))
    house.send(file_of("1.2.10", "1.2.10.1", "1.2.10.1.1", name="张^三".encode("gb18030"), PatientID="A1", StudyDate="20260301", StudyTime="081500",
                       ReferringPhysicianName="欧阳^明".encode("gb18030").decode("latin-1"), StudyID="S-10"))
    house.send(file_of("1.2.20", "1.2.20.1", "1.2.20.1.1", name=b"ZHANG^WEI", PatientID="A2", StudyDate="20260302", StudyTime="101500",
                       Modality="DX", AccessionNumber="ACC2", ReferringPhysicianName="WANG^WU", StudyID="20"))
    for number in range(1, 4):
        house.send(file_of("1.2.30", "1.2.30.1", f"1.2.30.1.{number}", name=b"LI^NA", PatientID="A3", StudyDate="20260303",
                           InstanceNumber=str(number), SeriesNumber="1"))
    house.send(file_of("1.2.30", "1.2.30.2", "1.2.30.2.1", name=b"LI^NA", PatientID="A3", StudyDate="20260303", Modality="SR", SeriesNumber="2"))
    yield house
    house.hub.close()


def found(house, query: str, level: str = "/studies", tag: str = "0020000D", **headers) -> list:
    reply = house.get(f"{level}?{query}", **headers)
    assert reply.status_code in (200, 204), reply.data
    assert reply.status_code == 200 or not reply.data
    return sorted(one[tag]["Value"][0] for one in reply.json) if reply.status_code == 200 else []


def test_an_empty_question_gives_every_study_newest_first(county):
    reply = county.get("/studies")
    assert reply.headers["Content-Type"] == "application/dicom+json"
    assert [one["0020000D"]["Value"][0] for one in reply.json] == ["1.2.30", "1.2.20", "1.2.10"]


@pytest.mark.parametrize("query, uids", [
    ("PatientID=A1", ["1.2.10"]), ("00100020=A1", ["1.2.10"]), ("PatientID=A*", ["1.2.10", "1.2.20", "1.2.30"]), ("PatientID=A?", ["1.2.10", "1.2.20", "1.2.30"]),
    ("PatientID=A%25", []), ("PatientID=A_", []), ("PatientName=张*", ["1.2.10"]), ("PatientName=张三", ["1.2.10"]), ("PatientName=张^三", ["1.2.10"]),
    ("PatientName=zhang*", ["1.2.20"]), ("PatientName=ZHANG^WEI", ["1.2.20"]), ("PatientName=ZHANG", []),
    ("StudyDate=20260302", ["1.2.20"]), ("StudyDate=20260302-", ["1.2.20", "1.2.30"]), ("StudyDate=-20260302", ["1.2.10", "1.2.20"]),
    ("StudyDate=20260301-20260302", ["1.2.10", "1.2.20"]), ("StudyTime=0800-0900", ["1.2.10"]), ("StudyTime=10", ["1.2.20"]),
    # PS3.18 8.3.4.1.1: ranges of date and time are one span; of other forms, each by itself
    ("StudyDate=20260301-20260303&StudyTime=0900-1100", ["1.2.20", "1.2.30"]), ("StudyTime=0816-&00080020=20260301-", ["1.2.20", "1.2.30"]),
    ("StudyDate=-20260302&StudyTime=-0900", ["1.2.10"]), ("StudyDate=20260301-20260303&StudyTime=10", ["1.2.20"]), ("StudyDate=20260301-20260303&StudyTime=0900-", ["1.2.20"]),
    ("StudyInstanceUID=1.2.10,1.2.20", ["1.2.10", "1.2.20"]), ("StudyInstanceUID=1.2.10%5C1.2.30", ["1.2.10", "1.2.30"]),
    ("ModalitiesInStudy=SR", ["1.2.30"]), ("ModalitiesInStudy=CT", ["1.2.10", "1.2.30"]), ("ModalitiesInStudy=DX,SR", ["1.2.20", "1.2.30"]),
    ("ReferringPhysicianName=欧阳明", ["1.2.10"]), ("ReferringPhysicianName=欧*", ["1.2.10"]), ("00080090=wang^w?", ["1.2.20"]), ("ReferringPhysicianName=WANG", []),
    ("ReferringPhysicianName=ouyang*", []), ("ReferringPhysicianName=ouyang*&fuzzymatching=true", ["1.2.10"]), ("ReferringPhysicianName=明&fuzzymatching=true", ["1.2.10"]),
    ("StudyID=20", ["1.2.20"]), ("00200010=S-*", ["1.2.10"]), ("StudyID=*0", ["1.2.10", "1.2.20"]), ("StudyID=2", []), ("ReferringPhysicianName=W*&StudyID=20&ModalitiesInStudy=DX", ["1.2.20"]),
    ("AccessionNumber=ACC2", ["1.2.20"]), ("AccessionNumber=", ["1.2.10", "1.2.20", "1.2.30"]), ("PatientID=nobody", []),
    ("limit=1", ["1.2.30"]), ("limit=1&offset=1", ["1.2.20"]), ("offset=9", []), ("PatientID=' OR 1=1 --", []),
])
def test_studies_that_fit_are_found(county, query, uids):
    assert found(county, query) == uids


def test_an_answer_holds_what_the_standard_requires(county):
    (study,) = county.get("/studies?PatientID=A3").json
    assert {"00080020", "00080030", "00080050", "00080056", "00080061", "00080090", "00081190", "00100010", "00100020", "00100030", "00100040",
            "0020000D", "00200010", "00201206", "00201208"} <= study.keys()
    assert study["00080061"]["Value"] == ["CT", "SR"] and study["00201206"]["Value"] == [2] and study["00201208"]["Value"] == [4]
    assert study["00081190"]["Value"] == ["http://localhost/dicomweb/studies/1.2.30"]
    assert Dataset.from_json(study).PatientName == "LI^NA"
    (series, report) = county.get("/studies/1.2.30/series").json
    assert series["00080060"]["Value"] == ["CT"] and series["00201209"]["Value"] == [3] and report["00200011"]["Value"] == [2]
    instances = county.get("/studies/1.2.30/series/1.2.30.1/instances").json
    assert [one["00200013"]["Value"][0] for one in instances] == [1, 2, 3]
    assert {"00080016", "00080018", "00080056", "00081190", "0020000E", "00280010", "00280011"} <= instances[0].keys()
    assert county.get("/studies/1.2.30/instances?includefield=BitsAllocated").json[0]["00280100"]["Value"] == [16]
    assert county.get("/studies/1.2.30/instances?includefield=all").json[0]["00080018"]["Value"] == ["1.2.30.1.1"]


def test_lower_levels_are_searched_across_studies(county):
    assert found(county, "Modality=CT", "/series", "0020000E") == ["1.2.10.1", "1.2.30.1"]
    assert found(county, "SOPInstanceUID=1.2.30.1.2", "/instances", "00080018") == ["1.2.30.1.2"]
    assert found(county, "PatientID=A3&InstanceNumber=2", "/instances", "00080018") == ["1.2.30.1.2"]
    assert found(county, "InstanceNumber=2", "/studies/1.2.30/instances", "00080018") == ["1.2.30.1.2"]
    assert found(county, "SOPInstanceUID=1.2.30.2.1", "/studies/1.2.30/series", "0020000E") == ["1.2.30.2"]
    assert found(county, "SeriesInstanceUID=1.2.30.2", "/studies") == ["1.2.30"]


def test_a_wrongly_declared_name_is_right_in_every_answer(county):
    (study,) = county.get("/studies?PatientID=A1").json
    (instance,) = county.get("/studies/1.2.10/metadata").json
    assert study["00100010"]["Value"] == instance["00100010"]["Value"] == [{"Alphabetic": "张^三"}]
    assert "张".encode("gb18030") in county.get("/studies/1.2.10", Accept="*/*").data


def test_fuzzy_matching_finds_chinese_names_by_their_sound(county):
    assert found(county, "PatientName=zhang*") == found(county, "PatientName=zhang*&fuzzymatching=false") == ["1.2.20"]
    assert found(county, "PatientName=zhang*&fuzzymatching=true") == ["1.2.10", "1.2.20"]
    assert found(county, "PatientName=ZHANG^SAN&fuzzymatching=true") == ["1.2.10"]
    assert found(county, "PatientName=三&fuzzymatching=true") == found(county, "PatientName=zs&fuzzymatching=TRUE") == found(county, "PatientName=張三&fuzzymatching=true") == ["1.2.10"]
    assert found(county, "PatientName=三") == []
    assert "Warning" not in county.get("/studies?PatientName=zhang*&fuzzymatching=true").headers


def test_what_cannot_be_understood_is_named_and_what_is_not_supported_is_said(county):
    for query in ("limit=x", "limit=-1", "StudyDate=yesterday", "StudyDate=-", "StudyInstanceUID=a", "nonsense=1", "fuzzymatching=perhaps",
                  "includefield=nonsense", "InstanceNumber=x"):
        assert county.get(f"/studies?{query}").status_code == 400, query
    ignored = county.get("/studies?Manufacturer=X")
    assert ignored.headers["Warning"].startswith("299 ")
    assert "Manufacturer" in ignored.headers["Warning"] and len(ignored.json) == 3


def test_a_clinic_finds_its_own_patients_only(county):
    assert len(found(county, "", person="clinic")) == 3
    assert found(county, "", person="other") == []
    assert found(county, "", "/instances", "00080018", person="other") == []
    assert county.get("/studies", person="administrator").status_code == 403


def test_answers_put_together_from_pieces_are_those_of_the_standard_library_byte_for_byte():
    chance, odd = random.Random(9), ["", "张^三", "张三", "王", 'a"b\\c', "WANG^XIAOMING", "Wang^Fang=王^芳", "=王^芳", "  ", "^", "一\n二", "\u2028", "\x7f\x1f", "😀^笑", "é=", "=="]
    rows, parts = [], {}
    for number in range(600):
        word = lambda: chance.choice(odd)      # noqa: E731
        sent = word()
        shown = chance.choice([word(), sent.replace("^", ""), sent.replace("^", " ")])
        rows.append(Answered(number, f"1.2.{number}", "image", 1, 2, chance.choice(["", "2026-05-04", "2026-05-04T08:20:00", "T08"]), word(), word(), shown, sent, word(), word(),
                             chance.choice(["", "1963-02-11"]), chance.choice([None, word()]), chance.choice([None, word()]), chance.choice([None, "2026-05-04 00:00:00"])))
        if number % 5:
            parts[number] = {one: Part(number, one, chance.choice(["CT", "SR", "", '"']), one * 3) for one in range(number % 4)}
    plain = [answers.study_answer(row, parts.get(row.id, {}), "http://hub/dicom\"web") for row in rows]
    assert answers.study_document(rows, parts, 'http://hub/dicom"web') == json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize("at_once", [(1, 10, 60, 500), (1, 7)], ids=str)
def test_an_answer_of_many_studies_lacks_none(tmp_path, at_once, monkeypatch):
    monkeypatch.setattr(driver, "IDS_AT_ONCE", at_once)
    house = make_house(tmp_path / "many")
    for number in range(75):
        house.send(file_of(f"1.2.{number + 1}", f"1.2.{number + 1}.1", f"1.2.{number + 1}.1.1", name="张^三".encode("gb18030"), PatientID=f"A{number}"))
    for asked in (1, 2, 10, 11, 60, 61, 75, 80):
        told = house.get(f"/studies?PatientName=张*&limit={asked}").json
        assert [one["0020000D"]["Value"][0] for one in told] == [f"1.2.{75 - number}" for number in range(min(asked, 75))]
        assert all(one["00201208"]["Value"] == [1] and one["00080061"]["Value"] == ["CT"] for one in told)
    house.hub.close()


def test_includefield_tells_of_a_study_and_a_series_what_their_objects_say_as_a_whole(ct):
    sent = dcmread(next(iter(ct.files.values())), stop_before_pixels=True)
    (series,) = ct.house.get(f"/studies/{ct.uid}/series?includefield=00080021,ProtocolName&includefield=Manufacturer,SliceLocation").json
    assert series["00080021"]["Value"] == [sent.SeriesDate] and series["00181030"]["Value"] == [sent.ProtocolName] and series["00080070"]["Value"] == [sent.Manufacturer]
    assert "00201041" not in series, "of each slice another"
    (study,) = ct.house.get(f"/studies?StudyInstanceUID={ct.uid}&includefield=PatientAge").json
    assert study["00101010"]["Value"] == [sent.PatientAge] and study["0020000D"]["Value"] == [ct.uid] and list(study) == sorted(study)
    (whole,) = ct.house.get(f"/studies?StudyInstanceUID={ct.uid}&includefield=all").json
    assert whole.keys() > study.keys() and "00200013" not in whole and "7FE00010" not in whole and whole["00201208"]["Value"] == [len(ct.files)]


def test_what_includefield_cannot_tell_of_many_studies_is_said(county):
    reply = county.get("/studies?includefield=PatientAge,PatientName")
    assert len(reply.json) == 3 and "00101010" in reply.headers["Warning"] and "00100010" not in reply.headers["Warning"]
    assert "Warning" not in county.get("/studies?includefield=PatientName,StudyDate").headers
    assert "Warning" not in county.get("/studies?includefield=ReferringPhysicianName,StudyID").headers


@pytest.mark.parametrize("level, others", [("/studies", []), ("/series", [None])])
def test_every_list_tells_the_referring_physicians_and_study_ids_that_were_sent(county, level, others):
    """Read right also where the device declared another character set than it wrote."""
    expected = [None, *others, [{"Alphabetic": "WANG^WU"}], [{"Alphabetic": "欧阳^明"}]], [None, *others, ["20"], ["S-10"]]
    told = county.get(f"{level}?includefield=ReferringPhysicianName,StudyID")
    assert "Warning" not in told.headers
    assert tuple([one[tag].get("Value") for one in told.json] for tag in ("00080090", "00200010")) == expected
    assert all(one["00080090"]["vr"] == "PN" and one["00200010"]["vr"] == "SH" for one in told.json)
    in_xml = [native_xml.from_xml(content) for _, content in parts_of(county.get(level, Accept='multipart/related; type="application/dicom+xml"'))]
    assert tuple([one[tag].get("Value") for one in in_xml] for tag in ("00080090", "00200010")) == expected
