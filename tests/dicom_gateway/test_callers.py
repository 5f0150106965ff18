"""Who is let in, and what a caller that is not sees."""
import subprocess

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as FIND
from pynetdicom.sop_class import Verification

from hub.flow import devices
from hub.model.access import SYSTEM
from tests.dicom_gateway.running import SENDER, as_file, body, peer, running, slice_of_ct
from tests.dicom_gateway.test_hostile import wait_until
from tests.dicom_gateway.wire import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_RELEASE_RP, Wire, associate_rq

ECHO = (Verification, "1.2.840.10008.1.2")


def test_a_registered_device_is_echoed(gateway):
    association = gateway.associate(ECHO)
    assert association.send_c_echo().Status == 0x0000
    association.release()


def test_an_unknown_caller_is_refused_listed_and_let_in_once_registered(gateway):
    for _ in range(2):
        association = gateway.associate(ECHO, calling="NEW_DR")
        assert association.is_rejected
        assert association.acceptor.primitive.result == 0x01 and association.acceptor.primitive.diagnostic == 0x03
    waiting = [row for row in devices.unknown_callers(gateway.hub, SYSTEM) if row.ae_title == "NEW_DR"]
    assert len(waiting) == 1 and waiting[0].times == 2 and waiting[0].address == "127.0.0.1"
    devices.register(gateway.hub, SYSTEM, site_id=1, kind="dicom", name="新 DR", ae_title="NEW_DR")
    ds = slice_of_ct()
    assert gateway.send(ds, calling="NEW_DR") == [0x0000]
    assert not [row for row in devices.unknown_callers(gateway.hub, SYSTEM) if row.ae_title == "NEW_DR"]
    assert gateway.instance(ds.SOPInstanceUID).calling == "NEW_DR"


def test_a_known_title_at_another_address_is_refused(gateway):
    devices.register(gateway.hub, SYSTEM, site_id=1, kind="dicom", name="定址", ae_title="FIXED_AT", address="10.9.8.7")
    assert gateway.associate(ECHO, calling="FIXED_AT").is_rejected
    assert "FIXED_AT" in {row.ae_title for row in devices.unknown_callers(gateway.hub, SYSTEM)}


def test_a_device_that_was_shut_out_is_refused_until_it_is_let_in_again(gateway):
    device_id, _ = devices.register(gateway.hub, SYSTEM, site_id=1, kind="dicom", name="停用", ae_title="ON_OFF")
    devices.set_active(gateway.hub, SYSTEM, device_id, False)
    assert gateway.associate(ECHO, calling="ON_OFF").is_rejected
    devices.set_active(gateway.hub, SYSTEM, device_id, True)
    association = gateway.associate(ECHO, calling="ON_OFF")
    assert association.is_established
    association.release()


@pytest.mark.parametrize("calling", [SENDER, "NUL_STRANGER"])
def test_a_title_filled_with_nul_is_the_title_without(gateway, calling):
    request = associate_rq(calling, "HUB", [(1, Verification, "1.2.840.10008.1.2")], 16384)
    for title in ("HUB", calling):
        request = request.replace(title.encode().ljust(16), title.encode().ljust(16, b"\0"))
    with Wire(gateway.port) as device:
        device.socket.sendall(request)
        assert device.answer()[0] == (A_ASSOCIATE_AC if calling == SENDER else A_ASSOCIATE_RJ)
        if calling == SENDER:
            assert device.release() == A_RELEASE_RP
    assert (calling in {row.ae_title for row in devices.unknown_callers(gateway.hub, SYSTEM)}) == (calling != SENDER)


def test_any_called_title_reaches_the_hub(gateway):
    """Township devices are often set up with a title of their own choice; the caller is what counts."""
    ds = slice_of_ct()
    assert gateway.send(ds, called="ANY_SCP") == [0x0000]


def test_a_context_that_is_no_storage_is_refused_and_the_others_stay(gateway):
    ds = slice_of_ct()
    association = gateway.associate(("1.2.840.10008.1.9", ExplicitVRLittleEndian), (ds.SOPClassUID, ExplicitVRLittleEndian), ECHO)
    assert association.is_established
    assert association.send_c_store(ds).Status == 0x0000
    assert association.send_c_echo().Status == 0x0000
    association.release()


def test_associations_beyond_the_limit_are_refused_for_now_and_let_in_when_one_has_ended(tmp_path):
    with running(tmp_path / "data", dicom_associations=2) as own:
        one, two, let_in = own.associate(ECHO), own.associate(ECHO), []
        third = own.associate(ECHO)
        assert third.is_rejected
        assert (third.acceptor.primitive.result, third.acceptor.primitive.result_source, third.acceptor.primitive.diagnostic) == (2, 3, 2)
        one.release()
        wait_until(lambda: (again := own.associate(ECHO)).is_established and let_in.append(again) is None)
        (again,) = let_in
        assert two.send_c_echo().Status == 0
        again.release()
        two.release()


@pytest.mark.peers
def test_echoscu_is_answered(gateway):
    subprocess.run([peer("echoscu"), "-aet", SENDER, "-aec", "HUB", "127.0.0.1", str(gateway.port)], check=True, timeout=120)


@pytest.mark.peers
def test_echoscu_of_an_unknown_caller_fails_and_says_why(gateway):
    done = subprocess.run([peer("echoscu"), "-aet", "STRANGER", "-aec", "HUB", "127.0.0.1", str(gateway.port)],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode != 0 and "Calling AE Title Not Recognized" in done.stdout + done.stderr


def test_what_an_unknown_device_sends_is_held_where_the_settings_say_so(tmp_path):
    with running(tmp_path, unknown_callers="hold") as gateway:
        ds = slice_of_ct(1, "1.2.7", "1.2.7.1")
        assert gateway.send(ds, calling="STRANGER") == [0xC000]            # the sender keeps it
        (row,) = gateway.held("unregistered_device")
        assert gateway.hub.blobs.read(row.sha256).endswith(body(as_file(ds))) and row.device_id is row.site_id is None
        assert (row.facts["calling"], row.facts["address"], row.facts["study_uid"]) == ("STRANGER", "127.0.0.1", "1.2.7")
        assert gateway.instance(ds.SOPInstanceUID) is None and devices.unknown_callers(gateway.hub, SYSTEM)[0].ae_title == "STRANGER"
        gateway.send(slice_of_ct(1, "1.2.8", "1.2.8.1"))
        association = gateway.associate((FIND, ExplicitVRLittleEndian), calling="STRANGER")
        asking = Dataset()
        asking.QueryRetrieveLevel, asking.StudyInstanceUID = "STUDY", ""
        assert [answer for _, answer in association.send_c_find(asking, FIND) if answer is not None] == []
        association.release()
