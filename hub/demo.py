"""The demo county: one centre, two township health centres, their devices and people, made once."""
from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime

from hub import accounts
from hub.context import Hub
from hub.flow import administration, devices, ordering
from hub.model.access import SYSTEM, Actor
from hub.model.order import Wish

AE_TITLE = "QINGSHAN_CT"
_FILE = "demo.json"

SITES = (
    ("QS", "青山镇卫生院", "乡镇卫生院", "0999-1234501"),
    ("BH", "白河乡卫生院", "乡镇卫生院", "0999-1234502"),
)
PEOPLE = (   # user name, password, shown name, title, role, site code, what it is
    ("reader", "Reader-2026", "王报告", "主治医师", "reader", None, "报告医师 reader"),
    ("reviewer", "Reviewer-2026", "李审核", "副主任医师", "reviewer", None, "审核医师 reviewer"),
    ("qingshan", "Qingshan-2026", "青山卫生院", "全科医师", "clinic", "QS", "申请机构 clinic 青山镇卫生院"),
    ("baihe", "Baihe-2026", "白河卫生院", "全科医师", "clinic", "BH", "申请机构 clinic 白河乡卫生院"),
    ("admin", "Admin-2026-hub", "系统管理员", "", "administrator", None, "管理员 administrator"),
    ("auditor", "Auditor-2026", "审计员", "", "auditor", None, "审计员 auditor"),
)


@dataclass(frozen=True)
class County:
    """What the start prints and the demo sender needs."""

    ae_title: str
    ecg_token: str
    people: tuple[tuple[str, str, str], ...]


def make_county(hub: Hub) -> County | None:
    """Makes the demo county in an empty hub, finds it again in a hub that has it; None where a real county lives."""
    file = hub.settings.folder / _FILE
    people = tuple((p[0], p[1], p[6]) for p in PEOPLE)
    if file.is_file():
        return County(AE_TITLE, json.loads(file.read_text("utf-8"))["ecg_token"], people)
    if administration.sites(hub):
        return None
    ids = {code: administration.create_site(hub, SYSTEM, code=code, name=name, level=level, phone=phone)
           for code, name, level, phone in SITES}
    devices.register(hub, SYSTEM, site_id=ids["QS"], kind="dicom", name="青山 CT（16 排）", ae_title=AE_TITLE)
    _, token = devices.register(hub, SYSTEM, site_id=ids["QS"], kind="ecg", name="青山心电图机")
    for username, password, name, title, role, code, _ in PEOPLE:
        accounts.create(hub, SYSTEM, username=username, password=password, display_name=name, title=title, role=role,
                        site_id=ids.get(code))
    _place_orders(hub, ids["QS"])
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
        json.dump({"ecg_token": token}, output)
    return County(AE_TITLE, token, people)


def _place_orders(hub: Hub, site_id: int) -> None:
    """One order that the demo CT answers (sample_data/make_ct.py) and one that waits on the worklist of the demo device."""
    clinic = Actor(None, "青山卫生院", "clinic", site_id)
    done_at = datetime(2026, 3, 14, 9, 15, tzinfo=hub.settings.zone)
    ordering.place(hub, clinic, Wish("演示患者甲", "DEMO-0002", "", "M", "1968-05-12", "", "CT", "CHEST", "胸部 CT 平扫",
                                     "咳嗽 3 周，痰中带血丝，吸烟 30 年，除外肺部占位", "王全科", "routine", done_at))
    ordering.place(hub, clinic, Wish("演示患者丙", "DEMO-0003", "", "F", "1957-09-03", "", "CT", "HEAD", "颅脑 CT 平扫",
                                     "跌倒后头痛 2 小时，口服华法林，除外颅内出血", "王全科", "urgent", hub.now()))
