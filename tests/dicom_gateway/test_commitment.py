"""Storage commitment: only what is safe is committed, and the answer reaches the device that asked."""
import queue
import ssl
import threading
import time
from io import BytesIO

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pynetdicom import AE, evt
from pynetdicom.acse import ACSE
from pynetdicom.dimse_primitives import N_ACTION
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import A_RELEASE
from pynetdicom.sop_class import StorageCommitmentPushModel as PUSH
from pynetdicom.sop_class import StorageCommitmentPushModelInstance as INSTANCE
from sqlalchemy import select

from dicom_gateway.requesting import REQUESTING
from dicom_gateway.services import commitment
from hub.flow import administration, certificates, devices, jobs
from hub.model.access import SYSTEM
from hub.storage import tables
from tests.dicom_gateway.running import SENDER, running, slice_of_ct
from tests.dicom_gateway.test_tls import free_port

WAIT_S = GENEROUS_S = 120


class Modality:
    """A device that asks for commitment; the reports that it was given, and has answered, are in ``reports``."""

    def __init__(self, answer: int = 0x0000):
        self.reports, self.answer = queue.Queue(), answer
        self._unanswered = {}
        self.handlers = [(evt.EVT_N_EVENT_REPORT, self.take), (evt.EVT_PDU_SENT, self.sent)]

    def take(self, event):
        self._unanswered[event.assoc] = event.event_type, event.event_information
        return self.answer, None

    def sent(self, event):
        """pynetdicom answers reports from a thread of its own: a release must not overtake the answer."""
        if isinstance(event.pdu, P_DATA_TF) and event.assoc in self._unanswered:
            self.reports.put(self._unanswered.pop(event.assoc))

    def associate(self, gateway, calling=SENDER):
        entity = AE(ae_title=calling)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = GENEROUS_S
        entity.add_requested_context(PUSH)
        entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
        association = entity.associate("127.0.0.1", gateway.port, ae_title="HUB", evt_handlers=[*self.handlers, *REQUESTING])
        assert association.is_established
        return association

    def ask(self, gateway, *references, calling=SENDER):
        """Asks over an association, waits there for the report, and returns its type and contents."""
        association = self.associate(gateway, calling)
        transaction = action(*references)
        status, _ = association.send_n_action(transaction, 1, PUSH, INSTANCE)
        assert status.Status == 0x0000
        kind, report = self.reports.get(timeout=WAIT_S)
        association.release()
        assert report.TransactionUID == transaction.TransactionUID
        return kind, report

    def asks_and_leaves(self, gateway, uid: str) -> Dataset:
        """Asks, and aborts as soon as the request was answered; returns what it asked. A report that comes before is not answered."""
        association = self.associate(gateway)
        association._serve_request = lambda message, context_id: None
        association._reactor_checkpoint.clear()          # its thread takes no answer away
        request = N_ACTION()
        request.MessageID, request.RequestedSOPClassUID, request.RequestedSOPInstanceUID, request.ActionTypeID = 1, PUSH, INSTANCE, 1
        transaction = action((CTImageStorage, uid))
        request.ActionInformation = _encoded(transaction)
        association.dimse.send_msg(request, 1)
        association.dimse.get_msg(block=True)
        association._reactor_checkpoint.set()
        association.abort()
        return transaction


def commitments_of(hub) -> list:
    with hub.reading() as connection:
        return list(connection.execute(select(tables.commitment).order_by(tables.commitment.c.id)))


def calls(hub) -> list:
    """The calls that are due."""
    with hub.reading() as connection:
        return list(connection.execute(select(tables.job).where(
            tables.job.c.kind == "call_back", tables.job.c.state == "due", tables.job.c.due_at <= hub.now()).order_by(tables.job.c.id)))


def work(hub) -> list[str]:
    """What a worker does with them."""
    return [jobs.perform(hub, one.id) for one in calls(hub)]


def until(holds) -> None:
    """Waits for a condition, generously."""
    limit = time.monotonic() + GENEROUS_S
    while not holds():
        assert time.monotonic() < limit, "it never came to that"
        time.sleep(0.02)


def action(*references) -> Dataset:
    told = Dataset()
    told.TransactionUID = generate_uid()
    told.ReferencedSOPSequence = []
    for sop_class, uid in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        told.ReferencedSOPSequence.append(item)
    return told


def named(sequence) -> list:
    return [(item.ReferencedSOPInstanceUID, item.get("FailureReason")) for item in sequence]


def stored(gateway, count: int = 1, **how) -> list[str]:
    sent = [slice_of_ct(n, side=2) for n in range(count)]
    assert set(gateway.send(*sent, **how)) == {0}
    return [str(ds.SOPInstanceUID) for ds in sent]


