"""A damaged original is asked for again where its sender can be asked: at the DICOM node of its site with the AE title that
sent it. A scanner that answers no C-MOVE is left to a person, who is told whom to call."""
from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import select, update

from hub.context import Hub
from hub.errors import NotFound
from hub.flow import devices, fixity
from hub.flow.devices import Node
from hub.model.access import SYSTEM
from hub.storage import audit
from hub.storage.tables import damage, instance, series, study


@dataclass(frozen=True)
class Lost:
    """A damaged object: whose it is, what it is called, and who sent it (``node`` None where nobody can be asked)."""

    damage_id: int
    study_uid: str
    series_uid: str
    sop_uid: str
    sha256: str
    calling: str
    node: Node | None


def find(hub: Hub, damage_id: int) -> Lost | None:
    """What is to be asked for; None where it is mended meanwhile or is no DICOM object."""
    with hub.reading() as connection:
        row = connection.execute(
            select(damage.c.sha256, study.c.study_uid, study.c.site_id, series.c.series_uid, instance.c.sop_uid, instance.c.calling)
            .join(instance, instance.c.id == damage.c.source_id).join(series, series.c.id == instance.c.series_id).join(study, study.c.id == instance.c.study_id)
            .where(damage.c.id == damage_id, damage.c.source == "instance", damage.c.mended_at.is_(None), instance.c.format == "dicom")).one_or_none()
    if row is None:
        return None
    try:
        node = devices.node(hub, replace(SYSTEM, site_id=row.site_id), row.calling)
    except NotFound:
        node = None
    return Lost(damage_id, row.study_uid, row.series_uid, row.sop_uid, row.sha256, row.calling, node)


def answered(hub: Hub, lost: Lost, words: str) -> bool:
    """Keeps what the node said, and whether the object is whole again."""
    with hub.writing() as connection:
        connection.execute(update(damage).where(damage.c.id == lost.damage_id).values(asked_at=hub.now(), answer=words[:200]))
        audit.append(connection, hub.now(), SYSTEM, "fixity.asked_again", "damage", lost.damage_id, sop_uid=lost.sop_uid, of=lost.calling, answer=words[:200])
    return fixity.look_again(hub) > 0 or hub.blobs.fixity(lost.sha256)[0] == "intact"
