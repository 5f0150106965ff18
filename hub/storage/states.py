"""The only place that changes a state: a conditional update that must change exactly one row."""
from __future__ import annotations

from sqlalchemy import Connection, Table, select, update

from hub.errors import Conflict, NotFound
from hub.model.lifecycle import COMMITMENT, CRITICAL, DELIVERY, HELD, JOB, MATCH, NOTICE, ORDER, PAIR, READING, STEP, STUDY, Lifecycle
from hub.storage import tables

_TABLES: dict[str, Table] = {
    STUDY.name: tables.study, READING.name: tables.reading, DELIVERY.name: tables.delivery,
    CRITICAL.name: tables.critical, HELD.name: tables.held, JOB.name: tables.job, PAIR.name: tables.patient_pair,
    ORDER.name: tables.exam_order, STEP.name: tables.procedure_step, MATCH.name: tables.order_match, NOTICE.name: tables.availability,
    COMMITMENT.name: tables.commitment,
}


def advance(connection: Connection, lifecycle: Lifecycle, row_id: int, event: str, **values) -> str:
    """Takes one row one step and returns its new state. NotFound without the row; Conflict when the step is
    not possible from the present state or somebody else took one at the same moment."""
    table = _TABLES[lifecycle.name]
    state = connection.scalar(select(table.c.state).where(table.c.id == row_id))
    if state is None:
        raise NotFound("not_found", "没有找到。", f"no such {lifecycle.name}.")
    after = lifecycle.after(event, state)
    changed = connection.execute(
        update(table).where(table.c.id == row_id, table.c.state == state).values(state=after, **values))
    if changed.rowcount != 1:
        raise Conflict("somebody_was_first", "已被他人抢先处理，请刷新后再试。",
                       f"somebody else changed this {lifecycle.name} at the same moment; reload and decide again.")
    return after
