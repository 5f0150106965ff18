"""The repair ledger's desk: find a study, see what its device sent and what stands, correct it, undo it."""
from __future__ import annotations

import re
from dataclasses import dataclass

from flask import Blueprint, redirect, render_template, request, url_for
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from dicom_gateway.dataset import read_header
from dicom_gateway.held import shown_value
from dicom_gateway.name_readings import Reading, readings
from dicom_gateway.web.attributes import to_json
from hub.errors import HubError, Invalid
from hub.flow import devices, naming, repairs
from hub.flow.repairs import Wanted
from hub.model.repair import Attribute, newest
from reading_ui import wording
from reading_ui.errors import status_of
from reading_ui.gate import needs, the_actor, the_hub
from reading_ui.language import sentence

desk = Blueprint("repairs", __name__)
MANY_FRAMES = "52009229"            # functional groups say spacing and laterality for each frame themselves
IN_FUNCTIONAL_GROUPS = ("00280030", "00181164", "00200062", "00200060")


@dataclass(frozen=True)
class Line:
    """One attribute as the page lists it: what was sent, what stands, and whether the two differ."""

    attribute: Attribute
    sent: str
    stands: str
    corrected: bool


@desk.get("/repairs")
@needs("study.repair")
def page():
    text = request.args.get("text", "")[:64]
    return render_template("repairs.html", rows=repairs.search(the_hub(), the_actor(), text), text=text)


@desk.get("/repairs/<int:study_id>")
@needs("study.repair")
def one(study_id: int):
    return _one(study_id)


@desk.post("/repairs/<int:study_id>")
@needs("study.repair")
def correct(study_id: int):
    hub, actor, form = the_hub(), the_actor(), request.form
    try:
        attribute = _attribute(form.get("tag", ""))
        level, part_id = _scope(form.get("scope", "study"))
        told = _header(study_id, level, part_id)
        if MANY_FRAMES in told and attribute.tag in IN_FUNCTIONAL_GROUPS:
            raise Invalid("in_functional_groups", "多帧增强图像逐帧记录间距与侧别，暂不能在此更正。请联系机构重新发送。",
                          "an enhanced multi-frame object says this for each frame; it cannot be corrected here.")
        seen = int(form["seen"]) if form.get("seen", "").isdigit() and len(form["seen"]) < 18 else -1
        repairs.correct(hub, actor, study_id, Wanted(attribute, form.get("value", ""), form.get("why", ""), level, part_id, _sent(told, attribute)), seen)
    except HubError as error:
        return _one(study_id, sentence(error.zh, error.en), form), status_of(error)
    return redirect(url_for("repairs.one", study_id=study_id, scope=form.get("scope") if form.get("scope") != "study" else None))


@desk.post("/repairs/<int:study_id>/undo/<int:repair_id>")
@needs("study.repair")
def undo(study_id: int, repair_id: int):
    repairs.undo(the_hub(), the_actor(), repair_id)
    return redirect(url_for("repairs.one", study_id=study_id))


def _one(study_id: int, trouble: str = "", form=None) -> str:
    hub, actor = the_hub(), the_actor()
    row = repairs.find(hub, actor, study_id)
    series, instances = repairs.parts(hub, actor, study_id)
    scope = (form or request.args).get("scope", "study")
    level, part_id = _scope(scope)
    series_id = part_id if level == "series" else next((one.series_id for one in instances if level == "instance" and one.id == part_id), None)
    ledger = repairs.ledger(hub, actor, study_id)
    stands = newest([one for one in reversed(ledger) if one.undoes is None and one.undone_by is None], series_id, part_id if level == "instance" else None)
    told = _header(study_id, level, part_id)
    lines = [_line(one, told, stands, row) for one in hub.rules.repairs.offered.values() if level == "study" or one.level != "study"]
    lines += [_line(Attribute(one.tag, one.keyword, one.vr), told, stands, row) for tag, one in stands.items()
              if tag not in hub.rules.repairs.offered and one.vr != "UI"]
    return render_template(
        "repair.html", study=row, series=series, instances=instances, lines=lines, ledger=ledger, scope=scope, level=level, trouble=trouble,
        form=form or {name: request.args.get(name, "")[:500] for name in ("value", "why")}, readings=_readings(study_id) if row.name_unsure else (), chosen=(form or request.args).get("tag", ""), seen=repairs.revision(hub, study_id), w=wording)


def _line(attribute: Attribute, told: dict, stands: dict, row) -> Line:
    sent = _sent(told, attribute) if told else ""
    if attribute.tag not in stands:
        return Line(attribute, sent or ("" if told else _indexed(attribute, row)), sent or ("" if told else _indexed(attribute, row)), False)
    return Line(attribute, sent or stands[attribute.tag].old, stands[attribute.tag].new, True)


def _indexed(attribute: Attribute, row) -> str:
    """What the index knows of a study whose files are no DICOM."""
    table, _, column = attribute.column.rpartition(".")
    name = {"name": "patient_name", "patient_id": "patient_number"}.get(column, column) if table == "patient" else column
    return str(getattr(row, name, "")) if table or attribute.keyword == "Modality" else ""


def _readings(study_id: int) -> tuple[Reading, ...]:
    """How the unsure name of a study may be read, by its first DICOM object."""
    hub = the_hub()
    _, instances = repairs.parts(hub, the_actor(), study_id)
    first = next((one for one in instances if one.format == "dicom"), None)
    try:
        return readings(read_header(hub.blobs.path(first.sha256)), devices.habit_of(hub, first.device_id), naming.of_study(hub, study_id)) if first is not None else ()
    except (HubError, OSError):
        return ()


def _header(study_id: int, level: str, part_id: int | None) -> dict:
    """The first fitting DICOM object's attributes as JSON; {} where there is none that can be read."""
    hub = the_hub()
    _, instances = repairs.parts(hub, the_actor(), study_id)
    fitting = next((one for one in instances if one.format == "dicom" and (
        level == "study" or part_id == (one.series_id if level == "series" else one.id))), None)
    if fitting is None:
        return {}
    try:
        return to_json(read_header(hub.blobs.path(fitting.sha256)), naming=naming.of_study(hub, study_id, as_sent=True))
    except (HubError, OSError):
        return {}


def _sent(told: dict, attribute: Attribute) -> str:
    return shown_value(told.get(attribute.tag)) or ""


def _attribute(written: str) -> Attribute:
    """The attribute of a tag (eight hexadecimal digits, or 0010,0010) or keyword. Invalid for one that is not corrected."""
    text = re.sub(r"[(),\s]", "", written)
    tag = int(text, 16) if re.fullmatch(r"[0-9A-Fa-f]{8}", text) else tag_for_keyword(text)
    if tag is None:
        raise Invalid("no_attribute", "没有这个标签，请填写标准名称（如 ProtocolName）或编号（如 0018,1030）。", "no such attribute: give its keyword or tag.")
    keyword = keyword_for_tag(tag)
    vr = dictionary_VR(tag).split(" or ")[0] if keyword else ""
    return the_hub().rules.repairs.attribute(f"{tag:08X}", keyword, vr)


def _scope(written: str) -> tuple[str, int | None]:
    level, _, number = written.partition("-")
    if level in ("series", "instance") and number.isdigit() and len(number) < 18:
        return level, int(number)
    return "study", None
