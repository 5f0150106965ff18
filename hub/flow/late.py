"""Images that came after a report was signed: readers are shown them until somebody amends the report, or says with a
reason that it stands."""
from __future__ import annotations

from sqlalchemy import func, select, update

from hub.context import Hub
from hub.errors import Conflict, Invalid
from hub.flow.worklist import row_of
from hub.model.access import Actor
from hub.storage import audit
from hub.storage.tables import SIGNED_WITHOUT_SOME, instance, patient, reading, report, site, study

SHOWN = 20


def after_signing(hub: Hub, actor: Actor) -> list:
    """Signed reports to which images were added since, the latest arrival first: with patient, institution, the number of the
    standing report and ``images``, how many came after its words were frozen."""
    actor.require("worklist.view")
    standing = (select(report.c.id).where(report.c.reading_id == reading.c.id, report.c.withdrawn_at.is_(None))
                .order_by(report.c.version.desc()).limit(1).correlate(reading).scalar_subquery())
    images = (select(func.count()).where(instance.c.study_id == reading.c.study_id, instance.c.received_at > report.c.submitted_at)
              .correlate(reading, report).scalar_subquery())
    with hub.reading() as connection:
        return list(connection.execute(
            select(reading.c.id, reading.c.study_id, study.c.kind, study.c.modality, study.c.body_part, study.c.last_received_at, study.c.state.label("study_state"),
                   patient.c.name.label("patient_name"), site.c.name.label("site_name"), report.c.number, report.c.proof, images.label("images"))
            .join(study, study.c.id == reading.c.study_id).join(patient, patient.c.id == study.c.patient_id).join(site, site.c.id == study.c.site_id)
            .join(report, report.c.id == standing).where(SIGNED_WITHOUT_SOME).order_by(reading.c.changed_at.desc()).limit(SHOWN)))


def report_stands(hub: Hub, actor: Actor, reading_id: int, words: str) -> None:
    """A reader has seen the images that came after the signature, and the report needs no other words."""
    actor.require("report.write")
    if len(words.strip()) < 2:
        raise Invalid("empty_reason", "请写明为何无需修订报告。", "say why the report needs no amendment.")
    now = hub.now()
    with hub.writing() as connection:
        row = row_of(connection, reading_id)
        changed = connection.execute(update(reading).where(reading.c.id == reading_id, SIGNED_WITHOUT_SOME).values(
            late_images=False, late_seen_at=now, changed_at=now))
        if changed.rowcount != 1:
            raise Conflict("nothing_late", "该报告没有待处理的补传图像，可能已由他人处理。", "no late images wait at this report; somebody may have been first.")
        audit.append(connection, now, actor, "report.stands", "reading", reading_id, row.site_id, row.patient_id, study_id=row.study_id, words=words.strip()[:200])
