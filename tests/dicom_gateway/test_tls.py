"""DICOM over TLS (PS3.15, RFC 9325) with DCMTK and OpenSSL as peers: what is strong enters, what is weak does not."""
import os
import random
import socket
import ssl
import subprocess
import threading
import time
from socketserver import BaseServer

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, EncapsulatedPDFStorage, Verification

from dicom_gateway import direct, sender, tls
from hub.errors import Retryable
from hub.flow import administration, certificates, device_changes, devices
from hub.flow.certificates import network_keys
from hub.model.access import SYSTEM
from tests.dicom_gateway.running import SENDER, Gateway, as_file, body, peer, running, slice_of_ct
from tests.dicom_gateway.wire import A_ABORT, Wire
from tests.ports import free_port


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    """A gateway with a second port over TLS, and the files that a peer needs."""
    folder = tmp_path_factory.mktemp("tls")
    with running(folder / "data", dicom_tls_port=free_port()) as started:
        device_id, _ = devices.register(started.hub, SYSTEM, site_id=1, kind="dicom", name="加密 CT", ae_title="SECURE_CT")
        pem = certificates.issue(started.hub, SYSTEM, device_id)
        (folder / "device.pem").write_bytes(pem)
        device_changes.set_rules(started.hub, SYSTEM, device_id, {"encryption": "certificate", "certificate_sha256": _bound(started, device_id)})
        started.folder, started.device_id, started.root = folder, device_id, network_keys(started.hub).root
        started.tls_port = started.hub.settings.dicom_tls_port
        yield started


def _bound(gateway: Gateway, device_id: int) -> str:
    return devices.find(gateway.hub, SYSTEM, device_id).rules["certificate_sha256"]


def _dcmtk(secure, program, *more, calling=SENDER, certificate=None):
    shown = ["+tls", certificate, certificate] if certificate else ["+tla"]
    return subprocess.run([peer(program), "-v", *shown, "+cf", str(secure.root), *more, "-aet", calling, "-aec", "HUB", "127.0.0.1", str(secure.tls_port),
                           *([] if program == "echoscu" else [str(secure.folder / "one.dcm")])],
                          capture_output=True, text=True, timeout=120, env=os.environ | {"TCP_NODELAY": "1"})


@pytest.mark.peers
@pytest.mark.parametrize("profile", ["--profile-bcp195", "--profile-bcp195-nd", "--profile-bcp195-ex"])
def test_echoscu_is_answered_under_every_profile_that_the_standard_does_not_retire(secure, profile):
    done = _dcmtk(secure, "echoscu", profile)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.peers
def test_storescu_stores_bit_for_bit_with_its_own_certificate(secure):
    ds = slice_of_ct(side=600)
    ds.PixelData = random.Random(7).randbytes(len(ds.PixelData))
    (secure.folder / "one.dcm").write_bytes(as_file(ds))
    done = _dcmtk(secure, "storescu", calling="SECURE_CT", certificate=str(secure.folder / "device.pem"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert body(secure.kept(ds.SOPInstanceUID)) == body(as_file(ds))


@pytest.mark.peers
def test_a_bound_device_is_refused_without_its_certificate_with_anothers_and_without_tls(secure):
    other_id, _ = devices.register(secure.hub, SYSTEM, site_id=1, kind="dicom", name="别的", ae_title="OTHER_CT")
    (secure.folder / "other.pem").write_bytes(certificates.issue(secure.hub, SYSTEM, other_id))
    assert "Rejected Permanent" in _said(_dcmtk(secure, "echoscu", calling="SECURE_CT"))
    assert "Rejected Permanent" in _said(_dcmtk(secure, "echoscu", calling="SECURE_CT", certificate=str(secure.folder / "other.pem")))
    assert _dcmtk(secure, "echoscu", calling="SECURE_CT", certificate=str(secure.folder / "device.pem")).returncode == 0
    association = secure.associate((Verification, "1.2.840.10008.1.2"), calling="SECURE_CT")
    assert association.is_rejected and association.acceptor.primitive.result == 0x01
    secure.server.ledger.write()
    from hub.flow import doors
    reasons = {reason for reason, device_id, _ in doors.totals(secure.hub) if device_id == secure.device_id}
    assert {"no_certificate", "other_certificate", "not_encrypted"} <= reasons


@pytest.mark.peers
def test_a_certificate_that_nobody_signed_ends_the_handshake(secure):
    made = secure.folder / "stranger.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{made}.key", "-out", f"{made}.crt", "-subj", "/CN=x", "-days", "2"],
                   check=True, capture_output=True, timeout=120)
    made.write_text(open(f"{made}.key").read() + open(f"{made}.crt").read())
    assert _dcmtk(secure, "echoscu", certificate=str(made)).returncode != 0
    assert _dcmtk(secure, "echoscu").returncode == 0


