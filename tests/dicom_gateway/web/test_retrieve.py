"""WADO-RS against the files that were sent."""
import base64
import gzip
import io
import json
import struct
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import openjpeg
import pytest
from flask import Flask
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from dicom_gateway.web import routes
from dicom_gateway.web.attributes import to_json
from dicom_gateway.web.routes import blueprint
from hub.flow import administration, studies
from tests.dicom_gateway.test_store import FILES
from tests.dicom_gateway.web.conftest import make_house
from tests.dicom_gateway.web.objects import file_of

OCTETS = 'multipart/related; type="application/octet-stream"'
HTJ2K = "1.2.840.10008.1.2.4.201"


def parts_of(response) -> list[tuple[str, bytes]]:
    """(content type, content) of each part, by the boundary of the header."""
    boundary = response.headers["Content-Type"].split("boundary=")[1].strip('"').encode()
    assert response.data.endswith(b"--" + boundary + b"--\r\n")
    found = []
    for piece in (b"\r\n" + response.data).split(b"\r\n--" + boundary)[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        found.append((head.decode().split("Content-Type: ")[1].split("\r\n")[0], content))
    return found


@pytest.mark.filterwarnings("ignore")
def test_every_file_of_pydicom_that_is_taken_in_comes_back_bit_for_bit(house):
    back, held = 0, 0
    for path in map(Path, FILES):
        taken = house.send(path.read_bytes())
        if taken.outcome != "stored":
            held += 1                         # the same object once more, another one under its UID, or without its UIDs: kept aside
            continue
        header = dcmread(path, stop_before_pixels=True)
        at = f"/studies/{header.StudyInstanceUID}/series/{header.SeriesInstanceUID}/instances/{header.SOPInstanceUID}"
        (_, content), = parts_of(house.get(at, Accept='multipart/related; type="application/dicom"; transfer-syntax=*'))
        assert content == path.read_bytes(), path.name
        back += 1
    assert back > 50 and back + held == len(FILES)


def test_an_instance_comes_back_bit_for_bit(ct):
    for uid, path in ct.files.items():
        response = ct.house.get(f"{ct.path}/instances/{uid}", Accept='multipart/related; type="application/dicom"; transfer-syntax=*')
        assert response.status_code == 200
        (kind, content), = parts_of(response)
        assert content == path.read_bytes()
        assert kind == "application/dicom; transfer-syntax=1.2.840.10008.1.2"
        assert int(response.headers["Content-Length"]) == len(response.data)


def test_a_study_comes_back_whole(ct):
    response = ct.house.get(f"/studies/{ct.uid}", Accept='multipart/related; type="application/dicom"')
    assert sorted(content for _, content in parts_of(response)) == sorted(path.read_bytes() for path in ct.files.values())


def test_a_single_instance_is_given_in_ranges(ct):
    uid, path = next(iter(ct.files.items()))
    response = ct.house.get(f"{ct.path}/instances/{uid}", Accept="application/dicom", Range="bytes=100-299")
    assert response.status_code == 206
    assert response.data == path.read_bytes()[100:300]


def test_native_frames_equal_the_pixel_data(ct):
    for uid, path in ct.files.items():
        response = ct.house.get(f"{ct.path}/instances/{uid}/frames/1", Accept=OCTETS)
        (kind, content), = parts_of(response)
        assert content == dcmread(path).PixelData
        assert kind == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"


def test_the_prepared_frame_is_lossless_and_chosen_by_a_star(ct):
    uid, path = next(iter(ct.files.items()))
    for accept in (f"{OCTETS}; transfer-syntax=*", f"{OCTETS}; transfer-syntax={HTJ2K}", 'multipart/related; type="image/jphc"',
                   f'image/jpeg;q=0.9, multipart/related; type="image/jphc"; transfer-syntax={HTJ2K};q=0.5'):
        (kind, content), = parts_of(ct.house.get(f"{ct.path}/instances/{uid}/frames/1", Accept=accept))
        assert kind.endswith(f"transfer-syntax={HTJ2K}")
        assert np.array_equal(imagecodecs.htj2k_decode(content), dcmread(path).pixel_array)


def test_a_frame_without_multipart_comes_in_ranges(ct):
    uid = next(iter(ct.files))
    whole = ct.house.get(f"{ct.path}/instances/{uid}/frames/1", Accept="image/jphc")
    assert whole.headers["Content-Type"].startswith("image/jphc")
    part = ct.house.get(f"{ct.path}/instances/{uid}/frames/1", Accept="image/jphc", Range="bytes=10-19")
    assert part.status_code == 206 and part.data == whole.data[10:20]


def test_a_range_beyond_the_end_is_refused_with_the_size_and_words_and_several_at_once_give_the_whole(ct):
    at, path = f"{ct.path}/instances/{next(iter(ct.files))}", next(iter(ct.files.values()))
    refused = ct.house.get(at, Accept="application/dicom", Range="bytes=99999999-")
    assert refused.status_code == 416 and refused.headers["Content-Range"] == f"bytes */{path.stat().st_size}"
    assert refused.json["code"] == "no_such_range" and refused.json["zh"]
    for several in ("bytes=0-9,20-29", "bytes=0-9,99999999-"):        # RFC 9110 14.2: what a server does not do is passed over
        whole = ct.house.get(at, Accept="application/dicom", Range=several)
        assert whole.status_code == 200 and whole.data == path.read_bytes()
    assert ct.house.get(at, Accept="application/dicom", Range="pages=1-2").data == path.read_bytes()
    assert ct.house.get(at, Accept="application/dicom", Range="bytes=-10").data == path.read_bytes()[-10:]


def test_a_picture_type_that_is_refused_is_not_given_under_a_wildcard(ct):
    at = f"{ct.path}/instances/{next(iter(ct.files))}/rendered"
    assert ct.house.get(at, Accept="image/jpeg;q=0, */*").headers["Content-Type"] == "image/png"


def test_an_encoding_that_is_not_there_is_refused_with_406(ct):
    uid = next(iter(ct.files))
    for accept in ("text/html", 'multipart/related; type="image/jpeg"', f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.4.90", "*/*;q=0"):
        assert ct.house.get(f"{ct.path}/instances/{uid}/frames/1", Accept=accept).status_code == 406, accept
    assert ct.house.get(f"{ct.path}/instances/{uid}", Accept="image/jpeg").status_code == 406
    assert ct.house.get(f"/studies/{ct.uid}/metadata", Accept="application/dicom+xml").status_code == 406


def test_frames_beyond_the_last_and_nonsense_numbers_are_refused(ct):
    uid = next(iter(ct.files))
    for number, status in (("2", 404), ("0", 400), ("x", 400), ("1,,1", 400), ("-1", 400), ("9" * 30, 400), ("1,1", 200)):
        assert ct.house.get(f"{ct.path}/instances/{uid}/frames/{number}", Accept=OCTETS).status_code == status, number


def test_hostile_identifiers_are_refused(ct):
    for path in ("/studies/1.2.3/metadata", f"{ct.path}/instances/1.2.3/frames/1"):
        assert ct.house.get(path).status_code == 404
    for uid in ("..%2f..%2fetc%2fpasswd", "1.2.3' OR 1=1", "%00", "1" * 65, "1..2", "*", "1.2%0d%0aX: y"):
        assert ct.house.get(f"/studies/{uid}/metadata").status_code in (400, 404), uid
    uid = next(iter(ct.files))
    for path in ("x", "00281201/0", "0020000D/../..", "00081110/99/00081155", "00081110/0", "/".join(["00081110", "0"] * 40 + ["00081155"])):
        assert ct.house.get(f"{ct.path}/instances/{uid}/bulkdata/{path}").status_code == 404, path


def test_a_right_that_is_gone_shuts_even_the_picture_that_was_just_given(ct):
    path = f"{ct.path}/instances/{next(iter(ct.files))}/frames/1/rendered?window=50,400,linear"
    given, moved = ct.house.get(path, person="clinic"), dict(ct.house.actors)
    assert given.status_code == 200 and ct.house.get(path, person="clinic").data == given.data
    try:
        ct.house.actors["clinic"] = ct.house.actors["other"]
        assert ct.house.get(path, person="clinic").status_code == 404
        assert ct.house.get(path, person="clinic", If_None_Match=given.headers["ETag"]).status_code == 404
        ct.house.actors["clinic"] = replace(moved["clinic"], role="auditor")
        assert ct.house.get(path, person="clinic").status_code == 403
    finally:
        ct.house.actors.update(moved)


def test_a_picture_is_the_same_answer_whether_or_not_its_change_is_asked_for(ct):
    uid = next(iter(ct.files))
    for path, accept in ((f"{ct.path}/instances/{uid}/frames/1/rendered", "image/jpeg"), (f"{ct.path}/instances/{uid}/frames/1", "image/jphc")):
        plain, asked = ct.house.get(path, Accept=accept), ct.house.get(path, Accept=accept, If_None_Match='"another"')
        assert plain.data == asked.data and plain.status_code == asked.status_code == 200
        for name in ("Content-Type", "Content-Length", "ETag", "Vary", "Cache-Control", "Accept-Ranges", "X-Content-Type-Options"):
            assert plain.headers[name] == asked.headers[name], name
        part = ct.house.get(path, Accept=accept, Range="bytes=10-29")
        assert part.status_code == 206 and part.data == plain.data[10:30] and part.headers["Content-Range"] == f"bytes 10-29/{len(plain.data)}"


def test_a_neighbours_clinic_cannot_tell_the_study_from_none(ct):
    uid = next(iter(ct.files))
    for path in (f"/studies/{ct.uid}", f"/studies/{ct.uid}/metadata", f"{ct.path}/instances/{uid}/frames/1", f"{ct.path}/thumbnail",
                 f"{ct.path}/rendered", f"{ct.path}/instances/{uid}/bulkdata/00081110", f"/studies/{ct.uid}/series"):
        refused = ct.house.get(path, person="other")
        assert refused.status_code == 404, path
        assert refused.json == ct.house.get(path.replace(ct.uid, "1.2.3"), person="other").json
        assert ct.house.get(path, person="administrator").status_code == 403
        assert ct.house.get(path, person="clinic").status_code in (200, 404)
    assert ct.house.get(f"/studies/{ct.uid}/metadata", person="clinic").status_code == 200
    assert ct.house.get("/studies", person="other").status_code == 204


def test_metadata_says_what_the_files_say(ct):
    told = ct.house.get(f"/studies/{ct.uid}/metadata", Accept="application/dicom+json").json
    assert {one["00080018"]["Value"][0] for one in told} == set(ct.files)
    for one in told:
        header = dcmread(ct.files[one["00080018"]["Value"][0]], stop_before_pixels=True)
        ours = Dataset.from_json(one, bulk_data_uri_handler=lambda *_: b"")
        for element in header:
            if element.keyword != "SpecificCharacterSet":
                assert ours[element.tag] == element
        assert one["7FE00010"]["BulkDataURI"].startswith("http://localhost/dicomweb/studies/")
        assert list(one) == sorted(one)


def test_metadata_are_given_without_looking_for_what_was_made_of_each_instance(ct, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(studies, "artifacts_of_instances", lambda *_: pytest.fail("thousands of rows"))
        app = Flask("another process")
        app.register_blueprint(blueprint(ct.house.hub, lambda: ct.house.actors["reader"]), url_prefix="/dicomweb")
        fresh = app.test_client().get(f"/dicomweb/studies/{ct.uid}/metadata")
    assert fresh.json == ct.house.get(f"/studies/{ct.uid}/metadata").json


def test_equal_bytes_are_other_words_under_another_charset_and_kind_and_byte_order():
    def told(sets, order="<", vr="US"):
        dataset = Dataset()
        texts = {0x00080005: ("CS", sets), 0x00204000: ("LT", b"a\xe6 1"), 0x00280106: (vr, b"\xff\xfe")}
        for tag, (kind, value) in texts.items():
            dataset[tag] = RawDataElement(Tag(tag), kind, len(value), value, 0, False, order == "<")
        dataset.set_original_encoding(False, order == "<", "iso8859")
        return to_json(dataset)
    for _ in range(2):
        assert [told(sets)["00204000"]["Value"] for sets in (b"ISO_IR 101", b"ISO_IR 100", b"ISO_IR 144", b"ISO_IR 101")] == [["ać 1"], ["aæ 1"], ["aц 1"], ["ać 1"]]
        assert [told(b"ISO_IR 100", *how)["00280106"]["Value"] for how in (("<", "US"), (">", "US"), ("<", "SS"), ("<", "US"))] == [[65279], [65534], [-257], [65279]]


def test_series_and_instance_metadata_are_parts_of_the_studys(ct):
    study = ct.house.get(f"/studies/{ct.uid}/metadata").json
    assert ct.house.get(f"{ct.path}/metadata").json == study
    uid = next(iter(ct.files))
    assert ct.house.get(f"{ct.path}/instances/{uid}/metadata").json == [one for one in study if one["00080018"]["Value"] == [uid]]


def test_metadata_before_preparation_is_the_same_but_for_what_is_prepared(house, ct):
    for path in ct.files.values():
        house.send(path.read_bytes())
    early = {one["00080018"]["Value"][0]: one for one in house.get(f"/studies/{ct.uid}/metadata").json}
    for one in ct.house.get(f"/studies/{ct.uid}/metadata").json:
        raw = early[one["00080018"]["Value"][0]]
        assert raw.pop("00083002")["Value"] == ["1.2.840.10008.1.2"]
        assert one.pop("00083002")["Value"] == ["1.2.840.10008.1.2", HTJ2K]
        assert raw == one
    uid = next(iter(ct.files))
    (kind, content), = parts_of(house.get(f"{ct.path}/instances/{uid}/frames/1", Accept=f"{OCTETS}; transfer-syntax=*"))
    assert kind.endswith("1.2.840.10008.1.2.1") and content == dcmread(ct.files[uid]).PixelData


def test_json_is_gzipped_where_taken_and_not_sent_again_unchanged(ct):
    plain = ct.house.get(f"/studies/{ct.uid}/metadata")
    packed = ct.house.get(f"/studies/{ct.uid}/metadata", Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(packed.data) == plain.data
    assert "private" in packed.headers["Cache-Control"]
    again = ct.house.get(f"/studies/{ct.uid}/metadata", Accept_Encoding="gzip", If_None_Match=packed.headers["ETag"])
    assert again.status_code == 304 and not again.data
    uid = next(iter(ct.files))
    frame = ct.house.get(f"{ct.path}/instances/{uid}/frames/1")
    assert ct.house.get(f"{ct.path}/instances/{uid}/frames/1", If_None_Match=frame.headers["ETag"]).status_code == 304


def test_pictures_are_drawn_as_asked(ct):
    uid = next(iter(ct.files))
    at = f"{ct.path}/instances/{uid}/rendered"
    jpeg = ct.house.get(at)
    assert jpeg.headers["Content-Type"] == "image/jpeg" and Image.open(io.BytesIO(jpeg.data)).size == (512, 512)
    png = ct.house.get(f"{at}?window=-600,1500,linear&viewport=256,128", Accept="image/png")
    picture = Image.open(io.BytesIO(png.data))
    assert picture.format == "PNG" and picture.size == (128, 128)
    dataset = dcmread(ct.files[uid])
    hu = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    grey = np.clip(((hu - (-600 - 0.5)) / (1500 - 1) + 0.5) * 255, 0, 255)
    drawn = np.asarray(Image.open(io.BytesIO(ct.house.get(f"{at}?window=-600,1500,linear", Accept="image/png").data)))
    assert np.abs(drawn - grey).max() <= 0.51
    for query in ("window=1", "window=a,b,linear", "window=1,0,linear", "window=1,nan,linear", "viewport=0,0", "viewport=99999,9", "quality=0",
                  "quality=x", "viewport=10,10,600,600,5,5"):
        assert ct.house.get(f"{at}?{query}").status_code == 400, query


def test_every_level_is_drawn_and_every_frame(ct):
    """PS3.18 10.4.1.1.2: of a study and a series every instance, one part each."""
    for path in (f"/studies/{ct.uid}", ct.path):
        drawn = parts_of(ct.house.get(f"{path}/rendered", Accept='multipart/related; type="image/png"'))
        assert {kind for kind, _ in drawn} == {"image/png"} and len(drawn) == len(ct.files)
        alone = {ct.house.get(f"{ct.path}/instances/{uid}/rendered", Accept="image/png").data for uid in ct.files}
        assert {content for _, content in drawn} == alone
    uid = next(iter(ct.files))
    assert ct.house.get(f"{ct.path}/instances/{uid}/frames/1/rendered", Accept="image/png").data in alone
    assert ct.house.get(f"{ct.path}/instances/{uid}/frames/2/rendered").status_code == 404
    assert ct.house.get(f"{ct.path}/rendered?window=1,0", Accept="multipart/related").status_code == 400
    assert ct.house.get(f"{ct.path}/rendered", Accept='multipart/related; type="image/gif"').status_code == 406


def test_of_several_frames_every_one_is_drawn(house):
    """A colour cine of two frames; whoever takes one picture only is not given the first for both."""
    sent = dcmread(get_testdata_file("SC_rgb_rle_2frame.dcm"))
    house.send(Path(get_testdata_file("SC_rgb_rle_2frame.dcm")).read_bytes())
    at = f"/studies/{sent.StudyInstanceUID}/series/{sent.SeriesInstanceUID}/instances/{sent.SOPInstanceUID}"
    alone = [house.get(f"{at}/frames/{number}/rendered", Accept="image/png").data for number in (1, 2)]
    in_parts = 'multipart/related; type="image/png"'
    assert [content for _, content in parts_of(house.get(f"{at}/frames/2,1/rendered", Accept=in_parts))] == alone[::-1]
    assert [content for _, content in parts_of(house.get(f"{at}/rendered", Accept=in_parts))] == alone
    assert len(parts_of(house.get(f"{at}/frames/1,2/rendered", Accept="*/*"))) == 2
    assert house.get(f"{at}/frames/1,2/rendered", Accept="image/png").status_code == 406


def test_a_picture_is_drawn_once_and_not_sent_again_unchanged(ct, monkeypatch):
    uid = next(iter(ct.files))
    at = f"{ct.path}/instances/{uid}/rendered?window=-601,1501,linear"
    first = ct.house.get(at)
    with monkeypatch.context() as patch:
        patch.setattr(routes, "picture", lambda *a: pytest.fail("drawn again"))
        assert ct.house.get(at).data == first.data
        again = ct.house.get(at, If_None_Match=first.headers["ETag"])
        assert again.status_code == 304 and not again.data
        assert ct.house.get(at, person="other", If_None_Match=first.headers["ETag"]).status_code == 404, "what is kept at hand is nobody's right"
    other = ct.house.get(at.replace("-601", "-602"), If_None_Match=first.headers["ETag"])
    assert other.status_code == 200 and other.data != first.data


def test_a_prepared_picture_equals_the_one_drawn_before_preparation(ct, tmp_path):
    uid, path = next(iter(ct.files.items()))
    house = make_house(tmp_path)
    house.send(path.read_bytes())
    for query in ("", "?window=40,400,sigmoid", "?window=40,400,linear-exact&viewport=200,200"):
        at = f"{ct.path}/instances/{uid}/rendered{query}"
        assert ct.house.get(at, Accept="image/png").data == house.get(at, Accept="image/png").data
    house.hub.close()


def test_thumbnails_of_every_level_are_small_jpegs(ct):
    uid = next(iter(ct.files))
    for path in (f"/studies/{ct.uid}/thumbnail", f"{ct.path}/thumbnail", f"{ct.path}/instances/{uid}/thumbnail", f"{ct.path}/thumbnail?viewport=64,64"):
        reply = ct.house.get(path)
        assert reply.status_code == 200 and reply.headers["Content-Type"] == "image/jpeg"
        assert max(Image.open(io.BytesIO(reply.data)).size) <= 192


def test_a_look_is_audited_once_and_not_for_every_frame(ct):
    uid = next(iter(ct.files))
    for _ in range(5):
        ct.house.get(f"{ct.path}/instances/{uid}/frames/1", person="clinic")
    with ct.house.hub.reading() as connection:
        looks = connection.exec_driver_sql("select count(*) from audit where action='study.view' and actor='clinic1'").scalar()
    assert looks == 1
    assert administration.verify_audit(ct.house.hub) is not False


def test_capabilities_name_the_transactions(ct):
    told = json.loads(ct.house.get("/").data)
    assert {"/studies", "/studies/{study}/metadata"} <= {one["path"] for one in told["resources"]} and {"search", "store", "frames"} <= set(told["mediaTypes"])


def test_a_head_request_says_the_length_without_the_bytes(ct):
    uid = next(iter(ct.files))
    client, headers = ct.house.app.test_client(), {"X-Person": "reader", "Accept": "application/dicom"}
    head = client.head(f"/dicomweb{ct.path}/instances/{uid}", headers=headers)
    assert head.status_code == 200 and not head.data
    assert int(head.headers["Content-Length"]) == ct.files[uid].stat().st_size
    assert "GET" in client.options("/dicomweb/studies", headers=headers).headers["Allow"]


def test_a_file_that_the_disk_has_lost_is_named_and_the_others_are_given(house):
    house.send(file_of("1.2.10", "1.2.10.1", "1.2.10.1.1"))
    house.send(file_of("1.2.10", "1.2.10.1", "1.2.10.1.2", PixelData=bytes(32)))
    lost = house.hub.blobs.keep(file_of("1.2.10", "1.2.10.1", "1.2.10.1.1")).sha256
    house.hub.blobs.path(lost).unlink()
    at = "/studies/1.2.10/series/1.2.10.1/instances"
    assert house.get(f"{at}/1.2.10.1.1/frames/1").status_code == 404
    assert house.get(f"{at}/1.2.10.1.1").json["code"] == "no_blob"
    assert house.get(f"{at}/1.2.10.1.2/frames/1").status_code == 200


def test_big_values_are_given_by_address_before_and_after_preparation(house):
    icon, curve = bytes(range(256)) * 8, bytes(range(250)) * 8_000
    content = file_of("1.2.10", "1.2.10.1", "1.2.10.1.1", ICCProfile=icon, EncapsulatedDocument=curve, RedPaletteColorLookupTableData=b"\1\2" * 4)
    study_id = house.send(content).study_id
    for _ in range(2):
        (told,) = house.get("/studies/1.2.10/metadata").json
        assert base64.b64decode(told["00281201"]["InlineBinary"]) == b"\1\2" * 4
        for tag, value in (("00282000", icon), ("00420011", curve)):
            assert told[tag].keys() == {"vr", "BulkDataURI"}
            at = told[tag]["BulkDataURI"].partition("/dicomweb")[2]
            (_, got), = parts_of(house.get(at, Accept=OCTETS))
            assert got == value
            assert house.get(at, Accept="application/octet-stream", Range="bytes=5-8").data == value[5:9]
        house.prepare(study_id)


def test_a_range_of_a_prepared_frame_holds_its_coarser_resolutions(ct):
    """Where each level ends stands in the TLM segment; OpenJPEG, which did not write the stream, draws what a range holds."""
    uid, path = next(iter(ct.files.items()))
    at, pixels = f"{ct.path}/instances/{uid}/frames/1", dcmread(path).pixel_array.astype(int)
    head = ct.house.get(at, Accept="image/jphc", Range="bytes=0-511").data
    begin = head.index(b"\xff\x55")
    length, _, kind = struct.unpack_from(">HBB", head, begin + 2)
    entry = {0x00: ">I", 0x10: ">BI", 0x20: ">HI"}[kind & 0x30]
    sizes = [found[-1] for found in struct.iter_unpack(entry, head[begin + 6:begin + 2 + length])]
    assert len(sizes) == 6
    start, apart = head.index(b"\xff\x90"), []
    for level in range(3, 7):
        part = ct.house.get(at, Accept="image/jphc", Range=f"bytes=0-{start + sum(sizes[:level]) - 1}")
        assert part.status_code == 206
        apart.append(np.abs(openjpeg.decode(part.data + b"\xff\xd9").astype(int) - pixels).mean())
    assert apart == sorted(apart, reverse=True) and apart[-1] == 0 < apart[0]
