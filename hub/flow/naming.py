"""How a study's patient is named, for whoever reads its objects again: the worklist and the objects' metadata show one name."""
from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, func, select

from hub.context import Hub
from hub.model.naming import NOTHING_KNOWN, Naming
from hub.storage.tables import device, patient, study, study_assignment


def of_study(hub: Hub, study_id: int, as_sent: bool = False) -> Naming:
    """The names of one study, of what a person made of it first; of what was sent only where ``as_sent``."""
    with hub.reading() as connection:
        return of_studies(connection, [study_id], as_sent).get(study_id, NOTHING_KNOWN)


def of_studies(connection: Connection, study_ids: Collection[int], as_sent: bool = False) -> dict[int, Naming]:
    """By study. Names of plain ASCII are left out: no bytes but their own read so."""
    stands, sent, arrived = patient.alias(), patient.alias(), patient.alias()
    found = connection.execute(
        select(study.c.id, device.c.charset, stands.c.name_as_sent, sent.c.name_as_sent, arrived.c.name_as_sent)
        .join(stands, stands.c.id == study.c.patient_id).join(sent, sent.c.id == func.coalesce(study.c.sent_patient_id, study.c.patient_id))
        .outerjoin(device, device.c.id == study.c.device_id)
        .outerjoin(study_assignment, (study_assignment.c.study_id == study.c.id) & study_assignment.c.undone_at.is_(None))
        .outerjoin(arrived, arrived.c.id == study_assignment.c.arrived_patient_id).where(study.c.id.in_(study_ids)))
    return {study_id: Naming(tuple(dict.fromkeys(one for one in names[int(as_sent):] if one and not one.isascii())), charset or "")
            for study_id, charset, *names in found}
