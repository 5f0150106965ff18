"""The worklist, DICOMweb and corrected objects show one name for one patient, however its bytes might be read."""
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from sqlalchemy import select, update

from dicom_gateway.dataset import read_header
from dicom_gateway.services.store import take_in
from dicom_gateway.web import metadata, native_xml
from hub.flow import devices, naming, repairs, studies
from hub.flow.repairs import Wanted
from hub.model.access import SYSTEM
from hub.storage.tables import artifact, device, study
from tests.dicom_gateway.web.objects import PLACE, file_of
from tests.dicom_gateway.web.test_retrieve import parts_of

NAME = "傅荷"                  # whose bytes in GB18030 read as half-width katakana even better
KATAKANA = NAME.encode("gb18030").decode("shift_jis")
OBJECTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'


def sent(house, number: int, habit: str = "gb18030", name: str = NAME, charset: str = "ISO_IR 13", **more) -> int:
    """The id of a study of two objects, from a device that nearly always wrote ``habit``; "" for no habit."""
    with house.hub.writing() as connection:
        connection.execute(update(device).where(device.c.id == house.device.id).values(written={habit: 30} if habit else {}))
    known = replace(house.device, habit=devices.habit_of(house.hub, house.device.id))
    declared = {"SpecificCharacterSet": charset} if charset else {}
    taken = [take_in(house.hub, known, house.hub.blobs.keep(file_of(f"1.2.{number}", f"1.2.{number}.1", f"1.2.{number}.1.{one}", name.encode("gb18030"),
                                                                   PatientID=f"N{number}", **declared, **more))) for one in (1, 2)]
    assert {one.outcome for one in taken} == {"stored"}
    return taken[0].study_id


def in_worklist(house, study_id: int) -> str:
    return studies.find(house.hub, SYSTEM, study_id).patient_name


def in_metadata(house, number: int, more: str = "") -> list[str]:
    return [one["00100010"]["Value"][0]["Alphabetic"] for one in house.get(f"/studies/1.2.{number}/metadata{more}").json]


def everywhere(house, number: int) -> set[str]:
    """The name in the metadata of the study, of each object, as XML, and in what a search includes."""
    found = {*in_metadata(house, number), *in_metadata(house, number, "?values=original")}
    for one in (1, 2):
        told, = house.get(f"/studies/1.2.{number}/series/1.2.{number}.1/instances/1.2.{number}.1.{one}/metadata").json
        found.add(told["00100010"]["Value"][0]["Alphabetic"])
    xml = house.get(f"/studies/1.2.{number}/metadata", Accept='multipart/related; type="application/dicom+xml"')
    found |= {native_xml.from_xml(content)["00100010"]["Value"][0]["Alphabetic"] for _, content in parts_of(xml)}
    for level in (f"/studies?StudyInstanceUID=1.2.{number}&includefield=all", f"/studies/1.2.{number}/instances?includefield=00100010"):
        found |= {one["00100010"]["Value"][0]["Alphabetic"] for one in house.get(level).json}
    return found


def correct(house, study_id: int, keyword: str, value: str, **more) -> int:
    attribute = next(one for one in house.hub.rules.repairs.offered.values() if one.keyword == keyword)
    return repairs.correct(house.hub, SYSTEM, study_id, Wanted(attribute, value, "核对申请单", **more), repairs.revision(house.hub, study_id))


@pytest.mark.parametrize("prepared", [False, True])
def test_the_reading_of_the_devices_history_is_the_same_in_worklist_and_metadata(house, prepared):
    with_it, without = sent(house, 1), sent(house, 2, habit="")
    if prepared:
        house.prepare(with_it)
        house.prepare(without)
    assert (in_worklist(house, with_it), in_worklist(house, without)) == (NAME, KATAKANA)
    assert (everywhere(house, 1), everywhere(house, 2)) == ({NAME}, {KATAKANA})


def test_a_history_that_changes_later_changes_no_name_that_stands(house):
    study_id = sent(house, 1)
    with house.hub.writing() as connection:
        connection.execute(update(device).where(device.c.id == house.device.id).values(written={"utf_8": 30}, charset="ISO_IR 144"))
    assert everywhere(house, 1) == {NAME}
    house.prepare(study_id)
    assert everywhere(house, 1) == {NAME}


def test_metadata_that_was_written_before_under_another_reading_is_read_anew(house):
    study_id = sent(house, 1)
    house.prepare(study_id)
    rows = studies.objects_of(house.hub, study_id)
    lines = {one.id: metadata.line_of(read_header(house.hub.blobs.path(one.sha256)), one.study_uid, one.series_uid, one.sop_uid, one.transfer_syntax, True) for one in rows}
    assert all(KATAKANA.encode() in line for line in lines.values())
    content, about = metadata.packed(lines)
    with house.hub.writing() as connection:
        changed = connection.execute(update(artifact).where(artifact.c.study_id == study_id, artifact.c.kind == metadata.KIND).values(
            sha256=house.hub.blobs.keep(content).sha256, size=len(content), about=about))
        assert changed.rowcount == 1
    assert everywhere(house, 1) == {NAME}


