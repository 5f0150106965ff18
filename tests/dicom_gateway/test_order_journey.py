"""An order travels to a device and comes back with its images: every value that the device sends is one that it was given."""
import pytest
from pydicom.dataset import Dataset
from pynetdicom.sop_class import ModalityPerformedProcedureStep as MPPS
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom.sop_class import ModalityWorklistInformationFind as MWL

from hub.flow import completion, devices, ordering, orders, studies
from hub.model.access import SYSTEM, Actor
from tests.dicom_gateway.county import ask
from tests.dicom_gateway.running import running, slice_of_ct
from tests.dicom_gateway.test_mpps import reference
from tests.hub.orders import RESIDENT, order_row, wish

CLINIC = Actor(None, "青山卫生院", "clinic", 1, "10.0.0.7")
READER = Actor(None, "王报告", "reader")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with running(tmp_path_factory.mktemp("gateway")) as made:
        for ae, charset in (("UTF8_CT", "ISO_IR 192"), ("GBK_CT", "GB18030"), ("LATIN_CT", "ISO_IR 100")):
            devices.register(made.hub, SYSTEM, site_id=1, kind="dicom", name=ae, ae_title=ae, charset=charset)
        yield made


@pytest.mark.parametrize("device", ["UTF8_CT", "GBK_CT", "LATIN_CT"])
def test_what_the_worklist_gave_brings_the_images_to_their_order(gateway, device):
    hub = gateway.hub
    order = order_row(hub, ordering.place(hub, CLINIC, wish(hub.now(), patient_name="曾小明", patient_number="", resident_id=RESIDENT, birth_date="", urgency="emergency")))
    asked = Dataset()
    asked.PatientName = asked.PatientID = asked.PatientBirthDate = asked.PatientSex = asked.StudyInstanceUID = asked.RequestedProcedureDescription = ""
    asked.AccessionNumber, asked.ScheduledProcedureStepSequence = order.accession_number, []
    (item,), status = ask(gateway, MWL, asked, device)
    assert status == 0x0000
    given = {name: item[name].value for name in ("SpecificCharacterSet", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber")}
    series_uid = generate_uid()
    slices = [slice_of_ct(n, item.StudyInstanceUID, series_uid, StudyDescription=item.RequestedProcedureDescription, **given) for n in (1, 2)]
    step = Dataset()
    scheduled = Dataset()
    scheduled.StudyInstanceUID, scheduled.AccessionNumber = item.StudyInstanceUID, item.AccessionNumber
    step.ScheduledStepAttributesSequence = [scheduled]
    for name, value in given.items():
        if name != "AccessionNumber":
            setattr(step, name, value)
    step.PerformedProcedureStepID, step.PerformedStationAETitle, step.Modality = "1", device, "CT"
    step.PerformedProcedureStepStartDate, step.PerformedProcedureStepStartTime, step.PerformedProcedureStepStatus = "20260504", "0900", "IN PROGRESS"
    end = Dataset()
    end.PerformedProcedureStepEndDate, end.PerformedProcedureStepEndTime, end.PerformedProcedureStepStatus = "20260504", "0905", "COMPLETED"
    made = Dataset()
    made.SeriesInstanceUID, made.ProtocolName, made.ReferencedImageSequence = series_uid, "Chest", [reference(one) for one in slices]
    end.PerformedSeriesSequence = [made]
    uid = generate_uid()
    association = gateway.associate((MPPS, ExplicitVRLittleEndian), calling=device)
    assert association.send_n_create(step, MPPS, uid)[0].Status == 0x0000
    assert order_row(hub, order.id).state == "in_progress"
    assert gateway.send(*slices, calling=device) == [0x0000, 0x0000]
    assert association.send_n_set(end, MPPS, uid)[0].Status == 0x0000
    association.release()
    assert completion.close_quiet_studies(hub) == 1
    study = studies.find(hub, READER, study_uid=item.StudyInstanceUID)
    seen = orders.beside(hub, READER, study)
    assert seen.order.id == order.id and seen.match.state == "joined" and not seen.contradicted
    assert ("name_latin" if device == "LATIN_CT" else "name") in seen.match.reasons and "resident_id" in seen.match.reasons
    assert (study.urgency, study.proof["zh"], order_row(hub, order.id).state) == ("emergency", "2/2 幅，无间断", "completed")
