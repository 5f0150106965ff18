"""kill -9 and power cuts while senders send: what was answered with success is there and readable afterwards."""
import random
import time

import pytest

from hub.context import open_hub
from hub.settings import Settings
from tests.dicom_gateway import faults
from tests.dicom_gateway.running import Gateway, slice_of_ct

KILLS, CUTS, SENDERS = 20, 3, 16


@pytest.mark.processes
def test_what_was_acknowledged_survives_kill_9_under_load(tmp_path, databases):
    settings = Settings(data_dir=str(tmp_path), database_url=databases.new(tmp_path), free_space_floor_mb=0)
    gateway, dice = faults.prepared(settings), random.Random(7)

    def at_a_random_moment():
        time.sleep(dice.random() * 0.2)
        gateway.kill()

    for _ in range(KILLS):
        gateway.start()
        gateway.load(SENDERS, 20, at_a_random_moment)
    gateway.start()
    hub = open_hub(settings)
    try:
        assert faults.lost(hub, gateway.acknowledged) == []
        assert Gateway(hub, gateway.port, None).send(slice_of_ct()) == [0x0000]
    finally:
        gateway.stop()
        hub.close()


@pytest.fixture
def disk(tmp_path):
    try:
        with faults.disk(tmp_path) as made:
            yield made
    except OSError as error:
        pytest.skip(f"cannot mount a file system of its own: {error}")


def test_what_was_acknowledged_survives_a_power_cut_under_load(disk):
    settings = Settings(data_dir=str(disk.folder / "data"), free_space_floor_mb=0)
    gateway = faults.prepared(settings)
    for _ in range(CUTS):
        faults.cut_once(disk, gateway, SENDERS, 60)
        hub = open_hub(settings)
        assert faults.lost(hub, gateway.acknowledged) == []
        hub.close()


def test_a_gateway_that_does_not_synchronise_is_caught_by_the_power_cut(disk):
    """The fault, planted: so that the test above can fail."""
    settings = Settings(data_dir=str(disk.folder / "data"), free_space_floor_mb=0)
    gateway = faults.prepared(settings, prelude=faults.FORGETFUL)
    faults.cut_once(disk, gateway, SENDERS, 60)
    hub = open_hub(settings)
    assert faults.lost(hub, gateway.acknowledged) != []
    hub.close()
