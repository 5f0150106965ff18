"""An ECG whose patient was corrected: the sheet is drawn again, and a letter never bears a sheet that names another."""
import pytest
from sqlalchemy import select

from ecg import jobs
from hub.errors import Retryable
from hub.flow import completion, repairs, reporting
from hub.flow.jobs import perform
from hub.flow.lettering import _letter
from hub.flow.repairs import Wanted
from hub.storage.tables import artifact, reading
from tests.ecg.cart import DECLARED, resting
from tests.hub.arrivals import WORDS, drafted, rows, study_row
from tests.hub.arrivals import jobs as job_rows

NAMED = DECLARED | {"patient_name": "钱旧名", "patient_id": "E1", "sex": "F", "birth_date": "1970-01-02"}


@pytest.fixture
def study(hub, cart, clock):
    """An ECG that is prepared and waits in the queue; its id."""
    study_id = cart.send(resting(), **NAMED).json["study"]
    clock.forward(seconds=61)
    completion.close_quiet_studies(hub)
    jobs.prepare_study(hub, study_id, study_row(hub, study_id).generation)
    return study_id


def put(hub, county, study_id, tag="00100010", value="钱新名"):
    return repairs.correct(hub, county.reviewer, study_id, Wanted(hub.rules.repairs.attribute(tag), value, "核实"), repairs.revision(hub, study_id))


def signed(hub, county, study_id) -> int:
    with hub.reading() as connection:
        reading_id = connection.scalar(select(reading.c.id).where(reading.c.study_id == study_id))
    drafted(hub, county.reader, reading_id, WORDS)
    reporting.submit(hub, county.reader, reading_id)
    return reporting.sign(hub, county.reviewer, reading_id)


def letter(hub, report_id):
    with hub.reading() as connection:
        return _letter(hub, connection, report_id)[0]


def redraw(hub):
    for job in job_rows(hub, "redraw_ecg"):
        perform(hub, job.id)


def test_a_corrected_patient_is_drawn_again_and_the_letter_waits_for_it(hub, county, study):
    put(hub, county, study)
    report_id = signed(hub, county, study)
    with pytest.raises(Retryable) as waits:
        letter(hub, report_id)
    assert waits.value.code == "sheet_not_redrawn"
    redraw(hub)
    made = letter(hub, report_id)
    assert made.patient_name == "钱新名" and "钱新名".encode() in made.ecg_sheet_svg and "钱旧名".encode() not in made.ecg_sheet_svg


def test_a_letter_signed_before_the_correction_keeps_the_sheet_of_its_own_patient(hub, county, study):
    report_id = signed(hub, county, study)
    put(hub, county, study)
    redraw(hub)
    made = letter(hub, report_id)
    assert made.patient_name == "钱旧名" and "钱旧名".encode() in made.ecg_sheet_svg
    assert len(rows(hub, artifact, artifact.c.kind == "ecg_sheet")) == 2


def test_an_undone_correction_is_drawn_again_too(hub, county, study):
    repair_id = put(hub, county, study)
    redraw(hub)
    repairs.undo(hub, county.reviewer, repair_id)
    report_id = signed(hub, county, study)
    redraw(hub)
    assert "钱旧名".encode() in letter(hub, report_id).ecg_sheet_svg


def test_a_study_that_is_not_prepared_yet_is_drawn_when_it_is(hub, county, cart, clock):
    study_id = cart.send(resting(), **NAMED).json["study"]
    put(hub, county, study_id)
    with pytest.raises(Retryable):
        jobs.redraw_sheets(hub, study_id)
    clock.forward(seconds=61)
    completion.close_quiet_studies(hub)
    jobs.prepare_study(hub, study_id, study_row(hub, study_id).generation)
    (sheet,) = rows(hub, artifact, artifact.c.kind == "ecg_sheet")
    assert "钱新名".encode() in hub.blobs.read(sheet.sha256)
