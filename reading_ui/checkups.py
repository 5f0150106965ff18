"""The doctor's desk of a device: check it now, watch a sample arrive, and print the sheet that connects it."""
from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, render_template, request, url_for

import dicom_gateway.doctor
import ecg.doctor
from dicom_gateway import server
from ecg.readers import READERS
from hub.context import Hub
from hub.delivery import device_sheet
from hub.delivery.device_sheet import DeviceSheet
from hub.errors import NotFound
from hub.flow import checkups, devices
from hub.model.access import Actor
from hub.model.checkup import Checkup, of_json
from hub.model.device_rules import of_row
from reading_ui import wording
from reading_ui.gate import needs, the_actor, the_hub
from reading_ui.places import only_here

desk = Blueprint("checkups", __name__)
DOCTORS = {"dicom": dicom_gateway.doctor.examine, "ecg": ecg.doctor.examine}
SERVICES = {"commitment": "存储确认", "mwl": "检查工作列表", "worklist": "检查工作列表", "mpps": "检查执行状态（MPPS）", "availability": "实例可用通知"}
ECG_SUPPORTED = (
    ("格式", f"共 {len(READERS)} 种，首选 HL7 aECG、SCP-ECG、DICOM"), ("采样率", "建议 500 Hz 或更高"), ("时长与导联", "建议 10 秒，12 导联"),
    ("文字编码", "UTF-8 或 GB18030"), ("回执", "每份返回 SHA-256 与信号质量"))


def _dicom_supported() -> tuple[tuple[str, str], ...]:
    names = [service.__name__.rpartition(".")[2] for service in server.SERVICES]
    return (("服务", "、".join(["C-STORE", *(SERVICES.get(name, f"C-{name.upper()}") for name in names)])), ("对象类", "所有存储类，包括私有类"),
            ("传输语法", "设备首选的任何一种；显式 VR、JPEG、JPEG-LS、JPEG 2000、HTJ2K、RLE 可直接显示"),
            ("字符集", "GB18030、UTF-8（ISO_IR 192）、ISO 2022；声明错误会自动识别"), ("PDU 长度", f"{server.MAXIMUM_PDU} 字节"),
            ("加密", "TLS 1.2 / 1.3（BCP 195），可验证客户端证书"))


@desk.get("/devices/<int:device_id>/check")
@needs("device.manage")
def page(device_id: int):
    hub, actor = the_hub(), the_actor()
    known, done = _examined(hub, actor, device_id), checkups.checks(hub, actor, device_id)
    sample = checkups.open_sample(hub, actor, device_id)
    chosen = next((one for one in done if request.args.get("of") == str(one.id)), done[0] if done and sample is None else None)
    return render_template("device_check.html", device=known, checks=done, chosen=chosen, result=of_json(chosen.result) if chosen else None,
                           sample=sample, **_watched(hub, actor, known), w=wording)


@desk.post("/devices/<int:device_id>/check")
@needs("device.manage")
def check(device_id: int):
    """Examines the device now, a C-ECHO to it included, and keeps the result."""
    hub, actor = the_hub(), the_actor()
    known = _examined(hub, actor, device_id)
    checkups.keep(hub, actor, device_id, DOCTORS[known.kind](hub, actor, device_id))
    return redirect(url_for("checkups.page", device_id=device_id))


@desk.post("/devices/<int:device_id>/sample")
@needs("device.manage")
def begin_sample(device_id: int):
    checkups.begin_sample(the_hub(), the_actor(), device_id)
    return redirect(url_for("checkups.page", device_id=device_id))


@desk.get("/devices/<int:device_id>/sample")
@needs("device.manage")
def sample(device_id: int):
    """What the sample shows so far, for the page that renews itself."""
    hub, actor = the_hub(), the_actor()
    known = _examined(hub, actor, device_id)
    return render_template("parts/sample.html", device=known, sample=checkups.open_sample(hub, actor, device_id), **_watched(hub, actor, known), w=wording)


