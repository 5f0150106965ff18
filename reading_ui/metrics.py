"""``GET /metrics``: what operators watch, in Prometheus' text format (0.0.4). No word of patients.

For an administrator who is signed in, or for a program with the setting ``metrics_token`` as its bearer token.
"""
from __future__ import annotations

import hmac

from flask import Blueprint, Response, g, request

from hub import health
from hub.context import Hub
from hub.errors import Refused
from hub.flow import administration, doors
from hub.model.access import SYSTEM

WORKS = ("ok", "low_space")
TEXT = "text/plain; version=0.0.4; charset=utf-8"


def blueprint(hub: Hub) -> Blueprint:
    """The door, to be mounted where the web pages are; it checks its callers itself."""
    door = Blueprint("metrics", __name__)

    @door.get("/metrics")
    def metrics() -> Response:
        if not (_has_token(hub) or g.actor is not None and g.actor.may("operations.view")):
            raise Refused("not_allowed", "请以管理员登录，或使用 metrics_token。", "sign in as an administrator, or use metrics_token.")
        return Response(page(hub), content_type=TEXT)

    return door


def page(hub: Hub) -> str:
    """All counters and gauges as text."""
    numbers = administration.overview(hub, SYSTEM)
    lines = _family("hub_door_events_total", "counter", "Refusals and remarks of the DICOM and ECG doors since counting began.",
                    [({"reason": reason, "device": str(device_id) if device_id else ""}, times) for reason, device_id, times in doors.totals(hub)])
    for name, kind in (("studies", "study"), ("jobs", "job"), ("deliveries", "delivery"), ("commitments", "storage commitment without its answer")):
        lines += _family(f"hub_{name}", "gauge", f"How many of each state of a {kind} there are.", [({"state": state}, count) for state, count in numbers[name].items()])
    lines += _family("hub_held_open", "gauge", "Objects in quarantine or conflict that wait for a person.", [({}, numbers["held"])])
    lines += _family("hub_callers_waiting", "gauge", "Unknown callers that wait to be registered.", [({}, numbers["callers"])])
    parts = health.check(hub)
    lines += _family("hub_part_up", "gauge", "1 where a part of the hub works.", [({"part": part}, int(state in WORKS)) for part, state in parts.items()])
    free, total = health.space(hub)
    floors = (("warning", hub.settings.free_space_warning_mb), ("refuse", hub.settings.free_space_floor_mb))
    lines += _family("hub_disk_bytes", "gauge", "The disk that holds the files.", [({"what": "free"}, free), ({"what": "total"}, total)])
    lines += _family("hub_disk_floor_bytes", "gauge", "Free bytes below which the administrator is warned and the doors refuse.",
                     [({"level": level}, floor * 1_000_000) for level, floor in floors])
    lines += _family("hub_disk_low", "gauge", "1 where the disk has less free than the warning level.", [({}, int(parts["files"] != "ok"))])
    return "\n".join(lines) + "\n"


def _family(name: str, kind: str, about: str, samples: list[tuple[dict[str, str], int]]) -> list[str]:
    return [f"# HELP {name} {about}", f"# TYPE {name} {kind}", *(f"{name}{_labels(labels)} {value}" for labels, value in samples)]


def _labels(labels: dict[str, str]) -> str:
    escaped = (f'{name}="{value.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34)).replace(chr(10), " ")}"' for name, value in labels.items())
    return "{" + ",".join(escaped) + "}" if labels else ""


def _has_token(hub: Hub) -> bool:
    wanted = hub.settings.metrics_token
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    return bool(wanted) and scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), wanted.encode())
