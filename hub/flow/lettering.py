"""From a signed report's rows to its letter: the words, the images, the signatures, the seal."""
from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from hub.context import Hub
from hub.delivery.authority import Authority, ensure_authority
from hub.delivery.letter import Amendment, KeyImage, Letter, Measurement, render
from hub.delivery.signature import sign_pdf
from hub.errors import NotFound, Refused, Retryable
from hub.flow.heading import heading_of, order_of
from hub.model.body_part import body_part_zh
from hub.storage.tables import account, artifact, device, report, site, study

TITLES = {"CT": "CT 诊断报告单", "MR": "磁共振诊断报告单", "DX": "数字 X 线诊断报告单", "CR": "X 线诊断报告单",
          "ECG": "心电图诊断报告单", "US": "超声诊断报告单"}
SEXES = {"M": "男", "F": "女", "O": "其他"}
MEASUREMENTS = (("heart_rate", "心率", "次/分"), ("p", "P 波时限", "ms"), ("pr", "PR 间期", "ms"), ("qrs", "QRS 时限", "ms"),
                ("qt", "QT 间期", "ms"), ("qtc_bazett", "QTc（Bazett）", "ms"), ("qtc_fridericia", "QTc（Fridericia）", "ms"),
                ("p_axis", "P 电轴", "°"), ("qrs_axis", "QRS 电轴", "°"), ("t_axis", "T 电轴", "°"))
MEDIA = ("image/png", "image/jpeg")


def authority(hub: Hub) -> Authority:
    """The centre's certificate authority, made at first start."""
    return ensure_authority(hub.keys_folder / "authority", hub.settings.institution_zh[:64], hub.now())


def compose_pdf(hub: Hub, report_id: int) -> bytes:
    """The signed PDF/A of one signed report. Refused for an unsigned one: nothing unsigned is ever set in type."""
    with hub.reading() as connection:
        letter, row = _letter(hub, connection, report_id)
    return sign_pdf(render(letter), authority(hub), row.reader_name, row.reviewer_name, row.signed_at)


def _letter(hub: Hub, connection: Connection, report_id: int) -> tuple[Letter, object]:
    row = connection.execute(select(report).where(report.c.id == report_id)).one_or_none()
    if row is None:
        raise NotFound("not_found", "没有找到这份报告。", "no such report.")
    if row.signed_at is None:
        raise Refused("unsigned", "未签名的报告不能发出。", "an unsigned report does not go out.")
    of = connection.execute(
        select(study, site.c.name.label("site_name"), device.c.name.label("device_name")).join(site, site.c.id == study.c.site_id)
        .outerjoin(device, device.c.id == study.c.device_id).where(study.c.id == row.study_id)).one()
    asked = order_of(connection, row.study_id)
    words, head = row.content, row.heading or heading_of(connection, row.study_id)
    single = row.reviewer_id is None
    return Letter(
        institution_zh=hub.settings.institution_zh, institution_en=hub.settings.institution_en,
        title=TITLES.get(head["modality"], "诊断报告单"), report_number=row.number, issued_at=row.signed_at, version=row.version,
        amendment=_amendment(hub, connection, row), patient_name=head["patient_name"] or "（未提供姓名）",
        patient_sex=SEXES.get(head["sex"], ""), patient_age=_age(head["age"]), patient_birth_date=head["birth_date"], patient_id=head["patient_id"],
        clinic=of.site_name, accession_number=head["accession_number"], modality=head["modality"],
        body_part=body_part_zh(head["body_part"] or head["description"]), study_time=head["study_at"].replace("T", " ")[:16], device=of.device_model or of.device_name or "",
        clinical_information=asked.clinical_question if asked else "",
        completeness=f"基于 {row.proof}" if of.kind == "image" else "", findings=words["findings"], impression=words["impression"],
        recommendation=words["recommendation"], positive=row.positive, critical=row.critical,
        measurements=_measurements(hub, connection, of.id) if of.kind == "ecg" else (),
        key_images=_key_images(hub, connection, words.get("key_images", [])),
        ecg_sheet_svg=_ecg_sheet(hub, connection, of.id, head) if of.kind == "ecg" else None,
        report_physician=_with_title(connection, row.reader_id, row.reader_name), report_time=_local(hub, row.submitted_at),
        review_physician=_with_title(connection, row.reviewer_id, row.reviewer_name) if not single else "",
        review_time=_local(hub, row.signed_at) if not single else "",
        emergency_note=f"危急情况由一位医师先行签发，第二签名应于 {_local(hub, row.second_due_at)} 前完成。" if single and row.second_due_at else "",
        verification_text="本报告经电子签名，任何改动均可验出。", qr_content=f"{hub.settings.address}/verify/{row.check_code}"), row


