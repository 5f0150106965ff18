"""The report goes home: PDF and signature, a receipt before every attempt, retries, the clinic's acknowledgement."""
from __future__ import annotations

from datetime import datetime
from functools import cache, lru_cache

from sqlalchemy import Connection, Select, bindparam, exists, func, insert, or_, select, union, update

from hub.context import Hub
from hub.delivery.channels import ANNOUNCING, deliverer
from hub.delivery.parcel import Parcel
from hub.errors import Conflict, NotFound, Refused
from hub.flow.errands import OUTCOMES, Errand
from hub.flow.heading import heading_of
from hub.flow.lettering import compose_pdf
from hub.flow.worklist import MOST_COUNTED, OPEN_STUDIES, page_of_text
from hub.model.access import SYSTEM, Actor
from hub.model.lifecycle import DELIVERY, READING
from hub.storage import audit, driver
from hub.storage.search import SHAPES, Found
from hub.storage.states import advance
from hub.storage.tables import delivery, destination, patient, reading, receipt, report, site, study

CLINIC_PAGE = 50
DELIVERIES = Errand(delivery, DELIVERY, "deliver", "delivery_id")
UNSIGNED = tuple(state for state in READING.states if state not in ("final", "amended"))


def issue_letter(hub: Hub, report_id: int) -> None:
    """Makes the signed PDF of a signed report and orders its deliveries. Safe to repeat."""
    with hub.reading() as connection:
        row = _report(connection, report_id)
    if row.signed_at is None:
        raise Refused("unsigned", "未签名的报告不能发出。", "an unsigned report does not go out.")
    if not row.pdf_sha256:
        kept = hub.blobs.keep(compose_pdf(hub, report_id), f"{row.number}.pdf")
        with hub.writing() as connection:
            issued = connection.execute(update(report).where(
                report.c.id == report_id, report.c.pdf_sha256 == "", report.c.reviewer_name == row.reviewer_name).values(pdf_sha256=kept.sha256))
            if issued.rowcount == 1:
                audit.append(connection, hub.now(), SYSTEM, "report.issue", "report", report_id, row.site_id, row.patient_id, pdf_sha256=kept.sha256)
    with hub.writing() as connection:
        row = _report(connection, report_id)
        if row.pdf_sha256:
            _order_deliveries(hub, connection, row)


def deliver(hub: Hub, delivery_id: int) -> None:
    """One attempt: the receipt row first, then the channel, then the outcome. A failure orders the next attempt
    after a growing pause, until the delivery is given up and shown as overdue."""
    now = hub.now()
    with hub.writing() as connection:
        row = _delivery(connection, delivery_id)
        if not DELIVERIES.begin(connection, now, row):
            return
        receipt_id = connection.execute(insert(receipt).values(
            delivery_id=delivery_id, attempt=row.attempts + 1, started_at=now)).inserted_primary_key[0]
        parcel = _parcel(hub, connection, row)
    event, words = DELIVERIES.attempt(row, lambda: deliverer(row.channel)(hub, parcel))
    now = hub.now()
    with hub.writing() as connection:
        DELIVERIES.end(hub, connection, row, event, words)
        connection.execute(update(receipt).where(receipt.c.id == receipt_id).values(ended_at=now, outcome=OUTCOMES[event], detail=words[:512]))
        audit.append(connection, now, SYSTEM, f"delivery.{OUTCOMES[event]}", "delivery", delivery_id, row.site_id,
                     channel=row.channel, report_id=row.report_id)


def resend(hub: Hub, actor: Actor, delivery_id: int) -> None:
    """Tries a refused or overdue delivery again, after its cause was mended."""
    actor.require("delivery.resend")
    with hub.writing() as connection:
        DELIVERIES.send_again(connection, hub.now(), actor, _delivery(connection, delivery_id))


def acknowledge(hub: Hub, actor: Actor, report_id: int) -> None:
    """The clinic confirms that it has the report. Who and when is kept."""
    actor.require("report.acknowledge")
    now = hub.now()
    with hub.writing() as connection:
        row = _report(connection, report_id)
        actor.require_site(row.site_id)
        waiting = connection.execute(select(delivery).where(
            delivery.c.report_id == report_id, delivery.c.channel == "portal", delivery.c.state.in_(DELIVERY.sources("acknowledge")))).all()
        if not waiting:
            raise Conflict("nothing_to_acknowledge", "该报告已签收或尚未送达。", "this report is acknowledged already or not yet delivered.")
        for one in waiting:
            advance(connection, DELIVERY, one.id, "acknowledge", acknowledged_by=actor.name, acknowledged_at=now)
        audit.append(connection, now, actor, "report.acknowledge", "report", report_id, row.site_id, row.patient_id)


