"""What a device may do at the door, beyond being registered: addresses, classes, rates, encryption.

An empty rule forbids nothing, so that a device works from the first click on. Every refusal has a code that the
log, the counters and the page share.
"""
from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from ipaddress import IPv6Address, ip_address, ip_network

from hub.errors import Invalid

CHARSETS = ("", "GB18030", "ISO_IR 192", "ISO_IR 100", "ISO 2022 IR 58")
ENCRYPTION = ("any", "required", "certificate")
MOST_CLASSES = 64
_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")

# code: what the log and the page say of it
REFUSALS: dict[str, tuple[str, str]] = {
    "unknown_caller": ("来访设备未登记，或地址不符", "the calling AE title is not registered, or calls from another address"),
    "called_title": ("呼叫的 AE 标题不在允许之列", "the called AE title is not one that the device may call"),
    "not_encrypted": ("该设备只允许加密（TLS）连接", "the device must connect over TLS"),
    "no_certificate": ("该设备必须出示客户端证书", "the device must show a client certificate"),
    "other_certificate": ("客户端证书与登记的不一致", "the client certificate is not the one bound to the device"),
    "device_associations": ("该设备同时连接数已达上限", "the device has as many associations open as it may have"),
    "device_pace": ("该设备连接过于频繁", "the device associates more often than it may"),
    "hub_associations": ("本中心同时连接数已达上限", "the hub has as many associations open as it may have"),
    "busy": ("数据库暂时忙", "the hub could not look the caller up"),
    "sop_class": ("不允许该设备发送此类对象", "the device may not store this SOP class"),
    "object_pace": ("该设备发送过快", "the device stores more objects a minute than it may"),
    "out_of_space": ("磁盘空间不足", "no disk space"),
    "not_stored": ("对象未能保存", "an object was not stored"),
    "held_conflict": ("对象与已有版本冲突，已另存待人工处理", "kept beside the first version for a person"),
    "held_quarantine": ("对象无法读取，已隔离保存", "kept in quarantine"),
    "duplicate": ("同一对象重复发送，只保存一份", "the same object was sent again; kept once"),
    "silent": ("连接后长时间无数据，已断开", "connected and said nothing"),
    "crowded_out": ("连接过多，最早的无数据连接已让位", "silent while too many others came"),
    "too_many_connections": ("连接数已达上限", "too many connections are open"),
    "handshake": ("加密（TLS）握手失败", "the TLS handshake failed"),
    "broken_protocol": ("数据不符合 DICOM 协议，已断开", "what was sent is not DICOM"),
    "out_of_patience": ("发送中途停顿过久，已断开", "stopped or dribbled in the middle of a message"),
    "too_long": ("报文长度超过约定，已断开", "a message longer than was agreed"),
    "web_crowded_out": ("网页端口连接过多，等待最久的已让位", "over HTTP: silent while too many others came"),
    "web_patience": ("网页端口：请求迟迟不完整，已断开", "over HTTP: a request that stopped or dribbled"),
    "web_busy": ("网页端口：同时的请求或上传过多，已请对方稍后重试", "over HTTP: too many requests or uploads at once, told to come again"),
    "web_too_long": ("网页端口：请求头过长，已断开", "over HTTP: a head without end"),
    "web_not_http": ("网页端口：收到的不是 HTTP，已断开", "over HTTP: what was sent is not HTTP"),
}


@dataclass(frozen=True)
class DeviceRules:
    """``called_titles``, ``sop_classes``: empty allows all. ``associations`` at the same time, ``associations_a_minute``
    and ``objects_a_minute``: 0 sets no limit of the device's own. ``encryption``: "any", "required" (TLS) or "certificate"
    (TLS with a client certificate; the one with ``certificate_sha256`` where that is given). ``port``: where the device
    itself listens, 0 where it does not."""

    called_titles: tuple[str, ...] = ()
    sop_classes: tuple[str, ...] = ()
    associations: int = 0
    associations_a_minute: int = 0
    objects_a_minute: int = 0
    encryption: str = "any"
    certificate_sha256: str = ""
    port: int = 0

    def as_json(self) -> dict:
        """What differs from "allows all", for the device's row and the audit."""
        return {name: list(value) if isinstance(value, tuple) else value
                for name, value in asdict(self).items() if value != getattr(_FREE, name)}


_FREE = DeviceRules()


def of_row(stored: dict | None) -> DeviceRules:
    """The rules in a device's row. Names that this version does not know are left alone."""
    known = {field.name for field in fields(DeviceRules)}
    return DeviceRules(**{name: tuple(value) if isinstance(value, list) else value
                          for name, value in (stored or {}).items() if name in known})


