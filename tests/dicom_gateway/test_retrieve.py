"""C-GET and C-MOVE: what comes back is what was sent, byte for byte; pynetdicom and DCMTK ask and receive."""
import socket
import subprocess
import threading
from contextlib import contextmanager

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLosslessSV1
from pynetdicom import AE, build_role, evt
from pynetdicom.dimse_primitives import C_CANCEL
from pynetdicom.sop_class import PatientRootQueryRetrieveInformationModelGet as PATIENT_GET
from pynetdicom.sop_class import PatientRootQueryRetrieveInformationModelMove as PATIENT_MOVE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as GET
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove as MOVE
from sqlalchemy import select

from dicom_gateway.requesting import REQUESTING
from hub.flow import administration
from hub.model.access import SYSTEM
from hub.storage import tables
from tests.dicom_gateway.county import NEIGHBOUR, dcmtk, fill
from tests.dicom_gateway.running import SENDER, as_file, body, peer, running, slice_of_ct
from tests.ports import free_port

PRIVATE_CLASS = "1.2.826.0.1.3680043.8.498.77.1"


@pytest.fixture(scope="module")
def county(tmp_path_factory):
    with running(tmp_path_factory.mktemp("county")) as gateway:
        fill(gateway)
        yield gateway


def wish(level: str, **values) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in values.items():
        setattr(identifier, keyword, value)
    return identifier


class Receiver:
    """A storage SCP that keeps data sets as bytes, by instance; ``status`` is its answer; after ``most`` it takes no more
    until ``go_on``."""

    def __init__(self, status: int = 0x0000, most: int = 10**6):
        self.kept, self.syntaxes, self.originators, self.heard, self.status = {}, {}, [], [], status
        self.most, self.go_on = most, threading.Event()

    def take(self, event) -> int:
        uid = event.request.AffectedSOPInstanceUID
        if len(self.kept) >= self.most:
            assert self.go_on.wait(120)
        self.kept[uid], self.syntaxes[uid] = event.request.DataSet.getvalue(), event.context.transfer_syntax
        self.originators.append((event.request.MoveOriginatorApplicationEntityTitle, event.request.MoveOriginatorMessageID))
        return self.status


def get(gateway, identifier, receiver, *, model=GET, kinds=((CTImageStorage, ExplicitVRLittleEndian),), roles=True, calling=SENDER, stop_after=0, stopping=None):
    """The pending and final responses of a C-GET, as (status, identifier)."""
    entity = AE(ae_title=calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 120
    entity.add_requested_context(model)
    for sop_class, syntax in kinds:
        entity.add_requested_context(sop_class, syntax)
    chosen = [build_role(sop_class, scp_role=True) for sop_class in dict(kinds)] if roles else []
    association = entity.associate("127.0.0.1", gateway.port, ae_title="HUB", ext_neg=chosen, evt_handlers=[
        *REQUESTING, (evt.EVT_C_STORE, receiver.take), (evt.EVT_DIMSE_RECV, lambda event: receiver.heard.append(type(event.message).__name__))])
    assert association.is_established
    return _responses(association, association.send_c_get(identifier, model, msg_id=7), stop_after, stopping)


def move(gateway, identifier, destination, *, model=MOVE, calling=SENDER, stop_after=0, stopping=None):
    association = gateway.associate((model, ExplicitVRLittleEndian), calling=calling)
    assert association.is_established
    return _responses(association, association.send_c_move(identifier, destination, model, msg_id=7), stop_after, stopping)


def _responses(association, answers, stop_after, stopping):
    got = []
    for status, identifier in answers:
        got.append((status, identifier))
        if stop_after and len(got) == stop_after:
            stop = C_CANCEL()
            stop.MessageIDBeingRespondedTo = 7
            stopping(lambda: association.dimse.send_msg(stop, association.accepted_contexts[0].context_id))
    association.release()
    return got


def counts(status) -> tuple:
    return status.Status, status.NumberOfCompletedSuboperations, status.NumberOfFailedSuboperations


@contextmanager
def destination(gateway, receiver, ae_title, *syntaxes, site=1, classes=(CTImageStorage, PRIVATE_CLASS)):
    entity = AE(ae_title=ae_title)
    for sop_class in classes:
        entity.add_supported_context(sop_class, list(syntaxes) or [ExplicitVRLittleEndian])
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[*REQUESTING, (evt.EVT_C_STORE, receiver.take)])
    administration.add_destination(gateway.hub, SYSTEM, site, "dicom", {"ae_title": ae_title, "host": "127.0.0.1", "port": server.server_address[1]})
    try:
        yield
    finally:
        server.shutdown()