def deliveries(hub: Hub, actor: Actor, state: str = "") -> list:
    """Deliveries with their report and site, newest first, for the operations page."""
    actor.require("delivery.view")
    found = _deliveries().order_by(delivery.c.id.desc()).limit(200)
    with hub.reading() as connection:
        return list(connection.execute(found.where(delivery.c.state == state) if state else found))


def delivery_of(hub: Hub, actor: Actor, delivery_id: int):
    """One delivery with its report, site and destination. NotFound if there is none."""
    actor.require("delivery.view")
    with hub.reading() as connection:
        row = connection.execute(_deliveries().where(delivery.c.id == delivery_id)).one_or_none()
    if row is None:
        raise NotFound("not_found", "没有这次发送。", "no such delivery.")
    return row


def receipts(hub: Hub, actor: Actor, delivery_id: int) -> list:
    """Every attempt of one delivery."""
    actor.require("delivery.view")
    with hub.reading() as connection:
        return list(connection.execute(select(receipt).where(receipt.c.delivery_id == delivery_id).order_by(receipt.c.attempt)))


def of_report(hub: Hub, actor: Actor, report_id: int) -> list:
    """The deliveries of one report, for those who may read it."""
    actor.require("report.view")
    with hub.reading() as connection:
        row = _report(connection, report_id)
        actor.require_site(row.site_id)
        return list(connection.execute(select(delivery).where(delivery.c.report_id == report_id).order_by(delivery.c.id)))


def signed_pdf(hub: Hub, actor: Actor, report_id: int) -> tuple[str, bytes]:
    """File name and bytes of a signed report's PDF, after the right to see it; the look is recorded."""
    actor.require("report.view")
    with hub.writing() as connection:
        row = _report(connection, report_id)
        actor.require_site(row.site_id)
        if row.signed_at is None or not row.pdf_sha256:
            raise NotFound("not_issued", "报告尚未签发，请稍后再看。", "the report has not been issued yet; look again later.")
        audit.append(connection, hub.now(), actor, "report.view", "report", report_id, row.site_id, row.patient_id)
    return f"{row.number}.pdf", hub.blobs.read(row.pdf_sha256)


def by_check_code(hub: Hub, code: str):
    """What the QR code of a report may show to anybody: number, times and standing, and no word of the patient."""
    with hub.reading() as connection:
        row = connection.execute(
            select(report.c.number, report.c.version, report.c.signed_at, report.c.reader_name, report.c.reviewer_name,
                   report.c.pdf_sha256, report.c.reading_id, site.c.name.label("site_name"))
            .join(study, study.c.id == report.c.study_id).join(site, site.c.id == study.c.site_id)
            .where(report.c.check_code == code, report.c.signed_at.is_not(None))).one_or_none() if code else None
        if row is None:
            raise NotFound("unknown_report", "没有找到这份报告，请核对二维码或报告编号。", "no such report; check the code.")
        newest = connection.scalar(select(report.c.version).where(
            report.c.reading_id == row.reading_id, report.c.signed_at.is_not(None)).order_by(report.c.version.desc()).limit(1))
    return row, newest == row.version


def for_clinic(hub: Hub, actor: Actor, *, text: str = "", state: str = "", since: datetime | None = None, until: datetime | None = None,
               page: int = 1) -> tuple[list, int]:
    """One page of the clinic's own studies with the state of reading, report and delivery, newest first; and how many there
    are, counted up to ``most_counted``.

    ``since`` and ``until``: arrived at or after, and before, these moments (with a zone)."""
    actor.require("clinic.view")
    start = (max(1, page) - 1) * CLINIC_PAGE
    values = {"site_id": actor.site_id, "since": since, "until": until, "most": CLINIC_PAGE, "start": start}
    span = (since is not None, until is not None)
    with hub.reading() as connection:
        if text.strip():
            return page_of_text(connection, lambda found: _clinic_found((state, *span), found), _clinic_rows_of, text, actor.site_id,
                                values | {"start": 0}, start, CLINIC_PAGE)
        rows = connection.execute(_clinic_page(state, *span), values).all()
        total = rows[0].total if rows else connection.scalar(_clinic_count(state, *span), values) if start else 0
    return rows, total


