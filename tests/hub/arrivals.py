"""Builders of what comes in, and the short way to any stage of a study's day."""
from dataclasses import replace

from hub.context import Hub
from hub.flow import completion, intake, preparation, reporting, worklist
from hub.flow.devices import Device
from hub.model.access import Actor
from hub.model.arrival import InstanceFacts, PatientFacts, Taken
from hub.model.report import ReportContent
from hub.storage.tables import job, reading, study
from sqlalchemy import select

PATIENT = PatientFacts("QS0001", "测试甲", "测试甲", False, "M", "1963-02-11", "063Y")
WORDS = ReportContent(findings="双肺纹理清晰，未见实变。", impression="胸部 CT 平扫未见明显异常。", positive=False)


def slice_facts(number: int = 1, study_uid: str = "1.2.3", *, expected: int | None = None, patient: PatientFacts = PATIENT,
                **more) -> InstanceFacts:
    """Slice ``number`` of a CT, 5 mm apart."""
    values = dict(
        kind="image", format="dicom", study_uid=study_uid, series_uid=f"{study_uid}.1", sop_uid=f"{study_uid}.1.{number}",
        sop_class="1.2.840.10008.5.1.4.1.1.2", transfer_syntax="1.2.840.10008.1.2.1", patient=patient, modality="CT",
        body_part="CHEST", study_description="胸部平扫", series_description="肺窗", study_at="2026-05-04T08:20:00",
        accession_number="A20260504001", series_number=1, instance_number=number, frames=1, rows=512, columns=512,
        position_mm=5.0 * number, orientation="1,0,0,0,1,0", expected_in_series=expected)
    return InstanceFacts(**(values | more))


def ecg_facts(study_uid: str = "2.25.7", **more) -> InstanceFacts:
    """A 12-lead ECG."""
    return replace(slice_facts(1, study_uid), kind="ecg", format="wfdb", modality="ECG", body_part="", position_mm=None,
                   orientation="", study_description="", series_description="", **more)


def send(hub: Hub, device: Device, facts: InstanceFacts, content: bytes | None = None) -> Taken:
    """One object through the hub's own door: blob first, then the row."""
    file = hub.blobs.keep(content if content is not None else f"bytes of {facts.sop_uid}".encode(), "in.dcm")
    return intake.take(hub, device, (file,), facts)


def send_ct(hub: Hub, device: Device, study_uid: str = "1.2.3", slices: int = 3, patient: PatientFacts = PATIENT, **more) -> int:
    """A whole CT arrives; returns the study's id."""
    taken = [send(hub, device, slice_facts(n, study_uid, expected=slices, patient=patient, **more)) for n in range(1, slices + 1)]
    return taken[0].study_id


def close_and_prepare(hub: Hub, clock, study_id: int, **result) -> int:
    """The study falls quiet, closes, and is prepared; returns the reading's id."""
    clock.forward(seconds=61)
    completion.close_quiet_studies(hub)
    row = study_row(hub, study_id)
    assert preparation.begin(hub, study_id, row.generation) is not None
    assert preparation.finish(hub, study_id, row.generation, [], [], **result)
    return reading_of(hub, study_id).id


def queued_ct(hub: Hub, county, clock, study_uid: str = "1.2.3", device: Device | None = None, patient: PatientFacts = PATIENT,
              **result) -> int:
    """A CT that waits in the queue; returns its reading's id."""
    return close_and_prepare(hub, clock, send_ct(hub, device or county.ct, study_uid, patient=patient), **result)


def drafted(hub: Hub, actor: Actor, reading_id: int, content: ReportContent = WORDS) -> None:
    """Claimed and written."""
    worklist.claim(hub, actor, reading_id)
    reporting.save_draft(hub, actor, reading_id, reporting.current_draft(hub, actor, reading_id).revision, content)


def signed_report(hub: Hub, county, clock, content: ReportContent = WORDS, **more) -> int:
    """A report written by the reader and signed by the reviewer; returns its id."""
    reading_id = queued_ct(hub, county, clock, **more)
    drafted(hub, county.reader, reading_id, content)
    reporting.submit(hub, county.reader, reading_id)
    return reporting.sign(hub, county.reviewer, reading_id)


def study_row(hub: Hub, study_id: int):
    with hub.reading() as connection:
        return connection.execute(select(study).where(study.c.id == study_id)).one()


def reading_of(hub: Hub, study_id: int):
    with hub.reading() as connection:
        return connection.execute(select(reading).where(reading.c.study_id == study_id)).one_or_none()


def reading_row(hub: Hub, reading_id: int):
    with hub.reading() as connection:
        return connection.execute(select(reading).where(reading.c.id == reading_id)).one()


def rows(hub: Hub, table, *conditions) -> list:
    with hub.reading() as connection:
        return list(connection.execute(select(table).where(*conditions).order_by(table.primary_key.columns[0])))


def jobs(hub: Hub, kind: str = "") -> list:
    return rows(hub, job, job.c.kind == kind) if kind else rows(hub, job)
