"""When the term of a study is over, and why it stays all the same: the verdict on many studies in a few statements.

One study is judged by the same statements as five thousand: what the list shows and what the removal decides cannot differ.
"""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from sqlalchemy import Connection, Select, not_, select

from hub.context import Hub
from hub.flow import known, set_aside
from hub.model.lifecycle import HELD, JOB
from hub.model.retention import Rule
from hub.storage.tables import availability, critical, damage, delivery, held, instance, job, legal_hold, patient, reading, removal, repair, report, site, study

SIGNED = ("final", "amended")
SENT = ("delivered", "acknowledged", "withdrawn")


@dataclass(frozen=True)
class Candidate:
    """A study with a rule. ``row``: as STUDIES gives it. ``stays``: code of hub.model.retention.STAYS, "" where it may go."""

    row: object
    rule: Rule
    last_visit: date
    kept_until: date
    stays: str = ""


STUDIES = (
    select(study.c.id, study.c.study_uid, study.c.kind, study.c.modality, study.c.study_at, study.c.accession_number, study.c.received_at,
           study.c.state, study.c.site_id, study.c.patient_id, patient.c.name.label("patient_name"), patient.c.patient_id.label("patient_number"),
           site.c.name.label("site_name"), site.c.code.label("site_code"), reading.c.state.label("reading_state"))
    .join(patient, patient.c.id == study.c.patient_id).join(site, site.c.id == study.c.site_id)
    .outerjoin(reading, reading.c.study_id == study.c.id))


def judged(hub: Hub, connection: Connection, rows: Sequence) -> list[Candidate]:
    """The verdict on each of these studies, in their order; those of a kind that no rule names are left out."""
    rules, today = hub.rules.retention, today_of(hub)
    ruled = [(row, rule) for row in rows if (rule := rules.rule_for(row.kind, is_outpatient(hub, row.site_code))) is not None]
    last = _last_visits(hub, connection, {row.patient_id for row, _ in ruled})
    found = [Candidate(row, rule, last[row.patient_id], rule.kept_until(last[row.patient_id])) for row, rule in ruled]
    stays = _why_they_stay(hub, connection, [one.row for one in found if one.kept_until <= today])
    return [replace(one, stays="not_due" if today < one.kept_until else stays.get(one.row.id, "")) for one in found]


def is_outpatient(hub: Hub, site_code: str) -> bool:
    """Whether an institution is set to have no beds."""
    return site_code in hub.settings.outpatient_sites.split()


def today_of(hub: Hub) -> date:
    return hub.now().astimezone(hub.settings.zone).date()


def _last_visits(hub: Hub, connection: Connection, patient_ids: set[int]) -> dict[int, date]:
    """By patient, the newest day on which this person was examined or something of them came in, over all institutions."""
    own = known.members_of(connection, patient_ids)
    today, days = today_of(hub), {}
    for ids in known.batched(set().union(*own.values())):
        for patient_id, study_at, received_at in connection.execute(
                select(study.c.patient_id, study.c.study_at, study.c.received_at).where(study.c.patient_id.in_(ids))):
            came = received_at.astimezone(hub.settings.zone).date()
            examined = _day(study_at)
            last = examined if examined is not None and came < examined <= today else came
            days[patient_id] = max(last, days.get(patient_id, last))
    return {patient_id: max(days[one] for one in members if one in days) for patient_id, members in own.items()}


def _day(written: str) -> date | None:
    try:
        return date.fromisoformat(written[:10])
    except ValueError:
        return None


def _why_they_stay(hub: Hub, connection: Connection, rows: Sequence) -> dict[int, str]:
    """Study to the first reason that keeps it, of those that are kept."""
    found: dict[str, set[int]] = defaultdict(set)
    found["unreported"] = {row.id for row in rows if row.state != "ready" or row.reading_state not in SIGNED}
    for some in known.batched(rows):
        by_uid = {row.study_uid: row.id for row in some}
        for code, statement in _reasons(hub, [row.id for row in some]):
            found[code].update(connection.scalars(statement))
        named = held.c.facts["study_uid"].as_string()
        found["in_conflict"].update(by_uid[uid] for uid in connection.scalars(select(named).where(held.c.state == HELD.initial, named.in_(list(by_uid)))))
    order = ("removed", "unreported", "on_hold", "in_conflict", "damaged", "corrected", "unsent", "critical", "at_work")
    return {study_id: code for code in reversed(order) for study_id in found[code]}


def _reasons(hub: Hub, ids: list[int]) -> list[tuple[str, Select]]:
    """Reasons to stay, each with the statement that finds the studies which it keeps."""
    settled = hub.now() - timedelta(days=hub.rules.retention.settle_days)
    job_of = job.c.args["study_id"].as_integer()
    return [
        ("removed", select(removal.c.study_id).where(removal.c.study_id.in_(ids))),
        ("on_hold", select(legal_hold.c.study_id).where(legal_hold.c.study_id.in_(ids), legal_hold.c.ended_at.is_(None))),
        ("in_conflict", select(instance.c.study_id).join(held, held.c.instance_id == instance.c.id).where(
            held.c.state == HELD.initial, instance.c.study_id.in_(ids))),
        ("damaged", select(damage.c.study_id).where(damage.c.study_id.in_(ids), damage.c.mended_at.is_(None))),
        ("corrected", select(repair.c.study_id).where(repair.c.study_id.in_(ids), repair.c.at > settled)),
        ("unsent", select(report.c.study_id).join(delivery, delivery.c.report_id == report.c.id).where(report.c.study_id.in_(ids), not_(delivery.c.state.in_(SENT)))),
        ("unsent", select(availability.c.study_id).where(availability.c.study_id.in_(ids), not_(availability.c.state.in_(SENT)))),
        ("unsent", select(report.c.study_id).where(
            report.c.study_id.in_(ids), report.c.withdrawn_at.is_(None), report.c.signed_at.is_not(None), report.c.pdf_sha256 == "")),
        ("critical", select(critical.c.study_id).where(critical.c.study_id.in_(ids), critical.c.state != "closed")),
        ("at_work", select(job_of).where(job.c.state.in_((JOB.initial, *JOB.sources("recover"))), job_of.in_(ids))),
        *set_aside.reasons(ids, settled),
    ]
