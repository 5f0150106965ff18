"""A real CT that comes short of one slice, the first and the last included, through the door: noticed by whatever told of it."""
import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from tests.dicom_gateway.test_mpps import Modality
from tests.dicom_gateway.test_promises import ask, proof_of


@pytest.fixture(scope="module")
def chest_ct(real_data) -> list:
    """The 64 slices by their numbers, with next to no pixels."""
    slices = [dcmread(path, stop_before_pixels=True) for path in sorted((real_data / "dicom" / "chest_ct").glob("*.dcm"))]
    for ds in slices:
        ds.Rows = ds.Columns = 2
        ds.PixelData = bytes(8)
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return sorted(slices, key=lambda ds: ds.InstanceNumber)


def sent_anew(slices: list) -> list:
    """The same under UIDs of their own."""
    study_uid, series_uid = generate_uid(), generate_uid()
    for ds in slices:
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.PatientID = study_uid, series_uid, study_uid[-20:]
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    return slices


def told_in_the_images(gateway, slices: list, rest: list) -> None:
    for ds in slices:
        ds.NumberOfSeriesRelatedInstances = len(slices)
    assert set(gateway.send(*rest)) == {0}


def told_by_the_report_of_its_work(gateway, slices: list, rest: list) -> None:
    modality = Modality(gateway, PatientID=slices[0].PatientID, PatientName=str(slices[0].PatientName))
    modality.study_uid, modality.series_uid, modality.slices = slices[0].StudyInstanceUID, slices[0].SeriesInstanceUID, slices
    assert modality.begin() == 0x0000
    assert set(gateway.send(*rest)) == {0}
    assert modality.end() == 0x0000


def told_by_its_request_for_commitment(gateway, slices: list, rest: list) -> None:
    assert set(gateway.send(*rest)) == {0}
    assert ask(gateway, slices) == 2


@pytest.mark.parametrize("dropped", [0, 1, 31, 62, 63], ids=["first", "second", "middle", "last but one", "last"])
@pytest.mark.parametrize("told", [told_in_the_images, told_by_the_report_of_its_work, told_by_its_request_for_commitment], ids=lambda told: told.__name__)
def test_one_slice_that_never_came_is_missed_and_no_more_once_it_has_come(gateway, chest_ct, told, dropped):
    for ds in chest_ct:
        ds.pop("NumberOfSeriesRelatedInstances", None)
    slices = sent_anew(chest_ct)
    told(gateway, slices, slices[:dropped] + slices[dropped + 1:])
    proof = proof_of(gateway, slices)
    assert (proof.verdict, proof.received, proof.expected, proof.missing) == ("incomplete", 63, 64, 1)
    assert gateway.send(slices[dropped]) == [0]
    proof = proof_of(gateway, slices)
    assert (proof.verdict, proof.received, proof.missing) == ("likely" if told is told_by_its_request_for_commitment else "complete", 64, 0)
