"""The servers that C-STORE is measured against, each started on a free port with a folder of its own.

Every one runs with TCP_NODELAY=1: DCMTK and Orthanc leave Nagle's algorithm on otherwise (44 ms an object).
"""
from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CALLER = "BENCH"
TICKS = os.sysconf("SC_CLK_TCK")
PLAIN = """
import sys
from pathlib import Path
from pynetdicom import AE, evt, AllStoragePresentationContexts
import uuid
folder = Path(sys.argv[2])
def store(event):
    (folder / uuid.uuid4().hex).write_bytes(event.encoded_dataset())
    return 0
ae = AE("PLAIN"); ae.supported_contexts = AllStoragePresentationContexts; ae.maximum_associations = 64
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_C_STORE, store)])
"""


class Server:
    title, program = "BENCH_SCP", ""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True)
        self.folder, self.port = folder, free_port()
        self.process = subprocess.Popen(self.command(), env=dict(os.environ, TCP_NODELAY="1", **self.variables()), cwd=ROOT,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_for(self.port)

    @classmethod
    def is_installed(cls) -> bool:
        return not cls.program or os.access(cls.program, os.X_OK)

    def variables(self) -> dict:
        return {}

    def cpu_s(self) -> float:
        """Processor time of the server and of its children that have ended, in seconds."""
        return sum(int(field) for field in self._stat()[11:15]) / TICKS

    def most_mb(self) -> float:
        """The most memory that the server's own process has held, in megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024

    def _stat(self) -> list[str]:
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Hub(Server):
    def variables(self) -> dict:
        return {"HUB_DATA_DIR": str(self.folder), "HUB_DICOM_PORT": str(self.port), "HUB_DICOM_HOST": "127.0.0.1",
                "HUB_DICOM_AE_TITLE": self.title, "PYTHONPATH": str(ROOT)}

    def command(self):
        from hub.context import open_hub
        from hub.flow import administration, devices
        from hub.model.access import SYSTEM
        from hub.settings import load
        from hub.storage import migration
        hub = open_hub(replace(load(environ={}), data_dir=str(self.folder)))
        migration.migrate(hub.engine)
        site = administration.create_site(hub, SYSTEM, code="B", name="benchmark")
        devices.register(hub, SYSTEM, site_id=site, kind="dicom", name="benchmark", ae_title=CALLER)
        hub.close()
        return [sys.executable, "-m", "hub", "gateway"]


class Storescp(Server):
    program = "/usr/bin/storescp"

    def command(self):
        return [self.program, "--fork", "-od", str(self.folder), "-aet", self.title, str(self.port)]


class Orthanc(Server):
    program = "/usr/sbin/Orthanc"

    def command(self):
        settings = self.folder / "orthanc.json"
        settings.write_text(json.dumps({
            "StorageDirectory": str(self.folder), "IndexDirectory": str(self.folder), "HttpServerEnabled": False, "Plugins": [],
            "DicomPort": self.port, "DicomAet": self.title}))
        return [self.program, str(settings)]


class Plain(Server):
    def command(self):
        return [sys.executable, "-c", PLAIN, str(self.port), str(self.folder)]


class Raw(Server):
    def command(self):
        return [sys.executable, str(ROOT / "benchmarks" / "raw_receiver.py"), str(self.port), str(self.folder)]

    def cpu_s(self) -> float:
        return float("nan")      # its children are not waited for


class HashingRaw(Raw):
    def command(self):
        return [*super().command(), "--hash"]


SERVERS: dict[str, type[Server]] = {
    "hub (blob synchronised, row committed)": Hub,
    "raw receiver (files synchronised, no index)": Raw,
    "raw receiver that hashes (SHA-256, files synchronised, no index)": HashingRaw,
    "DCMTK storescp (neither)": Storescp,
    "Orthanc 1.10.1, default settings (index, not synchronised)": Orthanc,
    "plain pynetdicom (neither)": Plain,
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"nothing listens on {port}")
