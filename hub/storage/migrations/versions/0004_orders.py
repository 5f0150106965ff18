"""Orders, the procedure steps that devices report, what joins an order to its study, notices of availability."""
from alembic import op
import sqlalchemy as sa

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('exam_order',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('site_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('accession_number', sa.String(length=16), nullable=False),
    sa.Column('study_uid', sa.String(length=64), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('urgency', sa.String(length=16), nullable=False),
    sa.Column('patient_name', sa.String(length=64), nullable=False),
    sa.Column('name_latin', sa.String(length=256), nullable=False),
    sa.Column('patient_number', sa.String(length=64), nullable=False),
    sa.Column('resident_id', sa.String(length=18), nullable=False),
    sa.Column('sex', sa.String(length=8), nullable=False),
    sa.Column('birth_date', sa.String(length=10), nullable=False),
    sa.Column('phone', sa.String(length=32), nullable=False),
    sa.Column('modality', sa.String(length=16), nullable=False),
    sa.Column('body_part', sa.String(length=64), nullable=False),
    sa.Column('procedure', sa.String(length=64), nullable=False),
    sa.Column('clinical_question', sa.String(length=1000), nullable=False),
    sa.Column('physician', sa.String(length=64), nullable=False),
    sa.Column('device_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('scheduled_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('reason', sa.String(length=256), nullable=False),
    sa.Column('placed_by', sa.String(length=64), nullable=False),
    sa.Column('placed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('changed_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['device_id'], ['device.id'], name=op.f('fk_exam_order_device_id')),
    sa.ForeignKeyConstraint(['site_id'], ['site.id'], name=op.f('fk_exam_order_site_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_exam_order')),
    sa.UniqueConstraint('accession_number', name=op.f('uq_exam_order_accession_number'))
    )
    with op.batch_alter_table('exam_order', schema=None) as batch_op:
        batch_op.create_index('ix_exam_order_site_id_scheduled_at', ['site_id', 'scheduled_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_exam_order_study_uid'), ['study_uid'], unique=False)

    op.create_table('availability',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('study_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('destination_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('generation', sa.Integer(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('error', sa.String(length=512), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('delivered_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['destination_id'], ['destination.id'], name=op.f('fk_availability_destination_id')),
    sa.ForeignKeyConstraint(['study_id'], ['study.id'], name=op.f('fk_availability_study_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_availability')),
    sa.UniqueConstraint('study_id', 'destination_id', 'generation', name=op.f('uq_availability_study_id_destination_id_generation'))
    )
    op.create_table('order_match',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('order_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('study_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('score', sa.Integer(), nullable=False),
    sa.Column('reasons', sa.JSON(), nullable=False),
    sa.Column('decided_by', sa.String(length=64), nullable=False),
    sa.Column('found_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['order_id'], ['exam_order.id'], name=op.f('fk_order_match_order_id')),
    sa.ForeignKeyConstraint(['study_id'], ['study.id'], name=op.f('fk_order_match_study_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_order_match')),
    sa.UniqueConstraint('order_id', 'study_id', name=op.f('uq_order_match_order_id_study_id'))
    )
    with op.batch_alter_table('order_match', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_order_match_study_id'), ['study_id'], unique=False)
        batch_op.create_index('uq_order_match_joined_study', ['study_id'], unique=True, sqlite_where=sa.text("state = 'joined'"), postgresql_where=sa.text("state = 'joined'"))

    op.create_table('procedure_step',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('sop_uid', sa.String(length=64), nullable=False),
    sa.Column('site_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('device_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('order_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('study_uid', sa.String(length=64), nullable=False),
    sa.Column('accession_number', sa.String(length=64), nullable=False),
    sa.Column('patient_number', sa.String(length=128), nullable=False),
    sa.Column('patient_name', sa.String(length=200), nullable=False),
    sa.Column('modality', sa.String(length=16), nullable=False),
    sa.Column('station', sa.String(length=16), nullable=False),
    sa.Column('description', sa.String(length=256), nullable=False),
    sa.Column('started_at', sa.String(length=32), nullable=False),
    sa.Column('ended_at', sa.String(length=32), nullable=False),
    sa.Column('reason', sa.String(length=256), nullable=False),
    sa.Column('series', sa.JSON(), nullable=False),
    sa.Column('content', sa.JSON(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('changed_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['device_id'], ['device.id'], name=op.f('fk_procedure_step_device_id')),
    sa.ForeignKeyConstraint(['order_id'], ['exam_order.id'], name=op.f('fk_procedure_step_order_id')),
    sa.ForeignKeyConstraint(['site_id'], ['site.id'], name=op.f('fk_procedure_step_site_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_procedure_step')),
    sa.UniqueConstraint('sop_uid', name=op.f('uq_procedure_step_sop_uid'))
    )
    with op.batch_alter_table('procedure_step', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_procedure_step_order_id'), ['order_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_procedure_step_study_uid'), ['study_uid'], unique=False)


def downgrade() -> None:
    raise NotImplementedError("orders are never taken away: restore a backup instead")