@pytest.mark.parametrize("level, values, uids", [
    ("STUDY", {"StudyInstanceUID": "1.2.30"}, {"1.2.30.1.1", "1.2.30.1.2", "1.2.30.1.3", "1.2.30.2.1"}),
    ("STUDY", {"StudyInstanceUID": ["1.2.10", "1.2.20"]}, {"1.2.10.1.1", "1.2.20.1.1"}),
    ("SERIES", {"StudyInstanceUID": "1.2.30", "SeriesInstanceUID": "1.2.30.1"}, {"1.2.30.1.1", "1.2.30.1.2", "1.2.30.1.3"}),
    ("IMAGE", {"StudyInstanceUID": "1.2.30", "SeriesInstanceUID": "1.2.30.1", "SOPInstanceUID": "1.2.30.1.2"}, {"1.2.30.1.2"}),
])
def test_c_get_gives_back_the_bytes_of_every_level(county, level, values, uids):
    receiver = Receiver()
    got = get(county, wish(level, **values), receiver)
    assert counts(got[-1][0]) == (0x0000, len(uids), 0) and [status.Status for status, _ in got[:-1]] == [0xFF00] * len(uids)
    assert receiver.kept.keys() == uids
    assert all(content == body(county.kept(uid)) for uid, content in receiver.kept.items())


def test_a_patients_studies_are_given_back_together(county):
    receiver = Receiver()
    assert counts(get(county, wish("PATIENT", PatientID="A1"), receiver, model=PATIENT_GET)[-1][0]) == (0x0000, 2, 0)
    assert receiver.kept.keys() == {"1.2.10.1.1", "1.2.40.1.1"}


def test_what_no_context_fits_fails_by_name_and_the_rest_arrives(county):
    study, series = "1.2.50", "1.2.50.1"
    implicit = slice_of_ct(1, study, series, SOPInstanceUID="1.2.50.1.1")
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    private = slice_of_ct(2, study, series, SOPInstanceUID="1.2.50.1.2", SOPClassUID=PRIVATE_CLASS)
    plain = slice_of_ct(3, study, series, SOPInstanceUID="1.2.50.1.3")
    for ds in (implicit, private):
        ds.file_meta.MediaStorageSOPInstanceUID, ds.file_meta.MediaStorageSOPClassUID = ds.SOPInstanceUID, ds.SOPClassUID
    assert county.send(implicit, private, plain) == [0, 0, 0]
    receiver = Receiver()
    status, identifier = get(county, wish("STUDY", StudyInstanceUID=study), receiver)[-1]
    assert counts(status) == (0xB000, 1, 2) and list(identifier.FailedSOPInstanceUIDList) == ["1.2.50.1.1", "1.2.50.1.2"]
    assert receiver.kept.keys() == {"1.2.50.1.3"}
    kinds = ((CTImageStorage, ExplicitVRLittleEndian), (CTImageStorage, ImplicitVRLittleEndian), (PRIVATE_CLASS, ExplicitVRLittleEndian))
    receiver = Receiver()
    assert counts(get(county, wish("STUDY", StudyInstanceUID=study), receiver, kinds=kinds)[-1][0]) == (0x0000, 3, 0)
    assert receiver.syntaxes["1.2.50.1.1"] == ImplicitVRLittleEndian
    assert all(content == body(county.kept(uid)) for uid, content in receiver.kept.items())


