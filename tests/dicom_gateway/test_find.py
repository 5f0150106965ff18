"""C-FIND by pynetdicom and by DCMTK's findscu, over studies whose attributes are known."""
import logging
import struct
import time
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dimse_primitives import C_FIND
from pynetdicom.dsutils import decode, encode
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.sop_class import PatientRootQueryRetrieveInformationModelFind as PATIENT_ROOT
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as STUDY_ROOT
from pynetdicom.transport import AssociationSocket
from sqlalchemy import select

from dicom_gateway.services import find as service
from hub.flow import device_changes, devices
from hub.model.access import SYSTEM
from hub.storage import tables
from tests.dicom_gateway.county import NEIGHBOUR, ask, dcmtk, fill, many_studies
from tests.dicom_gateway.running import running, slice_of_ct
from tests.dicom_gateway.test_hostile import wait_until
from tests.dicom_gateway.wire import A_ASSOCIATE_AC, Wire, pdv

LEVEL_UID = {"PATIENT": "PatientID", "STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}


@pytest.fixture(scope="module")
def county(tmp_path_factory):
    with running(tmp_path_factory.mktemp("county")) as gateway:
        fill(gateway)
        yield gateway


def keys(level: str, charset: str = "ISO_IR 192", **values) -> Dataset:
    identifier = Dataset()
    if charset:
        identifier.SpecificCharacterSet = charset
    identifier.QueryRetrieveLevel = level
    for keyword, value in ({LEVEL_UID[level]: ""} | values).items():
        setattr(identifier, keyword, value)
    return identifier


def found(county, level: str, model: str = STUDY_ROOT, calling: str = "TOWNSHIP_CT", **values) -> list[str]:
    answers, status = ask(county, model, keys(level, **values), calling)
    assert status == 0x0000
    return sorted(str(one[LEVEL_UID[level]].value) for one in answers)


@pytest.mark.parametrize("values, uids", [
    ({}, ["1.2.10", "1.2.20", "1.2.30", "1.2.40"]), ({"PatientID": "A1"}, ["1.2.10", "1.2.40"]), ({"PatientID": "A?"}, ["1.2.10", "1.2.20", "1.2.30", "1.2.40"]),
    ({"PatientID": "*"}, ["1.2.10", "1.2.20", "1.2.30", "1.2.40"]), ({"PatientID": "A%"}, []), ({"PatientID": "' OR 1=1 --"}, []),
    ({"PatientName": "张*"}, ["1.2.10", "1.2.40"]), ({"PatientName": "张^三"}, ["1.2.10", "1.2.40"]), ({"PatientName": "zhang*"}, ["1.2.10", "1.2.20", "1.2.40"]), ({"PatientName": "ZHANG^W*"}, ["1.2.20"]),
    ({"StudyDate": "20260302"}, ["1.2.20"]), ({"StudyDate": "20260302-"}, ["1.2.20", "1.2.30", "1.2.40"]),
    ({"StudyDate": "-20260302"}, ["1.2.10", "1.2.20"]), ({"StudyDate": "20260301-20260302"}, ["1.2.10", "1.2.20"]),
    ({"StudyTime": "0800-0900"}, ["1.2.10", "1.2.40"]), ({"StudyInstanceUID": ["1.2.10", "1.2.30"]}, ["1.2.10", "1.2.30"]),
    ({"ModalitiesInStudy": "SR"}, ["1.2.30"]), ({"ModalitiesInStudy": ["DX", "SR"]}, ["1.2.20", "1.2.30"]),
    ({"AccessionNumber": "ACC2"}, ["1.2.20"]), ({"PatientID": "NOBODY"}, []), ({"StudyInstanceUID": "1.2.90"}, []),
    ({"StudyID": "20"}, ["1.2.20"]), ({"StudyID": "S-1?"}, ["1.2.10", "1.2.40"]), ({"StudyID": "s-10"}, []), ({"StudyID": "*0"}, ["1.2.10", "1.2.20", "1.2.40"]), ({"StudyID": "2"}, []),
    ({"StudyID": ["20", "S-10"]}, ["1.2.10", "1.2.20", "1.2.40"]), ({"StudyID": "*"}, ["1.2.10", "1.2.20", "1.2.30", "1.2.40"]),
    ({"ReferringPhysicianName": "欧阳^明"}, ["1.2.10", "1.2.40"]), ({"ReferringPhysicianName": "欧*"}, ["1.2.10", "1.2.40"]), ({"ReferringPhysicianName": "歐陽?"}, ["1.2.10", "1.2.40"]),
    ({"ReferringPhysicianName": "ouyang^MING"}, ["1.2.10", "1.2.40"]), ({"ReferringPhysicianName": "阳明"}, []), ({"ReferringPhysicianName": "王^五"}, ["1.2.20"]),
    ({"ReferringPhysicianName": "wang^wu"}, ["1.2.20"]), ({"ReferringPhysicianName": "Wang^Wu=王^五"}, ["1.2.20"]), ({"ReferringPhysicianName": "Wang^Wu=王^六"}, []),
    ({"ReferringPhysicianName": "*五"}, ["1.2.20"]), ({"ReferringPhysicianName": "*"}, ["1.2.10", "1.2.20", "1.2.30", "1.2.40"]), ({"ReferringPhysicianName": "Zhao*"}, []),
    ({"ReferringPhysicianName": "欧阳*", "StudyDate": "20260401"}, ["1.2.40"]), ({"ReferringPhysicianName": "欧阳*", "PatientName": "张*", "StudyID": "S*"}, ["1.2.10", "1.2.40"]),
    ({"ReferringPhysicianName": "' OR 1=1 --"}, []), ({"ReferringPhysicianName": "%"}, []),
], ids=str)
def test_studies_that_fit_are_found(county, values, uids):
    assert found(county, "STUDY", **values) == uids
    assert found(county, "STUDY", PATIENT_ROOT, **values) == uids


@pytest.mark.parametrize("name, whole, part", [
    ("三", [], ["1.2.10", "1.2.40"]), ("San", [], ["1.2.10", "1.2.40"]), ("zs", ["1.2.10", "1.2.40"], ["1.2.10", "1.2.40"]), ("Zhang", [], ["1.2.10", "1.2.20", "1.2.40"]),
    ("張^三", ["1.2.10", "1.2.40"], ["1.2.10", "1.2.40"]), ("Zhang=张", [], ["1.2.10", "1.2.40"]), ("zhang san", ["1.2.10", "1.2.40"], ["1.2.10", "1.2.40"])])
def test_fuzzy_matching_of_names_is_negotiated(county, name, whole, part):
    assert found(county, "STUDY", PatientName=name) == whole
    assert found_as_negotiated(county, b"\x00\x00\x01", b"\x01\x00\x01", PatientName=name) == part


@pytest.mark.parametrize("name, part", [("明", ["1.2.10", "1.2.40"]), ("ouyang", ["1.2.10", "1.2.40"]), ("oym", ["1.2.10", "1.2.40"]), ("五", ["1.2.20"]), ("Wang=王", ["1.2.20"])])
def test_fuzzy_matching_is_that_of_referring_physicians_too(county, name, part):
    assert found_as_negotiated(county, b"\0\0\1", b"\1\0\1", ReferringPhysicianName=name) == part


def found_as_negotiated(county, asked: bytes, agreed: bytes, level: str = "STUDY", model: str = STUDY_ROOT, **values) -> list[str]:
    """What is found where ``asked`` was the service class application information of an extended negotiation."""
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid, item.service_class_application_information = model, asked
    association = county.associate((model, ExplicitVRLittleEndian), extended=[item])
    assert association.acceptor.sop_class_extended == {model: agreed}
    answers = [answer for _, answer in association.send_c_find(keys(level, **values), model) if answer is not None]
    association.release()
    return sorted(str(answer[LEVEL_UID[level]].value) for answer in answers)


@pytest.mark.parametrize("day, clock, one_by_one, as_one_span", [
    ("20260301-20260303", "0900-1100", ["1.2.20"], ["1.2.20", "1.2.30"]), ("20260301-20260401", "1000-0900", [], ["1.2.20", "1.2.30", "1.2.40"]),
    ("20260301-20260302", "081500-101500", ["1.2.10", "1.2.20"], ["1.2.10", "1.2.20"]), ("20260301-20260302", "081501-101459", [], []),
    ("20260301 - 20260302", "08 - 10", ["1.2.10", "1.2.20"], ["1.2.10", "1.2.20"]), ("20260301-20260302", "0816-1014", [], []),
    ("20260302-", "1016-", [], ["1.2.30", "1.2.40"]), ("20260302-", "101500.000000-", ["1.2.20"], ["1.2.20", "1.2.30", "1.2.40"]),
    ("-20260302", "-0900", ["1.2.10"], ["1.2.10"]), ("-20260302", "-1016", ["1.2.10", "1.2.20"], ["1.2.10", "1.2.20"]), ("-20260401", "-0814", [], ["1.2.10", "1.2.20", "1.2.30"]),
    # of which the day alone is known: of its own day, whatever the time
    ("20260303-20260303", "1000-1100", [], ["1.2.30"]), ("20260304-20260401", "0000-2359", ["1.2.40"], ["1.2.40"]),
    # no ranges of the same form (C.2.2.2.5.4): each by itself
    ("20260302", "0900-1100", ["1.2.20"], ["1.2.20"]), ("20260301-20260401", "0815", ["1.2.10", "1.2.40"], ["1.2.10", "1.2.40"]),
    ("20260301-20260401", "0816-", ["1.2.20"], ["1.2.20"]), ("20260302-", "0815-1016", ["1.2.20", "1.2.40"], ["1.2.20", "1.2.40"]),
    ("20260301-20260303", "", ["1.2.10", "1.2.20", "1.2.30"], ["1.2.10", "1.2.20", "1.2.30"]), ("", "0900-1100", ["1.2.20"], ["1.2.20"])])
def test_a_range_of_dates_and_one_of_times_are_one_span_where_that_is_negotiated(county, day, clock, one_by_one, as_one_span):
    values = {"StudyDate": day, "StudyTime": clock}
    assert found(county, "STUDY", **values) == one_by_one
    assert found_as_negotiated(county, b"\1", b"\1\0\0", **values) == found_as_negotiated(county, b"\1\0\1", b"\1\0\1", **values) == one_by_one
    assert found_as_negotiated(county, b"\0\1", b"\1\1\0", **values) == as_one_span


def test_a_span_of_time_restricts_every_level_and_goes_with_other_keys(county):
    span = {"StudyDate": "20260301-20260303", "StudyTime": "0900-1100"}
    assert found_as_negotiated(county, b"\0\1\0", b"\1\1\0", "PATIENT", PATIENT_ROOT, **span) == ["A2", "A3"]
    assert found_as_negotiated(county, b"\0\1\0", b"\1\1\0", "SERIES", **span) == ["1.2.20.1", "1.2.30.1", "1.2.30.2"]
    assert found_as_negotiated(county, b"\0\1\0", b"\1\1\0", "IMAGE", Modality="SR", **span) == ["1.2.30.2.1"]
    assert found_as_negotiated(county, b"\0\1\1", b"\1\1\1", PatientName="wei", **span) == ["1.2.20"]
    with county.hub.reading() as connection:
        last = connection.execute(select(tables.audit).order_by(tables.audit.c.seq.desc()).limit(1)).one()
    assert '"study_moment": "2026-03-01T09:00:00-2026-03-03T11:00:59"' in last.detail


def test_every_level_is_answered(county):
    assert found(county, "PATIENT", PATIENT_ROOT) == ["A1", "A2", "A3"]
    assert found(county, "PATIENT", PATIENT_ROOT, PatientName="张*") == ["A1"]
    assert found(county, "PATIENT", PATIENT_ROOT, ReferringPhysicianName="欧阳*") == ["A1"] and found(county, "PATIENT", PATIENT_ROOT, StudyID="20") == ["A2"]
    assert found(county, "SERIES", ReferringPhysicianName="王五") == found(county, "SERIES", StudyID="20") == ["1.2.20.1"]
    assert found(county, "IMAGE", ReferringPhysicianName="欧阳*") == ["1.2.10.1.1", "1.2.40.1.1"]
    assert found(county, "SERIES", StudyInstanceUID="1.2.30") == ["1.2.30.1", "1.2.30.2"]
    assert found(county, "SERIES", StudyInstanceUID="1.2.30", Modality="SR") == ["1.2.30.2"]
    assert found(county, "IMAGE", StudyInstanceUID="1.2.30", SeriesInstanceUID="1.2.30.1") == ["1.2.30.1.1", "1.2.30.1.2", "1.2.30.1.3"]
    assert found(county, "IMAGE", PATIENT_ROOT, SOPInstanceUID=["1.2.30.1.2", "1.2.10.1.1"]) == ["1.2.10.1.1", "1.2.30.1.2"]
    assert found(county, "IMAGE", SeriesInstanceUID="1.2.30.1", InstanceNumber="2") == ["1.2.30.1.2"]


def test_an_answer_holds_exactly_the_keys_that_were_asked_for(county):
    (answer,), _ = ask(county, STUDY_ROOT, keys("STUDY", StudyInstanceUID="1.2.30", PatientName="", ModalitiesInStudy="", StudyDate="",
                                                NumberOfStudyRelatedInstances="", NumberOfStudyRelatedSeries="", ReferringPhysicianName=""))
    assert {element.keyword for element in answer} == {
        "SpecificCharacterSet", "QueryRetrieveLevel", "RetrieveAETitle", "StudyInstanceUID", "PatientName", "ModalitiesInStudy", "StudyDate",
        "NumberOfStudyRelatedInstances", "NumberOfStudyRelatedSeries", "ReferringPhysicianName"}
    assert (answer.RetrieveAETitle, answer.QueryRetrieveLevel, answer.PatientName, answer.StudyDate) == ("HUB", "STUDY", "LI^NA", "20260303")
    assert (list(answer.ModalitiesInStudy), answer.NumberOfStudyRelatedInstances, answer.NumberOfStudyRelatedSeries) == (["CT", "SR"], 4, 2)
    (answer,), _ = ask(county, STUDY_ROOT, keys("SERIES", SeriesInstanceUID="1.2.30.1", NumberOfSeriesRelatedInstances="", Modality=""))
    assert (answer.NumberOfSeriesRelatedInstances, answer.Modality) == (3, "CT")


@pytest.mark.parametrize("asked, codec, given", [("GB18030", "gb18030", "GB18030"), ("ISO_IR 192", "utf-8", "ISO_IR 192"), ("", "utf-8", "ISO_IR 192")])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_names_come_in_the_character_set_that_the_caller_asks_for(county, asked, codec, given, syntax):
    association = county.associate((STUDY_ROOT, syntax))
    sent = keys("STUDY", asked, StudyInstanceUID="1.2.10", StudyDescription="", ReferringPhysicianName="", StudyID="")
    if asked:
        sent.PatientName = "张*"
    else:
        sent.PatientName = ""
    (_, answer), _ = association.send_c_find(sent, STUDY_ROOT)
    association.release()
    assert answer.SpecificCharacterSet == given
    assert answer.get_item("PatientName").value.rstrip(b" ") == "张^三".encode(codec)
    assert answer.get_item("ReferringPhysicianName").value.rstrip(b" ") == "欧阳^明".encode(codec)
    assert (answer.StudyDescription, answer.StudyID) == ("胸部平扫", "S-10")


def test_a_device_that_declares_nothing_asks_and_is_answered_in_the_character_set_registered_for_it(own_gateway):
    """C3 BC is ü in UTF-8 and 眉 in GB18030: the bytes do not decide, the device's rule does."""
    device_id, _ = devices.register(own_gateway.hub, SYSTEM, site_id=1, kind="dicom", name="GB", ae_title="GB_CT")
    device_changes.set_rules(own_gateway.hub, SYSTEM, device_id, {"charset": "GB18030"})
    ds = slice_of_ct(PatientName=b"\xc3\xbc".decode("latin-1"))
    assert own_gateway.send(ds, calling="GB_CT") == [0] and own_gateway.study(ds.StudyInstanceUID).name == "眉"
    asking = keys("STUDY", "", PatientName=b"\xc3\xbc".decode("latin-1"))
    (answer,), _ = ask(own_gateway, STUDY_ROOT, asking, "GB_CT")
    assert (answer.SpecificCharacterSet, answer.StudyInstanceUID) == ("GB18030", ds.StudyInstanceUID)
    assert answer.get_item("PatientName").value.rstrip(b" ") == b"\xc3\xbc"
    assert ask(own_gateway, STUDY_ROOT, asking)[0] == [], "of another device it is read as UTF-8"
    (answer,), _ = ask(own_gateway, STUDY_ROOT, keys("STUDY", "ISO_IR 192", PatientName="眉"), "GB_CT")
    assert answer.SpecificCharacterSet == "ISO_IR 192", "what is declared counts more"


@pytest.mark.parametrize("declared, written", [
    ("GB18030", "gb18030"), ("GBK", "gb18030"), ("ISO_IR 192", "utf-8"), ("", "gb18030"), ("", "utf-8"), ("ISO_IR 100", "gb18030"), ("ISO_IR 192", "gb18030"),
    ("\\ISO 2022 IR 58", "iso_ir_58")])
def test_names_are_found_in_whatever_character_set_they_are_asked(county, declared, written):
    """By the bytes of the question, whatever it declares."""
    name = b"\x1b$)A" + "张^".encode("gb2312").replace(b"^", b"^\x1b$)A") + "三".encode("gb2312") if written == "iso_ir_58" else "张^三".encode(written)
    identifier = keys("STUDY", "", PatientName="X" * (len(name) + len(name) % 2))
    if declared:
        identifier.SpecificCharacterSet = declared.split("\\")
    sent = encode(identifier, False, True).replace(b"X" * (len(name) + len(name) % 2), name + b" " * (len(name) % 2))
    answers, status = ask(county, STUDY_ROOT, decode(BytesIO(sent), False, True))      # as read, so that it goes out byte for byte
    assert status == 0x0000 and {str(one.StudyInstanceUID) for one in answers} == {"1.2.10", "1.2.40"}


def test_a_wrongly_declared_name_is_right_in_the_answer_and_in_the_question(own_gateway):
    ds = slice_of_ct(SpecificCharacterSet="ISO_IR 100", PatientID="W1")
    ds.PatientName = "王^小明".encode("gb18030").decode("latin-1")
    assert own_gateway.send(ds) == [0]
    asking = keys("STUDY", "ISO_IR 100", PatientName="王*".encode("gb18030").decode("latin-1"))
    (answer,), _ = ask(own_gateway, STUDY_ROOT, asking)
    assert answer.PatientName == "王^小明" and answer.StudyInstanceUID == ds.StudyInstanceUID


def test_a_device_finds_its_own_sites_patients_only_and_every_question_is_in_the_audit(county):
    assert found(county, "STUDY", calling=NEIGHBOUR) == ["1.2.90"]
    assert found(county, "PATIENT", PATIENT_ROOT, calling=NEIGHBOUR, PatientID="A*") == ["A2"]
    assert found(county, "IMAGE", calling=NEIGHBOUR, SOPInstanceUID="1.2.10.1.1") == []
    with county.hub.reading() as connection:
        last = connection.execute(select(tables.audit).order_by(tables.audit.c.seq.desc()).limit(1)).one()
    assert (last.actor, last.role, last.action, last.address) == ("白河 DR", "device", "study.query", "127.0.0.1")
    assert '"sop_uid": "1.2.10.1.1"' in last.detail and '"found": 0' in last.detail


def test_keys_that_are_not_held_are_told_by_the_status(county):
    association = county.associate((STUDY_ROOT, ExplicitVRLittleEndian))
    statuses = [status.Status for status, _ in association.send_c_find(keys("STUDY", StudyInstanceUID="1.2.10", PatientWeight=""), STUDY_ROOT)]
    association.release()
    assert statuses == [0xFF01, 0x0000]


@pytest.mark.parametrize("level, values", [
    ("", {}), ("NONSENSE", {}), ("STUDY", {"StudyDate": "yesterday"}), ("STUDY", {"StudyDate": "-"}), ("STUDY", {"StudyInstanceUID": "1.2.*"}),
    ("IMAGE", {"InstanceNumber": "two"}), ("PATIENT", {}), ("STUDY", {"StudyTime": "noon"}), ("STUDY", {"StudyTime": "08.5"}), ("STUDY", {"StudyDate": "20260301-20260302-20260303"}),
])
def test_a_question_that_cannot_be_understood_is_refused_and_the_association_stays(county, level, values, caplog):
    association = county.associate((STUDY_ROOT, ExplicitVRLittleEndian))
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in values.items():
        identifier.add_new(keyword, "LO", value)      # so that pydicom sends it as it stands
    with caplog.at_level(logging.WARNING, "hub.gateway"):
        assert [status.Status for status, _ in association.send_c_find(identifier, STUDY_ROOT)] == [0xA900]
    assert "C-FIND from" in caplog.text
    (status, _), *_ = association.send_c_find(keys("STUDY", StudyInstanceUID="1.2.10"), STUDY_ROOT)
    assert status.Status == 0xFF00
    association.release()


HOSTILE = [b"\xff" * 64, b"\x08\0\x52\0CS\xff\xff", b"\x08\0\x52\0CS\x06\0STUDY ", b"\x10\0\x10\0SQ\0\0\xff\xff\xff\xff" * 400,
           b"\x08\0\x52\0CS\x06\0STUDY \x10\0\x10\0PN\x06\0\x1b$)A\xff\xff", b"\x08\0\x52\0CS\x06\0STUDY \x10\0\x10\0SQ\x0a\0" + b"\0" * 12,
           b"\x08\0\x52\0CS\x06\0STUDY \x20\0\x0d\0UI\x04\0\0\0\0\0", b"\x08\0\x52\0CS\x06\0STUDY \x10\0\x20\0LO\x04\0a\0\xffb", b"\x08\0\x52\0CS\x06\0STUDY "
           + b"\x08\0\x61\0CS" + (60000).to_bytes(2, "little") + b"CT\\" * 20000]


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_identifier_ends_with_an_answer_and_the_next_caller_is_served(county, content):
    association = county.associate((STUDY_ROOT, ExplicitVRLittleEndian))
    request = C_FIND()
    request.MessageID, request.AffectedSOPClassUID, request.Priority, request.Identifier = 1, STUDY_ROOT, 2, BytesIO(content)
    statuses = []
    association._reactor_checkpoint.clear()
    while not association._is_paused:
        pass
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    while not statuses or statuses[-1] in (0xFF00, 0xFF01):
        _, answer = association.dimse.get_msg(block=True)
        assert answer is not None, "no answer"
        statuses.append(answer.Status)
    association._reactor_checkpoint.set()
    association.release()
    assert statuses[-1] in (0x0000, 0xA900, 0xC000)
    assert found(county, "STUDY", PatientID="A3") == ["1.2.30"]


def test_a_question_without_end_is_cut_off_before_it_fills_the_memory(county):
    elements = [(0x0002, STUDY_ROOT.encode() + b"\0"), (0x0100, b"\x20\0"), (0x0110, b"\1\0"), (0x0700, b"\2\0"), (0x0800, b"\1\0")]
    command = b"".join(struct.pack("<HHL", 0, number, len(value)) + value for number, value in elements)
    command = struct.pack("<HHLL", 0, 0, 4, len(command)) + command
    sent = 0
    with Wire(county.port) as wire:
        assert wire.associate("TOWNSHIP_CT", contexts=((1, STUDY_ROOT, ExplicitVRLittleEndian),)) == A_ASSOCIATE_AC
        wire.pdata(pdv(1, 0x03, command))
        try:
            while sent < 200 << 20:
                wire.data(bytes(100_000), last=False)
                sent += 100_000
        except ConnectionError:
            pass
    assert 10 << 20 < sent < 60 << 20
    assert found(county, "STUDY", PatientID="A3") == ["1.2.30"]


@pytest.mark.peers
def test_a_caller_can_stop_the_answers(own_gateway, tmp_path, monkeypatch):
    """By findscu, which sends its C-CANCEL at once; pynetdicom's client sends nothing while answers pour in."""
    look, nothing_waits, send = service._let_a_cancel_through, [], AssociationSocket.send

    def look_until_it_has_come(event) -> None:
        """Findscu is a process of its own and takes what time it takes."""
        look(event)
        nothing_waits.append(event.assoc.dul.to_provider_queue.empty())
        if len(nothing_waits) > 1:                    # twenty answers were sent
            wait_until(lambda: event.assoc.dimse.cancel_req)
    monkeypatch.setattr(service, "_let_a_cancel_through", look_until_it_has_come)
    monkeypatch.setattr(AssociationSocket, "send", lambda line, words: (time.sleep(0.005), send(line, words)))     # so that answers do wait
    many_studies(own_gateway, 1500)
    said = dcmtk("findscu", own_gateway, "-S", "--cancel", "3", "-X", "-od", tmp_path, "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID")
    assert "Cancel" in said.split("Received Final Find Response")[1], said[-500:]
    assert 3 <= len(list(tmp_path.glob("rsp*.dcm"))) <= 20 and all(nothing_waits)


def test_a_thousand_studies_are_all_found_once(own_gateway):
    uids = many_studies(own_gateway, 1000)
    answers, status = ask(own_gateway, STUDY_ROOT, keys("STUDY", PatientName="", ModalitiesInStudy=""))
    assert status == 0 and sorted(one.StudyInstanceUID for one in answers) == sorted(uids)


@pytest.mark.peers
@pytest.mark.parametrize("model, level, sent, uids", [
    ("-P", "PATIENT", ["PatientID=A*"], {"A1", "A2", "A3"}), ("-P", "STUDY", ["PatientID=A1", "StudyInstanceUID"], {"1.2.10", "1.2.40"}),
    ("-S", "STUDY", ["StudyInstanceUID", "StudyDate=20260302-20260303"], {"1.2.20", "1.2.30"}),
    ("-S", "SERIES", ["StudyInstanceUID=1.2.30", "SeriesInstanceUID"], {"1.2.30.1", "1.2.30.2"}),
    ("-S", "IMAGE", ["StudyInstanceUID=1.2.30", "SeriesInstanceUID=1.2.30.1", "SOPInstanceUID"], {"1.2.30.1.1", "1.2.30.1.2", "1.2.30.1.3"}),
    ("-S", "STUDY", ["StudyInstanceUID", "PatientID=NOBODY"], set()),
])
def test_findscu_is_answered_at_every_level(county, tmp_path, model, level, sent, uids):
    arguments = [part for key in (f"QueryRetrieveLevel={level}", *sent) for part in ("-k", key)]
    said = dcmtk("findscu", county, model, "-X", "-od", tmp_path, *arguments)
    assert "Received Final Find Response (Success)" in said, said
    read = [dcmread(path, force=True) for path in sorted(tmp_path.glob("rsp*.dcm"))]
    assert {str(one[LEVEL_UID[level]].value) for one in read} == uids and len(read) == len(uids)


@pytest.mark.peers
@pytest.mark.parametrize("charset, codec", [("GB18030", "gb18030"), ("ISO_IR 192", "utf-8")])
def test_findscu_asks_and_reads_chinese_names(county, tmp_path, charset, codec):
    asking = keys("STUDY", charset, PatientName="张*", StudyDate="20260301", ReferringPhysicianName="欧阳*", StudyID="S*")
    asking.save_as(tmp_path / "asking.dcm", implicit_vr=False, little_endian=True)
    said = dcmtk("findscu", county, "-S", "-X", "-od", tmp_path, file=tmp_path / "asking.dcm")
    assert "Success" in said, said
    (answer,) = [dcmread(path, force=True) for path in tmp_path.glob("rsp*.dcm")]
    assert answer.get_item("PatientName").value.rstrip(b" ") == "张^三".encode(codec) and answer.StudyInstanceUID == "1.2.10"
    assert answer.get_item("ReferringPhysicianName").value.rstrip(b" ") == "欧阳^明".encode(codec) and answer.StudyID == "S-10"
