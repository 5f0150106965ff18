"""A full disk: both doors refuse and say why, nothing is half there, and work goes on when there is room."""
import os
import subprocess

import pytest

from hub.storage.tables import instance
from tests.hub.arrivals import rows
from tests.hub.processes.house import House, PatientDevice, ct_slice, wait_for

pytestmark = pytest.mark.processes
CSV = ("I,II\n" + "\n".join(f"{(n % 50) / 100},{(n % 70) / 100}" for n in range(5000))).encode()


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("no right to mount a small disk here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def house(small_disk, databases):
    one = House(small_disk, databases.new(small_disk))
    one.start()
    yield one
    one.close()


def test_both_doors_refuse_for_want_of_room_and_take_everything_afterwards(house, small_disk):
    device = PatientDevice(house.settings.dicom_port)
    device.send([ct_slice(1, "1.2.3.4", 256)])
    assert house.health()["files"] == "low_space", "48 MB is little, and it is said before the doors refuse"
    filler = small_disk / "filler"
    with filler.open("wb") as file:
        while True:
            try:
                os.write(file.fileno(), b"x" * 65536)
            except OSError:
                break
    assert device.send_once(ct_slice(2, "1.2.3.4", 512)) == 0xA700
    assert house.post_ecg(CSV * 20) == 507
    assert house.health()["files"] == "out_of_space"
    assert [row.number for row in rows(house.hub, instance)] == [1]
    assert not list((small_disk / "data" / "blobs" / "incoming").iterdir()), "nothing half-written"
    filler.unlink()
    wait_for(lambda: house.health() and house.health()["files"] != "out_of_space")
    device.send([ct_slice(number, "1.2.3.4", 512) for number in (2, 3)])
    assert [row.number for row in rows(house.hub, instance)] == [1, 2, 3]
    assert all(house.hub.blobs.read(row.sha256) for row in rows(house.hub, instance))