def test_a_caller_that_did_not_offer_to_be_an_scp_is_sent_nothing(county):
    receiver = Receiver()
    status, _ = get(county, wish("STUDY", StudyInstanceUID="1.2.30"), receiver, roles=False)[-1]
    assert counts(status) == (0xA702, 0, 4) and "C_GET_RSP" in receiver.heard and "C_STORE_RQ" not in receiver.heard


@pytest.mark.parametrize("identifier", [
    wish("STUDY"), wish("STUDY", StudyInstanceUID=""), wish("SERIES", StudyInstanceUID="1.2.30"), wish("STUDY", StudyInstanceUID="1.2.*"),
    wish("PATIENT", PatientID="A1"), wish("", StudyInstanceUID="1.2.30"), wish("STUDY", PatientID="A1")], ids=range(7))
def test_a_request_that_names_nothing_in_particular_is_refused(county, identifier):
    receiver = Receiver()
    got = get(county, identifier, receiver)
    assert got[-1][0].Status == 0xA900 and not receiver.kept
    with destination(county, receiver, "NOWHERE"):
        assert 0xC000 <= move(county, identifier, "NOWHERE")[-1][0].Status <= 0xCFFF and not receiver.kept


def test_a_patient_wildcard_is_no_name(county):
    receiver = Receiver()
    assert get(county, wish("PATIENT", PatientID="A*"), receiver, model=PATIENT_GET)[-1][0].Status == 0xA900 and not receiver.kept


def test_what_does_not_exist_and_what_belongs_to_the_neighbour_cannot_be_told_apart(county):
    receiver = Receiver()
    with destination(county, receiver, "OWN_PACS"):
        for uid in ("1.2.99", "1.2.90"):
            assert counts(get(county, wish("STUDY", StudyInstanceUID=uid), receiver)[-1][0]) == (0x0000, 0, 0)
            assert counts(move(county, wish("STUDY", StudyInstanceUID=uid), "OWN_PACS")[-1][0]) == (0x0000, 0, 0)
    assert not receiver.kept
    assert counts(get(county, wish("STUDY", StudyInstanceUID="1.2.90"), receiver, calling=NEIGHBOUR)[-1][0]) == (0x0000, 1, 0)


def test_c_move_sends_the_bytes_to_the_sites_own_node_and_says_for_whom(county):
    receiver = Receiver()
    with destination(county, receiver, "QS_PACS"):
        got = move(county, wish("STUDY", StudyInstanceUID="1.2.30"), "QS_PACS")
    assert counts(got[-1][0]) == (0x0000, 4, 0)
    assert [status.NumberOfRemainingSuboperations for status, _ in got[:-1]] == [3, 2, 1, 0]
    assert len(receiver.kept) == 4 and all(content == body(county.kept(uid)) for uid, content in receiver.kept.items())
    assert set(receiver.originators) == {(SENDER, 7)}
    with county.hub.reading() as connection:
        last = connection.execute(select(tables.audit).order_by(tables.audit.c.seq.desc()).limit(1)).one()
    assert (last.role, last.action) == ("device", "study.view") and "C-MOVE to QS_PACS" in last.detail


def test_a_node_that_was_registered_anew_is_called_where_it_is_now(county):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        administration.add_destination(county.hub, SYSTEM, 1, "dicom", {"ae_title": "MOVED", "host": "127.0.0.1", "port": nobody.getsockname()[1]})
        with destination(county, Receiver(), "MOVED"):
            assert counts(move(county, wish("STUDY", StudyInstanceUID="1.2.30"), "MOVED")[-1][0]) == (0x0000, 4, 0)


