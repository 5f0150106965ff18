"""Orders meet studies: when a study closes, when an order is placed, and when a person decides.

A study without an order is normal. What joins by itself carried a number of the order and does not disagree in anything;
everything else is shown to a person with its reasons, and what is contradicted cannot be joined by anybody.
"""
from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, exists, insert, or_, select, update

from hub.context import Hub
from hub.errors import Conflict, NotFound, Refused
from hub.model.access import SYSTEM, Actor
from hub.model.lifecycle import MATCH, ORDER
from hub.model.order import X_RAY
from hub.model.order_match import Party, Verdict, choose, weigh
from hub.model.urgency import RANK, more_urgent
from hub.storage import audit
from hub.storage.states import advance
from hub.storage.tables import exam_order, order_match, patient, procedure_step, reading, study

CANDIDATES = 200


def match_study(hub: Hub, connection: Connection, study_id: int) -> None:
    """Looks for the order of a study, in the transaction that closes it. Safe to repeat."""
    of = _study(connection, study_id)
    if _joined_order(connection, study_id) is not None:
        return
    linked, weighed = _linked(connection, of), []
    for row, link in linked:
        weighed.append((row, weigh(_asked(hub, row), _done(of), hub.rules.matching, link)))
    if not any(verdict.outcome in ("join", "suggest") for _, verdict in weighed):
        known = {row.id for row, _ in linked}
        if not (linked and of.accession_number):      # an accession number of ours belongs to no other order
            weighed += [(row, weigh(_asked(hub, row), _done(of), hub.rules.matching)) for row in _candidates(hub, connection, of) if row.id not in known]
    _enter(hub, connection, [(row, of, verdict) for row, verdict in weighed])


def match_order(hub: Hub, connection: Connection, order_id: int) -> None:
    """Looks among the site's recent studies without an order for those that an order asks for: in an emergency images come first."""
    order = _order(connection, order_id)
    since = hub.now() - timedelta(days=hub.rules.matching.reach_days)
    rows = connection.execute(_studies().where(
        study.c.site_id == order.site_id, study.c.last_received_at >= since, study.c.state.not_in(("receiving", "reopened")),
        ~exists().where(order_match.c.study_id == study.c.id, order_match.c.state == "joined"))
        .order_by(study.c.id.desc()).limit(CANDIDATES)).all()
    owned = set(connection.scalars(select(exam_order.c.accession_number).where(
        exam_order.c.accession_number.in_([row.accession_number for row in rows if row.accession_number]), exam_order.c.id != order_id)))
    _enter(hub, connection, [(order, row, weigh(_asked(hub, order), _done(row), hub.rules.matching))
                             for row in rows if row.accession_number not in owned], by_order=True)


def join(hub: Hub, actor: Actor, match_id: int) -> int:
    """A person confirms a suggestion. Refused where the persons contradict each other; returns the study."""
    actor.require("order.match")
    with hub.writing() as connection:
        match, order, of = _match(connection, actor, match_id)
        if _contradicts(hub, connection, order, of):
            raise Refused("other_patient", "申请单与检查的患者不符，不能关联。请先核对并更正患者信息。",
                          "order and study name different patients and cannot be joined; check and correct the patient first.")
        if _joined_order(connection, of.id) is not None:
            raise Conflict("joined", "该检查已关联另一张申请单，请先解除关联。", "this study is joined to another order; part them first.")
        _join(hub, connection, actor, match.id, order, of, match.reasons)
    return of.id


def dismiss(hub: Hub, actor: Actor, match_id: int) -> int:
    """A person says that order and study do not belong together, or has seen a warning. Returns the study."""
    return _decide(hub, actor, match_id, "dismiss")


def part(hub: Hub, actor: Actor, match_id: int) -> int:
    """Undoes a joining; the urgency that it brought stays until somebody changes it. Returns the study."""
    return _decide(hub, actor, match_id, "part")


def restore(hub: Hub, actor: Actor, match_id: int) -> int:
    """Takes a dismissal back: the match is a suggestion again, or a contradiction that nobody can join. Returns the study."""
    return _decide(hub, actor, match_id, "restore")


