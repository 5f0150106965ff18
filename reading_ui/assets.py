"""Static files as the set-up compressed them: brotli or gzip beside the plain file, chosen by what the browser takes."""
from __future__ import annotations

from pathlib import Path

from flask import Flask, request

ENCODINGS = (("br", ".br"), ("gzip", ".gz"))


def serve(app: Flask) -> None:
    """Lets the static route answer with a precompressed file where there is one. The type stays that of the plain file."""
    plain = app.send_static_file

    def send(filename: str):
        for encoding, ending in ENCODINGS:
            if encoding in request.accept_encodings and (Path(app.static_folder) / f"{filename}{ending}").is_file():
                answer = plain(f"{filename}{ending}")
                answer.mimetype = media_type(filename)
                answer.headers["Content-Encoding"] = encoding
                answer.vary.add("Accept-Encoding")
                return answer
        answer = plain(filename)
        if (Path(app.static_folder) / f"{filename}.gz").is_file():
            answer.vary.add("Accept-Encoding")
        return answer

    app.view_functions["static"] = send


def media_type(filename: str) -> str:
    """The media type of a file that a page loads."""
    return {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".wasm": "application/wasm",
            ".svg": "image/svg+xml", ".json": "application/json", ".map": "application/json"}.get(Path(filename).suffix, "application/octet-stream")
