"""kill -9 while senders send: everything that was answered with success is there and readable afterwards."""
import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from pydicom.uid import generate_uid

from hub.context import open_hub
from hub.flow import administration, devices
from hub.model.access import SYSTEM
from hub.settings import Settings
from hub.storage import migration
from tests.dicom_gateway.running import SENDER, Gateway, as_file, body, slice_of_ct
from tests.dicom_gateway.wire import A_ASSOCIATE_AC, Wire

ROUNDS, SENDERS = 3, 6


@pytest.mark.processes
def test_what_was_acknowledged_survives_kill_9_under_load(tmp_path, databases):
    hub = open_hub(Settings(data_dir=str(tmp_path), database_url=databases.new(tmp_path), free_space_floor_mb=0))
    migration.migrate(hub.engine)
    site = administration.create_site(hub, SYSTEM, code="QS", name="青山镇卫生院")
    devices.register(hub, SYSTEM, site_id=site, kind="dicom", name="CT", ae_title=SENDER)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    dice, acknowledged = random.Random(7), {}
    for _ in range(ROUNDS):
        process = _start(hub.settings, port)
        senders = [threading.Thread(target=_send_until_it_dies, args=(port, acknowledged)) for _ in range(SENDERS)]
        for one in senders:
            one.start()
        before = len(acknowledged)
        until = time.monotonic() + 60
        while len(acknowledged) < before + 20 and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(dice.random() * 0.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for one in senders:
            one.join()
        assert len(acknowledged) > before, "nothing was sent before the kill: the test proves nothing"
    process = _start(hub.settings, port)
    try:
        after = Gateway(hub, port, None)
        assert after.send(slice_of_ct()) == [0x0000]
        for sop_uid in acknowledged:
            row = after.instance(sop_uid)
            assert row is not None, f"{sop_uid} was acknowledged and is gone"
            assert hashlib.sha256(hub.blobs.read(row.sha256)).hexdigest() == row.sha256
        for sop_uid, ds in list(acknowledged.items())[-5:]:
            assert after.send(ds) == [0x0000] and after.study(ds.StudyInstanceUID) is not None
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        hub.close()


def _start(settings: Settings, port: int) -> subprocess.Popen:
    environment = dict(os.environ, HUB_DATA_DIR=settings.data_dir, HUB_DATABASE_URL=settings.database_url, HUB_DICOM_PORT=str(port), HUB_DICOM_HOST="127.0.0.1",
                       HUB_FREE_SPACE_FLOOR_MB="0")
    process = subprocess.Popen([sys.executable, "-m", "hub", "gateway"], env=environment, cwd=os.getcwd(),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return process
        except OSError:
            assert time.monotonic() < until and process.poll() is None, "the gateway did not start"
            time.sleep(0.05)


def _send_until_it_dies(port: int, acknowledged: dict) -> None:
    study_uid, number = generate_uid(), 0
    with Wire(port) as wire:
        try:
            assert wire.associate(SENDER) == A_ASSOCIATE_AC
            while True:
                number += 1
                ds = slice_of_ct(number, study_uid, side=64)
                wire.c_store_begins(ds.SOPInstanceUID)
                wire.data(body(as_file(ds)), last=True)
                if wire.status() == 0x0000:
                    acknowledged[ds.SOPInstanceUID] = ds
        except (OSError, AssertionError):
            return          # the gateway was killed
