"""Fills a hub's index with the rows of a county's years: 135 clinics, 145 ECG carts and 40 scanners, Chinese names
with their pinyin, every state. Rows only: no study has bytes behind it. Made in SQL, the same on SQLite and PostgreSQL.

CT studies have two series and three instances here, all others one of each: the index of instances is thinner than in
life, which the figures of the other tables do not depend on.
"""
from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, text

from hub.model.names import reading, surname_readings
from hub.rulebook import load
from hub.storage import database, names
from hub.storage.tables import metadata

SITES, CARTS, SCANNERS = 135, 145, 40
YEARS = 4.5
WAITING, ARRIVING = 600, 40        # of the newest studies: in the queue, on their way in; the same in every county
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常"
GIVEN = "英华玉秀明珍文芳兰国春红丽桂建平海荣军云金梅志凤林永生成小晓伟霞德清俊新玲龙福美庆香辉莉强艳燕军波洪学祥元宝良贵勇东敏飞宏锋涛亮刚洁斌静鑫磊婷宇佳浩欣雨晨泽涵梓轩思怡嘉琪诗若子豪博一雪倩颖蕾瑶丹妮洋鹏超杰凯旭阳健康乐天佑安宁"


def fill(engine: Engine, studies: int, until: datetime) -> None:
    """Enters ``studies`` studies that arrived in the years before ``until``, with their patients, readings, reports and deliveries."""
    is_postgresql = engine.dialect.name == "postgresql"
    with database.writing(engine) as connection:
        indexes = [index for table in metadata.sorted_tables for index in table.indexes]
        for index in indexes:                      # made at the end, in one go each
            index.drop(connection)
        if is_postgresql:
            connection.execute(text("SET LOCAL synchronous_commit = off"))
            constraints = _without_constraints(connection)
        _parts(connection)
        for statement in _STATEMENTS:
            connection.execute(text(_for(statement, is_postgresql, studies, until)))
        for site_id, name in connection.execute(text("SELECT DISTINCT site_id, referring_physician FROM study")).all():
            names.enter_physician(connection, site_id, name)
        for statement in constraints if is_postgresql else ():
            connection.execute(text(statement))
        for index in indexes:
            index.create(connection)
        if is_postgresql:
            for table in metadata.sorted_tables:
                if "id" in table.c and table.name != "audit_head":
                    connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), GREATEST((SELECT MAX(id) FROM {table.name}), 1))"))
    if is_postgresql:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    database.refresh_statistics(engine)


FILLED = ("site", "device", "account", "patient", "patient_name", "study", "series", "instance", "reading", "report", "delivery")


def _without_constraints(connection: Connection) -> list[str]:
    """Takes keys and references from the tables that are filled, and returns the statements that put them back: the keys are then
    made in one go, the references hold for what comes later. The tables are new in this transaction, so that a server with
    wal_level=minimal writes their rows once."""
    found = connection.execute(text(
        "SELECT conrelid::regclass::text AS owner, conname, contype, pg_get_constraintdef(oid) AS rule FROM pg_constraint "
        "WHERE contype IN ('p', 'u', 'f') AND (conrelid::regclass::text = ANY(:names) OR confrelid::regclass::text = ANY(:names)) "
        "ORDER BY contype = 'f', contype"), {"names": list(FILLED)}).all()
    for row in sorted(found, key=lambda row: row.contype != "f"):
        connection.execute(text(f"ALTER TABLE {row.owner} DROP CONSTRAINT {row.conname}"))
    connection.execute(text(f"TRUNCATE {', '.join(FILLED)}"))
    return [f"ALTER TABLE {row.owner} ADD CONSTRAINT {row.conname} {row.rule}{' NOT VALID' if row.contype == 'f' else ''}" for row in found]


