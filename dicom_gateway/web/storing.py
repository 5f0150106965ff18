"""STOW-RS (PS3.18 10.5): a registered device stores instances, each answered by itself.

The promise is that of C-STORE: blob, then row, then "yes"; the sender's bytes are kept as they came. Bytes are
streamed to the blob store; one instance that fails does not touch the others.
"""
from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from flask import Request, Response

from dicom_gateway.dataset import read_header, summary
from dicom_gateway.services.store import take_in
from dicom_gateway.web import replies
from dicom_gateway.web import native_xml
from dicom_gateway.web.described import instances
from dicom_gateway.web.multipart import BROKEN, arriving, boundary_of
from dicom_gateway.web.shelf import require_uid
from hub.context import Hub
from hub.errors import HubError, Invalid, OutOfSpace, Refused
from hub.flow import devices, intake
from hub.flow.devices import Device

log = logging.getLogger("hub.web")

FILES = "application/dicom"
TAKEN = (FILES, replies.DICOM_JSON, native_xml.MEDIA)      # types of the parts
_TYPE = re.compile(r'type="?(application/dicom[+a-z]*)"?\s*(?:;|$)')
MOST_DESCRIBED = 256_000_000       # bytes of one request of metadata and bulk data, which is held in memory
OUT_OF_RESOURCES = 0xA700          # failure reasons of PS3.18 Table 10.5.3-2
NOT_OF_THIS_STUDY = 0xA900
CANNOT_UNDERSTAND = 0xC000
PROCESSING_FAILURE = 0x0110
KEPT_BESIDE = 0xB000               # warning: stored, but a person must look at it


@dataclass
class _Account:
    """What became of each instance of one request."""

    stored: list[dict] = field(default_factory=list)
    failed: list[dict] = field(default_factory=list)
    studies: set[int] = field(default_factory=set)


def store(hub: Hub, request: Request, root: str, study_uid: str = "") -> Response:
    """Takes in the parts of a multipart/related request of a device with a token: files (type="application/dicom"), or
    metadata and bulk data (type="application/dicom+json" or "application/dicom+xml"). Answered in XML where that is asked for.

    200 all stored, 202 some, 409 none; 401 without a valid token; 415 for another type of content; 400 for a
    message that breaks off before its first instance.
    """
    request.max_content_length = None       # each instance has its own limit
    try:
        device = devices.by_token(hub, _token(request))
    except Refused as error:
        reply = replies.refusal(error)
        reply.status_code = 401
        reply.headers["WWW-Authenticate"] = 'Bearer realm="DICOMweb"'
        return reply
    if study_uid:
        require_uid(study_uid)
    content_type = request.headers.get("Content-Type", "")
    kind = _TYPE.search(content_type.lower())
    if not content_type.lower().startswith("multipart/related") or kind is None or kind[1] not in TAKEN:
        reply = replies.refusal(Invalid("bad_type", f"只接收 multipart/related，type 为 {'、'.join(TAKEN)} 之一。", f"only multipart/related of type {', '.join(TAKEN)} is taken in."))
        reply.status_code = 415
        return reply
    account = _Account()
    try:
        parts = arriving(request.stream, boundary_of(content_type))
        for one in instances(parts, MOST_DESCRIBED) if kind[1] != FILES else ():
            if one.refused is not None:
                log.warning("STOW-RS from %s: %s", device.name, one.refused)
                account.failed.append(_failure(CANNOT_UNDERSTAND, {"sop_class_uid": one.sop_class, "sop_instance_uid": one.sop_instance}))
            else:
                _take_part(hub, device, iter((one.file,)), study_uid, root, account)
        for _, pieces in parts:
            _take_part(hub, device, pieces, study_uid, root, account)
    except Invalid as error:
        if not account.stored and not account.failed:
            raise
        account.failed.append(_failure(PROCESSING_FAILURE))
        log.warning("STOW-RS from %s broke off: %s", device.name, error)
    finally:
        intake.association_ended(hub, sorted(account.studies))
    if not account.stored and not account.failed:
        raise Invalid("nothing_sent", "请求中没有任何 DICOM 对象。", "there is no DICOM object in the request.")
    return _answer(account, root, study_uid)


def _take_part(hub: Hub, device: Device, pieces: Iterator[bytes], study_uid: str, root: str, account: _Account) -> None:
    most, told = hub.settings.largest_object_mb * 1_000_000, {}
    try:
        with hub.blobs.writer() as writer:
            for piece in pieces:
                if writer.size + len(piece) > most:
                    raise Invalid("too_large", "文件超过允许的大小，未接收。", "the object is larger than allowed and was not taken in.")
                writer.write(piece)
            told = _uids(writer.path)
            if study_uid and told.get("study_uid") not in ("", None, study_uid):
                account.failed.append(_failure(NOT_OF_THIS_STUDY, told))
                return
            taken = take_in(hub, device, writer.keep())
        if taken.study_id is not None and taken.study_id not in account.studies:
            account.studies.add(taken.study_id)
            intake.association_opened(hub, [taken.study_id])
        if taken.outcome == "quarantined":
            account.failed.append(_failure(CANNOT_UNDERSTAND, told))
        else:
            account.stored.append(_success(told, root, KEPT_BESIDE if taken.outcome == "conflict" else None))
    except HubError as error:
        if error.code == BROKEN:
            raise
        log.error("STOW-RS from %s: an instance was refused: %s", device.name, error)
        full = isinstance(error, OutOfSpace) or error.code == "too_large"
        account.failed.append(_failure(OUT_OF_RESOURCES if full else PROCESSING_FAILURE, told))
    except Exception:
        log.exception("STOW-RS from %s failed", device.name)
        account.failed.append(_failure(PROCESSING_FAILURE, told))


def _uids(path) -> dict:
    """The UIDs of a file on its way in; {} for what cannot be read, which take_in will hold."""
    try:
        return summary(read_header(path))
    except Invalid:
        return {}


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _item(told: dict) -> dict:
    item = {}
    for tag, name in (("00081150", "sop_class_uid"), ("00081155", "sop_instance_uid")):
        item[tag] = {"vr": "UI", "Value": [told[name]]} if told.get(name) else {"vr": "UI"}
    return item


def _success(told: dict, root: str, warning: int | None) -> dict:
    url = f"{root}/studies/{told['study_uid']}/series/{told['series_uid']}/instances/{told['sop_instance_uid']}"
    item = _item(told) | {"00081190": {"vr": "UR", "Value": [url]}}
    return item | {"00081196": {"vr": "US", "Value": [warning]}} if warning else item


def _failure(reason: int, told: dict | None = None) -> dict:
    return _item(told or {}) | {"00081197": {"vr": "US", "Value": [reason]}}


def _answer(account: _Account, root: str, study_uid: str) -> Response:
    """The Store Instances Response Module (PS3.18 I.2)."""
    told = {}
    if study_uid:
        told["00081190"] = {"vr": "UR", "Value": [f"{root}/studies/{study_uid}"]}
    if account.failed:
        told["00081198"] = {"vr": "SQ", "Value": account.failed}
    if account.stored:
        told["00081199"] = {"vr": "SQ", "Value": account.stored}
    warned = any("00081196" in item for item in account.stored)
    status = 409 if not account.stored else 202 if account.failed or warned else 200
    return replies.one_object(told, status)
