"""Every table of the hub, for SQLite and PostgreSQL alike. Rows are the truth about work; blobs about bytes.

Times are UTC. States are those of ``hub.model.lifecycle``; only ``hub.storage.states`` changes one.
"""
from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text, UniqueConstraint, literal_column

from hub.model.name_search import LATIN, WRITTEN
from hub.storage.moment import Moment

HEADING = {"head": 8, "sound": 64}

metadata = MetaData(naming_convention={
    "ix": "ix_%(table_name)s_%(column_0_N_name)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s",
})


def _id():
    return Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)


def _ref(name, to, **more):
    return Column(name, BigInteger().with_variant(Integer, "sqlite"), ForeignKey(f"{to}.id"), **more)


def _text(name, length=64, default="", **more):
    return Column(name, String(length), nullable=False, default=default, **more)


def _sorted(name, length, **more):
    """A text whose index sorts by bytes on every database, so that a search by its beginning is a range of it."""
    return Column(name, String(length).with_variant(String(length, collation="C"), "postgresql"), **{"nullable": False, "default": ""} | more)


def _heading(*names):
    """Of a patient's name the first character and the sound of the surname (hub.model.name_search.Heading), with every row that is
    looked for by them in an order of its own. None: not known, in rows that something else than the hub has entered."""
    return (_sorted(name, HEADING[name], nullable=True, default=None) for name in names)


def _when(name, nullable=False, **more):
    return Column(name, Moment, nullable=nullable, **more)


site = Table(
    "site", metadata, _id(), _text("code", 32, unique=True), _text("name", 128), _text("level", 32),
    _text("phone", 64), _text("language", 8, "zh"), Column("active", Boolean, nullable=False, default=True), _when("created_at"))

destination = Table(
    "destination", metadata, _id(), _ref("site_id", "site", nullable=False, index=True), _text("channel", 16),
    Column("address", JSON, nullable=False), Column("active", Boolean, nullable=False, default=True),
    _when("created_at"), _text("served", 16, "corrected"))

device = Table(
    "device", metadata, _id(), _ref("site_id", "site", nullable=False, index=True), _text("kind", 16),
    _text("name", 128), _text("ae_title", 16), _text("address", 64), _text("token_sha256", 64),
    _text("charset", 32), Column("rules", JSON, nullable=False, default=dict),
    Column("written", JSON, nullable=False, default=dict),       # encoding to how many names were surely read in it
    Column("active", Boolean, nullable=False, default=True), _when("created_at"), _when("last_seen_at", nullable=True),
    _text("served", 16, "corrected"),
    Index("ix_device_ae_title", "ae_title"), Index("ix_device_token_sha256", "token_sha256"))

device_site = Table(      # one row a period: where a device stood, and when
    "device_site", metadata, _id(), _ref("device_id", "device", nullable=False, index=True),
    _ref("site_id", "site", nullable=False), _when("from_at"), _when("until_at", nullable=True))

device_visit = Table(     # what one association with a device was like; the last ones are kept
    "device_visit", metadata, _id(), _ref("device_id", "device", nullable=False, index=True), _when("began_at"),
    _when("ended_at"), _text("address", 64), _text("called", 64), Column("longest_pdu", BigInteger, nullable=False, default=0),
    _text("implementation", 128), _text("tls", 64), Column("offered", JSON, nullable=False),
    Column("objects", Integer, nullable=False, default=0), Column("bytes", BigInteger, nullable=False, default=0),
    Column("seconds", Float, nullable=False, default=0.0), _text("ending", 16))

device_check = Table(     # what the doctor found; a sample that is still open has no end
    "device_check", metadata, _id(), _ref("device_id", "device", nullable=False, index=True), _text("kind", 16),
    _when("begun_at"), _when("ended_at", nullable=True), _text("asked_by", 64),
    Column("after_instance", BigInteger, nullable=False, default=0), _text("verdict", 16), Column("result", JSON, nullable=False))

door_count = Table(       # what the doors refused or noticed, by day; device_id 0: nobody who is registered
    "door_count", metadata, _id(), _text("day", 10), _text("reason", 32), Column("device_id", BigInteger, nullable=False, default=0),
    Column("times", BigInteger, nullable=False, default=0), _when("last_at"), _text("last_address", 64), _text("last_words", 256),
    UniqueConstraint("day", "reason", "device_id"))