@desk.post("/devices/<int:device_id>/sample/end")
@needs("device.manage")
def end_sample(device_id: int):
    hub, actor = the_hub(), the_actor()
    known, under_way = _examined(hub, actor, device_id), checkups.open_sample(hub, actor, device_id)
    if under_way is not None:
        checkups.end_sample(hub, actor, under_way.id, DOCTORS[known.kind](hub, actor, device_id, after=under_way.after_instance))
    return redirect(url_for("checkups.page", device_id=device_id))


@desk.get("/devices/<int:device_id>/sheet")
@needs("device.manage")
def sheet(device_id: int):
    return render_template("device_sheet.html", sheet=_sheet(device_id), device_id=device_id)


@desk.get("/devices/<int:device_id>/sheet.pdf")
@needs("device.manage")
def sheet_pdf(device_id: int):
    answer = Response(device_sheet.render(_sheet(device_id)), mimetype="application/pdf")
    answer.headers["Content-Disposition"] = f'inline; filename="device-{device_id}.pdf"'
    return answer


def _examined(hub: Hub, actor: Actor, device_id: int):
    """The device's row; NotFound for what no doctor knows, such as an information system."""
    known = devices.find(hub, actor, device_id)
    if known.kind not in DOCTORS:
        raise NotFound("not_examined", "信息系统没有可检查的内容。", "there is nothing to examine about an information system.")
    return known


def _watched(hub: Hub, actor: Actor, known) -> dict:
    under_way = checkups.open_sample(hub, actor, known.id)
    result: Checkup | None = DOCTORS[known.kind](hub, actor, known.id, after=under_way.after_instance, call=False) if under_way else None
    return {"watched": result}


def _sheet(device_id: int) -> DeviceSheet:
    """The sheet is for the technician beside the device: it speaks Chinese whatever the page speaks."""
    hub, actor = the_hub(), the_actor()
    known, settings = _examined(hub, actor, device_id), hub.settings
    done = next((one for one in checkups.checks(hub, actor, device_id) if one.result.get("findings")), None)
    result, rules = of_json(done.result) if done else Checkup(()), of_row(known.rules)
    address = settings.public_url.rstrip("/") or request.host_url.rstrip("/")
    host = urlsplit(address).hostname or ""
    host = "（服务器的网络 IP）" if only_here(host) else host
    if known.kind == "dicom":
        enter = (("对方 AE 标题（Called AE）", settings.dicom_ae_title), ("对方主机（IP）", host), ("对方端口", str(settings.dicom_port)),
                 ("加密端口（TLS）", str(settings.dicom_tls_port) if settings.dicom_tls_port else "未启用"),
                 ("本机 AE 标题（Calling AE）", known.ae_title), ("字符集（SpecificCharacterSet）", known.charset or "GB18030 或 ISO_IR 192"))
        own = [("AE 标题", known.ae_title), ("设备地址", known.address or "任意地址"), ("设备端口", str(rules.port) if rules.port else "不接受呼叫"),
               ("加密要求", wording.ENCRYPTION[rules.encryption][0])]
    else:
        web = address if not host.startswith("（") else f"http://服务器IP:{settings.web_port}"
        enter = (("上传地址", f"{web}/api/ecg"), ("方法", "HTTP POST，表单字段 file"), ("请求头", "Authorization: Bearer 令牌"), ("令牌", "登记时显示一次，见设备页"))
        own = [("允许的地址", known.address or "任意地址")]
    own += [(zh, value) for zh, _, value in result.seen][:7]
    return DeviceSheet(
        settings.institution_zh, "设备连接与检查单", known.name, known.site_name, hub.now().astimezone(settings.zone), enter, tuple(own), _dicom_supported() if known.kind == "dicom" else ECG_SUPPORTED,
        done.verdict if done else "none", done.ended_at.astimezone(settings.zone).strftime("%Y-%m-%d %H:%M") if done else "", result.findings, result.rules)
