"""Corrections laid over an instance's DICOM JSON: the same values and Original Attributes as in the corrected object. Pure.

Only the character set is not spoken of: DICOM JSON is UTF-8 whatever the object's bytes are (PS3.18 F.2).
"""
from __future__ import annotations

import json

from dicom_gateway.corrected import REASON, Change
from dicom_gateway.web.attributes import values_of
from hub.model.repair import BINARY

ORIGINAL_ATTRIBUTES = "04000561"


def overlaid(line: bytes, change: Change) -> bytes:
    """One line of metadata, corrected."""
    told = json.loads(line)
    before, fresh = {}, {}
    for one in change.corrections:
        was = told.get(one.tag)
        vr = was["vr"] if was and was["vr"] not in ("UN", "SQ") and (was["vr"] in BINARY) == (one.vr in BINARY) else one.vr
        now = values_of(one.value, vr)
        if was != now:
            before[one.tag], fresh[one.tag] = was or {"vr": vr}, now
    if not fresh:
        return line
    earlier = told.get(ORIGINAL_ATTRIBUTES, {}).get("Value", [])
    told |= fresh | {ORIGINAL_ATTRIBUTES: {"vr": "SQ", "Value": [*earlier, _item(change, before)]}}
    return json.dumps(dict(sorted(told.items())), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _item(change: Change, before: dict) -> dict:
    return {"04000550": {"vr": "SQ", "Value": [dict(sorted(before.items()))]}, "04000562": values_of(change.moment, "DT"),
            "04000563": values_of(change.modifying_system, "LO"), "04000564": values_of(change.source, "LO"), "04000565": values_of(REASON, "CS")}
