"""The modality worklist, asked by DCMTK's findscu -W and by pynetdicom, over orders whose attributes are known."""
import json
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.sop_class import ModalityWorklistInformationFind as MWL
from sqlalchemy import select, update

from hub.flow import administration, devices, ordering
from hub.model.access import SYSTEM, Actor
from hub.storage import tables
from tests.dicom_gateway.county import NEIGHBOUR, ask, dcmtk
from tests.dicom_gateway.running import SENDER, running
from tests.hub.orders import order_row, wish

ZONE = ZoneInfo("Asia/Shanghai")
DAY = datetime(2026, 5, 4, 9, 30, tzinfo=ZONE)
CLINIC = Actor(None, "青山卫生院", "clinic", 1, "10.0.0.7")


@pytest.fixture(scope="module")
def county(tmp_path_factory):
    with running(tmp_path_factory.mktemp("county")) as gateway:
        hub = gateway.hub
        other = administration.create_site(hub, SYSTEM, code="BH", name="白河镇卫生院")
        devices.register(hub, SYSTEM, site_id=other, kind="dicom", name="白河 DR", ae_title=NEIGHBOUR)
        for ae, charset in (("GBK_CT", "GB18030"), ("LATIN_CT", "ISO_IR 100"), ("SECOND_CT", "")):
            devices.register(hub, SYSTEM, site_id=1, kind="dicom", name=ae, ae_title=ae, charset=charset)
        second = devices.admit(hub, "SECOND_CT", "127.0.0.1").id
        gateway.orders = {name: order_row(hub, ordering.place(hub, actor, wish(DAY + later, **values))) for name, actor, later, values in (
            ("zeng", CLINIC, timedelta(0), dict(patient_name="曾小明", patient_number="P1", urgency="emergency")),
            ("ouyang", CLINIC, timedelta(hours=2), dict(patient_name="欧阳娜", patient_number="P2", sex="F", modality="DX", procedure="")),
            ("own", CLINIC, timedelta(days=1), dict(patient_name="李 明", patient_number="P3", device_id=second)),
            ("latin", CLINIC, timedelta(days=2, hours=6), dict(patient_name="Li Lei", patient_number="P4")),
            ("cancelled", CLINIC, timedelta(0), dict(patient_name="张三", patient_number="P5")),
            ("next_door", Actor(None, "白河卫生院", "clinic", other), timedelta(0), dict(patient_name="曾小明", patient_number="P1")))}
        ordering.cancel(hub, CLINIC, gateway.orders["cancelled"].id, "患者未到")
        yield gateway


def keys(step: dict | None = None, charset: str = "ISO_IR 192", **values) -> Dataset:
    asked = Dataset()
    if charset:
        asked.SpecificCharacterSet = charset
    for keyword, value in ({"PatientName": "", "PatientID": ""} | values).items():
        setattr(asked, keyword, value)
    item = Dataset()
    for keyword, value in ({"ScheduledProcedureStepStartDate": "", "ScheduledProcedureStepStartTime": "", "Modality": ""} | (step or {})).items():
        setattr(item, keyword, value)
    asked.ScheduledProcedureStepSequence = [item]
    return asked


def found(county, calling: str = SENDER, **how) -> list[str]:
    answers, status = ask(county, MWL, keys(**how), calling)
    assert status == 0x0000
    return [one.PatientID for one in answers]


