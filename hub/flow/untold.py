"""What studies did not tell when they came: those from before the hub kept their referring physician and Study ID are asked once.

The values lie in their files, which workers look into some at a time, newest study first (dicom_gateway.untold); until then
a list tells them empty.
"""
from __future__ import annotations

from sqlalchemy import select, update

from hub.context import Hub
from hub.flow.projection import project
from hub.queue import outbox
from hub.storage import names
from hub.storage.fitting import fitted
from hub.storage.tables import repair, study

AT_ONCE = 200      # studies of one job, the next of which is ordered when it has ended
TOLD = ("referring_physician", "referring_unsure", "study_number")
_UNTOLD = study.c.referring_unsure.is_(None)      # as its index has it; a correction leaves it


def order(hub: Hub) -> int:
    """Orders that the newest studies that were never asked are asked; returns how many, 0 also while some are being asked."""
    with hub.reading() as connection:
        ids = list(connection.scalars(select(study.c.id).where(_UNTOLD).order_by(study.c.id.desc()).limit(AT_ONCE)))
        if not ids or outbox.pending(connection, "tell_older", ""):
            return 0
    with hub.writing() as connection:
        outbox.enqueue(connection, hub.now(), "tell_older", f"{ids[0]}:{hub.now().timestamp():.0f}", study_ids=ids)
    return len(ids)


def tell(hub: Hub, study_id: int, physician: str, unsure: bool, number: str) -> None:
    """Enters what a study's files say, as a device would have told it on arrival; corrections stand. Safe to repeat."""
    with hub.writing() as connection:
        row = connection.execute(select(study).where(study.c.id == study_id, _UNTOLD)).one_or_none()
        if row is None:
            return
        sent = fitted(study, dict(zip(TOLD, (physician, unsure, number), strict=True)))
        others = {name: value for name, value in (row.as_sent or {}).items() if name not in TOLD}
        connection.execute(update(study).where(study.c.id == study_id).values(**sent, as_sent=others or None))
        names.enter_physician(connection, row.site_id, sent["referring_physician"])
        if connection.scalar(select(repair.c.id).where(repair.c.study_id == study_id).limit(1)) is not None:
            project(connection, hub.rules.repairs, study_id, hub.now())
