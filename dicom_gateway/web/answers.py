"""QIDO-RS answers (PS3.18 10.6.3.3): rows of the hub's index as DICOM JSON. Pure."""
from __future__ import annotations

from dicom_gateway.web.attributes import person_name
from hub.model.person_name import name_shown


def study_answer(row, parts: list, root: str) -> dict:
    """One study. ``parts``: its series with modality and total, as ``studies.sizes`` gives them."""
    url = f"{root}/studies/{row.study_uid}"
    day, _, clock = row.study_at.partition("T")
    return {
        "00080005": _of("CS", "ISO_IR 192"), "00080020": _of("DA", day.replace("-", "")), "00080030": _of("TM", clock.replace(":", "")),
        "00080050": _of("SH", row.accession_number), "00080056": _availability(row),
        "00080061": _of("CS", *sorted({part.modality for part in parts if part.modality})),
        "00080090": _of("PN"), "00081030": _of("LO", row.description), "00081190": _of("UR", url),
        "00100010": _name(row), "00100020": _of("LO", row.patient_number), "00100030": _of("DA", row.birth_date.replace("-", "")),
        "00100040": _of("CS", row.sex), "0020000D": _of("UI", row.study_uid), "00200010": _of("SH"),
        "00201206": _of("IS", len(parts)), "00201208": _of("IS", sum(part.total for part in parts)),
    }


def series_answer(row, total: int, root: str) -> dict:
    """One series, without its study's attributes."""
    url = f"{root}/studies/{row.study_uid}/series/{row.series_uid}"
    return {
        "00080005": _of("CS", "ISO_IR 192"), "00080056": _availability(row), "00080060": _of("CS", row.series_modality),
        "0008103E": _of("LO", row.series_description), "00081190": _of("UR", url), "00180015": _of("CS", row.series_body_part),
        "0020000D": _of("UI", row.study_uid), "0020000E": _of("UI", row.series_uid), "00200011": _of("IS", row.series_number),
        "00201209": _of("IS", total),
    }


def instance_answer(row, root: str) -> dict:
    """One instance, without the attributes of its series and study."""
    url = f"{root}/studies/{row.study_uid}/series/{row.series_uid}/instances/{row.sop_uid}"
    told = {
        "00080005": _of("CS", "ISO_IR 192"), "00080016": _of("UI", row.sop_class), "00080018": _of("UI", row.sop_uid),
        "00080056": _availability(row), "00081190": _of("UR", url), "00083002": _of("UI", row.transfer_syntax),
        "0020000D": _of("UI", row.study_uid), "0020000E": _of("UI", row.series_uid), "00200013": _of("IS", row.number),
    }
    if row.rows and row.columns:
        told |= {"00280008": _of("IS", row.frames), "00280010": _of("US", row.rows), "00280011": _of("US", row.columns)}
    return told


def in_order(told: dict) -> dict:
    """Attributes by ascending tag, as Annex F wants them."""
    return dict(sorted(told.items()))


def _availability(row) -> dict:
    """Whether its objects can be had (PS3.3 C.4.23.1.1); of a removed study there are none any more."""
    return _of("CS", "ONLINE" if row.removed_at is None else "UNAVAILABLE")


def _name(row) -> dict:
    sent = row.name_as_sent if row.name_as_sent and name_shown(row.name_as_sent) == row.patient_name else row.patient_name
    return _of("PN", person_name(sent)) if sent.strip(" ^=") else _of("PN")


def _of(vr: str, *values) -> dict:
    told = [value for value in values if value not in ("", None)]
    return {"vr": vr, "Value": told} if told else {"vr": vr}
