"""Orthanc of the Debian package as a real peer: started on free ports, asked over its REST API, gone at the end."""
from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ports import free_port

PROGRAM = "/usr/sbin/Orthanc"
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
TITLE = "ORTHANC"


class Orthanc:
    def __init__(self, dicom_port: int, http_port: int, process: subprocess.Popen, log: Path):
        self.port, self.http_port, self.process, self.log = dicom_port, http_port, process, log

    def ask(self, path: str, body=None, method: str = "", raw: bool = False):
        """What its REST API answers: JSON, or bytes."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data, method=method or ("GET" if data is None else "POST"))
        try:
            with urllib.request.urlopen(request, timeout=180) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.code} {error.read()[:500]!r}\n{self.log.read_text('utf-8', 'replace')[-3000:]}") from error
        return content if raw else json.loads(content or "null")

    def files(self) -> dict[str, bytes]:
        """Every stored file by SOP instance UID."""
        return {self.ask(f"/instances/{one}/simplified-tags")["SOPInstanceUID"]: self.ask(f"/instances/{one}/file", raw=True) for one in self.ask("/instances")}


@contextmanager
def running_orthanc(folder: Path, hub_port: int, web: str = "", token: str = ""):
    """An Orthanc that knows the hub as the modality ``hub`` and, where ``web`` is its DICOMweb address, as the server ``hub``."""
    if not os.access(PROGRAM, os.X_OK):
        pytest.skip(f"{PROGRAM} is not installed")
    if web and not DICOMWEB.exists():
        pytest.skip(f"{DICOMWEB} is not installed")
    folder.mkdir(parents=True)
    dicom_port, http_port = free_port(), free_port()
    server = {"Url": web, "HttpHeaders": {"Authorization": f"Bearer {token}"} if token else {}}
    (folder / "orthanc.json").write_text(json.dumps({
        "StorageDirectory": str(folder), "IndexDirectory": str(folder), "HttpPort": http_port, "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
        "DicomPort": dicom_port, "DicomAet": TITLE, "DicomCheckCalledAet": False,
        "DicomScuTimeout": 120, "DicomScpTimeout": 120, "HttpTimeout": 120, "UnknownSopClassAccepted": True, "StorageCompression": False,
        "DicomModalities": {"hub": ["HUB", "127.0.0.1", hub_port]}, "Plugins": [str(DICOMWEB)] if web else [],
        "DicomWeb": {"Enable": True, "Servers": {"hub": server}} if web else {}}))
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([PROGRAM, str(folder / "orthanc.json")], stdout=output, stderr=output, env=os.environ | {"TCP_NODELAY": "1"})
    try:
        _wait(process, http_port, log)
        yield Orthanc(dicom_port, http_port, process, log)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen, port: int, log: Path) -> None:
    for _ in range(1200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/system", timeout=30).close()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert process.poll() is None, log.read_text("utf-8", "replace")[-3000:]
            time.sleep(0.1)
    raise AssertionError("Orthanc does not answer")
