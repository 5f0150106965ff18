"""The quarantine and conflict desk: what was kept aside and why, two versions side by side, and the decision."""
from __future__ import annotations

from flask import Blueprint, Response, redirect, render_template, request, send_file, url_for
from flask_babel import lazy_gettext
from werkzeug.utils import secure_filename

import ecg.web
from dicom_gateway import held as reading
from dicom_gateway.web.rendering import picture
from hub.errors import HubError, Invalid, NotFound
from hub.flow import administration, decisions, devices, discarded, naming
from hub.model.arrival import InstanceFacts, StoredFile
from reading_ui import wording
from reading_ui.errors import status_of
from reading_ui.gate import needs, the_actor, the_hub
from reading_ui.language import sentence

desk = Blueprint("held", __name__)
STATES = ("open", "resolved", "discarded", "removed")
EDGE = 320

# By reason, the decisions that fit, the most likely first.
CHOICES = {
    "same_uid_other_bytes": ("keep_first", "use_second", "discard"), "other_patient": ("separate", "discard", "note"),
    "removed_before": ("discard", "note"),
    "missing_uid": ("supply", "release", "discard", "note"), "unregistered_device": ("release", "discard"),
}
FOR_ALL = ("keep_first", "use_second", "separate", "release", "discard")     # may be decided for all alike at once
OTHERWISE = ("release", "discard", "note")
MEANINGS = {
    "keep_first": (lazy_gettext("保留先到的版本"), lazy_gettext("第二个版本保存至保存期满，不参与诊断。可撤销。")),
    "use_second": (lazy_gettext("改用第二个版本"), lazy_gettext("两个版本都保存；检查重新处理，并提醒医师图像有变。可撤销。")),
    "separate": (lazy_gettext("分为单独的检查"), lazy_gettext("另建一个检查（系统补发检查标识，原文件不变）；该患者其余图像随后自动归入。不可撤销。")),
    "supply": (lazy_gettext("补上缺少的标识"), lazy_gettext("以更正的形式补上，原文件不变，随后按正常流程收入。不可撤销。")),
    "release": (lazy_gettext("重新读取并收入"), lazy_gettext("在解析程序或设备修复后使用，按正常流程收入。不可撤销。")),
    "discard": (lazy_gettext("弃用"), lazy_gettext("写明原因后移出待处理；原始文件保留至保存期满，期满前可撤销。")),
    "note": (lazy_gettext("仅标记为已处理"), lazy_gettext("不改变任何影像，只记下处理结果；原始文件保留至保存期满，期满前可撤销。")),
}


@desk.get("/held")
@needs("held.view")
def page():
    state = request.args.get("state") if request.args.get("state") in STATES else "open"
    rows = administration.held_objects(the_hub(), the_actor(), state)
    return render_template("held.html", rows=rows, state=state, states=STATES, w=wording)


@desk.get("/held/<int:held_id>")
@needs("held.view")
def one(held_id: int):
    return _one(held_id)


@desk.post("/held/<int:held_id>/resolve")
@needs("held.resolve")
def resolve(held_id: int):
    """The decision of the form, for this case and, where that was wished, for all that are like it."""
    hub, actor, form = the_hub(), the_actor(), request.form
    choice = form.get("choice", "note")
    taken = None
    try:
        cases = decisions.alike(hub, actor, held_id) if form.get("alike") == "yes" and choice in FOR_ALL else [held_id]
        for case in cases:
            taken = _decide(choice, case, form.get("words", "")) or taken
    except HubError as error:
        return _one(held_id, sentence(error.zh, error.en), form), status_of(error)
    return redirect(url_for("held.one", held_id=held_id) if taken is not None else url_for("held.page"))


@desk.post("/held/<int:held_id>/undo")
@needs("held.resolve")
def undo(held_id: int):
    decisions.undo(the_hub(), the_actor(), held_id)
    return redirect(url_for("held.one", held_id=held_id))


