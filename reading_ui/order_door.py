"""The HTTP door for information systems (HIS): ``POST /api/orders`` with a sender's token, JSON in and out (docs/orders.md).

The promise: an order that is answered with 201 stands; the same key sent again is answered with the same order and places no
second one; a refusal names the field in Chinese and English, and nothing of a refused order is kept.
"""
from __future__ import annotations

import json
import logging
from datetime import datetime

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from hub.context import Hub
from hub.errors import Conflict, HubError, Invalid, OutOfSpace, Refused, Retryable
from hub.flow import devices, doors, ordering
from hub.model.order import LENGTHS, Wish

LARGEST_ORDER_BYTES = 64 * 1024
LONGEST_KEY = 128
TEXTS = (*LENGTHS, "resident_id", "sex", "birth_date", "modality", "urgency")
OTHERS = ("scheduled_at", "station")
STATUS = {Refused: 401, Conflict: 409, Invalid: 422, OutOfSpace: 507, Retryable: 503}

log = logging.getLogger("hub.web")


def blueprint(hub: Hub) -> Blueprint:
    """The door, to be mounted where the web pages are. It is open to the tokens of information systems only, never to cookies."""
    door = Blueprint("order_door", __name__)

    @door.post("/api/orders")
    def receive() -> tuple[Response, int]:
        request.max_content_length = LARGEST_ORDER_BYTES
        try:
            sender = devices.by_token(hub, _token(), request.remote_addr or "", devices.ORDERING)
            doors.require_pace(hub, sender)
            return _placed(hub, sender)
        except HTTPException:
            return _no(Invalid("too_large", "内容超过 64 KB 或传输中断，未接收。", "the body is larger than 64 KB or broke off; nothing was taken in.")), 413
        except HubError as error:
            return _no(error), next((status for kind, status in STATUS.items() if isinstance(error, kind)), 400)
        except Exception:
            log.exception("an order could not be taken in")
            return jsonify(error="fault", zh="服务器内部错误，未确认接收，请用同一个键重新发送。", en="an unexpected fault: nothing is acknowledged, send it again with the same key."), 500

    return door


def _placed(hub: Hub, sender: devices.Device) -> tuple[Response, int]:
    told, key = _told(), request.headers.get("Idempotency-Key", "").strip()
    if not (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise Invalid("no_key", f"请求头 Idempotency-Key 缺失或无效：每张申请单用一个不变的键（1 至 {LONGEST_KEY} 个英文字符）。",
                      f"the header Idempotency-Key is missing or invalid: each order has one key of its own, 1 to {LONGEST_KEY} ASCII characters.")
    row, is_new = ordering.place_once(hub, sender, request.remote_addr or "", key, json.dumps(told, sort_keys=True), _wish(hub, told), told["station"])
    return jsonify(outcome="placed" if is_new else "duplicate", order=row.id, accession_number=row.accession_number, study_instance_uid=row.study_uid,
                   state=row.state, zh="已接收。" if is_new else "此前已接收，未重复开单。"), 201 if is_new else 200


def _told() -> dict[str, str]:
    """The body's fields, all of them texts; Invalid names one that is none or that nobody knows."""
    try:
        body = json.loads(request.get_data())
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Invalid("bad_json", "内容不是有效的 JSON 对象（UTF-8）。", "the body is no JSON object in UTF-8.")
    for name, value in body.items():
        if name not in (*TEXTS, *OTHERS):
            raise Invalid("unknown_field", f"没有 {name[:32]} 这个字段，请核对接口说明。", f"there is no field {name[:32]}; see the documentation.")
        if not isinstance(value, str) or "\0" in value:
            raise Invalid("bad_field", f"字段 {name} 必须是文本。", f"the field {name} must be a text.")
    return dict.fromkeys((*TEXTS, *OTHERS), "") | {"urgency": "routine"} | body


def _wish(hub: Hub, told: dict[str, str]) -> Wish:
    """``scheduled_at`` is ISO 8601; without a zone it is local time, and now where it is not said."""
    try:
        at = datetime.fromisoformat(told["scheduled_at"]) if told["scheduled_at"] else hub.now()
        at = at if at.tzinfo else at.replace(tzinfo=hub.settings.zone)
        at.utctimetuple()
    except (ValueError, OverflowError):
        raise Invalid("bad_time", "scheduled_at 无效，例如 2026-05-04T09:30:00+08:00。", "scheduled_at is no time; write it as 2026-05-04T09:30:00+08:00.") from None
    return Wish(**{name: told[name] for name in TEXTS}, scheduled_at=at)


def _token() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _no(error: HubError) -> Response:
    return jsonify(error=error.code, zh=error.zh, en=error.en)