@pytest.mark.parametrize("weak", [["-tls1"], ["-tls1_1"], ["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"], ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA:@SECLEVEL=0"],
                                  ["-tls1_2", "-cipher", "AES128-GCM-SHA256"]], ids=" ".join)
def test_weak_protocols_and_ciphers_are_not_negotiated(secure, weak):
    assert "Cipher is (NONE)" in _handshake(secure, *weak)


@pytest.mark.parametrize("strong", [["-tls1_2"], ["-tls1_3"]], ids=" ".join)
def test_strong_ones_are(secure, strong):
    said = _handshake(secure, *strong)
    assert "Verify return code: 0" in said and "GCM" in said


def _handshake(secure, *options) -> str:
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{secure.tls_port}", "-CAfile", str(secure.root), *options],
                          input="", capture_output=True, text=True, timeout=120)
    return done.stdout + done.stderr


def _said(done) -> str:
    assert done.returncode != 0
    return done.stdout + done.stderr


def _encrypted(secure) -> Wire:
    context = ssl.create_default_context(cafile=str(secure.root))
    context.check_hostname = False
    wire = Wire(secure.tls_port)
    wire.socket = context.wrap_socket(wire.socket)
    return wire


def test_a_data_set_in_small_and_uneven_tls_records_is_put_together(secure):
    ds = slice_of_ct(side=200)
    sent = body(as_file(ds))
    with _encrypted(secure) as wire:
        wire.associate(SENDER)
        wire.c_store_begins(ds.SOPInstanceUID)
        dice, place = random.Random(5), 0
        while place < len(sent):
            size = dice.choice((1, 7, 100, 5000, 16384, 40000))
            wire.data(sent[place:place + size], last=place + size >= len(sent))
            place += size
        assert wire.status() == 0x0000
    assert body(secure.kept(ds.SOPInstanceUID)) == sent


def test_a_sender_that_falls_silent_in_mid_object_over_tls_is_cut_off(secure, monkeypatch, caplog):
    with _encrypted(secure) as wire:
        wire.associate(SENDER)
        wire.c_store_begins("2.25.7")
        wire.data(b"abcd", last=False)
        monkeypatch.setattr(direct, "PATIENCE_S", 0.5)
        assert wire.answer()[0] in (A_ABORT, 0)
    assert "silence" in caplog.text


def test_clients_that_never_finish_their_handshake_keep_nobody_out(secure, monkeypatch):
    in_earnest = tls.HANDSHAKE_S
    monkeypatch.setattr(tls, "HANDSHAKE_S", 1.0)
    stalled = [socket.create_connection(("127.0.0.1", secure.tls_port), timeout=120) for _ in range(20)]
    for one in stalled[::2]:
        one.sendall(_hello())                       # and nothing after it
    for one in stalled[::2]:
        assert one.recv(1)                          # its handshake has begun
    monkeypatch.setattr(tls, "HANDSHAKE_S", in_earnest)       # the device may be slow
    with _encrypted(secure) as wire:
        wire.associate(SENDER)
        ds = slice_of_ct()
        wire.c_store_begins(ds.SOPInstanceUID)
        wire.data(body(as_file(ds)), last=True)
        assert wire.status() == 0x0000
    while stalled[0].recv(4096):                      # the server's part of the handshake, then the end
        pass
    for one in stalled:
        one.close()


def _hello() -> bytes:
    """A client's first flight (RFC 8446 4.1.2): one record."""
    said = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), said, server_hostname="hub")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return said.read()