def checked(values: dict[str, str]) -> DeviceRules:
    """The rules as a form gives them: lists by line or comma. Invalid names the field and what it should hold."""
    titles = _list(values.get("called_titles", ""))
    for title in titles:
        if not (len(title) <= 16 and title.isascii() and title.isprintable() and "\\" not in title):
            raise _bad(f"允许呼叫的 AE 标题“{title[:20]}”应为 1 至 16 个英文字符", f"the called AE title {title[:20]} has 1 to 16 ASCII characters")
    classes = _list(values.get("sop_classes", ""))
    for uid in classes:
        if len(uid) > 64 or not _UID.fullmatch(uid):
            raise _bad(f"允许的 SOP 类“{uid[:40]}”应为 UID，例如 1.2.840.10008.5.1.4.1.1.2", f"{uid[:40]} is not the UID of a SOP class")
    if len(classes) > MOST_CLASSES:
        raise _bad(f"允许的 SOP 类最多 {MOST_CLASSES} 个", f"at most {MOST_CLASSES} SOP classes")
    encryption = values.get("encryption", "any") or "any"
    if encryption not in ENCRYPTION:
        raise _bad("加密要求只能是不限、必须加密或必须出示证书", "encryption is any, required or certificate")
    fingerprint = re.sub(r"[:\s]", "", values.get("certificate_sha256", "")).lower()
    if fingerprint and not re.fullmatch(r"[0-9a-f]{64}", fingerprint):
        raise _bad("证书指纹应为 64 位十六进制的 SHA-256", "the fingerprint is a SHA-256 of 64 hexadecimal digits")
    return DeviceRules(
        titles, classes, _count(values, "associations", "同时连接数", 1000), _count(values, "associations_a_minute", "每分钟连接数", 100_000),
        _count(values, "objects_a_minute", "每分钟对象数", 10_000_000), encryption, fingerprint, _count(values, "port", "设备端口", 65535))


def checked_address(text: str) -> str:
    """An IP address or a network (192.168.1.0/24) in its usual writing; "" for any. Invalid for anything else."""
    text = text.strip()
    try:
        return text and (str(ip_network(text, strict=False)) if "/" in text else str(ip_address(text)))
    except ValueError:
        raise Invalid("bad_address", "IP 地址格式有误，例如 192.168.1.20，或一个网段 192.168.1.0/24；不限制地址请留空。",
                      "not an IP address such as 192.168.1.20 or a network such as 192.168.1.0/24; leave it empty to allow any.") from None


def address_fits(allowed: str, address: str) -> bool:
    """Whether a caller's address is the one that was registered, or lies in its network."""
    if allowed in ("", address):
        return True
    try:
        caller = ip_address(address)
        if isinstance(caller, IPv6Address) and caller.ipv4_mapped:
            caller = caller.ipv4_mapped
        return caller in ip_network(allowed, strict=False)
    except ValueError:
        return False


def refusal_of_call(rules: DeviceRules, *, called: str, encrypted: bool, certificate_sha256: str, open_now: int, last_minute: int) -> str:
    """Why an association may not begin, or "". ``open_now``, ``last_minute``: other associations of the device."""
    if rules.called_titles and called not in rules.called_titles:
        return "called_title"
    if rules.encryption != "any" and not encrypted:
        return "not_encrypted"
    if rules.encryption == "certificate" and not certificate_sha256:
        return "no_certificate"
    if rules.certificate_sha256 and certificate_sha256 and certificate_sha256 != rules.certificate_sha256:
        return "other_certificate"
    if rules.associations and open_now >= rules.associations:
        return "device_associations"
    if rules.associations_a_minute and last_minute >= rules.associations_a_minute:
        return "device_pace"
    return ""


def refusal_of_object(rules: DeviceRules, *, sop_class: str, last_minute: int) -> str:
    """Why an object may not be stored, or "". ``last_minute``: objects of the device that were taken in it."""
    if rules.sop_classes and sop_class not in rules.sop_classes:
        return "sop_class"
    if rules.objects_a_minute and last_minute >= rules.objects_a_minute:
        return "object_pace"
    return ""


def _list(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for part in (one.strip() for one in re.split(r"[,，;；\n\r]+", text)) if part))


def _count(values: dict[str, str], name: str, label: str, most: int) -> int:
    written = str(values.get(name, "")).strip() or "0"
    if not written.isascii() or not written.isdigit() or int(written[:9]) > most or len(written) > 9:
        raise _bad(f"{label}应为 0 至 {most} 的整数（0 表示不限）", f"{name} is a number from 0 to {most}; 0 sets no limit")
    return int(written)


def _bad(zh: str, en: str) -> Invalid:
    return Invalid("bad_rule", f"{zh}。", f"{en}.")
