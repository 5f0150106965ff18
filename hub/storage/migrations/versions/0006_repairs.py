"""The repair ledger, the decisions of the quarantine desk, and what must be remembered beside corrected rows."""
import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table('repair',
    sa.Column('id', KEY, autoincrement=True, nullable=False),
    sa.Column('study_id', KEY, nullable=False),
    sa.Column('level', sa.String(length=8), nullable=False),
    sa.Column('series_id', KEY, nullable=True),
    sa.Column('instance_id', KEY, nullable=True),
    sa.Column('tag', sa.String(length=8), nullable=False),
    sa.Column('keyword', sa.String(length=64), nullable=False),
    sa.Column('vr', sa.String(length=2), nullable=False),
    sa.Column('old', sa.Text(), nullable=False),
    sa.Column('new', sa.Text(), nullable=False),
    sa.Column('why', sa.String(length=512), nullable=False),
    sa.Column('account_id', KEY, nullable=True),
    sa.Column('who', sa.String(length=64), nullable=False),
    sa.Column('role', sa.String(length=16), nullable=False),
    sa.Column('at', MOMENT, nullable=False),
    sa.Column('undoes', KEY, nullable=True),
    *(sa.ForeignKeyConstraint([column], [f'{table}.id'], name=op.f(f'fk_repair_{column}')) for column, table in (
        ('study_id', 'study'), ('series_id', 'series'), ('instance_id', 'instance'), ('account_id', 'account'), ('undoes', 'repair'))),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_repair')),
    sa.UniqueConstraint('undoes', name=op.f('uq_repair_undoes'))
    )
    op.create_index(op.f('ix_repair_study_id'), 'repair', ['study_id'])
    op.create_table('decision',
    sa.Column('id', KEY, autoincrement=True, nullable=False),
    sa.Column('held_id', KEY, nullable=False),
    sa.Column('choice', sa.String(length=16), nullable=False),
    sa.Column('words', sa.String(length=512), nullable=False),
    sa.Column('account_id', KEY, nullable=True),
    sa.Column('who', sa.String(length=64), nullable=False),
    sa.Column('at', MOMENT, nullable=False),
    sa.Column('study_id', KEY, nullable=True),
    sa.Column('instance_id', KEY, nullable=True),
    sa.Column('before', sa.JSON(), nullable=True),
    sa.Column('undoes', KEY, nullable=True),
    *(sa.ForeignKeyConstraint([column], [f'{table}.id'], name=op.f(f'fk_decision_{column}')) for column, table in (
        ('held_id', 'held'), ('account_id', 'account'), ('study_id', 'study'), ('instance_id', 'instance'), ('undoes', 'decision'))),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_decision')),
    sa.UniqueConstraint('undoes', name=op.f('uq_decision_undoes'))
    )
    op.create_index(op.f('ix_decision_held_id'), 'decision', ['held_id'])
    op.create_index(op.f('ix_decision_instance_id'), 'decision', ['instance_id'])
    for table in ('device', 'destination'):
        op.add_column(table, sa.Column('served', sa.String(length=16), nullable=False, server_default='corrected'))
    for table, column in (('study', 'as_sent'), ('series', 'as_sent'), ('instance', 'copies'), ('report', 'heading')):
        op.add_column(table, sa.Column(column, sa.JSON(), nullable=True))
    with op.batch_alter_table('study', schema=None) as batch_op:
        batch_op.add_column(sa.Column('sent_patient_id', KEY, nullable=True))
        batch_op.create_foreign_key(batch_op.f('fk_study_sent_patient_id'), 'patient', ['sent_patient_id'], ['id'])


def downgrade() -> None:
    raise NotImplementedError("corrections are never taken away: restore a backup instead")