def test_a_handshake_that_is_begun_costs_no_thread_and_keeps_nobody_out(secure):
    threads, hello = threading.active_count(), _hello()
    stalled = [socket.create_connection(("127.0.0.1", secure.tls_port), timeout=120) for _ in range(40)]
    for number, one in enumerate(stalled):
        one.sendall(hello[:1 + number % 4 * (len(hello) - 2) // 3])       # from the first byte to all but the last
    with _encrypted(secure) as wire:
        assert wire.associate(SENDER) == 2
        assert threading.active_count() <= threads + 4                   # of the device
    for one in stalled:
        one.close()


@pytest.mark.parametrize("pieces", [1, 7, 200])
def test_a_handshake_that_comes_in_pieces_is_answered_when_its_first_record_is_whole(secure, pieces):
    hello = _hello()
    with socket.create_connection(("127.0.0.1", secure.tls_port), timeout=120) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(hello), pieces):
            line.sendall(hello[start:start + pieces])
        assert line.recv(1) == b"\x16"                # ServerHello


def test_plain_dicom_on_the_tls_port_is_turned_away_by_name(secure, caplog):
    with Wire(secure.tls_port) as wire:
        try:
            assert wire.associate(SENDER) == 0
        except OSError:
            pass                              # reset before all of it was sent
    until = time.monotonic() + 120
    while "what was sent is not DICOM" not in caplog.text:
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture
def node(secure):
    """A clinic's own node over TLS: a pynetdicom SCP with a certificate that the hub issued."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(secure.folder / "device.pem")
    context.load_verify_locations(secure.root)
    context.verify_mode = ssl.CERT_REQUIRED            # the hub shows its own certificate, too
    got, entity = [], AE(ae_title="CLINIC")
    entity.add_supported_context(EncapsulatedPDFStorage)
    entity.add_supported_context(CTImageStorage, ExplicitVRLittleEndian)
    server = entity.start_server(("127.0.0.1", 0), block=False, ssl_context=context,
                                 evt_handlers=[(evt.EVT_C_STORE, lambda event: got.append(event.dataset.SOPInstanceUID) or 0)])
    yield server.server_address[1], got
    server.shutdown()


def test_the_hub_sends_over_tls_where_the_destination_asks_for_it(secure, node):
    port, got = node
    ds = slice_of_ct()
    sender.store_dataset(ds, "127.0.0.1", port, called="CLINIC", calling="HUB", tls_args=tls.tls_args(secure.hub, True))
    assert got == [ds.SOPInstanceUID]
    with pytest.raises(Retryable):
        sender.store_dataset(ds, "127.0.0.1", port, called="CLINIC", calling="HUB")


def test_the_hub_sends_nothing_to_a_node_whose_certificate_it_does_not_know(secure, tmp_path):
    stranger = tmp_path / "x"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{stranger}.key", "-out", f"{stranger}.crt", "-subj", "/CN=x",
                    "-days", "2"], check=True, capture_output=True, timeout=120)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{stranger}.crt", f"{stranger}.key")
    got, entity = [], AE(ae_title="CLINIC")
    entity.add_supported_context(CTImageStorage, ExplicitVRLittleEndian)
    server = entity.make_server(("127.0.0.1", 0), evt_handlers=[(evt.EVT_C_STORE, lambda event: got.append(1) or 0)])
    plain = server.socket
    server.socket = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(Retryable):
            sender.store_dataset(slice_of_ct(), "127.0.0.1", server.server_address[1], called="CLINIC", calling="HUB",
                                 tls_args=tls.tls_args(secure.hub, True))
        assert got == []
    finally:
        BaseServer.shutdown(server)      # a loop over a closed socket would never rest
        server.socket.close()
        plain.close()


@pytest.mark.peers
def test_c_move_goes_over_tls_to_a_destination_that_asks_for_it(secure, node):
    port, got = node
    administration.add_destination(secure.hub, SYSTEM, 1, "dicom", {"ae_title": "CLINIC", "host": "127.0.0.1", "port": str(port), "tls": "yes"})
    ds = slice_of_ct()
    assert secure.send(ds) == [0]
    done = subprocess.run([peer("movescu"), "-v", "-aet", SENDER, "-aec", "HUB", "-aem", "CLINIC", "-S", "-k", "QueryRetrieveLevel=STUDY",
                           "-k", f"StudyInstanceUID={ds.StudyInstanceUID}", "127.0.0.1", str(secure.port)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert got == [ds.SOPInstanceUID]
