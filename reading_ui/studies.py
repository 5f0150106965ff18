"""The image reading desk: the viewer, the report beside it, and the images a reader chooses for the report."""
from __future__ import annotations

import math
from pathlib import Path

from flask import Blueprint, Response, jsonify, redirect, render_template, request, url_for

from hub.errors import Invalid, NotFound
from hub.flow import cautions, fixity, orders, retention, studies
from hub.flow.preparation import NewArtifact
from hub.model.arrival import StoredFile
from reading_ui import key_image as drawing
from reading_ui import panel, wording
from reading_ui.gate import needs, the_actor, the_hub

desk = Blueprint("studies", __name__)
VIEWER = Path(__file__).parent / "static" / "built" / "viewer"


@desk.get("/studies/<int:study_id>")
@needs("study.view")
def page(study_id: int):
    hub, actor = the_hub(), the_actor()
    row = studies.find(hub, actor, study_id)
    if row.kind == "ecg":
        return redirect(url_for("ecgs.page", study_id=study_id))
    retention.require_there(hub, row.id)
    studies.opened(hub, actor, row, "images")
    return render_template("study.html", study=row, damaged=fixity.damaged_of(hub, row.id), panel=panel.panel_for(hub, actor, row), now=hub.now(),
                           w=wording, beside=orders.beside(hub, actor, row),
                           earlier=studies.earlier_of_patient(hub, actor, row), cautions=cautions.of_patient(hub, actor, row.patient_id),
                           glance=_glance(hub, row.id), viewer_built=(VIEWER / "viewer.js").is_file(), viewer_styled=(VIEWER / "viewer.css").is_file())


@desk.get("/studies/<int:study_id>/beside/<int:other_id>")
@needs("study.view")
def beside(study_id: int, other_id: int):
    """Two studies of one person side by side, each in its own reading canvas. Other people's studies are never put together."""
    hub, actor = the_hub(), the_actor()
    row = studies.find(hub, actor, study_id)
    other = next((one for one in studies.earlier_of_patient(hub, actor, row, 1000) if one.id == other_id), None)
    if other is None:
        raise NotFound("not_found", "没有找到该患者的这个检查。", "no such study of this patient.")
    return render_template("beside.html", study=row, other=other)


@desk.get("/studies/<int:study_id>/key-images")
@needs("study.view")
def key_images(study_id: int):
    row = studies.find(the_hub(), the_actor(), study_id)
    return jsonify(key_images=panel.key_images(the_hub(), row.id))


@desk.post("/studies/<int:study_id>/key-images")
@needs("study.key_image")
def add_key_image(study_id: int):
    """Keeps the image on a reader's screen as a PNG: {sop_instance_uid, frame, window_center, window_width, invert, caption}."""
    hub, actor = the_hub(), the_actor()
    row = studies.find(hub, actor, study_id)
    wanted = _wanted(request.get_json(silent=True))
    chosen = next((one for one in studies.instances_of(hub, row.id) if one.sop_uid == wanted.sop_uid), None)
    if chosen is None:
        raise NotFound("not_found", "该图像不属于本检查。", "this image does not belong to the study.")
    png = drawing.draw(hub.blobs.read(chosen.sha256), wanted)
    kept = hub.blobs.keep(png, "key-image.png")
    about = {"caption": wanted.caption, "sop_instance_uid": wanted.sop_uid, "frame": wanted.frame, "window_center": wanted.center,
             "window_width": wanted.width, "invert": wanted.invert}
    artifact_id = studies.add_key_image(hub, actor, row, NewArtifact(
        "key_image", StoredFile(kept.name, kept.sha256, kept.size), "image/png", chosen.id, wanted.frame - 1, about))
    return jsonify(id=artifact_id, caption=wanted.caption,
                   address=url_for("studies.key_image", study_id=row.id, artifact_id=artifact_id)), 201


@desk.get("/studies/<int:study_id>/key-images/<int:artifact_id>.png")
@needs("study.images")
def key_image(study_id: int, artifact_id: int):
    hub = the_hub()
    row = studies.find(hub, the_actor(), study_id)
    made = panel.key_image_row(hub, row.id, artifact_id)
    return Response(hub.blobs.read(made.sha256), mimetype="image/png", headers={"Cache-Control": "private, max-age=3600"})


@desk.get("/studies/<int:study_id>/across/<int:artifact_id>.jpg")
@needs("study.images")
def across(study_id: int, artifact_id: int):
    """A picture across a series: coronal, sagittal, projection."""
    hub = the_hub()
    row = studies.find(hub, the_actor(), study_id)
    for made in studies.artifacts_of(hub, row.id, "plane"):
        if made.id == artifact_id:
            return Response(hub.blobs.read(made.sha256), mimetype="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})
    raise NotFound("not_found", "没有这幅概览图像。", "no such picture.")


def _glance(hub, study_id: int) -> list[dict]:
    """What can be shown across each series: {description, zh, en, pictures: [{name, address}]}; zh and en say why none can."""
    manifest = studies.artifact_of(hub, study_id, "manifest")
    told = (manifest.about or {}).get("glance", []) if manifest is not None else []
    made = studies.artifacts_of(hub, study_id, "plane") if told else []
    return [one | {"pictures": [{"name": each.about["name"], "address": url_for("studies.across", study_id=study_id, artifact_id=each.id)}
                                for each in made if each.about["series_uid"] == one["series_uid"]]} for one in told]


def _wanted(body) -> drawing.Wanted:
    if not isinstance(body, dict) or not isinstance(body.get("sop_instance_uid"), str):
        raise Invalid("bad_key_image", "关键图像请求有误，请刷新页面后重试。", "the key image request is malformed; reload the page.")
    frame, caption, invert = body.get("frame", 1), body.get("caption", ""), body.get("invert", False)
    numbers = [body.get("window_center"), body.get("window_width")]
    fine = (type(frame) is int and 1 <= frame <= 100_000 and isinstance(caption, str) and len(caption) <= 200 and isinstance(invert, bool)
            and all(n is None or (isinstance(n, (int, float)) and not isinstance(n, bool) and math.isfinite(n)) for n in numbers))
    if not fine:
        raise Invalid("bad_key_image", "关键图像的帧号、窗宽窗位或说明有误。", "frame, window or caption of the key image is malformed.")
    caption = "".join(ch for ch in caption if ord(ch) >= 32).strip()
    return drawing.Wanted(body["sop_instance_uid"], frame, numbers[0], numbers[1], invert, caption)
