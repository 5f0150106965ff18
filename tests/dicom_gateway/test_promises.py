"""Storage commitment as evidence: what a device believes to have sent, and the hub does not have, is missing."""
import pytest
from pydicom.uid import CTImageStorage, generate_uid
from sqlalchemy import update

from hub.flow import completion
from hub.storage.tables import study
from tests.dicom_gateway.running import slice_of_ct
from tests.dicom_gateway.test_commitment import Modality


def a_study(count: int) -> list:
    """Slices of one study and series, numbered from 1."""
    study_uid, series_uid = generate_uid(), generate_uid()
    return [slice_of_ct(number, study_uid, series_uid, side=2) for number in range(1, count + 1)]


def ask(gateway, slices) -> int:
    return Modality().ask(gateway, *((CTImageStorage, str(ds.SOPInstanceUID)) for ds in slices))[0]


def proof_of(gateway, slices):
    with gateway.hub.reading() as connection:
        return completion.proof_of(connection, gateway.study(slices[0].StudyInstanceUID).id)


@pytest.mark.parametrize("dropped", [0, 2, 4], ids=["first", "middle", "last"])
def test_any_slice_that_was_lost_is_missed_when_the_device_asks_for_commitment_and_no_more_once_it_came(gateway, dropped):
    slices = a_study(5)
    assert set(gateway.send(*(ds for ds in slices if ds is not slices[dropped]))) == {0}
    assert ask(gateway, slices) == 2
    proof = proof_of(gateway, slices)
    assert (proof.verdict, proof.missing, proof.expected, proof.promised) == ("incomplete", 1, 5, 1)
    assert gateway.send(slices[dropped]) == [0]
    proof = proof_of(gateway, slices)
    assert (proof.verdict, proof.missing, proof.promised) == ("likely", 0, 0)


def test_asking_again_counts_nothing_twice_and_a_study_that_has_closed_says_so(gateway):
    slices = a_study(3)
    gateway.send(*slices[:2])
    own = gateway.study(slices[0].StudyInstanceUID)
    with gateway.hub.writing() as connection:
        connection.execute(update(study).where(study.c.id == own.id).values(state="ready", proof={"zh": "2/2 幅，无间断", "quiet_s": 3.0}))
    assert ask(gateway, slices) == ask(gateway, slices) == 2
    proof = gateway.study(slices[0].StudyInstanceUID).proof
    assert (proof["zh"], proof["promised"], proof["quiet_s"]) == ("2/3 幅，缺 1 幅", 1, 3.0)


def test_a_request_that_names_two_studies_or_none_is_no_evidence(gateway):
    one, other, nowhere = a_study(1), a_study(1), a_study(2)
    gateway.send(*one, *other)
    assert ask(gateway, [*one, *other, nowhere[0]]) == 2 and ask(gateway, nowhere) == 2
    assert all(proof_of(gateway, own).verdict == "likely" for own in (one, other))