unknown_caller = Table(
    "unknown_caller", metadata, _id(), _text("ae_title", 64), _text("address", 64), _text("called", 64),
    Column("times", Integer, nullable=False, default=1), _when("first_seen_at"), _when("last_seen_at"),
    _text("state", 16, "waiting"), UniqueConstraint("ae_title", "address"))

account = Table(
    "account", metadata, _id(), _text("username", 64, unique=True), _text("display_name", 64), _text("title", 64),
    _text("role", 16), _ref("site_id", "site"), _text("password_hash", 256), _text("language", 8, "zh"),
    Column("active", Boolean, nullable=False, default=True),
    Column("must_change_password", Boolean, nullable=False, default=False),
    Column("failures", Integer, nullable=False, default=0), _when("locked_until", nullable=True), _when("created_at"))

session = Table(
    "session", metadata, _id(), _text("token_sha256", 64, unique=True),
    _ref("account_id", "account", nullable=False, index=True), _text("address", 64), _when("created_at"),
    _when("seen_at"), _when("ends_at"), _when("ended_at", nullable=True))

patient = Table(
    "patient", metadata, _id(), _ref("site_id", "site", nullable=False), _text("identity_key", 400),
    _sorted("patient_id", 128), _text("name", 200), _text("name_as_sent", 400),
    Column("name_unsure", Boolean, nullable=False, default=False), _text("sex", 8), _text("birth_date", 10),
    _text("age", 16), _when("created_at"), *_heading("head", "sound"), UniqueConstraint("site_id", "identity_key"),
    Index("ix_patient_patient_id", "patient_id"))

patient_name = Table(      # under what a patient's name is found: hub.model.name_search
    "patient_name", metadata, _ref("site_id", "site", primary_key=True, autoincrement=False), _sorted("form", 64, primary_key=True),
    Column("kind", Integer, primary_key=True, autoincrement=False),
    _ref("patient_id", "patient", primary_key=True, autoincrement=False), Index("ix_patient_name_patient_id_form_kind", "patient_id", "form", "kind"),
    sqlite_with_rowid=False)
_IS_LATIN, _IS_WRITTEN = literal_column(f"kind >= {LATIN}"), literal_column(f"kind = {WRITTEN}")
Index("ix_patient_name_latin", patient_name.c.form, patient_name.c.site_id, patient_name.c.patient_id, patient_name.c.kind,
      sqlite_where=_IS_LATIN, postgresql_where=_IS_LATIN)
Index("ix_patient_name_written", patient_name.c.form, patient_name.c.patient_id, sqlite_where=_IS_WRITTEN, postgresql_where=_IS_WRITTEN)

physician_name = Table(      # under what the name of a site's referring physician, as its studies repeat it, is found: forms and kinds of hub.model.name_search
    "physician_name", metadata, _sorted("form", 64, primary_key=True), Column("kind", Integer, primary_key=True, autoincrement=False),
    _sorted("name", 256, primary_key=True), _ref("site_id", "site", primary_key=True, autoincrement=False),
    Index("ix_physician_name_name_site_id", "name", "site_id"), sqlite_with_rowid=False)

study = Table(
    "study", metadata, _id(), _text("study_uid", 128, unique=True), _text("kind", 8),
    _ref("site_id", "site", nullable=False), _ref("patient_id", "patient", nullable=False),
    _ref("device_id", "device"), _text("modality", 16), _text("body_part", 64), _text("description", 256), _sorted("accession_number", 64),
    _sorted("study_at", 32), _text("institution", 128), _text("device_model", 128), _text("state", 16), _text("urgency", 16, "routine"), _text("summary", 512),
    Column("instances", Integer, nullable=False, default=0), Column("late", Integer, nullable=False, default=0),
    Column("resent", Integer, nullable=False, default=0), Column("association_open", Boolean, nullable=False, default=False),
    Column("proof", JSON, nullable=False), Column("problems", JSON, nullable=False),
    Column("flags", JSON, nullable=False), Column("generation", Integer, nullable=False, default=0),
    _when("received_at"), _when("last_received_at", index=True), _when("ready_at", nullable=True),
    _ref("sent_patient_id", "patient"), Column("as_sent", JSON(none_as_null=True)), *_heading("head"),
    Column("holds_dicom", Boolean),       # whether it does, or once did: where not, no query of DICOM looks further
    # Study ID (0020,0010) is the last of these; None: of a study that came before and was not asked since (hub.flow.untold).
    _sorted("referring_physician", 256, nullable=True, default=None), Column("referring_unsure", Boolean), _sorted("study_number", 64, nullable=True, default=None),
    Index("ix_study_study_number_id", "study_number", "id"), Index("ix_study_head_holds_dicom_id", "head", "holds_dicom", "id"),
    Index("ix_study_site_id_id", "site_id", "id"), Index("ix_study_accession_number", "accession_number"),
    Index("ix_study_study_at_id", "study_at", "id"), Index("ix_study_site_id_study_at_id", "site_id", "study_at", "id"),
    Index("ix_study_patient_id_kind_id", "patient_id", "kind", "id"), Index("ix_study_state_site_id", "state", "site_id"))

