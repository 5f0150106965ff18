"""STOW-RS by metadata and bulk data, and instances given in another transfer syntax."""
import io
import json
import subprocess
from base64 import b64decode
from pathlib import Path

import numpy as np
import openjpeg
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from tests.dicom_gateway.prepare.images import bundled, bundled_path
from tests.dicom_gateway.running import peer
from tests.dicom_gateway.test_corrected import faults
from tests.dicom_gateway.web.objects import file_of
from tests.dicom_gateway.web.test_retrieve import parts_of
from tests.dicom_gateway.web.test_store import kept

TYPE = 'multipart/related; type="application/dicom+json"; boundary=XyZ'
HTJ2K = "1.2.840.10008.1.2.4.201"


def post(house, metadata, *bulk: tuple[str, str, bytes]):
    parts = [("application/dicom+json", "", metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()), *bulk]
    body = b"".join(f"--XyZ\r\nContent-Type: {kind}\r\n{f'Content-Location: {at}' if at else 'X: y'}\r\n\r\n".encode() + content + b"\r\n" for kind, at, content in parts)
    return house.app.test_client().post("/dicomweb/studies", data=body + b"--XyZ--\r\n", headers={"Content-Type": TYPE, "Authorization": f"Bearer {house.token}"})


def described(sop: str = "1.2.10.1.1", uri: str = "bulk/1") -> dict:
    told = dcmread(io.BytesIO(file_of("1.2.10", "1.2.10.1", sop))).to_json_dict()
    told["00100010"] = {"vr": "PN", "Value": [{"Alphabetic": "WANG^FANG", "Ideographic": "王^芳"}]}
    return told | {"7FE00010": {"vr": "OW", "BulkDataURI": uri}}


def test_metadata_and_pixels_become_the_file_that_they_describe(house):
    pixels = bytes(range(100, 132))
    reply = post(house, [described()], ("application/octet-stream", "bulk/1", pixels))
    assert reply.status_code == 200 and reply.json["00081199"]["Value"][0]["00081155"]["Value"] == ["1.2.10.1.1"]
    stored = dcmread(io.BytesIO(kept(house)["1.2.10.1.1"]))
    assert stored.PixelData == pixels and stored.Rows == 4 and str(stored.PatientName) == "WANG^FANG=王^芳"
    assert stored.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian and stored.file_meta.MediaStorageSOPInstanceUID == "1.2.10.1.1"


@pytest.mark.peers
def by_pydicom(name: str) -> tuple[dict, dict[str, bytes]]:
    """A file as DICOM JSON, and its big values by their addresses."""
    sent, bulk = bundled(name), {}
    sent.decode()

    def keep(element) -> str:
        bulk[f"b{len(bulk)}"] = element.value
        return f"b{len(bulk) - 1}"
    return sent.to_json_dict(bulk_data_threshold=256, bulk_data_element_handler=keep), bulk


def by_dcmtk(name: str) -> tuple[dict, dict[str, bytes]]:
    """The same by DCMTK's dcm2json, the pixels as bulk data and all else in the metadata."""
    told = json.loads(subprocess.run([peer("dcm2json"), bundled_path(name)], capture_output=True, timeout=300, check=True).stdout)
    pixels = told.get("7FE00010", {}).pop("InlineBinary", None)
    if pixels is None:
        return told, {}
    return told | {"7FE00010": {"vr": told["7FE00010"]["vr"], "BulkDataURI": "pixels"}}, {"pixels": b64decode(pixels)}


@pytest.mark.peers
@pytest.mark.parametrize("taken_apart", [by_pydicom, by_dcmtk])
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "rtdose.dcm", "test-SR.dcm", "liver_1frame.dcm", "waveform_ecg.dcm"])
def test_a_file_that_is_taken_apart_as_json_and_bulk_data_comes_together_again(house, name, taken_apart, tmp_path):
    sent = bundled(name)
    told, bulk = taken_apart(name)
    reply = post(house, [told], *(("application/octet-stream", at, value) for at, value in bulk.items()))
    assert reply.status_code == 200, reply.json
    built = kept(house, sent.StudyInstanceUID)[sent.SOPInstanceUID]
    stored = dcmread(io.BytesIO(built))
    sent.decode()
    assert [element for element in sent if element.tag != 0x00080005 and stored.get(element.tag) != element] == []
    (tmp_path / "built.dcm").write_bytes(built)
    assert faults(tmp_path / "built.dcm") <= faults(Path(bundled_path(name)))


