"""STOW-RS: what a device posts is kept as C-STORE keeps it, and answered instance by instance."""
import io
from dataclasses import replace

import pytest

from dicom_gateway.web.multipart import arriving
from dicom_gateway.web.routes import blueprint
from hub.flow import studies
from hub.model.access import SYSTEM
from tests.dicom_gateway.web.objects import file_of

TYPE = 'multipart/related; type="application/dicom"; boundary=XyZ'


def message(*files: bytes, head: bytes = b"Content-Type: application/dicom\r\n") -> bytes:
    return b"".join(b"--XyZ\r\n" + head + b"\r\n" + file + b"\r\n" for file in files) + b"--XyZ--\r\n"


def post(house, body: bytes, path: str = "/studies", content_type: str = TYPE, token: str | None = None):
    return house.app.test_client().post(f"/dicomweb{path}", data=body, headers={
        "Content-Type": content_type, "Authorization": f"Bearer {house.token if token is None else token}"})


def kept(house, study: str = "1.2.10") -> dict:
    row = studies.find(house.hub, SYSTEM, study_uid=study)
    return {one.sop_uid: house.hub.blobs.read(one.sha256) for one in studies.instances_of(house.hub, row.id)}


def test_what_is_posted_is_kept_bit_for_bit(house):
    files = {f"1.2.10.1.{n}": file_of("1.2.10", "1.2.10.1", f"1.2.10.1.{n}", name="李四".encode("gb18030")) for n in (1, 2)}
    reply = post(house, message(*files.values()))
    assert reply.status_code == 200 and reply.headers["Content-Type"] == "application/dicom+json"
    assert kept(house) == files
    items = reply.json["00081199"]["Value"]
    assert [item["00081155"]["Value"][0] for item in items] == list(files)
    assert items[0]["00081190"]["Value"] == ["http://localhost/dicomweb/studies/1.2.10/series/1.2.10.1/instances/1.2.10.1.1"]
    assert studies.find(house.hub, SYSTEM, study_uid="1.2.10").association_open is False


def test_content_that_looks_like_the_boundary_and_breaks_anywhere_is_kept_whole(house, monkeypatch):
    tricky = file_of("1.2.10", "1.2.10.1", "1.2.10.1.1", PixelData=b"\r\n--Xy\r\n--\r\n\r\n--XyX\r\n".ljust(32, b"\r"))
    whole = message(tricky, tricky)
    for size in (1, 2, 3, 7):
        monkeypatch.setattr("dicom_gateway.web.multipart.CHUNK", size * 4)
        assert post(house, whole).status_code == 200
        assert kept(house) == {"1.2.10.1.1": tricky}


def test_each_instance_is_answered_by_itself(house):
    good, other = file_of("1.2.10", "1.2.10.1", "1.2.10.1.1"), file_of("1.2.20", "1.2.20.1", "1.2.20.1.1")
    reply = post(house, message(good, b"this is no DICOM file", other), "/studies/1.2.10")
    assert reply.status_code == 202
    assert [item["00081155"]["Value"] for item in reply.json["00081199"]["Value"]] == [["1.2.10.1.1"]]
    assert [item["00081197"]["Value"] for item in reply.json["00081198"]["Value"]] == [[0xC000], [0xA900]]
    assert house.get("/studies?StudyInstanceUID=1.2.20").status_code == 204
    with house.hub.reading() as connection:
        assert connection.exec_driver_sql("select reason from held").scalars().all() == ["unparsable"]


def test_the_same_instance_with_other_bytes_is_kept_beside_with_a_warning(house):
    post(house, message(file_of("1.2.10", "1.2.10.1", "1.2.10.1.1")))
    reply = post(house, message(file_of("1.2.10", "1.2.10.1", "1.2.10.1.1", PixelData=bytes(32))))
    assert reply.status_code == 202
    assert reply.json["00081199"]["Value"][0]["00081196"]["Value"] == [0xB000]


def test_nothing_stored_is_409(house):
    assert post(house, message(b"junk")).status_code == 409


@pytest.mark.parametrize("token", ["", "wrong", "x" * 5000])
def test_without_a_devices_token_nothing_is_taken(house, token):
    reply = post(house, message(file_of("1.2.10", "1.2.10.1", "1.2.10.1.1")), token=token)
    assert reply.status_code == 401 and reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert house.get("/studies").status_code == 204


@pytest.mark.parametrize("content_type, body, status", [
    ("application/dicom", b"x", 415), ('multipart/related; type="application/dicom+cbor"; boundary=XyZ', message(b"{}"), 415),
    ('multipart/related; type="application/dicom"', b"x", 400), (TYPE, b"", 400), (TYPE, b"--XyZ", 400), (TYPE, b"--XyZ--\r\n", 400),
    (TYPE, b"--XyZ\r\nContent-Type: application/dicom\r\n\r\nhalf", 400), (TYPE, b"--XyZ\r\n" + b"a" * 100_000, 400),
])
def test_broken_messages_are_refused(house, content_type, body, status):
    assert post(house, body, content_type=content_type).status_code == status


def test_what_arrived_before_a_message_broke_off_is_kept_and_said(house):
    whole = message(file_of("1.2.10", "1.2.10.1", "1.2.10.1.1"), file_of("1.2.10", "1.2.10.1", "1.2.10.1.2"))
    reply = post(house, whole[:-100])
    assert reply.status_code == 202 and len(kept(house)) == 1
    assert len(reply.json["00081198"]["Value"]) == 1


def test_an_object_above_the_limit_is_refused_and_the_next_is_taken(house):
    small = replace(house.hub, settings=replace(house.hub.settings, largest_object_mb=1))
    house.app = type(house.app)("small")
    house.app.register_blueprint(blueprint(small, lambda: house.actors["reader"]), url_prefix="/dicomweb")
    large = file_of("1.2.10", "1.2.10.1", "1.2.10.1.2", Rows=1024, Columns=1024, PixelData=bytes(2 << 20))
    reply = post(house, message(large, file_of("1.2.10", "1.2.10.1", "1.2.10.1.1")))
    assert reply.status_code == 202 and list(kept(house)) == ["1.2.10.1.1"]
    assert reply.json["00081198"]["Value"][0]["00081197"]["Value"] == [0xA700]
    assert not list(house.hub.blobs.incoming.iterdir())


def test_a_posted_stream_is_read_in_pieces(house):
    class Counting(io.BytesIO):
        largest = 0

        def read(self, size=-1):
            Counting.largest = max(Counting.largest, size if size >= 0 else 10**9)
            return super().read(size)
    content = bytes(5_000_000)
    sizes = [sum(map(len, pieces)) for _, pieces in arriving(Counting(message(content)), b"XyZ")]
    assert sizes == [len(content)] and Counting.largest <= 1 << 20