@pytest.mark.parametrize("step, values, numbers", [
    ({}, {}, ["P1", "P2", "P3", "P4"]), ({"Modality": "CT"}, {}, ["P1", "P3", "P4"]), ({"Modality": ["CT", "DX"]}, {}, ["P1", "P2", "P3", "P4"]),
    ({"ScheduledProcedureStepStartDate": "20260504"}, {}, ["P1", "P2"]), ({"ScheduledProcedureStepStartDate": "20260505-"}, {}, ["P3", "P4"]),
    ({"ScheduledProcedureStepStartDate": "-20260505"}, {}, ["P1", "P2", "P3"]), ({"ScheduledProcedureStepStartDate": "20260504-20260505"}, {}, ["P1", "P2", "P3"]),
    ({"ScheduledProcedureStepStartDate": "20260504", "ScheduledProcedureStepStartTime": "1000-"}, {}, ["P2"]),
    ({"ScheduledProcedureStepStartTime": "093000"}, {}, ["P1", "P3"]), ({"ScheduledProcedureStepStartTime": "09"}, {}, ["P1", "P3"]),
    # K.6.1.2.2: from the 4th at 10:00 to the 6th at 10:00, not ten to ten of each day
    ({"ScheduledProcedureStepStartDate": "20260504-20260506", "ScheduledProcedureStepStartTime": "100000-100000"}, {}, ["P2", "P3"]),
    ({"ScheduledProcedureStepStartDate": "20260504-20260506", "ScheduledProcedureStepStartTime": "1000-"}, {}, ["P2", "P3", "P4"]),
    ({"ScheduledProcedureStepStartDate": "20260504-", "ScheduledProcedureStepStartTime": "1000-"}, {}, ["P2", "P3", "P4"]),
    ({"ScheduledProcedureStepStartDate": "-20260505", "ScheduledProcedureStepStartTime": "-1000"}, {}, ["P1", "P2", "P3"]),
    ({"ScheduledStationAETitle": "SECOND_CT"}, {}, ["P1", "P2", "P3", "P4"]), ({"ScheduledStationAETitle": SENDER}, {}, ["P1", "P2", "P4"]),
    ({"ScheduledStationAETitle": "*"}, {}, ["P1", "P2", "P3", "P4"]),
    ({}, {"PatientID": "P3"}, ["P3"]), ({}, {"PatientID": "P*"}, ["P1", "P2", "P3", "P4"]), ({}, {"PatientID": "%"}, []),
    ({}, {"PatientName": "曾*"}, ["P1"]), ({}, {"PatientName": "曾^小明"}, ["P1"]), ({}, {"PatientName": "ZENG*"}, ["P1"]), ({}, {"PatientName": "zeng^xiaoming"}, ["P1"]),
    ({}, {"PatientName": "*娜"}, ["P2"]), ({}, {"PatientName": "Ouyang?Na"}, ["P2"]), ({}, {"PatientName": "OUYANG^N?"}, ["P2"]), ({}, {"PatientName": "LI*"}, ["P3", "P4"]),
    ({}, {"PatientName": "李明"}, ["P3"]), ({}, {"PatientName": "ZENG^XIAOMING=曾^小明"}, ["P1"]), ({}, {"PatientName": "王*"}, []),
    ({"ScheduledProcedureStepStatus": "STARTED"}, {}, []), ({"ScheduledProcedureStepStatus": "SCHEDULED"}, {}, ["P1", "P2", "P3", "P4"]),
], ids=str)
def test_orders_that_fit_are_found_in_the_order_of_their_time(county, step, values, numbers):
    assert found(county, step=step, **values) == numbers


def test_accession_number_study_uid_and_step_id_are_matched(county):
    order = county.orders["own"]
    assert found(county, AccessionNumber=order.accession_number) == ["P3"]
    assert found(county, StudyInstanceUID=order.study_uid) == ["P3"]
    assert found(county, step={"ScheduledProcedureStepID": order.accession_number}) == ["P3"]
    assert found(county, AccessionNumber="A26050400000") == []


def test_a_device_sees_its_own_sites_orders_only_and_every_question_is_in_the_audit(county):
    assert found(county, calling=NEIGHBOUR) == ["P1"]
    assert found(county, calling=NEIGHBOUR, AccessionNumber=county.orders["zeng"].accession_number) == []
    with county.hub.reading() as connection:
        last = connection.execute(select(tables.audit).where(tables.audit.c.action == "order.worklist").order_by(tables.audit.c.seq.desc()).limit(1)).one()
    assert (last.actor, last.role, last.address) == ("白河 DR", "device", "127.0.0.1") and '"found": 0' in last.detail


def entries(county) -> list[dict]:
    with county.hub.reading() as connection:
        return [json.loads(detail) for detail in connection.scalars(select(tables.audit.c.detail).where(tables.audit.c.action == "order.worklist").order_by(tables.audit.c.seq))]


