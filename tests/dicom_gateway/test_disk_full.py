"""No room: "out of resources", nothing half-written, and the sender's next try succeeds once there is room."""
import os
import subprocess
from contextlib import contextmanager
from time import sleep

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from hub.storage.blobs import ROOM_S
from tests.dicom_gateway.running import body, as_file, running, slice_of_ct

OUT_OF_RESOURCES = 0xA700


@contextmanager
def small_disk(folder, megabytes: int):
    """A file system of its own, so that it can really be full."""
    folder.mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount a small file system: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("where", ["blobs", ""], ids=["the blobs' disk", "the disk of blobs and database"])
def test_a_full_disk_is_answered_out_of_resources_and_loses_nothing(tmp_path, where):
    with small_disk(tmp_path / "data" / where if where else tmp_path / "data", 12), running(tmp_path / "data") as own:
        association = own.associate((slice_of_ct().SOPClassUID, ExplicitVRLittleEndian))
        sent = [slice_of_ct(n, side=512) for n in range(1, 40)]
        answers = {ds.SOPInstanceUID: association.send_c_store(ds).Status for ds in sent}
        assert set(answers.values()) == {0x0000, OUT_OF_RESOURCES}
        assert association.is_established, "the association should live on"
        assert own.half_written() == []
        for ds in sent:
            if answers[ds.SOPInstanceUID] == 0:
                assert body(own.kept(ds.SOPInstanceUID)) == body(as_file(ds))
            else:
                assert own.instance(ds.SOPInstanceUID) is None
        association.release()
        subprocess.run(["mount", "-o", "remount,size=200m", tmp_path / "data" / where], check=True)
        assert own.send(*sent) == [0x0000] * len(sent)
        assert all(body(own.kept(ds.SOPInstanceUID)) == body(as_file(ds)) for ds in sent)


def test_below_the_floor_objects_are_refused_before_the_disk_is_full(tmp_path):
    with running(tmp_path / "data", free_space_floor_mb=10**7) as own:
        ds, other = slice_of_ct(), slice_of_ct()
        assert own.send(ds, other) == [OUT_OF_RESOURCES, OUT_OF_RESOURCES]
        assert own.half_written() == [] and own.instance(ds.SOPInstanceUID) is None


def test_the_doors_open_again_when_there_is_room_above_the_floor(tmp_path):
    with small_disk(tmp_path / "data", 200), running(tmp_path / "data", free_space_floor_mb=100) as own:
        assert own.send(slice_of_ct()) == [0x0000]
        for size, answer in ((60, OUT_OF_RESOURCES), (200, 0x0000)):
            subprocess.run(["mount", "-o", f"remount,size={size}m", tmp_path / "data"], check=True)
            sleep(2 * ROOM_S)                 # what was seen to be free counts for that long
            ds = slice_of_ct()
            assert own.send(ds) == [answer] and (own.instance(ds.SOPInstanceUID) is not None) == (answer == 0)
        assert own.half_written() == [] and body(own.kept(ds.SOPInstanceUID)) == body(as_file(ds))


def test_an_object_beyond_the_limit_is_refused_and_its_bytes_are_not_kept(tmp_path):
    with running(tmp_path / "data", largest_object_mb=1) as own:
        big, small = slice_of_ct(side=1024), slice_of_ct()
        assert own.send(big, small) == [OUT_OF_RESOURCES, 0x0000]
        assert own.half_written() == []
        assert sum(1 for _ in own.hub.blobs.folder.glob("??/*")) == 1


def test_a_fault_of_the_disk_in_mid_object_is_answered_and_the_association_lives_on(own_gateway, monkeypatch):
    from hub.storage import blobs
    ds, fault = slice_of_ct(), {"left": 1}

    def fsync(handle, real=os.fsync):
        if fault["left"]:
            fault["left"] -= 1
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(blobs.os, "fsync", fsync)
    assert own_gateway.send(ds, ds) == [OUT_OF_RESOURCES, 0x0000]
    assert own_gateway.half_written() == []