@pytest.mark.peers
def test_numbers_longer_than_a_decimal_string_become_the_nearest_that_fit(house, tmp_path):
    told, bulk = by_pydicom("CT_small.dcm")
    sent = {"00280030": [1 / 3, 0.1], "00200032": [-123.45678901234567, -1.2345678901234567e-9, 2.0], "00180088": [2 / 3]}
    told |= {tag: {"vr": "DS", "Value": numbers} for tag, numbers in sent.items()}
    told["00081140"] = {"vr": "SQ", "Value": [{"00180050": {"vr": "DS", "Value": [-2 / 3]}, "00081150": {"vr": "UI", "Value": ["1.2.3"]}, "00081155": {"vr": "UI", "Value": ["1.2.3.4"]}}]}
    assert post(house, [told], *(("application/octet-stream", at, value) for at, value in bulk.items())).status_code == 200
    (built,) = kept(house, bundled("CT_small.dcm").StudyInstanceUID).values()
    stored = dcmread(io.BytesIO(built))
    for dataset, tag, numbers in ((stored, "00280030", sent["00280030"]), (stored, "00200032", sent["00200032"]), (stored, "00180088", sent["00180088"]),
                                  (stored.ReferencedImageSequence[0], "00180050", [-2 / 3])):
        written = dataset.get_item(int(tag, 16)).value.decode().split("\\")
        assert max(len(one.strip()) for one in written) <= 16 and [float(one) for one in written] == pytest.approx(numbers, rel=1e-9)
    (tmp_path / "built.dcm").write_bytes(built)
    assert faults(tmp_path / "built.dcm") <= faults(Path(bundled_path("CT_small.dcm")))


def test_compressed_frames_come_in_parts_of_one_address(house):
    sent = bundled("SC_rgb_rle_2frame.dcm")
    frames = list(generate_frames(sent.PixelData, number_of_frames=2))
    told = {tag: value for tag, value in sent.to_json_dict().items() if tag != "7FE00010"} | {"7FE00010": {"vr": "OB", "BulkDataURI": "p"}}
    reply = post(house, [told], *(("image/dicom-rle; transfer-syntax=1.2.840.10008.1.2.5", "p", frame) for frame in frames))
    assert reply.status_code == 200
    stored = dcmread(io.BytesIO(kept(house, sent.StudyInstanceUID)[sent.SOPInstanceUID]))
    assert stored.file_meta.TransferSyntaxUID == RLELossless
    assert np.array_equal(stored.pixel_array, bundled("SC_rgb_rle_2frame.dcm").pixel_array)


def test_an_instance_whose_bulk_data_is_missing_fails_alone(house):
    reply = post(house, [described(), described("1.2.10.1.2", "bulk/2"), {"00080018": {"vr": "UI", "Value": ["1.2.10.1.3"]}, "00100020": {"vr": "LO", "Value": 7}}],
                 ("application/octet-stream", "bulk/1", bytes(32)))
    assert reply.status_code == 202 and set(kept(house)) == {"1.2.10.1.1"}
    assert [item["00081155"]["Value"] for item in reply.json["00081198"]["Value"]] == [["1.2.10.1.2"], ["1.2.10.1.3"]]


@pytest.mark.parametrize("metadata", [b"", b"{}", b"[1]", b"[", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000])
def test_metadata_that_are_none_are_refused(house, metadata):
    assert post(house, metadata).status_code == 400
    assert house.get("/studies").status_code == 204


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "JPEG2000.dcm", "image_dfl.dcm", "SC_rgb_rle_2frame.dcm",
                                  "examples_ybr_color.dcm", "MR_small_jpeg_ls_lossless.dcm"])
def test_an_instance_is_given_uncompressed_where_that_is_insisted_on(house, name):
    with open(bundled_path(name), "rb") as file:
        content = file.read()
    house.send(content)
    sent = bundled(name)
    at = f"/studies/{sent.StudyInstanceUID}/series/{sent.SeriesInstanceUID}/instances/{sent.SOPInstanceUID}"
    (kind, given), = parts_of(house.get(at, Accept=f'multipart/related; type="application/dicom"; transfer-syntax={ExplicitVRLittleEndian}'))
    if kind.endswith(str(sent.file_meta.TransferSyntaxUID)):
        assert given == content
    told = dcmread(io.BytesIO(given))
    assert told.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian and told.SOPInstanceUID == sent.SOPInstanceUID
    expected = sent.pixel_array.astype(int)
    assert np.abs(told.pixel_array.astype(int) - expected).max() == 0
    pixels = {"PixelData", "PhotometricInterpretation", "PlanarConfiguration"}
    assert {element.keyword: element.value for element in told if element.keyword not in pixels} == {
        element.keyword: element.value for element in bundled(name) if element.keyword not in pixels}
    assert house.get(at, Accept="application/dicom; transfer-syntax=*").data == content


def test_a_grey_instance_is_given_in_lossless_htj2k_and_a_coloured_one_is_not(house):
    sent, coloured = bundled("CT_small.dcm"), bundled("SC_rgb_rle_2frame.dcm")
    for one, name in ((sent, "CT_small.dcm"), (coloured, "SC_rgb_rle_2frame.dcm")):
        with open(bundled_path(name), "rb") as file:
            house.send(file.read())
        reply = house.get(f"/studies/{one.StudyInstanceUID}/series/{one.SeriesInstanceUID}/instances/{one.SOPInstanceUID}", Accept=f"application/dicom; transfer-syntax={HTJ2K}")
        assert reply.status_code == (200 if one is sent else 406), name
    reply = house.get(f"/studies/{sent.StudyInstanceUID}/series/{sent.SeriesInstanceUID}/instances/{sent.SOPInstanceUID}", Accept=f"application/dicom; transfer-syntax={HTJ2K}")
    told: Dataset = dcmread(io.BytesIO(reply.data))
    assert told.file_meta.TransferSyntaxUID == HTJ2K
    (frame,) = generate_frames(told.PixelData, number_of_frames=1)
    assert np.array_equal(openjpeg.decode(frame), sent.pixel_array)