def test_a_patient_is_moved_whole(county):
    receiver = Receiver()
    with destination(county, receiver, "QS_PACS2"):
        assert counts(move(county, wish("PATIENT", PatientID="A1"), "QS_PACS2", model=PATIENT_MOVE)[-1][0]) == (0x0000, 2, 0)


def test_a_destination_that_is_unknown_switched_off_or_the_neighbours_is_refused(county):
    receiver = Receiver()
    with destination(county, receiver, "BH_PACS", site=2), destination(county, receiver, "OFF_PACS"):
        off = next(row.id for row in administration.destinations(county.hub, SYSTEM) if row.address["ae_title"] == "OFF_PACS")
        administration.set_destination_active(county.hub, SYSTEM, off, False)
        for ae_title in ("NOBODY", "BH_PACS", "OFF_PACS", SENDER):
            assert move(county, wish("STUDY", StudyInstanceUID="1.2.30"), ae_title)[-1][0].Status == 0xA801, ae_title
        assert not receiver.kept
        assert counts(move(county, wish("STUDY", StudyInstanceUID="1.2.90"), "BH_PACS", calling=NEIGHBOUR)[-1][0]) == (0x0000, 1, 0)


def test_a_destination_that_does_not_answer_is_told_and_the_caller_is_served_on(county):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        administration.add_destination(county.hub, SYSTEM, 1, "dicom", {"ae_title": "DEAD", "host": "127.0.0.1", "port": nobody.getsockname()[1]})
        assert move(county, wish("STUDY", StudyInstanceUID="1.2.30"), "DEAD")[-1][0].Status == 0xA801
    assert counts(get(county, wish("STUDY", StudyInstanceUID="1.2.20"), Receiver())[-1][0]) == (0x0000, 1, 0)


def test_what_the_destination_refuses_is_listed(county):
    receiver = Receiver(status=0xA700)
    with destination(county, receiver, "FULL_PACS"):
        status, identifier = move(county, wish("SERIES", SeriesInstanceUID="1.2.30.1"), "FULL_PACS")[-1]
    assert counts(status) == (0xA702, 0, 3)
    assert list(identifier.FailedSOPInstanceUIDList) == ["1.2.30.1.1", "1.2.30.1.2", "1.2.30.1.3"]


def test_a_blob_that_is_missing_fails_by_name(own_gateway):
    one, two = slice_of_ct(1, "1.2.60", "1.2.60.1"), slice_of_ct(2, "1.2.60", "1.2.60.1")
    own_gateway.send(one, two)
    own_gateway.hub.blobs.path(own_gateway.instance(one.SOPInstanceUID).sha256).unlink()
    status, identifier = get(own_gateway, wish("STUDY", StudyInstanceUID="1.2.60"), Receiver())[-1]
    assert counts(status) == (0xB000, 1, 1) and identifier.FailedSOPInstanceUIDList == one.SOPInstanceUID


class Heard(dict):
    """Requests to stop, by message, as pynetdicom keeps them until somebody asks; and whether there was one."""

    def __init__(self):
        super().__init__()
        self.once = threading.Event()

    def __setitem__(self, number, request):
        super().__setitem__(number, request)
        self.once.set()


@pytest.mark.parametrize("how", ["get", "move"])
def test_a_caller_can_stop_a_retrieval(own_gateway, how):
    own_gateway.send(*(slice_of_ct(n, "1.2.70", "1.2.70.1", side=2) for n in range(20)))
    receiver = Receiver(most=2)

    def until_heard(send) -> None:
        """The gateway has heard it before its third object is answered."""
        heard = Heard()
        for one in own_gateway.server.active_associations:
            one.dimse.cancel_req = heard
        send()
        assert heard.once.wait(120)
        receiver.go_on.set()
    if how == "get":
        got = get(own_gateway, wish("STUDY", StudyInstanceUID="1.2.70"), receiver, stop_after=2, stopping=until_heard)
    else:
        with destination(own_gateway, receiver, "SLOW"):
            got = move(own_gateway, wish("STUDY", StudyInstanceUID="1.2.70"), "SLOW", stop_after=2, stopping=until_heard)
    status = got[-1][0]
    assert status.Status == 0xFE00 and 2 <= status.NumberOfCompletedSuboperations <= 3
    assert status.NumberOfCompletedSuboperations + status.NumberOfRemainingSuboperations == 20