def _decide(hub: Hub, actor: Actor, match_id: int, event: str) -> int:
    actor.require("order.match")
    with hub.writing() as connection:
        match, order, of = _match(connection, actor, match_id)
        advance(connection, MATCH, match.id, event, decided_by=actor.name, decided_at=hub.now())
        if event == "restore" and _contradicts(hub, connection, order, of):
            advance(connection, MATCH, match.id, "object")
        _touch(hub, connection, of.id)
        audit.append(connection, hub.now(), actor, f"order.{event}", "order", order.id, of.site_id, of.patient_id, study_id=of.id,
                     accession_number=order.accession_number)
    return of.id


def _enter(hub: Hub, connection: Connection, weighed: list[tuple], by_order: bool = False) -> None:
    """Writes down what was found: ``weighed`` holds (order, study, verdict)."""
    for order, of, verdict in weighed:
        if verdict.outcome == "object":
            _note(hub, connection, order, of, "object", verdict)
    for (order, of), verdict in choose([((order, of), verdict) for order, of, verdict in weighed], hub.rules.matching):
        match_id = _note(hub, connection, order, of, "suggest", verdict)
        if match_id is not None and verdict.outcome == "join" and _joined_order(connection, of.id) is None and not (
                by_order and _has_study(connection, order.id)):
            _join(hub, connection, SYSTEM, match_id, order, of, verdict.reasons)


def _note(hub: Hub, connection: Connection, order, of, event: str, verdict: Verdict) -> int | None:
    """The row of a pair after a look at it; None where a person, or a joining, has settled it."""
    known = connection.execute(select(order_match).where(order_match.c.order_id == order.id, order_match.c.study_id == of.id)).one_or_none()
    if known is not None and known.state in ("joined", "dismissed"):
        return None
    if known is None:
        match_id = connection.execute(insert(order_match).values(
            order_id=order.id, study_id=of.id, state=MATCH.initial, score=0, reasons=[], found_at=hub.now())).inserted_primary_key[0]
        audit.append(connection, hub.now(), SYSTEM, f"order.{event}", "order", order.id, of.site_id, of.patient_id, study_id=of.id,
                     score=verdict.score, reasons=list(verdict.reasons))
    else:
        match_id = known.id
    advance(connection, MATCH, match_id, event, score=verdict.score, reasons=list(verdict.reasons))
    _touch(hub, connection, of.id)
    return match_id


def _join(hub: Hub, connection: Connection, actor: Actor, match_id: int, order, of, reasons) -> None:
    now = hub.now()
    advance(connection, MATCH, match_id, "join", decided_by=actor.name, decided_at=now)
    pressing = more_urgent(of.urgency, order.urgency)
    if pressing != of.urgency:
        connection.execute(update(study).where(study.c.id == of.id).values(urgency=pressing))
        queued_at = connection.scalar(select(reading.c.queued_at).where(reading.c.study_id == of.id))
        if queued_at is not None:
            connection.execute(update(reading).where(reading.c.study_id == of.id).values(
                rank=RANK[pressing], deadline_at=hub.rules.deadlines.deadline(of.modality, pressing, queued_at)))
    _touch(hub, connection, of.id)
    is_at_work = connection.scalar(select(procedure_step.c.id).where(
        procedure_step.c.order_id == order.id, procedure_step.c.state == "in_progress").limit(1)) is not None
    if order.state in ORDER.sources("complete") and not is_at_work:
        advance(connection, ORDER, order.id, "complete", changed_at=now)
    audit.append(connection, now, actor, "order.join", "order", order.id, of.site_id, of.patient_id, study_id=of.id,
                 accession_number=order.accession_number, reasons=list(reasons))