def _parts(connection: Connection) -> None:
    """The characters of names with their pinyin."""
    rules = load().identity.names
    connection.execute(text("CREATE TEMPORARY TABLE part (kind INTEGER, place INTEGER, han TEXT, sound TEXT)"))
    rows = [{"kind": kind, "place": place, "han": han, "sound": surname_readings(han, rules)[0] if kind == 0 else reading(han, rules)}
            for kind, characters in enumerate((SURNAMES, GIVEN)) for place, han in enumerate(characters)]
    connection.execute(text("INSERT INTO part VALUES (:kind, :place, :han, :sound)"), rows)


def _for(statement: str, is_postgresql: bool, studies: int, until: datetime) -> str:
    begin = int((until - timedelta(days=365.25 * YEARS)).timestamp())
    step = f"({begin} + CAST(i AS BIGINT) * {int(until.timestamp()) - begin} / {studies} + i * 7919 % 600)"
    moment = (lambda s: f"to_timestamp({s})") if is_postgresql else (lambda s: f"strftime('%Y-%m-%d %H:%M:%S', {s}, 'unixepoch') || '.000000'")
    local = f"to_char(to_timestamp({step} - 1800), 'YYYY-MM-DD\"T\"HH24:MI:SS')" if is_postgresql else f"strftime('%Y-%m-%dT%H:%M:%S', {step} - 1800, 'unixepoch')"
    values = {
        "$studies": str(studies), "$patients": str(max(10, studies * 6 // 10)), "$now": moment(step), "$later": moment(f"{step} + 7200"),
        "$study_at": local, "$json": "JSON" if is_postgresql else "TEXT", "$sites": str(SITES), "$queue": str(studies - ARRIVING - WAITING),
        "$ready": str(studies - ARRIVING), "$unread": str(studies - ARRIVING - studies // 50), "$surnames": str(len(SURNAMES)), "$given": str(len(GIVEN)),
        "$begin": moment(str(begin)),
        "$modality": "CASE WHEN i % 100 < 30 THEN 'CT' WHEN i % 100 < 55 THEN 'DX' WHEN i % 100 < 85 THEN 'ECG' WHEN i % 100 < 90 THEN 'CR' "
                     "WHEN i % 100 < 94 THEN 'MR' WHEN i % 100 < 99 THEN 'US' ELSE 'MG' END",
        "$rank": "CASE WHEN i % 40 = 0 THEN 0 WHEN i % 8 = 0 THEN 1 ELSE 2 END",
        "$urgency": "CASE WHEN i % 40 = 0 THEN 'emergency' WHEN i % 8 = 0 THEN 'urgent' ELSE 'routine' END",
    }
    for name in sorted(values, key=len, reverse=True):
        statement = statement.replace(name, values[name])
    return statement.replace("\\:", ":").replace(":", "\\:")


_STATES = ("CASE WHEN i > $queue THEN CASE i % 6 WHEN 0 THEN 'preliminary' WHEN 1 THEN 'claimed' WHEN 2 THEN 'draft' ELSE 'queued' END "
           "WHEN i % 97 = 0 THEN 'bounced' WHEN i % 53 = 0 THEN 'amended' ELSE 'final' END")
# Four physicians a site send most patients; a quarter of the studies does not name one.
_PHYSICIAN = ("CASE WHEN i % 4 = 0 THEN '' ELSE (SELECT s.han || '^' || g.han || h.han FROM part s, part g, part h WHERE s.kind = 0 AND g.kind = 1 AND h.kind = 1 "
              "AND s.place = (patient.site_id * 4 + i % 4) % $surnames AND g.place = patient.site_id * 31 % $given AND h.place = (i % 4) * 17 % $given) END")
_HAS_REPORT = "i <= $queue AND i % 97 <> 0"

_STATEMENTS = (
    "CREATE TEMPORARY TABLE number AS WITH RECURSIVE up(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM up WHERE i < $studies) SELECT i FROM up",
    "INSERT INTO site (id, code, name, level, phone, language, active, created_at) SELECT i, 'S' || i, '第' || i || '卫生院', 'township', '', 'zh', TRUE, $begin "
    "FROM number WHERE i <= $sites",
    f"INSERT INTO device (id, site_id, kind, name, ae_title, address, token_sha256, charset, rules, served, active, created_at) SELECT i, 1 + i % $sites, "
    f"CASE WHEN i <= {CARTS} THEN 'ecg' ELSE 'dicom' END, '设备' || i, 'DEVICE' || i, '', '', '', CAST('{{}}' AS $json), 'corrected', TRUE, $begin FROM number WHERE i <= {CARTS + SCANNERS}",
    "INSERT INTO account (id, username, display_name, title, role, password_hash, language, active, must_change_password, failures, created_at) "
    "SELECT i, 'reader' || i, '医师' || i, '', 'reader', '', 'zh', TRUE, FALSE, 0, $begin FROM number WHERE i <= 20",
    # A patient: a surname (the frequent ones more often) and one or two characters.
    "CREATE TEMPORARY TABLE person AS SELECT i, 1 + i % $sites AS site_id, s.han AS s, s.sound AS ss, g.han AS g, g.sound AS gs, "
    "CASE WHEN i % 7 = 0 THEN '' ELSE h.han END AS h, CASE WHEN i % 7 = 0 THEN '' ELSE h.sound END AS hs FROM number "
    "JOIN part s ON s.kind = 0 AND s.place = (i * 7907 % 1000) * (i * 7907 % 1000) * $surnames / 1000000 "
    "JOIN part g ON g.kind = 1 AND g.place = i * 31 % $given JOIN part h ON h.kind = 1 AND h.place = (i * 17 + i / 127) % $given WHERE i <= $patients",
    "INSERT INTO patient (id, site_id, identity_key, patient_id, name, name_as_sent, name_unsure, sex, birth_date, age, created_at, head, sound) "
    "SELECT i, site_id, 'id|P' || i, 'P' || (10000000 + i), s || g || h, s || '^' || g || h, FALSE, CASE i % 2 WHEN 0 THEN 'F' ELSE 'M' END, "
    "(1935 + i * 13 % 85) || '-0' || (1 + i % 9) || '-1' || (i % 9), '', $begin, s, ss FROM person",
    *(f"INSERT INTO patient_name (site_id, form, kind, patient_id) SELECT site_id, {form}, {kind}, i FROM person WHERE {where}"
      for form, kind, where in (
          ("s || g || h", 0, "TRUE"), ("g || h", 1, "TRUE"), ("h", 1, "h <> ''"), ("ss || gs || hs", 2, "TRUE"), ("gs || hs", 3, "TRUE"), ("hs", 3, "h <> ''"),
          ("substr(ss, 1, 1) || substr(gs, 1, 1) || substr(hs, 1, 1)", 4, "TRUE"))),
    "DROP TABLE person",
    "INSERT INTO study (id, study_uid, kind, site_id, patient_id, device_id, modality, body_part, description, accession_number, study_at, institution, "
    "device_model, state, urgency, summary, instances, late, association_open, proof, problems, flags, generation, received_at, last_received_at, ready_at, head, holds_dicom, "
    "referring_physician, referring_unsure, study_number) "
    "SELECT i, '1.2.826.0.1.' || i, CASE WHEN i % 100 BETWEEN 55 AND 84 THEN 'ecg' ELSE 'image' END, 1 + (1 + CAST(i AS BIGINT) * 7919 % $patients) % $sites, "
    "1 + CAST(i AS BIGINT) * 7919 % $patients, 1 + i % 185, $modality, 'CHEST', '胸部平扫', 'A' || (200000000 + i), $study_at, '', '', "
    "CASE WHEN i <= $ready THEN 'ready' WHEN i % 3 = 0 THEN 'preparing' ELSE 'receiving' END, $urgency, '窦性心律', CASE WHEN i % 100 < 30 THEN 3 ELSE 1 END, 0, FALSE, "
    "CAST('{\"verdict\": \"likely\", \"zh\": \"3 幅，无间断\", \"en\": \"3 received, no gap\"}' AS $json), CAST('[]' AS $json), CAST('{}' AS $json), 1, $now, $now, $now, head, i % 100 NOT BETWEEN 55 AND 84, "
    f"{_PHYSICIAN}, FALSE, CASE WHEN i % 3 = 0 THEN '' ELSE CAST(1 + i % 4999 AS VARCHAR(16)) END FROM number JOIN patient ON patient.id = 1 + CAST(i AS BIGINT) * 7919 % $patients ORDER BY i",
    "INSERT INTO series (id, study_id, series_uid, modality, number, description, body_part) SELECT i * 2, i, '1.2.826.0.2.' || i, $modality, 1, '肺窗', 'CHEST' FROM number",
    "INSERT INTO series (id, study_id, series_uid, modality, number, description, body_part) SELECT i * 2 + 1, i, '1.2.826.0.3.' || i, "
    "CASE WHEN i % 10 = 0 THEN 'SR' ELSE 'CT' END, 2, '纵隔窗', 'CHEST' FROM number WHERE i % 100 < 30",
    *("INSERT INTO instance (id, series_id, study_id, device_id, sop_uid, sop_class, transfer_syntax, format, sha256, size, files, declared, number, frames, "
      f"orientation, late, calling, notes, received_at) SELECT i * 3 + {n}, i * 2 + {n % 2}, i, 1 + i % 185, '1.2.826.0.4.' || (i * 3 + {n}), '1.2.840.10008.5.1.4.1.1.2', "
      f"'1.2.840.10008.1.2.1', CASE WHEN i % 100 BETWEEN 55 AND 84 THEN 'scp' ELSE 'dicom' END, 'ab{n}f00d00000000000000000000000000000000000000000000' || (1000000000 + i), "
      f"524288, CAST('[]' AS $json), CAST('{{}}' AS $json), {n + 1}, 1, '', FALSE, 'DEVICE1', CAST('[]' AS $json), $now FROM number WHERE {where}"
      for n, where in ((0, "TRUE"), (1, "i % 100 < 30"), (2, "i % 100 < 30"))),
    "INSERT INTO reading (id, study_id, site_id, patient_id, modality, state, rank, deadline_at, queued_at, claimed_by, bounce_reason, amend_reason, late_images, version, changed_at, head, sound) "
    f"SELECT i, i, 1 + (1 + CAST(i AS BIGINT) * 7919 % $patients) % $sites, 1 + CAST(i AS BIGINT) * 7919 % $patients, $modality, {_STATES}, $rank, $later, $now, "
    "CASE WHEN i > $queue AND i % 6 IN (1, 2) THEN 1 + i % 20 END, '', '', FALSE, 1, $later, head, sound FROM number JOIN patient ON patient.id = 1 + CAST(i AS BIGINT) * 7919 % $patients WHERE i <= $ready ORDER BY i",
    "INSERT INTO report (id, reading_id, study_id, version, number, content, positive, critical, reader_id, reader_name, submitted_at, reviewer_id, reviewer_name, "
    "signed_at, amends_reason, proof, content_sha256, pdf_sha256, check_code) SELECT i, i, i, 1, 'R' || i, "
    "CAST('{\"findings\": \"双肺纹理清晰，未见实变。纵隔居中，心影不大。\", \"impression\": \"胸部未见明显异常。\"}' AS $json), FALSE, FALSE, 1 + i % 20, '医师', $later, 1 + i % 19, '主任', "
    f"$later, '', '', '', 'pdf' || i, 'C' || i FROM number WHERE {_HAS_REPORT}",
    "INSERT INTO delivery (id, report_id, site_id, channel, pdf_sha256, state, attempts, error, created_at, due_at, delivered_at, acknowledged_by) "
    "SELECT i, i, 1 + (1 + CAST(i AS BIGINT) * 7919 % $patients) % $sites, 'portal', 'pdf' || i, CASE WHEN i > $unread THEN 'delivered' ELSE 'acknowledged' END, 1, '', "
    f"$later, $later, $later, '' FROM number WHERE {_HAS_REPORT}",
    "DROP TABLE number", "DROP TABLE part",
)
