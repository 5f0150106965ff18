"""Performed procedure steps sent by pynetdicom as a modality sends them: kept, ruled, and used as evidence of what must arrive."""
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom.sop_class import ModalityPerformedProcedureStep as MPPS
from pynetdicom.sop_class import ModalityPerformedProcedureStepRetrieve as MPPS_GET
from sqlalchemy import select

from hub.flow import administration, completion, devices, ordering, preparation
from hub.model.access import SYSTEM, Actor
from hub.storage import tables
from tests.dicom_gateway.county import NEIGHBOUR
from tests.dicom_gateway.running import SENDER, running, slice_of_ct
from tests.hub.orders import order_row, wish

CLINIC = Actor(None, "青山卫生院", "clinic", 1, "10.0.0.7")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with running(tmp_path_factory.mktemp("gateway"), incomplete_quiet_s=3600, released_quiet_s=3600, study_quiet_s=3600) as made:
        other = administration.create_site(made.hub, SYSTEM, code="BH", name="白河镇卫生院")
        devices.register(made.hub, SYSTEM, site_id=other, kind="dicom", name="白河 DR", ae_title=NEIGHBOUR)
        yield made


class Modality:
    """A scanner that works on one order: it begins, makes slices, ends, and sends."""

    def __init__(self, gateway, order=None, slices: int = 3, calling: str = SENDER, syntax=ExplicitVRLittleEndian, **patient):
        self.gateway, self.calling, self.syntax, self.order = gateway, calling, syntax, order
        self.uid, self.series_uid = generate_uid(), generate_uid()
        self.study_uid = order.study_uid if order is not None else generate_uid()
        self.patient = {"PatientName": "测试甲", "PatientID": "QS0001", "PatientBirthDate": "19630211", "PatientSex": "M"} | patient
        number = order.accession_number if order is not None else ""
        self.slices = [slice_of_ct(n, self.study_uid, self.series_uid, SpecificCharacterSet="ISO_IR 192", AccessionNumber=number, SeriesNumber="1",
                                   **self.patient) for n in range(1, slices + 1)]

    def created(self, **more) -> Dataset:
        told = Dataset()
        told.SpecificCharacterSet = "ISO_IR 192"
        scheduled = Dataset()
        scheduled.StudyInstanceUID, scheduled.AccessionNumber = self.study_uid, self.order.accession_number if self.order is not None else ""
        scheduled.RequestedProcedureID = scheduled.ScheduledProcedureStepID = scheduled.AccessionNumber
        scheduled.ReferencedStudySequence, scheduled.RequestedProcedureDescription = [], ""
        told.ScheduledStepAttributesSequence = [scheduled]
        for keyword, value in self.patient.items():
            setattr(told, keyword, value)
        told.PerformedProcedureStepID, told.PerformedStationAETitle, told.PerformedStationName = "1", self.calling[:16], "CT1"
        told.PerformedProcedureStepStartDate, told.PerformedProcedureStepStartTime = "20260504", "083000"
        told.PerformedProcedureStepEndDate = told.PerformedProcedureStepEndTime = ""
        told.PerformedProcedureStepStatus, told.PerformedProcedureStepDescription, told.Modality = "IN PROGRESS", "胸部平扫", "CT"
        told.PerformedSeriesSequence = []
        return changed(told, more)

    def ended(self, status: str = "COMPLETED", **more) -> Dataset:
        told = Dataset()
        told.SpecificCharacterSet = "ISO_IR 192"
        told.PerformedProcedureStepStatus = status
        told.PerformedProcedureStepEndDate, told.PerformedProcedureStepEndTime = "20260504", "083500"
        series = Dataset()
        series.SeriesInstanceUID, series.SeriesDescription, series.ProtocolName = self.series_uid, "肺窗", "Chest"
        series.RetrieveAETitle, series.PerformingPhysicianName, series.OperatorsName = "", "", ""
        series.ReferencedImageSequence = [reference(one) for one in self.slices]
        series.ReferencedNonImageCompositeSOPInstanceSequence = []
        told.PerformedSeriesSequence = [series]
        if status == "DISCONTINUED":
            reason = Dataset()
            reason.CodeValue, reason.CodingSchemeDesignator, reason.CodeMeaning = "110513", "DCM", "患者不能配合"
            told.PerformedProcedureStepDiscontinuationReasonCodeSequence = [reason]
        return changed(told, more)

    def tell(self, kind: str, told: Dataset, uid: str = "") -> Dataset:
        """The status data set of one N-CREATE or N-SET."""
        association = self.gateway.associate((MPPS, self.syntax), calling=self.calling)
        assert association.is_established
        act = association.send_n_create if kind == "create" else association.send_n_set
        try:
            return act(told, MPPS, uid or self.uid)[0]
        finally:
            association.release()

    def begin(self, **more) -> int:
        return self.tell("create", self.created(**more)).Status

    def end(self, status: str = "COMPLETED", **more) -> int:
        return self.tell("set", self.ended(status, **more)).Status

    def send(self, *numbers: int) -> None:
        assert set(self.gateway.send(*(self.slices[n - 1] for n in numbers), calling=self.calling)) == {0}

    def row(self):
        with self.gateway.hub.reading() as connection:
            return connection.execute(select(tables.procedure_step).where(tables.procedure_step.c.sop_uid == self.uid)).one_or_none()

    def proof(self) -> dict:
        return self.gateway.study(self.study_uid).proof