IS_REFERRED = study.c.referring_physician != literal_column("''")      # only so is the index of just these rows found
Index("ix_study_referring_physician", study.c.site_id, study.c.referring_physician, study.c.study_at, study.c.id, sqlite_where=IS_REFERRED, postgresql_where=IS_REFERRED)
_IS_UNTOLD = study.c.referring_unsure.is_(None)
Index("ix_study_untold", study.c.id, sqlite_where=_IS_UNTOLD, postgresql_where=_IS_UNTOLD)

series = Table(
    "series", metadata, _id(), _ref("study_id", "study", nullable=False), _text("series_uid", 128),
    _text("modality", 16), Column("number", Integer), _text("description", 256), _text("body_part", 64),
    Column("expected", Integer), Column("as_sent", JSON(none_as_null=True)), UniqueConstraint("study_id", "series_uid"), Index("ix_series_series_uid", "series_uid"),
    Index("ix_series_modality_study_id", "modality", "study_id"))

instance = Table(
    "instance", metadata, _id(), _ref("series_id", "series", nullable=False),
    _ref("study_id", "study", nullable=False, index=True), _ref("device_id", "device"),
    _text("sop_uid", 128, unique=True), _text("sop_class", 128), _text("transfer_syntax", 128), _text("format", 32),
    _text("sha256", 64, index=True), Column("size", BigInteger, nullable=False), Column("files", JSON, nullable=False),
    Column("declared", JSON, nullable=False), Column("number", Integer),
    Column("frames", Integer, nullable=False, default=1), Column("rows", Integer), Column("columns", Integer),
    Column("position_mm", Float), _text("orientation", 128), Column("late", Boolean, nullable=False, default=False),
    _text("calling", 16), Column("notes", JSON, nullable=False), _when("received_at"), Column("copies", JSON(none_as_null=True)),
    Index("ix_instance_series_id_format", "series_id", "format"))

repair = Table(
    "repair", metadata, _id(), _ref("study_id", "study", nullable=False, index=True), _text("level", 8),
    _ref("series_id", "series"), _ref("instance_id", "instance"), _text("tag", 8), _text("keyword", 64), _text("vr", 2),
    Column("old", Text, nullable=False), Column("new", Text, nullable=False), _text("why", 512),
    _ref("account_id", "account"), _text("who", 64), _text("role", 16), _when("at"),
    _ref("undoes", "repair", unique=True))

held = Table(
    "held", metadata, _id(), _text("reason", 32), _text("zh", 512), _text("en", 512), _text("door", 16),
    _ref("device_id", "device"), _ref("site_id", "site"), _ref("instance_id", "instance"),
    _text("sha256", 64), Column("size", BigInteger, nullable=False), Column("files", JSON, nullable=False),
    Column("facts", JSON, nullable=False), _text("state", 16), _text("resolution", 256), _text("resolved_by", 64),
    _when("received_at"), _when("resolved_at", nullable=True),
    UniqueConstraint("sha256", "reason", "device_id"))

decision = Table(
    "decision", metadata, _id(), _ref("held_id", "held", nullable=False, index=True), _text("choice", 16), _text("words", 512),
    _ref("account_id", "account"), _text("who", 64), _when("at"), _ref("study_id", "study"), _ref("instance_id", "instance", index=True),
    Column("before", JSON(none_as_null=True)), _ref("undoes", "decision", unique=True))

