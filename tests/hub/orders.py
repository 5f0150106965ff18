"""An order as a clinic places it, and the slices that answer it."""
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select

from hub.context import Hub
from hub.flow import ordering
from hub.model.access import Actor
from hub.model.order import Wish
from hub.storage.tables import exam_order, order_match

RESIDENT = "53010219200508011X"      # a number whose check character GB 11643 itself works out: born 1920-05-08, male


def wish(at: datetime, **more) -> Wish:
    """A chest CT for 测试甲, at the moment ``at``."""
    return replace(Wish(
        patient_name="测试甲", patient_number="QS0001", resident_id="", sex="M", birth_date="1963-02-11", phone="13800000000", modality="CT", body_part="CHEST",
        procedure="胸部 CT 平扫", clinical_question="咳嗽 3 周，痰中带血，除外肺癌", physician="李全科", urgency="routine", scheduled_at=at), **more)


def placed(hub: Hub, actor: Actor, **more):
    """A placed order's row."""
    return order_row(hub, ordering.place(hub, actor, wish(hub.now(), **more)))


def order_row(hub: Hub, order_id: int):
    with hub.reading() as connection:
        return connection.execute(select(exam_order).where(exam_order.c.id == order_id)).one()


def matches(hub: Hub, study_id: int) -> list:
    with hub.reading() as connection:
        return list(connection.execute(select(order_match).where(order_match.c.study_id == study_id).order_by(order_match.c.id)))
