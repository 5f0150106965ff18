"""The device doctor for DICOM: what a device's last objects and visits say, and what a technician can do about it.

``examine`` reads and judges; it changes nothing. Which words, limits and attributes hold stands in data/doctor.toml.
"""
from __future__ import annotations

import logging
import tomllib
from collections import Counter
from functools import cache
from importlib.resources import files

from pydicom.uid import UID
from pynetdicom.sop_class import Verification

from dicom_gateway.dataset import read_header
from dicom_gateway.doctor_objects import Look, judge_objects, look_at
from dicom_gateway.requesting import association_with
from hub.context import Hub
from hub.errors import HubError
from hub.flow import checkups
from hub.flow.checkups import Evidence
from hub.flow.devices import Node
from hub.model.access import Actor
from hub.model.checkup import Book, Checkup, Finding, book_of, checkup
from hub.model.device_rules import REFUSALS, of_row

ECHO_TIMEOUT_S = 5
AT_THE_DOOR = ("called_title", "not_encrypted", "no_certificate", "other_certificate", "device_associations", "device_pace", "sop_class", "object_pace")

log = logging.getLogger("hub.gateway")


@cache
def book() -> Book:
    """The rules that ship with this version."""
    return book_of(tomllib.loads(files("dicom_gateway.data").joinpath("doctor.toml").read_text("utf-8")))


def examine(hub: Hub, actor: Actor, device_id: int, *, after: int | None = None, call: bool = True) -> Checkup:
    """Everything the hub can tell of a device. ``after``: of a sample, whose objects have younger rows than this one;
    ``call``: send a C-ECHO to where the device listens."""
    known, rules = checkups.evidence(hub, actor, device_id, after), book()
    looks = [one for one in (_look(hub, row) for row in known.instances) if one is not None]
    found = _arrivals(known, rules) + _line(hub, known, rules) + (_called(hub, known, rules) if call else [])
    if looks:
        found += judge_objects(looks, rules, watched=after is not None)
        if any(proof.get("verdict") == "incomplete" for proof in known.proofs):
            found.append(rules.say("pixels.gap", times=sum(proof.get("verdict") == "incomplete" for proof in known.proofs)))
    return checkup(found, _seen(known, looks), len(known.instances), rules)


def _look(hub: Hub, row) -> Look | None:
    try:
        header = read_header(hub.blobs.path(row.sha256))
    except (HubError, OSError) as error:
        log.warning("the doctor cannot read instance %s: %s", row.id, error)
        return None
    return look_at(header, row.transfer_syntax, row.received_at, hub.settings.zone, row.study_id)


def _arrivals(known: Evidence, rules: Book) -> list[Finding]:
    objects, counts = known.instances, known.counts
    refused = sum(counts.get(reason, 0) for reason in AT_THE_DOOR)
    found = []
    if objects:
        found.append(rules.say("arrival.stored", objects=len(objects), studies=len({one.study_id for one in objects})))
    elif refused:
        found.append(rules.say("arrival.refused_only"))
    elif known.visits:
        found.append(rules.say("arrival.nothing_but_calls", visits=len(known.visits)))
    else:
        found.append(rules.say("arrival.nothing"))
    if refused:
        worst = max((reason for reason in AT_THE_DOOR if counts.get(reason)), key=lambda reason: counts[reason])
        found.append(rules.say("line.refused", times=refused, why_zh=REFUSALS[worst][0], why_en=REFUSALS[worst][1]))
    if counts.get("duplicate"):
        found.append(rules.say("arrival.duplicates", times=counts["duplicate"]))
    conflicts = [one for one in known.held if one.reason in ("same_uid_other_bytes", "other_patient")]
    for code, held in (("arrival.conflict", conflicts), ("arrival.quarantine", [one for one in known.held if one not in conflicts])):
        if held:
            found.append(rules.say(code, times=len(held)))
    return found


