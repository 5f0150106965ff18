"""What a study holds, in reading order: the one document a reading page loads first.

The promise: plain dictionaries (JSON-ready); instances stand in anatomical order where positions
allow, in instance-number order where not, and the series says which. Values in, values out.
"""
from collections.abc import Mapping, Sequence

from dicom_gateway.prepare.errors import UnusableGeometry
from dicom_gateway.prepare.geometry import Slice, Stack, stack
from dicom_gateway.prepare.window import presets_for

VERSION = 1


def study_manifest(study_uid: str, instances: Sequence[Mapping]) -> dict:
    """The manifest of one study from its prepared instances.

    Each mapping holds the attributes of ``PreparedInstance`` plus "pixel_sha256", and where known
    "description" (of the series). Kinds of series: "volume" (even, complete, upright: fit for
    reformatting), "stack" (parallel slices with gaps, doubles, uneven steps or tilt), "localizer",
    "cine" (multi-frame without positions), "images" (everything else).
    """
    by_series: dict[str, list[Mapping]] = {}
    for instance in instances:
        by_series.setdefault(instance["series_uid"], []).append(instance)
    series = [_series(uid, members) for uid, members in by_series.items()]
    series.sort(key=lambda one: (one["kind"] == "localizer", _number(one["series_number"]), one["series_uid"]))
    return {
        "version": VERSION,
        "study_uid": study_uid,
        "instances": len(instances),
        "series": series,
    }


def _series(uid: str, members: list[Mapping]) -> dict:
    first = members[0]
    laid = _stacked(members)
    ordered = _ordered(members, laid)
    kind = _kind(members, laid)
    presets = presets_for(
        first.get("modality", ""),
        first.get("body_part", ""),
        first.get("description", ""),
        first.get("protocol", ""),
    )
    return {
        "series_uid": uid,
        "series_number": first.get("series_number"),
        "description": first.get("description", ""),
        "modality": first.get("modality", ""),
        "kind": kind,
        "ordered_by": "position" if laid else "instance_number",
        "geometry": _geometry(laid, first),
        "presets": [
            {"name": p.name, "zh": p.zh, "center": p.center, "width": p.width, "source": p.source}
            for p in presets
            if all(member.get("unit") == "HU" for member in members)
        ],
        "key_index": len(ordered) // 2,
        "instances": [
            {
                "sop_instance_uid": member["sop_instance_uid"],
                "instance_number": member.get("instance_number"),
                "frames": member.get("frames", 1),
                "position_mm": member.get("position_mm"),
                "pixel_sha256": member.get("pixel_sha256"),
            }
            for member in ordered
        ],
    }


def _stacked(members: list[Mapping]) -> Stack | None:
    """The series as one stack of single-frame slices, or None where it is not one."""
    placed = [m for m in members if m.get("position") and m.get("orientation") and m.get("frames", 1) == 1]
    if len(placed) != len(members) or len(members) < 2:
        return None
    slices = [
        Slice(m["sop_instance_uid"], tuple(m["position"]), tuple(m["orientation"])) for m in members
    ]
    try:
        return stack(slices)
    except UnusableGeometry:
        return None


def _ordered(members: list[Mapping], laid: Stack | None) -> list[Mapping]:
    if laid is None:
        return sorted(members, key=lambda m: (_number(m.get("instance_number")), m["sop_instance_uid"]))
    by_uid = {member["sop_instance_uid"]: member for member in members}
    return [by_uid[uid] for uid in laid.uids]


def _kind(members: list[Mapping], laid: Stack | None) -> str:
    if all(member.get("localizer") for member in members):
        return "localizer"
    if laid is not None and laid.spacing_mm is not None:
        same_grid = len({(m.get("rows"), m.get("columns"), str(m.get("pixel_spacing_mm"))) for m in members}) == 1
        return "volume" if laid.is_volume and same_grid else "stack"
    if any(member.get("frames", 1) > 1 and not member.get("frame_positions_mm") for member in members):
        return "cine"
    return "images"


def _geometry(laid: Stack | None, first: Mapping) -> dict:
    plain = {
        "rows": first.get("rows"),
        "columns": first.get("columns"),
        "pixel_spacing_mm": first.get("pixel_spacing_mm"),
        "orientation": first.get("orientation"),
    }
    if laid is None:
        return plain
    return plain | {
        "normal": list(laid.normal),
        "spacing_mm": laid.spacing_mm,
        "first_mm": laid.positions_mm[0],
        "last_mm": laid.positions_mm[-1],
        "tilt_deg": laid.tilt_deg,
        "irregular": laid.irregular,
        "duplicates": list(laid.duplicates),
        "gaps": [
            {
                "before": gap.before_uid,
                "after": gap.after_uid,
                "distance_mm": gap.distance_mm,
                "missing": gap.missing,
            }
            for gap in laid.gaps
        ],
    }


def _number(value) -> tuple[bool, int]:
    return (value is None, value or 0)
