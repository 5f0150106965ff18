"""What every answer says about itself: where its parts may come from, and that patients are not cached."""
from __future__ import annotations

from flask import Flask, request

POLICY = ("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; style-src 'self'; "
          "img-src 'self' blob: data:; connect-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'self'; "
          "base-uri 'none'")
WITH_FRAMES = POLICY + "; frame-src 'self'"          # the pages that show a report's PDF or two studies
DOCUMENT = "frame-ancestors 'self'"                  # a PDF is shown by the browser's own viewer, not by our page
MAY_EMBED = frozenset({"clinic.report", "reports.page", "studies.beside"})


def dress(app: Flask) -> None:
    """Adds the headers to every answer, errors included."""
    app.after_request(_add)


def _add(response):
    if response.mimetype == "application/pdf":
        policy = DOCUMENT
    else:
        policy = WITH_FRAMES if request.endpoint in MAY_EMBED else POLICY
    response.headers.setdefault("Content-Security-Policy", policy)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=(), payment=(), usb=()"
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    if request.endpoint == "static":
        built = request.path.startswith("/static/built/") and "-" in request.path.rsplit("/", 1)[-1]
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if built else "no-cache"
    elif "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response