artifact = Table(
    "artifact", metadata, _id(), _ref("study_id", "study", nullable=False, index=True),
    _ref("instance_id", "instance", index=True), _text("kind", 32), Column("place", Integer, nullable=False, default=0),
    _text("sha256", 64), Column("size", BigInteger, nullable=False), _text("media_type", 64), Column("about", JSON, nullable=False), _when("made_at"),
    Index("ix_artifact_study_id_kind", "study_id", "kind"), Index("ix_artifact_sha256", "sha256"))

reading = Table(
    "reading", metadata, _id(), _ref("study_id", "study", nullable=False, unique=True),
    # Its study's, and its patient's heading, for the queue's filters and searches.
    *(Column(name, BigInteger().with_variant(Integer, "sqlite")) for name in ("site_id", "patient_id")), _text("modality", 16), *_heading("head", "sound"),
    _text("state", 16), Column("rank", Integer, nullable=False), _when("deadline_at"), _when("queued_at"),
    _ref("claimed_by", "account"), _when("lease_until", nullable=True), _text("bounce_reason", 512), _text("amend_reason", 512),
    Column("late_images", Boolean, nullable=False, default=False), _when("late_seen_at", nullable=True),
    Column("version", Integer, nullable=False, default=0), _when("changed_at"),
    Index("ix_reading_changed_at", "changed_at"),
    Index("ix_reading_site_id_state_changed_at", "site_id", "state", "changed_at"), Index("ix_reading_patient_id", "patient_id", "state", "changed_at", "id"))
WAITING, SIGNED, SUBMITTED, BOUNCED = ("queued", "claimed", "draft"), ("final", "amended"), ("preliminary",), ("bounced",)


def state_in(rows, states: tuple[str, ...]):
    """That a reading's state is one of these, written out: only so are the indexes of just these rows found."""
    written = [literal_column(f"'{state}'") for state in states]
    return rows.c.state.in_(written) if len(states) > 1 else rows.c.state == written[0]


def _index_of(name: str, states: tuple[str, ...], *columns: str) -> Index:
    return Index(name, *(reading.c[column] for column in columns), sqlite_where=state_in(reading, states), postgresql_where=state_in(reading, states))


SIGNED_WITHOUT_SOME = state_in(reading, SIGNED) & literal_column("late_images", Boolean)      # images came after the signature
Index("ix_reading_signed_late", reading.c.changed_at, sqlite_where=SIGNED_WITHOUT_SOME, postgresql_where=SIGNED_WITHOUT_SOME)

_READINGS_BY_STATE = (
    _index_of("ix_reading_waiting", WAITING, "rank", "deadline_at", "queued_at", "id"), _index_of("ix_reading_claimed_by", WAITING, "claimed_by"),
    _index_of("ix_reading_signed_modality", SIGNED, "modality", "rank", "changed_at", "site_id", "patient_id"),
    # With the state itself SQLite answers from the index alone.
    _index_of("ix_reading_signed", SIGNED, "changed_at", "id", "site_id", "modality", "rank", "patient_id", "state"),
    _index_of("ix_reading_signed_sound", SIGNED, "sound", "changed_at", "id", "head", "modality", "rank", "site_id", "state"),
    _index_of("ix_reading_submitted", SUBMITTED, "id"), _index_of("ix_reading_bounced", BOUNCED, "changed_at", "id", "site_id", "state"))

draft = Table(
    "draft", metadata, _id(), _ref("reading_id", "reading", nullable=False, unique=True),
    Column("revision", Integer, nullable=False), Column("content", JSON, nullable=False),
    _ref("author_id", "account"), _when("saved_at"))

report = Table(
    "report", metadata, _id(), _ref("reading_id", "reading", nullable=False),
    _ref("study_id", "study", nullable=False, index=True), Column("version", Integer, nullable=False),
    Column("number", String(32), unique=True), Column("content", JSON, nullable=False), Column("positive", Boolean),
    Column("critical", Boolean, nullable=False, default=False), _ref("reader_id", "account", nullable=False),
    _text("reader_name", 64), _when("submitted_at"), _ref("reviewer_id", "account"), _text("reviewer_name", 64),
    _when("signed_at", nullable=True), _when("second_due_at", nullable=True), _text("amends_reason", 512),
    _text("proof", 128), _text("content_sha256", 64), _text("pdf_sha256", 64), _text("check_code", 32, index=True),
    _when("withdrawn_at", nullable=True), Column("heading", JSON(none_as_null=True)), Index("ix_report_reading_id", "reading_id"))