def changed(told: Dataset, more: dict) -> Dataset:
    for keyword, value in more.items():
        if value is None:
            delattr(told, keyword)
        else:
            setattr(told, keyword, value)
    return told


def reference(one: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, one.SOPInstanceUID
    return item


def ordered(gateway, **more):
    return order_row(gateway.hub, ordering.place(gateway.hub, CLINIC, wish(gateway.hub.now(), **more)))


def state_of(gateway, order) -> str:
    return order_row(gateway.hub, order.id).state


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_step_moves_its_order_and_is_kept_word_for_word(gateway, syntax):
    order = ordered(gateway)
    modality = Modality(gateway, order, syntax=syntax)
    assert modality.begin() == 0x0000 and state_of(gateway, order) == "in_progress"
    assert modality.end() == 0x0000 and state_of(gateway, order) == "completed"
    row = modality.row()
    assert (row.state, row.order_id, row.patient_name, row.description, row.started_at, row.ended_at) == (
        "completed", order.id, "测试甲", "胸部平扫", "2026-05-04T08:30:00", "2026-05-04T08:35:00")
    assert row.series == [{"series_uid": modality.series_uid, "description": "肺窗", "instances": [str(one.SOPInstanceUID) for one in modality.slices]}]
    kept = Dataset.from_json(row.content)
    assert kept.PatientName == "测试甲" and kept.PerformedSeriesSequence[0].ProtocolName == "Chest" and kept.PerformedProcedureStepStatus == "COMPLETED"


def test_a_name_in_gb18030_is_kept_readable(gateway):
    modality = Modality(gateway)
    assert modality.begin(SpecificCharacterSet="GB18030") == 0x0000
    assert modality.row().patient_name == "测试甲"


def test_only_what_is_in_progress_may_be_changed(gateway):
    modality = Modality(gateway)
    modality.begin()
    progress = Dataset()
    progress.PerformedProcedureStepDescription = "two phases"
    progress.PerformedProcedureStepStatus = "IN PROGRESS"
    assert modality.tell("set", progress).Status == 0x0000 and modality.row().description == "two phases"
    for status in ("COMPLETED", "DISCONTINUED"):
        other = Modality(gateway)
        other.begin()
        assert other.end(status) == 0x0000
        answer = other.tell("set", progress)
        assert (answer.Status, answer.ErrorID) == (0x0110, 0xA710) and "no longer be updated" in answer.ErrorComment
        assert other.row().description == "胸部平扫"


def test_the_same_step_twice_is_a_duplicate_and_an_unknown_one_no_instance(gateway):
    modality = Modality(gateway)
    assert modality.begin() == 0x0000 and modality.begin() == 0x0111
    assert modality.tell("set", modality.ended(), generate_uid()).Status == 0x0112


def test_a_neighbours_device_changes_nothing(gateway):
    modality = Modality(gateway)
    modality.begin()
    stranger = Modality(gateway, calling=NEIGHBOUR)
    assert stranger.tell("set", modality.ended(), modality.uid).Status == 0x0112
    assert modality.row().state == "in_progress"


@pytest.mark.parametrize("more, status", [
    ({"PerformedProcedureStepStatus": "COMPLETED"}, 0x0106), ({"PerformedProcedureStepStatus": "PAUSED"}, 0x0106), ({"PerformedProcedureStepStatus": None}, 0x0120),
    ({"PerformedProcedureStepID": ""}, 0x0121), ({"ScheduledStepAttributesSequence": None}, 0x0120), ({"ScheduledStepAttributesSequence": []}, 0x0121),
    ({"Modality": None}, 0x0120), ({"PerformedProcedureStepStartDate": ""}, 0x0121)], ids=str)
def test_a_step_that_lacks_what_it_needs_is_refused_and_not_kept(gateway, more, status):
    modality = Modality(gateway)
    assert modality.begin(**more) == status and modality.row() is None


@pytest.mark.parametrize("more, status", [
    ({"PerformedSeriesSequence": None}, 0x0121), ({"PerformedSeriesSequence": []}, 0x0121), ({"PerformedProcedureStepEndDate": ""}, 0x0121),
    ({"PerformedProcedureStepStatus": "DONE"}, 0x0106)], ids=str)
def test_an_end_that_lacks_what_it_needs_is_refused_and_the_step_stays_open(gateway, more, status):
    modality = Modality(gateway)
    modality.begin()
    assert modality.end(**more) == status and modality.row().state == "in_progress"
    assert modality.end() == 0x0000


def test_what_may_not_be_set_is_left_as_it_was_with_a_warning(gateway):
    modality = Modality(gateway)
    modality.begin()
    assert modality.end(PatientName="别的人") == 0x0107
    assert (modality.row().state, modality.row().patient_name) == ("completed", "测试甲")


def test_a_step_without_a_uid_is_given_one(gateway):
    modality = Modality(gateway)
    association = gateway.associate((MPPS, ExplicitVRLittleEndian))
    status, _ = association.send_n_create(modality.created(), MPPS, None)
    association.release()
    assert status.Status == 0x0000
    with gateway.hub.reading() as connection:
        assert connection.scalar(select(tables.procedure_step.c.sop_uid).where(tables.procedure_step.c.study_uid == modality.study_uid)).startswith("2.25.")


def test_a_step_that_names_another_patient_is_kept_and_moves_no_order(gateway):
    order = ordered(gateway)
    modality = Modality(gateway, order, PatientName="别的人", PatientID="QS7777")
    assert modality.begin() == 0x0000
    assert state_of(gateway, order) == "scheduled" and modality.row().order_id is None


def test_a_discontinued_step_breaks_its_order_off_with_the_reason(gateway):
    order = ordered(gateway)
    modality = Modality(gateway, order)
    modality.begin()
    assert modality.end("DISCONTINUED") == 0x0000
    row = order_row(gateway.hub, order.id)
    assert (row.state, row.reason, modality.row().reason) == ("discontinued", "患者不能配合", "患者不能配合")
    again = Modality(gateway, order)
    again.begin()
    assert state_of(gateway, order) == "in_progress"
    again.end()
    assert state_of(gateway, order) == "completed"


def test_a_study_whose_device_named_all_its_images_closes_at_once(gateway):
    order = ordered(gateway, urgency="urgent")
    modality = Modality(gateway, order)
    modality.begin()
    modality.send(1, 2, 3)
    assert completion.close_quiet_studies(gateway.hub) == 0, "the device is still at work"
    modality.end()
    assert completion.close_quiet_studies(gateway.hub) == 1
    study = gateway.study(modality.study_uid)
    assert (study.state, study.urgency) == ("complete", "urgent")
    assert (study.proof["verdict"], study.proof["zh"], study.proof["step"]) == ("complete", "3/3 幅，无间断", "completed")
    assert state_of(gateway, order) == "completed"


def test_a_series_that_the_device_did_not_name_keeps_the_study_open_for_the_usual_time(gateway):
    modality = Modality(gateway)
    modality.begin()
    modality.send(1, 2, 3)
    gateway.send(slice_of_ct(1, modality.study_uid, SpecificCharacterSet="ISO_IR 192", **modality.patient))
    modality.end()
    assert completion.close_quiet_studies(gateway.hub) == 0
    with gateway.hub.reading() as connection:
        assert completion.proof_of(connection, gateway.study(modality.study_uid).id).verdict == "likely"


@pytest.mark.parametrize("here, lacking", [((1, 2), [3]), ((1, 3), [2]), ((2, 3), [1]), ((1,), [2, 3])], ids=str)
def test_a_study_that_lacks_images_its_device_named_does_not_close_at_once_and_says_which(gateway, here, lacking):
    modality = Modality(gateway)
    modality.begin()
    modality.send(*here)
    modality.end()
    assert completion.close_quiet_studies(gateway.hub) == 0
    with gateway.hub.reading() as connection:
        proof = completion.proof_of(connection, gateway.study(modality.study_uid).id)
    assert (proof.verdict, proof.received, proof.expected, proof.missing) == ("incomplete", len(here), 3, len(lacking))
    assert list(proof.series[0].missing_numbers) == lacking
    modality.send(*lacking)
    assert completion.close_quiet_studies(gateway.hub) == 1


def test_a_series_of_which_nothing_came_is_missed(gateway):
    modality = Modality(gateway)
    modality.begin()
    modality.send(1, 2, 3)
    whole = modality.ended()
    other = Dataset()
    other.SeriesInstanceUID, other.SeriesDescription, other.ProtocolName = generate_uid(), "纵隔窗", "Chest"
    other.ReferencedImageSequence = [reference(slice_of_ct()) for _ in range(5)]
    whole.PerformedSeriesSequence.append(other)
    assert modality.tell("set", whole).Status == 0x0000
    assert completion.close_quiet_studies(gateway.hub) == 0
    with gateway.hub.reading() as connection:
        proof = completion.proof_of(connection, gateway.study(modality.study_uid).id)
    assert (proof.verdict, proof.received, proof.expected, proof.missing) == ("incomplete", 3, 8, 5)
    assert [(one.description, one.received, one.expected) for one in proof.series][1] == ("纵隔窗", 0, 5)


def test_an_object_that_the_step_does_not_name_makes_nothing_missing(gateway):
    modality = Modality(gateway, slices=4)
    extra = modality.slices.pop()
    modality.begin()
    modality.send(1, 2, 3)
    gateway.send(extra)
    modality.end()
    assert completion.close_quiet_studies(gateway.hub) == 1
    assert modality.proof()["verdict"] == "complete" and modality.proof()["received"] == 4


def test_a_report_that_comes_after_the_study_has_closed_is_shown_on_its_proof(gateway):
    modality = Modality(gateway)
    modality.send(1, 2)
    hub = gateway.hub
    later = hub.at(lambda: hub.now().replace(year=2099))
    assert completion.close_quiet_studies(later) >= 1
    study = gateway.study(modality.study_uid)
    assert study.proof["verdict"] == "likely" and preparation.begin(hub, study.id, study.generation) is not None
    preparation.finish(hub, study.id, study.generation, [], [])
    modality.begin()
    modality.end()
    assert modality.proof()["verdict"] == "incomplete" and modality.proof()["series"][0]["missing_numbers"] == [3]
    assert gateway.study(modality.study_uid).state == "ready"


def test_a_discontinued_examination_says_so_on_the_proof(gateway):
    modality = Modality(gateway)
    modality.begin()
    modality.send(1, 2, 3)
    modality.end("DISCONTINUED")
    with gateway.hub.reading() as connection:
        proof = completion.proof_of(connection, gateway.study(modality.study_uid).id)
    assert proof.zh == "3/3 幅，无间断，设备报告检查已中止"


@pytest.mark.parametrize("spoil", [
    lambda told: setattr(told.PerformedSeriesSequence[0], "SeriesInstanceUID", "not a uid"),
    lambda told: setattr(told.PerformedSeriesSequence[0].ReferencedImageSequence[0], "ReferencedSOPInstanceUID", ""),
    lambda told: delattr(told.PerformedSeriesSequence[0], "SeriesInstanceUID")], ids=range(3))
@pytest.mark.filterwarnings("ignore:.*")
def test_a_report_with_uids_that_are_none_is_refused(gateway, spoil):
    modality = Modality(gateway)
    modality.begin()
    told = modality.ended()
    spoil(told)
    assert modality.tell("set", told).Status == 0x0106 and modality.row().state == "in_progress"


def got(modality: Modality, wanted=(), calling: str = "", uid: str = ""):
    association = modality.gateway.associate((MPPS_GET, ExplicitVRLittleEndian), calling=calling or modality.calling)
    assert association.is_established
    try:
        return association.send_n_get(list(wanted), MPPS_GET, uid or modality.uid)
    finally:
        association.release()


def test_a_step_is_read_back_as_it_stands(gateway):
    modality = Modality(gateway)
    assert modality.tell("create", modality.created()).Status == 0
    status, told = got(modality)
    assert status.Status == 0 and told.PerformedProcedureStepStatus == "IN PROGRESS" and str(told.PatientName) == "测试甲"
    assert modality.tell("set", modality.ended()).Status == 0
    status, told = got(modality)
    made = [item.ReferencedSOPInstanceUID for item in told.PerformedSeriesSequence[0].ReferencedImageSequence]
    assert told.PerformedProcedureStepStatus == "COMPLETED" and made == [one.SOPInstanceUID for one in modality.slices]


def test_only_what_is_asked_for_is_told_and_what_is_not_known_is_a_warning(gateway):
    modality = Modality(gateway)
    modality.tell("create", modality.created())
    status, told = got(modality, (0x00400252, 0x00080060))
    assert status.Status == 0 and set(told.keys()) == {0x00080005, 0x00080060, 0x00400252}
    status, told = got(modality, (0x00400252, 0x00181030))
    assert status.Status == 0x0001 and "PerformedProcedureStepStatus" in told


def test_a_step_of_a_neighbour_or_of_nobody_is_not_told(gateway):
    modality = Modality(gateway)
    modality.tell("create", modality.created())
    assert got(modality, calling=NEIGHBOUR)[0].Status == 0x0112
    assert got(modality, uid="1.2.3.4")[0].Status == 0x0112