@pytest.mark.parametrize("prepared", [False, True])
def test_the_reading_that_a_person_confirmed_wins_and_an_undo_takes_it_back(house, prepared):
    study_id = sent(house, 1, habit="")
    if prepared:
        house.prepare(study_id)
    assert everywhere(house, 1) == {in_worklist(house, study_id)} == {KATAKANA}
    repair_id = correct(house, study_id, "PatientName", NAME)
    assert everywhere(house, 1) == {in_worklist(house, study_id)} == {NAME}
    repairs.undo(house.hub, SYSTEM, repair_id)
    assert everywhere(house, 1) == {in_worklist(house, study_id)} == {KATAKANA}


def test_a_name_that_is_corrected_to_what_the_bytes_do_not_say_leaves_the_original_as_it_read(house):
    study_id = sent(house, 1)
    house.prepare(study_id)
    correct(house, study_id, "PatientName", "李四")
    assert (in_worklist(house, study_id), set(in_metadata(house, 1)), set(in_metadata(house, 1, "?values=original"))) == ("李四", {"李四"}, {NAME})


@pytest.mark.parametrize("habit, shown", [("gb18030", NAME), ("", KATAKANA)])
def test_an_object_corrected_elsewhere_names_the_patient_as_the_worklist_does(house, habit, shown):
    """The new Chinese value needs another character set, and the name is called or written so that it reads as it is shown."""
    study_id = sent(house, 1, habit)
    correct(house, study_id, "StudyDescription", "胸部平扫")
    for _, content in parts_of(house.get("/studies/1.2.1", Accept=OBJECTS)):
        given = dcmread(BytesIO(content))
        assert (str(given.PatientName), given.StudyDescription) == (in_worklist(house, study_id), "胸部平扫") and in_worklist(house, study_id) == shown
    originals = [content for _, content in parts_of(house.get("/studies/1.2.1?values=original", Accept=OBJECTS))]
    assert all(NAME.encode("gb18030") in one for one in originals)


@pytest.mark.parametrize("habit, shown", [("gb18030", NAME), ("", KATAKANA)])
def test_the_same_bytes_in_a_sequence_are_the_same_name(house, habit, shown):
    item = Dataset()
    item.PatientName = PLACE.decode()
    study_id = sent(house, 1, habit, SourceImageSequence=[item])
    told, _ = house.get("/studies/1.2.1/metadata").json
    assert told["00082112"]["Value"][0]["00100010"] == told["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": shown}]}
    correct(house, study_id, "StudyDescription", "胸部平扫")
    for _, content in parts_of(house.get("/studies/1.2.1", Accept=OBJECTS)):
        assert str(dcmread(BytesIO(content)).SourceImageSequence[0].PatientName) == shown


def test_what_a_device_that_declares_nothing_is_set_to_is_so_in_worklist_and_metadata(house):
    """Cyrillic, by the device's setting; its bytes read as Latin letters, too."""
    with house.hub.writing() as connection:
        connection.execute(update(device).where(device.c.id == house.device.id).values(charset="ISO_IR 144"))
    house = replace(house, device=replace(house.device, charset="ISO_IR 144"))
    raw = "Грудная клетка".encode("iso8859_5").decode("latin-1")
    file = file_of("1.2.1", "1.2.1.1", "1.2.1.1.1", "Иванов^Пётр".encode("iso8859_5"), StudyDescription=raw).replace(b"\x08\x00\x05\x00CS\n\x00ISO_IR 100", b"")
    study_id = house.send(file).study_id
    row = studies.find(house.hub, SYSTEM, study_id)
    for _ in ("from the header", "prepared"):
        told, = house.get("/studies/1.2.1/metadata").json
        assert (told["00100010"]["Value"], told["00081030"]["Value"]) == ([{"Alphabetic": "Иванов^Пётр"}], ["Грудная клетка"])
        assert (row.name_as_sent, row.description) == ("Иванов^Пётр", "Грудная клетка")
        if row.state != "ready":
            house.prepare(study_id)


def test_another_name_that_stands_for_a_study_never_takes_the_place_of_what_the_bytes_say(house):
    """A person may have assigned the study to somebody else; two names of other bytes stay two names."""
    study_id = sent(house, 1, habit="")
    other = sent(house, 2, name="王小明")
    assert naming.of_study(house.hub, other).names == ("王小明",)
    with house.hub.writing() as connection:
        connection.execute(update(study).where(study.c.id == study_id).values(
            patient_id=connection.scalar(select(study.c.patient_id).where(study.c.id == other)), sent_patient_id=study.c.patient_id))
    assert naming.of_study(house.hub, study_id).names == ("王小明", KATAKANA)
    assert set(in_metadata(house, 1)) == {KATAKANA} and set(in_metadata(house, 2)) == {"王小明"}