SIGNED_ALONE = report.c.signed_at.is_not(None) & report.c.reviewer_id.is_(None)
Index("ix_report_signed_alone", report.c.reading_id, sqlite_where=SIGNED_ALONE, postgresql_where=SIGNED_ALONE)
Index("uq_report_standing_version", report.c.reading_id, report.c.version, unique=True,
      sqlite_where=report.c.withdrawn_at.is_(None), postgresql_where=report.c.withdrawn_at.is_(None))

delivery = Table(
    "delivery", metadata, _id(), _ref("report_id", "report", nullable=False), _ref("site_id", "site", nullable=False),
    _ref("destination_id", "destination"), _text("channel", 16), _text("pdf_sha256", 64), _text("state", 16),
    Column("attempts", Integer, nullable=False, default=0), _text("error", 512), _when("created_at"),
    _when("due_at"), _when("delivered_at", nullable=True), _text("acknowledged_by", 64),
    _when("acknowledged_at", nullable=True), UniqueConstraint("report_id", "channel", "destination_id", "pdf_sha256"),
    Index("ix_delivery_site_id_state", "site_id", "state"), Index("ix_delivery_state_created_at", "state", "created_at"))

receipt = Table(
    "receipt", metadata, _id(), _ref("delivery_id", "delivery", nullable=False, index=True),
    Column("attempt", Integer, nullable=False), _when("started_at"), _when("ended_at", nullable=True),
    _text("outcome", 16, "unknown"), _text("detail", 512))

critical = Table(
    "critical", metadata, _id(), _ref("study_id", "study", nullable=False), _ref("report_id", "report"),
    _ref("site_id", "site", nullable=False, index=True), _text("state", 16), _text("finding", 512), _text("rule", 64),
    _text("raised_by", 64), _when("raised_at"), _when("notified_at", nullable=True), _when("due_at"),
    _text("read_back_by", 64), _when("read_back_at", nullable=True), _text("closed_by", 64),
    _when("closed_at", nullable=True), Index("ix_critical_study_id", "study_id"), Index("ix_critical_state_due_at", "state", "due_at"))

fixity_round = Table(
    "fixity_round", metadata, _id(), _text("source", 16), Column("after_id", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False), Column("bytes", BigInteger, nullable=False), _when("began_at"),
    _when("ended_at", nullable=True))

damage = Table(
    "damage", metadata, _id(), _text("sha256", 64, unique=True), _text("source", 16),
    Column("source_id", BigInteger, nullable=False), _ref("study_id", "study", index=True), _text("what", 16),
    _when("found_at"), _when("mended_at", nullable=True), _when("asked_at", nullable=True), _text("answer", 200))

exam_order = Table(
    "exam_order", metadata, _id(), _ref("site_id", "site", nullable=False), _text("accession_number", 16, unique=True),
    _text("study_uid", 64, index=True), _text("state", 16), _text("urgency", 16, "routine"), _text("patient_name", 64),
    _text("name_latin", 256), _text("patient_number", 64), _text("resident_id", 18), _text("sex", 8), _text("birth_date", 10), _text("phone", 32),
    _text("modality", 16), _text("body_part", 64), _text("procedure", 64), _text("clinical_question", 1000), _text("physician", 64),
    _ref("device_id", "device"), _when("scheduled_at"), _text("reason", 256),
    _text("placed_by", 64), _when("placed_at"), _when("changed_at"),
    Index("ix_exam_order_site_id_scheduled_at", "site_id", "scheduled_at"))

order_key = Table(       # which key of an information system became which order
    "order_key", metadata, _id(), _ref("sender_id", "device", nullable=False), _text("key", 128), _text("content_sha256", 64),
    _ref("order_id", "exam_order", nullable=False), _when("received_at"), UniqueConstraint("sender_id", "key"))

procedure_step = Table(
    "procedure_step", metadata, _id(), _text("sop_uid", 64, unique=True), _ref("site_id", "site", nullable=False), _ref("device_id", "device"),
    _ref("order_id", "exam_order", index=True), _text("state", 16), _text("study_uid", 64, index=True), _text("accession_number", 64),
    _text("patient_number", 128), _text("patient_name", 200), _text("modality", 16), _text("station", 16), _text("description", 256),
    _text("started_at", 32), _text("ended_at", 32), _text("reason", 256), Column("series", JSON, nullable=False),
    Column("content", JSON, nullable=False), _when("created_at"), _when("changed_at"))

