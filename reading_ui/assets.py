"""Static files; of the built viewer the smaller twin (.br, .gz) that set-up made beside each file."""
from __future__ import annotations

import mimetypes
from pathlib import Path

from flask import Flask, request
from werkzeug.utils import safe_join

TWINS = (("br", ".br"), ("gzip", ".gz"))


class Pages(Flask):
    """A Flask application that serves precompressed twins of built files where the browser takes them."""

    def send_static_file(self, filename: str):
        if filename.startswith("built/"):
            for encoding, ending in TWINS:
                twin = safe_join(self.static_folder, filename + ending)
                if twin and encoding in request.accept_encodings and Path(twin).is_file():
                    answer = super().send_static_file(filename + ending)
                    answer.mimetype = mimetypes.guess_type(filename)[0] or "application/octet-stream"
                    answer.content_encoding = encoding
                    answer.vary.add("Accept-Encoding")
                    return answer
        return super().send_static_file(filename)