def test_what_is_safe_is_committed_over_the_same_association_and_noted(gateway):
    uids = stored(gateway, 5)
    kind, report = Modality().ask(gateway, *((CTImageStorage, uid) for uid in uids))
    assert kind == 1 and named(report.ReferencedSOPSequence) == [(uid, None) for uid in uids] and "FailedSOPSequence" not in report
    with gateway.hub.reading() as connection:
        entry = connection.execute(select(tables.audit).where(tables.audit.c.action == "study.committed").order_by(tables.audit.c.seq.desc())).first()
    assert (entry.role, entry.object_id) == ("device", report.TransactionUID[:64]) and '"kept": 5' in entry.detail


def test_what_is_missing_damaged_or_of_another_class_is_named_with_its_reason(own_gateway):
    good, damaged, gone, other, same_size = stored(own_gateway, 5)
    path = {uid: own_gateway.hub.blobs.path(own_gateway.instance(uid).sha256) for uid in (damaged, gone, same_size)}
    path[damaged].write_bytes(path[damaged].read_bytes()[:-1])
    path[same_size].write_bytes(path[same_size].read_bytes()[:-1] + b"\xee")
    path[gone].unlink()
    kind, report = Modality().ask(own_gateway, *((CTImageStorage, uid) for uid in (good, damaged, gone, same_size, "1.2.3.4.5")), (MRImageStorage, other))
    assert kind == 2 and named(report.ReferencedSOPSequence) == [(good, None)]
    assert dict(named(report.FailedSOPSequence)) == {damaged: 0x0110, gone: 0x0110, same_size: 0x0110, "1.2.3.4.5": 0x0112, other: 0x0119}


def test_a_neighbours_instance_is_not_committed(gateway):
    other = administration.create_site(gateway.hub, SYSTEM, code="HS", name="黑水镇卫生院")
    devices.register(gateway.hub, SYSTEM, site_id=other, kind="dicom", name="黑水 DR", ae_title="HEISHUI_DR")
    (uid,) = stored(gateway)
    kind, report = Modality().ask(gateway, (CTImageStorage, uid), calling="HEISHUI_DR")
    assert kind == 2 and named(report.FailedSOPSequence) == [(uid, 0x0112)]


def test_more_references_than_one_query_holds_are_all_answered(gateway):
    (uid,) = stored(gateway)
    kind, report = Modality().ask(gateway, *((CTImageStorage, f"1.2.3.{n}") for n in range(1200)), (CTImageStorage, uid))
    assert kind == 2 and len(report.FailedSOPSequence) == 1200 and named(report.ReferencedSOPSequence) == [(uid, None)]


def test_store_and_commitment_take_turns_on_one_association(gateway):
    modality = Modality()
    association = modality.associate(gateway)
    for number in range(3):
        ds = slice_of_ct(number, side=2)
        assert association.send_c_store(ds).Status == 0
        status, _ = association.send_n_action(action((CTImageStorage, ds.SOPInstanceUID)), 1, PUSH, INSTANCE)
        assert status.Status == 0
        kind, report = modality.reports.get(timeout=WAIT_S)
        assert kind == 1 and named(report.ReferencedSOPSequence) == [(ds.SOPInstanceUID, None)]
    association.release()


@pytest.mark.parametrize("answer", [0x0000, 0x0110], ids=["taken", "refused"])
def test_a_device_that_answered_the_report_is_not_called_back(own_gateway, answer):
    (uid,) = stored(own_gateway)
    called = Modality()
    with Node(own_gateway, called):
        assert Modality(answer).ask(own_gateway, (CTImageStorage, uid))[0] == 1
        until(lambda: not own_gateway.server.active_associations)
        (row,) = commitments_of(own_gateway.hub)
        assert (row.state, row.attempts, row.named, row.count) == ("delivered", 0, {}, 1) and calls(own_gateway.hub) == []
    assert called.reports.empty()


def test_an_answer_that_comes_together_with_the_release_counts(own_gateway, monkeypatch):
    """Between the gateway's look for messages and its look for a release both may come."""
    judged, tell, look = threading.Event(), commitment.event_type, ACSE.is_release_requested

    def both_are_there(association) -> bool:
        return not association.dimse.msg_queue.empty() and isinstance(association.dul.peek_next_pdu(), A_RELEASE)

    def late(acse) -> bool:
        if acse.assoc.is_acceptor and judged.is_set():
            until(lambda: both_are_there(acse.assoc))
        return look(acse)
    monkeypatch.setattr(commitment, "event_type", lambda report: (judged.set(), tell(report))[1])
    monkeypatch.setattr(ACSE, "is_release_requested", late)
    (uid,) = stored(own_gateway)
    assert Modality().ask(own_gateway, (CTImageStorage, uid))[0] == 1
    until(lambda: not own_gateway.server.active_associations)
    assert commitments_of(own_gateway.hub)[0].state == "delivered" and calls(own_gateway.hub) == []


