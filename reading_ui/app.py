"""The pages of the hub as one Flask application. ``create_app`` is the only way in; nothing runs at import."""
from __future__ import annotations

import os
import secrets
from pathlib import Path
from threading import BoundedSemaphore

from flask import Blueprint, Flask, g, request
from flask.sessions import SecureCookieSessionInterface
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from hub.context import Hub
from reading_ui import (
    audit, checkups, clinic, commitments, deliveries, device_rules, devices, ecgs, errors, gate, headers, held, language, navigation, operations, orders, patients, people,
    region, repairs, reports, retention, session, studies, worklist,
)
from reading_ui.assets import Pages

DESKS: tuple[Blueprint, ...] = (session.desk, worklist.desk, studies.desk, ecgs.desk, reports.desk, clinic.desk, orders.desk, operations.desk, patients.desk,
                                held.desk, repairs.desk, retention.desk, deliveries.desk, commitments.desk, region.desk, devices.desk, device_rules.desk, checkups.desk, people.desk, audit.desk)
LARGEST_FORM_BYTES = 2 * 1024 * 1024


def create_app(hub: Hub) -> Flask:
    """The application over an open hub. Its session secret is made at the first start, readable by the owner only."""
    app = Pages(__name__)
    app.json.ensure_ascii = False      # Chinese as Chinese, also for whoever reads an answer in a terminal
    app.extensions["hub"] = hub
    app.extensions["event_streams"] = BoundedSemaphore(max(1, hub.settings.web_threads // 3))
    app.session_interface = FormCookie()
    app.config.update(
        SECRET_KEY=session_secret(hub.keys_folder / "session_secret"), SESSION_COOKIE_NAME="hub_form", SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax", WTF_CSRF_TIME_LIMIT=None, MAX_FORM_MEMORY_SIZE=LARGEST_FORM_BYTES,
        TEMPLATES_AUTO_RELOAD=False, EVENTS_SECONDS=55.0, EVENTS_STEP_SECONDS=1.0, SIGN_IN_LIMIT="20 per minute")
    if hub.settings.trusted_proxies:
        hops = hub.settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    @app.before_request
    def _begin():
        g.default_language = hub.settings.language

    gate.guard(app)
    app.extensions["csrf"] = CSRFProtect(app)
    app.extensions["sign_in_limiter"] = limiter = Limiter(get_remote_address, app=app, storage_uri="memory://")
    language.speak(app)
    errors.answer(app)
    headers.dress(app)
    navigation.furnish(app)
    for desk in DESKS:
        app.register_blueprint(desk)
    app.view_functions["session.sign_in"] = limiter.limit(lambda: app.config["SIGN_IN_LIMIT"], methods=["POST"])(app.view_functions["session.sign_in"])
    return app


class FormCookie(SecureCookieSessionInterface):
    """The cookie that carries the form token and the language: Secure wherever the request is https."""

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure


def admit_door(app: Flask, door: Blueprint, permissions: tuple[str, ...], url_prefix: str | None = None) -> None:
    """Hangs another room's blueprint (DICOMweb, ECG ingestion) into the application. ``permissions``: who may pass;
    empty where the door checks its callers itself by a device's token. Doors for devices carry no form token."""
    app.extensions["outer_doors"][door.name] = permissions
    if not permissions:
        app.extensions["csrf"].exempt(door)
    app.register_blueprint(door, url_prefix=url_prefix)


def session_secret(file: Path) -> bytes:
    """The key that signs the form cookie; made once with mode 0600, the same for every web process."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for _ in range(3):
        if file.is_file() and len(secret := file.read_bytes()) >= 32:
            return secret
        fresh = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as written:
            written.write(secrets.token_bytes(48))
            written.flush()
            os.fsync(written.fileno())
        try:
            os.link(fresh, file)          # the first process wins; the others read what it wrote
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    raise OSError(f"{file} holds no usable secret; remove it and start again")