def _amendment(hub: Hub, connection: Connection, row) -> Amendment | None:
    if row.version < 2:
        return None
    before = connection.execute(select(report.c.version, report.c.signed_at).where(
        report.c.reading_id == row.reading_id, report.c.version < row.version, report.c.signed_at.is_not(None))
        .order_by(report.c.version.desc()).limit(1)).one()
    return Amendment(row.amends_reason, f"第 {before.version} 版，{_local(hub, before.signed_at)} 签发")


def _key_images(hub: Hub, connection: Connection, ids: list[int]) -> tuple[KeyImage, ...]:
    rows = {row.id: row for row in connection.execute(select(artifact).where(artifact.c.id.in_(ids), artifact.c.kind == "key_image"))}
    return tuple(KeyImage(rows[key].about.get("caption", ""), hub.blobs.read(rows[key].sha256))
                 for key in ids if key in rows and rows[key].media_type in MEDIA)


def _ecg_sheet(hub: Hub, connection: Connection, study_id: int, head: dict[str, str]) -> bytes | None:
    """The newest sheet that was drawn for the patient of this letter's heading: one page never names two."""
    drawn = connection.execute(select(artifact.c.sha256, artifact.c.about).where(
        artifact.c.study_id == study_id, artifact.c.kind == "ecg_sheet").order_by(artifact.c.id.desc())).all()
    fitting = next((one for one in drawn if all(head[name] == value for name, value in one.about.items() if name in head)), None)
    if drawn and fitting is None:
        raise Retryable("sheet_not_redrawn", "心电图正按更正后的患者信息重绘，稍后自动重试。", "the ECG is being drawn again for the corrected patient.")
    return hub.blobs.read(fitting.sha256) if fitting else None


def _measurements(hub: Hub, connection: Connection, study_id: int) -> tuple[Measurement, ...]:
    about = connection.scalar(select(artifact.c.about).where(
        artifact.c.study_id == study_id, artifact.c.kind == "ecg_analysis").order_by(artifact.c.id.desc()).limit(1)) or {}
    values = about.get("measurements", {})
    return tuple(Measurement(label, f"{values[name]['value']:.0f}" if values[name]["value"] is not None else "未测出", unit)
                 for name, label, unit in MEASUREMENTS if name in values)


def _with_title(connection: Connection, account_id: int, name: str) -> str:
    title = connection.scalar(select(account.c.title).where(account.c.id == account_id))
    return f"{name}（{title}）" if title else name


def _age(text: str) -> str:
    """DICOM's Age String (PS3.5 6.2: nnnD, nnnW, nnnM, nnnY) in Chinese; anything else as written."""
    units = {"Y": "岁", "M": "个月", "W": "周", "D": "天"}
    if len(text) == 4 and text[:3].isdigit() and text[3] in units:
        return f"{int(text[:3])}{units[text[3]]}"
    return text


def _local(hub: Hub, moment: datetime | None) -> str:
    return moment.astimezone(hub.settings.zone).strftime("%Y-%m-%d %H:%M") if moment else ""