def test_a_device_that_left_at_once_is_called_back_at_its_registered_node(own_gateway):
    (uid,) = stored(own_gateway)
    called, modality = Modality(), Modality()
    with Node(own_gateway, called):
        transaction = modality.asks_and_leaves(own_gateway, uid)
        until(lambda: calls(own_gateway.hub))
        work(own_gateway.hub)
        kind, report = called.reports.get(timeout=WAIT_S)
    assert kind == 1 and report.TransactionUID == transaction.TransactionUID and named(report.ReferencedSOPSequence) == [(uid, None)]


def test_a_device_that_releases_at_once_gets_its_report_here_or_there(own_gateway):
    """Perhaps twice: where its answer was overtaken by the release, it is called back."""
    uids = stored(own_gateway, 3)
    modality, asked, told = Modality(), [], []

    def is_told() -> bool:
        work(own_gateway.hub)
        while not modality.reports.empty():
            kind, report = modality.reports.get()
            assert kind == 1 and report.TransactionUID in asked
            told.append(report.TransactionUID)
        return asked[-1] in told
    with Node(own_gateway, modality):
        for _ in range(5):
            association = modality.associate(own_gateway)
            transaction = action(*((CTImageStorage, uid) for uid in uids))
            asked.append(transaction.TransactionUID)
            assert association.send_n_action(transaction, 1, PUSH, INSTANCE)[0].Status == 0
            association.release()
            until(is_told)


@pytest.mark.parametrize("change, status", [
    (lambda told: delattr(told, "TransactionUID"), 0x0115), (lambda told: setattr(told, "TransactionUID", ""), 0x0115),
    (lambda told: delattr(told, "ReferencedSOPSequence"), 0x0115), (lambda told: setattr(told, "ReferencedSOPSequence", []), 0x0115),
    (lambda told: delattr(told.ReferencedSOPSequence[0], "ReferencedSOPInstanceUID"), 0x0115)], ids=range(5))
def test_a_request_that_cannot_be_understood_is_refused(gateway, change, status):
    told = action((CTImageStorage, "1.2.3"))
    change(told)
    association = Modality().associate(gateway)
    assert association.send_n_action(told, 1, PUSH, INSTANCE)[0].Status == status
    assert association.send_n_action(action((CTImageStorage, "1.2.3")), 2, PUSH, INSTANCE)[0].Status == 0x0123
    assert association.send_n_action(action((CTImageStorage, "1.2.3")), 1, PUSH, "1.2.3")[0].Status == 0x0112
    association.release()


def test_references_that_are_no_uids_match_nothing(gateway):
    stored(gateway)
    kind, report = Modality().ask(gateway, (CTImageStorage, "*"), (CTImageStorage, "1.2.840.%"))
    assert kind == 2 and "ReferencedSOPSequence" not in report and len(report.FailedSOPSequence) == 2


def _encoded(dataset: Dataset) -> BytesIO:
    output = BytesIO()
    dataset.save_as(output, implicit_vr=False, little_endian=True)
    return BytesIO(output.getvalue())


class Node:
    """The device's own listener, registered as a destination of a site."""

    def __init__(self, gateway, modality: Modality, tls: ssl.SSLContext | None = None, site_id: int = 1, port: int = 0):
        entity = AE(ae_title=SENDER)
        entity.add_supported_context(PUSH, scu_role=True, scp_role=True)
        self.server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=modality.handlers, ssl_context=tls)
        administration.add_destination(gateway.hub, SYSTEM, site_id, "dicom",
                                       {"ae_title": SENDER, "host": "127.0.0.1", "port": self.server.server_address[1]} | ({"tls": "yes"} if tls else {}))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()


def test_a_device_that_left_is_called_back_over_tls_and_shown_the_hubs_certificate(tmp_path):
    with running(tmp_path / "data", dicom_tls_port=free_port()) as gateway:
        (uid,) = stored(gateway)
        device_id, _ = devices.register(gateway.hub, SYSTEM, site_id=1, kind="dicom", name="节点", ae_title="NODE")
        (tmp_path / "node.pem").write_bytes(certificates.issue(gateway.hub, SYSTEM, device_id))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "node.pem")
        context.load_verify_locations(certificates.network_keys(gateway.hub).root)
        context.verify_mode = ssl.CERT_REQUIRED
        called, modality = Modality(), Modality()
        with Node(gateway, called, context):
            transaction = modality.asks_and_leaves(gateway, uid)
            until(lambda: calls(gateway.hub))
            work(gateway.hub)
            kind, report = called.reports.get(timeout=WAIT_S)
    assert kind == 1 and report.TransactionUID == transaction.TransactionUID and named(report.ReferencedSOPSequence) == [(uid, None)]
