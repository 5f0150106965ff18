"""A gateway in a process of its own under load, what it has acknowledged, and a disk that can lose its power."""
import fcntl
import hashlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.uid import generate_uid
from sqlalchemy import select

from hub.context import Hub, open_hub
from hub.flow import administration, devices
from hub.model.access import SYSTEM
from hub.settings import Settings
from hub.storage import migration, tables
from tests.dicom_gateway.running import SENDER, as_file, body, slice_of_ct
from tests.dicom_gateway.wire import A_ASSOCIATE_AC, Wire
from tests.ports import free_port

GENEROUS_S = 120
EXT4_SHUTDOWN, WITHOUT_FLUSH = 0x8004587D, 2      # EXT4_IOC_SHUTDOWN and EXT4_GOING_FLAGS_NOLOGFLUSH of the Linux kernel
# A program that does not synchronise, nor ask the disk to begin, to see the check fail.
FORGETFUL = "import os; from hub.storage import blobs; os.fsync = os.fdatasync = blobs.begin_to_write = lambda _: None; "


@dataclass
class Gateway:
    """One gateway after another on the same data; ``acknowledged``: SOP instance UID to SHA-256 of the data set."""

    settings: Settings
    port: int
    acknowledged: dict[str, str] = field(default_factory=dict)
    prelude: str = ""
    process: subprocess.Popen | None = None

    def start(self) -> None:
        settings = self.settings
        environment = dict(os.environ, HUB_DATA_DIR=settings.data_dir, HUB_DATABASE_URL=settings.database_url, HUB_DICOM_PORT=str(self.port),
                           HUB_DICOM_HOST="127.0.0.1", HUB_FREE_SPACE_FLOOR_MB="0")
        program = f"{self.prelude}import runpy, sys; sys.argv[1:] = ['gateway']; runpy.run_module('hub', run_name='__main__')"
        self.process = subprocess.Popen([sys.executable, "-c", program], env=environment, cwd=Path(__file__).resolve().parents[2],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + GENEROUS_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < until and self.process.poll() is None, "the gateway did not start"
                time.sleep(0.05)

    def load(self, senders: int, enough: int, then, side: int = 64) -> None:
        """Has ``senders`` send at once; when ``enough`` more are acknowledged, calls ``then``, and waits until every
        sender has noticed."""
        before = len(self.acknowledged)
        threads = [threading.Thread(target=self._send, args=(side,), daemon=True) for _ in range(senders)]
        for one in threads:
            one.start()
        until = time.monotonic() + GENEROUS_S
        while len(self.acknowledged) < before + enough:
            assert time.monotonic() < until, "too little was sent before the fault: it proves nothing"
            time.sleep(0.01)
        then()
        for one in threads:
            one.join(GENEROUS_S)
            assert not one.is_alive()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=GENEROUS_S) == 0

    def _send(self, side: int) -> None:
        study_uid, series_uid, number = generate_uid(), generate_uid(), 0
        try:
            with Wire(self.port) as wire:
                assert wire.associate(SENDER) == A_ASSOCIATE_AC
                while True:
                    number += 1
                    ds = slice_of_ct(number, study_uid, series_uid, side=side)
                    sent = body(as_file(ds))
                    wire.c_store_begins(ds.SOPInstanceUID)
                    for place in range(0, len(sent), 100_000):
                        wire.data(sent[place:place + 100_000], last=place + 100_000 >= len(sent))
                    if wire.status() == 0x0000:
                        self.acknowledged[ds.SOPInstanceUID] = hashlib.sha256(sent).hexdigest()
        except (OSError, AssertionError):
            return          # the gateway is gone


def prepared(settings: Settings, prelude: str = "") -> Gateway:
    """A hub with one registered sender, and its gateway, not yet started."""
    hub = open_hub(settings)
    migration.migrate(hub.engine)
    site = administration.create_site(hub, SYSTEM, code="QS", name="青山镇卫生院")
    devices.register(hub, SYSTEM, site_id=site, kind="dicom", name="CT", ae_title=SENDER)
    hub.close()
    port = free_port()
    return Gateway(settings, port, prelude=prelude)


def lost(hub: Hub, acknowledged: dict[str, str]) -> list[str]:
    """What was acknowledged and is not there bit for bit, and every row whose blob is missing or damaged."""
    missing = dict(acknowledged)
    faults = []
    with hub.reading() as connection:
        rows = connection.execute(select(tables.instance.c.sop_uid, tables.instance.c.sha256)).all()
    for row in rows:
        path = hub.blobs.path(row.sha256)
        content = path.read_bytes() if path.exists() else b""
        if hashlib.sha256(content).hexdigest() != row.sha256:
            faults.append(f"{row.sop_uid}: a row without its blob")
        elif hashlib.sha256(body(content)).hexdigest() == missing.get(row.sop_uid):
            del missing[row.sop_uid]
    return faults + [f"{uid}: acknowledged and gone" for uid in missing]


class Disk:
    """An ext4 file system in a file. A power cut drops whatever was not brought to the device by then."""

    def __init__(self, place: Path, megabytes: int):
        self.image, self.folder = place / "disk.img", place / "disk"
        self.folder.mkdir(parents=True)
        with self.image.open("wb") as file:
            file.truncate(megabytes << 20)
        self._run("mkfs.ext4", "-q", "-F", str(self.image))
        self.mount()

    def mount(self) -> None:
        self._run("mount", "-o", "loop", str(self.image), str(self.folder))

    def cut_power(self) -> None:
        """From this moment nothing reaches the device; what is only in memory is lost."""
        handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(handle, EXT4_SHUTDOWN, struct.pack("I", WITHOUT_FLUSH))
        finally:
            os.close(handle)

    def unmount(self) -> None:
        self._run("umount", str(self.folder))

    @staticmethod
    def _run(*command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise OSError(f"{command[0]}: {done.stderr.strip()}")


@contextmanager
def disk(place: Path, megabytes: int = 256):
    """A mounted Disk that is gone at the end. OSError where one may not be mounted."""
    made = Disk(place, megabytes)
    try:
        yield made
    finally:
        subprocess.run(["umount", "-l", str(made.folder)], capture_output=True)
        made.image.unlink()


def cut_once(own: Disk, gateway: Gateway, senders: int, enough: int, side: int = 64) -> None:
    """One power cut under load; afterwards the disk is mounted again as after a restart. What counts is what was
    acknowledged when the power went: no answer leaves a machine afterwards, but here the processes live on for a moment."""
    gateway.start()
    until_then: dict[str, str] = {}

    def cut():
        until_then.update(gateway.acknowledged)
        own.cut_power()
        gateway.kill()

    gateway.load(senders, enough, cut, side)
    gateway.acknowledged.clear()
    gateway.acknowledged.update(until_then)
    own.unmount()
    own.mount()