@cache
def _clinic_chosen(state: str, is_since: bool, is_until: bool) -> Select:
    chosen = _of_clinic(state)
    chosen = chosen.where(study.c.received_at >= bindparam("since")) if is_since else chosen
    return chosen.where(study.c.received_at < bindparam("until")) if is_until else chosen


@cache
def _clinic_count(*asked) -> Select:
    return select(func.count()).select_from(_clinic_chosen(*asked).limit(MOST_COUNTED).subquery())


@cache
def _clinic_page(*asked) -> Select:
    """One page as rows, each with ``total``."""
    chosen = _clinic_chosen(*asked).order_by(study.c.id.desc()).limit(bindparam("most")).offset(bindparam("start")).subquery()
    total = _clinic_count(*asked).scalar_subquery().label("total")
    return _clinic_rows().add_columns(total).where(study.c.id.in_(select(chosen.c.id))).order_by(study.c.id.desc())


@lru_cache(SHAPES)
def _clinic_found(asked: tuple, found: Found) -> Select:
    return _clinic_chosen(*asked).where(or_(*found.conditions(study.c.id, study.c.patient_id))).order_by(study.c.id.desc()).limit(bindparam("most"))


@cache
def _of_clinic(state: str) -> Select:
    """The ids of a clinic's studies in one state. "waiting": without a signed report; "new": with one that nobody has
    acknowledged. Its parameter: ``site_id``."""
    site_id = bindparam("site_id")
    chosen = select(study.c.id).where(study.c.site_id == site_id)
    unread = select(reading.c.study_id).where(reading.c.site_id == site_id, reading.c.state.in_(UNSIGNED))
    if state == "waiting":
        arriving = study.alias()
        unready = select(arriving.c.id).where(arriving.c.site_id == site_id, arriving.c.state.in_(OPEN_STUDIES))
        return chosen.where(study.c.id.in_(union(unread, unready)), ~exists().where(report.c.study_id == study.c.id, report.c.signed_at.is_not(None)))
    if state == "new":
        arrived = (select(report.c.study_id).join(delivery, delivery.c.report_id == report.c.id).where(
            delivery.c.site_id == site_id, delivery.c.state == "delivered", delivery.c.channel == "portal", report.c.pdf_sha256 == delivery.c.pdf_sha256))
        newer = report.alias()
        return chosen.where(study.c.id.in_(arrived.where(~exists().where(
            newer.c.reading_id == report.c.reading_id, newer.c.version > report.c.version, newer.c.signed_at.is_not(None)))))
    if state == "bounced":
        return chosen.where(study.c.id.in_(unread.where(reading.c.state == "bounced")))
    return chosen


def _clinic_rows() -> Select:
    latest = (select(report.c.reading_id, report.c.id, report.c.number, report.c.version, report.c.signed_at, report.c.critical,
                     report.c.positive, report.c.reader_name, report.c.reviewer_name, report.c.pdf_sha256)
              .where(report.c.signed_at.is_not(None)).subquery())
    any_version = report.alias()
    newest = (select(any_version.c.id).where(any_version.c.reading_id == reading.c.id, any_version.c.signed_at.is_not(None))
              .order_by(any_version.c.version.desc()).limit(1).correlate(reading).scalar_subquery())
    sent = (select(delivery.c.report_id, delivery.c.state, delivery.c.acknowledged_by, delivery.c.acknowledged_at, delivery.c.pdf_sha256)
            .where(delivery.c.channel == "portal").subquery())
    return (select(study, patient.c.name.label("patient_name"), patient.c.patient_id.label("patient_number"), patient.c.sex,
                   patient.c.age, patient.c.birth_date, reading.c.id.label("reading_id"), reading.c.state.label("reading_state"), reading.c.late_images, reading.c.bounce_reason,
                   reading.c.deadline_at, latest.c.id.label("report_id"), latest.c.number, latest.c.version, latest.c.signed_at,
                   latest.c.critical, latest.c.positive, latest.c.reader_name, latest.c.reviewer_name, latest.c.pdf_sha256,
                   sent.c.state.label("delivery_state"), sent.c.acknowledged_by, sent.c.acknowledged_at)
            .select_from(study).join(patient, patient.c.id == study.c.patient_id).outerjoin(reading, reading.c.study_id == study.c.id)
            .outerjoin(latest, latest.c.id == newest)
            .outerjoin(sent, (sent.c.report_id == latest.c.id) & (sent.c.pdf_sha256 == latest.c.pdf_sha256)))