def _linked(connection: Connection, of) -> list[tuple]:
    """The orders of the study's site whose numbers the device carried over, with what it carried."""
    steps = select(procedure_step.c.order_id).where(procedure_step.c.study_uid == of.study_uid, procedure_step.c.order_id.is_not(None))
    same_number = (exam_order.c.accession_number == of.accession_number) & (exam_order.c.accession_number != "")
    found = connection.execute(select(exam_order).where(
        exam_order.c.site_id == of.site_id, or_(same_number, exam_order.c.study_uid == of.study_uid, exam_order.c.id.in_(steps)))).all()
    by_step = set(connection.scalars(steps))
    return [(row, "accession_number" if row.accession_number == of.accession_number else "study_uid" if row.study_uid == of.study_uid
             else "procedure_step") for row in found if row.accession_number == of.accession_number or row.study_uid == of.study_uid or row.id in by_step]


def _contradicts(hub: Hub, connection: Connection, order, of) -> bool:
    """Whether order and study, as they stand now, name two patients. Asked as if the device had carried a number over: then
    nothing but the persons is weighed."""
    return weigh(_asked(hub, order), _done(of), hub.rules.matching, "accession_number").outcome == "object"


def _candidates(hub: Hub, connection: Connection, of) -> list:
    """Orders of the site around the study's time that have no study yet."""
    around = _at(of.study_at)
    centre = around.replace(tzinfo=hub.settings.zone) if around else of.received_at
    reach = timedelta(hours=hub.rules.matching.within_hours)
    kinds = X_RAY if of.modality in X_RAY else {of.modality}
    return list(connection.execute(select(exam_order).where(
        exam_order.c.site_id == of.site_id, exam_order.c.modality.in_(kinds), exam_order.c.scheduled_at.between(centre - reach, centre + reach),
        exam_order.c.state != "cancelled", ~exists().where(order_match.c.order_id == exam_order.c.id, order_match.c.state == "joined"))
        .order_by(exam_order.c.id.desc()).limit(CANDIDATES)))


def _asked(hub: Hub, order) -> Party:
    return Party(order.patient_number, order.resident_id, order.patient_name, order.name_latin, order.sex, order.birth_date, order.modality,
                 order.scheduled_at.astimezone(hub.settings.zone).replace(tzinfo=None), order.device_id)


def _done(of) -> Party:
    latin = of.name_as_sent.split("=")[0]
    return Party(of.patient_number, "", of.name, latin if latin.isascii() else "", of.sex, of.birth_date, of.modality, _at(of.study_at), of.device_id)


def _at(written: str) -> datetime | None:
    try:
        return datetime.fromisoformat(written).replace(tzinfo=None) if "T" in written else None
    except ValueError:
        return None


def _joined_order(connection: Connection, study_id: int) -> int | None:
    return connection.scalar(select(order_match.c.order_id).where(order_match.c.study_id == study_id, order_match.c.state == "joined"))


def _has_study(connection: Connection, order_id: int) -> bool:
    return connection.scalar(select(order_match.c.id).where(order_match.c.order_id == order_id, order_match.c.state == "joined").limit(1)) is not None


def _touch(hub: Hub, connection: Connection, study_id: int) -> None:
    """Pages that watch the worklist look again."""
    connection.execute(update(reading).where(reading.c.study_id == study_id).values(changed_at=hub.now()))


def _match(connection: Connection, actor: Actor, match_id: int) -> tuple:
    match = connection.execute(select(order_match).where(order_match.c.id == match_id)).one_or_none()
    if match is None:
        raise NotFound("not_found", "没有找到，或不属于您的机构。", "not found, or not of your institution.")
    of = _study(connection, match.study_id)
    actor.require_site(of.site_id)
    return match, _order(connection, match.order_id), of


def _order(connection: Connection, order_id: int):
    return connection.execute(select(exam_order).where(exam_order.c.id == order_id)).one()


def _study(connection: Connection, study_id: int):
    return connection.execute(_studies().where(study.c.id == study_id)).one()


def _studies():
    return select(study, patient.c.patient_id.label("patient_number"), patient.c.name, patient.c.name_as_sent, patient.c.sex,
                  patient.c.birth_date).join(patient, patient.c.id == study.c.patient_id)