@desk.get("/held/<int:held_id>/files/<int:place>")
@needs("held.view")
def file(held_id: int, place: int):
    """One original file, byte for byte; the look is recorded before the first byte leaves."""
    hub = the_hub()
    taken = administration.take_held_file(hub, the_actor(), held_id, place)
    name = f"held-{held_id}-{place + 1}-{secure_filename(taken.name) or 'original'}"
    response = send_file(hub.blobs.open(taken.sha256), mimetype="application/octet-stream", as_attachment=True, download_name=name, max_age=None)
    response.content_length = taken.size
    response.headers["Cache-Control"] = "no-store"
    return response


@desk.get("/held/<int:held_id>/pictures/<which>.jpg")
@needs("held.view")
def thumbnail(held_id: int, which: str):
    """The middle frame of the version that was kept aside ("second") or of the one in use ("first")."""
    hub = the_hub()
    row, first = decisions.versions(hub, the_actor(), held_id)
    sha256 = {"second": row.files[0]["sha256"] if row.files else "", "first": first.sha256 if first is not None else ""}.get(which, "")
    if not sha256 or row.door != "dicom":
        raise NotFound("not_found", "没有可显示的图像。", "there is no picture to show.")
    content = picture(hub.blobs.path(sha256), 0, "image/jpeg", {}, EDGE)
    return Response(content, mimetype="image/jpeg", headers={"Cache-Control": "no-store"})


def _decide(choice: str, held_id: int, words: str):
    """Carries a decision out. What entered a study is returned as taken."""
    hub, actor, form = the_hub(), the_actor(), request.form
    if choice == "note":
        administration.resolve_held(hub, actor, held_id, words)
    elif choice in ("keep_first", "use_second", "separate", "discard"):
        return getattr(decisions, choice)(hub, actor, held_id, words)
    elif choice == "supply":
        row, _ = decisions.versions(hub, actor, held_id)
        facts, uids = reading.facts_with(hub, StoredFile(**row.files[0]), {name: form.get(name, "") for name in wording.UIDS}, row.device_id)
        return decisions.supply(hub, actor, held_id, facts, uids, words)
    elif choice == "release":
        row, _ = decisions.versions(hub, actor, held_id)
        return decisions.release(hub, actor, held_id, _facts_now(row, row.device_id or _device()), words, _device())
    else:
        raise Invalid("bad_choice", "请选择一种处理方式。", "choose a decision.")
    return None


def _facts_now(row, device_id: int | None) -> InstanceFacts:
    files = tuple(StoredFile(**one) for one in row.files)
    if row.door == "ecg" or row.reason == "unreadable_ecg":
        return ecg.web.facts_now(the_hub(), files)
    return reading.facts_now(the_hub(), files[0], device_id)


def _device() -> int | None:
    written = request.form.get("device", "")
    return int(written) if written.isdigit() and len(written) < 18 else None


def _one(held_id: int, trouble: str = "", form=None) -> str:
    hub, actor = the_hub(), the_actor()
    row, first = decisions.versions(hub, actor, held_id)
    choices = CHOICES.get(row.reason, OTHERWISE)
    rows = decisions.history(hub, actor, held_id)
    is_dicom = row.door == "dicom" and len(row.files) == 1
    stone = discarded.tombstone_of(hub, held_id) if row.state == "removed" else None
    return render_template(
        "held_one.html", row=row, stone=stone, first=first, trouble=trouble, form=form or {}, w=wording, choices=choices, meanings=MEANINGS, history=rows,
        may_undo=row.state not in ("open", "removed") and decisions.may_undo(rows),
        home=decisions.study_of_conflict(hub, actor, row) if row.reason == "other_patient" else None,
        apart=reading.differences(hub.blobs.path(first.sha256), hub.blobs.path(row.sha256), naming.of_study(hub, first.study_id)) if first is not None and is_dicom and first.format == "dicom" else [],
        reads={} if row.facts.get("whole") or not is_dicom else reading.as_it_reads(hub, StoredFile(**row.files[0]), row.device_id),
        alike=len(decisions.alike(hub, actor, held_id)) - 1 if row.state == "open" else 0,
        lacking=reading.lacking(hub, StoredFile(**row.files[0])) if "supply" in choices and row.state == "open" else {},
        devices=[one for one in devices.listed(hub, actor) if one.active] if "release" in choices and row.device_id is None else [])