# Instances that a device asked storage commitment for and that were not here.
promise = Table(
    "promise", metadata, _id(), _ref("site_id", "site", nullable=False), _text("study_uid", 128), _text("sop_uid", 128), _when("at"),
    Index("ix_promise_study_uid_site_id", "study_uid", "site_id"))

# A storage commitment request until the device has its report. ``named``: SOP class to instance UIDs, emptied when it is over.
commitment = Table(
    "commitment", metadata, _id(), _text("transaction_uid", 64), _ref("site_id", "site", nullable=False), _text("device_name", 128), _text("address", 64),
    _text("ae_title", 16), Column("named", JSON, nullable=False), Column("count", Integer, nullable=False), _text("holder", 128), _text("state", 16),
    Column("attempts", Integer, nullable=False, default=0), _text("error", 512), _when("asked_at"), _when("created_at"), _when("due_at"), _when("delivered_at", nullable=True),
    Index("ix_commitment_state_due_at", "state", "due_at"))

order_match = Table(
    "order_match", metadata, _id(), _ref("order_id", "exam_order", nullable=False), _ref("study_id", "study", nullable=False, index=True),
    _text("state", 16), Column("score", Integer, nullable=False, default=0), Column("reasons", JSON, nullable=False),
    _text("decided_by", 64), _when("found_at"), _when("decided_at", nullable=True), UniqueConstraint("order_id", "study_id"))
Index("uq_order_match_joined_study", order_match.c.study_id, unique=True,
      sqlite_where=order_match.c.state == "joined", postgresql_where=order_match.c.state == "joined")

availability = Table(
    "availability", metadata, _id(), _ref("study_id", "study", nullable=False), _ref("destination_id", "destination", nullable=False),
    Column("generation", Integer, nullable=False), _text("state", 16), Column("attempts", Integer, nullable=False, default=0),
    _text("error", 512), _when("created_at"), _when("due_at"), _when("delivered_at", nullable=True),
    UniqueConstraint("study_id", "destination_id", "generation"))

job = Table(
    "job", metadata, _id(), _text("kind", 32), Column("args", JSON, nullable=False), _text("key", 128),
    _text("state", 16), Column("tries", Integer, nullable=False, default=0), _when("created_at"), _when("due_at"),
    _when("leased_until", nullable=True), _text("error", 512), _when("ended_at", nullable=True),
    UniqueConstraint("kind", "key"), Index("ix_job_state_due_at", "state", "due_at"))

# Identity: what is known of a patient row, which rows are one person, and to whom a study without a name was assigned.
patient_identifier = Table(
    "patient_identifier", metadata, _id(), _ref("patient_id", "patient", nullable=False), _text("kind", 16), _text("value", 128),
    _text("written", 128), _text("source", 64), _text("verdict", 16), _when("found_at"),
    UniqueConstraint("patient_id", "kind", "value"), Index("ix_patient_identifier_kind_value", "kind", "value"))

patient_index = Table(
    "patient_index", metadata, _id(), _ref("patient_id", "patient", nullable=False, unique=True), _text("folded", 200), _text("pinyin", 200),
    _text("birth_date", 10), Column("is_usable", Boolean, nullable=False), Column("warnings", JSON, nullable=False),
    _when("matched_at"), Index("ix_patient_index_folded", "folded"), Index("ix_patient_index_pinyin", "pinyin"),
    Index("ix_patient_index_birth_date", "birth_date"), Index("ix_patient_index_is_usable", "is_usable"))

patient_pair = Table(
    "patient_pair", metadata, _id(), _ref("one_id", "patient", nullable=False), _ref("other_id", "patient", nullable=False, index=True),
    _text("state", 16), Column("score", Float, nullable=False), Column("reasons", JSON, nullable=False), _when("made_at"),
    _text("decided_by", 64), _when("decided_at", nullable=True), _text("why", 512),
    UniqueConstraint("one_id", "other_id"), Index("ix_patient_pair_state_score", "state", "score"))

patient_warning = Table(      # both ways: each of the two rows has its own
    "patient_warning", metadata, _id(), _ref("patient_id", "patient", nullable=False), _ref("other_id", "patient", nullable=False),
    _text("kind", 16), _when("made_at"), UniqueConstraint("patient_id", "other_id", "kind"))

person = Table("person", metadata, _id(), _when("created_at"))