def test_a_device_can_store_ask_and_get_over_one_association(county):
    ds = slice_of_ct(1, "1.2.80", "1.2.80.1")
    entity = AE(ae_title=SENDER)
    entity.add_requested_context(GET)
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    receiver = Receiver()
    association = entity.associate("127.0.0.1", county.port, ae_title="HUB", ext_neg=[build_role(CTImageStorage, scu_role=True, scp_role=True)],
                                   evt_handlers=[*REQUESTING, (evt.EVT_C_STORE, receiver.take)])
    for number in range(3):
        assert association.send_c_store(ds).Status == 0
        *_, (status, _) = association.send_c_get(wish("STUDY", StudyInstanceUID="1.2.80"), GET)
        assert counts(status) == (0x0000, 1, 0)
    association.release()
    assert receiver.kept[ds.SOPInstanceUID] == body(as_file(ds)) == body(county.kept(ds.SOPInstanceUID))


@pytest.mark.peers
def test_getscu_receives_what_was_sent(county, tmp_path):
    said = dcmtk("getscu", county, "-S", "-od", tmp_path, "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.30")
    assert "Number of Completed Suboperations : 4" in said or len(list(tmp_path.iterdir())) == 4, said
    received = {dcmread(path).SOPInstanceUID: path for path in tmp_path.iterdir()}
    assert received.keys() == {"1.2.30.1.1", "1.2.30.1.2", "1.2.30.1.3", "1.2.30.2.1"}
    assert all(dcmread(path) == dcmread(county.hub.blobs.path(county.instance(uid).sha256)) for uid, path in received.items())


@pytest.mark.peers
def test_getscu_bit_preserving_writes_the_same_bytes(county, tmp_path):
    dcmtk("getscu", county, "-S", "+B", "-od", tmp_path, "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.10")
    (path,) = tmp_path.iterdir()
    assert body(path.read_bytes()) == body(county.kept("1.2.10.1.1"))


@pytest.mark.peers
def test_movescu_moves_a_compressed_study_to_itself_byte_for_byte(county, tmp_path):
    ds = slice_of_ct(1, "1.2.55", "1.2.55.1", SOPInstanceUID="1.2.55.1.1")
    ds.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds["PixelData"].is_undefined_length = True
    ds.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\x04\0\0\0\xff\xd8\xff\xd9\xfe\xff\xdd\xe0\0\0\0\0"
    assert county.send(ds) == [0]
    port = free_port()
    administration.add_destination(county.hub, SYSTEM, 1, "dicom", {"ae_title": SENDER, "host": "127.0.0.1", "port": port})
    said = dcmtk("movescu", county, "-S", "+B", "+xs", "--port", port, "-aem", SENDER, "-k", "QueryRetrieveLevel=STUDY",
                 "-k", "StudyInstanceUID=1.2.55", folder=tmp_path)
    assert "Received Final Move Response (Success)" in said and list(tmp_path.iterdir()), said
    (path,) = tmp_path.iterdir()
    assert body(path.read_bytes()) == body(county.kept("1.2.55.1.1"))


@pytest.mark.peers
def test_movescu_is_told_of_an_unknown_destination(county):
    done = subprocess.run([peer("movescu"), "-v", "-S", "-aet", SENDER, "-aec", "HUB", "-aem", "NOBODY", "-k", "QueryRetrieveLevel=STUDY",
                           "-k", "StudyInstanceUID=1.2.30", "127.0.0.1", str(county.port)], capture_output=True, text=True, timeout=120)
    assert "MoveDestinationUnknown" in done.stdout + done.stderr