def test_a_device_that_polls_leaves_an_entry_for_what_it_is_newly_shown_only(county):
    assert found(county, PatientName="ZENG*", step={"Modality": "CT"}) == ["P1"]
    after = entries(county)
    assert after[-1]["shown"] == [county.orders["zeng"].id] and after[-1]["repeated"] == 0
    for _ in range(3):
        assert found(county, PatientName="ZENG*", step={"Modality": "CT"}) == ["P1"]
    assert entries(county) == after
    assert found(county, PatientName="ZENG^X*", step={"Modality": "CT"}) == ["P1"]
    assert len(entries(county)) == len(after) + 1, "another question is another look"


@pytest.mark.parametrize("calling, asked, given, codec, name", [
    (SENDER, "ISO_IR 192", "ISO_IR 192", "utf-8", "ZENG^XIAOMING=曾^小明"), (SENDER, "GB18030", "GB18030", "gb18030", "ZENG^XIAOMING=曾^小明"),
    (SENDER, "GBK", "GB18030", "gb18030", "ZENG^XIAOMING=曾^小明"), (SENDER, "", "ISO_IR 192", "utf-8", "ZENG^XIAOMING=曾^小明"),
    (SENDER, "ISO_IR 100", "ISO_IR 100", "ascii", "ZENG^XIAOMING"), ("GBK_CT", "ISO_IR 100", "GB18030", "gb18030", "ZENG^XIAOMING=曾^小明"),
    ("LATIN_CT", "ISO_IR 192", "ISO_IR 100", "ascii", "ZENG^XIAOMING")])
def test_a_name_comes_in_the_character_set_that_the_device_reads(county, calling, asked, given, codec, name):
    wanted = keys(charset=asked, PatientID="P1", RequestedProcedureDescription="", RequestedProcedureComments="")
    (answer,), _ = ask(county, MWL, wanted, calling)
    assert answer.SpecificCharacterSet == given
    assert answer.get_item("PatientName").value.rstrip(b" ") == name.encode(codec)
    if codec == "ascii":
        assert answer.RequestedProcedureDescription == "xiong bu CT ping sao" and answer.RequestedProcedureComments.startswith("ke sou 3 zhou , tan zhong")
    else:
        assert answer.RequestedProcedureDescription == "胸部 CT 平扫" and answer.RequestedProcedureComments == "咳嗽 3 周，痰中带血，除外肺癌"


def test_an_answer_holds_exactly_the_keys_that_were_asked_for(county):
    order = county.orders["zeng"]
    asked = keys(PatientID="P1", AccessionNumber="", StudyInstanceUID="", PatientBirthDate="", PatientSex="", RequestedProcedureID="",
                 RequestedProcedurePriority="", ReasonForTheRequestedProcedure="", PatientWeight="", ReferencedStudySequence=[],
                 step={"ScheduledStationAETitle": "", "ScheduledProcedureStepID": "", "ScheduledProcedureStepDescription": "", "ScheduledPerformingPhysicianName": ""})
    (answer,), _ = ask(county, MWL, asked)
    assert {element.keyword for element in answer} == {element.keyword for element in asked}
    assert (answer.AccessionNumber, answer.RequestedProcedureID, answer.StudyInstanceUID) == (order.accession_number, order.accession_number, order.study_uid)
    assert (answer.PatientBirthDate, answer.PatientSex, answer.RequestedProcedurePriority, answer.PatientWeight) == ("19630211", "M", "STAT", None)
    assert answer.ReasonForTheRequestedProcedure == "咳嗽 3 周，痰中带血，除外肺癌"
    (step,) = answer.ScheduledProcedureStepSequence
    assert {element.keyword for element in step} == {element.keyword for element in asked.ScheduledProcedureStepSequence[0]}
    assert (step.ScheduledStationAETitle, step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime) == (SENDER, "20260504", "093000")
    assert (step.Modality, step.ScheduledProcedureStepID, step.ScheduledProcedureStepDescription) == ("CT", order.accession_number, "胸部 CT 平扫")


def test_a_sequence_asked_for_without_keys_comes_whole(county):
    asked = keys(PatientID="P2")
    asked.ScheduledProcedureStepSequence = []
    (answer,), _ = ask(county, MWL, asked)
    assert answer.ScheduledProcedureStepSequence[0].Modality == "DX" and "ScheduledProcedureStepStatus" in answer.ScheduledProcedureStepSequence[0]


