"""Searches at a region's scale: names in Latin letters by their syllables, and indexes that answer without the rows."""
import sqlalchemy as sa
from alembic import op

from hub import rulebook
from hub.model import name_search

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None

AT_ONCE = 5000      # patients
REPLACED = (("study", "ix_study_patient_id"), ("study", "ix_study_study_at"), ("study", "ix_study_site_id_study_at"), ("reading", "ix_reading_patient_id"))
INDEXES = (
    ("study", "ix_study_patient_id_kind_id", ("patient_id", "kind", "id")), ("study", "ix_study_study_at_id", ("study_at", "id")),
    ("study", "ix_study_site_id_study_at_id", ("site_id", "study_at", "id")), ("reading", "ix_reading_patient_id", ("patient_id", "state", "changed_at", "id")),
)


def upgrade() -> None:
    for table, name in REPLACED:
        op.drop_index(name, table_name=table)
    for table, name, columns in INDEXES:
        op.create_index(name, table, list(columns))
    latin = sa.text("kind >= 5")
    op.create_index("ix_patient_name_latin", "patient_name", ["form", "site_id", "patient_id", "kind"], sqlite_where=latin, postgresql_where=latin)
    _enter_latin_names()


def _enter_latin_names() -> None:
    """The syllables of the names that are known in Latin letters only, some patients at a time."""
    connection, rules, last = op.get_bind(), rulebook.load().identity.names, 0
    some = sa.text("SELECT DISTINCT patient_id FROM patient_name WHERE patient_id > :last AND kind = 0 AND form >= '!' AND form < :end "
                   f"ORDER BY patient_id LIMIT {AT_ONCE}")
    named = sa.text("SELECT id, site_id, name, name_as_sent FROM patient WHERE id IN :ids").bindparams(sa.bindparam("ids", expanding=True))
    entered = sa.text("INSERT INTO patient_name (site_id, form, kind, patient_id) VALUES (:site_id, :form, :kind, :patient_id) ON CONFLICT DO NOTHING")
    while ids := list(connection.execute(some, {"last": last, "end": "\u2e80"}).scalars()):
        rows = [{"site_id": site_id, "form": form, "kind": kind, "patient_id": patient_id}
                for patient_id, site_id, name, as_sent in connection.execute(named, {"ids": ids}).all()
                for form, kind in name_search.forms((name, as_sent), rules) if kind in name_search.LATINS]
        if rows:
            connection.execute(entered, rows)
        last = ids[-1]


def downgrade() -> None:
    raise NotImplementedError("an older hub does not keep the index of Latin names")
