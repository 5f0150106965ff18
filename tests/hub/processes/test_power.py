"""kill -9 of any process at work: nothing acknowledged is missing, the study goes on, one report goes out."""
import os
import signal
import subprocess
import time
import uuid
from threading import Thread

import pytest

from hub.flow import reporting, worklist
from hub.flow.administration import verify_audit
from hub.storage.tables import delivery, instance, reading, receipt, report, study
from tests.hub.arrivals import WORDS, rows
from tests.hub.processes.house import House, PatientDevice, ct_slice, wait_for

pytestmark = pytest.mark.processes
SLICES = 16


@pytest.fixture(scope="module")
def house(tmp_path_factory, databases):
    folder = tmp_path_factory.mktemp("house")
    one = House(folder, databases.new(folder))
    one.start()
    yield one
    one.close()


def new_study() -> list:
    uid = f"1.2.826.{uuid.uuid4().int % 10**12}"
    return [ct_slice(number, uid) for number in range(1, SLICES + 1)]


def the_study(house, slices):
    found = rows(house.hub, study, study.c.study_uid == str(slices[0].StudyInstanceUID))
    return found[0] if found else None


def ready(house, slices):
    """The study's row once it is ready with all its slices."""
    row = wait_for(lambda: (row := the_study(house, slices)) and row.state == "ready" and row.instances == SLICES and row)
    assert row.problems == [] and row.proof["received"] == SLICES
    return row


def everything_acknowledged_is_there(house, device) -> bool:
    kept = {row.sop_uid: row for row in rows(house.hub, instance)}
    return device.acknowledged <= kept.keys() and all(house.hub.blobs.read(kept[uid].sha256) for uid in device.acknowledged)


@pytest.mark.parametrize("victim", ["gateway", "worker", "web", "redis", "scheduler", "supervisor"])
def test_nothing_acknowledged_is_missing_after_kill_9(house, victim):
    slices, device = new_study(), PatientDevice(house.settings.dicom_port)
    sender = Thread(target=device.send, args=(slices, 0.02))
    sender.start()
    wait_for(lambda: len(device.acknowledged) >= 8)
    house.kill(victim)
    if victim == "supervisor":
        house.start()
    sender.join(180)
    assert len(device.acknowledged) == SLICES
    row = ready(house, slices)
    assert everything_acknowledged_is_there(house, device)
    assert len(rows(house.hub, reading, reading.c.study_id == row.id)) == 1
    wait_for(house.is_up)
    assert verify_audit(house.hub).broken_at is None


@pytest.mark.parametrize("victim", ["worker", "redis"])
def test_a_report_signed_while_a_process_dies_goes_out_once(house, victim):
    slices, device = new_study(), PatientDevice(house.settings.dicom_port)
    device.send(slices)
    row = ready(house, slices)
    (waiting,) = rows(house.hub, reading, reading.c.study_id == row.id)
    worklist.claim(house.hub, house.reader, waiting.id)
    reporting.save_draft(house.hub, house.reader, waiting.id, 0, WORDS)
    reporting.submit(house.hub, house.reader, waiting.id)
    report_id = reporting.sign(house.hub, house.reviewer, waiting.id)
    time.sleep(0.4)      # somewhere in the making of the letter
    house.kill(victim)
    (sent,) = wait_for(lambda: rows(house.hub, delivery, delivery.c.report_id == report_id, delivery.c.state == "delivered"))
    assert sent.pdf_sha256 == rows(house.hub, report, report.c.id == report_id)[0].pdf_sha256
    assert [one.outcome for one in rows(house.hub, receipt, receipt.c.delivery_id == sent.id)][-1] == "delivered"
    assert house.hub.blobs.read(sent.pdf_sha256).startswith(b"%PDF")


def test_while_redis_hangs_intake_goes_on_and_the_study_is_prepared_afterwards(house):
    wait_for(house.is_up)
    redis = house.number("redis")
    os.kill(redis, signal.SIGSTOP)
    try:
        slices, device = new_study(), PatientDevice(house.settings.dicom_port)
        device.send(slices)
        wait_for(lambda: the_study(house, slices).state == "complete")
        assert house.health()["redis"] == "away"
    finally:
        os.kill(redis, signal.SIGCONT)
    ready(house, slices)


def test_a_second_hub_on_the_same_folder_is_refused_in_one_sentence(house):
    words = subprocess.run(house.process.args, cwd=house.folder, env=os.environ | house.variables | {"PYTHONPATH": os.getcwd()},
                           capture_output=True, text=True, timeout=120)
    assert words.returncode == 2 and "another hub is running" in words.stderr


def test_ctrl_c_ends_every_process_and_a_second_start_keeps_the_data(house):
    before, children = len(rows(house.hub, instance)), house.children()
    assert house.stop() == 0
    assert not [name for name, number in children.items() if os.path.exists(f"/proc/{number}")]
    assert not house.listens() and house.health() is None
    house.start()
    assert len(rows(house.hub, instance)) == before > 0
