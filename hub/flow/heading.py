"""The heading of a report: who and what it is about, as it stood when the report was signed and not as it stands today."""
from __future__ import annotations

from sqlalchemy import Connection, select

from hub.storage.tables import exam_order, order_match, patient, study

NAMES = ("patient_name", "patient_id", "sex", "birth_date", "age", "accession_number", "modality", "body_part", "description", "study_at")


def heading_of(connection: Connection, study_id: int) -> dict[str, str]:
    """The words of a study's heading as the index holds them now, by the names of NAMES."""
    row = connection.execute(
        select(patient.c.name.label("patient_name"), patient.c.patient_id.label("patient_id"), patient.c.sex, patient.c.birth_date, patient.c.age,
               study.c.accession_number, study.c.modality, study.c.body_part, study.c.description, study.c.study_at)
        .join(study, study.c.patient_id == patient.c.id).where(study.c.id == study_id)).one()
    words = {name: getattr(row, name) for name in NAMES}
    asked = order_of(connection, study_id)
    return words | {"accession_number": words["accession_number"] or (asked.accession_number if asked else "")}


def order_of(connection: Connection, study_id: int):
    """The order that the study answers, or None."""
    return connection.execute(select(exam_order.c.accession_number, exam_order.c.clinical_question)
                              .join(order_match, order_match.c.order_id == exam_order.c.id)
                              .where(order_match.c.study_id == study_id, order_match.c.state == "joined")).one_or_none()
