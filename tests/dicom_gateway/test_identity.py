"""Numbers of the person are found in every field where devices put them, and junk in those fields breaks nothing."""
import io

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_gateway import identity
from hub import rulebook
from hub.flow import intake
from hub.model.identifiers import identifiers
from hub.storage.tables import patient_identifier
from tests.hub.arrivals import rows, slice_facts

CARD = "11010519491231002X"
RULES = rulebook.load().identity


def header(syntax=ExplicitVRLittleEndian, **elements) -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.1.1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def found(content: bytes) -> set[tuple[str, str, str]]:
    said = identity.said_of(dcmread(io.BytesIO(content)))
    return {(one.kind, one.value, one.source) for one in identifiers(said, RULES.kinds, RULES.placeholders)}


def other_id(number, issuer="", kind="TEXT"):
    item = Dataset()
    item.PatientID, item.IssuerOfPatientID, item.TypeOfPatientID = number, issuer, kind
    return item


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("elements, expected", [
    ({"PatientID": CARD}, ("resident_id", CARD, "PatientID")),
    ({"PatientID": "QS1", "OtherPatientIDsSequence": [other_id(CARD)]}, ("resident_id", CARD, "OtherPatientIDsSequence")),
    ({"OtherPatientIDsSequence": [other_id("A1234567", "YBH")]}, ("insurance", "a1234567", "OtherPatientIDsSequence")),
    ({"PatientTelephoneNumbers": ["0871-68021120", "13800138000"]}, ("phone", "13800138000", "PatientTelephoneNumbers")),
    ({"InsurancePlanIdentification": "A1234567"}, ("insurance", "a1234567", "InsurancePlanIdentification")),
    ({"PatientComments": f"ID card {CARD}, cough"}, ("resident_id", CARD, "PatientComments")),
    ({"PatientAddress": "Qingshan village 12"}, ("address", "Qingshanvillage12", "PatientAddress")),
])
def test_a_number_is_found_where_the_device_put_it(elements, expected, syntax):
    assert expected in found(header(syntax, **elements))


def test_the_retired_field_of_older_devices_is_read():
    dataset = dcmread(io.BytesIO(header()))
    dataset.add_new(0x00101000, "LO", ["7788", CARD])
    said = identity.said_of(dataset)
    assert ("resident_id", CARD) in {(one.kind, one.value) for one in identifiers(said, RULES.kinds, RULES.placeholders)}


def test_remarks_are_no_numbers():
    assert found(header(PatientID="000000", PatientComments="chest pain since 20260401")) == set()


def test_the_workers_door_notes_what_the_original_says(hub, county):
    content = header(PatientID="QS0001", PatientName="Liu^Guilan", OtherPatientIDsSequence=[other_id(CARD)])
    file = hub.blobs.keep(content, "in.dcm")
    taken = intake.take(hub, county.ct, (file,), slice_facts())
    identity.identify_study(hub, taken.study_id)
    assert {(row.kind, row.value, row.source, row.verdict) for row in rows(hub, patient_identifier)} == {
        ("hospital", "qs0001", "PatientID", ""), ("resident_id", CARD, "OtherPatientIDsSequence", "certain")}


def test_an_original_that_cannot_be_read_does_not_stop_the_identification(hub, county):
    taken = intake.take(hub, county.ct, (hub.blobs.keep(b"no DICOM at all", "in.dcm"),), slice_facts())
    identity.identify_study(hub, taken.study_id)
    assert [row.value for row in rows(hub, patient_identifier)] == ["qs0001"]
