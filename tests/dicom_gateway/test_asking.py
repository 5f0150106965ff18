"""A damaged original is asked of the node that sent it, and comes back: Orthanc as the sender, storescp as one that cannot."""
import pytest
from sqlalchemy import select

from hub.errors import Retryable
from hub.flow import administration, fixity, jobs
from hub.model.access import SYSTEM
from hub.storage.tables import damage, job
from tests.dicom_gateway.running import SENDER, as_file, slice_of_ct
from tests.dicom_gateway.test_orthanc import a_ct, county      # noqa: F401 (a fixture)

pytestmark = pytest.mark.peers


def damaged(gateway, sop_uid: str) -> int:
    """Turns a bit of an instance's file and lets the round find it; returns the job that it ordered."""
    path = gateway.hub.blobs.path(gateway.instance(sop_uid).sha256)
    content = bytearray(path.read_bytes())
    content[-3] ^= 0x10
    path.write_bytes(content)
    fixity.check_everything(gateway.hub, lambda done, of: None)
    with gateway.hub.reading() as connection:
        return connection.scalar(select(job.c.id).where(job.c.kind == "ask_again").order_by(job.c.id.desc()))


def asked(gateway):
    with gateway.hub.reading() as connection:
        return connection.execute(select(damage).order_by(damage.c.id.desc())).first()


def test_what_orthanc_sent_is_asked_of_it_again_and_is_whole(county):
    gateway, orthanc = county
    sent = a_ct(3)
    orthanc.ask("/modalities/hub/store", {"Resources": [orthanc.ask("/instances", as_file(one))["ID"] for one in sent], "Synchronous": True})
    before = gateway.kept(sent[1].SOPInstanceUID)
    job_id = damaged(gateway, sent[1].SOPInstanceUID)
    assert gateway.kept(sent[1].SOPInstanceUID) != before and len(fixity.damaged(gateway.hub, SYSTEM)) == 1
    assert jobs.perform(gateway.hub, job_id) == "done"
    assert gateway.kept(sent[1].SOPInstanceUID) == before
    assert fixity.damaged(gateway.hub, SYSTEM) == [] and asked(gateway).answer == "sent"


def test_what_nobody_can_be_asked_for_stays_named(gateway):
    ds = slice_of_ct()
    gateway.send(ds)
    assert jobs.perform(gateway.hub, damaged(gateway, ds.SOPInstanceUID)) == "done"
    assert asked(gateway).asked_at is None and asked(gateway).mended_at is None


def test_a_node_that_is_away_is_tried_again_and_one_without_the_service_says_so(gateway):
    from pynetdicom import AE
    from pynetdicom.sop_class import Verification

    from dicom_gateway.asking import ask_again
    listening = AE(ae_title=SENDER)
    listening.add_supported_context(Verification)
    server = listening.start_server(("127.0.0.1", 0), block=False)
    port = server.server_address[1]
    administration.add_destination(gateway.hub, SYSTEM, 1, "dicom", {"ae_title": SENDER, "host": "127.0.0.1", "port": port})
    ds = slice_of_ct()
    gateway.send(ds)
    job_id = damaged(gateway, ds.SOPInstanceUID)
    assert jobs.perform(gateway.hub, job_id) == "done" and asked(gateway).answer == "refused" and asked(gateway).asked_at is not None
    server.shutdown()
    with pytest.raises(Retryable):
        ask_again(gateway.hub, asked(gateway).id)
