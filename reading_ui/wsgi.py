"""The web server's way in: the pages together with the doors of the other rooms, over one open hub."""
from __future__ import annotations

from flask import Blueprint, Flask, jsonify

import ecg.web
from dicom_gateway.web import routes as dicomweb
from hub import health
from hub.context import Hub, open_hub
from hub.settings import load
from reading_ui import gate, metrics, order_door
from reading_ui.app import admit_door, create_app


STOW = ("dicomweb.store", "dicomweb.store_in_study")


def from_environment() -> Flask:
    """The application of a web process, with the settings of its environment."""
    return whole(open_hub(load()))


def whole(hub: Hub) -> Flask:
    """Pages, ECG door, order door, DICOMweb and health over ``hub``."""
    app = create_app(hub)
    admit_door(app, ecg.web.blueprint(hub), ())
    admit_door(app, order_door.blueprint(hub), ())
    admit_door(app, dicomweb.blueprint(hub, gate.the_actor), ("study.images",), "/dicomweb")
    for name in STOW:      # a device stores with its token, not as a signed-in person
        app.view_functions[name].needs = ()
    app.extensions["csrf"].exempt(app.blueprints["dicomweb"])
    admit_door(app, _health(hub), ())
    admit_door(app, metrics.blueprint(hub), ())
    return app


def _health(hub: Hub) -> Blueprint:
    door = Blueprint("health", __name__)

    @door.get("/healthz")
    def healthz():
        parts = health.check(hub)
        return jsonify(parts), 200 if health.can_serve(parts) else 503

    return door
