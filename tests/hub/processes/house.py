"""A hub as its owner runs it, ``python -m hub up`` in a folder of its own, and a device that does not give up."""
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE

from dicom_gateway.requesting import REQUESTING
from hub import accounts
from hub.context import Hub, open_hub
from hub.flow import administration, devices
from hub.model.access import SYSTEM, Actor
from hub.settings import load
from hub.storage import migration
from tests.conftest import PASSWORD, SERVER
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
AE_TITLE = "TOWN_CT"
PROCESSES = {"gateway", "worker", "web", "redis", "scheduler"}      # of a hub with one worker
QUICK = {"job_lease_s": "2", "released_quiet_s": "0.5", "study_quiet_s": "2", "incomplete_quiet_s": "4", "workers": "1",
         "free_space_floor_mb": "0"}


def wait_for(what, patience_s: float = 180, pause_s: float = 0.1):
    """Returns the first true answer of ``what``; fails by name when there is none in time."""
    deadline = time.monotonic() + patience_s
    while not (answer := what()):
        assert time.monotonic() < deadline, f"waited {patience_s} s for {getattr(what, '__name__', what)}"
        time.sleep(pause_s)
    return answer


class House:
    """One hub: its settings, its processes, and the same database seen from the test."""

    def __init__(self, folder: Path, database_url: str = "", **settings: str):
        self.folder = folder
        values = QUICK | {"data_dir": str(folder / "data"), "web_port": str(free_port()), "dicom_port": str(free_port()),
                          "dicom_host": "127.0.0.1", "database_url": database_url if SERVER else ""} | settings
        self.variables = {f"HUB_{name.upper()}": value for name, value in values.items()}
        self.settings = load(environ=self.variables)
        self.hub: Hub = open_hub(self.settings)
        self.process: subprocess.Popen | None = None
        migration.migrate(self.hub.engine)
        self._furnish()

    def _furnish(self) -> None:
        site_id = administration.create_site(self.hub, SYSTEM, code="QS", name="青山镇卫生院")
        devices.register(self.hub, SYSTEM, site_id=site_id, kind="dicom", name="CT", ae_title=AE_TITLE)
        _, self.ecg_token = devices.register(self.hub, SYSTEM, site_id=site_id, kind="ecg", name="ECG")
        self.reader, self.reviewer = (
            Actor(accounts.create(self.hub, SYSTEM, username=role, password=PASSWORD, display_name=role, role=role), role, role)
            for role in ("reader", "reviewer"))

    def start(self) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")} | self.variables
        environ["PYTHONPATH"] = str(ROOT)
        self.output = (self.folder / "up.log").open("ab")
        self.process = subprocess.Popen([sys.executable, "-m", "hub", "up"], cwd=self.folder, env=environ, stdout=self.output,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        wait_for(self.is_up)

    def is_up(self) -> bool:
        assert self.process.poll() is None, (self.folder / "up.log").read_text("utf-8", "replace")[-2000:]
        return self.health() is not None and self.listens() and PROCESSES <= self.children().keys()

    def health(self) -> dict | None:
        try:
            with urlopen(f"{self.settings.address}/healthz", timeout=60) as reply:
                return json.loads(reply.read())
        except (URLError, OSError):
            return None

    def listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.settings.dicom_port), timeout=1).close()
        except OSError:
            return False
        return True

    def children(self) -> dict[str, int]:
        """The process number of each child of the supervisor, by name."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except (OSError, ValueError, IndexError):
                    continue
                if parent == self.process.pid:
                    name = "redis" if b"redis-server" in words[0] else "web" if b"gunicorn" in words else words[-2].decode()
                    found[name] = int(entry.name)
        return found

    def number(self, name: str) -> int:
        """The process number of a child; one that is just being started again is waited for."""
        return wait_for(lambda: self.children().get(name))

    def kill(self, name: str) -> None:
        """kill -9, as a crash or the kernel's out-of-memory killer would."""
        os.kill(self.process.pid if name == "supervisor" else self.number(name), signal.SIGKILL)
        if name == "supervisor":
            self.process.wait()

    def stop(self) -> int:
        """Ctrl-C; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(180)

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.stop()
        self.hub.close()

    def post_ecg(self, content: bytes) -> int:
        """One CSV recording through the HTTP door; returns the status."""
        request = Request(f"{self.settings.address}/api/ecg?rate_hz=500&unit=mV", data=content, headers={
            "Authorization": f"Bearer {self.ecg_token}", "Content-Type": "text/csv"})
        try:
            with urlopen(request, timeout=120) as reply:
                return reply.status
        except HTTPError as error:
            return error.code


def ct_slice(number: int, study_uid: str, size: int = 32) -> Dataset:
    """One small but whole CT image."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{study_uid}.1.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study_uid, f"{study_uid}.1"
    ds.PatientID, ds.PatientName, ds.PatientSex, ds.PatientBirthDate = f"P{study_uid[-6:]}", "CESHI^JIA", "M", "19630211"
    ds.Modality, ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "CT", "20260504", "082000", "A1"
    ds.SeriesNumber, ds.InstanceNumber = 1, number
    ds.ImagePositionPatient, ds.ImageOrientationPatient, ds.PixelSpacing = [0, 0, 5 * number], [1, 0, 0, 0, 1, 0], [1, 1]
    ds.Rows = ds.Columns = size
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleIntercept, ds.RescaleSlope = -1024, 1
    ds.PixelData = bytes((number + byte) % 16 if byte % 2 else byte % 256 for byte in range(size * size * 2))
    return ds


class PatientDevice:
    """A CT scanner that keeps what was not acknowledged and sends it again."""

    def __init__(self, port: int):
        self._port, self.acknowledged, self.statuses = port, set(), []
        self._entity = AE(AE_TITLE)
        self._entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
        self._entity.acse_timeout = self._entity.dimse_timeout = self._entity.network_timeout = 60

    def send(self, slices: list[Dataset], pause_s: float = 0.0, patience_s: float = 180) -> None:
        """Sends every slice until each has been answered with success."""
        deadline = time.monotonic() + patience_s
        while waiting := [ds for ds in slices if ds.SOPInstanceUID not in self.acknowledged]:
            assert time.monotonic() < deadline, f"{len(waiting)} slices were never acknowledged"
            association = self._entity.associate("127.0.0.1", self._port, ae_title="HUB", evt_handlers=REQUESTING)
            for ds in waiting:
                if not association.is_established:
                    time.sleep(0.1)
                    break
                status = association.send_c_store(ds).get("Status")
                self.statuses.append(status)
                if status == 0x0000:
                    self.acknowledged.add(str(ds.SOPInstanceUID))
                time.sleep(pause_s)
            if association.is_established:
                association.release()

    def send_once(self, ds: Dataset) -> int | None:
        association = self._entity.associate("127.0.0.1", self._port, ae_title="HUB", evt_handlers=REQUESTING)
        assert association.is_established
        status = association.send_c_store(ds).get("Status")
        association.release()
        return status
