"""The rules of a device, the site where it stands, and its certificate: what an administrator changes."""
from __future__ import annotations

from flask import Blueprint, Response, redirect, render_template, request, url_for
from pydicom.uid import UID

from dicom_gateway.name_readings import CALLED
from hub.errors import HubError, NotFound
from hub.flow import administration, certificates, checkups, device_changes, devices
from hub.model.device_rules import CHARSETS, ENCRYPTION, of_row
from reading_ui import wording
from reading_ui.errors import status_of
from reading_ui.gate import needs, the_actor, the_hub
from reading_ui.language import sentence

desk = Blueprint("device_rules", __name__)
FIELDS = ("address", "charset", "called_titles", "sop_classes", "associations", "associations_a_minute", "objects_a_minute", "encryption",
          "certificate_sha256", "port")


@desk.get("/devices/<int:device_id>/rules")
@needs("device.manage")
def page(device_id: int):
    return _page(device_id)


@desk.post("/devices/<int:device_id>/rules")
@needs("device.manage")
def change(device_id: int):
    values = {name: request.form.get(name, "") for name in FIELDS}
    try:
        device_changes.set_rules(the_hub(), the_actor(), device_id, values)
    except NotFound:
        raise
    except HubError as error:
        return _page(device_id, sentence(error.zh, error.en), values), status_of(error)
    return redirect(url_for("device_rules.page", device_id=device_id, kept="yes"))


@desk.post("/devices/<int:device_id>/move")
@needs("device.manage")
def move(device_id: int):
    """The device stands at another site from now on."""
    written = request.form.get("site", "")
    try:
        device_changes.move(the_hub(), the_actor(), device_id, int(written) if written.isdigit() and len(written) < 18 else 0)
    except NotFound:
        raise
    except HubError as error:
        return _page(device_id, move_trouble=sentence(error.zh, error.en)), status_of(error)
    return redirect(url_for("device_rules.page", device_id=device_id))


@desk.post("/devices/<int:device_id>/certificate")
@needs("device.manage")
def certificate(device_id: int):
    """A new key and certificate as a file, handed out in this answer and kept nowhere."""
    pem = certificates.issue(the_hub(), the_actor(), device_id)
    return _download(pem, f"device-{device_id}.pem")


@desk.get("/devices/network-root.pem")
@needs("device.manage")
def root():
    """The certificate by which devices know the hub. It is public; it is shown to who sets devices up."""
    return _download(certificates.network_keys(the_hub()).root.read_bytes(), "hub-network-root.pem")


def _download(pem: bytes, name: str) -> Response:
    return Response(pem, mimetype="application/x-pem-file", headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"})


def _page(device_id: int, trouble: str = "", values: dict | None = None, move_trouble: str = "") -> str:
    hub, actor = the_hub(), the_actor()
    known = devices.find(hub, actor, device_id)
    if values is None:
        rules = of_row(known.rules)
        values = {name: "\n".join(value) if isinstance(value := getattr(rules, name), tuple) else value or "" for name in FIELDS if hasattr(rules, name)}
        values |= {"address": known.address, "charset": known.charset}
    sent = sorted({one.sop_class for one in checkups.evidence(hub, actor, device_id).instances if one.sop_class})
    return render_template(
        "device_rules.html", device=known, values=values, trouble=trouble, move_trouble=move_trouble, kept=request.args.get("kept") == "yes",
        sites=[one for one in administration.sites(hub) if one.active and one.id != known.site_id], periods=device_changes.periods(hub, actor, device_id),
        charsets=CHARSETS, encryption=ENCRYPTION, sent=[(uid, UID(uid).name) for uid in sent],
        written=[(CALLED.get(one, one.upper()), times) for one, times in sorted(known.written.items(), key=lambda one: -one[1])], tls_port=hub.settings.dicom_tls_port, w=wording)
