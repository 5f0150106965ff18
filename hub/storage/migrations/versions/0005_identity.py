"""Identity: identifiers, what is compared, pairs to decide, warnings, persons over the sites' rows, assigned studies."""
from alembic import op
import sqlalchemy as sa


revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('person',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_person'))
    )
    op.create_table('patient_identifier',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('patient_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.Column('value', sa.String(length=128), nullable=False),
    sa.Column('written', sa.String(length=128), nullable=False),
    sa.Column('source', sa.String(length=64), nullable=False),
    sa.Column('verdict', sa.String(length=16), nullable=False),
    sa.Column('found_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['patient_id'], ['patient.id'], name=op.f('fk_patient_identifier_patient_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_patient_identifier')),
    sa.UniqueConstraint('patient_id', 'kind', 'value', name=op.f('uq_patient_identifier_patient_id_kind_value'))
    )
    with op.batch_alter_table('patient_identifier', schema=None) as batch_op:
        batch_op.create_index('ix_patient_identifier_kind_value', ['kind', 'value'], unique=False)

    op.create_table('patient_index',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('patient_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('folded', sa.String(length=200), nullable=False),
    sa.Column('pinyin', sa.String(length=200), nullable=False),
    sa.Column('initials', sa.String(length=64), nullable=False),
    sa.Column('birth_date', sa.String(length=10), nullable=False),
    sa.Column('is_usable', sa.Boolean(), nullable=False),
    sa.Column('warnings', sa.JSON(), nullable=False),
    sa.Column('matched_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['patient_id'], ['patient.id'], name=op.f('fk_patient_index_patient_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_patient_index')),
    sa.UniqueConstraint('patient_id', name=op.f('uq_patient_index_patient_id'))
    )
    with op.batch_alter_table('patient_index', schema=None) as batch_op:
        batch_op.create_index('ix_patient_index_birth_date', ['birth_date'], unique=False)
        batch_op.create_index('ix_patient_index_folded', ['folded'], unique=False)
        batch_op.create_index('ix_patient_index_initials', ['initials'], unique=False)
        batch_op.create_index('ix_patient_index_is_usable', ['is_usable'], unique=False)
        batch_op.create_index('ix_patient_index_pinyin', ['pinyin'], unique=False)

    op.create_table('patient_pair',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('one_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('other_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('score', sa.Float(), nullable=False),
    sa.Column('reasons', sa.JSON(), nullable=False),
    sa.Column('made_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('decided_by', sa.String(length=64), nullable=False),
    sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('why', sa.String(length=512), nullable=False),
    sa.ForeignKeyConstraint(['one_id'], ['patient.id'], name=op.f('fk_patient_pair_one_id')),
    sa.ForeignKeyConstraint(['other_id'], ['patient.id'], name=op.f('fk_patient_pair_other_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_patient_pair')),
    sa.UniqueConstraint('one_id', 'other_id', name=op.f('uq_patient_pair_one_id_other_id'))
    )
    with op.batch_alter_table('patient_pair', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_patient_pair_other_id'), ['other_id'], unique=False)
        batch_op.create_index('ix_patient_pair_state_score', ['state', 'score'], unique=False)

    op.create_table('patient_warning',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('patient_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('other_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.Column('made_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['other_id'], ['patient.id'], name=op.f('fk_patient_warning_other_id')),
    sa.ForeignKeyConstraint(['patient_id'], ['patient.id'], name=op.f('fk_patient_warning_patient_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_patient_warning')),
    sa.UniqueConstraint('patient_id', 'other_id', 'kind', name=op.f('uq_patient_warning_patient_id_other_id_kind'))
    )
    op.create_table('person_link',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('patient_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('person_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('score', sa.Float(), nullable=False),
    sa.Column('reasons', sa.JSON(), nullable=False),
    sa.Column('why', sa.String(length=512), nullable=False),
    sa.Column('linked_by', sa.String(length=64), nullable=False),
    sa.Column('account_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('linked_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_by', sa.String(length=64), nullable=False),
    sa.Column('ended_why', sa.String(length=512), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['account.id'], name=op.f('fk_person_link_account_id')),
    sa.ForeignKeyConstraint(['patient_id'], ['patient.id'], name=op.f('fk_person_link_patient_id')),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_person_link_person_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_person_link'))
    )
    with op.batch_alter_table('person_link', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_person_link_patient_id'), ['patient_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_person_link_person_id'), ['person_id'], unique=False)
        batch_op.create_index('uq_person_link_standing', ['patient_id'], unique=True, sqlite_where=sa.text('ended_at IS NULL'), postgresql_where=sa.text('ended_at IS NULL'))

    op.create_table('study_assignment',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('study_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('arrived_patient_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('patient_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('why', sa.String(length=512), nullable=False),
    sa.Column('assigned_by', sa.String(length=64), nullable=False),
    sa.Column('account_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('assigned_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('undone_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('undone_by', sa.String(length=64), nullable=False),
    sa.Column('undone_why', sa.String(length=512), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['account.id'], name=op.f('fk_study_assignment_account_id')),
    sa.ForeignKeyConstraint(['arrived_patient_id'], ['patient.id'], name=op.f('fk_study_assignment_arrived_patient_id')),
    sa.ForeignKeyConstraint(['patient_id'], ['patient.id'], name=op.f('fk_study_assignment_patient_id')),
    sa.ForeignKeyConstraint(['study_id'], ['study.id'], name=op.f('fk_study_assignment_study_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_study_assignment'))
    )
    with op.batch_alter_table('study_assignment', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_study_assignment_study_id'), ['study_id'], unique=False)
        batch_op.create_index('uq_study_assignment_standing', ['study_id'], unique=True, sqlite_where=sa.text('undone_at IS NULL'), postgresql_where=sa.text('undone_at IS NULL'))


def downgrade() -> None:
    raise NotImplementedError("decisions on the identity of patients are never dropped")
