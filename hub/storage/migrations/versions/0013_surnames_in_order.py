"""Studies of all who are called alike, in order: the first character of a name and the sound of its surname with each row."""
import sqlalchemy as sa
from alembic import op

from hub import rulebook
from hub.model import name_search

revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None

AT_ONCE = 5000      # patients
LENGTHS = {"head": 8, "sound": 64}
COLUMNS = (("patient", "head"), ("patient", "sound"), ("study", "head"), ("reading", "head"), ("reading", "sound"))
SIGNED, BOUNCED = "state IN ('final', 'amended')", "state = 'bounced'"
OF_SOME_READINGS = (
    ("ix_reading_signed", ("changed_at", "id", "site_id", "modality", "rank", "patient_id", "state"), SIGNED),
    ("ix_reading_signed_sound", ("sound", "changed_at", "id", "head", "modality", "rank", "site_id", "state"), SIGNED),
    ("ix_reading_bounced", ("changed_at", "id", "site_id", "state"), BOUNCED),
)
REPLACED = ("ix_reading_signed", "ix_reading_bounced")


def upgrade() -> None:
    for name in REPLACED:
        op.drop_index(name, table_name="reading")
    for table, name in COLUMNS:
        length = LENGTHS[name]
        op.add_column(table, sa.Column(name, sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql"), nullable=True))
    op.add_column("study", sa.Column("holds_dicom", sa.Boolean(), nullable=True))
    _tell_patients()
    op.execute("UPDATE study SET head = (SELECT head FROM patient WHERE patient.id = study.patient_id), holds_dicom = (kind = 'image' OR EXISTS "
               "(SELECT 1 FROM instance WHERE instance.study_id = study.id AND instance.format = 'dicom'))")
    op.execute("UPDATE reading SET head = (SELECT head FROM patient WHERE patient.id = reading.patient_id), "
               "sound = (SELECT sound FROM patient WHERE patient.id = reading.patient_id)")
    op.create_index("ix_study_head_holds_dicom_id", "study", ["head", "holds_dicom", "id"])
    for name, columns, which in OF_SOME_READINGS:
        op.create_index(name, "reading", list(columns), sqlite_where=sa.text(which), postgresql_where=sa.text(which))


def _tell_patients() -> None:
    """The heading of every patient's name, and the forms that begin otherwise, some patients at a time."""
    connection, rules, last = op.get_bind(), rulebook.load().identity.names, 0
    some = sa.text(f"SELECT id, site_id, name, name_as_sent FROM patient WHERE id > :last ORDER BY id LIMIT {AT_ONCE}")
    told = sa.text("UPDATE patient SET head = :head, sound = :sound WHERE id = :id")
    entered = sa.text("INSERT INTO patient_name (site_id, form, kind, patient_id) VALUES (:site_id, :form, :kind, :patient_id) ON CONFLICT DO NOTHING")
    while rows := connection.execute(some, {"last": last}).all():
        headings, beside = [], []
        for row in rows:
            names = (row.name, row.name_as_sent)
            found = name_search.heading(names, rules)
            headings.append({"id": row.id, "head": found.character[:LENGTHS["head"]], "sound": found.sound[:LENGTHS["sound"]]})
            beside += [{"site_id": row.site_id, "form": form, "kind": kind, "patient_id": row.id}
                       for form, kind in name_search.forms(names, rules) if kind == name_search.BESIDE]
        connection.execute(told, headings)
        if beside:
            connection.execute(entered, beside)
        last = rows[-1].id


def downgrade() -> None:
    raise NotImplementedError("an older hub does not keep the headings of names")
