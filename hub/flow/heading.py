"""The heading of a report: who and what it is about, as it stood when the report was signed and not as it stands today."""
from __future__ import annotations

from sqlalchemy import Connection, select

from hub.storage.tables import patient, study

NAMES = ("patient_name", "patient_id", "sex", "birth_date", "age", "accession_number", "modality", "body_part", "description", "study_at")


def heading_of(connection: Connection, study_id: int) -> dict[str, str]:
    """The words of a study's heading as the index holds them now, by the names of NAMES."""
    row = connection.execute(
        select(patient.c.name.label("patient_name"), patient.c.patient_id.label("patient_id"), patient.c.sex, patient.c.birth_date, patient.c.age,
               study.c.accession_number, study.c.modality, study.c.body_part, study.c.description, study.c.study_at)
        .join(study, study.c.patient_id == patient.c.id).where(study.c.id == study_id)).one()
    return {name: getattr(row, name) for name in NAMES}