def _line(hub: Hub, known: Evidence, rules: Book) -> list[Finding]:
    """What the last associations were like."""
    if not known.visits:
        return []
    last, limits, own = known.visits[0], rules.limits, hub.settings.dicom_ae_title
    sent = [one for one in known.visits if one.objects]
    found = [rules.say("line.called", called=last.called or "—", own=own) if last.called != own else
             rules.say("line.called_ok", calling=known.device.ae_title, called=last.called)]
    if not known.device.address:
        found.append(rules.say("line.any_address", address=last.address))
    if last.longest_pdu:                  # 0: no limit (PS3.8 D.1.1)
        found.append(rules.say("line.small_pdu" if last.longest_pdu < limits["least_pdu"] else "line.pdu_ok", pdu=last.longest_pdu))
    found.append(rules.say("line.encrypted", tls=last.tls) if last.tls else rules.say("line.plain"))
    timed = [one for one in sent if one.bytes >= limits["least_bytes_for_speed"] and one.seconds > 0]
    if timed:
        speed = sum(one.bytes for one in timed) / sum(one.seconds for one in timed)
        found.append(rules.say("line.slow" if speed < limits["slow_bytes_per_s"] else "line.speed_ok", speed=f"{speed / 1e6:.1f}"))
    if len(sent) >= limits["least_visits_for_habit"] and all(one.objects == 1 for one in sent):
        found.append(rules.say("line.one_by_one", visits=len(sent), objects=len(sent)))
    broken = sum(one.ending != "released" for one in known.visits)
    if broken:
        found.append(rules.say("line.aborted", visits=len(known.visits), times=broken))
    return found


def _called(hub: Hub, known: Evidence, rules: Book) -> list[Finding]:
    """C-ECHO to where the device listens: its registered address, else the one it last came from, at the port of its rules."""
    port, own = of_row(known.device.rules).port, hub.settings.dicom_ae_title
    host = known.device.address if known.device.address and "/" not in known.device.address else known.visits[0].address if known.visits else ""
    if not port or not host:
        return [rules.say("line.echo_unset")]
    encrypted = of_row(known.device.rules).encryption != "any"
    who = f"{known.device.ae_title}@{host}:{port}"
    return [rules.say(f"line.echo_{echo(hub, host, port, known.device.ae_title, encrypted)}", who=who, own=own)]


def echo(hub: Hub, host: str, port: int, ae_title: str, encrypted: bool = False) -> str:
    """A C-ECHO to a node: "ok", "refused" (it answers, but not to us) or "away"."""
    association = association_with(hub, Node(ae_title, host, port, tls=encrypted), Verification, timeout_s=ECHO_TIMEOUT_S)
    if not association.is_established:
        return "refused" if association.is_rejected else "away"
    try:
        return "ok" if association.send_c_echo().get("Status") == 0x0000 else "refused"
    except (ValueError, RuntimeError):
        return "refused"                  # it let us in, but takes no C-ECHO
    finally:
        association.release()


def _seen(known: Evidence, looks: list[Look]) -> list[tuple[str, str, str]]:
    """The device as it showed itself, for the sheet."""
    rows = []
    for zh, en, values in (
            ("型号", "model", [one.model for one in looks]), ("软件版本", "software", [one.software for one in looks]),
            ("检查类型", "modality", [one.modality for one in looks]),
            ("SOP 类", "SOP classes", [UID(one.sop_class).name for one in known.instances if one.sop_class]),
            ("传输语法", "transfer syntaxes", [UID(one.transfer_syntax).name for one in known.instances if one.transfer_syntax]),
            ("声明的字符集", "character sets declared", [one.declared or "—" for one in looks])):
        common = [value for value, _ in Counter(value for value in values if value).most_common(4)]
        if common:
            rows.append((zh, en, "；".join(common)))
    if known.visits:
        last = known.visits[0]
        rows.append(("实现标识", "implementation", last.implementation))
        rows.append(("建议的对象类数", "classes proposed", str(len({offer[0] for offer in last.offered}))))
    return rows