@pytest.mark.parametrize("step", [{"ScheduledProcedureStepStartDate": "today"}, {"ScheduledProcedureStepStartTime": "9 o'clock"}, {"ScheduledProcedureStepStartDate": "-"},
                                  {"ScheduledProcedureStepStartDate": "20261399"}, {"ScheduledProcedureStepStatus": "SOON"}], ids=str)
@pytest.mark.filterwarnings("ignore:.*")
def test_a_key_that_is_none_of_its_kind_is_refused(county, step):
    assert ask(county, MWL, keys(step=step)) == ([], 0xA900)


@pytest.mark.peers
def test_findscu_asks_for_the_worklist(county, tmp_path):
    told = dcmtk("findscu", county, "-W", "-X", "-od", tmp_path, "-k", "PatientName=ZENG*", "-k", "PatientID", "-k", "AccessionNumber",
                 "-k", "(0040,0100)[0].Modality=CT", "-k", "(0040,0100)[0].ScheduledStationAETitle", "-k", "(0040,0100)[0].ScheduledProcedureStepStartDate=20260504")
    assert "Received Final Find Response (Success)" in told, told
    (file,) = tmp_path.glob("rsp*.dcm")
    answer = dcmread(file)
    assert answer.PatientName.ideographic == "曾^小明" and answer.PatientName.alphabetic == "ZENG^XIAOMING"
    assert answer.ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate == "20260504"


@pytest.mark.peers
def test_findscu_in_gb18030_gets_gb18030(county, tmp_path):
    query = tmp_path / "query.dcm"
    asked = keys(charset="GB18030", PatientName="欧阳*", PatientID="")
    asked.save_as(query, implicit_vr=False, little_endian=True)
    told = dcmtk("findscu", county, "-W", "-X", "-od", tmp_path, file=query)
    assert "Received Final Find Response (Success)" in told, told
    (file,) = tmp_path.glob("rsp*.dcm")
    answer = dcmread(file)
    assert answer.SpecificCharacterSet == "GB18030" and answer.get_item("PatientName").value.rstrip(b" ") == "OUYANG^NA=欧阳^娜".encode("gb18030")


@pytest.mark.parametrize("calling", [SENDER, "GBK_CT", "LATIN_CT"])
def test_whatever_a_clinic_writes_can_be_told_to_every_device(county, calling):
    order = ordering.place(county.hub, CLINIC, wish(DAY + timedelta(days=30), patient_name="𠮷田·é", patient_number="P-9/ #", phone="总机转 8012", body_part="其他",
                                                    procedure="", physician="Ørsted 医生", clinical_question="血压 170\\100，“胸痛”…\n左＞右😀"))
    asked = keys(AccessionNumber=order_row(county.hub, order).accession_number, RequestedProcedureComments="", ReasonForTheRequestedProcedure="",
                 PatientTelephoneNumbers="", ReferringPhysicianName="", RequestedProcedureDescription="")
    (answer,), status = ask(county, MWL, asked, calling)
    assert status == 0x0000 and "170/100" in answer.RequestedProcedureComments and answer.PatientID == "P-9/ #"
    ordering.cancel(county.hub, CLINIC, order, "试验")


def test_an_order_in_progress_leaves_the_list_and_is_found_by_its_status(county):
    order = county.orders["latin"]
    with county.hub.writing() as connection:
        connection.execute(update(tables.exam_order).where(tables.exam_order.c.id == order.id).values(state="in_progress"))
    try:
        assert found(county, PatientID="P4") == []
        (answer,), _ = ask(county, MWL, keys(PatientID="P4", step={"ScheduledProcedureStepStatus": "STARTED"}))
        assert answer.ScheduledProcedureStepSequence[0].ScheduledProcedureStepStatus == "STARTED"
    finally:
        with county.hub.writing() as connection:
            connection.execute(update(tables.exam_order).where(tables.exam_order.c.id == order.id).values(state="scheduled"))


def test_the_worklist_and_query_retrieve_share_one_association(county):
    association = county.associate((MWL, ExplicitVRLittleEndian), ("1.2.840.10008.5.1.4.1.2.2.1", ExplicitVRLittleEndian))
    asked = Dataset()
    asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", ""
    assert [status.Status for status, _ in association.send_c_find(asked, "1.2.840.10008.5.1.4.1.2.2.1")] == [0x0000]
    assert len(list(association.send_c_find(keys(), MWL))) == 5
    association.release()
