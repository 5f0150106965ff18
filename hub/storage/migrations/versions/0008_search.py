"""What searches and queues need at a county's scale: names by their forms, the queue's own site and modality, indexes."""
import sqlalchemy as sa
from alembic import op

from hub import rulebook
from hub.model import name_search

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None

WAITING, SIGNED = "state IN ('queued', 'claimed', 'draft')", "state IN ('final', 'amended')"
SUBMITTED, BOUNCED = "state = 'preliminary'", "state = 'bounced'"
AT_ONCE = 5000      # patients
SIGNED_ALONE = "signed_at IS NOT NULL AND reviewer_id IS NULL"
SORTED = (("patient", "patient_id", 128), ("study", "accession_number", 64), ("study", "study_at", 32))
INDEXES = (
    ("study", "study_at", ("study_at",)), ("study", "state_site_id", ("state", "site_id")), ("study", "site_id_study_at", ("site_id", "study_at")),
    ("series", "series_uid", ("series_uid",)), ("series", "modality_study_id", ("modality", "study_id")),
    ("instance", "series_id_format", ("series_id", "format")),
    ("reading", "site_id_state_changed_at", ("site_id", "state", "changed_at")), ("reading", "patient_id", ("patient_id",)),
    ("report", "reading_id", ("reading_id",)),
    ("delivery", "site_id_state", ("site_id", "state")), ("delivery", "state_created_at", ("state", "created_at")),
    ("critical", "study_id", ("study_id",)), ("critical", "state_due_at", ("state", "due_at")),
)
OF_SOME_ROWS = (
    ("report", "signed_alone", ("reading_id",), SIGNED_ALONE),
    ("reading", "waiting", ("rank", "deadline_at", "queued_at", "id"), WAITING),
    ("reading", "claimed_by", ("claimed_by",), WAITING), ("reading", "signed_modality", ("modality", "rank", "changed_at", "site_id", "patient_id"), SIGNED),
    ("reading", "signed", ("changed_at", "id", "site_id", "modality", "rank", "patient_id"), SIGNED),
    ("reading", "submitted", ("id",), SUBMITTED), ("reading", "bounced", ("changed_at", "id", "site_id"), BOUNCED),
)
REPLACED = (("instance", "ix_instance_series_id"), ("reading", "ix_reading_order"), ("delivery", "ix_delivery_site_id"), ("study", "ix_study_state"),
            ("patient_index", "ix_patient_index_initials"))


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for table, column, length in SORTED if is_postgresql else ():
        op.alter_column(table, column, type_=sa.String(length, collation="C"))
    op.create_table('patient_name',
    sa.Column('site_id', whole, sa.ForeignKey('site.id', name='fk_patient_name_site_id'), autoincrement=False, nullable=False),
    sa.Column('form', sa.String(64).with_variant(sa.String(64, collation="C"), 'postgresql'), nullable=False),
    sa.Column('kind', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('patient_id', whole, sa.ForeignKey('patient.id', name='fk_patient_name_patient_id'), autoincrement=False, nullable=False),
    sa.PrimaryKeyConstraint('site_id', 'form', 'kind', 'patient_id', name='pk_patient_name'), sqlite_with_rowid=False)
    op.create_index('ix_patient_name_patient_id_form_kind', 'patient_name', ['patient_id', 'form', 'kind'])
    for name in ('site_id', 'patient_id'):
        op.add_column('reading', sa.Column(name, whole, nullable=True))
    op.add_column('reading', sa.Column('modality', sa.String(16), nullable=False, server_default=''))
    op.execute("UPDATE reading SET site_id = (SELECT site_id FROM study WHERE study.id = reading.study_id), "
               "patient_id = (SELECT patient_id FROM study WHERE study.id = reading.study_id), "
               "modality = (SELECT modality FROM study WHERE study.id = reading.study_id)")
    for table, name in REPLACED:
        op.drop_index(name, table_name=table)
    op.drop_column('patient_index', 'initials')      # found by patient_name now
    for table, name, columns in INDEXES:
        op.create_index(f'ix_{table}_{name}', table, list(columns))
    for table, name, columns, where in OF_SOME_ROWS:
        op.create_index(f'ix_{table}_{name}', table, list(columns), sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    _enter_names()


def _enter_names() -> None:
    """The names of the patients that there are, some at a time."""
    connection, rules, last = op.get_bind(), rulebook.load().identity.names, 0
    some = sa.text(f"SELECT id, site_id, name, name_as_sent FROM patient WHERE id > :last ORDER BY id LIMIT {AT_ONCE}")
    entered = sa.text("INSERT INTO patient_name (site_id, form, kind, patient_id) VALUES (:site_id, :form, :kind, :patient_id)")
    while known := connection.execute(some, {"last": last}).all():
        rows = [{"site_id": site_id, "form": form, "kind": kind, "patient_id": patient_id}
                for patient_id, site_id, name, as_sent in known for form, kind in name_search.forms((name, as_sent), rules)]
        if rows:
            connection.execute(entered, rows)
        last = known[-1].id


def downgrade() -> None:
    raise NotImplementedError("an older hub does not fill the index of names")