@cache
def _clinic_rows_of(most: int) -> Select:
    return _clinic_rows().where(driver.some_ids(study.c.id, most))


def _order_deliveries(hub: Hub, connection: Connection, row) -> None:
    now = hub.now()
    targets = [("portal", None)] + [(d.channel, d.id) for d in connection.execute(
        select(destination).where(destination.c.site_id == row.site_id, destination.c.active, destination.c.channel.not_in(ANNOUNCING))
        .order_by(destination.c.id))]
    for channel, destination_id in targets:
        known = connection.scalar(select(delivery.c.id).where(
            delivery.c.report_id == row.id, delivery.c.channel == channel, delivery.c.destination_id == destination_id,
            delivery.c.pdf_sha256 == row.pdf_sha256))
        if known is None:
            DELIVERIES.order(connection, now, report_id=row.id, site_id=row.site_id, destination_id=destination_id, channel=channel,
                             pdf_sha256=row.pdf_sha256)
    _withdraw_older(connection, now, row)


def _withdraw_older(connection: Connection, now, row) -> None:
    """What has not left yet of an older letter of the same reading does not leave any more: the newer one does."""
    of_reading = select(report.c.id).where(report.c.reading_id == row.reading_id, report.c.version <= row.version)
    older = connection.execute(select(delivery.c.id, delivery.c.site_id).where(
        delivery.c.report_id.in_(of_reading), delivery.c.pdf_sha256 != row.pdf_sha256,
        delivery.c.state.in_(DELIVERY.sources("withdraw")))).all()
    for one in older:
        advance(connection, DELIVERY, one.id, "withdraw")
        audit.append(connection, now, SYSTEM, "delivery.withdrawn", "delivery", one.id, one.site_id, by_report=row.id)


def _parcel(hub: Hub, connection: Connection, row) -> Parcel:
    one = _report(connection, row.report_id)
    of_study = connection.execute(
        select(study.c.study_uid, site.c.code, site.c.name.label("site_name")).join(site, site.c.id == study.c.site_id)
        .where(study.c.id == one.study_id)).one()
    head = one.heading or heading_of(connection, one.study_id)
    address = connection.scalar(select(destination.c.address).where(destination.c.id == row.destination_id)) or {}
    return Parcel(
        idempotency_key=f"{one.number}-{row.pdf_sha256[:16]}", pdf=hub.blobs.read(row.pdf_sha256), pdf_sha256=row.pdf_sha256,
        address=address, report_id=one.id, report_number=one.number, version=one.version, signed_at=one.signed_at,
        study_uid=of_study.study_uid, accession_number=head["accession_number"], modality=head["modality"],
        study_at=head["study_at"], patient_id=head["patient_id"], patient_name=head["patient_name"], patient_sex=head["sex"],
        patient_birth_date=head["birth_date"], site_code=of_study.code, site_name=of_study.site_name,
        institution=hub.settings.institution_zh, impression=one.content["impression"], positive=one.positive,
        critical=one.critical, reader_name=one.reader_name, reviewer_name=one.reviewer_name)


def _deliveries():
    return (select(delivery, report.c.number, report.c.version, site.c.name.label("site_name"), destination.c.address)
            .join(report, report.c.id == delivery.c.report_id).join(site, site.c.id == delivery.c.site_id)
            .outerjoin(destination, destination.c.id == delivery.c.destination_id))


def _report(connection: Connection, report_id: int):
    row = connection.execute(select(report, study.c.site_id, study.c.patient_id).join(study, study.c.id == report.c.study_id)
                             .where(report.c.id == report_id)).one_or_none()
    if row is None:
        raise NotFound("not_found", "没有找到这份报告。", "no such report.")
    return row


def _delivery(connection: Connection, delivery_id: int):
    row = connection.execute(select(delivery).where(delivery.c.id == delivery_id)).one_or_none()
    if row is None:
        raise NotFound("not_found", "没有这次发送。", "no such delivery.")
    return row