person_link = Table(
    "person_link", metadata, _id(), _ref("patient_id", "patient", nullable=False, index=True), _ref("person_id", "person", nullable=False, index=True),
    Column("score", Float, nullable=False), Column("reasons", JSON, nullable=False), _text("why", 512), _text("linked_by", 64),
    _ref("account_id", "account"), _when("linked_at"), _when("ended_at", nullable=True), _text("ended_by", 64), _text("ended_why", 512))
Index("uq_person_link_standing", person_link.c.patient_id, unique=True,
      sqlite_where=person_link.c.ended_at.is_(None), postgresql_where=person_link.c.ended_at.is_(None))

study_assignment = Table(
    "study_assignment", metadata, _id(), _ref("study_id", "study", nullable=False, index=True),
    _ref("arrived_patient_id", "patient", nullable=False), _ref("patient_id", "patient", nullable=False), _text("why", 512),
    _text("assigned_by", 64), _ref("account_id", "account"), _when("assigned_at"), _when("undone_at", nullable=True), _text("undone_by", 64),
    _text("undone_why", 512))
Index("uq_study_assignment_standing", study_assignment.c.study_id, unique=True,
      sqlite_where=study_assignment.c.undone_at.is_(None), postgresql_where=study_assignment.c.undone_at.is_(None))

archived = Table(         # an original that was packed, or why it is left as it came; dropped_at: since when only its packed form is kept
    "archived", metadata, _id(), _text("sha256", 64, unique=True), _ref("study_id", "study", nullable=False, index=True), _text("outcome", 16),
    Column("size", BigInteger, nullable=False), Column("packed_size", BigInteger, nullable=False), _when("at"), _when("dropped_at", nullable=True))

archived_study = Table(   # a study whose originals have all been through it, in the generation that it then had
    "archived_study", metadata, _id(), _ref("study_id", "study", nullable=False, unique=True), Column("generation", Integer, nullable=False), Column("files", Integer, nullable=False),
    Column("left", Integer, nullable=False), Column("size", BigInteger, nullable=False), Column("packed_size", BigInteger, nullable=False), _when("at"))

legal_hold = Table(       # nothing of the study is removed while one stands
    "legal_hold", metadata, _id(), _ref("study_id", "study", nullable=False, index=True), _text("why", 512), _ref("account_id", "account"),
    _text("who", 64), _when("at"), _when("ended_at", nullable=True), _text("ended_by", 64), _text("ended_why", 512))

removal = Table(          # a study whose images were removed by rule; ended_at: when their bytes were gone
    "removal", metadata, _id(), _ref("study_id", "study", nullable=False, unique=True), _text("study_uid", 128, index=True), _text("rule", 32),
    _text("rules_version", 32), _text("kept_until", 10), Column("instances", Integer, nullable=False), Column("size", BigInteger, nullable=False),
    Column("files", JSON, nullable=False), _ref("account_id", "account"), _text("who", 64), _when("at"), _when("ended_at", nullable=True))

tombstone = Table(        # one removed instance
    "tombstone", metadata, _id(), _ref("removal_id", "removal", nullable=False, index=True), _text("series_uid", 128), _text("sop_uid", 128, unique=True),
    _text("sop_class", 128), _text("sha256", 64, index=True), Column("files", JSON, nullable=False))

held_removal = Table(     # what is left of a quarantined object whose bytes were removed by rule; ended_at: when they were gone
    "held_removal", metadata, _id(), _ref("held_id", "held", nullable=False, unique=True), _text("sha256", 64, index=True), Column("size", BigInteger, nullable=False),
    Column("files", JSON, nullable=False), _text("rule", 32), _text("rules_version", 32), _text("kept_until", 10), _ref("account_id", "account"),
    _text("who", 64), _when("at"), _when("ended_at", nullable=True))

audit = Table(
    "audit", metadata, Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    _when("at"), Column("account_id", BigInteger), _text("actor", 64), _text("role", 16), _text("address", 64),
    _text("action", 48), _text("object_kind", 24), _text("object_id", 64), Column("site_id", BigInteger),
    Column("patient_id", BigInteger), Column("detail", Text, nullable=False), _text("previous", 64), _text("seal", 64),
    Index("ix_audit_action", "action"), Index("ix_audit_patient_id", "patient_id"))

audit_head = Table(
    "audit_head", metadata, Column("id", Integer, primary_key=True), Column("seq", BigInteger, nullable=False),
    _text("seal", 64))
