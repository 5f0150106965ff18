"""A small DICOMweb server for the tests of the image canvas: it serves given instances the way the hub does.

Promise: the same addresses, media types and content security policy as the hub's own pages; a knob for
slowness and one for broken frames. For tests only: no sign-in, one study a server, nothing stored.
"""
import gzip
import io
import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import imagecodecs
import numpy as np
from flask import Flask, Response, abort, jsonify, request, send_from_directory
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.pixels import pixel_array
from werkzeug.serving import make_server

BUILT = Path(__file__).resolve().parents[2] / "reading_ui" / "static" / "built" / "viewer"
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'self'"
)
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
PAGE = """<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>阅片</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/page.css"><link rel="stylesheet" href="/static/built/viewer/viewer.css">
<script type="module" src="/static/built/viewer/viewer.js"></script></head>
<body><div id="viewer" data-study-uid="{study}" data-dicomweb-root="/dicomweb"
data-key-image-url="/studies/12/key-images" data-csrf="test-token" data-language="{language}"></div></body></html>"""


@dataclass
class Faults:
    """What goes wrong on purpose: frames that are held back, and frames (by SOP instance UID) that are ill."""

    held_after: int = 10**9  # this many frames are answered at once, later ones when ``go_on`` is set
    go_on: threading.Event = field(default_factory=threading.Event)
    statuses: dict[str, int] = field(default_factory=dict)
    truncated: set[str] = field(default_factory=set)
    key_image_status: int = 201


def encoded(frame: np.ndarray, dataset: Dataset, htj2k: bool) -> tuple[bytes, str]:
    """One frame as HTJ2K lossless or as explicit little endian bytes, with its transfer syntax."""
    if htj2k:
        return bytes(imagecodecs.htj2k_encode(np.ascontiguousarray(frame), reversible=True)), HTJ2K_LOSSLESS
    return frame.astype(frame.dtype.newbyteorder("<")).tobytes(), EXPLICIT_LITTLE


def metadata_of(dataset: Dataset) -> dict:
    """DICOM JSON without pixel data (PS3.18 annex F)."""
    copy = Dataset()
    copy.update({tag: dataset[tag] for tag in dataset.keys() if tag != 0x7FE00010 and not tag.is_private})
    return copy.to_json_dict(bulk_data_threshold=1 << 20, suppress_invalid_tags=True)


def thumbnail_of(dataset: Dataset) -> bytes:
    """A small JPEG of the first frame in a window of its own extremes."""
    pixels = pixel_array(dataset, index=0).astype(float)
    low, high = np.percentile(pixels, [1, 99])
    grey = np.clip((pixels - low) / max(high - low, 1) * 255, 0, 255).astype(np.uint8)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        grey = 255 - grey
    picture = Image.fromarray(grey).convert("RGB")
    picture.thumbnail((128, 128))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=80)
    return out.getvalue()


def build_app(datasets: Iterable[Dataset], *, htj2k: bool, faults: Faults) -> Flask:
    """The pages and DICOMweb answers for one study of the given instances."""
    app = Flask(__name__, static_folder=None)
    by_uid = {str(one.SOPInstanceUID): one for one in datasets}
    first = next(iter(by_uid.values()))
    study = str(first.StudyInstanceUID)
    metadata = json.dumps([metadata_of(one) for one in by_uid.values()]).encode()
    app.frames_asked = []
    app.key_images = []
    frames: dict[tuple[str, int], tuple[bytes, str]] = {}
    lock = threading.Lock()

    @app.after_request
    def guard(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    @app.get("/")
    def page() -> str:
        return PAGE.format(study=study, language=request.args.get("language", "zh"))

    @app.get("/page.css")
    def page_css() -> Response:
        return Response("html,body{margin:0;height:100%}", mimetype="text/css")

    @app.get("/static/built/viewer/<path:name>")
    def built(name: str) -> Response:
        return send_from_directory(BUILT, name)

    @app.get(f"/dicomweb/studies/{study}/metadata")
    def study_metadata() -> Response:
        answer = Response(gzip.compress(metadata, 1), mimetype="application/dicom+json")
        answer.headers["Content-Encoding"] = "gzip"
        return answer

    @app.get(f"/dicomweb/studies/{study}/series/<series>/thumbnail")
    def thumbnail(series: str) -> Response:
        members = [one for one in by_uid.values() if one.SeriesInstanceUID == series]
        if not members:
            abort(404)
        return Response(thumbnail_of(members[len(members) // 2]), mimetype="image/jpeg")

    @app.get(f"/dicomweb/studies/{study}/series/<series>/instances/<uid>/frames/<int:number>")
    def frame(series: str, uid: str, number: int) -> Response:
        app.frames_asked.append((uid, number))
        if len(app.frames_asked) > faults.held_after:
            faults.go_on.wait(300)
        if uid in faults.statuses:
            abort(faults.statuses[uid])
        if uid not in by_uid:
            abort(404)
        with lock:
            if (uid, number) not in frames:
                dataset = by_uid[uid]
                frames[uid, number] = encoded(pixel_array(dataset, index=number - 1, raw=True), dataset, htj2k)
            body, syntax = frames[uid, number]
        if uid in faults.truncated:
            body = body[: len(body) // 2]
        head = f'--frame\r\nContent-Type: application/octet-stream; transfer-syntax={syntax}\r\n\r\n'.encode()
        return Response(
            head + body + b"\r\n--frame--\r\n",
            content_type='multipart/related; type="application/octet-stream"; boundary=frame',
        )

    @app.post("/studies/12/key-images")
    def key_image() -> tuple[Response, int]:
        if request.headers.get("X-CSRFToken") != "test-token":
            abort(400)
        if faults.key_image_status >= 400:
            abort(faults.key_image_status)
        app.key_images.append(request.get_json())
        return jsonify({}), faults.key_image_status

    return app


class Serving:
    """A running server: `url`, `app`, `faults`; a context manager."""

    def __init__(self, datasets: Iterable[Dataset], *, htj2k: bool = False, faults: Faults | None = None):
        self.faults = faults or Faults()
        self.app = build_app(datasets, htj2k=htj2k, faults=self.faults)
        self.server = make_server("127.0.0.1", 0, self.app, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.port}/"

    def __enter__(self) -> "Serving":
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.faults.go_on.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(120)


def read_folder(folder: Path) -> list[Dataset]:
    """Every DICOM file of a folder, in the order of instance numbers."""
    return sorted((dcmread(path) for path in folder.glob("*.dcm")), key=lambda one: int(one.InstanceNumber))
